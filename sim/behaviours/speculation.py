"""Institutions and individuals that trade for profit where the rulebook admits them 机构和个人投资者.

Half of them follow the trend, half bet on its return: both compare the close with its own monthly mean and act when it
has moved away by more than their signal. They hold what they bought until the opposite signal; nobody sells short.
"""

import numpy as np

from sim.information import Today
from sim.parameters import Parameters


def wishes(
    p: Parameters,
    today: Today,
    who: np.ndarray,
    holds_t: np.ndarray,
    most_fen: np.ndarray,
    mood: np.ndarray,
    scatter: np.ndarray,
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """(buyers, sellers, limits in fen by participant) of today.

    `who`: numbers of the speculators, shape (n,); over all participants: `holds_t` units free to sell, `most_fen` above
    which nobody bets on a further rise, `mood` one uniform and `scatter` one standard normal each. A follower's limit
    is beyond the close, a contrarian's within it.
    """
    awake = who[mood[who] < p.activity * p.speculator_attention]
    follows = awake % 2 == 0
    move = np.log(today.close_fen / today.reference_fen) + p.speculator_signal * scatter[awake]
    signal = np.where(follows, move, -move)
    buys = (signal > p.speculator_signal) & (today.close_fen < most_fen[awake])
    sells = (signal < -p.speculator_signal) & (holds_t[awake] > 0)
    eager = np.where(follows, 1.0, -1.0) * p.speculator_signal / 2
    limits = np.full(len(holds_t), float(today.close_fen))
    limits[awake] *= 1 + np.where(buys, eager, -eager)
    return awake[buys], awake[sells], np.clip(limits, today.low_fen, today.high_fen)
