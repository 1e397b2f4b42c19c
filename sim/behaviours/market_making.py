"""A few trading desks quote both sides, small and around the previous close.

They leave when the price nears a limit, and more and more of them as the deadline comes near: their firms need the
units.
"""

import numpy as np

from engine.codes import Side
from engine.memory import joined
from sim.behaviours.approval import urgency
from sim.floor import Floor
from sim.information import Today
from sim.parameters import Parameters

LIMIT_SHARE = 0.5
"""A desk stays out when its quote would use more than this share of the way to a price limit."""


def rows(
    p: Parameters, today: Today, floor: Floor, desks: np.ndarray, scatter: np.ndarray, mood: np.ndarray
) -> np.ndarray:
    """Today's quotes of `desks` as COMMAND rows: a bid and an ask each.

    `scatter`: one standard normal and `mood` one uniform a desk; on a quiet market a desk is not there every day.
    """
    half = p.maker_half_spread * today.unease * np.exp(0.3 * scatter)
    asks = floor.on_tick(today.close_fen * (1 + half), Side.SELL)
    bids = floor.on_tick(today.close_fen * (1 - half), Side.BUY)
    room_up, room_down = today.high_fen - today.close_fen, today.close_fen - today.low_fen
    stays = (asks - today.close_fen < LIMIT_SHARE * room_up) & (today.close_fen - bids < LIMIT_SHARE * room_down)
    stays &= mood < p.activity * (1 - urgency(today.days_to_deadline, p.urgency_days))
    who = desks[stays]
    size = np.full(len(who), p.maker_quote_t)
    return joined([
        floor.rest(who, Side.BUY, bids[stays], size),
        floor.rest(who, Side.SELL, asks[stays], size),
    ])  # fmt: skip
