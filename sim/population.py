"""Who takes part, as drawn: firms with sizes, allocations, groups and traits; holders of offsets; speculators.

    participants    firms first (0 to firms - 1), then holders of offsets, then speculators

Nothing here depends on the market. All draws come from named streams and are the same under any rulebook; firms'
traits are balanced over neighbours in size, group and province draws stratified, so that a season is not decided by
which traits a few large firms happen to have. Quantities are whole tonnes; everybody but a firm has no emissions, no
allocation and no duty.
"""

from dataclasses import dataclass

import numpy as np

from engine.codes import Participant
from sim.allocation.allocate import Allocation, AllocationRule, allocate
from sim.facts import CapBase
from sim.parameters import Parameters
from sim.season import SeasonPlan
from sim.streams import balanced, stratified, stream


@dataclass(frozen=True)
class Population:
    """Arrays over participants, shape (participants,) unless said."""

    participant: np.ndarray
    """`engine.codes.Participant`."""
    firms: int
    """How many of them are firms with a duty."""
    allocation: Allocation
    """Of the firms, with their plants, and why each is long or short."""
    speculator: np.ndarray
    """Whether it trades for profit alone, bool."""
    emissions_t: np.ndarray
    """Verified emissions of the cycle, int64."""
    free_t: np.ndarray
    """Final free allocation, int64."""
    preallocated_t: np.ndarray
    """What stood in the account at the start, int64."""
    carried_t: np.ndarray
    """Units of earlier cycles, int64."""
    duty_t: np.ndarray
    """Units to surrender, after the cap, int64."""
    offset_cap_t: np.ndarray
    """Offsets that the firm may surrender in place of allowances, int64."""
    offsets_t: np.ndarray
    """Offsets that it holds from elsewhere, int64."""
    stock_t: np.ndarray
    """Offsets that it brings to this market, int64, shape (participants, kinds of offsets)."""
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
    """Standard normal: the participant's place in the spread of private values."""
    first_quote: np.ndarray
    """Standard normal: scatter of the participant's first quote."""
    late: np.ndarray
    """Uniform: firms above the milestone's share are bound by the deadline alone."""
    belief: np.ndarray
    """Uniform: firms below the share of believers expect last year's date."""
    unresponsive: np.ndarray
    """Whether the firm neither trades nor surrenders by the deadline, bool."""
    wakes: np.ndarray
    """Whether an unresponsive firm obeys a correction order, bool."""


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


def _of_group(values: np.ndarray, group: np.ndarray, otherwise: np.ndarray) -> np.ndarray:
    """`values` (by group) of each firm's group; of firms without one `otherwise`."""
    grouped = group >= 0
    found = np.array(otherwise, copy=True)
    found[grouped] = values[group[grouped]]
    return found


def _allocation(
    plan: SeasonPlan, p: Parameters, seed: int, emissions: np.ndarray, group: np.ndarray, groups: int
) -> Allocation:
    """Firms of one group lean to the same side of the benchmark. All together get what `allocation_mean` says: drawn is
    who is long and who is short, not whether the market is.
    """
    rng = stream(seed, "allocation")
    group_tilt = _normal(stratified(rng, groups))
    own = _normal(balanced(rng, emissions))
    place = np.where(group >= 0, 0.8 * own + 0.6 * _of_group(group_tilt, group, np.zeros_like(own)), own)
    return allocate(
        AllocationRule.from_facts(plan.allocation), emissions, place - np.average(place, weights=emissions),
        p.allocation_mean, p.allocation_spread, p.output_drift_sigma, seed,
    )  # fmt: skip


def _offset_cap(plan: SeasonPlan, emissions: np.ndarray, free: np.ndarray, duty: np.ndarray) -> np.ndarray:
    """Most offsets that each firm may surrender, t."""
    if plan.offsets is None:
        return np.zeros(plan.firms, np.int64)
    base = {CapBase.DUTY: duty, CapBase.ALLOCATION: free, CapBase.EMISSIONS: emissions}[plan.offsets.cap_base]
    return np.floor(plan.offsets.cap_share.value * base).astype(np.int64)


def _stock(plan: SeasonPlan, p: Parameters, seed: int, participants: int) -> np.ndarray:
    """Offsets brought to the market: each kind divided unevenly among the holders, int64."""
    units = plan.offsets.units if plan.offsets else []
    stock = np.zeros((participants, len(units)), np.int64)
    rng = stream(seed, "offset holders")
    for number, unit in enumerate(units):
        weight = np.exp(rng.standard_normal(p.offset_sellers))
        parts = np.floor(weight / weight.sum() * unit.issued_t.value).astype(np.int64)
        parts[0] += unit.issued_t.value - parts.sum()
        stock[plan.firms : plan.firms + p.offset_sellers, number] = parts
    return stock


