"""What every participant's back office keeps of one product: purchases and sales, and how far its own offices are.

Kept from trades alone, never from intentions. This file may not decide anything.
"""

from dataclasses import dataclass

import numpy as np

from engine.codes import Side, TradingMode


@dataclass
class Books:
    """One entry a participant, shape (participants,) each."""

    bought_t: np.ndarray
    sold_t: np.ndarray
    begun: np.ndarray
    """Whether the firm has turned to its need at all."""
    progress: np.ndarray
    """Of the approval under way; 1 = approved."""
    failures: np.ndarray
    """Fruitless searches for a block partner since the last deal."""
    first_buy: np.ndarray
    """datetime64[D]; NaT for a firm that never bought."""
    last_buy: np.ndarray

    @classmethod
    def empty(cls, count: int) -> "Books":
        """Nothing has happened yet to `count` firms."""
        no_date = np.full(count, np.datetime64("NaT"), "datetime64[D]")
        return cls(
            bought_t=np.zeros(count, np.int64),
            sold_t=np.zeros(count, np.int64),
            begun=np.zeros(count, bool),
            progress=np.zeros(count),
            failures=np.zeros(count, np.int64),
            first_buy=no_date,
            last_buy=no_date.copy(),
        )

    def keep(self, trades: np.ndarray, buyers: np.ndarray, sellers: np.ndarray, day: np.datetime64) -> None:
        """Book one day's TRADE rows, shape (n,), with both sides' participants; the government's number is negative."""
        np.add.at(self.bought_t, buyers, trades["qty"])
        np.add.at(self.sold_t, sellers[sellers >= 0], trades["qty"][sellers >= 0])
        self.first_buy[buyers[np.isnat(self.first_buy[buyers])]] = day
        self.last_buy[buyers] = day
        self.failures[buyers[trades["mode"] == TradingMode.BLOCK]] = 0

    def undo(self, deals: np.ndarray, buyers: np.ndarray, sellers: np.ndarray) -> None:
        """Take VOIDED rows, shape (n,), out of the books again."""
        np.subtract.at(self.bought_t, buyers, deals["qty"])
        np.subtract.at(self.sold_t, sellers, deals["qty"])


def parties(trades: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Account numbers of (buyers, sellers) of TRADE or VOIDED rows, shape (n,) each."""
    takes = trades["side"] == Side.BUY
    return np.where(takes, trades["account"], trades["contra"]), np.where(takes, trades["contra"], trades["account"])
