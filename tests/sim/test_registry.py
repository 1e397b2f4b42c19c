"""Surrender, refusals, fines, deduction and collection under each market's rule, recomputed from the tape."""

from dataclasses import replace
from functools import cache

import numpy as np
import pytest

from engine.codes import CommandKind, EventKind
from sim.facts import CapBase, DateKind
from sim.parameters import load_parameters
from sim.population import draw_population
from sim.port import FIRST_ACCOUNT
from sim.registry import Refusal, Registry, due_dates
from sim.result import DAY, Season
from sim.season import load_season
from sim.world import World
from tests.sim.small import (
    SEASONS,
    WITH_DEADLINE,
    buyers_of,
    days_of,
    firm_rows,
    mean_fen,
    run,
    sellers_of,
    shared,
    slow_without_compiler,
    small,
    tape,
    trades_of,
)

DUE_HERE = [name for name in WITH_DEADLINE if not load_season(name).offsets_only]


def many_late(name: str, first: str) -> Season:
    """A small season in which many firms are late, large ones too."""
    return run(small(name, 150, first), unresponsive_share=0.15, unresponsive_steepness=1.0)[1]


class Desk:
    """A market's registry without trading; participant 0 owes 1,000 t and has 5,000 units of everything."""

    def __init__(self, name: str, duty_t: int = 1_000, cap_t: int = 100, units_t: int = 5_000) -> None:
        self.plan = small(name, firms=30)
        world = World(self.plan, load_parameters(self.plan.parameters), 1)
        self.port, self.day = world.port, self.plan.last_day
        one = np.arange(len(world.people.duty_t)) == 0
        people = replace(world.people, duty_t=np.where(one, duty_t, 0), offset_cap_t=np.where(one, cap_t, 0))
        self.port.open_accounts(people.group, people.participant)
        self.port.roll(self.plan.first_day)
        for instrument in range(len(self.plan.book.symbols)):
            self.port.move(CommandKind.ISSUE, np.arange(1), np.array([units_t]), instrument)
        self.registry = Registry(self.plan, people, self.port)

    @property
    def product(self) -> str:
        """What is due."""
        return self.plan.product.symbol

    def surrender(self, symbol: str, qty_t: int, day: str | None = None) -> Refusal | None:
        """By participant 0."""
        return self.registry.surrender(np.datetime64(day) if day else self.day, 0, symbol, qty_t)

    def refuses(self, reason: Refusal, symbol: str, qty_t: int, day: str | None = None) -> None:
        """Assert a refusal, that it is counted, and that nothing else has changed."""
        before, counted = self._state(), self.registry.refused[reason]
        assert self.surrender(symbol, qty_t, day) == reason
        assert self._state() == before
        assert self.registry.refused[reason] == counted + 1

    def close(self, price_fen: int) -> None:
        """The cut-off, after a season in which everything traded at one price."""
        days = np.zeros(len(self.plan.days), DAY)
        days["date"], days["listed_qty_t"], days["listed_value_fen"] = self.plan.days, 10, 10 * price_fen
        days["close_fen"] = price_fen
        self.registry.close_season(days)

    def _state(self) -> tuple[object, ...]:
        registry = self.registry
        arrays = (registry.surrendered_t, registry.offsets_used_t, registry.local_offsets_t, registry.duty_t)
        return (self.port.digest(), self.port.totals(), *(array.tolist() for array in arrays))


# ------------------------------------------------------------------------------------------------------------- refusals


@pytest.mark.parametrize("name", DUE_HERE)
def test_allowances_are_taken_up_to_what_is_due_and_not_beyond(name: str) -> None:
    desk = Desk(name)
    desk.refuses(Refusal.NOT_OWED, desk.product, 1_001)
    assert desk.surrender(desk.product, 400) is None
    desk.refuses(Refusal.NOT_OWED, desk.product, 601)
    assert desk.surrender(desk.product, 600) is None
    assert desk.registry.shortfall_t[0] == 0
    assert desk.port.totals()[desk.product]["surrendered_t"] == 1_000
    assert sum(desk.registry.refused.values()) == 2


