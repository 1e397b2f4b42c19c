"""Buyers on the screen: a limit that scatters around the public price and stretches to what the firm can pay.

A buyer that reaches the best listing clicks it for all it needs; one that does not leaves a bid that shows a part of
its need. The nearer the deadline, the more of the way to its own limit it goes. Orders stay below the rulebook's
maximum.
"""

import numpy as np

from engine.codes import Side
from sim.behaviours.approval import urgency
from sim.behaviours.reservation import buyer_limit_fen
from sim.information import Today
from sim.parameters import Parameters
from sim.population import Population
from sim.port import clicks, listings


def screen_limits_fen(people: Population, p: Parameters, today: Today, scatter: np.ndarray) -> np.ndarray:
    """Limit of each firm in this round, float, inside the day's limits; `scatter`: one standard normal a firm."""
    most = buyer_limit_fen(people, p, today)
    quote = today.close_fen * np.exp(p.quote_scatter * scatter)
    stretch = urgency(today.days_to_deadline, p.willingness_days)
    wanted = np.minimum(most, quote + stretch * np.maximum(0, most - quote))
    return np.clip(wanted, today.low_fen, today.high_fen)


def rows(
    p: Parameters,
    firms: np.ndarray,
    limits_fen: np.ndarray,
    need_t: np.ndarray,
    best_ask_fen: int | None,
    max_t: int,
) -> tuple[np.ndarray, np.ndarray]:
    """(clicks, bids) as COMMAND rows for `firms`; limits and needs are theirs, shape (n,)."""
    limit = np.floor(limits_fen).astype(np.int64)
    size = np.minimum(need_t, max_t)
    shown = np.minimum(np.ceil(p.listing_size_share * need_t), max_t).astype(np.int64)
    reaches = np.zeros(len(firms), bool) if best_ask_fen is None else limit >= best_ask_fen
    return (
        clicks(firms[reaches], Side.BUY, limit[reaches], size[reaches]),
        listings(firms[~reaches], Side.BUY, limit[~reaches], shown[~reaches]),
    )
