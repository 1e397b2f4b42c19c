"""The contract frozen in bytes: a change of these is a change of what others have already written programs for.

Every message and every row is written out, each field with a value of its own, so that two fields which change places
are noticed. Three readers must agree on every line: the gateway, the `msgpack` package, and `struct` for rows.
A new message gets a line here. A line that fails is not to be corrected: the contract needs another version.
"""

import struct
from typing import Any, get_args

import msgpack
import msgspec
import numpy as np
import pytest

from engine.records import COMMAND, EVENT
from gateway.wire import codec
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.records import RECORD, REPORT, REQUEST, content_hash
from tests.wire.samples import asked

REQUEST_HEX = (
    "01000000020000006700000000000000680000000000000069000000000000006a000000000000006b00000000000000"
    "6c000000000000006d00000000000000d3000000d4000000d5000000d6000000d7000000d8000000d9000000da000000"
    "15161718191a2d01"
)
RECORD_HEX = (
    "010000000200000003000000000000806700000000000000680000000000000069000000000000006a00000000000000"
    "6b000000000000006c000000000000006d00000000000000d3000000d4000000d5000000d6000000d7000000d8000000"
    "d9000000da00000015161718191a2d01"
)
REPORT_HEX = (
    "650000000000000066000000000000006700000000000000680000000000000069000000000000006a00000000000000"
    "6b000000000000006c000000000000006d000000000000006e00000000000000d3000000d4000000d5000000d6000000"
    "0f5ed0b2101112139c13410116170000"
)
EVENT_HEX = (
    "650000000000000066000000000000006700000000000000680000000000000069000000000000006a00000000000000"
    "6b000000000000006c000000000000006d000000000000006e000000000000006f000000000000007000000000000000"
    "d3000000d4000000d5000000d6000000d7000000d8000000111213149c134101"
)

COMMAND_FORM = "qqqqqqqiiiiiiiiBBBBBBH"
COMMAND_VALUES = (*range(103, 110), *range(211, 219), *range(21, 27), 301)
REPORT_VALUES = (*range(101, 111), *range(211, 215), 3_000_000_015, 16, 17, 18, 19, 5020, 321, 22, 23)
ROWS = {
    "REQUEST": (REQUEST, REQUEST_HEX, "<II" + COMMAND_FORM, (1, 2, *COMMAND_VALUES)),
    "RECORD": (RECORD, RECORD_HEX, "<iIQ" + COMMAND_FORM, (1, 2, 2**63 + 3, *COMMAND_VALUES)),
    "REPORT": (REPORT, REPORT_HEX, "<qqqqqqqqqqiiiiIBBBBHHBBxx", REPORT_VALUES),
    "EVENT": (EVENT, EVENT_HEX, "<qqqqqqqqqqqqiiiiiiBBBBHH",
              (*range(101, 113), *range(211, 217), 17, 18, 19, 20, 5020, 321)),
}  # fmt: skip

