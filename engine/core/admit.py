"""The ladder of checks. Each function returns the first reason that applies, in ascending number, or NONE (0).

Numbers of `RejectReason` ascend with the order of checking; a check that cannot be evaluated (the funds behind an
unknown order) is passed. Nothing in here changes state, so a rejected command leaves no trace.
"""

import numpy as np

from engine.codes import (
    NONE,
    ClickChoice,
    CommandKind,
    OrdType,
    Phase,
    RejectReason,
    Rule,
    SelfTrade,
    Side,
    TimeInForce,
    TradingMode,
)
from engine.core.accounts import gross, is_open, lacks_cash, lacks_funds, lacks_units
from engine.core.book import best_price, first_at, is_better, next_price, slot_of, within_best
from engine.core.emit import opposite
from engine.core.state import (
    FILLED_ID,
    GONE_ID,
    NIL,
    Account,
    Ask,
    Instrument,
    Market,
    Order,
    Part,
    accounts_of,
    instruments_of,
    market_of,
    orders_of,
    rules_of,
)
from engine.jit import kernel

MAX_QTY_T = 10**12
"""No command may name more tonnes."""
MAX_AMOUNT_FEN = 10**17
"""No command may name more cash."""
MAX_CASH_FEN = 2**61
"""Cash in the whole exchange stays below this, so no balance and no sum can overflow."""
MAX_UNITS_T = 10**13
MAX_VALUE_FEN = 2**61
"""Value traded in one day and instrument."""


@kernel
def refuse_dead(slot: int) -> int:
    """Rungs 6010 to 6030 for what `slot_of` has found."""
    if slot == FILLED_ID:
        return RejectReason.TOO_LATE_FILLED
    if slot == GONE_ID:
        return RejectReason.ALREADY_CANCELLED
    if slot == NIL:
        return RejectReason.UNKNOWN_ORDER
    return RejectReason.NONE


@kernel
def crosses(side: int, limit_fen: int, resting_fen: int) -> bool:
    """Whether a taker of `side` with this limit (NONE = any price) accepts the resting price."""
    return limit_fen == NONE or limit_fen == resting_fen or is_better(side, limit_fen, resting_fen)


@kernel
def reach(state: np.ndarray, instrument: int, side: int, limit_fen: int, qty: int, levels: int, account: int) -> int:
    """Walk what a taker would meet now: within its limit, the best `levels` prices and its quantity.

    Returns the tonnes it would get; leaves what it would pay in MARKET's REACH_COST and whether it would meet its own
    resting order in REACH_SELF. Under CANCEL_MAKER its own orders are passed over.
    """
    market = market_of(state)
    orders = orders_of(state)
    skips_own = rules_of(state)[instrument, Rule.SELF_TRADE] == SelfTrade.CANCEL_MAKER
    resting = opposite(side)
    price = best_price(state, instrument, resting)
    left, cost, meets_self = qty, 0, 0
    while left > 0 and levels > 0 and price != 0 and crosses(side, limit_fen, price):
        slot = first_at(state, instrument, resting, price)
        while slot != NIL and left > 0:
            own = orders[slot, Order.ACCOUNT] == account
            if own:
                meets_self = 1
            if not (own and skips_own):
                fill = min(left, orders[slot, Order.LEAVES])
                cost += fill * gross(state, instrument, rules_of(state)[instrument, Rule.MODE], price)
                left -= fill
            slot = orders[slot, Order.NEXT]
        price = next_price(state, instrument, resting, price)
        levels -= 1
    market[Market.REACH_COST] = cost
    market[Market.REACH_SELF] = meets_self
    return qty - left


@kernel
def replaced_price(state: np.ndarray, ask: np.ndarray, slot: int) -> int:
    """Price of the order after the REPLACE, fen."""
    return orders_of(state)[slot, Order.PRICE] if ask[Ask.PRICE_FEN] == NONE else ask[Ask.PRICE_FEN]


@kernel
def replaced_leaves(state: np.ndarray, ask: np.ndarray, slot: int) -> int:
    """Open quantity of the order after the REPLACE (new total minus filled), t."""
    order = orders_of(state)[slot]
    return order[Order.LEAVES] if ask[Ask.QTY] == NONE else ask[Ask.QTY] - order[Order.FILLED]


