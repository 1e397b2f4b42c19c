"""Small clicks that have nothing to do with need: firms that test their access, on either side.

A price that has moved of late draws more of them.
"""

import numpy as np

from sim.information import Today
from sim.parameters import Parameters

Click = tuple[int, int, int]
"""(firm, side, tonnes)."""


def day_clicks(p: Parameters, today: Today, firms: np.ndarray, rng: np.random.Generator, max_t: int) -> list[Click]:
    """Today's clicks: a Poisson number, lognormal sizes; `firms` are those that may trade."""
    if len(firms) == 0:
        return []
    count = int(rng.poisson(p.activity * p.noise_clicks * today.unease))
    sizes = np.clip(np.round(p.noise_median_t * np.exp(p.noise_sigma * rng.standard_normal(count))), 1, max_t)
    who = rng.choice(firms, count)
    sides = rng.integers(1, 3, count)
    return [(int(f), int(s), int(q)) for f, s, q in zip(who, sides, sizes, strict=True)]
