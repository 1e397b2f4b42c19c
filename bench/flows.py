"""Order flows to measure with: read from a file, or made around a wanted number of living orders. No timing in here.

    NAME.bin    int32 rows: type, id, side, price (fen), quantity, target, and two columns that are not read
                type 0 limit order, 1 cancel, 2 cancel `target` and enter a new order, 3 immediate or cancel
    NAME.chk    trades, and sums over them: quantity, price x quantity, maker's id x quantity (modulo 2**64)

A made flow has the mix of the recorded ones (new 45 %, cancel 40 %, cancel and new 5 %, marketable 10 %, 70 % of them
immediate or cancel), prices by a power law from a middle that wanders, and cancels that name any living order. It is a
load, no market.
"""

from pathlib import Path
from typing import NamedTuple, TypeVar

import numpy as np

from engine.codes import CommandKind, EventKind, OrdType, Participant, Side, TimeInForce
from engine.core.state import Instrument
from engine.errors import EmexError
from engine.exchange import Exchange
from engine.records import empty_commands
from engine.reference import ReferenceExchange
from engine.rules.compiler import CompiledRules, compile_rulebook
from engine.rules.schema import find_rulebook

V = TypeVar("V", Exchange, ReferenceExchange)

FUNDED = str(Path(__file__).with_name("generic-funded.toml"))
"""The rulebook of the whole exchange step."""
RULES = {"book": "generic", "exchange": FUNDED}
"""Rulebook by figure."""
FIRST_ACCOUNT = 2
_CASH_FEN, _UNITS_T = 10**14, 10**9
_ALL_CASH_FEN, _ALL_UNITS_T = 10**18, 5 * 10**12
"""What the engine takes of both; many accounts share it."""
_LIMIT, _CANCEL, _REPLACE, _IOC = range(4)
_TYPE, _ID, _SIDE, _PRICE, _QTY, _TARGET = range(6)
_COLUMNS = 8
_MIDDLE, _WIDTH = 6000, 600
_MOST_A_ROUND = 500
"""Messages made at a time; a cancel names an order of an earlier round."""
_MIX = np.array([0.45, 0.40, 0.05, 0.10])
"""New, cancel, cancel and new, marketable."""
_TILT = 0.12
"""The share of new orders is moved by up to so much to keep the wanted number alive."""


class Flow(NamedTuple):
    """Messages, and what a price-time book makes of them."""

    name: str
    rows: np.ndarray
    """int32, shape (messages, 8)."""
    sums: tuple[int, int, int, int] | None = None
    """What the `.chk` file says; None: there is none."""