@kernel
def click_price(state: np.ndarray, ask: np.ndarray, slot: int) -> int:
    """Price at which a click is funded, fen: that of the clicked listing, else the taker's limit."""
    return orders_of(state)[slot, Order.PRICE] if slot > NIL else ask[Ask.PRICE_FEN]


@kernel
def _target_slot(state: np.ndarray, ask: np.ndarray) -> int:
    """Slot of the order or proposal a command names; NIL also when it is of the wrong kind for the command."""
    if ask[Ask.TARGET_ID] == NONE:
        return NIL
    slot = slot_of(state, ask[Ask.TARGET_ID])
    if slot <= NIL:
        return slot
    order = orders_of(state)[slot]
    kind = ask[Ask.KIND]
    answers = kind == CommandKind.CONFIRM or kind == CommandKind.DECLINE
    if (order[Order.MODE] == TradingMode.BLOCK) != answers:
        return NIL
    if kind == CommandKind.CLICK:
        if order[Order.SIDE] == ask[Ask.SIDE] or order[Order.INSTRUMENT] != ask[Ask.INSTRUMENT]:
            return NIL
    return slot


@kernel
def _refuse_syntax(state: np.ndarray, ask: np.ndarray) -> int:
    """Rungs 2040 to 2090 of the trading commands."""
    kind, side, qty, price = ask[Ask.KIND], ask[Ask.SIDE], ask[Ask.QTY], ask[Ask.PRICE_FEN]
    enters = kind == CommandKind.NEW or kind == CommandKind.CLICK or kind == CommandKind.PROPOSE
    if enters and side != Side.BUY and side != Side.SELL:
        return RejectReason.UNKNOWN_TYPE
    needs_price = kind == CommandKind.PROPOSE or (kind == CommandKind.CLICK and ask[Ask.TARGET_ID] == NONE)
    if kind == CommandKind.NEW:
        ord_type, tif = ask[Ask.ORD_TYPE], ask[Ask.TIF]
        if ord_type != OrdType.LIMIT and ord_type != OrdType.MARKET:
            return RejectReason.UNKNOWN_TYPE
        if tif != TimeInForce.DAY and tif != TimeInForce.IOC and tif != TimeInForce.FOK:
            return RejectReason.UNKNOWN_TYPE
        needs_price = ord_type == OrdType.LIMIT
    if (enters and qty == NONE) or (needs_price and price == NONE):
        return RejectReason.MISSING_FIELD
    if (not enters and ask[Ask.TARGET_ID] == NONE) or (kind == CommandKind.PROPOSE and ask[Ask.CONTRA] == NONE):
        return RejectReason.MISSING_FIELD
    if qty != NONE and not 0 <= qty <= MAX_QTY_T:
        return RejectReason.OUT_OF_RANGE
    if not is_open(state, ask[Ask.ACCOUNT]):
        return RejectReason.UNKNOWN_ACCOUNT
    if kind == CommandKind.PROPOSE and not is_open(state, ask[Ask.CONTRA]):
        return RejectReason.UNKNOWN_ACCOUNT
    return RejectReason.NONE


@kernel
def _refuse_market(state: np.ndarray, ask: np.ndarray, instrument: int) -> int:
    """Rungs 3010 to 3070 of the trading commands."""
    if not 0 <= instrument < state[Part.INSTRUMENT_COUNT]:
        return RejectReason.UNKNOWN_SYMBOL
    kind, phase = ask[Ask.KIND], market_of(state)[Market.PHASE]
    rules = rules_of(state)[instrument]
    if not (rules[Rule.PERMITS + phase] >> kind) & 1:
        if phase == Phase.CLOSED:
            return RejectReason.MARKET_CLOSED
        return RejectReason.HALTED if phase == Phase.HALTED else RejectReason.WRONG_PHASE
    leaves = kind == CommandKind.CANCEL or kind == CommandKind.DECLINE
    if rules[Rule.TRADABLE] == 0 and not leaves:
        return RejectReason.NOT_TRADABLE_TODAY
    if kind == CommandKind.NEW:
        types, times = rules[Rule.ORD_TYPES], rules[Rule.TIMES_IN_FORCE]
        if not ((types >> ask[Ask.ORD_TYPE]) & 1 and (times >> ask[Ask.TIF]) & 1):
            return RejectReason.NOT_OFFERED
    if kind == CommandKind.CLICK and rules[Rule.MODE] != TradingMode.LISTED:
        return RejectReason.NOT_OFFERED
    if kind == CommandKind.PROPOSE and rules[Rule.BLOCK_MIN_QTY_T] == NONE:
        return RejectReason.NOT_OFFERED
    participant = accounts_of(state)[ask[Ask.ACCOUNT], Account.PARTICIPANT]
    if not leaves and not (rules[Rule.PARTICIPANTS] >> participant) & 1:
        return RejectReason.NOT_ADMITTED
    return RejectReason.NONE


