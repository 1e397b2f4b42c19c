"""A cycle's allocation rule applied to all firms: what they get, what stands in their accounts first, what they owe.

The order of the steps stands here, the steps in `methods.py`. The order is: the method, by plant; the cap on
declarations and the cut after verification; the share auctioned; the top-up; the cap on the duty.
This file draws sectors and the change of output, the plants come from `plants.py`; it may not know prices or days.
"""

from dataclasses import dataclass

import numpy as np

from engine.errors import ScenarioError
from sim import facts
from sim.allocation import methods
from sim.allocation.benchmarks import GasRelief, PowerPlan, Product, UnitClass, load_benchmarks
from sim.allocation.plants import Plants, draw_plants
from sim.allocation.reasons import method_reasons
from sim.allocation.whole import apportion, by_firm
from sim.facts import Method, Sector
from sim.streams import balanced, stream

FOLLOWS_OUTPUT = (Method.BENCHMARK, Method.INTENSITY)
"""Methods under which a first issue at the base year's output differs from the final one."""


def _refuse(key: str, value: object, expected: str) -> ScenarioError:
    return ScenarioError(f"allocation: {key}: got {value!r}, expected {expected}")


@dataclass(frozen=True)
class AllocationRule:
    """How a cycle allocates. Refuses values out of range with a `ScenarioError` that names key and value."""

    sectors: tuple[Sector, ...]
    """Their shares of firms add up to 1. `factor` comes on top of `mean`: a firm's history does not know it."""
    free_share: float = 1.0
    """What is not auctioned."""
    preallocated_share: float = 1.0
    """Of the allocation at the output of the base year."""
    duty_cap_share: float | None = None
    """Duty at most the free allocation and this share of emissions; None: no cap."""
    topup_floor_share: float | None = None
    """Issued up to this share of emissions; None: no top-up."""
    cap_t: int | None = None
    """Sum of declarations beyond which all are scaled; None: no cap."""

    def __post_init__(self) -> None:
        total = sum(sector.share_of_firms for sector in self.sectors)
        if abs(total - 1) > 1e-9:
            raise _refuse("sectors.share_of_firms", total, "shares that add up to 1")
        names = [sector.name for sector in self.sectors]
        if len(set(names)) < len(names):
            raise _refuse("sectors.name", names, "a name of its own for each sector")
        for number, sector in enumerate(self.sectors):
            if sector.share_of_firms < 0:
                raise _refuse(f"sectors[{number}].share_of_firms", sector.share_of_firms, "at least 0")
            if sector.factor <= 0:
                raise _refuse(f"sectors[{number}].factor", sector.factor, "above 0")
            if sector.method == Method.BENCHMARK:
                load_benchmarks().plan(sector.plan, f"allocation: sectors[{number}].plan")
        shares = {
            "free_share": self.free_share,
            "preallocated_share": self.preallocated_share,
            "duty_cap_share": self.duty_cap_share,
            "topup_floor_share": self.topup_floor_share,
        }
        for key, share in shares.items():
            if share is not None and not 0 <= share <= 1:
                raise _refuse(key, share, "a share from 0 to 1")
        if self.cap_t is not None and self.cap_t <= 0:
            raise _refuse("cap_t", self.cap_t, "above 0")

    @classmethod
    def from_facts(cls, rule: facts.Allocation) -> "AllocationRule":
        """The rule that a season states."""
        auctioned, duty, topup, cap = (
            None if fact is None else fact.value
            for fact in (rule.auctioned_share, rule.duty_cap_share, rule.topup_floor_share, rule.declared_cap_t)
        )
        return cls(
            sectors=tuple(rule.sectors),
            free_share=1 - (auctioned or 0.0),
            preallocated_share=rule.preallocated_share.value,
            duty_cap_share=duty,
            topup_floor_share=topup,
            cap_t=None if cap is None else int(cap),
        )

    @classmethod
    def from_plan(cls, name: str) -> "AllocationRule":
        """One sector under one plan of `benchmarks.toml`, with the plan's own shares. Raises `ScenarioError`."""
        plan = load_benchmarks().plan(name, "allocation: plan")
        sector = Sector(plan.title, plan.title_zh, 1.0, Method.BENCHMARK, plan.source, plan=name)
        if isinstance(plan, Product):
            return cls((sector,), preallocated_share=plan.preallocated_share)
        return cls(
            (sector,),
            preallocated_share=plan.preallocated_share,
            duty_cap_share=plan.duty_cap_share,
            topup_floor_share=plan.topup_floor_share,
        )


