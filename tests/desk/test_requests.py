"""What becomes of a request: one outcome, once, whatever is sent again."""

import pytest

from engine.codes import EventKind, RejectReason, Side
from gateway.desk import desk as desk_module
from gateway.desk.kept import KEPT
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from tests.desk.venue import Venue, reports, venue_with

BUY, SELL = Side.BUY, Side.SELL


def test_an_order_is_answered_once_and_every_fill_is_told_to_both_sides() -> None:
    _, (anna, ben) = venue_with("anna", "ben")
    (accepted,) = reports(anna.ask(m.NewOrderSingle(1, 0, BUY, 10, 1000)))
    assert (accepted.exec_type, accepted.ref_seq, accepted.qty) == (EventKind.ACCEPTED, 1, 10)
    theirs = reports(ben.ask(m.NewOrderSingle(1, 0, SELL, 4, 1000)))
    assert [report.exec_type for report in theirs] == [EventKind.ACCEPTED, EventKind.TRADE]
    (fill,) = reports(anna.replies())
    assert (fill.order_id, fill.qty, fill.leaves_qty, fill.side) == (accepted.order_id, 4, 6, BUY)
    assert (fill.ref_seq, fill.aggressor, theirs[1].aggressor) == (0, 0, 1)


def test_counterparties_on_a_screen_are_anonymous() -> None:
    _, (anna, ben) = venue_with("anna", "ben")
    anna.ask(m.NewOrderSingle(1, 0, BUY, 10, 1000))
    told = reports(ben.ask(m.NewOrderSingle(1, 0, SELL, 4, 1000))) + reports(anna.replies())
    assert [report.contra for report in told] == [-1, -1, -1]


def test_the_same_request_again_gets_the_first_answer_again_and_happens_once() -> None:
    venue, (anna,) = venue_with("anna")
    order = m.NewOrderSingle(1, 0, BUY, 10, 1000)
    (first,) = reports(anna.ask(order))
    events = venue.desk.replica.exchange.event_seq
    (again,) = reports(anna.ask(order))
    assert again.poss_dup == 1
    again.poss_dup = 0
    assert again == first
    assert venue.desk.replica.exchange.event_seq == events


def test_a_rejected_request_is_repeated_with_its_reason() -> None:
    _, (anna,) = venue_with("anna")
    cancel = m.OrderCancelRequest(1, target_id=77)
    (first,) = reports(anna.ask(cancel))
    (again,) = reports(anna.ask(cancel))
    assert first.reason == again.reason == RejectReason.UNKNOWN_ORDER


def test_a_number_used_for_another_request_is_refused_and_changes_nothing() -> None:
    venue, (anna,) = venue_with("anna")
    anna.ask(m.NewOrderSingle(1, 0, BUY, 10, 1000))
    events = venue.desk.replica.exchange.event_seq
    (reject,) = anna.ask(m.NewOrderSingle(1, 0, BUY, 11, 1000))
    assert isinstance(reject, m.BusinessMessageReject)
    assert (reject.ref_seq, reject.reason) == (1, DoorReason.DUP_MISMATCH)
    assert venue.desk.replica.exchange.event_seq == events


def test_numbers_may_have_gaps_but_a_skipped_one_cannot_be_used_later() -> None:
    _, (anna,) = venue_with("anna")
    assert reports(anna.ask(m.NewOrderSingle(5, 0, BUY, 1, 1000)))[0].exec_type == EventKind.ACCEPTED
    (reject,) = anna.ask(m.NewOrderSingle(4, 0, BUY, 1, 1000))
    assert (reject.reason, reject.ref_seq) == (DoorReason.SEQ_TOO_OLD, 4)


def test_results_are_kept_for_the_last_hundred_thousand_requests(monkeypatch: pytest.MonkeyPatch) -> None:
    assert KEPT == 100_000
    venue, (anna,) = venue_with("anna")
    monkeypatch.setattr(venue.desk.replica.principal(2).requests, "_kept", 50)
    for seq in range(1, 301):
        anna.send(m.NewOrderSingle(seq, 0, BUY, 1, 1000))
        venue.turn()
    anna.replies()
    assert reports(anna.ask(m.NewOrderSingle(251, 0, BUY, 1, 1000)))[0].poss_dup == 1
    (reject,) = anna.ask(m.NewOrderSingle(1, 0, BUY, 1, 1000))
    assert reject.reason == DoorReason.SEQ_TOO_OLD


def test_a_repetition_in_the_same_payload_is_a_repetition() -> None:
    _, (anna,) = venue_with("anna")
    order = m.NewOrderSingle(1, 0, BUY, 10, 1000)
    first, again = reports(anna.ask(order, order))
    assert (first.poss_dup, again.poss_dup, first.order_id) == (0, 1, again.order_id)


def test_requests_of_two_connections_of_one_account_share_their_numbers() -> None:
    venue, (anna,) = venue_with("anna")
    other = venue.enter("anna", 2, client_id="screen")
    order = m.NewOrderSingle(1, 0, BUY, 10, 1000)
    anna.send(order)
    other.send(order)
    venue.turn()
    told = reports(anna.replies())
    assert [report.ref_seq for report in told if not report.poss_dup] == [1]
    assert sum(report.poss_dup for report in reports(other.replies()) + told) == 1