@kernel
def _refuse_size(state: np.ndarray, ask: np.ndarray, instrument: int, price_fen: int) -> int:
    """Rungs 4010 to 4060; an absent price or quantity passes. Limits and sizes of blocks are rungs 8040 and 8050."""
    rules, day = rules_of(state)[instrument], instruments_of(state)[instrument]
    qty, on_screen = ask[Ask.QTY], ask[Ask.KIND] != CommandKind.PROPOSE
    if price_fen != NONE:
        if on_screen and price_fen > day[Instrument.LIMIT_HIGH]:
            return RejectReason.PRICE_ABOVE_LIMIT
        if on_screen and price_fen < day[Instrument.LIMIT_LOW]:
            return RejectReason.PRICE_BELOW_LIMIT
        if price_fen % rules[Rule.TICK_FEN] != 0:
            return RejectReason.BAD_TICK
    if qty != NONE:
        if qty % rules[Rule.LOT_T] != 0:
            return RejectReason.BAD_LOT
        if on_screen and qty > rules[Rule.SCREEN_MAX_QTY_T]:
            return RejectReason.QTY_TOO_LARGE
        if on_screen and day[Instrument.DAY_VALUE] + day[Instrument.LIMIT_HIGH] * qty > MAX_VALUE_FEN:
            return RejectReason.QTY_TOO_LARGE
        if qty == 0:
            return RejectReason.QTY_ZERO
    return RejectReason.NONE


@kernel
def _would_cross(state: np.ndarray, instrument: int, side: int, price_fen: int) -> bool:
    """Whether a listing would meet the other side where the rulebook does not want that."""
    rules = rules_of(state)[instrument]
    if rules[Rule.MODE] != TradingMode.LISTED or rules[Rule.CROSSED_LISTINGS] == 1:
        return False
    best = best_price(state, instrument, opposite(side))
    return best != 0 and crosses(side, price_fen, best)


