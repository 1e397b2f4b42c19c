"""What a season leaves behind: two tables and the event log. The one thing that checks, report and files read.

A null model (`sim/null.py`) fills the same day table, with NaN where it has nothing to say, so that every check is
one function over one shape. This file may not import the engine, the agents or any recorded figure.
"""

from dataclasses import dataclass, field

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
        ("listed_trades", "i8"),
        ("block_trades", "i8"),
        ("orders", "i8"),
        ("spread_fen", "f8"),
        ("depth_t", "f8"),
    ]
)
"""One row a trading day. open/high/low equal the close on days without a listed trade. `spread_fen` is the mean over
the day's rounds of best ask minus best bid, `depth_t` the mean tonnes in the best five levels of both sides; NaN
where undefined (one side empty in every round; a model without a book)."""

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
        ("shortfall_t", "i8"),
        ("fine_fen", "i8"),
        ("first_buy", "datetime64[D]"),
        ("last_buy", "datetime64[D]"),
    ]
)
"""One row a firm. `group` is -1 for a firm on its own; `surrendered_t` counts allowances and offsets; the dates are
NaT for a firm that never bought."""


@dataclass(frozen=True)
class Season:
    """One finished season."""

    days: np.ndarray
    """DAY rows, shape (days,), ascending by date."""
    firms: np.ndarray | None
    """FIRM rows, shape (firms,); None for a null model."""
    events: np.ndarray | None = None
    """EVENT rows of the engine, shape (events,); None for a null model."""
    accounts: dict[str, int] = field(default_factory=dict)
    """For conservation: `X_in_fen` or `X_issued_t` brought in, and beside each `X_in_accounts_…`; fen and t."""
    digest: str = ""
    """Digest over the events."""

    @property
    def total_qty_t(self) -> np.ndarray:
        """Listed plus block tonnes by day, int64, shape (days,)."""
        total: np.ndarray = self.days["listed_qty_t"] + self.days["block_qty_t"]
        return total

    @property
    def conserved(self) -> bool:
        """Whether all accounts together hold every fen paid in and every tonne issued, no more and no less."""
        entries = self.accounts
        cash = entries["cash_in_fen"] == entries["cash_in_accounts_fen"]
        allowances = entries["allowances_issued_t"] == entries["allowances_in_accounts_t"]
        return cash and allowances and entries["offsets_issued_t"] == entries["offsets_in_accounts_t"]
