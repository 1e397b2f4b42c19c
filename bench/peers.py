"""Other order books from PyPI on the same flow as the core (`emex bench --peers`): equal trades first, a time after.

    measure(flow, progress)     installs each into an environment of its own, runs it there, removes it again

To install a package runs its authors' code, as with every `pip install`. A package that cannot be installed, trades
otherwise or does not tell its trades has a row too, but no time. Compared is what a Python program gets: one order a
call, the fills kept; `peer_drivers.py` says how each is called. This module may not print.
"""

import json
import os
import statistics
import subprocess
import sys
import tempfile
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench import peer_drivers
from bench.core import BATCH, one_core, timed
from bench.flows import FIRST_ACCOUNT, RULES, Flow, endowed, trade_sums
from bench.peer_drivers import Sums
from engine.codes import CommandKind, OrdType, Side, TimeInForce
from engine.errors import EmexError
from engine.exchange import Exchange
from engine.records import EVENT, command
from engine.reference import ReferenceExchange
from engine.rules.compiler import CompiledRules, compile_rulebook
from engine.rules.schema import find_rulebook

RUNS = 3
"""Of each; medians count."""
SECONDS = 120.0
"""Of all runs of one peer."""
_INSTALL_SECONDS = 600
_GRACE_SECONDS = 30
"""For imports and for reading the flow, before a peer that does not answer is said to hang."""
_ACCOUNTS = 1000
_OUR_MESSAGES, _REFERENCE_MESSAGES = 200_000, 50_000
_LONGEST = 160
"""Characters of an error that are shown."""


class Peer(NamedTuple):
    """Another order book."""

    name: str
    """On PyPI, and in `peer_drivers.ADAPTERS`."""
    version: str
    language: str
    messages: int
    """So many of the flow it is given, at most: about ten seconds for the slow ones."""
    note: str
    """What it lacks, and how it was adapted."""
    extras: str = ""
    """As pip writes them: [polars]."""
    adapter: str = ""
    """FILE.py:CLASS, where `peer_drivers.py` has none of that name."""


_RESTS = "IOC is a limit order, then a cancel"
PEERS = (
    Peer("limit-order-book", "2.0.0", "C++", 200_000, f"{_RESTS}; to cancel a dead order ends the process; "
         "3.0 wants Python 3.13"),
    Peer("liquibook", "2.0.1", "C++", 100_000, "its book without depth; a listener of seven methods"),
    Peer("orderly-chaos", "0.2.0", "C++", 200_000, _RESTS),
    Peer("litebook", "0.0.1", "Rust", 100_000, f"{_RESTS}; a selling taker trades at his own price"),
    Peer("cython-orderbook", "0.1.2", "Cython", 200_000, f"{_RESTS}; numbers orders itself"),
    Peer("akhil4n-orderbook", "0.1.1", "Python", 200_000, f"{_RESTS}; numbers orders itself"),
    Peer("lobby", "0.1.3", "Python", 200_000, f"{_RESTS}; called as for recorded data"),
    Peer("lightmatchingengine", "2019.1.4", "Python", 100_000, f"{_RESTS}; a fill is told once for each side"),
    Peer("pyorderbook", "0.4.9", "Python", 100_000, f"{_RESTS}; orders are named by UUID"),
    Peer("obook", "0.1.0", "Go", 100_000, "events collected after every order"),
    Peer("manticore-orderbook", "1.0.1", "Python", 50_000, "without its log"),
    Peer("fastlob", "0.0.24", "Python", 50_000, f"{_RESTS}; tells quantities by price; to cancel a filled order takes "
         "quantity from others"),
    Peer("convexpi-arena", "0.2.0", "Python", 50_000, f"{_RESTS}; its book without ticks"),
    Peer("cleolob", "0.9.0", "Python", 50_000, "its book without the simulated market"),
    Peer("order-matching", "0.12.0", "Python", 7_000, f"{_RESTS}; placed, then matched", extras="[polars]"),
    Peer("nanobook", "0.19.2", "Rust", 50_000, "an order that meets a level emptied by the cancel of a partly filled "
         "order never returns"),
)  # fmt: skip


class Prefix(NamedTuple):
    """emex on the first messages of a flow."""

    messages: int
    sums: dict[str, int]
    """What every peer's trades must add up to."""
    batches_ns: list[float]
    """Nanoseconds a message, each run."""
    call_ns: list[float]
    call_sums: Sums