GOLDEN: list[tuple[m.Message, str]] = [
    (m.Logon(7, cancel_on_disconnect=True), "93a14107c3"),
    (m.Logout(), "91a135"),
    (m.TestRequest(2**63 - 1), "92a131cf7fffffffffffffff"),
    (m.ResendRequest(300, 70_000), "93a132cd012cce00011170"),
    (m.StatusRequest(9, 300), "93a2414609cd012c"),
    (m.RequestForPositions(10), "92a2414e0a"),
    (m.NewOrderSingle(1, 2, 3, 40, 5000, 6, 7, 1_700_000_000_000_000_000, 80, 9),
     "9ba14401020328cd13880607cf17979cfe362a00005009"),
    (m.NewOrderSingle(2**32 - 1, 2**31 - 1, 255, 2**62),
     "9ba144ceffffffffce7fffffffccffcf4000000000000000c00200c0c000"),
    (m.OrderCancelRequest(2, 3, 2**62), "94a1460203cf4000000000000000"),
    (m.OrderCancelReplaceRequest(3, 4, 50_000, 600, 70), "96a1470304cdc350cd025846"),
    (m.OrderMassCancelRequest(4, 5, 2), "94a171040502"),
    (m.Click(5, 6, 1, 80, 900, 10), "97a2554305060150cd03840a"),
    (m.Propose(6, 7, 2, 90, 1000, 11, 1_700_000_000_000_000_001), "98a255500607025acd03e80bcf17979cfe362a0001"),
    (m.Confirm(7, 8), "93a255460708"),
    (m.Decline(8, 9, 10), "94a2555808090a"),
    (m.Offer(9, 10, 1, 200, 3000), "96a2554f090a01ccc8cd0bb8"),
    (m.Take(10, 11, 12), "94a255540a0b0c"),
    (m.Announce(11, 12, 2, 130, 1400, 1500), "97a255410b0c02cc82cd0578cd05dc"),
    (m.Apply(12, 13, 14), "94a255590c0d0e"),
    (m.Bid(13, 14, 150, 1600, 17), "96a255420d0ecc96cd064011"),
    (m.Surrender(14, 15, 160, 17), "95a255530e0fcca011"),
    (m.PackedRequests(1, bytes.fromhex(REQUEST_HEX)), "93a2555201c468" + REQUEST_HEX),
    (m.OpenAccount(15, 16, 2, 17), "95a255300f100211"),
    (m.Deposit(16, 17, 18_000_000_000), "94a255311011cf0000000430e23400"),
    (m.Withdraw(17, 18, 190), "94a255321112ccbe"),
    (m.Issue(18, 19, 20, 210), "95a25533121314ccd2"),
    (m.Fine(19, 20, 2100), "94a255341314cd0834"),
    (m.Deduct(20, 21, 22, 230), "95a25535141516cce6"),
    (m.SetPhase(21, 5), "93a255361505"),
    (m.DayRoll(22, 20_260_102), "93a2553716ce01352506"),
    (m.SetRule(23, 24, 25, -1), "95a25538171819ff"),
    (m.KillSwitch(24, 25, 1), "94a25539181901"),
    (m.EndStage(25, 26), "93a25547191a"),
    (m.LogonReply(1, 2, 3, 4, "cea", "9f86d081", 5, ["CEA", "碳配额"], 6, 20_260_102, 100, 16_384, 300),
     "9ea14101020304a3636561a839663836643038310592a3434541a9e7a2b3e9858de9a29d06ce0135250664cd4000cd012c"),
    (m.Heartbeat(2**63 - 1), "92a130cf7fffffffffffffff"),
    (m.SequenceReset(300), "92a134cd012c"),
    (m.Reject(2060, "Expected `int`, got `str` - at `$[0][1]`"),
     "93a133cd080cd92845787065637465642060696e74602c20676f74206073747260202d2061742060245b305d5b315d60"),
    (m.BusinessMessageReject(5, 7010, "zu schnell 太快", 104), "95a16a05cd1b62b17a75207363686e656c6c20e5a4aae5bfab68"),
    (m.ExecutionReport(*REPORT_VALUES),
     "dc0018a13865666768696a6b6c6d6eccd3ccd4ccd5ccd6ceb2d05e0f10111213cd139ccd01411617"),
    (m.AccountReport(1, 2, 3_000_000, -4, blocked=True, units=[[5, 6, 7, 8, 9], [10, 11, 12, 13, 14]], next_report=15),
     "98a241500102ce002dc6c0fcc392950506070809950a0b0c0d0e0f"),
    (m.OpenOrders(1, [[2, 3, 4, 1, 0, 1, 5000, 60, 7, 8]], last=False), "94a2554c01919a020304010001cd13883c0708c2"),
    (m.PositionRows(2, 1, b"\x00\xff", last=False), "95a2554e0201c40200ffc2"),
    (m.TapeRows(1, bytes.fromhex(EVENT_HEX)), "93a2555601c480" + EVENT_HEX),
    (m.MarketDataSnapshot(1, 2, 3, [[1, 0, 2, 5000, 60], [4, 70, 1, 4999, 8]], 5001, 4900, 4410, 5390, 90, 450_000),
     "9ba1570102039295010002cd13883c95044601cd138708cd1389cd1324cd113acd150e5ace0006ddd0"),
    (m.MarketDataIncremental(2, 3, 4, [[1, 0, 2, 5000, 0]],
                               [[5, 6, 1, 2, 5000, 7]], [[44, 8, 1, 1, 9, 10, 11, -1, -1, 12, -1]]),
     "97a1580203049195010002cd138800919605060102cd138807919b2c080101090a0bffff0cff"),
    (m.TradingSessionStatus(1_700_000_000_000_000_002, 3, 20_260_102, 1_700_000_000_000_000_000),
     "95a168cf17979cfe362a000203ce01352506cf17979cfe362a0000"),
]  # fmt: skip

