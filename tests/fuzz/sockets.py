"""A real venue under connections that send garbage, while two honest clients trade and keep their own books.

    python -m tests.fuzz.sockets [--connections 100000] [--seed 1]

`emex serve` runs as a process of its own. Each hostile connection comes from one of many loopback addresses, because a
server limits what one address may do; counters of the server say how much of the garbage reached its parser. Nothing
that a hostile client sends may be carried out: those who log on as traders send what the door must refuse. The last
line printed is a JSON summary; the exit status is 1 when something did not hold.
"""

import argparse
import asyncio
import contextlib
import json
import os
import random
import socket
import struct
import subprocess
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

import mqtt5
import msgspec
import numpy as np

from engine.codes import CommandKind, Side
from engine.exchange import compile_loops
from gateway.client import Trader
from gateway.journal.store import Journal
from gateway.load import Audit
from gateway.recovery import records_of
from gateway.transports.mqtt import CONNECT_SECONDS
from gateway.verify import verify
from gateway.wire import codec
from gateway.wire import messages as m
from gateway.wire.codec import WireError
from gateway.wire.topics import Role
from tests.fuzz.corpus import PATTERNS, STRANGERS, Corpus, Tally, cuts, frame, rss_mb
from tests.gateway.running import password_of, write_accounts

HONEST = ("anna", "ben")
EVES = tuple(f"eve{number:02d}" for number in range(20))
PEOPLE = dict.fromkeys((*HONEST, *EVES), Role.TRADER) | {"guest": Role.OBSERVER}
REASONS = (
    "NOT_LOGGED_ON",
    "NOT_AUTHORISED",
    "NOT_MSGPACK",
    "MISSING_FIELD",
    "BAD_TYPE",
    "OUT_OF_RANGE",
    "UNKNOWN_FIELD",
)
"""What payloads must have been refused by, even in a short campaign."""
RSS_SLACK = 0.05
_KEPT_MB = (136 + 2 * 112) / 2**20
"""What a venue keeps of a request, for its sender's last 100,000: the result, and about two reports."""
_WORKERS = 150
_PATIENCE = 3 * CONNECT_SECONDS
"""Seconds within which a server must have closed what it has to close."""
_GLANCE = 0.05
_PACE = 0.05
"""Seconds between two requests of an honest client."""
_GUESSERS = 2_000
"""Addresses of those who guess passwords: each is locked out after 20."""


class Ports(NamedTuple):
    """Where a venue listens."""

    mqtt: int
    websocket: int
    metrics: int


# ------------------------------------------------------------------------------------------------------ hostile clients


def harmless(payload: bytes) -> bytes:
    """The payload, if the door refuses it also from somebody who has logged on; else garbage.

    A Logon that opens a session, or a question, changes nothing either; what asks for something does.
    """
    try:
        parts = codec.decode(payload)
    except WireError:
        return payload
    questions = all(not isinstance(part, np.ndarray) for part in parts)
    cancels = any(isinstance(part, m.Logon) and part.cancel_on_disconnect for part in parts)
    return payload if questions and not cancels else b"\xc1" + payload[:200]


def logged_off(payload: bytes) -> bytes:
    """The payload, unless it logs on: requests before a Logon are refused."""
    with contextlib.suppress(WireError):
        if any(isinstance(part, m.Logon) for part in codec.decode(payload)):
            return b"\xc1"
    return payload


