"""Memory that later commands of a batch will touch is asked for while earlier ones are applied. Changes nothing.

A cancel needs three places, each of which says where the next one is: id index, order, its neighbours. In a deep book
none of them is at hand.

    command   +24 itself    +12 its id    +8 its order    +4 the neighbours, its account    +0 applied
"""

import numpy as np

from engine.core.accounts import units_row
from engine.core.state import NIL, Market, Part, accounts_of, ids_of, market_of, orders_of, units_of
from engine.jit import kernel, prefetch

_STEP = 4
"""Commands between two looks at the same one."""
_COMMANDS = 24
"""How far ahead the commands themselves are asked for."""
_FEW_LIVING = 64
"""So few living entries are at hand anyway; with 5,000 asking already saves a tenth of the time."""
_MANY_ACCOUNTS = 1 << 13
"""Accounts that a cache does not hold."""


@kernel
def look_ahead(state: np.ndarray, commands: np.ndarray, index: int) -> None:
    """Ask for what the commands after `index` name; what is small is at hand anyway, and the last few do without."""
    if index + 3 * _STEP >= commands.shape[0]:
        return
    prefetch(commands, index + _COMMANDS)
    if state[Part.ACCOUNT_COUNT] >= _MANY_ACCOUNTS:
        command = commands[index + _STEP]
        account = within(command["account"], state[Part.ACCOUNT_COUNT])
        instrument = within(command["instrument"], state[Part.INSTRUMENT_COUNT])
        prefetch(accounts_of(state), account)
        prefetch(units_of(state), units_row(state, account, instrument))
    if market_of(state)[Market.LIVE] < _FEW_LIVING:
        return
    ids, orders = ids_of(state), orders_of(state)
    prefetch(ids, _place(state, commands[index + 3 * _STEP]["target_id"]))
    prefetch(orders, ids[_place(state, commands[index + 2 * _STEP]["target_id"])])
    order = orders[max(ids[_place(state, commands[index + _STEP]["target_id"])], NIL)]
    prefetch(orders, order["prev"])
    prefetch(orders, order["next"])


@kernel
def _place(state: np.ndarray, order_id: int) -> int:
    """Where the id index knows that order; its beginning when it does not (a jump would be guessed wrong)."""
    return within(order_id - market_of(state)[Market.ID_BASE], state[Part.ID_COUNT])


@kernel
def within(index: int, count: int) -> int:
    """The index, or 0 where it is none of a table of `count` rows."""
    return int(np.int64(np.uint64(index))) if np.uint64(index) < np.uint64(count) else 0