def measure(
    flow: Flow,
    progress: Callable[[int, int], None],
    *,
    only: Sequence[str] | None = None,
    seconds: float = SECONDS,
    runs: int = RUNS,
) -> list[dict[str, Any]]:
    """emex, then every peer.

    Parameters
    ----------
    progress : called with how many peers are done, and of how many
    only : names of peers; None: all of `PEERS`
    seconds : that all runs of one peer may take

    Returns
    -------
    list of dict
        name, version, language; status: "equal trades", "other trades", "reports no fills", "nothing to compare" (no
        trade was due), "too slow", "hangs" (inside one call), "failed", "not installed"; verified: which sums were
        found equal; messages: compared, or, of one that was too slow, reached; ns_per_message (median) and runs; ratio
        of that to emex in batches on the same messages, and ratio_one_call to emex with one order a call; note. Unless
        the trades were equal, time and ratios are None, and runs and verified are empty. Raises `EmexError` on an
        unknown name.
    """
    names = [peer.name for peer in PEERS]
    if unknown := [name for name in only or () if name not in names]:
        raise EmexError(f"only: got {', '.join(unknown)}, expected some of {', '.join(names)}")
    wanted = [peer for peer in PEERS if only is None or peer.name in only]
    rows = own_rows(flow, runs)
    with tempfile.TemporaryDirectory(prefix="emex-peers-") as folder:
        path = Path(folder) / "flow.bin"
        flow.rows.tofile(path)
        for number, peer in enumerate(wanted):
            progress(number, len(wanted))
            with tempfile.TemporaryDirectory(prefix=f"{peer.name}-", dir=folder) as environment:
                python, error = _install(peer, Path(environment))
                if error:
                    rows.append(_row(peer, "not installed", 0, note=error))
                    continue
                prefix = ours(flow, peer.messages, runs)
                rows.append(beside(peer, python, path, prefix, runs=runs, seconds=seconds))
    progress(len(wanted), len(wanted))
    return rows


def ours(flow: Flow, messages: int, runs: int) -> Prefix:
    """emex on the first messages, at most so many, in the same minute as whoever is held against it.

    Raises `EmexError` where they are the whole flow and its `.chk` file says otherwise.
    """
    rules, part = _rules(), Flow(flow.name, flow.rows[:messages])
    messages = len(part.rows)
    rows = _messages(part)
    with one_core():
        ns, found = timed(part, rules, accounts=_ACCOUNTS, batch=BATCH, runs=runs)
        called = peer_drivers.drive(lambda: OneOrderACall(endowed(Exchange(rules), _ACCOUNTS)), rows, runs, SECONDS)
    if flow.sums is not None and messages == len(flow.rows) and found["sums"] != flow.sums:
        raise EmexError(f"{flow.name}.chk: trades are {found['sums']}, expected {flow.sums}")
    sums = dict(zip(("count", "qty", "value", "maker"), found["sums"], strict=True))
    return Prefix(messages, sums, ns, [one / messages for one in called["ns"]], called["sums"][0])


def own_rows(flow: Flow, runs: int) -> list[dict[str, Any]]:
    """emex in batches and one order a call; and its readable engine, on fewer messages."""
    prefix, short = ours(flow, _OUR_MESSAGES, runs), ours(flow, _REFERENCE_MESSAGES, runs)
    mine = version("emex")
    batches = Peer(
        f"emex, batches of {BATCH:,}", mine, "Python, Numba", 0, "commands made beforehand, events lent, tables grown"
    )
    call = Peer("emex, one order a call", mine, "Python, Numba", 0, "from integers to kept events, as the others")
    readable = Peer(
        "emex, readable engine", mine, "Python", 0, "one order a call; the specification, not made to be fast"
    )
    rules, rows = _rules(), _messages(Flow(flow.name, flow.rows[: short.messages]))
    with one_core():
        told = peer_drivers.drive(
            lambda: OneOrderACall(endowed(ReferenceExchange(rules), _ACCOUNTS)), rows, runs, SECONDS
        )
    return [
        _judged(batches, prefix, prefix.batches_ns, [dict(prefix.sums)]),
        _judged(call, prefix, prefix.call_ns, [prefix.call_sums]),
        _judged(readable, short, [one / short.messages for one in told["ns"]], told["sums"]),
    ]


def beside(
    peer: Peer, python: str, flow: Path, prefix: Prefix, *, runs: int = RUNS, seconds: float = SECONDS
) -> dict[str, Any]:
    """A row of `measure`: a peer that its Python can import, driven through the messages of a prefix on one core."""
    call = [python, "-I", peer_drivers.__file__, peer.adapter or peer.name, str(flow), str(prefix.messages), str(runs),
            str(seconds)]  # fmt: skip
    try:
        with one_core():
            done = subprocess.run(call, capture_output=True, text=True, timeout=seconds + _GRACE_SECONDS, check=False)
    except subprocess.TimeoutExpired:
        return _row(peer, "hangs", 0)
    try:
        told = json.loads(done.stdout.splitlines()[-1])
    except (IndexError, ValueError):
        return _row(peer, "failed", 0, note=_last_line(done.stderr) or f"ended with status {done.returncode}")
    if "missing" in told:
        return _row(peer, "not installed", 0, note=told["missing"])
    if "error" in told:
        return _row(peer, "failed", 0, note=f"{told['error'][:_LONGEST]}; {peer.note}")
    if not told["ns"]:
        return _row(peer, "too slow", told["reached"])
    return _judged(peer, prefix, [one / prefix.messages for one in told["ns"]], told["sums"])


