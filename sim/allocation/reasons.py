"""Why plants are long or short: the surplus split into reasons that add up to it exactly. Explains, decides nothing.

A reason is what one thing adds to allocation less duty, in tonnes, after the reasons before it in `REASONS`:

    efficiency    output at the bare benchmark (or past intensity) against the emissions it caused
    cooling, heat, load     what the plan's factors give or take; heat with its own benchmark against its own emissions
    growth        past output against this year's, where the method looks at past emissions
    factor        decline factor;   declaration   declared against verified emissions
    cut           cap on declarations, and what is taken back after verification
    auction, topup, duty_cap    the steps that follow

A factor answers a disadvantage: an air-cooled plant that meets its corrected benchmark shows a minus under efficiency
and the same plus under cooling.
"""

import numpy as np

from sim.allocation import methods
from sim.allocation.benchmarks import PowerPlan, load_benchmarks
from sim.allocation.plants import Plants
from sim.facts import Method, Sector

STEPS = ("cut", "auction", "topup", "duty_cap")
"""Reasons that lie after the method."""
REASONS = ("efficiency", "cooling", "heat", "load", "growth", "factor", "declaration", *STEPS)
"""All reasons, in order."""


def _terms(sector: Sector, plants: Plants) -> dict[str, np.ndarray]:
    """The method's reasons, t, float, shape (plants,), in the order of `REASONS`; sum: allocation less emissions."""
    emitted_t = plants.emissions_t.astype(np.float64)
    if sector.method == Method.DECLARED:
        return {"declaration": plants.declared_t - emitted_t}
    if sector.method == Method.INTENSITY:
        before_t = plants.past_intensity * plants.activity
        return {"efficiency": before_t - emitted_t, "factor": before_t * (sector.factor - 1)}
    if sector.method == Method.GRANDFATHERING:
        past = plants.past_activity.mean(axis=1)
        earlier = np.divide(past, plants.activity, out=np.ones(len(past)), where=plants.activity > 0)
        before_t = past * plants.past_intensity
        grown_t = (earlier - 1) * emitted_t
        return {"efficiency": before_t - emitted_t - grown_t, "growth": grown_t,
                "factor": before_t * (sector.factor - 1)}  # fmt: skip
    plan = load_benchmarks().plan(sector.plan, "sectors.plan")
    if not isinstance(plan, PowerPlan):
        return {"efficiency": plants.activity * plan.benchmark_t_per_t - emitted_t}
    terms, heat_t = methods.power_terms(plan, plants), plants.heat_ratio * emitted_t
    return {
        "efficiency": terms["electricity"] - (emitted_t - heat_t),
        "cooling": terms["cooling"],
        "heat": terms["heat_factor"] + terms["heat"] - heat_t,
        "load": terms["load"],
    }


def method_reasons(sector: Sector, plants: Plants, by_plant_t: np.ndarray) -> dict[str, np.ndarray]:
    """Reasons within the method, whole tonnes, int64, shape (plants,), by name.

    `plants` are the sector's own; `by_plant_t` is what the method gives them. The sum is `by_plant_t` less emissions:
    sums so far are rounded down, so that no reason is off by more than a tonne.
    """
    terms = _terms(sector, plants)
    sums = np.floor(np.cumsum(list(terms.values()), axis=0)).astype(np.int64)
    sums[-1] = by_plant_t - plants.emissions_t
    return dict(zip(terms, np.diff(sums, axis=0, prepend=0), strict=True))
