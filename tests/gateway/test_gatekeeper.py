"""Who is let in, how guessing is stopped, and that hashing stands in nobody's way. The clock is the test's."""

import asyncio
import threading
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from gateway.accounts import Accounts, Holder
from gateway.client import Trader
from gateway.errors import ConnectionLostError
from gateway.gatekeeper import LOCK_SECONDS, WINDOW_SECONDS, WRONG_OF_ADDRESS, WRONG_OF_PAIR, Gatekeeper, Refusal
from gateway.hashing import fits
from gateway.wire.topics import Role
from tests.gateway.running import CHEAP, password_of, running

BAD, LOCKED, BUSY = Refusal.BAD_CREDENTIALS, Refusal.LOCKED_OUT, Refusal.BUSY
NAMES = [f"n{at}" for at in range(40)]
HERE, THERE = "10.0.0.1", "10.0.0.2"


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


class Verifying:
    """Stands in for the slow check: counts, and holds it back until it is let go."""

    def __init__(self) -> None:
        self.calls: list[str] = []
        """The hashes that passwords were held against."""
        self.at_once = self.most_at_once = 0
        self.go = threading.Event()
        self.go.set()
        self._lock = threading.Lock()

    def __call__(self, password_hash: str, password: bytes) -> bool:
        with self._lock:
            self.calls.append(password_hash)
            self.at_once += 1
            self.most_at_once = max(self.most_at_once, self.at_once)
        assert self.go.wait(20), "nobody let it go: is the loop blocked?"
        try:
            return fits(password_hash, password)
        finally:
            with self._lock:
                self.at_once -= 1


@asynccontextmanager
async def gate(folder: Path) -> AsyncIterator[tuple[Gatekeeper, Clock, Accounts, Verifying]]:
    accounts = Accounts.load(folder / "accounts.json", CHEAP)
    for name in NAMES:
        accounts.add(name, Role.TRADER, password_of(name))
    verifying, clock = Verifying(), Clock()
    keeper = Gatekeeper(accounts, verifying, clock)
    try:
        yield keeper, clock, accounts, verifying
    finally:
        verifying.go.set()
        keeper.close()


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


async def right(keeper: Gatekeeper, name: str, address: str = HERE) -> Holder | Refusal:
    return await keeper.admit(name, password_of(name).encode(), address)


async def wrong(keeper: Gatekeeper, name: str, address: str = HERE, password: bytes = b"guess") -> Holder | Refusal:
    return await keeper.admit(name, password, address)


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not holds():  # noqa: ASYNC110 (threads announce nothing)
            await asyncio.sleep(0.001)


def test_the_right_password_lets_in_and_a_wrong_one_does_not(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, accounts, _):
            assert await right(keeper, "n0") == accounts.find("n0")
            assert await wrong(keeper, "n0") is BAD
            assert await keeper.admit("n1", password_of("n0").encode(), HERE) is BAD
            assert (keeper.admitted, keeper.wrong, keeper.locked, keeper.busy, keeper.hashes) == (1, 2, 0, 0, 3)

    run(test())


def test_five_wrong_passwords_within_a_minute_lock_that_name_at_that_address_for_five_minutes(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, clock, accounts, verifying):
            for at in range(WRONG_OF_PAIR):
                assert await wrong(keeper, "n0") is BAD, at
                clock.now += 14.9
            locked_at = clock.now - 14.9
            assert await right(keeper, "n0", THERE) == accounts.find("n0"), "expected no lock at another address"
            assert await right(keeper, "n1") == accounts.find("n1"), "expected no lock of another name"
            hashed = len(verifying.calls)
            clock.now = locked_at + LOCK_SECONDS - 0.1
            assert await right(keeper, "n0") is LOCKED
            assert await wrong(keeper, "n0") is LOCKED
            assert len(verifying.calls) == hashed == WRONG_OF_PAIR + 2, "expected no hashing for the locked"
            clock.now = locked_at + LOCK_SECONDS
            assert await right(keeper, "n0") == accounts.find("n0")
            assert keeper.locked == 2

    run(test())


def test_wrong_passwords_a_minute_apart_lock_nobody(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, clock, accounts, _):
            for _ in range(4 * WRONG_OF_PAIR):
                assert await wrong(keeper, "n0") is BAD
                clock.now += WINDOW_SECONDS / (WRONG_OF_PAIR - 1)
            assert await right(keeper, "n0") == accounts.find("n0")

    run(test())


