"""The state of one exchange: a handful of int64 tables, reached through one integer array, the descriptor.

A kernel receives `state` (the descriptor) and takes the view it needs: `orders = orders_of(state)`. A view costs a load
(`jit.view`); passing every table as an argument would cost microseconds a call. A column of a table is a member of
an IntEnum below. Slot 0 of the order pool and of every link means "none", so that fresh zeroed memory is a valid
empty ladder and an untouched price costs no memory.

This file may not contain a rule. `engine/exchange.py` allocates; kernels only read and write.
"""

from enum import IntEnum
from typing import Final, NamedTuple

import numpy as np

from engine.codes import MAX_CLOSE_TRADES, RULE_COLUMNS
from engine.jit import view

NIL = 0
"""No slot."""
FILLED_ID = -1
"""In the id index: the order has been filled completely."""
GONE_ID = -2
"""In the id index: the order was cancelled, expired or declined."""


class Part(IntEnum):
    """Positions in the descriptor: addresses of tables, and their numbers of rows (or elements)."""

    MARKET = 0
    ORDERS = 1
    ORDER_ROWS = 2
    IDS = 3
    ID_COUNT = 4
    HEADS = 5
    TAILS = 6
    LINK_COUNT = 7
    """Levels of both sides, buy first."""
    LEVEL_COUNT = 8
    """Levels of one side, a multiple of 4096."""
    WORDS = 9
    WORD_COUNT = 10
    SUMMARY = 11
    SUMMARY_COUNT = 12
    INSTRUMENTS = 13
    RULES = 14
    INSTRUMENT_COUNT = 15
    RULE_ROWS = 16
    RULE_ROW_COUNT = 17
    ACCOUNTS = 18
    ACCOUNT_COUNT = 19
    UNITS = 20
    UNIT_ROWS = 21
    TERMS = 22


PARTS = len(Part)


class Market(IntEnum):
    """The one row of scalars, shape (1, MARKET_COLUMNS)."""

    COMMAND_SEQ = 0
    """Commands begun so far; also the identity of the order that the last one entered."""
    EVENT_SEQ = 1
    EVENT_COUNT = 2
    """Rows written into the event buffer of the running call."""
    PHASE = 3
    DATE = 4
    """Trading day as yyyymmdd; 0 before the first day roll."""
    FREE_SLOT = 5
    """Head of the list of recycled slots, linked by `next`."""
    TOP_SLOT = 6
    """Highest slot ever used."""
    ID_BASE = 7
    """Order id of the first element of the id index; no older order is alive."""
    RESUME_ID = 8
    """Where an unfinished day roll goes on; 0 when none is under way."""
    LIVE = 9
    """Orders and proposals alive."""
    STOP = 10
    """Why the last call returned early: a `Stop`."""
    WANTED = 11
    """What is missing: rows, ids, events, an account number, a price in fen, or the number of the other loop."""
    WANTED_INSTRUMENT = 12
    CASH_IN_FEN = 13
    """Cash deposited minus withdrawn since the start."""
    INITIAL_PHASE = 14
    REACH_COST = 15
    """What the last walk of `admit_screen.reach` found a taker would pay, fen."""
    REACH_SELF = 16
    """1: that walk met the taker's own resting order."""
    MET_ITSELF = 17
    """1: the last taker stopped because it met its own resting order."""
    CALL_PRICE = 18
    """What `call.find_price` found: price (0: nothing trades), volume, and what is left over (bids positive)."""
    CALL_VOLUME = 19
    CALL_SURPLUS = 20
    GATES_DRAWN = 21
    """1: nothing that gates depend on has changed since they were drawn."""


MARKET_COLUMNS = len(Market)


class Stop(IntEnum):
    """Why a batch call returned before its last command. The caller makes room and calls again."""

    DONE = 0
    EVENTS = 1
    ORDERS = 2
    IDS = 3
    LEVELS = 4
    ACCOUNTS = 5
    ROOM = 6
    """The next command belongs to another loop (see `batch.py`)."""


class Ask(NamedTuple):
    """The running command in the core's own width, int64: the fields of `records.COMMAND`.

    A tuple, no table: what nobody looks at costs nothing, and where the kind is known the compiler knows it too.
    """

    kind: int
    time_ns: int
    account: int
    instrument: int
    side: int
    ord_type: int
    tif: int
    price_fen: int
    qty: int
    target_id: int
    contra: int
    client_ref: int
    amount_fen: int
    until_ns: int
    group: int
    date: int
    rule: int
    phase: int
    flags: int
    min_qty: int
    limit_price_fen: int


ORDER: Final = np.dtype(
    [
        ("leaves_qty", "<i8"),
        ("filled_qty", "<i8"),
        ("id", "<i8"),
        ("client_ref", "<i8"),
        ("until_ns", "<i8"),
        ("next", "<i4"),
        ("prev", "<i4"),
        ("account", "<i4"),
        ("price_fen", "<i4"),
        ("instrument", "<i4"),
        ("side", "i1"),
        ("mode", "i1"),
        ("role", "i1"),
        ("pad", "i1"),
    ]
)
"""One living entry, see `codes.Role`: 64 bytes, one cache line.

`leaves_qty` is open, `filled_qty` already traded. `next` and `prev` are slots: behind and before it at its price
(`next` also in the free list); of an auction its best bid and its first application, and bids and applications of one
auction are linked by `next`. `until_ns` is the end of a proposal, or the time from which a day roll ends an order
(NONE: any).
"""


