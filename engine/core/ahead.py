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
    """Ask for what the commands after `index` name; a small book is at hand anyway, and the last few do without."""
    if market_of(state)[Market.LIVE] < _MANY or index + 3 * _STEP >= commands.shape[0]:
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
    place = np.uint64(order_id - market_of(state)[Market.ID_BASE])
    return int(np.int64(place)) if place < np.uint64(state[Part.ID_COUNT]) else 0
