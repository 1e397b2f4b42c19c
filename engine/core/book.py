"""Price levels and their queues: who rests where, and what the best price is. No rule and no money in here.

    price   best .............................. worst
    level   [head] -> slot -> slot -> [tail]    first in, first out
    bitmap  one bit a level, one summary bit for 64 levels

Levels are a flat array indexed by price within the day's ladder, one array for each side (in a listed market bids
and asks may stand at the same price). Every operation is O(1) but finding the next price, which looks at one
bitmap word in the usual case and one summary word for each 4,096 empty levels.
"""

import numpy as np

from engine.codes import Side
from engine.core.state import (
    FILLED_ID,
    GONE_ID,
    NIL,
    Instrument,
    Market,
    Part,
    heads_of,
    ids_of,
    instruments_of,
    market_of,
    orders_of,
    summary_of,
    tails_of,
    words_of,
)
from engine.jit import kernel, leading_zeros, prefetch, trailing_zeros

_ONE = np.uint64(1)
_ALL = np.uint64(0xFFFF_FFFF_FFFF_FFFF)


@kernel
def level_of(state: np.ndarray, instrument: int, side: int, price_fen: int) -> int:
    """Index into heads and tails of the level at `price_fen`, which must lie inside the ladder."""
    row = instruments_of(state)[instrument]
    index = row[Instrument.LADDER_OFFSET] + price_fen - row[Instrument.LADDER_LOW]
    return index + (side - Side.BUY) * state[Part.LEVEL_COUNT]


@kernel
def best_price(state: np.ndarray, instrument: int, side: int) -> int:
    """Best resting price of `side` in fen; 0 when that side is empty."""
    return instruments_of(state)[instrument, Instrument.BEST + side]


@kernel
def _first_at_or_above(state: np.ndarray, index: int, end: int) -> int:
    """Lowest occupied level in [index, end); `end` when none."""
    bits = words_of(state)
    word = bits[index >> 6] & (_ALL << np.uint64(index & 63))
    if word != np.uint64(0):
        return (index & ~63) + trailing_zeros(word)
    group = (index >> 6) + 1
    if (group << 6) >= end:
        return end
    summary = summary_of(state)
    position = group >> 6
    word = summary[position] & (_ALL << np.uint64(group & 63))
    while word == np.uint64(0):
        position += 1
        if (position << 12) >= end:
            return end
        word = summary[position]
    group = (position << 6) + trailing_zeros(word)
    if (group << 6) >= end:
        return end
    return (group << 6) + trailing_zeros(bits[group])


@kernel
def _last_at_or_below(state: np.ndarray, index: int, start: int) -> int:
    """Highest occupied level in [start, index]; `start - 1` when none. `start` is a multiple of 4096."""
    bits = words_of(state)
    word = bits[index >> 6] & (_ALL >> np.uint64(63 - (index & 63)))
    if word != np.uint64(0):
        return (index & ~63) + 63 - leading_zeros(word)
    group = (index >> 6) - 1
    if (group << 6) < start:
        return start - 1
    summary = summary_of(state)
    position = group >> 6
    word = summary[position] & (_ALL >> np.uint64(63 - (group & 63)))
    while word == np.uint64(0):
        position -= 1
        if (position << 12) < start:
            return start - 1
        word = summary[position]
    group = (position << 6) + 63 - leading_zeros(word)
    return (group << 6) + 63 - leading_zeros(bits[group])


@kernel
def next_price(state: np.ndarray, instrument: int, side: int, price_fen: int) -> int:
    """The best occupied price of `side` that is worse than `price_fen`; 0 when there is none."""
    row = instruments_of(state)[instrument]
    start = row[Instrument.LADDER_OFFSET]
    index = start + price_fen - row[Instrument.LADDER_LOW]
    end = start + row[Instrument.LADDER_SIZE]
    if side == Side.SELL:
        base = state[Part.LEVEL_COUNT]
        if index + 1 >= end:
            return 0
        found = _first_at_or_above(state, index + 1 + base, end + base) - base
        if found == end:
            return 0
    else:
        if index <= start:
            return 0
        found = _last_at_or_below(state, index - 1, start)
        if found < start:
            return 0
    return found - start + row[Instrument.LADDER_LOW]


@kernel
def at_or_above(state: np.ndarray, instrument: int, side: int, price_fen: int) -> int:
    """The lowest occupied price of `side` that is not below `price_fen` (inside the ladder); 0 when there is none."""
    row = instruments_of(state)[instrument]
    start = row[Instrument.LADDER_OFFSET]
    end = start + row[Instrument.LADDER_SIZE]
    base = state[Part.LEVEL_COUNT] if side == Side.SELL else 0
    index = start + price_fen - row[Instrument.LADDER_LOW]
    if index >= end:
        return 0
    found = _first_at_or_above(state, index + base, end + base) - base
    return 0 if found == end else found - start + row[Instrument.LADDER_LOW]


@kernel
def is_better(side: int, price_fen: int, than_fen: int) -> bool:
    """Whether a resting `side` order at `price_fen` stands before one at `than_fen`.

    Counted, not branched: half of all orders are of either side, so that a jump would be guessed wrong half the time.
    """
    return (price_fen - than_fen) * (Side.BUY + Side.SELL - 2 * side) > 0


