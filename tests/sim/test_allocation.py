"""Free allocation: every formula against figures worked out by hand, and what must hold for any fleet of plants."""

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from engine.errors import ScenarioError
from sim import facts
from sim.allocation import methods
from sim.allocation.allocate import Allocation, AllocationRule, allocate
from sim.allocation.benchmarks import CLASSES, FILE, PowerPlan, UnitClass, load_benchmarks
from sim.allocation.plants import BASE_YEARS, HEAT_RATIO, Plants, draw_plants
from sim.allocation.reasons import REASONS
from sim.allocation.table import long_and_short
from sim.allocation.whole import apportion, by_firm
from sim.facts import Method, Sector

LARGE, SMALL, GAS = UnitClass.COAL_LARGE, UnitClass.COAL_SMALL, UnitClass.GAS
NATIONAL = ["2019-2020", "2021", "2022", "2023", "2024"]


def sector(method: Method, name: str = "One", share: float = 1.0, plan: str = "", factor: float = 1.0) -> Sector:
    return Sector(name, name, share, method, "made up", plan=plan, factor=factor)


def plan(name: str) -> PowerPlan:
    return load_benchmarks().power[name]


def plants(**columns: Any) -> Plants:
    """Plants of one firm each, with everything that is not given at zero."""
    count = len(next(iter(columns.values())))
    names = ["firm", "sector", "emissions_t", "unit_class", "unit", "declared_t"]
    arrays: dict[str, Any] = {name: np.zeros(count, np.int64) for name in names} | {"air_cooled": np.zeros(count, bool)}
    names = ["load", "heat_ratio", "power_mwh", "heat_gj", "activity", "past_intensity"]
    arrays |= {name: np.zeros(count) for name in names} | {"past_activity": np.zeros((count, BASE_YEARS))}
    return Plants(**(arrays | {"firm": np.arange(count)} | {key: np.array(value) for key, value in columns.items()}))


def firms(count: int = 2_162, seed: int = 1) -> tuple[np.ndarray, np.ndarray]:
    """Made-up (emissions, efficiency) of firms whose sizes differ as much as the model's."""
    rng = np.random.default_rng(seed)
    weight = np.exp(1.3 * rng.standard_normal(count))
    return np.floor(weight / weight.sum() * 4_000_000 * count).astype(np.int64), rng.standard_normal(count)


def run(rule: AllocationRule, seed: int = 1, mean: float = 0.04, spread: float = 0.116, **sizes: int) -> Allocation:
    emissions_t, efficiency = firms(**sizes)
    return allocate(rule, emissions_t, efficiency, mean, spread, 0.1, seed)


ALL_METHODS = (
    sector(Method.BENCHMARK, "Power", 0.3, "2019-2020"),
    sector(Method.BENCHMARK, "Cement", 0.1, "clinker"),
    sector(Method.INTENSITY, "Steel", 0.2, factor=0.98),
    sector(Method.GRANDFATHERING, "Ceramics", 0.2, factor=0.95),
    sector(Method.DECLARED, "Chemicals", 0.2),
)
MIXED = AllocationRule(ALL_METHODS, 0.97, 0.7, duty_cap_share=0.2, topup_floor_share=0.8, cap_t=1_500_000_000)


# ------------------------------------------------------------------------------------------------- the formulas


def test_coal_with_air_cooling_at_70_percent_load_as_by_hand() -> None:
    # 1,000,000 MWh x 0.877 = 877,000; x 1.05 = 920,850; 1.015 ^ (16 - 14) = 1.030225 -> 948,682.69
    unit = plants(unit_class=[LARGE.code], unit=[0], air_cooled=[True], load=[0.70], power_mwh=[1e6])
    assert methods.power_allocation_t(plan("2019-2020"), unit).tolist() == [948_682]


def test_coal_that_supplies_heat_as_by_hand() -> None:
    # 500,000 MWh x 0.8773 = 438,650; x (1 - 0.22 x 0.4) = 400,048.8; 2,000,000 GJ x 0.1111 = 222,200
    # The load factor is for condensing units alone.
    unit = plants(unit_class=[SMALL.code], unit=[1], load=[0.5], heat_ratio=[0.4], power_mwh=[5e5], heat_gj=[2e6])
    assert methods.power_allocation_t(plan("2021"), unit).tolist() == [622_248]