@kernel
def _refuse_screen(state: np.ndarray, ask: np.ndarray, instrument: int, price_fen: int, slot: int) -> int:
    """Rungs 4070 to 6080 of NEW, CLICK, REPLACE and CANCEL."""
    rules, orders = rules_of(state)[instrument], orders_of(state)
    kind, account, side, qty = ask[Ask.KIND], ask[Ask.ACCOUNT], ask[Ask.SIDE], ask[Ask.QTY]
    crossing, levels = rules[Rule.MODE] == TradingMode.CONTINUOUS, MAX_QTY_T
    cash = 0
    if kind == CommandKind.NEW:
        cash = gross(state, instrument, rules[Rule.MODE], price_fen) * qty
    elif kind == CommandKind.CLICK:
        levels = rules[Rule.CLICK_LEVELS]
        if slot > NIL and not within_best(state, instrument, opposite(side), orders[slot, Order.PRICE], levels):
            return RejectReason.PRICE_OUTSIDE_BEST5
        if slot > NIL and rules[Rule.CLICK_CHOICE] == ClickChoice.OLDEST and orders[slot, Order.PREV] != NIL:
            return RejectReason.LISTING_NOT_OLDEST
        cash = gross(state, instrument, rules[Rule.MODE], click_price(state, ask, slot)) * qty
        if slot < NIL or (slot == NIL and ask[Ask.TARGET_ID] != NONE):
            return refuse_dead(slot)
        crossing = slot == NIL
    else:
        if slot <= NIL:
            return refuse_dead(slot)
        if orders[slot, Order.ACCOUNT] != account:
            return RejectReason.NOT_OWNER
        if kind == CommandKind.CANCEL:
            return RejectReason.NONE
        side, price_fen = orders[slot, Order.SIDE], replaced_price(state, ask, slot)
        new_leaves = replaced_leaves(state, ask, slot)
        qty = new_leaves - orders[slot, Order.LEAVES]
        mode, old_price = orders[slot, Order.MODE], orders[slot, Order.PRICE]
        cash = gross(state, instrument, mode, price_fen) * new_leaves
        cash -= gross(state, instrument, mode, old_price) * orders[slot, Order.LEAVES]
    if kind != CommandKind.CLICK and _would_cross(state, instrument, side, price_fen):
        return RejectReason.WOULD_CROSS
    reachable = qty
    is_fok = kind == CommandKind.NEW and ask[Ask.TIF] == TimeInForce.FOK
    if crossing and (price_fen == NONE or is_fok or rules[Rule.SELF_TRADE] == SelfTrade.REJECT_TAKER):
        wanted = replaced_leaves(state, ask, slot) if kind == CommandKind.REPLACE else qty
        reachable = reach(state, instrument, side, price_fen, wanted, levels, account)
        if price_fen == NONE:
            cash = market_of(state)[Market.REACH_COST]
    reason = lacks_funds(state, account, instrument, side, cash, qty)
    if reason != RejectReason.NONE:
        return reason
    if rules[Rule.SELF_TRADE] == SelfTrade.REJECT_TAKER:
        meets_self = crossing and market_of(state)[Market.REACH_SELF] == 1
        if meets_self or (kind == CommandKind.CLICK and slot > NIL and orders[slot, Order.ACCOUNT] == account):
            return RejectReason.SELF_TRADE
    if kind == CommandKind.REPLACE and replaced_leaves(state, ask, slot) <= 0:
        return RejectReason.REPLACE_BELOW_FILLED
    if is_fok and crossing and reachable < qty:
        return RejectReason.FOK_NOT_FILLABLE
    if kind == CommandKind.CLICK and slot > NIL and not crosses(side, price_fen, orders[slot, Order.PRICE]):
        return RejectReason.PRICE_CHANGED
    return RejectReason.NONE


@kernel
def _refuse_block(state: np.ndarray, ask: np.ndarray, instrument: int, slot: int) -> int:
    """Rungs 5010 to 8050 of PROPOSE, CONFIRM and DECLINE; funds are looked at when the counterparty confirms."""
    rules, day = rules_of(state)[instrument], instruments_of(state)[instrument]
    kind, account = ask[Ask.KIND], ask[Ask.ACCOUNT]
    if kind == CommandKind.PROPOSE:
        if ask[Ask.CONTRA] == account:
            return RejectReason.SELF_TRADE
        if ask[Ask.QTY] < rules[Rule.BLOCK_MIN_QTY_T]:
            return RejectReason.BLOCK_TOO_SMALL
        if not day[Instrument.BLOCK_LOW] <= ask[Ask.PRICE_FEN] <= day[Instrument.BLOCK_HIGH]:
            return RejectReason.BLOCK_PRICE_LIMIT
        return RejectReason.NONE
    if slot <= NIL:
        return RejectReason.UNKNOWN_PROPOSAL
    order = orders_of(state)[slot]
    withdraws = kind == CommandKind.DECLINE and order[Order.ACCOUNT] == account
    if order[Order.CONTRA] != account and not withdraws:
        return RejectReason.NOT_COUNTERPARTY
    if kind == CommandKind.DECLINE:
        return RejectReason.NONE
    if order[Order.UNTIL_NS] != NONE and ask[Ask.TIME_NS] >= order[Order.UNTIL_NS]:
        return RejectReason.PROPOSAL_EXPIRED
    qty, side = order[Order.LEAVES], order[Order.SIDE]
    cash = gross(state, instrument, TradingMode.BLOCK, order[Order.PRICE]) * qty
    buyer, seller = account, order[Order.ACCOUNT]
    if side == Side.BUY:
        buyer, seller = seller, buyer
    reason = lacks_funds(state, buyer, instrument, Side.BUY, cash, qty)
    if reason != RejectReason.NONE:
        return reason
    return lacks_funds(state, seller, instrument, Side.SELL, cash, qty)


