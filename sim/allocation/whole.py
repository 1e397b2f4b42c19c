"""Whole tonnes: rounding down, sums by firm, and totals split over plants without losing a tonne. No rules.

Plants are in the order of their firms everywhere in this package, so a firm's plants are one slice.
"""

import numpy as np

HAIR_T = 1e-6
"""Added before rounding down: a product that is whole on paper must not lose a tonne to binary fractions."""


def floor_t(amount_t: np.ndarray) -> np.ndarray:
    """Tonnes rounded down, int64, same shape."""
    whole: np.ndarray = np.floor(amount_t + HAIR_T).astype(np.int64)
    return whole


def by_firm(amount: np.ndarray, firm: np.ndarray, firms: int) -> np.ndarray:
    """Sums over each firm's plants, shape (firms,), of the type of `amount` (plants,)."""
    total = np.zeros(firms, amount.dtype)
    np.add.at(total, firm, amount)
    return total


def apportion(total_t: np.ndarray, weight: np.ndarray, firm: np.ndarray) -> np.ndarray:
    """Split each firm's total over its plants by weight; the parts add up to the total exactly.

    Parameters
    ----------
    total_t
        One total a firm, of either sign, int64, shape (firms,).
    weight
        At least 0, shape (plants,); where a firm's weights are all 0, its first plant takes the total.
    firm
        Owner of each plant, ascending, int64, shape (plants,).

    Returns
    -------
    numpy.ndarray
        int64, shape (plants,).
    """
    first = np.r_[True, firm[1:] != firm[:-1]]
    start = np.flatnonzero(first)[np.cumsum(first) - 1]
    last = np.r_[np.flatnonzero(first)[1:], len(firm)][np.cumsum(first) - 1] - 1
    running = np.cumsum(weight.astype(np.float64))
    running = running - running[start] + weight[start]
    whole = running[last]
    share = np.divide(running, whole, out=np.ones(len(firm)), where=whole > 0)
    upto = np.floor(total_t[firm] * share).astype(np.int64)
    parts: np.ndarray = np.where(first, upto, upto - np.roll(upto, 1))
    return parts
