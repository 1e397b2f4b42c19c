"""A venue under load is killed again and again, and must have lost nothing that anybody was told.

    python -m tests.faults.kills [--kills 300] [--seed 1]

A real `emex serve` is killed from outside at random moments, and kills itself inside commits, snapshots and recoveries
(`victim.py`). Traders and an operator write down every report and every PUBACK they get. After each death the journal
is opened, a replica that has only ever been replayed goes on with it, and the next run is started on it. Then

    the new run          came back to the state of that replica, though by way of a snapshot
    every report         told before the death is in the recovered stream, the same but for `poss_dup`
    every PUBACK         stands for requests that have an outcome
    what had no answer   is sent again with its number, and has one outcome then
    everybody's books    made from the recovered stream, are the venue's: cash, units, open orders

and at the end of each journal's life `emex verify` in another process agrees with a replay here and with a recovery
from a snapshot. The last line is a JSON summary.
"""

import argparse
import asyncio
import datetime as dt
import json
import os
import random
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any

from engine.codes import EventKind, OrdType, Phase, Side, TimeInForce
from engine.exchange import compile_all
from engine.rules.compiler import compile_rulebook
from gateway.desk.replica import Replica
from gateway.errors import ConnectionLostError
from gateway.journal.store import Journal
from gateway.recovery import recover, replay, rulebook_of
from gateway.verify import verify
from gateway.wire import codec
from gateway.wire import messages as m
from gateway.wire.topics import Role
from tests.faults.victim import COMMIT, RECOVERY, SNAPSHOT, Place
from tests.faults.witnesses import AT, Line, Process, Record, copy_journal, digest_of, pages
from tests.gateway.running import write_accounts

TRADERS = "anna", "ben", "carl", "dora"
OPERATOR = "teacher"
LIFE = 12
"""Runs of one journal, and so deaths."""
SNAPSHOT_EVENTS = 400
_OUTSIDE_SECONDS = 1.2
"""From outside a run is killed so long after it listens, at most."""
_PATIENCE_SECONDS = 20
"""A run that has not died where it should by then is killed from outside."""
_AGAIN = 10
"""So many answered requests are sent again at every log-on."""
_IN_FLIGHT = 3


@dataclass(frozen=True)
class Market:
    """How to trade under a rulebook."""

    rules: str
    phase: Phase
    price_fen: int
    spread_fen: int
    first_day: dt.date
    listed: bool = False


MARKETS = (
    Market("generic", Phase.OPEN, 10_000, 25, dt.date(2024, 1, 1)),
    Market("cn-cea", Phase.MORNING, 4800, 40, dt.date(2021, 7, 16), listed=True),
    Market("hubei", Phase.MORNING, 2000, 20, dt.date(2022, 1, 4)),
)
"""A book that crosses, unfunded; listings, funded, T+1; medians, funded, T+1, fees."""


@dataclass
class Tally:
    """What has happened, for the summary."""

    deaths: Counter[Place] = field(default_factory=Counter)
    survived: Counter[Place] = field(default_factory=Counter)
    """Deaths inside a commit after which the commit was there."""
    missed: int = 0
    """Runs that had to be killed from outside."""
    acknowledged: int = 0
    """Requests whose outcome or PUBACK was seen; all of them are looked for again after every death."""
    reports: int = 0
    requests: int = 0
    repeats: int = 0
    """Requests that were sent again."""
    lost: int = 0
    """Reports told, and requests acknowledged, that a recovered venue did not know."""
    doubled: int = 0
    changed: int = 0
    checked: int = 0
    """Log-ons after a death at which a principal's whole stream was compared."""
    reconciled: int = 0
    """Runs after a death in which all books were compared."""
    digests_compared: int = 0
    journals: int = 0
    faults: list[str] = field(default_factory=list)


