"""Continuous trading 连续竞价: NEW, REPLACE, CANCEL on the screen; crossing by price, then time.

A listed market uses the same entry, replacement and cancellation; it only never crosses by itself (`listed.py` takes).
The caller has admitted the command and made room for its worst-case events.
"""

import numpy as np

from engine.codes import (
    NONE,
    EventKind,
    OrdType,
    Rule,
    SelfTrade,
    Side,
    TimeInForce,
    TradingMode,
)
from engine.core.accounts import deliver, gross, hold
from engine.core.admit import crosses, replaced_leaves, replaced_price
from engine.core.book import best_price, first_at, free_slot, remember, rest, slot_of, take_slot, unlink
from engine.core.emit import emit, emit_order, emit_trade, opposite
from engine.core.prices import note_trade, trade_price
from engine.core.state import (
    Ask,
    Market,
    Order,
    market_of,
    orders_of,
    rules_of,
)
from engine.jit import kernel


@kernel
def fill(
    state: np.ndarray,
    events: np.ndarray,
    ask: np.ndarray,
    order_id: int,
    account: int,
    side: int,
    held_price_fen: int,
    qty: int,
    leaves_qty: int,
    maker: int,
) -> None:
    """Trade `qty` of taker `order_id` with the screen order in slot `maker`, at the price of `prices.trade_price`.

    `held_price_fen` is the price at which the taker's cash was held (NONE: at the trade price). `leaves_qty` is what
    the taker has left after this fill.
    """
    orders = orders_of(state)
    resting = orders[maker, Order.PRICE]
    instrument, mode = orders[maker, Order.INSTRUMENT], orders[maker, Order.MODE]
    price = trade_price(state, instrument, held_price_fen, resting)
    orders[maker, Order.LEAVES] -= qty
    orders[maker, Order.FILLED] += qty
    emit_trade(state, events, ask, order_id, account, side, price, qty, leaves_qty, maker)
    note_trade(state, instrument, price, qty)
    if side == Side.BUY:
        held = price if held_price_fen == NONE else held_price_fen
        deliver(state, instrument, mode, account, orders[maker, Order.ACCOUNT], held, price, qty)
    else:
        deliver(state, instrument, mode, orders[maker, Order.ACCOUNT], account, resting, price, qty)
    if orders[maker, Order.LEAVES] == 0:
        unlink(state, maker)
        free_slot(state, maker, True)


@kernel
def remove(state: np.ndarray, events: np.ndarray, ask: np.ndarray, slot: int, kind: int) -> None:
    """A screen order leaves the book without trading: CANCELED or EXPIRED, its hold is released."""
    orders = orders_of(state)
    row = emit_order(state, events, ask, kind, slot)
    if kind == EventKind.EXPIRED:
        events[row]["client_ref"] = orders[slot, Order.CLIENT_REF]
    qty = orders[slot, Order.LEAVES]
    hold(
        state, orders[slot, Order.ACCOUNT], orders[slot, Order.INSTRUMENT], orders[slot, Order.SIDE],
        -gross(state, orders[slot, Order.INSTRUMENT], orders[slot, Order.MODE], orders[slot, Order.PRICE]) * qty, -qty,
    )  # fmt: skip
    unlink(state, slot)
    free_slot(state, slot, False)


@kernel
def cross(
    state: np.ndarray,
    events: np.ndarray,
    ask: np.ndarray,
    order_id: int,
    account: int,
    instrument: int,
    side: int,
    limit_fen: int,
    qty: int,
) -> int:
    """Take resting orders, best price first, then oldest first. Returns the tonnes left over."""
    orders = orders_of(state)
    resting = opposite(side)
    cancel_maker = rules_of(state)[instrument, Rule.SELF_TRADE] == SelfTrade.CANCEL_MAKER
    price = best_price(state, instrument, resting)
    while qty > 0 and price != 0 and crosses(side, limit_fen, price):
        maker = first_at(state, instrument, resting, price)
        if cancel_maker and orders[maker, Order.ACCOUNT] == account:
            remove(state, events, ask, maker, EventKind.CANCELED)
        else:
            traded = min(qty, orders[maker, Order.LEAVES])
            qty -= traded
            fill(state, events, ask, order_id, account, side, limit_fen, traded, qty, maker)
        price = best_price(state, instrument, resting)
    return qty


