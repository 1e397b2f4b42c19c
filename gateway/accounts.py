"""The credentials file: who may log on, as what, under which number. Passwords are kept as Argon2id hashes only.

A name becomes part of topic names, so few characters are legal. A number is the key of its holder's requests in the
journal, and a trader's is his account in the engine; all others have numbers that no account can have, so that nobody
is told the reports of an account that an operator opens. A number is given once, also when its holder is removed.
"""

import os
import re
import secrets
import tempfile
from collections.abc import Iterator
from pathlib import Path

import argon2
import msgspec

from engine.errors import EmexError
from gateway.wire.topics import Role

_NAME = re.compile(r"[a-z][a-z0-9_-]{0,31}\Z")
_FIRST_NUMBER = 2
"""0 and 1 are the exchange's and the government's."""
NO_ACCOUNT = 2**24
"""From here on the engine opens no account; so high are the numbers of those who have none."""
_HASH = "$argon2id$"
_ALPHABET = "abcdefghjkmnpqrstuvwxyz23456789"
_PASSWORD_LENGTH = 16
PROFILE = argon2.Parameters(
    type=argon2.Type.ID, version=argon2.low_level.ARGON2_VERSION, salt_len=16, hash_len=32, time_cost=3,
    memory_cost=64 * 1024, parallelism=1,
)  # fmt: skip
"""As RFC 9106 has it for little memory, but in one lane: several would take the core from the venue together."""


class AccountsError(EmexError):
    """A credentials file or a request about it that makes no sense; names file, key, value and expectation."""


class Holder(msgspec.Struct, frozen=True):
    """Somebody who may log on."""

    name: str
    role: Role
    number: int
    password_hash: str


class _File(msgspec.Struct):
    """The file as it is stored."""

    next_number: int = _FIRST_NUMBER
    accounts: list[Holder] = []


class Accounts:
    """The holders of one credentials file.

    Parameters
    ----------
    parameters : cost of hashing; less only in tests
    """

    def __init__(self, path: Path, stored: _File, parameters: argon2.Parameters = PROFILE) -> None:
        self._path = path
        self._next = stored.next_number
        self._holders = {holder.name: holder for holder in stored.accounts}
        self._hasher = argon2.PasswordHasher.from_parameters(parameters)

    @classmethod
    def load(cls, path: Path, parameters: argon2.Parameters = PROFILE) -> "Accounts":
        """Read a file; one that is not there yet has nobody in it. Raises `AccountsError`."""
        if not path.exists():
            return cls(path, _File(), parameters)
        try:
            stored = msgspec.json.decode(path.read_bytes(), type=_File)
        except (OSError, msgspec.DecodeError) as error:
            raise AccountsError(f"{path}: cannot be read as accounts: {error}") from None
        numbers = [_given(holder) for holder in stored.accounts]
        for holder in stored.accounts:
            if not _NAME.match(holder.name):
                raise AccountsError(f"{path}: name: got {holder.name!r}, expected {_expected_name()}")
            if not _FIRST_NUMBER <= _given(holder) < stored.next_number or numbers.count(_given(holder)) > 1:
                expected = f"a number of its own from {_FIRST_NUMBER}, below next_number"
                if holder.role is not Role.TRADER:
                    expected += f", plus {NO_ACCOUNT}"
                raise AccountsError(f"{path}: {holder.name}.number: got {holder.number}, expected {expected}")
            if not holder.password_hash.startswith(_HASH):
                got = f"got {len(holder.password_hash)} characters"  # which may be a password
                raise AccountsError(f"{path}: {holder.name}.password_hash: {got}, expected a hash that begins {_HASH}")
            if sum(other.name == holder.name for other in stored.accounts) > 1:
                raise AccountsError(f"{path}: name: got {holder.name!r} twice, expected it once")
        return cls(path, stored, parameters)

    def __iter__(self) -> Iterator[Holder]:
        """Holders by number."""
        return iter(sorted(self._holders.values(), key=lambda holder: holder.number))

    def find(self, name: str) -> Holder | None:
        """The holder of that name."""
        return self._holders.get(name)

    def add(self, name: str, role: Role, password: str) -> Holder:
        """A new holder, with the next number. Raises `AccountsError`. `save` makes it last."""
        if not _NAME.match(name):
            raise AccountsError(f"name: got {name!r}, expected {_expected_name()}")
        if name in self._holders:
            raise AccountsError(f"name: {name!r} exists already")
        number = self._next if role is Role.TRADER else NO_ACCOUNT + self._next
        holder = Holder(name, role, number, self._hasher.hash(password))
        self._holders[name] = holder
        self._next += 1
        return holder

    def remove(self, name: str) -> None:
        """Nobody logs on by that name any more; its number is not given again. Raises `AccountsError`."""
        self._known(name)
        del self._holders[name]

    def set_password(self, name: str, password: str) -> None:
        """Another password. Raises `AccountsError`."""
        holder = self._known(name)
        self._holders[name] = msgspec.structs.replace(holder, password_hash=self._hasher.hash(password))

    def save(self) -> None:
        """Write the file whole or not at all, readable by its owner only. Raises `OSError`."""
        data = msgspec.json.format(msgspec.json.encode(_File(self._next, list(self))), indent=2)
        handle, unfinished = tempfile.mkstemp(dir=self._path.parent, prefix=self._path.name)
        try:
            with os.fdopen(handle, "wb") as file:
                file.write(data)
                file.flush()
                os.fsync(file.fileno())
            Path(unfinished).replace(self._path)
        except OSError:
            Path(unfinished).unlink()
            raise

    def dummy_hash(self) -> str:
        """A hash that no password fits, so that an unknown name takes as long as a known one."""
        return self._hasher.hash(secrets.token_bytes(_PASSWORD_LENGTH))

    def _known(self, name: str) -> Holder:
        if name not in self._holders:
            raise AccountsError(f"name: got {name!r}, expected one of {', '.join(self._holders) or 'nobody'}")
        return self._holders[name]


def _given(holder: Holder) -> int:
    """A holder's number as it was counted."""
    return holder.number if holder.role is Role.TRADER else holder.number - NO_ACCOUNT


def _expected_name() -> str:
    return "1 to 32 of a-z, 0-9, _ and -, a letter first"


def new_password() -> str:
    """A random password without letters that look alike; about 79 bits."""
    return "".join(secrets.choice(_ALPHABET) for _ in range(_PASSWORD_LENGTH))
