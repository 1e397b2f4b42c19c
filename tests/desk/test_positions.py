"""The operator's question for all balances: who may ask it, when it is answered, that it is what the engine holds."""

import numpy as np
import pytest

from engine.codes import CommandKind, Phase, Side
from engine.core.state import Account, Units
from engine.records import command
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.records import PAYLOAD_LIMIT, VERSION, empty_requests, position_row
from gateway.wire.topics import Role
from tests.desk.venue import Person, Venue

TEACHER = 2**24 + 2
DEPOSIT_FEN, UNITS_T = 10**10, 10**5


def _pages(replies: list[m.Reply], request_id: int) -> list[m.PositionRows]:
    pages = [reply for reply in replies if isinstance(reply, m.PositionRows) and reply.request_id == request_id]
    assert [page.last for page in pages] == [False] * (len(pages) - 1) + [True]
    return pages


def _rows(pages: list[m.PositionRows], instruments: int) -> np.ndarray:
    return np.frombuffer(b"".join(page.rows for page in pages), position_row(instruments))


def _command(teacher: Person, rows: np.ndarray) -> None:
    """Send COMMAND rows as packed requests."""
    requests = empty_requests(len(rows))
    requests["seq"] = teacher.venue.desk.replica.principal(TEACHER).last_seq + 1 + np.arange(len(rows))
    requests["command"] = rows
    for at in range(0, len(rows), 100):
        teacher.send(m.PackedRequests(VERSION, requests[at : at + 100].tobytes()))
    teacher.venue.turn()


def test_the_answer_is_what_the_engine_holds_of_every_open_account() -> None:
    seed = 20210716
    venue, rng = Venue("cn-cea"), np.random.default_rng(seed)
    teacher = venue.enter("teacher", TEACHER, Role.INSTRUCTOR)
    numbers = np.unique(rng.integers(2, 3000, 900)).tolist()
    for number in numbers:
        venue.desk.operate(command(CommandKind.OPEN_ACCOUNT, account=number, flags=0))
        venue.desk.operate(command(CommandKind.DEPOSIT, account=number, amount_fen=DEPOSIT_FEN))
        for instrument in (0, 1):
            venue.desk.operate(command(CommandKind.ISSUE, account=number, instrument=instrument, qty=UNITS_T))
    venue.desk.operate(command(CommandKind.DAY_ROLL, date=20210716))
    venue.desk.operate(command(CommandKind.PHASE, phase=Phase.MORNING))
    venue.turn()
    orders = [command(CommandKind.NEW, account=int(rng.choice(numbers)), instrument=0, side=side, ord_type=2,
                      qty=int(rng.integers(1, 100)), price_fen=4800 - 100 * (side == Side.BUY))
              for side in rng.choice([Side.BUY, Side.SELL], 300).tolist()]  # fmt: skip
    _command(teacher, np.concatenate(orders))
    pages = _pages(teacher.ask(m.RequestForPositions(7)), 7)
    assert len(pages) > 5
    found = _rows(pages, 2)
    cash, units = venue.desk.replica.exchange.balances()
    opened = np.flatnonzero(cash[:, Account.OPEN])
    assert found["account"].tolist() == opened.tolist() == [0, 1, *numbers], f"seed {seed}"
    assert (found["cash_fen"] == cash[opened, Account.CASH]).all()
    assert (found["cash_held_fen"] == cash[opened, Account.CASH_HELD]).all()
    assert (found["units_t"] == units[opened]).all()
    held = int((found["cash_held_fen"] > 0).sum()), int((found["units_t"][:, 0, Units.HELD] > 0).sum())
    assert min(held) > 50, f"seed {seed}: orders hold cash and units"


def test_every_page_is_a_payload_within_the_limit() -> None:
    venue = Venue()
    venue.open(*range(2, 2002))
    teacher = venue.enter("teacher", TEACHER, Role.INSTRUCTOR)
    teacher.send(m.RequestForPositions(2**31 - 1))
    venue.turn()
    sizes = [len(out.payload) for out in teacher.sent]
    assert len(sizes) > 5
    assert max(sizes) <= PAYLOAD_LIMIT
    assert min(sizes[:-1]) > PAYLOAD_LIMIT - 200, "pages are filled"


def test_the_answer_holds_what_was_asked_before_it_and_nothing_that_was_asked_behind() -> None:
    venue = Venue()
    venue.open(2)
    teacher = venue.enter("teacher", TEACHER, Role.INSTRUCTOR)
    replies = teacher.ask(m.Deposit(1, 2, 500), m.RequestForPositions(1), m.Deposit(2, 2, 70), m.RequestForPositions(2))
    assert _rows(_pages(replies, 1), 1)["cash_fen"].tolist() == [0, 0, 500]
    assert _rows(_pages(replies, 2), 1)["cash_fen"].tolist() == [0, 0, 570]


@pytest.mark.parametrize("role", [role for role in Role if role is not Role.INSTRUCTOR])
def test_nobody_but_an_operator_may_ask(role: Role) -> None:
    venue = Venue()
    venue.open(2)
    person = venue.enter("anna", 2, role)
    replies = person.ask(m.RequestForPositions(1))
    assert person.acks[-1].reason == DoorReason.NOT_AUTHORISED
    assert not any(isinstance(reply, m.PositionRows) for reply in replies)


def test_a_traders_payload_with_the_question_is_refused_whole() -> None:
    venue = Venue()
    venue.open(2)
    anna = venue.enter("anna", 2)
    events = venue.desk.replica.exchange.event_seq
    (reject,) = anna.ask(m.NewOrderSingle(1, 0, Side.BUY, 10, 1000), m.RequestForPositions(1))
    assert isinstance(reject, m.BusinessMessageReject)
    assert (reject.reason, reject.ref_seq) == (DoorReason.NOT_AUTHORISED, 1)
    assert venue.desk.replica.exchange.event_seq == events