class Shape(NamedTuple):
    """What a made flow is like."""

    living: int = 5000
    """Orders that rest, about, after as many messages as it takes to place them."""
    messages: int = 1_000_000
    """Beyond those."""
    reach: int = 300
    """Most ticks from the middle."""
    tail: float = 1.2
    """Exponent of the distance's power law; 0 spreads orders evenly over all that is in reach."""

    @property
    def middle(self) -> int:
        """Price around which everything happens, fen."""
        return max(_MIDDLE, 2 * self.reach)

    @property
    def bounds(self) -> tuple[int, int]:
        """Lowest and highest price, fen."""
        width = max(_WIDTH, self.reach + _WIDTH // 2)
        return self.middle - width, self.middle + width


def read(path: Path) -> Flow:
    """A recorded flow. Raises `EmexError` on a file of another form, `OSError`."""
    numbers = np.fromfile(path, np.int32)
    if len(numbers) == 0 or len(numbers) % _COLUMNS:
        raise EmexError(f"{path}: got {4 * len(numbers)} bytes, expected rows of {4 * _COLUMNS}")
    rows = numbers.reshape(-1, _COLUMNS)
    if not ((rows[:, _TYPE] >= _LIMIT) & (rows[:, _TYPE] <= _IOC)).all():
        bad = int(np.flatnonzero((rows[:, _TYPE] < _LIMIT) | (rows[:, _TYPE] > _IOC))[0])
        raise EmexError(f"{path}: row {bad}: type: got {rows[bad, _TYPE]}, expected 0 to {_IOC}")
    check = path.with_suffix(".chk")
    if not check.exists():
        return Flow(path.stem, rows)
    trades, qty, value, maker = (int(number) for number in check.read_text(encoding="ascii").split())
    return Flow(path.stem, rows, (trades, qty, value, maker))


def make(shape: Shape, seed: int = 1, name: str = "made") -> Flow:
    """A flow of that shape; the same seed gives the same one."""
    rng = np.random.default_rng(seed)
    total = shape.living + shape.messages
    exchange, orders = opened(compile_rulebook(find_rulebook("generic")), 1), _Orders(total)
    a_round = min(_MOST_A_ROUND, max(4, shape.living // 4))
    fair, done, rounds = float(shape.middle), 0, []
    low, high = shape.bounds
    while done < total:
        count = min(a_round, shape.living - done if done < shape.living else total - done)
        fair = float(np.clip(fair + rng.normal(0, 0.05 * count**0.5), low + 160, high - 160))
        mix = np.zeros(4) if done < shape.living else _MIX
        rows = _round(rng, shape, orders, int(fair), _best(exchange), mix, count)
        orders.follow(exchange, rows)
        rounds.append(rows)
        done += count
    return Flow(name, np.concatenate(rounds))


def _round(
    rng: np.random.Generator, shape: Shape, orders: "_Orders", fair: int, best: tuple[int, int], mix: np.ndarray,
    count: int,
) -> np.ndarray:  # fmt: skip
    """Some messages; with a mix of zeros orders are only placed. What is not marketable does not mean to trade."""
    tilt = np.clip(4 * _TILT * (1 - orders.living / shape.living), -_TILT, _TILT)
    steps = np.cumsum(mix + np.array([tilt, -tilt, 0, 0])) if mix.any() else np.ones(4)
    kind = np.searchsorted(steps[:3], rng.random(count))
    wanted = np.flatnonzero((kind == _CANCEL) | (kind == _REPLACE))
    targets = orders.choose(rng, len(wanted))
    kind[wanted[len(targets) :]] = _LIMIT
    wanted = wanted[: len(targets)]
    marketable = kind == _IOC
    kind[marketable & (rng.random(count) > 0.7)] = _LIMIT  # what is left of these rests
    away = rng.integers(0, shape.reach, count)
    if shape.tail:
        near = np.minimum(rng.pareto(shape.tail, count) * 3, shape.reach).astype(np.int64)
        away = np.where(near < shape.reach, near, away)
    away += 1
    away = np.where(marketable, -np.minimum(rng.exponential(1.4, count), 10).astype(np.int64) - 2, away)
    rows = np.zeros((count, _COLUMNS), np.int32)
    side = rng.integers(0, 2, count)
    rows[:, _TYPE], rows[:, _SIDE] = kind, side
    price = fair - away * (1 - 2 * side)
    rests = np.where(side == 0, np.minimum(price, best[1] - 1), np.maximum(price, best[0] + 1))
    rows[:, _PRICE] = np.clip(np.where(marketable, price, rests), *shape.bounds)
    size = np.where(marketable, rng.lognormal(2.6, 1.1, count), rng.lognormal(3.0, 1.0, count))
    rows[:, _QTY] = np.clip(size, 1, np.where(marketable, 2000, 1000))
    new = kind != _CANCEL
    rows[new, _ID] = orders.next_id + np.arange(int(new.sum()))
    rows[wanted, _TARGET] = targets
    cancels = kind == _CANCEL
    rows[cancels, _ID] = rows[cancels, _TARGET]
    rows[cancels, _QTY] = 0
    return rows


def _best(exchange: Exchange) -> tuple[int, int]:
    """Best bid and best ask, fen; where there is none, one that is in nobody's way."""
    day = exchange._instruments[0]
    bid, ask = (int(day[Instrument.BEST + side]) for side in (Side.BUY, Side.SELL))
    return bid, ask or int(day[Instrument.LIMIT_HIGH])


class _Orders:
    """Which orders of a flow in the making live, by its own ids."""

    def __init__(self, most: int) -> None:
        self.next_id = 1
        self.living = 0
        self._seq_of = np.zeros(most + 1, np.int64)
        """Command number by id."""
        self._id_of = np.zeros(2 * most + 2, np.int64)
        """Id by command number."""
        self._alive = np.zeros(most + 1, np.bool_)
        self._known = np.zeros(0, np.int64)
        """Every living id, and some that have died since."""

    def choose(self, rng: np.random.Generator, count: int) -> np.ndarray:
        """Different living ids, at most `count`."""
        if len(self._known) > 2 * self.living + 100:
            self._known = self._known[self._alive[self._known]]
        if not len(self._known):
            return self._known
        drawn = np.unique(self._known[rng.integers(0, len(self._known), 4 * count)])
        drawn = drawn[self._alive[drawn]]
        rng.shuffle(drawn)
        return drawn[:count]

    def follow(self, exchange: Exchange, rows: np.ndarray) -> None:
        """Send the messages to an exchange and see who lives after it."""
        first = exchange.command_seq + 1
        commands, ids = commands_of(rows, 1, first, self._seq_of)
        if first + len(ids) > len(self._id_of):
            self._id_of = np.concatenate([self._id_of, np.zeros_like(self._id_of)])
        self._id_of[first : first + len(ids)] = ids
        events = exchange.apply(commands)
        born = self._id_of[events["order_id"][events["kind"] == EventKind.ACCEPTED]]
        traded = events[events["kind"] == EventKind.TRADE]
        gone = np.concatenate([
            events["order_id"][events["kind"] == EventKind.CANCELED],
            traded["order_id"][traded["leaves_qty"] == 0], traded["contra_id"][traded["contra_leaves_qty"] == 0],
        ])  # fmt: skip
        self._alive[born] = True
        self._alive[self._id_of[gone]] = False
        self._known = np.concatenate([self._known, born[self._alive[born]]])
        self.next_id += len(born)
        self.living += len(born) - len(gone)


def commands_of(
    rows: np.ndarray, accounts: int, first_seq: int, seq_of: np.ndarray | None = None, instruments: int = 1
) -> tuple[np.ndarray, np.ndarray]:
    """COMMAND rows of a flow, and the flow's id by command number minus `first_seq` (0 for a cancel).

    A message of type 2 becomes two commands. The account of an order is its id modulo `accounts`, its instrument a
    third of its id modulo `instruments`.

    Parameters
    ----------
    seq_of : command number by id, which is filled in; where the rows name only ids of their own it may be left out
    """
    at = np.repeat(np.arange(len(rows)), np.where(rows[:, _TYPE] == _REPLACE, 2, 1))
    cancels = rows[at, _TYPE] == _CANCEL
    cancels[:-1] |= at[:-1] == at[1:]  # the first of the two
    source = rows[at]
    commands = empty_commands(len(at))
    named = np.where(source[:, _TYPE] == _REPLACE, source[:, _TARGET], source[:, _ID])
    ids = np.where(cancels, named, source[:, _ID])
    commands["kind"] = np.where(cancels, CommandKind.CANCEL, CommandKind.NEW)
    commands["account"] = FIRST_ACCOUNT + ids % accounts
    if seq_of is None:
        seq_of = np.zeros(rows[:, _ID].max() + 1, np.int64)
    seq_of[ids[~cancels]] = first_seq + np.flatnonzero(~cancels)
    commands["target_id"][cancels] = seq_of[ids[cancels]]
    orders = source[~cancels]
    for name, values in (
        ("instrument", ids[~cancels] // 3 % instruments),
        ("side", np.where(orders[:, _SIDE] == 0, Side.BUY, Side.SELL)),
        ("ord_type", OrdType.LIMIT), ("price_fen", orders[:, _PRICE]), ("qty", orders[:, _QTY]),
        ("tif", np.where(orders[:, _TYPE] == _IOC, TimeInForce.IOC, TimeInForce.DAY)),
    ):  # fmt: skip
        column = commands[name]
        column[~cancels] = values
    return commands, np.where(cancels, 0, ids)


def opened(rules: CompiledRules, accounts: int) -> Exchange:
    """An exchange with so many accounts, endowed with cash and every instrument where the rules want that."""
    return endowed(Exchange(rules), accounts)


def endowed(exchange: V, accounts: int) -> V:
    """As `opened`, for an exchange that is there already, of either engine."""
    for instrument in range(-1, len(exchange.symbols)):
        rows = empty_commands(accounts)
        rows["account"] = FIRST_ACCOUNT + np.arange(accounts)
        rows["flags"], rows["qty"] = Participant.COVERED, min(_UNITS_T, _ALL_UNITS_T // accounts)
        rows["amount_fen"] = min(_CASH_FEN, _ALL_CASH_FEN // accounts)
        if instrument >= 0:
            rows["kind"], rows["instrument"] = CommandKind.ISSUE, instrument
            exchange.submit(rows)
            continue
        for kind in (CommandKind.OPEN_ACCOUNT, CommandKind.DEPOSIT):
            rows["kind"] = kind
            exchange.submit(rows)
    return exchange


def trade_sums(events: np.ndarray, ids: np.ndarray, first_seq: int) -> tuple[int, int, int, int]:
    """What a `.chk` file holds."""
    trades = events[events["kind"] == EventKind.TRADE]
    qty = trades["qty"]
    makers = ids[trades["contra_id"] - first_seq]
    return len(trades), int(qty.sum()), int((trades["price_fen"] * qty).sum()), int((makers * qty).sum())
