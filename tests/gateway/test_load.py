"""The load's audit finds what it is there to find: each fault is planted in reports that are otherwise right."""

from typing import Any

import numpy as np
import pytest

from engine.codes import EventKind, Side
from gateway.load import Audit, _histogram
from gateway.wire import codec
from gateway.wire import messages as m
from tests.desk.venue import Person, venue_with


def reports_of(person: Person) -> list[list[Any]]:
    """What somebody was told, as arrays on the wire."""
    return [["8", *(getattr(r, name) for name in m.fields_of(m.ExecutionReport))]
            for out in person.sent if out.topic == person.session.private_topic
            for r in codec.decode_replies(out.payload) if isinstance(r, m.ExecutionReport)]  # fmt: skip


def a_day() -> list[list[Any]]:
    """Anna sells 10 t in two fills, cancels an order, is refused once; her reports."""
    venue, (anna, ben) = venue_with("anna", "ben")
    anna.send(m.NewOrderSingle(1, 0, Side.SELL, 10, 1000), m.NewOrderSingle(2, 0, Side.SELL, 4, 1100))
    venue.turn()
    ben.send(m.NewOrderSingle(1, 0, Side.BUY, 3, 1000), m.NewOrderSingle(2, 0, Side.BUY, 7, 1000))
    venue.turn()
    anna.send(m.OrderCancelRequest(3, target_seq=2), m.OrderCancelRequest(4, target_seq=2))
    venue.turn()
    return reports_of(anna)


def audited(reports: list[list[Any]]) -> Audit:
    audit = Audit()
    for report in reports:
        audit.take(report)
    return audit


AT = {name: at for at, name in enumerate(m.fields_of(m.ExecutionReport), start=1)}


def test_reports_without_a_fault_add_up() -> None:
    audit = audited(a_day())
    assert audit.faults == []
    assert audit.leaves == {}
    assert audit.outcomes == {1: 1, 2: 1, 3: 1, 4: 1}
    assert (audit.sold_t, audit.received_fen, audit.bought_t, audit.paid_fen, audit.rejected) == (10, 10_000, 0, 0, 1)


def test_a_report_that_was_sent_before_changes_nothing() -> None:
    reports = a_day()
    again = [report.copy() for report in reports]
    for report in again:
        report[AT["poss_dup"]] = 1
    assert audited(reports + again) == audited(reports)


def position(reports: list[list[Any]], kind: EventKind) -> int:
    return next(at for at, report in enumerate(reports) if report[AT["exec_type"]] == kind)


@pytest.mark.parametrize("kind", [EventKind.ACCEPTED, EventKind.TRADE, EventKind.CANCELED, EventKind.REJECTED])
def test_a_missing_report_is_noticed_by_its_number_or_for_want_of_an_outcome(kind: EventKind) -> None:
    reports = a_day()
    del reports[max(1, position(reports, kind))]
    audit = audited(reports)
    assert audit.faults or len(audit.outcomes) < 4


@pytest.mark.parametrize("kind", [EventKind.ACCEPTED, EventKind.TRADE, EventKind.CANCELED])
def test_a_doubled_report_is_noticed_even_under_a_number_of_its_own(kind: EventKind) -> None:
    reports = a_day()
    at = position(reports, kind)
    reports.insert(at, reports[at].copy())
    for number, report in enumerate(reports, start=1):
        report[AT["priv_seq"]] = number
    audit = audited(reports)
    assert audit.faults or max(audit.outcomes.values()) > 1


@pytest.mark.parametrize(("kind", "name"), [(EventKind.TRADE, "leaves_qty"), (EventKind.TRADE, "qty"),
                                            (EventKind.CANCELED, "leaves_qty")])  # fmt: skip
def test_a_quantity_that_does_not_add_up_is_noticed(kind: EventKind, name: str) -> None:
    reports = a_day()
    reports[position(reports, kind)][AT[name]] += 1
    assert audited(reports).faults


def test_a_refusal_is_an_outcome_and_one_beside_another_outcome_is_noticed() -> None:
    audit = audited(a_day())
    audit.refuse(range(5, 8))
    assert audit.outcomes == dict.fromkeys(range(1, 8), 1)
    audit.refuse(range(4, 5))
    assert audit.outcomes[4] == 2, "refused, and carried out all the same"


def test_every_latency_is_in_the_histogram_below_its_bound() -> None:
    latencies = np.random.default_rng(1).lognormal(0.0, 2.0, 5000)
    histogram = _histogram(latencies)
    assert sum(count for _, count in histogram) == 5000
    bounds = [bound for bound, _ in histogram]
    assert bounds == sorted(bounds)
    for bound, below in zip(bounds, np.cumsum([count for _, count in histogram]), strict=True):
        assert abs(int((latencies <= bound).sum()) - below) <= 2, "bounds are rounded to four digits"
    assert _histogram(np.zeros(0)) == []
