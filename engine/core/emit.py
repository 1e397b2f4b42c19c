"""Event rows: how one is written, and which follows which.

    NEW           REJECTED | ACCEPTED TRADE* [CANCELED] [halt]  CANCELED: remainder of market, IOC, or met itself
    CLICK         REJECTED | ACCEPTED TRADE* [CANCELED] [halt]  CANCELED: remainder of a click
    REPLACE       REJECTED | REPLACED TRADE* [CANCELED] [halt]
    CANCEL        REJECTED | CANCELED
    PROPOSE       REJECTED | ACCEPTED
    CONFIRM       REJECTED | TRADE                              PENDING where the close must prove the price
    DECLINE       REJECTED | DECLINED (by the counterparty) | CANCELED (by the proposer)
    OFFER         REJECTED | ACCEPTED
    TAKE          REJECTED | ACCEPTED TRADE [CANCELED]
    ANNOUNCE      REJECTED | ANNOUNCED
    APPLY         REJECTED | APPLIED
    BID           REJECTED | [CANCELED] ACCEPTED                CANCELED: one's earlier bid for the whole lot
    END_STAGE     REJECTED | STAGE_ENDED | TRADE* CANCELED* SETTLED    bids from the best, then applications
    MASS_CANCEL   REJECTED | CANCELED* MASS_CANCELED            by order id; so does KILL_SWITCH
    PHASE         REJECTED | TRADE* PHASE_CHANGED               TRADE: the end of a call auction
    DAY_ROLL      REJECTED | EXPIRED* (by order id)
                             (DAY_CLOSED (DELIVERED | VOIDED)* LARGE_HOLDER*)* (by instrument)
                             DAY_OPENED* (by instrument) EXPIRED* (carried, but outside the new limits)
    all others    REJECTED | one event of their own

[halt] is INSTRUMENT_HALTED. In a call auction INDICATIVE follows every NEW, REPLACE and CANCEL of an order, and once
for each instrument that a mass cancel touched. Under `SelfTrade.CANCEL_MAKER` a CANCELED of the resting order may stand
between trades. A row is written once, into a buffer that the caller has checked for room.
"""

import numpy as np

from engine.codes import NONE, EventKind, Side
from engine.core.accounts import fee
from engine.core.state import Ask, Market, market_of, orders_of
from engine.jit import kernel


@kernel
def emit(
    state: np.ndarray,
    events: np.ndarray,
    ask: Ask,
    kind: int,
    order_id: int,
    account: int,
    instrument: int,
    side: int,
    mode: int,
    price_fen: int,
    qty: int,
    leaves_qty: int,
) -> int:
    """Write one event; returns its row so that the caller can add what is special. Unused fields are NONE."""
    market = market_of(state)
    row = market[Market.EVENT_COUNT]
    market[Market.EVENT_COUNT] = row + 1
    market[Market.EVENT_SEQ] += 1
    event = events[row]
    event["seq"] = market[Market.EVENT_SEQ]
    event["command_seq"] = market[Market.COMMAND_SEQ]
    event["time_ns"] = ask.time_ns
    event["order_id"] = order_id
    event["contra_id"] = NONE
    event["qty"] = qty
    event["leaves_qty"] = leaves_qty
    event["contra_leaves_qty"] = NONE
    event["amount_fen"] = NONE
    event["fee_fen"] = 0
    event["contra_fee_fen"] = 0
    event["client_ref"] = ask.client_ref
    event["price_fen"] = price_fen
    event["low_price_fen"] = NONE
    event["high_price_fen"] = NONE
    event["account"] = account
    event["contra"] = NONE
    event["instrument"] = instrument
    event["kind"] = kind
    event["side"] = side
    event["mode"] = mode
    event["phase"] = market[Market.PHASE]
    event["reason"] = 0
    event["flags"] = 0
    return row


@kernel
def emit_rejected(state: np.ndarray, events: np.ndarray, ask: Ask, reason: int) -> None:
    """The command changed nothing; `price_fen` and `qty` repeat what it asked, `order_id` its target."""
    row = emit(
        state, events, ask, EventKind.REJECTED, ask.target_id, ask.account,
        ask.instrument, ask.side, 0,
        ask.price_fen, ask.qty, NONE,
    )  # fmt: skip
    events[row]["reason"] = reason


@kernel
def emit_trade(
    state: np.ndarray,
    events: np.ndarray,
    ask: Ask,
    order_id: int,
    account: int,
    side: int,
    mode: int,
    price_fen: int,
    qty: int,
    leaves_qty: int,
    maker: int,
) -> int:
    """One fill of `order_id` (`account`, `side`) against the living `maker`, whose leaves are already reduced."""
    orders = orders_of(state)
    instrument = orders[maker]["instrument"]
    row = emit(
        state, events, ask, EventKind.TRADE, order_id, account, instrument, side, mode, price_fen, qty, leaves_qty,
    )  # fmt: skip
    events[row]["contra_id"] = orders[maker]["id"]
    events[row]["contra"] = orders[maker]["account"]
    events[row]["contra_leaves_qty"] = orders[maker]["leaves_qty"]
    events[row]["amount_fen"] = price_fen * qty
    events[row]["fee_fen"] = fee(state, instrument, mode, side, price_fen * qty)
    events[row]["contra_fee_fen"] = fee(state, instrument, mode, opposite(side), price_fen * qty)
    return row


@kernel
def emit_order(state: np.ndarray, events: np.ndarray, ask: Ask, kind: int, slot: int) -> int:
    """An event about the living order in `slot`; `qty` is its total, `leaves_qty` what is open."""
    orders = orders_of(state)
    return emit(
        state, events, ask, kind, orders[slot]["id"], orders[slot]["account"],
        orders[slot]["instrument"], orders[slot]["side"], orders[slot]["mode"],
        orders[slot]["price_fen"], orders[slot]["filled_qty"] + orders[slot]["leaves_qty"],
        orders[slot]["leaves_qty"],
    )  # fmt: skip


@kernel
def opposite(side: int) -> int:
    """The other side."""
    return Side.BUY + Side.SELL - side