class Peer:
    """One hostile connection."""

    def __init__(self, attack: "Attack", connected: socket.socket) -> None:
        self.socket = connected
        self._loop = asyncio.get_running_loop()
        self._random = attack.corpus.random
        self.framed = False
        """Whether what it sends goes into WebSocket frames."""
        self.heard = b""

    async def send(self, data: bytes) -> None:
        """Bytes in pieces."""
        if self.framed:
            data = self._frames(data)
        for piece in cuts(self._random, data) if self._random.random() < 0.3 else [data]:
            await self._loop.sock_sendall(self.socket, piece)
            if self._random.random() < 0.1:
                await asyncio.sleep(0)

    def _frames(self, data: bytes) -> bytes:
        """The same as WebSocket frames; some of them are none."""
        r, frames = self._random, b""
        for piece in cuts(r, data):
            mask = r.randbytes(4)
            masked = bytes(byte ^ mask[at % 4] for at, byte in enumerate(piece))
            opcode = 0x82 if r.random() < 0.95 else r.choice((0x81, 0x80, 0x02, 0x88, 0x89, 0x8A, 0xF2, 0x83))
            size = bytes([0x80 | len(piece)]) if len(piece) < 126 else b"\xfe" + struct.pack(">H", len(piece))
            if r.random() < 0.02:
                size = r.choice((b"\xff" + b"\xff" * 8, b"\xff\x00\x00\x00\x00\xff\xff\xff\xff", b"\x05"))
            frames += bytes([opcode]) + size + mask + masked
        return frames

    async def hear(self, seconds: float) -> bool:
        """Read until the server closes (True) or that time has passed."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(seconds):
                while data := await self._loop.sock_recv(self.socket, 65536):
                    self.heard = (self.heard + data)[:200_000]
                return True
        return False

    def break_off(self) -> None:
        """RST instead of FIN."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


