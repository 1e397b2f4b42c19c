"""Measures, decisions, the least cost and the efficiency of a market: against brute force, and able to fail."""

from itertools import combinations, product

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.errors import EmexError
from sim.abatement import menu as menus
from sim.abatement import zero_intelligence
from sim.abatement.decide import (
    NEXT_CYCLE_SHARE,
    NOT_STARTED,
    adopt,
    attainable,
    counted_share,
    worked_t,
    working_t,
)
from sim.abatement.equilibrium import demand_price, demand_t, efficiency, least_cost, no_trade_cost
from sim.abatement.menu import CYCLE_DAYS, TECHNIQUES, MeasureKind, Menu, draw_menu
from sim.abatement.zero_intelligence import SMITH_COSTS_FEN, SMITH_VALUES_FEN, greatest_surplus_fen, run

EMISSIONS_T = np.array([5_000_000, 300_000, 40_000, 0, 12_345])
SEEDS = range(1, 21)


def made(firms: int, *rows: tuple[int, int, int, int]) -> Menu:
    """A menu from (firm, cost in fen, potential in t, days to build)."""
    firm, cost, potential, days = np.array(rows, np.int64).reshape(-1, 4).T
    return Menu(firms, firm, np.full(len(firm), int(MeasureKind.OPERATION)), cost, potential, days)


ROW = st.tuples(st.integers(0, 2), st.integers(1, 6), st.integers(0, 3), st.integers(0, 500))
SMALL = st.lists(ROW, max_size=5).map(lambda rows: made(3, *sorted(rows, key=lambda row: row[0])))
BACKSTOP = st.integers(1, 8)


# ---------------------------------------------------------------------------------------------------------- menu


def columns(menu: Menu) -> np.ndarray:
    return np.array([menu.firm, menu.kind, menu.marginal_cost_fen, menu.potential_t, menu.build_days])


def test_a_menu_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    assert np.array_equal(columns(draw_menu(EMISSIONS_T, 7)), columns(draw_menu(EMISSIONS_T, 7)))
    first, second = (columns(draw_menu(EMISSIONS_T, seed)) for seed in (7, 8))
    assert not np.array_equal(first, second)


def test_a_menu_holds_whole_positive_tonnes_and_fen_of_firms_that_emit() -> None:
    menu = draw_menu(EMISSIONS_T, 7)
    assert {column.dtype for column in (menu.potential_t, menu.marginal_cost_fen, menu.build_days)} == {
        np.dtype(np.int64)
    }
    assert menu.potential_t.min() >= 1
    assert menu.marginal_cost_fen.min() >= 1
    assert 3 not in menu.firm
    assert np.all(np.diff(menu.firm) >= 0)


def test_all_measures_of_a_firm_together_leave_it_emissions() -> None:
    most = sum(technique.potential[1] for technique in TECHNIQUES.values())
    emissions = np.full(2_000, 1_000_000)
    menu = draw_menu(emissions, 3)
    assert most < 1
    assert np.all(menu.by_firm(menu.potential_t) <= most * emissions)


def test_every_kind_keeps_its_own_ranges() -> None:
    menu = draw_menu(np.full(2_000, 1_000_000), 3)
    for kind, technique in TECHNIQUES.items():
        own = menu.kind == kind
        low, high = technique.potential
        assert np.all((menu.potential_t[own] >= np.floor(low * 1e6)) & (menu.potential_t[own] <= high * 1e6))
        assert menu.build_days[own].min() >= technique.build_days[0]
        assert menu.build_days[own].max() <= technique.build_days[1]
        assert own.mean() * len(own) / 2_000 == pytest.approx(technique.firms_share, abs=0.04)
        assert np.median(menu.marginal_cost_fen[own]) == pytest.approx(technique.cost_fen, rel=0.1)