@kernel
def enter(state: np.ndarray, events: np.ndarray, ask: np.ndarray) -> None:
    """NEW: accept, cross where the market crosses, rest or cancel what is left."""
    order_id = market_of(state)[Market.COMMAND_SEQ]
    account, instrument = ask[Ask.ACCOUNT], ask[Ask.INSTRUMENT]
    side, qty, limit = ask[Ask.SIDE], ask[Ask.QTY], ask[Ask.PRICE_FEN]
    mode = rules_of(state)[instrument, Rule.MODE]
    is_market = ask[Ask.ORD_TYPE] == OrdType.MARKET
    if is_market:
        limit = NONE
    cash = market_of(state)[Market.REACH_COST] if is_market else gross(state, instrument, mode, limit) * qty
    hold(state, account, instrument, side, cash, qty)
    emit(state, events, ask, EventKind.ACCEPTED, order_id, account, instrument, side, mode, limit, qty, qty)
    leaves = qty
    if mode == TradingMode.CONTINUOUS:
        leaves = cross(state, events, ask, order_id, account, instrument, side, limit, qty)
    if leaves == 0:
        remember(state, order_id, True)
        return
    if is_market or ask[Ask.TIF] != TimeInForce.DAY:
        cash = 0 if is_market else gross(state, instrument, mode, limit) * leaves
        hold(state, account, instrument, side, -cash, -leaves)
        emit(
            state,
            events,
            ask,
            EventKind.CANCELED,
            order_id,
            account,
            instrument,
            side,
            mode,
            limit,
            qty,
            leaves,
        )
        remember(state, order_id, False)
        return
    orders = orders_of(state)
    slot = take_slot(state, order_id)
    orders[slot, Order.LEAVES] = leaves
    orders[slot, Order.FILLED] = qty - leaves
    orders[slot, Order.ACCOUNT] = account
    orders[slot, Order.PRICE] = limit
    orders[slot, Order.SIDE] = side
    orders[slot, Order.INSTRUMENT] = instrument
    orders[slot, Order.MODE] = mode
    orders[slot, Order.CONTRA] = NONE
    orders[slot, Order.UNTIL_NS] = NONE
    orders[slot, Order.CLIENT_REF] = ask[Ask.CLIENT_REF]
    rest(state, slot)


@kernel
def cancel(state: np.ndarray, events: np.ndarray, ask: np.ndarray) -> None:
    """CANCEL an admitted order."""
    slot = slot_of(state, ask[Ask.TARGET_ID])
    remove(state, events, ask, slot, EventKind.CANCELED)


@kernel
def replace(state: np.ndarray, events: np.ndarray, ask: np.ndarray) -> None:
    """REPLACE: less or the same at the same price keeps its place, anything else queues (and crosses) anew."""
    orders = orders_of(state)
    slot = slot_of(state, ask[Ask.TARGET_ID])
    price, leaves = replaced_price(state, ask, slot), replaced_leaves(state, ask, slot)
    old_price, old_leaves = orders[slot, Order.PRICE], orders[slot, Order.LEAVES]
    account, instrument, side = (
        orders[slot, Order.ACCOUNT],
        orders[slot, Order.INSTRUMENT],
        orders[slot, Order.SIDE],
    )
    mode = orders[slot, Order.MODE]
    cash = gross(state, instrument, mode, price) * leaves - gross(state, instrument, mode, old_price) * old_leaves
    hold(state, account, instrument, side, cash, leaves - old_leaves)
    keeps_place = price == old_price and leaves <= old_leaves
    if not keeps_place:
        unlink(state, slot)
    orders[slot, Order.PRICE] = price
    orders[slot, Order.LEAVES] = leaves
    emit_order(state, events, ask, EventKind.REPLACED, slot)
    if keeps_place:
        return
    if mode == TradingMode.CONTINUOUS:
        order_id = orders[slot, Order.ID]
        left = cross(state, events, ask, order_id, account, instrument, side, price, leaves)
        orders[slot, Order.LEAVES] = left
        orders[slot, Order.FILLED] += leaves - left
        if left == 0:
            free_slot(state, slot, True)
            return
    rest(state, slot)
