"""Sellers on the screen 挂牌: a quote that starts near the public price and concedes when nobody comes.

The first quote scatters around the mean close of the last weeks, never below the seller's floor. Unsold, it comes down
by a small step now and then; sold out, it goes up; left behind by a rising market, it follows. In a market above its
own monthly mean, offices hold back (惜售), below it they hurry. A listing is a part of what is for sale and below the
rulebook's maximum; who has a block to sell waits for a partner and is only now and then on the screen.
"""

import numpy as np

from engine.codes import Side
from sim.behaviours.reservation import seller_floor_fen
from sim.information import Today
from sim.parameters import Parameters
from sim.population import Population
from sim.port import clicks, listings


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
        self.quote_fen[first] = today.reference_fen * scatter
        old = ready & ~first
        reconsiders = old & ~self._sold_out & (mood < p.concession_probability)
        self.quote_fen[reconsiders] *= 1 - p.concession
        self.quote_fen[old & self._sold_out] *= 1 + p.concession
        follows = today.close_fen * (1 - p.quote_scatter)
        self.quote_fen[ready] = np.maximum(np.maximum(self.quote_fen[ready], follows), floor[ready])
        self._sold_out[:] = False

    def sold_out(self, firms: np.ndarray) -> None:
        """These firms' listings of today are gone."""
        self._sold_out[firms] = True

    def rows(
        self,
        p: Parameters,
        today: Today,
        ready: np.ndarray,
        for_sale_t: np.ndarray,
        attention: np.ndarray,
        best_bid_fen: int | None,
        max_t: int,
    ) -> np.ndarray:
        """Listings of one session as COMMAND rows, and clicks by sellers whose quote a bid already meets.

        `attention`: one uniform a firm; `for_sale_t`: units free to sell, int64.
        """
        price = np.ceil(self.quote_fen)
        inside = (price >= today.low_fen) & (price <= today.high_fen)
        trend = today.close_fen / today.reference_fen - 1
        large = for_sale_t > max_t
        chance = p.listing_attention * np.where(large, p.large_listing_share, 1.0) * np.exp(-p.withholding * trend)
        firms = np.flatnonzero(ready & inside & (attention < chance))
        ask = price[firms].astype(np.int64)
        shown = np.clip(np.ceil(p.listing_size_share * for_sale_t[firms]), 1, max_t).astype(np.int64)
        meets = np.zeros(len(firms), bool) if best_bid_fen is None else ask <= best_bid_fen
        return np.concatenate([
            clicks(firms[meets], Side.SELL, ask[meets], np.minimum(for_sale_t[firms][meets], max_t)),
            listings(firms[~meets], Side.SELL, ask[~meets], shown[~meets]),
        ])  # fmt: skip
