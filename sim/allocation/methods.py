"""The steps of allocation, one function each, over plain arrays. No draws, no firm's behaviour, no order of steps.

Power by benchmark: MWh x electricity benchmark x cooling x heat supply x load + GJ x heat benchmark. The 2017 trial is
the same formula with other coefficients, 1 - 0.25 x heat ratio for coal and 1 - 0.6 x heat ratio for gas.
Whole tonnes. Where a rule is silent about rounding, and all that were found are, tonnes are rounded down.
"""

import numpy as np

from sim.allocation.benchmarks import PowerPlan
from sim.allocation.plants import Plants
from sim.allocation.whole import floor_t

DECLARED_TOLERANCE = 0.08
"""A declaration this far above verified emissions stands (Chongqing). Assumed: remembered, no source found."""


def power_terms(plan: PowerPlan, plants: Plants) -> dict[str, np.ndarray]:
    """What makes up the allocation of power plants, t, float, shape (plants,): the sum is the allocation.

    `electricity` is output at the benchmark alone; `cooling`, `heat_factor` and `load` are what each factor adds to it
    or takes away, one after the other; `heat` is heat at its benchmark.
    """
    electricity = plants.power_mwh * plan.electricity(plants.unit)
    cooled = electricity * plan.cooling_factor(plants.unit_class, plants.air_cooled)
    supplied = cooled * plan.heat_factor(plants.unit_class, plants.heat_ratio)
    loaded = supplied * plan.load_factor(plants.unit_class, plants.load, plants.heat_ratio)
    return {
        "electricity": electricity,
        "cooling": cooled - electricity,
        "heat_factor": supplied - cooled,
        "load": loaded - supplied,
        "heat": plants.heat_gj * plan.heat(plants.unit),
    }


def power_allocation_t(plan: PowerPlan, plants: Plants) -> np.ndarray:
    """Allowances of power plants under a plan, t, int64, shape (plants,).

    The plan may be another one than the plants were drawn for, if both have the same rows and basis: that is how a
    tighter plan is tried on the same fleet.
    """
    terms = list(power_terms(plan, plants).values())
    return floor_t(np.sum(terms, axis=0))


def product_allocation_t(benchmark_t_per_t: float, activity: np.ndarray) -> np.ndarray:
    """Product at its benchmark: `activity` t of product, any shape; t, int64."""
    return floor_t(activity * benchmark_t_per_t)


def intensity_allocation_t(past_intensity: np.ndarray, activity: np.ndarray, factor: float) -> np.ndarray:
    """Historical intensity 历史强度法: past t a unit x this year's units x decline factor; t, int64."""
    return floor_t(past_intensity * activity * factor)


def grandfathered_t(past_emissions_t: np.ndarray, factor: float) -> np.ndarray:
    """Historical emissions 历史排放法: mean over the base years, shape (plants, years), x factor; t, int64."""
    return floor_t(past_emissions_t.mean(axis=1) * factor)


def scaled_to_cap_t(declared_t: np.ndarray, cap_t: int | None) -> np.ndarray:
    """Declarations 申报量, all scaled by one factor if their sum exceeds the cap; t, int64, shape (firms,)."""
    total_t = int(declared_t.sum())
    if cap_t is None or total_t <= cap_t:
        return declared_t
    return floor_t(declared_t * (cap_t / total_t))


def cut_after_verification_t(issued_t: np.ndarray, declared_t: np.ndarray, verified_t: np.ndarray) -> np.ndarray:
    """What a firm keeps once its emissions are verified; t, int64, shape (firms,).

    A declaration above verified emissions by more than `DECLARED_TOLERANCE` loses what was issued for all of the
    excess, not only for what lies beyond the tolerance (assumed).
    """
    over = declared_t > (1 + DECLARED_TOLERANCE) * verified_t
    kept = floor_t(issued_t * np.divide(verified_t, declared_t, out=np.ones(len(declared_t)), where=declared_t > 0))
    return np.where(over, kept, issued_t)


def free_part_t(allocation_t: np.ndarray, free_share: float) -> np.ndarray:
    """What is left to be free when the rest is auctioned 有偿发放; t, int64, shape (firms,)."""
    return floor_t(allocation_t * free_share)


def preallocation_t(final_t: np.ndarray, share: float, drift: np.ndarray) -> np.ndarray:
    """First issue 预分配: a share of what the method gives at the output of the base year; t, int64, shape (firms,).

    `drift` is that output over this year's. The methods that follow output are proportional to it.
    """
    return floor_t(share * drift * final_t)


def gas_deficit_t(emissions_t: np.ndarray, free_t: np.ndarray, gas: np.ndarray) -> np.ndarray:
    """By how much gas units are short; 0 for others; t, int64, shape (plants,), like `gas` (bool)."""
    return np.where(gas, np.maximum(0, emissions_t - free_t), 0)


def topup_t(emissions_t: np.ndarray, free_t: np.ndarray, floor_share: float) -> np.ndarray:
    """Extra allowances 补发 that lift the issue to this share of verified emissions; t, int64, shape (firms,)."""
    missing_t: np.ndarray = np.maximum(0, floor_t(floor_share * emissions_t) - free_t)
    return missing_t


def capped_duty_t(emissions_t: np.ndarray, free_t: np.ndarray, cap_share: float) -> np.ndarray:
    """Units to surrender: at most the free allocation and this share of emissions; t, int64, shape (firms,)."""
    duty_t: np.ndarray = np.minimum(emissions_t, free_t + floor_t(cap_share * emissions_t))
    return duty_t