class Books:
    """An account's own books, from its reports in order."""

    def __init__(self) -> None:
        self.leaves: dict[int, int] = {}
        self.cash_fen = 0
        self.units: Counter[int] = Counter()
        self.fills: set[tuple[int, int]] = set()
        """(exec_id, order_id)"""
        self.faults: list[str] = []

    def take(self, report: tuple[int, ...]) -> None:
        """Book one report."""
        kind, order, qty = report[AT["exec_type"]], report[AT["order_id"]], report[AT["qty"]]
        amount, instrument = report[AT["amount_fen"]], report[AT["instrument"]]
        if kind == EventKind.ACCEPTED:
            self.leaves[order] = qty
        elif kind == EventKind.REPLACED:
            self.leaves[order] = report[AT["leaves_qty"]]
        elif kind in (EventKind.CANCELED, EventKind.EXPIRED):
            if self.leaves.pop(order, None) != report[AT["leaves_qty"]]:
                self.faults.append(f"order {order}: {report[AT['leaves_qty']]} t ended that were not open")
        elif kind == EventKind.TRADE:
            self._fill(report, order, qty)
        elif kind == EventKind.DEPOSITED:
            self.cash_fen += amount
        elif kind == EventKind.ISSUED:
            self.units[instrument] += qty
        elif kind == EventKind.SURRENDERED:
            self.units[instrument] -= qty

    def _fill(self, report: tuple[int, ...], order: int, qty: int) -> None:
        fill = report[AT["exec_id"]], order
        if fill in self.fills:
            self.faults.append(f"fill {fill[0]} of order {order} came twice")
        self.fills.add(fill)
        left = self.leaves.pop(order, 0) - qty
        if left != report[AT["leaves_qty"]]:
            self.faults.append(f"order {order}: {report[AT['leaves_qty']]} t left, expected {left}")
        if left > 0:
            self.leaves[order] = left
        sign = 1 if report[AT["side"]] == Side.BUY else -1
        self.units[report[AT["instrument"]]] += sign * qty
        self.cash_fen -= sign * report[AT["amount_fen"]] + report[AT["fee_fen"]]


