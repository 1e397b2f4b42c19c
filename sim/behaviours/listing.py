"""Sellers on the screen 挂牌: a quote that starts near the public price and concedes when nobody comes.

The first quote scatters around the previous close, never below the seller's floor. Unsold, it comes down by a small
step now and then; sold out, it goes up. A listing is a part of what is for sale and below the rulebook's maximum.
"""

import numpy as np

from engine.codes import Side
from sim.behaviours.reservation import seller_floor_fen
from sim.information import Today
from sim.parameters import Parameters
from sim.population import Population
from sim.port import listings


class Sellers:
    """Quotes of all firms; NaN = has not quoted yet."""

    def __init__(self, count: int) -> None:
        self.quote_fen = np.full(count, np.nan)
        self._sold_out = np.zeros(count, bool)

    def quotes(
        self, people: Population, p: Parameters, today: Today, ready: np.ndarray, sold_share: np.ndarray,
        mood: np.ndarray,
    ) -> None:  # fmt: skip
        """Set today's quotes. `ready`: approved sellers, bool; `mood`: one uniform a firm."""
        floor = seller_floor_fen(people, p, sold_share)
        first = ready & np.isnan(self.quote_fen)
        scatter = np.exp(p.quote_scatter * people.first_quote[first])
        self.quote_fen[first] = today.close_fen * scatter
        old = ready & ~first
        reconsiders = old & ~self._sold_out & (mood < p.concession_probability)
        self.quote_fen[reconsiders] *= 1 - p.concession
        self.quote_fen[old & self._sold_out] *= 1 + p.concession
        self.quote_fen[ready] = np.maximum(self.quote_fen[ready], floor[ready])
        self._sold_out[:] = False

    def sold_out(self, firms: np.ndarray) -> None:
        """These firms' listings of today are gone."""
        self._sold_out[firms] = True

    def rows(
        self, p: Parameters, today: Today, ready: np.ndarray, for_sale_t: np.ndarray, attention: np.ndarray, max_t: int
    ) -> np.ndarray:
        """Today's listings as COMMAND rows; `attention`: one uniform a firm, `for_sale_t` int64."""
        price = np.ceil(self.quote_fen)
        inside = (price >= today.low_fen) & (price <= today.high_fen)
        firms = np.flatnonzero(ready & inside & (for_sale_t > 0) & (attention < p.listing_attention))
        size = np.clip(np.ceil(p.listing_size_share * for_sale_t[firms]), 1, max_t).astype(np.int64)
        return listings(firms, Side.SELL, price[firms].astype(np.int64), size)
