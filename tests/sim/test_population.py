"""Who takes part: traits that no few large firms decide, and a market whose balance is not drawn."""

import numpy as np
import pytest

from sim.parameters import load_parameters
from sim.population import draw_population
from sim.season import load_season
from sim.streams import balanced, stream
from tests.sim.small import SEASONS

P = load_parameters()


@pytest.mark.parametrize("count", [1, 7, 8, 9, 100, 2_162])
def test_balanced_draws_fill_halves_quarters_and_eighths_of_neighbours(count: int) -> None:
    size = stream(7, "size").permutation(count)
    drawn = balanced(stream(7, "trait"), size)
    assert drawn.shape == (count,)
    assert 0 < drawn.min() <= drawn.max() < 1
    by_size = drawn[np.argsort(-size)]
    for width in (2, 4, 8):
        whole = by_size[: count // width * width].reshape(-1, width)
        parts = np.sort(np.floor(whole * width).astype(int), axis=1)
        assert (parts == np.arange(width)).all(), f"one of each {width} neighbours in each of {width} parts"
    slices = -(-count // 8) * 8
    assert len(set(np.floor(drawn * slices).astype(int).tolist())) == count, "no slice twice"


def test_balanced_traits_do_not_depend_on_each_other_and_are_uniform() -> None:
    size = np.arange(800, 0, -1)
    seeds = [(balanced(stream(seed, "a"), size), balanced(stream(seed, "b"), size)) for seed in range(40)]
    correlations = [np.corrcoef(a, b)[0, 1] for a, b in seeds]
    assert abs(np.mean(correlations)) < 4 * np.std(correlations) / np.sqrt(len(seeds))
    assert np.std(correlations) < 0.1
    first = np.array([a[0] for a, _ in seeds])
    assert 0.3 < first.mean() < 0.7, "the largest firm's place is drawn anew under each seed"
    assert first.std() > 0.2
    assert len({round(float(value), 9) for value in first}) == 40


@pytest.mark.parametrize("name", [name for name in SEASONS if name not in ("national-2017", "sichuan-2017")])
def test_who_is_long_is_drawn_but_not_whether_the_market_is(name: str) -> None:
    """Free allocation over emissions of all firms hardly differs between seeds, and that of single firms does."""
    plan = load_season(name)
    p = load_parameters(plan.parameters)
    people = [draw_population(plan, p, seed) for seed in range(3)]
    totals = np.array([one.free_t.sum() / one.emissions_t.sum() for one in people])
    assert np.ptp(totals) < 0.03
    own = [one.free_t[: one.firms] / one.emissions_t[: one.firms] for one in people]
    assert all(np.std(ratio) > 0.25 * p.allocation_spread for ratio in own)
    assert not np.array_equal(own[0], own[1])
