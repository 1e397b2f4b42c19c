"""Inputs for the three campaigns, from legal to garbage, and the count of what became of them. Sends nothing itself.

    message, requests     legal: every type, its fields inside their ranges, at the limits or where markets trade
    payload               the same damaged: a value, a field, the type, the nesting, packed rows, single bytes
    stream                MQTT packets of one connection, some of them damaged

Everything is drawn from one `random.Random`, so that a seed repeats it.
"""

import ctypes
import gc
import itertools
import random
import sys
import typing
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import mqtt5
import msgspec
import numpy as np
from msgspec import inspect

from engine.codes import CommandKind
from engine.records import COMMAND
from gateway.wire import messages as m
from gateway.wire.records import REQUEST

REQUESTS: tuple[type[m.Message], ...] = typing.get_args(m.Request)
REPLIES: tuple[type[m.Message], ...] = typing.get_args(m.Reply)
DATA: tuple[type[m.Message], ...] = typing.get_args(m.MarketData)
TAGS = sorted({m.tag_of(kind) for kind in (*REQUESTS, *REPLIES, *DATA)})

_pack = msgspec.msgpack.encode
_unpack = msgspec.msgpack.decode

Draw = Callable[[random.Random], Any]

_SENSIBLE: dict[str, Draw] = {
    "account": lambda r: r.randrange(2, 7), "amount_fen": lambda r: r.randrange(10**7),
    "contra": lambda r: r.randrange(2, 7), "date": lambda r: 20230101 + r.randrange(5) * 100 + r.randrange(28),
    "flags": lambda r: r.randrange(2), "instrument": lambda r: r.randrange(2),
    "limit_price_fen": lambda r: r.randrange(5000, 5200), "min_qty": lambda r: r.randrange(50),
    "next_expected": lambda r: r.randrange(50), "ord_type": lambda r: r.choice((1, 2, 2, 2, 11)),
    "phase": lambda r: r.randrange(8), "price_fen": lambda r: r.randrange(4900, 5100),
    "qty": lambda r: r.randrange(1, 200), "rule": lambda r: r.randrange(20), "seq": lambda r: r.randrange(1, 40),
    "side": lambda r: r.randrange(1, 3), "target_id": lambda r: r.randrange(1, 500),
    "target_seq": lambda r: r.randrange(40), "tif": lambda r: r.choice((0, 0, 1, 3, 4, 6)),
    "until_ns": lambda r: 1_700_000_000 * 10**9 + r.randrange(10**15), "version": lambda _: 1,
}  # fmt: skip
"""By field name: what a request in a living market would carry."""
HOSTILE: tuple[Any, ...] = (
    None, True, False, -1, 0, 1, 2**31, 2**32, 2**62, 2**62 + 1, 2**63 - 1, 2**63, 2**64 - 1, -(2**31), -(2**63), 0.5,
    1e308, float("nan"), float("inf"), -0.0, "", "1", "D", "\x00", "\ufeff", "x" * 300, b"", b"\xff", b"x" * 300, [],
    {},
    {"seq": 1}, [[]], msgspec.msgpack.Ext(-1, b"\x00\x00\x00\x00"), msgspec.msgpack.Ext(5, b""),
    *(msgspec.Raw(raw) for raw in (
        b"\xc1", b"\xdd\xff\xff\xff\xff", b"\xdf\xff\xff\xff\xff", b"\xdb\xff\xff\xff\xff", b"\xc6\xff\xff\xff\xff",
        b"\xc9\xff\xff\xff\xff\x01", b"\xa2\xc3\x28", b"\xa4\xed\xa0\x80x", b"\xdc\x00\x00", b"\xca\x7f\xc0\x00\x00",
    )),
)  # fmt: skip
"""Values where another was expected; the last ones are no or broken MessagePack."""
TOPICS = ("emex/1/in/anna", "emex/1/in/ben", "emex/1/admin/teacher", "emex/1/out/anna", "emex/1/md/status", "", "a",
          "emex/1/in/ANNA", "emex/1/in/anna/", "/emex/1/in/anna", "emex/1/in/\u00e4\U0001f600", "x" * 3000)  # fmt: skip
