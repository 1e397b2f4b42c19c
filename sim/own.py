"""`emex fit`: a season's fitted parameters, estimated from somebody's own daily series of volume and price.

    CSV (sim/tape/read.py) -> the same measures as a simulated season -> those aimed at -> sim/fit.py
                                                                      -> the others: a check on what was not used

The scenario gives dates, firms and rules; its own record is not looked at. A day that the scenario trades and the
series leaves out had no trade. This file may not change a scenario.
"""

import datetime as dt
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
from joblib import Parallel, delayed
from rich.console import Console
from rich.table import Table

from engine.errors import ScenarioError
from sim import figures
from sim.checks import MEASURES, Check, Records, run_checks
from sim.facts import ParameterKind
from sim.fit import fit
from sim.forecast import distance
from sim.parameters import load_parameters
from sim.result import DAY, Season
from sim.season import SeasonPlan, load_season
from sim.tape.read import Tape, read_tape
from sim.world import World

REPORT_SEED = 701
"""First seed of the report; those of the fit are others."""
_FEW_DAYS = 20
"""Fewer recorded days than that say nothing."""

Progress = Callable[[int, int], None]


class _Target(NamedTuple):
    """A measure of the series, and how far a season may be from it."""

    name: str
    measure: str
    title: str
    title_zh: str
    width: float
    """Both ways: a share of the value; of shares themselves, points."""


AIMED = (
    _Target("total_volume", "total_volume", "Total volume", "总成交量", 0.2),
    _Target("late_share", "share_of_days_before", "Share of the last 30 days", "最后30天占比", 0.1),
    _Target("vwap", "vwap", "Mean price", "成交均价", 0.08),
    _Target("return_sd", "return_sd", "Standard deviation of returns", "收益率标准差", 0.4),
    _Target("close_low", "close_low", "Lowest close", "最低收盘价", 0.1),
)
NOT_USED = (
    _Target("late_share_60", "share_of_days_before", "Share of the last 60 days", "最后60天占比", 0.1),
    _Target("close_high", "close_high", "Highest close", "最高收盘价", 0.1),
    _Target("close_last", "close_last", "Last close", "最后收盘价", 0.1),
    _Target("top_five", "top_days_share", "Share of the five busiest days", "前五日占比", 0.1),
    _Target("idle_days", "idle_days", "Days without a trade", "无成交日占比", 0.1),
    _Target("median_day", "median_listed_day", "Median day on the screen", "日成交量中位数", 0.5),
)


def series_season(plan: SeasonPlan, tape: Tape) -> Season:
    """A recorded series in the shape of a finished season without firms, over the plan's trading days.

    Raises `ScenarioError` when too few of its days are in the season, or none has a trade.
    """
    days = plan.days
    table = np.zeros(len(days), DAY)
    table["date"] = days
    at = {day: number for number, day in enumerate(days.tolist())}
    rows = [(at[day.date], day) for day in tape if day.date in at]
    if len(rows) < _FEW_DAYS or not any(day.screen_t + day.block_t for _, day in rows):
        got = f"{len(rows)} days between {days[0]} and {days[-1]}"
        raise ScenarioError(f"{tape.path.name}: days: got {got}, expected at least {_FEW_DAYS}, with trades")
    table["spread_fen"] = table["depth_t"] = np.nan
    for number, day in rows:
        table["listed_qty_t"][number], table["block_qty_t"][number] = day.screen_t, day.block_t
        for mode, qty, price in (
            ("listed", day.screen_t, day.screen_vwap_fen),
            ("block", day.block_t, day.block_vwap_fen),
        ):
            table[f"{mode}_value_fen"][number] = 0 if np.isnan(price) else round(qty * price)
        close = day.screen_vwap_fen if np.isnan(day.close_fen) else day.close_fen
        table["close_fen"][number] = 0 if np.isnan(close) else round(close)
    _carry_closes(table)
    deadline = plan.deadline
    return Season(days=table, firms=None, deadline=deadline.day if deadline else None)


def _carry_closes(table: np.ndarray) -> None:
    """A day without a close has the one before; days before the first have the first."""
    closes = table["close_fen"]
    known = np.flatnonzero(closes)
    last = np.maximum.accumulate(np.where(closes > 0, np.arange(len(closes)), -1))
    closes[:] = closes[np.where(last < 0, known[0], last)]


def own_records(plan: SeasonPlan, series: Season, path: Path) -> Records:
    """The series' own figures as checks, those to be aimed at marked."""
    end = plan.deadline.date if plan.deadline else plan.last_day.astype(dt.date)
    arguments: dict[str, dict[str, Any]] = {
        "late_share": {"days": 30, "until": end}, "late_share_60": {"days": 60, "until": end}, "top_five": {"days": 5},
    }  # fmt: skip
    found = {}
    for target in (*AIMED, *NOT_USED):
        given = arguments.get(target.name, {})
        value = MEASURES[target.measure].function(series, **given).value
        if not isinstance(value, int | float):
            continue
        unit = MEASURES[target.measure].unit
        half = target.width if unit == "share" else abs(value) * target.width
        found[target.name] = Check(
            name=target.name, measure=target.measure, arguments=given, title=target.title, title_zh=target.title_zh,
            unit=unit, source=path.name, recorded=value, low=value - half, high=value + half,
            aimed=target in AIMED and half > 0, sanity=False,
        )  # fmt: skip
    return Records(path.stem, None, None, found, {})


