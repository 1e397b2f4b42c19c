"""`emex bench`: which parts there are, how each is measured, and their results side by side. Figures only, no prose.

    match     the core on a flow, matching alone        replay    a season, from its first order to its last
    exchange  the same with funds, T+1 and fees         kernels   every way of trading
    latency   one order a call                          scale     growth with orders, levels, accounts, ...
    gateway   end to end: wire, journal, answer         rush      a national deadline day, open loop
                                                        peers     other order books on the same flow

Core and gateway are two numbers and never one. Every result carries the machine's card, and each row its rulebook hash
and what was verified before its time counted.
"""

import statistics
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from bench import core, flows, machine
from bench.flows import Flow, Shape
from engine.errors import EmexError

Progress = Callable[[int, int], None]
QUICK = ("match", "exchange", "latency", "gateway", "replay")
"""What `emex bench` measures unless told: two minutes."""
MADE = {
    "main": Shape(),
    "deep": Shape(living=100_000, reach=500, tail=0.9),
    "thin": Shape(living=40, messages=250_000, reach=20, tail=1.6),
}
"""Where no flow is given."""
_GATEWAY_LOADS: tuple[dict[str, Any], ...] = (
    {"name": "single orders, 8 in flight", "rate": 0, "in_flight": 8, "batch": 1, "traders": 8},
    {"name": "batches of 100, 16 in flight", "rate": 0, "in_flight": 16, "batch": 100, "traders": 32},
    {"name": "1,000 a second, open loop", "rate": 1000, "in_flight": 8, "batch": 1, "traders": 8},
)
_SEASON, _SEASONS = "cea-2021", 5


@dataclass(frozen=True)
class Options:
    """What was asked for.

    Parameters
    ----------
    flow_files : recorded flows; empty: flows are made
    against : a program that does the same work, see `core.py`
    runs : of each figure; medians count
    seconds : of each load on the gateway
    messages : of the deadline day
    histograms : folder for HdrHistogram files of the deadline day; None: none are written
    """

    flow_files: Sequence[Path] = ()
    against: Path | None = None
    runs: int = 7
    seconds: float = 10.0
    messages: int = 10_000_000
    histograms: Path | None = None


def bench(parts: Sequence[str], options: Options, progress: Progress) -> dict[str, Any]:
    """Measure parts one after another: the machine's card, and rows by part. Raises `EmexError` on an unknown part."""
    if unknown := [part for part in parts if part not in PARTS]:
        raise EmexError(f"bench: got {', '.join(unknown)}, expected some of {', '.join(PARTS)}")
    result: dict[str, Any] = {"machine": machine.card()}
    for part in parts:
        began = time.perf_counter()
        result[part] = PARTS[part](options, progress)
        result.setdefault("seconds", {})[part] = round(time.perf_counter() - began, 1)
    if list(parts) in (["match"], ["exchange"]):  # one figure of one flow is a result by itself
        result |= result[parts[0]][0]
    return result


def _flows(options: Options) -> list[Flow]:
    if options.flow_files:
        return [flows.read(path) for path in options.flow_files]
    return [flows.make(shape, name=name) for name, shape in MADE.items()]


def _core(figure: str) -> Callable[[Options, Progress], list[dict[str, Any]]]:
    def measure(options: Options, progress: Progress) -> list[dict[str, Any]]:
        found, wanted = [], _flows(options)
        for number, flow in enumerate(wanted):
            progress(number, len(wanted))
            found.append(core.measure(flow, figure, runs=options.runs, against=options.against))
        return found

    return measure


def _latency(options: Options, _progress: Progress) -> list[dict[str, Any]]:
    flow = _flows(options)[0]
    return [core.latency(flow, figure) for figure in flows.RULES]


def _gateway(options: Options, progress: Progress) -> list[dict[str, Any]]:
    """A journaled venue on loopback and its load, both on this machine. Raises `EmexError` where its audit fails."""
    from gateway.load import LoadOptions, load

    found = []
    for number, wanted in enumerate(_GATEWAY_LOADS):
        progress(number, len(_GATEWAY_LOADS))
        kind = LoadOptions(
            rate=wanted["rate"], seconds=options.seconds, batch=wanted["batch"], in_flight=wanted["in_flight"]
        )
        told = load(kind, "generic", wanted["traders"], None)
        if told["faults"] or told["lost"] or told["doubled"]:
            raise EmexError(f"gateway: {wanted['name']}: the audit found {told['faults'][:3]}, expected nothing")
        kept = ("sent", "acked", "lost", "doubled", "seconds", "orders_per_second", "ack_ms", "commit_share")
        found.append(wanted | {key: told[key] for key in kept})
    return found


def _replay(options: Options, progress: Progress) -> list[dict[str, Any]]:
    """A season as users run it, agents and checks included."""
    from sim.replay import replay

    seconds, told = [], {}
    for run in range(_SEASONS):
        progress(run, _SEASONS)
        began = time.perf_counter()
        told = replay(_SEASON, seed=1)
        seconds.append(time.perf_counter() - began)
    del options
    median = statistics.median(seconds)
    return [{
        "scenario": _SEASON, "rulebook_hash": told["rules_hash"], "seed": 1, "digest": told["digest"],
        "orders": told["orders"], "trades": told["trades"], "seconds": round(median, 3),
        "orders_per_second": round(told["orders"] / median), "runs": [round(one, 3) for one in seconds],
    }]  # fmt: skip


def _kernels(options: Options, progress: Progress) -> list[dict[str, Any]]:
    from bench.kernels import measure

    with core.one_core():
        return measure(progress, runs=options.runs)


def _scale(options: Options, progress: Progress) -> dict[str, Any]:
    from bench import scale

    rows = scale.measure(progress, runs=options.runs, against=options.against)
    wanted = (("living", 1000, 1_000_000), ("accounts", 1000, 1_000_000))
    growths = [scale.growth(rows, axis, figure, *ends) for axis, *ends in wanted for figure in flows.RULES]
    return {"points": rows, "growth": growths, "footprint": scale.footprint()}


def _rush(options: Options, progress: Progress) -> list[dict[str, Any]]:
    from bench.rush import measure

    with core.one_core():
        return measure(progress, messages=options.messages, folder=options.histograms)


def _peers(options: Options, progress: Progress) -> list[dict[str, Any]]:
    from bench.peers import measure

    return measure(_flows(options)[0], progress)


PARTS: dict[str, Callable[[Options, Progress], Any]] = {
    "match": _core("book"), "exchange": _core("exchange"), "latency": _latency, "gateway": _gateway, "replay": _replay,
    "kernels": _kernels, "scale": _scale, "rush": _rush, "peers": _peers,
}  # fmt: skip
