"""The ladder of checks, upper part: what all trading commands share, in ascending number.

    refuse_head    2040 to 3080: syntax, market, account       refuse_price, refuse_qty    4010 to 4060
    admit_screen   4010 to 6080 of NEW, CANCEL, REPLACE, CLICK
    admit_ledger   4010 to 8050 of blocks, and the commands that do not trade
    admit_other    4010 to 8090 of offers and one-way auctions

Each function returns the first reason that applies, or NONE (0). Numbers of `RejectReason` ascend with the order of
checking; a check that cannot be evaluated (the funds behind an unknown order) is passed. Nothing in here changes state,
so a rejected command leaves no trace.
"""

import numpy as np

from engine.codes import (
    NONE,
    CommandKind,
    OrderCondition,
    OrdType,
    Phase,
    RejectReason,
    Role,
    Rule,
    Side,
    TimeInForce,
    TradingMode,
)
from engine.core.accounts import GOVERNMENT_ACCOUNT, is_open
from engine.core.book import is_better, slot_of
from engine.core.emit import opposite
from engine.core.state import (
    FILLED_ID,
    GONE_ID,
    NIL,
    Account,
    Ask,
    Instrument,
    Market,
    Part,
    accounts_of,
    instruments_of,
    market_of,
    orders_of,
    rules_of,
)
from engine.jit import kernel

MAX_QTY_T = 10**12
"""No command may name more tonnes."""
MAX_AMOUNT_FEN = 10**17
"""No command may name more cash."""
MAX_CASH_FEN = 2**61
"""Cash in the whole exchange stays below this, so no balance and no sum can overflow."""
MAX_UNITS_T = 10**13
MAX_VALUE_FEN = 2**61
"""Value traded in one day and instrument."""


@kernel
def is_screen(kind: int) -> bool:
    """NEW, REPLACE or CLICK: what the limits and the size of the screen are for."""
    return kind == CommandKind.NEW or kind == CommandKind.REPLACE or kind == CommandKind.CLICK


@kernel
def names_instrument(kind: int) -> bool:
    """Whether the command says itself for which instrument, on which side and how much."""
    return (
        kind == CommandKind.NEW
        or kind == CommandKind.CLICK
        or kind == CommandKind.PROPOSE
        or kind == CommandKind.OFFER
        or kind == CommandKind.ANNOUNCE
    )


@kernel
def joins_auction(kind: int) -> bool:
    """APPLY or BID."""
    return kind == CommandKind.APPLY or kind == CommandKind.BID


@kernel
def only_leaves(kind: int) -> bool:
    """Allowed to everybody: it only takes away."""
    return kind == CommandKind.CANCEL or kind == CommandKind.DECLINE or kind == CommandKind.MASS_CANCEL


@kernel
def refuse_dead(slot: int) -> int:
    """Rungs 6010 to 6030 for what `slot_of` has found."""
    if slot == FILLED_ID:
        return RejectReason.TOO_LATE_FILLED
    if slot == GONE_ID:
        return RejectReason.ALREADY_CANCELLED
    if slot == NIL:
        return RejectReason.UNKNOWN_ORDER
    return RejectReason.NONE


@kernel
def _fits(kind: int, role: int) -> bool:
    """Whether a command of `kind` may name an entry of this role."""
    if kind == CommandKind.CANCEL:
        return role == Role.ORDER or role == Role.OFFER
    if kind == CommandKind.REPLACE or kind == CommandKind.CLICK:
        return role == Role.ORDER
    if kind == CommandKind.CONFIRM or kind == CommandKind.DECLINE:
        return role == Role.PROPOSAL
    if kind == CommandKind.TAKE:
        return role == Role.OFFER
    return role == Role.AUCTION


@kernel
def target_slot(state: np.ndarray, ask: Ask) -> int:
    """Slot of what the command names; NIL also when that is of the wrong kind for the command."""
    if ask.target_id == NONE:
        return NIL
    slot = slot_of(state, ask.target_id)
    if slot <= NIL:
        return slot
    order = orders_of(state)[slot]
    kind = ask.kind
    if not _fits(kind, order["role"]):
        return NIL
    if kind == CommandKind.CLICK:
        if order["side"] != opposite(ask.side) or order["instrument"] != ask.instrument:
            return NIL
    return slot


