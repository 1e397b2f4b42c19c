"""Memory that later commands of a batch will touch is asked for while earlier ones are applied. Changes nothing.

A cancel needs three places one after the other, id index, order, its neighbours, and in a deep book none is at hand.
"""

import numpy as np

from engine.core.state import NIL, Market, Part, ids_of, market_of, orders_of
from engine.jit import kernel, prefetch

_STEP = 4
"""Commands between two looks at the same one."""
_MANY = 1 << 14
"""Living entries that a cache does not hold."""


@kernel
def look_ahead(state: np.ndarray, commands: np.ndarray, index: int) -> None:
    """Ask for what the commands after `index` name; a small book is at hand anyway."""
    if market_of(state)[Market.LIVE] < _MANY:
        return
    base, last = market_of(state)[Market.ID_BASE], commands.shape[0] - 1
    ids, orders = ids_of(state), orders_of(state)
    far = commands[min(index + 2 * _STEP, last)]["target_id"] - base
    if 0 <= far < state[Part.ID_COUNT]:
        prefetch(ids, far)
    near = commands[min(index + _STEP, last)]["target_id"] - base
    if 0 <= near < state[Part.ID_COUNT] and ids[near] > NIL:
        prefetch(orders, ids[near])