@dataclass(frozen=True)
class Allocation:
    """What came of it. Arrays over firms, shape (firms,), int64, unless said."""

    sectors: tuple[Sector, ...]
    sector: np.ndarray
    """Number of each firm's sector."""
    free_t: np.ndarray
    """Final free allocation, after cut and top-up."""
    preallocated_t: np.ndarray
    """Issued first. At most `free_t`, but for declarations: where units are taken back, `true_up_t` is below 0."""
    duty_t: np.ndarray
    """Units to surrender, after the cap on the duty."""
    plants: Plants
    by_plant_t: np.ndarray
    """What the method gives each plant before cut, auction and top-up, shape (plants,)."""
    reasons_t: dict[str, np.ndarray]
    """Why each plant is long or short, t, shape (plants,), by name of `reasons.REASONS`: what a name leaves out is 0.

    They add up to the firm's free allocation less its duty. What a step decides for a firm is split over its plants
    by emissions, what is auctioned by allocation."""

    @property
    def true_up_t(self) -> np.ndarray:
        """Final less first issue 多退少补, shape (firms,); below 0 where units are taken back."""
        change: np.ndarray = self.free_t - self.preallocated_t
        return change


def _sectors(sectors: tuple[Sector, ...], emissions_t: np.ndarray, seed: int) -> np.ndarray:
    """Number of each firm's sector, int64: shares to the nearest firm, each sector with firms of all sizes."""
    firms = len(emissions_t)
    ends = np.rint(np.cumsum([sector.share_of_firms for sector in sectors]) * firms).astype(np.int64)
    label = np.repeat(np.arange(len(sectors)), np.diff(ends, prepend=0))
    place = balanced(stream(seed, "sectors"), emissions_t)
    return label[place.argsort().argsort()]


def _method_t(sector: Sector, plants: Plants) -> np.ndarray:
    """What a sector's method gives all plants as if they were its own, t, int64, shape (plants,)."""
    if sector.method == Method.INTENSITY:
        return methods.intensity_allocation_t(plants.past_intensity, plants.activity, sector.factor)
    if sector.method == Method.GRANDFATHERING:
        return methods.grandfathered_t(plants.past_activity * plants.past_intensity[:, None], sector.factor)
    if sector.method == Method.DECLARED:
        return plants.declared_t
    plan = load_benchmarks().plan(sector.plan, "sectors.plan")
    if isinstance(plan, PowerPlan):
        return methods.power_allocation_t(plan, plants)
    return methods.product_allocation_t(plan.benchmark_t_per_t, plants.activity)


def _gas(sectors: tuple[Sector, ...], plants: Plants, relief: GasRelief) -> np.ndarray:
    """Gas units whose plan relieves them in this way, bool, shape (plants,)."""
    power = load_benchmarks().power
    plans = [power.get(sector.plan) if sector.method == Method.BENCHMARK else None for sector in sectors]
    relieved = np.array([plan is not None and plan.gas_relief == relief for plan in plans])
    found: np.ndarray = relieved[plants.sector] & (plants.unit_class == UnitClass.GAS.code)
    return found


