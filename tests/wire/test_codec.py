"""What a hostile or careless sender gets: one documented reason each time, and never another exception.

And what an honest one gets: his order kept, whatever he mixes; the same row and the same hash for the same request.
"""

import struct
import tracemalloc
from collections.abc import Callable
from typing import Any

import msgpack
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from engine.codes import CommandKind
from engine.digest import state_digest
from engine.records import COMMAND
from gateway.desk.sequence import RECORD_WORDS, as_words, write_records
from gateway.wire import codec
from gateway.wire import messages as m
from gateway.wire.codec import WireError
from gateway.wire.reasons import DoorReason
from gateway.wire.records import (
    BATCH_LIMIT,
    HASH_MULTIPLIERS,
    PAYLOAD_LIMIT,
    RECORD,
    REQUEST,
    VERSION,
    content_hash,
    empty_requests,
)
from tests.desk.venue import venue_with
from tests.wire.samples import instances

ORDER = ["D", 1, 0, 1, 10, 5000]
PING = ["1", 7]
HUGE = b"\xff\xff\xff\xff"
ROW = b"\x01" + bytes(REQUEST.itemsize - 1)
SYNTAX = {reason for reason in DoorReason if 2000 <= reason < 2100}


def refusal(read: Callable[[bytes], Any], payload: bytes) -> WireError | None:
    """Why a payload is refused; None when it is read. Any other exception is a defect."""
    try:
        read(payload)
    except WireError as error:
        return error
    return None


def packed(*messages: Any) -> bytes:
    return msgpack.packb(list(messages))


