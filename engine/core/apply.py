"""The command switches, and the two loops that are called once a batch.

    NEW CANCEL REPLACE CLICK    apply_screen  --admit--> reason? REJECTED : continuous | listed --emit--> events
    all others                  apply_ledger  --admit--> reason? REJECTED : negotiated | accounts | day --emit--> events

A loop that meets a command of the other one stops (`Stop.ROOM`) and the caller goes on there; there are two so that
two processes can compile them side by side. Before each command a loop makes sure that whatever it may need is there:
event rows for its worst case, a slot, an id, a ladder that reaches its price. If not, it returns and says what is
missing; the caller makes room and calls again, so a batch may be split anywhere without changing a byte of the events.
"""

import numpy as np

from engine.codes import NONE, CommandKind, EventKind, Participant, Phase, RejectReason, Rule, SelfTrade, Side
from engine.core import accounts, admit, continuous, day, listed, negotiated
from engine.core.book import slot_of
from engine.core.emit import emit, emit_rejected
from engine.core.state import (
    NIL,
    Account,
    Ask,
    Instrument,
    Market,
    Order,
    Part,
    Stop,
    accounts_of,
    ask_of,
    instruments_of,
    market_of,
    orders_of,
    rules_of,
)
from engine.jit import entry, kernel

MAX_ACCOUNTS = 2**24


@kernel
def _events_needed(state: np.ndarray, instrument: int, qty: int) -> int:
    """Worst case of an order of `qty` (NONE: unknown): every fill takes a tonne or a whole resting order."""
    if instrument < 0 or instrument >= state[Part.INSTRUMENT_COUNT]:
        return 1
    day_row = instruments_of(state)[instrument]
    resting = max(day_row[Instrument.LIVE + Side.BUY], day_row[Instrument.LIVE + Side.SELL])
    if qty != NONE and rules_of(state)[instrument, Rule.SELF_TRADE] != SelfTrade.CANCEL_MAKER:
        resting = min(resting, max(qty, 0))
    return 3 + resting


@kernel
def _missing(state: np.ndarray, ask: np.ndarray, room: int) -> int:
    """What the next command may need and does not have: a `Stop`; MARKET's WANTED fields say how much."""
    market = market_of(state)
    kind, instrument = ask[Ask.KIND], ask[Ask.INSTRUMENT]
    price = ask[Ask.PRICE_FEN]
    if market[Market.COMMAND_SEQ] + 1 - market[Market.ID_BASE] >= state[Part.ID_COUNT]:
        market[Market.WANTED] = market[Market.COMMAND_SEQ] + 2 - market[Market.ID_BASE]
        return Stop.IDS
    needed = 1
    if kind == CommandKind.REPLACE:
        slot = slot_of(state, ask[Ask.TARGET_ID])
        if slot > NIL:
            instrument = orders_of(state)[slot, Order.INSTRUMENT]
        needed = _events_needed(state, instrument, NONE)
    elif kind == CommandKind.NEW or kind == CommandKind.CLICK:
        needed = _events_needed(state, instrument, ask[Ask.QTY])
    if market[Market.EVENT_COUNT] + needed > room:
        market[Market.WANTED] = needed
        return Stop.EVENTS
    if kind == CommandKind.NEW or kind == CommandKind.PROPOSE:
        if market[Market.LIVE] + 2 > state[Part.ORDER_ROWS]:
            market[Market.WANTED] = market[Market.LIVE] + 2
            return Stop.ORDERS
    if kind == CommandKind.NEW or kind == CommandKind.REPLACE:
        if 0 <= instrument < state[Part.INSTRUMENT_COUNT]:
            row = instruments_of(state)[instrument]
            legal = row[Instrument.LIMIT_LOW] <= price <= row[Instrument.LIMIT_HIGH]
            low = row[Instrument.LADDER_LOW]
            if legal and not low <= price < low + row[Instrument.LADDER_SIZE]:
                market[Market.WANTED] = price
                market[Market.WANTED_INSTRUMENT] = instrument
                return Stop.LEVELS
    account = ask[Ask.ACCOUNT]
    if kind == CommandKind.OPEN_ACCOUNT and state[Part.ACCOUNT_COUNT] <= account < MAX_ACCOUNTS:
        market[Market.WANTED] = account + 1
        return Stop.ACCOUNTS
    return Stop.DONE


