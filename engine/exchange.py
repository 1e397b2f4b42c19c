"""The exchange that trades: owns the arrays, hands batches to the compiled core, makes room when it asks for some.

    exchange = Exchange(load_market("cn-cea"))
    events = exchange.submit(commands)

It keeps no rule of its own. `engine/reference/` offers the same methods and must give the same events.
"""

from collections.abc import Iterator

import numpy as np

from engine.codes import MAX_CLOSE_TRADES, NONE, RULE_COLUMNS, Phase, Role, Rule, Side, TradingMode
from engine.core import state as layout
from engine.core.accounts import EXCHANGE_ACCOUNT, GOVERNMENT_ACCOUNT
from engine.core.apply_ledger import apply_ledger
from engine.core.apply_other import apply_other
from engine.core.apply_screen import apply_screen
from engine.core.day import open_venue
from engine.core.prices import BASIS
from engine.core.state import Account, Instrument, Market, Part, Stop, Terms, Units
from engine.jit import compile_side_by_side
from engine.memory import copied, grown, joined, placed, put, zeros
from engine.records import COMMAND, EVENT
from engine.rules.compiler import CompiledRules

_LOOPS = apply_screen, apply_ledger, apply_other
"""By `batch.Loop`; the last one is compiled when it is first needed."""
_COMPILED_AHEAD = 2
"""So many loops are compiled when an exchange opens."""
_TABLES = ("market", "orders", "terms", "ids", "instruments", "rules", "rule_rows", "accounts", "units", "heads",
           "tails", "words", "summary")  # fmt: skip
"""Everything that is state; the event buffer is not."""
LIVING = ("id", "account", "instrument", "side", "role", "mode", "price_fen", "leaves_qty", "filled_qty", "client_ref")
"""Columns of `Exchange.living`."""
_IDS_A_LOOK = 4096
_LENT_ROWS = 1 << 17
"""Room for events grows with the batch up to here; a longer batch is applied in parts."""
_LEVELS_STEP = 4096
"""Levels of a ladder come in multiples of this: one summary word of the bitmap."""


