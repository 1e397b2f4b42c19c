"""Bytes <-> messages and records. The only file that touches MessagePack.

    decode(payload) -> [REQUEST rows | query]      in the order sent; or raises WireError: nothing of it is applied
    encode(messages) -> payload

Hostile input (deep nesting, huge headers, NaN, broken UTF-8, booleans for integers) ends in a `WireError` with a reason
and a path, never in another exception.
"""

import re
import struct
from collections.abc import Sequence
from typing import Any

import msgspec
import numpy as np

from engine.codes import CommandKind, OrdType
from engine.records import COMMAND, empty_commands
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.records import BATCH_LIMIT, PAYLOAD_LIMIT, REPORT, REQUEST, VERSION

KINDS: dict[type[m.Message], CommandKind] = {
    m.NewOrderSingle: CommandKind.NEW, m.OrderCancelRequest: CommandKind.CANCEL,
    m.OrderCancelReplaceRequest: CommandKind.REPLACE, m.OrderMassCancelRequest: CommandKind.MASS_CANCEL,
    m.Click: CommandKind.CLICK, m.Propose: CommandKind.PROPOSE, m.Confirm: CommandKind.CONFIRM,
    m.Decline: CommandKind.DECLINE, m.Offer: CommandKind.OFFER, m.Take: CommandKind.TAKE,
    m.Announce: CommandKind.ANNOUNCE, m.Apply: CommandKind.APPLY, m.Bid: CommandKind.BID,
    m.Surrender: CommandKind.SURRENDER, m.OpenAccount: CommandKind.OPEN_ACCOUNT, m.Deposit: CommandKind.DEPOSIT,
    m.Withdraw: CommandKind.WITHDRAW, m.Issue: CommandKind.ISSUE, m.Fine: CommandKind.FINE,
    m.Deduct: CommandKind.DEDUCT, m.SetPhase: CommandKind.PHASE, m.DayRoll: CommandKind.DAY_ROLL,
    m.SetRule: CommandKind.SET_RULE, m.KillSwitch: CommandKind.KILL_SWITCH, m.EndStage: CommandKind.END_STAGE,
}  # fmt: skip
"""Which command a request becomes; its fields keep their names."""

Query = m.Logon | m.Logout | m.TestRequest | m.ResendRequest | m.StatusRequest | m.RequestForPositions


class WireError(Exception):
    """A payload that cannot be read: a reason, and what was expected where."""

    def __init__(self, reason: DoorReason, text: str) -> None:
        super().__init__(f"{reason.name}: {text}")
        self.reason = reason
        self.text = text


_decoder = msgspec.msgpack.Decoder(list[m.Request])
_encoder = msgspec.msgpack.Encoder()
_reply_decoder = msgspec.msgpack.Decoder(list[m.Reply])
_data_decoder: msgspec.msgpack.Decoder[m.MarketData] = msgspec.msgpack.Decoder(m.MarketData)

_LETTERS = {"<i8": "q", "<i4": "i", "<u4": "I", "<u2": "H", "|u1": "B"}


def _struct(dtype: np.dtype) -> struct.Struct:
    """A structured row without gaps but at its end as `struct` reads it: several times as fast as NumPy, row by row."""
    letters = "".join(_LETTERS[dtype[name].str] for name in dtype.names or ())
    return struct.Struct(f"<{letters}{dtype.itemsize - struct.calcsize('<' + letters)}x")


_COMMAND_NAMES = COMMAND.names or ()
_ROW = struct.Struct("<II" + _struct(COMMAND).format[1:])
_REPORT = _struct(REPORT)
assert _ROW.size == REQUEST.itemsize, "REQUEST and its packed form must agree"
_AT = {"seq": 0, "target_seq": 1} | {name: at for at, name in enumerate(_COMMAND_NAMES, start=2)}


def _plan(message: type[m.Message], kind: CommandKind) -> tuple[list[Any], tuple[int, ...]]:
    """A request row with everything absent, and where each field of the message goes."""
    row = [0, 0, *empty_commands(1)[0].item()]
    row[_AT["kind"]] = int(kind)
    row[_AT["ord_type"]] = int(OrdType.LIMIT)
    row[_AT["time_ns"]] = 0
    return row, tuple(_AT[field] for field in m.fields_of(message))


_PLANS = {message: _plan(message, kind) for message, kind in KINDS.items()}
_SEQ_IS_REF = _AT["client_ref"]

_FAULTS: tuple[tuple[str, DoorReason], ...] = (
    (r"Invalid value", DoorReason.UNKNOWN_TYPE),
    (r"of at least length|missing required", DoorReason.MISSING_FIELD),
    (r"of at most length", DoorReason.UNKNOWN_FIELD),
    (r"Expected `(int|bytes)` (of length )?[<>]=|out of range", DoorReason.OUT_OF_RANGE),
)
_TEXT_LIMIT = 200


