"""An auditor that believes no engine: it keeps books of its own from the events and says where they cannot be true.

    auditor = Auditor(rules)
    auditor.hear(command, events)                               # one command, shape (1,), and its answer
    auditor.compare(exchange.balances(), exchange.canonical_state())

It shares nothing with either engine but the enumerations, the record layouts and the rulebook. Of a command it takes
what it asked for and what no event repeats: the date of a day roll, validity and conditions of an order, the kind of
participant. Every fault is an `AssertionError` that says what cannot be.
"""

import math
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, field, replace
from fractions import Fraction
from functools import cache
from types import SimpleNamespace

import numpy as np

from engine.codes import (
    NONE,
    BlockReference,
    ClickChoice,
    CommandKind,
    EventFlag,
    EventKind,
    Lots,
    Margin,
    OrderCondition,
    OrdType,
    Participant,
    Phase,
    Pricing,
    Role,
    Rule,
    SelfTrade,
    Side,
    Stage,
    TimeInForce,
    TradePrice,
    TradingMode,
)
from engine.core.state import Account, Units
from engine.records import COMMAND, EVENT
from engine.rules.compiler import CompiledRules
from tests.oracle.campaign import LIVING_COLUMNS

EXCHANGE, GOVERNMENT = 0, 1
FEES = {
    TradingMode.BLOCK: (Rule.BLOCK_FEE_BUY_BP, Rule.BLOCK_FEE_SELL_BP),
    TradingMode.OFFER: (Rule.OFFER_FEE_BUY_BP, Rule.OFFER_FEE_SELL_BP),
    TradingMode.AUCTION: (Rule.AUCTION_FEE_BUY_BP, Rule.AUCTION_FEE_SELL_BP),
}
SCREEN_FEES = Rule.SCREEN_FEE_BUY_BP, Rule.SCREEN_FEE_SELL_BP
OF_AUCTIONS = Role.AUCTION, Role.APPLICATION, Role.BID
SCREEN_KINDS = CommandKind.NEW, CommandKind.REPLACE, CommandKind.CLICK
LASTING = TimeInForce.DAY, TimeInForce.GTC, TimeInForce.GTD
_FILLS = "(TRADE |CANCELED )*"
GRAMMAR = {
    CommandKind.NEW: f"ACCEPTED {_FILLS}(INDICATIVE |INSTRUMENT_HALTED )?",
    CommandKind.REPLACE: f"REPLACED {_FILLS}(INDICATIVE |INSTRUMENT_HALTED )?",
    CommandKind.CLICK: f"ACCEPTED {_FILLS}(INSTRUMENT_HALTED )?",
    CommandKind.CANCEL: "CANCELED (INDICATIVE )?",
    CommandKind.PROPOSE: "ACCEPTED ",
    CommandKind.CONFIRM: "TRADE ",
    CommandKind.DECLINE: "DECLINED |CANCELED ",
    CommandKind.OFFER: "ACCEPTED ",
    CommandKind.TAKE: "ACCEPTED TRADE (CANCELED )?",
    CommandKind.ANNOUNCE: "ANNOUNCED ",
    CommandKind.APPLY: "APPLIED ",
    CommandKind.BID: "(CANCELED )?ACCEPTED ",
    CommandKind.END_STAGE: "STAGE_ENDED |(TRADE )*(CANCELED )*SETTLED ",
    CommandKind.MASS_CANCEL: "(CANCELED )*MASS_CANCELED (INDICATIVE )*",
    CommandKind.KILL_SWITCH: "(CANCELED )*KILL_SWITCH_SET (INDICATIVE )*",
    CommandKind.PHASE: "(TRADE )*PHASE_CHANGED ",
    CommandKind.DAY_ROLL: (
        "(EXPIRED )*(DAY_CLOSED |DELIVERED |VOIDED |LARGE_HOLDER )*(DAY_OPENED )+(EXPIRED )*"
    ),
    CommandKind.OPEN_ACCOUNT: "ACCOUNT_OPENED ",
    CommandKind.DEPOSIT: "DEPOSITED ",
    CommandKind.WITHDRAW: "WITHDRAWN ",
    CommandKind.ISSUE: "ISSUED ",
    CommandKind.SURRENDER: "SURRENDERED ",
    CommandKind.FINE: "FINED ",
    CommandKind.DEDUCT: "DEDUCTED ",
    CommandKind.SET_RULE: "RULE_SET ",
}  # fmt: skip
"""Which events may answer which command, as regular expressions over their names."""
_NAMES = {int(kind): kind.name for kind in EventKind}

Ask = SimpleNamespace
Event = SimpleNamespace


@dataclass
class Entry:
    """Something alive: an order, a proposal, a deal, an offer, an auction, an application, a bid. Fen and tonnes."""

    number: int
    role: Role
    account: int
    instrument: int
    side: int
    mode: int
    price: int
    leaves: int
    place: int
    """The lower, the earlier in the queue of its price."""
    filled: int = 0
    rests: bool = True
    """False for a taker that leaves within its own command."""
    tif: int = TimeInForce.DAY
    until_ns: int = NONE
    other: int = NONE
    """The counterparty's account, or the number of the auction."""
    stage: int = 0
    bound: int = NONE
    """As in a canonical state: of an auction the bound, of an application the deposit, of a bid its least quantity."""
    low: int = 0
    high: int = 2**31
    """Limits under which its price was admitted."""


@dataclass
class Wallet:
    """All that an account owns, free or not: cash in fen, units in t by instrument."""

    participant: int
    units: list[int]
    locked: list[int]
    restricted: list[int]
    allocated: list[int]
    sold: list[int]
    cash: int = 0
    blocked: int = 0


@dataclass
class Day:
    """One instrument's day."""

    rules: list[int]
    reference: int
    """Previous close, fen."""
    low: int = 0
    high: int = 0
    halted_until: int = 0
    halt_reference: int = 0
    trades: list[tuple[int, int, bool]] = field(default_factory=list)
    """Price, quantity, and whether it counts towards the least quantity, of the trades that make the close."""

    @property
    def last(self) -> int:
        return self.trades[-1][0] if self.trades else self.reference


@cache
def half_up(numerator: int, denominator: int, tick: int = 1) -> int:
    """A fraction rounded half up to whole ticks."""
    return math.floor(Fraction(numerator, denominator * tick) + Fraction(1, 2)) * tick


@cache
def rounded_up(numerator: int, denominator: int) -> int:
    """A fraction rounded up."""
    return math.ceil(Fraction(numerator, denominator))


def other_side(side: int) -> int:
    return Side.SELL if side == Side.BUY else Side.BUY


def within(side: int, price: int, limit: int) -> bool:
    """Whether a buyer with this limit pays this price, or a seller takes it."""
    return price <= limit if side == Side.BUY else price >= limit


def matched(bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]], price: int) -> tuple[int, int]:
    """(volume, what is left over) if these (limit, quantity) traded at `price`; buyers left over are positive."""
    demand = sum(qty for limit, qty in bids if limit >= price)
    supply = sum(qty for limit, qty in asks if limit <= price)
    return min(demand, supply), demand - supply


def right_prices(
    bids: Sequence[tuple[int, int]], asks: Sequence[tuple[int, int]], reference: int, tick: int
) -> tuple[int, int, set[int]]:
    """Of a call auction the largest volume, the least that is left over with it, and the prices that may be chosen.

    Volume and surplus only change at limits, so the limits and their neighbours, and the reference, stand for all
    prices. Two prices remain only where both are equally near to the reference.
    """
    limits = {limit for limit, _ in (*bids, *asks)}
    prices = {reference} | {price for limit in limits for price in (limit - tick, limit, limit + tick)}
    points = {price: matched(bids, asks, price) for price in prices}
    most = max(volume for volume, _ in points.values())
    if not most:
        return 0, 0, set()
    points = {price: surplus for price, (volume, surplus) in points.items() if volume == most}
    least = min(map(abs, points.values()))
    points = {price: surplus for price, surplus in points.items() if abs(surplus) == least}
    if all(surplus > 0 for surplus in points.values()):
        return most, least, {max(points)}
    if all(surplus < 0 for surplus in points.values()):
        return most, least, {min(points)}
    nearest = min(abs(price - reference) for price in points)
    return most, least, {price for price in points if abs(price - reference) == nearest}