class Person:
    """A principal that trades or operates, and writes down what it hears."""

    def __init__(self, name: str, role: Role, market: Market, tally: Tally, rng: random.Random) -> None:
        self.record = Record(name)
        self.requests: dict[int, m.Message] = {}
        self.acknowledged: set[int] = set()
        """Requests whose PUBACK said that they are journaled."""
        self.role = role
        self.market = market
        self.tally = tally
        self.rng = rng
        self.line = Line(self.record, role, f"{name}-main", self._on_report, self._on_refusal)
        self._heard: set[int] = set()
        """Reports that came on this connection."""
        self._again: Counter[int] = Counter()
        """Answers to come to requests that were answered before."""
        self._catching_up = False
        self._in_flight: set[asyncio.Future[int]] = set()

    # ------------------------------------------------------------------------------------------- a connection

    async def enter(self, port: int) -> None:
        """Log on, compare the whole recovered stream with what was told before, send again what has no outcome."""
        told, promised = set(self.record.reports), set(self.acknowledged)
        self._heard.clear()
        self._again.clear()
        self._in_flight.clear()
        self._catching_up = True
        await self.line.open(port)
        count = self.line.session.next_report
        for page in pages(1, count):
            await self.line.ask(page)
        self._catching_up = False
        for number in sorted(told - self._heard):
            self.tally.lost += 1
            self.record.fault(f"report {number} is not in the recovered stream, which ends before {count}")
        for number in sorted(set(range(1, count)) - self._heard):
            self.record.fault(f"the recovered stream has no report {number}")
        for seq in sorted(promised - self.record.outcomes.keys()):
            self.tally.lost += 1
            self.record.fault(f"request {seq} was acknowledged and has no outcome")
        if told:
            self.tally.checked += 1
        await self._send_again()

    async def _send_again(self) -> None:
        """What has no outcome, and a few that have one, with the numbers they had."""
        answered = [seq for seq in list(self.requests)[-200:] if seq in self.record.outcomes][-_AGAIN:]
        open_ = [seq for seq in self.requests if seq not in self.record.outcomes]
        self._again.update(answered)
        self.tally.repeats += len(answered) + len(open_)
        seqs = sorted([*answered, *open_])
        for at in range(0, len(seqs), 100):
            await self._offer(seqs[at : at + 100])
        for seq in open_:
            if seq not in self.record.outcomes:
                self.record.fault(f"request {seq} was sent again and has no outcome")
        for seq, count in self._again.items():
            if count:
                self.record.fault(f"request {seq} was answered, sent again, and its outcome did not come again")

    def _offer(self, seqs: list[int]) -> "asyncio.Future[int]":
        payload = codec.encode([self.requests[seq] for seq in seqs])
        future = self.line.send(payload)
        future.add_done_callback(partial(self._acknowledge, seqs))
        return future

    def _acknowledge(self, seqs: list[int], future: "asyncio.Future[int]") -> None:
        if future.cancelled() or future.exception() is not None:
            return
        if future.result():
            self.record.fault(f"requests {seqs[0]} to {seqs[-1]} were refused: {future.result():#x}")
            return
        self.acknowledged.update(seqs)
        for seq in seqs:
            if seq not in self.record.outcomes:
                self.record.fault(f"request {seq} was acknowledged before its outcome")

    def _on_report(self, report: tuple[int, ...], news: bool, poss_dup: int) -> None:  # noqa: FBT001
        self._heard.add(report[0])
        seq = report[AT["ref_seq"]]
        if poss_dup and not self._catching_up:
            if not self._again[seq]:
                self.record.fault(f"the outcome of request {seq} came again and was not asked for")
            self._again[seq] -= 1
        if news and poss_dup == 0 and seq and seq not in self.requests:
            self.record.fault(f"request {seq} was answered and never sent")

    def _on_refusal(self, refusal: m.BusinessMessageReject) -> None:
        self.record.fault(f"refused: {refusal.text}")

    # ------------------------------------------------------------------------------------------------ its books

    async def reconcile(self) -> None:
        """Compare the books that follow from the reports with the venue's. Nobody may be trading."""
        account, orders = await self.line.status()  # everything that this account was told before has come by then
        books = Books()
        for number in range(1, self.record.next_missing):
            books.take(self.record.reports[number])  # type: ignore[arg-type]
        self.record.faults += [f"{self.record.name}: {fault}" for fault in books.faults]
        if account is None:
            return
        if orders != books.leaves:
            self.record.fault(f"{len(orders)} orders are open, expected {len(books.leaves)}")
        if self.market.rules == "generic":
            return
        if account.cash_fen + account.cash_held_fen != books.cash_fen:
            self.record.fault(f"cash {account.cash_fen} + {account.cash_held_fen} fen, expected {books.cash_fen}")
        units = [sum(row[:4]) for row in account.units]
        if units != [books.units[instrument] for instrument in range(len(units))]:
            self.record.fault(f"units {units}, expected {dict(books.units)}")
        if account.next_report != self.record.next_missing:
            self.record.fault(f"next report {account.next_report}, expected {self.record.next_missing}")

    # ------------------------------------------------------------------------------------------------ requests

    async def act(self) -> None:
        """Send requests until the connection breaks."""
        while True:
            if len(self._in_flight) >= _IN_FLIGHT:
                await asyncio.wait(self._in_flight, return_when=asyncio.FIRST_COMPLETED)
            for future in [future for future in self._in_flight if future.done()]:
                self._in_flight.discard(future)
                future.result()
            seqs = []
            for message in self._requests():
                seqs.append(message.seq)
                self.requests[message.seq] = message
            self._in_flight.add(self._offer(seqs))
            await asyncio.sleep(self.rng.uniform(0, 0.03) if self.role is Role.TRADER else 0.1)

    def _requests(self) -> list[Any]:
        first = len(self.requests) + 1
        if self.role is Role.INSTRUCTOR:
            return list(self._operation(first))
        count = self.rng.choice((1, 1, 1, 2, 3, 5, 8, 40))
        return [self._order(seq) for seq in range(first, first + count)]

    def _operation(self, seq: int) -> Iterator[m.Message]:
        """A new day now and then, which makes bought units free; money, units, a pause."""
        if seq == 1 or self.rng.random() < 0.2:
            days = sum(isinstance(message, m.DayRoll) for message in self.requests.values())
            day = self.market.first_day + dt.timedelta(days)
            yield m.SetPhase(seq, Phase.CLOSED)
            yield m.DayRoll(seq + 1, int(day.strftime("%Y%m%d")))
            yield m.SetPhase(seq + 2, self.market.phase)
        elif self.rng.random() < 0.5:
            yield m.Deposit(seq, self._account(), self.rng.randint(1, 100_000))
        else:
            yield m.Issue(seq, self._account(), 0, self.rng.randint(1, 100))

    def _account(self) -> int:
        return 2 + self.rng.randrange(len(TRADERS))

    def _order(self, seq: int) -> m.Message:
        """Orders, cancels, replacements, around one price."""
        draw, rng, market = self.rng.random(), self.rng, self.market
        earlier = max(1, seq - rng.randint(1, 40))
        price = market.price_fen + rng.randint(-market.spread_fen, market.spread_fen)
        side, qty = rng.choice((Side.BUY, Side.SELL)), rng.randint(1, 20)
        if draw < 0.15:
            return m.OrderCancelRequest(seq, target_seq=earlier)
        if draw < 0.25:
            return m.OrderCancelReplaceRequest(seq, target_seq=earlier, price_fen=price, qty=qty)
        if draw < 0.26:
            return m.OrderMassCancelRequest(seq)
        if draw < 0.27:
            return m.Surrender(seq, 0, 1)
        if market.listed and draw < 0.65:
            return m.Click(seq, 0, side, qty, price)
        tif = TimeInForce.IOC if draw > 0.95 else TimeInForce.DAY
        return m.NewOrderSingle(seq, 0, side, qty, price, OrdType.LIMIT, tif)


