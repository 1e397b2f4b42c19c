"""The shapes of a season's public facts, as `scenarios/*.toml` writes them. No reading, no behaviour.

Every value has a source; every date has the day from which it was known.
"""

import datetime as dt
from enum import StrEnum
from typing import Generic, TypeVar

import msgspec
import numpy as np

T = TypeVar("T")


class Fact(msgspec.Struct, Generic[T], frozen=True, forbid_unknown_fields=True):
    """One value with where it comes from."""

    value: T
    source: str
    unit: str = ""


class DateKind(StrEnum):
    """What an announced date is for."""

    DEADLINE = "deadline"
    """Surrender is due 清缴截止; of several, the one that was announced last holds."""
    MILESTONE = "milestone"
    """A share of the firms must have surrendered by then."""
    TRUE_UP = "true_up"
    """Final allocations are approved and issued from here on 核定配额."""
    LAST_DEADLINE = "last_deadline"
    """The cycle before ended then: what firms expect as long as nothing is announced."""
    DRAFT = "draft"
    """A draft of the next rules that names no date in this year."""
    ESTIMATE = "estimate"
    """Something published that narrows what a firm knows of its own need."""
    CORRECTION_END = "correction_end"
    """Who was late may make up until then 责令改正."""
    COLLECTION = "collection"
    """Units that cannot be carried over are taken back."""
    SUPPLY_KNOWN = "supply_known"
    """The surplus of the whole market is published."""