def _judged(peer: Peer, prefix: Prefix, ns: list[float], sums: list[Sums]) -> dict[str, Any]:
    """A row: the sums of every run against those of emex; the times only where all are equal."""
    if not sums[0]:
        return _row(peer, "reports no fills", prefix.messages)
    differs = [key for key, value in prefix.sums.items() if any(one.get(key, value) != value for one in sums)]
    if differs:
        return _row(peer, "other trades", prefix.messages, note=f"{', '.join(differs)} differ; {peer.note}")
    if not prefix.sums["count"]:
        return _row(peer, "nothing to compare", prefix.messages)
    median = statistics.median(ns)
    return _row(peer, "equal trades", prefix.messages) | {
        "verified": ", ".join(sums[0]),
        "ns_per_message": round(median, 1),
        "runs": [round(one, 1) for one in ns],
        "ratio": round(median / statistics.median(prefix.batches_ns), 2),
        "ratio_one_call": round(median / statistics.median(prefix.call_ns), 2),
    }


def _row(peer: Peer, status: str, messages: int, note: str = "") -> dict[str, Any]:
    """Without a time."""
    return {
        "name": peer.name, "version": peer.version, "language": peer.language, "status": status, "verified": "",
        "messages": messages, "ns_per_message": None, "runs": [], "ratio": None, "ratio_one_call": None,
        "note": note or peer.note,
    }  # fmt: skip


def _install(peer: Peer, folder: Path) -> tuple[str, str]:
    """Its Python, and what went wrong: empty when nothing did."""
    python = str(folder / ("Scripts/python.exe" if os.name == "nt" else "bin/python"))
    package = f"{peer.name}{peer.extras}=={peer.version}"
    for call in (
        [sys.executable, "-m", "venv", str(folder)],
        [python, "-m", "pip", "install", "--quiet", "--disable-pip-version-check", package],
    ):
        try:
            done = subprocess.run(call, capture_output=True, text=True, timeout=_INSTALL_SECONDS, check=False)
        except (OSError, subprocess.TimeoutExpired) as error:
            return python, _last_line(str(error))
        if done.returncode:
            return python, _last_line(done.stderr) or f"ended with status {done.returncode}"
    return python, ""


def _last_line(text: str) -> str:
    """The last error of a text, or its last line."""
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    errors = [line for line in lines if line.startswith("ERROR")]
    return (errors or lines or [""])[-1][:_LONGEST]


def _rules() -> CompiledRules:
    return compile_rulebook(find_rulebook(RULES["book"]))


def _messages(flow: Flow) -> list[peer_drivers.Message]:
    """As `peer_drivers.read` gives them."""
    kind, order_id, side, price, qty, target = flow.rows[:, :6].T.tolist()
    return list(zip(kind, order_id, side, price, qty, target, strict=True))


class OneOrderACall:
    """emex as an adapter of `peer_drivers.py`, with either engine: integers in, the events of each call kept.

    Parameters
    ----------
    exchange : endowed with `_ACCOUNTS` accounts
    """

    def __init__(self, exchange: Exchange | ReferenceExchange) -> None:
        self._apply = exchange.apply if isinstance(exchange, Exchange) else exchange.submit
        self._new = command(CommandKind.NEW, instrument=0, ord_type=OrdType.LIMIT)
        self._account, self._side, self._price_fen, self._qty, self._tif = (
            self._new[name] for name in ("account", "side", "price_fen", "qty", "tif")
        )
        self._cancel = command(CommandKind.CANCEL)
        self._owner, self._target = self._cancel["account"], self._cancel["target_id"]
        self._sides, self._day, self._ioc = (int(Side.BUY), int(Side.SELL)), int(TimeInForce.DAY), int(TimeInForce.IOC)
        self._order_of: dict[int, int] = {}
        self._events: list[bytes] = []

    def limit(self, order_id: int, side: int, price: int, qty: int) -> None:
        """See `peer_drivers.Book`."""
        self._order_of[order_id] = self._enter(order_id, side, price, qty, self._day)

    def ioc(self, order_id: int, side: int, price: int, qty: int) -> None:
        """See `peer_drivers.Book`."""
        self._enter(order_id, side, price, qty, self._ioc)

    def cancel(self, order_id: int) -> None:
        """See `peer_drivers.Book`."""
        self._owner[0] = FIRST_ACCOUNT + order_id % _ACCOUNTS
        self._target[0] = self._order_of[order_id]
        self._events.append(self._apply(self._cancel).tobytes())

    def _enter(self, order_id: int, side: int, price: int, qty: int, tif: int) -> int:
        """The exchange's number of the order, from its acceptance."""
        self._account[0] = FIRST_ACCOUNT + order_id % _ACCOUNTS
        self._side[0], self._price_fen[0], self._qty[0], self._tif[0] = self._sides[side], price, qty, tif
        events = self._apply(self._new)
        self._events.append(events.tobytes())
        return int(events["order_id"][0])

    def sums(self) -> Sums:
        """See `peer_drivers.Book`."""
        numbers = np.fromiter(self._order_of.values(), np.int64)
        ids = np.zeros(numbers.max(initial=0) + 1, np.int64)
        ids[numbers] = np.fromiter(self._order_of, np.int64)
        told = trade_sums(np.frombuffer(b"".join(self._events), EVENT), ids, 0)
        return dict(zip(("count", "qty", "value", "maker"), told, strict=True))