class Shadow:
    """A replica that follows the journal from its first commit and never sees a snapshot."""

    def __init__(self) -> None:
        self.commits = 0
        self._replica: Replica | None = None

    def follow(self, path: Path) -> None:
        """Replay what is new in a journal (a copy of it: it is opened as a starting venue does)."""
        journal = Journal.open(path)
        if self._replica is None:
            self._replica = Replica(compile_rulebook(rulebook_of(path, journal)))
        for commit, _ in replay(self._replica, journal, self.commits):
            self.commits = commit.number
        journal.close()

    def digest(self) -> str:
        """The whole state."""
        return digest_of(self._replica) if self._replica else ""


class Life:
    """One journal from its first commit to its verification."""

    def __init__(self, folder: Path, market: Market, tally: Tally, seed: int) -> None:
        self.folder = folder
        self.market = market
        self.tally = tally
        self.seed = seed
        self.rng = random.Random(seed)
        self.shadow = Shadow()
        self.people = [Person(name, Role.TRADER, market, tally, random.Random(f"{seed} {name}")) for name in TRADERS]
        self.people.append(Person(OPERATOR, Role.INSTRUCTOR, market, tally, random.Random(f"{seed} {OPERATOR}")))
        self.deaths = 0
        write_accounts(folder / "accounts.json", dict.fromkeys(TRADERS, Role.TRADER) | {OPERATOR: Role.INSTRUCTOR})

    async def run(self, plan: Place) -> None:
        """One run that ends in a death."""
        most = 150 if plan in COMMIT else 40 if plan is Place.REPLAYING else 3
        number = self.rng.randint(1, most)
        process = await self._start("--place", plan, "--number", number, "--seed", self.rng.randrange(10**6))
        try:
            if process.port:
                await self._until_death(process, plan)
            status = await process.ended()
            await asyncio.gather(*(person.line.lost() for person in self.people))
        finally:
            process.kill()
        said = process.told("place") if plan is not Place.OUTSIDE else None
        if status != -signal.SIGKILL:
            self._fault(f"a run ended by itself with {status}: {process.log_tail()}")
        if plan is not Place.OUTSIDE and said is None:
            self.tally.missed += 1
        self._count(Place(said["place"]) if said else Place.OUTSIDE, said or {})

    async def _start(self, *options: object) -> Process:
        process = await Process.start(
            self.folder, self.market.rules, "--snapshot-events", SNAPSHOT_EVENTS, *options,
            hash_seed=self.rng.randrange(1, 2**32),
        )  # fmt: skip
        came_back = process.told("digest")
        if came_back is not None and self.deaths:
            if (came_back["commits"], came_back["digest"]) != (self.shadow.commits, self.shadow.digest()):
                self._fault(f"came back to commit {came_back['commits']}, {came_back['digest']}; a replay to "
                            f"{self.shadow.commits}, {self.shadow.digest()}")  # fmt: skip
            self.tally.digests_compared += 1
        return process

    async def _until_death(self, process: Process, plan: Place) -> None:
        """Everybody logs on, checks, reconciles and trades; at some moment the venue dies."""
        outside = self.rng.uniform(0, _OUTSIDE_SECONDS) if plan is Place.OUTSIDE else _PATIENCE_SECONDS
        killer = asyncio.get_running_loop().call_later(outside, process.kill)
        try:
            async with asyncio.TaskGroup() as group:
                for person in self.people:
                    group.create_task(person.enter(process.port))
            await self._reconcile()
            async with asyncio.TaskGroup() as group:
                for person in self.people:
                    group.create_task(person.act())
        except* (ConnectionLostError, OSError):
            pass
        await process.ended()
        killer.cancel()

    async def _reconcile(self) -> None:
        async with asyncio.TaskGroup() as group:
            for person in self.people:
                group.create_task(person.reconcile())
        if self.deaths:
            self.tally.reconciled += 1

    def _count(self, place: Place, said: dict[str, Any]) -> None:
        """Note a death, and replay what it left."""
        self.deaths += 1
        self.tally.deaths[place] += 1
        before = self.shadow.commits
        self.shadow.follow(copy_journal(self.folder / "journal", self.folder / "copy"))
        there = self.shadow.commits
        if place in COMMIT:
            commit = said["commit"]
            self.tally.survived[place] += there == commit
            allowed = {Place.BEFORE_INSERT: [commit - 1], Place.DURING_INSERT: [commit - 1, commit]}
            if there not in allowed.get(place, [commit]):
                self._fault(f"died {place} of commit {commit}, {there} are there")
        if place in RECOVERY and there != before:
            self._fault(f"died {place}: {before} commits became {there}")

    async def verify(self) -> None:
        """The end: everybody checks once more, the venue stops by itself, the journal is verified."""
        process = await self._start()
        try:
            assert process.port, process.log_tail()
            await asyncio.gather(*(person.enter(process.port) for person in self.people))
            await self._reconcile()
            process.stop()
            if await process.ended() != 0:
                self._fault(f"did not stop by itself: {process.log_tail()}")
            await asyncio.gather(*(person.line.lost() for person in self.people))
        finally:
            process.kill()
        path = copy_journal(self.folder / "journal", self.folder / "copy")
        here, there = verify(path), await self._verified_elsewhere(path)
        if not all(here["invariants"].values()):
            self._fault(f"verify: {here['invariants']} {here['fault']}")
        if here != there:
            self._fault(f"verify says {here} here and {there} in another process")
        self.shadow.follow(path)
        venue = recover(path)
        if digest_of(venue.replica) != self.shadow.digest():
            self._fault("a recovery from the last snapshot is not the whole replay")
        if venue.replayed == venue.journal.head.number and any(path.parent.rglob("*.npz")):
            self._fault("no snapshot was used")
        venue.journal.close()
        self.tally.digests_compared += 3
        self.tally.journals += 1
        self._close_records()

    async def _verified_elsewhere(self, path: Path) -> dict[str, Any]:
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                                    "PYTHONHASHSEED": str(self.rng.randrange(1, 2**32))}  # fmt: skip
        process = await asyncio.create_subprocess_exec(
            sys.executable, "-m", "emex", "verify", str(path), "--json", stdout=asyncio.subprocess.PIPE, env=environment
        )
        text, _ = await process.communicate()
        result: dict[str, Any] = json.loads(text)
        return result

    def _close_records(self) -> None:
        tally = self.tally
        for person in self.people:
            record = person.record
            tally.acknowledged += len(person.acknowledged | record.outcomes.keys())
            tally.reports += len(record.reports)
            tally.requests += len(person.requests)
            tally.doubled += record.doubled
            tally.changed += record.changed
            tally.faults += [f"{fault} (life of seed {self.seed}, {self.market.rules})" for fault in record.faults]

    def _fault(self, text: str) -> None:
        self.tally.faults.append(f"{text} (life of seed {self.seed}, {self.market.rules})")


