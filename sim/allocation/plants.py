"""The firms' plants as they are drawn: how many, how large, of which class, how efficient, with which output.

A firm's place in the spread of efficiency comes from outside and stays the firm's own: plants scatter around it, and
their deviations cancel by emissions. So allocation over emissions less 1 has the mean and the spread of the parameters
over firms, whatever plants a firm owns. No public figure says which class of unit was long, so none is tilted.

Output follows from emissions and intensity: what a method gives for it is emissions x (1 + mean + spread x place).
Nothing here depends on the market. Constants are assumed unless a source stands beside them.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, fields
from functools import partial

import numpy as np

from sim.allocation.benchmarks import CLASSES, PowerPlan, Product, UnitClass, load_benchmarks
from sim.allocation.whole import apportion, by_firm, floor_t
from sim.facts import Method, Sector
from sim.streams import stream

Draw = Callable[[str], np.random.Generator]
"""The stream of one trait of one sector's plants."""

MORE_PLANTS = 1.0
"""Plants beyond the first of a firm of mean size, mean; grows with the root of size. Assumed."""
SHARE_SHAPE = 4.0
"""Gamma shape of a plant's share of its firm: shares of one firm differ by about a half. Assumed."""
PLANT_SCATTER = 0.6
"""Standard deviation of plants around their firm, in units of the spread over firms. Assumed."""
LEAST_RATIO = 0.05
"""No plant gets less than this share of its emissions from a method. Assumed; out of reach at usual spreads."""

CLASS_SHARE = {UnitClass.UNCONVENTIONAL: 0.15, UnitClass.GAS: 0.04}
"""Share of plants; the rest is conventional coal. Assumed: no public count by class found."""
LARGE_SHARE = 0.6
"""Of conventional coal plants, above the 300 MW class. Assumed."""
SIZE_SCATTER = 0.5
"""How loosely the class follows a plant's size: range of a uniform added to its size rank (0 to 1). Assumed."""

HEAT_SUPPLIERS = {
    UnitClass.COAL_LARGE: 0.35,
    UnitClass.COAL_SMALL: 0.80,
    UnitClass.UNCONVENTIONAL: 0.60,
    UnitClass.GAS: 0.50,
}
"""Share of units that supply heat 热电联产. Assumed: most small units do."""
HEAT_RATIO = {
    UnitClass.COAL_LARGE: 0.10,
    UnitClass.COAL_SMALL: 0.30,
    UnitClass.UNCONVENTIONAL: 0.25,
    UnitClass.GAS: 0.20,
}
"""Mean heat ratio 供热比 of those; none is above twice the mean. Assumed."""
HEAT_T_PER_GJ = {"coal": 0.1118, "gas": 0.0602}
"""Typical intensity of heat: the heat benchmarks of the 2017 trial, whose blend is the accounting guide's 0.11 t/GJ."""
HEAT_SCATTER = 0.05
"""Half range of a uniform around 1 by which a plant's intensity of heat leaves the typical one. Assumed."""
AIR_COOLED = 0.2
"""Share of coal units with air cooling 空冷. Assumed: the dry north and north-west."""
LOAD = (0.45, 0.72, 0.95)
"""Load of a unit, share of capacity: least, most likely, most, of a triangular distribution. Assumed."""

BASE_YEARS = 3
"""Years over which history is averaged, as the pilots did. Assumed where a rule names another number."""
YEAR_SCATTER = 0.05
"""Log standard deviation of a base year's activity around the plant's mean. Assumed."""