class Attack:
    """Hostile connections of every kind against one venue."""

    def __init__(self, ports: Ports, seed: int) -> None:
        self.ports = ports
        self.corpus = Corpus(seed)
        self._which = random.Random(seed)
        """Decides the kinds alone, which are then the same however connections overlap."""
        self.tally = Tally()
        self.kinds: Counter[str] = Counter()
        self._number = 0
        self._kinds: tuple[tuple[float, Callable[[], Coroutine[Any, Any, str | None]]], ...] = (
            (14, self.garbage), (8, self.stranger), (16, self.damaged_connect), (5, self.cut_connect),
            (6, self.hostile_connect), (2, self.guess), (5, self.packet_first), (24, self.logged_on), (1.0, self.slow),
            (0.7, self.silent), (4, self.reset), (3, self.half_closed), (8, self.websocket), (3, self.bad_handshake),
        )  # fmt: skip

    async def run(self, connections: int, workers: int = _WORKERS) -> None:
        """So many connections, several at a time."""
        left = iter(range(connections))

        async def work() -> None:
            for _ in left:
                await self.one()

        await asyncio.gather(*(work() for _ in range(workers)))

    async def one(self) -> None:
        """One connection, counted: None = it was served, else how it was refused or what it did."""
        (kind,) = self._which.choices([kind for _, kind in self._kinds], [weight for weight, _ in self._kinds])
        self.kinds[kind.__name__] += 1
        try:
            self.tally.take(await kind())
        except ConnectionError:
            self.tally.take("RESET_BY_SERVER")
        except Exception as error:  # noqa: BLE001  (whatever it is, this connection did not end as it must)
            self.tally.crash(error, f"{kind.__name__} of the same seed")

    @asynccontextmanager
    async def _peer(self, net: int, *, websocket: bool = False, count: int = 50_000) -> AsyncIterator[Peer]:
        """A connection from an address of that net (127.net.x.y)."""
        self._number += 1
        high, low = divmod(self._number % count, 250)
        with socket.socket() as connected:
            connected.setblocking(False)  # noqa: FBT003  (the standard library's own)
            connected.bind((f"127.{net}.{high}.{low + 1}", 0))
            loop, port = asyncio.get_running_loop(), self.ports.websocket if websocket else self.ports.mqtt
            await loop.sock_connect(connected, ("127.0.0.1", port))
            yield Peer(self, connected)

    def _connect(self, name: str, password: bytes | None = None, **options: Any) -> bytes:
        """A CONNECT of a hostile client, which wills nothing that could be carried out."""
        r = self.corpus.random
        if r.random() < 0.2:
            payload = harmless(logged_off(self.corpus.payload(self.corpus.requests())))
            options["will"] = mqtt5.Will(f"emex/1/in/{name}", payload=payload)
        client = r.choice(("", "", "c", f"c{r.randrange(50)}", "\u00e4" * 30))
        password = password_of(name).encode() if password is None else password
        return mqtt5.ConnectPacket(client, username=name, password=password, clean_start=True, **options).write()

    # ------------------------------------------------------------------------------------- those who never log on

    async def garbage(self) -> str | None:
        async with self._peer(1) as peer:
            await peer.send(self.corpus.garbage(400) or b"\x00")
            return await self._goodbye(peer)

    async def stranger(self) -> str | None:
        async with self._peer(1) as peer:
            await peer.send(self.corpus.random.choice(STRANGERS) + self.corpus.garbage(60))
            return await self._goodbye(peer)

    async def damaged_connect(self) -> str | None:
        packet = self.corpus.packet_damaged(self._connect(self.corpus.random.choice(EVES)))
        async with self._peer(5, count=_GUESSERS) as peer:
            await peer.send(packet)
            return await self._goodbye(peer)

    async def cut_connect(self) -> str | None:
        packet = self._connect(self.corpus.random.choice(EVES))
        async with self._peer(1) as peer:
            await peer.send(packet[: self.corpus.random.randrange(1, len(packet))])
            if self.corpus.random.random() < 0.5:
                peer.break_off()
            return "LEFT"

    async def hostile_connect(self) -> str | None:
        """Legal on the wire, and refused: other people's wills, methods, names as long as a packet."""
        r, name = self.corpus.random, self.corpus.random.choice(EVES)
        will = mqtt5.Will(
            r.choice(("emex/1/in/anna", "emex/1/admin/teacher", "x" * 500, "emex/1/md/status")), payload=b"x"
        )
        options: dict[str, Any] = r.choice((
            {"will": will}, {"authentication_method": "SCRAM-SHA-256", "authentication_data": b"x" * 300},
            {"will": mqtt5.Will(f"emex/1/in/{name}", retain=True)}, {"user_properties": [("k", "v" * 50)] * 400},
            {"will": mqtt5.Will(f"emex/1/in/{name}", qos=mqtt5.QoS.EXACTLY_ONCE)},
        ))  # fmt: skip
        async with self._peer(2) as peer:
            packet = mqtt5.ConnectPacket("h", username=name, password=password_of(name).encode(), **options)
            await peer.send(packet.write())
            return await self._goodbye(peer)

    async def guess(self) -> str | None:
        """A wrong password; an unknown name; no name; a name of 15,000 letters."""
        r = self.corpus.random
        name = r.choice((*EVES, "guest", "nobody", "", "\x00", "n" * 15_000))
        async with self._peer(6, count=_GUESSERS) as peer:
            await peer.send(mqtt5.ConnectPacket("g", username=name, password=r.randbytes(r.randrange(40))).write())
            return await self._goodbye(peer, _PATIENCE)

    async def packet_first(self) -> str | None:
        async with self._peer(1) as peer:
            await peer.send(self.corpus.packet_damaged(self.corpus.publish("emex/1/in/anna", 1)))
            await peer.send(mqtt5.PingReqPacket().write())
            return await self._goodbye(peer)

    async def slow(self) -> str | None:
        """Byte by byte, never done: the server must not wait longer than it says."""
        packet = self._connect("eve00")
        async with self._peer(1) as peer:
            for at in range(len(packet) - 1):
                await peer.send(packet[at : at + 1])
                if await peer.hear(0.5):
                    return "CLOSED_SLOW"
        raise AssertionError("a connection without a CONNECT was kept")

    async def silent(self) -> str | None:
        async with self._peer(1, websocket=self.corpus.random.random() < 0.3) as peer:
            if await peer.hear(_PATIENCE):
                return "CLOSED_SILENT"
        raise AssertionError("a silent connection was kept")

    # ------------------------------------------------------------------------------------- those who have logged on

    async def logged_on(self) -> str | None:
        """A trader who sends what is refused: garbage in payloads before or after his Logon, or broken packets."""
        r, name = self.corpus.random, self.corpus.random.choice(EVES)
        async with self._peer(2) as peer:
            await peer.send(self._connect(name) + self._packets(name))
            if r.random() < 0.2:
                peer.break_off()
                return "LEFT"
            return await self._goodbye(peer)

    def _packets(self, name: str) -> bytes:
        """Packets of somebody who has logged on with MQTT, and perhaps with the venue."""
        r, corpus = self.corpus.random, self.corpus
        topic, packets = f"emex/1/in/{name}", []
        with_venue = r.random() < 0.5
        if with_venue:
            packets.append(mqtt5.PublishPacket(topic, codec.encode([m.Logon(r.choice((0, 1)))])).write())
        for identifier in range(1, r.randrange(2, 9)):
            if r.random() < 0.75:
                payload = corpus.payload(corpus.requests())
                packets.append(
                    corpus.publish(topic, identifier, harmless(payload) if with_venue else logged_off(payload))
                )
            elif r.random() < 0.5:
                packets.append(frame(0x82, identifier.to_bytes(2) + b"\x00" + b"".join(
                    len(p.encode()).to_bytes(2) + p.encode() + b"\x00" for p in r.choices(PATTERNS, k=3))))  # fmt: skip
            else:
                packets.append(r.choice((corpus.publish("emex/1/in/anna", identifier), mqtt5.PingReqPacket().write(),
                                         mqtt5.DisconnectPacket().write(), self._connect(name))))  # fmt: skip
        if packets and not with_venue and r.random() < 0.5:
            at = r.randrange(len(packets))
            packets[at] = corpus.packet_damaged(packets[at])
        return b"".join(packets)

    async def reset(self) -> str | None:
        name = self.corpus.random.choice(EVES)
        data = self._connect(name) + self._packets(name)
        async with self._peer(2) as peer:
            await peer.send(data[: self.corpus.random.randrange(1, len(data))])
            await peer.hear(self.corpus.random.choice((0.0, 0.0, 0.002, 0.02)))
            peer.break_off()
            return "LEFT"

    async def half_closed(self) -> str | None:
        """It finishes sending and goes on listening; the server closes."""
        name = self.corpus.random.choice(EVES)
        async with self._peer(2) as peer:
            await peer.send(self._connect(name) + self._packets(name))
            try:
                peer.socket.shutdown(socket.SHUT_WR)
            except OSError:
                return "RESET_BY_SERVER"
            assert await peer.hear(_PATIENCE), "a connection that has ended was kept"
            return self._answer(peer) or "LEFT"

    # -------------------------------------------------------------------------------------------------- WebSocket

    async def websocket(self) -> str | None:
        r, name = self.corpus.random, self.corpus.random.choice(EVES)
        async with self._peer(2, websocket=True) as peer:
            await peer.send(_HANDSHAKE)
            data = self._connect(name) + self._packets(name) if r.random() < 0.6 else self.corpus.garbage(300)
            peer.framed = True
            await peer.send(data)
            return await self._goodbye(peer)

    async def bad_handshake(self) -> str | None:
        r = self.corpus.random
        async with self._peer(1, websocket=True) as peer:
            await peer.send(r.choice((
                self.corpus.bytes_damaged(_HANDSHAKE), self.corpus.garbage(300) + b"\r\n\r\n",
                _HANDSHAKE[: r.randrange(1, 150)],
                b"GET / HTTP/1.1\r\n" + b"A: b\r\n" * 300 + b"\r\n", b"GET /" + b"x" * 20_000 + b" HTTP/1.1\r\n\r\n",
                _HANDSHAKE.replace(b"Upgrade: websocket", b"Upgrade: \xff\xfe"), r.choice(STRANGERS),
                _HANDSHAKE.replace(b"mqtt", b"chat"), _HANDSHAKE.replace(b"13", b"99"),
            )))  # fmt: skip
            return await self._goodbye(peer)

    # ---------------------------------------------------------------------------------------------------- answers

    async def _goodbye(self, peer: Peer, seconds: float = _GLANCE) -> str | None:
        """What the server made of it: its reason, or that it waits for more."""
        closed = await peer.hear(seconds)
        if self.corpus.random.random() < 0.5:
            peer.break_off()
        answer = self._answer(peer)
        if answer is None and closed:
            return "CLOSED"
        return answer

    @staticmethod
    def _answer(peer: Peer) -> str | None:
        """The refusal among what was heard."""
        heard = peer.heard
        http = heard.find(b"HTTP/1.1 ")
        if http >= 0:  # not at the front where a ping came with the handshake: its answer overtakes
            status = heard[http + 9 : http + 12].decode()
            return None if status == "101" else f"HTTP_{status}"
        if peer.framed:
            return None
        if heard.startswith(b"\x20\x02\x00\x01"):
            return "MQTT_3"
        at, answer = 0, None
        while at < len(heard):
            try:
                packet, length = mqtt5.read(memoryview(heard)[at:])
            except IndexError:
                break
            except ValueError:
                raise AssertionError(f"no MQTT was answered: {heard[:200]!r} at {at}") from None
            at += length
            if isinstance(packet, (mqtt5.ConnAckPacket, mqtt5.DisconnectPacket, mqtt5.PubAckPacket)) and int(
                packet.reason_code
            ):
                answer = packet.reason_code.name
        return answer