def test_a_kind_more_or_less_leaves_the_draws_of_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    full = columns(draw_menu(EMISSIONS_T, 7))
    fewer = {kind: technique for kind, technique in TECHNIQUES.items() if kind != MeasureKind.FUEL_QUALITY}
    monkeypatch.setattr(menus, "TECHNIQUES", fewer)
    assert np.array_equal(columns(draw_menu(EMISSIONS_T, 7)), full[:, full[1] != MeasureKind.FUEL_QUALITY])


def test_what_a_firm_pays_for_one_kind_says_nothing_of_another() -> None:
    menu = draw_menu(np.full(2_000, 1_000_000), 3)
    costs = np.full((len(MeasureKind) + 1, 2_000), np.nan)
    costs[menu.kind, menu.firm] = np.log(menu.marginal_cost_fen)
    for first, second in combinations(MeasureKind, 2):
        both = ~np.isnan(costs[first]) & ~np.isnan(costs[second])
        assert abs(np.corrcoef(costs[first][both], costs[second][both])[0, 1]) < 0.2


def test_no_measure_is_free() -> None:
    assert set(draw_menu(EMISSIONS_T, 7, cost_level=1e-9).marginal_cost_fen.tolist()) == {1}


def test_the_cost_level_multiplies_costs_and_nothing_else() -> None:
    plain, dear = draw_menu(EMISSIONS_T, 7), draw_menu(EMISSIONS_T, 7, cost_level=3)
    assert np.abs(dear.marginal_cost_fen - 3 * plain.marginal_cost_fen).max() <= 2
    assert np.array_equal(columns(dear)[[0, 1, 3, 4]], columns(plain)[[0, 1, 3, 4]])


@pytest.mark.parametrize("level", [0, -1, float("nan"), float("inf")])
def test_a_cost_level_that_is_no_factor_is_an_error(level: float) -> None:
    with pytest.raises(EmexError, match="cost_level"):
        draw_menu(EMISSIONS_T, 7, cost_level=level)


@pytest.mark.parametrize(
    ("row", "named"),
    [
        ((2, 5, 5, 5), "firm"),
        ((0, -5, 5, 5), "marginal_cost_fen"),
        ((0, 5, -5, 5), "potential_t"),
        ((0, 5, 5, -5), "build_days"),
    ],
)
def test_a_menu_that_cannot_be_is_an_error(row: tuple[int, int, int, int], named: str) -> None:
    with pytest.raises(EmexError, match=named):
        made(2, row)


def test_columns_of_different_lengths_are_an_error() -> None:
    one, two = np.zeros(1, np.int64), np.zeros(2, np.int64)
    with pytest.raises(EmexError, match="shapes"):
        Menu(1, one, one, one, two, one)


# ------------------------------------------------------------------------------------------------------ decisions


