"""Who may do and read what: the whole matrix of roles, topics and messages. Whatever is not allowed here is refused."""

from typing import Any

import numpy as np
import pytest

from engine.codes import CommandKind
from gateway.wire import codec
from gateway.wire import messages as m
from gateway.wire.codec import KINDS
from gateway.wire.reasons import DoorReason
from gateway.wire.records import VERSION, empty_requests
from gateway.wire.topics import Role
from tests.desk.venue import Venue, reports

NAMES = {Role.TRADER: "anna", Role.INSTRUCTOR: "teacher", Role.OBSERVER: "guest", Role.DROP_COPY: "risk"}
NUMBERS = {Role.TRADER: 2, Role.INSTRUCTOR: 90, Role.OBSERVER: 91, Role.DROP_COPY: 92}
EVERYBODY = set(Role)
PUBLISH_TOPICS = {
    "emex/1/in/anna": {Role.TRADER}, "emex/1/admin/teacher": {Role.INSTRUCTOR}, "emex/1/in/ben": set(),
    "emex/1/admin/anna": set(), "emex/1/in/teacher": set(), "emex/1/in/guest": set(), "emex/1/in/risk": set(),
    "emex/1/out/anna": set(), "emex/1/copy/anna": set(), "emex/1/tape": set(), "emex/1/md/ANY/snapshot": set(),
    "emex/1/md/status": set(), "emex/1/in/anna/x": set(), "emex/1/in/": set(), "": set(), "x": set(),
}  # fmt: skip
READS_ALL = {Role.INSTRUCTOR, Role.DROP_COPY}
READ_PATTERNS = {
    "emex/1/md/#": EVERYBODY, "emex/1/md/ANY/update": EVERYBODY, "emex/1/md/+/snapshot": EVERYBODY,
    "emex/1/md/status": EVERYBODY, "emex/1/out/anna": {Role.TRADER}, "emex/1/out/teacher": {Role.INSTRUCTOR},
    "emex/1/copy/+": READS_ALL, "emex/1/copy/ben": READS_ALL, "emex/1/tape": READS_ALL,
    "emex/1/out/ben": set(), "emex/1/out/+": set(), "emex/1/out/#": set(), "emex/1/in/anna": set(),
    "emex/1/admin/teacher": set(), "emex/1/#": set(), "emex/#": set(), "#": set(), "+/1/out/ben": set(),
    "emex/1/+/ben": set(), "emex/+/out/ben": set(), "$share/g/emex/1/out/ben": set(), "$SYS/#": set(),
    "emex/1/copy/#": set(), "emex/1/copy/": set(), "emex/1/tape/x": set(), "emex/1/out/guest": set(),
    "emex/1/out/risk": set(), "emex/1/md": set(), "": set(),
}  # fmt: skip
OPERATORS = {
    m.OpenAccount, m.Deposit, m.Withdraw, m.Issue, m.Fine, m.Deduct, m.SetPhase, m.DayRoll, m.SetRule, m.KillSwitch,
    m.EndStage,
}  # fmt: skip


@pytest.fixture(scope="module")
def venue() -> Venue:
    made = Venue()
    made.open(2, 3)
    return made


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("topic", PUBLISH_TOPICS)
def test_publishing_is_allowed_on_ones_own_topic_only(venue: Venue, role: Role, topic: str) -> None:
    person = venue.enter(NAMES[role], NUMBERS[role], role, logon=False)
    token = person.send(m.Logon(), topic=topic or "/")
    venue.turn()
    (ack,) = [ack for ack in person.acks if ack.token == token]
    allowed = role in PUBLISH_TOPICS[topic]
    assert ack.reason is (None if allowed else DoorReason.NOT_AUTHORISED)
    assert person.session.logged_on == allowed


@pytest.mark.parametrize("role", Role)
@pytest.mark.parametrize("pattern", READ_PATTERNS)
def test_reading_is_allowed_where_the_table_says_so(venue: Venue, role: Role, pattern: str) -> None:
    person = venue.enter(NAMES[role], NUMBERS[role], role, logon=False)
    assert venue.desk.subscribe(person.session, pattern) == (role in READ_PATTERNS[pattern])


