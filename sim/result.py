"""What a season leaves behind: two tables and the event log. The one thing that checks, report and files read.

A null model (`sim/null.py`) fills the same day table, with NaN where it has nothing to say, so that every check is
one function over one shape. This file may not import the engine, the agents or any recorded figure.
"""

from dataclasses import dataclass, field
from typing import Any

import numpy as np

DAY = np.dtype(
    [
        ("date", "datetime64[D]"),
        ("open_fen", "i8"),
        ("high_fen", "i8"),
        ("low_fen", "i8"),
        ("close_fen", "i8"),
        ("prev_close_fen", "i8"),
        ("limit_low_fen", "i8"),
        ("limit_high_fen", "i8"),
        ("listed_qty_t", "i8"),
        ("listed_value_fen", "i8"),
        ("block_qty_t", "i8"),
        ("block_value_fen", "i8"),
        ("auction_qty_t", "i8"),
        ("auction_value_fen", "i8"),
        ("listed_trades", "i8"),
        ("block_trades", "i8"),
        ("orders", "i8"),
        ("spread_fen", "f8"),
        ("depth_t", "f8"),
    ]
)
"""One row a trading day of one product. `listed` is what the public trades: the screen, or fixed-price offers where
there is none; `block` negotiated deals; `auction` sales by the government. open/high/low equal the close on days
without a listed trade. `spread_fen` is the mean over the day's rounds of best ask minus best bid, `depth_t` the mean
tonnes in the best five levels of both sides; NaN where undefined (one side empty in every round; a model without a
book)."""

FIRM = np.dtype(
    [
        ("province", "i4"),
        ("group", "i4"),
        ("emissions_t", "i8"),
        ("free_t", "i8"),
        ("duty_t", "i8"),
        ("offsets_used_t", "i8"),
        ("bought_t", "i8"),
        ("sold_t", "i8"),
        ("surrendered_t", "i8"),
        ("late_t", "i8"),
        ("made_up_t", "i8"),
        ("shortfall_t", "i8"),
        ("deducted_t", "i8"),
        ("next_deduction_t", "i8"),
        ("abated_t", "i8"),
        ("fine_fen", "i8"),
        ("first_buy", "datetime64[D]"),
        ("last_buy", "datetime64[D]"),
    ]
)
"""One row a firm. `group` is -1 for a firm on its own; `surrendered_t` counts allowances and offsets. `late_t` was
short on the deadline's evening, `made_up_t` of that surrendered afterwards, `shortfall_t` never; `deducted_t` was taken
by force, `next_deduction_t` the next allocation will lose. The dates are NaT for a firm that never bought."""


@dataclass(frozen=True)
class SaleResult:
    """One sale by the government."""

    date: np.datetime64
    symbol: str
    offered_t: int
    sold_t: int
    reserve_fen: int
    price_fen: int
    """Mean price paid; 0 when nothing was sold."""
    refused: str
    """Why the exchange refused the announcement; empty when it did not."""


@dataclass(frozen=True)
class Season:
    """One finished season."""

    days: np.ndarray
    """DAY rows, shape (days,), ascending by date."""
    firms: np.ndarray | None
    """FIRM rows, shape (firms,); None for a null model."""
    events: np.ndarray | None = None
    """EVENT rows of the engine, shape (events,); None for a null model."""
    products: dict[str, np.ndarray] = field(default_factory=dict)
    """DAY rows by symbol of what trades beside the main product, such as offsets."""
    sales: tuple[SaleResult, ...] = ()
    """Sales by the government."""
    deadline: np.datetime64 | None = None
    """The deadline announced last; None in a season without one."""
    penalty_price_fen: float | None = None
    """Mean price on which fines were reckoned."""
    achieved: dict[str, Any] = field(default_factory=dict)
    """Reductions and their cost, see `sim.reductions.Reductions.verdict`."""
    refused: dict[str, int] = field(default_factory=dict)
    """Surrenders that the registry refused, by reason."""
    accounts: dict[str, dict[str, int]] = field(default_factory=dict)
    """Conservation. `cash`: `brought_in_fen`, `in_accounts_fen`; by symbol `issued_t`, and where the units are:
    `held_t`, `surrendered_t`, `cancelled_t`, `unsold_t` (left with the government)."""
    digest: str = ""
    """Digest over the events."""

    @property
    def total_qty_t(self) -> np.ndarray:
        """Tonnes traded by day, sales by the government apart, as exchanges publish it, int64, shape (days,)."""
        total: np.ndarray = self.days["listed_qty_t"] + self.days["block_qty_t"]
        return total

    @property
    def total_value_fen(self) -> np.ndarray:
        """Turnover of the same trades by day, fen, int64, shape (days,)."""
        total: np.ndarray = self.days["listed_value_fen"] + self.days["block_value_fen"]
        return total

    @property
    def conserved(self) -> bool:
        """Whether every fen paid in lies in an account, and every tonne issued is somewhere."""
        cash = self.accounts["cash"]
        units = [entry for symbol, entry in self.accounts.items() if symbol != "cash"]
        whole = all(entry["issued_t"] == sum(entry.values()) - entry["issued_t"] for entry in units)
        return cash["brought_in_fen"] == cash["in_accounts_fen"] and whole