_HANDSHAKE = (b"GET /mqtt HTTP/1.1\r\nHost: venue\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
              b"Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n"
              b"Sec-WebSocket-Protocol: mqtt\r\n\r\n")  # fmt: skip


# ------------------------------------------------------------------------------------------------------- honest clients


class Honest:
    """A client who trades at a steady pace and books what he is told."""

    def __init__(self, port: int, name: str, seed: int) -> None:
        self.name = name
        self.audit = Audit()
        self.sent = 0
        self.answered = 0
        self._trader = Trader("127.0.0.1", port, name, password_of(name))
        self._random = random.Random(seed)
        self._stopped = asyncio.Event()

    async def trade(self) -> None:
        """Until told to stop; each request is answered before the next."""
        async with self._trader as me:
            book = asyncio.create_task(self._book())
            await asyncio.sleep(0)
            while not self._stopped.is_set():
                await self._request(me)
                with contextlib.suppress(TimeoutError):
                    await asyncio.wait_for(self._stopped.wait(), _PACE)
            account, orders = await me.status()
            assert account is not None
            await _until(lambda: self.audit.next_report == account.next_report, "the last reports")
            assert {row[0]: row[7] for row in orders} == self.audit.leaves, "other orders are open than in my books"
            book.cancel()

    async def _request(self, me: Trader) -> None:
        r, self.sent = self._random, self.sent + 1
        if r.random() < 0.2 and self.audit.leaves:
            await me.cancel(r.choice(list(self.audit.leaves)))
        else:
            side = Side.BUY if r.random() < 0.5 else Side.SELL
            await me.order("ANY", side, r.randrange(1, 20), 5000 + r.randrange(-20, 20))
        self.answered += 1

    async def _book(self) -> None:
        async for report in self._trader.reports():
            self.audit.take([None, *msgspec.structs.astuple(report)])

    def stop(self) -> None:
        """Finish what is under way."""
        self._stopped.set()

    def faults(self) -> list[str]:
        """What its books cannot explain."""
        found = [*self.audit.faults]
        once = sum(1 for count in self.audit.outcomes.values() if count == 1)
        if not self.sent == self.answered == once == len(self.audit.outcomes):
            found.append(f"{self.sent} requests, {self.answered} answers, {once} outcomes")
        return [f"{self.name}: {fault}" for fault in found]