@kernel
def _refuse_head(state: np.ndarray, ask: np.ndarray, instrument: int, price_fen: int) -> int:
    """Rungs 2040 to 4060 of the trading commands."""
    reason = _refuse_syntax(state, ask)
    if reason == RejectReason.NONE:
        reason = _refuse_market(state, ask, instrument)
    kind = ask[Ask.KIND]
    enters = kind == CommandKind.NEW or kind == CommandKind.CLICK or kind == CommandKind.PROPOSE
    if reason == RejectReason.NONE and (enters or kind == CommandKind.REPLACE):
        reason = _refuse_size(state, ask, instrument, price_fen)
    return reason


@kernel
def refuse_screen(state: np.ndarray, ask: np.ndarray) -> int:
    """Why a NEW, CANCEL, REPLACE or CLICK is refused, or NONE: the whole ladder, top to bottom."""
    kind, instrument, price = ask[Ask.KIND], ask[Ask.INSTRUMENT], ask[Ask.PRICE_FEN]
    if kind == CommandKind.NEW and ask[Ask.ORD_TYPE] == OrdType.MARKET:
        price = NONE
    slot = _target_slot(state, ask)
    if kind == CommandKind.CANCEL or kind == CommandKind.REPLACE:
        instrument = orders_of(state)[max(slot, NIL), Order.INSTRUMENT]
    reason = _refuse_head(state, ask, instrument, price)
    return reason if reason != RejectReason.NONE else _refuse_screen(state, ask, instrument, price, slot)


@kernel
def refuse_block(state: np.ndarray, ask: np.ndarray) -> int:
    """Why a PROPOSE, CONFIRM or DECLINE is refused, or NONE: the whole ladder, top to bottom."""
    instrument, slot = ask[Ask.INSTRUMENT], _target_slot(state, ask)
    if ask[Ask.KIND] != CommandKind.PROPOSE:
        instrument = orders_of(state)[max(slot, NIL), Order.INSTRUMENT]
    reason = _refuse_head(state, ask, instrument, ask[Ask.PRICE_FEN])
    return reason if reason != RejectReason.NONE else _refuse_block(state, ask, instrument, slot)


@kernel
def refuse_cash(state: np.ndarray, ask: np.ndarray) -> int:
    """DEPOSIT, WITHDRAW and FINE: a positive amount and an open account; what goes out must be there."""
    amount, account, kind = ask[Ask.AMOUNT_FEN], ask[Ask.ACCOUNT], ask[Ask.KIND]
    if amount == NONE:
        return RejectReason.MISSING_FIELD
    if amount <= 0 or amount > MAX_AMOUNT_FEN:
        return RejectReason.OUT_OF_RANGE
    if kind == CommandKind.DEPOSIT and market_of(state)[Market.CASH_IN_FEN] + amount > MAX_CASH_FEN:
        return RejectReason.OUT_OF_RANGE
    if not is_open(state, account):
        return RejectReason.UNKNOWN_ACCOUNT
    if kind != CommandKind.DEPOSIT and lacks_cash(state, account, amount):
        return RejectReason.INSUFFICIENT_CASH
    return RejectReason.NONE


@kernel
def refuse_units(state: np.ndarray, ask: np.ndarray) -> int:
    """ISSUE, SURRENDER and DEDUCT: a positive quantity of a known instrument; what goes out must be there."""
    qty, account, kind = ask[Ask.QTY], ask[Ask.ACCOUNT], ask[Ask.KIND]
    instrument = ask[Ask.INSTRUMENT]
    known = 0 <= instrument < state[Part.INSTRUMENT_COUNT]
    if qty == NONE:
        return RejectReason.MISSING_FIELD
    if qty <= 0 or qty > MAX_QTY_T:
        return RejectReason.OUT_OF_RANGE
    if kind == CommandKind.ISSUE and known:
        if instruments_of(state)[instrument, Instrument.UNITS_ISSUED] + qty > MAX_UNITS_T:
            return RejectReason.OUT_OF_RANGE
    if not is_open(state, account):
        return RejectReason.UNKNOWN_ACCOUNT
    if not known:
        return RejectReason.UNKNOWN_SYMBOL
    if kind == CommandKind.ISSUE:
        return RejectReason.NONE
    return lacks_units(state, account, instrument, qty)