def plans_of(kills: int, rng: random.Random) -> list[Place]:
    """Where to die: a fifth each in commits, snapshots and recoveries, the others from outside; a life begins outside.

    A recovery needs something to recover, so none is the first of its life.
    """
    each = kills // 5
    plans = [group[at % len(group)] for group in (COMMIT, SNAPSHOT, RECOVERY) for at in range(each)]
    plans += [Place.OUTSIDE] * (kills - len(plans))
    rng.shuffle(plans)
    for begin in range(0, kills, LIFE):
        at = next(at for at in (*range(begin, kills), *range(begin)) if plans[at] not in RECOVERY)
        plans[begin], plans[at] = plans[at], plans[begin]
    return plans


async def campaign(plans: list[Place], seed: int, *, markets: tuple[Market, ...] = MARKETS) -> dict[str, Any]:
    """Die at every place of `plans`; returns the summary."""
    compile_all()
    began = time.perf_counter()
    tally = Tally()
    for number, begin in enumerate(range(0, len(plans), LIFE)):
        market = markets[number % len(markets)]
        with tempfile.TemporaryDirectory(prefix="emex-kills-") as folder:
            life = Life(Path(folder), market, tally, seed * 1000 + number)
            try:
                for plan in plans[begin : begin + LIFE]:
                    await life.run(plan)
                await life.verify()
            except Exception as error:
                error.add_note(f"seed {seed}, life of seed {life.seed}, {market.rules}, after {life.deaths} deaths")
                raise
        print(f"{sum(tally.deaths.values())} of {len(plans)} deaths, {market.rules}: {tally.requests} requests, "
              f"{len(tally.faults)} faults", file=sys.stderr, flush=True)  # fmt: skip
        for fault in tally.faults[:5]:
            print(fault, file=sys.stderr)
    return summary(tally, time.perf_counter() - began, seed)