# ------------------------------------------------------------------------------------------------------------- campaign


async def metrics_of(ports: Ports) -> dict[str, float]:
    """The venue's counters now, by name and label."""

    def read() -> str:
        with urllib.request.urlopen(f"http://127.0.0.1:{ports.metrics}/metrics") as page:
            return str(page.read().decode())

    lines = [line for line in (await asyncio.to_thread(read)).splitlines() if not line.startswith("#")]
    return {name: float(value) for name, _, value in (line.rpartition(" ") for line in lines)}


async def _until(done: Callable[[], bool], what: str, seconds: float = 20.0) -> None:
    deadline = time.monotonic() + seconds
    while not done():
        assert time.monotonic() < deadline, f"{what}: not within {seconds} s"
        await asyncio.sleep(0.02)


async def released(ports: Ports, connections: int) -> None:
    """Wait until the venue has only so many connections."""
    deadline = time.monotonic() + 2 * _PATIENCE
    while (found := (await metrics_of(ports))["emex_connections"]) != connections:
        assert time.monotonic() < deadline, f"{found:.0f} connections are still open, expected {connections}"
        await asyncio.sleep(0.2)


def log_faults(lines: list[str]) -> list[str]:
    """What a server has written to standard error that is no ordinary line of its log."""
    found = []
    for line in lines:
        try:
            level = json.loads(line)["level"]
        except (ValueError, KeyError, TypeError):
            found.append(f"log: {line[:200]}")
            continue
        if level not in ("info", "warning"):
            found.append(f"log: {line[:200]}")
    return found


