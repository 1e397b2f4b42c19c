"""The readable twin: the whole exchange in plain Python on sorted containers. Slow, and obviously right.

Same commands, same events, byte for byte, and the same canonical state as the compiled `Exchange`; every rule is
written here first. Read `_trading_reason` for the ladder of checks, then the handlers in the order of the commands.
It shares nothing with the compiled core but the enumerations, the two record layouts and the rulebook.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import islice

import numpy as np
from sortedcontainers import SortedDict

from engine.codes import (
    NONE,
    TRADING_KINDS,
    ClickChoice,
    CommandKind,
    EventKind,
    OrdType,
    Participant,
    Phase,
    RejectReason,
    Rule,
    SelfTrade,
    Side,
    TimeInForce,
    TradePrice,
    TradingMode,
)
from engine.records import EVENT
from engine.rules.compiler import CompiledRules

EXCHANGE, GOVERNMENT = 0, 1
BASIS = 10_000
MAX_QTY_T, MAX_AMOUNT_FEN, MAX_UNITS_T, MAX_ACCOUNTS = 10**12, 10**17, 10**13, 2**24
MAX_CASH_FEN = MAX_VALUE_FEN = 2**61

FEES_SCREEN = Rule.SCREEN_FEE_BUY_BP, Rule.SCREEN_FEE_SELL_BP
FEES_BLOCK = Rule.BLOCK_FEE_BUY_BP, Rule.BLOCK_FEE_SELL_BP

Ask = dict[str, int]


@dataclass
class RestingOrder:
    """An order in the book, or an open block proposal (`contra` set)."""

    order_id: int
    account: int
    instrument: int
    side: int
    mode: int
    price: int
    leaves: int
    filled: int
    contra: int
    until_ns: int
    client_ref: int


@dataclass
class Holding:
    """Units of one instrument in one account, t."""

    available: int = 0
    held: int = 0
    locked: int = 0
    restricted: int = 0
    bidding: int = 0
    """Open quantity of its buy orders; not units."""


@dataclass
class Account:
    """Cash in fen, and units by instrument."""

    group: int
    participant: int
    holdings: list[Holding]
    cash: int = 0
    cash_held: int = 0


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
    issued: int = 0
    trades: list[tuple[int, int]] = field(default_factory=list)
    """(price, quantity) of the day's screen trades."""
    book: dict[int, SortedDict] = field(default_factory=lambda: {Side.BUY: SortedDict(), Side.SELL: SortedDict()})

    @property
    def last(self) -> int:
        """Price of the day's last screen trade; before the first, the previous close."""
        return self.trades[-1][0] if self.trades else self.prev_close

    @property
    def close(self) -> int:
        """What the closing price would be now: of the last trades, or of all; the previous one when too few."""
        counted = self.trades[-self.rules[Rule.CLOSE_TRADES] :]
        if self.qty <= self.rules[Rule.CLOSE_MIN_QTY_T]:
            return self.prev_close
        value, qty = sum(price * qty for price, qty in counted), sum(qty for _, qty in counted)
        return round_half_up(value, qty, self.rules[Rule.TICK_FEN])


def opposite(side: int) -> int:
    """The other side."""
    return Side.SELL if side == Side.BUY else Side.BUY


def round_half_up(numerator: int, denominator: int, tick: int) -> int:
    """`numerator / denominator` rounded half up to a multiple of `tick`."""
    step = denominator * tick
    return (2 * numerator + step) // (2 * step) * tick


def fee(rules: list[int], mode: int, side: int, value: int) -> int:
    """What one side of a trade pays to the exchange: a share of the value, rounded half up to the fen."""
    buys, sells = FEES_BLOCK if mode == TradingMode.BLOCK else FEES_SCREEN
    return round_half_up(value * rules[buys if side == Side.BUY else sells], BASIS, 1)


