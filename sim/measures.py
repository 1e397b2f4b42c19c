"""What can be measured on a finished tape: the day table of a product, the firm table, mean prices.

Everything is read from events (and what a firm's own books say), never from core state and never from an intention.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from engine.codes import EventKind, Side, TradingMode
from sim.result import DAY, FIRM

if TYPE_CHECKING:
    from engine.feed.depth import DepthFeed
    from sim.books import Books
    from sim.population import Population
    from sim.registry import Registry

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


def block_band(close_fen: int, band_bp: int) -> tuple[int, int]:
    """Lowest and highest block price in whole fen inside the band; without a band (negative) any price."""
    if band_bp < 0:
        return 1, np.iinfo(np.int32).max
    return -(-close_fen * (BASIS - band_bp) // BASIS), close_fen * (BASIS + band_bp) // BASIS


def day_table(days: np.ndarray, events: np.ndarray, quotes: list[Quotes], instrument: int) -> np.ndarray:
    """DAY rows of one product, shape (n,), for as many of `days` as the tape has opened.

    The close is the exchange's own, by its rule of the closing price; of a day that has not been rolled over yet it is
    the mean of the public's trades.
    """
    kind = events["kind"]
    opens = np.flatnonzero((kind == EventKind.DAY_OPENED) & (events["instrument"] == instrument))[: len(days)]
    mine = events["instrument"] == instrument
    trades_at = np.flatnonzero((kind == EventKind.TRADE) & mine)
    closes = events[(kind == EventKind.DAY_CLOSED) & mine]
    accepted_at = np.flatnonzero((kind == EventKind.ACCEPTED) & mine)
    table = np.zeros(len(opens), DAY)
    table["date"] = days[: len(opens)]
    ends = [*opens[1:], len(events)]
    for number, (row, begin, end) in enumerate(zip(table, opens, ends, strict=True)):
        opened = events[begin]
        row["prev_close_fen"] = opened["price_fen"]
        row["limit_low_fen"], row["limit_high_fen"] = opened["low_price_fen"], opened["high_price_fen"]
        first, last = np.searchsorted(trades_at, (begin, end))
        trades = events[trades_at[first:last]]
        block, auction = trades["mode"] == TradingMode.BLOCK, trades["mode"] == TradingMode.AUCTION
        listed = trades[~block & ~auction]
        for name, chosen in (("listed", listed), ("block", trades[block]), ("auction", trades[auction])):
            row[f"{name}_qty_t"], row[f"{name}_value_fen"] = chosen["qty"].sum(), chosen["amount_fen"].sum()
        row["listed_trades"], row["block_trades"] = len(listed), int(block.sum())
        first, last = np.searchsorted(accepted_at, (begin, end))
        row["orders"] = last - first
        if number < len(closes):
            close = int(closes["price_fen"][number])
        else:
            close = _mean(int(row["listed_value_fen"]), int(row["listed_qty_t"]), int(opened["price_fen"]))
        row["close_fen"] = close
        prices = listed["price_fen"] if len(listed) else np.array([close])
        row["open_fen"], row["high_fen"], row["low_fen"] = prices[0], prices.max(), prices.min()
    _fill_quotes(table, quotes)
    return table


def _mean(value_fen: int, qty_t: int, otherwise_fen: int) -> int:
    """Volume-weighted mean rounded half up to the fen."""
    return (2 * value_fen + qty_t) // (2 * qty_t) if qty_t else otherwise_fen


def _fill_quotes(table: np.ndarray, quotes: list[Quotes]) -> None:
    """Mean spread and depth by day; NaN where a day has none."""
    table["spread_fen"] = table["depth_t"] = np.nan
    if not quotes:
        return
    days = np.array([q.day for q in quotes], "datetime64[D]")
    spread, depth = np.array([q.spread_fen for q in quotes]), np.array([q.depth_t for q in quotes])
    for row in table:
        today = days == row["date"]
        defined = today & ~np.isnan(spread)
        row["spread_fen"] = spread[defined].mean() if defined.any() else np.nan
        row["depth_t"] = depth[today].mean() if today.any() else np.nan


def mean_price_fen(days: np.ndarray, first: np.datetime64, last: np.datetime64) -> float:
    """Mean over the trades of all modes between two dates, by volume; without any, the last close not after `last`.

    `days`: DAY rows of one product, or of several joined: then the mean runs over all of them.
    """
    inside = days[(days["date"] >= first) & (days["date"] <= last)]
    value = sum(int(inside[f"{mode}_value_fen"].sum()) for mode in ("listed", "block", "auction"))
    qty = sum(int(inside[f"{mode}_qty_t"].sum()) for mode in ("listed", "block", "auction"))
    if qty:
        return value / qty
    before = days[days["date"] <= last]
    return float(before["close_fen"][-1] if len(before) else days["close_fen"][0])


def firm_table(people: Population, books: Books, registry: Registry, abated_t: np.ndarray) -> np.ndarray:
    """FIRM rows, shape (firms,)."""
    firms = slice(0, people.firms)
    table = np.zeros(people.firms, FIRM)
    table["province"], table["group"] = people.province[firms], people.group[firms]
    table["emissions_t"], table["free_t"] = people.emissions_t[firms], people.free_t[firms]
    table["bought_t"], table["sold_t"] = books.bought_t[firms], books.sold_t[firms]
    table["first_buy"], table["last_buy"] = books.first_buy[firms], books.last_buy[firms]
    for name in ("duty_t", "surrendered_t", "late_t", "shortfall_t", "fine_fen", "offsets_used_t", "deducted_t",
                 "next_deduction_t"):  # fmt: skip
        table[name] = getattr(registry, name)[firms]
    table["abated_t"] = abated_t[firms]
    table["made_up_t"] = np.maximum(0, table["late_t"] - table["shortfall_t"])
    return table