def summary(tally: Tally, seconds: float, seed: int) -> dict[str, Any]:
    """What is printed."""
    inside = {name: sum(tally.deaths[place] for place in group)
              for name, group in (("commit", COMMIT), ("snapshot", SNAPSHOT), ("recovery", RECOVERY))}  # fmt: skip
    return {
        "kills": sum(tally.deaths.values()),
        **{f"inside_{name}": count for name, count in inside.items()},
        "outside": tally.deaths[Place.OUTSIDE],
        "missed": tally.missed,
        "places": {place.value: tally.deaths[place] for place in Place},
        "commit_was_there": {place.value: tally.survived[place] for place in COMMIT},
        "journals": tally.journals,
        "requests": tally.requests,
        "acknowledged": tally.acknowledged,
        "reports": tally.reports,
        "duplicates": tally.repeats,
        "lost": tally.lost,
        "doubled": tally.doubled,
        "changed": tally.changed,
        "streams_compared": tally.checked,
        "books_compared": tally.reconciled,
        "digests_compared": tally.digests_compared,
        "faults": tally.faults[:20],
        "seconds": round(seconds, 1),
        "seed": seed,
    }


def main() -> None:
    """The long campaign (default 300 kills)."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--kills", type=int, default=300)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    result = asyncio.run(campaign(plans_of(options.kills, random.Random(options.seed)), options.seed))
    print(json.dumps(result))
    least = options.kills // 6
    hit = all(result[name] >= least for name in ("inside_commit", "inside_snapshot", "inside_recovery"))
    failed = result["lost"] or result["doubled"] or result["changed"] or result["faults"]
    sys.exit(1 if failed or not hit else 0)


if __name__ == "__main__":
    main()
