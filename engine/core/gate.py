"""The short way past the ladder: a new order that a plain screen certainly admits, by a dozen comparisons.

    draw_gates    after a command of another loop: what rules, phase and the day's limits leave of a plain order
    passes        NEW: inside the gate, by somebody who may trade and has what he offers, and there is room for it
    plain_target  CANCEL: of one's own screen order

A gate is shut (its quantity is 0) where anything is not plain: ticks or lots above one, a listed screen, a call, halts
by price, limits on holdings and sales. An order that does not pass goes up the ladder (`admit_screen.py`), which alone
knows reasons. Whatever passes here must pass there: every random test compares both with the reference engine.
"""

import numpy as np

from engine.codes import NONE, CommandKind, OrdType, Phase, Role, Rule, SelfTrade, Side, TimeInForce, TradingMode
from engine.core.accounts import gross, is_open, units_row
from engine.core.admit import MAX_QTY_T, MAX_VALUE_FEN
from engine.core.batch import has_room
from engine.core.book import slot_of
from engine.core.state import (
    NIL,
    Account,
    Ask,
    Instrument,
    Market,
    Part,
    Units,
    accounts_of,
    instruments_of,
    market_of,
    orders_of,
    rules_of,
    units_of,
)
from engine.jit import kernel


@kernel
def shut_gates(state: np.ndarray) -> None:
    """Rules, phase or limits may be about to change: gates are drawn again before they are next used."""
    market_of(state)[Market.GATES_DRAWN] = 0


@kernel
def _is_plain(state: np.ndarray, instrument: int) -> bool:
    """Whether nothing but price, quantity, account and funds decides about a limit order for the day or at once."""
    rules, phase = rules_of(state)[instrument], market_of(state)[Market.PHASE]
    if phase == Phase.CALL or not (rules[Rule.PERMITS + phase] >> CommandKind.NEW) & 1:
        return False
    if rules[Rule.MODE] != TradingMode.CONTINUOUS or rules[Rule.TRADABLE] == 0:
        return False
    times = 1 << TimeInForce.DAY | 1 << TimeInForce.IOC
    if rules[Rule.TIMES_IN_FORCE] & times != times or not (rules[Rule.ORD_TYPES] >> OrdType.LIMIT) & 1:
        return False
    if rules[Rule.TICK_FEN] != 1 or rules[Rule.LOT_T] != 1 or rules[Rule.SELF_TRADE] == SelfTrade.REJECT_TAKER:
        return False
    if rules[Rule.HALT_MOVE_BP] != NONE or instruments_of(state)[instrument, Instrument.HALTED_UNTIL] > 0:
        return False
    for column in range(Rule.MAX_HOLDING_T, Rule.MAX_HOLDING_INDIVIDUAL_T + 1):
        if rules[column] != NONE:
            return False
    return rules[Rule.MAX_SALE_BP] == NONE


@kernel
def draw_gates(state: np.ndarray) -> None:
    """Bring the gates of all instruments up to date."""
    if market_of(state)[Market.GATES_DRAWN] == 1:
        return
    market_of(state)[Market.GATES_DRAWN] = 1
    for instrument in range(state[Part.INSTRUMENT_COUNT]):
        day = instruments_of(state)[instrument]
        last = day[Instrument.LADDER_LOW] + day[Instrument.LADDER_SIZE] - 1
        day[Instrument.GATE_LOW] = max(day[Instrument.LIMIT_LOW], day[Instrument.LADDER_LOW])
        day[Instrument.GATE_HIGH] = min(day[Instrument.LIMIT_HIGH], last)
        day[Instrument.GATE_QTY] = 0
        rules, phase = rules_of(state)[instrument], market_of(state)[Market.PHASE]
        day[Instrument.GATE_CANCEL] = (rules[Rule.PERMITS + phase] >> CommandKind.CANCEL) & (phase != Phase.CALL)
        if _is_plain(state, instrument):
            day[Instrument.GATE_QTY] = min(rules_of(state)[instrument, Rule.SCREEN_MAX_QTY_T], MAX_QTY_T)


@kernel
def _has_funds(state: np.ndarray, ask: Ask) -> bool:
    """Whether the account has what a plain order needs, in a market without limits on holdings and sales."""
    rules = rules_of(state)[ask.instrument]
    if rules[Rule.FUNDED] == 0:
        return True
    if ask.side == Side.SELL:
        return units_of(state)[units_row(state, ask.account, ask.instrument), Units.AVAILABLE] >= ask.qty
    cash = gross(state, ask.instrument, TradingMode.CONTINUOUS, ask.price_fen) * ask.qty
    return accounts_of(state)[ask.account, Account.CASH] >= cash


@kernel
def plain_target(state: np.ndarray, ask: Ask, room: int) -> int:
    """Slot of what a CANCEL certainly takes out, its account's own screen order; NIL says nothing."""
    slot = slot_of(state, ask.target_id)
    if slot <= NIL or ask.qty != NONE or not has_room(state, room, 1):
        return NIL
    order = orders_of(state)[slot]
    if order["account"] != ask.account or order["role"] != Role.ORDER:
        return NIL
    return slot if instruments_of(state)[order["instrument"], Instrument.GATE_CANCEL] == 1 else NIL


@kernel
def passes(state: np.ndarray, ask: Ask, room: int) -> bool:
    """Whether a NEW is certainly admitted and finds room; False says nothing."""
    if not 0 <= ask.instrument < state[Part.INSTRUMENT_COUNT]:
        return False
    day = instruments_of(state)[ask.instrument]
    if not day[Instrument.GATE_LOW] <= ask.price_fen <= day[Instrument.GATE_HIGH]:
        return False
    if not 0 < ask.qty <= day[Instrument.GATE_QTY] or ask.min_qty != NONE or ask.flags != 0:
        return False
    needed = 2 + ask.qty  # every fill takes a tonne at least
    if rules_of(state)[ask.instrument, Rule.SELF_TRADE] == SelfTrade.CANCEL_MAKER:  # own orders in the way go, too
        needed += day[Instrument.LIVE + Side.BUY] + day[Instrument.LIVE + Side.SELL]
    if not has_room(state, room, needed):
        return False
    if day[Instrument.DAY_VALUE] + day[Instrument.LIMIT_HIGH] * ask.qty > MAX_VALUE_FEN:
        return False
    at_once_or_today = ask.tif == TimeInForce.DAY or ask.tif == TimeInForce.IOC
    if ask.ord_type != OrdType.LIMIT or not at_once_or_today or not Side.BUY <= ask.side <= Side.SELL:
        return False
    if not is_open(state, ask.account):
        return False
    account = accounts_of(state)[ask.account]
    admitted = rules_of(state)[ask.instrument, Rule.PARTICIPANTS] >> account[Account.PARTICIPANT] & 1
    return admitted == 1 and account[Account.BLOCKED] == 0 and _has_funds(state, ask)
