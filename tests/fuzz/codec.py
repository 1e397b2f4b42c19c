"""The codec and the MQTT server's reader under coverage-guided, structure-aware inputs. Needs `pip install atheris`.

    python -m tests.fuzz.codec [--runs 10000000] [--seed 1] [--unguided]

An input is one byte that says which reader it is for, and what that reader gets. What may come of it: a list, or a
`WireError` with its reason; a connection that goes on, or one closed with a reason. What is read must say the same when
it is written and read again, must be what the untyped decoder finds in the same places, and must not depend on how a
stream was cut. The last line printed is a JSON summary; the exit status is 1 when something else happened.

`--unguided` does without atheris: the same inputs, but none made from what reached something new.
"""

import argparse
import asyncio
import json
import os
import random
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import mqtt5
import msgspec
import numpy as np

from engine.codes import OrdType
from engine.records import COMMAND, empty_commands
from gateway.desk.desk import Counters
from gateway.desk.session import Session
from gateway.transports.mqtt import MAX_PACKET, PACKETS_A_LOOK, MqttServer
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.codec import WireError
from gateway.wire.reasons import DoorReason
from gateway.wire.records import BATCH_LIMIT, PAYLOAD_LIMIT, REQUEST, VERSION
from gateway.wire.topics import Principal, Role
from tests.fuzz.corpus import DATA, NAMES, Corpus, Tally, cuts, settled_mb

CODEC_REASONS = frozenset({
    DoorReason.NOT_MSGPACK, DoorReason.TOO_LARGE, DoorReason.TOO_MANY_IN_BATCH, DoorReason.UNKNOWN_TYPE,
    DoorReason.MISSING_FIELD, DoorReason.BAD_TYPE, DoorReason.OUT_OF_RANGE, DoorReason.UNKNOWN_FIELD,
})  # fmt: skip
"""What the codec refuses by; a campaign must have seen each."""
RSS_SLACK = 0.05
UNTRACED = frozenset({"_unpack"})
"""It compares whole arrays, and the fuzzer's trace of such a comparison loses some bytes each time (found by halving:
with it 22 bytes a run, without it none): its branches guide nothing."""
_BY_TAG = {m.tag_of(kind): kind for kind in codec.KINDS}
_ABSENT = dict(zip(COMMAND.names or (), empty_commands(1)[0].item(), strict=True))
_SHORTEST = 2
"""Bytes of the shortest packet."""
_ROLES = {"teacher": Role.INSTRUCTOR, "guest": Role.OBSERVER, "risk": Role.DROP_COPY}
_unpack = msgspec.msgpack.Decoder().decode


# -------------------------------------------------------------------------------------------------------- MessagePack


def read_requests(data: bytes) -> str | None:
    """`codec.decode`, held against itself and against the untyped decoder; the reason where it refuses."""
    try:
        parts = codec.decode(data)
    except WireError as error:
        return _reason(error)
    assert len(data) <= PAYLOAD_LIMIT
    assert sum(len(part) if isinstance(part, np.ndarray) else 1 for part in parts) <= BATCH_LIMIT
    again: list[m.Message] = []
    for part in parts:
        if isinstance(part, np.ndarray):
            assert part.dtype == REQUEST
            assert part.flags.writeable
            assert len(part), "rows without a row"
            assert (part["seq"] > 0).all()
            again.append(m.PackedRequests(VERSION, part.tobytes()))
        else:
            again.append(part)
    second = codec.decode(codec.encode(again))
    assert len(second) == len(parts)
    for part, other in zip(parts, second, strict=True):
        same = part.tobytes() == other.tobytes() if isinstance(part, np.ndarray) else part == other
        assert same, f"{part} became {other}"
    _same_values(_unpack(data), parts)
    return None


def _same_values(messages: list[list[Any]], parts: list[Any]) -> None:
    """Every row says what its message says: nothing is cut, wrapped, or put in another field."""
    rows = iter([row for part in parts if isinstance(part, np.ndarray) for row in part])
    for message in messages:
        if message[0] == "UR":
            for at in range(0, len(message[2]), REQUEST.itemsize):
                assert next(rows).tobytes() == message[2][at : at + REQUEST.itemsize]
        elif message[0] in _BY_TAG:
            kind, row = _BY_TAG[message[0]], next(rows)
            wanted = dict.fromkeys(("seq", "target_seq"), 0) | _ABSENT
            wanted |= {"kind": int(codec.KINDS[kind]), "ord_type": int(OrdType.LIMIT), "time_ns": 0}
            given = zip(m.fields_of(kind), message[1:], strict=False)
            wanted |= {name: value for name, value in given if value is not None}
            wanted["client_ref"] = wanted["seq"]
            found = {"seq": row["seq"], "target_seq": row["target_seq"]}
            found |= {name: row["command"][name] for name in COMMAND.names or ()}
            assert wanted == found, f"{message} became {found}"
    assert next(rows, None) is None


def read_replies(data: bytes) -> str | None:
    """`codec.decode_replies`; what it reads is the same when written and read again."""
    try:
        replies = codec.decode_replies(data)
    except WireError as error:
        return _reason(error)
    assert codec.decode_replies(codec.encode(replies)) == replies
    return None


