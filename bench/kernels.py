"""Every way of trading in one table, ns a message, so that no rule costs an order of magnitude by accident.

    Script      yields the commands of a scenario in steps; a step that counts is timed, any other prepares
    SCENARIOS   name, rulebook and script of each; a new one is a line there, and perhaps a script
    measure     rehearses each scenario, then times it, and returns a row for each

The rehearsal looks at every event: preparation is accepted in full, what counts is accepted (or refused for the reason
the scenario is about) in at least 95 % and has the consequences it is meant to have, and the books balance after it.
Only then a time counts. Each pass starts from the tables as they were before the first step that counts, with the room
that the rehearsal has needed, and must give as many events; a run is as many passes as take 50 ms. A call takes up to
10,000 commands. The caller chooses the core. Nothing is printed or written.
"""

import datetime as dt
import gc
import math
import statistics
import time
from collections.abc import Callable, Collection, Generator
from functools import partial
from itertools import groupby
from typing import Any, NamedTuple

import numpy as np

from bench.core import BATCH
from bench.flows import FIRST_ACCOUNT, FUNDED, opened
from engine.codes import (
    CommandKind,
    EventKind,
    Lots,
    OrdType,
    Participant,
    Phase,
    RejectReason,
    Rule,
    Side,
    Stage,
    TimeInForce,
)
from engine.errors import EmexError
from engine.exchange import Exchange
from engine.memory import grown, placed
from engine.records import empty_commands
from engine.rules.compiler import CompiledRules, compile_rulebook, date_number
from engine.rules.schema import find_rulebook

ACCOUNTS = 1000
"""Traders, all of them covered firms with more cash and units than they can use."""
HOUSE = FIRST_ACCOUNT + ACCOUNTS
"""One more like them: sells by auction, cancels everything."""
PENNILESS = HOUSE + 1
"""Opened by the scenario that needs it; has nothing."""
_HALF = ACCOUNTS // 2
_DAY = dt.date(2026, 1, 5)
_LEAST_SHARE = 0.95
_LEAST_RUN_NS = 50_000_000
_ROUND = 500
"""Messages of a mix between two looks at who still lives."""
_REACH, _DRIFT = 150, 40
"""Ticks: the farthest order from the middle of a mix, and the farthest way of that middle; no band is as narrow."""


class Step(NamedTuple):
    """Commands that are applied together."""

    rows: np.ndarray
    """COMMAND rows."""
    counts: int = 0
    """Messages by which the time is divided; 0: not timed."""


Script = Generator[Step, np.ndarray, None]
"""Yields steps and is told the events of each."""


class Floor:
    """An exchange in the phase of a scenario, and what a script asks about it.

    Parameters
    ----------
    size, messages, instrument : as of `Scenario`
    """

    def __init__(self, rules: CompiledRules, size: int, messages: int, instrument: int, phase: Phase) -> None:
        self.exchange = opened(rules, ACCOUNTS + 1)
        self.size, self.messages, self.instrument, self.phase = size, messages, instrument, phase
        self.rng = np.random.default_rng(1)
        self._day = _DAY
        self.exchange.submit(self.rows(CommandKind.DAY_ROLL, 1, date=date_number(_DAY)))
        self.exchange.submit(self.rows(CommandKind.PHASE, 1, phase=phase))
        self.tick_fen = self.rule(Rule.TICK_FEN)

    @property
    def next_id(self) -> int:
        """Number of the next command, and of the order that it enters."""
        return self.exchange.command_seq + 1

    @property
    def middle_fen(self) -> int:
        """Previous close on the tick: the middle of the day's limits."""
        return self.exchange.day(self.instrument)[1] // self.tick_fen * self.tick_fen

    def rule(self, rule: Rule) -> int:
        """A rule in force."""
        return int(self.exchange._rules[self.instrument, rule])

    def next_day(self) -> int:
        """The day after the last one that was asked for, yyyymmdd."""
        self._day += dt.timedelta(days=1)
        return date_number(self._day)

    def rows(self, kind: CommandKind, count: int, **columns: Any) -> np.ndarray:
        """So many commands of a kind about the scenario's instrument."""
        rows = empty_commands(count)
        rows["kind"], rows["instrument"] = kind, self.instrument
        for name, values in columns.items():
            rows[name] = values
        return rows

    def orders(self, side: Any, price_fen: Any, qty: Any) -> np.ndarray:
        """NEW limit orders for the day, beginning at `next_id`; whose they are follows from their ids."""
        account = trader(self.next_id + np.arange(len(price_fen)))
        return self.rows(
            CommandKind.NEW, len(price_fen), account=account, side=side, ord_type=OrdType.LIMIT, tif=TimeInForce.DAY,
            price_fen=price_fen, qty=qty,
        )  # fmt: skip

    def resting(self, count: int) -> np.ndarray:
        """NEW orders of both sides that meet nobody, most of them near the middle."""
        side = self.rng.integers(Side.BUY, Side.SELL + 1, count)
        return self.orders(side, self.price(side, self.distance(count)), self.quantity(count))

    def price(self, side: np.ndarray, away: np.ndarray) -> np.ndarray:
        """Prices so many ticks away from the middle, fen; negative: beyond it, where the other side is."""
        return self.middle_fen + self.tick_fen * away * np.where(side == Side.BUY, -1, 1)

    def distance(self, count: int) -> np.ndarray:
        """Ticks from 1 to `_REACH`, by a power law."""
        away = (self.rng.pareto(1.2, count) * 3).astype(np.int64)
        return 1 + np.where(away < _REACH, away, self.rng.integers(0, _REACH, count))

    def quantity(self, count: int) -> np.ndarray:
        """Tonnes, 20 at the median."""
        return np.clip(self.rng.lognormal(3.0, 1.0, count), 1, 1000).astype(np.int64)


