"""Buyers on the screen: a limit that scatters around the public price and stretches to what the firm can pay.

A buyer that reaches the best offer takes all it needs; one that does not leaves a bid that shows a part of its need,
the smaller the nearer the deadline: who has to buy does not say so. The nearer the deadline, the more of the way to its
own limit it goes; the more the price has moved of late, the less buyers agree about it. One bid stands for a buyer,
below the rulebook's maximum.
"""

import numpy as np

from engine.codes import Side
from sim.behaviours.approval import urgency
from sim.floor import Floor
from sim.information import Today
from sim.parameters import Parameters


def attention(p: Parameters, today: Today) -> float:
    """Chance that an approved buyer acts in a round; on the day of the deadline nobody is elsewhere."""
    return p.buying_attention + (1 - p.buying_attention) * float(urgency(today.days_to_deadline, p.willingness_days))


def screen_limits_fen(p: Parameters, today: Today, most_fen: np.ndarray, scatter: np.ndarray) -> np.ndarray:
    """Limit of each participant in this round, float, inside the day's limits.

    `most_fen`: what each can pay at most; `scatter`: one standard normal each.
    """
    quote = today.close_fen * np.exp(p.quote_scatter * today.unease * scatter)
    stretch = urgency(today.news.days_to_deadline, p.willingness_days)
    wanted = np.minimum(most_fen, quote + stretch * np.maximum(0, most_fen - quote))
    return np.clip(wanted, today.low_fen, today.high_fen)


def rows(
    p: Parameters, today: Today, floor: Floor, buyers: np.ndarray, limits_fen: np.ndarray, need_t: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """(takes, bids) as COMMAND rows for `buyers`; limits and needs are theirs, shape (n,)."""
    limit = floor.on_tick(limits_fen, Side.BUY)
    size = np.minimum(need_t, floor.max_t)
    share = p.listing_size_share * (1 - urgency(today.days_to_deadline, p.urgency_days))
    shown = np.clip(np.ceil(share * need_t), 1, floor.max_t).astype(np.int64)
    best_ask = floor.best(Side.SELL)
    reaches = np.zeros(len(buyers), bool) if best_ask is None else limit >= best_ask
    return (
        floor.take(buyers[reaches], Side.BUY, limit[reaches], size[reaches]),
        floor.rest(buyers[~reaches], Side.BUY, limit[~reaches], shown[~reaches]),
    )