@kernel
def _refuse_new(ask: Ask) -> int:
    """Rung 2040 of a NEW: type, validity and conditions exist."""
    ord_type, tif = ask.ord_type, ask.tif
    if ord_type != OrdType.LIMIT and ord_type != OrdType.MARKET and ord_type != OrdType.MARKET_TO_LIMIT:
        return RejectReason.UNKNOWN_TYPE
    rests = tif == TimeInForce.DAY or tif == TimeInForce.GTC or tif == TimeInForce.GTD
    if not rests and tif != TimeInForce.IOC and tif != TimeInForce.FOK:
        return RejectReason.UNKNOWN_TYPE
    return RejectReason.UNKNOWN_TYPE if ask.flags > 1 << OrderCondition.POST_ONLY else RejectReason.NONE


@kernel
def _lacks_field(ask: Ask) -> bool:
    """Rung 2050 of the trading commands."""
    kind, target = ask.kind, ask.target_id
    sided = names_instrument(kind)
    if (sided or joins_auction(kind) or kind == CommandKind.TAKE) and ask.qty == NONE:
        return True
    priced = sided or kind == CommandKind.BID
    if kind == CommandKind.NEW:
        priced = ask.ord_type == OrdType.LIMIT
    elif kind == CommandKind.CLICK:
        priced = target == NONE
    if priced and ask.price_fen == NONE:
        return True
    if kind == CommandKind.NEW and ask.tif == TimeInForce.GTD and ask.until_ns == NONE:
        return True
    if not sided and kind != CommandKind.MASS_CANCEL and target == NONE:
        return True
    return kind == CommandKind.PROPOSE and ask.contra == NONE


@kernel
def _refuse_syntax(state: np.ndarray, ask: Ask) -> int:
    """Rungs 2040 to 2090 of the trading commands."""
    kind, side, qty = ask.kind, ask.side, ask.qty
    if side > Side.SELL and (names_instrument(kind) or kind == CommandKind.MASS_CANCEL):
        return RejectReason.UNKNOWN_TYPE
    if side < Side.BUY and names_instrument(kind):
        return RejectReason.UNKNOWN_TYPE
    if kind == CommandKind.NEW and _refuse_new(ask) != RejectReason.NONE:
        return RejectReason.UNKNOWN_TYPE
    if _lacks_field(ask):
        return RejectReason.MISSING_FIELD
    if qty != NONE and not 0 <= qty <= MAX_QTY_T:
        return RejectReason.OUT_OF_RANGE
    if (kind == CommandKind.NEW or kind == CommandKind.BID) and ask.min_qty != NONE:
        if not 1 <= ask.min_qty <= qty:
            return RejectReason.OUT_OF_RANGE
    if kind == CommandKind.ANNOUNCE and ask.limit_price_fen != NONE:
        if is_better(opposite(side), ask.price_fen, ask.limit_price_fen):
            return RejectReason.OUT_OF_RANGE
    if not is_open(state, ask.account):
        return RejectReason.UNKNOWN_ACCOUNT
    if kind == CommandKind.PROPOSE and not is_open(state, ask.contra):
        return RejectReason.UNKNOWN_ACCOUNT
    return RejectReason.NONE


@kernel
def _offered(state: np.ndarray, ask: Ask, instrument: int) -> bool:
    """Whether this market has such a mode, order type, validity and condition."""
    kind, rules = ask.kind, rules_of(state)[instrument]
    if kind == CommandKind.NEW:
        tif, ord_type, conditions = ask.tif, ask.ord_type, ask.flags
        if not ((rules[Rule.ORD_TYPES] >> ord_type) & 1 and (rules[Rule.TIMES_IN_FORCE] >> tif) & 1):
            return False
        if ask.min_qty != NONE:
            conditions |= 1 << OrderCondition.MIN_QTY
        if market_of(state)[Market.PHASE] == Phase.CALL:
            gathers = rules[Rule.MODE] == TradingMode.CONTINUOUS and ord_type == OrdType.LIMIT
            return gathers and conditions == 0 and tif != TimeInForce.IOC and tif != TimeInForce.FOK
        return conditions & ~rules[Rule.CONDITIONS] == 0
    if kind == CommandKind.CLICK:
        return rules[Rule.MODE] == TradingMode.LISTED
    if kind == CommandKind.PROPOSE:
        return rules[Rule.BLOCK_MIN_QTY_T] != NONE
    if kind == CommandKind.OFFER:
        return rules[Rule.OFFER_MIN_QTY_T] != NONE
    return kind != CommandKind.ANNOUNCE or rules[Rule.AUCTION_PRICING] != NONE


