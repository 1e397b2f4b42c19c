"""The day roll: expire what is left, fix the closing price, unlock units, take the dated rules, set new limits.

It can need more event rows than a buffer has, so it may stop between two expiries and go on in the next call; a
split changes no byte. `prices.py` says what the closing price is.
"""

import numpy as np

from engine.codes import NONE, RULE_COLUMNS, EventKind, RejectReason, Rule, TradingMode
from engine.core.accounts import BASIS, unlock_all
from engine.core.book import forget_ids, slot_of
from engine.core.continuous import remove
from engine.core.emit import emit
from engine.core.negotiated import withdraw_proposal
from engine.core.prices import closing_price, round_half_up
from engine.core.state import (
    NIL,
    Ask,
    Instrument,
    Market,
    Order,
    Part,
    instruments_of,
    market_of,
    orders_of,
    rule_rows_of,
    rules_of,
)
from engine.jit import entry, kernel


@kernel
def refuse_day_roll(state: np.ndarray, ask: np.ndarray) -> int:
    """A day roll names a later date than the running day."""
    if ask[Ask.DATE] == NONE:
        return RejectReason.MISSING_FIELD
    if ask[Ask.DATE] <= market_of(state)[Market.DATE]:
        return RejectReason.OUT_OF_RANGE
    return RejectReason.NONE


@kernel
def _expire_all(state: np.ndarray, events: np.ndarray, ask: np.ndarray, room: int) -> bool:
    """Expire every order and proposal, oldest first. False: the buffer is full, call again."""
    market = market_of(state)
    order_id = max(market[Market.RESUME_ID], market[Market.ID_BASE])
    while market[Market.LIVE] > 0:
        slot = slot_of(state, order_id)
        if slot > NIL:
            if market[Market.EVENT_COUNT] >= room:
                market[Market.RESUME_ID] = order_id
                return False
            if orders_of(state)[slot, Order.MODE] == TradingMode.BLOCK:
                withdraw_proposal(state, events, ask, slot, EventKind.EXPIRED)
            else:
                remove(state, events, ask, slot, EventKind.EXPIRED)
        order_id += 1
    return True


@kernel
def set_limits(state: np.ndarray, instrument: int) -> None:
    """Limits of the day from the previous close, rounded half up to the tick and kept inside the ladder's capacity."""
    day = instruments_of(state)[instrument]
    rules = rules_of(state)[instrument]
    close, tick = day[Instrument.PREV_CLOSE], rules[Rule.TICK_FEN]
    low, high = rules[Rule.PRICE_LOW_FEN], rules[Rule.PRICE_HIGH_FEN]
    day[Instrument.LIMIT_LOW], day[Instrument.LIMIT_HIGH] = low, high
    if rules[Rule.BAND_DOWN_BP] != NONE:
        day[Instrument.LIMIT_LOW] = max(low, round_half_up(close * (BASIS - rules[Rule.BAND_DOWN_BP]), BASIS, tick))
    if rules[Rule.BAND_UP_BP] != NONE:
        day[Instrument.LIMIT_HIGH] = min(high, round_half_up(close * (BASIS + rules[Rule.BAND_UP_BP]), BASIS, tick))
    day[Instrument.BLOCK_LOW], day[Instrument.BLOCK_HIGH] = low, high
    if rules[Rule.BLOCK_BAND_BP] != NONE:
        band = rules[Rule.BLOCK_BAND_BP]
        day[Instrument.BLOCK_LOW] = max(low, round_half_up(close * (BASIS - band), BASIS, tick))
        day[Instrument.BLOCK_HIGH] = min(high, round_half_up(close * (BASIS + band), BASIS, tick))


@kernel
def take_rules(state: np.ndarray, instrument: int, date: int) -> None:
    """The newest dated row that is in force on `date`; before the first one, the first."""
    rows = rule_rows_of(state)
    rules = rules_of(state)[instrument]
    chosen = -1
    for row in range(rows.shape[0]):
        if rows[row, RULE_COLUMNS] == instrument and (chosen < 0 or rows[row, Rule.FROM_DATE] <= date):
            chosen = row
    for column in range(RULE_COLUMNS):
        rules[column] = rows[chosen, column]