def check_shares(
    bids: Sequence[tuple[int, int, int]], shares: Sequence[int], offered: int, margin: int, lot: int, *, whole: bool
) -> None:
    """What is fair in a one-way auction, of (price, quantity, least) best first; `whole`: all of the offer or nothing.

    Nobody gets more than he bid, or less than his least; nobody is passed over for what a worse bid then got, unless
    that would have been less than his least; in one price the earlier one is served first, or all in proportion.
    """
    total = sum(shares)
    assert total <= offered, "more was allotted than offered"
    for (_, qty, least), share in zip(bids, shares, strict=True):
        assert 0 <= share <= qty, "a bidder got more than he bid for"
        assert share == 0 or share >= least, "a bidder got less than the least he takes"
    if whole and sum(qty for _, qty, _ in bids) < offered:
        assert total == 0, "something was sold though the bids were less than the offer"
        return
    unsold = offered - total
    for n, (price, qty, least) in enumerate(bids):
        if shares[n] == qty:
            continue
        behind = [
            m for m, bid in enumerate(bids)
            if (m > n and bid[0] != price) or (m > n and bid[0] == price and margin == Margin.TIME)
        ]  # fmt: skip
        missed = unsold + sum(shares[m] for m in behind)
        limit = 1 if shares[n] else max(least, 1)
        assert missed < limit, "a better bid was passed over for a worse one"
    if margin == Margin.PRO_RATA:
        _check_proportion(bids, shares, offered, lot)


def _check_proportion(bids: Sequence[tuple[int, int, int]], shares: Sequence[int], offered: int, lot: int) -> None:
    """At the price where the offer runs out every share is its proportion, but for whole lots and least quantities."""
    left = offered
    for price in dict.fromkeys(price for price, _, _ in bids):
        group = [n for n, bid in enumerate(bids) if bid[0] == price]
        wanted = sum(bids[n][1] for n in group)
        if wanted > left:
            exact = {n: Fraction(left * bids[n][1], wanted) for n in group}
            refused = sum(exact[n] for n in group if exact[n] - lot < bids[n][2])
            for n in group:
                if shares[n] or not bids[n][2]:
                    assert shares[n] > exact[n] - lot, "less than the proportion in whole lots"
                assert shares[n] < exact[n] + lot * len(group) + refused, "more than lots and left-overs explain"
        left -= sum(shares[n] for n in group)