PATTERNS = (*filter(None, TOPICS), "#", "emex/1/md/#", "emex/1/md/+/snapshot", "emex/1/md/ANY/update",
            "emex/1/copy/+", "emex/1/copy/anna",
            "emex/1/tape", "emex/1/#", "emex/+/out/anna", "emex/1/out/+", "emex/1/out/#", "$share/g/emex/1/md/#",
            "$SYS/#", "+", "emex/1/md/#/x", "emex/1/md/", "emex/1/md/+x/#", "emex/1/copy/#", "emex/1/copy/a/b",
            "emex/1/tape/#", "/".join("+" * 500), "emex/1/md/" + "a/" * 900)  # fmt: skip
NAMES = ("anna", "ben", "teacher", "guest", "risk", "eve")


def _draw(kind: Any) -> Draw:
    """How a field of that msgspec type is drawn: at its limits, or anywhere between."""
    match kind:
        case inspect.Metadata():
            return _draw(kind.type)
        case inspect.IntType():
            low, high = kind.ge if kind.ge is not None else -(2**63), kind.le if kind.le is not None else 2**63 - 1
            edges = low, low + 1, high - 1, high
            return lambda r: (
                r.choice(edges) if r.random() < 0.3 else r.randint(low, min(high, low + 2 ** r.randrange(64)))
            )
        case inspect.BoolType():
            return lambda r: r.random() < 0.5
        case inspect.StrType():
            return lambda r: "".join(r.choices("aZ09 \x00\u00e4\u7535\U0001f600", k=r.randrange(12)))
        case inspect.BytesType():
            return lambda r: rows(r, r.choice((1, 1, 2, 3, 7)))
        case inspect.ListType():
            item = _draw(kind.item_type)
            return lambda r: [item(r) for _ in range(r.randrange(4))]
        case inspect.UnionType():
            given = _draw(next(one for one in kind.types if not isinstance(one, inspect.NoneType)))
            return lambda r: None if r.random() < 0.4 else given(r)
    raise AssertionError(f"no way to draw a {kind}")


@dataclass(frozen=True)
class _Shape:
    """One message type as an array on the wire."""

    tag: Any
    required: int
    names: tuple[str, ...]
    draws: tuple[Draw, ...]

    @classmethod
    def of(cls, kind: type[m.Message]) -> "_Shape":
        info = inspect.type_info(kind)
        assert isinstance(info, inspect.StructType)
        required = sum(one.required for one in info.fields)
        return cls(
            info.tag, required, tuple(one.name for one in info.fields), tuple(_draw(one.type) for one in info.fields)
        )


_SHAPES = {kind: _Shape.of(kind) for kind in (*REQUESTS, *REPLIES, *DATA)}
_ROW_EDGES = {
    name: (-1, 0, 1, 2**31 - 1, -(2**31)) if COMMAND[name].kind == "i" else (0, 1, 2, 255)
    for name in COMMAND.names or ()
}
_KINDS = [int(kind) for kind in CommandKind]


def rows(r: random.Random, count: int, *, first_seq: int | None = None) -> bytes:
    """REQUEST rows: numbered, of any kind, most fields sensible and some at the limits of their type."""
    table = np.zeros(count, REQUEST)
    commands = table["command"]
    for at in range(count):
        table[at]["seq"] = r.randrange(0, 40) if first_seq is None else first_seq + at
        table[at]["target_seq"] = r.choice((0, 0, r.randrange(40), 2**32 - 1))
        row = commands[at]
        for name in COMMAND.names or ():
            draw = _SENSIBLE.get(name)
            if name == "account":
                row[name] = r.choice((-1, -1, -1, 2, 3))
            elif draw is None or r.random() < 0.1:
                row[name] = r.choice(_ROW_EDGES[name])
            else:
                row[name] = draw(r)
        row["kind"] = r.choice(_KINDS) if r.random() < 0.95 else r.randrange(256)
    return table.tobytes()


