"""A session's life: log-on, what was missed, disconnection, speed limits."""

import pytest

from engine.codes import EventKind, RejectReason, Side
from gateway.desk import desk as desk_module
from gateway.desk.session import Publish
from gateway.desk.throttle import SECOND, Quota
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.topics import Role
from tests.desk.venue import Venue, reports, venue_with

BUY, SELL = Side.BUY, Side.SELL


def order(seq: int, side: int = BUY, qty: int = 1, price: int = 1000) -> m.NewOrderSingle:
    return m.NewOrderSingle(seq, 0, side, qty, price)


def test_a_logon_says_where_numbers_stand_and_what_is_traded() -> None:
    venue = Venue()
    venue.open(2)
    anna = venue.enter("anna", 2, logon=False)
    (reply,) = anna.ask(m.Logon())
    assert isinstance(reply, m.LogonReply)
    assert (reply.last_seq, reply.account, reply.symbols, reply.rules) == (0, 2, ["ANY"], "generic")
    anna.ask(order(3), order(9))
    (reply,) = anna.ask(m.Logon())
    assert (reply.last_seq, reply.next_report) == (9, 4)


def test_nothing_is_taken_before_the_logon() -> None:
    venue = Venue()
    venue.open(2)
    anna = venue.enter("anna", 2, logon=False)
    (reject,) = anna.ask(order(1))
    assert (reject.reason, anna.acks[-1].reason) == (DoorReason.NOT_LOGGED_ON, DoorReason.NOT_LOGGED_ON)


def test_a_logon_in_front_of_the_same_payload_is_enough() -> None:
    venue = Venue()
    venue.open(2)
    anna = venue.enter("anna", 2, logon=False)
    assert [type(reply) for reply in anna.ask(m.Logon(), order(1))] == [m.LogonReply, m.ExecutionReport]


def test_reports_are_numbered_without_gaps_and_can_be_had_again() -> None:
    _, (anna, ben) = venue_with("anna", "ben")
    for seq in range(1, 6):
        anna.ask(order(seq))
        ben.ask(order(seq, SELL))
    anna.replies()
    again = reports(anna.ask(m.ResendRequest(1)))
    assert [report.priv_seq for report in again] == list(range(1, 12))
    assert all(report.poss_dup for report in again)
    assert [report.priv_seq for report in reports(anna.ask(m.ResendRequest(4, 6)))] == [4, 5, 6]


def test_what_was_missed_comes_with_the_next_logon_even_after_a_restart() -> None:
    venue, (anna, ben) = venue_with("anna", "ben")
    anna.ask(order(1, qty=5))
    venue.desk.close(anna.session)
    ben.ask(order(1, SELL, qty=2))
    venue.restart()
    anna = venue.enter("anna", 2, logon=False)
    missed = reports(anna.ask(m.Logon(3)))
    assert [(report.priv_seq, report.exec_type) for report in missed] == [(3, EventKind.TRADE)]


def test_reports_that_are_no_longer_kept_are_announced_as_a_gap(monkeypatch: pytest.MonkeyPatch) -> None:
    venue, (anna,) = venue_with("anna")
    monkeypatch.setattr(venue.desk.replica.principal(2).reports, "_kept", 50)
    for seq in range(1, 301):
        anna.send(order(seq))
        venue.turn()
    anna.replies()
    reset, *rest = anna.ask(m.ResendRequest(1))
    assert isinstance(reset, m.SequenceReset)
    assert reports(rest)[0].priv_seq == reset.new_seq > 1


def test_a_long_past_comes_in_pages_that_no_connection_chokes_on(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "RESEND_LIMIT", 50)
    venue, (anna,) = venue_with("anna")
    for begin in range(1, 121, 40):
        anna.send(*(order(seq) for seq in range(begin, begin + 40)))
        venue.turn()
    anna.replies()

    def numbers(query: m.Message) -> list[int]:
        return [report.priv_seq for report in reports(anna.ask(query))]

    assert numbers(m.ResendRequest(1)) == list(range(1, 51))
    assert numbers(m.ResendRequest(51)) == list(range(51, 101))
    assert numbers(m.ResendRequest(101)) == list(range(101, 122))
    assert numbers(m.Logon(2)) == list(range(2, 52))


