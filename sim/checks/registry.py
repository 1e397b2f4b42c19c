"""What a measure is: a pure function over a finished season, known by its name, with typed arguments and one unit.

`MEASURES` is filled by the decorator when `volumes.py`, `prices.py` and `outcomes.py` are imported. This file may not
know a record, a season's name or a date.
"""

import datetime as dt
import inspect
from collections.abc import Callable
from dataclasses import dataclass
from typing import Annotated, Any, get_type_hints

import msgspec
import numpy as np
from numpy.typing import NDArray

from sim.result import Season

UNITS = frozenset({
    "t", "share", "ratio", "CNY/t", "CNY", "date", "log return a day", "kurtosis", "statistic", "correlation",
    "trading days", "days", "firms",
})  # fmt: skip

Count = Annotated[int, msgspec.Meta(ge=1)]
"""An argument that is a whole number from 1."""


@dataclass(frozen=True)
class Found:
    """What a measure found in a season."""

    value: float | str | None
    note: str = ""
    holds: bool | None = True
    """False if a condition beside the range fails; None if the season lacks the measure's input."""


Function = Callable[..., Found]


@dataclass(frozen=True)
class Measure:
    """A measure as record files name it."""

    function: Function
    unit: str
    arguments: dict[str, Any]
    """Types by name."""
    needed: frozenset[str]
    """Arguments without a default."""


MEASURES: dict[str, Measure] = {}


def measure(unit: str) -> Callable[[Function], Function]:
    """Enter a function `(season, *, arguments)` under its name."""
    assert unit in UNITS, unit

    def enter(function: Function) -> Function:
        types = get_type_hints(function, include_extras=True)
        parameters = list(inspect.signature(function).parameters.values())[1:]
        assert all(parameter.kind is parameter.KEYWORD_ONLY for parameter in parameters), function.__name__
        MEASURES[function.__name__] = Measure(
            function=function,
            unit=unit,
            arguments={parameter.name: types[parameter.name] for parameter in parameters},
            needed=frozenset(p.name for p in parameters if p.default is p.empty),
        )
        return function

    return enter


def undefined(note: str) -> Found:
    """The season lacks what the measure needs."""
    return Found(None, note, holds=None)


def failed(note: str) -> Found:
    """The season has what is needed, and no number comes out."""
    return Found(None, note, holds=False)


def traded_t(season: Season) -> NDArray[np.int64]:
    """Tonnes of the main product by day, screen and blocks, int64, shape (days,).

    Sales by the government are left out, as in the volumes that exchanges publish.
    """
    total: NDArray[np.int64] = season.days["listed_qty_t"] + season.days["block_qty_t"]
    return total


def turnover_fen(days: np.ndarray) -> int:
    """Turnover of the same trades, fen."""
    return int(days["listed_value_fen"].sum()) + int(days["block_value_fen"].sum())


def window(days: np.ndarray, first: dt.date | None, last: dt.date | None) -> NDArray[np.bool_]:
    """Trading days from `first` to `last`, both included; None is open. Shape (days,)."""
    inside = np.ones(days.size, bool)
    if first is not None:
        inside &= days["date"] >= np.datetime64(first)
    if last is not None:
        inside &= days["date"] <= np.datetime64(last)
    return inside


def share(part: float, whole: float) -> Found:
    """Part of a whole that must not be empty."""
    return Found(part / whole) if whole > 0 else failed("no trade in the season")


NO_DAY = "no trading day in the window"
