"""Why a NEW, CANCEL, REPLACE or CLICK is refused: rungs 4010 to 6080, after the head of the ladder in `admit.py`."""

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
    TimeInForce,
    TradingMode,
)
from engine.core.accounts import gross, lacks_funds
from engine.core.admit import (
    MAX_QTY_T,
    instrument_of,
    refuse_dead,
    refuse_head,
    refuse_price,
    refuse_qty,
    target_slot,
)
from engine.core.book import best_price, first_at, is_better, next_price, within_best
from engine.core.emit import opposite
from engine.core.state import NIL, Ask, Instrument, Market, instruments_of, market_of, orders_of, rules_of
from engine.jit import kernel


@kernel
def crosses(side: int, limit_fen: int, resting_fen: int) -> bool:
    """Whether a taker of `side` with this limit (NONE = any price) accepts the resting price."""
    return limit_fen == NONE or limit_fen == resting_fen or is_better(side, limit_fen, resting_fen)


@kernel
def reach(state: np.ndarray, instrument: int, side: int, limit_fen: int, qty: int, levels: int, account: int) -> int:
    """Walk what a taker would meet now: within its limit, the best `levels` prices and its quantity.

    Returns the tonnes it would get; leaves what it would pay in MARKET's REACH_COST and whether it would meet its own
    resting order in REACH_SELF. Its own orders are passed over under CANCEL_MAKER and end the walk under CANCEL_TAKER.
    """
    market = market_of(state)
    orders = orders_of(state)
    rule = rules_of(state)[instrument, Rule.SELF_TRADE]
    resting = opposite(side)
    price = best_price(state, instrument, resting)
    left, cost, meets_self = qty, 0, 0
    while left > 0 and levels > 0 and price != 0 and crosses(side, limit_fen, price):
        slot = first_at(state, instrument, resting, price)
        while slot != NIL and left > 0:
            own = orders[slot]["account"] == account
            if own:
                meets_self = 1
                if rule == SelfTrade.CANCEL_TAKER:
                    levels = 0
                    break
            if not (own and rule == SelfTrade.CANCEL_MAKER):
                fill = min(left, orders[slot]["leaves_qty"])
                cost += fill * gross(state, instrument, rules_of(state)[instrument, Rule.MODE], price)
                left -= fill
            slot = orders[slot]["next"]
        price = next_price(state, instrument, resting, price)
        levels -= 1
    market[Market.REACH_COST] = cost
    market[Market.REACH_SELF] = meets_self
    return qty - left


@kernel
def replaced_price(state: np.ndarray, ask: Ask, slot: int) -> int:
    """Price of the order after the REPLACE, fen."""
    return orders_of(state)[slot]["price_fen"] if ask.price_fen == NONE else ask.price_fen


@kernel
def replaced_leaves(state: np.ndarray, ask: Ask, slot: int) -> int:
    """Open quantity of the order after the REPLACE (new total minus filled), t."""
    order = orders_of(state)[slot]
    return order["leaves_qty"] if ask.qty == NONE else ask.qty - order["filled_qty"]


@kernel
def click_price(state: np.ndarray, ask: Ask, slot: int) -> int:
    """Price at which a click is funded, fen: that of the clicked listing, else the taker's limit."""
    return orders_of(state)[slot]["price_fen"] if slot > NIL else ask.price_fen


@kernel
def asked_price(state: np.ndarray, ask: Ask) -> int:
    """The price a command means, fen: NONE for a market order, the other side's best for a market-to-limit one.

    The side and the instrument of a NEW have been looked at.
    """
    if ask.kind != CommandKind.NEW or ask.ord_type == OrdType.LIMIT:
        return ask.price_fen + 0
    best = 0
    if ask.ord_type == OrdType.MARKET_TO_LIMIT:
        best = best_price(state, ask.instrument, opposite(ask.side))
    return NONE if best == 0 else best


@kernel
def _refuse_size(state: np.ndarray, ask: Ask, instrument: int) -> int:
    """Rungs 4010 to 4060 of a NEW, REPLACE or CLICK."""
    if ask.kind == CommandKind.CANCEL:
        return RejectReason.NONE
    day, rules = instruments_of(state)[instrument], rules_of(state)[instrument]
    low, high = day[Instrument.LIMIT_LOW], day[Instrument.LIMIT_HIGH]
    reason = refuse_price(state, instrument, asked_price(state, ask), low, high)
    if reason != RejectReason.NONE:
        return reason
    return refuse_qty(state, instrument, ask.qty, rules[Rule.LOT_T], rules[Rule.SCREEN_MAX_QTY_T], high)


@kernel
def _would_cross(state: np.ndarray, ask: Ask, instrument: int, side: int, price_fen: int) -> bool:
    """Whether it would meet the other side where the order or the rulebook does not want that."""
    kind, rules = ask.kind, rules_of(state)[instrument]
    if kind == CommandKind.CLICK:
        return False
    listed = rules[Rule.MODE] == TradingMode.LISTED and rules[Rule.CROSSED_LISTINGS] == 0
    if not listed and not (kind == CommandKind.NEW and ask.flags != 0):
        return False
    best = best_price(state, instrument, opposite(side))
    return best != 0 and crosses(side, price_fen, best)


