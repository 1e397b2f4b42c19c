"""The desk under random operations of hostile people, with a journal that fails and a clock that jumps.

    python -m tests.fuzz.session [--runs 1000000] [--seed 1] [--episode N]

An input is a payload or a subscription; around them people connect, leave and take each other over, turns are made, the
clock goes forward and back, the journal fails, the venue stops and starts again. An episode is one venue of 2,000
inputs, drawn from (seed, episode), so that `--episode` repeats it alone. What must hold is written where it is checked.
The last line printed is a JSON summary; the exit status is 1 when something did not hold.
"""

import argparse
import hashlib
import json
import random
import re
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from functools import cache

import numpy as np

from engine.codes import NONE, CommandKind, EventKind, Phase, TradingMode
from engine.digest import state_digest
from engine.exchange import compile_all
from engine.records import command
from engine.reference import ReferenceExchange
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import find_rulebook
from gateway.desk.desk import BACKLOG_LIMIT
from gateway.desk.replica import Replica
from gateway.desk.session import Acknowledge, Close, Output, Publish, Session
from gateway.desk.throttle import SECOND, Quota
from gateway.journal.errors import JournalFailedError
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.records import RECORD, REQUEST
from gateway.wire.topics import Principal, Role
from tests.desk.venue import FAST, MemoryJournal, Venue
from tests.fuzz.corpus import PATTERNS, REQUESTS, TOPICS, Corpus, Tally, settled_mb
from tests.oracle.campaign import RULEBOOKS
from tests.oracle.commands import View, opening_commands, random_commands

EPISODE = 2_000
MARKETS = ("generic", "cn-cea", "hubei", "guangdong", "beijing",
           *(str(RULEBOOKS / f"{name}.toml") for name in ("continuous-fees", "listed-oldest", "continuous-median")),
           )  # fmt: skip
QUOTAS = (FAST, FAST, Quota(300, 600), Quota(20, 40))
PEOPLE = (Principal("anna", 2, Role.TRADER), Principal("ben", 3, Role.TRADER), Principal("chen", 4, Role.TRADER),
          Principal("eve", 5, Role.TRADER), Principal("teacher", 6, Role.INSTRUCTOR),
          Principal("guest", 7, Role.OBSERVER), Principal("risk", 8, Role.DROP_COPY))  # fmt: skip
SESSION_REASONS = frozenset(DoorReason) - {DoorReason.TAKEN_OVER}
"""What inputs and requests are refused by; TAKEN_OVER only ends connections."""
OF_REQUESTS = frozenset({DoorReason.SEQ_TOO_OLD, DoorReason.DUP_MISMATCH})
"""Refusals of single requests of a payload that was taken."""
RSS_SLACK = 0.05
_LAST_DATE = 2**31 - 1
_DAY = 86_400 * SECOND
_AGREED = (TradingMode.BLOCK, TradingMode.OFFER, TradingMode.AUCTION)
_OPERATORS_ONLY = {kind for kind in CommandKind if kind >= CommandKind.OPEN_ACCOUNT} - {CommandKind.SURRENDER}
_MESSAGES = {int(kind): message for message, kind in codec.KINDS.items()}
_LEFT = "closed before its answer"
_GONE = "offered to a closed session"


@cache
def _market(rules: str) -> tuple[np.ndarray, View]:
    """What opens a market for accounts 2 to 5, and what a stranger knows of it."""
    reference = ReferenceExchange(compile_rulebook(find_rulebook(rules)))
    rows = opening_commands(View.of(reference), accounts=4, date=20230103)
    for row in range(len(rows)):
        reference.submit(rows[row : row + 1])
    return rows, View.of(reference)


