"""The loop of the ledger: blocks, accounts, phases, day rolls, rules. `batch.py` says how loops share a batch.

COMMAND ─ decode ─ admit_ledger ─> reason? REJECTED : negotiated | accounts | day ─ living ─ emit ─> EVENTS
"""

import numpy as np

from engine.codes import NONE, CommandKind, EventKind, RejectReason
from engine.core import accounts, admit_ledger, day, negotiated
from engine.core.batch import Loop, begin, decode, start
from engine.core.emit import emit, emit_rejected
from engine.core.gate import shut_gates
from engine.core.state import Account, Ask, Market, Stop, accounts_of, market_of
from engine.jit import entry, kernel


@kernel
def _refuse(state: np.ndarray, ask: Ask) -> int:
    """The ladder for the commands of this loop."""
    kind = ask.kind
    if kind == CommandKind.PROPOSE or kind == CommandKind.CONFIRM or kind == CommandKind.DECLINE:
        return admit_ledger.refuse_block(state, ask)
    if kind == CommandKind.DAY_ROLL:
        return day.refuse_day_roll(state, ask)
    if kind == CommandKind.SET_RULE:
        return day.refuse_rule(state, ask)
    return admit_ledger.refuse_move(state, ask)


@kernel
def _move(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """The commands that open an account or move cash and units without a trade."""
    kind, account = ask.kind, ask.account
    instrument, qty = ask.instrument, ask.qty
    amount = ask.amount_fen
    event = EventKind.ACCOUNT_OPENED
    if kind == CommandKind.OPEN_ACCOUNT:
        accounts_of(state)[account, Account.OPEN] = 1
        accounts_of(state)[account, Account.GROUP] = ask.group
        accounts_of(state)[account, Account.PARTICIPANT] = ask.flags
        instrument, qty, amount = NONE, NONE, NONE
    elif kind == CommandKind.DEPOSIT:
        event = EventKind.DEPOSITED
        accounts.deposit(state, account, amount)
    elif kind == CommandKind.WITHDRAW:
        event = EventKind.WITHDRAWN
        accounts.deposit(state, account, -amount)
    elif kind == CommandKind.FINE:
        event = EventKind.FINED
        accounts.fine(state, account, amount)
    elif kind == CommandKind.ISSUE:
        event = EventKind.ISSUED
        accounts.issue(state, account, instrument, qty)
    elif kind == CommandKind.SURRENDER:
        event = EventKind.SURRENDERED
        accounts.retire(state, account, instrument, qty)
    else:
        event = EventKind.DEDUCTED
        accounts.retire(state, account, instrument, qty)
    row = emit(state, events, ask, event, NONE, account, instrument, 0, 0, NONE, qty, NONE)
    events[row]["amount_fen"] = amount


@kernel
def _execute(state: np.ndarray, events: np.ndarray, ask: Ask, room: int) -> bool:
    """Carry out an admitted command. False: a day roll has run out of event rows."""
    kind = ask.kind
    if kind == CommandKind.PROPOSE:
        negotiated.propose(state, events, ask)
    elif kind == CommandKind.CONFIRM:
        negotiated.confirm(state, events, ask)
    elif kind == CommandKind.DECLINE:
        negotiated.decline(state, events, ask)
    elif kind == CommandKind.PHASE:
        day.change_phase(state, events, ask)
    elif kind == CommandKind.DAY_ROLL:
        return day.roll(state, events, ask, room)
    elif kind == CommandKind.SET_RULE:
        day.set_rule(state, events, ask)
    else:
        _move(state, events, ask)
    return True


@entry
def apply_ledger(state: np.ndarray, commands: np.ndarray, first: int, events: np.ndarray) -> int:
    """As `apply_screen`, for the commands of this loop; a day roll may stop half way and go on in the next call."""
    market = market_of(state)
    start(state)
    shut_gates(state)
    for index in range(first, commands.shape[0]):
        ask = decode(commands[index])
        resumes = market[Market.RESUME_ID] != 0
        if not begin(state, ask, events.shape[0], Loop.LEDGER):
            return index
        reason = RejectReason.NONE if resumes else _refuse(state, ask)
        if reason != RejectReason.NONE:
            emit_rejected(state, events, ask, reason)
        elif not _execute(state, events, ask, events.shape[0]):
            market[Market.STOP] = Stop.EVENTS
            return index
    return commands.shape[0]
