"""The loop of auctions, compiled when a market first needs it. `batch.py` says how loops share a batch.

one-way auctions         COMMAND ─ decode ─ admit_auction ─> reason? REJECTED : auction ─ living ─ emit ─> EVENTS
while a call gathers     NEW CANCEL REPLACE ─ admit_screen ─> continuous (nothing crosses) ─ call.publish
the phase after a call   PHASE ─ call.uncross of every instrument ─ day.change_phase
"""

import numpy as np

from engine.codes import CommandKind, Phase, RejectReason, Role, Rule
from engine.core import auction, call, cancel, continuous, day, negotiated
from engine.core.admit import is_screen
from engine.core.admit_ledger import refuse_account, refuse_phase
from engine.core.admit_other import refuse_other
from engine.core.admit_screen import refuse_screen
from engine.core.batch import Loop, begin, decode, start
from engine.core.book import slot_of
from engine.core.emit import emit_rejected
from engine.core.gate import shut_gates
from engine.core.state import NIL, Ask, Instrument, Market, Part, instruments_of, market_of, orders_of, rules_of
from engine.jit import entry, kernel


@kernel
def _gather(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """A NEW, CANCEL or REPLACE while the call gathers: the book changes, and what would trade now is published."""
    kind = ask.kind
    instrument, in_book, slot = ask.instrument + 0, True, NIL
    if kind != CommandKind.NEW:
        slot = slot_of(state, ask.target_id)
        order = orders_of(state)[slot]
        instrument, in_book = order["instrument"] + 0, order["role"] == Role.ORDER
    if kind == CommandKind.NEW:
        continuous.enter(state, events, ask, rules_of(state)[ask.instrument, Rule.MODE])
    elif kind == CommandKind.REPLACE:
        continuous.replace(state, events, ask)
    else:
        continuous.cancel(state, events, ask, slot)
    if in_book:
        call.publish(state, events, ask, instrument)


@kernel
def _end_call(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """PHASE out of a call: every instrument trades at its price."""
    if ask.phase != Phase.CALL:
        for instrument in range(state[Part.INSTRUMENT_COUNT]):
            call.uncross(state, events, ask, instrument)
    day.change_phase(state, events, ask)


@kernel
def _cancel_many(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """MASS_CANCEL or KILL_SWITCH; while a call gathers, what would trade now in each book they touched."""
    if ask.kind == CommandKind.MASS_CANCEL:
        cancel.mass_cancel(state, events, ask)
    else:
        cancel.kill_switch(state, events, ask)
    if market_of(state)[Market.PHASE] == Phase.CALL:
        for instrument in range(state[Part.INSTRUMENT_COUNT]):
            if instruments_of(state)[instrument, Instrument.TOUCHED] == 1:
                call.publish(state, events, ask, instrument)


@kernel
def _execute(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """Carry out an admitted command."""
    kind = ask.kind
    if kind == CommandKind.OFFER:
        negotiated.offer(state, events, ask)
    elif kind == CommandKind.TAKE:
        negotiated.take(state, events, ask)
    elif kind == CommandKind.ANNOUNCE:
        auction.announce(state, events, ask)
    elif kind == CommandKind.APPLY:
        auction.apply_for(state, events, ask)
    elif kind == CommandKind.BID:
        auction.bid(state, events, ask)
    elif kind == CommandKind.END_STAGE:
        auction.end_stage(state, events, ask)
    elif kind == CommandKind.PHASE:
        _end_call(state, events, ask)
    elif is_screen(kind) or kind == CommandKind.CANCEL:
        _gather(state, events, ask)
    else:
        _cancel_many(state, events, ask)


@kernel
def _refuse(state: np.ndarray, ask: Ask) -> int:
    """The ladder for the commands of this loop."""
    kind = ask.kind
    if is_screen(kind) or kind == CommandKind.CANCEL:
        return refuse_screen(state, ask)
    if kind == CommandKind.PHASE:
        return refuse_phase(ask)
    if kind == CommandKind.KILL_SWITCH:
        return refuse_account(state, ask)
    return refuse_other(state, ask)


@entry
def apply_other(state: np.ndarray, commands: np.ndarray, first: int, events: np.ndarray) -> int:
    """As `apply_screen`, for the commands of this loop."""
    start(state)
    shut_gates(state)
    for index in range(first, commands.shape[0]):
        ask = decode(commands[index])
        if not begin(state, ask, events.shape[0], Loop.OTHER):
            return index
        reason = _refuse(state, ask)
        if reason != RejectReason.NONE:
            emit_rejected(state, events, ask, reason)
        else:
            _execute(state, events, ask)
    return commands.shape[0]
