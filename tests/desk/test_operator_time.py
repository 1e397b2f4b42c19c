"""A venue whose time comes from its operator: simulations of years that are over, or have not come."""

import numpy as np
import pytest

from engine.codes import CommandKind, Side
from engine.records import command
from gateway.desk.throttle import SECOND
from gateway.wire import messages as m
from gateway.wire.records import RECORD, VERSION, empty_requests
from gateway.wire.topics import Role
from tests.desk.venue import Person, Venue, reports

TEACHER = 2**24 + 2
LONG_AGO, FAR_AHEAD = 10**9 * SECOND, 4 * 10**9 * SECOND
"""2001 and 2096; the test's clock stands in 2023."""


def _venue() -> tuple[Venue, Person, Person]:
    venue = Venue(time_from_operator=True)
    venue.open(2)
    return venue, venue.enter("teacher", TEACHER, Role.INSTRUCTOR), venue.enter("anna", 2)


def _packed(person: Person, *times_ns: int) -> list[m.Reply]:
    """Cancels of everything, as packed requests that bring these times."""
    rows = empty_requests(len(times_ns))
    last = person.venue.desk.replica.principal(person.session.principal.number).last_seq
    rows["seq"] = last + 1 + np.arange(len(rows))
    rows["command"] = command(CommandKind.MASS_CANCEL, account=2)
    rows["command"]["time_ns"] = times_ns
    return person.ask(m.PackedRequests(VERSION, rows.tobytes()))


def _times(venue: Venue) -> list[int]:
    return [int(t) for commit in venue.journal.commits for t in np.frombuffer(commit, RECORD)["command"]["time_ns"]]


@pytest.mark.parametrize("at_ns", [LONG_AGO, FAR_AHEAD])
def test_commands_happen_at_the_time_that_the_operator_brings(at_ns: int) -> None:
    venue, teacher, anna = _venue()
    _packed(teacher, at_ns, at_ns + 5)
    (report,) = reports(anna.ask(m.NewOrderSingle(1, 0, Side.BUY, 10, 1000)))
    assert report.time_ns == at_ns + 5, "a trader's order happens now, and now is what the operator said"
    assert _times(venue)[-3:] == [at_ns, at_ns + 5, at_ns + 5]
    (reply,) = venue.enter("anna", 2, client_id="screen", logon=False).ask(m.Logon())
    assert isinstance(reply, m.LogonReply)
    assert reply.time_ns == at_ns + 5


def test_time_never_runs_backwards() -> None:
    venue, teacher, _ = _venue()
    _packed(teacher, 100, 50, 200)
    _packed(teacher, 150)
    assert _times(venue)[-4:] == [100, 100, 200, 200]


def test_the_time_that_a_trader_brings_counts_for_nothing() -> None:
    venue, teacher, anna = _venue()
    _packed(teacher, LONG_AGO)
    (report,) = reports(_packed(anna, FAR_AHEAD))
    assert report.time_ns == LONG_AGO
    assert _times(venue)[-1] == LONG_AGO


@pytest.mark.parametrize("at_ns", [LONG_AGO, FAR_AHEAD])
def test_market_data_goes_on_by_the_clock_and_carries_the_operators_time(at_ns: int) -> None:
    venue, teacher, anna = _venue()
    _packed(teacher, at_ns)
    venue.turn(1)
    assert venue.desk.subscribe(anna.session, "emex/1/md/ANY/update")
    anna.take()
    for price in (1000, 1001, 1002):
        anna.public()
        anna.ask(m.NewOrderSingle(price, 0, Side.BUY, 10, price))
        venue.turn(1)
        updates = [data for data in anna.public() if isinstance(data, m.MarketDataIncremental)]
        assert [update.time_ns for update in updates] == [at_ns]


def test_after_a_restart_time_goes_on_where_the_operator_left_it() -> None:
    venue, teacher, _ = _venue()
    _packed(teacher, LONG_AGO)
    venue.restart()
    anna = venue.enter("anna", 2)
    (report,) = reports(anna.ask(m.NewOrderSingle(1, 0, Side.BUY, 10, 1000)))
    assert report.time_ns == LONG_AGO


def test_without_that_option_the_clock_counts_and_nobody_elses_time() -> None:
    venue = Venue()
    venue.open(2)
    teacher = venue.enter("teacher", TEACHER, Role.INSTRUCTOR)
    _packed(teacher, LONG_AGO, FAR_AHEAD)
    assert _times(venue)[-2:] == [venue.now_ns, venue.now_ns]