def gross(rules: list[int], mode: int, price: int) -> int:
    """What a buyer must have for a tonne: the price and its fee, rounded up, so that no split costs more."""
    bp = rules[FEES_BLOCK[0] if mode == TradingMode.BLOCK else FEES_SCREEN[0]]
    return price + -(-price * bp // BASIS)


def accepts(side: int, limit: int, price: int) -> bool:
    """Whether a taker with this limit (NONE = any) takes this price."""
    return limit == NONE or (price <= limit if side == Side.BUY else price >= limit)


class ReferenceExchange:
    """One venue under one rulebook; the same methods as `Exchange`."""

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
        self._events: list[tuple[int, ...]] = []
        self._begin_day(0)

    def submit(self, commands: np.ndarray) -> np.ndarray:
        """Apply COMMAND rows, shape (n,), in order; returns their EVENT rows, shape (m,)."""
        self._events = []
        names = commands.dtype.names or ()
        for row in commands.tolist():
            ask = dict(zip(names, row, strict=True))
            self._command_seq += 1
            reason = self._reason(ask)
            if reason:
                self._emit(
                    ask, EventKind.REJECTED, order_id=ask["target_id"], account=ask["account"],
                    instrument=ask["instrument"], side=ask["side"], price_fen=ask["price_fen"], qty=ask["qty"],
                    reason=reason,
                )  # fmt: skip
            else:
                self._execute(ask)
        return np.array(self._events, EVENT) if self._events else np.zeros(0, EVENT)

    def canonical_state(self) -> Iterator[tuple[int, ...]]:
        """The state as rows of integers: scalars, instrument days, accounts, then the book in priority order."""
        yield (self._command_seq, self._event_seq, self._phase, self._date, self._cash_in)
        for day in self._days:
            yield (day.prev_close, day.limit_low, day.limit_high, day.block_low, day.block_high, day.qty, day.value,
                   day.issued, day.last)  # fmt: skip
        for number in sorted(self._accounts):
            account = self._accounts[number]
            units = [x for h in account.holdings for x in (h.available, h.held, h.locked, h.restricted, h.bidding)]
            yield (number, account.group, account.cash, account.cash_held, account.participant, *units)
        for instrument, day in enumerate(self._days):
            for side in (Side.BUY, Side.SELL):
                for price in self._prices(day, side):
                    for order in day.book[side][price]:
                        yield self._row(instrument, order)
            for side in (Side.BUY, Side.SELL):
                for order in sorted(self._orders.values(), key=lambda o: o.order_id):
                    if order.mode == TradingMode.BLOCK and (order.instrument, order.side) == (
                        instrument,
                        side,
                    ):
                        yield self._row(instrument, order)

    def balances(self) -> tuple[np.ndarray, np.ndarray]:
        """Cash (accounts, 5) and units (accounts, instruments, 5), columns as in `core.state`, int64."""
        count = max(self._accounts) + 1
        cash = np.zeros((count, 5), np.int64)
        units = np.zeros((count, len(self.symbols), 5), np.int64)
        for number, account in self._accounts.items():
            cash[number] = (1, account.group, account.cash, account.cash_held, account.participant)
            units[number] = [(h.available, h.held, h.locked, h.restricted, h.bidding) for h in account.holdings]
        return cash, units

    def check(self) -> None:
        """Assert conservation and that no balance is negative."""
        accounts = self._accounts.values()
        for account in accounts:
            assert account.cash >= 0, "cash is negative"
            assert account.cash_held >= 0, "held cash is negative"
            for h in account.holdings:
                assert min(h.available, h.held, h.locked, h.restricted) >= 0, "units are negative"
        assert sum(a.cash + a.cash_held for a in accounts) == self._cash_in, "cash was lost or created"
        for instrument, day in enumerate(self._days):
            units = [a.holdings[instrument] for a in accounts]
            total = sum(h.available + h.held + h.locked + h.restricted for h in units)
            assert total == day.issued, "units were lost or created"

    @staticmethod
    def _row(instrument: int, o: RestingOrder) -> tuple[int, ...]:
        return (
            instrument,
            o.side,
            o.mode,
            o.order_id,
            o.account,
            o.price,
            o.leaves,
            o.filled,
            o.contra,
            o.until_ns,
            o.client_ref,
        )

    def _emit(self, ask: Ask, kind: EventKind, **fields: int) -> None:
        self._event_seq += 1
        event = {
            "seq": self._event_seq, "command_seq": self._command_seq, "time_ns": ask["time_ns"], "kind": kind,
            "client_ref": ask["client_ref"], "phase": self._phase, "fee_fen": 0, "contra_fee_fen": 0, "side": 0,
            "mode": 0, "reason": 0, "flags": 0, **fields,
        }  # fmt: skip
        self._events.append(tuple(int(event.get(name, NONE)) for name in EVENT.names or ()))

    def _emit_order(self, ask: Ask, kind: EventKind, order: RestingOrder, **fields: int) -> None:
        values = {
            "order_id": order.order_id, "account": order.account, "instrument": order.instrument, "side": order.side,
            "mode": order.mode, "price_fen": order.price, "qty": order.filled + order.leaves,
            "leaves_qty": order.leaves, **fields,
        }  # fmt: skip
        self._emit(ask, kind, **values)

    # The ladder of checks, in ascending number of RejectReason.

    def _reason(self, ask: Ask) -> RejectReason:
        kind = ask["kind"]
        if kind in TRADING_KINDS:
            return self._trading_reason(ask)
        if kind in (CommandKind.DEPOSIT, CommandKind.WITHDRAW, CommandKind.FINE):
            return self._cash_reason(ask)
        if kind in (CommandKind.ISSUE, CommandKind.SURRENDER, CommandKind.DEDUCT):
            return self._units_reason(ask)
        if kind == CommandKind.OPEN_ACCOUNT:
            if ask["account"] == NONE:
                return RejectReason.MISSING_FIELD
            if not 0 <= ask["account"] < MAX_ACCOUNTS:
                return RejectReason.OUT_OF_RANGE
            if ask["flags"] >= len(Participant):
                return RejectReason.OUT_OF_RANGE
            return RejectReason.ACCOUNT_EXISTS if ask["account"] in self._accounts else RejectReason.NONE
        if kind == CommandKind.PHASE:
            return RejectReason.NONE if ask["phase"] <= Phase.HALTED else RejectReason.UNKNOWN_TYPE
        if kind == CommandKind.DAY_ROLL:
            if ask["date"] == NONE:
                return RejectReason.MISSING_FIELD
            return RejectReason.OUT_OF_RANGE if ask["date"] <= self._date else RejectReason.NONE
        if kind == CommandKind.SET_RULE:
            return self._rule_reason(ask)
        return RejectReason.UNKNOWN_TYPE

    def _trading_reason(self, ask: Ask) -> RejectReason:
        """The ladder of every trading command, rung by rung."""
        kind, side, qty, account = ask["kind"], ask["side"], ask["qty"], ask["account"]
        price, target, instrument = ask["price_fen"], ask["target_id"], ask["instrument"]
        enters = kind in (CommandKind.NEW, CommandKind.CLICK, CommandKind.PROPOSE)
        is_market = kind == CommandKind.NEW and ask["ord_type"] == OrdType.MARKET
        if is_market:
            price = NONE
        # 2040 to 2090
        if enters and side not in (Side.BUY, Side.SELL):
            return RejectReason.UNKNOWN_TYPE
        if kind == CommandKind.NEW and ask["ord_type"] not in (OrdType.LIMIT, OrdType.MARKET):
            return RejectReason.UNKNOWN_TYPE
        if kind == CommandKind.NEW and ask["tif"] not in (TimeInForce.DAY, TimeInForce.IOC, TimeInForce.FOK):
            return RejectReason.UNKNOWN_TYPE
        if enters and qty == NONE:
            return RejectReason.MISSING_FIELD
        if enters and price == NONE and not is_market and (kind != CommandKind.CLICK or target == NONE):
            return RejectReason.MISSING_FIELD
        if not enters and target == NONE:
            return RejectReason.MISSING_FIELD
        if kind == CommandKind.PROPOSE and ask["contra"] == NONE:
            return RejectReason.MISSING_FIELD
        if qty != NONE and not 0 <= qty <= MAX_QTY_T:
            return RejectReason.OUT_OF_RANGE
        if account not in self._accounts or (kind == CommandKind.PROPOSE and ask["contra"] not in self._accounts):
            return RejectReason.UNKNOWN_ACCOUNT
        # 3010 to 3070
        order, ended = self._target(ask)
        if not enters:
            instrument = order.instrument if order else 0
        if not 0 <= instrument < len(self._days):
            return RejectReason.UNKNOWN_SYMBOL
        day = self._days[instrument]
        rules = day.rules
        if not rules[Rule.PERMITS + self._phase] >> kind & 1:
            by_phase = {Phase.CLOSED: RejectReason.MARKET_CLOSED, Phase.HALTED: RejectReason.HALTED}
            return by_phase.get(Phase(self._phase), RejectReason.WRONG_PHASE)
        if not rules[Rule.TRADABLE] and kind not in (CommandKind.CANCEL, CommandKind.DECLINE):
            return RejectReason.NOT_TRADABLE_TODAY
        if not self._offered(ask, rules):
            return RejectReason.NOT_OFFERED
        admitted = rules[Rule.PARTICIPANTS] >> self._accounts[account].participant & 1
        if not admitted and kind not in (CommandKind.CANCEL, CommandKind.DECLINE):
            return RejectReason.NOT_ADMITTED
        # 4010 to 4070
        on_screen = kind in (CommandKind.NEW, CommandKind.CLICK, CommandKind.REPLACE)
        if price != NONE and (on_screen or kind == CommandKind.PROPOSE):
            if on_screen and price > day.limit_high:
                return RejectReason.PRICE_ABOVE_LIMIT
            if on_screen and price < day.limit_low:
                return RejectReason.PRICE_BELOW_LIMIT
            if price % rules[Rule.TICK_FEN]:
                return RejectReason.BAD_TICK
        if qty != NONE and (on_screen or kind == CommandKind.PROPOSE):
            if qty % rules[Rule.LOT_T]:
                return RejectReason.BAD_LOT
            if on_screen and qty > rules[Rule.SCREEN_MAX_QTY_T]:
                return RejectReason.QTY_TOO_LARGE
            if on_screen and day.value + day.limit_high * qty > MAX_VALUE_FEN:
                return RejectReason.QTY_TOO_LARGE
            if qty == 0:
                return RejectReason.QTY_ZERO
        if kind == CommandKind.CLICK and order:
            best = list(islice(self._prices(day, order.side), rules[Rule.CLICK_LEVELS]))
            if order.price not in best:
                return RejectReason.PRICE_OUTSIDE_BEST5
            if rules[Rule.CLICK_CHOICE] == ClickChoice.OLDEST and day.book[order.side][order.price][0] is not order:
                return RejectReason.LISTING_NOT_OLDEST
        if kind in (CommandKind.PROPOSE, CommandKind.CONFIRM, CommandKind.DECLINE):
            return self._block_reason(ask, day, order)
        return self._screen_reason(ask, instrument, price, order, ended)

    def _target(self, ask: Ask) -> tuple[RestingOrder | None, RejectReason]:
        """The order or proposal a command names, if it is alive and of the right kind; else how it ended."""
        order = self._orders.get(ask["target_id"])
        if order is None:
            return None, self._ended.get(ask["target_id"], RejectReason.UNKNOWN_ORDER)
        kind = ask["kind"]
        fits = (order.mode == TradingMode.BLOCK) == (kind in (CommandKind.CONFIRM, CommandKind.DECLINE))
        if kind == CommandKind.CLICK:
            fits = fits and order.side == opposite(ask["side"]) and order.instrument == ask["instrument"]
        return (order if fits else None), RejectReason.UNKNOWN_ORDER

    @staticmethod
    def _offered(ask: Ask, rules: list[int]) -> bool:
        kind = ask["kind"]
        if kind == CommandKind.NEW:
            return bool(rules[Rule.ORD_TYPES] >> ask["ord_type"] & rules[Rule.TIMES_IN_FORCE] >> ask["tif"] & 1)
        if kind == CommandKind.CLICK:
            return rules[Rule.MODE] == TradingMode.LISTED
        return kind != CommandKind.PROPOSE or rules[Rule.BLOCK_MIN_QTY_T] != NONE

    def _screen_reason(
        self, ask: Ask, instrument: int, price: int, order: RestingOrder | None, ended: RejectReason
    ) -> RejectReason:
        """5010 to 6080."""
        day = self._days[instrument]
        rules = day.rules
        kind, side, qty, account = ask["kind"], ask["side"], ask["qty"], ask["account"]
        names = kind in (CommandKind.CANCEL, CommandKind.REPLACE) or ask["target_id"] != NONE
        if kind != CommandKind.NEW and names and order is None:
            return ended
        if kind in (CommandKind.CANCEL, CommandKind.REPLACE):
            assert order
            if order.account != account:
                return RejectReason.NOT_OWNER
            if kind == CommandKind.CANCEL:
                return RejectReason.NONE
            price, leaves = self._replaced(ask, order)
            side, wanted, qty = order.side, leaves, leaves - order.leaves
            cash = gross(rules, order.mode, price) * leaves - gross(rules, order.mode, order.price) * order.leaves
        else:
            wanted = qty
            clicked = order if kind == CommandKind.CLICK else None
            cash = gross(rules, rules[Rule.MODE], clicked.price if clicked else price) * qty
        if kind in (CommandKind.NEW, CommandKind.REPLACE) and self._would_cross(day, side, price):
            return RejectReason.WOULD_CROSS
        crossing = rules[Rule.MODE] == TradingMode.CONTINUOUS or (kind == CommandKind.CLICK and order is None)
        levels = rules[Rule.CLICK_LEVELS] if kind == CommandKind.CLICK else None
        met = self._reachable(day, side, price, wanted, levels, account) if crossing else []
        if price == NONE and kind == CommandKind.NEW:
            cash = sum(gross(rules, rules[Rule.MODE], o.price) * fill for o, fill in met)
        reason = self._funds_reason(account, instrument, side, cash, qty)
        if reason:
            return reason
        if rules[Rule.SELF_TRADE] == SelfTrade.REJECT_TAKER:
            clicked = order if kind == CommandKind.CLICK else None
            if any(o.account == account for o, _ in met) or (clicked and clicked.account == account):
                return RejectReason.SELF_TRADE
        if kind == CommandKind.REPLACE and wanted <= 0:
            return RejectReason.REPLACE_BELOW_FILLED
        is_fok = kind == CommandKind.NEW and ask["tif"] == TimeInForce.FOK
        if is_fok and crossing and sum(fill for _, fill in met) < qty:
            return RejectReason.FOK_NOT_FILLABLE
        if kind == CommandKind.CLICK and order and not accepts(side, price, order.price):
            return RejectReason.PRICE_CHANGED
        return RejectReason.NONE

    def _would_cross(self, day: InstrumentDay, side: int, price: int) -> bool:
        """Whether a listing would meet the other side where the rulebook does not want that."""
        if day.rules[Rule.MODE] != TradingMode.LISTED or day.rules[Rule.CROSSED_LISTINGS]:
            return False
        best = next(self._prices(day, opposite(side)), None)
        return best is not None and accepts(side, price, best)

    def _block_reason(self, ask: Ask, day: InstrumentDay, proposal: RestingOrder | None) -> RejectReason:
        """5010 to 8050 of the block commands."""
        kind, account = ask["kind"], ask["account"]
        if kind == CommandKind.PROPOSE:
            if ask["contra"] == account:
                return RejectReason.SELF_TRADE
            if ask["qty"] < day.rules[Rule.BLOCK_MIN_QTY_T]:
                return RejectReason.BLOCK_TOO_SMALL
            inside = day.block_low <= ask["price_fen"] <= day.block_high
            return RejectReason.NONE if inside else RejectReason.BLOCK_PRICE_LIMIT
        if proposal is None:
            return RejectReason.UNKNOWN_PROPOSAL
        parties = [proposal.contra] + ([proposal.account] if kind == CommandKind.DECLINE else [])
        if account not in parties:
            return RejectReason.NOT_COUNTERPARTY
        if kind == CommandKind.DECLINE:
            return RejectReason.NONE
        if proposal.until_ns != NONE and ask["time_ns"] >= proposal.until_ns:
            return RejectReason.PROPOSAL_EXPIRED
        buyer, seller = self._buyer_seller(proposal, account)
        cash = gross(day.rules, TradingMode.BLOCK, proposal.price) * proposal.leaves
        reason = self._funds_reason(buyer, proposal.instrument, Side.BUY, cash, proposal.leaves)
        return reason or self._funds_reason(seller, proposal.instrument, Side.SELL, cash, proposal.leaves)

    def _funds_reason(self, account: int, instrument: int, side: int, cash: int, qty: int) -> RejectReason:
        """5010 to 5040."""
        if not self._days[instrument].rules[Rule.FUNDED]:
            return RejectReason.NONE
        if side == Side.SELL:
            return self._lacks_units(account, instrument, qty)
        if self._accounts[account].cash < cash:
            return RejectReason.INSUFFICIENT_CASH
        holder = self._accounts[account]
        limit = self._days[instrument].rules[Rule.MAX_HOLDING_T + holder.participant]
        h = holder.holdings[instrument]
        after = h.available + h.held + h.locked + h.restricted + h.bidding + qty
        return RejectReason.POSITION_LIMIT if qty > 0 and limit != NONE and after > limit else RejectReason.NONE

    def _lacks_units(self, account: int, instrument: int, qty: int) -> RejectReason:
        holding = self._accounts[account].holdings[instrument]
        if holding.available >= qty:
            return RejectReason.NONE
        enough_tomorrow = holding.available + holding.locked >= qty
        return RejectReason.T_PLUS_1 if enough_tomorrow else RejectReason.INSUFFICIENT_ALLOWANCE

    def _cash_reason(self, ask: Ask) -> RejectReason:
        amount, is_deposit = ask["amount_fen"], ask["kind"] == CommandKind.DEPOSIT
        if amount == NONE:
            return RejectReason.MISSING_FIELD
        if not 0 < amount <= MAX_AMOUNT_FEN or (is_deposit and self._cash_in + amount > MAX_CASH_FEN):
            return RejectReason.OUT_OF_RANGE
        if ask["account"] not in self._accounts:
            return RejectReason.UNKNOWN_ACCOUNT
        if not is_deposit and self._accounts[ask["account"]].cash < amount:
            return RejectReason.INSUFFICIENT_CASH
        return RejectReason.NONE

    def _units_reason(self, ask: Ask) -> RejectReason:
        qty, instrument, issues = ask["qty"], ask["instrument"], ask["kind"] == CommandKind.ISSUE
        known = 0 <= instrument < len(self._days)
        if qty == NONE:
            return RejectReason.MISSING_FIELD
        if not 0 < qty <= MAX_QTY_T or (issues and known and self._days[instrument].issued + qty > MAX_UNITS_T):
            return RejectReason.OUT_OF_RANGE
        if ask["account"] not in self._accounts:
            return RejectReason.UNKNOWN_ACCOUNT
        if not known:
            return RejectReason.UNKNOWN_SYMBOL
        return RejectReason.NONE if issues else self._lacks_units(ask["account"], instrument, qty)

    def _rule_reason(self, ask: Ask) -> RejectReason:
        ranges = {
            Rule.BAND_DOWN_BP: (NONE, BASIS - 1), Rule.BAND_UP_BP: (NONE, BASIS - 1),
            Rule.BLOCK_BAND_BP: (NONE, BASIS - 1),
            Rule.TRADABLE: (0, 1), Rule.UNITS_T_PLUS: (0, 1), Rule.SCREEN_MAX_QTY_T: (1, 10**9),
            Rule.CLICK_LEVELS: (1, 10**9),
        }  # fmt: skip
        rule = ask["rule"]
        if rule == NONE:
            return RejectReason.MISSING_FIELD
        if rule not in ranges:
            return RejectReason.UNKNOWN_TYPE
        low, high = ranges[Rule(rule)]
        if not low <= ask["amount_fen"] <= high:
            return RejectReason.OUT_OF_RANGE
        return RejectReason.NONE if 0 <= ask["instrument"] < len(self._days) else RejectReason.UNKNOWN_SYMBOL

    # What an admitted command does.

    def _execute(self, ask: Ask) -> None:
        handlers = {
            CommandKind.NEW: self._enter, CommandKind.CANCEL: self._cancel, CommandKind.REPLACE: self._replace,
            CommandKind.CLICK: self._click, CommandKind.PROPOSE: self._propose, CommandKind.CONFIRM: self._confirm,
            CommandKind.DECLINE: self._decline, CommandKind.PHASE: self._change_phase,
            CommandKind.DAY_ROLL: self._roll, CommandKind.SET_RULE: self._set_rule,
        }  # fmt: skip
        handlers.get(CommandKind(ask["kind"]), self._move)(ask)

    def _enter(self, ask: Ask) -> None:
        account, instrument, side, qty = ask["account"], ask["instrument"], ask["side"], ask["qty"]
        day = self._days[instrument]
        mode, is_market = day.rules[Rule.MODE], ask["ord_type"] == OrdType.MARKET
        limit = NONE if is_market else ask["price_fen"]
        cash = gross(day.rules, mode, limit) * qty
        if is_market:
            met = self._reachable(day, side, NONE, qty, None, account)
            cash = sum(gross(day.rules, mode, order.price) * fill for order, fill in met)
        self._hold(account, instrument, side, cash, qty)
        me = RestingOrder(
            self._command_seq, account, instrument, side, mode, limit, qty, 0, NONE, NONE, ask["client_ref"]
        )
        self._emit_order(ask, EventKind.ACCEPTED, me)
        if mode == TradingMode.CONTINUOUS:
            self._cross(ask, me)
        if me.leaves == 0:
            self._ended[me.order_id] = RejectReason.TOO_LATE_FILLED
        elif is_market or ask["tif"] != TimeInForce.DAY:
            left = 0 if is_market else gross(day.rules, mode, limit) * me.leaves
            self._hold(account, instrument, side, -left, -me.leaves)
            self._emit_order(ask, EventKind.CANCELED, me)
            self._ended[me.order_id] = RejectReason.ALREADY_CANCELLED
        else:
            self._rest(me)

    def _cancel(self, ask: Ask) -> None:
        self._remove(ask, self._orders[ask["target_id"]], EventKind.CANCELED)

    def _replace(self, ask: Ask) -> None:
        order = self._orders[ask["target_id"]]
        price, leaves = self._replaced(ask, order)
        rules, mode = self._days[order.instrument].rules, order.mode
        cash = gross(rules, mode, price) * leaves - gross(rules, mode, order.price) * order.leaves
        self._hold(order.account, order.instrument, order.side, cash, leaves - order.leaves)
        keeps_place = price == order.price and leaves <= order.leaves
        if not keeps_place:
            self._unlink(order)
        order.price, order.leaves = price, leaves
        self._emit_order(ask, EventKind.REPLACED, order)
        if keeps_place:
            return
        if order.mode == TradingMode.CONTINUOUS:
            self._cross(ask, order)
        if order.leaves:
            self._rest(order)
        else:
            self._ended[order.order_id] = RejectReason.TOO_LATE_FILLED

    def _click(self, ask: Ask) -> None:
        account, instrument, side, qty = ask["account"], ask["instrument"], ask["side"], ask["qty"]
        day = self._days[instrument]
        listing = self._orders.get(ask["target_id"])
        held_price = listing.price if listing else ask["price_fen"]
        held = gross(day.rules, day.rules[Rule.MODE], held_price)
        self._hold(account, instrument, side, held * qty, qty)
        me = RestingOrder(
            self._command_seq, account, instrument, side, TradingMode.LISTED, held_price, qty, 0, NONE, NONE, NONE
        )
        self._emit_order(ask, EventKind.ACCEPTED, me, price_fen=ask["price_fen"])
        if listing:
            self._take(ask, me, listing)
        else:
            for price in list(islice(self._prices(day, opposite(side)), day.rules[Rule.CLICK_LEVELS])):
                for resting in list(day.book[opposite(side)][price]):
                    if me.leaves and accepts(side, ask["price_fen"], price):
                        self._take(ask, me, resting)
        if me.leaves:
            self._hold(account, instrument, side, -held * me.leaves, -me.leaves)
            self._emit_order(ask, EventKind.CANCELED, me, price_fen=ask["price_fen"])
        self._ended[me.order_id] = RejectReason.ALREADY_CANCELLED if me.leaves else RejectReason.TOO_LATE_FILLED

    def _propose(self, ask: Ask) -> None:
        proposal = RestingOrder(
            self._command_seq, ask["account"], ask["instrument"], ask["side"], TradingMode.BLOCK, ask["price_fen"],
            ask["qty"], 0, ask["contra"], ask["until_ns"], ask["client_ref"],
        )  # fmt: skip
        self._orders[proposal.order_id] = proposal
        self._emit_order(ask, EventKind.ACCEPTED, proposal, contra=proposal.contra)

    def _confirm(self, ask: Ask) -> None:
        proposal = self._orders.pop(ask["target_id"])
        self._ended[proposal.order_id] = RejectReason.TOO_LATE_FILLED
        buyer, seller = self._buyer_seller(proposal, ask["account"])
        price, qty = proposal.price, proposal.leaves
        rules, mode = self._days[proposal.instrument].rules, TradingMode.BLOCK
        self._hold(buyer, proposal.instrument, Side.BUY, gross(rules, mode, price) * qty, qty)
        self._hold(seller, proposal.instrument, Side.SELL, 0, qty)
        self._emit(
            ask, EventKind.TRADE, order_id=self._command_seq, account=ask["account"], side=opposite(proposal.side),
            instrument=proposal.instrument, mode=TradingMode.BLOCK, price_fen=price, qty=qty, leaves_qty=0,
            contra_id=proposal.order_id, contra=proposal.account, contra_leaves_qty=0, amount_fen=price * qty,
            fee_fen=fee(rules, mode, opposite(proposal.side), price * qty),
            contra_fee_fen=fee(rules, mode, proposal.side, price * qty),
        )  # fmt: skip
        self._deliver(proposal.instrument, mode, buyer, seller, price, price, qty)

    def _decline(self, ask: Ask) -> None:
        proposal = self._orders[ask["target_id"]]
        declined = proposal.contra == ask["account"]
        self._remove(ask, proposal, EventKind.DECLINED if declined else EventKind.CANCELED)

    def _change_phase(self, ask: Ask) -> None:
        self._phase = ask["phase"]
        self._emit(ask, EventKind.PHASE_CHANGED)

    def _roll(self, ask: Ask) -> None:
        for order_id in sorted(self._orders):
            order = self._orders[order_id]
            self._remove(ask, order, EventKind.EXPIRED, client_ref=order.client_ref)
        for instrument, day in enumerate(self._days):
            if self._date == 0:
                continue
            day.prev_close = day.close
            self._emit(
                ask, EventKind.DAY_CLOSED, instrument=instrument, price_fen=day.prev_close, qty=day.qty,
                amount_fen=day.value,
            )  # fmt: skip
            day.qty = day.value = 0
            day.trades = []
        for account in self._accounts.values():
            for holding in account.holdings:
                holding.available += holding.locked
                holding.locked = 0
        self._ended.clear()
        self._begin_day(ask["date"])
        for instrument, day in enumerate(self._days):
            self._emit(
                ask, EventKind.DAY_OPENED, instrument=instrument, price_fen=day.prev_close,
                low_price_fen=day.limit_low, high_price_fen=day.limit_high,
            )  # fmt: skip

    def _begin_day(self, date: int) -> None:
        """Phase, dated rules, reference price and limits."""
        self._date, self._phase = date, self._initial_phase
        for instrument, day in enumerate(self._days):
            rows = [row for row in self._rows if row[-1] == instrument]
            day.rules = [row for row in rows[:1] + rows[1:] if row is rows[0] or row[Rule.FROM_DATE] <= date][-1][:-1]
            day.prev_close = day.prev_close or day.rules[Rule.REFERENCE_FEN]
            self._set_limits(day)

    def _set_limits(self, day: InstrumentDay) -> None:
        rules, tick = day.rules, day.rules[Rule.TICK_FEN]
        low, high = rules[Rule.PRICE_LOW_FEN], rules[Rule.PRICE_HIGH_FEN]

        def below(rule: Rule) -> int:
            return max(low, round_half_up(day.prev_close * (BASIS - rules[rule]), BASIS, tick))

        def above(rule: Rule) -> int:
            return min(high, round_half_up(day.prev_close * (BASIS + rules[rule]), BASIS, tick))

        day.limit_low = low if rules[Rule.BAND_DOWN_BP] == NONE else below(Rule.BAND_DOWN_BP)
        day.limit_high = high if rules[Rule.BAND_UP_BP] == NONE else above(Rule.BAND_UP_BP)
        day.block_low = low if rules[Rule.BLOCK_BAND_BP] == NONE else below(Rule.BLOCK_BAND_BP)
        day.block_high = high if rules[Rule.BLOCK_BAND_BP] == NONE else above(Rule.BLOCK_BAND_BP)

    def _set_rule(self, ask: Ask) -> None:
        day = self._days[ask["instrument"]]
        day.rules[ask["rule"]] = ask["amount_fen"]
        self._set_limits(day)
        self._emit(
            ask, EventKind.RULE_SET, instrument=ask["instrument"], order_id=ask["rule"], amount_fen=ask["amount_fen"],
            low_price_fen=day.limit_low, high_price_fen=day.limit_high,
        )  # fmt: skip

    def _move(self, ask: Ask) -> None:
        """Accounts, cash and units without a trade."""
        kind, number, qty, amount = ask["kind"], ask["account"], ask["qty"], ask["amount_fen"]
        if kind == CommandKind.OPEN_ACCOUNT:
            self._accounts[number] = Account(ask["group"], ask["flags"], [Holding() for _ in self.symbols])
            self._emit(ask, EventKind.ACCOUNT_OPENED, account=number)
            return
        account, government = self._accounts[number], self._accounts[GOVERNMENT]
        if kind in (CommandKind.DEPOSIT, CommandKind.WITHDRAW):
            change = amount if kind == CommandKind.DEPOSIT else -amount
            account.cash += change
            self._cash_in += change
        elif kind == CommandKind.FINE:
            account.cash -= amount
            government.cash += amount
        elif kind == CommandKind.ISSUE:
            account.holdings[ask["instrument"]].available += qty
            self._days[ask["instrument"]].issued += qty
        else:
            account.holdings[ask["instrument"]].available -= qty
            government.holdings[ask["instrument"]].restricted += qty
        events = {
            CommandKind.DEPOSIT: EventKind.DEPOSITED, CommandKind.WITHDRAW: EventKind.WITHDRAWN,
            CommandKind.FINE: EventKind.FINED, CommandKind.ISSUE: EventKind.ISSUED,
            CommandKind.SURRENDER: EventKind.SURRENDERED, CommandKind.DEDUCT: EventKind.DEDUCTED,
        }  # fmt: skip
        self._emit(
            ask,
            events[CommandKind(kind)],
            account=number,
            instrument=ask["instrument"],
            qty=qty,
            amount_fen=amount,
        )

    # Book, matching and settlement.

    @staticmethod
    def _prices(day: InstrumentDay, side: int) -> Iterator[int]:
        """Occupied prices, best first."""
        return reversed(day.book[side]) if side == Side.BUY else iter(day.book[side])

    def _reachable(
        self, day: InstrumentDay, side: int, limit: int, qty: int, levels: int | None, account: int
    ) -> list[tuple[RestingOrder, int]]:
        """What a taker would meet now: (resting order, tonnes); its own count nothing under CANCEL_MAKER."""
        skips_own = day.rules[Rule.SELF_TRADE] == SelfTrade.CANCEL_MAKER
        met: list[tuple[RestingOrder, int]] = []
        for price in islice(self._prices(day, opposite(side)), levels):
            if not accepts(side, limit, price):
                break
            for order in day.book[opposite(side)][price]:
                if qty <= 0:
                    return met
                fill = 0 if skips_own and order.account == account else min(qty, order.leaves)
                met.append((order, fill))
                qty -= fill
        return met

    def _cross(self, ask: Ask, me: RestingOrder) -> None:
        """Continuous trading: best price first, then oldest first, at the resting price."""
        day = self._days[me.instrument]
        book = day.book[opposite(me.side)]
        while me.leaves and book:
            price = book.peekitem(-1 if me.side == Side.SELL else 0)[0]
            if not accepts(me.side, me.price, price):
                return
            self._take(ask, me, book[price][0])

    def _take(self, ask: Ask, me: RestingOrder, maker: RestingOrder) -> None:
        """One fill of `me` against a resting order; under CANCEL_MAKER the own order is cancelled instead."""
        day = self._days[maker.instrument]
        if maker.account == me.account and day.rules[Rule.SELF_TRADE] == SelfTrade.CANCEL_MAKER:
            self._remove(ask, maker, EventKind.CANCELED)
            return
        price, qty = self._trade_price(day, me, maker), min(me.leaves, maker.leaves)
        me.leaves -= qty
        me.filled += qty
        maker.leaves -= qty
        maker.filled += qty
        self._emit(
            ask, EventKind.TRADE, order_id=me.order_id, account=me.account, instrument=me.instrument, side=me.side,
            mode=me.mode, price_fen=price, qty=qty, leaves_qty=me.leaves, contra_id=maker.order_id,
            contra=maker.account, contra_leaves_qty=maker.leaves, amount_fen=price * qty,
            fee_fen=fee(day.rules, me.mode, me.side, price * qty),
            contra_fee_fen=fee(day.rules, me.mode, maker.side, price * qty),
        )  # fmt: skip
        day.qty += qty
        day.value += price * qty
        day.trades.append((price, qty))
        held = price if me.price == NONE else me.price
        if me.side == Side.BUY:
            self._deliver(me.instrument, me.mode, me.account, maker.account, held, price, qty)
        else:
            self._deliver(me.instrument, me.mode, maker.account, me.account, maker.price, price, qty)
        if maker.leaves == 0:
            self._unlink(maker)
            self._ended[maker.order_id] = RejectReason.TOO_LATE_FILLED

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

    def _rest(self, order: RestingOrder) -> None:
        self._orders[order.order_id] = order
        self._days[order.instrument].book[order.side].setdefault(order.price, deque()).append(order)

    def _unlink(self, order: RestingOrder) -> None:
        book = self._days[order.instrument].book[order.side]
        book[order.price].remove(order)
        if not book[order.price]:
            del book[order.price]
        del self._orders[order.order_id]

    def _remove(self, ask: Ask, order: RestingOrder, kind: EventKind, **fields: int) -> None:
        """An order or proposal leaves without trading."""
        if order.mode == TradingMode.BLOCK:
            self._emit_order(ask, kind, order, contra=order.contra, **fields)
            del self._orders[order.order_id]
        else:
            self._emit_order(ask, kind, order, **fields)
            held = gross(self._days[order.instrument].rules, order.mode, order.price) * order.leaves
            self._hold(order.account, order.instrument, order.side, -held, -order.leaves)
            self._unlink(order)
        self._ended[order.order_id] = RejectReason.ALREADY_CANCELLED

    @staticmethod
    def _buyer_seller(proposal: RestingOrder, confirmer: int) -> tuple[int, int]:
        if proposal.side == Side.BUY:
            return proposal.account, confirmer
        return confirmer, proposal.account

    def _hold(self, number: int, instrument: int, side: int, cash: int, qty: int) -> None:
        """Freeze cash of a buyer or units of a seller; negative amounts release."""
        if not self._days[instrument].rules[Rule.FUNDED]:
            return
        account = self._accounts[number]
        if side == Side.BUY:
            account.cash -= cash
            account.cash_held += cash
            account.holdings[instrument].bidding += qty
        else:
            account.holdings[instrument].available -= qty
            account.holdings[instrument].held += qty

    def _deliver(
        self, instrument: int, mode: int, buyer: int, seller: int, held_price: int, price: int, qty: int
    ) -> None:
        """Delivery versus payment; both fees go to the exchange."""
        rules = self._days[instrument].rules
        if not rules[Rule.FUNDED]:
            return
        held, value = gross(rules, mode, held_price) * qty, price * qty
        buy_fee, sell_fee = fee(rules, mode, Side.BUY, value), fee(rules, mode, Side.SELL, value)
        self._accounts[buyer].cash_held -= held
        self._accounts[buyer].cash += held - value - buy_fee
        self._accounts[seller].cash += value - sell_fee
        self._accounts[EXCHANGE].cash += buy_fee + sell_fee
        self._accounts[seller].holdings[instrument].held -= qty
        bought = self._accounts[buyer].holdings[instrument]
        bought.bidding -= qty
        if rules[Rule.UNITS_T_PLUS]:
            bought.locked += qty
        else:
            bought.available += qty
