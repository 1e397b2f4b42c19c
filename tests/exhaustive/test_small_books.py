"""Every small book there is, instead of samples: up to three orders, three prices, three quantities, all types.

A first order that cannot rest leaves the book as empty as it was, so sequences begin with one that rests; what types
do on an empty book is the single order's case. Both engines must give the same bytes, and the trades must be those of
a third matching in a dozen lines that shares nothing with either: `naive`, `naive_call`, `naive_auction`.
"""

import itertools
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numba
import numpy as np
import pytest

from engine.codes import CommandKind, EventKind, OrdType, Phase, Side, TimeInForce
from engine.exchange import Exchange
from engine.records import command, empty_commands
from engine.reference import ReferenceExchange
from tests.oracle.campaign import compiled

PRICES, QUANTITIES = (9, 10, 11), (1, 2, 3)
STRIDE = 97 if numba.config.DISABLE_JIT else 1
"""With the compiler off, one sequence of so many."""
CHUNK = 2_000
ACCOUNTS = (2, 3, 4)
SELLER = 5

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


def traded(events: np.ndarray) -> list[Trade]:
    """(taking order, resting order, price, tonnes) of every trade, in its order."""
    trades = events[events["kind"] == EventKind.TRADE]
    columns = (trades[name].tolist() for name in ("order_id", "contra_id", "price_fen", "qty"))
    return list(zip(*columns, strict=True))


def naive_call(orders: list[Ask], previous_close: int) -> list[Trade]:
    """One price: most volume, least left over, pressure, nearest to the previous close; then price and time."""

    def at(price: int) -> tuple[int, int]:
        demand = sum(o.qty for o in orders if o.side == Side.BUY and o.price >= price)
        supply = sum(o.qty for o in orders if o.side == Side.SELL and o.price <= price)
        return min(demand, supply), demand - supply

    best = max((at(price)[0], -abs(at(price)[1])) for price in PRICES)
    prices = [price for price in PRICES if (at(price)[0], -abs(at(price)[1])) == best]
    if best[0] == 0:
        return []
    over = [at(price)[1] for price in prices]
    price = min(prices, key=lambda p: abs(p - previous_close))
    if min(over) > 0 or max(over) < 0:
        price = max(prices) if min(over) > 0 else min(prices)
    queues = [
        sorted((n for n, o in enumerate(orders) if o.side == side), key=lambda n: (sign * orders[n].price, n))
        for side, sign in ((Side.BUY, -1), (Side.SELL, 1))
    ]
    tonnes = [[n for n in queue for _ in range(orders[n].qty)][: best[0]] for queue in queues]
    pairs = [(max(pair), min(pair)) for pair in zip(*tonnes, strict=True)]
    return [(*pair, price, pairs.count(pair)) for pair in dict.fromkeys(pairs)]


def test_every_small_call_auction_trades_as_three_implementations_say() -> None:
    every = [s for n in (1, 2, 3) for s in itertools.product(orders((TimeInForce.DAY,), (OrdType.LIMIT,)), repeat=n)]
    assert len(every) == 18 + 18**2 + 18**3
    chosen = every[::STRIDE]
    fast, slow = Exchange(compiled("continuous-reject")), ReferenceExchange(compiled("continuous-reject"))
    next_seq = opened(fast)
    opened(slow)
    rows, expected = [], []
    gather = command(CommandKind.PHASE, phase=Phase.CALL)
    trade = command(CommandKind.PHASE, phase=Phase.AFTERNOON)
    for sequence in chosen:
        first = next_seq + 1
        expected += [(first + n, first + m, price, qty) for n, m, price, qty in naive_call(list(sequence), 10)]
        both = rows_of([sequence], first)
        cancels = both[len(sequence) :]
        rows += [gather, both[: len(sequence)], trade, cancels]
        next_seq += 2 * len(sequence) + 2
    events = fast.submit(np.concatenate(rows))
    assert events.tobytes() == slow.submit(np.concatenate(rows)).tobytes()
    assert traded(events) == expected
    print(f"call auction: {len(chosen):,} of {len(every):,} small books, {len(expected):,} trades")
    assert len(expected) > len(chosen) // 4