class Terms(IntEnum):
    """What only entries off the screen have, shape (slots, TERMS_COLUMNS); of a screen order it means nothing."""

    CONTRA = 0
    """Counterparty of a proposal or deal; number of the auction of a bid or application; else NONE."""
    BOUND = 1
    """Auction: bound of the bids, fen. Application: deposit, fen. Bid: least it takes, t (0: any)."""
    STAGE = 2
    """Running `Stage` of an auction; of a bid scratch paper of the settlement."""


TERMS_COLUMNS = len(Terms)
FOREVER = 2**62
"""`until_ns` of an order that is good till cancelled."""


class Instrument(IntEnum):
    """One instrument's day, shape (instruments, INSTRUMENT_COLUMNS). Prices in fen, quantities in t."""

    LADDER_OFFSET = 0
    """First level of this instrument in heads and tails, a multiple of 4096."""
    LADDER_LOW = 1
    """Price of its first level."""
    LADDER_SIZE = 2
    LIMIT_LOW = 3
    LIMIT_HIGH = 4
    BLOCK_LOW = 5
    BLOCK_HIGH = 6
    PREV_CLOSE = 7
    """Reference of the day's limits."""
    DAY_QTY = 8
    """Accumulators of the closing price: the day's trades whose mode makes it."""
    DAY_VALUE = 9
    UNITS_ISSUED = 10
    BEST = 11
    """`BEST + side`: best resting price, 0 when that side is empty."""
    LIVE = 13
    """`LIVE + side`: resting orders."""
    TRADES = 16
    """The day's trades that make the close."""
    COUNTED_QTY = 17
    """Their quantity that counts towards `Rule.CLOSE_MIN_QTY_T`."""
    HALTED_UNTIL = 18
    HALT_REFERENCE = 19
    """Price from which a move towards the next halt is measured."""
    TOUCHED = 20
    """1: the running mass cancel took an order out of this book."""
    GATE_LOW = 21
    """What a plain new order may ask, see `gate.py`: lowest and highest price, most quantity (0: shut)."""
    GATE_HIGH = 22
    GATE_QTY = 23
    GATE_CANCEL = 24
    """1: one's own order may be cancelled."""
    LAST_TRADES = 25
    """Ring of the last `MAX_CLOSE_TRADES`: price in column `LAST_TRADES + 2 * (n % MAX)`, quantity beside it."""


INSTRUMENT_COLUMNS = Instrument.LAST_TRADES + 2 * MAX_CLOSE_TRADES


class Account(IntEnum):
    """One account's cash, shape (accounts, ACCOUNT_COLUMNS), fen."""

    OPEN = 0
    GROUP = 1
    CASH = 2
    """Available."""
    CASH_HELD = 3
    """Frozen behind buy orders."""
    PARTICIPANT = 4
    BLOCKED = 5
    """1: the kill switch is on."""


ACCOUNT_COLUMNS = len(Account)


class Units(IntEnum):
    """One account's units of one instrument, row = account x instruments + instrument, t."""

    AVAILABLE = 0
    HELD = 1
    """Frozen behind sell orders."""
    LOCKED = 2
    """Bought today under T+1."""
    RESTRICTED = 3
    """Owned but not tradable."""
    BIDDING = 4
    """Open quantity of the account's buy orders; the columns before this one are units."""
    ALLOCATED = 5
    """Units issued to the account since the start."""
    SOLD = 6


UNITS_COLUMNS = len(Units)


market_of = view(Part.MARKET, columns=MARKET_COLUMNS)
"""The row of scalars, int64, shape (MARKET_COLUMNS,)."""
orders_of = view(Part.ORDERS, Part.ORDER_ROWS, dtype=ORDER)
"""The order pool, ORDER rows, shape (slots,)."""
terms_of = view(Part.TERMS, Part.ORDER_ROWS, TERMS_COLUMNS)
"""Terms of entries off the screen, int64, shape (slots, TERMS_COLUMNS)."""
ids_of = view(Part.IDS, Part.ID_COUNT, dtype=np.int32)
"""Slot by order id minus ID_BASE, int32; 0 = not an order, FILLED_ID, GONE_ID."""
heads_of = view(Part.HEADS, Part.LINK_COUNT, dtype=np.int32)
"""First slot of each level, int32, shape (2 x levels,)."""
tails_of = view(Part.TAILS, Part.LINK_COUNT, dtype=np.int32)
"""Last slot of each level, int32, shape (2 x levels,)."""
words_of = view(Part.WORDS, Part.WORD_COUNT, dtype=np.uint64)
"""Bitmap of levels that hold orders, uint64, shape (2 x levels / 64,)."""
summary_of = view(Part.SUMMARY, Part.SUMMARY_COUNT, dtype=np.uint64)
"""Bitmap of non-zero words, uint64, shape (2 x levels / 4096,)."""
instruments_of = view(Part.INSTRUMENTS, Part.INSTRUMENT_COUNT, INSTRUMENT_COLUMNS)
"""Instrument days, int64, shape (instruments, INSTRUMENT_COLUMNS)."""
rules_of = view(Part.RULES, Part.INSTRUMENT_COUNT, RULE_COLUMNS)
"""Rules in force by instrument, int64, shape (instruments, RULE_COLUMNS)."""
rule_rows_of = view(Part.RULE_ROWS, Part.RULE_ROW_COUNT, RULE_COLUMNS + 1)
"""All dated rules, int64, shape (rows, RULE_COLUMNS + 1): the last column is the instrument."""
accounts_of = view(Part.ACCOUNTS, Part.ACCOUNT_COUNT, ACCOUNT_COLUMNS)
"""Cash by account, int64, shape (accounts, ACCOUNT_COLUMNS)."""
units_of = view(Part.UNITS, Part.UNIT_ROWS, UNITS_COLUMNS)
"""Units, int64, shape (accounts x instruments, UNITS_COLUMNS)."""