def allocate(
    rule: AllocationRule,
    emissions_t: np.ndarray,
    efficiency: np.ndarray,
    mean: float,
    spread: float,
    output_drift_sigma: float,
    seed: int,
) -> Allocation:
    """Allocate to all firms.

    Parameters
    ----------
    rule
        The cycle's rule.
    emissions_t
        Verified emissions, int64, shape (firms,).
    efficiency
        Standard normal: each firm's place in the spread, with whatever its group adds, float, shape (firms,).
    mean, spread
        Of what the methods give over emissions, less 1, over firms, before factor, cut, auction and top-up.
    output_drift_sigma
        Log standard deviation of the base year's output over this year's.
    seed
        Of sectors, change of output, and plants.

    Raises
    ------
    ScenarioError
        If arrays do not fit each other, or a number is out of range.
    """
    firms = len(emissions_t)
    if firms == 0 or emissions_t.dtype != np.int64:
        raise _refuse("emissions_t", f"{firms} of {emissions_t.dtype}", "whole tonnes (int64) of at least one firm")
    if emissions_t.min() < 0:
        raise _refuse("emissions_t", int(emissions_t.min()), "at least 0")
    if efficiency.shape != emissions_t.shape or not np.isfinite(efficiency).all():
        raise _refuse("efficiency", efficiency.shape, f"a finite number for each of {firms} firms")
    for key, sigma in (("spread", spread), ("output_drift_sigma", output_drift_sigma)):
        if sigma < 0:
            raise _refuse(key, sigma, "at least 0")
    sector = _sectors(rule.sectors, emissions_t, seed)
    drift = np.exp(output_drift_sigma * stream(seed, "output").standard_normal(firms))
    plants = draw_plants(emissions_t, efficiency, drift, mean, spread, sector, rule.sectors, seed)

    by_plant_t = np.zeros(len(plants), np.int64)
    reasons_t: dict[str, np.ndarray] = {}
    for number, one in enumerate(rule.sectors):
        mine = plants.sector == number
        own = plants.only(mine)
        by_plant_t[mine] = _method_t(one, own)
        for name, amount_t in method_reasons(one, own, by_plant_t[mine]).items():
            reasons_t.setdefault(name, np.zeros(len(plants), np.int64))[mine] = amount_t

    def total(by_plant: np.ndarray) -> np.ndarray:
        return by_firm(by_plant, plants.firm, firms)

    def step(name: str, by_plant: np.ndarray) -> np.ndarray:
        """Note a step; returns its sums by firm."""
        reasons_t[name] = by_plant
        return total(by_plant)

    method_t = total(by_plant_t)
    declares = np.array([one.method == Method.DECLARED for one in rule.sectors])[sector]
    issued_t = method_t.copy()
    issued_t[declares] = methods.scaled_to_cap_t(method_t[declares], rule.cap_t)
    kept_t = np.where(declares, methods.cut_after_verification_t(issued_t, method_t, emissions_t), issued_t)
    step("cut", apportion(kept_t - method_t, plants.emissions_t, plants.firm))
    first_t, free_t = methods.free_part_t(issued_t, rule.free_share), methods.free_part_t(kept_t, rule.free_share)
    step("auction", apportion(free_t - kept_t, by_plant_t, plants.firm))

    free_by_plant_t = by_plant_t + reasons_t["cut"] + reasons_t["auction"]
    gas = _gas(rule.sectors, plants, GasRelief.ISSUE)
    extra_t = methods.gas_deficit_t(plants.emissions_t, free_by_plant_t, gas)
    if rule.topup_floor_share is None:
        extra_t = np.zeros_like(extra_t)
    else:
        rest_t = methods.topup_t(emissions_t, free_t + total(extra_t), rule.topup_floor_share)
        extra_t += apportion(rest_t, plants.emissions_t, plants.firm)
    final_t = free_t + step("topup", extra_t)

    waived_t = methods.gas_deficit_t(plants.emissions_t, free_by_plant_t, _gas(rule.sectors, plants, GasRelief.DUTY))
    if rule.duty_cap_share is None:
        waived_t = np.zeros_like(waived_t)
    else:
        owed_t = emissions_t - total(waived_t)
        capped_t = np.minimum(owed_t, methods.capped_duty_t(emissions_t, final_t, rule.duty_cap_share))
        waived_t += apportion(owed_t - capped_t, plants.emissions_t, plants.firm)
    duty_t = emissions_t - step("duty_cap", waived_t)

    follows = np.array([one.method in FOLLOWS_OUTPUT for one in rule.sectors])[sector]
    first_t = methods.preallocation_t(first_t, rule.preallocated_share, np.where(follows, drift, 1.0))
    preallocated_t = np.where(declares, first_t, np.minimum(first_t, final_t))
    return Allocation(rule.sectors, sector, final_t, preallocated_t, duty_t, plants, by_plant_t, reasons_t)