def digest_of(replica: Replica) -> str:
    """Everything that a replay would rebuild, as one text."""
    told = hashlib.blake2b(digest_size=16)
    for number in sorted(replica.told):
        one = replica.told[number]
        if one.last_seq or one.next_report > 1:
            told.update(f"{number} {one.last_seq} {one.next_report} ".encode())
            told.update(one.requests.last().tobytes() + one.reports.last().tobytes())
    return f"{state_digest(replica.exchange.canonical_state())} {told.hexdigest()} {replica.last_ns}"


def may_hear(principal: Principal, topic: str) -> bool:
    """Who is told what, said once more and in other words than `topics` says it."""
    kind, name = topic.removeprefix("emex/1/").split("/")[0], topic.rpartition("/")[2]
    if kind == "out":
        return name == principal.name and topic == f"emex/1/out/{name}"
    if kind in ("copy", "tape"):
        return principal.role in (Role.INSTRUCTOR, Role.DROP_COPY)
    return kind == "md"


def fits(pattern: str, topic: str) -> bool:
    """Whether an MQTT filter matches, by a regular expression; # ends it, wherever it stands."""
    pattern = re.sub("#/.*", "#", pattern)
    levels = [".*" if level == "#" else "[^/]*" if level == "+" else re.escape(level) for level in pattern.split("/")]
    return re.fullmatch("/".join(levels).replace("/.*", "(/.*)?"), topic) is not None


class Journal(MemoryJournal):
    """A journal that fails when it is told to; the commit is then there or not. Time in it never runs backwards."""

    def __init__(self) -> None:
        super().__init__()
        self.fails = False
        self.keeps = False
        self.last_ns = -1

    def append(self, payload: bytes, records: int, time_ns: int) -> int:
        if not self.fails or self.keeps:
            super().append(payload, records, time_ns)
            times = np.frombuffer(payload, RECORD)["command"]["time_ns"]
            assert (np.diff(times, prepend=self.last_ns) >= 0).all(), "the journal's time ran backwards"
            self.last_ns = int(times[-1])
        if self.fails:
            self.fails = False
            raise JournalFailedError("a disk error")
        return len(self.commits)


@dataclass(eq=False)
class Seat:
    """One connection, and what it may still expect."""

    session: Session
    patterns: set[str] = field(default_factory=set)
    waiting: set[int] = field(default_factory=set)
    """Payloads without an answer."""
    next_report: int | None = None
    """The number of the next live report; None while it does not read them."""
    closed: bool = False


