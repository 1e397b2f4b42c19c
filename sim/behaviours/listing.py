"""Sellers on the screen 挂牌: a quote that starts near the public price and concedes when nobody comes.

The first quote scatters around the mean close of the last weeks, never below the seller's floor. Unsold, it comes down
by a small step now and then, by larger ones the farther it stands above the floor; sold out, it goes up; left behind by
a rising market, it follows. Steps grow with the recent moves of the price. In a market above its own monthly mean,
offices hold back (惜售), below it they hurry; who gains much by selling, or whose units nobody will want after a date,
does not hold back. A listing is a part of what is for sale and below the rulebook's maximum; who has a block to sell
waits for a partner and is only now and then on the screen. Units that nobody will want after a date are offered
oftener, come down in price oftener, and are shown in larger parts, the nearer it comes.
"""

import numpy as np

from engine.codes import Side
from engine.memory import joined
from sim.floor import Floor
from sim.information import Today
from sim.parameters import Parameters
from sim.population import Population


class Sellers:
    """Quotes of all participants; NaN = has not quoted yet."""

    def __init__(self, count: int) -> None:
        self.quote_fen = np.full(count, np.nan)
        self._sold_out = np.zeros(count, bool)

    def quotes(
        self, people: Population, p: Parameters, today: Today, ready: np.ndarray, floor_fen: np.ndarray,
        haste: np.ndarray, mood: np.ndarray,
    ) -> None:  # fmt: skip
        """Set today's quotes.

        Over participants: `ready` approved sellers, bool; `floor_fen` their floors; `haste` from 0 to 1, of who cannot
        wait; `mood` one uniform each.
        """
        first = ready & np.isnan(self.quote_fen)
        scatter = np.exp(p.quote_scatter * today.unease * people.first_quote[first])
        self.quote_fen[first] = today.reference_fen * scatter
        old = ready & ~first
        reconsiders = old & ~self._sold_out & (mood < np.maximum(p.concession_probability, haste))
        above = np.maximum(0, np.log(self.quote_fen[reconsiders] / np.maximum(floor_fen[reconsiders], 1)))
        step = p.concession * today.unease
        self.quote_fen[reconsiders] *= np.maximum(0.5, 1 - step * (1 + (above / p.concession_scale) ** 2))
        self.quote_fen[old & self._sold_out] *= 1 + step
        follows = today.close_fen * (1 - p.quote_scatter)
        self.quote_fen[ready] = np.maximum(np.maximum(self.quote_fen[ready], follows), floor_fen[ready])
        self._sold_out[:] = False

    def sold_out(self, who: np.ndarray) -> None:
        """These sellers' listings of today are gone."""
        self._sold_out[who] = True

    def rows(
        self, p: Parameters, today: Today, floor: Floor, ready: np.ndarray, for_sale_t: np.ndarray,
        floor_fen: np.ndarray, haste: np.ndarray, attention: np.ndarray,
    ) -> np.ndarray:  # fmt: skip
        """Listings of one session as COMMAND rows, and takes by sellers whose quote a bid already meets.

        Over participants: `for_sale_t` units free to sell, int64; `floor_fen` their floors; `haste` from 0 to 1, of
        who cannot wait; `attention` one uniform each.
        """
        price = np.full(len(ready), np.iinfo(np.int64).max)
        price[ready] = floor.on_tick(self.quote_fen[ready], Side.SELL)
        inside = (price >= today.low_fen) & (price <= today.high_fen)
        trend = today.close_fen / today.reference_fen - 1
        held_back = max(p.withholding_least, float(np.exp(-p.withholding * trend)))
        gain = (np.maximum(0, np.log(today.close_fen / np.maximum(floor_fen, 1))) / p.concession_scale) ** 2
        mood = np.maximum(held_back, np.clip(np.maximum(gain, haste), 0, 1))
        large = for_sale_t > floor.max_t
        chance = np.maximum(p.listing_attention, haste) * np.where(large, p.large_listing_share, 1.0) * mood
        who = np.flatnonzero(ready & inside & (attention < chance))
        ask = price[who]
        share = np.maximum(p.listing_size_share, haste[who])
        shown = np.clip(np.ceil(share * for_sale_t[who]), 1, floor.max_t).astype(np.int64)
        best_bid = floor.best(Side.BUY)
        meets = np.zeros(len(who), bool) if best_bid is None else ask <= best_bid
        return joined([
            floor.take(who[meets], Side.SELL, ask[meets], np.minimum(for_sale_t[who][meets], floor.max_t)),
            floor.rest(who[~meets], Side.SELL, ask[~meets], shown[~meets]),
        ])  # fmt: skip