SHORT: list[tuple[m.Message, str]] = [
    (m.Logon(), "91a141"),
    (m.ResendRequest(5), "92a13205"),
    (m.StatusRequest(), "91a24146"),
    (m.StatusRequest(9), "92a2414609"),
    (m.RequestForPositions(), "91a2414e"),
    (m.NewOrderSingle(1, 0, 1, 10), "95a1440100010a"),
    (m.NewOrderSingle(1, 0, 1, 10, 5000), "96a1440100010acd1388"),
    (m.OrderCancelRequest(2), "92a14602"),
    (m.OrderCancelReplaceRequest(3), "92a14703"),
    (m.OrderCancelReplaceRequest(3, 0, 7, None, 20), "96a147030007c014"),
    (m.OrderMassCancelRequest(4), "92a17104"),
    (m.Click(5, 0, 1, 10), "95a255430500010a"),
    (m.Propose(6, 0, 1, 10, 5000, 3), "97a255500600010acd138803"),
    (m.Decline(7), "92a2555807"),
    (m.Announce(8, 0, 2, 10, 5000), "96a255410800020acd1388"),
    (m.Bid(9, 4, 10, 5000), "95a2554209040acd1388"),
    (m.Surrender(10, 0, 10), "94a255530a000a"),
    (m.OpenAccount(11, 3), "93a255300b03"),
    (m.OpenOrders(1, []), "93a2554c0190"),
    (m.PositionRows(1, 1, b""), "94a2554e0101c400"),
]
"""As senders leave out what they can: fields at the end, or nil in between."""

NAMES = {
    "Logon": "next_expected cancel_on_disconnect",
    "Logout": "",
    "TestRequest": "test_req_id",
    "ResendRequest": "begin_seq end_seq",
    "StatusRequest": "request_id after_id",
    "RequestForPositions": "request_id",
    "NewOrderSingle": "seq instrument side qty price_fen ord_type tif until_ns min_qty flags",
    "OrderCancelRequest": "seq target_seq target_id",
    "OrderCancelReplaceRequest": "seq target_seq target_id price_fen qty",
    "OrderMassCancelRequest": "seq instrument side",
    "Click": "seq instrument side qty price_fen target_id",
    "Propose": "seq instrument side qty price_fen contra until_ns",
    "Confirm": "seq target_id",
    "Decline": "seq target_seq target_id",
    "Offer": "seq instrument side qty price_fen",
    "Take": "seq target_id qty",
    "Announce": "seq instrument side qty price_fen limit_price_fen",
    "Apply": "seq target_id qty",
    "Bid": "seq target_id qty price_fen min_qty",
    "Surrender": "seq instrument qty account",
    "PackedRequests": "version rows",
    "OpenAccount": "seq account flags group",
    "Deposit": "seq account amount_fen",
    "Withdraw": "seq account amount_fen",
    "Issue": "seq account instrument qty",
    "Fine": "seq account amount_fen",
    "Deduct": "seq account instrument qty",
    "SetPhase": "seq phase",
    "DayRoll": "seq date",
    "SetRule": "seq instrument rule amount_fen",
    "KillSwitch": "seq account flags",
    "EndStage": "seq target_id",
    "LogonReply":
        "last_seq next_report epoch time_ns rules rules_hash account symbols phase date batch_limit payload_limit "
        "rate",
    "Heartbeat": "test_req_id",
    "SequenceReset": "new_seq",
    "Reject": "reason text",
    "BusinessMessageReject": "ref_seq reason text last_ref_seq",
    "ExecutionReport":
        "priv_seq time_ns exec_id order_id auction_id client_ref qty leaves_qty amount_fen fee_fen price_fen "
        "account contra instrument ref_seq exec_type side mode phase reason flags aggressor poss_dup",
    "AccountReport": "request_id account cash_fen cash_held_fen blocked units next_report",
    "OpenOrders": "request_id orders last",
    "PositionRows": "request_id version rows last",
    "TapeRows": "version rows",
    "MarketDataSnapshot":
        "md_seq instrument time_ns entries last_price_fen prev_close_fen low_limit_fen high_limit_fen day_qty "
        "day_amount_fen",
    "MarketDataIncremental": "md_seq instrument time_ns entries trades news",
    "TradingSessionStatus": "time_ns phase date epoch",
    "COMMAND":
        "time_ns qty min_qty target_id amount_fen until_ns client_ref price_fen limit_price_fen account contra "
        "instrument group date rule kind side ord_type tif mode phase flags",
    "REQUEST": "seq target_seq command",
    "RECORD": "principal seq content command",
    "REPORT":
        "priv_seq time_ns exec_id order_id auction_id client_ref qty leaves_qty amount_fen fee_fen price_fen "
        "account contra instrument ref_seq exec_type side mode phase reason flags aggressor poss_dup",
    "EVENT":
        "seq command_seq time_ns order_id contra_id qty leaves_qty contra_leaves_qty amount_fen fee_fen "
        "contra_fee_fen client_ref price_fen low_price_fen high_price_fen account contra instrument kind side mode "
        "phase reason flags",
}  # fmt: skip
"""Fields in wire order: two of one type that change places leave the bytes as they were."""