@pytest.mark.parametrize("name", DUE_HERE)
def test_nothing_is_taken_after_the_cut_off(name: str) -> None:
    desk = Desk(name)
    desk.close(2_000)
    desk.refuses(Refusal.AFTER_CUTOFF, desk.product, 1)


@pytest.mark.parametrize("name", [n for n in DUE_HERE if load_season(n).offsets])
def test_every_kind_of_offset_that_a_rule_excludes_is_refused(name: str) -> None:
    desk = Desk(name)
    assert desk.plan.offsets
    rule = [rule for rule in desk.plan.offsets.rules if np.datetime64(rule.known_from) <= desk.day][-1]
    for unit in desk.plan.offsets.units:
        excluded = (
            unit.project_type in rule.excluded_types
            or (rule.regions != [] and unit.region not in rule.regions)
            or (rule.crediting_from is not None and unit.crediting_from < rule.crediting_from)
            or (rule.crediting_to is not None and unit.crediting_to > rule.crediting_to)
        )
        if excluded:
            desk.refuses(Refusal.NOT_ELIGIBLE, unit.symbol, 1)
        else:
            assert desk.surrender(unit.symbol, 1) is None


def test_hydropower_is_sold_in_most_pilots_and_surrendered_in_none() -> None:
    plans = [plan for plan in map(load_season, SEASONS) if plan.offsets]
    hydro = [(p, u) for p in plans for u in p.offsets.units if u.project_type == "hydropower"]  # type: ignore[union-attr]
    assert len({plan.market for plan, _ in hydro}) >= 6
    for plan, unit in hydro:
        assert plan.offsets
        assert plan.offsets_only or all(rule.admits(unit) for rule in plan.offsets.rules)


def test_hubei_changes_its_mind_a_week_before_the_end() -> None:
    desk = Desk("hbea-2017")
    desk.refuses(Refusal.NOT_ELIGIBLE, "CCER", 10, "2017-07-21")
    assert desk.surrender("CCERP", 10, "2017-07-21") is None
    desk.refuses(Refusal.NOT_ELIGIBLE, "CCERP", 10, "2017-07-24")
    assert desk.surrender("CCER", 10, "2017-07-24") is None


def test_offsets_count_up_to_the_firms_cap() -> None:
    desk = Desk("bea-2017", cap_t=100)
    desk.refuses(Refusal.OFFSET_CAP, "CCER", 101)
    assert desk.surrender("CCER", 60) is None
    desk.refuses(Refusal.OFFSET_CAP, "CCER", 41)
    assert desk.surrender("CCER", 40) is None
    assert desk.registry.offsets_used_t[0] == 100


@pytest.mark.parametrize("name", [n for n in DUE_HERE if load_season(n).offsets])
def test_the_cap_is_the_seasons_share_of_its_base(name: str) -> None:
    plan = small(name, firms=40)
    people = draw_population(plan, load_parameters(plan.parameters), 2)
    assert plan.offsets
    firms = slice(0, people.firms)
    bases = {CapBase.DUTY: people.duty_t, CapBase.ALLOCATION: people.free_t, CapBase.EMISSIONS: people.emissions_t}
    share = plan.offsets.cap_share.value * bases[plan.offsets.cap_base][firms]
    assert (np.abs(people.offset_cap_t[firms] - share) <= 1).all()


def test_of_guangdongs_offsets_seven_tenths_must_be_local() -> None:
    desk = Desk("gdea-2017", cap_t=1_000)
    assert desk.plan.offsets
    foreign = [
        u.symbol for u in desk.plan.offsets.units
        if u.region != "Guangdong" and desk.plan.offsets.rule(desk.day).admits(u) is None
    ]  # fmt: skip
    assert foreign == [], "those that are sold from elsewhere are hydropower"
    rule = desk.plan.offsets.rules[0]
    rule.excluded_types.remove("hydropower")
    desk.refuses(Refusal.LOCAL_SHARE, "CCERH", 1)
    assert desk.surrender("PHCER", 70) is None
    desk.refuses(Refusal.LOCAL_SHARE, "CCERH", 31)
    assert desk.surrender("CCERH", 30) is None
    assert desk.registry.local_offsets_t[0] == 70