def journal_faults(journal: Path, honest: dict[int, int]) -> list[str]:
    """Whether the journal holds what honest clients have asked, and nothing of anybody else.

    Parameters
    ----------
    honest : requests by account number
    """
    records = np.concatenate([records_of(commit) for commit in Journal.read_only(journal).commits()])
    found = {
        int(number): int(count)
        for number, count in zip(*np.unique(records["principal"], return_counts=True), strict=True)
    }
    own = records[records["principal"] == 0]["command"]["kind"]
    opening = {
        CommandKind.OPEN_ACCOUNT,
        CommandKind.DEPOSIT,
        CommandKind.ISSUE,
        CommandKind.PHASE,
        CommandKind.DAY_ROLL,
    }
    faults = [f"journal: {CommandKind(int(kind)).name} of the venue itself" for kind in own if int(kind) not in opening]
    found.pop(0, None)
    if found != honest:
        faults.append(f"journal: requests by account {found}, expected {honest}")
    held = verify(journal)["invariants"]
    return faults + [f"journal: {name} does not hold" for name, holds in held.items() if not holds]


@dataclass
class Measured:
    """What a campaign has found out about the server."""

    rss_mb: list[float] = field(default_factory=list)
    """After a tenth of the connections, and after each third of the others."""
    requests: list[float] = field(default_factory=list)
    """Requests carried out by then: their results and reports are kept, as promised."""
    files_begin: int = 0
    files_end: int = 0