@dataclass(frozen=True)
class Plants:
    """Arrays over plants in the order of their firms, shape (plants,) unless said. What does not apply is 0."""

    firm: np.ndarray
    """Owner, int64."""
    sector: np.ndarray
    """Number of the owner's sector, int64."""
    emissions_t: np.ndarray
    """Verified emissions, int64; a firm's plants add up to the firm."""
    unit_class: np.ndarray
    """Code of the `UnitClass`, int64; 0 for other sectors."""
    unit: np.ndarray
    """Row of the sector's power plan, int64; -1 for other sectors."""
    air_cooled: np.ndarray
    """bool."""
    load: np.ndarray
    """Share of capacity, float."""
    heat_ratio: np.ndarray
    """Heat's share of the unit's fuel and emissions 供热比, float."""
    power_mwh: np.ndarray
    """Electricity on the plan's basis, float."""
    heat_gj: np.ndarray
    """Heat supplied, float."""
    activity: np.ndarray
    """Other sectors: t of product, or units of about one tonne of emissions where a sector names no product, float."""
    past_activity: np.ndarray
    """Activity in the base years, float, shape (plants, BASE_YEARS)."""
    past_intensity: np.ndarray
    """Emissions a unit of activity in the base years, float."""
    declared_t: np.ndarray
    """Emissions the firm declares beforehand, int64."""

    def __len__(self) -> int:
        return len(self.firm)

    def only(self, mine: np.ndarray) -> "Plants":
        """Some of the plants, by a bool array of shape (plants,)."""
        return Plants(**{field.name: getattr(self, field.name)[mine] for field in fields(self)})


def _trait(seed: int, sector: int, name: str) -> np.random.Generator:
    """The stream of a trait of a sector's plants; by number, so that another plan meets the same draws."""
    return stream(seed, f"plant {name}, sector {sector}")


def _by_class(values: dict[UnitClass, float]) -> np.ndarray:
    """Values by class code, float, 0 where nothing is said."""
    return np.array([values.get(one, 0.0) for one in CLASSES])