def _fault(error: Exception) -> WireError:
    """Which of the reasons a decoder's complaint is; what it quotes of a long payload is cut out of the middle."""
    if not isinstance(error, msgspec.ValidationError):
        return WireError(DoorReason.NOT_MSGPACK, "expected a MessagePack array of messages")
    text = str(error)
    if len(text) > _TEXT_LIMIT:
        text = f"{text[: _TEXT_LIMIT // 2]}…{text[-_TEXT_LIMIT // 2 :]}"
    for pattern, reason in _FAULTS:
        if re.search(pattern, text):
            return WireError(reason, text)
    return WireError(DoorReason.BAD_TYPE, text)


def decode(payload: bytes) -> list[np.ndarray | Query]:
    """What a payload asks, in order: REQUEST rows, shape (n,), writable, between the queries. Raises `WireError`.

    Parameters
    ----------
    payload : at most `records.PAYLOAD_LIMIT` bytes, a MessagePack array of at most `records.BATCH_LIMIT` requests
        (a row of `PackedRequests` is one)
    """
    if len(payload) > PAYLOAD_LIMIT:
        raise WireError(DoorReason.TOO_LARGE, f"got {len(payload)} bytes, expected at most {PAYLOAD_LIMIT}")
    try:
        requests = _decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _fault(error) from None
    parts: list[np.ndarray | Query] = []
    packed = bytearray()
    count = 0
    for request in requests:
        plan = _PLANS.get(type(request))
        if plan is not None:
            packed += _pack(request, plan)
            count += 1
        else:
            if packed:
                parts.append(np.frombuffer(packed, REQUEST))
                packed = bytearray()
            if isinstance(request, m.PackedRequests):
                rows = _unpack(request)
                count += len(rows)
                parts.append(rows)
            else:
                parts.append(request)  # type: ignore[arg-type]
                count += 1
        if count > BATCH_LIMIT:
            raise WireError(DoorReason.TOO_MANY_IN_BATCH, f"got {count} requests, expected at most {BATCH_LIMIT}")
    if packed:
        parts.append(np.frombuffer(packed, REQUEST))
    return parts


def _pack(request: m.Message, plan: tuple[list[Any], tuple[int, ...]]) -> bytes:
    row, places = plan
    row = row.copy()
    values = msgspec.structs.astuple(request)
    for place, value in zip(places, values, strict=True):
        if value is not None:
            row[place] = value
    row[_SEQ_IS_REF] = values[0]
    return _ROW.pack(*row)


def _unpack(request: m.PackedRequests) -> np.ndarray:
    """The rows of a packed message, their values as free as the engine takes them: it judges every field itself."""
    if request.version != VERSION:
        raise WireError(DoorReason.OUT_OF_RANGE, f"version: got {request.version}, expected {VERSION}")
    if not request.rows:
        raise WireError(DoorReason.OUT_OF_RANGE, "rows: got none, expected at least one")
    if len(request.rows) % REQUEST.itemsize:
        text = f"rows: got {len(request.rows)} bytes, expected a multiple of {REQUEST.itemsize}"
        raise WireError(DoorReason.BAD_TYPE, text)
    rows = np.frombuffer(bytearray(request.rows), REQUEST)
    if (rows["seq"] == 0).any():
        raise WireError(DoorReason.OUT_OF_RANGE, "rows: got seq 0, expected numbers from 1")
    return rows


def encode(messages: Sequence[m.Message]) -> bytes:
    """A payload of several messages."""
    return _encoder.encode(messages)


def encode_one(message: m.Message) -> bytes:
    """A payload that is one message by itself: market data."""
    return _encoder.encode(message)


def encode_reports(rows: np.ndarray) -> bytes:
    """REPORT rows as a payload of `ExecutionReport`s."""
    return _encoder.encode([("8", *row) for row in _REPORT.iter_unpack(rows.tobytes())])


def encode_tape(events: np.ndarray) -> bytes:
    """EVENT rows as a payload of one `TapeRows`."""
    return _encoder.encode([m.TapeRows(VERSION, events.tobytes())])


def decode_replies(payload: bytes) -> list[m.Reply]:
    """What the gateway sent on a private topic. Raises `WireError`."""
    try:
        return _reply_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _fault(error) from None


def decode_data(payload: bytes) -> m.MarketData:
    """One message of market data. Raises `WireError`."""
    try:
        return _data_decoder.decode(payload)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
        raise _fault(error) from None
