"""How many checks a right model could pass: each of the model's own seasons stands in for the record in turn.

    record's range + a season's value in the record's place -> range by the same rule -> do the other seasons hold?

One year is recorded of each market, and a model is asked to come near it in most of its seeds. Seasons that differ by
chance alone fail that, too; how often they do is the measure of what can be asked. This file may not look at how near
the model comes to the record.
"""

import datetime as dt
from collections.abc import Sequence

import numpy as np

from sim.checks.records import Check

SHIFTED = ("date", "trading days")
"""Units in which a range keeps its width wherever it lies."""
SHARE = "share"
MOVES = ("change_between",)
"""Measures of a share that a range follows in proportion: half to twice the move."""

Number = float | None


def range_around(check: Check, value: float, recorded: float, low: float, high: float) -> tuple[float, float]:
    """(low, high) that the check would accept had `value` been recorded in place of `recorded`, by its own rule.

    Shares of volume, days and firms keep the width of the range and stay between 0 and 1, dates keep it; everything
    else is in proportion.
    """
    if check.unit == SHARE and check.measure not in MOVES:
        width = max(recorded - low, high - recorded)
        return max(0.0, value - width), min(1.0, value + width)
    if check.unit in SHIFTED:
        return value + low - recorded, value + high - recorded
    first, second = sorted((low / recorded * value, high / recorded * value))
    return first, second


def _number(value: float | str | None) -> Number:
    return float(dt.date.fromisoformat(value).toordinal()) if isinstance(value, str) else value


def passes_as_record(check: Check, values: Sequence[float | str | None], held_share: float) -> float | None:
    """Share of the model's own seasons that, put in the record's place, hold in `held_share` of the others.

    `values`: one a seed, None where a season has none. None where the range does not depend on a record: nothing was
    recorded, or one of its ends is open.
    """
    recorded, low, high = (_number(value) for value in (check.recorded, check.low, check.high))
    found = [_number(value) for value in values]
    if recorded is None or low is None or high is None or len(found) < 2:
        return None
    verdicts = []
    for seed, value in enumerate(found):
        others = found[:seed] + found[seed + 1 :]
        if value is None:
            verdicts.append(False)
            continue
        first, second = range_around(check, value, recorded, low, high)
        held = np.mean([other is not None and first <= other <= second for other in others])
        verdicts.append(bool(held >= held_share))
    return float(np.mean(verdicts))
