"""Why an offer or a command of an auction is refused: rungs 4010 to 8090, after the head in `admit.py`."""

import numpy as np

from engine.codes import NONE, CommandKind, Lots, RejectReason, Rule, SelfTrade, Stage, TradingMode
from engine.core.accounts import gross, lacks_cash, lacks_funds
from engine.core.admit import (
    MAX_QTY_T,
    MAX_VALUE_FEN,
    instrument_of,
    joins_auction,
    refuse_dead,
    refuse_head,
    refuse_price,
    refuse_qty,
    target_slot,
)
from engine.core.auction import applied_qty, deposit, has_stage, own_bid
from engine.core.book import is_better
from engine.core.emit import opposite
from engine.core.prices import BASIS, band_high, band_low
from engine.core.state import NIL, Ask, Instrument, Terms, instruments_of, orders_of, rules_of, terms_of
from engine.jit import kernel


@kernel
def _refuse_application(state: np.ndarray, ask: Ask, auction: int) -> int:
    """Rungs 5010 to 8080 of an APPLY."""
    order, account = orders_of(state)[auction], ask.account
    funded = rules_of(state)[order["instrument"], Rule.FUNDED] == 1
    if funded and lacks_cash(state, account, deposit(state, auction, ask.qty)):
        return RejectReason.INSUFFICIENT_CASH
    if order["account"] == account:
        return RejectReason.SELF_TRADE
    if terms_of(state)[auction, Terms.STAGE] != Stage.APPLICATION:
        return RejectReason.AUCTION_CLOSED
    return RejectReason.BID_LIMIT if applied_qty(state, auction, account) > 0 else RejectReason.NONE


@kernel
def _over_limit(state: np.ndarray, auction: int, account: int, qty: int) -> bool:
    """Whether a bid is too small, not for the whole lot, or more than its bidder may take."""
    orders = orders_of(state)
    instrument, offered = orders[auction]["instrument"], orders[auction]["leaves_qty"]
    rules = rules_of(state)[instrument]
    if rules[Rule.AUCTION_LOTS] == Lots.WHOLE:
        return qty != offered
    total, slot = qty, orders[auction]["next"]
    while slot != NIL:
        if orders[slot]["account"] == account:
            total += orders[slot]["leaves_qty"]
        slot = orders[slot]["next"]
    if qty < rules[Rule.AUCTION_MIN_BID_T] or total * BASIS > offered * rules[Rule.AUCTION_MAX_SHARE_BP]:
        return True
    return has_stage(state, instrument, Stage.APPLICATION) and total > applied_qty(state, auction, account)


@kernel
def _refuse_bid(state: np.ndarray, ask: Ask, auction: int) -> int:
    """Rungs 5010 to 8090 of a BID."""
    orders = orders_of(state)
    order, account, qty, price = orders[auction], ask.account, ask.qty, ask.price_fen
    instrument, side = order["instrument"], opposite(order["side"])
    replaced = NIL
    if rules_of(state)[instrument, Rule.AUCTION_LOTS] == Lots.WHOLE:
        replaced = own_bid(state, auction, account)
    cash, more = gross(state, instrument, TradingMode.AUCTION, price) * qty, qty + 0
    if replaced != NIL:
        old = orders[replaced]
        cash -= gross(state, instrument, TradingMode.AUCTION, old["price_fen"]) * old["leaves_qty"]
        more -= old["leaves_qty"]
    reason = lacks_funds(state, account, instrument, side, cash, more)
    if reason != RejectReason.NONE:
        return reason
    if order["account"] == account:
        return RejectReason.SELF_TRADE
    stage, bound = terms_of(state)[auction, Terms.STAGE], terms_of(state)[auction, Terms.BOUND]
    if stage == Stage.APPLICATION:
        return RejectReason.AUCTION_CLOSED
    beyond = bound != NONE and is_better(side, price, bound)
    if beyond or is_better(side, order["price_fen"], price):
        return RejectReason.BID_BELOW_RESERVE
    if _over_limit(state, auction, account, qty):
        return RejectReason.BID_LIMIT
    best = order["next"]
    if stage == Stage.TIMED and best != NIL and not is_better(side, price, orders[best]["price_fen"]):
        return RejectReason.BID_NOT_BETTER
    if replaced != NIL and not is_better(side, price, orders[replaced]["price_fen"]):
        return RejectReason.BID_NOT_BETTER
    return RejectReason.NONE


@kernel
def _refuse_end(state: np.ndarray, ask: Ask, slot: int) -> int:
    """Why an END_STAGE is refused: no such auction, or more value than a day may have."""
    if ask.target_id == NONE:
        return RejectReason.MISSING_FIELD
    if slot <= NIL:
        return RejectReason.AUCTION_CLOSED
    instrument, offered = orders_of(state)[slot]["instrument"], orders_of(state)[slot]["leaves_qty"]
    most = rules_of(state)[instrument, Rule.PRICE_HIGH_FEN] * offered
    too_large = instruments_of(state)[instrument, Instrument.DAY_VALUE] + most > MAX_VALUE_FEN
    return RejectReason.QTY_TOO_LARGE if too_large else RejectReason.NONE


