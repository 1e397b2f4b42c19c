"""Ablation: which checks fail when one behaviour is taken away, other parameters kept.

    python -m sim.ablation [SEASON …] [--first 701] [--count 6] [--markdown FILE]

A behaviour is taken away by its parameters alone, so that no agent has a switch of its own. "Lost" are checks that pass
with everything in place and do not without; "gained" the other way round. Nothing is fitted again.
"""

import argparse
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.table import Table

from sim import checks, null
from sim.parameters import load_parameters
from sim.season import load_season
from sim.seeds import Row, many, summarise, totals

SEASONS = ("cea-2021", "hbea-2017")
ABLATIONS: dict[str, dict[str, float]] = {
    "nothing (base)": {},
    "own need known from the start": {"need_sigma": 0.0},
    "no prudence": {"prudence_z": 0.0},
    "no procrastination": {"procrastination_days": 10_000.0},
    "the same threshold for all": {"procrastination_sigma": 0.0},
    "no approval": {"approval_days": 1.0, "approval_sigma": 0.0},
    "no pressure on approval": {"approval_pressure": 0.0},
    "no hoarding": {"hoard_share": 0.0},
    "no netting within groups": {"headquarters_share": 0.0},
    "no block search": {"search_base": 0.0, "search_pressure": 0.0, "search_patience": 0},
    "values all equal": {"value_sigma": 0.0},
    "quotes do not scatter": {"quote_scatter": 0.0},
    "quotes never concede": {"concession": 0.0},
    "no unease when the price moves": {"nervousness": 0.0},
    "no withholding in a rising market": {"withholding": 0.0},
    "no urgency in what buyers pay": {"deadline_willingness": 0.0},
    "no noise": {"noise_clicks": 0.0},
    "no market makers": {"makers": 0},
    "no speculators": {"speculators": 0},
    "everybody complies": {"unresponsive_share": 0.0},
}
"""Parameters changed, by what they take away."""

COLUMNS = ("season", "without", "checks pass", "lost", "gained")


def season_rows(name: str, seeds: range) -> list[dict[str, Any]]:
    """A row an ablation: `season, without, passing, counted, lost, gained`."""
    plan = load_season(name)
    null_rates = null.null_pass_rates(plan, checks.load_records(name))
    rows: list[dict[str, Any]] = []
    base: set[str] = set()
    for without, changes in ABLATIONS.items():
        found: list[Row] = summarise(many(plan, load_parameters(plan.parameters, **changes), seeds, null_rates))
        passing = {row["name"] for row in found if row["passed"]}
        base = base if rows else passing
        rows.append({
            "season": name, "without": without, "passing": totals(found).held, "counted": totals(found).checks,
            "lost": sorted(base - passing), "gained": sorted(passing - base),
        })  # fmt: skip
    return rows


def main() -> None:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("seasons", nargs="*", default=SEASONS, metavar="SEASON")
    parser.add_argument("--first", type=int, default=701)
    parser.add_argument("--count", type=int, default=6)
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    seeds = range(arguments.first, arguments.first + arguments.count)
    table = Table(*COLUMNS, title=f"Without one behaviour, seeds {seeds.start} to {seeds.stop - 1}")
    lines = [f"| {' | '.join(COLUMNS)} |", f"|{'---|' * len(COLUMNS)}"]
    for name in arguments.seasons:
        for row in season_rows(name, seeds):
            cells = [name, row["without"], f"{row['passing']} of {row['counted']}",
                     ", ".join(row["lost"]) or "–", ", ".join(row["gained"]) or "–"]  # fmt: skip
            table.add_row(*cells)
            lines.append(f"| {' | '.join(cells)} |")
    Console(width=170).print(table)
    if arguments.markdown is not None:
        arguments.markdown.write_text("\n".join(lines) + "\n", "utf-8")


if __name__ == "__main__":
    main()