def test_guangdongs_firms_together_use_no_more_than_the_provinces_cap() -> None:
    desk = Desk("gdea-2018", duty_t=3_000_000, cap_t=3_000_000, units_t=4_000_000)
    assert desk.plan.offsets
    cap = desk.plan.offsets.rules[-1].total_cap_t
    assert cap == 1_500_000
    local = next(u.symbol for u in desk.plan.offsets.units if desk.plan.offsets.rule(desk.day).admits(u) is None)
    desk.refuses(Refusal.TOTAL_CAP, local, cap + 1)
    assert desk.surrender(local, cap) is None
    desk.refuses(Refusal.TOTAL_CAP, local, 1)


def test_other_vintages_are_not_accepted() -> None:
    desk = Desk("sza-2017")
    for symbol in ("SZA2013", "SZA2015", "SZA2017"):
        desk.refuses(Refusal.NOT_ACCEPTED, symbol, 1)


def test_units_of_a_sale_count_though_they_are_another_product() -> None:
    desk = Desk("shea-2017")
    assert desk.surrender("SHEAA17", 10) is None
    desk.refuses(Refusal.NOT_ACCEPTED, "SHEA15", 10)


def test_nobody_surrenders_what_is_not_in_the_account() -> None:
    desk = Desk("sza-2017", duty_t=9_000)
    desk.refuses(Refusal.NOT_THERE, desk.product, 5_001)
    assert desk.surrender(desk.product, 5_000) is None


# ------------------------------------------------------------------------------------------------------------ penalties


@pytest.mark.parametrize("name", DUE_HERE)
def test_a_tonne_short_costs_what_the_seasons_penalty_says(name: str) -> None:
    desk = Desk(name, duty_t=1_000, units_t=300)
    desk.registry.settle(desk.day, np.zeros(len(desk.registry.duty_t), bool))
    desk.registry.close_deadline()
    desk.close(2_000)
    penalty, registry = desk.plan.penalty, desk.registry
    expected = 0.0
    if penalty.fine_cny is not None:
        expected = penalty.fine_cny.value * 100
    if penalty.price_multiple is not None:
        expected = penalty.price_multiple.value * 2_000 * 1_000
    if penalty.cap_cny is not None:
        expected = min(expected, penalty.cap_cny.value * 100)
    taken = 300 if penalty.forced_deduction else 0
    assert registry.late_t[0] == 1_000
    assert registry.fine_fen[0] == expected
    assert registry.deducted_t[0] == taken
    assert registry.next_deduction_t[0] == penalty.deduction_multiple.value * (1_000 - taken)
    assert registry.fine_fen[1:].sum() == registry.next_deduction_t[1:].sum() == 0


@cache
def _shenzhen() -> Season:
    return many_late("sza-2017", "2017-01-03")


@slow_without_compiler
@pytest.mark.slow
def test_shenzhen_fines_three_times_the_mean_of_january_to_june_for_each_tonne() -> None:
    season, plan = _shenzhen(), load_season("sza-2017")
    firms = firm_rows(season)
    allowances = [number for number, symbol in enumerate(plan.book.symbols) if symbol.startswith("SZA")]
    mean = mean_fen(trades_of(season, *allowances), "2017-01-01", "2017-06-30")
    short = firms["shortfall_t"]
    print(f"sza-2017: {(firms['late_t'] > 0).sum()} late, {(short > 0).sum()} short, mean price {mean:.1f} fen")
    assert (short > 0).any()
    assert season.penalty_price_fen == pytest.approx(mean)
    assert np.abs(firms["fine_fen"] - 3 * mean * short).max() <= 1
    fined = tape(season)[tape(season)["kind"] == EventKind.FINED]
    assert set(days_of(fined).astype(str)) == {"2017-07-10"}
    assert sorted(fined["amount_fen"].tolist()) == sorted(firms["fine_fen"][short > 0].tolist())


