"""Whatever comes twice happens once: 20,000 requests here, a million in `make duplicates`."""

import asyncio

import numpy as np
import pytest

from gateway.wire import codec
from gateway.wire import messages as m
from gateway.wire.records import VERSION, content_hash
from tests.faults.duplicates import NAMES, Sender, campaign, held, message_of


def a_sender(kept: int = 100) -> Sender:
    return Sender(NAMES[0], 2, np.random.default_rng(1), kept)


@pytest.mark.slow
@pytest.mark.e2e
def test_requests_repeated_in_every_way_happen_once() -> None:
    result = asyncio.run(campaign(20_000, restarts=2, seed=1, kept=1000))
    assert result["faults"] == []
    assert (result["lost"], result["doubled"], result["changed"]) == (0, 0, 0)
    assert result["restarts"] == {"sigkill_under_way": 1, "sigterm_under_way": 1, "sigterm_answered": 1}
    assert held(result)


def test_a_request_says_the_same_as_a_message_and_as_a_packed_row() -> None:
    rows = a_sender()._fresh(500)
    kinds = set()
    for row in rows.reshape(-1, 1):
        message = message_of(row[0])
        kinds.add(type(message))
        (as_message,), (as_row,) = (codec.decode(codec.encode([one])) for one in
                                    (message, m.PackedRequests(VERSION, row.tobytes())))  # fmt: skip
        assert content_hash(as_message) == content_hash(as_row)
    assert {m.NewOrderSingle, m.OrderCancelRequest, m.OrderCancelReplaceRequest} <= kinds


def test_a_request_with_other_content_differs_from_the_first() -> None:
    sender = a_sender()
    rows = sender._fresh(200)
    assert (content_hash(rows) != content_hash(sender._altered(rows))).all()


@pytest.mark.parametrize(
    ("answers", "owed"), [([], 1), ([(5, "same")], 0), ([(5, "same"), (5, "same")], 1), ([(5, "other")], 2)]
)
def test_a_sender_notices_an_answer_too_few_or_too_many(answers: list[tuple[int, str]], owed: int) -> None:
    sender = a_sender()
    sender._owed.update([(5, "same")])
    for key in answers:
        sender._answer(key, "again")
    sender.settle()
    assert len(sender.record.faults) == owed


def test_a_young_request_is_not_too_old() -> None:
    sender = a_sender(kept=100)
    seqs = sender._fresh(200)["seq"].tolist()
    for seq in (seqs[5], seqs[150]):
        sender._owed.update([(seq, "same")])
        sender._on_refusal(m.BusinessMessageReject(seq, 1050, "", seq))
    assert [fault for fault in sender.record.faults if "too old" in fault] == [
        f"anna: request {seqs[150]} is too old at the age of 50"
    ]
