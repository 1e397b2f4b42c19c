"""The day roll: expire what ends, fix the closing price, unlock units, take the dated rules, set new limits.

It can need more event rows than a buffer has, so it may stop between two expiries, or before the day closes, and go on
in the next call; a split changes no byte. `prices.py` says what the closing price is, `emit.py` what follows what.
"""

import numpy as np

from engine.codes import NONE, RULE_COLUMNS, BlockReference, EventKind, Phase, RejectReason, Role, Rule, Side
from engine.core.accounts import GOVERNMENT_ACCOUNT, holding_limit, is_open, owned, unlock_all
from engine.core.book import forget_ids, slot_of
from engine.core.emit import emit
from engine.core.living import remove
from engine.core.negotiated import close_deal
from engine.core.prices import BASIS, band_high, band_low, closing_price
from engine.core.state import (
    NIL,
    Ask,
    Instrument,
    Market,
    Part,
    instruments_of,
    market_of,
    orders_of,
    rule_rows_of,
    rules_of,
)
from engine.jit import entry, kernel


@kernel
def refuse_day_roll(state: np.ndarray, ask: Ask) -> int:
    """A day roll names a later date than the running day."""
    if ask.date == NONE:
        return RejectReason.MISSING_FIELD
    if ask.date <= market_of(state)[Market.DATE]:
        return RejectReason.OUT_OF_RANGE
    return RejectReason.NONE


@kernel
def _row_at(state: np.ndarray, instrument: int, date: int) -> int:
    """Index of the newest dated row in force on `date`; before the first one, the first."""
    rows = rule_rows_of(state)
    chosen = -1
    for row in range(rows.shape[0]):
        if rows[row, RULE_COLUMNS] == instrument and (chosen < 0 or rows[row, Rule.FROM_DATE] <= date):
            chosen = row
    return chosen


@kernel
def _stays(state: np.ndarray, ask: Ask, slot: int) -> bool:
    """Whether it lives on: good till later, or of an auction; never across a change of its rules. Deals wait.

    Nor does an order out of a call that nobody ended: its book may be crossed.
    """
    order = orders_of(state)[slot]
    role, instrument = order["role"], order["instrument"]
    if role == Role.DEAL:
        return True
    row = _row_at(state, instrument, ask.date)
    if rule_rows_of(state)[row, Rule.FROM_DATE] != rules_of(state)[instrument, Rule.FROM_DATE]:
        return False
    if role == Role.ORDER:
        return market_of(state)[Market.PHASE] != Phase.CALL and order["until_ns"] > ask.time_ns
    return role == Role.AUCTION or role == Role.APPLICATION or role == Role.BID


@kernel
def _expire_ended(state: np.ndarray, events: np.ndarray, ask: Ask, room: int) -> bool:
    """Expire every entry whose time is over, oldest first. False: the buffer is full, call again."""
    market = market_of(state)
    if market[Market.LIVE] == 0:
        return True
    for order_id in range(max(market[Market.RESUME_ID], market[Market.ID_BASE]), market[Market.COMMAND_SEQ]):
        slot = slot_of(state, order_id)
        if slot > NIL and not _stays(state, ask, slot):
            if market[Market.EVENT_COUNT] >= room:
                market[Market.RESUME_ID] = order_id
                return False
            remove(state, events, ask, slot, EventKind.EXPIRED)
    return True