@kernel
def _refuse_bound(state: np.ndarray, ask: Ask, instrument: int, low_fen: int, high_fen: int) -> int:
    """Rungs 4010 to 4030 of an ANNOUNCE, whose reserve has limits and the bound of whose bids has others."""
    price, bound = ask.price_fen, ask.limit_price_fen
    reserve = refuse_price(state, instrument, price, low_fen, high_fen)
    other = refuse_price(
        state, instrument, bound, band_low(state, instrument, NONE), band_high(state, instrument, NONE)
    )
    if other == RejectReason.NONE or (reserve != RejectReason.NONE and reserve < other):
        return reserve
    return other


@kernel
def _refuse_size(state: np.ndarray, ask: Ask, instrument: int) -> int:
    """Rungs 4010 to 4060 of an OFFER, TAKE, ANNOUNCE, APPLY or BID."""
    kind, rules, reason = ask.kind, rules_of(state)[instrument], 0
    lot, dearest, bp = rules[Rule.LOT_T], 0, NONE
    if kind == CommandKind.OFFER:
        bp = rules[Rule.OFFER_BAND_BP]
    elif kind == CommandKind.ANNOUNCE:
        bp = rules[Rule.AUCTION_RESERVE_BAND_BP]
    elif kind == CommandKind.TAKE:
        dearest = rules[Rule.PRICE_HIGH_FEN]
    if joins_auction(kind):
        lot = rules[Rule.AUCTION_LOT_T]
    low, high = band_low(state, instrument, bp), band_high(state, instrument, bp)
    if kind == CommandKind.ANNOUNCE:
        reason = _refuse_bound(state, ask, instrument, low, high)
    elif kind == CommandKind.OFFER or kind == CommandKind.BID:
        reason = refuse_price(state, instrument, ask.price_fen, low, high)
    if reason != RejectReason.NONE:
        return reason
    return refuse_qty(state, instrument, ask.qty, lot, MAX_QTY_T, dearest)


@kernel
def _refuse_offer(state: np.ndarray, ask: Ask, slot: int) -> int:
    """Rungs 5010 to 8040 of an OFFER or TAKE."""
    account, qty = ask.account, ask.qty
    instrument, side, price = ask.instrument, ask.side, ask.price_fen
    if ask.kind == CommandKind.TAKE:
        if slot <= NIL:
            return refuse_dead(slot)
        order = orders_of(state)[slot]
        instrument, side, price = order["instrument"], opposite(order["side"]), order["price_fen"]
    rules = rules_of(state)[instrument]
    cash = gross(state, instrument, TradingMode.OFFER, price) * qty
    reason = lacks_funds(state, account, instrument, side, cash, qty)
    if reason != RejectReason.NONE:
        return reason
    if ask.kind == CommandKind.OFFER:
        return RejectReason.BLOCK_TOO_SMALL if qty < rules[Rule.OFFER_MIN_QTY_T] else RejectReason.NONE
    own = orders_of(state)[slot]["account"] == account and rules[Rule.SELF_TRADE] != SelfTrade.ALLOW
    return RejectReason.SELF_TRADE if own else RejectReason.NONE


@kernel
def refuse_other(state: np.ndarray, ask: Ask) -> int:
    """Why an OFFER, TAKE, MASS_CANCEL, ANNOUNCE, APPLY, BID or END_STAGE is refused, or NONE: the whole ladder."""
    kind, slot = ask.kind, target_slot(state, ask)
    if kind == CommandKind.END_STAGE:
        return _refuse_end(state, ask, slot)
    reason = refuse_head(state, ask, slot)
    if reason == RejectReason.NONE and kind != CommandKind.MASS_CANCEL:
        reason = _refuse_size(state, ask, instrument_of(state, ask, slot))
    if reason != RejectReason.NONE or kind == CommandKind.MASS_CANCEL:
        return reason
    if kind == CommandKind.OFFER or kind == CommandKind.TAKE:
        return _refuse_offer(state, ask, slot)
    if kind == CommandKind.ANNOUNCE:
        instrument, qty = ask.instrument, ask.qty
        cash = gross(state, instrument, TradingMode.AUCTION, ask.price_fen) * qty
        return lacks_funds(state, ask.account, instrument, ask.side, cash, qty)
    if slot <= NIL:
        return RejectReason.AUCTION_CLOSED
    return _refuse_application(state, ask, slot) if kind == CommandKind.APPLY else _refuse_bid(state, ask, slot)