def test_gas_has_the_heat_factor_alone() -> None:
    # 1,000,000 MWh x 0.3901 x (1 - 0.6 x 0.25) = 331,585; 1,000,000 GJ x 0.0557 = 55,700
    unit = plants(unit_class=[GAS.code], unit=[3], air_cooled=[True], load=[0.5], heat_ratio=[0.25],
                  power_mwh=[1e6], heat_gj=[1e6])  # fmt: skip
    assert methods.power_allocation_t(plan("2022"), unit).tolist() == [387_285]


def test_from_2023_no_cooling_and_no_heat_factor_but_a_peak_factor() -> None:
    # 1,000,000 MWh x 0.8090 x 1.015 ^ (16 - 12) = 858,643.11; 1,000,000 GJ x 0.1038 = 103,800
    unit = plants(unit_class=[SMALL.code], unit=[1], air_cooled=[True], load=[0.60], heat_ratio=[0.3],
                  power_mwh=[1e6], heat_gj=[1e6])  # fmt: skip
    assert methods.power_allocation_t(plan("2023"), unit).tolist() == [962_443]


def test_the_2017_trial_takes_a_quarter_and_six_tenths_of_the_heat_ratio() -> None:
    # Coal: 1,000,000 x 0.9350 x (1 - 0.25 x 0.2) = 888,250 and 500,000 GJ x 0.1118 = 55,900
    # Gas: 1,000,000 x 0.3822 x (1 - 0.6 x 0.5) = 267,540 and 1,000,000 GJ x 0.0602 = 60,200
    units = plants(unit_class=[LARGE.code, GAS.code], unit=[5, 9], heat_ratio=[0.2, 0.5], power_mwh=[1e6, 1e6],
                   heat_gj=[5e5, 1e6])  # fmt: skip
    assert methods.power_allocation_t(plan("2017-trial"), units).tolist() == [944_150, 327_740]


def test_the_electricity_benchmarks_of_2017_are_marked_as_unverified() -> None:
    assert [unit.verified for unit in plan("2017-trial").units] == [False] * 11
    assert all(unit.verified for name in NATIONAL for unit in plan(name).units)


def test_products_intensity_and_history_as_by_hand() -> None:
    products = load_benchmarks().products
    # 1,000 t x 0.8534 = 853.4; 100 t x 9.1132 = 911.32; 0.5 x 1,001 x 0.98 = 490.49; mean 110 x 0.95 = 104.5
    assert methods.product_allocation_t(products["clinker"].benchmark_t_per_t, np.array([1_000.0])) == 853
    assert methods.product_allocation_t(products["aluminium"].benchmark_t_per_t, np.array([100.0])) == 911
    assert methods.intensity_allocation_t(np.array([0.5]), np.array([1_001.0]), 0.98) == 490
    assert methods.grandfathered_t(np.array([[100.0, 110.0, 120.0]]), 0.95) == 104


def load_factors(name: str, *loads: float) -> np.ndarray:
    count = len(loads)
    return plan(name).load_factor(np.full(count, LARGE.code), np.array(loads), np.zeros(count))


def test_pieces_of_the_load_factor_to_2022_meet_at_their_joints() -> None:
    below = 1e-9
    for joint, value in ((0.85, 1.0), (0.80, 1.007), (0.75, 1.015)):
        at, before = load_factors("2019-2020", joint, joint - below)
        assert at == pytest.approx(value, abs=1e-12)
        assert before == pytest.approx(value, abs=1e-8)
    # 82 %: 1 + 0.0014 x 3; 78 %: 1.007 + 0.0016 x 2; 60 %: 1.015 ^ 4
    found = load_factors("2021", 0.95, 0.82, 0.78, 0.60)
    np.testing.assert_allclose(found, [1.0, 1.0042, 1.0102, 1.061363550625], rtol=1e-12)


def test_the_load_factor_of_2023_begins_with_a_step() -> None:
    at, before = load_factors("2023", 0.65, 0.65 - 1e-9)
    assert at == 1.0
    assert before == pytest.approx(1.015**3, abs=1e-8)


def test_load_counts_for_conventional_coal_alone() -> None:
    codes = np.array([one.code for one in CLASSES[1:]])
    factor = plan("2019-2020").load_factor(codes, np.full(4, 0.6), np.zeros(4))
    assert (factor > 1).tolist() == [True, True, False, False]