def test_an_order_can_be_named_by_the_number_of_its_request_even_in_the_same_payload() -> None:
    _, (anna,) = venue_with("anna")
    told = reports(anna.ask(m.NewOrderSingle(1, 0, BUY, 10, 1000), m.OrderCancelRequest(2, target_seq=1)))
    assert [report.exec_type for report in told] == [EventKind.ACCEPTED, EventKind.CANCELED]
    anna.ask(m.NewOrderSingle(3, 0, BUY, 10, 1000))
    (report,) = reports(anna.ask(m.OrderCancelReplaceRequest(4, target_seq=3, qty=4)))
    assert (report.exec_type, report.leaves_qty) == (EventKind.REPLACED, 4)


def test_a_request_cannot_name_one_that_comes_after_it() -> None:
    _, (anna,) = venue_with("anna")
    told = reports(anna.ask(m.OrderCancelRequest(1, target_seq=2), m.NewOrderSingle(2, 0, BUY, 10, 1000)))
    assert [report.exec_type for report in told] == [EventKind.REJECTED, EventKind.ACCEPTED]


def test_somebody_elses_order_looks_like_one_that_does_not_exist() -> None:
    _, (anna, ben) = venue_with("anna", "ben")
    (order,) = reports(anna.ask(m.NewOrderSingle(1, 0, BUY, 10, 1000)))
    (theirs,) = reports(ben.ask(m.OrderCancelRequest(1, target_id=order.order_id)))
    (nobodys,) = reports(ben.ask(m.OrderCancelRequest(2, target_id=order.order_id + 900)))
    assert theirs.reason == nobodys.reason == RejectReason.UNKNOWN_ORDER


def test_results_leave_only_after_the_commit() -> None:
    venue, (anna,) = venue_with("anna")
    seen = []
    append = venue.journal.append

    def watched(payload: bytes, records: int, time_ns: int) -> int:
        seen.append(list(anna.session.outputs))
        return append(payload, records, time_ns)

    venue.journal.append = watched
    anna.ask(m.NewOrderSingle(1, 0, BUY, 10, 1000))
    assert seen == [[]]


def test_a_journal_that_fails_acknowledges_nothing_and_closes_every_connection() -> None:
    venue, (anna, ben) = venue_with("anna", "ben")
    venue.journal.fail_at = len(venue.journal.commits) + 1
    token = anna.send(m.NewOrderSingle(1, 0, BUY, 10, 1000))
    venue.turn()
    assert token not in [ack.token for ack in anna.acks]
    assert reports(anna.replies()) == []
    assert anna.closed.reason == ben.closed.reason == DoorReason.JOURNAL_UNAVAILABLE
    assert venue.desk.failed is not None
    late = venue.enter("carl", 4, logon=False)
    late.send(m.Logon())
    late.take()
    assert late.acks[-1].reason == DoorReason.JOURNAL_UNAVAILABLE


def test_an_acknowledged_payload_was_committed_whole() -> None:
    venue, (anna,) = venue_with("anna")
    before = len(venue.journal.commits)
    token = anna.send(*(m.NewOrderSingle(seq, 0, BUY, 1, 1000) for seq in range(1, 101)))
    venue.turn()
    assert [ack for ack in anna.acks if ack.token == token] == [(token, None)]
    assert sum(len(commit) // 112 for commit in venue.journal.commits[before:]) == 100


def test_everybody_waiting_gets_one_request_carried_out_before_anybody_gets_a_second() -> None:
    venue, people = venue_with("anna", "ben", "carl")
    for person in people:
        person.send(*(m.NewOrderSingle(seq, 0, BUY, 1, 1000) for seq in range(1, 6)))
    venue.turn()
    order = sorted((report.order_id, at) for at, person in enumerate(people) for report in reports(person.replies()))
    owners = [at for _, at in order]
    assert [sorted(owners[at : at + 3]) for at in range(0, 15, 3)] == [[0, 1, 2]] * 5


def test_a_batch_of_one_account_does_not_hold_up_the_others(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "TURN_LIMIT", 10)
    venue, (anna, ben) = venue_with("anna", "ben")
    anna.send(*(m.NewOrderSingle(seq, 0, BUY, 1, 1000) for seq in range(1, 101)))
    ben.send(m.NewOrderSingle(1, 0, BUY, 1, 1000))
    venue.desk.turn(venue.now_ns)
    ben.take()
    assert [report.exec_type for report in reports(ben.replies())] == [EventKind.ACCEPTED]
    venue.turn()
    assert len(reports(anna.replies())) == 100


def test_queries_are_answered_after_what_was_asked_before_them() -> None:
    _, (anna,) = venue_with("anna")
    replies = anna.ask(m.NewOrderSingle(1, 0, BUY, 10, 1000), m.StatusRequest(9), m.TestRequest(5))
    kinds = [type(reply) for reply in replies]
    assert kinds == [m.ExecutionReport, m.AccountReport, m.OpenOrders, m.Heartbeat]
    assert replies[2].orders[0][0] == replies[0].order_id
    assert replies[1].next_report == replies[0].priv_seq + 1


@pytest.mark.parametrize("rules", ["generic", "cn-cea"])
def test_after_a_restart_the_same_request_still_happens_once(rules: str) -> None:
    venue = Venue(rules)
    venue.open(2)
    anna = venue.enter("anna", 2)
    order = m.NewOrderSingle(1, 0, BUY, 10, 4800)
    (first,) = reports(anna.ask(order))
    venue.restart()
    anna = venue.enter("anna", 2)
    (again,) = reports(anna.ask(order))
    assert (again.poss_dup, again.order_id, again.exec_type, again.priv_seq) == (
        1, first.order_id, first.exec_type, first.priv_seq,
    )  # fmt: skip
