"""Why a command of the ledger loop is refused: blocks (rungs 4010 to 8050), and what does not trade."""

import numpy as np

from engine.codes import NONE, CommandKind, Participant, Phase, RejectReason, Rule, Side, TradingMode
from engine.core.accounts import gross, is_open, lacks_cash, lacks_funds, lacks_units
from engine.core.admit import (
    MAX_AMOUNT_FEN,
    MAX_CASH_FEN,
    MAX_QTY_T,
    MAX_UNITS_T,
    refuse_head,
    refuse_price,
    refuse_qty,
    target_slot,
)
from engine.core.negotiated import is_free
from engine.core.prices import band_high, band_low
from engine.core.state import (
    NIL,
    Ask,
    Instrument,
    Market,
    Part,
    Terms,
    instruments_of,
    market_of,
    orders_of,
    rules_of,
    terms_of,
)
from engine.jit import kernel

MAX_ACCOUNTS = 2**24


@kernel
def _refuse_proposal(state: np.ndarray, ask: Ask) -> int:
    """Rungs 4030 to 8050 of a PROPOSE; funds are looked at when the counterparty confirms."""
    instrument, qty, price = ask.instrument, ask.qty, ask.price_fen
    reason = refuse_price(state, instrument, price, NONE, 2**31)
    if reason == RejectReason.NONE:
        reason = refuse_qty(state, instrument, qty, rules_of(state)[instrument, Rule.LOT_T], MAX_QTY_T, 0)
    if reason != RejectReason.NONE:
        return reason
    if ask.contra == ask.account:
        return RejectReason.SELF_TRADE
    if qty < rules_of(state)[instrument, Rule.BLOCK_MIN_QTY_T]:
        return RejectReason.BLOCK_TOO_SMALL
    day = instruments_of(state)[instrument]
    low, high = day[Instrument.BLOCK_LOW], day[Instrument.BLOCK_HIGH]
    if is_free(state, instrument, qty):
        low, high = band_low(state, instrument, NONE), band_high(state, instrument, NONE)
    return RejectReason.NONE if low <= price <= high else RejectReason.BLOCK_PRICE_LIMIT


@kernel
def refuse_block(state: np.ndarray, ask: Ask) -> int:
    """Why a PROPOSE, CONFIRM or DECLINE is refused, or NONE: the whole ladder, top to bottom."""
    slot, kind, account = target_slot(state, ask), ask.kind, ask.account
    reason = refuse_head(state, ask, slot)
    if reason != RejectReason.NONE:
        return reason
    if kind == CommandKind.PROPOSE:
        return _refuse_proposal(state, ask)
    if slot <= NIL:
        return RejectReason.UNKNOWN_PROPOSAL
    order = orders_of(state)[slot]
    withdraws = kind == CommandKind.DECLINE and order["account"] == account
    if terms_of(state)[slot, Terms.CONTRA] != account and not withdraws:
        return RejectReason.NOT_COUNTERPARTY
    if kind == CommandKind.DECLINE:
        return RejectReason.NONE
    if order["until_ns"] != NONE and ask.time_ns >= order["until_ns"]:
        return RejectReason.PROPOSAL_EXPIRED
    instrument, qty = order["instrument"], order["leaves_qty"]
    cash = gross(state, instrument, TradingMode.BLOCK, order["price_fen"]) * qty
    buyer, seller = account, order["account"]
    if order["side"] == Side.BUY:
        buyer, seller = seller, buyer
    reason = lacks_funds(state, buyer, instrument, Side.BUY, cash, qty)
    if reason != RejectReason.NONE:
        return reason
    return lacks_funds(state, seller, instrument, Side.SELL, cash, qty)


@kernel
def _refuse_cash(state: np.ndarray, ask: Ask) -> int:
    """DEPOSIT, WITHDRAW and FINE: a positive amount and an open account; what goes out must be there."""
    amount, account, kind = ask.amount_fen, ask.account, ask.kind
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
def _refuse_units(state: np.ndarray, ask: Ask) -> int:
    """ISSUE, SURRENDER and DEDUCT: a positive quantity of a known instrument; what goes out must be there."""
    qty, account, kind = ask.qty, ask.account, ask.kind
    instrument = ask.instrument
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


@kernel
def refuse_account(state: np.ndarray, ask: Ask) -> int:
    """OPEN_ACCOUNT and KILL_SWITCH."""
    account, opens = ask.account, ask.kind == CommandKind.OPEN_ACCOUNT
    if account == NONE:
        return RejectReason.MISSING_FIELD
    highest = Participant.INDIVIDUAL if opens else 1
    if account < 0 or account >= MAX_ACCOUNTS or ask.flags > highest:
        return RejectReason.OUT_OF_RANGE
    if opens:
        return RejectReason.ACCOUNT_EXISTS if is_open(state, account) else RejectReason.NONE
    return RejectReason.NONE if is_open(state, account) else RejectReason.UNKNOWN_ACCOUNT


@kernel
def refuse_phase(ask: Ask) -> int:
    """PHASE names one that exists."""
    return RejectReason.UNKNOWN_TYPE if ask.phase > Phase.OPENING else RejectReason.NONE


@kernel
def refuse_move(state: np.ndarray, ask: Ask) -> int:
    """Why a command that does not trade is refused, or NONE; day rolls and rules are looked at in `day.py`."""
    kind = ask.kind
    if kind == CommandKind.DEPOSIT or kind == CommandKind.WITHDRAW or kind == CommandKind.FINE:
        return _refuse_cash(state, ask)
    if kind == CommandKind.ISSUE or kind == CommandKind.SURRENDER or kind == CommandKind.DEDUCT:
        return _refuse_units(state, ask)
    if kind == CommandKind.OPEN_ACCOUNT:
        return refuse_account(state, ask)
    if kind == CommandKind.PHASE:
        return refuse_phase(ask)
    return RejectReason.UNKNOWN_TYPE
