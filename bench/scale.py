"""How the cost of a message grows: with living orders, price levels, accounts, instruments, and commands of a call.

One quantity is moved at a time, everything else stays as in the `main` shape. Where another program is given it runs
the same flows, and its growth stands beside ours: memory that no longer fits a cache costs everybody. What an order and
an account take in memory is read off the tables themselves. No pictures in here.
"""

import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from bench.core import BATCH, one_core, other, timed
from bench.flows import RULES, Flow, Shape, make
from engine.core.state import ACCOUNT_COLUMNS, ORDER, UNITS_COLUMNS
from engine.rules.compiler import CompiledRules, compile_rulebook
from engine.rules.schema import find_rulebook

_MESSAGES = 1_000_000
_SLOW_MESSAGES = 100_000
"""Where a call takes so few commands that calls are what is measured."""
_DEEP = Shape(living=100_000, messages=_MESSAGES, reach=500, tail=0.9)
_ANY_BOUNDS = 600
"""Reach up to which the other program has price levels."""


class Point(NamedTuple):
    """One measurement."""

    axis: str
    value: int
    shape: Shape = Shape()
    accounts: int = 1000
    instruments: int = 1
    batch: int = BATCH


POINTS = [
    *(Point("living", living, _DEEP._replace(living=living)) for living in (100, 1000, 10_000, 100_000, 1_000_000)),
    *(Point("levels", reach, _DEEP._replace(reach=reach, tail=0.0)) for reach in (10, 100, 1000, 10_000, 100_000)),
    *(Point("accounts", accounts, accounts=accounts) for accounts in (1000, 10_000, 100_000, 1_000_000)),
    *(Point("instruments", count, instruments=count) for count in (1, 10, 100)),
    *(Point("batch", batch, Shape(messages=_MESSAGES if batch > 1 else _SLOW_MESSAGES), batch=batch)
      for batch in (1, 10, 100, 1000, 10_000, 100_000)),
]  # fmt: skip


def measure(
    progress: Callable[[int, int], None],
    *,
    runs: int = 5,
    points: Sequence[Point] = tuple(POINTS),
    against: Path | None = None,
) -> list[dict[str, Any]]:
    """Rows of axis, value, figure, ns_per_message, and against_ns where another program can run that flow."""
    flows: dict[Shape, Flow] = {}
    found = []
    for number, point in enumerate(points):
        progress(number, len(points))
        if point.shape not in flows:
            flows = {point.shape: make(point.shape)}
        flow = flows[point.shape]
        theirs: dict[str, float] = {}
        with one_core():
            if against is not None and _runs_elsewhere(point):
                theirs = other(against, flow, point.accounts)
            for figure in RULES:
                ns, told = timed(
                    flow, _rules(figure, point.instruments), accounts=point.accounts, batch=point.batch, runs=runs,
                    instruments=point.instruments,
                )  # fmt: skip
                found.append({
                    "axis": point.axis, "value": point.value, "figure": figure, "messages": len(flow.rows),
                    "ns_per_message": round(statistics.median(ns), 2), "runs": [round(one, 2) for one in ns],
                    "living_at_end": told["living"], "levels_at_end": told["levels"],
                    "against_ns": theirs.get(figure),
                })  # fmt: skip
    return found


def growth(rows: list[dict[str, Any]], axis: str, figure: str, small: int, large: int) -> dict[str, Any]:
    """How many times dearer a message is at the large value: ours, the other program's, and the ratio of the two."""
    at = {row["value"]: row for row in rows if (row["axis"], row["figure"]) == (axis, figure)}
    ours = at[large]["ns_per_message"] / at[small]["ns_per_message"]
    result = {"axis": axis, "figure": figure, "from": small, "to": large, "growth": round(ours, 2)}
    if at[small]["against_ns"] and at[large]["against_ns"]:
        theirs = at[large]["against_ns"] / at[small]["against_ns"]
        result |= {"against_growth": round(theirs, 2), "ratio": round(ours / theirs, 2)}
    return result


def footprint() -> dict[str, int]:
    """Bytes of what an order, a command number and an account take in the tables."""
    return {
        "bytes_per_living_order": ORDER.itemsize,
        "bytes_per_command_since_the_day_roll": np.dtype(np.int32).itemsize,
        "bytes_per_account": 8 * ACCOUNT_COLUMNS,
        "bytes_per_account_and_instrument": 8 * UNITS_COLUMNS,
        "bytes_per_price_level": 2 * (2 * np.dtype(np.int32).itemsize),
    }


def _runs_elsewhere(point: Point) -> bool:
    """Whether the other program knows such a flow: one instrument, its price levels, its own size of a call."""
    return point.instruments == 1 and point.batch == BATCH and point.shape.reach <= _ANY_BOUNDS


def _rules(figure: str, instruments: int) -> CompiledRules:
    """The figure's rulebook with its one instrument so many times."""
    rules = compile_rulebook(find_rulebook(RULES[figure]))
    rows = np.tile(rules.rows, (instruments, 1))
    rows[:, -1] = np.repeat(np.arange(instruments), len(rules.rows))
    return CompiledRules(tuple(f"ANY{at}" for at in range(instruments)), rows, rules.initial_phase)
