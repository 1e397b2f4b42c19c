"""The venue's desk: from a payload to its answer. Without I/O but for the journal that is handed in.

    offer      bytes ─ codec.decode ─ may he? ─ too fast? ─> the session's queue            (or refused at once)
    turn       one request of each waiting session, again and again        fair: nobody's batch goes first
               ├ asked before?    same number, same content: the first answer again; other content: refused
               ├ journal.append   one durable commit for the whole turn
               ├ replica.apply    the engine, and who is told what (a host may do this while the disk writes)
               └ outputs          reports, acknowledgements, market data: never before the commit
    close      a connection is gone; its orders go too if it wished so

Time is an argument and never runs backwards; nothing here waits. What must survive a crash is in the replica.
"""

from collections import deque
from collections.abc import Iterable
from dataclasses import dataclass, field
from typing import Protocol

import numpy as np

from engine.codes import NONE, TRADING_KINDS, CommandKind
from engine.core.state import Account
from engine.records import command
from gateway.desk.market_data import MarketData
from gateway.desk.replica import Applied, Replica
from gateway.desk.sequence import RECORD_WORDS, REQUEST_WORDS, as_words, write_records
from gateway.desk.session import Acknowledge, Close, Output, Payload, Publish, Session
from gateway.desk.throttle import Quota, Throttle
from gateway.journal.errors import JournalError
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.codec import Query, WireError
from gateway.wire.reasons import DoorReason
from gateway.wire.records import (
    BATCH_LIMIT,
    HASH_MULTIPLIERS,
    PAYLOAD_LIMIT,
    RECORD,
    REQUEST,
    RESEND_LIMIT,
    STATUS_LIMIT,
    VERSION,
    content_hash,
    position_row,
)
from gateway.wire.topics import Principal, Role

TURN_LIMIT = 1000
"""Requests of one turn, and so of one commit."""
QUEUE_LIMIT = 200
"""Requests of one session that may wait; a transport stops reading above it."""
PATTERNS_LIMIT = 256
"""Topic filters of one session: each is tried whenever readers are looked for."""
BACKLOG_LIMIT = 10_000
"""Requests that may wait at all; above it only cancels are taken, up to a tenth more."""
_UNKNOWN_ID = 2**62
_NOTHING = np.zeros((0, REQUEST_WORDS), np.uint64)
_REPORTS_A_PAYLOAD = 200
_ROWS_A_TOKEN = 50
_LOOKS_A_TOKEN = 20_000
"""An answer costs its asker one request of his quota for each so many rows, or orders looked through, beside itself; so
does a mass cancel, which looks through all."""
_PAGE_HEADER = 32
"""Bytes of a page of positions beside its rows, at most."""

_CANCELS = np.zeros(256, bool)
_CANCELS[[CommandKind.CANCEL, CommandKind.MASS_CANCEL, CommandKind.DECLINE]] = True
_TRADERS = np.zeros(256, bool)
_TRADERS[[*TRADING_KINDS, CommandKind.SURRENDER]] = True
_MAY_ASK = {Role.TRADER: _TRADERS, Role.INSTRUCTOR: np.ones(256, bool)}


class JournalLike(Protocol):
    """What the desk needs of a journal."""

    def append(self, payload: bytes, records: int, time_ns: int) -> int:
        """Make one commit durable, or raise `JournalError`."""


@dataclass
class Counters:
    """What has happened, for the metrics; nothing decides by it."""

    payloads: int = 0
    requests: int = 0
    commits: int = 0
    duplicates: int = 0
    refused: dict[DoorReason, int] = field(default_factory=dict)
    disconnect_cancels: int = 0

    def refuse(self, reason: DoorReason, count: int = 1) -> None:
        """Count a refusal at the door."""
        self.refused[reason] = self.refused.get(reason, 0) + count


@dataclass(frozen=True)
class Terms:
    """What a venue tells everybody who logs on."""

    rules: str
    rules_hash: str
    epoch: int
    """When this run began, ns."""
    quota: Quota = field(default_factory=Quota)
    time_from_operator: bool = False
    """True: the venue's time is the last that the operator's packed commands have brought, no clock (simulations)."""