@kernel
def begin_day(state: np.ndarray, date: int) -> None:
    """Dated rules, reference price and limits for `date` (0: before any day roll); the ladders are empty."""
    market = market_of(state)
    market[Market.DATE] = date
    market[Market.PHASE] = market[Market.INITIAL_PHASE]
    for instrument in range(state[Part.INSTRUMENT_COUNT]):
        day = instruments_of(state)[instrument]
        take_rules(state, instrument, date)
        if day[Instrument.PREV_CLOSE] == 0:
            day[Instrument.PREV_CLOSE] = rules_of(state)[instrument, Rule.REFERENCE_FEN]
        set_limits(state, instrument)
        day[Instrument.LADDER_LOW] = day[Instrument.LIMIT_LOW]


@entry
def open_venue(state: np.ndarray) -> None:
    """Rules and limits before the first day roll."""
    begin_day(state, 0)


@kernel
def roll(state: np.ndarray, events: np.ndarray, ask: np.ndarray, room: int) -> bool:
    """DAY_ROLL. `room` is the buffer's length; False: it is full, call again with the same command."""
    market = market_of(state)
    instruments = instruments_of(state)
    count = state[Part.INSTRUMENT_COUNT]
    if not _expire_all(state, events, ask, room) or market[Market.EVENT_COUNT] + 2 * count > room:
        market[Market.RESUME_ID] = max(market[Market.RESUME_ID], 1)
        return False
    first_day = market[Market.DATE] == 0
    for instrument in range(count):
        day = instruments[instrument]
        if first_day:
            continue
        day[Instrument.PREV_CLOSE] = closing_price(state, instrument)
        row = emit(
            state, events, ask, EventKind.DAY_CLOSED, NONE, NONE, instrument, 0, 0, day[Instrument.PREV_CLOSE],
            day[Instrument.DAY_QTY], NONE,
        )  # fmt: skip
        events[row]["amount_fen"] = day[Instrument.DAY_VALUE]
        day[Instrument.TRADES] = 0
        day[Instrument.DAY_QTY] = 0
        day[Instrument.DAY_VALUE] = 0
    unlock_all(state)
    begin_day(state, ask[Ask.DATE])
    market[Market.RESUME_ID] = 0
    forget_ids(state)
    for instrument in range(count):
        day = instruments[instrument]
        row = emit(
            state, events, ask, EventKind.DAY_OPENED, NONE, NONE, instrument, 0, 0, day[Instrument.PREV_CLOSE],
            NONE, NONE,
        )  # fmt: skip
        events[row]["low_price_fen"] = day[Instrument.LIMIT_LOW]
        events[row]["high_price_fen"] = day[Instrument.LIMIT_HIGH]
    return True


@kernel
def refuse_rule(state: np.ndarray, ask: np.ndarray) -> int:
    """SET_RULE: only rules that may change during a day, inside their range."""
    rule, value = ask[Ask.RULE], ask[Ask.AMOUNT_FEN]
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
    instrument = ask[Ask.INSTRUMENT]
    if instrument < 0 or instrument >= state[Part.INSTRUMENT_COUNT]:
        return RejectReason.UNKNOWN_SYMBOL
    return RejectReason.NONE


@kernel
def set_rule(state: np.ndarray, events: np.ndarray, ask: np.ndarray) -> None:
    """SET_RULE until the next day roll; limits follow at once, resting orders stay where they are."""
    instrument, rule = ask[Ask.INSTRUMENT], ask[Ask.RULE]
    rules_of(state)[instrument, rule] = ask[Ask.AMOUNT_FEN]
    set_limits(state, instrument)
    row = emit(state, events, ask, EventKind.RULE_SET, NONE, NONE, instrument, 0, 0, NONE, NONE, NONE)
    events[row]["amount_fen"] = ask[Ask.AMOUNT_FEN]
    events[row]["order_id"] = rule
    events[row]["low_price_fen"] = instruments_of(state)[instrument, Instrument.LIMIT_LOW]
    events[row]["high_price_fen"] = instruments_of(state)[instrument, Instrument.LIMIT_HIGH]