def fit_own(
    path: Path,
    scenario: str,
    rules: str | None = None,
    product: str | None = None,
    trials: int = 40,
    seeds: int = 8,
    progress: Progress | None = None,
) -> dict[str, Any]:
    """What `emex fit --json` prints.

    Parameters
    ----------
    path : CSV with date, volume and price columns, see `sim.tape.read`
    scenario : whose dates, firms, rules and fitted parameters hold
    rules : another rulebook, by name or path
    product : whose rows of the file, where it has several

    Returns `parameters` [{name, value, low, high, start}] (low to high: two standard errors around it),
    `aimed` and `not_used` [{name, recorded, low, high, value, held}] (medians, and shares of fresh seeds that hold),
    `unmet` names of aimed checks whose median is outside, `profile_distance` {fitted, uniform} (total variation between
    monthly shares), `loss`, `noise`, `trials`, `seeds`. Raises `ScenarioError`.
    """
    plan = load_season(scenario)
    if not any(own.kind == ParameterKind.FITTED for own in plan.parameters.values()):
        message = f"{scenario}: parameters: got no fitted ones, expected a season that fits some"
        raise ScenarioError(message)
    if rules is not None:
        plan = plan.under(rules)
    series = series_season(plan, read_tape(path, product))
    records = own_records(plan, series, path)
    found = fit(plan, records, trials, seeds, progress=progress)
    p = load_parameters(plan.parameters, **found.best)
    seasons = Parallel(n_jobs=-1)(
        delayed(lambda seed: World(plan, p, seed).run())(REPORT_SEED + n) for n in range(seeds)
    )  # fmt: skip
    no_null: dict[str, float | None] = dict.fromkeys(records.checks)
    judged = [run_checks(season, records, no_null) for season in seasons]
    rows = [_row(column) for column in zip(*judged, strict=True)]
    aimed = [row for row in rows if records.checks[row["name"]].aimed]
    simulated = np.mean([monthly_shares(season.days) for season in seasons], axis=0)
    recorded = monthly_shares(series.days)
    uniform = np.full(len(recorded), 1 / len(recorded))
    return {
        "scenario": scenario, "rules": plan.market, "series": path.name, "trials": found.trials, "seeds": seeds,
        "parameters": [
            {"name": name, "value": value, "low": found.within[name][0], "high": found.within[name][1],
             "start": plan.parameters[name].value} for name, value in found.best.items()
        ],
        "aimed": aimed,
        "unmet": [row["name"] for row in aimed if not row["inside"]],
        "not_used": [row for row in rows if row not in aimed],
        "profile_distance": {"fitted": distance(simulated, recorded), "uniform": distance(uniform, recorded)},
        "loss": found.loss, "noise": found.noise,
    }  # fmt: skip


def _row(column: tuple[dict[str, Any], ...]) -> dict[str, Any]:
    """One check over the seeds of the report."""
    first = column[0]
    values = [row["value"] for row in column if row["value"] is not None]
    median = float(np.median(values)) if values else None
    return {
        "name": first["name"], "title": first["title"], "unit": first["unit"], "recorded": first["recorded"],
        "low": first["low"], "high": first["high"], "value": median,
        "held": float(np.mean([bool(row["passed"]) for row in column])),
        "inside": median is not None and first["low"] <= median <= first["high"],
    }  # fmt: skip


def monthly_shares(days: np.ndarray) -> np.ndarray:
    """Share of the volume by month of DAY rows, float, shape (months,); zeros without a trade."""
    months = days["date"].astype("datetime64[M]")
    total = (days["listed_qty_t"] + days["block_qty_t"]).astype(float)
    by_month: np.ndarray = np.array([total[months == month].sum() for month in np.unique(months)])
    shares: np.ndarray = by_month / max(float(by_month.sum()), 1.0)
    return shares


def print_fit(summary: dict[str, Any], console: Console) -> None:
    """The estimate, what it meets, and what it was not aimed at."""
    console.print(
        f"[bold]{summary['series']}[/bold] as {summary['scenario']} under {summary['rules']}: "
        f"{summary['trials']} trials of {summary['seeds']} seeds, loss {summary['loss']:.2f} "
        f"(noise {summary['noise']:.2f})"
    )
    table = Table(title="Fitted parameters", title_justify="left", box=None)
    for name in ("parameter", "value", "two standard errors", "start"):
        table.add_column(name, justify="left" if name == "parameter" else "right")
    for row in summary["parameters"]:
        table.add_row(
            row["name"], f"{row['value']:.4g}", f"{row['low']:.4g} – {row['high']:.4g}", f"{row['start']:.4g}"
        )
    console.print(table)
    for title, key in (("Aimed at", "aimed"), ("Not used in the fit", "not_used")):
        table = Table(title=title, title_justify="left", box=None)
        for name in ("figure", "series", "accepted", "median", "held"):
            table.add_column(name, justify="left" if name == "figure" else "right")
        for row in summary[key]:
            accepted = figures.accepted(row["low"], row["high"], row["unit"])
            recorded, value = (figures.in_unit(row[name], row["unit"]) for name in ("recorded", "value"))
            table.add_row(row["name"], recorded, accepted, value, f"{row['held']:.0%}")
        console.print(table)
    gap = summary["profile_distance"]
    console.print(
        f"monthly shares: distance {gap['fitted']:.2f} (uniform {gap['uniform']:.2f}); "
        f"unmet: {', '.join(summary['unmet']) or 'none'}"
    )