class Exchange:
    """One venue under one rulebook.

    Parameters
    ----------
    rules : CompiledRules
        From `engine.rules.compiler.compile_rulebook`.
    accounts, orders, ids, events : int
        First sizes of the tables; all grow by doubling, so they matter for tests and memory only.
    """

    def __init__(
        self,
        rules: CompiledRules,
        *,
        accounts: int = 1024,
        orders: int = 1024,
        ids: int = 4096,
        events: int = 4096,
    ) -> None:
        count = len(rules.symbols)
        self.symbols = rules.symbols
        self._market = zeros((1, layout.MARKET_COLUMNS), np.int64)
        self._orders = zeros(orders, layout.ORDER)
        self._terms = zeros((orders, layout.TERMS_COLUMNS), np.int64)
        self._ids = zeros(ids, np.int32)
        self._instruments = zeros((count, layout.INSTRUMENT_COLUMNS), np.int64)
        self._rules = zeros((count, RULE_COLUMNS), np.int64)
        self._rule_rows = np.ascontiguousarray(rules.rows, np.int64)
        self._accounts = zeros((accounts, layout.ACCOUNT_COLUMNS), np.int64)
        self._units = zeros((accounts * count, layout.UNITS_COLUMNS), np.int64)
        self._events = zeros(max(events, 2 * count + 1), EVENT)
        self._instruments[:, Instrument.LADDER_SIZE] = _LEVELS_STEP
        self._allocate_ladders()
        self._market[0, Market.INITIAL_PHASE] = rules.initial_phase
        self._accounts[[EXCHANGE_ACCOUNT, GOVERNMENT_ACCOUNT], Account.OPEN] = 1
        self._accounts[:, Account.GROUP] = -1
        self._state = zeros(layout.PARTS, np.int64)
        self._describe()
        self._loop, self._has_other = 0, False
        compile_loops()
        open_venue(self._state)

    def submit(self, commands: np.ndarray) -> np.ndarray:
        """Apply COMMAND rows, shape (n,), in order; returns their EVENT rows, shape (m,), a fresh array."""
        return copied(self.apply(commands))

    def apply(self, commands: np.ndarray) -> np.ndarray:
        """As `submit`, but the rows are lent: the next call may write over them."""
        if commands.dtype is not COMMAND and commands.dtype != COMMAND:  # to compare them takes a microsecond
            message = f"commands must be rows of records.COMMAND, got {commands.dtype}"
            raise TypeError(message)
        if not commands.flags.carray:  # to the compiler another type, for which it would begin anew
            commands = commands.copy()
        market = self._scalars
        if len(self._events) < 2 * len(commands) <= _LENT_ROWS:
            self._events = zeros(2 * len(commands), EVENT)
        full: list[np.ndarray] = []
        done, used, events = 0, 0, self._events
        while True:
            done = _LOOPS[self._loop](self._state, commands, done, events)
            used, stop = used + market[Market.EVENT_COUNT], market[Market.STOP]
            if stop == Stop.DONE:
                break
            if stop == Stop.ROOM:
                self._loop = market[Market.WANTED]
                if self._loop >= _COMPILED_AHEAD and not self._has_other:
                    compile_loops(self._loop)
                    self._has_other = True
            elif stop == Stop.EVENTS:
                used = self._room_for_events(used, market[Market.WANTED], full)
            else:
                self._make_room(Stop(stop), market[Market.WANTED])
            events = self._events[used:]
        if not full:
            return self._events[:used]
        return joined([*full, self._events[:used]])

    @property
    def command_seq(self) -> int:
        """Commands so far: the next one has this number plus one, and so has the order it enters."""
        return int(self._market[0, Market.COMMAND_SEQ])

    @property
    def known_ids(self) -> int:
        """How many command numbers the id index covers: what a mass cancel looks through."""
        return int(self._market[0, Market.COMMAND_SEQ] - self._market[0, Market.ID_BASE]) + 1

    @property
    def event_seq(self) -> int:
        """Events so far."""
        return int(self._market[0, Market.EVENT_SEQ])

    @property
    def account_rows(self) -> int:
        """Account numbers below this one have a row, open or not."""
        return len(self._accounts)

    def today(self) -> tuple[Phase, int]:
        """Running phase, and trading day as yyyymmdd (0 before the first)."""
        return Phase(self._market[0, Market.PHASE]), int(self._market[0, Market.DATE])

    def holdings(self, account: int) -> tuple[int, int, bool, list[list[int]]] | None:
        """Cash free and held (fen), whether blocked, units (t) by instrument and `Units`; None: no such account."""
        if not 0 <= account < len(self._accounts) or not self._accounts[account, Account.OPEN]:
            return None
        cash, held, blocked = self._accounts[account, [Account.CASH, Account.CASH_HELD, Account.BLOCKED]].tolist()
        count = len(self.symbols)
        units = self._units[account * count : (account + 1) * count].tolist()
        return cash, held, bool(blocked), units

    def living(self, account: int = NONE) -> np.ndarray:
        """Everything that waits, or what waits for one account: columns of `LIVING`, by id, int64, shape (n, 10)."""
        return self._rows_of(self._ids, account)

    def living_after(self, account: int, order_id: int, count: int) -> tuple[np.ndarray, int]:
        """A page of `living`: up to `count` rows, those that follow order `order_id` (0: the first); and how many
        command numbers were looked at for it, which is what it costs.
        """
        first = max(0, order_id + 1 - int(self._market[0, Market.ID_BASE]))
        looked, end = 0, self.known_ids
        pages = [self._rows_of(self._ids[:0], account)]
        while count > 0 and first + looked < end:
            begin = first + looked
            pages.append(self._rows_of(self._ids[begin : begin + _IDS_A_LOOK], account)[:count])
            count -= len(pages[-1])
            looked += min(_IDS_A_LOOK, end - begin)
        return np.concatenate(pages), looked

    def _rows_of(self, ids: np.ndarray, account: int) -> np.ndarray:
        """Columns of `LIVING` of what waits for that account (NONE: for any) in a part of the id index."""
        slots = ids[ids > 0]
        if account != NONE:
            role = self._orders["role"][slots]
            negotiated = (role == Role.PROPOSAL) | (role == Role.DEAL)
            his = self._orders["account"][slots] == account
            slots = slots[his | (negotiated & (self._terms[slots, Terms.CONTRA] == account))]
        return np.stack([self._orders[name][slots].astype(np.int64) for name in LIVING], axis=1)

    def screen(self, instrument: int) -> TradingMode:
        """How the screen trades, under the rules in force."""
        return TradingMode(self._rules[instrument, Rule.MODE])

    def day(self, instrument: int) -> tuple[int, int, int, int, int, int]:
        """Last price, previous close, lower and upper limit (fen), and the day's quantity (t) and value (fen)."""
        row = self._instruments[instrument]
        columns = (Instrument.PREV_CLOSE, Instrument.LIMIT_LOW, Instrument.LIMIT_HIGH, Instrument.DAY_QTY,
                   Instrument.DAY_VALUE)  # fmt: skip
        close, low, high, qty, value = (int(row[column]) for column in columns)
        return self._last(row), close, low, high, qty, value

    def save(self) -> dict[str, np.ndarray]:
        """Copies of every table, by name: a cache of the state for the same engine sources, see `restore`."""
        return {name: copied(getattr(self, f"_{name}")) for name in _TABLES}

    @classmethod
    def restore(cls, rules: CompiledRules, tables: dict[str, np.ndarray]) -> "Exchange":
        """The exchange that `save` was called on; `rules` and engine sources must be the same."""
        exchange = cls(rules)
        for name in _TABLES:
            setattr(exchange, f"_{name}", placed(tables[name]))
        exchange._describe()
        return exchange

    def canonical_state(self) -> Iterator[tuple[int, ...]]:
        """The state as rows of integers, independent of how it is stored (see `ReferenceExchange`)."""
        market = self._market[0]
        yield tuple(int(market[c]) for c in (Market.COMMAND_SEQ, Market.EVENT_SEQ, Market.PHASE, Market.DATE,
                                             Market.CASH_IN_FEN))  # fmt: skip
        days = (Instrument.PREV_CLOSE, Instrument.LIMIT_LOW, Instrument.LIMIT_HIGH, Instrument.BLOCK_LOW,
                Instrument.BLOCK_HIGH, Instrument.DAY_QTY, Instrument.DAY_VALUE, Instrument.COUNTED_QTY,
                Instrument.UNITS_ISSUED)  # fmt: skip
        for row in self._instruments:
            halts = int(row[Instrument.HALTED_UNTIL]), int(row[Instrument.HALT_REFERENCE])
            yield (*(int(row[column]) for column in days), self._last(row), *halts)
        count = len(self.symbols)
        cash = (Account.GROUP, Account.CASH, Account.CASH_HELD, Account.PARTICIPANT, Account.BLOCKED)
        for account in np.flatnonzero(self._accounts[:, Account.OPEN]):
            units = self._units[account * count : (account + 1) * count].ravel().tolist()
            yield (int(account), *(int(self._accounts[account, column]) for column in cash), *units)
        shown = ("instrument", "side", "role", "mode", "id", "account", "price_fen", "leaves_qty", "filled_qty")
        for slot in self._living():
            order, contra, bound, stage = self._orders[slot], NONE, NONE, 0
            if order["role"] != Role.ORDER:
                contra, bound, stage = self._terms[slot].tolist()
            # The stage of a bid is scratch paper of the running settlement.
            stage = stage if order["role"] == Role.AUCTION else 0
            last = contra, int(order["until_ns"]), int(order["client_ref"]), stage, bound
            yield (*(int(order[name]) for name in shown), *last)

    @staticmethod
    def _last(day: np.ndarray) -> int:
        """Price of the day's last screen trade, else the previous close, fen."""
        if not day[Instrument.TRADES]:
            return int(day[Instrument.PREV_CLOSE])
        return int(day[Instrument.LAST_TRADES + 2 * ((day[Instrument.TRADES] - 1) % MAX_CLOSE_TRADES)])

    def balances(self) -> tuple[np.ndarray, np.ndarray]:
        """Copies of cash (accounts, ACCOUNT_COLUMNS) and units (accounts, instruments, UNITS_COLUMNS)."""
        return self._accounts.copy(), self._units.reshape(-1, len(self.symbols), layout.UNITS_COLUMNS).copy()

    def brought_in(self) -> tuple[int, list[int]]:
        """Cash paid in and not out again, fen; units issued, t, by instrument: what all balances must add up to."""
        return int(self._market[0, Market.CASH_IN_FEN]), self._instruments[:, Instrument.UNITS_ISSUED].tolist()

    def check(self) -> None:
        """Assert every invariant: conservation, no negative balance, queues, bitmaps and counts agree."""
        accounts, units = self.balances()
        market = self._market[0]
        cash = accounts[:, [Account.CASH, Account.CASH_HELD]]
        assert (cash >= 0).all(), "a cash balance is negative"
        assert (units >= 0).all(), "a unit balance is negative"
        assert cash.sum() == market[Market.CASH_IN_FEN], "cash was lost or created"
        issued = self._instruments[:, Instrument.UNITS_ISSUED]
        assert (units[..., : Units.BIDDING].sum(axis=(0, 2)) == issued).all(), "units were lost or created"
        living = list(self._living())
        for slot in living:
            order = self._orders[slot]
            assert order["leaves_qty"] > 0, "an order without quantity is alive"
            assert self._ids[order["id"] - market[Market.ID_BASE]] == slot, "id index"
        assert len(living) == market[Market.LIVE], "count of living orders"
        held_cash, held_units, bidding = self._needed(living)
        assert (held_cash == accounts[:, Account.CASH_HELD]).all(), "cash held differs from what lives"
        assert (held_units == units[:, :, Units.HELD]).all(), "units held differ from what lives"
        assert (bidding == units[:, :, Units.BIDDING]).all(), "bidding differs from what lives"
        self._check_queues()

    def _needed(self, living: list[int]) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """What living entries need: cash (accounts,), units and bidding (accounts, instruments)."""
        shape = len(self._accounts), len(self.symbols)
        cash, units, bidding = np.zeros(shape[0], np.int64), np.zeros(shape, np.int64), np.zeros(shape, np.int64)
        fees = {TradingMode.BLOCK: Rule.BLOCK_FEE_BUY_BP, TradingMode.OFFER: Rule.OFFER_FEE_BUY_BP,
                TradingMode.AUCTION: Rule.AUCTION_FEE_BUY_BP}  # fmt: skip
        for slot in living:
            order = self._orders[slot]
            instrument, role, price = int(order["instrument"]), Role(order["role"]), int(order["price_fen"])
            account, side, leaves = int(order["account"]), int(order["side"]), int(order["leaves_qty"])
            if role == Role.PROPOSAL or not self._rules[instrument, Rule.FUNDED]:
                continue
            if role == Role.APPLICATION:
                cash[account] += self._terms[slot, Terms.BOUND]
                continue
            column = fees.get(TradingMode(order["mode"]), Rule.SCREEN_FEE_BUY_BP)
            fee = -(-price * self._rules[instrument, column] // BASIS)
            parties = [(account, side)]
            if role == Role.DEAL:
                parties.append((int(self._terms[slot, Terms.CONTRA]), int(Side.BUY + Side.SELL - side)))
            for party, its_side in parties:
                if its_side == Side.BUY:
                    bidding[party, instrument] += leaves
                    cash[party] += (price + fee) * leaves
                else:
                    units[party, instrument] += leaves
        return cash, units, bidding

    def _check_queues(self) -> None:
        """Assert that bitmaps, best prices and side counts follow from the queues."""
        total = int(self._state[Part.LEVEL_COUNT])
        occupied = np.flatnonzero(self._heads)
        bits = np.unpackbits(self._words.view(np.uint8), bitorder="little")
        assert (np.flatnonzero(bits) == occupied).all(), "bitmap differs from queues"
        words = np.unpackbits(self._summary.view(np.uint8), bitorder="little")
        assert (np.flatnonzero(words) == np.flatnonzero(self._words)).all(), "summary differs from bitmap"
        for row in self._instruments:
            start, size, low = (
                row[Instrument.LADDER_OFFSET],
                row[Instrument.LADDER_SIZE],
                row[Instrument.LADDER_LOW],
            )
            bids = occupied[(occupied >= start) & (occupied < start + size)] - start
            asks = occupied[(occupied >= start + total) & (occupied < start + total + size)] - start - total
            assert row[Instrument.BEST + Side.BUY] == (bids[-1] + low if len(bids) else 0), "best bid"
            assert row[Instrument.BEST + Side.SELL] == (asks[0] + low if len(asks) else 0), "best ask"

    def _living(self) -> Iterator[int]:
        """Slots of all living entries: of each instrument the book in priority, then everything else by id."""
        ids = self._ids[self._ids > 0]
        off_book = [int(s) for s in ids if self._orders["role"][s] != Role.ORDER]
        for instrument, row in enumerate(self._instruments):
            start, size = int(row[Instrument.LADDER_OFFSET]), int(row[Instrument.LADDER_SIZE])
            for side in (Side.BUY, Side.SELL):
                base = start + (int(self._state[Part.LEVEL_COUNT]) if side == Side.SELL else 0)
                levels = np.flatnonzero(self._heads[base : base + size]) + base
                for level in levels[::-1] if side == Side.BUY else levels:
                    slot = int(self._heads[level])
                    while slot:
                        yield slot
                        slot = int(self._orders["next"][slot])
            yield from (s for s in off_book if self._orders["instrument"][s] == instrument)

    def _room_for_events(self, used: int, wanted: int, full: list[np.ndarray]) -> int:
        """Have room for `wanted` events behind the `used` rows; how many are used then.

        The buffer grows up to `_LENT_ROWS`; from there on what it holds is put away in `full`.
        """
        if used and used + wanted > _LENT_ROWS:
            full.append(copied(self._events[:used]))
            used = 0
        if used + wanted > len(self._events):
            larger = zeros(max(min(2 * len(self._events), _LENT_ROWS), used + wanted), EVENT)
            put(larger, self._events[:used])
            self._events = larger
        return used

    def _make_room(self, stop: Stop, wanted: int) -> None:
        """Grow the table that the core has run out of."""
        if stop == Stop.ORDERS:
            self._orders = grown(self._orders, wanted)
            self._terms = grown(self._terms, len(self._orders))
        elif stop == Stop.IDS:
            self._ids = grown(self._ids, wanted)
        elif stop == Stop.ACCOUNTS:
            before = len(self._accounts)
            self._accounts = grown(self._accounts, wanted)
            self._accounts[before:, Account.GROUP] = NONE
            self._units = grown(self._units, len(self._accounts) * len(self.symbols))
        else:
            self._extend_ladder(int(self._market[0, Market.WANTED_INSTRUMENT]), wanted)
        self._describe()

    def _allocate_ladders(self) -> None:
        """Fresh, empty and (being zero) unbacked ladders for the sizes in the instrument table."""
        sizes = self._instruments[:, Instrument.LADDER_SIZE]
        self._instruments[:, Instrument.LADDER_OFFSET] = np.cumsum(sizes) - sizes
        levels = int(sizes.sum())
        self._heads = zeros(2 * levels, np.int32)
        self._tails = zeros(2 * levels, np.int32)
        self._words = zeros(2 * levels // 64, np.uint64)
        self._summary = zeros(2 * levels // _LEVELS_STEP, np.uint64)

    def _extend_ladder(self, instrument: int, price_fen: int) -> None:
        """Make one instrument's ladder reach `price_fen`, keeping every queue."""
        old = self._instruments.copy()
        levels = len(self._heads) // 2
        heads, tails = self._heads.reshape(2, levels), self._tails.reshape(2, levels)
        row = self._instruments[instrument]
        start, size = int(row[Instrument.LADDER_OFFSET]), int(row[Instrument.LADDER_SIZE])
        used = np.flatnonzero(heads[:, start : start + size].any(axis=0)) + int(row[Instrument.LADDER_LOW])
        low, high = int(min([price_fen, *used[:1]])), int(max([price_fen, *used[-1:]]))
        span = max(size, 2 * (high - low + 1))
        size = -(-span // _LEVELS_STEP) * _LEVELS_STEP
        row[Instrument.LADDER_LOW] = max(1, (low + high - size) // 2)
        row[Instrument.LADDER_SIZE] = size
        self._market[0, Market.GATES_DRAWN] = 0
        self._allocate_ladders()
        new_heads, new_tails = self._heads.reshape(2, -1), self._tails.reshape(2, -1)
        for before, after in zip(old, self._instruments, strict=True):
            begin, count = before[Instrument.LADDER_OFFSET], before[Instrument.LADDER_SIZE]
            shift = (
                after[Instrument.LADDER_OFFSET] - begin + before[Instrument.LADDER_LOW] - after[Instrument.LADDER_LOW]
            )
            occupied = np.flatnonzero(heads[:, begin : begin + count].any(axis=0)) + begin
            new_heads[:, occupied + shift] = heads[:, occupied]
            new_tails[:, occupied + shift] = tails[:, occupied]
        for bits, positions in ((self._words, np.flatnonzero(self._heads)), (self._summary, None)):
            found = np.flatnonzero(self._words) if positions is None else positions
            np.bitwise_or.at(bits, found >> 6, np.uint64(1) << (found & 63).astype(np.uint64))

    def _describe(self) -> None:
        """Write the descriptor: where every table lies and how long it is."""
        state, self._scalars = self._state, memoryview(self._market[0])
        tables: dict[Part, np.ndarray] = {
            Part.MARKET: self._market, Part.ORDERS: self._orders, Part.TERMS: self._terms, Part.IDS: self._ids,
            Part.HEADS: self._heads,
            Part.TAILS: self._tails, Part.WORDS: self._words, Part.SUMMARY: self._summary,
            Part.INSTRUMENTS: self._instruments, Part.RULES: self._rules, Part.RULE_ROWS: self._rule_rows,
            Part.ACCOUNTS: self._accounts, Part.UNITS: self._units,
        }  # fmt: skip
        for part, array in tables.items():
            state[part] = array.ctypes.data
        lengths: dict[Part, int] = {
            Part.ORDER_ROWS: len(self._orders), Part.ID_COUNT: len(self._ids), Part.LINK_COUNT: len(self._heads),
            Part.LEVEL_COUNT: len(self._heads) // 2, Part.WORD_COUNT: len(self._words),
            Part.SUMMARY_COUNT: len(self._summary), Part.INSTRUMENT_COUNT: len(self.symbols),
            Part.RULE_ROW_COUNT: len(self._rule_rows), Part.ACCOUNT_COUNT: len(self._accounts),
            Part.UNIT_ROWS: len(self._units),
        }  # fmt: skip
        for part, length in lengths.items():
            state[part] = length


def compile_loops(only: int | None = None) -> None:
    """Have the loops of screen and ledger compiled, or `only` one; from the cache at once, else in about 8 seconds."""
    examples = np.zeros(layout.PARTS, np.int64), np.zeros(0, COMMAND), 0, np.zeros(0, EVENT)
    loops = _LOOPS[:_COMPILED_AHEAD] if only is None else _LOOPS[only : only + 1]
    compile_side_by_side(loops, examples, "from engine.exchange import compile_loops; compile_loops(1)")


def compile_all() -> None:
    """Have every loop compiled, also the one that only some markets need; from the cache, else in 16 seconds."""
    compile_loops()
    compile_loops(len(_LOOPS) - 1)