@kernel
def _refuse_click(state: np.ndarray, ask: Ask, instrument: int, slot: int) -> int:
    """Rungs 4070 and 4080: which listing may be clicked."""
    if ask.kind != CommandKind.CLICK or slot <= NIL:
        return RejectReason.NONE
    rules, orders = rules_of(state)[instrument], orders_of(state)
    levels, side = rules[Rule.CLICK_LEVELS], orders[slot]["side"]
    if not within_best(state, instrument, side, orders[slot]["price_fen"], levels):
        return RejectReason.PRICE_OUTSIDE_BEST5
    if rules[Rule.CLICK_CHOICE] == ClickChoice.OLDEST and orders[slot]["prev"] != NIL:
        return RejectReason.LISTING_NOT_OLDEST
    return RejectReason.NONE


@kernel
def _refuse_taker(
    state: np.ndarray,
    ask: Ask,
    instrument: int,
    side: int,
    price_fen: int,
    cash_fen: int,
    qty: int,
    wanted: int,
    slot: int,
) -> int:
    """Rungs 5010 to 6080: funds, oneself, and what could be had now.

    `qty` is what must be there beside what is held already, `wanted` what the order would take, `slot` the clicked
    listing or the replaced order (NIL: none).
    """
    rules, orders = rules_of(state)[instrument], orders_of(state)
    kind, account = ask.kind, ask.account
    clicks = kind == CommandKind.CLICK
    levels = rules[Rule.CLICK_LEVELS] if clicks else MAX_QTY_T
    crossing = rules[Rule.MODE] == TradingMode.CONTINUOUS and market_of(state)[Market.PHASE] != Phase.CALL
    crossing = crossing or (clicks and slot == NIL)
    is_fok = kind == CommandKind.NEW and ask.tif == TimeInForce.FOK
    least = ask.min_qty if kind == CommandKind.NEW else NONE
    rule, reachable = rules[Rule.SELF_TRADE], wanted
    if crossing and (price_fen == NONE or is_fok or least != NONE or rule == SelfTrade.REJECT_TAKER):
        reachable = reach(state, instrument, side, price_fen, wanted, levels, account)
        if price_fen == NONE:
            cash_fen = market_of(state)[Market.REACH_COST]
    reason = lacks_funds(state, account, instrument, side, cash_fen, qty)
    if reason != RejectReason.NONE:
        return reason
    own_listing = clicks and slot > NIL and orders[slot]["account"] == account
    if own_listing and (rule == SelfTrade.REJECT_TAKER or rule == SelfTrade.CANCEL_TAKER):
        return RejectReason.SELF_TRADE
    if crossing and rule == SelfTrade.REJECT_TAKER and market_of(state)[Market.REACH_SELF] == 1:
        return RejectReason.SELF_TRADE
    if kind == CommandKind.REPLACE and wanted <= 0:
        return RejectReason.REPLACE_BELOW_FILLED
    if is_fok and crossing and reachable < wanted:
        return RejectReason.FOK_NOT_FILLABLE
    if least != NONE and crossing and reachable < least:
        return RejectReason.MIN_QTY_NOT_FILLABLE
    if clicks and slot > NIL and not crosses(side, price_fen, orders[slot]["price_fen"]):
        return RejectReason.PRICE_CHANGED
    return RejectReason.NONE


@kernel
def refuse_screen(state: np.ndarray, ask: Ask) -> int:
    """Why a NEW, CANCEL, REPLACE or CLICK is refused, or NONE: the whole ladder, top to bottom."""
    slot, orders = target_slot(state, ask), orders_of(state)
    kind, instrument, side, qty = ask.kind, ask.instrument, ask.side, ask.qty
    reason = refuse_head(state, ask, slot)
    if reason == RejectReason.NONE:
        reason = _refuse_size(state, ask, instrument_of(state, ask, slot))
    if reason == RejectReason.NONE:
        reason = _refuse_click(state, ask, instrument, slot)
    if reason != RejectReason.NONE:
        return reason
    if slot <= NIL and (kind == CommandKind.CANCEL or kind == CommandKind.REPLACE or ask.target_id != NONE):
        if kind != CommandKind.NEW:
            return refuse_dead(slot)
    if kind == CommandKind.CANCEL or kind == CommandKind.REPLACE:
        if orders[slot]["account"] != ask.account:
            return RejectReason.NOT_OWNER
        if kind == CommandKind.CANCEL:
            return RejectReason.NONE
        instrument, side, mode = orders[slot]["instrument"], orders[slot]["side"], orders[slot]["mode"]
        price, wanted = replaced_price(state, ask, slot), replaced_leaves(state, ask, slot)
        cash = gross(state, instrument, mode, price) * wanted
        cash -= gross(state, instrument, mode, orders[slot]["price_fen"]) * orders[slot]["leaves_qty"]
        qty = wanted - orders[slot]["leaves_qty"]
    else:
        slot = slot if kind == CommandKind.CLICK else NIL
        price, wanted = asked_price(state, ask), qty
        funded_at = click_price(state, ask, slot) if kind == CommandKind.CLICK else price
        cash = gross(state, instrument, rules_of(state)[instrument, Rule.MODE], funded_at) * qty
    if _would_cross(state, ask, instrument, side, price):
        return RejectReason.WOULD_CROSS
    if kind == CommandKind.NEW and ask.ord_type == OrdType.MARKET_TO_LIMIT and price == NONE:
        return RejectReason.NO_OPPOSITE_PRICE
    return _refuse_taker(state, ask, instrument, side, price, cash, qty, wanted, slot)