@kernel
def _refuse(state: np.ndarray, ask: np.ndarray) -> int:
    """The ladder for the commands of `apply_ledger`."""
    kind = ask[Ask.KIND]
    if kind == CommandKind.PROPOSE or kind == CommandKind.CONFIRM or kind == CommandKind.DECLINE:
        return admit.refuse_block(state, ask)
    if kind == CommandKind.DEPOSIT or kind == CommandKind.WITHDRAW or kind == CommandKind.FINE:
        return admit.refuse_cash(state, ask)
    if kind == CommandKind.ISSUE or kind == CommandKind.SURRENDER or kind == CommandKind.DEDUCT:
        return admit.refuse_units(state, ask)
    if kind == CommandKind.OPEN_ACCOUNT:
        account = ask[Ask.ACCOUNT]
        if account == NONE:
            return RejectReason.MISSING_FIELD
        if account < 0 or account >= MAX_ACCOUNTS:
            return RejectReason.OUT_OF_RANGE
        if ask[Ask.FLAGS] > Participant.INDIVIDUAL:
            return RejectReason.OUT_OF_RANGE
        return RejectReason.ACCOUNT_EXISTS if accounts.is_open(state, account) else RejectReason.NONE
    if kind == CommandKind.PHASE:
        return RejectReason.UNKNOWN_TYPE if ask[Ask.PHASE] > Phase.HALTED else RejectReason.NONE
    if kind == CommandKind.DAY_ROLL:
        return day.refuse_day_roll(state, ask)
    if kind == CommandKind.SET_RULE:
        return day.refuse_rule(state, ask)
    return RejectReason.UNKNOWN_TYPE


@kernel
def _move(state: np.ndarray, events: np.ndarray, ask: np.ndarray) -> None:
    """The commands that open an account or move cash and units without a trade."""
    kind, account = ask[Ask.KIND], ask[Ask.ACCOUNT]
    instrument, qty = ask[Ask.INSTRUMENT], ask[Ask.QTY]
    amount = ask[Ask.AMOUNT_FEN]
    event = EventKind.ACCOUNT_OPENED
    if kind == CommandKind.OPEN_ACCOUNT:
        accounts_of(state)[account, Account.OPEN] = 1
        accounts_of(state)[account, Account.GROUP] = ask[Ask.GROUP]
        accounts_of(state)[account, Account.PARTICIPANT] = ask[Ask.FLAGS]
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
def _execute(state: np.ndarray, events: np.ndarray, ask: np.ndarray, room: int) -> bool:
    """Carry out an admitted command of `apply_ledger`. False: a day roll has run out of event rows."""
    kind = ask[Ask.KIND]
    if kind == CommandKind.PROPOSE:
        negotiated.propose(state, events, ask)
    elif kind == CommandKind.CONFIRM:
        negotiated.confirm(state, events, ask)
    elif kind == CommandKind.DECLINE:
        negotiated.decline(state, events, ask)
    elif kind == CommandKind.PHASE:
        market_of(state)[Market.PHASE] = ask[Ask.PHASE]
        emit(state, events, ask, EventKind.PHASE_CHANGED, NONE, NONE, NONE, 0, 0, NONE, NONE, NONE)
    elif kind == CommandKind.DAY_ROLL:
        return day.roll(state, events, ask, room)
    elif kind == CommandKind.SET_RULE:
        day.set_rule(state, events, ask)
    else:
        _move(state, events, ask)
    return True