# ---------------------------------------------------------------------------------------------- the other steps


def test_declarations_are_scaled_only_beyond_the_cap() -> None:
    declared_t = np.array([600, 300, 101])
    assert methods.scaled_to_cap_t(declared_t, 1_001).tolist() == [600, 300, 101]
    assert methods.scaled_to_cap_t(declared_t, None).tolist() == [600, 300, 101]
    # 500.5 / 1,001 = a half
    assert methods.scaled_to_cap_t(np.array([600, 300, 101]), 500).tolist() == [299, 149, 50]


def test_a_declaration_more_than_8_percent_too_high_is_cut_to_what_was_verified() -> None:
    declared_t, verified_t = np.array([1_080, 1_081, 900, 2_000]), np.array([1_000, 1_000, 1_000, 1_000])
    kept_t = methods.cut_after_verification_t(declared_t, declared_t, verified_t)
    assert kept_t.tolist() == [1_080, 1_000, 900, 1_000]
    # Scaled to a half before: half of what was verified stays.
    half_t = methods.cut_after_verification_t(declared_t // 2, declared_t, verified_t)
    assert half_t.tolist() == [540, 499, 450, 500]


def test_duty_cap_topup_free_share_and_first_issue_as_by_hand() -> None:
    emissions_t, free_t = np.array([1_000, 1_000, 1_000]), np.array([700, 850, 1_200])
    assert methods.capped_duty_t(emissions_t, free_t, 0.2).tolist() == [900, 1_000, 1_000]
    assert methods.topup_t(emissions_t, free_t, 0.8).tolist() == [100, 0, 0]
    assert methods.free_part_t(np.array([1_001]), 0.97).tolist() == [970]
    assert methods.preallocation_t(np.array([1_000]), 0.7, np.array([1.1])).tolist() == [770]


def test_gas_units_owe_no_more_than_they_got_in_2019_2020() -> None:
    found = run(AllocationRule.from_plan("2019-2020"))
    fleet = found.plants
    gas = fleet.unit_class == GAS.code
    waived_t = np.where(gas, np.maximum(0, fleet.emissions_t - found.by_plant_t), 0)
    assert waived_t.sum() > 0
    emissions_t = by_firm(fleet.emissions_t, fleet.firm, len(found.free_t))
    owed_t = emissions_t - by_firm(waived_t, fleet.firm, len(found.free_t))
    limit_t = found.free_t + np.floor(0.2 * emissions_t + 1e-6).astype(np.int64)
    np.testing.assert_array_equal(found.duty_t, np.minimum(owed_t, limit_t))
    assert (found.duty_t < owed_t).any()


def test_from_2021_the_issue_is_lifted_and_the_duty_is_not_lowered() -> None:
    found = run(AllocationRule.from_plan("2022"))
    fleet = found.plants
    emissions_t = by_firm(fleet.emissions_t, fleet.firm, len(found.free_t))
    np.testing.assert_array_equal(found.duty_t, emissions_t)
    assert (found.free_t >= np.floor(0.8 * emissions_t)).all()
    extra_t = found.reasons_t["topup"]
    gas = fleet.unit_class == GAS.code
    assert (found.by_plant_t + extra_t >= fleet.emissions_t)[gas].all()
    raised = by_firm(np.where(gas, 0, extra_t), fleet.firm, len(found.free_t)) > 0
    assert raised.any()
    np.testing.assert_array_equal(found.free_t[raised], np.floor(0.8 * emissions_t[raised] + 1e-6))


def test_without_caps_there_is_no_relief_for_gas() -> None:
    bare = replace(AllocationRule.from_plan("2019-2020"), duty_cap_share=None)
    found = run(bare)
    np.testing.assert_array_equal(found.duty_t, by_firm(found.plants.emissions_t, found.plants.firm, 2_162))


# ------------------------------------------------------------------------------------------ what holds for any fleet


@pytest.mark.parametrize("seed", range(5))
def test_mean_and_spread_over_firms_come_out(seed: int) -> None:
    # A firm's plants deviate so that they cancel; what is left is rounding, below 1e-4 for firms above 100,000 t.
    emissions_t, efficiency = firms(seed=seed)
    for name in (*NATIONAL, "2017-trial", "clinker"):
        bare = replace(AllocationRule.from_plan(name), duty_cap_share=None, topup_floor_share=None)
        found = allocate(bare, emissions_t, efficiency, 0.04, 0.116, 0.1, seed)
        ratio = found.free_t / emissions_t - 1
        big = emissions_t > 100_000
        np.testing.assert_allclose(ratio[big], (0.04 + 0.116 * efficiency)[big], atol=1e-4)
        # The sample of efficiencies itself has a mean within 0.1 and a deviation within 0.05 of the standard normal.
        assert ratio.mean() == pytest.approx(0.04, abs=0.012)
        assert ratio.std() == pytest.approx(0.116, abs=0.006)


@pytest.mark.parametrize("one", [one for one in ALL_METHODS if one.method != Method.BENCHMARK])
def test_mean_and_spread_of_the_other_methods_are_before_their_factor(one: Sector) -> None:
    alone = sector(one.method, factor=one.factor)
    found = run(AllocationRule((alone,)))
    emissions_t, efficiency = firms()
    given_t = by_firm(found.by_plant_t, found.plants.firm, len(emissions_t))
    big = emissions_t > 100_000
    expected = one.factor * (1.04 + 0.116 * efficiency)
    np.testing.assert_allclose((given_t / emissions_t)[big], expected[big], atol=1e-4)


def test_output_times_benchmark_gives_the_plant_its_place_in_the_spread() -> None:
    emissions_t, efficiency = firms()
    one = sector(Method.BENCHMARK, plan="2019-2020")
    numbers = np.zeros(len(emissions_t), np.int64)
    fleet = draw_plants(emissions_t, efficiency, np.ones(len(emissions_t)), 0.0, 0.0, numbers, [one], 3)
    # Without mean and spread every plant stands at its benchmark, whatever its class, heat, cooling and load.
    np.testing.assert_array_equal(methods.power_allocation_t(plan("2019-2020"), fleet), fleet.emissions_t)
    drawn = draw_plants(emissions_t, efficiency, np.ones(len(emissions_t)), 0.0, 0.1, numbers, [one], 3)
    place = (methods.power_allocation_t(plan("2019-2020"), drawn) / drawn.emissions_t - 1)[drawn.emissions_t > 1e6]
    assert 0.1 < place.std() < 0.15
    # A tighter plan on the same fleet leaves it short.
    assert methods.power_allocation_t(plan("2022"), drawn).sum() < 0.97 * drawn.emissions_t.sum()


def test_plants_add_up_to_their_firms() -> None:
    emissions_t, _ = firms()
    found = run(MIXED)
    fleet = found.plants
    np.testing.assert_array_equal(by_firm(fleet.emissions_t, fleet.firm, len(emissions_t)), emissions_t)
    assert (fleet.emissions_t >= 0).all()
    bare = run(AllocationRule((sector(Method.INTENSITY),)))
    np.testing.assert_array_equal(by_firm(bare.by_plant_t, bare.plants.firm, len(emissions_t)), bare.free_t)


def test_a_fleet_looks_as_described() -> None:
    emissions_t, _ = firms()
    fleet = run(AllocationRule.from_plan("2019-2020")).plants
    owned = np.bincount(fleet.firm)
    assert owned.min() == 1
    by_size = emissions_t.argsort()
    assert owned[by_size[-200:]].mean() > 2 * owned[by_size[:200]].mean()
    heat = {one: fleet.heat_ratio[fleet.unit_class == one.code] for one in CLASSES[1:]}
    assert (heat[SMALL] > 0).mean() > 0.7
    assert (heat[LARGE] > 0).mean() < 0.5
    assert all(heat[one].max() <= 2 * HEAT_RATIO[one] for one in CLASSES[1:])
    assert not fleet.air_cooled[fleet.unit_class == GAS.code].any()
    big = np.median(fleet.emissions_t[fleet.unit_class == LARGE.code])
    assert big > 3 * np.median(fleet.emissions_t[fleet.unit_class == SMALL.code])
    # Emissions over output stay within what coal and gas units are known to do, t/MWh.
    rate = (1 - fleet.heat_ratio) * fleet.emissions_t / fleet.power_mwh
    gas = fleet.unit_class == GAS.code
    assert 0.25 < np.median(rate[gas]) < 0.5
    assert 0.8 < np.median(rate[~gas]) < 1.1
    assert rate.max() < 2.5


def test_firms_fall_into_sectors_by_share() -> None:
    found = run(MIXED, count=1_000)
    assert np.bincount(found.sector).tolist() == [300, 100, 200, 200, 200]
    np.testing.assert_array_equal(found.plants.sector, found.sector[found.plants.firm])
    power = found.plants.sector == 0
    assert (found.plants.unit_class[power] > 0).all()
    assert (found.plants.unit_class[~power] == 0).all()
    assert (found.plants.power_mwh[~power] == 0).all()
    assert (found.plants.activity[power] == 0).all()


def test_first_issue_is_a_share_of_the_final_one_up_to_the_change_of_output() -> None:
    found = run(AllocationRule.from_plan("2019-2020"))
    share = found.preallocated_t / found.free_t
    assert np.median(share) == pytest.approx(0.70, abs=0.01)
    assert np.log(share).std() == pytest.approx(0.1, abs=0.01)
    assert (found.true_up_t >= 0).all()
    whole = run(AllocationRule((sector(Method.INTENSITY),), preallocated_share=1.0))
    assert (whole.true_up_t >= 0).all()
    assert 0.4 < (whole.true_up_t == 0).mean() < 0.6
    history = run(AllocationRule((sector(Method.GRANDFATHERING),), preallocated_share=0.7))
    np.testing.assert_allclose(history.preallocated_t, 0.7 * history.free_t, atol=1)


def test_a_cut_declaration_is_taken_back_from_what_was_issued() -> None:
    found = run(AllocationRule((sector(Method.DECLARED),)))
    emissions_t, efficiency = firms()
    over = 0.04 + 0.116 * efficiency > 0.0801
    assert 0.2 < over.mean() < 0.6
    np.testing.assert_array_equal(found.free_t[over], emissions_t[over])
    assert (found.true_up_t[over] < 0).all()
    under = 0.04 + 0.116 * efficiency < 0.0799
    assert (found.true_up_t[under] == 0).all()


def test_declarations_beyond_the_cap_are_issued_up_to_it() -> None:
    cap_t = 8_000_000_000
    found = run(AllocationRule((sector(Method.DECLARED),), cap_t=cap_t))
    assert found.by_plant_t.sum() > cap_t
    assert cap_t - 2_162 < found.preallocated_t.sum() <= cap_t
    # Who declared too much keeps its verified emissions, scaled as everybody's declaration was.
    emissions_t, efficiency = firms()
    over = 0.04 + 0.116 * efficiency > 0.0801
    scale = cap_t / found.by_plant_t.sum()
    np.testing.assert_allclose(found.free_t[over], emissions_t[over] * scale, atol=2)


def test_what_is_auctioned_is_not_free() -> None:
    whole, part = (run(AllocationRule((sector(Method.INTENSITY),), free_share=share)) for share in (1.0, 0.97))
    np.testing.assert_array_equal(part.free_t, np.floor(0.97 * whole.free_t + 1e-6))
    assert part.reasons_t["auction"].sum() == (part.free_t - whole.free_t).sum()
    np.testing.assert_allclose(part.reasons_t["auction"], -0.03 * part.by_plant_t, atol=2)


@pytest.mark.parametrize("rule", [MIXED, *(AllocationRule.from_plan(name) for name in load_benchmarks().power)])
def test_reasons_add_up_to_the_surplus(rule: AllocationRule) -> None:
    found = run(rule)
    assert found.reasons_t.keys() <= set(REASONS)
    surplus_t = by_firm(np.sum(list(found.reasons_t.values()), axis=0), found.plants.firm, len(found.free_t))
    np.testing.assert_array_equal(surplus_t, found.free_t - found.duty_t)
    table = long_and_short(found)
    for row in table:
        assert sum(row["reasons_t"].values()) == row["surplus_t"] == row["free_t"] - row["duty_t"]
    whole = [row for row in table if row["unit_class"] == "all"]
    assert len(whole) == len(rule.sectors)
    assert sum(row["surplus_t"] for row in whole) == (found.free_t - found.duty_t).sum()
    assert sum(row["free_t"] for row in whole) == found.free_t.sum()
    power = [row for row in table if row["sector"] == rule.sectors[0].name]
    for column in ("plants", "emissions_t", "free_t", "duty_t", "surplus_t"):
        assert power[0][column] == sum(row[column] for row in power[1:])


@pytest.mark.parametrize("name", NATIONAL)
def test_plants_exactly_at_their_benchmark_are_neither_long_nor_short(name: str) -> None:
    found = run(AllocationRule.from_plan(name), mean=0.0, spread=0.0)
    np.testing.assert_array_equal(np.sum(list(found.reasons_t.values()), axis=0), 0)
    assert all(row["surplus_t"] == row["short_share"] == 0 for row in long_and_short(found))


def test_reasons_say_what_happened() -> None:
    found = run(MIXED)
    rows = {row["sector"]: row for row in long_and_short(found) if row["unit_class"] == "all"}
    assert rows["Power"]["reasons_t"]["cooling"] > 0
    assert rows["Power"]["reasons_t"]["load"] > 0
    assert rows["Steel"]["reasons_t"]["factor"] < 0
    assert rows["Ceramics"]["reasons_t"]["growth"] != 0
    assert rows["Chemicals"]["reasons_t"]["declaration"] > 0 > rows["Chemicals"]["reasons_t"]["cut"]
    assert all(row["reasons_t"]["auction"] < 0 for row in rows.values())
    fleet, cooling_t = found.plants, found.reasons_t["cooling"]
    power = fleet.sector == 0
    assert (cooling_t[power & ~fleet.air_cooled] == 0).all()
    # Cooling is 5 % of output at the bare benchmark, within the tonne that rounding moves.
    cooled = power & fleet.air_cooled
    bare_t = fleet.power_mwh * plan("2019-2020").electricity(fleet.unit)
    np.testing.assert_allclose(cooling_t[cooled], 0.05 * bare_t[cooled], atol=1)
    one = long_and_short(run(AllocationRule((sector(Method.INTENSITY),))))[0]
    assert one["short_share"] == pytest.approx((firms()[1] < -0.04 / 0.116).mean(), abs=0.002)


def test_the_same_seed_gives_the_same_and_another_one_does_not() -> None:
    one, again, other = run(MIXED, 5), run(MIXED, 5), run(MIXED, 6)
    for name in ("sector", "free_t", "preallocated_t", "duty_t", "by_plant_t"):
        np.testing.assert_array_equal(getattr(one, name), getattr(again, name))
        assert not np.array_equal(getattr(one, name), getattr(other, name))


def test_mean_spread_and_plan_shift_no_draw() -> None:
    first = run(AllocationRule.from_plan("2019-2020")).plants
    for name, spread in (("2019-2020", 0.05), ("2023", 0.116)):
        second = run(AllocationRule.from_plan(name), mean=-0.1, spread=spread).plants
        for column in ("firm", "emissions_t", "unit_class", "heat_ratio", "air_cooled", "load"):
            np.testing.assert_array_equal(getattr(first, column), getattr(second, column))


def test_one_small_firm_and_firms_of_a_few_tonnes() -> None:
    emissions_t = np.array([0, 1, 2, 3, 1_000])
    found = allocate(AllocationRule.from_plan("2019-2020"), emissions_t, np.zeros(5), 0.0, 0.1, 0.1, 1)
    np.testing.assert_array_equal(by_firm(found.plants.emissions_t, found.plants.firm, 5), emissions_t)
    assert (found.duty_t <= emissions_t).all()
    alone = allocate(AllocationRule.from_plan("clinker"), np.array([7]), np.zeros(1), 0.0, 0.0, 0.0, 1)
    assert alone.free_t.tolist() == [7]


def test_apportioned_parts_add_up_exactly() -> None:
    rng = np.random.default_rng(2)
    firm = np.repeat(np.arange(300), rng.integers(1, 9, 300))
    total_t = rng.integers(-(10**9), 10**9, 300)
    weight = rng.integers(0, 3, len(firm))
    parts_t = apportion(total_t, weight, firm)
    np.testing.assert_array_equal(by_firm(parts_t, firm, 300), total_t)
    heavy = by_firm(weight, firm, 300) > 0
    exact = total_t[firm] * weight / np.maximum(1, by_firm(weight, firm, 300)[firm])
    assert (np.abs(parts_t - exact) <= 1)[heavy[firm]].all()


# ------------------------------------------------------------------------------------------------------ bad input


def changed(tmp_path: Path, old: str, new: str) -> Path:
    """The shipped plans with one change, in a file of its own."""
    text = FILE.read_text(encoding="utf-8")
    assert old in text
    path = tmp_path / "plans.toml"
    path.write_text(text.replace(old, new, 1), encoding="utf-8")
    return path


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("electricity_t_per_mwh = 0.877\n", "electricity_t_per_mwh = -1.0\n",
         ["power.2019-2020.units[0].electricity_t_per_mwh", "-1.0", "> 0"]),
        ("electricity_t_per_mwh = 0.877\n", 'electricity_t_per_mwh = "much"\n',
         ["power.2019-2020.units[0].electricity_t_per_mwh", "'much'", "float"]),
        ("preallocated_share = 0.70", "preallocated_share = 1.7", ["power.2019-2020.preallocated_share", "1.7"]),
        ("cooling_air = 1.05", "cooling_wind = 1.05", ["power.2019-2020", "cooling_wind"]),
        ('gas_relief = "duty"', 'gas_relief = "all"', ["power.2019-2020.gas_relief", "'all'"]),
        ('unit_class = "gas"', 'unit_class = "coal_small"', ["power.2019-2020.units", "'gas'"]),
        ("[products.clinker]", "[product.clinker]", ["product", "power and products"]),
    ],
)  # fmt: skip
def test_a_wrong_plan_is_refused_with_file_key_and_value(tmp_path: Path, old: str, new: str, told: list[str]) -> None:
    with pytest.raises(ScenarioError) as error:
        load_benchmarks(changed(tmp_path, old, new))
    for part in ["plans.toml", *told]:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("rule", "told"),
    [
        ({"sectors": (sector(Method.BENCHMARK, plan="2020"),)}, ["sectors[0].plan", "'2020'", "benchmarks.toml"]),
        ({"sectors": (sector(Method.INTENSITY, share=0.5),)}, ["sectors.share_of_firms", "0.5", "add up to 1"]),
        ({"sectors": (sector(Method.INTENSITY, factor=0.0),)}, ["sectors[0].factor", "0.0", "above 0"]),
        ({"sectors": (sector(Method.INTENSITY, share=0.5),) * 2}, ["sectors.name", "One"]),
        ({"free_share": 1.5}, ["free_share", "1.5"]),
        ({"duty_cap_share": -0.1}, ["duty_cap_share", "-0.1"]),
        ({"cap_t": 0}, ["cap_t", "0", "above 0"]),
    ],
)
def test_a_wrong_rule_is_refused_with_key_and_value(rule: dict[str, Any], told: list[str]) -> None:
    with pytest.raises(ScenarioError) as error:
        AllocationRule(**({"sectors": (sector(Method.INTENSITY),)} | rule))
    for part in told:
        assert part in str(error.value)