@dataclass
class _Taken:
    """One turn's requests, in the order in which they are carried out."""

    rows: np.ndarray
    """REQUEST rows as words."""
    sessions: list[Session]
    owner: np.ndarray
    """Index into `sessions`, by row."""


@dataclass
class Turn:
    """What is done in one turn, and so in one commit."""

    time_ns: int
    records: np.ndarray = field(default_factory=lambda: np.zeros(0, RECORD))
    """RECORD rows: what is asked for the first time, and the venue's own."""
    repeated: list[tuple[Session, np.ndarray]] = field(default_factory=list)
    """REQUEST rows as words whose numbers were used before."""
    queries: list[tuple[Session, Query]] = field(default_factory=list)
    done: list[tuple[Session, Payload]] = field(default_factory=list)
    """Payloads of which nothing is left."""
    applied: Applied | None = None


class Desk:
    """The session layer of one venue."""

    def __init__(self, replica: Replica, journal: JournalLike, terms: Terms) -> None:
        self.replica = replica
        self.terms = terms
        self.counters = Counters()
        self.market_data = MarketData(replica.exchange, terms.epoch)
        self.failed: Exception | None = None
        """Set when the journal could not be written, or the venue itself has failed: nothing is accepted any more."""
        self.stopping = False
        self._journal = journal
        self._sessions: dict[tuple[str, str], Session] = {}
        self._ready: deque[Session] = deque()
        """Sessions with something waiting; the first has the next turn."""
        self._own: list[np.ndarray] = []
        """The venue's own commands that wait."""
        self._names: dict[int, str] = {}
        self._throttles: dict[int, Throttle] = {}
        self._routes: dict[str, list[Session]] = {}
        self._touched: dict[Session, None] = {}
        """Sessions with new outputs, in order."""
        self.backlog = 0
        """Requests that wait."""
        self._now_ns = 0 if terms.time_from_operator else replica.last_ns
        self._clock_ns = 0
        """The clock as it was handed in, which may have been set back."""

    # ------------------------------------------------------------------------------------------- connections

    def connect(self, principal: Principal, client_id: str) -> Session:
        """A new connection of an authenticated principal. One with the same client id is closed as taken over."""
        key = principal.name, client_id
        if key in self._sessions:
            self.end(self._sessions[key], DoorReason.TAKEN_OVER)
        session = self._sessions[key] = Session(principal, client_id)
        self._names[principal.number] = principal.name
        return session

    def subscribe(self, session: Session, pattern: str) -> bool:
        """Let the session read what `pattern` matches, retained messages first; False where it may not, or too much."""
        full = len(session.patterns) >= PATTERNS_LIMIT and pattern not in session.patterns
        if full or not topics.may_read(session.principal, pattern):
            self.counters.refuse(DoorReason.NOT_AUTHORISED)
            return False
        session.patterns.add(pattern)
        self._routes.clear()
        for message in self.market_data.retained():
            if topics.matches(pattern, message.topic):
                self._put(session, message)
        return True

    def unsubscribe(self, session: Session, pattern: str) -> bool:
        """Undo `subscribe`; False where there was none."""
        known = pattern in session.patterns
        session.patterns.discard(pattern)
        self._routes.clear()
        return known

    def end(self, session: Session, reason: DoorReason) -> None:
        """Close a connection from this side."""
        self._put(session, Close(reason))
        self.close(session)

    def close(self, session: Session) -> None:
        """A connection is gone. What it has sent is still carried out, unless its orders are to be cancelled."""
        if session.closed:
            return
        session.closed = True
        key = session.principal.name, session.client_id
        if self._sessions.get(key) is session:
            del self._sessions[key]
        session.patterns.clear()
        self._routes.clear()
        if session.cancel_on_disconnect:
            self.backlog -= session.waiting
            session.pending.clear()
            session.waiting = 0
            if session in self._ready:
                self._ready.remove(session)
            self.counters.disconnect_cancels += 1
            self.operate(command(CommandKind.MASS_CANCEL, account=session.principal.number))

    # ------------------------------------------------------------------------------------------------ requests

    def offer(self, session: Session, topic: str, payload: bytes, token: int, now_ns: int) -> None:
        """A payload has come in. It is refused whole at once, or waits for its turn.

        Parameters
        ----------
        token : given back in the `Acknowledge` for this payload
        """
        if session.closed:
            return
        self.counters.payloads += 1
        if topic != topics.requests(session.principal):
            error = WireError(DoorReason.NOT_AUTHORISED, f"{session.principal.role} publishes on its own topic only")
            self._refuse_payload(session, token, m.Reject(error.reason, error.text))
            return
        try:
            parts = codec.decode(payload)
        except WireError as error:
            self._refuse_payload(session, token, m.Reject(error.reason, error.text))
            return
        try:
            waiting = self._admit(session, parts, now_ns)
        except WireError as error:
            first, last = _numbers_of(parts)
            reject = m.BusinessMessageReject(first, error.reason, error.text, last)
            self._refuse_payload(session, token, reject)
            if error.reason == DoorReason.THROTTLED and self._throttle(session, now_ns).flooding():
                self.end(session, DoorReason.THROTTLED)
            return
        waiting.token = token
        for part in waiting.parts:  # a wish holds from now on: the connection may be gone before the turn
            if isinstance(part, m.Logon):
                session.cancel_on_disconnect = part.cancel_on_disconnect and session.principal.role is Role.TRADER
            elif isinstance(part, m.Logout):
                session.cancel_on_disconnect = False
        if not session.pending:
            self._ready.append(session)
        session.pending.append(waiting)
        session.waiting += waiting.requests
        self.backlog += waiting.requests

    def _refuse_payload(self, session: Session, token: int, reject: m.Reject | m.BusinessMessageReject) -> None:
        """Nothing of a payload is applied; say why."""
        reason = DoorReason(reject.reason)
        self.counters.refuse(reason)
        self._put(session, Publish(session.private_topic, codec.encode([reject])))
        self._put(session, Acknowledge(token, reason))

    def _admit(self, session: Session, parts: list[np.ndarray | Query], now_ns: int) -> Payload:
        """A readable payload, or `WireError`; checked in the order of the reasons' numbers."""
        requests = cancels = mass_cancels = 0
        logged_on = session.logged_on or any(isinstance(p, m.Logon) for w in session.pending for p in w.parts)
        for at, part in enumerate(parts):
            requests += len(part) if isinstance(part, np.ndarray) else 1
            if isinstance(part, m.Logon):
                logged_on = True
            elif not logged_on:
                raise WireError(DoorReason.NOT_LOGGED_ON, "expected a Logon before the first request")
            if isinstance(part, m.RequestForPositions) and not topics.may_read(session.principal, topics.TAPE):
                raise WireError(DoorReason.NOT_AUTHORISED, "expected somebody who may read the tape")
            if isinstance(part, np.ndarray):
                commands = part["command"]
                if not self._authorise(session.principal, commands):
                    raise WireError(DoorReason.NOT_AUTHORISED, "expected requests of one's role, for one's own account")
                parts[at] = as_words(part)
                cancels += int(np.count_nonzero(_CANCELS[commands["kind"]]))
                mass_cancels += int(np.count_nonzero(commands["kind"] == CommandKind.MASS_CANCEL))
        if not self._throttle(session, now_ns).admits(requests - cancels, cancels, now_ns):
            quota = self.terms.quota
            raise WireError(DoorReason.THROTTLED, f"expected at most {quota.rate} a second, {quota.burst} at once")
        if self.failed:
            raise WireError(DoorReason.JOURNAL_UNAVAILABLE, "nothing is accepted until the venue is started again")
        limit = BACKLOG_LIMIT if cancels < requests else BACKLOG_LIMIT * 11 // 10
        if self.backlog + requests > limit:
            raise WireError(DoorReason.OVERLOADED, "too much is waiting; cancels are still taken")
        if self.stopping:
            raise WireError(DoorReason.STOPPING, "the venue is shutting down")
        looked = mass_cancels * self.replica.exchange.known_ids
        self._throttle(session, now_ns).charge_cancels(looked // _LOOKS_A_TOKEN)
        return Payload(deque(parts), 0, requests)

    def _authorise(self, principal: Principal, commands: np.ndarray) -> bool:
        """Fill in a trader's account and take his time off; False when one of the commands is not for him to give."""
        if not _MAY_ASK[principal.role][commands["kind"]].all():
            return False
        if principal.role is Role.INSTRUCTOR:
            return True
        accounts = commands["account"]
        if ((accounts != NONE) & (accounts != principal.number)).any():
            return False
        accounts[:] = principal.number
        if self.terms.time_from_operator:
            commands["time_ns"] = 0
        return True

    def _throttle(self, session: Session, now_ns: int) -> Throttle:
        number = session.principal.number
        if number not in self._throttles:
            free = session.principal.role is Role.INSTRUCTOR
            self._throttles[number] = Throttle(Quota(0, 0) if free else self.terms.quota, now_ns)
        return self._throttles[number]

    def operate(self, commands: np.ndarray) -> None:
        """COMMAND rows of the venue itself (phases, day rolls); they come first in the next turn."""
        self._own.append(commands)

    # ------------------------------------------------------------------------------------------------ the turn

    @property
    def has_work(self) -> bool:
        """Whether requests wait for a turn."""
        return bool(self._ready or self._own) and not self.failed

    @property
    def time_ns(self) -> int:
        """The venue's time, which its commands and messages carry."""
        return self.replica.last_ns if self.terms.time_from_operator else self._now_ns

    def turn(self, now_ns: int) -> list[Session]:
        """One whole turn: `begin`, `commit`, `carry_out`, `finish`."""
        turn = self.begin(now_ns)
        try:
            self.commit(turn)
        except JournalError as error:
            return self.fail(error)
        self.carry_out(turn)
        return self.finish(turn)

    def begin(self, now_ns: int) -> "Turn":
        """Take what waits, up to `TURN_LIMIT` requests. The next turn begins after this one is finished."""
        self._clock_ns, self._now_ns = now_ns, max(now_ns, self._now_ns)
        turn = Turn(self._now_ns)
        if self.has_work:
            taken, turn.queries, turn.done = self._take()
            turn.records, turn.repeated = self._new_records(taken)
        return turn

    def commit(self, turn: "Turn") -> None:
        """Journal a turn. It touches nothing else of the desk and may run in another thread. Raises `JournalError`."""
        if len(turn.records):
            self._journal.append(turn.records.tobytes(), len(turn.records), turn.time_ns)

    def carry_out(self, turn: "Turn") -> None:
        """Apply a turn to the replica; nobody hears of it before `finish`, so that it may run beside `commit`."""
        if len(turn.records):
            turn.applied = self.replica.apply(turn.records)

    def finish(self, turn: "Turn") -> list[Session]:
        """A turn is durable and carried out: answer. Returns the sessions that have something to be sent."""
        if turn.applied is not None:
            self.counters.commits += 1
            self.counters.requests += len(turn.records)
            self._tell(turn.applied)
        for session, row in turn.repeated:
            self._answer_again(session, row)
        for session, query in turn.queries:
            self._answer(session, query)
        for session, payload in turn.done:
            self._put(session, Acknowledge(payload.token))
        for message in self.market_data.due(self._clock_ns, self.time_ns):
            self._publish(message)
        return self._take_touched()

    def fail(self, error: JournalError) -> list[Session]:
        """The journal cannot be written: close every connection, acknowledge nothing of the turn, accept nothing more.

        A client that sends it again after a restart gets the truth.
        """
        self.failed = error
        for session in list(self._sessions.values()):
            self.end(session, DoorReason.JOURNAL_UNAVAILABLE)
        return self._take_touched()

    def _take(self) -> tuple[_Taken, list[tuple[Session, Query]], list[tuple[Session, Payload]]]:
        """Requests of all waiting sessions, one of each in rotation; queries; and the payloads that are then done."""
        sessions, queries, done = list(self._ready), [], []
        rows: list[np.ndarray] = []
        share = max(1, TURN_LIMIT // max(1, len(sessions)))
        for session in sessions:
            taken, queries_of_it, done_of_it = _take_from(session, share)
            rows.append(taken)
            queries += [(session, query) for query in queries_of_it]
            done += [(session, payload) for payload in done_of_it]
            self.backlog -= len(taken) + len(queries_of_it)
        self._ready = deque(session for session in sessions if session.pending)
        if self._ready and self._ready[0] is sessions[0]:
            self._ready.rotate(-1)
        if not rows:
            return _Taken(_NOTHING, sessions, np.zeros(0, np.int64)), queries, done
        if len(rows) == 1:
            return _Taken(rows[0], sessions, np.zeros(len(rows[0]), np.int64)), queries, done
        owner = np.repeat(np.arange(len(rows)), [len(part) for part in rows])
        merged = np.concatenate(rows)
        if len(merged) > len(rows):
            order = np.concatenate([np.arange(len(part)) for part in rows]).argsort(kind="stable")
            merged, owner = merged[order], owner[order]
        return _Taken(merged, sessions, owner), queries, done

    def _new_records(self, taken: _Taken) -> tuple[np.ndarray, list[tuple[Session, np.ndarray]]]:
        """RECORD rows of what is asked for the first time, the venue's own before them; and what was asked before."""
        own, self._own = self._own, []
        first = sum(len(commands) for commands in own)
        words = np.zeros((first + len(taken.rows), RECORD_WORDS), np.uint64)
        if own:
            commands = np.concatenate(own)
            commands["time_ns"] = self.time_ns
            words[:first, 2:] = as_words(commands)
        principals = list(dict.fromkeys(session.principal.number for session in taken.sessions))
        who = taken.owner
        if len(principals) < len(taken.sessions):
            places = [principals.index(session.principal.number) for session in taken.sessions]
            who = np.array(places, np.int64)[who]
        last_seqs = np.array([self.replica.principal(number).last_seq for number in principals], np.int64)
        asked = np.zeros(len(taken.rows), np.int64)
        count = write_records(
            taken.rows, who, np.array(principals, np.int64), last_seqs, HASH_MULTIPLIERS, self.time_ns,
            self.terms.time_from_operator, words[first:], asked,
        )  # fmt: skip
        repeated = []
        if count < len(taken.rows):
            again = np.setdiff1d(np.arange(len(taken.rows)), asked[:count])
            repeated = [(taken.sessions[taken.owner[at]], taken.rows[at]) for at in again]
        records = words[: first + count].reshape(-1).view(RECORD)
        targets = taken.rows[asked[:count], 0] >> np.uint64(32)
        if targets.any():
            self._resolve_targets(records, first, targets)
        return records, repeated

    def _resolve_targets(self, records: np.ndarray, first: int, target_seqs: np.ndarray) -> None:
        """Orders named by the number of their request get their order id; in this very turn it is already certain."""
        number = self.replica.exchange.command_seq + 1
        principals, seqs, targets = records["principal"], records["seq"], records["command"]["target_id"]
        asked = target_seqs.nonzero()[0]
        whose = principals[first + asked]
        for principal in set(whose.tolist()):
            mine = asked[whose == principal]
            wanted = target_seqs[mine].astype(np.int64)
            ids = self.replica.principal(principal).order_ids(wanted)
            entered = (principals == principal).nonzero()[0]
            at = entered[np.minimum(seqs[entered].searchsorted(wanted), len(entered) - 1)]
            now = (seqs[at] == wanted) & (at < first + mine)
            ids[now] = number + at[now]
            ids[ids == NONE] = _UNKNOWN_ID
            targets[first + mine] = ids

    # ------------------------------------------------------------------------------------------------ answers

    def _tell(self, applied: Applied) -> None:
        """Hand everybody his reports."""
        for number, rows in applied.reports.items():
            name = self._names.get(number)
            if name is None:
                continue
            for topic in (topics.reports(name), topics.copies(name)):
                if self._readers(topic):
                    for begin in range(0, len(rows), _REPORTS_A_PAYLOAD):
                        payload = codec.encode_reports(rows[begin : begin + _REPORTS_A_PAYLOAD])
                        self._publish(Publish(topic, payload))
        if self._readers(topics.TAPE):
            for begin in range(0, len(applied.events), BATCH_LIMIT):
                payload = codec.encode_tape(applied.events[begin : begin + BATCH_LIMIT])
                self._publish(Publish(topics.TAPE, payload))
        self.market_data.update(applied.events)

    def _answer_again(self, session: Session, words: np.ndarray) -> None:
        """A request whose number was used before; a REQUEST row as words."""
        row = words.view(REQUEST)
        seq = int(row["seq"][0])
        answered = self.replica.principal(session.principal.number).answered(seq)
        if answered is None:
            self._refuse(session, seq, DoorReason.SEQ_TOO_OLD, "its result is not kept any more")
        elif answered.content != int(content_hash(row)[0]):
            self._refuse(session, seq, DoorReason.DUP_MISMATCH, "the number was used for another request")
        else:
            self.counters.duplicates += 1
            report = answered.outcome.copy()
            report["poss_dup"] = 1
            self._put(session, Publish(session.private_topic, codec.encode_reports(report)))

    def _refuse(self, session: Session, seq: int, reason: DoorReason, text: str) -> None:
        self.counters.refuse(reason)
        reject = m.BusinessMessageReject(seq, reason, text, seq)
        self._put(session, Publish(session.private_topic, codec.encode([reject])))

    def _answer(self, session: Session, query: Query) -> None:
        """A question, after everything that was asked before it."""
        number = session.principal.number
        told = self.replica.principal(number)
        match query:
            case m.Logon():
                session.logged_on = True
                self._reply(session, [self._logon_reply(session)])
                if query.next_expected:
                    self._resend(session, query.next_expected, told.next_report - 1)
            case m.Logout():
                session.logged_on = False
            case m.TestRequest():
                self._reply(session, [m.Heartbeat(query.test_req_id)])
            case m.ResendRequest():
                self._resend(session, max(1, query.begin_seq), query.end_seq or told.next_report - 1)
            case m.StatusRequest():
                self._reply(session, self._status(session, number, query))
            case m.RequestForPositions():
                self._reply(session, self._positions(query.request_id))

    def _logon_reply(self, session: Session) -> m.LogonReply:
        told = self.replica.principal(session.principal.number)
        phase, date = self.replica.exchange.today()
        free = session.principal.role is Role.INSTRUCTOR
        return m.LogonReply(
            told.last_seq, told.next_report, self.terms.epoch, self.time_ns, self.terms.rules, self.terms.rules_hash,
            session.principal.number, list(self.replica.exchange.symbols), phase, date, BATCH_LIMIT, PAYLOAD_LIMIT,
            0 if free else self.terms.quota.rate,
        )  # fmt: skip

    def _status(self, session: Session, number: int, query: m.StatusRequest) -> list[m.Message]:
        holdings = self.replica.exchange.holdings(number)
        if holdings is None:
            return [m.OpenOrders(query.request_id, [])]
        cash, held, blocked, units = holdings
        next_report = self.replica.principal(number).next_report
        rows, looked = self.replica.exchange.living_after(number, query.after_id, STATUS_LIMIT + 1)
        self._throttle(session, self._now_ns).charge(len(rows) // _ROWS_A_TOKEN + looked // _LOOKS_A_TOKEN)
        return [
            m.AccountReport(query.request_id, number, cash, held, blocked, units, next_report),
            m.OpenOrders(query.request_id, rows[:STATUS_LIMIT].tolist(), last=len(rows) <= STATUS_LIMIT),
        ]

    def _positions(self, request_id: int) -> list[m.Message]:
        accounts, units = self.replica.exchange.balances()
        opened = np.flatnonzero(accounts[:, Account.OPEN])
        rows = np.zeros(len(opened), position_row(units.shape[1]))
        rows["account"], rows["units_t"] = opened, units[opened]
        rows["cash_fen"], rows["cash_held_fen"] = accounts[opened][:, [Account.CASH, Account.CASH_HELD]].T
        page = (PAYLOAD_LIMIT - _PAGE_HEADER) // rows.itemsize
        cuts = range(0, len(rows), page)
        return [m.PositionRows(request_id, VERSION, rows[at : at + page].tobytes(), at == cuts[-1]) for at in cuts]

    def _resend(self, session: Session, begin: int, end: int) -> None:
        """Private reports again, as far as they are kept; not all of a long past at once, which chokes a connection."""
        rows = self.replica.principal(session.principal.number).reports_since(begin)
        rows = rows[rows["priv_seq"] <= end][:RESEND_LIMIT].copy()
        self._throttle(session, self._now_ns).charge(len(rows) // _ROWS_A_TOKEN)
        if len(rows) and rows["priv_seq"][0] > begin:
            self._reply(session, [m.SequenceReset(int(rows["priv_seq"][0]))])
        rows["poss_dup"] = 1
        for at in range(0, len(rows), _REPORTS_A_PAYLOAD):
            payload = codec.encode_reports(rows[at : at + _REPORTS_A_PAYLOAD])
            self._put(session, Publish(session.private_topic, payload))

    def _reply(self, session: Session, replies: Iterable[m.Message]) -> None:
        """Each in a payload of its own."""
        for reply in replies:
            self._put(session, Publish(session.private_topic, codec.encode([reply])))

    # ------------------------------------------------------------------------------------------------ outputs

    def _readers(self, topic: str) -> list[Session]:
        readers = self._routes.get(topic)
        if readers is None:
            readers = self._routes[topic] = [s for s in self._sessions.values() if s.reads(topic)]
        return readers

    def _publish(self, message: Publish) -> None:
        for session in self._readers(message.topic):
            self._put(session, message)

    def _put(self, session: Session, output: Output) -> None:
        if session.closed:
            return
        session.outputs.append(output)
        self._touched[session] = None

    def _take_touched(self) -> list[Session]:
        touched, self._touched = list(self._touched), {}
        return touched


def _take_from(session: Session, limit: int) -> tuple[np.ndarray, list[Query], list[Payload]]:
    """Up to `limit` requests of one session: rows, then one query; what comes after it waits for the next turn."""
    rows: list[np.ndarray] = []
    queries: list[Query] = []
    done: list[Payload] = []
    count = 0
    while session.pending and count < limit:
        payload = session.pending[0]
        while payload.parts and count < limit:
            part = payload.parts[0]
            if queries:
                break
            if isinstance(part, np.ndarray):
                rows.append(part[: limit - count])
                count += len(rows[-1])
                if len(rows[-1]) == len(part):
                    payload.parts.popleft()
                else:
                    payload.parts[0] = part[len(rows[-1]) :]
            else:
                queries.append(part)
                payload.parts.popleft()
                count += 1
        if payload.parts:
            break
        done.append(session.pending.popleft())
    session.waiting -= count
    if len(rows) == 1:
        return rows[0], queries, done
    return (np.concatenate(rows) if rows else _NOTHING), queries, done


def _numbers_of(parts: list[np.ndarray | Query]) -> tuple[int, int]:
    """First and last number among the requests of a payload; 0 where there are only queries."""
    rows = [part if part.dtype == REQUEST else part.reshape(-1).view(REQUEST) for part in parts
            if isinstance(part, np.ndarray)]  # fmt: skip
    return (int(rows[0]["seq"][0]), int(rows[-1]["seq"][-1])) if rows else (0, 0)