class Auditor:
    """Books of one venue. `living` and `days` may be read, by whoever wants to command something sensible."""

    def __init__(self, rules: CompiledRules) -> None:
        self._rows = rules.rows.tolist()
        self._initial_phase = rules.initial_phase
        self.count = len(rules.symbols)
        self.command_seq = self.event_seq = self.date = 0
        self.phase = rules.initial_phase
        self.living: dict[int, Entry] = {}
        self.ended: dict[int, Entry] = {}
        self.wallets: dict[int, Wallet] = {}
        self.days: list[Day] = []
        for number in (EXCHANGE, GOVERNMENT):
            self._open(number, Participant.COVERED)
        for instrument in range(self.count):
            row = self._row(instrument, 0)
            self.days.append(Day(row, row[Rule.REFERENCE_FEN]))
            self._begin_day(instrument, 0)
        self._places = 0
        self._trades: list[Event] = []
        """Trades of the running command."""
        self._snapshot: dict[int, Entry] = {}
        """What lived when the running command began; only kept for commands that settle an auction."""
        self._sweep: list[int] = []
        """Prices within the levels that the running click may take."""
        self._handlers: dict[int, Callable[[Ask, Event], None]] = {
            EventKind.ACCEPTED: self._accepted, EventKind.REJECTED: self._rejected, EventKind.TRADE: self._trade,
            EventKind.CANCELED: self._canceled, EventKind.REPLACED: self._replaced, EventKind.EXPIRED: self._expired,
            EventKind.DECLINED: self._declined, EventKind.DELIVERED: self._deal_closed,
            EventKind.VOIDED: self._deal_closed, EventKind.INDICATIVE: self._indicative,
            EventKind.ANNOUNCED: self._announced, EventKind.APPLIED: self._applied,
            EventKind.STAGE_ENDED: self._stage_ended, EventKind.SETTLED: self._settled,
            EventKind.MASS_CANCELED: self._mass_canceled, EventKind.ACCOUNT_OPENED: self._account_opened,
            EventKind.DEPOSITED: self._cash_moved, EventKind.WITHDRAWN: self._cash_moved,
            EventKind.FINED: self._cash_moved, EventKind.ISSUED: self._units_moved,
            EventKind.SURRENDERED: self._units_moved, EventKind.DEDUCTED: self._units_moved,
            EventKind.PHASE_CHANGED: self._phase_changed, EventKind.DAY_CLOSED: self._day_closed,
            EventKind.DAY_OPENED: self._day_opened, EventKind.RULE_SET: self._rule_set,
            EventKind.INSTRUMENT_HALTED: self._halted, EventKind.LARGE_HOLDER: self._large_holder,
            EventKind.KILL_SWITCH_SET: self._kill_switch_set,
        }  # fmt: skip

    # What the outside asks.

    def hear(self, command: np.ndarray, events: np.ndarray) -> None:
        """One command, shape (1,), and all events that answered it."""
        names, fields = COMMAND.names or (), EVENT.names or ()
        ask = Ask(**dict(zip(names, command.tolist()[0], strict=True)))
        heard = [Event(**dict(zip(fields, row, strict=True))) for row in events.tolist()]
        self.command_seq += 1
        self._trades = []
        settles = ask.kind == CommandKind.END_STAGE or (ask.kind == CommandKind.PHASE and self.phase == Phase.CALL)
        self._snapshot = {number: replace(entry) for number, entry in self.living.items()} if settles else {}
        self._check_grammar(ask, heard)
        for place, event in enumerate(heard):
            self.event_seq += 1
            assert event.seq == self.event_seq, "the numbers of events have a gap"
            assert event.command_seq == self.command_seq, "an event answers another command"
            assert event.time_ns == ask.time_ns, "an event tells another time than its command"
            event.before = heard[:place]
            self._handlers[event.kind](ask, event)
            assert event.phase == self.phase, "an event tells another phase"
        if heard[0].kind != EventKind.REJECTED:
            self._check_command(ask, heard)
        self._check_books()

    def compare(self, balances: tuple[np.ndarray, np.ndarray], state: Iterable[tuple[int, ...]]) -> None:
        """Own totals, what is held, and what lives, against an engine's `balances()` and `canonical_state()`."""
        accounts, units = (table.tolist() for table in balances)
        held_cash, held_units, bidding = self._held()
        opened = {number for number, row in enumerate(accounts) if row[Account.OPEN]}
        assert opened == set(self.wallets), "other accounts are open"
        for number, wallet in self.wallets.items():
            row = accounts[number]
            assert row[Account.CASH] + row[Account.CASH_HELD] == wallet.cash, f"cash of account {number}"
            assert row[Account.CASH_HELD] == held_cash.get(number, 0), f"cash held of account {number}"
            assert row[Account.PARTICIPANT] == wallet.participant, f"participant of account {number}"
            assert row[Account.BLOCKED] == wallet.blocked, f"kill switch of account {number}"
            for instrument, columns in enumerate(units[number]):
                owned = sum(columns[c] for c in (Units.AVAILABLE, Units.HELD, Units.LOCKED, Units.RESTRICTED))
                expected = (
                    wallet.units[instrument], held_units.get((number, instrument), 0), wallet.locked[instrument],
                    wallet.restricted[instrument], bidding.get((number, instrument), 0), wallet.allocated[instrument],
                    wallet.sold[instrument],
                )  # fmt: skip
                assert (owned, *columns[Units.HELD :]) == expected, f"units of account {number}"
        rows = [row for row in state if len(row) == LIVING_COLUMNS]
        found = [(row[4], row[2], row[5], row[0], row[1], row[3], row[6], row[7], row[8], row[9], *row[12:])
                 for row in rows]  # fmt: skip
        assert found == [
            (e.number, e.role, e.account, e.instrument, e.side, e.mode, e.price, e.leaves, e.filled, e.other, e.stage,
             e.bound)
            for e in self._in_order()
        ], "what lives"  # fmt: skip

    def book(self, instrument: int, side: int) -> list[Entry]:
        """Resting orders, best price first, then by place in the queue."""
        found = [
            e for e in self.living.values()
            if e.role == Role.ORDER and e.rests and e.instrument == instrument and e.side == side
        ]  # fmt: skip
        return sorted(found, key=lambda e: (-e.price if side == Side.BUY else e.price, e.place))

    def of_role(self, *roles: Role) -> list[Entry]:
        """What lives of these roles, by number."""
        return [e for _, e in sorted(self.living.items()) if e.role in roles]

    # Entries.

    def _in_order(self) -> Iterator[Entry]:
        """As a canonical state has it: of each instrument the book by priority, then everything else by number."""
        for instrument in range(self.count):
            for side in (Side.BUY, Side.SELL):
                yield from self.book(instrument, side)
            yield from (e for e in self.of_role(*Role) if e.role != Role.ORDER and e.instrument == instrument)

    def _alive(self, number: int) -> Entry:
        assert number in self.living, f"order {number} {'has ended' if number in self.ended else 'never entered'}"
        return self.living[number]

    def _enter(self, entry: Entry) -> None:
        assert entry.number == self.command_seq, "an order is numbered by its command"
        assert entry.number not in self.living, "an order entered twice"
        assert entry.leaves > 0, "an order without quantity entered"
        self.living[entry.number] = entry

    def _leave(self, number: int) -> None:
        self.ended[number] = self.living.pop(number)

    def _next_place(self) -> int:
        self._places += 1
        return self._places

    def _told(self, event: Event, entry: Entry) -> None:
        """An event about an entry repeats what is known of it."""
        told = (event.account, event.instrument, event.side, event.mode, event.price_fen, event.leaves_qty, event.qty)
        known = (entry.account, entry.instrument, entry.side, entry.mode, entry.price, entry.leaves,
                 entry.leaves + entry.filled)  # fmt: skip
        assert told == known, f"order {entry.number} is told otherwise than it is known: {told}, {known}"

    # Rules and prices.

    def _row(self, instrument: int, date: int) -> list[int]:
        """The newest dated row in force."""
        rows = [row for row in self._rows if row[-1] == instrument]
        begun = [row for row in rows if row[Rule.FROM_DATE] <= date]
        return list(max(begun, key=lambda row: row[Rule.FROM_DATE]) if begun else rows[0])

    def band(self, instrument: int, down: int, up: int) -> tuple[int, int]:
        """Lowest and highest price `down` and `up` basis points around the previous close."""
        day = self.days[instrument]
        rules, reference = day.rules, day.reference
        low, high, tick = rules[Rule.PRICE_LOW_FEN], rules[Rule.PRICE_HIGH_FEN], rules[Rule.TICK_FEN]
        if down != NONE:
            low = max(low, half_up(reference * (10_000 - down), 10_000, tick))
        if up != NONE:
            high = min(high, half_up(reference * (10_000 + up), 10_000, tick))
        return low, high

    def _set_limits(self, instrument: int) -> None:
        day = self.days[instrument]
        day.low, day.high = self.band(instrument, day.rules[Rule.BAND_DOWN_BP], day.rules[Rule.BAND_UP_BP])

    def _begin_day(self, instrument: int, date: int) -> None:
        day = self.days[instrument]
        day.rules, day.trades = self._row(instrument, date), []
        day.halted_until, day.halt_reference = 0, day.reference
        self._set_limits(instrument)

    def _on_grid(self, instrument: int, price: int, qty: int, lot: Rule = Rule.LOT_T) -> None:
        rules = self.days[instrument].rules
        assert price == NONE or price % rules[Rule.TICK_FEN] == 0, "a price between two ticks was admitted"
        assert qty > 0, "a quantity of nothing was admitted"
        assert qty % rules[lot] == 0, "a quantity of broken lots was admitted"

    def _admitted(self, ask: Ask, event: Event, instrument: int) -> None:
        """This account may do this now, here."""
        rules, wallet = self.days[instrument].rules, self.wallets[event.account]
        assert event.account == ask.account, "somebody else's account"
        assert rules[Rule.PERMITS + self.phase] >> ask.kind & 1, "this phase does not permit it"
        assert not wallet.blocked, "the account is blocked"
        on_auction = ask.kind in (CommandKind.ANNOUNCE, CommandKind.APPLY, CommandKind.BID)
        assert on_auction or rules[Rule.TRADABLE], "not tradable today"
        mask = rules[Rule.AUCTION_BIDDERS if ask.kind in (CommandKind.APPLY, CommandKind.BID) else Rule.PARTICIPANTS]
        state_sells = ask.kind == CommandKind.ANNOUNCE and event.account == GOVERNMENT
        assert state_sells or mask >> wallet.participant & 1, "this kind of participant may not trade"
        halted = ask.kind in SCREEN_KINDS and ask.time_ns < self.days[instrument].halted_until
        assert not halted, "the instrument is halted"

    def _gross(self, entry: Entry) -> int:
        """What a buyer must have for a tonne."""
        rate = self.days[entry.instrument].rules[FEES.get(TradingMode(entry.mode), SCREEN_FEES)[0]]
        return entry.price + rounded_up(entry.price * rate, 10_000)

    def _fee(self, instrument: int, mode: int, side: int, value: int) -> int:
        buys, sells = FEES.get(TradingMode(mode), SCREEN_FEES)
        return half_up(value * self.days[instrument].rules[buys if side == Side.BUY else sells], 10_000)

    def _check_holdings(self, account: int, instrument: int, side: int, more: int) -> None:
        """Whether this account may buy, or sell, so much more than it has and asks for already."""
        rules, wallet = self.days[instrument].rules, self.wallets[account]
        if more <= 0 or not rules[Rule.FUNDED]:
            return
        _, held, bidding = self._held()
        covered, allocated = wallet.participant == Participant.COVERED, wallet.allocated[instrument]
        if side == Side.SELL:
            sold = wallet.sold[instrument] + held.get((account, instrument), 0) + more
            limited = covered and rules[Rule.MAX_SALE_BP] != NONE
            assert not limited or sold * 10_000 <= allocated * rules[Rule.MAX_SALE_BP], "more is sold than may be"
            return
        limit = rules[Rule.MAX_HOLDING_T + wallet.participant]
        beyond = allocated if covered and rules[Rule.HOLDING_BEYOND_ALLOCATION] else 0
        wanted = wallet.units[instrument] + bidding.get((account, instrument), 0) + more
        assert limit == NONE or wanted <= limit + beyond, "more is bid for than may be held"

    # Orders.

    def _accepted(self, ask: Ask, event: Event) -> None:
        kind, day = CommandKind(ask.kind), self.days[event.instrument]
        target = self.living.get(ask.target_id) if kind in (CommandKind.TAKE, CommandKind.BID) else None
        if target:
            assert event.contra_id == target.number, "another target"
            assert (event.instrument, event.side) == (target.instrument, other_side(target.side)), "another book"
        else:
            assert kind not in (CommandKind.TAKE, CommandKind.BID), "its target does not live"
            assert (event.instrument, event.side) == (ask.instrument, ask.side), "another book"
        assert event.qty == event.leaves_qty == ask.qty, "another quantity than asked"
        self._admitted(ask, event, event.instrument)
        roles = {CommandKind.PROPOSE: Role.PROPOSAL, CommandKind.OFFER: Role.OFFER, CommandKind.BID: Role.BID}
        me = Entry(
            event.order_id, roles.get(kind, Role.ORDER), event.account, event.instrument, event.side, event.mode,
            event.price_fen, event.leaves_qty, self._next_place(), low=day.low, high=day.high,
        )  # fmt: skip
        on_screen = kind in (CommandKind.NEW, CommandKind.CLICK)
        modes = {CommandKind.PROPOSE: TradingMode.BLOCK, CommandKind.OFFER: TradingMode.OFFER,
                 CommandKind.TAKE: TradingMode.OFFER, CommandKind.BID: TradingMode.AUCTION}  # fmt: skip
        assert me.mode == modes.get(kind, day.rules[Rule.MODE]), "another trading mode"
        if on_screen:
            assert me.price == NONE or day.low <= me.price <= day.high, "an order beyond the limits was admitted"
            assert me.leaves <= day.rules[Rule.SCREEN_MAX_QTY_T], "an order too large was admitted"
        self._on_grid(me.instrument, me.price, me.leaves, Rule.AUCTION_LOT_T if me.role == Role.BID else Rule.LOT_T)
        checks: dict[CommandKind, Callable[[Ask, Event, Entry], None]] = {
            CommandKind.NEW: self._accepted_new, CommandKind.CLICK: self._accepted_click,
            CommandKind.PROPOSE: self._accepted_proposal, CommandKind.OFFER: self._accepted_offer,
            CommandKind.TAKE: self._accepted_take, CommandKind.BID: self._accepted_bid,
        }  # fmt: skip
        checks[kind](ask, event, me)
        if me.role != Role.PROPOSAL:
            self._check_holdings(me.account, me.instrument, me.side, me.leaves)
        self._enter(me)

    def _accepted_new(self, ask: Ask, _event: Event, me: Entry) -> None:
        opposite = self.book(me.instrument, other_side(me.side))
        rules = self.days[me.instrument].rules
        if ask.ord_type == OrdType.MARKET_TO_LIMIT:
            assert opposite, "a market-to-limit order was admitted without a price to take"
            assert me.price == opposite[0].price, "a market-to-limit order takes another price than the best"
        else:
            assert me.price == (NONE if ask.ord_type == OrdType.MARKET else ask.price_fen), "another limit than asked"
        assert rules[Rule.ORD_TYPES] >> ask.ord_type & rules[Rule.TIMES_IN_FORCE] >> ask.tif & 1, "type not offered"
        me.tif, me.until_ns = ask.tif, ask.until_ns
        me.rests = ask.ord_type != OrdType.MARKET and ask.tif in LASTING
        if self.phase == Phase.CALL:
            assert me.rests, "an order that cannot wait entered a call auction"
        elif ask.flags == 1 << OrderCondition.POST_ONLY:
            crossing = opposite and me.price != NONE and within(me.side, opposite[0].price, me.price)
            assert not crossing, "a post-only order crosses"

    def _accepted_click(self, ask: Ask, _event: Event, me: Entry) -> None:
        assert me.price == ask.price_fen, "another limit than asked"
        me.rests = False
        day = self.days[me.instrument]
        opposite = self.book(me.instrument, other_side(me.side))
        self._sweep = list(dict.fromkeys(e.price for e in opposite))[: day.rules[Rule.CLICK_LEVELS]]
        if ask.target_id == NONE:
            return
        listing = self._alive(ask.target_id)
        assert listing in opposite, "a click names something else than a listing of the other side"
        assert listing.price in self._sweep, "a listing outside the best levels was clicked"
        same_price = [e for e in opposite if e.price == listing.price]
        oldest = day.rules[Rule.CLICK_CHOICE] == ClickChoice.OLDEST
        assert not oldest or listing is same_price[0], "a younger listing was clicked before the oldest"

    def _accepted_proposal(self, ask: Ask, event: Event, me: Entry) -> None:
        rules = self.days[me.instrument].rules
        assert me.price == ask.price_fen, "another price than asked"
        assert event.contra == ask.contra != me.account, "another counterparty than asked"
        me.other, me.until_ns = ask.contra, ask.until_ns
        assert me.leaves >= rules[Rule.BLOCK_MIN_QTY_T] > 0, "a block too small was admitted"
        free = 0 < rules[Rule.BLOCK_FREE_FROM_T] <= me.leaves
        late = rules[Rule.BLOCK_REFERENCE] == BlockReference.SAME_DAY_CLOSE
        around = NONE if free or late else rules[Rule.BLOCK_BAND_BP]
        low, high = self.band(me.instrument, around, around)
        assert low <= me.price <= high, "a block beyond its limits was admitted"

    def _accepted_offer(self, ask: Ask, _event: Event, me: Entry) -> None:
        rules = self.days[me.instrument].rules
        assert me.price == ask.price_fen, "another price than asked"
        assert me.leaves >= rules[Rule.OFFER_MIN_QTY_T] > 0, "an offer too small was admitted"
        low, high = self.band(me.instrument, rules[Rule.OFFER_BAND_BP], rules[Rule.OFFER_BAND_BP])
        assert low <= me.price <= high, "an offer beyond its limits was admitted"

    def _accepted_take(self, _ask: Ask, event: Event, me: Entry) -> None:
        offer = self._alive(event.contra_id)
        assert offer.role == Role.OFFER, "something else than an offer was taken"
        assert me.price == offer.price, "an offer was taken at another price"
        me.rests = False

    def _accepted_bid(self, ask: Ask, event: Event, me: Entry) -> None:
        auction = self._alive(event.contra_id)
        rules = self.days[me.instrument].rules
        assert auction.role == Role.AUCTION, "a bid for something else than an auction"
        assert me.account != auction.account, "a bid in one's own auction"
        assert me.price == ask.price_fen, "another price than asked"
        me.other, me.bound = auction.number, max(ask.min_qty, 0)
        bids = [e for e in self._of_auction(auction, Role.BID) if e.number != me.number]
        standing = sum(e.leaves for e in bids if e.account == me.account)
        assert auction.stage != Stage.APPLICATION, "a bid before the bidding"
        assert within(me.side, auction.price, me.price), "a bid worse than the reserve was admitted"
        beyond = auction.bound != NONE and not within(me.side, me.price, auction.bound)
        assert not beyond, "a bid beyond the bound was admitted"
        if rules[Rule.AUCTION_LOTS] == Lots.WHOLE:
            assert me.leaves == auction.leaves, "a bid for a part of the whole lot was admitted"
            assert standing == 0, "two bids of one account for the whole lot"
        else:
            share = auction.leaves * rules[Rule.AUCTION_MAX_SHARE_BP]
            assert rules[Rule.AUCTION_MIN_BID_T] <= me.leaves, "a bid too small was admitted"
            assert (standing + me.leaves) * 10_000 <= share, "bids of more than the largest share were admitted"
            if rules[Rule.AUCTION_STAGES] >> Stage.APPLICATION & 1:
                applied = [e.leaves for e in self._of_auction(auction, Role.APPLICATION) if e.account == me.account]
                assert standing + me.leaves <= sum(applied), "a bid for more than was applied for was admitted"
        if auction.stage == Stage.TIMED and bids:
            assert not within(me.side, me.price, bids[0].price), "a bid of the timed stage is no better than the best"

    def _rejected(self, _ask: Ask, event: Event) -> None:
        assert event.reason, "a rejection without a reason"

    def _replaced(self, ask: Ask, event: Event) -> None:
        me = self._alive(ask.target_id)
        day = self.days[me.instrument]
        assert me.role == Role.ORDER, "something else than an order was replaced"
        assert event.order_id == me.number, "another order was replaced"
        self._admitted(ask, event, me.instrument)
        price = me.price if ask.price_fen == NONE else ask.price_fen
        leaves = me.leaves if ask.qty == NONE else ask.qty - me.filled
        self._check_holdings(me.account, me.instrument, me.side, leaves - me.leaves)
        assert leaves > 0, "an order was replaced by less than what it has filled"
        if price != me.price or leaves > me.leaves:
            me.place = self._next_place()
        if ask.price_fen != NONE:
            me.low, me.high = day.low, day.high
            assert day.low <= price <= day.high, "a replacement beyond the limits was admitted"
        me.price, me.leaves = price, leaves
        self._on_grid(me.instrument, me.price, me.leaves + me.filled)
        self._told(event, me)

    def _canceled(self, ask: Ask, event: Event) -> None:
        entry = self._alive(event.order_id)
        kind = CommandKind(ask.kind)
        self._told(event, entry)
        if kind == CommandKind.END_STAGE:
            assert entry.role in (Role.BID, Role.APPLICATION), "the end of a stage cancelled something else"
            assert entry.other == ask.target_id, "a bid of another auction was cancelled"
        else:
            assert entry.account == ask.account, "somebody else's order was cancelled"
        if kind in (CommandKind.CANCEL, CommandKind.DECLINE):
            assert entry.number == ask.target_id, "another order was cancelled"
            roles = (Role.ORDER, Role.OFFER) if kind == CommandKind.CANCEL else (Role.PROPOSAL,)
            assert entry.role in roles, "what cannot be cancelled so was cancelled"
        elif kind in SCREEN_KINDS:
            self._check_stopped(ask, entry)
        elif kind == CommandKind.BID:
            assert (entry.role, entry.other) == (Role.BID, ask.target_id), "a bid cancelled something else"
        elif kind in (CommandKind.MASS_CANCEL, CommandKind.KILL_SWITCH):
            assert entry.role in (Role.ORDER, Role.PROPOSAL, Role.OFFER), "what stays was cancelled"
            before = [e.order_id for e in event.before if e.kind == EventKind.CANCELED]
            assert before == sorted(before) and all(n < entry.number for n in before), "not in the order of entry"  # noqa: PT018
        self._leave(entry.number)

    def _check_stopped(self, ask: Ask, entry: Entry) -> None:
        """While a taker trades, its own resting order is cancelled, or its remainder where it can go no further."""
        rule = self.days[entry.instrument].rules[Rule.SELF_TRADE]
        taker = ask.target_id if ask.kind == CommandKind.REPLACE else self.command_seq
        if entry.number != taker:
            assert rule == SelfTrade.CANCEL_MAKER, "a resting order was cancelled by a taker"
            me = self._alive(taker)
            reached = self._reachable(ask, me)
            assert reached, "a resting order was cancelled that the taker does not reach"
            assert reached[0] is entry, "a resting order was cancelled out of turn"
            return
        reached = self._reachable(ask, entry)
        if reached:
            assert rule == SelfTrade.CANCEL_TAKER, "a taker stopped before what it could have had"
            assert reached[0].account == entry.account, "a taker stopped before the order of another"
        else:
            assert not entry.rests, "an order that may rest was cancelled by itself"

    def _reachable(self, ask: Ask, me: Entry) -> list[Entry]:
        """What the taker of the running command could still take, in priority."""
        if self.phase == Phase.CALL:
            return []
        opposite = self.book(me.instrument, other_side(me.side))
        if ask.kind == CommandKind.CLICK:
            if ask.target_id != NONE:
                return [e for e in opposite if e.number == ask.target_id]
            opposite = [e for e in opposite if e.price in self._sweep]
        elif self.days[me.instrument].rules[Rule.MODE] != TradingMode.CONTINUOUS:
            return []
        return [e for e in opposite if me.price == NONE or within(me.side, e.price, me.price)]

    def _expired(self, ask: Ask, event: Event) -> None:
        entry = self._alive(event.order_id)
        self._told(event, entry)
        opened = any(e.kind == EventKind.DAY_OPENED for e in event.before)
        before = [e.order_id for e in event.before if e.kind == EventKind.EXPIRED and e.phase_before == opened]
        event.phase_before = opened
        assert all(number < entry.number for number in before), "not in the order of entry"
        if opened:
            day = self.days[entry.instrument]
            assert entry.role == Role.ORDER, "something else than an order lies outside the limits"
            assert not day.low <= entry.price <= day.high, "an order within the new limits expired"
        else:
            assert not self._stays(ask, entry), "something expired before its time"
        self._leave(entry.number)

    def _stays(self, ask: Ask, entry: Entry) -> bool:
        """Whether it lives on over the day roll `ask`; no order does out of a call that has not ended."""
        if entry.role == Role.DEAL:
            return True
        now, then = self.days[entry.instrument].rules, self._row(entry.instrument, ask.date)
        if now[Rule.FROM_DATE] != then[Rule.FROM_DATE]:
            return False
        if entry.role in OF_AUCTIONS:
            return True
        later = entry.tif == TimeInForce.GTC or (entry.tif == TimeInForce.GTD and entry.until_ns > ask.time_ns)
        return entry.role == Role.ORDER and later and self.phase != Phase.CALL

    def _declined(self, ask: Ask, event: Event) -> None:
        proposal = self._alive(event.order_id)
        self._told(event, proposal)
        assert proposal.role == Role.PROPOSAL, "something else than a proposal was declined"
        assert (proposal.number, proposal.other) == (ask.target_id, ask.account), "declined by somebody else"
        self._leave(proposal.number)

    # Trades.

    def _trade(self, ask: Ask, event: Event) -> None:
        maker, day = self._alive(event.contra_id), self.days[event.instrument]
        confirms = event.mode == TradingMode.BLOCK
        me = self._confirming(ask, event, maker) if confirms else self._alive(event.order_id)
        assert event.side == me.side == other_side(maker.side), "both on one side"
        assert event.instrument == me.instrument == maker.instrument, "two instruments in one trade"
        assert (event.account, event.contra) == (me.account, maker.account), "a trade names other accounts"
        assert event.qty > 0, "a trade of nothing"
        assert event.amount_fen == event.price_fen * event.qty, "the value is not price times quantity"
        fees = [self._fee(event.instrument, event.mode, side, event.amount_fen) for side in (me.side, maker.side)]
        assert [event.fee_fen, event.contra_fee_fen] == fees, "another fee than the rulebook's"
        gathered = event.mode in (TradingMode.CALL, TradingMode.AUCTION)
        if event.mode in (TradingMode.CONTINUOUS, TradingMode.LISTED, TradingMode.CALL):
            self._check_limits(event, me, maker)
        if event.mode == TradingMode.CALL:
            assert ask.kind == CommandKind.PHASE, "a call auction ended without a change of phase"
        elif event.mode == TradingMode.AUCTION:
            assert ask.kind == CommandKind.END_STAGE, "an auction settled without the end of its stage"
            assert (me.other, maker.number) == (maker.number, ask.target_id), "a bid of another auction was served"
        elif event.mode == TradingMode.OFFER:
            assert maker.role == Role.OFFER, "something else than an offer was taken"
            assert event.price_fen == maker.price, "an offer traded at another price"
        elif event.mode != TradingMode.BLOCK:
            self._check_taken(ask, event, me, maker)
        if not gathered:
            assert event.qty == min(me.leaves, maker.leaves), "less traded than both wanted"
            own = me.account == maker.account and day.rules[Rule.SELF_TRADE] != SelfTrade.ALLOW
            assert not own, "an account traded with itself"
        self._trades.append(event)
        buyer, seller = (me, maker) if me.side == Side.BUY else (maker, me)
        buy_fee, sell_fee = fees if me.side == Side.BUY else reversed(fees)
        late = event.mode == TradingMode.BLOCK and day.rules[Rule.BLOCK_REFERENCE] == BlockReference.SAME_DAY_CLOSE
        assert event.flags == (EventFlag.PENDING if late else 0), "pending where it is not, or the reverse"
        if late:
            assert (event.leaves_qty, event.contra_leaves_qty) == (0, 0), "a part of a block was left over"
            maker.role = Role.DEAL
            return
        self._reduce(me, event.qty, event.leaves_qty)
        self._reduce(maker, event.qty, event.contra_leaves_qty)
        self._deliver(event.instrument, buyer.account, seller.account, event.amount_fen, event.qty, buy_fee, sell_fee)
        if day.rules[Rule.CLOSE_MODES] >> event.mode & 1:
            counts = bool(day.rules[Rule.CLOSE_MIN_QTY_PHASES] >> self.phase & 1)
            day.trades.append((event.price_fen, event.qty, counts))

    def _confirming(self, ask: Ask, event: Event, proposal: Entry) -> Entry:
        """The confirmation of a proposal, as if it were an order."""
        self._admitted(ask, event, proposal.instrument)
        assert ask.kind == CommandKind.CONFIRM, "a block traded unconfirmed"
        assert (proposal.role, proposal.number) == (Role.PROPOSAL, ask.target_id), "another proposal was confirmed"
        assert proposal.other == ask.account, "a proposal was confirmed by somebody else"
        assert proposal.until_ns == NONE or ask.time_ns < proposal.until_ns, "a proposal was confirmed too late"
        assert event.price_fen == proposal.price, "a block traded at another price than proposed"
        me = Entry(
            event.order_id, Role.PROPOSAL, event.account, proposal.instrument, event.side, TradingMode.BLOCK,
            proposal.price, proposal.leaves, 0,
        )  # fmt: skip
        assert me.number == self.command_seq, "a confirmation is numbered by its command"
        for entry in (me, proposal):
            self._check_holdings(entry.account, entry.instrument, entry.side, proposal.leaves)
        return me

    def _reduce(self, entry: Entry, qty: int, leaves: int) -> None:
        entry.leaves -= qty
        entry.filled += qty
        assert entry.leaves >= 0, f"order {entry.number} traded more than it had"
        assert entry.leaves == leaves, f"order {entry.number} has other leaves than told"
        if entry.leaves == 0 and entry.role != Role.AUCTION and entry.number in self.living:
            self._leave(entry.number)

    def _check_limits(self, event: Event, me: Entry, maker: Entry) -> None:
        """Within the limits of both orders and of the day, or of the day's rule under which the older one came in."""
        buyer, seller = (me, maker) if me.side == Side.BUY else (maker, me)
        assert buyer.price in (NONE, event.price_fen) or event.price_fen < buyer.price, "dearer than the buyer's limit"
        assert seller.price == NONE or event.price_fen >= seller.price, "cheaper than the seller's limit"
        day = self.days[event.instrument]
        low, high = min(day.low, me.low, maker.low), max(day.high, maker.high, me.high)
        assert low <= event.price_fen <= high, "a trade beyond the day's limits"
        assert event.price_fen % day.rules[Rule.TICK_FEN] == 0, "a trade between two ticks"

    def _check_taken(self, ask: Ask, event: Event, me: Entry, maker: Entry) -> None:
        """Of a screen outside a call auction: the best price first, the oldest of it first, at the right price."""
        day = self.days[event.instrument]
        assert self.phase != Phase.CALL, "a trade while a call auction gathers"
        taker = ask.target_id if ask.kind == CommandKind.REPLACE else self.command_seq
        assert ask.kind in SCREEN_KINDS, "another command traded"
        assert me.number == taker, "another order than the command's traded"
        assert event.mode == day.rules[Rule.MODE] == me.mode, "another trading mode"
        reached = self._reachable(ask, me)
        assert reached, "a trade with what the taker does not reach"
        assert reached[0] is maker, f"order {reached[0].number} was passed over"
        assert (event.mode == TradingMode.LISTED) == (ask.kind == CommandKind.CLICK), "a listing crossed by itself"
        price = maker.price
        if day.rules[Rule.TRADE_PRICE] == TradePrice.MEDIAN:
            price = sorted((me.price, maker.price, day.last))[1]
        assert event.price_fen == price, "a trade at a wrong price"

    def _deliver(
        self, instrument: int, buyer: int, seller: int, value: int, qty: int, buy_fee: int, sell_fee: int
    ) -> None:
        """Units one way, cash the other, both fees to the exchange."""
        rules = self.days[instrument].rules
        if not rules[Rule.FUNDED]:
            return
        self.wallets[buyer].cash -= value + buy_fee
        self.wallets[seller].cash += value - sell_fee
        self.wallets[EXCHANGE].cash += buy_fee + sell_fee
        self.wallets[seller].units[instrument] -= qty
        self.wallets[seller].sold[instrument] += qty
        self.wallets[buyer].units[instrument] += qty
        if rules[Rule.UNITS_T_PLUS]:
            self.wallets[buyer].locked[instrument] += qty

    def _deal_closed(self, _ask: Ask, event: Event) -> None:
        deal = self._alive(event.order_id)
        day, value = self.days[deal.instrument], deal.price * deal.leaves
        assert deal.role == Role.DEAL, "something else than a deal was delivered or voided"
        assert (event.account, event.contra, event.side) == (deal.account, deal.other, deal.side), "other parties"
        assert (event.price_fen, event.qty, event.leaves_qty) == (deal.price, deal.leaves, 0), "another deal"
        assert event.amount_fen == value, "the value is not price times quantity"
        closed = [e.instrument for e in event.before if e.kind == EventKind.DAY_CLOSED]
        assert not self.date or closed[-1:] == [deal.instrument], "a deal was closed before its instrument"
        free = 0 < day.rules[Rule.BLOCK_FREE_FROM_T] <= deal.leaves
        low, high = self.band(deal.instrument, *[day.rules[Rule.BLOCK_BAND_BP]] * 2)
        proven = free or low <= deal.price <= high
        assert event.kind == (EventKind.DELIVERED if proven else EventKind.VOIDED), "the close proves the reverse"
        if proven:
            parties = (deal.account, deal.other) if deal.side == Side.BUY else (deal.other, deal.account)
            fees = [self._fee(deal.instrument, deal.mode, side, value) for side in (Side.BUY, Side.SELL)]
            self._deliver(deal.instrument, *parties, value, deal.leaves, *fees)
        self._leave(deal.number)

    # Call auctions.

    def _depth(self, entries: Iterable[Entry]) -> tuple[list[tuple[int, int]], list[tuple[int, int]]]:
        found = list(entries)
        return tuple([(e.price, e.leaves) for e in found if e.side == side] for side in (Side.BUY, Side.SELL))

    def _right_prices(
        self, instrument: int, bids: list[tuple[int, int]], asks: list[tuple[int, int]]
    ) -> tuple[int, int, set[int]]:
        day = self.days[instrument]
        tick = day.rules[Rule.TICK_FEN]
        return right_prices(bids, asks, half_up(day.reference, 1, tick), tick)

    def _indicative(self, _ask: Ask, event: Event) -> None:
        assert self.phase == Phase.CALL, "an indicative price outside a call auction"
        books = [e for side in (Side.BUY, Side.SELL) for e in self.book(event.instrument, side)]
        bids, asks = self._depth(books)
        volume, least, prices = self._right_prices(event.instrument, bids, asks)
        assert event.qty == volume, "another volume than would trade"
        if not volume:
            assert (event.price_fen, event.leaves_qty, event.side) == (NONE, 0, 0), "a price where nothing trades"
            return
        assert event.price_fen in prices, "another price than a call auction's"
        _, surplus = matched(bids, asks, event.price_fen)
        side = 0 if not surplus else Side.BUY if surplus > 0 else Side.SELL
        assert (event.leaves_qty, event.side) == (least, side), "another surplus than would be left"

    def _phase_changed(self, ask: Ask, event: Event) -> None:
        assert event.phase == ask.phase, "another phase than asked"
        ended = self.phase == Phase.CALL and ask.phase != Phase.CALL
        assert ended or not self._trades, "a change of phase traded outside a call auction"
        if ended:
            instruments = [event.instrument for event in self._trades]
            assert instruments == sorted(instruments), "not in the order of instruments"
            for instrument in range(self.count):
                self._check_call(instrument, [e for e in self._trades if e.instrument == instrument])
        self.phase = Phase(ask.phase)

    def _check_call(self, instrument: int, trades: list[Event]) -> None:
        """All at one price that lets the most trade, and nobody passed over."""
        entries = [e for e in self._snapshot.values() if e.role == Role.ORDER and e.instrument == instrument]
        bids, asks = self._depth(entries)
        volume, _, prices = self._right_prices(instrument, bids, asks)
        assert len({event.price_fen for event in trades}) <= 1, "a call auction traded at two prices"
        assert sum(event.qty for event in trades) == volume, "a call auction did not trade as much as it could"
        if not trades:
            return
        assert trades[0].price_fen in prices, "another price than a call auction's"
        for side in (Side.BUY, Side.SELL):
            queue = [e for e in entries if e.side == side]
            queue.sort(key=lambda e: (-e.price if e.side == Side.BUY else e.price, e.place))
            filled = {e.number: 0 for e in queue}
            for event in trades:
                filled[event.order_id if event.side == side else event.contra_id] += event.qty
            unserved = [e.number for e in queue if filled[e.number] < e.leaves]
            behind = queue[[e.number for e in queue].index(unserved[0]) + 1 :] if unserved else []
            assert not any(filled[e.number] for e in behind), (
                f"order {unserved[:1]} was passed over in the call auction"
            )

    # One-way auctions.

    def _of_auction(self, auction: Entry, role: Role, entries: Iterable[Entry] | None = None) -> list[Entry]:
        """Its bids, best first and of one price oldest first; or its applications, oldest first."""
        living = self.living.values() if entries is None else entries
        found = sorted((e for e in living if e.role == role and e.other == auction.number), key=lambda e: e.number)
        if role == Role.BID:
            found.sort(key=lambda e: -e.price if e.side == Side.BUY else e.price)
        return found

    def _announced(self, ask: Ask, event: Event) -> None:
        rules = self.days[event.instrument].rules
        self._admitted(ask, event, event.instrument)
        asked = (ask.instrument, ask.side, ask.qty, ask.qty, ask.price_fen)
        told = (event.instrument, event.side, event.qty, event.leaves_qty, event.price_fen)
        assert asked == told, "another auction than asked"
        applies = rules[Rule.AUCTION_STAGES] >> Stage.APPLICATION & 1
        assert event.flags == (Stage.APPLICATION if applies else Stage.BIDDING), "another first stage"
        self._on_grid(event.instrument, event.price_fen, event.qty)
        low, high = self.band(event.instrument, *[rules[Rule.AUCTION_RESERVE_BAND_BP]] * 2)
        assert low <= event.price_fen <= high, "a reserve beyond its limits was admitted"
        self._check_holdings(event.account, event.instrument, event.side, event.qty)
        bound = event.high_price_fen if event.side == Side.SELL else event.low_price_fen
        assert bound == ask.limit_price_fen, "another bound than asked"
        self._enter(Entry(
            event.order_id, Role.AUCTION, event.account, event.instrument, event.side, TradingMode.AUCTION,
            event.price_fen, event.qty, self._next_place(), stage=event.flags, bound=bound,
        ))  # fmt: skip

    def _applied(self, ask: Ask, event: Event) -> None:
        auction = self._alive(ask.target_id)
        rules = self.days[auction.instrument].rules
        self._admitted(ask, event, auction.instrument)
        assert (auction.role, auction.stage) == (Role.AUCTION, Stage.APPLICATION), "nobody may apply for this"
        assert event.contra_id == auction.number, "another auction"
        assert event.account != auction.account, "an application to one's own auction"
        before = [e for e in self._of_auction(auction, Role.APPLICATION) if e.account == event.account]
        assert not before, "two applications of one account"
        assert event.qty == ask.qty, "another quantity than asked"
        deposit = rounded_up(auction.price * event.qty * rules[Rule.AUCTION_DEPOSIT_BP], 10_000)
        assert event.amount_fen == deposit, "another deposit than the rulebook's"
        application = Entry(
            event.order_id, Role.APPLICATION, event.account, auction.instrument, other_side(auction.side),
            TradingMode.AUCTION, auction.price, event.qty, self._next_place(), other=auction.number, bound=deposit,
        )  # fmt: skip
        self._on_grid(auction.instrument, NONE, event.qty, Rule.AUCTION_LOT_T)
        self._told(event, application)
        self._enter(application)

    def _released(self, auction: Entry) -> int:
        """What is on offer after the running stage."""
        if auction.stage != Stage.APPLICATION:
            return auction.leaves
        rules = self.days[auction.instrument].rules
        applied = sum(e.leaves for e in self._of_auction(auction, Role.APPLICATION, self._snapshot.values()))
        lots = math.floor(Fraction(applied * rules[Rule.AUCTION_RELEASE_BP], 10_000 * rules[Rule.LOT_T]))
        return min(auction.leaves, lots * rules[Rule.LOT_T])

    def _stage_ended(self, ask: Ask, event: Event) -> None:
        auction = self._alive(ask.target_id)
        stages = self.days[auction.instrument].rules[Rule.AUCTION_STAGES]
        released = self._released(auction)
        assert released > 0, "an auction goes on with nothing on offer"
        goes_on = auction.stage == Stage.APPLICATION or (auction.stage == Stage.BIDDING and stages >> Stage.TIMED & 1)
        assert goes_on, "an auction goes on after its last stage"
        auction.leaves, auction.stage = released, auction.stage + 1
        assert event.flags == auction.stage, "another stage than the next"
        assert event.order_id == auction.number, "another auction"
        self._told(event, auction)

    def _settled(self, ask: Ask, event: Event) -> None:
        auction, before = self._alive(ask.target_id), self._snapshot[ask.target_id]
        rules = self.days[auction.instrument].rules
        offered = self._released(before)
        last = before.stage == Stage.TIMED or (
            before.stage == Stage.BIDDING and not rules[Rule.AUCTION_STAGES] >> Stage.TIMED & 1
        )
        assert last or not offered, "an auction settled before its last stage"
        bids = self._of_auction(auction, Role.BID, self._snapshot.values())
        served = {trade.order_id: trade for trade in self._trades}
        assert len(served) == len(self._trades), "a bid was served twice"
        shares = [served[bid.number].qty if bid.number in served else 0 for bid in bids]
        check_shares(
            [(bid.price, bid.leaves, bid.bound) for bid in bids], shares, offered, rules[Rule.AUCTION_MARGIN],
            rules[Rule.AUCTION_LOT_T], whole=bool(rules[Rule.AUCTION_ALL_OR_NOTHING]),
        )  # fmt: skip
        accepted = [bid.price for bid, share in zip(bids, shares, strict=True) if share]
        worst = accepted[-1] if accepted else NONE
        for bid in bids:
            price = worst if rules[Rule.AUCTION_PRICING] == Pricing.UNIFORM else bid.price
            if bid.number in served:
                assert served[bid.number].price_fen == price, "a bid was served at another price"
        if rules[Rule.AUCTION_LOTS] == Lots.WHOLE:
            assert sum(shares) in (0, offered), "a whole lot was divided"
            assert len(accepted) <= 1, "a whole lot went to two bidders"
        sold, value = sum(shares), sum(trade.amount_fen for trade in self._trades)
        assert (event.order_id, event.price_fen) == (auction.number, worst), "another result"
        assert (event.qty, event.amount_fen) == (sold, value), "the result is not the sum of its trades"
        assert event.leaves_qty == offered - sold, "another rest than was not sold"
        auction.leaves = event.leaves_qty
        left = [e.number for e in self.living.values() if e.role in OF_AUCTIONS and e.other == auction.number]
        assert not left, f"bids and applications {left} outlive their auction"
        self._leave(auction.number)

    # The operator.

    def _mass_canceled(self, ask: Ask, event: Event) -> None:
        self._check_gone(ask, event, ask.instrument, ask.side)

    def _kill_switch_set(self, ask: Ask, event: Event) -> None:
        assert event.flags == ask.flags, "another position of the switch than asked"
        if event.flags:
            self._check_gone(ask, event, NONE, 0)
        else:
            assert event.qty == len(event.before) == 0, "a switch turned off cancels nothing"
        self.wallets[event.account].blocked = event.flags

    def _check_gone(self, ask: Ask, event: Event, instrument: int, side: int) -> None:
        """Nothing that was to be cancelled is left, nothing else was, and the count is right."""
        assert event.account == ask.account, "somebody else's account"
        assert event.qty == len(event.before), "another number of orders than were cancelled"
        for told in event.before:
            assert instrument in (NONE, told.instrument), "an order of another instrument was cancelled"
            assert side in (0, told.side), "an order of the other side was cancelled"
        left = [
            e.number for e in self.of_role(Role.ORDER, Role.PROPOSAL, Role.OFFER)
            if e.account == ask.account and instrument in (NONE, e.instrument) and side in (0, e.side)
        ]  # fmt: skip
        assert not left, f"orders {left} were forgotten"

    def _open(self, number: int, participant: int) -> None:
        self.wallets[number] = Wallet(participant, *([0] * self.count for _ in range(5)))

    def _account_opened(self, ask: Ask, event: Event) -> None:
        assert event.account == ask.account, "another account than asked"
        assert event.account not in self.wallets, "an account was opened twice"
        self._open(event.account, ask.flags)

    def _cash_moved(self, ask: Ask, event: Event) -> None:
        assert (event.account, event.amount_fen) == (ask.account, ask.amount_fen), "another amount than asked"
        assert event.amount_fen > 0, "an amount of nothing"
        change = event.amount_fen if event.kind == EventKind.DEPOSITED else -event.amount_fen
        self.wallets[event.account].cash += change
        if event.kind == EventKind.FINED:
            self.wallets[GOVERNMENT].cash += event.amount_fen

    def _units_moved(self, ask: Ask, event: Event) -> None:
        assert (event.account, event.instrument, event.qty) == (ask.account, ask.instrument, ask.qty), "not as asked"
        assert event.qty > 0, "a quantity of nothing"
        wallet = self.wallets[event.account]
        if event.kind == EventKind.ISSUED:
            wallet.units[event.instrument] += event.qty
            wallet.allocated[event.instrument] += event.qty
            return
        wallet.units[event.instrument] -= event.qty
        self.wallets[GOVERNMENT].units[event.instrument] += event.qty
        self.wallets[GOVERNMENT].restricted[event.instrument] += event.qty

    def _rule_set(self, ask: Ask, event: Event) -> None:
        assert (event.instrument, event.order_id, event.amount_fen) == (ask.instrument, ask.rule, ask.amount_fen), (
            "another rule than asked"
        )
        day = self.days[event.instrument]
        day.rules[event.order_id] = event.amount_fen
        self._set_limits(event.instrument)
        assert (event.low_price_fen, event.high_price_fen) == (day.low, day.high), "other limits than the rule's"

    def _halted(self, ask: Ask, event: Event) -> None:
        day = self.days[event.instrument]
        assert (event.price_fen, event.qty) == (day.last, day.rules[Rule.HALT_SECONDS]), "another halt"
        assert self._moves_enough(event.instrument), "the price has not moved far enough for a halt"
        day.halted_until = ask.time_ns + event.qty * 10**9
        day.halt_reference = day.last

    def _moves_enough(self, instrument: int) -> bool:
        """Whether the running command's trades have moved the price so far that the instrument must rest."""
        day = self.days[instrument]
        move = day.rules[Rule.HALT_MOVE_BP]
        counted = [e for e in self._trades if day.rules[Rule.CLOSE_MODES] >> e.mode & 1]
        moved = Fraction(abs(day.last - day.halt_reference), day.halt_reference) if move != NONE else Fraction(0)
        return bool(counted) and move != NONE and moved >= Fraction(move, 10_000)

    # Days.

    def _day_closed(self, _ask: Ask, event: Event) -> None:
        day = self.days[event.instrument]
        closed = [e.instrument for e in event.before if e.kind == EventKind.DAY_CLOSED]
        assert closed == list(range(event.instrument)), "not in the order of instruments"
        assert self.date, "a day closed before the first one opened"
        assert event.qty == sum(qty for _, qty, _ in day.trades), "the day's quantity is not that of its trades"
        value = sum(price * qty for price, qty, _ in day.trades)
        assert event.amount_fen == value, "the day's value is not that of its trades"
        counted = sum(qty for _, qty, counts in day.trades if counts)
        if counted > day.rules[Rule.CLOSE_MIN_QTY_T]:
            last = day.trades[-day.rules[Rule.CLOSE_TRADES] :]
            mean = sum(price * qty for price, qty, _ in last), sum(qty for _, qty, _ in last)
            day.reference = half_up(*mean, day.rules[Rule.TICK_FEN])
        assert event.price_fen == day.reference, "another close than that of the day's trades"

    def _large_holder(self, _ask: Ask, event: Event) -> None:
        assert event.qty == self.wallets[event.account].units[event.instrument], "another holding is published"

    def _check_large_holders(self, published: list[tuple[int, int]]) -> None:
        expected = []
        for instrument, day in enumerate(self.days):
            for number, wallet in sorted(self.wallets.items()):
                threshold = day.rules[Rule.DISCLOSE_T + wallet.participant]
                covered = wallet.participant == Participant.COVERED
                if threshold != NONE and covered and day.rules[Rule.HOLDING_BEYOND_ALLOCATION]:
                    threshold += wallet.allocated[instrument]
                if number > GOVERNMENT and threshold != NONE and wallet.units[instrument] > threshold:
                    expected.append((instrument, number))
        assert published == expected, "other large holders than there are"

    def _day_opened(self, ask: Ask, event: Event) -> None:
        opened = [e.instrument for e in event.before if e.kind == EventKind.DAY_OPENED]
        assert opened == list(range(event.instrument)), "not in the order of instruments"
        if not opened:
            self._turn_day(ask, event)
        day = self.days[event.instrument]
        self._begin_day(event.instrument, ask.date)
        assert event.price_fen == day.reference, "a day opened from another price than the close"
        assert (event.low_price_fen, event.high_price_fen) == (day.low, day.high), "other limits than the rulebook's"

    def _turn_day(self, ask: Ask, event: Event) -> None:
        """Once a day roll, between the last close and the first opening."""
        closed = [e.instrument for e in event.before if e.kind == EventKind.DAY_CLOSED]
        assert closed == (list(range(self.count)) if self.date else []), "an instrument did not close"
        large = [(e.instrument, e.account) for e in event.before if e.kind == EventKind.LARGE_HOLDER]
        self._check_large_holders(large)
        left = [e.number for e in self.living.values() if e.role == Role.DEAL or not self._stays(ask, e)]
        assert not left, f"orders {left} outlive their day"
        assert ask.date > self.date, "a day does not follow the one before"
        self.date, self.phase = ask.date, self._initial_phase
        for wallet in self.wallets.values():
            wallet.locked = [0] * self.count

    # After a command.

    def _check_grammar(self, ask: Ask, heard: list[Event]) -> None:
        assert heard, "a command was not answered"
        text = "".join(_NAMES[event.kind] + " " for event in heard)
        if text == "REJECTED ":
            return
        assert ask.kind in GRAMMAR, f"an unknown command was not rejected but answered by {text}"
        assert re.fullmatch(GRAMMAR[CommandKind(ask.kind)], text), f"{CommandKind(ask.kind).name} answered by {text}"

    def _check_command(self, ask: Ask, heard: list[Event]) -> None:
        """What holds once a command that was not rejected has been answered."""
        kind = CommandKind(ask.kind)
        if kind in SCREEN_KINDS or kind == CommandKind.TAKE:
            number = ask.target_id if kind == CommandKind.REPLACE else self.command_seq
            me = self.living.get(number) or self.ended[number]
            assert me.rests or number in self.ended, "a taker that cannot rest stayed"
            if kind == CommandKind.NEW:
                assert ask.tif != TimeInForce.FOK or me.leaves == 0, "a fill-or-kill order was filled in part"
                assert me.filled >= ask.min_qty, "less traded at once than the order's least quantity"
                assert not ask.flags or not self._trades, "a post-only order traded"
            if self.phase != Phase.CALL and kind != CommandKind.TAKE:
                halted = heard[-1].kind == EventKind.INSTRUMENT_HALTED
                assert halted or not self._moves_enough(me.instrument), "the price moved far enough, but no halt"
        if kind in (*SCREEN_KINDS, CommandKind.CANCEL, CommandKind.MASS_CANCEL, CommandKind.KILL_SWITCH):
            touched = {
                event.instrument for event in heard
                if event.order_id > 0 and event.kind in (EventKind.ACCEPTED, EventKind.REPLACED, EventKind.CANCELED)
                and (self.living.get(event.order_id) or self.ended[event.order_id]).role == Role.ORDER
            }  # fmt: skip
            told = [event.instrument for event in heard if event.kind == EventKind.INDICATIVE]
            assert told == (sorted(touched) if self.phase == Phase.CALL else []), "indicative prices are missing"
        if kind == CommandKind.DAY_ROLL:
            opened = [event.instrument for event in heard if event.kind == EventKind.DAY_OPENED]
            assert opened == list(range(self.count)), "an instrument did not open"
            for entry in self.of_role(Role.ORDER):
                day = self.days[entry.instrument]
                entry.low, entry.high = day.low, day.high
                assert day.low <= entry.price <= day.high, "an order outside the new limits was carried over"

    def _check_books(self) -> None:
        """Nothing negative, nothing lost, no crossing book where orders cross by themselves."""
        held_cash, held_units, _ = self._held()
        for number, wallet in self.wallets.items():
            assert wallet.cash >= held_cash.get(number, 0) >= 0, f"account {number} holds more cash than it has"
            for instrument in range(self.count):
                bound = wallet.locked[instrument] + wallet.restricted[instrument]
                held = held_units.get((number, instrument), 0)
                assert wallet.units[instrument] >= held + bound, f"account {number} holds more units than it has"
        for instrument, day in enumerate(self.days):
            crosses = day.rules[Rule.MODE] == TradingMode.CONTINUOUS and self.phase != Phase.CALL
            listed = day.rules[Rule.MODE] == TradingMode.LISTED and not day.rules[Rule.CROSSED_LISTINGS]
            bids, asks = (self.book(instrument, side) for side in (Side.BUY, Side.SELL))
            crossed = bids and asks and bids[0].price >= asks[0].price
            assert not ((crosses or listed) and crossed), "a crossed book"
        assert all(e.rests and e.leaves > 0 for e in self.living.values()), "something lives that should have left"

    def _held(self) -> tuple[dict[int, int], dict[tuple[int, int], int], dict[tuple[int, int], int]]:
        """What living entries bind: cash by account; units, and open quantity of buyers, by account and instrument."""
        cash: dict[int, int] = {}
        units: dict[tuple[int, int], int] = {}
        bidding: dict[tuple[int, int], int] = {}
        for e in self.living.values():
            if e.role == Role.PROPOSAL or not self.days[e.instrument].rules[Rule.FUNDED]:
                continue
            if e.role == Role.APPLICATION:
                cash[e.account] = cash.get(e.account, 0) + e.bound
                continue
            parties = [(e.account, e.side)] + ([(e.other, other_side(e.side))] if e.role == Role.DEAL else [])
            for account, side in parties:
                key = account, e.instrument
                if side == Side.BUY:
                    cash[account] = cash.get(account, 0) + self._gross(e) * e.leaves
                    bidding[key] = bidding.get(key, 0) + e.leaves
                else:
                    units[key] = units.get(key, 0) + e.leaves
        return cash, units, bidding