def test_twenty_wrong_passwords_from_an_address_over_all_names_lock_the_address(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, clock, accounts, verifying):
            for at in range(WRONG_OF_ADDRESS):
                assert await wrong(keeper, NAMES[at] if at % 2 else f"unknown{at}") is BAD
            hashed = len(verifying.calls)
            assert hashed == WRONG_OF_ADDRESS
            for name in ("n30", "n0", "nobody"):
                assert await right(keeper, name) is LOCKED
            assert len(verifying.calls) == hashed
            assert await right(keeper, "n30", THERE) == accounts.find("n30")
            clock.now += LOCK_SECONDS
            assert await right(keeper, "n30") == accounts.find("n30")

    run(test())


def test_a_lock_ends_a_session_of_guessing_not_a_right_password_that_was_remembered_elsewhere(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, accounts, verifying):
            assert await right(keeper, "n0", THERE) == accounts.find("n0")
            for _ in range(WRONG_OF_PAIR):
                await wrong(keeper, "n0")
            assert await right(keeper, "n0") is LOCKED, "expected that memory opens no lock"
            hashed = len(verifying.calls)
            assert await right(keeper, "n0", THERE) == accounts.find("n0")
            assert len(verifying.calls) == hashed

    run(test())


def test_a_thousand_guesses_at_once_cost_five_hashes(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, _, verifying):
            found = await asyncio.gather(*(wrong(keeper, "n0", HERE, b"%d" % at) for at in range(1000)))
            assert len(verifying.calls) == keeper.hashes == WRONG_OF_PAIR
            counts = {refusal: found.count(refusal) for refusal in (BAD, LOCKED, BUSY)}
            assert counts[BAD] == WRONG_OF_PAIR
            assert sum(counts.values()) == 1000
            assert (keeper.wrong, keeper.locked, keeper.busy) == tuple(counts.values())
            assert await right(keeper, "n0") is LOCKED

    run(test())


def test_a_thousand_guesses_at_once_over_many_names_cost_twenty_hashes(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, _, verifying):
            await asyncio.gather(*(wrong(keeper, f"x{at}") for at in range(1000)))
            assert len(verifying.calls) == WRONG_OF_ADDRESS
            assert await right(keeper, "n0") is LOCKED

    run(test())


def test_what_counts_no_more_takes_no_memory(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, clock, _, _):
            for at in range(3 * WRONG_OF_ADDRESS):
                await wrong(keeper, f"x{at}", f"10.0.1.{at % 3}")
            assert len(keeper._addresses._locked) == 3
            assert len(keeper._pairs._wrong) == 3 * WRONG_OF_ADDRESS
            clock.now += WINDOW_SECONDS
            await wrong(keeper, "n0")
            assert list(keeper._pairs._wrong) == [("n0", HERE)]
            assert len(keeper._addresses._locked) == 3
            clock.now += LOCK_SECONDS
            await wrong(keeper, "n0")
            assert not keeper._addresses._locked

    run(test())


def test_an_attempt_that_was_abandoned_counts_as_wrong(tmp_path: Path) -> None:
    """Else whoever closes the connection before the answer could make us hash for ever."""

    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, _, verifying):
            for _ in range(3 * WRONG_OF_PAIR):
                verifying.go.clear()
                hashed = len(verifying.calls)
                attempt = asyncio.create_task(wrong(keeper, "n0"))
                await asyncio.sleep(0)
                if not attempt.done():
                    await until(lambda hashed=hashed: len(verifying.calls) > hashed)  # type: ignore[misc]
                    attempt.cancel()
                    with pytest.raises(asyncio.CancelledError):
                        await attempt
                verifying.go.set()
                await until(lambda: verifying.at_once == 0)
            assert len(verifying.calls) == WRONG_OF_PAIR
            assert await right(keeper, "n0") is LOCKED

    run(test())


def test_an_unknown_name_costs_a_hash_and_looks_like_a_known_one(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, accounts, verifying):
            known = [await wrong(keeper, "n0") for _ in range(WRONG_OF_PAIR + 2)]
            hashed = len(verifying.calls)
            unknown = [await wrong(keeper, "nobody") for _ in range(WRONG_OF_PAIR + 2)]
            assert known == unknown == [BAD] * WRONG_OF_PAIR + [LOCKED] * 2
            assert len(verifying.calls) == 2 * hashed == 2 * WRONG_OF_PAIR
            # As costly as the real ones: the same parameters.
            costs = {one.rpartition("$")[0].rpartition("$")[0] for one in verifying.calls}
            holder = accounts.find("n0")
            assert holder is not None
            assert costs == {holder.password_hash.rpartition("$")[0].rpartition("$")[0]}

    run(test())


