"""What the readable exchange knows: orders, accounts, instrument days; and the arithmetic of prices and fees.

`Venue` holds the state and answers questions about it; it changes nothing but what `book` operations need.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from sortedcontainers import SortedDict

from engine.codes import (
    NONE,
    BlockReference,
    Participant,
    RejectReason,
    Role,
    Rule,
    SelfTrade,
    Side,
    TradePrice,
    TradingMode,
)
from engine.reference.auctions import CallPrice, best_first, call_price
from engine.rules.compiler import CompiledRules

EXCHANGE, GOVERNMENT = 0, 1
BASIS = 10_000
FOREVER = 2**62
"""`until_ns` of an order that is good till cancelled."""

FEES = {
    TradingMode.BLOCK: (Rule.BLOCK_FEE_BUY_BP, Rule.BLOCK_FEE_SELL_BP),
    TradingMode.OFFER: (Rule.OFFER_FEE_BUY_BP, Rule.OFFER_FEE_SELL_BP),
    TradingMode.AUCTION: (Rule.AUCTION_FEE_BUY_BP, Rule.AUCTION_FEE_SELL_BP),
}
"""Columns of the buyer's and the seller's fee; every other mode is the screen's."""
FEES_SCREEN = Rule.SCREEN_FEE_BUY_BP, Rule.SCREEN_FEE_SELL_BP
AUCTION_ROLES = (Role.AUCTION, Role.APPLICATION, Role.BID)

Ask = dict[str, int]


@dataclass
class RestingOrder:
    """A living entry: an order in the book, or what its role says. Prices in fen, quantities in t."""

    order_id: int
    account: int
    instrument: int
    side: int
    mode: int
    price: int
    leaves: int
    filled: int = 0
    contra: int = NONE
    """Account of the counterparty (proposal, deal), or number of the auction (application, bid)."""
    until_ns: int = NONE
    client_ref: int = NONE
    role: Role = Role.ORDER
    stage: int = 0
    bound: int = NONE
    """Auction: bound of the bids, fen. Application: deposit, fen. Bid: least it takes, t (0: any)."""


@dataclass
class Holding:
    """Units of one instrument in one account, t; the last three are counts, not units."""

    available: int = 0
    held: int = 0
    locked: int = 0
    restricted: int = 0
    bidding: int = 0
    """Open quantity of its buy orders."""
    allocated: int = 0
    """Units issued to it."""
    sold: int = 0

    @property
    def owned(self) -> int:
        """All units, whatever binds them."""
        return self.available + self.held + self.locked + self.restricted

    def row(self) -> tuple[int, ...]:
        """As in a canonical state."""
        return (self.available, self.held, self.locked, self.restricted, self.bidding, self.allocated, self.sold)


@dataclass
class Account:
    """Cash in fen, and units by instrument."""

    group: int
    participant: int
    holdings: list[Holding]
    cash: int = 0
    cash_held: int = 0
    blocked: int = 0


@dataclass
class InstrumentDay:
    """Limits and accumulators of one instrument, and its book: price -> queue, for each side."""

    rules: list[int]
    prev_close: int
    limit_low: int = 0
    limit_high: int = 0
    block_low: int = 0
    block_high: int = 0
    qty: int = 0
    value: int = 0
    counted: int = 0
    """Quantity that counts towards `Rule.CLOSE_MIN_QTY_T`."""
    issued: int = 0
    halted_until_ns: int = 0
    halt_reference: int = 0
    trades: list[tuple[int, int]] = field(default_factory=list)
    """(price, quantity) of the day's trades that make the close."""
    book: dict[int, SortedDict] = field(default_factory=lambda: {Side.BUY: SortedDict(), Side.SELL: SortedDict()})

    @property
    def last(self) -> int:
        """Price of the day's last trade; before the first, the previous close."""
        return self.trades[-1][0] if self.trades else self.prev_close

    @property
    def close(self) -> int:
        """What the closing price would be now: of the last trades, or of all; the previous one when too few."""
        counted = self.trades[-self.rules[Rule.CLOSE_TRADES] :]
        if self.counted <= self.rules[Rule.CLOSE_MIN_QTY_T]:
            return self.prev_close
        value, qty = sum(price * qty for price, qty in counted), sum(qty for _, qty in counted)
        return round_half_up(value, qty, self.rules[Rule.TICK_FEN])

    def band(self, reference: int, down: int, up: int) -> tuple[int, int]:
        """Lowest and highest price `down` and `up` basis points (NONE: any) around a reference, on the tick."""
        low, high, tick = (self.rules[r] for r in (Rule.PRICE_LOW_FEN, Rule.PRICE_HIGH_FEN, Rule.TICK_FEN))
        if down != NONE:
            low = max(low, round_half_up(reference * (BASIS - down), BASIS, tick))
        if up != NONE:
            high = min(high, round_half_up(reference * (BASIS + up), BASIS, tick))
        return low, high

    def set_limits(self) -> None:
        """Limits of the day from the previous close."""
        rules = self.rules
        self.limit_low, self.limit_high = self.band(self.prev_close, rules[Rule.BAND_DOWN_BP], rules[Rule.BAND_UP_BP])
        band = rules[Rule.BLOCK_BAND_BP]
        if rules[Rule.BLOCK_REFERENCE] == BlockReference.SAME_DAY_CLOSE:
            band = NONE
        self.block_low, self.block_high = self.band(self.prev_close, band, band)

    def around_close(self, rule: Rule) -> tuple[int, int]:
        """Limits of an off-screen mode: `rule` basis points around the previous close."""
        return self.band(self.prev_close, self.rules[rule], self.rules[rule])


