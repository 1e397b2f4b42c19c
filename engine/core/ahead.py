"""Memory that later commands of a batch will touch is asked for while earlier ones are applied. Changes nothing.

A cancel needs three places, each of which says where the next one is: id index, order, its neighbours. In a deep book
none of them is at hand.

    command   +12 its id    +8 its order    +4 the neighbours    +0 applied
"""

import numpy as np

from engine.core.state import NIL, Market, Part, ids_of, market_of, orders_of
from engine.jit import kernel, prefetch

_STEP = 4
"""Commands between two looks at the same one."""
_MANY = 1 << 13
"""Living entries that a cache does not hold."""


@kernel
def look_ahead(state: np.ndarray, commands: np.ndarray, index: int) -> None:
    """Ask for what the commands after `index` name; a small book is at hand anyway."""
    if market_of(state)[Market.LIVE] < _MANY:
        return
    ids, orders, last = ids_of(state), orders_of(state), commands.shape[0] - 1
    prefetch(ids, _place(state, commands[min(index + 3 * _STEP, last)]["target_id"]))
    prefetch(orders, max(ids[_place(state, commands[min(index + 2 * _STEP, last)]["target_id"])], NIL))
    order = orders[max(ids[_place(state, commands[min(index + _STEP, last)]["target_id"])], NIL)]
    prefetch(orders, order["prev"])
    prefetch(orders, order["next"])


@kernel
def _place(state: np.ndarray, order_id: int) -> int:
    """Where the id index knows that order; when it does not, one of its ends (a jump would be guessed wrong)."""
    return min(max(order_id - market_of(state)[Market.ID_BASE], 0), state[Part.ID_COUNT] - 1)