@kernel
def _decode(command: np.void, ask: np.ndarray) -> None:
    """One COMMAND row into the core's own width."""
    ask[Ask.KIND] = command["kind"]
    ask[Ask.TIME_NS] = command["time_ns"]
    ask[Ask.ACCOUNT] = command["account"]
    ask[Ask.INSTRUMENT] = command["instrument"]
    ask[Ask.SIDE] = command["side"]
    ask[Ask.ORD_TYPE] = command["ord_type"]
    ask[Ask.TIF] = command["tif"]
    ask[Ask.PRICE_FEN] = command["price_fen"]
    ask[Ask.QTY] = command["qty"]
    ask[Ask.TARGET_ID] = command["target_id"]
    ask[Ask.CONTRA] = command["contra"]
    ask[Ask.CLIENT_REF] = command["client_ref"]
    ask[Ask.AMOUNT_FEN] = command["amount_fen"]
    ask[Ask.UNTIL_NS] = command["until_ns"]
    ask[Ask.GROUP] = command["group"]
    ask[Ask.DATE] = command["date"]
    ask[Ask.RULE] = command["rule"]
    ask[Ask.PHASE] = command["phase"]
    ask[Ask.FLAGS] = command["flags"]


@kernel
def _is_screen(kind: int) -> bool:
    """Whether `apply_screen` carries out this kind of command."""
    return kind >= CommandKind.NEW and kind <= CommandKind.CLICK


@kernel
def _begin(state: np.ndarray, ask: np.ndarray, room: int) -> int:
    """Number the command, unless something it may need is missing: a `Stop`."""
    stop = _missing(state, ask, room)
    market_of(state)[Market.STOP] = stop
    if stop == Stop.DONE:
        market_of(state)[Market.COMMAND_SEQ] += 1
    return stop


@entry
def apply_screen(state: np.ndarray, commands: np.ndarray, start: int, events: np.ndarray) -> int:
    """Apply `commands[start:]` until done, something is missing, or a command belongs to `apply_ledger`.

    Parameters
    ----------
    state : the descriptor, int64, shape (PARTS,)
    commands : COMMAND rows, shape (n,)
    start : index of the first command to apply
    events : EVENT rows to write into, from row 0; MARKET's EVENT_COUNT says how many were written

    Returns
    -------
    int
        Index of the first command not applied; MARKET's STOP says why when that is not n.
    """
    market, ask = market_of(state), ask_of(state)
    market[Market.EVENT_COUNT] = 0
    market[Market.STOP] = Stop.DONE
    for index in range(start, commands.shape[0]):
        _decode(commands[index], ask)
        kind = ask[Ask.KIND]
        if not _is_screen(kind):
            market[Market.STOP] = Stop.ROOM
            return index
        if _begin(state, ask, events.shape[0]) != Stop.DONE:
            return index
        reason = admit.refuse_screen(state, ask)
        if reason != RejectReason.NONE:
            emit_rejected(state, events, ask, reason)
        elif kind == CommandKind.NEW:
            continuous.enter(state, events, ask)
        elif kind == CommandKind.CANCEL:
            continuous.cancel(state, events, ask)
        elif kind == CommandKind.REPLACE:
            continuous.replace(state, events, ask)
        else:
            listed.click(state, events, ask)
    return commands.shape[0]


@entry
def apply_ledger(state: np.ndarray, commands: np.ndarray, start: int, events: np.ndarray) -> int:
    """As `apply_screen`, for all other commands: blocks, accounts, phases, day rolls, rules."""
    market, ask = market_of(state), ask_of(state)
    market[Market.EVENT_COUNT] = 0
    market[Market.STOP] = Stop.DONE
    room = events.shape[0]
    for index in range(start, commands.shape[0]):
        _decode(commands[index], ask)
        if _is_screen(ask[Ask.KIND]):
            market[Market.STOP] = Stop.ROOM
            return index
        if market[Market.RESUME_ID] == 0:
            if _begin(state, ask, room) != Stop.DONE:
                return index
            reason = _refuse(state, ask)
            if reason != RejectReason.NONE:
                emit_rejected(state, events, ask, reason)
                continue
        if not _execute(state, events, ask, room):
            market[Market.STOP] = Stop.EVENTS
            market[Market.WANTED] = 2 * state[Part.INSTRUMENT_COUNT] + 1
            return index
    return commands.shape[0]