def naive_auction(offered: int, bids: list[tuple[int, int]], rules: str) -> list[Trade]:
    """Bids are (price, tonnes), in the order in which they came; numbers are theirs and the auction's, 0."""
    order = sorted(range(len(bids)), key=lambda n: (-bids[n][0], n))
    got = dict.fromkeys(order, 0)
    if rules == "continuous-cancel":
        for price in sorted({price for price, _ in bids}, reverse=True):
            group = [n for n in order if bids[n][0] == price]
            left, wanted = offered - sum(got.values()), sum(bids[n][1] for n in group)
            for n in group:
                got[n] = bids[n][1] if wanted <= left else left * bids[n][1] // wanted // 2 * 2
            rest = 0 if wanted <= left else left - sum(got[n] for n in group)
            for n in group:
                more = min(rest, bids[n][1] - got[n])
                got[n], rest = got[n] + more, rest - more
        return [(n + 1, 0, bids[n][0], got[n]) for n in order if got[n]]
    served = [n for n in order for _ in range(bids[n][1])][:offered]
    return [(n + 1, 0, bids[served[-1]][0], served.count(n)) for n in dict.fromkeys(served)]


@pytest.mark.parametrize(("rulebook", "lot", "count"), [("listed-reject", 1, 2457), ("continuous-cancel", 2, 2457)])
def test_every_small_auction_sells_as_three_implementations_say(rulebook: str, lot: int, count: int) -> None:
    bids = list(itertools.product(PRICES, (lot, 2 * lot, 3 * lot)))
    every = [(qty * lot, s) for qty in (1, 2, 3) for n in (1, 2, 3) for s in itertools.product(bids, repeat=n)]
    assert len(every) == count
    chosen = every[::STRIDE]
    fast, slow = Exchange(compiled(rulebook)), ReferenceExchange(compiled(rulebook))
    next_seq = opened(fast)
    opened(slow)
    rows, expected = [], []
    for offered, sequence in chosen:
        auction = next_seq
        rows.append(
            command(CommandKind.ANNOUNCE, account=SELLER, instrument=0, side=Side.SELL, price_fen=9, qty=offered)
        )
        rows += [
            command(CommandKind.BID, account=ACCOUNTS[n], target_id=auction, price_fen=price, qty=qty)
            for n, (price, qty) in enumerate(sequence)
        ]
        rows.append(command(CommandKind.END_STAGE, target_id=auction))
        fitting = [(n, bid) for n, bid in enumerate(sequence) if bid[1] <= offered]
        numbers = {0: 0} | {place + 1: n + 1 for place, (n, _) in enumerate(fitting)}
        trades = naive_auction(offered, [bid for _, bid in fitting], rulebook) if fitting else []
        expected += [(auction + numbers[n], auction, price, qty) for n, _, price, qty in trades]
        next_seq += len(sequence) + 2
    events = fast.submit(np.concatenate(rows))
    assert events.tobytes() == slow.submit(np.concatenate(rows)).tobytes()
    assert traded(events) == expected
    print(f"one-way auction, {rulebook}: {len(chosen):,} of {len(every):,}, {len(expected):,} trades")
    assert len(expected) > len(chosen) // 4


def opened(engine: Exchange | ReferenceExchange) -> int:
    """Rich accounts; returns the number of the next command."""
    for account in (*ACCOUNTS, SELLER):
        engine.submit(command(CommandKind.OPEN_ACCOUNT, account=account))
        engine.submit(command(CommandKind.DEPOSIT, account=account, amount_fen=10**12))
        engine.submit(command(CommandKind.ISSUE, account=account, instrument=0, qty=10**9))
    return 3 * (len(ACCOUNTS) + 1) + 1


@pytest.mark.parametrize(
    ("rulebook", "sequences", "books"),
    [("continuous-reject", continuous_sequences, 65_940), ("listed-reject", listed_sequences, 15_552)],
)
def test_every_small_book_trades_as_three_implementations_say(
    rulebook: str, sequences: Callable[[], Iterator[tuple[Ask, ...]]], books: int
) -> None:
    crosses = rulebook.startswith("continuous")
    every = list(sequences())
    assert len(every) == books
    chosen = every[::STRIDE]
    fast, slow = Exchange(compiled(rulebook)), ReferenceExchange(compiled(rulebook))
    next_seq = opened(fast)
    assert opened(slow) == next_seq
    count = 0
    for start in range(0, len(chosen), CHUNK):
        part = chosen[start : start + CHUNK]
        rows = rows_of(part, next_seq)
        events = fast.submit(rows)
        assert events.tobytes() == slow.submit(rows).tobytes()
        found = traded(events)
        expected = []
        for sequence in part:
            expected += [
                (next_seq + n, next_seq + m, price, qty) for n, m, price, qty in naive(sequence, crosses=crosses)
            ]
            next_seq += 2 * len(sequence)
        assert found == expected
        fast.check()
        slow.check()
        count += len(found)
    print(f"{rulebook}: {len(chosen):,} of {len(every):,} small books, {count:,} trades")
    assert count > len(chosen) // 4