async def campaign(
    ports: Ports, connections: int, seed: int, pid: int | None = None, workers: int = _WORKERS
) -> tuple[Attack, list[Honest], dict[str, float], Measured, list[str]]:
    """Hostile connections beside honest clients; afterwards everything is as before.

    Parameters
    ----------
    pid : of the server, where its memory and files are to be measured
    """
    attack, measured = Attack(ports, seed), Measured()
    honest = [Honest(ports.mqtt, name, seed + at) for at, name in enumerate(HONEST)]
    trading = [asyncio.create_task(one.trade()) for one in honest]
    await _until(lambda: all(one.answered > 2 for one in honest), "the first answers")

    def look() -> tuple[float, int]:
        return (rss_mb(pid), len(list(Path(f"/proc/{pid}/fd").iterdir()))) if pid else (0.0, 0)

    _, measured.files_begin = look()
    await attack.run(connections // 10, workers)
    await released(ports, len(honest))
    for part in range(4):
        if part:
            await attack.run((connections - connections // 10 + part - 1) // 3, workers)
            await released(ports, len(honest))
        measured.rss_mb.append(look()[0])
        counters = await metrics_of(ports)
        measured.requests.append(counters["emex_requests_total"])
    with contextlib.suppress(AssertionError):  # the question for the metrics is itself a file for a moment
        await _until(lambda: look()[1] == measured.files_begin, "open files")
    _, measured.files_end = look()
    for one in honest:
        one.stop()
    await asyncio.gather(*trading)
    await released(ports, 0)
    faults = [*attack.tally.crashes, *(fault for one in honest for fault in one.faults())]
    if measured.files_begin != measured.files_end:
        faults.append(f"open files went from {measured.files_begin} to {measured.files_end}")
    kept = _KEPT_MB * (measured.requests[-1] - measured.requests[0])
    if measured.rss_mb[-1] > (1 + RSS_SLACK) * measured.rss_mb[0] + kept:
        faults.append(f"memory went from {measured.rss_mb[0]} to {measured.rss_mb[-1]} MB, {kept:.1f} MB of it kept")
    if not attack.tally.balanced() or attack.tally.inputs != connections:
        faults.append("not every connection was counted once")
    return attack, honest, counters, measured, faults + reach_faults(attack, counters)


def reach_faults(attack: Attack, counters: dict[str, float]) -> list[str]:
    """Whether the garbage came to where it was meant to come."""
    faults = []
    if missing := {kind.__name__ for _, kind in attack._kinds} - set(attack.kinds):
        faults.append(f"no connection of the kinds {sorted(missing)}")
    away, parsed = counters["emex_connections_turned_away_total"], counters["emex_protocol_errors_total"]
    admitted = counters['emex_logons_total{outcome="admitted"}']
    if away > 0.01 * attack.tally.inputs:
        faults.append(f"{away:.0f} connections were turned away at the door")
    if parsed < 0.3 * attack.tally.inputs or admitted < 0.2 * attack.tally.inputs:
        faults.append(f"only {parsed:.0f} connections were refused by the parser, {admitted:.0f} logged on")
    wanted = [f'emex_refused_total{{reason="{reason}"}}' for reason in REASONS]
    wanted += ['emex_logons_total{outcome="wrong"}']
    return faults + [f"{name} is 0" for name in wanted if not counters.get(name)]


@contextmanager
def serving(folder: Path) -> Iterator[tuple[Ports, int]]:
    """`emex serve` as a process of its own, with cheap passwords; where it listens, and its process."""
    compile_loops()  # or the server's first words are that it does
    accounts = write_accounts(folder / "accounts.json", PEOPLE)
    options = ["--journal", str(folder / "journal"), "--accounts", str(accounts), "--port", "0", "--websocket-port",
               "0", "--metrics-port", "0", "--json"]  # fmt: skip
    environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)), "RUST_BACKTRACE": "0"}
    command = [sys.executable, "-m", "emex", "serve", "generic", *options]
    with (
        (folder / "log").open("wb") as log,
        subprocess.Popen(command, stdout=subprocess.PIPE, stderr=log, env=environment) as server,
    ):
        assert server.stdout is not None
        try:
            ports = json.loads(server.stdout.readline())["ports"]
            yield Ports(ports["mqtt"], ports["websocket"], ports["metrics"]), server.pid
            assert server.poll() is None, f"the server ended with status {server.returncode}"
        finally:
            server.terminate()
        assert server.wait() == 0, f"the server ended with status {server.returncode}"


def main() -> None:
    """The campaign."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--connections", type=int, default=100_000)
    parser.add_argument("--seed", type=int, default=1)
    options = parser.parse_args()
    began = time.monotonic()
    with tempfile.TemporaryDirectory(prefix="emex-fuzz-") as name:
        folder = Path(name)
        with serving(folder) as (ports, pid):
            result = asyncio.run(campaign(ports, options.connections, options.seed, pid))
        attack, honest, counters, measured, faults = result
        log = (folder / "log").read_text(encoding="utf-8", errors="replace").splitlines()
        numbers = {one.name: 2 + at for at, one in enumerate(honest)}
        faults += log_faults(log)[:20]
        faults += journal_faults(folder / "journal", {numbers[one.name]: one.sent for one in honest})
    tally = attack.tally
    shown = "emex_refused_total", "emex_logons_total", "emex_connections", "emex_protocol", "emex_payloads"
    summary = {
        "inputs": tally.inputs, "accepted": tally.accepted, "refused": dict(tally.refused.most_common()),
        "crashes": tally.crashed, "faults": faults, "kinds": dict(sorted(attack.kinds.items())),
        "server": {name: int(value) for name, value in counters.items() if name.startswith(shown)},
        "honest_requests": sum(one.sent for one in honest), "log_lines": len(log),
        "open_files": [measured.files_begin, measured.files_end], "rss_mb": measured.rss_mb,
        "requests": measured.requests, "seconds": round(time.monotonic() - began), "seed": options.seed,
    }  # fmt: skip
    print(json.dumps(summary))
    sys.exit(1 if faults else 0)


if __name__ == "__main__":
    main()
