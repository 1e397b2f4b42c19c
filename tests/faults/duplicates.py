"""A million requests, of which a good part come twice and more: each happens once, whatever the client repeats.

    python -m tests.faults.duplicates [--requests 1000000] [--seed 1] [--restarts 20]

Every account has two connections. It repeats requests at once, on both connections at the same time, much later, after
reconnecting and after restarts of the venue (SIGTERM and SIGKILL, with payloads under way or not); as messages and as
packed rows, whichever way they came first; some under an old number with other content, some under numbers that it has
passed by, some so old that their results are gone. Then

    every answer     a repetition gets the first outcome with `poss_dup`, another content DUP_MISMATCH, and only what
                     lies outside of what is kept may get SEQ_TOO_OLD; nothing is answered more or less often than asked
    the journal      holds every (account, number) once, with ascending numbers, and with the content that came first
    the state        is that of the reference engine, fed with the accounts' own requests in the journal's order, and
                     every account was told the event that answers its request there

The last line is a JSON summary.
"""

import argparse
import asyncio
import bisect
import itertools
import json
import signal
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from engine.codes import CommandKind, OrdType, Side, TimeInForce
from engine.digest import state_digest
from engine.exchange import compile_all
from engine.reference import ReferenceExchange
from engine.rules.compiler import compile_rulebook
from gateway.desk.kept import KEPT
from gateway.errors import ConnectionLostError
from gateway.journal.store import Journal
from gateway.recovery import records_of, recover, rulebook_of
from gateway.wire import codec
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.records import VERSION, empty_requests
from gateway.wire.topics import Role
from tests.faults.witnesses import AT, Line, Process, Record
from tests.gateway.running import write_accounts

NAMES = "anna", "ben", "carl", "dora"
_BUSIEST = NAMES[0]
"""Sends half of everything, so that more of its requests are made than are kept."""
_FIRST_ACCOUNT = 2
_IN_FLIGHT = 4
"""Payloads of one connection: all that can wait stays below the venue's backlog limit."""
_UNKNOWN_ID = 2**62
"""What a request names that names itself."""
_PRICE, _SPREAD = 10_000, 20
_ENDS = (
    (signal.SIGKILL, False), (signal.SIGTERM, False), (signal.SIGKILL, True), (signal.SIGTERM, True),
)  # fmt: skip
"""How a run ends, in turn: by which signal, and whether everything has been answered before."""

Key = tuple[int, str]
"""Number of a request, and what was sent under it: "same", "other" content, or "unused" before."""


