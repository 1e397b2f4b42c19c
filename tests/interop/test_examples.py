"""The programs of `gateway/examples`, each as a process against a real venue, judged by what the venue has seen."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from engine.codes import EventKind, Phase, RejectReason, Side
from gateway.serve import Running
from tests.gateway.running import password_of, running, trader

pytestmark = pytest.mark.e2e

ROOT = Path(__file__).parents[2]
ANNA = 2
"""Number of her account."""
PATIENCE = 20
"""Seconds for anything to happen; only a failure takes so long."""
STRANGER = """
import runpy, sys
sys.argv = sys.argv[1:]
runpy.run_path(sys.argv[0], run_name="__main__")
assert not {"engine", "gateway", "sim"} & set(sys.modules)
"""


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


async def until(holds: Callable[[], bool]) -> None:
    async with asyncio.timeout(PATIENCE):
        while not holds():  # noqa: ASYNC110 (the state is the venue's, which announces nothing)
            await asyncio.sleep(0.01)


@asynccontextmanager
async def started(venue: Running, program: list[str | Path], name: str, *options: str) -> AsyncIterator[Any]:
    """An example that runs as that person; killed if it does not end by itself."""
    address = ["--port", str(venue.ports["mqtt"]), "--name", name, "--password", password_of(name)]
    pipe, environment = asyncio.subprocess.PIPE, os.environ | {"PYTHONPATH": str(ROOT)}
    process = await asyncio.create_subprocess_exec(
        sys.executable, *program, *address, *options, stdin=pipe, stdout=pipe, stderr=pipe, cwd=ROOT, env=environment
    )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.kill()
        await process.communicate()


async def ended(process: Any) -> str:
    """What it has printed, when it has ended well."""
    said, complaint = await asyncio.wait_for(process.communicate(), PATIENCE)
    assert process.returncode == 0, complaint.decode()
    return said.decode()


def module(name: str) -> list[str | Path]:
    return ["-m", f"gateway.examples.{name}"]


def waiting(venue: Running) -> set[tuple[int, int, int]]:
    """Anna's orders at the venue: (side, price, quantity left)."""
    return {(row[3], row[6], row[7]) for row in venue.desk.replica.exchange.living(ANNA).tolist()}


def told(venue: Running) -> list[EventKind]:
    """What Anna has been told in reports."""
    return [EventKind(kind) for kind in venue.desk.replica.principal(ANNA).reports_since(1)["exec_type"]]


def test_the_bot_quotes_around_the_last_price_and_again_when_somebody_takes(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue, trader(venue, "ben") as ben:
            last = 10_000  # the reference price: nothing has traded
            async with started(venue, module("bot"), "anna", "--fills", "3", "--qty", "10", "--spread", "20") as bot:
                await until(lambda: len(waiting(venue)) == 2)
                assert waiting(venue) == {(Side.BUY, last - 20, 10), (Side.SELL, last + 20, 10)}
                assert (await ben.buy("ANY", 10, last + 20)).reason == 0
                await until(lambda: waiting(venue) == {(Side.BUY, last, 10), (Side.SELL, last + 40, 10)})
                assert (await ben.sell("ANY", 4, last)).reason == 0
                await until(lambda: waiting(venue) == {(Side.BUY, last - 20, 10), (Side.SELL, last + 20, 10)})
                assert (await ben.sell("ANY", 10, last - 20)).reason == 0
                said = await ended(bot)
            assert waiting(venue) == set()
            assert said.count("traded") == 3
            assert told(venue).count(EventKind.TRADE) == 3

    run(test())


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGKILL], ids=["Ctrl-C", "killed"])
def test_the_bots_quotes_go_when_it_goes(tmp_path: Path, how: signal.Signals) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue, started(venue, module("bot"), "anna") as bot:
            await until(lambda: len(waiting(venue)) == 2)
            bot.send_signal(how)
            _, complaint = await asyncio.wait_for(bot.communicate(), PATIENCE)
            assert complaint == b""
            await until(lambda: waiting(venue) == set())
            assert venue.desk.counters.disconnect_cancels == (how == signal.SIGKILL)

    run(test())