@kernel
def take_slot(state: np.ndarray, order_id: int) -> int:
    """A free slot for a new order, entered in the id index. The caller knows that there is one."""
    market = market_of(state)
    orders = orders_of(state)
    slot = market[Market.FREE_SLOT]
    if slot != NIL:
        market[Market.FREE_SLOT] = orders[slot]["next"]
        prefetch(orders, orders[slot]["next"])
    else:
        slot = market[Market.TOP_SLOT] + 1
        market[Market.TOP_SLOT] = slot
    market[Market.LIVE] += 1
    ids_of(state)[order_id - market[Market.ID_BASE]] = slot
    orders[slot]["id"] = order_id
    return slot


@kernel
def free_slot(state: np.ndarray, slot: int, filled: bool) -> None:
    """Give the slot back; the id index remembers how the order ended."""
    market = market_of(state)
    orders = orders_of(state)
    order_id = orders[slot]["id"]
    remember(state, order_id, filled)
    orders[slot]["next"] = market[Market.FREE_SLOT]
    market[Market.FREE_SLOT] = slot
    market[Market.LIVE] -= 1
    if market[Market.LIVE] == 0:  # begin anew, with neighbours beside each other
        market[Market.FREE_SLOT] = market[Market.TOP_SLOT] = NIL


@kernel
def remember(state: np.ndarray, order_id: int, filled: bool) -> None:
    """An order that never came to rest: the id index says how it ended."""
    ids_of(state)[order_id - market_of(state)[Market.ID_BASE]] = FILLED_ID if filled else GONE_ID


@kernel
def forget_ids(state: np.ndarray) -> None:
    """Start the id index anew at the oldest living entry: what has ended is unknown from here on."""
    market = market_of(state)
    ids = ids_of(state)
    count = market[Market.COMMAND_SEQ] - market[Market.ID_BASE] + 1
    shift = count - 1
    if market[Market.LIVE] > 0:
        shift = 0
        while ids[shift] <= NIL:
            shift += 1
    kept = count - shift
    for index in range(kept):
        ids[index] = max(ids[index + shift], NIL)
    for index in range(kept, count):
        ids[index] = NIL
    market[Market.ID_BASE] += shift


@kernel
def slot_of(state: np.ndarray, order_id: int) -> int:
    """Slot of a living order; else 0 (never an order, or too old), FILLED_ID or GONE_ID."""
    market = market_of(state)
    if order_id < market[Market.ID_BASE] or order_id > market[Market.COMMAND_SEQ]:
        return NIL
    return ids_of(state)[order_id - market[Market.ID_BASE]] + 0


@kernel
def rest(state: np.ndarray, slot: int) -> None:
    """Append the order to the queue of its price."""
    orders = orders_of(state)
    side = orders[slot]["side"]
    price_fen = orders[slot]["price_fen"]
    instrument = orders[slot]["instrument"]
    level = level_of(state, instrument, side, price_fen)
    heads = heads_of(state)
    tails = tails_of(state)
    day = instruments_of(state)[instrument]
    day[Instrument.LIVE + side] += 1
    orders[slot]["next"] = NIL
    tail = np.int64(tails[level])
    orders[slot]["prev"] = tail
    tails[level] = slot
    if tail != NIL:
        orders[tail]["next"] = slot
        return
    heads[level] = slot
    words_of(state)[level >> 6] |= _ONE << np.uint64(level & 63)
    summary_of(state)[level >> 12] |= _ONE << np.uint64((level >> 6) & 63)
    best = day[Instrument.BEST + side]
    if best == 0 or is_better(side, price_fen, best):
        day[Instrument.BEST + side] = price_fen


@kernel
def unlink(state: np.ndarray, slot: int) -> None:
    """Take the order out of the queue of its price."""
    orders = orders_of(state)
    side = orders[slot]["side"]
    price_fen = orders[slot]["price_fen"]
    instrument = orders[slot]["instrument"]
    level = level_of(state, instrument, side, price_fen)
    day = instruments_of(state)[instrument]
    day[Instrument.LIVE + side] -= 1
    before = orders[slot]["prev"]
    behind = orders[slot]["next"]
    if before != NIL:
        orders[before]["next"] = behind
    else:
        heads_of(state)[level] = behind
    if behind != NIL:
        orders[behind]["prev"] = before
    else:
        tails_of(state)[level] = before
    if before != NIL or behind != NIL:
        return
    bits = words_of(state)
    bits[level >> 6] &= ~(_ONE << np.uint64(level & 63))
    if bits[level >> 6] == np.uint64(0):
        summary_of(state)[level >> 12] &= ~(_ONE << np.uint64((level >> 6) & 63))
    if day[Instrument.BEST + side] == price_fen:
        day[Instrument.BEST + side] = next_price(state, instrument, side, price_fen)


@kernel
def first_at(state: np.ndarray, instrument: int, side: int, price_fen: int) -> int:
    """Slot at the head of the queue at `price_fen` (inside the ladder); NIL when the level is empty."""
    return heads_of(state)[level_of(state, instrument, side, price_fen)] + 0


@kernel
def within_best(state: np.ndarray, instrument: int, side: int, price_fen: int, levels: int) -> bool:
    """Whether `price_fen` is one of the best `levels` occupied prices of `side`."""
    price = best_price(state, instrument, side)
    for _ in range(levels):
        if price == 0:
            return False
        if price == price_fen:
            return True
        price = next_price(state, instrument, side, price)
    return False