@kernel
def _expire_outside(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """Expire carried orders that the new limits do not allow, oldest first."""
    market, orders = market_of(state), orders_of(state)
    if market[Market.LIVE] == 0:
        return
    for order_id in range(market[Market.ID_BASE], market[Market.COMMAND_SEQ]):
        slot = slot_of(state, order_id)
        if slot > NIL and orders[slot]["role"] == Role.ORDER:
            day = instruments_of(state)[orders[slot]["instrument"]]
            if not day[Instrument.LIMIT_LOW] <= orders[slot]["price_fen"] <= day[Instrument.LIMIT_HIGH]:
                remove(state, events, ask, slot, EventKind.EXPIRED)


@kernel
def _close_deals(state: np.ndarray, events: np.ndarray, ask: Ask, instrument: int) -> None:
    """Deliver or void what was held until this instrument's close, oldest first."""
    market, orders = market_of(state), orders_of(state)
    if rules_of(state)[instrument, Rule.BLOCK_REFERENCE] != BlockReference.SAME_DAY_CLOSE:
        return
    for order_id in range(market[Market.ID_BASE], market[Market.COMMAND_SEQ]):
        slot = slot_of(state, order_id)
        if slot > NIL and orders[slot]["role"] == Role.DEAL and orders[slot]["instrument"] == instrument:
            close_deal(state, events, ask, slot)


@kernel
def _is_large(state: np.ndarray, account: int, instrument: int) -> bool:
    """Whether the account's holding must be published."""
    if not is_open(state, account):
        return False
    threshold = holding_limit(state, account, instrument, Rule.DISCLOSE_T)
    return threshold != NONE and owned(state, account, instrument) > threshold


@kernel
def _large_holders(state: np.ndarray) -> int:
    """How many holdings must be published now."""
    found = 0
    for instrument in range(state[Part.INSTRUMENT_COUNT]):
        for account in range(GOVERNMENT_ACCOUNT + 1, state[Part.ACCOUNT_COUNT]):
            if _is_large(state, account, instrument):
                found += 1
    return found


@kernel
def _publish_large_holders(state: np.ndarray, events: np.ndarray, ask: Ask, instrument: int) -> None:
    for account in range(GOVERNMENT_ACCOUNT + 1, state[Part.ACCOUNT_COUNT]):
        if _is_large(state, account, instrument):
            emit(
                state, events, ask, EventKind.LARGE_HOLDER, NONE, account, instrument, 0, 0, NONE,
                owned(state, account, instrument), NONE,
            )  # fmt: skip


@kernel
def set_limits(state: np.ndarray, instrument: int) -> None:
    """Limits of the day from the previous close, rounded half up to the tick and kept inside the ladder's capacity."""
    day, rules = instruments_of(state)[instrument], rules_of(state)[instrument]
    day[Instrument.LIMIT_LOW] = band_low(state, instrument, rules[Rule.BAND_DOWN_BP])
    day[Instrument.LIMIT_HIGH] = band_high(state, instrument, rules[Rule.BAND_UP_BP])
    band = rules[Rule.BLOCK_BAND_BP] + 0
    if rules[Rule.BLOCK_REFERENCE] == BlockReference.SAME_DAY_CLOSE:
        band = NONE
    day[Instrument.BLOCK_LOW] = band_low(state, instrument, band)
    day[Instrument.BLOCK_HIGH] = band_high(state, instrument, band)


@kernel
def begin_day(state: np.ndarray, date: int) -> None:
    """Dated rules, reference price and limits for `date` (0: before any day roll); an empty ladder moves with them."""
    market = market_of(state)
    market[Market.DATE] = date
    market[Market.PHASE] = market[Market.INITIAL_PHASE]
    for instrument in range(state[Part.INSTRUMENT_COUNT]):
        day, rules = instruments_of(state)[instrument], rules_of(state)[instrument]
        row = _row_at(state, instrument, date)
        for column in range(RULE_COLUMNS):
            rules[column] = rule_rows_of(state)[row, column]
        if day[Instrument.PREV_CLOSE] == 0:
            day[Instrument.PREV_CLOSE] = rules[Rule.REFERENCE_FEN]
        day[Instrument.HALT_REFERENCE] = day[Instrument.PREV_CLOSE]
        set_limits(state, instrument)
        if day[Instrument.LIVE + Side.BUY] + day[Instrument.LIVE + Side.SELL] == 0:
            around = day[Instrument.PREV_CLOSE] - day[Instrument.LADDER_SIZE] // 2
            highest = day[Instrument.LIMIT_HIGH] - day[Instrument.LADDER_SIZE] + 1
            day[Instrument.LADDER_LOW] = max(day[Instrument.LIMIT_LOW], min(around, highest))


@entry
def open_venue(state: np.ndarray) -> None:
    """Rules and limits before the first day roll."""
    begin_day(state, 0)


@kernel
def _close_day(state: np.ndarray, events: np.ndarray, ask: Ask, instrument: int) -> None:
    """Closing price, deals that waited for it, large holders; then the accumulators start anew."""
    day = instruments_of(state)[instrument]
    if market_of(state)[Market.DATE] != 0:
        day[Instrument.PREV_CLOSE] = closing_price(state, instrument)
        row = emit(
            state, events, ask, EventKind.DAY_CLOSED, NONE, NONE, instrument, 0, 0, day[Instrument.PREV_CLOSE],
            day[Instrument.DAY_QTY], NONE,
        )  # fmt: skip
        events[row]["amount_fen"] = day[Instrument.DAY_VALUE]
    _close_deals(state, events, ask, instrument)
    _publish_large_holders(state, events, ask, instrument)
    day[Instrument.TRADES] = 0
    day[Instrument.DAY_QTY] = 0
    day[Instrument.DAY_VALUE] = 0
    day[Instrument.COUNTED_QTY] = 0
    day[Instrument.HALTED_UNTIL] = 0


@kernel
def roll(state: np.ndarray, events: np.ndarray, ask: Ask, room: int) -> bool:
    """DAY_ROLL. `room` is the buffer's length; False: it is full, call again with the same command."""
    market = market_of(state)
    count = state[Part.INSTRUMENT_COUNT]
    market[Market.WANTED] = 1
    if not _expire_ended(state, events, ask, room):
        return False
    market[Market.RESUME_ID] = market[Market.COMMAND_SEQ]
    market[Market.WANTED] = 2 * (count + market[Market.LIVE]) + _large_holders(state)
    if market[Market.EVENT_COUNT] + market[Market.WANTED] > room:
        return False
    for instrument in range(count):
        _close_day(state, events, ask, instrument)
    unlock_all(state)
    begin_day(state, ask.date)
    market[Market.RESUME_ID] = 0
    forget_ids(state)
    for instrument in range(count):
        day = instruments_of(state)[instrument]
        row = emit(
            state, events, ask, EventKind.DAY_OPENED, NONE, NONE, instrument, 0, 0, day[Instrument.PREV_CLOSE],
            NONE, NONE,
        )  # fmt: skip
        events[row]["low_price_fen"] = day[Instrument.LIMIT_LOW]
        events[row]["high_price_fen"] = day[Instrument.LIMIT_HIGH]
    _expire_outside(state, events, ask)
    return True


@kernel
def change_phase(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """PHASE."""
    market_of(state)[Market.PHASE] = ask.phase
    emit(state, events, ask, EventKind.PHASE_CHANGED, NONE, NONE, NONE, 0, 0, NONE, NONE, NONE)


@kernel
def refuse_rule(state: np.ndarray, ask: Ask) -> int:
    """SET_RULE: only rules that may change during a day, inside their range."""
    rule, value = ask.rule, ask.amount_fen
    if rule == NONE:
        return RejectReason.MISSING_FIELD
    if rule == Rule.BAND_DOWN_BP or rule == Rule.BAND_UP_BP or rule == Rule.BLOCK_BAND_BP:
        inside = NONE <= value < BASIS
    elif rule == Rule.TRADABLE or rule == Rule.UNITS_T_PLUS:
        inside = 0 <= value <= 1
    elif rule == Rule.SCREEN_MAX_QTY_T or rule == Rule.CLICK_LEVELS:
        inside = 0 < value <= 10**9
    else:
        return RejectReason.UNKNOWN_TYPE
    if not inside:
        return RejectReason.OUT_OF_RANGE
    instrument = ask.instrument
    if instrument < 0 or instrument >= state[Part.INSTRUMENT_COUNT]:
        return RejectReason.UNKNOWN_SYMBOL
    return RejectReason.NONE


@kernel
def set_rule(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """SET_RULE until the next day roll; limits follow at once, resting orders stay where they are."""
    instrument, rule = ask.instrument, ask.rule
    rules_of(state)[instrument, rule] = ask.amount_fen
    set_limits(state, instrument)
    row = emit(state, events, ask, EventKind.RULE_SET, NONE, NONE, instrument, 0, 0, NONE, NONE, NONE)
    events[row]["amount_fen"] = ask.amount_fen
    events[row]["order_id"] = rule
    events[row]["low_price_fen"] = instruments_of(state)[instrument, Instrument.LIMIT_LOW]
    events[row]["high_price_fen"] = instruments_of(state)[instrument, Instrument.LIMIT_HIGH]
