"""Other order books beside emex: equal trades are timed, and whatever else a peer does is told without a time."""

import sys
from pathlib import Path

import pytest

from bench import peer_drivers, peers
from bench.flows import Flow, Shape, make
from bench.peers import Peer, Prefix, beside, measure, ours
from engine.errors import EmexError

pytestmark = pytest.mark.slow  # only without the compiler, where a thousand accounts are opened in plain Python

TINY = '''
import time


class Tiny:
    """A price-time book; its trades as (maker, price, qty)."""

    def __init__(self):
        self.rest, self.trades = [], []

    def meet(self, order_id, side, price, qty):
        sign = 1 - 2 * side
        for order in sorted(self.rest, key=lambda order: sign * order[2]):
            if qty and order[1] != side and sign * (price - order[2]) >= 0:
                fill = min(qty, order[3])
                self.trades.append((order[0], self.price_of(order[2], price), fill))
                qty, order[3] = qty - fill, order[3] - fill
        self.rest = [order for order in self.rest if order[3]]
        return qty

    def price_of(self, maker_price, taker_price):
        return maker_price

    def limit(self, order_id, side, price, qty):
        left = self.meet(order_id, side, price, qty)
        if left:
            self.rest.append([order_id, side, price, left])

    def ioc(self, order_id, side, price, qty):
        self.meet(order_id, side, price, qty)

    def cancel(self, order_id):
        self.rest = [order for order in self.rest if order[0] != order_id]

    def sums(self):
        return {"count": len(self.trades), "qty": sum(qty for _, _, qty in self.trades),
                "value": sum(price * qty for _, price, qty in self.trades)}


class AtTheTakersPrice(Tiny):
    def price_of(self, maker_price, taker_price):
        return taker_price


class Silent(Tiny):
    def sums(self):
        return {}


class Slow(Tiny):
    def limit(self, *order):
        time.sleep(0.01)


class Stuck(Tiny):
    def limit(self, *order):
        import signal

        signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGALRM})
        time.sleep(60)


class Raising(Tiny):
    def cancel(self, order_id):
        raise KeyError(order_id)


class Ending(Tiny):
    def cancel(self, order_id):
        import os

        os.abort()


class Missing(Tiny):
    def __init__(self):
        import a_package_that_nobody_has
'''


@pytest.fixture(scope="module")
def flow() -> Flow:
    return make(Shape(living=40, messages=1200))


@pytest.fixture(scope="module")
def prefix(flow: Flow) -> Prefix:
    found = ours(flow, 1000, runs=1)
    assert found.sums["count"] > 50
    return found


@pytest.fixture(scope="module")
def folder(flow: Flow, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("peers")
    (folder / "tiny.py").write_text(TINY)
    flow.rows.tofile(folder / "flow.bin")
    return folder


def peer_of(name: str, folder: Path) -> Peer:
    return Peer(name, "1", "Python", 1000, "of the test", adapter=f"{folder / 'tiny.py'}:{name}")


def test_equal_trades_are_timed(folder: Path, prefix: Prefix) -> None:
    row = beside(peer_of("Tiny", folder), sys.executable, folder / "flow.bin", prefix, runs=2, seconds=30)
    assert (row["status"], row["verified"], row["messages"]) == ("equal trades", "count, qty, value", 1000)
    assert len(row["runs"]) == 2
    assert 0 < min(row["runs"]) <= row["ns_per_message"] <= max(row["runs"])
    assert row["ratio"] > row["ratio_one_call"] > 0


@pytest.mark.parametrize(
    ("name", "status", "note"),
    [
        ("AtTheTakersPrice", "other trades", "value differ; of the test"),
        ("Silent", "reports no fills", "of the test"),
        ("Raising", "failed", "KeyError: "),
        ("Ending", "failed", ""),
        ("Missing", "not installed", "No module named 'a_package_that_nobody_has'"),
    ],
)
def test_whatever_else_a_peer_does_has_a_row_without_a_time(
    name: str, status: str, note: str, folder: Path, prefix: Prefix
) -> None:
    row = beside(peer_of(name, folder), sys.executable, folder / "flow.bin", prefix, runs=1, seconds=30)
    assert row["status"] == status
    assert row["note"].startswith(note)
    assert (row["verified"], row["ns_per_message"], row["runs"], row["ratio"]) == ("", None, [], None)


def test_a_slow_peer_is_stopped_and_says_how_far_it_came(folder: Path, prefix: Prefix) -> None:
    row = beside(peer_of("Slow", folder), sys.executable, folder / "flow.bin", prefix, runs=1, seconds=0.3)
    assert row["status"] == "too slow"
    assert 0 < row["messages"] < 100
    assert row["ns_per_message"] is None


def test_a_peer_that_never_answers_is_ended(folder: Path, prefix: Prefix, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "_GRACE_SECONDS", 0.5)
    row = beside(peer_of("Stuck", folder), sys.executable, folder / "flow.bin", prefix, runs=1, seconds=0.5)
    assert (row["status"], row["messages"], row["ns_per_message"]) == ("hangs", 0, None)


def test_no_trades_prove_nothing(folder: Path, flow: Flow) -> None:
    nothing = ours(flow, 10, runs=1)
    row = beside(peer_of("Tiny", folder), sys.executable, folder / "flow.bin", nothing, runs=1, seconds=30)
    assert (row["status"], row["ns_per_message"]) == ("nothing to compare", None)


def test_a_run_measures_emex_and_every_peer(folder: Path, flow: Flow, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(peers, "PEERS", (peer_of("Tiny", folder), peer_of("Silent", folder)))
    errors = {"Tiny": "", "Silent": "ERROR: no such version"}
    monkeypatch.setattr(peers, "_install", lambda peer, _folder: (sys.executable, errors[peer.name]))
    told: list[tuple[int, int]] = []
    rows = measure(flow, lambda done, total: told.append((done, total)), runs=1)
    assert [row["status"] for row in rows] == ["equal trades"] * 4 + ["not installed"]
    assert [row["name"].startswith("emex") for row in rows] == [True] * 3 + [False] * 2
    assert rows[0]["ratio"] == rows[1]["ratio_one_call"] == 1
    assert rows[4]["note"] == "ERROR: no such version"
    assert told == [(0, 2), (1, 2), (2, 2)]
    assert len({tuple(row) for row in rows}) == 1, "every row has the same keys"


def test_a_flow_whose_trades_are_other_than_its_file_says_is_refused(flow: Flow) -> None:
    with pytest.raises(EmexError, match=r"made\.chk: trades are \(\d+, .*\), expected \(1, 2, 3, 4\)"):
        ours(Flow("made", flow.rows[:200], (1, 2, 3, 4)), 200, runs=1)


def test_an_unknown_peer_is_refused(flow: Flow) -> None:
    with pytest.raises(EmexError, match="only: got nobody, expected some of limit-order-book"):
        measure(flow, lambda _done, _total: None, only=["nobody"])


def test_every_peer_has_an_adapter() -> None:
    assert [peer.name for peer in peers.PEERS if peer.name not in peer_drivers.ADAPTERS] == []
