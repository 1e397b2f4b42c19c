"""Large buyers look for a block partner 大宗协议: a few candidates a day, one deal at a price between two limits.

The public price is where the two meet first: the seller asks what it asks on the screen, the buyer pays up to its
limit, and the deal lies in between. Who fails often enough also goes to the screen.
"""

import numpy as np

from sim.behaviours.approval import urgency
from sim.behaviours.netting import Deal
from sim.information import Today
from sim.parameters import Parameters
from sim.population import Population


def searchers(
    people: Population, p: Parameters, today: Today, ready: np.ndarray, need_t: np.ndarray, mood: np.ndarray, min_t: int
) -> np.ndarray:
    """Large approved buyers that search today, indices in ascending order of `mood` (one uniform a firm)."""
    chance = p.search_base + p.search_pressure * urgency(today.days_to_binding(people), p)
    found = np.flatnonzero(ready & (need_t >= min_t) & (mood < chance))
    return found[np.argsort(mood[found], kind="stable")]


def search(
    p: Parameters,
    buyers: np.ndarray,
    need_t: np.ndarray,
    limit_fen: np.ndarray,
    sellers: np.ndarray,
    surplus_t: np.ndarray,
    floor_fen: np.ndarray,
    band_fen: tuple[int, int],
    min_t: int,
    rng: np.random.Generator,
) -> tuple[list[Deal], list[int]]:
    """(deals, buyers that found nobody).

    `sellers`: indices of approved sellers; `need_t`, `limit_fen`, `surplus_t`, `floor_fen` over all firms.
    """
    left = surplus_t.copy()
    found: list[Deal] = []
    failed = []
    for buyer in buyers:
        met = sellers[rng.integers(0, len(sellers), p.search_candidates)] if len(sellers) else sellers
        fits = [s for s in met if left[s] >= min_t and floor_fen[s] <= limit_fen[buyer] and s != buyer]
        lots = [min(int(need_t[buyer]), int(left[s])) for s in fits]
        if not lots:
            failed.append(int(buyer))
            continue
        seller, lot = max(zip(fits, lots, strict=True), key=lambda pair: pair[1])
        price = floor_fen[seller] + p.block_split * (limit_fen[buyer] - floor_fen[seller])
        found.append((int(buyer), int(seller), int(np.clip(round(price), *band_fen)), lot))
        left[seller] -= lot
    return found, failed
