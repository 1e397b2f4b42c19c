"""The verdicts: a finished season against the checks of its record.

This file may not measure anything itself, nor read a record.
"""

from collections.abc import Mapping
from typing import Any

import numpy as np

from sim.checks.records import Check, Records
from sim.checks.registry import MEASURES, Found, measure, undefined
from sim.result import Season

UNDEFINED_FOR_NULL = "undefined for the null model, not counted as evidence"


@measure("share")
def measured_elsewhere(season: Season) -> Found:  # noqa: ARG001 - no season can tell
    """A share that no season contains, such as the efficiency of traders without intelligence; see `judge`."""
    return undefined("not measured in this run")


def judge(check: Check, season: Season, given: Mapping[str, float] | None = None) -> tuple[Found, bool | None]:
    """Measure the season; True if it passes, None where the check is undefined for it.

    `given` are values by check, of checks whose measure is `measured_elsewhere`.
    """
    if check.measure == measured_elsewhere.__name__ and given and check.name in given:
        found = Found(given[check.name])
    else:
        found = MEASURES[check.measure].function(season, **check.arguments)
    if found.holds is None:
        return found, None
    return found, found.holds and _within(found.value, check)


def _within(value: float | str | None, check: Check) -> bool:
    if isinstance(value, str):
        return (check.low is None or str(check.low) <= value) and (check.high is None or value <= str(check.high))
    if value is None:
        return False
    low = -np.inf if check.low is None else float(check.low)
    high = np.inf if check.high is None else float(check.high)
    return low <= value <= high


def run_checks(
    season: Season,
    records: Records,
    null_pass_rates: Mapping[str, float | None],
    given: Mapping[str, float] | None = None,
) -> list[dict[str, Any]]:
    """Judge one season.

    Parameters
    ----------
    season
        A finished season, of the simulator or of the null model.
    records
        The checks, with recorded figures and accepted ranges.
    null_pass_rates
        Share of null seasons that pass, by check; None where the null model has nothing to say.
        Must name every check.
    given
        Values that were measured elsewhere, by check.

    Returns
    -------
    list of dict
        One a check, ready for JSON: `name, title, title_zh, kind, value, low, high, recorded,
        unit, null_pass_rate, source, passed, note`. `value` and `passed` are None where the season
        lacks the input; a check that it fails without a number has `passed` False, `value` None.
    """
    rows = []
    for check in records.checks.values():
        null_pass_rate = null_pass_rates[check.name]
        found, passed = judge(check, season, given)
        notes = [found.note, UNDEFINED_FOR_NULL if null_pass_rate is None else ""]
        rows.append(
            {
                "name": check.name,
                "title": check.title,
                "title_zh": check.title_zh,
                "kind": check.kind(null_pass_rate),
                "value": found.value,
                "low": check.low,
                "high": check.high,
                "recorded": check.recorded,
                "unit": check.unit,
                "null_pass_rate": null_pass_rate,
                "source": check.source,
                "passed": passed,
                "note": "; ".join(note for note in notes if note),
            }
        )
    return rows
