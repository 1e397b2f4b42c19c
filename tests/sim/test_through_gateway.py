"""A season that trades through the gateway is the season in process, event by event, and its journal proves it."""

import json
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numba
import numpy as np
import pytest

import emex
from engine.codes import CommandKind, EventKind, Phase
from engine.core.state import Account
from engine.errors import EmexError
from engine.exchange import Exchange
from engine.records import EVENT, command
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import find_rulebook
from gateway.background import BackgroundLoop
from gateway.errors import GatewayError
from gateway.verify import verify
from gateway.wire.topics import Role
from sim import through
from sim.parameters import load_parameters
from sim.remote import RemoteVenue
from sim.season import SeasonPlan, load_season
from sim.world import World
from tests.gateway.running import password_of, running

ROOT = Path(__file__).parents[2]
PEOPLE = {"teacher": Role.INSTRUCTOR, "assistant": Role.INSTRUCTOR, "risk": Role.DROP_COPY}
compiled = pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="a venue that serves is for the compiled lane")
pytestmark = [compiled, pytest.mark.slow]
"""Also where no season is run: a server starts."""


def _small(days: str = "2021-09-15") -> SeasonPlan:
    return replace(load_season("cea-2021"), firms=250, last_day=np.datetime64(days))


@pytest.mark.e2e
@pytest.mark.parametrize("seed", [3, 4])
def test_a_season_through_the_gateway_is_the_season_in_process(seed: int, tmp_path: Path) -> None:
    plan, p = _small(), load_parameters(procrastination_days=120)
    here = World(plan, p, seed).run()
    there, _, journal = through.through_gateway(plan, p, seed, tmp_path)
    assert there.digest == here.digest
    assert here.events is not None
    assert there.events is not None
    assert there.events.tobytes() == here.events.tobytes()
    assert there.firms.tobytes() == here.firms.tobytes()
    assert there.accounts == here.accounts
    assert there.conserved
    trades = int((there.events["kind"] == EventKind.TRADE).sum())
    print(f"seed {seed}: {journal['records']} commands, {journal['payloads']} payloads, {journal['commits']} commits, "
          f"{journal['questions']} questions, {trades} trades")  # fmt: skip
    assert trades > 20
    assert journal["held"]
    assert journal["records"] == there.events["command_seq"][-1] > journal["payloads"] > 0
    assert set(journal["invariants"].values()) == {True}
    kept = verify(tmp_path / "journal")
    assert (kept["digest"], kept["records"]) == (there.digest, journal["records"])