HOSTILE: dict[str, tuple[bytes, DoorReason]] = {
    "nothing": (b"", DoorReason.NOT_MSGPACK),
    "the byte that MessagePack never uses": (b"\xc1", DoorReason.NOT_MSGPACK),
    "that byte inside": (b"\x91\x92\xa1D\xc1", DoorReason.MISSING_FIELD),
    "that byte as a field": (b"\x91\x92\xa11\xc1", DoorReason.NOT_MSGPACK),
    "a map": (msgpack.packb({"type": "D"}), DoorReason.BAD_TYPE),
    "a text": (msgpack.packb("D"), DoorReason.BAD_TYPE),
    "nil": (b"\xc0", DoorReason.BAD_TYPE),
    "JSON": (b'[["D",1,0,1,10,5000]]', DoorReason.BAD_TYPE),
    "one message without the array around it": (msgpack.packb(ORDER), DoorReason.BAD_TYPE),
    "a message that is a map": (packed({"seq": 1}), DoorReason.BAD_TYPE),
    "a message without a type": (packed([]), DoorReason.MISSING_FIELD),
    "a hundred thousand arrays inside each other": (b"\x91" * 100_000 + b"\xc0", DoorReason.TOO_LARGE),
    "as many as a payload can hold": (b"\x91" * (PAYLOAD_LIMIT - 1) + b"\xc0", DoorReason.BAD_TYPE),
    "as many, in a field": (b"\x91\x92\xa11" + b"\x91" * 16_000 + b"\xc0", DoorReason.BAD_TYPE),
    "maps inside each other": (b"\x91\x92\xa11" + b"\x81\xa1a" * 5000 + b"\xc0", DoorReason.BAD_TYPE),
    "four billion messages, none there": (b"\xdd" + HUGE, DoorReason.NOT_MSGPACK),
    "four billion messages, one there": (b"\xdd" + HUGE + b"\x91\xa15", DoorReason.NOT_MSGPACK),
    "a message of four billion fields": (b"\x91\xdd" + HUGE + b"\xa15", DoorReason.UNKNOWN_FIELD),
    "a map of four billion": (b"\x91\xdf" + HUGE, DoorReason.BAD_TYPE),
    "a type of four billion letters": (b"\x91\x91\xdb" + HUGE, DoorReason.NOT_MSGPACK),
    "four billion bytes of rows": (b"\x91\x93\xa2UR\x01\xc6" + HUGE, DoorReason.OUT_OF_RANGE),
    "a text that is no UTF-8 as type": (b"\x91\x91\xa1\xff", DoorReason.NOT_MSGPACK),
    "a text that is no UTF-8 as field": (b"\x91\x92\xa11\xa1\xff", DoorReason.BAD_TYPE),
    "half a letter": (b"\x91\x91\xa2U\xe5", DoorReason.NOT_MSGPACK),
    "not a number": (packed(["D", 1, 0, 1, float("nan")]), DoorReason.BAD_TYPE),
    "infinity": (packed(["D", 1, 0, 1, float("-inf")]), DoorReason.BAD_TYPE),
    "a whole float": (packed(["D", 1, 0, 1, 10.0]), DoorReason.BAD_TYPE),
    "true for one": (packed(["D", True, 0, 1, 10]), DoorReason.BAD_TYPE),
    "one for true": (packed(["A", 0, 1]), DoorReason.BAD_TYPE),
    "a number as text": (packed(["D", "1", 0, 1, 10]), DoorReason.BAD_TYPE),
    "nil where a value is needed": (packed(["D", None, 0, 1, 10]), DoorReason.BAD_TYPE),
    "the largest number there is": (packed(["D", 1, 0, 1, 2**64 - 1]), DoorReason.OUT_OF_RANGE),
    "the largest where 63 bits are taken": (packed(["1", 2**64 - 1]), DoorReason.OUT_OF_RANGE),
    "the smallest number there is": (packed(["D", 1, 0, 1, -(2**63)]), DoorReason.OUT_OF_RANGE),
    "the number 0": (packed(["D", 0, 0, 1, 10]), DoorReason.OUT_OF_RANGE),
    "a price beyond 31 bits": (packed(["D", 1, 0, 1, 10, 2**31]), DoorReason.OUT_OF_RANGE),
    "an extension type": (packed(["1", msgpack.ExtType(1, b"x")]), DoorReason.BAD_TYPE),
    "a timestamp": (packed(["1", msgpack.Timestamp(1)]), DoorReason.BAD_TYPE),
    "an extension as payload": (msgpack.packb(msgpack.ExtType(1, b"x")), DoorReason.BAD_TYPE),
    "an extension of four billion bytes": (b"\x91\x92\xa11\xc9" + HUGE + b"\x01", DoorReason.NOT_MSGPACK),
    "a byte behind the payload": (packed(PING) + b"\xc0", DoorReason.NOT_MSGPACK),
    "two payloads in one": (packed(PING) * 2, DoorReason.NOT_MSGPACK),
    "the last byte missing": (packed(ORDER)[:-1], DoorReason.NOT_MSGPACK),
    "a reply": (packed(["8", *[0] * 23]), DoorReason.UNKNOWN_TYPE),
    "a type that sounds like another reason": (packed(["of at least length"]), DoorReason.UNKNOWN_TYPE),
    "a type as long as the payload": (packed(["Z" * 16_000]), DoorReason.UNKNOWN_TYPE),
    "sixteen kibibytes and one": (packed(["Z" * (PAYLOAD_LIMIT - 5)]) + b"\xc0", DoorReason.TOO_LARGE),
    "a hundred and one": (packed(*[PING] * 101), DoorReason.TOO_MANY_IN_BATCH),
    "a hundred and one packed": (packed(["UR", 1, ROW * 101]), DoorReason.TOO_MANY_IN_BATCH),
    "a hundred and one together": (packed(PING, *[["UR", 1, ROW * 25]] * 4), DoorReason.TOO_MANY_IN_BATCH),
    "a hundred and one, the last of them bad": (packed(*[PING] * 100, ["ZZ"]), DoorReason.UNKNOWN_TYPE),
    "a good one before a bad one": (packed(ORDER, ["ZZ"]), DoorReason.UNKNOWN_TYPE),
    "two bad ones, the first counts": (packed(["D", 1.0, 0, 1, 10], ["ZZ"]), DoorReason.BAD_TYPE),
    "a bad one in a payload that is cut": (packed(["ZZ"], ORDER)[:-1], DoorReason.UNKNOWN_TYPE),
    "rows that are not whole": (packed(["UR", 1, ROW + b"\x01"]), DoorReason.BAD_TYPE),
    "less than one row": (packed(["UR", 1, ROW[:-1]]), DoorReason.BAD_TYPE),
    "no row": (packed(["UR", 1, b""]), DoorReason.OUT_OF_RANGE),
    "rows as text": (packed(["UR", 1, "x" * len(ROW)]), DoorReason.BAD_TYPE),
    "rows of another version": (packed(["UR", 2, ROW]), DoorReason.OUT_OF_RANGE),
    "rows of version 0": (packed(["UR", 0, ROW]), DoorReason.OUT_OF_RANGE),
    "a row with the number 0": (packed(["UR", 1, ROW + bytes(len(ROW))]), DoorReason.OUT_OF_RANGE),
    "rows with another field behind": (packed(["UR", 1, ROW, 0]), DoorReason.UNKNOWN_FIELD),
    "good messages around bad rows": (packed(PING, ["UR", 1, ROW[:-1]], PING), DoorReason.BAD_TYPE),
}


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_payload_is_refused_for_the_right_reason(name: str) -> None:
    payload, reason = HOSTILE[name]
    with pytest.raises(WireError) as caught:
        codec.decode(payload)
    assert caught.value.reason == reason
    assert 0 < len(caught.value.text) <= 250


