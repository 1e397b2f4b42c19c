"""What lives in the pool, whatever its role: how an entry comes in, trades and leaves. Roles are `codes.Role`.

    place   a slot is filled in             trade   both sides reduced, told, counted, delivered
    remove  it leaves without trading, and what it held is released (`take_out`: an order of the screen)

The caller has admitted the command and made room. Prices in fen, quantities in t.
"""

import numpy as np

from engine.codes import NONE, EventKind, Role, Side
from engine.core.accounts import deliver, hold_at, hold_cash
from engine.core.book import free_slot, take_slot, unlink
from engine.core.emit import emit_order, emit_trade
from engine.core.prices import note_trade
from engine.core.state import Ask, Market, Terms, market_of, orders_of, terms_of
from engine.jit import kernel


@kernel
def place(state: np.ndarray, ask: Ask, role: int, instrument: int, side: int, mode: int, price_fen: int,
          qty: int) -> int:  # fmt: skip
    """A new entry of the running command's account; its slot. It is in no queue yet."""
    orders = orders_of(state)
    slot = take_slot(state, market_of(state)[Market.COMMAND_SEQ])
    orders[slot]["leaves_qty"] = qty
    orders[slot]["filled_qty"] = 0
    orders[slot]["account"] = ask.account
    orders[slot]["price_fen"] = price_fen
    orders[slot]["side"] = side
    orders[slot]["instrument"] = instrument
    orders[slot]["mode"] = mode
    orders[slot]["until_ns"] = NONE
    orders[slot]["client_ref"] = ask.client_ref
    orders[slot]["role"] = role
    if role != Role.ORDER:
        terms = terms_of(state)[slot]
        terms[Terms.CONTRA], terms[Terms.BOUND], terms[Terms.STAGE] = NONE, NONE, 0
    return slot


@kernel
def hold_entry(state: np.ndarray, slot: int, qty: int) -> None:
    """Freeze what `qty` of the entry may need at its price; negative releases."""
    order = orders_of(state)[slot]
    hold_at(state, order["account"], order["instrument"], order["side"], order["mode"], order["price_fen"], qty)


@kernel
def take_out(state: np.ndarray, events: np.ndarray, ask: Ask, slot: int, kind: int) -> int:
    """An order of the screen leaves without trading; the row of the event."""
    row = emit_order(state, events, ask, kind, slot)
    hold_entry(state, slot, -orders_of(state)[slot]["leaves_qty"])
    unlink(state, slot)
    free_slot(state, slot, False)
    return row


@kernel
def _withdraw(state: np.ndarray, events: np.ndarray, ask: Ask, slot: int, kind: int) -> int:
    """An entry that is in no queue leaves; the row of the event."""
    order, terms = orders_of(state)[slot], terms_of(state)[slot]
    role = order["role"]
    row = emit_order(state, events, ask, kind, slot)
    if role == Role.PROPOSAL:
        events[row]["contra"] = terms[Terms.CONTRA]
    elif role == Role.APPLICATION or role == Role.BID:
        events[row]["contra_id"] = terms[Terms.CONTRA]
    if role == Role.APPLICATION:
        hold_cash(state, order["account"], order["instrument"], -terms[Terms.BOUND])
    elif role != Role.PROPOSAL:
        hold_entry(state, slot, -order["leaves_qty"])
    free_slot(state, slot, False)
    return row


@kernel
def remove(state: np.ndarray, events: np.ndarray, ask: Ask, slot: int, kind: int) -> None:
    """An entry leaves without trading: CANCELED, EXPIRED or DECLINED; its hold is released."""
    order = orders_of(state)[slot]
    client_ref = order["client_ref"] + 0
    if order["role"] == Role.ORDER:
        row = take_out(state, events, ask, slot, kind)
    else:
        row = _withdraw(state, events, ask, slot, kind)
    if kind == EventKind.EXPIRED:
        events[row]["client_ref"] = client_ref


@kernel
def trade(
    state: np.ndarray,
    events: np.ndarray,
    ask: Ask,
    order_id: int,
    account: int,
    side: int,
    mode: int,
    held_price_fen: int,
    price_fen: int,
    qty: int,
    leaves_qty: int,
    maker: int,
) -> int:
    """Trade `qty` of taker `order_id` with the entry in slot `maker`; the row of the event.

    `held_price_fen` is the price at which the taker's cash was held. The maker keeps its slot.
    """
    order = orders_of(state)[maker]
    instrument, contra = order["instrument"], order["account"]
    order["leaves_qty"] -= qty
    order["filled_qty"] += qty
    row = emit_trade(state, events, ask, order_id, account, side, mode, price_fen, qty, leaves_qty, maker)
    note_trade(state, instrument, mode, price_fen, qty)
    if side == Side.BUY:
        deliver(state, instrument, mode, account, contra, held_price_fen, price_fen, qty)
    else:
        deliver(state, instrument, mode, contra, account, order["price_fen"], price_fen, qty)
    return row


@kernel
def trade_living(
    state: np.ndarray,
    events: np.ndarray,
    ask: Ask,
    slot: int,
    maker: int,
    mode: int,
    price_fen: int,
    qty: int,
) -> None:
    """Trade two living entries with each other; both keep their slots."""
    order = orders_of(state)[slot]
    order["leaves_qty"] -= qty
    order["filled_qty"] += qty
    trade(
        state, events, ask, order["id"], order["account"], order["side"], mode, order["price_fen"],
        price_fen, qty, order["leaves_qty"], maker,
    )  # fmt: skip
