"""A national deadline day as a workload: a load, no forecast. Makes it and measures it; prints nothing.

    behaviour    the last days of a simulated season (market `cn-cea`), kept by a venue under its port
    load         those days again and again, by more firms: COMMAND rows, made before any clock runs
    throughput   the load in batches of 10,000, one after another: what the core does when it never waits
    open loop    messages arrive at a stated rate, whether or not the core keeps up; each is timed from its arrival

How the load comes about, and what in it is not the season's:

- A firm of the load behaves as one firm that traded in those days, its model; all models have about as many successors.
  Each round of a day is drawn anew, with replacement, from what was sent in it, and sent by successors in random order.
  So kinds, sizes, sides, who trades how often, and the order of a day are the season's. Prices are shares of the
  previous close, inside the day's limits. All of it happens in one afternoon, in which every kind is permitted.
- Ten million messages of 10,000 firms are some 1,700 such days, without a night: the season has no cancels, listings
  expire with their day; here their owners cancel them at its end, in random order (and withdraw blocks whose answer was
  refused). So as much stands as in the season, firm for firm, and the book does not grow.
- In the season what a purchase costs is paid in just before it, and nobody is refused. Here all is there at the
  opening, units too (none bought today may be sold): what the model's orders of those days cost, taken or not, once
  more than the load repeats them on average. Chance lets some run out, and they are refused.
"""

import datetime as dt
import gc
import itertools
import math
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple, Protocol

import numpy as np

from bench.core import BATCH
from engine.codes import (
    NONE,
    TRADING_KINDS,
    CommandKind,
    EventKind,
    Participant,
    Phase,
    RejectReason,
    Side,
    TradingMode,
)
from engine.digest import state_digest
from engine.errors import EmexError
from engine.exchange import Exchange
from engine.records import COMMAND, EVENT, empty_commands
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import Rulebook
from engine.rules.sessions import Timetable
from sim.parameters import load_parameters
from sim.port import FIRST_ACCOUNT
from sim.season import load_season
from sim.streams import stream
from sim.tape.queueing import serve
from sim.world import World

SEASON = "cea-2021"
ALLOWANCE = 0
"""Instrument of the season's product."""
LAST_DAYS = 10
"""Trading days that are sampled, the deadline the last of them: two weeks, some 4,000 orders; five are too few."""
RATES = (1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000, 32_000_000)
"""Messages a second offered."""
_SECONDS = 3.0
"""That messages arrive, at most."""
CAP = 4096
"""Most messages that the open loop hands over in one call."""
_RUNS = 3
"""Of the throughput."""
_WARM = 100_000
"""Messages before the open loop's clock starts, at most a tenth of the load: tables are in use, the book stands."""
_SATURATED = 0.01
"""Saturated: when the last message arrives, this share of all, and more than two full calls, is not yet answered."""
_QUANTILES = {"p50_us": 0.5, "p90_us": 0.9, "p99_us": 0.99, "p999_us": 0.999, "p9999_us": 0.9999}
_TICKS = 5
"""Lines of a percentile file for each halving of what is left above."""

Progress = Callable[[int, int], None]
"""Told (done, of how many)."""


class Asked(NamedTuple):
    """What firms sent in one round, none having seen what another did."""

    commands: np.ndarray
    """COMMAND rows: NEW, CLICK and PROPOSE."""
    shares: np.ndarray
    """Their prices as shares of the previous close, float."""


@dataclass
class Tally:
    """Messages and events, counted."""

    kinds: np.ndarray = field(default_factory=lambda: np.zeros(1 + max(CommandKind), np.int64))
    """Messages by `CommandKind`."""
    reasons: np.ndarray = field(default_factory=lambda: np.zeros(1 + max(RejectReason), np.int64))
    """Events by `RejectReason`; NONE for all that refuse nothing."""
    clicks_traded: int = 0
    trades: int = 0
    listed_t: int = 0
    block_t: int = 0
    value_fen: int = 0

    def add(self, commands: np.ndarray, events: np.ndarray) -> None:
        """Count one batch: COMMAND rows and their EVENT rows."""
        self.kinds += np.bincount(commands["kind"], minlength=len(self.kinds))
        self.reasons += np.bincount(events["reason"], minlength=len(self.reasons))
        trades = events[events["kind"] == EventKind.TRADE]
        listed = trades[trades["mode"] == TradingMode.LISTED]
        self.clicks_traded += len(np.unique(listed["order_id"]))
        self.trades += len(trades)
        self.listed_t += int(listed["qty"].sum())
        self.block_t += int(trades["qty"].sum() - listed["qty"].sum())
        self.value_fen += int(trades["amount_fen"].sum())

    def sent(self) -> dict[str, int]:
        """Messages by name of their kind."""
        return {kind.name: count for kind in CommandKind if (count := int(self.kinds[kind]))}

    def refused(self) -> dict[str, int]:
        """Messages by name of the reason."""
        return {reason.name: count for reason in list(RejectReason)[1:] if (count := int(self.reasons[reason]))}

    def shares(self) -> dict[str, float]:
        """Of all messages those that were refused, of all clicks those that traded."""
        messages, clicks = self.kinds.sum(), self.kinds[CommandKind.CLICK]
        return {
            "refused_share": round(float(self.reasons[1:].sum() / max(messages, 1)), 6),
            "clicks_traded_share": round(float(self.clicks_traded / max(clicks, 1)), 4),
        }


