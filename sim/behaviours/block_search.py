"""Large buyers look for a block partner 大宗协议: a few candidates a day, one deal at a price that both can bear.

The public price is where the two meet: the deal is struck at the previous close, moved up to the seller's floor where
that is higher and never beyond the buyer's limit. Who fails often enough also goes to the screen.
"""

import numpy as np

from sim.behaviours.approval import urgency
from sim.behaviours.netting import Deal
from sim.information import News
from sim.parameters import Parameters
from sim.population import Population


def searchers(
    people: Population,
    p: Parameters,
    news: News,
    ready: np.ndarray,
    need_t: np.ndarray,
    mood: np.ndarray,
    min_t: int,
) -> np.ndarray:
    """Large approved buyers that search today, indices in ascending order of `mood` (one uniform a firm)."""
    chance = p.search_base + p.search_pressure * urgency(news.days_to_binding(people), p.urgency_days)
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
    close_fen: int,
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
        price = min(max(close_fen, floor_fen[seller]), limit_fen[buyer])
        found.append((int(buyer), int(seller), int(np.clip(round(price), *band_fen)), lot))
        left[seller] -= lot
    return found, failed
