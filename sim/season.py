"""A season's public facts: `scenarios/*.toml`, read and checked. Days, announced dates, and the rules of the cycle.

    dates       what was announced and when: deadlines, milestones, true-ups, drafts
    firms, allocation, offsets, penalty, banking, sales       the cycle's rules, each value with its source
    parameters  where this season's model differs from `parameters.toml`; at most six of them fitted

A fact carries the day from which it was known; agents ask `sim/information.py`, never this file, what they know.
This file may not hold behaviour, and no recorded volume, price or result may stand in a scenario.
"""

import datetime as dt
import tomllib
from dataclasses import dataclass, replace
from functools import cached_property
from pathlib import Path
from typing import Any

import msgspec
import numpy as np

from engine.codes import Rule
from engine.errors import ScenarioError
from engine.rules.schema import Rulebook, find_rulebook
from sim.facts import (
    Allocation,
    Announced,
    Banking,
    Calendar,
    DateKind,
    Firms,
    Offsets,
    OwnParameter,
    ParameterKind,
    Penalty,
    Product,
    Sale,
)
from sim.venue import rule_on, rulebook_text, season_rulebook

SCENARIOS = Path(__file__).parent / "scenarios"
MOST_FITTED = 6
"""Parameters that a season may fit."""


class _File(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A scenario file."""

    title: str
    title_zh: str
    market: str
    first_day: dt.date
    last_day: dt.date
    calendar: Calendar
    product: Product
    dates: list[Announced]
    firms: Firms
    allocation: Allocation
    penalty: Penalty
    banking: Banking
    offsets: Offsets | None = None
    sales: list[Sale] = []
    parameters_from: str = ""
    """A season whose parameters hold here too: nothing is fitted to this one."""
    parameters: dict[str, OwnParameter] = {}
    projection: bool = False
    """Whether this season never took place."""


@dataclass(frozen=True)
class SeasonPlan:
    """One season's facts."""

    name: str
    title: str
    title_zh: str
    market: str
    first_day: np.datetime64
    last_day: np.datetime64
    holidays: tuple[np.datetime64, ...]
    rules: bytes
    """Text of the season's rulebook."""
    book: Rulebook
    product: Product
    dates: tuple[Announced, ...]
    firms: int
    emissions_t: int
    """Verified emissions of all firms over the cycle, t."""
    emissions_until: np.datetime64
    """Last day whose emissions are due."""
    allocation: Allocation
    penalty: Penalty
    banking: Banking
    offsets: Offsets | None
    sales: tuple[Sale, ...]
    projection: bool
    parameters_from: str
    """Season whose fitted parameters are used; empty: its own."""
    parameters: dict[str, OwnParameter]
    facts: list[dict[str, Any]]
    """Every sourced value of the file, for the table of constants: name, value, unit, source, meaning."""

    @cached_property
    def days(self) -> np.ndarray:
        """Trading days, datetime64[D], ascending: weekdays that are no holidays, and the rulebook's extra days."""
        days = np.arange(self.first_day, self.last_day + 1)
        extra = [np.datetime64(day) for value in self.book.extra_days for day in value.compiled]
        return days[np.is_busday(days, holidays=list(self.holidays)) | np.isin(days, extra)]

    def last_trade_by(self, date: np.datetime64) -> np.datetime64:
        """The last day up to `date` on which the product trades by calendar and rulebook; else `date`."""
        instrument, days = self.instrument(self.product.symbol), self.days
        traded = (day for day in days[days <= date][::-1] if rule_on(self.book, Rule.TRADABLE, day, instrument) != 0)
        return next(traded, date)

    def of(self, kind: DateKind) -> list[Announced]:
        """The dates of one kind, in the order in which they became known."""
        return sorted((date for date in self.dates if date.kind == kind), key=lambda date: date.known_from)

    def last(self, kind: DateKind) -> Announced | None:
        """The date of one kind that was announced last."""
        found = self.of(kind)
        return found[-1] if found else None

    @property
    def deadline(self) -> Announced | None:
        """The day on which the registry looks at the accounts: the deadline that was announced last."""
        return self.last(DateKind.DEADLINE)

    @property
    def milestone(self) -> Announced | None:
        """The milestone, where there is one."""
        return self.last(DateKind.MILESTONE)

    @property
    def offsets_only(self) -> bool:
        """Whether the exchange trades offsets alone: what is due is due elsewhere."""
        return self.offsets is not None and any(unit.symbol == self.product.symbol for unit in self.offsets.units)

    def instrument(self, symbol: str) -> int:
        """Number of an instrument."""
        return self.book.symbols.index(symbol)

    def under(self, rules: str) -> "SeasonPlan":
        """The season under another market's rulebook, by the name of one that ships.

        Raises `ScenarioError` when that lacks the product or a unit that is sold.
        """
        symbols = find_rulebook(rules).symbols
        for symbol in (self.product.symbol, *(sale.symbol for sale in self.sales)):
            if symbol not in symbols:
                message = f"{self.name}: rules: got {rules!r}, expected a rulebook with {symbol}"
                raise ScenarioError(message)
        text = rulebook_text(rules, self.product, self.offsets.units if self.offsets else [])
        return replace(self, market=rules, rules=text, book=season_rulebook(rules, text))

    def moved(self, days: int, *, everything: bool) -> "SeasonPlan":
        """The season with deadlines, milestones and what follows them `days` calendar days later or earlier.

        With `everything` all that was announced moves, dates and announcements alike. The season's end moves too.
        """
        ends = {DateKind.DEADLINE, DateKind.MILESTONE, DateKind.CORRECTION_END, DateKind.COLLECTION}
        if not any(date.kind in ends for date in self.dates):
            message = f"{self.name}: a season without deadline and milestone cannot be moved"
            raise ScenarioError(message)
        dates = []
        for date in self.dates:
            moves = everything or date.kind in ends
            new = date.moved(days if everything else 0, days if moves else 0)
            dates.append(msgspec.structs.replace(new, known_from=min(new.known_from, new.date)))
        return replace(self, dates=tuple(dates), last_day=self.last_day + days)

    def without(self, *kinds: DateKind) -> "SeasonPlan":
        """The season in which dates of these kinds never were."""
        return replace(self, dates=tuple(date for date in self.dates if date.kind not in kinds))

    def announcements(self) -> list[dict[str, str]]:
        """Announced dates for charts: date, known_from, title, title_zh, source."""
        return [
            {"date": str(a.date), "known_from": str(a.known_from), "title": a.title, "title_zh": a.title_zh,
             "source": a.source} for a in self.dates
        ]  # fmt: skip


def _fail(path: Path, key: str, value: object, expected: str) -> ScenarioError:
    return ScenarioError(f"{path.name}: {key}: got {value!r}, expected {expected}")


def _check(path: Path, file: _File, book: Rulebook) -> None:
    """What the types cannot say."""
    if file.last_day <= file.first_day:
        raise _fail(path, "last_day", str(file.last_day), f"a day after {file.first_day}")
    if file.offsets is not None and not file.offsets.rules:
        raise _fail(path, "offsets.rules", [], "at least one rule")
    for symbol in [file.product.symbol, *(sale.symbol for sale in file.sales)]:
        if symbol not in book.symbols:
            raise _fail(path, "symbol", symbol, f"an instrument of {file.market}: {', '.join(book.symbols)}")
    for number, date in enumerate(file.dates):
        if not 0 < date.share <= 1:
            raise _fail(path, f"dates[{number}].share", date.share, "a share above 0 and at most 1")
    fitted = [name for name, own in file.parameters.items() if own.kind == ParameterKind.FITTED]
    if len(fitted) > MOST_FITTED:
        raise _fail(path, "parameters", fitted, f"at most {MOST_FITTED} fitted ones")
    for name, own in file.parameters.items():
        if (own.kind == ParameterKind.FITTED) != (own.range is not None):
            raise _fail(path, f"parameters.{name}.range", own.range, "a range for fitted parameters, and no others")
        if own.range is not None and not own.range[0] <= own.value <= own.range[1]:
            raise _fail(path, f"parameters.{name}.value", own.value, f"a value within {own.range}")
    total = sum(sector.share_of_firms for sector in file.allocation.sectors)
    if abs(total - 1) > 1e-9:
        raise _fail(path, "allocation.sectors.share_of_firms", total, "shares that add up to 1")
    if (file.penalty.price_multiple is None) != (file.penalty.price_base is None):
        raise _fail(path, "penalty.price_base", file.penalty.price_base, "a base where there is a multiple")
    for number, sale in enumerate(file.sales):
        if (sale.floor_cny is None) == (sale.floor_multiple is None):
            raise _fail(path, f"sales[{number}]", sale.floor_cny, "either floor_cny or floor_multiple")


def _facts(table: Any, key: str) -> list[dict[str, Any]]:
    """Every value with a source below `table`, with its dotted name."""
    found: list[dict[str, Any]] = []
    if isinstance(table, list):
        for number, item in enumerate(table):
            found += _facts(item, f"{key}[{number}]")
    elif isinstance(table, dict):
        if "value" in table and "source" in table:
            return [{"name": key, "value": table["value"], "unit": table.get("unit", ""), "source": table["source"],
                     "meaning": ""}]  # fmt: skip
        plain = {name: value for name, value in table.items() if not isinstance(value, dict | list)}
        if "source" in plain:
            shown = ", ".join(f"{n} {v}" for n, v in plain.items() if n not in ("source", "title", "title_zh"))
            found.append({"name": plain.get("title", key), "value": shown, "unit": "", "source": plain["source"],
                          "meaning": plain.get("title_zh", "")})  # fmt: skip
        for name, value in table.items():
            found += _facts(value, f"{key}.{name}" if key else name)
    return found


def _emissions_until(file: _File) -> np.datetime64:
    if file.firms.emissions_until is not None:
        return np.datetime64(file.firms.emissions_until)
    deadlines = [date.date for date in file.dates if date.kind == DateKind.DEADLINE]
    return np.datetime64(f"{max(deadlines).year - 1}-12-31") if deadlines else np.datetime64(file.last_day)


def _inherited(name: str) -> dict[str, OwnParameter]:
    """Parameters of another season; what it fitted is not fitted to this one."""
    if not name:
        return {}
    return {
        key: msgspec.structs.replace(
            own, kind=ParameterKind.ANCHORED if own.range else own.kind, range=None, source=f"{name}: {own.source}"
        )
        for key, own in load_season(name).parameters.items()
    }


def load_season(name: str) -> SeasonPlan:
    """A scenario by name. Raises `ScenarioError` naming file, key, value and expectation."""
    path = SCENARIOS / f"{name}.toml"
    if not path.is_file():
        known = ", ".join(sorted(p.stem for p in SCENARIOS.glob("*.toml")))
        message = f"no scenario named {name!r}; there are: {known}"
        raise ScenarioError(message)
    raw = path.read_bytes()
    try:
        file = msgspec.toml.decode(raw, type=_File)
    except msgspec.ValidationError as error:
        message = f"{path.name}: {error}"
        raise ScenarioError(message) from None
    _check(path, file, find_rulebook(file.market))
    text = rulebook_text(file.market, file.product, file.offsets.units if file.offsets else [])
    return SeasonPlan(
        name=name,
        title=file.title,
        title_zh=file.title_zh,
        market=file.market,
        first_day=np.datetime64(file.first_day),
        last_day=np.datetime64(file.last_day),
        holidays=tuple(np.datetime64(day) for day in file.calendar.holidays),
        rules=text,
        book=season_rulebook(file.market, text),
        product=file.product,
        dates=tuple(file.dates),
        firms=file.firms.count.value,
        emissions_t=file.firms.emissions_t.value,
        emissions_until=_emissions_until(file),
        allocation=file.allocation,
        penalty=file.penalty,
        banking=file.banking,
        offsets=file.offsets,
        sales=tuple(file.sales),
        projection=file.projection,
        parameters_from=file.parameters_from,
        parameters=_inherited(file.parameters_from) | file.parameters,
        facts=_facts(tomllib.loads(raw.decode()), ""),
    )


def list_scenarios() -> list[dict[str, str]]:
    """Name and titles of every scenario that ships."""
    plans = [load_season(path.stem) for path in sorted(SCENARIOS.glob("*.toml"))]
    return [{"name": p.name, "title": p.title, "title_zh": p.title_zh, "market": p.market} for p in plans]
