"""The realism table over many seeds: season by season, how often each check holds, with 10th and 90th percentile.

    python -m sim.seeds [SEASON …] [--first 701] [--count 10] [--markdown FILE] [--set name=value …]

Without a season: all of them. The seeds of the fit (`sim/fit.py`) are others. A check passes when it holds in at least
80 % of the seeds; one that is undefined in every seed is not counted. Exit status 1 when fewer than 80 % of all checks
pass, or fewer than 60 % of those that are evidence.
"""

import argparse
import sys
from functools import cache
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table

from sim import ceiling, checks, figures, null
from sim.abatement.zero_intelligence import SMITH_COSTS_FEN, SMITH_VALUES_FEN, run
from sim.parameters import Parameters, load_parameters
from sim.season import SeasonPlan, list_scenarios, load_season
from sim.world import World

HELD_SHARE = 0.8
"""Of the seeds in which a check must hold to pass."""
HELD_WANTED, EVIDENCE_WANTED = 0.8, 0.6
"""Shares of all checks, and of those that are evidence, that should pass."""
ZERO_INTELLIGENCE = "zero_intelligence_efficiency"
"""Check that no season contains: how much the exchange alone brings about."""
UNITS_EACH = 3
"""Of each trader of the schedules."""
COLUMNS = ("season", "check", "kind", "record", "accepted", "median", "10th", "90th", "null", "own", "held", "verdict")
LEFT = ("season", "check", "kind", "verdict")

Row = dict[str, Any]


class Totals(NamedTuple):
    """Checks that pass, of those that are counted."""

    held: int
    checks: int
    evidence_held: int
    evidence: int

    @property
    def enough(self) -> bool:
        """Whether both shares are as wanted."""
        return self.held >= HELD_WANTED * self.checks and self.evidence_held >= EVIDENCE_WANTED * self.evidence

    def __str__(self) -> str:
        """One line."""
        shares = [figures.percent(part / whole) if whole else "–" for part, whole in (self[:2], self[2:])]
        return (
            f"{self.held} of {self.checks} checks pass ({shares[0]}, wanted {HELD_WANTED:.0%}); of those that are "
            f"evidence {self.evidence_held} of {self.evidence} ({shares[1]}, wanted {EVIDENCE_WANTED:.0%})"
        )


def season_checks(
    plan: SeasonPlan, p: Parameters, seed: int, null_rates: dict[str, float | None], given: dict[str, float]
) -> list[Row]:
    """The checks of one season; `given`: what no season contains, by check."""
    season = World(plan, p, seed).run()
    return checks.run_checks(season, checks.load_records(plan.name), null_rates, given)


@cache
def zero_intelligence() -> float:
    """Mean allocative efficiency of traders without intelligence on Smith's schedules, through the same exchange."""
    values, costs = (np.repeat(schedule, UNITS_EACH, axis=1) for schedule in (SMITH_VALUES_FEN, SMITH_COSTS_FEN))
    return float(np.mean([run(values, costs, seed).efficiency for seed in range(1, 21)]))


def many(plan: SeasonPlan, p: Parameters, seeds: range, null_rates: dict[str, float | None]) -> list[list[Row]]:
    """`season_checks` for each seed, in parallel on this machine's cores."""
    given = {ZERO_INTELLIGENCE: zero_intelligence()}
    one = delayed(season_checks)
    found: list[list[Row]] = Parallel(n_jobs=-1)(one(plan, p, seed, null_rates, given) for seed in seeds)
    return found


