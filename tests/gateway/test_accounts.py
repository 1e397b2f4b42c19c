"""The credentials file: what it holds, what it refuses, and how it is written."""

import json
import os
import re
import stat
from pathlib import Path
from typing import Any

import pytest

from gateway.accounts import NO_ACCOUNT, PROFILE, Accounts, AccountsError, new_password
from gateway.hashing import fits
from gateway.wire.topics import Role
from tests.gateway.running import CHEAP

_AS = "cannot be read as accounts: "
PHRASE = "correct horse battery staple"


def made(path: Path, *names: str, role: Role = Role.TRADER) -> Accounts:
    accounts = Accounts.load(path, CHEAP)
    for name in names:
        accounts.add(name, role, PHRASE)
    accounts.save()
    return accounts


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "accounts.json"


def test_what_is_saved_is_loaded_again(path: Path) -> None:
    accounts = made(path, "anna", "ben")
    accounts.add("teacher", Role.INSTRUCTOR, PHRASE)
    accounts.save()
    again = Accounts.load(path, CHEAP)
    assert list(again) == list(accounts)
    assert [(h.name, h.role, h.number) for h in again] == [
        ("anna", Role.TRADER, 2), ("ben", Role.TRADER, 3), ("teacher", Role.INSTRUCTOR, NO_ACCOUNT + 4),
    ]  # fmt: skip
    assert again.find("anna") == next(iter(accounts))
    assert again.find("nobody") is None


def test_only_argon2id_hashes_are_kept_each_with_a_salt_of_its_own(path: Path) -> None:
    accounts = Accounts.load(path)
    accounts.add("anna", Role.TRADER, PHRASE)
    accounts.add("ben", Role.TRADER, PHRASE)
    accounts.save()
    text = path.read_text()
    assert PHRASE not in text
    hashes = [entry["password_hash"] for entry in json.loads(text)["accounts"]]
    cost = f"$argon2id$v=19$m={PROFILE.memory_cost},t={PROFILE.time_cost},p={PROFILE.parallelism}$"
    assert all(one.startswith(cost) for one in hashes)
    assert PROFILE.memory_cost >= 64 * 1024
    assert len(set(hashes)) == 2


def test_a_password_fits_its_own_hash_and_no_other(path: Path) -> None:
    accounts = made(path, "anna")
    stored = accounts.find("anna")
    assert stored is not None
    assert fits(stored.password_hash, PHRASE.encode())
    for wrong in (b"", PHRASE.encode()[:-1], PHRASE.encode() + b"\0", PHRASE.upper().encode(), b"\xff\xfe"):
        assert not fits(stored.password_hash, wrong)
    assert not fits("no hash", PHRASE.encode())
    assert not fits("哈希", PHRASE.encode())
    assert not fits(accounts.dummy_hash(), PHRASE.encode())
    accounts.set_password("anna", "another")
    changed = accounts.find("anna")
    assert changed is not None
    assert fits(changed.password_hash, b"another")
    assert not fits(changed.password_hash, PHRASE.encode())