@pytest.mark.parametrize("name", HOSTILE)
def test_a_hostile_payload_is_answered_by_a_reject_and_changes_nothing(name: str) -> None:
    payload, reason = HOSTILE[name]
    venue, (anna,) = venue_with("anna")
    before = state_digest(venue.desk.replica.exchange.canonical_state()), len(venue.journal.commits)
    token = anna.send_bytes(payload)
    venue.turn()
    (reject,) = anna.replies()
    assert isinstance(reject, m.Reject)
    assert reject.reason == reason
    assert [(ack.token, ack.reason) for ack in anna.acks][-1] == (token, reason)
    assert (state_digest(venue.desk.replica.exchange.canonical_state()), len(venue.journal.commits)) == before
    assert venue.desk.counters.refused == {reason: 1}
    (beat,) = anna.ask(m.TestRequest(7))
    assert beat == m.Heartbeat(7)


def test_every_syntax_reason_is_hit() -> None:
    assert {reason for _, reason in HOSTILE.values()} == SYNTAX


@pytest.mark.parametrize(
    "read", [codec.decode, codec.decode_replies, codec.decode_data], ids=["decode", "decode_replies", "decode_data"]
)
@given(payload=st.binary(max_size=300))
def test_any_bytes_are_read_or_refused(read: Callable[[bytes], Any], payload: bytes) -> None:
    error = refusal(read, payload)
    assert error is None or error.reason in SYNTAX


@given(data=st.data())
def test_a_good_payload_with_bytes_changed_is_read_or_refused(data: st.DataObject) -> None:
    kind = data.draw(st.sampled_from([m.NewOrderSingle, m.Bid, m.PackedRequests, m.Logon, m.SetRule]))
    payload = bytearray(codec.encode([data.draw(instances(kind, "any")), m.TestRequest(1)]))
    for _ in range(data.draw(st.integers(1, 4))):
        at = data.draw(st.integers(0, len(payload) - 1))
        payload[at] = data.draw(st.integers(0, 255))
    cut = data.draw(st.integers(0, 3))
    changed = bytes(payload[: len(payload) - cut])
    error = refusal(codec.decode, changed)
    if error is not None:
        assert error.reason in SYNTAX
    else:
        assert all(part["seq"].all() for part in codec.decode(changed) if isinstance(part, np.ndarray))


@pytest.mark.parametrize("read", [codec.decode_replies, codec.decode_data], ids=["decode_replies", "decode_data"])
@pytest.mark.parametrize(
    "payload",
    [b"", b"\x91" * 100_000 + b"\xc0", b"\xdd" + HUGE, b"\x91\x91\xa1\xff",
     b"\x91\x98\xa2AP\x01\x01\x01\x01\xc2\xdd" + HUGE,
     b"\x97\xa1X\x01\x01\x01\xdd" + HUGE, b"\x97\xa1X\x01\x01\x01\x91" * 20_000, b"\xc1", b"\x93\xa13\x01\xa1\xff"],
)  # fmt: skip
def test_a_client_survives_a_hostile_gateway(read: Callable[[bytes], Any], payload: bytes) -> None:
    with pytest.raises(WireError) as caught:
        read(payload)
    assert caught.value.reason in {DoorReason.NOT_MSGPACK, DoorReason.BAD_TYPE, DoorReason.UNKNOWN_TYPE}


def test_a_header_that_promises_billions_costs_no_memory() -> None:
    tracemalloc.start()
    try:
        for payload, _ in HOSTILE.values():
            with pytest.raises(WireError):
                codec.decode(payload)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert peak < 2**20


def test_a_long_quotation_is_cut_in_the_middle_and_the_place_is_kept() -> None:
    with pytest.raises(WireError, match=r"^UNKNOWN_TYPE: Invalid value 'ZZZ+…Z+' - at `\$\[0\]\[0\]`$") as caught:
        codec.decode(packed(["Z" * 16_000]))
    assert len(caught.value.text) == 201


def test_nothing_asked_is_nothing_done() -> None:
    assert codec.decode(b"\x90") == []


def test_as_many_answers_as_a_test_request_may_ask_for_can_be_read() -> None:
    _, (anna,) = venue_with("anna")
    for number in (0, 2**31, 2**63 - 1):
        assert anna.ask(m.TestRequest(number)) == [m.Heartbeat(number)]


# ------------------------------------------------------------------------------------------------- order kept


def flattened(parts: list[Any]) -> list[Any]:
    """Numbers of requests and ids of queries, in the order in which they are carried out."""
    found: list[Any] = []
    for part in parts:
        if isinstance(part, np.ndarray):
            found += [("request", int(seq)) for seq in part["seq"]]
        else:
            found.append(("query", part.test_req_id))
    return found


