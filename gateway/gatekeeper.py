"""Who is let in. Passwords are hashed elsewhere, one after the other, and never for somebody who is locked out.

Five wrong passwords for a name from an address within a minute lock that pair for five minutes, twenty from an address
over all names lock the address. While as many are being checked as could lock, others wait for the outcome: a thousand
guesses at once cost five hashes, and a class behind one address is let in one after the other. A right password is
remembered, as a keyed digest, for as long as the process lives: who reconnects does not wait for a slow hash.
"""

import asyncio
import hashlib
import hmac
import secrets
from collections import Counter, OrderedDict
from collections.abc import Callable, Hashable
from concurrent.futures import ThreadPoolExecutor
from enum import Enum, auto

from gateway.accounts import Accounts, Holder

WINDOW_SECONDS = 60.0
LOCK_SECONDS = 300.0
WRONG_OF_PAIR = 5
WRONG_OF_ADDRESS = 20
_WAITING = 64
"""Attempts that may wait; more are refused as busy."""
_TRACKED = 10_000
"""Pairs and addresses that are remembered; the oldest are forgotten."""


class Refusal(Enum):
    """Why somebody is not let in."""

    BAD_CREDENTIALS = auto()
    LOCKED_OUT = auto()
    BUSY = auto()


class _Attempts:
    """Wrong attempts by key within the window, those being checked, and who is locked."""

    def __init__(self, limit: int, now: Callable[[], float]) -> None:
        self._limit = limit
        self._now = now
        self._wrong: OrderedDict[Hashable, list[float]] = OrderedDict()
        self._checking: Counter[Hashable] = Counter()
        self._locked: OrderedDict[Hashable, float] = OrderedDict()

    def locked(self, key: Hashable) -> bool:
        """Whether that key is locked now."""
        until = self._locked.get(key)
        if until is not None and self._now() >= until:
            del self._locked[key]
            until = None
        return until is not None

    def full(self, key: Hashable) -> bool:
        """Whether another attempt could be one wrong too many."""
        return len(self._recent(key)) + self._checking[key] >= self._limit

    def begin(self, key: Hashable) -> None:
        """An attempt is being checked."""
        self._checking[key] += 1

    def end(self, key: Hashable, *, right: bool) -> None:
        """It is decided; one wrong too many locks the key."""
        self._checking[key] -= 1
        if not self._checking[key]:
            del self._checking[key]
        if right:
            return
        attempts = self._recent(key)
        attempts.append(self._now())
        self._wrong[key] = attempts
        self._wrong.move_to_end(key)
        if len(attempts) >= self._limit:
            self._locked[key] = self._now() + LOCK_SECONDS
            del self._wrong[key]
        self._forget()

    def _forget(self) -> None:
        """Drop what counts no more, and the oldest of what is too much."""
        now = self._now()
        while self._wrong:
            oldest = next(iter(self._wrong))
            if self._wrong[oldest][-1] > now - WINDOW_SECONDS and len(self._wrong) <= _TRACKED:
                break
            del self._wrong[oldest]
        while self._locked:
            oldest = next(iter(self._locked))
            if self._locked[oldest] > now and len(self._locked) <= _TRACKED:
                break
            del self._locked[oldest]

    def _recent(self, key: Hashable) -> list[float]:
        since = self._now() - WINDOW_SECONDS
        return [at for at in self._wrong.get(key, ()) if at > since]


class Gatekeeper:
    """Decides about log-ons to one venue.

    Parameters
    ----------
    fits : (hash, password) -> whether it fits; called in a thread that may wait, one call at a time
    now : monotonic seconds
    """

    def __init__(self, accounts: Accounts, fits: Callable[[str, bytes], bool], now: Callable[[], float]) -> None:
        self.admitted = self.wrong = self.locked = self.busy = self.hashes = 0
        """Counters, for the metrics."""
        self._accounts = accounts
        self._fits = fits
        self._pairs = _Attempts(WRONG_OF_PAIR, now)
        self._addresses = _Attempts(WRONG_OF_ADDRESS, now)
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="passwords")
        self._waiting = 0
        self._decided = asyncio.Event()
        """Set when the next attempt is decided."""
        self._key = secrets.token_bytes(32)
        self._remembered: dict[str, bytes] = {}
        """By name: keyed digest of password hash and password that were found to fit."""
        self._dummy = accounts.dummy_hash()

    async def admit(self, name: str, password: bytes, address: str) -> Holder | Refusal:
        """Decide about one attempt; never raises, never blocks the loop."""
        found = self._at_once(name, password, address)
        if found is not None:
            return found
        if self._waiting >= _WAITING:
            self.busy += 1
            return Refusal.BUSY
        self._waiting += 1
        try:
            while self._pairs.full((name, address)) or self._addresses.full(address):
                await self._decided.wait()
                found = self._at_once(name, password, address)
                if found is not None:
                    return found
            return await self._check(name, password, address)
        finally:
            self._waiting -= 1

    def _at_once(self, name: str, password: bytes, address: str) -> Holder | Refusal | None:
        """What is known without a hash."""
        if self._pairs.locked((name, address)) or self._addresses.locked(address):
            self.locked += 1
            return Refusal.LOCKED_OUT
        holder = self._accounts.find(name)
        if holder is not None and self._fits_memory(holder, password):
            self.admitted += 1
            return holder
        return None

    async def _check(self, name: str, password: bytes, address: str) -> Holder | Refusal:
        """Hash; an attempt that is abandoned meanwhile was wrong."""
        holder = self._accounts.find(name)
        pair, right = (name, address), False
        self._pairs.begin(pair)
        self._addresses.begin(address)
        self.hashes += 1
        wanted = holder.password_hash if holder else self._dummy
        try:
            right = await asyncio.get_running_loop().run_in_executor(self._thread, self._fits, wanted, password)
        finally:
            self._pairs.end(pair, right=right)
            self._addresses.end(address, right=right)
            decided, self._decided = self._decided, asyncio.Event()
            decided.set()
        if not right or holder is None:
            self.wrong += 1
            return Refusal.BAD_CREDENTIALS
        self._remembered[name] = self._digest(holder, password)
        self.admitted += 1
        return holder

    def close(self) -> None:
        """Stop the thread."""
        self._thread.shutdown(cancel_futures=True)

    def _fits_memory(self, holder: Holder, password: bytes) -> bool:
        remembered = self._remembered.get(holder.name)
        return remembered is not None and hmac.compare_digest(remembered, self._digest(holder, password))

    def _digest(self, holder: Holder, password: bytes) -> bytes:
        """Tied to the stored hash: a changed password forgets the old one."""
        return hashlib.blake2b(holder.password_hash.encode() + b"\0" + password, key=self._key).digest()