@kernel
def _refuse_phase(state: np.ndarray, ask: Ask, instrument: int) -> int:
    """Rungs 3020 to 3040: the phase, and a halt of the instrument."""
    kind, phase = ask.kind, market_of(state)[Market.PHASE]
    permitted = (rules_of(state)[instrument, Rule.PERMITS + phase] >> kind) & 1
    if not permitted and phase == Phase.CLOSED:
        return RejectReason.MARKET_CLOSED
    if not permitted and phase == Phase.HALTED:
        return RejectReason.HALTED
    if is_screen(kind) and ask.time_ns < instruments_of(state)[instrument, Instrument.HALTED_UNTIL]:
        return RejectReason.HALTED
    return RejectReason.NONE if permitted else RejectReason.WRONG_PHASE


@kernel
def _refuse_market(state: np.ndarray, ask: Ask, instrument: int) -> int:
    """Rungs 3010 to 3080 of the trading commands."""
    if not 0 <= instrument < state[Part.INSTRUMENT_COUNT]:
        return RejectReason.UNKNOWN_SYMBOL
    reason = _refuse_phase(state, ask, instrument)
    if reason != RejectReason.NONE:
        return reason
    kind, rules = ask.kind, rules_of(state)[instrument]
    at_auction = joins_auction(kind) or kind == CommandKind.ANNOUNCE
    if rules[Rule.TRADABLE] == 0 and not only_leaves(kind) and not at_auction:
        return RejectReason.NOT_TRADABLE_TODAY
    if not _offered(state, ask, instrument):
        return RejectReason.NOT_OFFERED
    if only_leaves(kind):
        return RejectReason.NONE
    account = accounts_of(state)[ask.account]
    admitted = rules[Rule.AUCTION_BIDDERS] if joins_auction(kind) else rules[Rule.PARTICIPANTS]
    state_sells = kind == CommandKind.ANNOUNCE and ask.account == GOVERNMENT_ACCOUNT
    if not (admitted >> account[Account.PARTICIPANT]) & 1 and not state_sells:
        return RejectReason.NOT_ADMITTED
    return RejectReason.ACCOUNT_BLOCKED if account[Account.BLOCKED] == 1 else RejectReason.NONE


@kernel
def refuse_head(state: np.ndarray, ask: Ask, slot: int) -> int:
    """Rungs 2040 to 3080 of a trading command; `slot` is what `target_slot` has found."""
    reason = _refuse_syntax(state, ask)
    return reason if reason != RejectReason.NONE else _refuse_market(state, ask, instrument_of(state, ask, slot))


@kernel
def instrument_of(state: np.ndarray, ask: Ask, slot: int) -> int:
    """The instrument a trading command is about; a number that does not exist is left as it is."""
    kind, instrument = ask.kind, ask.instrument
    if names_instrument(kind):
        return instrument
    if kind == CommandKind.MASS_CANCEL:
        return 0 if instrument == NONE else instrument
    return orders_of(state)[max(slot, NIL)]["instrument"] + 0


@kernel
def refuse_price(state: np.ndarray, instrument: int, price_fen: int, low_fen: int, high_fen: int) -> int:
    """Rungs 4010 to 4030: a price between `low_fen` and `high_fen`, on the tick; an absent one passes."""
    if price_fen == NONE:
        return RejectReason.NONE
    if price_fen > high_fen:
        return RejectReason.PRICE_ABOVE_LIMIT
    if price_fen < low_fen:
        return RejectReason.PRICE_BELOW_LIMIT
    tick = rules_of(state)[instrument, Rule.TICK_FEN]
    return RejectReason.BAD_TICK if tick > 1 and price_fen % tick != 0 else RejectReason.NONE


@kernel
def refuse_qty(state: np.ndarray, instrument: int, qty: int, lot_t: int, most_t: int, dearest_fen: int) -> int:
    """Rungs 4040 to 4060: whole lots, at most `most_t`, a day's value that integers hold; an absent one passes."""
    if qty == NONE:
        return RejectReason.NONE
    if lot_t > 1 and qty % lot_t != 0:
        return RejectReason.BAD_LOT
    value = instruments_of(state)[instrument, Instrument.DAY_VALUE] + dearest_fen * qty
    if qty > most_t or value > MAX_VALUE_FEN:
        return RejectReason.QTY_TOO_LARGE
    return RejectReason.QTY_ZERO if qty == 0 else RejectReason.NONE