def _owned(emissions_t: np.ndarray, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Owner and emissions of each plant, int64; larger firms own more of them."""
    more = stream(seed, "plants").poisson(MORE_PLANTS * np.sqrt(emissions_t / max(1.0, emissions_t.mean())))
    firm = np.repeat(np.arange(len(emissions_t)), 1 + more)
    return firm, apportion(emissions_t, stream(seed, "plant sizes").gamma(SHARE_SHAPE, size=len(firm)), firm)


def _places(efficiency: np.ndarray, firm: np.ndarray, plant_t: np.ndarray, seed: int) -> np.ndarray:
    """Place of each plant in the spread, float: the firm's place and an own deviation that cancels within the firm."""
    own = stream(seed, "plant efficiency").standard_normal(len(firm))
    weight = np.maximum(plant_t, 1)
    firms = len(efficiency)
    centre: np.ndarray = by_firm(own * weight, firm, firms) / by_firm(weight, firm, firms)
    places: np.ndarray = efficiency[firm] + PLANT_SCATTER * (own - centre[firm])
    return places


def _classes(plant_t: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Class code of each power plant, int64; `uniforms` has shape (2, plants)."""
    gas = uniforms[0] < CLASS_SHARE[UnitClass.GAS]
    unconventional = uniforms[0] > 1 - CLASS_SHARE[UnitClass.UNCONVENTIONAL]
    score = plant_t.argsort(kind="stable").argsort() / len(plant_t) + SIZE_SCATTER * uniforms[1]
    large = score > np.quantile(score, 1 - LARGE_SHARE)
    codes = [UnitClass.GAS.code, UnitClass.UNCONVENTIONAL.code, UnitClass.COAL_LARGE.code]
    return np.select([gas, unconventional, large], codes, UnitClass.COAL_SMALL.code)


def _rows(plan: PowerPlan, unit_class: np.ndarray, uniforms: np.ndarray) -> np.ndarray:
    """Row of the plan for each plant, int64: any row of its class, with equal chances."""
    unit = np.zeros(len(unit_class), np.int64)
    for one in CLASSES[1:]:
        rows, mine = plan.rows(one), unit_class == one.code
        unit[mine] = rows[np.floor(uniforms[mine] * len(rows)).astype(np.int64)]
    return unit


def _power(plan: PowerPlan, plant_t: np.ndarray, ratio: np.ndarray, draw: Draw) -> dict[str, np.ndarray]:
    """Class, conditions and output of one sector's power plants, so that the plan gives emissions x ratio."""
    count = len(plant_t)
    unit_class = _classes(plant_t, draw("class").random((2, count)))
    unit = _rows(plan, unit_class, draw("row").random(count))
    rng = draw("heat")
    supplier = rng.random(count) < _by_class(HEAT_SUPPLIERS)[unit_class]
    heat_ratio = np.where(supplier, 2 * _by_class(HEAT_RATIO)[unit_class] * rng.beta(2, 2, count), 0.0)
    scatter = 1 + HEAT_SCATTER * (2 * rng.random(count) - 1)
    gas = unit_class == UnitClass.GAS.code
    air_cooled = (draw("cooling").random(count) < AIR_COOLED) & ~gas
    load = draw("load").triangular(*LOAD, count)
    # An efficient plant is so in heat and in electricity: heat at the typical intensity over its ratio, and
    # electricity for the rest of what the plan is to give.
    typical = np.where(gas, HEAT_T_PER_GJ["gas"], HEAT_T_PER_GJ["coal"])
    heat_gj = heat_ratio * plant_t * ratio / (typical * scatter)
    factors = (
        plan.cooling_factor(unit_class, air_cooled)
        * plan.heat_factor(unit_class, heat_ratio)
        * plan.load_factor(unit_class, load, heat_ratio)
    )
    power_mwh = (ratio * plant_t - heat_gj * plan.heat(unit)) / (plan.electricity(unit) * factors)
    return {"unit_class": unit_class, "unit": unit, "heat_ratio": heat_ratio, "air_cooled": air_cooled, "load": load,
            "heat_gj": heat_gj, "power_mwh": power_mwh}  # fmt: skip


def _other(
    sector: Sector, product: Product | None, plant_t: np.ndarray, ratio: np.ndarray, drift: np.ndarray, draw: Draw
) -> dict[str, np.ndarray]:
    """Activity and history of one sector's plants, so that its method gives emissions x ratio (before its factor)."""
    activity = ratio * plant_t / product.benchmark_t_per_t if product else plant_t.astype(np.float64)
    scatter = np.exp(YEAR_SCATTER * draw("history").standard_normal((len(plant_t), BASE_YEARS)))
    years = drift[:, None] * scatter
    by_history = sector.method == Method.GRANDFATHERING
    return {
        "activity": activity,
        "past_activity": activity[:, None] * years,
        "past_intensity": ratio / years.mean(axis=1) if by_history else ratio,
        "declared_t": floor_t(plant_t * ratio) if sector.method == Method.DECLARED else np.zeros_like(plant_t),
    }


def draw_plants(
    emissions_t: np.ndarray,
    efficiency: np.ndarray,
    drift: np.ndarray,
    mean: float,
    spread: float,
    sector: np.ndarray,
    sectors: Sequence[Sector],
    seed: int,
) -> Plants:
    """The plants of all firms.

    Parameters
    ----------
    emissions_t
        Verified emissions of each firm, int64, shape (firms,).
    efficiency
        Standard normal: each firm's place in the spread, whatever its group adds included, float, shape (firms,).
    drift
        Output of the base year over this year's, float, shape (firms,).
    mean, spread
        Of what a method gives over emissions, less 1, over firms.
    sector
        Number of each firm's sector, int64, shape (firms,).
    sectors
        Method and benchmark plan of each sector.
    seed
        Of all draws; what a sector's plants draw does not depend on other sectors' methods.

    Raises
    ------
    ScenarioError
        If a benchmark sector names no plan of `benchmarks.toml`.
    """
    firm, plant_t = _owned(emissions_t, seed)
    ratio = np.maximum(LEAST_RATIO, 1 + mean + spread * _places(efficiency, firm, plant_t, seed))
    count = len(firm)
    columns = {name: np.zeros(count) for name in
               ("load", "heat_ratio", "power_mwh", "heat_gj", "activity", "past_intensity")}  # fmt: skip
    columns |= {name: np.zeros(count, np.int64) for name in ("unit_class", "declared_t")}
    columns |= {"unit": np.full(count, -1), "air_cooled": np.zeros(count, bool)}
    columns["past_activity"] = np.zeros((count, BASE_YEARS))
    for number, one in enumerate(sectors):
        mine = sector[firm] == number
        plan = None
        if one.method == Method.BENCHMARK:
            plan = load_benchmarks().plan(one.plan, f"sectors[{number}].plan")
        if not mine.any():
            continue
        draw = partial(_trait, seed, number)
        if isinstance(plan, PowerPlan):
            drawn = _power(plan, plant_t[mine], ratio[mine], draw)
        else:
            drawn = _other(one, plan, plant_t[mine], ratio[mine], drift[firm[mine]], draw)
        for name, values in drawn.items():
            columns[name][mine] = values
    return Plants(firm=firm, sector=sector[firm], emissions_t=plant_t, **columns)
