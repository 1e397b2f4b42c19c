"""What two parties agree off the screen: blocks 大宗协议 by proposal and confirmation, and fixed-price offers 定价转让.

Nothing is frozen by a proposal; both sides' funds are looked at, and move, when the counterparty confirms. Where the
rulebook measures a block from the close of its own day, both sides stay held until the day roll, which delivers the
deal or gives everything back. An offer freezes what it gives; whoever comes first takes what he wants. All of it is
outside the quotes and waits in the order pool, in no price level.
"""

import numpy as np

from engine.codes import NONE, BlockReference, EventFlag, EventKind, Role, Rule, Side, TradingMode
from engine.core.accounts import deliver, gross, hold
from engine.core.book import free_slot, remember, slot_of
from engine.core.emit import emit, emit_order, emit_trade, opposite
from engine.core.living import hold_entry, place, remove, trade
from engine.core.prices import band_high, band_low
from engine.core.state import Ask, Market, Terms, market_of, orders_of, rules_of, terms_of
from engine.jit import kernel


@kernel
def propose(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """PROPOSE: the proposal waits for its counterparty."""
    slot = place(
        state, ask, Role.PROPOSAL, ask.instrument, ask.side, TradingMode.BLOCK, ask.price_fen,
        ask.qty,
    )  # fmt: skip
    terms_of(state)[slot, Terms.CONTRA] = ask.contra
    orders_of(state)[slot]["until_ns"] = ask.until_ns
    row = emit_order(state, events, ask, EventKind.ACCEPTED, slot)
    events[row]["contra"] = ask.contra


@kernel
def is_free(state: np.ndarray, instrument: int, qty: int) -> bool:
    """Whether a block of this size has no price limit."""
    free_from = rules_of(state)[instrument, Rule.BLOCK_FREE_FROM_T]
    return free_from != NONE and qty >= free_from


@kernel
def confirm(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """CONFIRM: freeze both sides and trade; deliver at once, or wait for the close."""
    order = orders_of(state)[slot_of(state, ask.target_id)]
    slot = slot_of(state, ask.target_id)
    account, side = ask.account, opposite(order["side"])
    instrument, price, qty = order["instrument"], order["price_fen"], order["leaves_qty"]
    order_id = market_of(state)[Market.COMMAND_SEQ]
    hold(state, account, instrument, side, gross(state, instrument, TradingMode.BLOCK, price) * qty, qty)
    hold_entry(state, slot, qty)
    if rules_of(state)[instrument, Rule.BLOCK_REFERENCE] == BlockReference.SAME_DAY_CLOSE:
        row = emit_trade(state, events, ask, order_id, account, side, TradingMode.BLOCK, price, qty, 0, slot)
        events[row]["contra_leaves_qty"] = 0
        events[row]["flags"] = EventFlag.PENDING
        order["role"] = Role.DEAL
        return
    trade(state, events, ask, order_id, account, side, TradingMode.BLOCK, price, price, qty, 0, slot)
    free_slot(state, slot, True)


@kernel
def close_deal(state: np.ndarray, events: np.ndarray, ask: Ask, slot: int) -> None:
    """At the close: a deal inside the limits around it is delivered; otherwise both sides have everything back."""
    order = orders_of(state)[slot]
    instrument, price, qty = order["instrument"], order["price_fen"], order["leaves_qty"]
    buyer, seller = order["account"], terms_of(state)[slot, Terms.CONTRA]
    if order["side"] == Side.SELL:
        buyer, seller = seller, buyer
    rules = rules_of(state)[instrument]
    proven = rules[Rule.BLOCK_REFERENCE] != BlockReference.SAME_DAY_CLOSE or is_free(state, instrument, qty)
    if not proven:
        band = rules[Rule.BLOCK_BAND_BP]
        proven = band_low(state, instrument, band) <= price <= band_high(state, instrument, band)
    kind = EventKind.VOIDED
    if proven:
        kind = EventKind.DELIVERED
        deliver(state, instrument, TradingMode.BLOCK, buyer, seller, price, price, qty)
    else:
        cash = gross(state, instrument, TradingMode.BLOCK, price) * qty
        hold(state, buyer, instrument, Side.BUY, -cash, -qty)
        hold(state, seller, instrument, Side.SELL, 0, -qty)
    row = emit_order(state, events, ask, kind, slot)
    events[row]["contra"] = terms_of(state)[slot, Terms.CONTRA]
    events[row]["leaves_qty"] = 0
    events[row]["amount_fen"] = price * qty
    events[row]["client_ref"] = order["client_ref"]
    free_slot(state, slot, proven)


@kernel
def decline(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """DECLINE by the counterparty, or withdrawal by the proposer."""
    slot = slot_of(state, ask.target_id)
    declined = terms_of(state)[slot, Terms.CONTRA] == ask.account
    remove(state, events, ask, slot, EventKind.DECLINED if declined else EventKind.CANCELED)


@kernel
def offer(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """OFFER: freeze and wait for takers."""
    slot = place(
        state, ask, Role.OFFER, ask.instrument, ask.side, TradingMode.OFFER, ask.price_fen,
        ask.qty,
    )  # fmt: skip
    hold_entry(state, slot, ask.qty)
    emit_order(state, events, ask, EventKind.ACCEPTED, slot)


@kernel
def take(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """TAKE: freeze, trade what the offer has, release and cancel the remainder."""
    slot = slot_of(state, ask.target_id)
    order = orders_of(state)[slot]
    account, side, qty = ask.account, opposite(order["side"]), ask.qty
    instrument, price, mode = order["instrument"], order["price_fen"], TradingMode.OFFER
    order_id = market_of(state)[Market.COMMAND_SEQ]
    held = gross(state, instrument, mode, price)
    hold(state, account, instrument, side, held * qty, qty)
    row = emit(state, events, ask, EventKind.ACCEPTED, order_id, account, instrument, side, mode, price, qty, qty)
    events[row]["contra_id"] = order["id"]
    filled = min(qty, order["leaves_qty"])
    leaves = qty - filled
    trade(state, events, ask, order_id, account, side, mode, price, price, filled, leaves, slot)
    if order["leaves_qty"] == 0:
        free_slot(state, slot, True)
    remember(state, order_id, leaves == 0)
    if leaves > 0:
        hold(state, account, instrument, side, -held * leaves, -leaves)
        emit(
            state, events, ask, EventKind.CANCELED, order_id, account, instrument, side, mode, price, qty, leaves,
        )  # fmt: skip
