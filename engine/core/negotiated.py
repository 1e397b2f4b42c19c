"""Negotiated block 大宗协议: one party proposes to a named counterparty, who confirms or declines.

Nothing is frozen by a proposal; both sides' funds are looked at, and move, when the counterparty confirms. Blocks
are outside the quotes and outside the closing price. An open proposal waits in the order pool, in no price level.
"""

import numpy as np

from engine.codes import EventKind, Side, TradingMode
from engine.core.accounts import deliver, gross, hold
from engine.core.book import free_slot, slot_of, take_slot
from engine.core.emit import emit_order, emit_trade, opposite
from engine.core.state import Ask, Market, Order, market_of, orders_of
from engine.jit import kernel


@kernel
def propose(state: np.ndarray, events: np.ndarray, ask: np.ndarray) -> None:
    """PROPOSE: the proposal waits for its counterparty."""
    orders = orders_of(state)
    slot = take_slot(state, market_of(state)[Market.COMMAND_SEQ])
    orders[slot, Order.LEAVES] = ask[Ask.QTY]
    orders[slot, Order.FILLED] = 0
    orders[slot, Order.ACCOUNT] = ask[Ask.ACCOUNT]
    orders[slot, Order.PRICE] = ask[Ask.PRICE_FEN]
    orders[slot, Order.SIDE] = ask[Ask.SIDE]
    orders[slot, Order.INSTRUMENT] = ask[Ask.INSTRUMENT]
    orders[slot, Order.MODE] = TradingMode.BLOCK
    orders[slot, Order.CONTRA] = ask[Ask.CONTRA]
    orders[slot, Order.UNTIL_NS] = ask[Ask.UNTIL_NS]
    orders[slot, Order.CLIENT_REF] = ask[Ask.CLIENT_REF]
    row = emit_order(state, events, ask, EventKind.ACCEPTED, slot)
    events[row]["contra"] = ask[Ask.CONTRA]


@kernel
def withdraw_proposal(state: np.ndarray, events: np.ndarray, ask: np.ndarray, slot: int, kind: int) -> None:
    """The proposal ends without a trade: DECLINED, CANCELED or EXPIRED."""
    orders = orders_of(state)
    row = emit_order(state, events, ask, kind, slot)
    events[row]["contra"] = orders[slot, Order.CONTRA]
    if kind == EventKind.EXPIRED:
        events[row]["client_ref"] = orders[slot, Order.CLIENT_REF]
    free_slot(state, slot, False)


@kernel
def confirm(state: np.ndarray, events: np.ndarray, ask: np.ndarray) -> None:
    """CONFIRM: freeze both sides, trade, deliver."""
    orders = orders_of(state)
    slot = slot_of(state, ask[Ask.TARGET_ID])
    account, side = ask[Ask.ACCOUNT], opposite(orders[slot, Order.SIDE])
    instrument, price = orders[slot, Order.INSTRUMENT], orders[slot, Order.PRICE]
    qty = orders[slot, Order.LEAVES]
    buyer, seller = account, orders[slot, Order.ACCOUNT]
    if side == Side.SELL:
        buyer, seller = seller, buyer
    cash = gross(state, instrument, TradingMode.BLOCK, price) * qty
    hold(state, account, instrument, side, cash, qty)
    hold(state, orders[slot, Order.ACCOUNT], instrument, orders[slot, Order.SIDE], cash, qty)
    orders[slot, Order.LEAVES] = 0
    orders[slot, Order.FILLED] = qty
    order_id = market_of(state)[Market.COMMAND_SEQ]
    emit_trade(state, events, ask, order_id, account, side, price, qty, 0, slot)
    deliver(state, instrument, TradingMode.BLOCK, buyer, seller, price, price, qty)
    free_slot(state, slot, True)


@kernel
def decline(state: np.ndarray, events: np.ndarray, ask: np.ndarray) -> None:
    """DECLINE by the counterparty, or withdrawal by the proposer."""
    slot = slot_of(state, ask[Ask.TARGET_ID])
    if orders_of(state)[slot, Order.CONTRA] == ask[Ask.ACCOUNT]:
        withdraw_proposal(state, events, ask, slot, EventKind.DECLINED)
    else:
        withdraw_proposal(state, events, ask, slot, EventKind.CANCELED)
