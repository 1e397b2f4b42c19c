"""Who is let in. Passwords are hashed in two threads, never in the loop, and never for somebody who is locked out.

Five wrong passwords for a name from an address within a minute lock that pair for five minutes, twenty from an address
over all names lock the address. An attempt counts as wrong until it has proved right, so that a thousand guesses at
once cost five hashes. A right password is remembered, as a keyed digest, for as long as the process lives: a class that
reconnects does not wait for sixty slow hashes.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import OrderedDict, deque
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto

from gateway.accounts import Accounts, Holder

WINDOW_SECONDS = 60.0
LOCK_SECONDS = 300.0
WRONG_OF_PAIR = 5
WRONG_OF_ADDRESS = 20
_HASHING = 2
_WAITING = 64
"""Attempts that may wait for a thread; more are refused as busy."""
_TRACKED = 10_000
"""Pairs and addresses that are remembered; the oldest are forgotten."""


class Refusal(Enum):
    """Why somebody is not let in."""

    BAD_CREDENTIALS = auto()
    LOCKED_OUT = auto()
    BUSY = auto()


class _Attempts:
    """Wrong attempts by key within the window, and who is locked."""

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._wrong: OrderedDict[Hashable, deque[float]] = OrderedDict()
        self._locked: OrderedDict[Hashable, float] = OrderedDict()

    def locked(self, key: Hashable) -> bool:
        """Whether that key is locked now."""
        until = self._locked.get(key)
        if until is not None and self._now() >= until:
            del self._locked[key]
            until = None
        return until is not None

    def full(self, key: Hashable) -> bool:
        """Whether another attempt would be one too many."""
        attempts = self._recent(key)
        return len(attempts) >= self._limit

    def add(self, key: Hashable) -> float:
        """Count an attempt; returns its mark, for `undo`."""
        attempts = self._recent(key)
        attempts.append(self._now())
        self._wrong[key] = attempts
        self._wrong.move_to_end(key)
        while len(self._wrong) > _TRACKED:
            self._wrong.popitem(last=False)
        return attempts[-1]

    def undo(self, key: Hashable, mark: float) -> None:
        """That attempt was right."""
        attempts = self._wrong.get(key)
        if attempts and mark in attempts:
            attempts.remove(mark)

    def lock_if_full(self, key: Hashable) -> None:
        """Lock a key that has reached its limit."""
        if self.full(key):
            self._locked[key] = self._now() + LOCK_SECONDS
            self._wrong.pop(key, None)
            while len(self._locked) > _TRACKED:
                self._locked.popitem(last=False)

    def _recent(self, key: Hashable) -> deque[float]:
        attempts = self._wrong.get(key, deque())
        while attempts and attempts[0] <= self._now() - WINDOW_SECONDS:
            attempts.popleft()
        return attempts


class Gatekeeper:
    """Decides about log-ons to one venue.

    Parameters
    ----------
    now : monotonic seconds
    """

    def __init__(self, accounts: Accounts, now: Callable[[], float]) -> None:
        self.admitted = self.wrong = self.locked = self.busy = self.hashes = 0
        """Counters, for the metrics."""
        self._accounts = accounts
        self._pairs = _Attempts(WRONG_OF_PAIR, now)
        self._addresses = _Attempts(WRONG_OF_ADDRESS, now)
        self._threads = ThreadPoolExecutor(_HASHING, thread_name_prefix="argon2")
        self._waiting = 0
        self._key = secrets.token_bytes(32)
        self._remembered: dict[str, bytes] = {}
        """By name: keyed digest of password hash and password that were found to fit."""
        self._dummy = accounts.dummy_hash()

    async def admit(self, name: str, password: bytes, address: str) -> Holder | Refusal:
        """Decide about one attempt; never raises, never blocks the loop."""
        pair = name, address
        if self._pairs.locked(pair) or self._addresses.locked(address):
            self.locked += 1
            return Refusal.LOCKED_OUT
        holder = self._accounts.find(name)
        if holder is not None and self._fits_memory(holder, password):
            self.admitted += 1
            return holder
        if self._waiting >= _WAITING or self._pairs.full(pair) or self._addresses.full(address):
            self.busy += 1
            return Refusal.BUSY
        marks = self._pairs.add(pair), self._addresses.add(address)
        self._waiting += 1
        self.hashes += 1
        wanted = holder.password_hash if holder else self._dummy
        try:
            right = await asyncio.get_running_loop().run_in_executor(
                self._threads, self._accounts.verify, wanted, password
            )
        finally:
            self._waiting -= 1
        if right and holder is not None:
            self._pairs.undo(pair, marks[0])
            self._addresses.undo(address, marks[1])
            self._remembered[name] = self._digest(holder, password)
            self.admitted += 1
            return holder
        self.wrong += 1
        self._pairs.lock_if_full(pair)
        self._addresses.lock_if_full(address)
        return Refusal.BAD_CREDENTIALS

    def close(self) -> None:
        """Stop the threads."""
        self._threads.shutdown(cancel_futures=True)

    def _fits_memory(self, holder: Holder, password: bytes) -> bool:
        remembered = self._remembered.get(holder.name)
        return remembered is not None and hmac.compare_digest(remembered, self._digest(holder, password))

    def _digest(self, holder: Holder, password: bytes) -> bytes:
        """Tied to the stored hash: a changed password forgets the old one."""
        return hashlib.blake2b(holder.password_hash.encode() + b"\0" + password, key=self._key).digest()