@slow_without_compiler
@pytest.mark.slow
def test_shenzhen_takes_what_stands_in_the_account_and_the_rest_of_the_next_allocation() -> None:
    season, events = _shenzhen(), tape(_shenzhen())
    firms = firm_rows(season)
    product = load_season("sza-2017").instrument("SZA2016")
    events = events[: np.flatnonzero(events["kind"] == EventKind.FINED)[0]]
    held = np.zeros(int(events["account"].max()) + 1, np.int64)
    mine = events[events["instrument"] == product]
    for kind, sign in ((EventKind.ISSUED, 1), (EventKind.SURRENDERED, -1), (EventKind.DEDUCTED, -1)):
        rows = mine[mine["kind"] == kind]
        np.add.at(held, rows["account"], sign * rows["qty"])
    trades = mine[mine["kind"] == EventKind.TRADE]
    np.add.at(held, buyers_of(trades) + FIRST_ACCOUNT, trades["qty"])
    np.subtract.at(held, sellers_of(trades) + FIRST_ACCOUNT, trades["qty"])
    there = held[FIRST_ACCOUNT : FIRST_ACCOUNT + len(firms)]
    short = firms["shortfall_t"]
    assert (firms["deducted_t"] == np.minimum(there, short)).all()
    assert (firms["next_deduction_t"] == short - firms["deducted_t"]).all()
    assert firms["deducted_t"].sum() > 0
    assert firms["next_deduction_t"].sum() > 0


@slow_without_compiler
@pytest.mark.slow
def test_who_makes_up_in_shenzhen_until_10_july_is_not_fined() -> None:
    firms = firm_rows(_shenzhen())
    made_up = (firms["late_t"] > 0) & (firms["shortfall_t"] == 0)
    assert made_up.any()
    assert firms["fine_fen"][made_up].sum() == firms["next_deduction_t"][made_up].sum() == 0
    assert (firms["made_up_t"][made_up] == firms["late_t"][made_up]).all()


@slow_without_compiler
@pytest.mark.slow
def test_beijing_fines_late_firms_that_do_not_make_up_within_the_order() -> None:
    season = many_late("bea-2017", "2017-04-17")
    firms = firm_rows(season)
    late, short = firms["late_t"] > 0, firms["shortfall_t"] > 0
    print(f"bea-2017: {late.sum()} of {len(firms)} late, {(late & ~short).sum()} make up, {short.sum()} fined")
    assert (late & ~short).any()
    assert short.any()
    assert (late | ~short).all()
    assert firms["fine_fen"][~short].sum() == 0
    plan = load_season("bea-2017")
    mean = mean_fen(trades_of(season, plan.instrument("BEA")), "2016-06-16", "2017-06-15")
    assert np.abs(firms["fine_fen"] - 3 * mean * firms["shortfall_t"]).max() <= 1
    assert firms["next_deduction_t"].sum() == 0


@slow_without_compiler
@pytest.mark.slow
def test_order_775_fines_five_times_the_mean_of_the_month_before() -> None:
    season = run(small("cea-2024", 250, "2024-10-08"))[1]
    firms = firm_rows(season)
    mean = mean_fen(trades_of(season, load_season("cea-2024").instrument("CEA")), "2024-11-01", "2024-11-30")
    short = firms["shortfall_t"]
    print(f"cea-2024: {(short > 0).sum()} of {len(firms)} short, mean of November {mean:.1f} fen")
    assert (short > 0).any()
    assert np.abs(firms["fine_fen"] - 5 * mean * short).max() <= 1
    assert (firms["next_deduction_t"] == short).all()


# -------------------------------------------------------------------------------------------------- Guangdong and Hubei


