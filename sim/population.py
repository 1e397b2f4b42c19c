"""Firms as they are drawn: sizes, positions, groups, provinces, and traits. Nothing here depends on the market.

All draws come from named streams and are the same under any rulebook; group and province draws are stratified, so
that a season is not decided by which lump a few large draws fall into. Quantities are whole tonnes.
"""

from dataclasses import dataclass

import numpy as np

from sim.parameters import Parameters
from sim.season import SeasonPlan
from sim.streams import stratified, stream


@dataclass(frozen=True)
class Population:
    """Arrays over firms, shape (firms,) unless said."""

    emissions_t: np.ndarray
    """Verified emissions of the cycle, int64."""
    free_t: np.ndarray
    """Final free allocation, int64."""
    preallocated_t: np.ndarray
    """What stood in the account at the start, int64, at most the final allocation."""
    duty_t: np.ndarray
    """Units to surrender, after the cap, int64."""
    offsets_t: np.ndarray
    """Offsets the firm can surrender in place of allowances, int64."""
    estimate_error: np.ndarray
    """Standard normal error of the firm's own estimate before its true-up."""
    province: np.ndarray
    group: np.ndarray
    """Group number, or -1."""
    headquarters: np.ndarray
    """Whether the group's headquarters trade for the firm, bool."""
    true_up_delay_days: np.ndarray
    """Calendar days from the notice to the firm's true-up, int64."""
    procrastination_days: np.ndarray
    """Distance to a binding date at which the firm begins to act, calendar days, float."""
    approval_days: np.ndarray
    """Internal approval without pressure, trading days, float."""
    private_value: np.ndarray
    """Standard normal: the firm's place in the spread of private values."""
    first_quote: np.ndarray
    """Standard normal: scatter of the firm's first quote."""
    late: np.ndarray
    """Uniform: firms above the milestone's share are bound by the deadline alone."""
    unresponsive: np.ndarray
    """Whether the firm neither trades nor surrenders, bool."""

    @property
    def position_t(self) -> np.ndarray:
        """Allocation and offsets minus duty, int64: positive = long."""
        position: np.ndarray = self.free_t + self.offsets_t - self.duty_t
        return position


def _normal(uniforms: np.ndarray) -> np.ndarray:
    """Standard normal quantiles by a fine table of the normal distribution, float."""
    grid = np.linspace(-8, 8, 16_001)
    cumulative = np.cumsum(np.exp(-(grid**2) / 2))
    quantiles: np.ndarray = np.interp(uniforms, cumulative / cumulative[-1], grid)
    return quantiles


def _groups(plan: SeasonPlan, p: Parameters, seed: int) -> tuple[np.ndarray, np.ndarray]:
    """Group of each firm (-1 = none) and, by group, whether headquarters trade."""
    rng = stream(seed, "groups")
    sizes = [round(p.large_group_share * plan.firms)] * p.large_groups
    sizes += [round(p.small_group_share * plan.firms)] * p.small_groups
    labels = np.repeat(np.arange(len(sizes)), sizes)
    group = np.full(plan.firms, -1)
    group[rng.permutation(plan.firms)[: len(labels)]] = labels
    ranks = np.concatenate([stratified(rng, p.large_groups), stratified(rng, p.small_groups)])
    return group, ranks < p.headquarters_share


def draw_population(plan: SeasonPlan, p: Parameters, seed: int) -> Population:
    """All primitive draws of one season under `seed`."""
    count = plan.firms
    rng = stream(seed, "size")
    weight = np.exp(p.emissions_sigma * _normal(stratified(rng, count)))
    emissions = np.maximum(1, np.floor(weight / weight.sum() * plan.emissions_t)).astype(np.int64)
    group, by_headquarters = _groups(plan, p, seed)
    grouped = group >= 0
    rng = stream(seed, "allocation")
    group_tilt = _normal(stratified(rng, len(by_headquarters)))
    own = _normal(stratified(rng, count))
    shared = np.where(grouped, group_tilt[group], _normal(rng.random(count)))
    surplus = p.allocation_mean + p.allocation_spread * (0.8 * own + 0.6 * shared)
    free = np.maximum(0, np.floor(emissions * (1 + surplus))).astype(np.int64)
    rng = stream(seed, "output")
    drift = np.exp(p.output_drift_sigma * rng.standard_normal(count))
    preallocated = np.minimum(free, np.floor(plan.preallocated_share * free * drift)).astype(np.int64)
    duty = np.minimum(emissions, free + np.floor(plan.duty_cap_share * emissions).astype(np.int64))
    rng = stream(seed, "offsets")
    holder = rng.random(count) < p.offset_holder_share
    cap = np.floor(plan.offset_cap_share * duty).astype(np.int64)
    offsets = np.where(holder, np.minimum(cap, np.maximum(0, duty - free)), 0)
    rng = stream(seed, "provinces")
    province = rng.integers(0, p.provinces, count)
    province_delay = stratified(rng, p.provinces) * p.province_span_days
    delay = np.floor(province_delay[province] + 3 * rng.random(count)).astype(np.int64)
    rng = stream(seed, "traits")
    late, haste, office = rng.random(count), rng.standard_normal(count), rng.standard_normal(count)
    value, quote, error = rng.standard_normal(count), rng.standard_normal(count), rng.standard_normal(count)
    group_rng = stream(seed, "group traits")
    group_haste = _normal(stratified(group_rng, len(by_headquarters)))
    group_office = _normal(stratified(group_rng, len(by_headquarters)))
    headquarters = grouped & by_headquarters[group]
    haste = np.where(headquarters, group_haste[group] + 0.2 * haste, haste)
    office = np.where(headquarters, group_office[group] + 0.2 * office, office)
    rank = emissions.argsort().argsort() / count
    k = p.unresponsive_steepness
    chance = np.minimum(1, (k + 1) * p.unresponsive_share * (1 - rank) ** k)
    return Population(
        emissions_t=emissions,
        free_t=free,
        preallocated_t=preallocated,
        duty_t=duty,
        offsets_t=offsets,
        estimate_error=error,
        province=province,
        group=group,
        headquarters=headquarters,
        true_up_delay_days=delay,
        procrastination_days=p.procrastination_days * np.exp(p.procrastination_sigma * haste),
        approval_days=p.approval_days * np.exp(p.approval_sigma * office),
        private_value=value,
        first_quote=quote,
        late=late,
        unresponsive=stream(seed, "unresponsive").random(count) < chance,
    )