def opposite(side: int) -> int:
    """The other side."""
    return Side.SELL if side == Side.BUY else Side.BUY


def round_half_up(numerator: int, denominator: int, tick: int) -> int:
    """`numerator / denominator` rounded half up to a multiple of `tick`."""
    step = denominator * tick
    return (2 * numerator + step) // (2 * step) * tick


def fee(rules: list[int], mode: int, side: int, value: int) -> int:
    """What one side of a trade pays to the exchange: a share of the value, rounded half up to the fen."""
    buys, sells = FEES.get(TradingMode(mode), FEES_SCREEN)
    return round_half_up(value * rules[buys if side == Side.BUY else sells], BASIS, 1)


def gross(rules: list[int], mode: int, price: int) -> int:
    """What a buyer must have for a tonne: the price and its fee, rounded up, so that no split costs more."""
    bp = rules[FEES.get(TradingMode(mode), FEES_SCREEN)[0]]
    return price + -(-price * bp // BASIS)


def accepts(side: int, limit: int, price: int) -> bool:
    """Whether a taker with this limit (NONE = any) takes this price."""
    return limit == NONE or (price <= limit if side == Side.BUY else price >= limit)


class Venue:
    """The state of one venue under one rulebook, and what can be asked of it."""

    def __init__(self, rules: CompiledRules) -> None:
        self.symbols = rules.symbols
        self._rows = rules.rows.tolist()
        self._initial_phase = rules.initial_phase
        self._days = [InstrumentDay([], 0) for _ in rules.symbols]
        self._accounts = {
            n: Account(NONE, Participant.COVERED, [Holding() for _ in rules.symbols]) for n in (EXCHANGE, GOVERNMENT)
        }
        self._orders: dict[int, RestingOrder] = {}
        self._ended: dict[int, RejectReason] = {}
        """How orders of this day ended: the reason for whoever still asks for them."""
        self._command_seq = self._event_seq = self._cash_in = 0
        self._phase = self._date = 0

    def canonical_state(self) -> Iterator[tuple[int, ...]]:
        """The state as rows of integers: scalars, instrument days, accounts, then what lives.

        Of each instrument first the book in priority, then everything else by number.
        """
        yield (self._command_seq, self._event_seq, self._phase, self._date, self._cash_in)
        for day in self._days:
            yield (day.prev_close, day.limit_low, day.limit_high, day.block_low, day.block_high, day.qty, day.value,
                   day.counted, day.issued, day.last, day.halted_until_ns, day.halt_reference)  # fmt: skip
        for number in sorted(self._accounts):
            account = self._accounts[number]
            units = [x for h in account.holdings for x in h.row()]
            yield (
                number,
                account.group,
                account.cash,
                account.cash_held,
                account.participant,
                account.blocked,
                *units,
            )
        for instrument, day in enumerate(self._days):
            for side in (Side.BUY, Side.SELL):
                for price in self._prices(day, side):
                    for order in day.book[side][price]:
                        yield self._row(order)
            for order_id in sorted(self._orders):
                order = self._orders[order_id]
                if order.role != Role.ORDER and order.instrument == instrument:
                    yield self._row(order)

    def balances(self) -> tuple[np.ndarray, np.ndarray]:
        """Cash (accounts, 6) and units (accounts, instruments, 7), columns as in `core.state`, int64."""
        count = max(self._accounts) + 1
        cash = np.zeros((count, 6), np.int64)
        units = np.zeros((count, len(self.symbols), 7), np.int64)
        for number, a in self._accounts.items():
            cash[number] = (1, a.group, a.cash, a.cash_held, a.participant, a.blocked)
            units[number] = [h.row() for h in a.holdings]
        return cash, units

    def brought_in(self) -> tuple[int, list[int]]:
        """Cash paid in and not out again, fen; units issued, t, by instrument: what all balances must add up to."""
        return self._cash_in, [day.issued for day in self._days]

    def check(self) -> None:
        """Assert conservation and that no balance is negative."""
        accounts = self._accounts.values()
        for account in accounts:
            assert account.cash >= 0, "cash is negative"
            assert account.cash_held >= 0, "held cash is negative"
            for h in account.holdings:
                assert min(h.row()) >= 0, "units are negative"
        assert sum(a.cash + a.cash_held for a in accounts) == self._cash_in, "cash was lost or created"
        for instrument, day in enumerate(self._days):
            total = sum(a.holdings[instrument].owned for a in accounts)
            assert total == day.issued, "units were lost or created"

    @staticmethod
    def _row(o: RestingOrder) -> tuple[int, ...]:
        return (o.instrument, o.side, o.role, o.mode, o.order_id, o.account, o.price, o.leaves, o.filled, o.contra,
                o.until_ns, o.client_ref, o.stage, o.bound)  # fmt: skip

    # Questions about books.

    @staticmethod
    def _prices(day: InstrumentDay, side: int) -> Iterator[int]:
        """Occupied prices, best first."""
        return reversed(day.book[side]) if side == Side.BUY else iter(day.book[side])

    def _best(self, day: InstrumentDay, side: int) -> int | None:
        """Best resting price of `side`."""
        return next(self._prices(day, side), None)

    def _reachable(
        self, day: InstrumentDay, side: int, limit: int, qty: int, levels: int | None, account: int
    ) -> list[tuple[RestingOrder, int]]:
        """What a taker would meet now: (resting order, tonnes).

        Its own orders count nothing under CANCEL_MAKER and end the walk under CANCEL_TAKER.
        """
        rule = day.rules[Rule.SELF_TRADE]
        met: list[tuple[RestingOrder, int]] = []
        for price in islice(self._prices(day, opposite(side)), levels):
            if not accepts(side, limit, price):
                break
            for order in day.book[opposite(side)][price]:
                own = order.account == account
                if qty <= 0 or (own and rule == SelfTrade.CANCEL_TAKER):
                    return met
                fill = 0 if own and rule == SelfTrade.CANCEL_MAKER else min(qty, order.leaves)
                met.append((order, fill))
                qty -= fill
        return met

    def _call_price(self, day: InstrumentDay) -> CallPrice | None:
        """At which price the book would trade in a call auction."""
        depth = {
            side: {price: sum(order.leaves for order in queue) for price, queue in day.book[side].items()}
            for side in (Side.BUY, Side.SELL)
        }
        tick = day.rules[Rule.TICK_FEN]
        return call_price(depth[Side.BUY], depth[Side.SELL], round_half_up(day.prev_close, 1, tick), tick)

    @staticmethod
    def _trade_price(day: InstrumentDay, me: RestingOrder, maker: RestingOrder) -> int:
        """The resting order's price, or the middle one of bid, ask and last trade."""
        if day.rules[Rule.TRADE_PRICE] == TradePrice.MEDIAN:
            return sorted((me.price, maker.price, day.last))[1]
        return maker.price

    @staticmethod
    def _replaced(ask: Ask, order: RestingOrder) -> tuple[int, int]:
        """Price and open quantity after a REPLACE."""
        price = order.price if ask["price_fen"] == NONE else ask["price_fen"]
        leaves = order.leaves if ask["qty"] == NONE else ask["qty"] - order.filled
        return price, leaves

    @staticmethod
    def _buyer_seller(proposal: RestingOrder, confirmer: int) -> tuple[int, int]:
        if proposal.side == Side.BUY:
            return proposal.account, confirmer
        return confirmer, proposal.account

    # Questions about auctions.

    def _of_auction(self, auction: RestingOrder, role: Role) -> list[RestingOrder]:
        """Its applications, oldest first, or its bids, best first and of one price oldest first."""
        found = [o for o in self._orders.values() if o.role == role and o.contra == auction.order_id]
        found.sort(key=lambda o: o.order_id)
        if role == Role.BID:
            found.sort(key=lambda o: best_first(o.side, o.price))
        return found

    # Operations on the book.

    def _rest(self, order: RestingOrder) -> None:
        self._orders[order.order_id] = order
        self._days[order.instrument].book[order.side].setdefault(order.price, deque()).append(order)

    def _unlink(self, order: RestingOrder) -> None:
        """Out of the pool, and out of its queue when it stands in one."""
        del self._orders[order.order_id]
        if order.role == Role.ORDER:
            book = self._days[order.instrument].book[order.side]
            book[order.price].remove(order)
            if not book[order.price]:
                del book[order.price]