class Episode:
    """One venue from its opening to the last check."""

    def __init__(self, seed: int, number: int, tally: Tally, seen: Counter[str]) -> None:
        self.r = random.Random(f"{seed} {number}")
        self.tally, self.seen = tally, seen
        self.corpus = Corpus(self.r)
        self.rng = np.random.default_rng([seed, number])
        rules = MARKETS[number % len(MARKETS)]
        self.journal = Journal()
        self.venue = Venue(rules, self.r.choice(QUOTAS), self.journal, time_from_operator=self.r.random() < 0.15)
        self.rows, self.view = _market(rules)
        self.seats: list[Seat] = []
        self.numbers = dict.fromkeys((person.name for person in PEOPLE), 0)
        self.earlier: dict[str, list[bytes]] = {person.name: [] for person in PEOPLE}
        self.token = 0
        self.refused: Counter[DoorReason] = Counter()
        """As this side has seen it, of inputs, since the venue started."""
        self.of_requests: Counter[DoorReason] = Counter()
        """The same of single requests."""
        self.unseen = 0
        """Requests whose answer nobody heard, because their session was closed before."""
        self._pool: list[np.void] = []
        self.desk.operate(self.rows.copy())
        self._turn()

    @property
    def desk(self) -> "Venue.desk":  # type: ignore[name-defined]
        return self.venue.desk

    # ----------------------------------------------------------------------------------------------- the operations

    def run(self, inputs: int) -> None:
        """So many inputs, and everything else between them."""
        end = self.tally.inputs + inputs
        operations = (self._offer, self._turn, self._connect, self._leave, self._subscribe, self._unsubscribe,
                      self._clock, self._operate, self._check, self._fail, self._restart, self._stop,
                      self._flood)  # fmt: skip
        weights = (60, 22, 4, 1.5, 4, 1, 2, 1, 0.5, 0.08, 0.08, 0.05, 0.02)
        while self.tally.inputs + self._open() < end:
            (operation,) = self.r.choices(operations, weights)
            operation()
        self._settle()
        self._check()

    def _open(self) -> int:
        return sum(len(seat.waiting) for seat in self.seats)

    def _seat(self) -> Seat:
        while not self.seats or self.r.random() < 0.02:
            self._connect()
        return self.r.choice(self.seats)

    def _connect(self) -> None:
        """Somebody comes, perhaps under a client id that is in use; he mostly reads his reports and logs on."""
        (person,) = self.r.choices(PEOPLE, (4, 4, 3, 3, 3, 1, 1))
        client = self.r.choice(("main", "main", "second", "", "\u7535" * 20))
        seat = Seat(self.desk.connect(person, client))
        self.seats.append(seat)
        self._hear()
        if len(self.seats) > 12:
            self._leave()
        if self.r.random() < 0.9 and not seat.closed:
            self._ask_to_read(seat, seat.session.private_topic)
            self._hand_in(seat, [["A", self.r.choice((0, 0, 1, 5)), self.r.random() < 0.3]])
            self._turn()

    def _leave(self) -> None:
        """A connection breaks; what it was sent arrived or not."""
        seat = self._seat()
        self._take(seat)
        self.desk.close(seat.session)
        self._closed(seat)

    def _subscribe(self) -> None:
        seat = self._seat()
        own = seat.session.private_topic
        self._ask_to_read(seat, self.r.choice((own, f"emex/1/copy/{seat.session.principal.name}", *PATTERNS)))

    def _ask_to_read(self, seat: Seat, pattern: str) -> None:
        principal = seat.session.principal
        if seat.closed:
            return
        if self.desk.subscribe(seat.session, pattern):
            assert pattern.startswith("emex/1/")
            assert any(may_hear(principal, t) for t in (pattern, "emex/1/copy/x")), f"{principal} may read {pattern}"
            seat.patterns.add(pattern)
            if pattern == seat.session.private_topic and seat.next_report is None:
                seat.next_report = self.desk.replica.principal(principal.number).next_report
            self.tally.take(None)
        else:
            self.refused[DoorReason.NOT_AUTHORISED] += 1
            self.tally.take(DoorReason.NOT_AUTHORISED.name)
        self._hear()

    def _unsubscribe(self) -> None:
        seat = self._seat()
        pattern = self.r.choice((*sorted(seat.patterns), self.r.choice(PATTERNS)))
        assert self.desk.unsubscribe(seat.session, pattern) == (pattern in seat.patterns)
        seat.patterns.discard(pattern)
        if pattern == seat.session.private_topic:
            seat.next_report = None

    def _clock(self) -> None:
        step = self.r.choice((10**7, SECOND // 5, SECOND, SECOND, 5 * SECOND, 3600 * SECOND, _DAY))
        self.venue.now_ns = max(0, self.venue.now_ns + (step if self.r.random() < 0.7 else -step))

    def _operate(self) -> None:
        """The venue's timetable: a phase, often with nobody else in the turn; or a day that ends."""
        phases = [int(self.rows["phase"][-1])]
        if self.r.random() < 0.1:
            phases.insert(0, self.r.choice((Phase.CLOSED, Phase.BREAK, Phase.HALTED, Phase.CALL)))
        if self.r.random() < 0.1:
            _, today = self.desk.replica.exchange.today()
            date = min(today + self.r.choice((1, 1, 100)), _LAST_DATE)  # an operator may have gone as far already
            self.desk.operate(command(CommandKind.DAY_ROLL, date=date))
        for phase in phases:
            self.desk.operate(command(CommandKind.PHASE, phase=phase))
            self._turn()
        self.seen["timetable"] += 1

    def _turn(self) -> None:
        """One turn, sometimes turns until nothing waits."""
        self.venue.now_ns += self.r.choice((0, 1000, 10**6))
        for _ in range(1 if self.r.random() < 0.7 else 50):
            failed_before = self.desk.failed
            self.desk.turn(self.venue.now_ns)
            self._hear()
            if self.desk.failed and not failed_before:
                assert all(seat.closed for seat in self.seats), "a connection outlived the journal"
            if not self.desk.has_work:
                break

    def _fail(self) -> None:
        """The next commit fails; for a while the venue answers that it is out of order, then it is started again."""
        self.journal.fails, self.journal.keeps = True, self.r.random() < 0.5
        self._offer()
        for _ in range(20):
            self._turn()
            if self.desk.failed:
                break
            self._offer()
        failed = self.desk.failed is not None
        self.journal.fails = False
        if failed:
            self.seen["journal failures"] += 1
            for _ in range(self.r.randrange(6)):
                self._connect()
                self._offer()
            self._start_again(same=False)

    def _restart(self) -> None:
        self._start_again(same=True)

    def _start_again(self, *, same: bool) -> None:
        """The process dies; a new one replays the journal, and has the same state if nothing was in doubt."""
        self._settle_counts()
        before = digest_of(self.desk.replica) if same else ""
        self.venue.restart()
        for seat in self.seats:
            self._lost(seat)
        self.seats.clear()
        after = digest_of(self.desk.replica)
        assert not same or before == after, "a replay gives another state"
        self.desk.replica.exchange.check()
        self.seen["restarts"] += 1

    def _stop(self) -> None:
        """It is told to stop, and refuses what still comes."""
        self.desk.stopping = True
        for _ in range(10):
            self._offer()
            self._turn()
        self._settle()
        self._start_again(same=True)

    def _flood(self) -> None:
        """More than may wait; then only cancels are taken, then nothing."""
        seats = [seat for seat in self.seats if not seat.closed and seat.session.logged_on]
        if not seats or self.desk.failed:
            return
        seat = self.r.choice(seats)
        if self.venue.quota.rate and seat.session.principal.role is not Role.INSTRUCTOR:
            return
        while self.desk.backlog <= BACKLOG_LIMIT - 100:
            before = self.desk.backlog
            self._hand_in(seat, [["1", 1]] * 100)
            if self.desk.backlog == before:
                return
        for _ in range(12):
            number = self._next(seat)
            self._hand_in(
                seat, [["q", number + at] for at in range(100)] if self.r.random() < 0.5 else [["1", 1]] * 100
            )
            self.numbers[seat.session.principal.name] = number + 100
        self.seen["floods"] += 1
        self._settle()

    # ------------------------------------------------------------------------------------------------- what is sent

    def _offer(self) -> None:
        """A payload: one that makes sense, an earlier one, a damaged one, garbage; or where it does not belong."""
        seat = self._seat()
        earlier = self.earlier[seat.session.principal.name]
        luck = self.r.random()
        topic = topics.requests(seat.session.principal) or "emex/1/in/guest"
        if luck < 0.05:
            topic = self.r.choice((*TOPICS, *PATTERNS, seat.session.private_topic))
        if luck < 0.45:
            messages = self._sensible(seat)
            payload = codec.encode(messages)  # type: ignore[arg-type]
        elif luck < 0.55 and earlier:
            payload = self.r.choice(earlier)
            if luck < 0.48:
                payload = self.corpus.again(payload)
        elif luck < 0.8:
            payload = self.corpus.payload(self._sensible(seat))
        elif luck < 0.95:
            legal = [
                self.corpus.message(self.r.choice(REQUESTS), seq=self._next(seat)) for _ in range(self.r.randrange(4))
            ]
            payload = self.corpus.payload(legal)
        else:
            payload = self.corpus.garbage()
        self._send(seat, topic, payload)

    def _hand_in(self, seat: Seat, messages: list[list[object]]) -> None:
        self._send(seat, topics.requests(seat.session.principal) or "emex/1/in/guest", codec.encode(messages))  # type: ignore[arg-type]

    def _next(self, seat: Seat) -> int:
        """The sender's next number, or once in a while one it has used."""
        name = seat.session.principal.name
        if self.r.random() < 0.03:
            return self.r.randrange(1, self.numbers[name] + 2)
        self.numbers[name] += 1 if self.r.random() < 0.95 else 3
        return self.numbers[name]

    def _sensible(self, seat: Seat) -> list[list[object]]:
        """Requests that suit the market, as messages or as packed rows; and questions."""
        if self.r.random() < 0.15:
            kinds = (m.Logon, m.Logout, m.TestRequest, m.ResendRequest, m.StatusRequest, m.RequestForPositions)
            return [self.corpus.message(self.r.choice(kinds))]
        operator = seat.session.principal.role is Role.INSTRUCTOR
        rows = [self._row(operator=operator) for _ in range(self.r.choice((1, 1, 1, 2, 5, 20)))]
        if self.r.random() < 0.25:
            table = np.zeros(len(rows), REQUEST)
            for at, row in enumerate(rows):
                table[at]["seq"], table[at]["command"] = self._next(seat), row
                if row["kind"] == CommandKind.CANCEL and self.r.random() < 0.5:
                    table[at]["target_seq"] = self.r.randrange(1, max(2, self.numbers[seat.session.principal.name] + 1))
            return [["UR", 1, table.tobytes()]]
        return [self._message(row, self._next(seat)) for row in rows]

    def _row(self, *, operator: bool) -> np.void:
        while True:
            if not self._pool:
                first = self.desk.replica.exchange.command_seq + 1
                self._pool = list(random_commands(self.rng, 200, first, self.view))
            row = self._pool.pop()
            if operator or int(row["kind"]) not in _OPERATORS_ONLY:
                if not operator and self.r.random() < 0.99:
                    row["account"] = NONE
                return row

    def _message(self, row: np.void, number: int) -> list[object]:
        kind = _MESSAGES.get(int(row["kind"]), m.OrderMassCancelRequest)
        values: list[object] = [m.tag_of(kind)]
        for name in m.fields_of(kind):
            value = number if name == "seq" else 0 if name == "target_seq" else int(row[name])
            values.append(None if value == NONE else value)
        while values and values[-1] is None:
            values.pop()
        return values

    def _send(self, seat: Seat, topic: str, payload: bytes) -> None:
        """Hand in a payload. Refused, it has changed nothing; taken, it waits."""
        self.token += 1
        token, desk = self.token, self.desk
        quiet = not desk.has_work and self.r.random() < 0.02
        before = digest_of(desk.replica) if quiet else ""
        counts = len(self.journal.commits), desk.replica.exchange.command_seq, desk.backlog, seat.session.waiting
        if seat.session.closed:
            desk.offer(seat.session, topic, payload, token, self.venue.now_ns)
            assert not seat.session.outputs or seat.closed is False
            self.tally.take(_GONE)
            self._hear()
            return
        seat.waiting.add(token)
        desk.offer(seat.session, topic, payload, token, self.venue.now_ns)
        refused = next((one.reason for one in seat.session.outputs
                        if isinstance(one, Acknowledge) and one.token == token), None)  # fmt: skip
        if refused is not None:
            ended = seat.session.closed and seat.session.cancel_on_disconnect
            after = len(self.journal.commits), desk.replica.exchange.command_seq, desk.backlog, seat.session.waiting
            assert ended or counts == after, "a refused payload changed something"
            if quiet and not ended:
                desk.turn(self.venue.now_ns)
                assert digest_of(desk.replica) == before, "a refused payload changed the state"
                assert len(self.journal.commits) == counts[0], "a refused payload was journaled"
                self.seen["states compared"] += 1
        else:
            earlier = self.earlier[seat.session.principal.name]
            earlier.append(payload)
            del earlier[:-20]
        self._hear()

    # ------------------------------------------------------------------------------------------------ what is heard

    def _hear(self) -> None:
        for seat in list(self.seats):
            self._take(seat)

    def _take(self, seat: Seat) -> None:
        """Everything that a connection is sent, checked."""
        for output in seat.session.take_outputs():
            assert not seat.closed, f"sent after the end: {output}"
            self._one(seat, output)
        if seat.session.closed and not seat.closed:
            self._closed(seat)

    def _one(self, seat: Seat, output: Output) -> None:
        match output:
            case Acknowledge():
                assert output.token in seat.waiting, "acknowledged twice, or never offered"
                seat.waiting.remove(output.token)
                self.tally.take(output.reason.name if output.reason is not None else None)
                if output.reason is not None:
                    self.refused[output.reason] += 1
            case Publish():
                self._message_heard(seat, output)
            case Close():
                self.seen[f"closed {output.reason.name}"] += 1
                self._closed(seat)

    def _message_heard(self, seat: Seat, output: Publish) -> None:
        principal, own = seat.session.principal, seat.session.private_topic
        assert may_hear(principal, output.topic), f"{principal} was sent {output.topic}"
        if output.topic.startswith(topics.MARKET_DATA):
            assert any(fits(pattern, output.topic) for pattern in seat.patterns)
            codec.decode_data(output.payload)
            return
        live = 0
        for reply in codec.decode_replies(output.payload):
            if isinstance(reply, m.ExecutionReport) and output.topic == own:
                self._report(seat, reply)
                live += not reply.poss_dup
            elif isinstance(reply, m.BusinessMessageReject) and reply.reason in OF_REQUESTS:
                self.of_requests[DoorReason(reply.reason)] += 1
            elif isinstance(reply, m.TapeRows):
                assert output.topic == topics.TAPE
        if live or output.topic != own:
            assert any(fits(pattern, output.topic) for pattern in seat.patterns), f"nobody asked for {output.topic}"

    def _report(self, seat: Seat, report: m.ExecutionReport) -> None:
        """A private report: mine, in its place, and naming nobody whom I may not know."""
        me = seat.session.principal
        assert report.account == me.number or report.ref_seq or me.role is Role.INSTRUCTOR, f"{me} was told {report}"
        if me.role is Role.TRADER:
            party = report.mode in _AGREED and report.contra == me.number
            assert report.account in (me.number, NONE) or party, f"{me} was told {report}"
            assert report.contra in (NONE, me.number) or report.mode in _AGREED, f"{me} was told of {report.contra}"
        if report.poss_dup:
            return
        assert report.priv_seq == seat.next_report, f"report {report.priv_seq} where {seat.next_report} was due"
        seat.next_report = report.priv_seq + 1
        self.seen["reports"] += 1
        self.seen["trades"] += report.exec_type == EventKind.TRADE

    def _closed(self, seat: Seat) -> None:
        if not seat.closed:
            self._lost(seat)
            seat.session.outputs.clear()
            if seat in self.seats and self.r.random() < 0.97:
                self.seats.remove(seat)

    def _lost(self, seat: Seat) -> None:
        """Nobody will hear what became of its payloads."""
        seat.closed = True
        seat.patterns.clear()
        self.unseen += 100 * (len(seat.waiting) + 1)
        for _ in seat.waiting:
            self.tally.take(_LEFT)
        seat.waiting.clear()

    # --------------------------------------------------------------------------------------------------- the checks

    def _settle(self) -> None:
        """Turns until nothing waits: everybody who is still there has all his answers."""
        for _ in range(20_000):  # a turn answers one question of a session
            if not self.desk.has_work:
                break
            self.desk.turn(self.venue.now_ns)
            self._hear()
        for seat in self.seats:
            assert not seat.waiting, f"{len(seat.waiting)} payloads were never answered"
        assert self.desk.backlog == sum(seat.session.waiting for seat in self.seats if not seat.closed) == 0

    def _settle_counts(self) -> None:
        """The desk's own counters of what it refused are what was refused, and a new desk begins at 0."""
        counted = self.desk.counters.refused
        for reason in DoorReason:
            if reason in OF_REQUESTS:
                assert self.of_requests[reason] <= counted.get(reason, 0) <= self.of_requests[reason] + self.unseen
                self.seen[f"requests {reason.name}"] += counted.get(reason, 0)
            else:
                seen = self.refused[reason]
                assert counted.get(reason, 0) == seen, f"{reason.name}: counted {counted.get(reason)}, seen {seen}"
        self.refused.clear()
        self.of_requests.clear()

    def _check(self) -> None:
        """Money, units, holds and queues; every principal's reports are numbered without a gap."""
        replica = self.desk.replica
        replica.exchange.check()
        for told in replica.told.values():
            numbers = told.reports.rows()[:, 0]
            assert (np.diff(numbers) == 1).all()
            assert len(numbers) == 0 or numbers[-1] + 1 == told.next_report
        self.seen["checks"] += 1

    def end(self) -> None:
        """The last word: counters, and a replay gives the same state."""
        self._start_again(same=self.desk.failed is None)


def run_episode(seed: int, number: int, inputs: int, tally: Tally, seen: Counter[str]) -> None:
    """One episode; what does not hold is counted as a crash."""
    before = tally.inputs
    try:
        episode = Episode(seed, number, tally, seen)
        episode.run(inputs)
        episode.end()
    except Exception as error:  # noqa: BLE001  (nothing may come out of the desk but its answers)
        tally.crash(error, f"--seed {seed} --episode {number}")
    assert tally.inputs > before


def faults_of(tally: Tally, seen: Counter[str]) -> list[str]:
    """What a campaign must have met, and has not."""
    refused = {reason.name for reason in SESSION_REASONS - OF_REQUESTS} - set(tally.refused)
    refused |= {reason.name for reason in OF_REQUESTS if not seen[f"requests {reason.name}"]}
    wanted = ("reports", "trades", "restarts", "journal failures", "floods", "timetable", "states compared", "checks",
              "closed TAKEN_OVER", "closed THROTTLED", "closed JOURNAL_UNAVAILABLE")  # fmt: skip
    faults = [f"nothing was refused as {name}" for name in sorted(refused)]
    faults += [f"never happened: {name}" for name in wanted if not seen[name]]
    if not tally.balanced():
        faults.append("accepted + refused is not the number of inputs")
    return faults


def main() -> None:
    """The campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=1_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--episode", type=int)
    options = parser.parse_args()
    compile_all()
    tally, seen, began = Tally(), Counter[str](), time.monotonic()
    memory: list[float] = []
    numbers = range(-(-options.runs // EPISODE)) if options.episode is None else [options.episode]
    for number in numbers:
        run_episode(options.seed, number, EPISODE, tally, seen)
        if number == len(numbers) // 10:
            memory.append(settled_mb())
    memory.append(settled_mb())
    faults = [*tally.crashes, *(faults_of(tally, seen) if options.episode is None else [])]
    if memory[-1] > (1 + RSS_SLACK) * memory[0]:
        faults.append(f"memory went from {memory[0]} to {memory[-1]} MB")
    summary = {
        "inputs": tally.inputs, "accepted": tally.accepted, "refused": dict(tally.refused.most_common()),
        "crashes": tally.crashed, "faults": faults, "seen": dict(sorted(seen.items())), "rss_mb_begin": memory[0],
        "rss_mb_end": memory[-1], "seconds": round(time.monotonic() - began), "seed": options.seed,
    }  # fmt: skip
    print(json.dumps(summary))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
