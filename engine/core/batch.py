"""What every loop over a batch of commands does before a command is looked at: decode it, route it, make sure of room.

    SCREEN    apply_screen    NEW CANCEL REPLACE CLICK
    LEDGER    apply_ledger    blocks, accounts, phases, day rolls, rules
    OTHER     apply_other     offers, auctions, mass cancels; and, while a call auction gathers, the screen

A loop that meets a command of another one stops (`Stop.ROOM`) and the caller goes on there. There are three so that two
processes can compile the first two side by side, and the third only when a market needs it. Before each command a loop
makes sure that whatever it may need is there: event rows for its worst case, a slot, an id, a ladder that reaches its
price. If not, it returns and says what is missing; the caller makes room and calls again, so a batch may be split
anywhere without changing a byte of the events.
"""

from enum import IntEnum
from typing import Any

import numpy as np

from engine.codes import NONE, CommandKind, Phase, Rule, SelfTrade, Side
from engine.core.admit import is_screen, joins_auction
from engine.core.admit_ledger import MAX_ACCOUNTS
from engine.core.book import slot_of
from engine.core.state import (
    NIL,
    Ask,
    Instrument,
    Market,
    Part,
    Stop,
    instruments_of,
    market_of,
    orders_of,
    rules_of,
)
from engine.jit import kernel

_int64: Any = np.int64


class Loop(IntEnum):
    """Which loop applies a command."""

    SCREEN = 0
    LEDGER = 1
    OTHER = 2


@kernel
def decode(command: np.void) -> Ask:
    """One COMMAND row in the core's own width."""
    return Ask(
        _int64(command["kind"]),
        _int64(command["time_ns"]),
        _int64(command["account"]),
        _int64(command["instrument"]),
        _int64(command["side"]),
        _int64(command["ord_type"]),
        _int64(command["tif"]),
        _int64(command["price_fen"]),
        _int64(command["qty"]),
        _int64(command["target_id"]),
        _int64(command["contra"]),
        _int64(command["client_ref"]),
        _int64(command["amount_fen"]),
        _int64(command["until_ns"]),
        _int64(command["group"]),
        _int64(command["date"]),
        _int64(command["rule"]),
        _int64(command["phase"]),
        _int64(command["flags"]),
        _int64(command["min_qty"]),
        _int64(command["limit_price_fen"]),
    )


@kernel
def loop_of(state: np.ndarray, ask: Ask) -> int:
    """The `Loop` that applies the command."""
    kind = ask.kind
    if CommandKind.MASS_CANCEL <= kind <= CommandKind.TAKE:
        return Loop.OTHER
    if kind == CommandKind.KILL_SWITCH or kind == CommandKind.END_STAGE:
        return Loop.OTHER
    on_screen = is_screen(kind) or kind == CommandKind.CANCEL
    if market_of(state)[Market.PHASE] == Phase.CALL and (on_screen or kind == CommandKind.PHASE):
        return Loop.OTHER
    return Loop.SCREEN if on_screen else Loop.LEDGER


@kernel
def _order_events(state: np.ndarray, instrument: int, qty: int) -> int:
    """Worst case of an order of `qty` (NONE: unknown): every fill takes a tonne or a whole resting order."""
    if instrument < 0 or instrument >= state[Part.INSTRUMENT_COUNT]:
        return 1
    day_row = instruments_of(state)[instrument]
    resting = max(day_row[Instrument.LIVE + Side.BUY], day_row[Instrument.LIVE + Side.SELL])
    if qty != NONE and rules_of(state)[instrument, Rule.SELF_TRADE] != SelfTrade.CANCEL_MAKER:
        resting = min(resting, max(qty, 0))
    return 4 + resting


@kernel
def _events_needed(state: np.ndarray, ask: Ask, instrument: int) -> int:
    """Worst case of the command; a day roll looks for itself."""
    kind, live = ask.kind, market_of(state)[Market.LIVE]
    if kind == CommandKind.REPLACE:
        return _order_events(state, instrument, NONE)
    if kind == CommandKind.NEW or kind == CommandKind.CLICK:
        return _order_events(state, instrument, ask.qty)
    if kind == CommandKind.MASS_CANCEL or kind == CommandKind.KILL_SWITCH:
        return live + state[Part.INSTRUMENT_COUNT] + 1
    if kind == CommandKind.PHASE and market_of(state)[Market.PHASE] == Phase.CALL:
        return live + 1
    return 2 * live + 2 if kind == CommandKind.END_STAGE else 3