class Scenario(NamedTuple):
    """One row of the table."""

    name: str
    rulebook: str
    script: Callable[[Floor], Script]
    note: str
    """What a message is; of one that costs ten times the continuous one also why."""
    size: int = 5000
    """Orders that wait, or bids of an auction."""
    messages: int = 100_000
    """Of a pass, about, where the script has a choice."""
    sees: tuple[tuple[EventKind, float], ...] = ()
    """Events that come of every message at least, on average."""
    refused: RejectReason = RejectReason.NONE
    """Why (nearly) all that counts is refused; NONE: (nearly) all is accepted."""
    instrument: int = 0
    phase: Phase = Phase.AFTERNOON


def measure(
    progress: Callable[[int, int], None], *, runs: int = 5, only: Collection[str] | None = None
) -> list[dict[str, Any]]:
    """Every scenario, or those named and the continuous one, with which all are compared.

    Parameters
    ----------
    progress : told (done, total) before each scenario
    only : names of `SCENARIOS`

    Returns
    -------
    list
        Rows of name, rulebook, rulebook_hash, size, messages (of a run), ns_per_message (median), runs,
        events_per_message, accepted_share, ratio_to_continuous, note. Raises `EmexError` on an unknown name, or where
        a scenario is not what it is meant to be.
    """
    if unknown := set(only or ()) - {scenario.name for scenario in SCENARIOS}:
        known = ", ".join(scenario.name for scenario in SCENARIOS)
        raise EmexError(f"kernels: only: got {', '.join(sorted(unknown))}, expected some of {known}")
    wanted = [scenario for scenario in SCENARIOS if only is None or scenario.name in only or scenario is SCENARIOS[0]]
    rows: list[dict[str, Any]] = []
    for number, scenario in enumerate(wanted):
        progress(number, len(wanted))
        row = measure_one(scenario, runs=runs)
        yardstick = (rows or [row])[0]["ns_per_message"]
        rows.append(row | {"ratio_to_continuous": round(row["ns_per_message"] / yardstick, 2), "note": scenario.note})
    return rows


def measure_one(scenario: Scenario, *, runs: int = 5, least_run_ns: int = _LEAST_RUN_NS) -> dict[str, Any]:
    """The row of one scenario, without comparison and note. Raises `EmexError` where it is not what it should be."""
    book = find_rulebook(scenario.rulebook)
    exchange, tables, steps, told = _rehearse(scenario, compile_rulebook(book))
    stretches = _stretches(steps)
    last_event = exchange.event_seq
    gc.collect()
    gc.disable()
    try:
        passes = max(1, math.ceil(least_run_ns / _time_of_pass(exchange, tables, stretches)))
        found = []
        for _ in range(runs):
            took = 0
            for _ in range(passes):
                took += _time_of_pass(exchange, tables, stretches)
                if exchange.event_seq != last_event:
                    expected = f"{last_event} as in the rehearsal"
                    raise EmexError(f"{scenario.name}: events: got {exchange.event_seq}, expected {expected}")
            found.append(took / (passes * told["messages"]))
    finally:
        gc.enable()
    return {
        "name": scenario.name, "rulebook": book.name, "rulebook_hash": book.rules_hash, "size": scenario.size,
        "messages": passes * told["messages"], "ns_per_message": round(statistics.median(found), 2),
        "runs": [round(ns, 2) for ns in found], "events_per_message": round(told["events"] / told["messages"], 3),
        "accepted_share": round(told["accepted"], 4),
    }  # fmt: skip


