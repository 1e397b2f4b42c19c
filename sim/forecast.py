"""Out of sample: seasons predicted from parameters that were fitted to an earlier one, against naive guesses.

    python -m sim.forecast national|guangdong [--first 1] [--count 10] [--markdown FILE]

`sim/registered/*.md` says what was fixed before the first run. Compared are shares of the season's volume by month,
counted back from the month of the deadline; the distance is total variation. Rivals: last season's shares, the mean of
past seasons, uniform, last season's moved by the move of the nearest date, and the null model matched to the fitted
season. Exit status 1 unless the model beats the null and the mean of past seasons in at least half of the seasons.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table

from engine.errors import ScenarioError
from sim.checks import load_records
from sim.null import null_monthly_shares
from sim.parameters import load_parameters
from sim.season import SeasonPlan, load_season
from sim.world import World

ROUNDS = {
    "national": ("cea-2021", ("cea-2022", "cea-2023", "cea-2024", "cea-2025")),
    "guangdong": ("gdea-2017", ("gdea-2018", "gdea-2019")),
}
"""By name: the season that was fitted, and those that are predicted, in order."""
MONTHS = 13
"""Of a profile: the month of the deadline and the twelve before it."""
RIVALS = ("last", "past mean", "uniform", "moved", "null", "null with belief")

Profile = np.ndarray
"""Shares by month, float, shape (MONTHS,); 0 is the month of the deadline, 1 the month before it."""


def _end_month(plan: SeasonPlan) -> np.datetime64:
    end = plan.deadline.day if plan.deadline else plan.last_day
    month: np.datetime64 = end.astype("datetime64[M]")
    return month


def profile(plan: SeasonPlan, shares: dict[str, float]) -> Profile:
    """Shares by calendar month (2022-01) as a profile; what is outside of it is left out, the rest scaled to 1."""
    found = np.zeros(MONTHS)
    for month, share in shares.items():
        back = int((_end_month(plan) - np.datetime64(month, "M")).astype(int))
        if 0 <= back < MONTHS:
            found[back] += share
    return found / max(float(found.sum()), 1e-12)


def recorded_profile(plan: SeasonPlan) -> Profile:
    """The record's. Raises `ScenarioError` where none was published."""
    volume = load_records(plan.name).monthly_volume
    if volume is None:
        raise ScenarioError(f"{plan.name}.toml: monthly_volume: got None, expected recorded tonnes by month")
    return profile(plan, {month: float(t) for month, t in volume.volume_t.items()})


def simulated_profile(plan: SeasonPlan, seed: int) -> Profile:
    """One season's."""
    season = World(plan, load_parameters(plan.parameters), seed).run()
    months = season.days["date"].astype("datetime64[M]")
    return profile(plan, {str(month): float(season.total_qty_t[months == month].sum()) for month in np.unique(months)})


def distance(one: Profile, other: Profile) -> float:
    """Total variation, 0 to 1."""
    return float(np.abs(one - other).sum() / 2)


def _moved_by(plan: SeasonPlan, before: SeasonPlan) -> int:
    """Months by which the nearest binding date has come nearer to the deadline since the season before."""

    def ahead(one: SeasonPlan) -> int:
        if one.milestone is None:
            return 0
        return int((_end_month(one) - one.milestone.day.astype("datetime64[M]")).astype(int))

    return ahead(plan) - ahead(before)


def predict(name: str, seeds: range) -> list[dict[str, Any]]:
    """A row a season: `season, mean_profile, mean_distance` of the model, and the distance of every rival."""
    fitted_name, names = ROUNDS[name]
    fitted = load_season(fitted_name)
    past = [(fitted, recorded_profile(fitted))]
    rows = []
    for season_name in names:
        plan = load_season(season_name)
        record = recorded_profile(plan)
        profiles = Parallel(n_jobs=-1)(delayed(simulated_profile)(plan, seed) for seed in seeds)
        before, last = past[-1]
        known = load_records(fitted_name)
        rivals = {
            "last": last,
            "past mean": np.mean([shares for _, shares in past], axis=0),
            "uniform": profile(plan, {str(m): 1.0 for m in np.unique(plan.days.astype("datetime64[M]"))}),
            "moved": _shifted(last, _moved_by(plan, before)),
            "null": profile(plan, null_monthly_shares(plan, known, matched_on=fitted)),
            "null with belief": profile(plan, null_monthly_shares(plan, known, matched_on=fitted, belief=True)),
        }  # fmt: skip
        rows.append({
            "season": season_name,
            "mean_profile": distance(np.mean(profiles, axis=0), record),
            "mean_distance": float(np.mean([distance(one, record) for one in profiles])),
            **{rival: distance(guess, record) for rival, guess in rivals.items()},
        })  # fmt: skip
        past.append((plan, record))
    return rows


def _shifted(shares: Profile, months: int) -> Profile:
    """A profile `months` further from the deadline; what falls off the ends stays at the end."""
    found = np.zeros(MONTHS)
    for back, share in enumerate(shares):
        found[min(max(back + months, 0), MONTHS - 1)] += share
    return found


def beats(row: dict[str, Any]) -> bool:
    """Whether the model's mean profile is nearer than the null model's and than the mean of past seasons."""
    return bool(row["mean_profile"] < min(row["null"], row["null with belief"], row["past mean"]))


def main() -> int:
    """Command line of this module."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("round", choices=sorted(ROUNDS))
    parser.add_argument("--first", type=int, default=1)
    parser.add_argument("--count", type=int, default=10)
    parser.add_argument("--markdown", type=Path, metavar="FILE")
    arguments = parser.parse_args()
    rows = predict(arguments.round, range(arguments.first, arguments.first + arguments.count))
    columns = ("season", "mean_profile", "mean_distance", *RIVALS)
    table = Table(title=f"Distance of monthly shares to the record, {arguments.round}")
    lines = [f"| {' | '.join((*columns, 'beats null and past mean'))} |", f"|{'---|' * (len(columns) + 1)}"]
    for column in (*columns, "beats null and past mean"):
        table.add_column(column)
    for row in rows:
        cells = [row["season"], *(f"{row[column]:.3f}" for column in columns[1:]), "yes" if beats(row) else "no"]
        table.add_row(*cells)
        lines.append(f"| {' | '.join(cells)} |")
    Console(width=150).print(table)
    if arguments.markdown is not None:
        arguments.markdown.write_text("\n".join(lines) + "\n", "utf-8")
    won = sum(beats(row) for row in rows)
    print(f"beats the null model and the mean of past seasons in {won} of {len(rows)}")
    return 0 if 2 * won >= len(rows) else 1


if __name__ == "__main__":
    sys.exit(main())