@pytest.mark.e2e
def test_a_journal_that_replays_to_other_events_does_not_hold(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(through, "verify", lambda path: verify(path) | {"digest": "00" * 16})
    _, _, journal = through.through_gateway(_small("2021-07-19"), load_parameters(), 1, None)
    assert set(journal["invariants"].values()) == {True}
    assert journal["held"] is False


@pytest.mark.e2e
def test_the_command_trades_a_whole_season_through_the_gateway(tmp_path: Path) -> None:
    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run([sys.executable, "-m", "emex", *arguments], capture_output=True, text=True, cwd=ROOT,
                              check=False)  # fmt: skip

    done = run("replay", "cea-2021", "--seed", "2", "--via", "gateway", "--json", "--out", str(tmp_path))
    assert done.returncode == 0, done.stderr
    summary = json.loads((tmp_path / "run.json").read_text())
    here = emex.replay("cea-2021", seed=2)
    assert (summary["via"], here["via"], here["journal"]) == ("gateway", "process", None)
    assert summary["digest"] == summary["journal"]["digest"] == here["digest"]
    same = ("orders", "trades", "volume_t", "price", "compliance", "checks", "conservation")
    assert [summary[key] for key in same] == [here[key] for key in same]
    files = {"report.html", "events.parquet", "prices.parquet", "run.json", "journal", "journal.witness"}
    assert {path.name for path in tmp_path.iterdir()} == files
    verified = run("verify", str(tmp_path / "journal"), "--json")
    assert verified.returncode == 0, verified.stderr
    assert json.loads(verified.stdout)["digest"] == here["digest"]


@pytest.mark.parametrize(
    ("options", "words"),
    [({"via": "mail"}, "got 'mail', expected one of process, gateway"),
     ({"via": "gateway", "engine": "reference"}, "got 'reference' via a gateway, expected 'fast'")],
)  # fmt: skip
def test_ways_that_there_are_not_are_refused_in_one_line(options: dict[str, str], words: str) -> None:
    with pytest.raises(EmexError, match=words) as refusal:
        emex.replay("cea-2021", **options)
    assert len(str(refusal.value).splitlines()) == 1


# ------------------------------------------------------------------------------------ the venue's client by itself


class _Server:
    """A venue in a thread of this process, so that a test can look at its engine."""

    def __init__(self, folder: Path) -> None:
        self._loop = BackgroundLoop("server")
        self._context = running(folder, "cn-cea", PEOPLE, hours="operator", time_from_operator=True)
        self.venue = self._loop.run(self._context.__aenter__())

    @property
    def engine(self) -> Exchange:
        return self.venue.venue.replica.exchange

    def client(self, name: str = "teacher") -> RemoteVenue:
        return RemoteVenue(self.venue.ports["mqtt"], name, password_of(name))

    def cut(self) -> None:
        """Break every connection."""

        async def cut() -> None:
            self.venue.server.close_all()

        self._loop.run(cut())

    def end(self) -> None:
        self._loop.run(self._context.__aexit__(None, None, None))
        self._loop.close()


@pytest.fixture
def server(tmp_path: Path) -> Iterator[_Server]:
    made = _Server(tmp_path)
    yield made
    made.end()


def _rows(kind: CommandKind, numbers: range, **fields: Any) -> np.ndarray:
    return np.concatenate([command(kind, account=number, **fields) for number in numbers])


def test_events_and_balances_are_the_engines_and_a_question_is_asked_once_between_commands(server: _Server) -> None:
    alone = Exchange(compile_rulebook(find_rulebook("cn-cea")))
    numbers = range(2, 1502)
    with server.client() as venue:
        for rows in (
            _rows(CommandKind.OPEN_ACCOUNT, numbers),
            _rows(CommandKind.DEPOSIT, numbers, amount_fen=10**9),
            _rows(CommandKind.ISSUE, numbers, instrument=1, qty=70),
            _rows(CommandKind.WITHDRAW, range(2, 3), amount_fen=1),
            command(CommandKind.DAY_ROLL, date=20210716, time_ns=5),
            command(CommandKind.PHASE, phase=Phase.MORNING, time_ns=6),
            _rows(CommandKind.NEW, numbers, instrument=0, side=1, ord_type=2, qty=3, price_fen=4700, time_ns=7),
        ):
            assert venue.submit(rows.copy()).tobytes() == alone.submit(rows).tobytes()
            for mine, theirs in zip(venue.balances(), alone.balances(), strict=True):
                shown = mine.copy()
                if shown.ndim == 2:
                    others = [c for c in range(shown.shape[1])
                              if c not in (Account.OPEN, Account.CASH, Account.CASH_HELD)]  # fmt: skip
                    shown[:, others] = theirs[: len(shown), others]
                assert np.array_equal(shown, theirs[: len(shown)])
                assert not theirs[len(shown) :, ..., 0].any(), "accounts beyond are not open"
            assert venue.balances()[0] is venue.balances()[0]
        assert len(venue.submit(np.zeros(0, rows.dtype))) == 0
        assert (venue.questions, venue.payloads) == (7, 4 * 15 + 3)
        assert venue.brought_in() == server.engine.brought_in() == alone.brought_in()
        assert venue.brought_in() == (1500 * 10**9 - 1, [0, 1500 * 70])
        venue.check()
    assert server.engine.command_seq == alone.command_seq == venue.commands


def test_somebody_else_who_commands_the_venue_is_noticed(server: _Server) -> None:
    with server.client() as venue:
        venue.submit(_rows(CommandKind.OPEN_ACCOUNT, range(2, 4)))
        with server.client("assistant") as other, pytest.raises(GatewayError, match="is somebody else commanding"):
            other.submit(_rows(CommandKind.OPEN_ACCOUNT, range(4, 5)))
        with pytest.raises(GatewayError, match="is somebody else commanding"):
            venue.submit(_rows(CommandKind.OPEN_ACCOUNT, range(5, 6)))


def test_a_venue_that_was_commanded_before_and_one_that_cannot_be_read_are_refused(server: _Server) -> None:
    with server.client() as venue:
        venue.submit(_rows(CommandKind.OPEN_ACCOUNT, range(2, 4)))
    with pytest.raises(GatewayError, match="has commanded this venue before"), server.client():
        pass
    with pytest.raises(GatewayError, match="risk: may not read the tape"), server.client("risk"):
        pass


def test_a_venue_that_takes_nothing_more_says_so(server: _Server) -> None:
    with server.client() as venue:
        server.venue.desk.stopping = True
        with pytest.raises(GatewayError, match="the venue refused a command: the venue is shutting down"):
            venue.submit(_rows(CommandKind.OPEN_ACCOUNT, range(2, 4)))
    assert server.engine.command_seq == 0


def test_a_connection_that_breaks_ends_the_season_with_one_line(server: _Server) -> None:
    with server.client() as venue:
        venue.submit(_rows(CommandKind.OPEN_ACCOUNT, range(2, 4)))
        server.cut()
        with pytest.raises(GatewayError) as lost:
            venue.submit(_rows(CommandKind.OPEN_ACCOUNT, range(4, 2000)))
        assert len(str(lost.value).splitlines()) == 1


def test_the_operators_number_is_nobodys_account(server: _Server) -> None:
    holder = server.venue.accounts.find("teacher")
    assert holder is not None
    with server.client() as venue:
        opened = venue.submit(_rows(CommandKind.OPEN_ACCOUNT, range(2, 10)))
        (refused,) = venue.submit(_rows(CommandKind.OPEN_ACCOUNT, range(holder.number, holder.number + 1)))
    assert (opened["kind"] == EventKind.ACCOUNT_OPENED).all()
    assert refused["kind"] == EventKind.REJECTED
    assert opened.dtype == EVENT