@pytest.mark.parametrize("kind", KINDS, ids=lambda kind: kind.__name__)
def test_a_trader_sends_what_traders_send_and_nothing_of_an_operator(venue: Venue, kind: Any) -> None:
    person = venue.enter("anna", 2)
    seq = venue.desk.replica.principal(2).last_seq + 1
    events = venue.desk.replica.exchange.event_seq
    required = [field for field in m.fields_of(kind) if field not in kind.__struct_defaults__][1:]
    values = [2 if field == "account" else 1 for field in required[: _required(kind) - 1]]
    person.ask(kind(seq, *values))
    refused = person.acks[-1].reason == DoorReason.NOT_AUTHORISED
    assert refused == (kind in OPERATORS)
    assert (venue.desk.replica.exchange.event_seq == events) == refused


def _required(kind: type[m.Message]) -> int:
    """How many fields have no default."""
    return len(m.fields_of(kind)) - len(kind.__struct_defaults__)


@pytest.mark.parametrize("kind", CommandKind)
def test_packed_requests_are_judged_like_messages(venue: Venue, kind: Any) -> None:
    person = venue.enter("anna", 2)
    rows = empty_requests(1)
    rows["seq"] = venue.desk.replica.principal(2).last_seq + 1
    rows["command"]["kind"] = kind
    person.ask(m.PackedRequests(VERSION, rows.tobytes()))
    allowed = {KINDS[known] for known in KINDS if known not in OPERATORS}
    assert (person.acks[-1].reason == DoorReason.NOT_AUTHORISED) == (kind not in allowed)


def test_a_trader_cannot_name_another_account_in_any_packed_request(venue: Venue) -> None:
    person = venue.enter("anna", 2)
    rng = np.random.default_rng(5)
    before = venue.desk.replica.principal(3).next_report
    for _ in range(2000):
        rows = empty_requests(3)
        rows["seq"] = venue.desk.replica.principal(2).last_seq + 1 + np.arange(3)
        rows["command"]["kind"] = rng.choice([1, 2, 3, 8, 23], 3)
        rows["command"]["account"] = rng.choice([-1, 2, 2, 3, 0, 1, 2**31 - 1], 3)
        others = ~np.isin(rows["command"]["account"], (-1, 2))
        person.send(m.PackedRequests(VERSION, rows.tobytes()))
        venue.turn()
        refused = person.acks[-1].reason == DoorReason.NOT_AUTHORISED
        assert refused == (others.any() or 23 in rows["command"]["kind"])
    assert venue.desk.replica.principal(3).next_report == before


def test_another_accounts_reports_never_reach_anybody_else(venue: Venue) -> None:
    anna, ben = venue.enter("anna", 2), venue.enter("ben", 3)
    guest = venue.enter("guest", 91, Role.OBSERVER)
    for pattern in READ_PATTERNS:
        venue.desk.subscribe(guest.session, pattern)
        venue.desk.subscribe(ben.session, pattern)
    seq = venue.desk.replica.principal(2).last_seq
    anna.ask(*(m.NewOrderSingle(seq + at, 0, 1, 1, 1000) for at in range(1, 20)))
    venue.turn(1)
    assert reports(ben.replies()) == []
    private = [out for person in (ben, guest) for out in person.sent if "/md/" not in out.topic]
    assert private == []


def test_an_observer_and_a_drop_copy_send_nothing(venue: Venue) -> None:
    for role in (Role.OBSERVER, Role.DROP_COPY):
        person = venue.enter(NAMES[role], NUMBERS[role], role)
        events = venue.desk.replica.exchange.event_seq
        person.send_bytes(codec.encode([m.NewOrderSingle(1, 0, 1, 1, 1000)]))
        venue.turn()
        assert person.acks[-1].reason == DoorReason.NOT_AUTHORISED
        assert venue.desk.replica.exchange.event_seq == events