class _Standing:
    """Listings and proposals of one day that nobody has taken, by id."""

    def __init__(self) -> None:
        self._entered = [np.zeros(0, np.int64)]
        self._taken = [np.zeros(0, np.int64)]

    def follow(self, commands: np.ndarray, events: np.ndarray) -> None:
        """Take in one batch."""
        asked = commands["kind"][events["command_seq"] - events["command_seq"][0]]
        stays = (asked == CommandKind.NEW) | (asked == CommandKind.PROPOSE)
        self._entered.append(events["order_id"][stays & (events["kind"] == EventKind.ACCEPTED)])
        taken = (events["kind"] == EventKind.TRADE) & (events["contra_leaves_qty"] == 0)
        self._taken.append(events["contra_id"][taken])

    def ids(self) -> np.ndarray:
        """Those that stand, ascending."""
        return np.setdiff1d(np.concatenate(self._entered), np.concatenate(self._taken))


@dataclass(frozen=True)
class Behaviour:
    """What firms did in the last days of one season."""

    seed: int
    days: list[list[Asked]]
    """Rounds by day."""
    tally: Tally
    standing: int
    """Listings that expired, all days together."""

    def everything(self) -> Asked:
        """All rounds as one."""
        rounds = [asked for day in self.days for asked in day]
        return Asked(*(np.concatenate(columns) for columns in zip(*rounds, strict=True)))

    def firms(self) -> np.ndarray:
        """Numbers of the firms that sent something or were named, ascending."""
        commands = self.everything().commands
        named = commands["contra"][commands["contra"] != NONE]
        return np.unique(np.concatenate([commands["account"], named])) - FIRST_ACCOUNT


class _Recorder:
    """A venue (`sim.port.Venue`) in this process that keeps every batch: COMMAND rows, EVENT rows."""

    def __init__(self, book: Rulebook) -> None:
        self.batches: list[tuple[np.ndarray, np.ndarray]] = []
        self._exchange = Exchange(compile_rulebook(book))
        self.balances, self.brought_in = self._exchange.balances, self._exchange.brought_in
        self.check = self._exchange.check

    def submit(self, commands: np.ndarray) -> np.ndarray:
        """As `Exchange.submit`."""
        events = self._exchange.submit(commands)
        if len(commands):
            self.batches.append((commands.copy(), events))
        return events

    def days(self) -> list[list[tuple[np.ndarray, np.ndarray]]]:
        """Batches by trading day, the day roll first."""
        begins = [n for n, (commands, _) in enumerate(self.batches) if commands["kind"][0] == CommandKind.DAY_ROLL]
        ends = [*begins[1:], len(self.batches)]
        return [self.batches[begin:end] for begin, end in zip(begins, ends, strict=True)]


def sample_behaviour(seed: int = 1) -> Behaviour:
    """Run the season in this process and keep what was sent in its last days."""
    plan = load_season(SEASON)
    recorder = _Recorder(plan.book)
    World(plan, load_parameters(plan.parameters), seed, venue=recorder).run()
    days: list[list[Asked]] = []
    tally, standing = Tally(), 0
    *traded, _ = recorder.days()  # the last roll only closes the last day
    for (_, opened), *batches in traded[-LAST_DAYS:]:
        of_day = (opened["kind"] == EventKind.DAY_OPENED) & (opened["instrument"] == ALLOWANCE)
        close_fen, left = int(opened["price_fen"][of_day][0]), _Standing()
        days.append([])
        for commands, events in batches:
            kind = commands["kind"][0]
            if kind not in TRADING_KINDS:
                continue
            tally.add(commands, events)
            left.follow(commands, events)
            if kind != CommandKind.CONFIRM:
                days[-1].append(Asked(commands, commands["price_fen"] / close_fen))
        standing += len(left.ids())
    return Behaviour(seed, days, tally, standing)