class Announced(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A date and the day from which it is public."""

    kind: DateKind
    date: dt.date
    known_from: dt.date
    title: str
    title_zh: str
    source: str
    share: float = 1.0
    """Share of firms that it binds."""
    need_sigma: float | None = None
    """A firm's error about its own position from `known_from` on, share of emissions."""

    @property
    def day(self) -> np.datetime64:
        """`date` for arithmetic."""
        return np.datetime64(self.date)

    @property
    def known_day(self) -> np.datetime64:
        """`known_from` for arithmetic."""
        return np.datetime64(self.known_from)

    def moved(self, known_days: int, days: int) -> "Announced":
        """The same announcement, made `known_days` later and about a date `days` later (calendar days)."""
        return msgspec.structs.replace(
            self,
            date=self.date + dt.timedelta(days=days),
            known_from=self.known_from + dt.timedelta(days=known_days),
        )


class Calendar(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Days without trading beside the weekends."""

    holidays: list[dt.date]
    source: str


class Product(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What is due and traded."""

    symbol: str
    """An instrument of the market's rulebook."""
    reference_price_cny: Fact[float] | None = None
    """Last price that was known before the season; absent: the rulebook's."""


class Firms(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Who has to comply."""

    count: Fact[int]
    emissions_t: Fact[int]
    """Verified emissions of all firms over the cycle, t."""
    emissions_until: dt.date | None = None
    """Last day whose emissions are due; absent: the end of the year before the deadline's, or the season's end."""


class Method(StrEnum):
    """How free allocations come about."""

    BENCHMARK = "benchmark"
    INTENSITY = "intensity"
    GRANDFATHERING = "grandfathering"
    DECLARED = "declared"


class Sector(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Firms that are allocated to in the same way."""

    name: str
    name_zh: str
    share_of_firms: float
    method: Method
    source: str
    plan: str = ""
    """Benchmark plan, of `sim/allocation/benchmarks.toml`."""
    factor: float = 1.0
    """Decline factor of intensity and grandfathering."""


class Allocation(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Free units: how many, when, and how far a duty can go beyond them."""

    sectors: list[Sector]
    preallocated_share: Fact[float]
    auctioned_share: Fact[float] | None = None
    duty_cap_share: Fact[float] | None = None
    """Duty at most the free allocation and this share of emissions; absent: no cap."""
    topup_floor_share: Fact[float] | None = None
    """Issued up to this share of emissions; absent: nothing."""
    declared_cap_t: Fact[int] | None = None
    """Declared emissions beyond this sum are scaled down."""


class OffsetUnit(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """One kind of offset credit that holders sell on this market: an instrument of the rulebook, or an added one."""

    symbol: str
    title: str
    title_zh: str
    project_type: str
    region: str
    crediting_from: dt.date
    crediting_to: dt.date
    issued_t: Fact[int]
    """Supply that holders bring to this market."""
    issued_on: dt.date
    reference_price_cny: Fact[float]


class OffsetRule(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What may be surrendered in place of allowances, as known from a day on."""

    known_from: dt.date
    source: str
    excluded_types: list[str] = []
    regions: list[str] = []
    """Regions admitted; empty: all."""
    crediting_from: dt.date | None = None
    crediting_to: dt.date | None = None
    local_regions: list[str] = []
    local_min_share: float = 0.0
    """Share of the offsets surrendered that must come from `local_regions`."""
    total_cap_t: int | None = None

    def admits(self, unit: OffsetUnit) -> str | None:
        """Why the unit may not be surrendered; None where it may."""
        if unit.project_type in self.excluded_types:
            return f"project type {unit.project_type} is excluded"
        if self.regions and unit.region not in self.regions:
            return f"region {unit.region} is not admitted"
        if self.crediting_from is not None and unit.crediting_from < self.crediting_from:
            return f"crediting period begins before {self.crediting_from}"
        if self.crediting_to is not None and unit.crediting_to > self.crediting_to:
            return f"crediting period ends after {self.crediting_to}"
        return None


class CapBase(StrEnum):
    """Of what the offset cap is a share."""

    DUTY = "duty"
    ALLOCATION = "allocation"
    EMISSIONS = "emissions"


class Offsets(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Offsets 抵消."""

    cap_share: Fact[float]
    cap_base: CapBase
    units: list[OffsetUnit]
    rules: list[OffsetRule]
    """Ascending by `known_from`."""

    def rule(self, day: np.datetime64) -> OffsetRule:
        """The rule as known on `day`; before the first, the first."""
        known = [rule for rule in self.rules if np.datetime64(rule.known_from) <= day]
        return known[-1] if known else self.rules[0]


class PenaltyBase(StrEnum):
    """Over which trades the price of a penalty is averaged (all vintages, by volume)."""

    JANUARY_TO_JUNE = "january_to_june"
    MONTH_BEFORE = "month_before_deadline"
    YEAR = "year_before_deadline"


class Penalty(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """What a tonne short costs, after the correction window."""

    deduction_multiple: Fact[float]
    """Units that the next allocation loses, of the shortfall."""
    fine_cny: Fact[int] | None = None
    """A lump sum for each firm short."""
    price_multiple: Fact[float] | None = None
    """Times the mean price, for each tonne short."""
    price_base: PenaltyBase | None = None
    cap_cny: Fact[int] | None = None
    """At most so much for each firm."""
    forced_deduction: bool = False
    """What stands in the account is taken 强制扣缴."""


class Carry(StrEnum):
    """Which units survive the season."""

    ALL = "all"
    TRADED = "traded"
    """Only units that have been traded."""
    SALES = "sales"
    """A base amount and a multiple of net sales."""


class Banking(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """Carry-over 结转, and borrowing."""

    carry: Carry
    source: str
    known_from: dt.date | None = None
    """Day from which the rule is public; until then holders doubt that units survive. Absent: known before."""
    base_t: int = 0
    sales_multiple: float = 0.0
    carried_in_share: float = 0.0
    """Units of earlier cycles that firms bring with them, share of emissions."""
    borrowing_share: float = 0.0
    """Of a gap of at least `borrowing_from_share` of the duty, what may come from the next allocation."""
    borrowing_from_share: float = 0.0


class Sale(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A sale by the government 有偿发放: sealed bids at or above a floor."""

    date: dt.date
    known_from: dt.date
    title: str
    title_zh: str
    source: str
    symbol: str
    """Units sold."""
    offered_t: int
    floor_cny: float | None = None
    """A floor that the notice names."""
    floor_multiple: float | None = None
    """Or this multiple of the screen's mean price from `floor_from` to the day before."""
    floor_from: dt.date | None = None
    floor_cap_cny: float | None = None
    max_share_of_need: float | None = None
    """A bidder may take at most this share of what it is short."""


class ParameterKind(StrEnum):
    """Where a season's own parameter comes from."""

    FITTED = "fitted"
    ANCHORED = "anchored"
    ASSUMED = "assumed"


class OwnParameter(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """A parameter that differs from `parameters.toml` in this season."""

    value: float
    kind: ParameterKind
    source: str
    range: tuple[float, float] | None = None
    """Within which a fit may search; fitted ones only."""