@slow_without_compiler
@pytest.mark.slow
def test_guangdongs_conduct_credits_exist_from_9_june_and_are_surrendered() -> None:
    world, season = shared("gdea-2017", 244, "2017-04-10", "2017-07-05")
    events, number = tape(season), world.plan.instrument("PHCER")
    mine = events[(events["instrument"] == number) & np.isin(events["kind"], [EventKind.ISSUED, EventKind.TRADE])]
    issued = mine[mine["kind"] == EventKind.ISSUED]
    assert set(days_of(issued).astype(str)) == {"2017-06-09"}
    assert issued["qty"].sum() == 239_197
    assert days_of(mine).min() == np.datetime64("2017-06-09")
    entry = season.accounts["PHCER"]
    print(f"gdea-2017: {entry['surrendered_t']:,} of {entry['issued_t']:,} t PHCER surrendered")
    assert entry["surrendered_t"] > 0.9 * entry["issued_t"]
    assert season.accounts["CCERH"]["surrendered_t"] == 0


@slow_without_compiler
@pytest.mark.slow
def test_guangdong_fines_firms_and_takes_two_tonnes_for_one() -> None:
    _, season = shared("gdea-2017", 244, "2017-04-10", "2017-07-05")
    firms = firm_rows(season)
    short = firms["shortfall_t"] > 0
    assert short.any()
    assert set(firms["fine_fen"][short].tolist()) == {5_000_000}
    assert (firms["next_deduction_t"] == 2 * firms["shortfall_t"]).all()


@slow_without_compiler
@pytest.mark.slow
def test_hubei_takes_back_what_was_never_traded() -> None:
    world, season = shared("hbea-2017", 150, "2017-05-15", "2017-08-31")
    events, number = tape(season), world.plan.instrument("HBEA")
    days = days_of(events)
    taken = events[(events["kind"] == EventKind.DEDUCTED) & (days >= np.datetime64("2017-07-31"))]
    assert set(days_of(taken).astype(str)) == {"2017-08-04"}
    before = events[: np.flatnonzero(events["seq"] == taken["seq"][0])[0]]
    before = before[before["instrument"] == number]
    held = np.zeros(int(events["account"].max()) + 1, np.int64)
    for kind, sign in ((EventKind.ISSUED, 1), (EventKind.SURRENDERED, -1), (EventKind.DEDUCTED, -1)):
        rows = before[before["kind"] == kind]
        np.add.at(held, rows["account"], sign * rows["qty"])
    trades = before[before["kind"] == EventKind.TRADE]
    np.subtract.at(held, sellers_of(trades) + FIRST_ACCOUNT, trades["qty"])
    firms = slice(FIRST_ACCOUNT, FIRST_ACCOUNT + world.people.firms)
    untraded = np.maximum(0, held)[firms]
    found = np.zeros_like(held)
    np.add.at(found, taken["account"], taken["qty"])
    today = int(trades["qty"][days_of(trades) == np.datetime64("2017-08-04")].sum())
    print(f"hbea-2017: {found.sum():,} of {untraded.sum():,} t never traded are taken back; bought that day {today:,}")
    assert found.sum() == found[firms].sum()
    assert (found[firms] <= untraded).all()
    assert untraded.sum() - found.sum() <= today, "what was bought on that day cannot move before the next"
    cancelled = events[(events["kind"] == EventKind.DEDUCTED) & (events["instrument"] == number)]["qty"].sum()
    assert season.accounts["HBEA"]["cancelled_t"] == cancelled >= taken["qty"].sum() > 0


@pytest.mark.parametrize("name", DUE_HERE)
def test_the_registry_acts_on_the_last_trading_day_not_after_each_date(name: str) -> None:
    plan = load_season(name)
    for kind, day in due_dates(plan).items():
        date = plan.last(kind)
        assert date
        assert day in plan.days
        assert day == plan.days[plan.days <= date.day].max()
    assert DateKind.DEADLINE in due_dates(plan)
