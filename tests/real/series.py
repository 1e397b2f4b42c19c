"""Recorded days put to the real engine: would it have admitted that price, and closed at that price?

Each day is asked of a venue of its own whose reference price is the recorded close of the day before, so that one odd
day does not spoil the next.
"""

import csv
import datetime as dt
import itertools
from collections.abc import Iterator
from dataclasses import dataclass, replace
from decimal import ROUND_HALF_UP, Decimal
from pathlib import Path

import numpy as np

from engine.codes import CommandKind, EventKind, OrdType, Phase, Rule, Side
from engine.records import command
from engine.reference import ReferenceExchange
from engine.rules.compiler import compile_rulebook, date_number
from engine.rules.schema import find_rulebook

DATA = Path(__file__).parents[3] / "shared" / "data"
LONGEST_HOLIDAY = 17
"""Calendar days from one trading day to the next, at most; a longer gap is a hole in the record."""
BUYER, SELLER = 2, 3
PLENTY_T, PLENTY_FEN = 10**11, 10**16


@dataclass(frozen=True)
class Day:
    """One recorded day; prices in fen, absent ones None."""

    date: dt.date
    close: int
    high: int | None
    low: int | None
    volume_t: int
    block_t: int


def fen(text: str) -> int:
    """CNY text of a table of figures -> fen, rounded half up (averages have more decimals)."""
    return int((Decimal(text) * 100).quantize(Decimal(1), ROUND_HALF_UP))


def recorded(path: Path, close: str, volume: str, product: str = "") -> list[Day]:
    """Rows of a daily file with a price, in its order; `product` keeps one product's rows."""
    days = []
    with path.open(newline="", encoding="utf-8") as file:
        for row in csv.DictReader(file):
            if (product and row["product"] != product) or not row[close] or Decimal(row[close]) == 0:
                continue
            high, low = (fen(row[name]) if row.get(name) else None for name in ("high", "low"))
            volume_t, block_t = (int(Decimal(row.get(name) or "0")) for name in (volume, "block_volume_t"))
            days.append(Day(dt.date.fromisoformat(row["date"]), fen(row[close]), high, low, volume_t, block_t))
    return days


def pairs(days: list[Day]) -> Iterator[tuple[Day, Day]]:
    """Each day with the one before it, where no recorded days are missing between the two."""
    return ((a, b) for a, b in itertools.pairwise(days) if (b.date - a.date).days <= LONGEST_HOLIDAY)


class Market:
    """A rulebook that can be put to one recorded day."""

    def __init__(self, name: str, **changes: int) -> None:
        """`changes` are columns of the rule table by lower-case name, for a rule that should not fit the record."""
        self._rules = compile_rulebook(find_rulebook(name))
        for column, value in changes.items():
            self._rules.rows[:, Rule[column.upper()]] = value

    def day(self, date: dt.date, prev_close: int, phase: Phase = Phase.AFTERNOON) -> ReferenceExchange:
        """A venue on `date` after a close of `prev_close` fen, with a rich buyer and seller."""
        rows = self._rules.rows.copy()
        rows[:, Rule.REFERENCE_FEN] = prev_close
        venue = ReferenceExchange(replace(self._rules, rows=rows))
        for account in (BUYER, SELLER):
            venue.submit(command(CommandKind.OPEN_ACCOUNT, account=account))
        venue.submit(command(CommandKind.DEPOSIT, account=BUYER, amount_fen=PLENTY_FEN))
        venue.submit(command(CommandKind.ISSUE, account=SELLER, instrument=0, qty=PLENTY_T))
        venue.submit(command(CommandKind.DAY_ROLL, date=date_number(date)))
        venue.submit(command(CommandKind.PHASE, phase=phase))
        return venue

    def admits(self, date: dt.date, prev_close: int, price: int) -> bool:
        """Whether a sale at `price` fen can be entered on the screen that day."""
        events = self.day(date, prev_close).submit(_order(SELLER, Side.SELL, price, 1))
        return bool(events["kind"][0] == EventKind.ACCEPTED)

    def close_after(self, date: dt.date, prev_close: int, price: int, qty: int) -> int:
        """The closing price when `qty` t trade at `price` fen on the screen that day."""
        venue = self.day(date, prev_close)
        entered = venue.submit(_order(SELLER, Side.SELL, price, qty))
        click = command(CommandKind.CLICK, account=BUYER, instrument=0, side=Side.BUY, qty=qty, price_fen=price,
                        target_id=int(entered["order_id"][0]))  # fmt: skip
        venue.submit(click)
        events = venue.submit(command(CommandKind.DAY_ROLL, date=date_number(date + dt.timedelta(days=1))))
        return int(events["price_fen"][events["kind"] == EventKind.DAY_CLOSED][0])


def _order(account: int, side: Side, price: int, qty: int) -> np.ndarray:
    return command(CommandKind.NEW, account=account, instrument=0, side=side, ord_type=OrdType.LIMIT,
                   price_fen=price, qty=qty)  # fmt: skip
