"""The realism checks: one finished season measured against the recorded figures.

    registry                    what a measure is: a pure function over a `Season`, with typed arguments and a unit
    volumes, prices, outcomes   the measures
    records                     `sim/records/*.toml`: checks as data; the only reader of what was recorded
    judge                       the verdicts, one row a check

A check is *evidence* only if it is defined for the null model (`sim/null.py`), the null model passes it in at most half
of its seeds, and no fitted parameter was aimed at it. Nothing here may import the exchange or the agents, and nothing
that runs a season may import anything here.
"""

from sim.checks import outcomes, prices, volumes
from sim.checks.judge import UNDEFINED_FOR_NULL, judge, run_checks
from sim.checks.records import NULL_PASS_LIMIT, Check, Kind, NullScalars, Records, Window, load_records
from sim.checks.registry import MEASURES, Found

__all__ = [
    "MEASURES", "NULL_PASS_LIMIT", "UNDEFINED_FOR_NULL", "Check", "Found", "Kind", "NullScalars", "Records", "Window",
    "judge", "load_records", "outcomes", "prices", "run_checks", "volumes",
]  # fmt: skip