def test_what_counts_of_a_measure_falls_with_the_days_that_are_left() -> None:
    menu = made(1, *((0, 1, 1, days) for days in (0, 99, 100, 100 + CYCLE_DAYS // 5, 100 + CYCLE_DAYS, 900)))
    expected = [1, 1, NEXT_CYCLE_SHARE, NEXT_CYCLE_SHARE * 0.8, 0, 0]
    assert counted_share(menu, 100) == pytest.approx(expected)


def test_negative_days_are_an_error() -> None:
    with pytest.raises(EmexError, match="days_left"):
        counted_share(made(1, (0, 1, 1, 1)), -1)


def test_a_firm_starts_what_costs_less_than_it_expects_a_unit_to_cost() -> None:
    menu = made(3, (0, 50, 1, 5), (0, 51, 1, 5), (0, 10, 1, 5), (1, 10, 1, 5), (2, 69, 1, 5), (2, 34, 1, 10))
    started = np.array([False, False, True, False, False, False])
    awake = np.array([True, False, True])
    found = adopt(menu, started, np.array([51.0, 99.0, 70.0]), 10, awake)
    # Equal is not below; started before; asleep; and half of 70 is what a unit of the next cycle counts.
    assert found.tolist() == [True, False, False, False, True, True]
    assert adopt(menu, started, 34.0, 10, awake).tolist() == [False] * 6


@given(SMALL, st.lists(st.tuples(st.floats(0, 8), st.lists(st.booleans(), min_size=3, max_size=3)), max_size=12))
def test_nothing_starts_twice_and_nothing_above_the_expected_price(
    menu: Menu, season: list[tuple[float, list[bool]]]
) -> None:
    times = np.zeros(len(menu.firm), int)
    for day, (price, awake) in enumerate(season):
        new = adopt(menu, times > 0, price, len(season) - day, np.array(awake))
        assert np.all(menu.marginal_cost_fen[new] < price)
        assert np.all(np.array(awake)[menu.firm[new]])
        times += new
    assert times.max(initial=0) <= 1


def test_tonnes_come_pro_rata_by_the_days_a_measure_has_worked() -> None:
    menu = made(2, (0, 1, 3_650, 10), (0, 1, 365, 0), (1, 1, 999, 10))
    started_on = np.array([20, 364, NOT_STARTED])
    assert worked_t(menu, started_on, 30).tolist() == [0, 0, 0]
    assert worked_t(menu, started_on, 31).tolist() == [10, 0, 0]
    assert working_t(menu, started_on, 365).tolist() == [3_350 + 1, 0]
    assert working_t(menu, started_on, 2 * CYCLE_DAYS, since=CYCLE_DAYS).tolist() == [3_650 + 365, 0]


@given(SMALL, st.data())
def test_tonnes_are_whole_and_never_more_than_the_potential(menu: Menu, data: st.DataObject) -> None:
    count = len(menu.firm)
    days = st.one_of(st.integers(-800, 800), st.just(NOT_STARTED))
    started_on = np.array(data.draw(st.lists(days, min_size=count, max_size=count)), np.int64)
    until = data.draw(st.integers(0, 1_500))
    now, later = worked_t(menu, started_on, until), worked_t(menu, started_on, until + 30)
    assert now.dtype == np.int64
    assert np.all((now >= 0) & (now <= later) & (later <= menu.potential_t))
    assert working_t(menu, started_on, until).sum() == now.sum()
    assert np.all(now[started_on == NOT_STARTED] == 0)
    in_time = (started_on >= 0) & (started_on < NOT_STARTED)
    assert np.all(now[in_time] <= attainable(menu, until).potential_t[in_time])


# ---------------------------------------------------------------------------------------------------- equilibrium


def cheapest_total_fen(menu: Menu, required_t: int, backstop_fen: int) -> int:
    """Every way to reduce, tried."""
    ways = product(*(range(potential + 1) for potential in menu.potential_t.tolist()))
    costs = menu.marginal_cost_fen.tolist()
    return min(
        sum(cost * tonnes for cost, tonnes in zip(costs, way, strict=True))
        + max(0, required_t - sum(way)) * backstop_fen
        for way in ways
    )


@given(SMALL, st.integers(-3, 18), BACKSTOP)
def test_the_least_cost_is_that_of_every_way_tried(menu: Menu, required_t: int, backstop_fen: int) -> None:
    least = least_cost(menu, required_t, backstop_fen)
    assert least.total_fen == cheapest_total_fen(menu, required_t, backstop_fen)
    assert least.tonnes_t + least.shortfall_t == max(0, required_t)
    assert np.all((least.amount_t >= 0) & (least.amount_t <= menu.potential_t))
    assert np.sum(least.chosen & (least.amount_t < menu.potential_t)) <= 1
    assert least.cost_fen == sum((menu.marginal_cost_fen * least.amount_t).tolist())


@given(SMALL, BACKSTOP)
def test_the_price_rises_with_the_required_tonnes(menu: Menu, backstop_fen: int) -> None:
    prices = [least_cost(menu, required, backstop_fen).price_fen for required in range(-1, 20)]
    assert prices == sorted(prices)
    assert prices[:2] == [0, 0]
    assert prices[-1] == backstop_fen


@given(SMALL, st.integers(0, 25), st.integers(0, 25), BACKSTOP)
def test_at_the_price_of_equilibrium_demand_is_met_and_below_it_is_not(
    menu: Menu, emissions_t: int, supply_t: int, backstop_fen: int
) -> None:
    meets = (price for price in range(backstop_fen) if demand_t(menu, emissions_t, price) <= supply_t)
    assert demand_price(menu, emissions_t, supply_t, backstop_fen) == next(meets, backstop_fen)


DEFICITS = st.lists(st.integers(-6, 8), min_size=3, max_size=3).map(np.array)


@given(SMALL, DEFICITS, BACKSTOP)
def test_without_trade_each_firm_pays_its_own_least_cost(menu: Menu, deficit_t: np.ndarray, backstop_fen: int) -> None:
    alone = 0
    for firm in range(3):
        own = menu.firm == firm
        rows = zip(menu.marginal_cost_fen[own].tolist(), menu.potential_t[own].tolist(), strict=True)
        part = made(1, *((0, cost, potential, 0) for cost, potential in rows))
        alone += cheapest_total_fen(part, int(deficit_t[firm]), backstop_fen)
    no_trade = no_trade_cost(menu, deficit_t, backstop_fen)
    assert no_trade.total_fen == alone
    assert no_trade.tonnes_t + no_trade.shortfall_t == np.maximum(0, deficit_t).sum()
    assert no_trade.total_fen >= least_cost(menu, int(deficit_t.sum()), backstop_fen).total_fen


@given(SMALL, DEFICITS, BACKSTOP, st.data())
def test_efficiency_is_1_at_the_least_cost_0_without_trade_and_never_more(
    menu: Menu, deficit_t: np.ndarray, backstop_fen: int, data: st.DataObject
) -> None:
    required_t = int(deficit_t.sum())
    least, no_trade = least_cost(menu, required_t, backstop_fen), no_trade_cost(menu, deficit_t, backstop_fen)
    best = efficiency(least.cost_fen, least.shortfall_t, least, no_trade)
    if no_trade.total_fen == least.total_fen:
        assert best is None
        return
    assert best == 1
    assert efficiency(no_trade.cost_fen, no_trade.shortfall_t, least, no_trade) == 0
    way = np.array([data.draw(st.integers(0, potential)) for potential in menu.potential_t.tolist()], np.int64)
    short_t = max(0, required_t - int(way.sum())) + data.draw(st.integers(0, 2))
    some = efficiency(menu.cost_of_fen(way), short_t, least, no_trade)
    assert some is not None
    assert some <= 1


def test_two_firms_by_hand() -> None:
    menu = made(2, (0, 90_00, 100, 0), (1, 10_00, 60, 0), (1, 50_00, 60, 0))
    least = least_cost(menu, 100, 200_00)
    assert (least.price_fen, least.tonnes_t, least.shortfall_t) == (50_00, 100, 0)
    assert least.amount_t.tolist() == [0, 60, 40]
    assert least.cost_fen == 60 * 10_00 + 40 * 50_00
    # The first firm lacks 150 t and has measures for 100 of them; the other holds 50 t that nobody gets.
    no_trade = no_trade_cost(menu, np.array([150, -50]), 200_00)
    assert (no_trade.cost_fen, no_trade.shortfall_t) == (100 * 90_00, 50)
    # No trade costs 1,900,000 fen, the least cost is 260,000: selling the 50 t alone saves 1,000,000 of 1,640,000.
    assert efficiency(100 * 90_00, 0, least, no_trade) == pytest.approx(1_000_000 / 1_640_000)
    assert efficiency(0, 150, least, no_trade) < 0


@pytest.mark.parametrize("backstop_fen", [0, -1])
def test_a_backstop_that_costs_nothing_is_an_error(backstop_fen: int) -> None:
    menu = made(1, (0, 1, 1, 1))
    with pytest.raises(EmexError, match="backstop_fen"):
        least_cost(menu, 1, backstop_fen)
    with pytest.raises(EmexError, match="backstop_fen"):
        no_trade_cost(menu, np.array([1]), backstop_fen)


def test_a_national_menu_is_summed_without_losing_a_tonne_or_a_fen() -> None:
    menu = draw_menu(np.full(2_162, 2_081_406), 5)
    least = least_cost(menu, 100_000_001, 1_000_00)
    rows = zip(menu.marginal_cost_fen.tolist(), least.amount_t.tolist(), strict=True)
    assert sum(least.amount_t.tolist()) == least.tonnes_t == 100_000_001
    assert sum(cost * tonnes for cost, tonnes in rows) == least.cost_fen


# ----------------------------------------------------------------------------------------------- zero intelligence


def several(units: int) -> tuple[np.ndarray, np.ndarray]:
    return np.repeat(SMITH_VALUES_FEN, units, axis=1), np.repeat(SMITH_COSTS_FEN, units, axis=1)


def test_the_greatest_surplus_of_smiths_schedules_by_hand() -> None:
    assert greatest_surplus_fen(*several(1)) == 250 + 200 + 150 + 100 + 50
    assert greatest_surplus_fen(*several(3)) == 3 * 750


@pytest.mark.parametrize("units", [1, 3])
def test_zero_intelligence_realises_95_percent_of_the_gains_on_the_real_engine(units: int) -> None:
    runs = [run(*several(units), seed) for seed in SEEDS]
    mean = np.mean([one.efficiency for one in runs])
    print(f"ZI-C, {units} units each: mean efficiency {mean:.4f} over {len(runs)} seeds")
    assert mean > 0.95
    assert max(one.efficiency for one in runs) <= 1


def test_without_the_constraint_the_gains_are_lost() -> None:
    mean = np.mean([run(*several(1), seed, constrained=False).efficiency for seed in SEEDS])
    print(f"ZI-U: mean efficiency {mean:.4f} over {len(SEEDS)} seeds")
    assert mean < 0.5


def worth_fen(one: zero_intelligence.Run) -> tuple[np.ndarray, np.ndarray]:
    """(value, cost) of the two sides of each trade, from the tape alone."""
    both = np.sort(np.stack([one.trades["account"], one.trades["contra"]]), axis=0) - zero_intelligence.FIRST_ACCOUNT
    return SMITH_VALUES_FEN[both[0], 0], SMITH_COSTS_FEN[both[1] - len(SMITH_VALUES_FEN), 0]


def test_constrained_traders_never_lose_and_unconstrained_ones_do() -> None:
    for seed in SEEDS[:5]:
        one = run(SMITH_VALUES_FEN, SMITH_COSTS_FEN, seed)
        value, cost = worth_fen(one)
        price = one.trades["price_fen"]
        assert np.all((cost <= price) & (price <= value))
        assert (value - cost).sum() / 750 == one.efficiency
        assert len(np.unique(np.concatenate([one.trades["account"], one.trades["contra"]]))) == 2 * len(one.trades)
    value, cost = worth_fen(run(SMITH_VALUES_FEN, SMITH_COSTS_FEN, 1, constrained=False))
    assert np.any(cost > value)


def test_a_run_is_the_same_for_the_same_seed_and_another_for_another() -> None:
    first, again, other = (run(SMITH_VALUES_FEN, SMITH_COSTS_FEN, seed).trades for seed in (1, 1, 2))
    assert np.array_equal(first, again)
    assert not np.array_equal(first["price_fen"], other["price_fen"])


def test_schedules_without_gains_or_beyond_the_prices_are_errors() -> None:
    with pytest.raises(EmexError, match="gains from trade"):
        run(np.array([[10]]), np.array([[10]]), 1)
    with pytest.raises(EmexError, match="expected 1 to"):
        run(np.array([[10]]), np.array([[0]]), 1)