class Sender:
    """One account: what it sends, what it is owed, what it was told.

    Parameters
    ----------
    kept : requests and reports that the venue keeps of an account
    """

    def __init__(self, name: str, number: int, rng: np.random.Generator, kept: int) -> None:
        self.number = number
        self.record = Record(name, hash)
        self.count = 0
        """Requests of its own, each counted once."""
        self.sent: Counter[str] = Counter()
        """Rows sent, by what they were."""
        self.answers: Counter[str] = Counter()
        self.exec_ids: dict[int, int] = {}
        """Event that each request was answered by."""
        self.paused = False
        self.ending = False
        """The venue has been told to stop: it may refuse."""
        self._rng = rng
        self._kept = kept
        self._sizes = (50, 100, 100) if name == _BUSIEST else (1, 2, 5, 20, 50, 100)
        self._rows = empty_requests(1024)
        self._done = 0
        self._unused: list[int] = []
        """Numbers that were passed by."""
        self._owed: Counter[Key] = Counter()
        self._unsure: set[int] = set()
        """Numbers in payloads whose connection broke: nobody knows how often they were answered."""
        self._catching_up = [False, False]
        self._in_flight: list[set[asyncio.Future[int]]] = [set(), set()]
        self._lines = [
            Line(self.record, Role.TRADER, f"{name}-{at}", partial(self._on_report, at), self._on_refusal)
            for at in range(2)
        ]

    # --------------------------------------------------------------------------------------------- connections

    @property
    def rows(self) -> np.ndarray:
        """REQUEST rows as they were first sent, by ascending number."""
        return self._rows[: self.count]

    async def enter(self, port: int) -> None:
        """Log both connections on, and send again, in order, whatever has no outcome; then some that have."""
        for at in range(2):
            await self._open(at, port)
        await self._send_open()
        last = self.rows[-20:]
        for at in range(2 if len(last) else 0):
            self._send(at, last, "same")
        await self.drain()

    async def _open(self, at: int, port: int) -> None:
        self._catching_up[at] = True
        await self._lines[at].open(port, self.record.next_missing)
        self._catching_up[at] = False

    async def _send_open(self) -> None:
        late = self.rows[self._answered() :]
        open_ = late[np.array([seq not in self.record.outcomes for seq in late["seq"].tolist()], bool)]
        for begin in range(0, len(open_), 100):
            self._send(0, open_[begin : begin + 100], "same", "resent")
            await self.drain()
        for seq in open_["seq"].tolist():
            if seq not in self.record.outcomes:
                self.record.fault(f"request {seq} was sent again and has no outcome")

    async def reconnect(self, at: int, port: int) -> None:
        """Break one connection in the middle of whatever is under way, and log on again."""
        self._lines[at].abort()
        await self._lines[at].lost()
        await self.drain()
        await self._open(at, port)
        await self._send_open()

    async def drain(self) -> None:
        """Wait until every payload has its PUBACK or is lost."""
        waiting = self._in_flight[0] | self._in_flight[1]
        if waiting:
            await asyncio.wait(waiting)

    async def lost(self) -> None:
        """The venue is gone, and all it has said is written down."""
        for line in self._lines:
            await line.lost()
        await self.drain()

    def settle(self) -> None:
        """Everything has been answered: exactly as often as it was asked."""
        for (seq, what), count in self._owed.items():
            if count and seq not in self._unsure:
                self.record.fault(f"request {seq} ({what}) is owed {count} answers")
        self._owed.clear()
        self._unsure.clear()

    # ------------------------------------------------------------------------------------------------- sending

    async def work(self, port: int) -> None:
        """Send and repeat until paused. Raises `ConnectionLostError` when the venue is gone."""
        while not self.paused:
            draw = self._rng.random()
            if draw < 0.42:
                fresh = self._fresh(self._size())
                self._send(0, fresh, "new")
                for _ in range(self._rng.choice((0, 0, 0, 1, 1, 2, 5))):
                    begin = int(self._rng.integers(len(fresh)))
                    self._send(0, fresh[begin:], "same")
            elif draw < 0.52:
                await self._race()
            elif draw < 0.76:
                at = self._either()
                self._send(at, self._old(at, self._size()), "same")
            elif draw < 0.86:
                self._mixed()
            elif draw < 0.96:
                at = self._either()
                self._send(at, self._altered(self._old(at, self._size() // 4 + 1)), "other")
            elif draw < 0.99:
                self._send(self._either(), self._passed_by(3), "unused")
            else:
                await self.reconnect(self._either(), port)
            await self._room()

    def _size(self) -> int:
        return int(self._rng.choice(self._sizes))

    def _either(self) -> int:
        return int(self._rng.integers(2))

    async def _race(self) -> None:
        """New requests on both connections at once. What was sent before must be through, or one would overtake it."""
        await self.drain()
        fresh = self._fresh(self._size())
        for at in self._rng.permutation(2).tolist():
            self._send(at, fresh, "new" if at == 0 else "same")

    def _mixed(self) -> None:
        """Old, altered and new requests in one payload, the new ones twice."""
        old, fresh = self._old(0, 20), self._fresh(20)
        altered = self._altered(old[:5])
        parts = [(old, "same"), (fresh, "new"), (altered, "other"), (fresh, "same")]
        self._send_parts(0, parts)

    async def _room(self) -> None:
        for waiting in self._in_flight:
            while len(waiting) >= _IN_FLIGHT:
                await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        await asyncio.sleep(0)
        for at in range(2):
            if self._lines[at].is_lost:
                raise ConnectionLostError(await self._lines[at].lost())

    def _send(self, at: int, rows: np.ndarray, what: str, counted_as: str = "") -> None:
        if len(rows):
            self._send_parts(at, [(rows, what)], counted_as)

    def _send_parts(self, at: int, parts: Sequence[tuple[np.ndarray, str]], counted_as: str = "") -> None:
        """One payload; its rows in the packed form, as messages, or first so and then so."""
        keys = [(int(seq), "same" if what == "new" else what) for rows, what in parts for seq in rows["seq"]]
        for rows, what in parts:
            self.sent[counted_as or what] += len(rows)
        self._owed.update(keys)
        rows = np.concatenate([rows for rows, _ in parts])
        packed = int(self._rng.choice((len(rows), len(rows), len(rows), 0, len(rows) // 2)))
        messages: list[m.Message] = [message_of(row) for row in rows[packed:]]
        if packed:
            messages.insert(0, m.PackedRequests(VERSION, rows[:packed].tobytes()))
        future = self._lines[at].send(codec.encode(messages))
        self._in_flight[at].add(future)
        future.add_done_callback(partial(self._acknowledged, at, keys))

    def _acknowledged(self, at: int, keys: list[Key], future: "asyncio.Future[int]") -> None:
        self._in_flight[at].discard(future)
        if future.exception() is not None:
            self._unsure.update(seq for seq, _ in keys)
        elif future.result():
            self._owed.subtract(keys)
            self.answers["refused"] += len(keys)
            if not self.ending:
                self.record.fault(f"requests {keys[0][0]} to {keys[-1][0]} were refused: {future.result():#x}")

    # --------------------------------------------------------------------------------------------- what is sent

    def _fresh(self, count: int) -> np.ndarray:
        """New requests: orders, cancels and replacements of late ones, cancels of all. Some numbers are left out."""
        rng = self._rng
        last = int(self._rows["seq"][self.count - 1]) if self.count else 0
        steps = np.where(rng.random(count) < 0.01, rng.integers(2, 5, count), 1)
        rows = empty_requests(count)
        seqs = rows["seq"] = last + np.cumsum(steps)
        self._unused += sorted(set(range(last + 1, int(seqs[-1]))) - set(seqs.tolist()))
        commands = rows["command"]
        commands["client_ref"], commands["ord_type"] = seqs, OrdType.LIMIT
        kinds = (CommandKind.NEW, CommandKind.CANCEL, CommandKind.REPLACE, CommandKind.MASS_CANCEL)
        kind = commands["kind"] = rng.choice(kinds, count, p=(0.72, 0.2, 0.0785, 0.0015))
        commands["qty"], commands["price_fen"] = rng.integers(1, 20, count), rng.integers(-_SPREAD, _SPREAD, count)
        commands["price_fen"] += _PRICE
        commands["side"] = rng.integers(Side.BUY, Side.SELL + 1, count)
        commands["tif"] = np.where(rng.random(count) < 0.2, TimeInForce.IOC, TimeInForce.DAY)
        enters = kind == CommandKind.NEW
        sized = enters | (kind == CommandKind.REPLACE)
        commands["qty"][~sized] = commands["price_fen"][~sized] = -1
        commands["side"][~enters] = commands["tif"][~enters] = 0
        commands["instrument"] = np.where(enters, 0, -1)
        names = np.isin(kind, (CommandKind.CANCEL, CommandKind.REPLACE))
        earlier = np.concatenate([self.rows["seq"][-100:], seqs])
        place = len(earlier) - count + np.arange(count)
        rows["target_seq"] = np.where(names, earlier[(rng.random(count) * place).astype(np.int64)], 0)
        self._keep(rows)
        return rows

    def _keep(self, rows: np.ndarray) -> None:
        end = self.count + len(rows)
        if end > len(self._rows):
            self._rows = np.concatenate([self._rows, empty_requests(end)])
        self._rows[self.count : end] = rows
        self.count = end

    def _old(self, at: int, count: int) -> np.ndarray:
        """Requests of any age, in any order, some of them twice.

        New ones go over the first connection; what is not answered yet is repeated there only, for on the second it
        could come before the requests under lower numbers, which would then have been passed by.
        """
        end = self._answered() if at else self.count
        if not end:
            return empty_requests(0)
        ages = np.exp(self._rng.random(count) * np.log(end)).astype(np.int64)
        if self._rng.random() < 0.3:
            ages = self._rng.integers(1, end + 1, count)
        return self.rows[end - ages]

    def _answered(self) -> int:
        """So many requests, from the first, have an outcome."""
        while self._done < self.count and int(self._rows["seq"][self._done]) in self.record.outcomes:
            self._done += 1
        return self._done

    def _altered(self, rows: np.ndarray) -> np.ndarray:
        """The same numbers for other requests."""
        altered = rows.copy()
        altered["command"]["min_qty"] += 2
        altered["command"]["kind"] = CommandKind.NEW
        altered["command"]["instrument"] = 0
        return altered

    def _passed_by(self, count: int) -> np.ndarray:
        """Numbers that were never used, and are below the last that has been answered."""
        done = self._answered()
        below = bisect.bisect_left(self._unused, int(self._rows["seq"][done - 1])) if done else 0
        rows = empty_requests(min(count, below))
        if len(rows):
            rows["seq"] = self._rng.choice(self._unused[:below], len(rows))
            rows["command"]["kind"], rows["command"]["ord_type"] = CommandKind.MASS_CANCEL, OrdType.LIMIT
        return rows

    # -------------------------------------------------------------------------------------------- what is heard

    def _on_report(self, at: int, report: tuple[int, ...], news: bool, poss_dup: int) -> None:  # noqa: FBT001
        seq = report[AT["ref_seq"]]
        if not seq:
            return
        self.exec_ids[seq] = report[AT["exec_id"]]
        if self._catching_up[at]:
            return
        if poss_dup or news:
            self._answer((seq, "same"), "again" if poss_dup else "first")
        if poss_dup and news and seq not in self._unsure:
            self.record.fault(f"the outcome of request {seq} came again before it came")

    def _on_refusal(self, refusal: m.BusinessMessageReject) -> None:
        seq, reason = refusal.ref_seq, DoorReason(refusal.reason)
        if reason is DoorReason.DUP_MISMATCH:
            self._answer((seq, "other"), "mismatch")
        elif reason is DoorReason.SEQ_TOO_OLD:
            what = next((what for what in ("unused", "same", "other") if self._owed[seq, what] > 0), "same")
            if what != "unused":
                age = self.count - int(np.searchsorted(self.rows["seq"], seq))
                if age <= self._kept:
                    self.record.fault(f"request {seq} is too old at the age of {age}")
            self._answer((seq, what), "unused" if what == "unused" else "too_old")
        elif reason is not DoorReason.STOPPING:
            self.record.fault(f"refused: {reason.name}")

    def _answer(self, key: Key, answer: str) -> None:
        self._owed[key] -= 1
        self.answers[answer] += 1

    async def status(self) -> dict[int, int]:
        """Open orders as the venue says."""
        return (await self._lines[0].status())[1]


def message_of(row: np.ndarray) -> m.Message:
    """A REQUEST row as the message that says the same."""
    seq, target, command = int(row["seq"]), int(row["target_seq"]), row["command"]
    number = {name: None if command[name] < 0 else int(command[name]) for name in ("price_fen", "qty", "min_qty")}
    match CommandKind(command["kind"]):
        case CommandKind.NEW:
            return m.NewOrderSingle(
                seq, int(command["instrument"]), int(command["side"]), number["qty"] or 0, number["price_fen"],
                int(command["ord_type"]), int(command["tif"]), None, number["min_qty"],
            ) if number["qty"] is not None and not target else m.PackedRequests(VERSION, row.tobytes())  # fmt: skip
        case CommandKind.CANCEL:
            return m.OrderCancelRequest(seq, target)
        case CommandKind.REPLACE:
            return m.OrderCancelReplaceRequest(seq, target, None, number["price_fen"], number["qty"])
        case _:
            return m.OrderMassCancelRequest(seq)


def audit(path: Path, senders: Sequence[Sender]) -> list[str]:
    """Faults of the journal, and of the state it leads to, held against what the accounts know that they sent."""
    faults: list[str] = []
    journal = Journal.read_only(path)
    records = np.concatenate([records_of(commit) for commit in journal.commits()])
    commands = records["command"].copy()
    numbers = np.arange(1, len(records) + 1)
    for sender in senders:
        name, rows = sender.record.name, sender.rows
        at = np.flatnonzero(records["principal"] == sender.number)
        seqs = records["seq"][at]
        if not np.array_equal(seqs, rows["seq"]):
            faults.append(f"{name}: the journal has {len(seqs)} requests, {len(rows)} were sent, or others")
            continue
        if sorted(sender.record.outcomes) != seqs.tolist():
            faults.append(f"{name}: {len(sender.record.outcomes)} outcomes of {len(rows)} requests")
        own = rows["command"].copy()
        own["time_ns"], own["account"] = commands["time_ns"][at], sender.number
        named = np.flatnonzero(rows["target_seq"])
        place = np.searchsorted(seqs, rows["target_seq"][named])
        own["target_id"][named] = np.where(place < named, numbers[at][place], _UNKNOWN_ID)
        commands[at] = own
    if not faults and commands.tobytes() != records["command"].tobytes():
        differ = next(at for at in range(len(records)) if commands[at] != records["command"][at])
        faults.append(f"command {differ + 1} is {records['command'][differ]}, sent was {commands[differ]}")
    engine = ReferenceExchange(compile_rulebook(rulebook_of(path, journal)))
    events = engine.submit(commands)
    engine.check()
    venue = recover(path)
    if state_digest(venue.replica.exchange.canonical_state()) != state_digest(engine.canonical_state()):
        faults.append("the venue's state is not that of an engine which was asked everything once")
    venue.journal.close()
    first = np.searchsorted(events["command_seq"], numbers)
    last = np.searchsorted(events["command_seq"], numbers, side="right") - 1
    answer = events["seq"][np.where(commands["kind"] == CommandKind.MASS_CANCEL, last, first)]
    for sender in senders:
        at = np.flatnonzero(records["principal"] == sender.number)
        expected = dict(zip(records["seq"][at].tolist(), answer[at].tolist(), strict=True))
        if expected != sender.exec_ids:
            faults.append(f"{sender.record.name}: was told other events than those that answer its requests")
    return faults


class Conductor:
    """Starts and ends the venue while the senders work."""

    def __init__(self, folder: Path, senders: list[Sender], options: Sequence[object]) -> None:
        self.folder = folder
        self.senders = senders
        self.ends: Counter[str] = Counter()
        self.faults: list[str] = []
        self._options = options

    @property
    def requests(self) -> int:
        """Rows sent so far."""
        return sum(sender.sent.total() for sender in self.senders)

    async def run(self, until: int, number: signal.Signals, *, answered: bool) -> None:
        """One run of the venue, until so many requests have been sent in all."""
        process = await Process.start(self.folder, "generic", *self._options)
        try:
            assert process.port, process.log_tail()
            for sender in self.senders:
                sender.paused = sender.ending = False
            await asyncio.gather(*(sender.enter(process.port) for sender in self.senders))
            working = [asyncio.create_task(sender.work(process.port)) for sender in self.senders]
            while self.requests < until and not any(task.done() for task in working):  # noqa: ASYNC110
                await asyncio.sleep(0.005)
            if self.requests < until:
                self.faults.append("a connection broke though the venue was not to end")
            if answered:
                await self._settle(working)
            for sender in self.senders:
                sender.ending = True
            (process.kill if number == signal.SIGKILL else process.stop)()
            status = await process.ended()
        finally:
            process.kill()
        expected = -signal.SIGKILL if number == signal.SIGKILL else 0
        if status != expected:
            self.faults.append(f"ended with {status}, expected {expected}: {process.log_tail()}")
        for sender in self.senders:
            await sender.lost()
        for result in await asyncio.gather(*working, return_exceptions=True):
            if isinstance(result, BaseException) and not isinstance(result, (ConnectionLostError, OSError)):
                raise result
        for sender in self.senders:
            if not answered:
                sender.settle()
        self.ends[f"{number.name.lower()}_{'answered' if answered else 'under_way'}"] += 1

    async def _settle(self, working: list["asyncio.Task[None]"]) -> None:
        """Let everything be answered."""
        for sender in self.senders:
            sender.paused = True
        await asyncio.gather(*working)
        for sender in self.senders:
            await sender.drain()
            await sender.status()
            sender.settle()


async def campaign(requests: int, restarts: int, seed: int, kept: int = KEPT) -> dict[str, Any]:
    """Send so many requests over so many restarts; returns the summary."""
    compile_all()
    began = time.perf_counter()
    senders = [
        Sender(name, _FIRST_ACCOUNT + at, np.random.default_rng([seed, at]), kept) for at, name in enumerate(NAMES)
    ]
    with tempfile.TemporaryDirectory(prefix="emex-duplicates-") as folder:
        write_accounts(Path(folder) / "accounts.json", dict.fromkeys(NAMES, Role.TRADER))
        conductor = Conductor(Path(folder), senders, ("--kept", kept if kept != KEPT else 0))
        ends = itertools.islice(itertools.cycle(_ENDS), restarts)
        for run, (number, answered) in enumerate((*ends, (signal.SIGTERM, True)), start=1):
            try:
                await conductor.run(requests * run // (restarts + 1), number, answered=answered)
            except Exception as error:
                error.add_note(f"seed {seed}, run {run}")
                raise
            print(f"{conductor.requests} of {requests} requests, {run} runs", file=sys.stderr, flush=True)
        sending = time.perf_counter() - began
        faults = conductor.faults + [fault for sender in senders for fault in sender.record.faults]
        faults += audit(Path(folder) / "journal", senders)
    sent = sum((sender.sent for sender in senders), Counter())
    answers = sum((sender.answers for sender in senders), Counter())
    return {
        "requests": sent.total(),
        "unique": sum(sender.count for sender in senders),
        "duplicates": sent["same"],
        "resent_without_outcome": sent["resent"],
        "other_content": sent["other"],
        "unused_numbers": sent["unused"],
        "answers": dict(answers),
        "restarts": dict(conductor.ends),
        "lost": sum(sender.count - len(sender.record.outcomes) for sender in senders),
        "doubled": sum(sender.record.doubled for sender in senders),
        "changed": sum(sender.record.changed for sender in senders),
        "faults": faults[:20],
        "requests_per_second": round(sent.total() / sending),
        "seconds": round(time.perf_counter() - began, 1),
        "seed": seed,
    }


def held(result: dict[str, Any]) -> bool:
    """Whether nothing was lost or doubled, and everything that should be tried was tried."""
    answers = result["answers"]
    tried = all(answers.get(name, 0) > 0 for name in ("again", "mismatch", "too_old", "unused"))
    share = result["duplicates"] >= 0.3 * result["requests"]
    wrong = result["lost"] or result["doubled"] or result["changed"] or result["faults"]
    return tried and share and not wrong


def main() -> None:
    """The long campaign."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--requests", type=int, default=1_000_000)
    parser.add_argument("--restarts", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    result = asyncio.run(campaign(options.requests, options.restarts, options.seed))
    print(json.dumps(result))
    sys.exit(0 if held(result) else 1)


if __name__ == "__main__":
    main()