def test_the_notebook_orders_changes_its_mind_and_cancels(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            async with started(venue, module("notebook"), "anna") as notebook:
                said = await ended(notebook)
            assert told(venue)[-3:] == [EventKind.ACCEPTED, EventKind.REPLACED, EventKind.CANCELED]
            assert "5 t at 49.00" in said
            assert said.endswith("0 orders wait\n")

    run(test())


def test_a_stranger_needs_nothing_of_ours(tmp_path: Path) -> None:
    program: list[str | Path] = ["-c", STRANGER, ROOT / "gateway" / "examples" / "minimal.py"]
    order = ["--side", "buy", "--qty", "10", "--price", "48.50"]

    async def test() -> None:
        async with running(tmp_path) as venue, trader(venue, "ben") as ben:
            async with started(venue, program, "anna", *order) as stranger:
                assert "accepted" in await ended(stranger)
            assert waiting(venue) == {(Side.BUY, 4850, 10)}
            async with started(venue, program, "anna", *order, "--wait") as stranger:
                await until(lambda: len(venue.desk.replica.exchange.living(ANNA)) == 2)
                assert (await ben.sell("ANY", 15, 4850)).reason == 0
                assert (await ben.sell("ANY", 5, 4850)).reason == 0
                said = await ended(stranger)
            assert said.count("traded 5 t at 48.5") == 2
            assert waiting(venue) == set()

    run(test())


def test_a_stranger_with_a_wrong_password_learns_it(tmp_path: Path) -> None:
    program: list[str | Path] = [ROOT / "gateway" / "examples" / "minimal.py"]

    async def test() -> None:
        async with running(tmp_path) as venue:
            order = ["--side", "buy", "--qty", "10", "--price", "48.50", "--password", "wrong"]
            async with started(venue, program, "anna", *order) as stranger:
                _, complaint = await asyncio.wait_for(stranger.communicate(), PATIENCE)
            assert stranger.returncode == 1
            assert complaint.decode().startswith("the door refuses: ['3', 134, 'Bad user name or password']")

    run(test())


def test_the_instructor_funds_an_account_halts_trading_and_resumes_it(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue, trader(venue, "ben") as ben:
            exchange = venue.desk.replica.exchange
            before = exchange.today()[0]
            options = ["--account", str(ANNA), "--cash", "1234.56", "--units", "70"]
            async with started(venue, module("instructor"), "teacher", *options) as instructor:
                await until(lambda: exchange.today()[0] == Phase.HALTED)
                cash, _, _, units = exchange.holdings(ANNA) or (0, 0, False, [])
                assert (cash, units[0][0]) == (123_456, 70)
                refused = await ben.buy("ANY", 1, 1000)
                assert (refused.exec_type, refused.reason) == (EventKind.REJECTED, RejectReason.HALTED)
                instructor.stdin.write(b"\n")
                said = await ended(instructor)
            assert exchange.today()[0] == before
            assert (await ben.buy("ANY", 1, 1000)).reason == 0
            assert said.endswith("trading goes on\n")

    run(test())


def test_reports_come_from_the_call_on_not_from_the_first_look(tmp_path: Path) -> None:
    """What the bot relies on: a fill that comes before it listens is not lost."""

    async def test() -> None:
        async with running(tmp_path) as venue, trader(venue, "anna") as anna, trader(venue, "ben") as ben:
            reports = anna.reports()
            await anna.sell("ANY", 1, 1000)
            await ben.buy("ANY", 1, 1000)
            kinds = [(await asyncio.wait_for(anext(reports), PATIENCE)).exec_type for _ in range(2)]
            assert kinds == [EventKind.ACCEPTED, EventKind.TRADE]

    run(test())