@dataclass(frozen=True)
class Load:
    """Messages, and what a venue makes of them."""

    behaviour: Behaviour
    firms: int
    models: int
    """Firms of the season that these behave as."""
    repeats: float
    """How often a firm sends what its model sent in the sampled days, about."""
    book: Rulebook
    opening: list[np.ndarray]
    """COMMAND rows that open the venue, from the day roll to the phase."""
    commands: np.ndarray
    """COMMAND rows, shape (messages,)."""
    tally: Tally
    standing_most: int
    """Listings and proposals at the end of a day, at most."""
    digest: str
    """Of the venue's state after the last message."""

    def open(self) -> Exchange:
        """A venue before the first message."""
        return _opened(self.book, self.opening, self.firms, len(self.commands))


def make_load(
    behaviour: Behaviour,
    firms: int = 10_000,
    messages: int = 10_000_000,
    seed: int = 1,
    progress: Progress | None = None,
) -> Load:
    """Draw a load; the same arguments give the same bytes.

    `progress` is told messages done, of all. Raises `EmexError` on no messages, or too few firms to send any.
    """
    if messages < 1:
        raise EmexError(f"messages: got {messages}, expected at least 1")
    plan, rng = load_season(SEASON), stream(seed, "rush")
    book, day = plan.book, plan.last_day.astype(dt.date)
    crowd = _Crowd(behaviour, firms, rng)
    repeats = messages / (crowd.share * crowd.successors * (behaviour.tally.kinds.sum() + behaviour.standing))
    timetable = Timetable(book)
    roll, phases = timetable.day_roll(day), timetable.phases(day)
    at = next(n for n, phase in enumerate(phases) if phase["phase"][0] == Phase.AFTERNOON)
    _, close_fen, low_fen, high_fen, _, _ = _opened(book, [roll], 0, 0).day(ALLOWANCE)
    opening = [roll, *crowd.endowed(close_fen, 1 + repeats), phases[at]]
    span_ns = int(phases[at + 1]["time_ns"][0] - phases[at]["time_ns"][0])
    making = _Making(_opened(book, opening, firms, messages), messages, rng)
    making.commands["time_ns"] = phases[at]["time_ns"] + np.arange(messages) * (span_ns // messages)
    while making.done < messages:
        for rounds in crowd.days:
            if progress is not None:
                progress(making.done, messages)
            for asked in rounds:
                making.answer(making.send(crowd.drawn(asked, close_fen, (low_fen, high_fen))))
            making.take_back()
    return Load(
        behaviour, firms, crowd.models, repeats, book, opening, making.commands, making.tally, making.standing_most,
        state_digest(making.venue.canonical_state()),
    )  # fmt: skip


def _opened(book: Rulebook, opening: Sequence[np.ndarray], firms: int, messages: int) -> Exchange:
    """A venue after these commands, its tables as long as so many firms and messages need."""
    ids = sum(map(len, opening)) + messages + 2
    venue = Exchange(compile_rulebook(book), accounts=firms + FIRST_ACCOUNT, ids=ids)
    for rows in opening:
        venue.submit(rows)
    return venue


class _Crowd:
    """The firms of a load. Each behaves as one firm of the season, its model, and is one of that firm's successors."""

    def __init__(self, behaviour: Behaviour, firms: int, rng: np.random.Generator) -> None:
        models = rng.permutation(behaviour.firms())[: max(firms, 0)]
        self.firms, self.models, self._rng = firms, len(models), rng
        self.successors = firms / max(len(models), 1)
        """Of a model, mean."""
        self._model_of = rng.permutation(np.resize(models, max(firms, 0)))
        self._ranked = np.argsort(self._model_of, kind="stable")
        self._first = np.searchsorted(self._model_of[self._ranked], np.arange(models.max(initial=0) + 2))
        known = [[_among(asked, models) for asked in rounds] for rounds in behaviour.days]
        self.days = [[asked for asked in rounds if len(asked.commands)] for rounds in known]
        """What the models sent, to each other where a block names somebody."""
        self._sent = _among(behaviour.everything(), models)
        if len(self._sent.commands) == 0:
            raise EmexError(f"firms: got {firms}, expected so many that some send an order")
        self.share = len(self._sent.commands) / len(behaviour.everything().commands)
        """Of all orders of the season those of the models."""

    def drawn(self, asked: Asked, close_fen: int, limits_fen: tuple[int, int]) -> np.ndarray:
        """A round drawn anew: COMMAND rows of successors, in random order, around another previous close."""
        picks = self._rng.integers(0, len(asked.commands), round(len(asked.commands) * self.successors))
        rows = asked.commands[picks]
        block = rows["kind"] == CommandKind.PROPOSE
        prices = np.rint(asked.shares[picks] * close_fen)
        rows["price_fen"] = np.where(block, prices, prices.clip(*limits_fen))
        rows["account"] = self._successors(rows["account"])
        rows["contra"][block] = self._successors(rows["contra"][block])
        return rows

    def _successors(self, accounts: np.ndarray) -> np.ndarray:
        """One of each account of the season, drawn."""
        first = self._first[accounts - FIRST_ACCOUNT]
        count = self._first[accounts - FIRST_ACCOUNT + 1] - first
        firms: np.ndarray = self._ranked[first + (self._rng.random(len(accounts)) * count).astype(np.int64)]
        return FIRST_ACCOUNT + firms

    def endowed(self, close_fen: int, times: float) -> Iterator[np.ndarray]:
        """Commands that open the accounts and bring in what the model's orders cost so many times."""
        commands, shares = self._sent
        buys, block = commands["side"] == Side.BUY, commands["kind"] == CommandKind.PROPOSE  # which the buyer sends
        sells, seller = ~buys | block, np.where(block, commands["contra"], commands["account"])
        spent, sold = np.zeros((2, len(self._first)))
        np.add.at(spent, commands["account"][buys] - FIRST_ACCOUNT, (commands["qty"] * shares)[buys])
        np.add.at(sold, seller[sells] - FIRST_ACCOUNT, commands["qty"][sells])
        cash, units = (np.ceil(times * each[self._model_of]) for each in (close_fen * spent, sold))
        rows = empty_commands(self.firms)
        rows["account"] = FIRST_ACCOUNT + np.arange(self.firms)
        for kind, column, amounts in (
            (CommandKind.OPEN_ACCOUNT, "flags", np.full(self.firms, Participant.COVERED)),
            (CommandKind.DEPOSIT, "amount_fen", cash),
            (CommandKind.ISSUE, "qty", units),
        ):
            rows["kind"], rows[column] = kind, amounts
            rows["instrument"] = ALLOWANCE if kind == CommandKind.ISSUE else NONE
            yield rows[(rows[column] > 0) | (kind == CommandKind.OPEN_ACCOUNT)]


def _among(asked: Asked, firms: np.ndarray) -> Asked:
    """What these firms sent, and to none but each other."""
    commands = asked.commands
    known = np.isin(commands["account"] - FIRST_ACCOUNT, firms)
    known &= (commands["contra"] == NONE) | np.isin(commands["contra"] - FIRST_ACCOUNT, firms)
    return Asked(commands[known], asked.shares[known])


class _Making:
    """A load as it grows, and the venue that carries it out meanwhile."""

    def __init__(self, venue: Exchange, messages: int, rng: np.random.Generator) -> None:
        self.venue, self.commands = venue, np.zeros(messages, COMMAND)
        self.tally, self.done, self.standing_most = Tally(), 0, 0
        self._rng, self._day = rng, _Standing()
        self._first_id = venue.command_seq + 1

    def send(self, rows: np.ndarray) -> np.ndarray:
        """Append COMMAND rows, as many as there is room for; returns their EVENT rows, lent until the next call."""
        rows = rows[: len(self.commands) - self.done]
        if len(rows) == 0:
            return np.zeros(0, EVENT)
        place = self.commands[self.done : self.done + len(rows)]
        rows["time_ns"] = place["time_ns"]
        place[...] = rows
        self.done += len(rows)
        events = self.venue.apply(place)
        self.tally.add(place, events)
        self._day.follow(place, events)
        return events

    def answer(self, events: np.ndarray) -> None:
        """Whoever a block was proposed to confirms it."""
        proposed = (events["kind"] == EventKind.ACCEPTED) & (events["mode"] == TradingMode.BLOCK)
        self.send(_naming(CommandKind.CONFIRM, events["contra"][proposed], events["order_id"][proposed]))

    def take_back(self) -> None:
        """End of a day: owners cancel what stands, and withdraw what was not confirmed."""
        ids = self._rng.permutation(self._day.ids())
        self._day, self.standing_most = _Standing(), max(self.standing_most, len(ids))
        entered = self.commands[ids - self._first_id]
        rows = _naming(CommandKind.CANCEL, entered["account"], ids)
        rows["kind"][entered["kind"] == CommandKind.PROPOSE] = CommandKind.DECLINE
        self.send(rows)


def _naming(kind: CommandKind, accounts: np.ndarray, ids: np.ndarray) -> np.ndarray:
    """COMMAND rows that name an entry each."""
    rows = empty_commands(len(ids))
    rows["kind"], rows["account"], rows["target_id"] = kind, accounts, ids
    return rows


# --------------------------------------------------------------------------------------------------------- measuring


def throughput(load: Load, runs: int = _RUNS, progress: Progress | None = None) -> dict[str, Any]:
    """The whole load in batches, `runs` times from the opening; the median counts.

    A time counts only where the venue's state is then that of the exchange on which the load was made, to the last fen
    and order. `progress` is told runs done, of all. Raises `EmexError` where it is not.
    """
    batches = [load.commands[at : at + BATCH] for at in range(0, len(load.commands), BATCH)]
    seconds, events, standing = [], 0, 0
    for run in range(runs):
        if progress is not None:
            progress(run, runs)
        venue = load.open()
        before = venue.event_seq
        with _uncollected():
            began = time.perf_counter_ns()
            for batch in batches:
                venue.apply(batch)
            seconds.append((time.perf_counter_ns() - began) / 1e9)
        events, standing = venue.event_seq - before, len(venue.living())
        if state_digest(venue.canonical_state()) != load.digest:
            raise EmexError("rush: the venue's state differs from that on which the load was made, expected the same")
        venue.check()
    median, messages, made, tally = statistics.median(seconds), len(load.commands), load.behaviour, load.tally
    return {
        "name": "throughput",
        **_origin(load),
        "batch": BATCH,
        "seconds": round(median, 3),
        "ns_per_message": round(median / messages * 1e9, 2),
        "runs": [round(one / messages * 1e9, 2) for one in seconds],
        "messages_per_second": round(messages / median),
        "events_per_second": round(events / median),
        "events": events,
        "sent": tally.sent(),
        "refused": tally.refused(),
        **tally.shares(),
        "trades": tally.trades,
        "listed_t": tally.listed_t,
        "block_t": tally.block_t,
        "traded_t": tally.listed_t + tally.block_t,
        "value_cny": tally.value_fen // 100,
        "standing_most": load.standing_most,
        "living_at_end": standing,
        "season_sent": made.tally.sent() | {"expired": made.standing},
        **{f"season_{name}": value for name, value in made.tally.shares().items()},
        "conserved": True,
        "digest": load.digest,
    }


def _origin(load: Load) -> dict[str, Any]:
    """What a row's load is; `is_a`: what it may be called."""
    return {
        "is_a": "load, no forecast",
        "rulebook": load.book.path.stem,
        "rulebook_hash": load.book.rules_hash,
        "season": SEASON,
        "seed": load.behaviour.seed,
        "sampled_days": len(load.behaviour.days),
        "firms": load.firms,
        "models": load.models,
        "repeats": round(load.repeats, 1),
        "messages": len(load.commands),
    }


@contextmanager
def _uncollected() -> Iterator[None]:
    """Without garbage collection."""
    gc.collect()
    gc.disable()
    try:
        yield
    finally:
        gc.enable()


class Applies(Protocol):
    """What the open loop needs of a venue."""

    def apply(self, commands: np.ndarray) -> np.ndarray:
        """Carry out COMMAND rows."""

    def check(self) -> None:
        """Assert every invariant."""


def open_loop(
    load: Load,
    rate: int,
    *,
    seconds: float = _SECONDS,
    cap: int = CAP,
    seed: int = 1,
    folder: Path | None = None,
    venue: Applies | None = None,
) -> dict[str, Any]:
    """The load offered at `rate` messages a second, a Poisson stream drawn beforehand, whoever may wait.

    A delay is the time from a message's arrival to the return of the call that answered it: what waits behind a stall
    counts as long as it waits (no coordinated omission). Of a saturated rate delays only say how long it was offered.

    Parameters
    ----------
    seconds : that messages arrive, at most; a shorter load ends earlier
    cap : most messages that are handed over in one call
    folder : for the percentile file `rush-RATE.hgrm`; None: none is written
    venue : instead of one after the load's opening
    """
    venue = load.open() if venue is None else venue
    warm = min(_WARM, len(load.commands) // 10)
    for at in range(0, warm, cap):
        venue.apply(load.commands[at : min(at + cap, warm)])
    count = min(len(load.commands) - warm, round(rate * seconds))
    arrivals_ns = np.cumsum(stream(seed, f"arrivals {rate}").exponential(1e9 / rate, count)).astype(np.int64)
    ends, answered_ns = serve(venue, load.commands[warm : warm + count], arrivals_ns, cap)
    venue.check()
    delays_ns = np.sort(np.repeat(answered_ns, np.diff(ends, prepend=0)) - arrivals_ns)
    waiting = count - int(ends[: np.searchsorted(answered_ns, arrivals_ns[-1], "right")].max(initial=0))
    name = f"rush-{rate}.hgrm"
    if folder is not None:
        folder.mkdir(parents=True, exist_ok=True)
        write_percentiles(folder / name, delays_ns)
    return {
        "name": f"open loop {rate}",
        **_origin(load),
        "messages": count,
        "warmed_by": warm,
        "cap": cap,
        "offered_per_second": rate,
        "answered_per_second": round(count / answered_ns[-1] * 1e9),
        "waiting_at_last_arrival": waiting,
        "saturated": waiting > max(2 * cap, _SATURATED * count),
        **{key: _quantile(delays_ns, share) / 1000 for key, share in _QUANTILES.items()},
        "max_us": int(delays_ns[-1]) / 1000,
        "mean_us": round(float(delays_ns.mean()) / 1000, 3),
        "calls": len(ends),
        "mean_batch": round(count / len(ends), 2),
        "histogram": None if folder is None else name,
    }


def _quantile(ascending: np.ndarray, share: float) -> int:
    """The smallest value that `share` of all do not exceed."""
    return int(ascending[max(math.ceil(share * len(ascending)), 1) - 1])


def _levels() -> Iterator[float]:
    """Shares above the lines of a percentile file, from 1 down, without end."""
    for halving in itertools.count():
        for tick in range(_TICKS):
            yield (2 * _TICKS - tick) / (2 * _TICKS * 2**halving)


def write_percentiles(path: Path, delays_ns: np.ndarray) -> None:
    """Delays, ascending, as HdrHistogram prints its percentiles (`.hgrm`), in µs; exact values, in no buckets."""
    count = len(delays_ns)
    lines = [f"{'Value':>12} {'Percentile':>14} {'TotalCount':>10} {'1/(1-Percentile)':>14}", ""]
    for above in _levels():
        value = _quantile(delays_ns, 1 - above)
        within = int(np.searchsorted(delays_ns, value, "right"))
        lines.append(f"{value / 1000:12.3f} {1 - above:2.12f} {within:10d} {1 / above:14.2f}")
        if within == count:
            break
    mean, deviation, most = (number / 1000 for number in (delays_ns.mean(), delays_ns.std(), int(delays_ns[-1])))
    lines += [
        f"{most:12.3f} {1:2.12f} {count:10d}",
        f"#[Mean    = {mean:12.3f}, StdDeviation   = {deviation:12.3f}]",
        f"#[Max     = {most:12.3f}, Total count    = {count:12d}]",
    ]
    path.write_text("\n".join(lines) + "\n", encoding="ascii")


def measure(
    progress: Progress,
    *,
    messages: int = 10_000_000,
    firms: int = 10_000,
    rates: Sequence[int] = RATES,
    folder: Path | None = None,
    seed: int = 1,
) -> list[dict[str, Any]]:
    """Throughput, then the open loop at each rate up to the first that saturates; on the core of the caller.

    `progress` is told messages, made or applied. Percentile files go into `folder` (None: nowhere).
    """
    offered = [min(messages, round(rate * _SECONDS)) for rate in rates]
    done, total = messages * (1 + _RUNS), messages * (1 + _RUNS) + sum(offered)
    load = make_load(sample_behaviour(seed), firms, messages, seed, lambda made, _: progress(made, total))
    rows = [throughput(load, _RUNS, lambda run, _: progress(messages * (1 + run), total))]
    for rate, count in zip(rates, offered, strict=True):
        progress(done, total)
        rows.append(open_loop(load, rate, folder=folder))
        if rows[-1]["saturated"]:
            break
        done += count
    progress(total, total)
    return rows
