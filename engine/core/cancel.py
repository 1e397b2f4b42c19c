"""Cancelling everything of one account: the participant's mass cancel, and the operator's kill switch."""

import numpy as np

from engine.codes import NONE, EventKind, Role
from engine.core.book import slot_of
from engine.core.emit import emit
from engine.core.living import remove
from engine.core.state import (
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
)
from engine.jit import kernel


@kernel
def _is_chosen(state: np.ndarray, slot: int, account: int, instrument: int, side: int) -> bool:
    """An order, offer or proposal of the account; `instrument` NONE and `side` 0 mean any."""
    order = orders_of(state)[slot]
    role = order["role"]
    if order["account"] != account or not (role == Role.ORDER or role == Role.OFFER or role == Role.PROPOSAL):
        return False
    return (instrument == NONE or order["instrument"] == instrument) and (side == 0 or order["side"] == side)


@kernel
def _cancel_all(state: np.ndarray, events: np.ndarray, ask: Ask, account: int, instrument: int, side: int) -> int:
    """Cancel what is chosen, oldest first; how many that were. Books that lost an order are TOUCHED."""
    market, days, count = market_of(state), instruments_of(state), 0
    for number in range(state[Part.INSTRUMENT_COUNT]):
        days[number, Instrument.TOUCHED] = 0
    for order_id in range(market[Market.ID_BASE], market[Market.COMMAND_SEQ]):
        slot = slot_of(state, order_id)
        if slot > NIL and _is_chosen(state, slot, account, instrument, side):
            order = orders_of(state)[slot]
            if order["role"] == Role.ORDER:
                days[order["instrument"], Instrument.TOUCHED] = 1
            remove(state, events, ask, slot, EventKind.CANCELED)
            count += 1
    return count


@kernel
def mass_cancel(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """MASS_CANCEL: everything of the account, or of one instrument or side."""
    account, instrument, side = ask.account, ask.instrument, ask.side
    count = _cancel_all(state, events, ask, account, instrument, side)
    emit(
        state, events, ask, EventKind.MASS_CANCELED, NONE, account, instrument, side, 0, NONE, count, NONE
    )  # fmt: skip


@kernel
def kill_switch(state: np.ndarray, events: np.ndarray, ask: Ask) -> None:
    """KILL_SWITCH on: everything open is cancelled and the account may only cancel; or off."""
    account, on = ask.account, ask.flags
    count = _cancel_all(state, events, ask, account if on == 1 else NONE, NONE, 0)
    accounts_of(state)[account, Account.BLOCKED] = on
    row = emit(state, events, ask, EventKind.KILL_SWITCH_SET, NONE, account, NONE, 0, 0, NONE, count, NONE)
    events[row]["flags"] = on
