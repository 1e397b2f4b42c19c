"""The loop of the screen: NEW, CANCEL, REPLACE, CLICK outside call auctions. `batch.py` says how loops share a batch.

COMMAND ─ decode ─ gate? ─ yes ───────────────────────────────> continuous ────────── living ─ emit ─> EVENTS
                    └─ no ─ admit_screen ─> reason? REJECTED : continuous | listed ─ living ─ emit ─> EVENTS

What passes the gate is done in the loop itself; the ladder is a function of its own, so that its hundred variables do
not take the loop's registers.
"""

import numpy as np

from engine.codes import CommandKind, EventKind, RejectReason, Rule, TradingMode
from engine.core import continuous, listed
from engine.core.admit import instrument_of, target_slot
from engine.core.admit_screen import refuse_screen
from engine.core.ahead import look_ahead
from engine.core.batch import Loop, begin, decode, number, start
from engine.core.emit import emit_rejected
from engine.core.gate import draw_gates, passes, plain_target
from engine.core.living import take_out
from engine.core.state import NIL, Ask, Instrument, instruments_of, rules_of
from engine.jit import apart, entry, kernel


@entry
def apply_screen(state: np.ndarray, commands: np.ndarray, first: int, events: np.ndarray) -> int:
    """Apply `commands[first:]` until done, something is missing, or a command belongs to another loop.

    Parameters
    ----------
    state : the descriptor, int64, shape (PARTS,)
    commands : COMMAND rows, shape (n,)
    first : index of the first command to apply
    events : EVENT rows to write into, from row 0; MARKET's EVENT_COUNT says how many were written

    Returns
    -------
    int
        Index of the first command not applied; MARKET's STOP says why when that is not n.
    """
    start(state)
    draw_gates(state)
    for index in range(first, commands.shape[0]):
        look_ahead(state, commands, index)
        ask, room = decode(commands[index]), events.shape[0]
        slot = plain_target(state, ask, room) if ask.kind == CommandKind.CANCEL else NIL
        if slot != NIL:
            number(state)
            take_out(state, events, ask, slot, EventKind.CANCELED)
        elif ask.kind == CommandKind.NEW and passes(state, ask, room):
            number(state)
            continuous.enter(state, events, ask, TradingMode.CONTINUOUS)
        elif not _by_the_ladder(state, commands, index, events):
            return index
    return commands.shape[0]


@apart
def _by_the_ladder(state: np.ndarray, commands: np.ndarray, index: int, events: np.ndarray) -> bool:
    """Any command of the screen; False when it belongs to another loop, or something it may need is missing."""
    ask = decode(commands[index])
    # Each kind goes its own way: there the compiler leaves out the rungs of the others.
    kind = ask.kind
    if kind == CommandKind.NEW:
        if not begin(state, ask, events.shape[0], Loop.SCREEN):
            return False
        reason = refuse_screen(state, ask)
        if reason == RejectReason.NONE:
            trades = instruments_of(state)[ask.instrument, Instrument.TRADES]
            continuous.enter(state, events, ask, rules_of(state)[ask.instrument, Rule.MODE])
            continuous.halt_if_moved(state, events, ask, ask.instrument, trades)
    elif kind == CommandKind.CANCEL:
        if not begin(state, ask, events.shape[0], Loop.SCREEN):
            return False
        reason = refuse_screen(state, ask)
        if reason == RejectReason.NONE:
            continuous.cancel(state, events, ask, target_slot(state, ask))
    else:
        if not begin(state, ask, events.shape[0], Loop.SCREEN):
            return False
        reason = refuse_screen(state, ask)
        if reason == RejectReason.NONE:
            _replace_or_click(state, events, ask)
    if reason != RejectReason.NONE:
        emit_rejected(state, events, ask, reason)
    return True


@kernel
def _replace_or_click(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    instrument = instrument_of(state, ask, target_slot(state, ask))
    trades = instruments_of(state)[instrument, Instrument.TRADES]
    if ask.kind == CommandKind.REPLACE:
        continuous.replace(state, events, ask)
    else:
        listed.click(state, events, ask)
    continuous.halt_if_moved(state, events, ask, instrument, trades)