def _rehearse(
    scenario: Scenario, rules: CompiledRules
) -> tuple[Exchange, dict[str, np.ndarray], list[Step], dict[str, Any]]:
    """Go through the scenario once and look at what comes of it.

    Returns
    -------
    tuple
        The exchange, its tables as they were before the first step that counts (with the room they have now), the steps
        from there on, and messages, events and accepted share of what counts.
    """
    floor = Floor(rules, scenario.size, scenario.messages, scenario.instrument, scenario.phase)
    exchange, script = floor.exchange, scenario.script(floor)
    tables: dict[str, np.ndarray] = {}
    steps: list[Step] = []
    counted: list[np.ndarray] = []
    step: Step | None = next(script)
    while step is not None:
        if step.counts and not tables:
            tables = exchange.save()
        events = np.concatenate([exchange.submit(batch) for batch in _batches(step.rows)])
        if tables:
            steps.append(step)
        if step.counts:
            counted.append(events)
        elif (events["kind"] == EventKind.REJECTED).any():
            reason = _usual_reason(events)
            raise EmexError(f"{scenario.name}: preparation: got {reason} for an answer, expected no refusal")
        try:
            step = script.send(events)
        except StopIteration:
            step = None
    if not counted:
        raise EmexError(f"{scenario.name}: messages: got none that counts, expected at least one")
    told = _judge(scenario, steps, np.concatenate(counted))
    exchange.check()
    for name in ("orders", "terms", "ids"):
        room = len(getattr(exchange, f"_{name}"))
        if room > len(tables[name]):
            tables[name] = grown(tables[name], room)
    return exchange, tables, steps, told


def _judge(scenario: Scenario, steps: list[Step], events: np.ndarray) -> dict[str, Any]:
    """Messages, events and accepted share of what counts. Raises `EmexError` when these are not the scenario's."""
    messages = sum(step.counts for step in steps)
    commands = sum(len(step.rows) for step in steps if step.counts)
    kinds = np.bincount(events["kind"], minlength=max(EventKind) + 1)
    accepted = 1 - kinds[EventKind.REJECTED] / commands
    key, share, wanted = "accepted share", accepted, ""
    if scenario.refused != RejectReason.NONE:
        key, wanted = "share refused", f" as {scenario.refused.name}"
        share = (events["reason"] == scenario.refused).sum() / commands
    if share < _LEAST_SHARE:
        usual = f" ({_usual_reason(events)} most often)" if kinds[EventKind.REJECTED] else ""
        raise EmexError(f"{scenario.name}: {key}: got {share:.3f}{usual}, expected at least {_LEAST_SHARE}{wanted}")
    for kind, least in scenario.sees:
        if kinds[kind] < least * messages:
            got = kinds[kind] / messages
            raise EmexError(f"{scenario.name}: {kind.name} a message: got {got:.3f}, expected at least {least}")
    return {"messages": messages, "events": len(events), "accepted": float(accepted)}


def _usual_reason(events: np.ndarray) -> str:
    """Name of the reason that is given most often."""
    reasons = events["reason"][events["kind"] == EventKind.REJECTED]
    return RejectReason(int(np.bincount(reasons).argmax())).name


def _stretches(steps: list[Step]) -> list[tuple[bool, list[np.ndarray]]]:
    """What is timed without a break, and what lies between, in batches: (is timed, batches)."""
    found = []
    for counts, group in groupby(steps, key=lambda step: step.counts > 0):
        rows = np.concatenate([step.rows for step in group])
        found.append((counts, _batches(rows)))
    return found


def _batches(rows: np.ndarray) -> list[np.ndarray]:
    """The commands of each call."""
    return [rows[at : at + BATCH] for at in range(0, len(rows), BATCH)]


def _time_of_pass(
    exchange: Exchange, tables: dict[str, np.ndarray], stretches: list[tuple[bool, list[np.ndarray]]]
) -> int:
    """Nanoseconds of what counts, beginning with these tables; buffer of events and compiled loops stay."""
    for name, table in tables.items():
        setattr(exchange, f"_{name}", placed(table))
    exchange._describe()
    took, clock, apply = 0, time.perf_counter_ns, exchange.apply
    for counts, batches in stretches:
        began = clock()
        for batch in batches:
            apply(batch)
        if counts:
            took += clock() - began
    return took