@pytest.mark.parametrize(
    ("change", "told"),
    [
        ({"spread": -0.1}, ["spread", "-0.1"]),
        ({"efficiency": np.zeros(3)}, ["efficiency", "(3,)", "2 firms"]),
        ({"efficiency": np.array([0.0, np.nan])}, ["efficiency", "finite"]),
        ({"emissions_t": np.array([1.0, 2.0])}, ["emissions_t", "float64", "int64"]),
        ({"emissions_t": np.array([-1, 2])}, ["emissions_t", "-1", "at least 0"]),
    ],
)
def test_wrong_numbers_are_refused(change: dict[str, Any], told: list[str]) -> None:
    good: dict[str, Any] = {"emissions_t": np.array([5, 6]), "efficiency": np.zeros(2), "mean": 0.0, "spread": 0.1}
    with pytest.raises(ScenarioError) as error:
        allocate(AllocationRule((sector(Method.INTENSITY),)), **(good | change), output_drift_sigma=0.1, seed=1)
    for part in told:
        assert part in str(error.value)


def test_a_season_states_the_rule_that_its_plan_does() -> None:
    def fact(value: float) -> facts.Fact[Any]:
        return facts.Fact(value, "made up")

    one = sector(Method.BENCHMARK, plan="2019-2020")
    stated = AllocationRule.from_facts(facts.Allocation([one], fact(0.7), duty_cap_share=fact(0.2)))
    planned = AllocationRule.from_plan("2019-2020")
    assert replace(stated, sectors=planned.sectors) == planned
    auctioned = facts.Allocation([one], fact(0.7), auctioned_share=fact(0.03), declared_cap_t=fact(125_000_000))
    assert AllocationRule.from_facts(auctioned).free_share == pytest.approx(0.97)
    assert AllocationRule.from_facts(auctioned).cap_t == 125_000_000
