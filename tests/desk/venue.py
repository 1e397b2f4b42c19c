"""A venue in memory with a clock that the test turns: the real desk, engine and codec, no socket, no file."""

from dataclasses import dataclass, field

import numpy as np

from engine.codes import CommandKind
from engine.records import command
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import find_rulebook
from gateway.desk.desk import Desk, Terms
from gateway.desk.replica import Replica
from gateway.desk.session import Acknowledge, Close, Publish, Session
from gateway.desk.throttle import SECOND, Quota
from gateway.journal.errors import JournalFailedError
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.records import RECORD
from gateway.wire.topics import Principal, Role

FAST = Quota(0, 0)


class MemoryJournal:
    """Commits in a list; `fail_at` makes that append fail."""

    def __init__(self) -> None:
        self.commits: list[bytes] = []
        self.fail_at = 0

    def append(self, payload: bytes, records: int, time_ns: int) -> int:
        del time_ns
        if len(self.commits) + 1 == self.fail_at:
            raise JournalFailedError("the disk is full")
        assert len(payload) == records * RECORD.itemsize
        self.commits.append(payload)
        return len(self.commits)


@dataclass(eq=False)
class Person:
    """Somebody at the desk, with everything he was sent."""

    venue: "Venue"
    session: Session
    sent: list[Publish] = field(default_factory=list)
    acks: list[Acknowledge] = field(default_factory=list)
    closed: Close | None = None
    token: int = 0

    def send(self, *messages: m.Message, topic: str | None = None) -> int:
        """Offer a payload; returns its token. `Venue.turn` carries it out."""
        return self.send_bytes(codec.encode(messages), topic)

    def send_bytes(self, payload: bytes, topic: str | None = None) -> int:
        self.token += 1
        topic = topic or topics.requests(self.session.principal) or "emex/1/in/nobody"
        self.venue.desk.offer(self.session, topic, payload, self.token, self.venue.now_ns)
        return self.token

    def ask(self, *messages: m.Message) -> list[m.Reply]:
        """Send, make a turn, and return what came of it."""
        self.replies()
        self.send(*messages)
        self.venue.turn()
        return self.replies()

    def replies(self) -> list[m.Reply]:
        """Private messages since the last call."""
        found = [reply for out in self.sent if out.topic == self.session.private_topic
                 for reply in codec.decode_replies(out.payload)]  # fmt: skip
        self.sent = [out for out in self.sent if out.topic != self.session.private_topic]
        return found

    def public(self) -> list[m.MarketData]:
        """Market data since the last call."""
        found = [codec.decode_data(out.payload) for out in self.sent if out.topic.startswith(topics.MARKET_DATA)]
        self.sent = [out for out in self.sent if not out.topic.startswith(topics.MARKET_DATA)]
        return found

    def take(self) -> None:
        for output in self.session.take_outputs():
            if isinstance(output, Publish):
                self.sent.append(output)
            elif isinstance(output, Acknowledge):
                self.acks.append(output)
            else:
                self.closed = output


class Venue:
    """A desk whose sessions are `Person`s."""

    def __init__(
        self,
        rules: str = "generic",
        quota: Quota = FAST,
        journal: MemoryJournal | None = None,
        *,
        time_from_operator: bool = False,
    ) -> None:
        self.book = find_rulebook(rules)
        self.rules = compile_rulebook(self.book)
        self.journal = journal or MemoryJournal()
        self.now_ns = 1_700_000_000 * SECOND
        self.quota = quota
        self.time_from_operator = time_from_operator
        self.people: list[Person] = []
        self.desk = self._desk(Replica(self.rules))

    def _desk(self, replica: Replica) -> Desk:
        terms = Terms(self.book.name, self.book.rules_hash, self.now_ns, self.quota, self.time_from_operator)
        return Desk(replica, self.journal, terms)

    def restart(self) -> None:
        """The process dies; a new one replays the journal."""
        replica = Replica(self.rules)
        for payload in self.journal.commits:
            replica.apply(np.frombuffer(payload, RECORD))
        self.people.clear()
        self.desk = self._desk(replica)

    def open(self, *numbers: int) -> None:
        for number in numbers:
            self.desk.operate(command(CommandKind.OPEN_ACCOUNT, account=number, flags=0))
        self.turn()

    def enter(
        self, name: str, number: int, role: Role = Role.TRADER, client_id: str = "main", *, logon: bool = True
    ) -> Person:
        """Connect, subscribe to one's own reports where there are some, log on."""
        principal = Principal(name, number, role)
        person = Person(self, self.desk.connect(principal, client_id))
        self.people.append(person)
        if topics.requests(principal):
            assert self.desk.subscribe(person.session, person.session.private_topic)
            if logon:
                person.ask(m.Logon())
        return person

    def turn(self, seconds: float = 0.0) -> None:
        """Let time pass, then make turns until nothing waits."""
        self.now_ns += int(seconds * SECOND)
        while True:
            self.desk.turn(self.now_ns)
            for person in self.people:
                person.take()
            if not self.desk.has_work:
                return


def venue_with(*names: str, rules: str = "generic", quota: Quota = FAST) -> tuple[Venue, list[Person]]:
    """A venue in which these traders (accounts 2, 3, …) are open and logged on."""
    venue = Venue(rules, quota)
    venue.open(*range(2, 2 + len(names)))
    return venue, [venue.enter(name, 2 + at) for at, name in enumerate(names)]


def reports(replies: list[m.Reply]) -> list[m.ExecutionReport]:
    """The execution reports among replies."""
    return [reply for reply in replies if isinstance(reply, m.ExecutionReport)]