def read_data(data: bytes) -> str | None:
    """`codec.decode_data`; as `read_replies`."""
    try:
        found = codec.decode_data(data)
    except WireError as error:
        return _reason(error)
    assert codec.decode_data(codec.encode_one(found)) == found
    return None


def _reason(error: WireError) -> str:
    assert error.reason in CODEC_REASONS, f"{error.reason!r} is no reason of the codec"
    assert error.text, "a refusal says what was expected"
    return error.reason.name


# --------------------------------------------------------------------------------------------------------------- MQTT


@dataclass
class FakePipe:
    """A pipe to nowhere."""

    address: str = "192.0.2.1"
    slow_since: float | None = None
    waiting: int = 0
    written: list[bytes] = field(default_factory=list)
    closed: bool = False
    aborted: bool = False
    paused: bool = False

    def write(self, data: bytes) -> None:
        self.written.append(bytes(data))

    def close(self) -> None:
        self.closed = True

    def abort(self) -> None:
        self.closed = self.aborted = True

    def pause(self) -> None:
        assert not self.paused
        self.paused = True

    def resume(self) -> None:
        assert self.paused
        self.paused = False


class FakeHost:
    """Stands for host and desk: remembers what is offered, lets be read what the topics allow."""

    def __init__(self) -> None:
        self.desk = self
        self.counters = Counters()
        self.offered: list[tuple[str, bytes, int]] = []
        self.attached = 0

    def monotonic(self) -> float:
        return 0.0

    def attach(self, principal: Principal, client_id: str, deliver: Callable[[list[Any]], None]) -> Session:
        del deliver
        self.attached += 1
        return Session(principal, client_id)

    def detach(self, session: Session) -> None:
        del session
        self.attached -= 1

    def offer(self, session: Session, topic: str, payload: bytes, token: int) -> None:
        del session
        self.offered.append((topic, bytes(payload), token))

    def subscribe(self, session: Session, pattern: str) -> bool:
        return topics.may_read(session.principal, pattern)

    def unsubscribe(self, session: Session, pattern: str) -> bool:
        return pattern in session.patterns


async def admit(name: str, password: bytes, address: str) -> Principal | int:
    del address
    if name in NAMES and password == f"{name}-secret".encode():
        return Principal(name, 2 + NAMES.index(name), _ROLES.get(name, Role.TRADER))
    return 0x86


@dataclass
class _Heard:
    """What one connection did."""

    written: bytes
    offered: list[tuple[str, bytes, int]]
    refused: int