def draw_population(plan: SeasonPlan, p: Parameters, seed: int) -> Population:
    """All primitive draws of one season under `seed`."""
    count = plan.firms
    rng = stream(seed, "size")
    weight = np.exp(p.emissions_sigma * _normal(stratified(rng, count)))
    emissions = np.maximum(1, np.floor(weight / weight.sum() * plan.emissions_t)).astype(np.int64)
    group, by_headquarters = _groups(plan, p, seed)
    allocation = _allocation(plan, p, seed, emissions, group, len(by_headquarters))
    free, duty = allocation.free_t, allocation.duty_t
    cap = _offset_cap(plan, emissions, free, duty)
    sold_here = plan.offsets is not None and len(plan.offsets.units) > 0
    holder = balanced(stream(seed, "offsets"), emissions) < p.offset_holder_share
    offsets = np.where(holder & (not sold_here), np.minimum(cap, np.maximum(0, duty - free)), 0)
    carried = np.maximum(0, _normal(balanced(stream(seed, "carried"), emissions))) * emissions
    carried = np.floor(carried / max(carried.sum(), 1) * plan.banking.carried_in_share * emissions.sum())
    rng = stream(seed, "provinces")
    province = rng.integers(0, p.provinces, count)
    province_delay = stratified(rng, p.provinces) * p.province_span_days
    delay = np.floor(province_delay[province] + 3 * rng.random(count)).astype(np.int64)
    rng = stream(seed, "traits")
    late = balanced(rng, emissions)
    haste, office, value, quote, error = (_normal(balanced(rng, emissions)) for _ in range(5))
    group_rng = stream(seed, "group traits")
    group_haste = _normal(stratified(group_rng, len(by_headquarters)))
    group_office = _normal(stratified(group_rng, len(by_headquarters)))
    headquarters = _of_group(by_headquarters, group, np.zeros(count, bool))
    led = np.where(headquarters, group, -1)
    haste = _of_group(group_haste, led, haste) + np.where(headquarters, 0.2 * haste, 0)
    office = _of_group(group_office, led, office) + np.where(headquarters, 0.2 * office, 0)
    rank = emissions.argsort().argsort() / count
    k = p.unresponsive_steepness
    chance = np.minimum(1, (k + 1) * p.unresponsive_share * (1 - rank) ** k)
    others = (p.offset_sellers if sold_here else 0) + p.speculators
    rng = stream(seed, "outsiders")

    def joined(of_firms: np.ndarray, of_others: np.ndarray | float = 0) -> np.ndarray:
        """Firms, then everybody else."""
        return np.concatenate([of_firms, np.broadcast_to(np.asarray(of_others, of_firms.dtype), others)])

    speculator = joined(np.zeros(count, bool), np.arange(others) >= others - p.speculators)
    return Population(
        participant=joined(np.full(count, int(Participant.COVERED)), int(Participant.INSTITUTION)),
        firms=count,
        allocation=allocation,
        speculator=speculator,
        emissions_t=joined(emissions),
        free_t=joined(free),
        preallocated_t=joined(allocation.preallocated_t),
        carried_t=joined(carried.astype(np.int64)),
        duty_t=joined(duty),
        offset_cap_t=joined(cap),
        offsets_t=joined(offsets),
        stock_t=_stock(plan, p, seed, count + others),
        estimate_error=joined(error),
        province=joined(province, -1),
        group=joined(group, -1),
        headquarters=joined(headquarters),
        true_up_delay_days=joined(delay),
        procrastination_days=joined(p.procrastination_days * np.exp(p.procrastination_sigma * haste)),
        approval_days=joined(p.approval_days * np.exp(p.approval_sigma * office), 1.0),
        private_value=joined(value, rng.standard_normal(others)),
        first_quote=joined(quote, rng.standard_normal(others)),
        late=joined(late, 1.0),
        belief=joined(balanced(stream(seed, "belief"), emissions), 1.0),
        unresponsive=joined(balanced(stream(seed, "unresponsive"), emissions) < chance),
        wakes=joined(balanced(stream(seed, "correction"), emissions) < p.corrected_share),
    )
