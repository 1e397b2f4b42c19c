"""Institutions and individuals that trade for profit where the rulebook admits them 机构和个人投资者.

Each has a view of where the price goes: half of them expect its move away from the monthly mean to go on, half to be
undone, and each errs by as much as quotes scatter. Who expects more than the signal acts and concedes half of the way.
They hold what they bought until the opposite view; nobody sells short.
"""

import numpy as np

from sim.information import Today
from sim.parameters import Parameters

WAY = 0.5
"""Share of the expected move that a limit concedes."""


def wishes(
    p: Parameters,
    today: Today,
    who: np.ndarray,
    holds_t: np.ndarray,
    most_fen: np.ndarray,
    mood: np.ndarray,
    error: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(buyers, sellers, limits in fen by participant) of today.

    `who`: numbers of the speculators, shape (n,); over all participants: `holds_t` units free to sell, `most_fen` above
    which nobody bets on a further rise, `mood` one uniform and `error` one standard normal each.
    """
    awake = who[mood[who] < p.activity * p.speculator_attention]
    move = np.log(today.close_fen / today.reference_fen)
    view = np.where(awake % 2 == 0, move, -move) + p.quote_scatter * today.unease * error[awake]
    buys = (view > p.speculator_signal) & (today.close_fen < most_fen[awake])
    sells = (view < -p.speculator_signal) & (holds_t[awake] > 0)
    limits = np.full(len(holds_t), float(today.close_fen))
    limits[awake] *= np.exp(WAY * view)
    return awake[buys], awake[sells], np.clip(limits, today.low_fen, today.high_fen)