async def _until(done: Callable[[], bool], read: int) -> None:
    """Let the log-on be decided, and what has been read be looked at, a few packets each time the loop comes round."""
    for _ in range(4 + read // (_SHORTEST * PACKETS_A_LOOK)):
        if done():
            return
        await asyncio.sleep(0)
    raise AssertionError("a log-on was never decided, or nothing is read after it")


async def _connection(pieces: list[bytes], *, wait: bool) -> _Heard:
    """Hand a stream to a connection piece by piece; `wait`: the log-on is decided between two of them."""
    host, pipe = FakeHost(), FakePipe()
    server = MqttServer(host, admit)  # type: ignore[arg-type]
    connection = server.accept(pipe)  # type: ignore[arg-type]
    for piece in pieces:
        if wait:
            await asyncio.sleep(0)
        connection.receive(piece)
        assert connection._closing or len(connection._buffer) <= MAX_PACKET + len(piece)
        await _until(lambda: not pipe.paused or pipe.closed, len(connection._buffer))
    await _until(lambda: connection._authenticating is None, 0)
    assert pipe.closed == connection._closing
    during = host.offered.copy()
    connection.lost()
    assert host.attached == 0
    assert not server.connections
    assert not server._unknown
    return _Heard(b"".join(pipe.written), during, server.refused_packets)


_LOOPS: list[asyncio.AbstractEventLoop] = []


def read_stream(data: bytes) -> str | None:
    """A connection's bytes, cut as the first byte says: no exception, legal answers, the same however it is cut."""
    if not _LOOPS:
        _LOOPS.append(asyncio.new_event_loop())
    chance = random.Random(data[:1])
    stream = data[1:]
    heard = _LOOPS[0].run_until_complete(_connection([stream], wait=False))
    if chance.random() < 0.3:
        pieces = cuts(chance, stream)
        cut = _LOOPS[0].run_until_complete(_connection(pieces, wait=chance.random() < 0.5))
        assert cut == heard, f"cut into {[len(piece) for piece in pieces]}: {cut}, whole: {heard}"
    answer, at = None, 0
    while at < len(heard.written):
        if heard.written[at : at + 4] == b"\x20\x02\x00\x01":
            answer, at = "MQTT_3", at + 4
            continue
        packet, length = mqtt5.read(memoryview(heard.written)[at:])
        at += length
        if isinstance(packet, (mqtt5.DisconnectPacket, mqtt5.ConnAckPacket)) and int(packet.reason_code):
            answer = packet.reason_code.name
    assert all(len(payload) <= MAX_PACKET for _, payload, _ in heard.offered)
    if answer is None and heard.refused:
        return "CLOSED_UNKNOWN"
    return answer


TARGETS: tuple[Callable[[bytes], str | None], ...] = (read_requests, read_replies, read_data, read_stream)


# ----------------------------------------------------------------------------------------------------------- campaign


class Inputs:
    """Inputs for all readers: made anew, or made from earlier ones."""

    def __init__(self, seed: int) -> None:
        self.corpus = Corpus(seed)
        self._which = random.Random(seed)

    def fresh(self) -> bytes:
        """The reader's number, then something for it."""
        which = self._which.choice((0, 0, 0, 0, 1, 2, 3, 3))
        corpus = self.corpus
        match which:
            case 0:
                data = corpus.payload(corpus.requests())
            case 1:
                data = corpus.payload(corpus.replies())
            case 2:
                data = corpus.payload(corpus.message(self._which.choice(DATA)))
            case _:
                data = bytes([self._which.randrange(256)]) + corpus.stream()
        return bytes([which]) + data

    def again(self, data: bytes) -> bytes:
        """An earlier input, changed where it has structure."""
        which = data[0] % len(TARGETS)
        rest = data[1:]
        return data[:1] + (self.corpus.bytes_damaged(rest) if which == 3 else self.corpus.again(rest))


def check_one(data: bytes, tally: Tally) -> None:
    """One input to its reader, counted."""
    if not data:
        data = b"\x00"
    target = TARGETS[data[0] % len(TARGETS)]
    try:
        tally.take(target(data[1:]))
    except BaseException as error:  # noqa: BLE001  (a panic of the MQTT codec is no Exception)
        tally.crash(error, f"check_one(bytes.fromhex({data.hex()!r}), Tally())")


def main() -> None:
    """The campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--runs", type=int, default=10_000_000)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--unguided", action="store_true")
    options = parser.parse_args()
    inputs, tally, began = Inputs(options.seed), Tally(), time.monotonic()
    memory: list[float] = []
    chance = random.Random(options.seed + 1)

    def one(data: bytes) -> None:
        check_one(data, tally)
        if tally.inputs == options.runs // 10:
            memory.append(settled_mb())
        if tally.inputs == options.runs:
            memory.append(settled_mb())
            _end(options, tally, memory, time.monotonic() - began)

    if options.unguided:
        while True:
            fresh = inputs.fresh()
            one(fresh)
            one(inputs.again(fresh))

    import atheris

    _instrument(atheris)

    def mutate(data: bytes, limit: int, seed: int) -> bytes:
        del seed
        luck = chance.random()
        if luck < 0.5 or len(data) < 2:
            return inputs.fresh()[:limit]
        return (inputs.again(data) if luck < 0.85 else bytes(atheris.Mutate(data, limit)))[:limit]

    # libFuzzer ends the process itself after its runs, without a word from here: it is told of some more.
    arguments = [sys.argv[0], f"-runs={options.runs + 1000}", f"-seed={options.seed}", "-max_len=20000", "-verbosity=0",
                 "-rss_limit_mb=0", "-timeout=30", "-len_control=0", "-detect_leaks=0"]  # fmt: skip
    atheris.Setup(arguments, one, custom_mutator=mutate)
    atheris.Fuzz()


def _instrument(atheris: Any) -> None:
    """Coverage of what is tested, counted by the fuzzer."""
    from gateway.transports import mqtt, texts

    for module in (codec, mqtt, texts):
        for name, found in list(vars(module).items()):
            if getattr(found, "__module__", None) != module.__name__ or name in UNTRACED:
                continue
            if isinstance(found, type):
                for method, function in list(vars(found).items()):
                    if callable(function) and hasattr(function, "__code__"):
                        setattr(found, method, atheris.instrument_func(function))
            elif hasattr(found, "__code__"):
                setattr(module, name, atheris.instrument_func(found))


def _end(options: argparse.Namespace, tally: Tally, memory: list[float], seconds: float) -> None:
    """Print the summary and leave; the fuzzer's own loop cannot be left otherwise."""
    seen = {reason.name for reason in CODEC_REASONS} - set(tally.refused)
    faults = list(tally.crashes)
    faults += [f"no input was refused as {name}" for name in sorted(seen)]
    if not tally.balanced():
        faults.append("accepted + refused is not the number of inputs")
    if memory[-1] > (1 + RSS_SLACK) * memory[0]:
        faults.append(f"memory went from {memory[0]} to {memory[-1]} MB")
    summary = {
        "inputs": tally.inputs, "accepted": tally.accepted, "refused": dict(tally.refused.most_common()),
        "crashes": tally.crashed, "faults": faults, "rss_mb_begin": memory[0], "rss_mb_end": memory[-1],
        "seconds": round(seconds), "seed": options.seed,
    }  # fmt: skip
    print(json.dumps(summary), flush=True)
    os._exit(1 if faults else 0)


if __name__ == "__main__":
    main()
