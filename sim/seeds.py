"""The realism table over many seeds: how often each check holds, with the 10th and 90th percentile.

    python -m sim.seeds [--first 701] [--count 30] [--set name=value …]

The seeds of the fit (`sim/fit.py`) are others. Prints the table of README; exit status 1 when fewer than 13 checks
hold in at least 80 % of the seeds, or fewer than 3 of those are evidence.
"""

import argparse
import sys
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table

from sim import checks, figures, null
from sim.parameters import Parameters, load_parameters
from sim.season import SeasonPlan, load_season
from sim.world import World

HELD_SHARE = 0.8
HELD_WANTED, EVIDENCE_WANTED = 13, 3

Row = dict[str, Any]


def season_checks(plan: SeasonPlan, p: Parameters, seed: int, null_rates: dict[str, float | None]) -> list[Row]:
    """The checks of one season."""
    season = World(plan, p, seed).run()
    return checks.run_checks(season, checks.load_records(), null_rates)


def many(plan: SeasonPlan, p: Parameters, seeds: range, null_rates: dict[str, float | None]) -> list[list[Row]]:
    """`season_checks` for each seed, in parallel on this machine's cores."""
    run = delayed(season_checks)
    found: list[list[Row]] = Parallel(n_jobs=-1)(run(plan, p, seed, null_rates) for seed in seeds)
    return found


def summarise(results: list[list[Row]]) -> list[Row]:
    """One row a check: kind, record, range, share of seeds held, mean, 10th and 90th percentile, null pass rate."""
    rows = []
    for column in zip(*results, strict=True):
        values = sorted(r["value"] for r in column if r["value"] is not None)
        rows.append({
            "name": column[0]["name"], "kind": column[0]["kind"], "recorded": column[0]["recorded"],
            "unit": column[0]["unit"],
            "low": column[0]["low"], "high": column[0]["high"], "null_pass_rate": column[0]["null_pass_rate"],
            "held": float(np.mean([bool(r["passed"]) for r in column])),
            "p10": values[len(values) // 10] if values else None,
            "median": values[len(values) // 2] if values else None,
            "p90": values[-1 - len(values) // 10] if values else None,
        })  # fmt: skip
    return rows


def held_counts(rows: list[Row]) -> tuple[int, int]:
    """(checks that hold in at least 80 % of the seeds, how many of those are evidence)."""
    held = [row for row in rows if row["held"] >= HELD_SHARE]
    return len(held), sum(row["kind"] == "evidence" for row in held)


def print_table(rows: list[Row], title: str) -> None:
    """The table, to standard output."""
    table = Table(title=title)
    for name in ("check", "kind", "record", "accepted", "held", "10th", "median", "90th", "null"):
        table.add_column(name, justify="left" if name in ("check", "kind") else "right")
    for row in rows:
        null_rate = "–" if row["null_pass_rate"] is None else f"{row['null_pass_rate']:.0%}"
        recorded, *spread = (figures.in_unit(row[key], row["unit"]) for key in ("recorded", "p10", "median", "p90"))
        accepted = figures.accepted(row["low"], row["high"], row["unit"])
        table.add_row(row["name"], row["kind"], recorded, accepted, f"{row['held']:.0%}", *spread, null_rate)
    Console(width=140).print(table)


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--first", type=int, default=701)
    parser.add_argument("--count", type=int, default=30)
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    changes = {name: float(value) for name, value in (item.split("=") for item in arguments.set)}
    plan = load_season("cea-2021")
    null_rates = null.null_pass_rates(plan.days, checks.load_records())
    seeds = range(arguments.first, arguments.first + arguments.count)
    rows = summarise(many(plan, load_parameters(**changes), seeds, null_rates))
    held, evidence = held_counts(rows)
    print_table(rows, f"{plan.name}, seeds {seeds.start} to {seeds.stop - 1} {' '.join(arguments.set)}")
    print(
        f"{held} of {len(rows)} checks hold in at least {HELD_SHARE:.0%} of the seeds; {evidence} of those are evidence"
    )
    return 0 if held >= HELD_WANTED and evidence >= EVIDENCE_WANTED else 1


if __name__ == "__main__":
    sys.exit(main())
