"""Every small book there is, instead of samples: up to three orders, three prices, three quantities, all types.

A first order that cannot rest leaves the book as empty as it was, so sequences begin with one that rests; what types
do on an empty book is the single order's case. Both engines must give the same bytes, and the trades must be those of
`naive`, a third matching in a dozen lines that shares nothing with either.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numba
import numpy as np
import pytest

from engine.codes import CommandKind, EventKind, OrdType, Side, TimeInForce
from engine.exchange import Exchange
from engine.records import command, empty_commands
from engine.reference import ReferenceExchange
from tests.oracle.campaign import compiled

PRICES, QUANTITIES = (9, 10, 11), (1, 2, 3)
STRIDE = 97 if numba.config.DISABLE_JIT else 1
"""With the compiler off, one sequence of so many."""
CHUNK = 2_000
ACCOUNTS = (2, 3, 4)

Trade = tuple[int, int, int, int]
"""(number of the taking command in its sequence, of the resting one, price in fen, tonnes)."""


@dataclass(frozen=True)
class Ask:
    """One command of a sequence; `target` is the number of an earlier one (-1: none)."""

    kind: CommandKind
    side: Side
    price: int
    qty: int
    ord_type: OrdType = OrdType.LIMIT
    tif: TimeInForce = TimeInForce.DAY
    target: int = -1

    @property
    def rests(self) -> bool:
        """Whether what is left of it waits in the book."""
        return self.kind == CommandKind.NEW and self.ord_type == OrdType.LIMIT and self.tif == TimeInForce.DAY


def orders(tifs: tuple[TimeInForce, ...], types: tuple[OrdType, ...]) -> list[Ask]:
    """Every NEW of these validities and types; a market order has no price."""
    found = [Ask(CommandKind.NEW, side, price, qty, tif=tif)
             for side, price, qty, tif in itertools.product(Side, PRICES, QUANTITIES, tifs)]  # fmt: skip
    if OrdType.MARKET in types:
        found += [
            Ask(CommandKind.NEW, side, -1, qty, OrdType.MARKET) for side, qty in itertools.product(Side, QUANTITIES)
        ]
    return found


def continuous_sequences() -> Iterator[tuple[Ask, ...]]:
    """One, two and three orders on a screen that crosses."""
    every = orders((TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK), tuple(OrdType))
    first = [ask for ask in every if ask.rests]
    yield from ((ask,) for ask in every)
    yield from itertools.product(first, every)
    yield from itertools.product(first, every, every)


def listed_sequences() -> Iterator[tuple[Ask, ...]]:
    """Two listings, then a third, a click on either or a sweep."""
    listings = orders((TimeInForce.DAY,), (OrdType.LIMIT,))
    clicks = [Ask(CommandKind.CLICK, side, -1, qty, target=target)
              for side, qty, target in itertools.product(Side, QUANTITIES, (0, 1))]  # fmt: skip
    sweeps = [Ask(CommandKind.CLICK, ask.side, ask.price, ask.qty) for ask in listings]
    yield from itertools.product(listings, listings, listings + clicks + sweeps)


def naive(sequence: tuple[Ask, ...], *, crosses: bool) -> list[Trade]:
    """Price, then time; nothing crosses by itself on a listed screen; at most two price levels are swept there."""
    left = [ask.qty for ask in sequence]
    book: list[int] = []
    trades = []
    for number, ask in enumerate(sequence):
        against = [n for n in book if left[n] and sequence[n].side != ask.side]
        if ask.target >= 0:
            against = [n for n in against if n == ask.target]
        else:
            sign = 1 if ask.side == Side.BUY else -1
            against = [n for n in against if ask.price < 0 or sign * sequence[n].price <= sign * ask.price]
            against.sort(key=lambda n: (sign * sequence[n].price, n))
        if not crosses and ask.kind == CommandKind.NEW:
            against = []
        if ask.tif == TimeInForce.FOK and sum(left[n] for n in against) < ask.qty:
            against = []
        for maker in against:
            qty = min(left[number], left[maker])
            if qty:
                trades.append((number, maker, sequence[maker].price, qty))
            left[number] -= qty
            left[maker] -= qty
        if ask.rests:
            book.append(number)
    return trades


def rows_of(sequences: list[tuple[Ask, ...]], first_seq: int) -> np.ndarray:
    """COMMAND rows: each sequence, then cancels for whatever may be left of it."""
    rows = empty_commands(2 * sum(map(len, sequences)))
    at = 0
    for sequence in sequences:
        start = at
        for number, ask in enumerate(sequence):
            row = rows[at]
            row["kind"], row["account"], row["instrument"], row["side"] = ask.kind, ACCOUNTS[number], 0, ask.side
            row["ord_type"], row["tif"], row["price_fen"], row["qty"] = ask.ord_type, ask.tif, ask.price, ask.qty
            row["target_id"] = first_seq + start + ask.target if ask.target >= 0 else -1
            at += 1
        for number in range(len(sequence)):
            row = rows[at]
            row["kind"], row["account"], row["target_id"] = (
                CommandKind.CANCEL,
                ACCOUNTS[number],
                first_seq + start + number,
            )
            at += 1
    return rows


def opened(engine: Exchange | ReferenceExchange) -> int:
    """Rich accounts; returns the number of the next command."""
    for account in ACCOUNTS:
        engine.submit(command(CommandKind.OPEN_ACCOUNT, account=account))
        engine.submit(command(CommandKind.DEPOSIT, account=account, amount_fen=10**12))
        engine.submit(command(CommandKind.ISSUE, account=account, instrument=0, qty=10**9))
    return 3 * len(ACCOUNTS) + 1


@pytest.mark.parametrize(
    ("rulebook", "sequences", "count"),
    [("continuous-reject", continuous_sequences, 65_940), ("listed-reject", listed_sequences, 15_552)],
)
def test_every_small_book_trades_as_three_implementations_say(
    rulebook: str, sequences: Callable[[], Iterator[tuple[Ask, ...]]], count: int
) -> None:
    crosses = rulebook.startswith("continuous")
    every = list(sequences())
    assert len(every) == count
    chosen = every[::STRIDE]
    fast, slow = Exchange(compiled(rulebook)), ReferenceExchange(compiled(rulebook))
    next_seq = opened(fast)
    assert opened(slow) == next_seq
    traded = 0
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        rows = rows_of(part, next_seq)
        events = fast.submit(rows)
        assert events.tobytes() == slow.submit(rows).tobytes()
        trades = events[events["kind"] == EventKind.TRADE]
        found = list(
            zip(*(trades[name].tolist() for name in ("order_id", "contra_id", "price_fen", "qty")), strict=True)
        )
        expected = []
        for sequence in part:
            expected += [
                (next_seq + n, next_seq + m, price, qty) for n, m, price, qty in naive(sequence, crosses=crosses)
            ]
            next_seq += 2 * len(sequence)
        assert found == expected
        fast.check()
        slow.check()
        traded += len(found)
    print(f"{rulebook}: {len(chosen):,} of {len(every):,} small books, {traded:,} trades")
    assert traded > len(chosen) // 4