@kernel
def _takes_slot(kind: int) -> bool:
    """Whether something may live on after the command."""
    off_screen = kind == CommandKind.PROPOSE or kind == CommandKind.OFFER or kind == CommandKind.ANNOUNCE
    return kind == CommandKind.NEW or off_screen or joins_auction(kind)


@kernel
def _missing(state: np.ndarray, ask: Ask, room: int) -> int:
    """What the next command may need and does not have: a `Stop`; MARKET's WANTED fields say how much."""
    market = market_of(state)
    kind, instrument = ask.kind, ask.instrument
    if market[Market.COMMAND_SEQ] + 1 - market[Market.ID_BASE] >= state[Part.ID_COUNT]:
        market[Market.WANTED] = market[Market.COMMAND_SEQ] + 2 - market[Market.ID_BASE]
        return Stop.IDS
    if kind == CommandKind.REPLACE:
        slot = slot_of(state, ask.target_id)
        if slot > NIL:
            instrument = orders_of(state)[slot]["instrument"]
    needed = _events_needed(state, ask, instrument)
    if market[Market.EVENT_COUNT] + needed > room:
        market[Market.WANTED] = needed
        return Stop.EVENTS
    if _takes_slot(kind) and market[Market.LIVE] + 2 > state[Part.ORDER_ROWS]:
        market[Market.WANTED] = market[Market.LIVE] + 2
        return Stop.ORDERS
    if (kind == CommandKind.NEW or kind == CommandKind.REPLACE) and 0 <= instrument < state[Part.INSTRUMENT_COUNT]:
        row, price = instruments_of(state)[instrument], ask.price_fen
        legal = row[Instrument.LIMIT_LOW] <= price <= row[Instrument.LIMIT_HIGH]
        low = row[Instrument.LADDER_LOW]
        if legal and not low <= price < low + row[Instrument.LADDER_SIZE]:
            market[Market.WANTED] = price
            market[Market.WANTED_INSTRUMENT] = instrument
            return Stop.LEVELS
    account = ask.account
    if kind == CommandKind.OPEN_ACCOUNT and state[Part.ACCOUNT_COUNT] <= account < MAX_ACCOUNTS:
        market[Market.WANTED] = account + 1
        return Stop.ACCOUNTS
    return Stop.DONE


@kernel
def start(state: np.ndarray) -> None:
    """A loop begins with an empty buffer."""
    market_of(state)[Market.EVENT_COUNT] = 0
    market_of(state)[Market.STOP] = Stop.DONE


@kernel
def begin(state: np.ndarray, ask: Ask, room: int, own: int) -> bool:
    """Number the command; False when it belongs to another loop than `own`, or something it may need is missing."""
    market = market_of(state)
    loop = loop_of(state, ask)
    if loop != own:
        market[Market.STOP], market[Market.WANTED] = Stop.ROOM, loop
        return False
    if market[Market.RESUME_ID] != 0:
        return True
    market[Market.STOP] = _missing(state, ask, room)
    if market[Market.STOP] != Stop.DONE:
        return False
    number(state)
    return True


@kernel
def number(state: np.ndarray) -> None:
    """The command is the next one."""
    market_of(state)[Market.COMMAND_SEQ] += 1


@kernel
def has_room(state: np.ndarray, room: int, needed: int) -> bool:
    """Whether there is an id, a slot, and room for `needed` events; False says nothing about what is missing."""
    market = market_of(state)
    if market[Market.COMMAND_SEQ] + 1 - market[Market.ID_BASE] >= state[Part.ID_COUNT]:
        return False
    return market[Market.EVENT_COUNT] + needed <= room and market[Market.LIVE] + 2 <= state[Part.ORDER_ROWS]