COMMANDS = {
    "D": 1, "F": 2, "G": 3, "q": 8, "UC": 4, "UP": 5, "UF": 6, "UX": 7, "UO": 12, "UT": 13, "UA": 9, "UY": 10,
    "UB": 11, "US": 24, "U0": 20, "U1": 21, "U2": 22, "U3": 23, "U4": 25, "U5": 26, "U6": 40, "U7": 41,
    "U8": 42, "U9": 43, "UG": 44,
}  # fmt: skip
"""Number of the command that each type of request becomes."""

REASONS = {
    "NOT_LOGGED_ON": 1010, "NOT_AUTHORISED": 1040, "SEQ_TOO_OLD": 1050, "DUP_MISMATCH": 1060,
    "TAKEN_OVER": 1080, "NOT_MSGPACK": 2010, "TOO_LARGE": 2020, "TOO_MANY_IN_BATCH": 2030, "UNKNOWN_TYPE": 2040,
    "MISSING_FIELD": 2050, "BAD_TYPE": 2060, "OUT_OF_RANGE": 2070, "UNKNOWN_FIELD": 2080, "THROTTLED": 7010,
    "JOURNAL_UNAVAILABLE": 9010, "OVERLOADED": 9020, "STOPPING": 9030,
}  # fmt: skip
"""Numbers of the refusals of the door."""

OF_DIRECTION = {
    "request": get_args(m.Request),
    "reply": get_args(m.Reply),
    "public": get_args(m.MarketData),
}


def named(message: Any) -> str:
    return type(message).__name__ if isinstance(message, m.Message) else ""


def read(message: m.Message, payload: bytes) -> m.Message:
    """One message as the gateway or its client reads it."""
    if isinstance(message, OF_DIRECTION["request"]):
        (found,) = codec._decoder.decode(b"\x91" + payload)
        return found
    if isinstance(message, OF_DIRECTION["reply"]):
        (reply,) = codec.decode_replies(b"\x91" + payload)
        return reply
    return codec.decode_data(payload)


@pytest.mark.parametrize(("message", "golden"), GOLDEN, ids=named)
def test_a_message_is_written_as_it_always_was(message: m.Message, golden: str) -> None:
    assert codec.encode_one(message).hex() == golden
    assert codec.encode([message, message]).hex() == "92" + golden + golden


@pytest.mark.parametrize(("message", "golden"), [*GOLDEN, *SHORT], ids=named)
def test_a_message_is_read_as_it_always_was(message: m.Message, golden: str) -> None:
    assert read(message, bytes.fromhex(golden)) == message


@pytest.mark.parametrize(("message", "golden"), GOLDEN, ids=named)
def test_another_implementation_writes_and_reads_the_same_bytes(message: m.Message, golden: str) -> None:
    plain = [m.tag_of(type(message)), *msgspec.structs.astuple(message)]
    assert msgpack.unpackb(bytes.fromhex(golden)) == plain
    assert msgpack.packb(plain).hex() == golden