def test_only_its_owner_may_read_the_file_whatever_was_there_before(path: Path) -> None:
    mask = os.umask(0)
    try:
        accounts = made(path, "anna")
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        path.chmod(0o644)
        accounts.save()
    finally:
        os.umask(mask)
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize("fails", ["fsync", "rename"])
def test_a_file_is_written_whole_or_not_at_all(path: Path, monkeypatch: pytest.MonkeyPatch, fails: str) -> None:
    accounts = made(path, "anna")
    before = path.read_bytes()
    accounts.add("ben", Role.TRADER, PHRASE)

    def refuse(*_: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as broken:
        broken.setattr(*((os, "fsync", refuse) if fails == "fsync" else (Path, "replace", refuse)))
        with pytest.raises(OSError, match="No space"):
            accounts.save()
    assert path.read_bytes() == before
    assert list(path.parent.iterdir()) == [path], "expected no unfinished file"
    accounts.save()
    assert Accounts.load(path, CHEAP).find("ben") is not None


def test_the_content_is_on_disk_before_it_takes_the_name(path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    accounts = made(path, "anna")
    calls: list[str] = []
    fsync, replace = os.fsync, Path.replace

    def record_fsync(handle: int) -> None:
        calls.append("fsync")
        fsync(handle)

    def record_replace(self: Path, target: Path) -> Path:
        calls.append("rename")
        return replace(self, target)

    monkeypatch.setattr(os, "fsync", record_fsync)
    monkeypatch.setattr(Path, "replace", record_replace)
    accounts.save()
    assert calls[:2] == ["fsync", "rename"]


@pytest.mark.parametrize("name", ["anna", "a", "a-b_9", "a" * 32])
def test_good_names_are_taken(path: Path, name: str) -> None:
    made(path, name)
    assert Accounts.load(path, CHEAP).find(name) is not None


@pytest.mark.parametrize(
    "name",
    ["", "a" * 33, "Anna", "9a", "_a", "-a", "a b", "a/b", "a+", "#", "a#", "$share", "a\n", "a\0", "änna", "安娜"],
    ids=ascii,
)
def test_names_that_could_not_be_part_of_a_topic_are_refused(path: Path, name: str) -> None:
    accounts = made(path, "anna")
    with pytest.raises(AccountsError, match=re.escape(f"name: got {name!r}, expected 1 to 32 of a-z")):
        accounts.add(name, Role.TRADER, PHRASE)
    assert [holder.name for holder in accounts] == ["anna"]
    assert accounts.add("ben", Role.TRADER, PHRASE).number == 3, "expected no number spent on a refusal"


def test_a_name_is_given_once(path: Path) -> None:
    accounts = made(path, "anna")
    with pytest.raises(AccountsError, match="'anna' exists already"):
        accounts.add("anna", Role.OBSERVER, "other")
    assert [(holder.role, holder.number) for holder in accounts] == [(Role.TRADER, 2)]


@pytest.mark.parametrize("reloaded", [False, True])
@pytest.mark.parametrize("role", Role)
def test_a_removed_holders_number_is_never_given_again(path: Path, role: Role, *, reloaded: bool) -> None:
    accounts = made(path, "anna", "ben", role=role)
    given = [holder.number for holder in accounts]
    accounts.remove("ben")
    accounts.save()
    if reloaded:
        accounts = Accounts.load(path, CHEAP)
    assert accounts.find("ben") is None
    number = accounts.add("ben", role, PHRASE).number
    assert number == given[-1] + 1
    other = Role.OBSERVER if role is Role.TRADER else Role.TRADER
    assert accounts.add("carl", other, PHRASE).number % NO_ACCOUNT == 5, "expected one count for all roles"


@pytest.mark.parametrize("change", [lambda a: a.remove("carl"), lambda a: a.set_password("carl", "x")])
def test_nobody_can_be_changed_who_is_not_there(path: Path, change: Any) -> None:
    with pytest.raises(AccountsError, match="name: got 'carl', expected one of anna, ben"):
        change(made(path, "anna", "ben"))


def damaged(stored: dict[str, Any], key: str, value: Any) -> None:
    """Put `value` where the dotted `key` says."""
    *way, last = key.split(".")
    place: Any = stored
    for step in way:
        place = place[int(step) if step.isdigit() else step]
    place[last] = value


@pytest.mark.parametrize(
    ("key", "value", "named"),
    [
        ("accounts.0.name", "Anna", "name: got 'Anna', expected 1 to 32 of a-z, 0-9, _ and -, a letter first"),
        ("accounts.0.name", "ben", "name: got 'ben' twice, expected it once"),
        ("accounts.0.number", 1, "anna.number: got 1, expected a number of its own from 2, below next_number"),
        ("accounts.0.number", 3, "anna.number: got 3, expected a number of its own from 2, below next_number"),
        ("accounts.0.number", 5, "anna.number: got 5, expected a number of its own from 2, below next_number"),
        ("accounts.2.number", 4, "teacher.number: got 4, expected a number of its own from 2, below next_number, plus"),
        ("next_number", 4, f"teacher.number: got {NO_ACCOUNT + 4}, expected a number of its own from 2, below"),
        ("accounts.0.password_hash", "hunter2", "anna.password_hash: got 7 characters, expected a hash that begins"),
        ("accounts.0.password_hash", "", "anna.password_hash: got 0 characters, expected a hash that begins"),
        ("accounts.0.role", "admin", _AS + "Invalid enum value 'admin' - at `$.accounts[0].role`"),
        ("accounts.0.number", "2", _AS + "Expected `int`, got `str` - at `$.accounts[0].number`"),
        ("accounts.0.number", True, _AS + "Expected `int`, got `bool` - at `$.accounts[0].number`"),
        ("accounts.0.number", 2.5, _AS + "Expected `int`, got `float` - at `$.accounts[0].number`"),
        ("accounts.0.password_hash", None, _AS + "Expected `str`, got `null` - at `$.accounts[0].password_hash`"),
        ("accounts", {}, _AS + "Expected `array`, got `object` - at `$.accounts`"),
        ("next_number", None, _AS + "Expected `int`, got `null` - at `$.next_number`"),
    ],
)  # fmt: skip
def test_a_damaged_file_is_refused_in_one_line_with_key_value_and_expectation(
    path: Path, key: str, value: Any, named: str
) -> None:
    accounts = made(path, "anna", "ben")
    accounts.add("teacher", Role.INSTRUCTOR, PHRASE)
    accounts.save()
    stored = json.loads(path.read_text())
    damaged(stored, key, value)
    path.write_text(json.dumps(stored))
    with pytest.raises(AccountsError) as error:
        Accounts.load(path, CHEAP)
    text = str(error.value)
    assert text.startswith(f"{path}: {named}"), text
    assert "\n" not in text
    assert "hunter2" not in text, "expected no password in a message"


@pytest.mark.parametrize(
    "content", [b"", b"{", b"[]", b"\xff\xfe", b"null", b'{"accounts": [{}]}', b"\0" * 4096, b'{"accounts": [1]}'],
    ids=repr,
)  # fmt: skip
def test_a_file_that_is_no_list_of_accounts_is_refused_in_one_line(path: Path, content: bytes) -> None:
    path.write_bytes(content)
    with pytest.raises(AccountsError) as error:
        Accounts.load(path, CHEAP)
    assert str(error.value).startswith(f"{path}: ")
    assert "\n" not in str(error.value)


def test_every_file_cut_short_is_refused(path: Path) -> None:
    made(path, "anna", "ben")
    whole = path.read_bytes().rstrip()
    for length in range(len(whole)):
        path.write_bytes(whole[:length])
        with pytest.raises(AccountsError):
            Accounts.load(path, CHEAP)


def test_new_passwords_are_long_random_and_easy_to_read_out() -> None:
    passwords = {new_password() for _ in range(1000)}
    assert len(passwords) == 1000
    assert all(re.fullmatch("[a-hj-km-np-z2-9]{16}", password) for password in passwords)
