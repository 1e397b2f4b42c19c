"""Seasons for tests: the shipped ones with fewer firms and days, and figures read from their tapes without `sim`.

Sums that belong to the firms (emissions, caps, sales, offsets) shrink with their number, so that a firm stays as large
as it is and the market as tight. Everything else of a season is as it ships.
"""

from dataclasses import replace
from functools import cache

import msgspec
import numba
import numpy as np
import pytest

from engine.codes import EventKind, Side
from sim.parameters import load_parameters
from sim.population import Population
from sim.port import FIRST_ACCOUNT
from sim.result import Season
from sim.season import SeasonPlan, list_scenarios, load_season
from sim.world import World

SEASONS = [row["name"] for row in list_scenarios()]
WITH_DEADLINE = [name for name in SEASONS if load_season(name).deadline is not None]
UTC_OFFSET = np.timedelta64(8, "h")
slow_without_compiler = pytest.mark.skipif(
    bool(numba.config.DISABLE_JIT), reason="whole seasons are for the compiled lane"
)


def small(name: str, firms: int = 120, first: str | None = None, last: str | None = None) -> SeasonPlan:
    """At most `firms` firms, and only the days from `first` to `last`."""
    full = load_season(name)
    count = min(firms, full.firms)

    def scaled(tonnes: int) -> int:
        return tonnes * count // full.firms

    allocation, offsets = full.allocation, full.offsets
    if allocation.declared_cap_t is not None:
        cap = msgspec.structs.replace(allocation.declared_cap_t, value=scaled(allocation.declared_cap_t.value))
        allocation = msgspec.structs.replace(allocation, declared_cap_t=cap)
    if offsets is not None:
        units = [
            msgspec.structs.replace(u, issued_t=msgspec.structs.replace(u.issued_t, value=scaled(u.issued_t.value)))
            for u in offsets.units
        ]
        offsets = msgspec.structs.replace(offsets, units=units)
    return replace(
        full,
        firms=count,
        emissions_t=scaled(full.emissions_t),
        allocation=allocation,
        offsets=offsets,
        sales=tuple(msgspec.structs.replace(sale, offered_t=scaled(sale.offered_t)) for sale in full.sales),
        first_day=max(full.first_day, np.datetime64(first)) if first else full.first_day,
        last_day=np.datetime64(last) if last else full.last_day,
    )


def run(plan: SeasonPlan, seed: int = 501, **changes: float) -> tuple[World, Season]:
    """A season and the world it came from."""
    world = World(plan, load_parameters(plan.parameters, **changes), seed)
    return world, world.run()


@cache
def shared(name: str, firms: int, first: str, last: str, seed: int = 501) -> tuple[World, Season]:
    """A small season that several tests look at and none changes."""
    return run(small(name, firms, first, last), seed)


def tape(season: Season) -> np.ndarray:
    """All its events."""
    assert season.events is not None
    return season.events


def firm_rows(season: Season) -> np.ndarray:
    """Its FIRM rows."""
    assert season.firms is not None
    return season.firms


def days_of(events: np.ndarray) -> np.ndarray:
    """The day in China of each event, datetime64[D]."""
    moments: np.ndarray = events["time_ns"].astype("datetime64[ns]")
    days: np.ndarray = (moments + UTC_OFFSET).astype("datetime64[D]")
    return days


def trades_of(season: Season, *instruments: int) -> np.ndarray:
    """TRADE rows of these instruments, of all where none is named."""
    events = tape(season)
    found = events[events["kind"] == EventKind.TRADE]
    of_these: np.ndarray = found[np.isin(found["instrument"], instruments)] if instruments else found
    return of_these


def mean_fen(trades: np.ndarray, first: str, last: str) -> float:
    """Their mean price from `first` to `last`, both included."""
    days = days_of(trades)
    inside = trades[(days >= np.datetime64(first)) & (days <= np.datetime64(last))]
    return float(inside["amount_fen"].sum() / inside["qty"].sum())


def buyers_of(trades: np.ndarray) -> np.ndarray:
    """Participant that buys in each trade."""
    account = np.where(trades["side"] == Side.BUY, trades["account"], trades["contra"])
    participant: np.ndarray = account.astype(np.int64) - FIRST_ACCOUNT
    return participant


def sellers_of(trades: np.ndarray) -> np.ndarray:
    """Participant that sells in each trade; negative: the government."""
    account = np.where(trades["side"] == Side.BUY, trades["contra"], trades["account"])
    participant: np.ndarray = account.astype(np.int64) - FIRST_ACCOUNT
    return participant


def short_of_units(people: Population) -> np.ndarray:
    """Who gets fewer units than it owes, bool."""
    short: np.ndarray = people.duty_t > people.free_t + people.carried_t
    return short