@pytest.mark.parametrize("name", ["", "N0", "n0\0", "n0 ", "#", "x" * 65_535, "安娜"], ids=lambda name: ascii(name[:9]))
def test_names_that_nobody_can_have_are_unknown_names(tmp_path: Path, name: str) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, _, verifying):
            assert await right(keeper, name) is BAD
            assert await keeper.admit(name, b"", HERE) is BAD
            assert len(verifying.calls) == 2

    run(test())


def test_a_right_password_is_remembered_and_hashed_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, accounts, verifying):
            for _ in range(100):
                assert await right(keeper, "n0") == accounts.find("n0")
            assert len(verifying.calls) == 1
            assert keeper.admitted == 100
            assert await wrong(keeper, "n0") is BAD, "expected that only the right one is remembered"
            assert all(password_of("n0").encode() not in value for value in keeper._remembered.values())

    run(test())


def test_a_changed_password_is_forgotten_and_so_is_a_removed_holder(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, accounts, verifying):
            await right(keeper, "n0")
            await right(keeper, "n1")
            accounts.set_password("n0", "another")
            accounts.remove("n1")
            hashed = len(verifying.calls)
            assert await right(keeper, "n0") is BAD
            assert await keeper.admit("n0", b"another", HERE) == accounts.find("n0")
            assert await right(keeper, "n1") is BAD
            assert len(verifying.calls) == hashed + 3
            accounts.add("n1", Role.OBSERVER, "third")
            assert await right(keeper, "n1") is BAD, "expected that a name given again has nothing of the old one"

    run(test())


def test_the_loop_runs_while_passwords_are_hashed_and_no_more_than_two_at_a_time(tmp_path: Path) -> None:
    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, _, verifying):
            verifying.go.clear()
            attempts = [asyncio.create_task(right(keeper, name)) for name in NAMES[:10]]
            await until(lambda: verifying.at_once > 0)
            # A loop that waited for them would never tick.
            for _ in range(1000):
                await asyncio.sleep(0)
            assert verifying.at_once <= 2
            assert not any(attempt.done() for attempt in attempts)
            verifying.go.set()
            found = await asyncio.gather(*attempts)
            assert all(isinstance(one, Holder) for one in found)
            assert len(verifying.calls) == 10
            assert verifying.most_at_once <= 2

    run(test())


def test_one_mistake_while_others_of_the_address_are_being_checked_locks_nobody(tmp_path: Path) -> None:
    """A class that logs on in the same second from behind one address; somebody mistypes."""

    async def test() -> None:
        async with gate(tmp_path) as (keeper, _, _, verifying):
            found = await asyncio.gather(wrong(keeper, "n39"), *(right(keeper, name) for name in NAMES[:39]))
            assert found[0] is BAD
            assert all(isinstance(one, Holder) for one in found[1:])
            assert len(verifying.calls) == 40
            found = await asyncio.gather(wrong(keeper, "n39"), *(right(keeper, "n39") for _ in range(10)))
            assert found[0] is BAD
            assert all(isinstance(one, Holder) for one in found[1:])

    run(test())


def test_a_whole_class_finds_its_way_back_after_a_restart(tmp_path: Path) -> None:
    """Nobody is remembered then: sixty passwords have to be hashed, from one address, and nobody gives up."""
    people = {f"s{at}": Role.TRADER for at in range(60)}

    async def test() -> None:
        async with AsyncExitStack() as stack:
            async with running(tmp_path, people=people) as venue:
                port = venue.ports["mqtt"]
                traders = [Trader("127.0.0.1", port, name, password_of(name)) for name in people]
                for one in traders:
                    await stack.enter_async_context(one)
            async with running(tmp_path, people=people, port=port) as venue:
                outcomes = await asyncio.gather(*(one.buy("ANY", 1, 1000) for one in traders))
                assert [one.reason for one in outcomes] == [0] * 60
                assert venue.gatekeeper.hashes == 60
                assert venue.gatekeeper.admitted == 60

    run(test())


def test_a_client_that_is_told_to_come_back_later_does(tmp_path: Path) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            async with running(tmp_path) as venue:
                port = venue.ports["mqtt"]
                anna = await stack.enter_async_context(Trader("127.0.0.1", port, "anna", password_of("anna")))
            async with running(tmp_path, port=port) as venue:
                venue.gatekeeper._waiting = 64
                with pytest.raises(ConnectionLostError, match="SERVER_BUSY"):
                    async with Trader("127.0.0.1", port, "ben", password_of("ben")):
                        pass
                await until(lambda: venue.gatekeeper.busy >= 3)
                venue.gatekeeper._waiting = 0
                assert (await anna.buy("ANY", 1, 1000)).reason == 0

    run(test())