def trader(number: Any) -> Any:
    """The account of an order with that id, or any account by a number."""
    return FIRST_ACCOUNT + number % ACCOUNTS


# ------------------------------------------------------------------------------------------- orders on a screen


def _mix(floor: Floor, *, taking: float) -> Script:
    """NEW and CANCEL around `size` waiting orders, in the proportions of `bench.flows`.

    `taking` is the share of new orders that mean to trade. Cancels name orders that live when their round begins; a few
    of these trade first. Without takers nothing trades: so is a listed market, where nothing crosses by itself.
    """
    rng, living = floor.rng, np.zeros(0, np.int64)
    while len(living) < floor.size:
        events = yield Step(floor.resting(min(BATCH, floor.size - len(living))))
        living = _living_after(living, events)
    middle, left = 0.0, floor.messages
    while left > 0:
        count = min(_ROUND, max(4, floor.size // 10), left)
        middle = float(np.clip(middle + rng.normal(0, 0.05 * count**0.5), -_DRIFT, _DRIFT)) if taking else 0.0
        tilt = np.clip(0.5 * (1 - len(living) / floor.size), -0.1, 0.1)
        drawn = rng.random(count)
        takes = drawn < taking
        side = rng.integers(Side.BUY, Side.SELL + 1, count)
        beyond = -2 - np.minimum(rng.exponential(1.4, count), 10).astype(np.int64)
        price = floor.price(side, np.where(takes, beyond, floor.distance(count))) + floor.tick_fen * round(middle)
        rows = floor.orders(side, price, floor.quantity(count))
        cancels = np.flatnonzero(drawn > 0.5 + 0.8 * taking + tilt)[: len(living)]
        targets = rng.choice(living, len(cancels), replace=False)
        rows[cancels] = floor.rows(CommandKind.CANCEL, len(cancels), account=trader(targets), target_id=targets)
        events = yield Step(rows, count)
        living = _living_after(living, events)
        left -= count


def _living_after(living: np.ndarray, events: np.ndarray) -> np.ndarray:
    """Ids of living orders after these events."""
    kind = events["kind"]
    trades = events[kind == EventKind.TRADE]
    gone = np.concatenate([
        events["order_id"][kind == EventKind.CANCELED],
        trades["order_id"][trades["leaves_qty"] == 0], trades["contra_id"][trades["contra_leaves_qty"] == 0],
    ])  # fmt: skip
    born = events["order_id"][kind == EventKind.ACCEPTED]
    return np.setdiff1d(np.concatenate([living, born]), gone)


def _takers(floor: Floor, *, asks: Callable[[Floor, np.ndarray, np.ndarray], np.ndarray]) -> Script:
    """`size` offers of 10 t at five prices, then takers (who count) until hardly any is left; and again.

    `asks` makes the takers' commands from ids and prices (fen) of the offers. Nobody offers and takes.
    """
    left = floor.messages
    while left > 0:
        ids = floor.next_id + np.arange(floor.size)
        prices = floor.middle_fen + floor.tick_fen * (ids % 5)
        offers = floor.orders(Side.SELL, prices, 10)
        offers["account"] = FIRST_ACCOUNT + ids % _HALF
        yield Step(offers)
        takers = asks(floor, ids, prices)[:left]
        takers["account"] = FIRST_ACCOUNT + _HALF + np.arange(len(takers)) % _HALF
        yield Step(takers, len(takers))
        left -= len(takers)


def _any_listing(floor: Floor, ids: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Clicks of 2 t on listings wherever they stand in their queues."""
    return _clicks(floor, ids, prices, floor.rng.permutation(np.repeat(np.arange(len(ids)), 5)))


def _oldest_listing(floor: Floor, ids: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Clicks of 2 t, each on the oldest listing at the best price."""
    return _clicks(floor, ids, prices, np.repeat(np.lexsort((ids, prices)), 5))


def _clicks(floor: Floor, ids: np.ndarray, prices: np.ndarray, at: np.ndarray) -> np.ndarray:
    return floor.rows(CommandKind.CLICK, len(at), side=Side.BUY, target_id=ids[at], price_fen=prices[at], qty=2)


def _sweeps(floor: Floor, ids: np.ndarray, prices: np.ndarray) -> np.ndarray:
    """Clicks of 12 t that name no listing."""
    count = 10 * len(ids) // 12
    return floor.rows(CommandKind.CLICK, count, side=Side.BUY, price_fen=prices.max(), qty=12)


def _orders_of_type(
    floor: Floor, ids: np.ndarray, prices: np.ndarray, *, ord_type: OrdType, tif: TimeInForce
) -> np.ndarray:
    """Orders of 12 t that take at once."""
    rows = floor.orders(Side.BUY, np.full(10 * len(ids) // 12, prices.max()), 12)
    rows["ord_type"], rows["tif"] = ord_type, tif
    if ord_type == OrdType.MARKET:
        rows["price_fen"] = -1
    return rows


def _halting(floor: Floor) -> Script:
    """Pairs of orders that trade five per cent away from the last trade; each pair waits until the halt is over."""
    pairs = floor.messages // 2
    high = floor.middle_fen * 105 // 100 // floor.tick_fen * floor.tick_fen
    low = high * 95 // 100 // floor.tick_fen * floor.tick_fen
    pair = np.arange(2 * pairs) // 2
    rows = floor.orders(np.tile([Side.SELL, Side.BUY], pairs), np.where(pair % 2 == 0, high, low), 10)
    rows["time_ns"] = pair * (floor.rule(Rule.HALT_SECONDS) + 1) * 10**9
    yield Step(rows, len(rows))


def _replacing(floor: Floor, *, in_place: bool) -> Script:
    """Every waiting order in turn, again and again: a tonne less at its price; or a tonne more at another price."""
    first, qty = floor.next_id, floor.messages // floor.size + 2
    rows = floor.resting(floor.size)
    rows["qty"] = qty
    yield Step(rows)
    side = rows["side"]
    for turn in range(1, floor.messages // floor.size + 1):
        at = floor.rng.permutation(floor.size)
        ids = first + at
        replaced = floor.rows(CommandKind.REPLACE, floor.size, account=trader(ids), target_id=ids)
        if in_place:
            replaced["qty"] = qty - turn
        else:
            replaced["qty"], replaced["price_fen"] = qty + turn, floor.price(side[at], floor.distance(floor.size))
        yield Step(replaced, floor.size)


def _mass_cancel(floor: Floor, *, earlier: int) -> Script:
    """`size` orders of the house among ten times as many of others, after `earlier` ids for each of the house's."""
    for _ in range(floor.size * earlier // BATCH):
        first, rows = floor.next_id, floor.resting(BATCH)
        ids = first + np.arange(0, BATCH, 2)
        rows[1::2] = floor.rows(CommandKind.CANCEL, BATCH // 2, account=trader(ids), target_id=ids)
        yield Step(rows)
    rows = floor.resting(11 * floor.size)
    rows["account"][::11] = HOUSE
    yield Step(rows)
    yield Step(floor.rows(CommandKind.MASS_CANCEL, 1, account=HOUSE), floor.size)


def _day_roll(floor: Floor) -> Script:
    """`size` orders of the day, and its end."""
    yield Step(floor.resting(floor.size))
    yield Step(floor.rows(CommandKind.DAY_ROLL, 1, date=floor.next_day()), floor.size)


def _penniless(floor: Floor) -> Script:
    """Buy orders of somebody who has no cash."""
    yield Step(floor.rows(CommandKind.OPEN_ACCOUNT, 1, account=PENNILESS, flags=Participant.COVERED))
    rows = floor.orders(Side.BUY, np.full(floor.messages, floor.middle_fen), 10)
    rows["account"] = PENNILESS
    yield Step(rows, len(rows))


def _too_dear(floor: Floor) -> Script:
    """Buy orders above the day's limit."""
    highest = floor.exchange.day(floor.instrument)[3]
    rows = floor.orders(Side.BUY, np.full(floor.messages, highest + floor.tick_fen), 10)
    yield Step(rows, len(rows))


# ------------------------------------------------------------------------------------- calls, auctions, agreements


def _call(floor: Floor, *, counts: CommandKind) -> Script:
    """Calls of `size` orders, a tenth of them cancelled, one a day: gathering counts, or the PHASE that ends it."""
    tens = max(1, floor.size // 10)
    left = floor.messages
    while left > 0:
        yield Step(floor.rows(CommandKind.PHASE, 1, phase=Phase.CALL))
        gathered = _gathering(floor, tens)
        yield Step(gathered, len(gathered) if counts == CommandKind.NEW else 0)
        end = floor.rows(CommandKind.PHASE, 1, phase=floor.phase)
        yield Step(end, 9 * tens if counts == CommandKind.PHASE else 0)
        yield Step(floor.rows(CommandKind.DAY_ROLL, 1, date=floor.next_day()))
        left -= len(gathered)


def _gathering(floor: Floor, tens: int) -> np.ndarray:
    """Ten orders, of which half could trade with each other, then a cancel of one of them; so often."""
    count, first = 11 * tens, floor.next_id
    side = floor.rng.integers(Side.BUY, Side.SELL + 1, count)
    away = np.clip(np.rint(floor.rng.normal(0, 20, count)), -_REACH, _REACH).astype(np.int64)
    rows = floor.orders(side, floor.middle_fen + floor.tick_fen * away, floor.quantity(count))
    ids = first + 11 * np.arange(tens) + floor.rng.integers(0, 10, tens)
    rows[10::11] = floor.rows(CommandKind.CANCEL, tens, account=trader(ids), target_id=ids)
    return rows


def _announcing(floor: Floor) -> Script:
    """Auctions of 10 t in which nobody bids."""
    rows = floor.rows(
        CommandKind.ANNOUNCE, floor.size, account=HOUSE, side=Side.SELL, qty=10, price_fen=floor.middle_fen
    )
    yield Step(rows, len(rows))


def _auction(floor: Floor, *, counts: CommandKind) -> Script:
    """The house sells to `size` bidders, half of whom get nothing, in every stage the rulebook has; one kind counts."""
    stages, price, size = floor.rule(Rule.AUCTION_STAGES), floor.middle_fen, floor.size
    auction, bidder = floor.next_id, trader(np.arange(size))

    def step(kind: CommandKind, count: int, counted: int, **columns: Any) -> Step:
        return Step(floor.rows(kind, count, target_id=auction, **columns), counted if kind == counts else 0)

    offered = 500 * size
    yield Step(floor.rows(CommandKind.ANNOUNCE, 1, account=HOUSE, side=Side.SELL, qty=offered, price_fen=price))
    if stages >> Stage.APPLICATION & 1:
        yield step(CommandKind.APPLY, size, size, account=bidder, qty=1000)
        yield Step(floor.rows(CommandKind.END_STAGE, 1, target_id=auction))
    qty = offered if floor.rule(Rule.AUCTION_LOTS) == Lots.WHOLE else 1000
    bids = price + floor.tick_fen * floor.rng.integers(0, 100, size)
    yield step(CommandKind.BID, size, size, account=bidder, qty=qty, price_fen=bids)
    if stages >> Stage.TIMED & 1:
        yield Step(floor.rows(CommandKind.END_STAGE, 1, target_id=auction))
    yield step(CommandKind.END_STAGE, 1, size)


def _proposals(floor: Floor, pair: np.ndarray) -> np.ndarray:
    """Blocks of the smallest size at the middle price, each between two traders."""
    return floor.rows(
        CommandKind.PROPOSE, len(pair), account=trader(pair), contra=trader(pair + 1), side=Side.SELL,
        qty=floor.rule(Rule.BLOCK_MIN_QTY_T), price_fen=floor.middle_fen,
    )  # fmt: skip


def _blocks(floor: Floor, *, answer: CommandKind) -> Script:
    """Proposals, each answered by its counterparty."""
    first, pair = floor.next_id, np.arange(floor.messages // 2)
    rows = np.repeat(_proposals(floor, pair), 2)
    rows[1::2] = floor.rows(answer, len(pair), account=trader(pair + 1), target_id=first + 2 * pair)
    yield Step(rows, len(rows))


def _delivery(floor: Floor) -> Script:
    """The end of a day on which blocks were agreed that its close must prove."""
    for step in _blocks(floor, answer=CommandKind.CONFIRM):
        yield step._replace(counts=0)
    yield Step(floor.rows(CommandKind.DAY_ROLL, 1, date=floor.next_day()), floor.messages // 2)


def _offers(floor: Floor) -> Script:
    """Fixed-price offers of 10 t, each taken by two, 5 t each."""
    count, first = floor.messages // 3, floor.next_id
    number = np.arange(count)
    rows = floor.rows(CommandKind.TAKE, 3 * count, qty=5, target_id=np.repeat(first + 3 * number, 3))
    rows[::3] = floor.rows(
        CommandKind.OFFER, count, account=trader(number), side=Side.SELL, qty=10, price_fen=floor.middle_fen
    )
    rows["account"][1::3], rows["account"][2::3] = trader(number + 1), trader(number + 2)
    yield Step(rows, len(rows))


def _by_turns(floor: Floor) -> Script:
    """An order on the screen, a proposal of a block, an order on the screen, and so on."""
    rows = floor.resting(floor.messages)
    rows[1::2] = _proposals(floor, np.arange(floor.messages // 2))
    yield Step(rows, len(rows))


# ------------------------------------------------------------------------------------------------------ the table

_crossing = partial(Scenario, script=partial(_mix, taking=0.1), sees=((EventKind.TRADE, 0.05),))
_listing = partial(Scenario, script=partial(_mix, taking=0.0), sees=((EventKind.CANCELED, 0.4),))
_TRADES = ((EventKind.TRADE, 1.0),)
_HALF_TRADE = ((EventKind.TRADE, 0.5),)
_GATHERED = (
    "A NEW or CANCEL while a call of {} orders gathers. After each, what would trade now is published: twice a "
    "walk over the orders between best ask and best bid, so that the cost of one grows with their number"
)
_UNCROSSED = "An order of the {} that wait when the call ends; one PHASE for all"
_BID = "A BID, of 1,000 to one auction. Each looks at the bids before its place{}"
_SHEA = 3
"""The instrument of the Shanghai rulebook that trades in 2026."""

SCENARIOS = (
    _crossing("continuous", FUNDED, note="The yardstick: a NEW or CANCEL, 5,000 orders waiting", phase=Phase.OPEN),
    _crossing("continuous, Shanghai", "shanghai", instrument=_SHEA,
              note="The same with daily limits; who would meet himself is refused"),
    _crossing("continuous, every rule", "energy-rights", note="The same with ticks, limits, halts, limits on holdings"),
    _crossing("median price", "hubei", note="The same; a trade at the middle one of bid, ask and last"),
    Scenario("market order", "energy-rights",
             partial(_takers, asks=partial(_orders_of_type, ord_type=OrdType.MARKET, tif=TimeInForce.IOC)),
             "A NEW without a price that meets two others, which it looks through first for what it would pay",
             sees=_TRADES),
    Scenario("fill or kill", "energy-rights",
             partial(_takers, asks=partial(_orders_of_type, ord_type=OrdType.LIMIT, tif=TimeInForce.FOK)),
             "A NEW that meets two others, which it looks through first for whether they suffice",
             sees=_TRADES),
    Scenario("halt", "energy-rights", _halting, "A NEW; every second one trades and halts the instrument",
             sees=((EventKind.TRADE, 0.5), (EventKind.INSTRUMENT_HALTED, 0.5))),
    Scenario("replace, keeps its place", "shanghai", partial(_replacing, in_place=True),
             "A REPLACE of one of 5,000 orders: a tonne less", sees=((EventKind.REPLACED, 1.0),), instrument=_SHEA),
    Scenario("replace, loses its place", "shanghai", partial(_replacing, in_place=False),
             "A REPLACE of one of 5,000 orders: another price and a tonne more", sees=((EventKind.REPLACED, 1.0),),
             instrument=_SHEA),
    _listing("listing", "cn-cea", note="A NEW or CANCEL of a listing around 5,000 others"),
    Scenario("click on a listing", "cn-cea", partial(_takers, asks=_any_listing),
             "A CLICK that names any of 5,000 listings within the best five prices", sees=_TRADES),
    Scenario("click, sweep", "cn-cea", partial(_takers, asks=_sweeps), "A CLICK that takes two listings",
             sees=_TRADES),
    _listing("listing, best only", "guangdong",
             note="A NEW or CANCEL of a listing around 5,000 others; one that would cross is refused"),
    Scenario("click on the oldest", "guangdong", partial(_takers, asks=_oldest_listing),
             "A CLICK that names the oldest listing at the best price", sees=_TRADES),
    Scenario("click, sweep of the best", "guangdong", partial(_takers, asks=_sweeps),
             "A CLICK that takes two listings at the best price", sees=_TRADES),
    *(Scenario(f"call of {size:,}, gathering", "energy-rights", partial(_call, counts=CommandKind.NEW),
               _GATHERED.format(f"{size:,}"), size=size, messages=5000, sees=((EventKind.INDICATIVE, 1.0),))
      for size in (100, 1000, 10_000)),
    *(Scenario(f"call of {size:,}, end", "energy-rights", partial(_call, counts=CommandKind.PHASE),
               _UNCROSSED.format(f"{size * 9 // 10:,}"), size=size, messages=5000, sees=((EventKind.TRADE, 0.25),))
      for size in (100, 1000, 10_000)),
    Scenario("auction, announced", "cn-cea", _announcing, "An ANNOUNCE", size=10_000,
             sees=((EventKind.ANNOUNCED, 1.0),)),
    Scenario("bid, pay as bid", "cn-cea", partial(_auction, counts=CommandKind.BID),
             _BID.format(", and at all of them for what its bidder has bid already"), size=1000),
    Scenario("bid, uniform price", "guangdong", partial(_auction, counts=CommandKind.BID),
             _BID.format(", and at all of them for what its bidder has bid already"), size=1000),
    Scenario("bid, whole lot", "beijing", partial(_auction, counts=CommandKind.BID),
             _BID.format(", and twice at all of them for an own bid that it replaces"), size=1000),
    Scenario("application", "fujian", partial(_auction, counts=CommandKind.APPLY),
             "An APPLY, of 1,000 to one auction. Each looks at all applications before it, twice", size=1000,
             sees=((EventKind.APPLIED, 1.0),)),
    Scenario("bid after application", "fujian", partial(_auction, counts=CommandKind.BID),
             _BID.format(", at all bids for what its bidder has bid, at all applications for what he may"), size=1000),
    *(Scenario(f"settlement, {kind}", market, partial(_auction, counts=CommandKind.END_STAGE),
               "One of the 1,000 bids that an END_STAGE settles", size=1000, sees=sees)
      for kind, market, sees in (
          ("pay as bid", "cn-cea", _HALF_TRADE), ("uniform price", "guangdong", _HALF_TRADE),
          ("pro rata", "energy-rights", _HALF_TRADE), ("applications", "fujian", _HALF_TRADE),
          ("whole lot", "beijing", ((EventKind.CANCELED, 0.9),)))),
    Scenario("block, confirmed", "cn-cea", partial(_blocks, answer=CommandKind.CONFIRM), "A PROPOSE or its CONFIRM",
             sees=_HALF_TRADE),
    Scenario("block, declined", "cn-cea", partial(_blocks, answer=CommandKind.DECLINE), "A PROPOSE or its DECLINE",
             sees=((EventKind.DECLINED, 0.5),)),
    Scenario("block, held until the close", "shanghai", partial(_blocks, answer=CommandKind.CONFIRM),
             "A PROPOSE or its CONFIRM, which waits for the day's close", messages=20_000,
             sees=_HALF_TRADE, instrument=_SHEA),
    Scenario("block, delivered at the close", "shanghai", _delivery,
             "One of the 10,000 deals that a DAY_ROLL delivers. It looks through the day's ids for each instrument",
             messages=20_000, sees=((EventKind.DELIVERED, 1.0),), instrument=_SHEA),
    Scenario("offer", "hubei", _offers, "An OFFER or one of the two TAKEs that take it", sees=_HALF_TRADE),
    Scenario("screen and blocks by turns", "shanghai", _by_turns,
             "A NEW or a PROPOSE, by turns: two compiled loops, so that each message is a call of its own",
             messages=10_000, instrument=_SHEA),
    Scenario("mass cancel", "shanghai", partial(_mass_cancel, earlier=0),
             "One of the 1,000 orders that a MASS_CANCEL takes out of a book of 11,000. It looks at every id of the "
             "day: 11,000", size=1000, sees=((EventKind.CANCELED, 1.0),), instrument=_SHEA),
    Scenario("mass cancel, late in the day", "shanghai", partial(_mass_cancel, earlier=1000),
             "The same after 1,000,000 other commands: it looks at 1,011,000 ids", size=1000,
             sees=((EventKind.CANCELED, 1.0),), instrument=_SHEA),
    *(Scenario(f"day roll of {size:,}", "cn-cea", _day_roll, "One of the orders that a DAY_ROLL lets expire",
               size=size, sees=((EventKind.EXPIRED, 1.0),)) for size in (10_000, 100_000)),
    Scenario("day roll, many dated rules", "shanghai", _day_roll,
             "One of 10,000 orders. It looks through all dated rules of all instruments for each", size=10_000,
             sees=((EventKind.EXPIRED, 1.0),), instrument=_SHEA),
    Scenario("refused: no funds", "shanghai", _penniless, "A NEW of somebody without cash",
             refused=RejectReason.INSUFFICIENT_CASH, instrument=_SHEA),
    Scenario("refused: price limit", "shanghai", _too_dear, "A NEW above the day's limit",
             refused=RejectReason.PRICE_ABOVE_LIMIT, instrument=_SHEA),
)  # fmt: skip
"""The first one is the yardstick."""