def test_open_orders_come_in_pages_that_begin_behind_an_order(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "STATUS_LIMIT", 50)
    venue, (anna, ben) = venue_with("anna", "ben")
    for begin in range(1, 121, 40):
        anna.send(*(order(seq) for seq in range(begin, begin + 40)))
        ben.send(*(order(seq) for seq in range(begin, begin + 40)))
        venue.turn()
    ids = venue.desk.replica.exchange.living(2)[:, 0].tolist()
    assert len(ids) == 120
    venue.turn()
    anna.replies()

    def page(after_id: int) -> tuple[list[int], bool]:
        account, orders = anna.ask(m.StatusRequest(7, after_id))
        assert isinstance(account, m.AccountReport)
        assert (account.request_id, orders.request_id) == (7, 7)
        return [row[0] for row in orders.orders], orders.last

    assert page(0) == (ids[:50], False)
    assert page(ids[49]) == (ids[50:100], False)
    assert page(ids[99]) == (ids[100:], True)
    assert page(ids[69]) == (ids[70:], True)
    assert page(ids[-1]) == page(2**62) == ([], True)


def test_cancel_on_disconnect_cancels_what_rests_and_what_still_waits() -> None:
    venue, (anna,) = venue_with("anna")
    anna.ask(m.Logon(cancel_on_disconnect=True))
    anna.ask(order(1), order(2))
    anna.send(order(3))
    venue.desk.close(anna.session)
    venue.turn()
    anna = venue.enter("anna", 2)
    assert anna.ask(m.StatusRequest())[1].orders == []
    kinds = [report.exec_type for report in reports(anna.ask(m.ResendRequest(4)))]
    assert kinds == [EventKind.CANCELED, EventKind.CANCELED, EventKind.MASS_CANCELED]


def test_cancel_on_disconnect_survives_a_restart_because_it_is_journaled() -> None:
    venue, (anna,) = venue_with("anna")
    anna.ask(m.Logon(cancel_on_disconnect=True))
    anna.ask(order(1))
    venue.desk.close(anna.session)
    venue.turn()
    venue.restart()
    assert venue.enter("anna", 2).ask(m.StatusRequest())[1].orders == []


def test_orders_stay_after_a_disconnection_without_that_wish_and_after_a_logout() -> None:
    venue, (anna,) = venue_with("anna")
    anna.ask(order(1))
    anna.send(order(2))
    venue.desk.close(anna.session)
    venue.turn()
    anna = venue.enter("anna", 2)
    anna.ask(m.Logon(cancel_on_disconnect=True), m.Logout())
    venue.desk.close(anna.session)
    venue.turn()
    assert len(venue.enter("anna", 2).ask(m.StatusRequest())[1].orders) == 2


def test_a_connection_with_the_same_client_id_takes_over() -> None:
    venue, (anna,) = venue_with("anna")
    newer = venue.enter("anna", 2)
    venue.turn()
    assert anna.closed.reason == DoorReason.TAKEN_OVER
    assert reports(newer.ask(order(1)))


def test_the_same_client_id_of_another_account_takes_nothing_over() -> None:
    _, (anna, ben) = venue_with("anna", "ben")
    assert anna.session.client_id == ben.session.client_id
    assert anna.closed is ben.closed is None


def test_who_asks_too_fast_is_refused_and_who_goes_on_is_disconnected() -> None:
    venue, (anna,) = venue_with("anna", quota=Quota(10, 20))
    accepted = [anna.ask(order(seq)) for seq in range(1, 31)]
    refused = [reply for replies in accepted for reply in replies if isinstance(reply, m.BusinessMessageReject)]
    assert len(refused) == 11  # the logon took one of twenty
    assert {reject.reason for reject in refused} == {DoorReason.THROTTLED}
    assert (refused[0].ref_seq, refused[0].last_ref_seq) == (20, 20)
    for seq in range(31, 80):
        anna.send(order(seq))
    venue.turn()
    assert anna.closed.reason == DoorReason.THROTTLED


def test_a_refused_payload_may_be_sent_again_with_the_same_number() -> None:
    venue, (anna,) = venue_with("anna", quota=Quota(10, 5))
    for seq in range(1, 6):
        anna.ask(order(seq))
    assert isinstance(anna.ask(order(6))[0], m.BusinessMessageReject)
    venue.now_ns += 10**9
    assert reports(anna.ask(order(6)))[0].exec_type == EventKind.ACCEPTED


def test_cancels_pass_when_orders_are_throttled() -> None:
    _, (anna,) = venue_with("anna", quota=Quota(10, 10))
    for seq in range(1, 10):
        anna.ask(order(seq))
    assert isinstance(anna.ask(order(10))[0], m.BusinessMessageReject)
    assert reports(anna.ask(m.OrderCancelRequest(10, target_seq=1)))[0].exec_type == EventKind.CANCELED


