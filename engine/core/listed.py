"""Listed agreement 挂牌协议: listings rest, even crossed; a taker clicks one listing or sweeps the best levels.

A click on a listing may choose any listing inside the best `Rule.CLICK_LEVELS` prices, whatever its place in the
queue; a sweep takes prices from the best and, inside a price, the oldest first. What a click cannot fill is
cancelled at once. The caller has admitted the command and made room for its worst-case events.
"""

import numpy as np

from engine.codes import NONE, EventKind, Rule, SelfTrade
from engine.core.accounts import gross, hold
from engine.core.admit_screen import click_price, crosses
from engine.core.book import best_price, first_at, remember, slot_of
from engine.core.continuous import fill
from engine.core.emit import emit, opposite
from engine.core.living import remove
from engine.core.state import NIL, Ask, Market, market_of, orders_of, rules_of
from engine.jit import kernel


@kernel
def _take(state: np.ndarray, events: np.ndarray, ask: Ask, maker: int, held_price_fen: int, leaves: int) -> int:
    """Trade with one listing, or do what self-trade prevention wants instead. Returns the rest; NONE: stop here."""
    orders = orders_of(state)
    account, side = ask.account, ask.side
    rule = rules_of(state)[orders[maker]["instrument"], Rule.SELF_TRADE]
    if orders[maker]["account"] == account:
        if rule == SelfTrade.CANCEL_TAKER:
            return NONE
        if rule == SelfTrade.CANCEL_MAKER:
            remove(state, events, ask, maker, EventKind.CANCELED)
            return leaves
    traded = min(leaves, orders[maker]["leaves_qty"])
    order_id = market_of(state)[Market.COMMAND_SEQ]
    fill(state, events, ask, order_id, account, side, held_price_fen, traded, leaves - traded, maker)
    return leaves - traded


@kernel
def click(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """CLICK: freeze, take, release and cancel the remainder."""
    order_id = market_of(state)[Market.COMMAND_SEQ]
    account, instrument = ask.account, ask.instrument
    side, qty, limit = ask.side, ask.qty, ask.price_fen
    mode = rules_of(state)[instrument, Rule.MODE]
    listing = slot_of(state, ask.target_id)
    held_price = click_price(state, ask, listing)
    held = gross(state, instrument, mode, held_price)
    hold(state, account, instrument, side, held * qty, qty)
    emit(
        state, events, ask, EventKind.ACCEPTED, order_id, account, instrument, side, mode, limit, qty, qty,
    )  # fmt: skip
    leaves = qty
    if ask.target_id != NONE:
        leaves = _take(state, events, ask, listing, held_price, leaves)
    else:
        resting = opposite(side)
        levels = rules_of(state)[instrument, Rule.CLICK_LEVELS]
        price = best_price(state, instrument, resting)
        while leaves > 0 and levels > 0 and price != 0 and crosses(side, limit, price):
            while leaves > 0 and first_at(state, instrument, resting, price) != NIL:
                rest = _take(state, events, ask, first_at(state, instrument, resting, price), held_price, leaves)
                if rest == NONE:
                    levels = 0
                    break
                leaves = rest
            levels -= 1
            price = best_price(state, instrument, resting)
    remember(state, order_id, leaves == 0)
    if leaves > 0:
        hold(state, account, instrument, side, -held * leaves, -leaves)
        emit(
            state, events, ask, EventKind.CANCELED, order_id, account, instrument, side, mode, limit, qty, leaves,
        )  # fmt: skip