class Corpus:
    """Inputs drawn from one stream of chance."""

    def __init__(self, seed: int | random.Random) -> None:
        self.random = seed if isinstance(seed, random.Random) else random.Random(seed)
        self._rows = [rows(self.random, count) for count in (1, 2, 3, 5, 99, 100, 101, 150)]
        """Packed rows to damage: they are slow to make."""

    # -------------------------------------------------------------------------------------------- legal messages

    def message(self, kind: type[m.Message], **given: Any) -> list[Any]:
        """A message of that type as its array, inside the ranges of its fields; `given` fields as they are given."""
        r, shape = self.random, _SHAPES[kind]
        sensible = r.random() < 0.7
        values = []
        for name, draw in zip(shape.names, shape.draws, strict=True):
            if name in given:
                values.append(given[name])
            elif sensible and name in _SENSIBLE:
                values.append(_SENSIBLE[name](r))
            elif name == "rows":
                values.append(r.choice(self._rows[:4]))
            else:
                values.append(draw(r))
        if len(values) > shape.required and r.random() < 0.3:
            del values[max(shape.required, r.randrange(shape.required, len(values) + 1)) :]
        return [shape.tag, *values]

    def requests(self, limit: int = 4) -> list[Any]:
        """Legal requests of any type."""
        return [self.message(self.random.choice(REQUESTS)) for _ in range(self.random.randrange(limit + 1))]

    def replies(self) -> list[Any]:
        """Legal replies of any type."""
        return [self.message(self.random.choice(REPLIES)) for _ in range(self.random.randrange(4))]

    # --------------------------------------------------------------------------------------------------- damage

    def payload(self, legal: Any) -> bytes:
        """A legal payload, damaged in one way or several; sometimes left as it is."""
        r = self.random
        luck = r.random()
        if luck < 0.25:
            return _pack(legal)
        damaged = self.damage(legal)
        while r.random() < 0.2:
            damaged = self.damage(damaged)
        data = _pack(damaged)
        return self.bytes_damaged(data) if luck > 0.8 else data

    def again(self, data: bytes) -> bytes:
        """Bytes that were interesting before, damaged as what they say; as bytes where they say nothing."""
        try:
            return self.payload(_unpack(data))
        except (ValueError, msgspec.DecodeError, RecursionError, OverflowError, TypeError):
            return self.bytes_damaged(data)

    def damage(self, payload: Any) -> Any:
        """One thing wrong in a payload; it is not changed itself."""
        r = self.random
        whole = r.random()
        if not isinstance(payload, list) or whole < 0.15:
            return self._damage_whole(payload)
        messages = list(payload)
        if not messages:
            return [r.choice(HOSTILE)]
        at = r.randrange(len(messages))
        message = messages[at]
        if not isinstance(message, list) or not message:
            messages[at] = self.message(r.choice(REQUESTS))
            return messages
        messages[at] = message = list(message)
        place = r.randrange(len(message))
        match r.randrange(9):
            case 0 | 1 | 2:
                message[place] = r.choice(HOSTILE)
            case 3:
                del message[place]
            case 4:
                message.insert(place, r.choice(HOSTILE))
            case 5:
                message.append(r.choice((None, 0, 1, [])))
            case 6:
                message[0] = r.choice((*TAGS, "ZZ", "d", "", 8, None, "D" * 100))
            case 7:
                del message[r.randrange(len(message)) :]
            case _:
                messages[at] = self._packed()
        return messages

    def _damage_whole(self, payload: Any) -> Any:
        r = self.random
        match r.randrange(8):
            case 0:
                return r.choice(HOSTILE)
            case 1:
                return {"messages": payload}
            case 2:
                nested: Any = payload
                for _ in range(r.choice((1, 2, 50, 600, 3000))):
                    nested = [nested] if r.random() < 0.99 else {"x": nested}
                return msgspec.Raw(_nest(nested))
            case 3:
                return [payload]
            case 4:
                one = self.message(r.choice((m.OrderMassCancelRequest, m.Logon, m.TestRequest)))
                return [one] * r.choice((99, 100, 101, 150))
            case 5:
                return [*self.requests(), self._packed(), *self.requests()]
            case 6:
                return [["D", *range(1, 11)], "x" * r.choice((16_000, 16_384, 17_000))]
            case _:
                return payload[0] if isinstance(payload, list) and payload else 0

    def _packed(self) -> list[Any]:
        """Packed rows of every length, some cut, numbered 0, or of another version."""
        r = self.random
        data = r.choice(self._rows)
        if r.random() < 0.3:
            data = self.bytes_damaged(data)
        if r.random() < 0.2:
            data = data[: r.randrange(len(data) + 1)]
        elif r.random() < 0.2:
            data = data[: len(data) // REQUEST.itemsize * REQUEST.itemsize]
        elif r.random() < 0.1:
            data = b""
        return ["UR", r.choice((1, 1, 1, 1, 1, 1, 0, 2, 255)), data]

    def bytes_damaged(self, data: bytes) -> bytes:
        """Bytes flipped, cut, doubled, inserted."""
        r = self.random
        changed = bytearray(data)
        for _ in range(r.choice((1, 1, 1, 2, 3, 8))):
            at = r.randrange(len(changed) + 1)
            match r.randrange(6):
                case 0 | 1 if at < len(changed):
                    changed[at] ^= 1 << r.randrange(8)
                case 2 if at < len(changed):
                    changed[at] = r.choice((0, 1, 0x7F, 0x80, 0xC0, 0xC1, 0xDC, 0xFF, r.randrange(256)))
                case 3:
                    del changed[at : at + r.choice((1, 1, 2, 5, 100))]
                case 4:
                    changed[at:at] = r.randbytes(r.choice((1, 1, 2, 4, 16)))
                case _:
                    changed[at:at] = changed[at : at + r.choice((1, 3, 9, 40))]
        return bytes(changed)

    def garbage(self, limit: int = 200) -> bytes:
        """Anything."""
        r = self.random
        return r.randbytes(r.randrange(limit))

    # ---------------------------------------------------------------------------------------------- MQTT packets

    def connect(self, name: str | None = None, password: bytes | None = None) -> bytes:
        """A legal CONNECT, of somebody known unless told otherwise."""
        r = self.random
        name = name or r.choice(NAMES)
        extra: dict[str, Any] = {}
        if r.random() < 0.3:
            payload, qos = self.payload(self.requests()), mqtt5.QoS(r.randrange(3))
            will = mqtt5.Will(r.choice(TOPICS) or "x", payload=payload, qos=qos,
                              retain=r.random() < 0.1, will_delay_interval=r.randrange(9))  # fmt: skip
            extra["will"] = will
        if r.random() < 0.3:
            extra |= {"keep_alive": r.choice((0, 1, 65535)), "receive_max": r.choice((1, 65535))}
        if r.random() < 0.1:
            extra["authentication_method"] = "SCRAM"
        if r.random() < 0.1:
            extra["max_packet_size"] = r.choice((1, 20, 2**32 - 1))
        if r.random() < 0.1:
            extra["user_properties"] = [("a", "b")] * r.choice((1, 1000))
        client = r.choice(("", "c", "c", f"c{r.randrange(9)}", "\u00e4" * 50))
        password = f"{name}-secret".encode() if password is None else password
        return mqtt5.ConnectPacket(client, username=name, password=password, clean_start=True, **extra).write()

    def packet(self) -> bytes:
        """A legal packet of any type."""
        r = self.random
        identifier = r.choice((1, 2, 65535, r.randrange(1, 65536)))
        match r.randrange(12):
            case 0 | 1 | 2 | 3 | 4:
                return self.publish(r.choice(TOPICS[:5]) if r.random() < 0.8 else r.choice(TOPICS), identifier)
            case 5 | 6:
                filters = b"".join(
                    _text(r.choice(PATTERNS)) + bytes([r.randrange(3)]) for _ in range(r.choice((1, 1, 2, 4)))
                )
                properties = b"\x02\x0b\x05" if r.random() < 0.1 else b"\x00"
                return frame(0x82, identifier.to_bytes(2) + properties + filters)
            case 7:
                return frame(0xA2, identifier.to_bytes(2) + b"\x00" + _text(r.choice(PATTERNS)))
            case 8:
                return mqtt5.PingReqPacket().write()
            case 9:
                return self.connect()
            case 10:
                code = r.choice((mqtt5.DisconnectReasonCode.NORMAL_DISCONNECTION,
                                 mqtt5.DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE))  # fmt: skip
                return mqtt5.DisconnectPacket(reason_code=code, reason_str=r.choice((None, "bye"))).write()
            case _:
                return r.choice((
                    mqtt5.AuthPacket(authentication_method="x"), mqtt5.PubRelPacket(identifier),
                    mqtt5.PubAckPacket(identifier, reason_str="\u00e4"), mqtt5.ConnAckPacket(), mqtt5.PingRespPacket(),
                    mqtt5.SubAckPacket(1, [mqtt5.SubAckReasonCode.NOT_AUTHORIZED]),
                )).write()  # fmt: skip

    def publish(self, topic: str, identifier: int, payload: bytes | None = None) -> bytes:
        """A PUBLISH, mostly with QoS 1."""
        r = self.random
        qos = mqtt5.QoS(r.choice((0, 1, 1, 1, 1, 1, 1, 2)))
        alias = r.choice((1, 2, 8, 9, 65535)) if r.random() < 0.2 else None
        payload = self.payload(self.requests()) if payload is None else payload
        return mqtt5.PublishPacket(
            topic if alias else topic or "x", payload, qos=qos, packet_id=None if qos == 0 else identifier,
            retain=r.random() < 0.03, topic_alias=alias,
            user_properties=[("k", "\u00e4")] if r.random() < 0.1 else None,
        ).write()  # fmt: skip

    def packet_damaged(self, packet: bytes) -> bytes:
        """Flags, length, texts or single bytes of a packet wrong."""
        r = self.random
        match r.randrange(6):
            case 0:
                return bytes([packet[0] ^ 1 << r.randrange(8)]) + packet[1:]
            case 1:
                return (
                    packet[:1]
                    + r.choice((b"\x00", b"\xff\xff\xff\xff", b"\x80\x80\x80\x00", b"\xff\xff\x7f", b"\x01"))
                    + packet[2:]
                )
            case 2:
                at = r.randrange(1, len(packet) + 1)
                return packet[:at] + r.choice((b"\xff", b"\xc3", b"\xed\xa0\x80", b"\x00")) + packet[at + 1 :]
            case 3:
                return packet[: r.randrange(1, len(packet) + 1)]
            case _:
                return self.bytes_damaged(packet)

    def stream(self) -> bytes:
        """What one connection sends: mostly a CONNECT, then packets; some damaged, or something else altogether."""
        r = self.random
        if r.random() < 0.06:
            return r.choice(STRANGERS) + self.garbage(40)
        packets = [self.connect()] if r.random() < 0.9 else []
        packets += [self.packet() for _ in range(r.randrange(5))]
        if packets and r.random() < 0.5:
            at = r.randrange(len(packets))
            packets[at] = self.packet_damaged(packets[at])
        return b"".join(packets)


def cuts(r: random.Random, data: bytes) -> list[bytes]:
    """The same bytes in pieces."""
    if len(data) < 60 and r.random() < 0.3:
        return [data[at : at + 1] for at in range(len(data))]
    places = sorted({0, len(data), *(r.randrange(len(data) + 1) for _ in range(1 + r.randrange(5)))})
    return [data[begin:end] for begin, end in itertools.pairwise(places)]


def frame(first: int, body: bytes) -> bytes:
    """An MQTT packet around a body, legal or not."""
    size, length = b"", len(body)
    while True:
        length, low = divmod(length, 128)
        size += bytes([low | 0x80 if length else low])
        if not length:
            return bytes([first]) + size + body


def _text(text: str) -> bytes:
    data = text.encode()
    return len(data).to_bytes(2) + data


def _nest(value: Any) -> bytes:
    """MessagePack of something nested too deep for the encoder's own recursion."""
    depth, layers = 0, []
    while isinstance(value, (list, dict)) and len(value) == 1 and depth < 5000:
        layers.append(b"\x91" if isinstance(value, list) else b"\x81\xa1x")
        value = value[0] if isinstance(value, list) else next(iter(value.values()))
        depth += 1
    return b"".join(layers) + _pack(value)


STRANGERS = (
    b"\x10\x0f\x00\x04MQTT\x04\x02\x00\x3c\x00\x03abc", b"\x10\x10\x00\x06MQIsdp\x03\x02\x00\x3c\x00\x02ab",
    b"GET / HTTP/1.1\r\nHost: x\r\n\r\n", b"POST /mqtt HTTP/1.1\r\nContent-Length: 99999999\r\n\r\n",
    b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", b"SSH-2.0-OpenSSH_9.6\r\n", b"*1\r\n$4\r\nPING\r\n", b"\x00" * 64,
    b"\xff" * 64, b"\x05\x01\x00", b"8=FIX.4.4\x019=65\x0135=A\x01", b"AMQP\x00\x01\x00\x00",
)  # fmt: skip
"""First bytes of those who want something else: MQTT 3, HTTP, TLS, SSH, Redis, SOCKS, FIX, AMQP."""


# ------------------------------------------------------------------------------------------------------------ tally


@dataclass
class Tally:
    """What became of the inputs. Each ends in exactly one count."""

    inputs: int = 0
    accepted: int = 0
    refused: Counter[str] = field(default_factory=Counter)
    crashes: list[str] = field(default_factory=list)
    """The first of each kind, with what repeats it."""
    crashed: int = 0

    def take(self, outcome: str | None) -> None:
        """Count one input: None = accepted, else why not."""
        self.inputs += 1
        if outcome is None:
            self.accepted += 1
        else:
            self.refused[outcome] += 1

    def crash(self, error: BaseException, repeat: str) -> None:
        """Count one input that ended in something that is not allowed."""
        self.inputs += 1
        self.crashed += 1
        trace = error.__traceback__
        while trace is not None and trace.tb_next is not None:
            trace = trace.tb_next
        place = f"{Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}" if trace else "?"
        words = f"{type(error).__name__} at {place}: {str(error)[:300]}"
        if not any(known.startswith(words) for known in self.crashes) and len(self.crashes) < 20:
            self.crashes.append(f"{words}; repeat with {repeat}")

    def balanced(self) -> bool:
        """Whether every input was counted once."""
        return self.inputs == self.accepted + self.refused.total() + self.crashed


def settled_mb() -> float:
    """Memory that this process needs: what its allocator only keeps for later is given back first."""
    gc.collect()
    if sys.platform == "linux":
        ctypes.CDLL(None).malloc_trim(0)
    return rss_mb()


def rss_mb(pid: int | str = "self") -> float:
    """Memory a process holds now."""
    pages = int(Path(f"/proc/{pid}/statm").read_text(encoding="ascii").split()[1])
    return round(pages * 4096 / 2**20, 1)