@given(kinds=st.lists(st.sampled_from(["message", "rows", "query"]), min_size=1, max_size=20))
def test_requests_rows_and_queries_keep_the_order_in_which_they_were_sent(kinds: list[str]) -> None:
    sent: list[m.Message] = []
    expected: list[Any] = []
    seq = 0
    for kind in kinds:
        if kind == "query":
            sent.append(m.TestRequest(seq))
            expected.append(("query", seq))
        elif kind == "message":
            seq += 1
            sent.append(m.Take(seq, 5, 6))
            expected.append(("request", seq))
        else:
            rows = empty_requests(3)
            rows["seq"] = range(seq + 1, seq + 4)
            sent.append(m.PackedRequests(VERSION, rows.tobytes()))
            expected += [("request", int(number)) for number in rows["seq"]]
            seq += 3
    parts = codec.decode(codec.encode(sent))
    assert flattened(parts) == expected
    assert all(part.flags.writeable for part in parts if isinstance(part, np.ndarray))


def test_a_payload_may_hold_exactly_its_limit_in_any_mixture() -> None:
    row = empty_requests(1)
    row["seq"] = 1
    mixture = [m.TestRequest(1)] * 20 + [m.Take(1, 2, 3)] * 30 + [m.PackedRequests(VERSION, row.tobytes() * 25)] * 2
    assert len(flattened(codec.decode(codec.encode(mixture)))) == BATCH_LIMIT
    with pytest.raises(WireError, match="got 101 requests"):
        codec.decode(codec.encode([*mixture, m.Take(1, 2, 3)]))


# ------------------------------------------------------------------------------------------- rows and hashes


def as_row(message: m.Message) -> np.ndarray:
    """The REQUEST row that a client with NumPy would send instead of a message."""
    row = empty_requests(1)
    row["command"]["kind"] = codec.KINDS[type(message)]
    row["command"]["ord_type"] = 2
    row["command"]["client_ref"] = message.seq
    for name in m.fields_of(type(message)):
        value = getattr(message, name)
        place = row if name in (REQUEST.names or ()) else row["command"]
        if value is not None:
            place[name] = value
    return row


@pytest.mark.parametrize("kind", codec.KINDS, ids=lambda kind: kind.__name__)
@given(data=st.data())
def test_a_request_as_message_and_as_row_is_the_same_row_with_the_same_hash(
    kind: type[m.Message], data: st.DataObject
) -> None:
    message = data.draw(instances(kind, "any"))
    (from_message,) = codec.decode(codec.encode([message]))
    (from_row,) = codec.decode(codec.encode([m.PackedRequests(VERSION, as_row(message).tobytes())]))
    assert from_message.tobytes() == from_row.tobytes()
    assert content_hash(from_message).tolist() == content_hash(from_row).tolist()


def test_every_kind_of_command_has_one_request() -> None:
    assert sorted(codec.KINDS.values()) == sorted(CommandKind)


FIELDS = ["seq", "target_seq", *(COMMAND.names or ())]


def of_row(row: np.ndarray, field: str) -> np.ndarray:
    return row[field] if field in (REQUEST.names or ()) else row["command"][field]


@pytest.mark.parametrize("field", FIELDS)
@given(content=st.binary(min_size=REQUEST.itemsize, max_size=REQUEST.itemsize), data=st.data())
def test_the_hash_changes_with_every_field_but_the_time(field: str, content: bytes, data: st.DataObject) -> None:
    row = np.frombuffer(content, REQUEST)
    other = row.copy()
    place = of_row(other, field)
    bits = place.dtype.itemsize * 8
    place.view(f"u{place.dtype.itemsize}")[0] ^= data.draw(st.integers(1, 2**bits - 1))
    assert row.tobytes() != other.tobytes()
    same = content_hash(row).tolist() == content_hash(other).tolist()
    assert same == (field == "time_ns")


@given(
    seqs=st.lists(st.integers(1, 2**32 - 1), min_size=1, max_size=8, unique=True).map(sorted),
    contents=st.lists(st.binary(min_size=100, max_size=100), min_size=8, max_size=8),
)
def test_the_desk_records_the_hash_that_the_wire_defines(seqs: list[int], contents: list[bytes]) -> None:
    payload = b"".join(struct.pack("<I", seq) + content for seq, content in zip(seqs, contents, strict=False))
    rows = np.frombuffer(bytearray(payload), REQUEST)
    records, taken = np.zeros((len(rows), RECORD_WORDS), np.uint64), np.zeros(len(rows), np.int64)
    who, numbers, last = np.zeros(len(rows), np.int64), np.array([7], np.int64), np.array([0], np.int64)
    assert write_records(
        as_words(rows), who, numbers, last, HASH_MULTIPLIERS, 5, False, records, taken  # noqa: FBT003
    ) == len(rows)  # fmt: skip
    written = records.reshape(-1).view(RECORD)
    assert written["content"].tolist() == content_hash(rows).tolist()
    assert written["seq"].tolist() == seqs