@pytest.mark.parametrize(
    ("message", "golden"), [line for line in [*GOLDEN, *SHORT] if type(line[0]) in codec.KINDS], ids=named
)
def test_a_request_becomes_the_row_that_its_fields_say(message: m.Message, golden: str) -> None:
    (row,) = codec.decode(b"\x91" + bytes.fromhex(golden))
    kind = type(message)
    # A new value below zero is the one that a row cannot tell from none.
    sent = [None if value == -1 else value for value in msgspec.structs.astuple(message)]
    assert asked(row[0], kind) == sent
    assert row["command"]["kind"][0] == codec.KINDS[kind]
    assert row["command"]["client_ref"][0] == message.seq


def test_every_message_has_a_line() -> None:
    types = [thing for thing in vars(m).values() if isinstance(thing, type) and issubclass(thing, m.Message)]
    lines = [type(message) for message, _ in GOLDEN]
    assert set(lines) == set(types) - {m.Message}
    assert {kind for kinds in OF_DIRECTION.values() for kind in kinds} == set(lines)


def test_every_message_has_a_line_in_which_no_two_fields_are_alike() -> None:
    distinct = set()
    for message, _ in GOLDEN:
        values = [repr(value) for value in msgspec.structs.astuple(message)]
        if len(values) == len(set(values)):
            distinct.add(type(message))
    assert distinct == {type(message) for message, _ in GOLDEN}


def test_every_message_with_something_to_leave_out_has_a_line_without_it() -> None:
    least = {type(message) for message, golden in SHORT
             if len(msgpack.unpackb(bytes.fromhex(golden))) == 1 + required_of(type(message))}  # fmt: skip
    assert least == {type(message) for message, _ in GOLDEN if type(message).__struct_defaults__}


def required_of(kind: type[m.Message]) -> int:
    return len(m.fields_of(kind)) - len(kind.__struct_defaults__)


def test_fields_have_their_names_and_places() -> None:
    messages = {type(message).__name__: m.fields_of(type(message)) for message, _ in GOLDEN}
    rows = {name: layout.names or () for name, (layout, *_) in ROWS.items()} | {"COMMAND": COMMAND.names or ()}
    assert {name: " ".join(names) for name, names in (messages | rows).items()} == NAMES
    assert NAMES["REPORT"] == NAMES["ExecutionReport"]


def test_each_request_becomes_the_command_that_it_always_was() -> None:
    assert {m.tag_of(kind): int(command) for kind, command in codec.KINDS.items()} == COMMANDS


def test_refusals_keep_their_numbers() -> None:
    assert {reason.name: int(reason) for reason in DoorReason} == REASONS


def test_no_two_messages_of_one_direction_begin_alike() -> None:
    for kinds in OF_DIRECTION.values():
        tags = [m.tag_of(kind) for kind in kinds]
        assert len(tags) == len(set(tags)) > 2


@pytest.mark.parametrize("name", ROWS)
def test_a_row_has_the_bytes_that_it_always_had(name: str) -> None:
    layout, golden, form, values = ROWS[name]
    assert len(values) == len(set(values))
    assert struct.pack(form, *values).hex() == golden
    assert struct.unpack(form, bytes.fromhex(golden)) == values
    (row,) = np.frombuffer(bytes.fromhex(golden), layout).tolist()
    *outer, last = row
    assert (*outer, *(last if isinstance(last, tuple) else (last,))) == values
    written = np.zeros(1, layout)
    written[0] = row
    assert written.tobytes().hex() == golden


def test_packed_requests_are_the_row_itself() -> None:
    (rows,) = codec.decode(bytes.fromhex("9193a2555201c468" + REQUEST_HEX))
    assert rows.tobytes().hex() == REQUEST_HEX


def test_reports_and_events_go_from_rows_to_the_wire_as_they_always_did() -> None:
    lines = {type(message): golden for message, golden in GOLDEN}
    report = np.frombuffer(bytes.fromhex(REPORT_HEX), REPORT)
    assert codec.encode_reports(report).hex() == "91" + lines[m.ExecutionReport]
    event = np.frombuffer(bytes.fromhex(EVENT_HEX), EVENT)
    assert codec.encode_tape(event).hex() == "91" + lines[m.TapeRows]


def test_a_request_has_the_hash_that_journals_already_hold() -> None:
    row = np.frombuffer(bytes.fromhex(REQUEST_HEX), REQUEST)
    assert content_hash(row).tolist() == [1906158304793194956]
