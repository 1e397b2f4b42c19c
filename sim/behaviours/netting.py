"""Groups cover their members first: block trades between accounts of one group, a little below the public price.

Only headquarters that trade for their members do this, only for known positions, and only in lots that the block
rule admits: units move by trading alone.
"""

import numpy as np

from sim.population import Population

Deal = tuple[int, int, int, int]
"""(buyer, seller, price in fen, tonnes)."""


def deals(
    people: Population, ready: np.ndarray, need_t: np.ndarray, surplus_t: np.ndarray, min_t: int, price: int
) -> list[Deal]:
    """Transfers of today at `price` fen.

    `ready`, bool: approved buyers with a known need; `surplus_t`: known and available.
    """
    left = surplus_t.copy()
    found = []
    for buyer in np.flatnonzero(ready & people.headquarters & (need_t >= min_t)):
        wanted = int(need_t[buyer])
        members = np.flatnonzero((people.group == people.group[buyer]) & (left >= min_t))
        for seller in members[np.argsort(-left[members], kind="stable")]:
            lot = min(wanted, int(left[seller]))
            if lot < min_t:
                break
            found.append((int(buyer), int(seller), price, lot))
            left[seller] -= lot
            wanted -= lot
    return found


def reserved_t(people: Population, need_t: np.ndarray, surplus_t: np.ndarray) -> np.ndarray:
    """Units that headquarters keep back from the market for uncovered members, by firm, int64."""
    members = people.headquarters
    groups = int(people.group.max(initial=-1)) + 1
    if groups == 0:
        return np.zeros_like(need_t)
    need = np.bincount(people.group[members], need_t[members], groups)
    surplus = np.bincount(people.group[members], surplus_t[members], groups)
    share = np.minimum(1, need / np.maximum(surplus, 1))
    reserved = np.where(members, np.ceil(share[people.group] * surplus_t), 0)
    return reserved.astype(np.int64)
