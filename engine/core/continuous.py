"""Continuous trading 连续竞价: NEW, REPLACE, CANCEL on the screen; crossing by price, then time.

A listed market uses the same entry, replacement and cancellation; it only never crosses by itself (`listed.py` takes).
Nor does a call auction while orders gather (`call.py` trades). The caller has admitted the command and made room for
its worst-case events.
"""

import numpy as np

from engine.codes import (
    NONE,
    EventKind,
    OrdType,
    Phase,
    Role,
    Rule,
    SelfTrade,
    TimeInForce,
    TradingMode,
)
from engine.core.accounts import gross, hold, hold_at
from engine.core.admit_screen import crosses, replaced_leaves, replaced_price
from engine.core.book import best_price, first_at, free_slot, remember, rest, slot_of, unlink
from engine.core.emit import emit, emit_order, opposite
from engine.core.living import place, remove, trade
from engine.core.prices import BASIS, last_price, trade_price
from engine.core.state import FOREVER, Ask, Instrument, Market, instruments_of, market_of, orders_of, rules_of
from engine.jit import kernel

SECOND_NS = 10**9


@kernel
def fill(
    state: np.ndarray,
    events: np.ndarray,
    ask: Ask,
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
    instrument, mode = orders[maker]["instrument"], orders[maker]["mode"]
    price = trade_price(state, instrument, held_price_fen, orders[maker]["price_fen"])
    held = price if held_price_fen == NONE else held_price_fen
    trade(state, events, ask, order_id, account, side, mode, held, price, qty, leaves_qty, maker)
    if orders[maker]["leaves_qty"] == 0:
        unlink(state, maker)
        free_slot(state, maker, True)


@kernel
def cross(
    state: np.ndarray,
    events: np.ndarray,
    ask: Ask,
    order_id: int,
    account: int,
    instrument: int,
    side: int,
    mode: int,
    limit_fen: int,
    qty: int,
) -> int:
    """Take resting orders, best price first, then oldest first, where the screen crosses. Returns what is left, t.

    MARKET's MET_ITSELF says whether it stopped because it met its own order (`SelfTrade.CANCEL_TAKER`).
    """
    market, orders = market_of(state), orders_of(state)
    market[Market.MET_ITSELF] = 0
    if mode != TradingMode.CONTINUOUS or market[Market.PHASE] == Phase.CALL:
        return qty
    resting = opposite(side)
    rule = rules_of(state)[instrument, Rule.SELF_TRADE]
    price = best_price(state, instrument, resting)
    while qty > 0 and price != 0 and crosses(side, limit_fen, price):
        maker = first_at(state, instrument, resting, price)
        own = orders[maker]["account"] == account
        if own and rule == SelfTrade.CANCEL_TAKER:
            market[Market.MET_ITSELF] = 1
            return qty
        if own and rule == SelfTrade.CANCEL_MAKER:
            remove(state, events, ask, maker, EventKind.CANCELED)
        else:
            traded = min(qty, orders[maker]["leaves_qty"])
            qty -= traded
            fill(state, events, ask, order_id, account, side, limit_fen, traded, qty, maker)
        price = best_price(state, instrument, resting)
    return qty


@kernel
def enter(state: np.ndarray, events: np.ndarray, ask: Ask, mode: int) -> None:
    """NEW: accept, cross where the market crosses, rest or cancel what is left. `mode` is that of the screen."""
    order_id = market_of(state)[Market.COMMAND_SEQ]
    account, instrument = ask.account, ask.instrument
    side, qty, limit, tif = ask.side, ask.qty, ask.price_fen, ask.tif
    is_market = ask.ord_type == OrdType.MARKET
    if is_market:
        limit = NONE
    elif ask.ord_type == OrdType.MARKET_TO_LIMIT:
        limit = best_price(state, instrument, opposite(side))
    if is_market:
        hold(state, account, instrument, side, market_of(state)[Market.REACH_COST], qty)
    else:
        hold_at(state, account, instrument, side, mode, limit, qty)
    emit(state, events, ask, EventKind.ACCEPTED, order_id, account, instrument, side, mode, limit, qty, qty)
    leaves = cross(state, events, ask, order_id, account, instrument, side, mode, limit, qty)
    if leaves == 0:
        remember(state, order_id, True)
        return
    stays = tif != TimeInForce.IOC and tif != TimeInForce.FOK and market_of(state)[Market.MET_ITSELF] == 0
    if is_market or not stays:
        if is_market:
            hold(state, account, instrument, side, 0, -leaves)
        else:
            hold_at(state, account, instrument, side, mode, limit, -leaves)
        emit(
            state, events, ask, EventKind.CANCELED, order_id, account, instrument, side, mode, limit, qty, leaves,
        )  # fmt: skip
        remember(state, order_id, False)
        return
    slot = place(state, ask, Role.ORDER, instrument, side, mode, limit, leaves)
    order = orders_of(state)[slot]
    order["filled_qty"] = qty - leaves
    if tif == TimeInForce.GTC:
        order["until_ns"] = FOREVER
    elif tif == TimeInForce.GTD:
        order["until_ns"] = ask.until_ns
    rest(state, slot)


@kernel
def cancel(state: np.ndarray, events: np.ndarray, ask: Ask, slot: int) -> None:
    """CANCEL the order or offer in `slot`, which has been admitted."""
    remove(state, events, ask, slot, EventKind.CANCELED)


@kernel
def replace(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """REPLACE: less or the same at the same price keeps its place, anything else queues (and crosses) anew."""
    orders = orders_of(state)
    slot = slot_of(state, ask.target_id)
    price, leaves = replaced_price(state, ask, slot), replaced_leaves(state, ask, slot)
    old_price, old_leaves = orders[slot]["price_fen"], orders[slot]["leaves_qty"]
    account, instrument, side, mode = (
        orders[slot]["account"],
        orders[slot]["instrument"],
        orders[slot]["side"],
        orders[slot]["mode"],
    )
    cash = gross(state, instrument, mode, price) * leaves - gross(state, instrument, mode, old_price) * old_leaves
    hold(state, account, instrument, side, cash, leaves - old_leaves)
    keeps_place = price == old_price and leaves <= old_leaves
    if not keeps_place:
        unlink(state, slot)
    orders[slot]["price_fen"] = price
    orders[slot]["leaves_qty"] = leaves
    emit_order(state, events, ask, EventKind.REPLACED, slot)
    if keeps_place:
        return
    crossing = rules_of(state)[instrument, Rule.MODE]
    left = cross(state, events, ask, orders[slot]["id"], account, instrument, side, crossing, price, leaves)
    orders[slot]["leaves_qty"] = left
    orders[slot]["filled_qty"] += leaves - left
    if left == 0:
        free_slot(state, slot, True)
        return
    rest(state, slot)
    if market_of(state)[Market.MET_ITSELF] == 1:
        remove(state, events, ask, slot, EventKind.CANCELED)


@kernel
def halt_if_moved(state: np.ndarray, events: np.ndarray, ask: Ask, instrument: int, trades_before: int) -> None:
    """After a screen command: a price that has moved far enough halts the instrument for a while."""
    day, rules = instruments_of(state)[instrument], rules_of(state)[instrument]
    if rules[Rule.HALT_MOVE_BP] == NONE or day[Instrument.TRADES] == trades_before:
        return
    last, reference = last_price(state, instrument), day[Instrument.HALT_REFERENCE]
    if abs(last - reference) * BASIS < rules[Rule.HALT_MOVE_BP] * reference:
        return
    day[Instrument.HALTED_UNTIL] = ask.time_ns + rules[Rule.HALT_SECONDS] * SECOND_NS
    day[Instrument.HALT_REFERENCE] = last
    emit(
        state, events, ask, EventKind.INSTRUMENT_HALTED, NONE, NONE, instrument, 0, 0, last,
        rules[Rule.HALT_SECONDS], NONE,
    )  # fmt: skip