def test_a_mass_cancel_costs_as_much_as_it_looks_through(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "_LOOKS_A_TOKEN", 10)
    venue, (anna,) = venue_with("anna", quota=Quota(50, 100))
    for seq in range(1, 61):
        anna.ask(order(seq))
    tokens, exchange = 200, venue.desk.replica.exchange
    for seq in range(61, 91):
        cost = 1 + exchange.known_ids // 10
        passed = bool(reports(anna.ask(m.OrderMassCancelRequest(seq))))
        assert passed == (tokens >= 1)
        tokens -= cost * passed
    assert not passed
    venue.now_ns += SECOND
    monkeypatch.setattr(type(exchange), "known_ids", 100_000)  # dearer than he could ever have tokens: he gets out
    assert reports(anna.ask(m.OrderMassCancelRequest(95)))
    assert not reports(anna.ask(m.OrderCancelRequest(96, target_seq=1)))
    venue.now_ns += 105 * SECOND
    assert reports(anna.ask(m.OrderCancelRequest(96, target_seq=1)))


def test_one_accounts_flood_costs_the_others_nothing_of_their_quota() -> None:
    _, (anna, ben) = venue_with("anna", "ben", quota=Quota(10, 10))
    for seq in range(1, 30):
        anna.ask(order(seq))
    assert reports(ben.ask(order(1)))[0].exec_type == EventKind.ACCEPTED


def test_above_the_backlog_only_cancels_are_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(desk_module, "BACKLOG_LIMIT", 10)
    venue, (anna, ben) = venue_with("anna", "ben")
    anna.ask(order(1))
    ben.send(*(order(seq) for seq in range(1, 11)))
    anna.send(order(2))
    anna.send(m.OrderCancelRequest(3, target_seq=1))
    venue.turn()
    reject, cancelled = anna.replies()
    assert (reject.reason, cancelled.exec_type) == (DoorReason.OVERLOADED, EventKind.CANCELED)


def test_a_venue_that_stops_finishes_what_waits_and_takes_nothing_new() -> None:
    venue, (anna,) = venue_with("anna")
    anna.send(order(1))
    venue.desk.stopping = True
    anna.send(order(2))
    venue.turn()
    replies = anna.replies()
    assert [type(reply) for reply in replies] == [m.BusinessMessageReject, m.ExecutionReport]
    assert replies[0].reason == DoorReason.STOPPING


def test_the_kill_switch_cancels_an_accounts_orders_and_lets_it_cancel_only() -> None:
    venue, (anna,) = venue_with("anna")
    teacher = venue.enter("teacher", 90, Role.INSTRUCTOR)
    anna.ask(order(1), order(2))
    teacher.ask(m.KillSwitch(1, 2, 1))
    assert [report.exec_type for report in reports(anna.replies())] == [
        EventKind.CANCELED, EventKind.CANCELED, EventKind.KILL_SWITCH_SET,
    ]  # fmt: skip
    assert reports(anna.ask(order(3)))[0].reason == RejectReason.ACCOUNT_BLOCKED
    teacher.ask(m.KillSwitch(2, 2, 0))
    assert reports(anna.ask(order(4)))[0].exec_type == EventKind.ACCEPTED


def test_an_operator_hears_the_outcome_of_what_it_does_for_others_and_they_hear_it_too() -> None:
    venue, (anna,) = venue_with("anna")
    teacher = venue.enter("teacher", 90, Role.INSTRUCTOR)
    (outcome,) = reports(teacher.ask(m.Deposit(1, 2, 500_00)))
    assert (outcome.exec_type, outcome.account, outcome.ref_seq) == (EventKind.DEPOSITED, 2, 1)
    (told,) = reports(anna.replies())
    assert (told.exec_type, told.amount_fen, told.ref_seq) == (EventKind.DEPOSITED, 500_00, 0)


def test_drop_copies_repeat_what_an_account_is_told() -> None:
    venue, (anna,) = venue_with("anna")
    risk = venue.enter("risk", 91, Role.DROP_COPY)
    assert venue.desk.subscribe(risk.session, "emex/1/copy/+")
    told = anna.ask(order(1))
    copied = [out for out in risk.sent if out.topic == "emex/1/copy/anna"]
    assert len(copied) == 1
    assert isinstance(copied[0], Publish)
    assert reports(told)[0].ref_seq == 1


@pytest.mark.parametrize("seconds", [-3600, -1, 0, 86_400])
def test_a_clock_that_jumps_never_takes_the_venues_time_back(seconds: int) -> None:
    venue, (anna,) = venue_with("anna")
    (first,) = reports(anna.ask(order(1)))
    venue.now_ns += seconds * 10**9
    (second,) = reports(anna.ask(order(2)))
    assert second.time_ns >= first.time_ns
    assert second.exec_type == EventKind.ACCEPTED
