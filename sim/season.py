"""A season's public facts: `scenarios/*.toml`, read and checked. Days, announced dates, and the cycle's rules.

A fact carries the day from which it was known; agents ask `sim/information.py`, never this file, what they know.
This file may not hold behaviour, and no recorded figure may stand in a scenario.
"""

import datetime as dt
import tomllib
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np

from engine.errors import ScenarioError
from engine.rules.schema import find_rulebook

SCENARIOS = Path(__file__).parent / "scenarios"
_TOP = {"title", "title_zh", "market", "records", "first_day", "last_day", "calendar", "deadline", "milestone",
        "true_up", "cycle"}  # fmt: skip
_CYCLE = {"firms", "emissions_t", "preallocated_share", "duty_cap_share", "offset_cap_share", "fine_cny",
          "deduction_multiple"}  # fmt: skip


@dataclass(frozen=True)
class Announced:
    """A date and the day from which it is public."""

    date: np.datetime64
    known_from: np.datetime64
    title: str
    title_zh: str
    source: str
    share: float = 1.0
    """Share of firms that it binds."""

    def moved(self, known_days: int, days: int) -> "Announced":
        """The same announcement, made `known_days` later and about a date `days` later (calendar days)."""
        return replace(self, date=self.date + days, known_from=self.known_from + known_days)


@dataclass(frozen=True)
class SeasonPlan:
    """One season's facts."""

    name: str
    title: str
    title_zh: str
    market: str
    records: str
    first_day: np.datetime64
    last_day: np.datetime64
    holidays: tuple[np.datetime64, ...]
    deadline: Announced | None
    milestone: Announced | None
    true_up: Announced
    firms: int
    emissions_t: int
    """Verified emissions of all firms over the cycle, t."""
    preallocated_share: float
    duty_cap_share: float
    offset_cap_share: float
    fine_fen: int
    deduction_multiple: float
    sources: dict[str, dict[str, Any]]
    """The `[cycle]` table as written: value, unit and source by name."""

    @property
    def days(self) -> np.ndarray:
        """Trading days, datetime64[D], ascending: weekdays that are no holidays."""
        days = np.arange(self.first_day, self.last_day + 1)
        return days[np.is_busday(days, holidays=list(self.holidays))]

    def moved(self, days: int, *, true_up: bool) -> "SeasonPlan":
        """The season with deadline and milestone (and the true-up notice) `days` calendar days later or earlier.

        The season ends with the legal deadline, as it does without a move.
        """
        if self.deadline is None or self.milestone is None:
            message = f"{self.name}: a season without deadline and milestone cannot be moved"
            raise ScenarioError(message)
        return replace(
            self,
            deadline=replace(self.deadline, date=self.deadline.date + days),
            milestone=self.milestone.moved(days if true_up else 0, days),
            true_up=self.true_up.moved(days, days) if true_up else self.true_up,
            last_day=self.last_day + days,
        )

    def without_deadline(self) -> "SeasonPlan":
        """The season in which nobody has to comply by any date."""
        return replace(self, deadline=None, milestone=None)

    def facts(self) -> list[dict[str, Any]]:
        """The cycle's facts and announced dates with their sources, for the table of constants."""
        dates = [
            {"name": row["title"], "value": row["date"], "unit": f"known from {row['known_from']}",
             "source": row["source"], "meaning": row["title_zh"]} for row in self.announcements()
        ]  # fmt: skip
        return [{"name": name, "meaning": "", **entry} for name, entry in self.sources.items()] + dates

    def announcements(self) -> list[dict[str, str]]:
        """Announced dates for charts: date, known_from, title, title_zh, source."""
        found = [a for a in (self.true_up, self.milestone, self.deadline) if a is not None]
        return [
            {"date": str(a.date), "known_from": str(a.known_from), "title": a.title, "title_zh": a.title_zh,
             "source": a.source} for a in found
        ]  # fmt: skip


def _fail(path: Path, key: str, value: object, expected: str) -> ScenarioError:
    return ScenarioError(f"{path.name}: {key}: got {value!r}, expected {expected}")


def _announced(path: Path, key: str, table: Any) -> Announced:
    if not isinstance(table, dict):
        raise _fail(path, key, table, "a table with date, known_from, title, title_zh, source")
    for name in ("date", "known_from"):
        if type(table.get(name)) is not dt.date:
            raise _fail(path, f"{key}.{name}", table.get(name), "a date")
    for name in ("title", "title_zh", "source"):
        if not isinstance(table.get(name), str):
            raise _fail(path, f"{key}.{name}", table.get(name), "a text")
    share = table.get("share", 1.0)
    if not isinstance(share, float) or not 0 < share <= 1:
        raise _fail(path, f"{key}.share", share, "a share above 0 and at most 1")
    return Announced(
        np.datetime64(table["date"]), np.datetime64(table["known_from"]), table["title"], table["title_zh"],
        table["source"], share,
    )  # fmt: skip


def load_season(name: str) -> SeasonPlan:
    """A scenario by name. Raises `ScenarioError` naming file, key, value and expectation."""
    path = SCENARIOS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SCENARIOS.glob("*.toml")))
        message = f"no scenario named {name!r}; there are: {known}"
        raise ScenarioError(message)
    with path.open("rb") as file:
        data = tomllib.load(file)
    for key in data:
        if key not in _TOP:
            raise _fail(path, key, data[key], f"one of {', '.join(sorted(_TOP))}")
    cycle = data.get("cycle", {})
    if set(cycle) != _CYCLE:
        raise _fail(path, "cycle", sorted(cycle), f"exactly {', '.join(sorted(_CYCLE))}")
    for key, entry in cycle.items():
        if not isinstance(entry, dict) or not entry.get("source"):
            raise _fail(path, f"cycle.{key}", entry, "a table with value, unit and source")
    values = {key: entry["value"] for key, entry in cycle.items()}
    find_rulebook(data["market"])
    return SeasonPlan(
        name=name,
        title=data["title"],
        title_zh=data["title_zh"],
        market=data["market"],
        records=data["records"],
        first_day=np.datetime64(data["first_day"]),
        last_day=np.datetime64(data["last_day"]),
        holidays=tuple(np.datetime64(day) for day in data["calendar"]["holidays"]),
        deadline=_announced(path, "deadline", data.get("deadline")),
        milestone=_announced(path, "milestone", data.get("milestone")),
        true_up=_announced(path, "true_up", data.get("true_up")),
        firms=values["firms"],
        emissions_t=values["emissions_t"],
        preallocated_share=values["preallocated_share"],
        duty_cap_share=values["duty_cap_share"],
        offset_cap_share=values["offset_cap_share"],
        fine_fen=values["fine_cny"] * 100,
        deduction_multiple=values["deduction_multiple"],
        sources=cycle,
    )


def list_scenarios() -> list[dict[str, str]]:
    """Name and titles of every scenario that ships."""
    plans = [load_season(path.stem) for path in sorted(SCENARIOS.glob("*.toml"))]
    return [{"name": p.name, "title": p.title, "title_zh": p.title_zh, "market": p.market} for p in plans]
