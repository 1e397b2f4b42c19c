"""From the tape to the two tables of a season: the only place where days and firms are added up.

It reads events and the depth shown during the day, never core state and never an agent's intention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.codes import EventKind, Phase, Side, TradingMode
from sim.result import DAY, FIRM

if TYPE_CHECKING:
    from engine.feed.depth import DepthFeed
    from engine.rules.sessions import Timetable
    from sim.books import Books
    from sim.compliance import Outcome
    from sim.population import Population

MORNING, AFTERNOON = int(Phase.MORNING), int(Phase.AFTERNOON)
LEVELS = 5
BASIS = 10_000


@dataclass(frozen=True)
class Quotes:
    """Displayed spread and depth at one moment."""

    day: np.datetime64
    spread_fen: float
    """Best ask minus best bid; NaN when a side is empty."""
    depth_t: float
    """Tonnes in the best five levels of both sides."""

    @staticmethod
    def of(day: np.datetime64, feed: DepthFeed) -> Quotes:
        """What the screen shows now."""
        bid, ask = feed.best(Side.BUY), feed.best(Side.SELL)
        spread = float("nan") if bid is None or ask is None else float(ask - bid)
        depth = sum(qty for side in (Side.BUY, Side.SELL) for _, qty in feed.levels(side, LEVELS))
        return Quotes(day, spread, float(depth))


def day_of(timetable: Timetable, time_ns: int) -> np.datetime64:
    """The venue's calendar day."""
    return np.datetime64(timetable.local_date(time_ns))


def block_band(close_fen: int, band_bp: int) -> tuple[int, int]:
    """Lowest and highest block price in whole fen inside the band."""
    return -(-close_fen * (BASIS - band_bp) // BASIS), close_fen * (BASIS + band_bp) // BASIS


def day_table(days: np.ndarray, events: np.ndarray, quotes: list[Quotes]) -> np.ndarray:
    """DAY rows, shape (days,), of the first instrument."""
    table = np.zeros(len(days), DAY)
    table["date"] = days
    starts = np.flatnonzero((events["kind"] == EventKind.DAY_OPENED) & (events["instrument"] == 0))
    ends = [*starts[1:], len(events)]
    for row, begin, end in zip(table, starts, ends, strict=True):
        opened, tape = events[begin], events[begin:end]
        row["prev_close_fen"] = opened["price_fen"]
        row["limit_low_fen"], row["limit_high_fen"] = opened["low_price_fen"], opened["high_price_fen"]
        trades = tape[tape["kind"] == EventKind.TRADE]
        listed = trades[trades["mode"] == TradingMode.LISTED]
        block = trades[trades["mode"] == TradingMode.BLOCK]
        row["listed_qty_t"], row["listed_value_fen"] = listed["qty"].sum(), listed["amount_fen"].sum()
        row["block_qty_t"], row["block_value_fen"] = block["qty"].sum(), block["amount_fen"].sum()
        row["listed_trades"], row["block_trades"] = len(listed), len(block)
        row["orders"] = (tape["kind"] == EventKind.ACCEPTED).sum()
        close = _close(int(listed["amount_fen"].sum()), int(listed["qty"].sum()), int(opened["price_fen"]))
        row["close_fen"] = close
        prices = listed["price_fen"] if len(listed) else np.array([close])
        row["open_fen"], row["high_fen"], row["low_fen"] = prices[0], prices.max(), prices.min()
    _fill_quotes(table, quotes)
    return table


def _close(value_fen: int, qty_t: int, previous_fen: int) -> int:
    """Volume-weighted mean rounded half up to the fen; the previous close without a trade."""
    return (2 * value_fen + qty_t) // (2 * qty_t) if qty_t else previous_fen


def _fill_quotes(table: np.ndarray, quotes: list[Quotes]) -> None:
    """Mean spread and depth by day; NaN where a day has none."""
    days = np.array([q.day for q in quotes], "datetime64[D]")
    spread, depth = np.array([q.spread_fen for q in quotes]), np.array([q.depth_t for q in quotes])
    for row in table:
        today = days == row["date"]
        defined = today & ~np.isnan(spread)
        row["spread_fen"] = spread[defined].mean() if defined.any() else np.nan
        row["depth_t"] = depth[today].mean() if today.any() else np.nan


def firm_table(people: Population, books: Books, outcome: Outcome) -> np.ndarray:
    """FIRM rows, shape (firms,)."""
    table = np.zeros(len(people.emissions_t), FIRM)
    table["province"], table["group"] = people.province, people.group
    table["emissions_t"], table["free_t"], table["duty_t"] = people.emissions_t, people.free_t, people.duty_t
    table["bought_t"], table["sold_t"] = books.bought_t, books.sold_t
    table["first_buy"], table["last_buy"] = books.first_buy, books.last_buy
    table["surrendered_t"], table["offsets_used_t"] = outcome.surrendered_t, outcome.offsets_used_t
    table["shortfall_t"], table["fine_fen"] = outcome.shortfall_t, outcome.fine_fen
    return table