def summarise(results: list[list[Row]]) -> list[Row]:
    """One row a check: kind, record, range, share of seeds held, median, 10th and 90th percentile, null pass rate.

    `held` and `passed` are None where the check is undefined in every seed; elsewhere an undefined seed does not hold.
    """
    rows = []
    for column in zip(*results, strict=True):
        values = sorted(r["value"] for r in column if r["value"] is not None)
        defined = any(r["passed"] is not None for r in column)
        held = float(np.mean([bool(r["passed"]) for r in column])) if defined else None
        rows.append({
            **{key: column[0][key] for key in ("name", "kind", "recorded", "unit", "low", "high", "null_pass_rate")},
            "held": held,
            "passed": None if held is None else held >= HELD_SHARE,
            "p10": values[len(values) // 10] if values else None,
            "median": values[len(values) // 2] if values else None,
            "p90": values[-1 - len(values) // 10] if values else None,
        })  # fmt: skip
    return rows


def totals(rows: list[Row]) -> Totals:
    """What passes of what is counted."""
    counted = [row for row in rows if row["passed"] is not None]
    evidence = [row for row in counted if row["kind"] == "evidence"]
    passing = [sum(row["passed"] for row in some) for some in (counted, evidence)]
    return Totals(passing[0], len(counted), passing[1], len(evidence))


def season_table(name: str, seeds: range, changes: dict[str, float]) -> list[Row]:
    """The rows of one season, each with its name and `own`: how often one of these seasons passes as the record."""
    plan, records = load_season(name), checks.load_records(name)
    null_rates = null.null_pass_rates(plan, records)
    results = many(plan, load_parameters(plan.parameters, **changes), seeds, null_rates)
    rows = []
    for row, column in zip(summarise(results), zip(*results, strict=True), strict=True):
        values = [one["value"] for one in column]
        own = ceiling.passes_as_record(records.checks[row["name"]], values, HELD_SHARE)
        rows.append({"season": name, **row, "own": None if row["passed"] is None else own})
    return rows


def expected(rows: list[Row]) -> str:
    """Most that would pass had one of the model's own seasons been recorded; a range without a record counts as met."""
    counted = [row for row in rows if row["passed"] is not None]
    shares = []
    for some in (counted, [row for row in counted if row["kind"] == "evidence"]):
        passing = sum(1.0 if row["own"] is None else row["own"] for row in some)
        shares.append(figures.percent(passing / len(some)) if some else "–")
    return (
        f"one of the model's own seasons in the record's place: at most {shares[0]} of all checks pass on average, "
        f"{shares[1]} of those that are evidence"
    )


def remarks(names: list[str]) -> list[str]:
    """What the tables leave out: general checks that are not asked, scalars that the null model misses."""
    lines = []
    for name in names:
        plan, records = load_season(name), checks.load_records(name)
        lines += [f"{name}: {check} is not asked: {reason}" for check, reason in records.not_asked.items()]
        if records.null is None:
            lines.append(f"{name}: nothing recorded to match the null model to, so no check is evidence")
        else:
            lines += [f"{name}: the null model misses the {scalar}" for scalar in null.fit_null(plan, records).missed]
    return lines


def cells(row: Row) -> list[str]:
    """A row as text, in the order of `COLUMNS`."""
    recorded, *spread = (figures.in_unit(row[key], row["unit"]) for key in ("recorded", "median", "p10", "p90"))
    null_rate, own, held = ("–" if row[key] is None else f"{row[key]:.0%}" for key in ("null_pass_rate", "own", "held"))
    verdict = {True: "PASS", False: "FAIL", None: "undefined"}[row["passed"]]
    accepted = figures.accepted(row["low"], row["high"], row["unit"])
    return [row["season"], row["name"], row["kind"], recorded, accepted, *spread, null_rate, own, held, verdict]


def print_table(rows: list[Row], title: str) -> None:
    """The table, to standard output."""
    table = Table(title=title)
    for name in COLUMNS:
        table.add_column(name, justify="left" if name in LEFT else "right")
    for row in rows:
        table.add_row(*cells(row))
    Console(width=170).print(table)


ABOUT = f"""\
Written by `make seeds`. No fit looked at these seeds. A check passes when it holds in at least {HELD_SHARE:.0%} of
them; `null` is how often the model without firms, book or rules passes it, `own` how often one of these seasons does
when it stands in the record's place and the others are held against it: what chance leaves of a right model."""


def markdown(rows: list[Row], title: str, closing: list[str]) -> str:
    """The table as Markdown, with closing lines below it."""
    lines = [f"# {title}", "", *ABOUT.splitlines(), "", f"| {' | '.join(COLUMNS)} |"]
    lines.append(f"|{'|'.join('---' if name in LEFT else '---:' for name in COLUMNS)}|")
    lines += [f"| {' | '.join(cell.replace('|', '/') for cell in cells(row))} |" for row in rows]
    return "\n".join([*lines, "", *(f"- {line}" for line in closing)]) + "\n"


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seasons", nargs="*", metavar="SEASON")
    parser.add_argument("--first", type=int, default=701)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    parser.add_argument("--set", nargs="*", default=[], metavar="NAME=VALUE")
    arguments = parser.parse_args()
    changes = {name: float(value) for name, value in (item.split("=") for item in arguments.set)}
    names = arguments.seasons or [row["name"] for row in list_scenarios()]
    seeds = range(arguments.first, arguments.first + arguments.count)
    title = f"Realism checks, seeds {seeds.start} to {seeds.stop - 1} {' '.join(arguments.set)}".strip()
    rows: list[Row] = []
    for name in names:
        own = season_table(name, seeds, changes)
        print_table(own, f"{name}: {title}")
        print(f"{name}: {totals(own)}", flush=True)
        rows += own
    closing = [f"{name}: {totals([row for row in rows if row['season'] == name])}" for name in names]
    closing += [f"all seasons: {totals(rows)}", f"all seasons: {expected(rows)}", *remarks(names)]
    print("\n".join(closing[len(names) :]))
    if arguments.markdown is not None:
        arguments.markdown.write_text(markdown(rows, title, closing), "utf-8")
    return 0 if totals(rows).enough else 1


if __name__ == "__main__":
    sys.exit(main())
