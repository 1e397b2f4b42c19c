"""What one misbehaving client costs the others: a real venue, honest traders, and beside them an attack, or none.

    python -m bench.flood                    every attack, about six minutes
    python -m bench.flood --attacks storm    one of them

    core 0    the venue, `emex serve` with its journal, passwords as dear as they are shipped
    core 1    the honest traders; and the attackers, in a process of their own that only gets what the traders leave

Honest traders send single orders and cancels at fixed times whether or not answers come (open loop); an answer is the
PUBACK, which means journaled, and its time counts from the moment when the order was due. Phases alternate, quiet,
attack, quiet, …, quiet, and the medians over phases are compared, because the machine is not alone: `noise` is how far
the quiet phases alone are apart. Every trader keeps his own books: one outcome for each request, however bad the time.

Exit status 1 where an attack costs more than it may. No test asserts these figures: they belong to a quiet machine.
"""

import argparse
import asyncio
import contextlib
import functools
import itertools
import json
import multiprocessing
import os
import select
import selectors
import socket
import statistics
import struct
import sys
import tempfile
import time
import urllib.request
from collections import Counter
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import mqtt5
import msgspec
import numpy as np
from rich.console import Console
from rich.table import Table

from engine.codes import EventKind, Side, TimeInForce
from gateway.errors import ConnectionLostError, LogonRefusedError
from gateway.gatekeeper import WRONG_OF_ADDRESS
from gateway.load import Audit
from gateway.spawn import spawned
from gateway.transports.link import Link, open_link
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.topics import Role

if TYPE_CHECKING:
    from multiprocessing.connection import Connection

HOST = "127.0.0.1"
QUOTA = 300
"""Requests a second of one trader; what `emex serve` gives him."""
TIMES_QUOTA = 50
ALLOWED = 2.0
"""The attacked p99 over the quiet one."""
SAMPLES = 2000
"""At least so many orders in a phase."""
DEAF = 10
SLOW_MIB = 2.0
"""Memory that one subscriber who never reads may cost."""
CUT_SECONDS = 15.0
"""Time after which he must be gone: buffers of about 1.5 MiB fill first, then he has five seconds."""
GUESSING_ADDRESSES = 8
_GUESSING_PATIENCE = 0.02
"""Seconds for an answer, then the next attempt."""
HOARD = 25_000
"""Reports behind the client that asks for all of them again and again."""
_PRICE_FEN, _SPREAD = 5000, 25
_CANCELS = 0.3
_SETTLE_SECONDS = 1.5
_LEAD_SECONDS = 0.5
"""The attack begins so long before the measurement, and ends so long after it."""
_BACK_SECONDS = 0.05
"""After it was not let in; the door would shut out for long who knocks all the time."""
_ARREARS_SECONDS = 0.2
"""What he would have sent meanwhile he sends as soon as he is back."""
_ADDRESS = "127.0.0.2"
"""Where attackers come from who do not come from many places."""
_TAG_OF_REPORTS = b"\xa18"
_AT = {name: at for at, name in enumerate(m.fields_of(m.ExecutionReport), start=1)}
_RESET = struct.pack("ii", 1, 0)
_raw = msgspec.msgpack.Decoder().decode

Counts = dict[str, float]


# ---------------------------------------------------------------------------------------------------- honest clients


class Honest:
    """A trader within his quota, and his books."""

    def __init__(self, name: str, seed: int) -> None:
        self.name = name
        self.audit = Audit()
        self.sent = 0
        self.ack_ms: list[float] = []
        """Since the last `take`."""
        self.lag_ms: list[float] = []
        """How late this process itself was."""
        self.refused: Counter[str] = Counter()
        self.waiting = 0
        self._random = np.random.default_rng(seed)
        self._topic = f"{topics.PREFIX}in/{name}"
        self._link: Link
        self._logged_on = asyncio.Event()

    async def open(self, port: int, password: str) -> None:
        """Log on, for the whole run."""
        self._link = await open_link(HOST, port, self._hear)
        await self._link.log_on("honest", self.name, password.encode())
        await self._link.subscribe(topics.reports(self.name))
        self._link.publish(self._topic, codec.encode([m.Logon()]))
        await self._logged_on.wait()

    def send(self, due: float, batch: int = 1) -> None:
        """Requests that were due at `due`: orders around a fixed price, and cancels of earlier ones."""
        messages: list[m.Message] = []
        for cancel, side, price, qty in self._random.random((batch, 4)).tolist():
            self.sent += 1
            if cancel < _CANCELS and self.sent > 1:
                messages.append(m.OrderCancelRequest(self.sent, target_seq=1 + int(side * (self.sent - 1))))
            else:
                at = _PRICE_FEN - _SPREAD + int(price * 2 * _SPREAD)
                tif = TimeInForce.IOC if cancel > 0.7 else TimeInForce.DAY
                messages.append(m.NewOrderSingle(self.sent, 0, 1 + int(side * 2), 1 + int(qty * 20), at, 2, tif))
        self.waiting += 1
        self.lag_ms.append((time.perf_counter() - due) * 1000)
        self._link.publish(self._topic, codec.encode(messages)).add_done_callback(
            functools.partial(self._answered, due)
        )

    def take(self) -> tuple[list[float], list[float]]:
        """Latencies and this process's own lateness since the last call, ms."""
        taken = self.ack_ms, self.lag_ms
        self.ack_ms, self.lag_ms = [], []
        return taken

    def faults(self) -> list[str]:
        """What does not add up in his books."""
        outcomes = self.audit.outcomes
        found = [f"{self.name}: {fault}" for fault in self.audit.faults]
        lost = self.sent - len(outcomes)
        doubled = sum(1 for count in outcomes.values() if count > 1)
        if lost or doubled:
            found.append(f"{self.name}: {lost} requests without an outcome, {doubled} with two")
        if self._link.lost.done():
            found.append(f"{self.name}: disconnected: {self._link.lost.result()}")
        return found

    def close(self) -> None:
        """Say goodbye."""
        self._link.close()

    def _answered(self, due: float, future: "asyncio.Future[int]") -> None:
        self.waiting -= 1
        if future.exception() is not None:
            self.refused["connection lost"] += 1
        elif future.result():
            self.refused[f"PUBACK {future.result():#x}"] += 1
        else:
            self.ack_ms.append((time.perf_counter() - due) * 1000)

    def _hear(self, topic: str, payload: bytes) -> None:
        del topic
        if _TAG_OF_REPORTS in payload[:8]:
            for report in _raw(payload):
                self.audit.take(report)
            return
        for reply in codec.decode_replies(payload):
            if isinstance(reply, m.LogonReply):
                self._logged_on.set()
            elif isinstance(reply, m.Reject | m.BusinessMessageReject):
                self.refused[DoorReason(reply.reason).name] += 1


@dataclass
class Crowd:
    """All honest clients of a run."""

    traders: list[Honest]
    maker: Honest
    """Sends batches, unmeasured: so that there is something to tell to who reads the tape."""
    rate: int
    port: int
    newcomer: tuple[str, str]
    """Somebody who logs on anew every second: name and password."""
    newcomer_ms: list[float] = field(default_factory=list)
    newcomers_refused: int = 0

    async def trade(self, seconds: float) -> None:
        """Send for so long, and wait for the answers."""
        interval = 1 / (self.rate * len(self.traders))
        began = time.perf_counter()
        arriving = asyncio.create_task(self._arrive(began + seconds))
        for number in range(int(seconds / interval)):
            due = began + number * interval
            await asyncio.sleep(max(0.0, due - time.perf_counter()))
            self.traders[number % len(self.traders)].send(due)
            if number % max(1, round(0.1 / interval)) == 0:
                self.maker.send(due, batch=25)
        await arriving
        deadline = time.perf_counter() + 30
        while any(one.waiting for one in (*self.traders, self.maker)):
            if time.perf_counter() > deadline:
                break
            await asyncio.sleep(0.01)

    async def _arrive(self, until: float) -> None:
        name, password = self.newcomer
        while time.perf_counter() < until - 1:
            await asyncio.sleep(1)
            began = time.perf_counter()
            try:
                async with asyncio.timeout(10):
                    link = await open_link(HOST, self.port, lambda *_: None)
                    await link.log_on("newcomer", name, password.encode())
                    link.close()
            except (OSError, TimeoutError, ConnectionLostError, LogonRefusedError):
                self.newcomers_refused += 1
            else:
                self.newcomer_ms.append((time.perf_counter() - began) * 1000)

    def faults(self) -> list[str]:
        """What does not add up, of all of them."""
        refused = sum((one.refused for one in (*self.traders, self.maker)), Counter())
        found = [fault for one in (*self.traders, self.maker) for fault in one.faults()]
        return found + [f"refused {count} times: {why}" for why, count in refused.items()]


# --------------------------------------------------------------------------------------------------------- the venue


class Target(NamedTuple):
    """The venue as an attacker sees it."""

    port: int
    passwords: dict[str, str]


@dataclass
class Server:
    """The venue's process."""

    pid: int
    ports: dict[str, int]

    def counters(self) -> Counts:
        """What its metrics say."""
        with urllib.request.urlopen(f"http://{HOST}:{self.ports['metrics']}/metrics") as page:
            lines = page.read().decode().splitlines()
        return {line.rsplit(" ", 1)[0]: float(line.rsplit(" ", 1)[1]) for line in lines if line.startswith("emex_")}

    def resident_mib(self) -> float:
        """Memory it holds now."""
        pages = int(Path(f"/proc/{self.pid}/statm").read_text().split()[1])
        return pages * os.sysconf("SC_PAGE_SIZE") / 2**20

    def cpu_seconds(self) -> float:
        """Processor time it has used so far."""
        ticks = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(ticks[11]) + int(ticks[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def on_core(core: int) -> Iterator[None]:
    """Whatever is started inside stays on that core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


@contextmanager
def serving(folder: Path, people: dict[str, Role], core: int) -> Iterator[tuple[Server, dict[str, str]]]:
    """`emex serve` on one core, with a journal in `folder`; and everybody's password."""
    with contextlib.ExitStack() as stack:
        with on_core(core):
            options = "--metrics-port", "0", "--rate", str(QUOTA)
            venue = stack.enter_context(spawned(folder, "generic", people, *options))
        (pid,) = Path(f"/proc/self/task/{os.getpid()}/children").read_text().split()
        yield Server(int(pid), venue.ports), venue.passwords


# -------------------------------------------------------------------------------------------------------- the attacks


async def flood(target: Target, seconds: float, number: int, batch: int) -> Counts:
    """One trader at fifty times his quota; thrown out, he is back at once. His other connection wants to cancel."""
    del number
    counts: Counter[str] = Counter()
    name = "flooder"
    topic = topics.PREFIX + "in/" + name
    seqs = itertools.count(int(time.time()) % 100_000 * 10_000 + 1)
    until = time.perf_counter() + seconds
    cancels: set[int] = set()
    done: set[int] = set()
    overtaken: set[int] = set()
    """Two connections share one row of numbers: an order of the flood with a higher one may come first."""

    def hear(_: str, payload: bytes) -> None:
        for reply in _raw(payload):
            if reply[0] == "j":
                counts["throttled"] += reply[2] == DoorReason.THROTTLED
                if reply[2] == DoorReason.SEQ_TOO_OLD:
                    overtaken.add(reply[1])
            elif reply[0] == "8" and reply[_AT["exec_type"]] == EventKind.CANCELED:
                done.add(reply[_AT["ref_seq"]])

    screen = await _log_on(target, name, "screen", hear)
    resting = []
    for _ in range(2):  # enough to cancel, within his burst
        orders = [m.NewOrderSingle(next(seqs), 0, Side.BUY, 1, 1) for _ in range(100)]
        counts["orders_before"] += await screen.publish(topic, codec.encode(orders)) == 0
        resting += [order.seq for order in orders]

    async def cancel() -> None:
        """Ten a second, out of the middle of the flood."""
        while resting and time.perf_counter() < until:
            await asyncio.sleep(0.1)
            counts["cancels"] += 1
            request = m.OrderCancelRequest(next(seqs), target_seq=resting.pop())
            cancels.add(request.seq)
            counts["cancels_passed"] += await screen.publish(topic, codec.encode([request])) == 0

    async def pour() -> None:
        link: Link | None = None
        interval = batch / (QUOTA * TIMES_QUOTA)
        due = time.perf_counter()
        while due < until:
            if link is None or link.lost.done():
                if link is not None:
                    counts["thrown_out" if link.lost.result() == "THROTTLED" else "broken"] += 1
                try:
                    link = await _log_on(target, name, "bot", hear)
                except (OSError, ConnectionLostError, LogonRefusedError) as error:
                    counts[f"not let in: {type(error).__name__}"] += 1
                    link = None
                    await asyncio.sleep(_BACK_SECONDS)
                due = max(due, time.perf_counter() - _ARREARS_SECONDS)
                continue
            packets: list[bytes] = []
            while due <= time.perf_counter() and len(packets) < 300:  # or a slow attacker would never look up
                orders = [m.NewOrderSingle(next(seqs), 0, Side.BUY, 1, 1) for _ in range(batch)]
                packets.append(mqtt5.PublishPacket(topic, codec.encode(orders)).write())
                due += interval
            link._transport.write(b"".join(packets))
            counts["offered"] += batch * len(packets)
            await asyncio.sleep(max(0.002, due - time.perf_counter()))
        if link is not None:
            link.abort()

    await asyncio.gather(pour(), cancel())
    screen.publish(topic, codec.encode([m.OrderMassCancelRequest(next(seqs))]))
    await asyncio.sleep(0.2)
    screen.close()
    return {**counts, "cancels_done": len(cancels & done), "cancels_overtaken": len(cancels & overtaken)}


async def _log_on(target: Target, name: str, client_id: str, hear: Callable[[str, bytes], None]) -> Link:
    loop = asyncio.get_running_loop()
    _, link = await loop.create_connection(lambda: Link(hear), HOST, target.port, local_addr=(_ADDRESS, 0))
    try:
        await link.log_on(client_id, name, target.passwords[name].encode())
        await link.subscribe(topics.PREFIX + "out/" + name)
    except ConnectionLostError:
        link.abort()
        raise
    link.publish(topics.PREFIX + "in/" + name, codec.encode([m.Logon()]))
    return link


async def deaf(target: Target, seconds: float, number: int) -> Counts:
    """Ten that read the tape, all copies and all books, in principle; cut, each is back at once."""
    del number
    counts: Counter[str] = Counter()
    seconds_to_cut: list[float] = []
    until = time.perf_counter() + seconds

    def one(name: str) -> socket.socket:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        sock.connect((HOST, target.port))
        packet = mqtt5.ConnectPacket("deaf", username=name, password=target.passwords[name].encode(), keep_alive=300)
        patterns = [topics.MARKET_DATA + "#", topics.TAPE, topics.copies("+")]
        subscribe = mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(pattern) for pattern in patterns])
        sock.sendall(packet.write() + subscribe.write())
        counts["connected"] += 1
        return sock

    began = {name: (time.perf_counter(), one(name)) for name in target.passwords if name.startswith("deaf")}
    while time.perf_counter() < until:
        await asyncio.sleep(0.05)
        for name, (since, sock) in began.items():
            poll = select.poll()
            poll.register(sock, 0)  # only whether it is over, which needs no reading
            if poll.poll(0):
                sock.close()
                counts["cut"] += 1
                seconds_to_cut.append(time.perf_counter() - since)
                began[name] = time.perf_counter(), one(name)
    for _, sock in began.values():
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.close()
    return dict(counts) | {"slowest_cut_s": max(seconds_to_cut, default=0.0)}


async def guess(target: Target, seconds: float, number: int) -> Counts:
    """Wrong passwords for names that exist and names that do not, from several addresses, as fast as answers come.

    Who gets none soon tries again at once: a door that keeps him waiting does not slow him down by that alone.
    """
    counts: Counter[str] = Counter()
    until = time.perf_counter() + seconds
    names = [*target.passwords, *(f"nobody{at}" for at in range(50))]

    async def one(worker: int) -> None:
        address = f"127.0.{10 + number}.{1 + worker % GUESSING_ADDRESSES}"
        for attempt in itertools.count(worker):
            if time.perf_counter() > until:
                return
            try:
                reader, writer = await asyncio.open_connection(HOST, target.port, local_addr=(address, 0))
                name = names[attempt * 7 % len(names)]
                packet = mqtt5.ConnectPacket("guess", username=name, password=f"wrong{attempt}".encode())
                writer.write(packet.write())
                with contextlib.suppress(TimeoutError):
                    answer = await asyncio.wait_for(reader.read(64), _GUESSING_PATIENCE)
                    said = mqtt5.read(memoryview(answer))[0] if answer else None
                    code = said.reason_code.name if isinstance(said, mqtt5.ConnAckPacket) else "closed"
                    counts[code.lower()] += 1
                writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                writer.close()
                counts["attempts"] += 1
            except OSError:
                counts["no connection"] += 1

    await asyncio.gather(*(one(worker) for worker in range(16 * GUESSING_ADDRESSES)))
    return dict(counts)


async def storm(target: Target, seconds: float, number: int) -> Counts:
    """Sockets opened and closed as fast as can be, from several addresses, and nobody logs on."""
    counts: Counter[str] = Counter()
    until = time.perf_counter() + seconds
    addresses = itertools.cycle(f"127.0.{50 + number}.{at}" for at in range(1, 9))
    while time.perf_counter() < until:
        sock = socket.socket()
        sock.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
        sock.bind((next(addresses), 0))
        sock.settimeout(0.05)
        try:
            sock.connect((HOST, target.port))
            counts["connections"] += 1
        except OSError:
            counts["no connection"] += 1
        sock.close()
    return dict(counts)


async def hoard(target: Target, seconds: float, number: int) -> Counts:
    """Within his quota, one trader asks for all his reports again, and for all his orders, page by page, for ever."""
    counts: Counter[str] = Counter()
    until = time.perf_counter() + seconds
    name = "hoarder"
    topic = topics.PREFIX + "in/" + name
    link: Link | None = None
    report = order = 0

    def hear(_: str, payload: bytes) -> None:
        nonlocal report, order
        counts["bytes"] += len(payload)
        for reply in _raw(payload):
            if reply[0] == "8":
                counts["reports"] += 1
                report = reply[_AT["priv_seq"]] % (HOARD - 1)
            elif reply[0] == "UL":
                counts["orders"] += len(reply[2])
                order = reply[2][-1][0] if reply[3:] == [False] else 0

    if number == 0:
        await _pile_up(target, name, topic)
    asked = 0
    while time.perf_counter() < until:
        if link is None or link.lost.done():
            counts["connections"] += 1
            try:
                link = await _log_on(target, name, "hoard", hear)
            except (OSError, ConnectionLostError, LogonRefusedError):
                counts["not let in"] += 1
                await asyncio.sleep(0.01)
                continue
        question = (m.ResendRequest(report + 1), m.StatusRequest(1, order))[asked % 2]
        asked += 1
        answer = link.publish(topic, codec.encode([question]))
        answer.add_done_callback(lambda done: counts.update(["answered" if not done.exception() else "unanswered"]))
        counts["questions"] += 1
        await asyncio.sleep(1 / QUOTA)
    if link is not None:
        link.abort()
    await asyncio.sleep(0)
    return dict(counts)


async def _pile_up(target: Target, name: str, topic: str) -> None:
    """Orders that rest, as many as within the quota in reasonable time; each is a report, and so is its cancel."""
    link = await _log_on(target, name, "hoard", lambda *_: None)
    for first in range(1, HOARD, 50):
        orders = [m.NewOrderSingle(first + at, 0, Side.BUY, 1, 1) for at in range(50)]
        await asyncio.sleep(50 / QUOTA)
        while await link.publish(topic, codec.encode(orders)):  # noqa: ASYNC110  (until his quota has room for it)
            await asyncio.sleep(0.1)
    link.close()


class Attack(NamedTuple):
    """One way to misbehave."""

    run: Callable[[Target, float, int], Coroutine[Any, Any, Counts]]
    says: str
    judge: Callable[[Counts], list[str]]
    """What was expected beside the latency of the others, and did not come, from the counts over all rounds."""
    prepare_seconds: float = 0.0


def _judge_flood(counts: Counts) -> list[str]:
    found = []
    offered = counts.get("offered", 0) / counts["seconds"]
    if offered < TIMES_QUOTA * QUOTA / 10:  # he spends the rest of his time outside
        found.append(f"{offered:.0f} offered a second: that was no flood")
    if counts.get("throttled", 0) < 100 or counts.get("thrown_out", 0) < 2 * counts["rounds"]:
        found.append("the flooder was not refused and thrown out")
    if not counts.get("cancels") or counts["cancels_passed"] != counts["cancels"]:
        found.append(f"{counts.get('cancels_passed', 0):.0f} of {counts.get('cancels', 0):.0f} cancels passed")
    elif counts["cancels_done"] + counts["cancels_overtaken"] != counts["cancels"]:
        found.append(f"{counts['cancels_done']:.0f} of {counts['cancels']:.0f} cancels were carried out")
    return found


def _judge_deaf(counts: Counts) -> list[str]:
    found = []
    if counts.get("cut", 0) < DEAF:
        found.append(f"{counts.get('cut', 0):.0f} cut, expected all {DEAF} at least once")
    if counts["slowest_cut_s"] > CUT_SECONDS:
        found.append(f"one was cut after {counts['slowest_cut_s']:.1f} s only")
    if counts["mib_per_session"] > SLOW_MIB:
        found.append(f"{counts['mib_per_session']:.2f} MiB for one that does not read")
    return found


def _judge_guess(counts: Counts) -> list[str]:
    most = WRONG_OF_ADDRESS * GUESSING_ADDRESSES * counts["rounds"]
    if not 0 < counts["hashes"] <= most:
        return [f"{counts['hashes']:.0f} hashes, expected some, and {most:.0f} at most"]
    attempts = counts.get("attempts", 0) / counts["seconds"]
    return [] if attempts > 500 else [f"{attempts:.0f} attempts a second: that was not full speed"]


def _judge_storm(counts: Counts) -> list[str]:
    arrivals = counts.get("connections", 0) / counts["seconds"]
    return [] if arrivals > 2000 else [f"{arrivals:.0f} connections a second: that was no storm"]


def _judge_hoard(counts: Counts) -> list[str]:
    asked = counts.get("questions", 0) / counts["seconds"]
    return [] if asked > QUOTA / 4 else [f"{asked:.0f} questions a second, expected more"]


ATTACKS = {
    "flood": Attack(functools.partial(flood, batch=1), "single orders at 50 times the quota", _judge_flood),
    "batches": Attack(functools.partial(flood, batch=100), "the same in batches of 100", _judge_flood),
    "deaf": Attack(deaf, "10 subscribers that never read", _judge_deaf),
    "passwords": Attack(guess, "wrong passwords at full speed", _judge_guess),
    "storm": Attack(storm, "connections opened and closed at full speed", _judge_storm),
    "hoard": Attack(hoard, "all reports and orders again and again, as often as the quota allows", _judge_hoard,
                    1.3 * HOARD / QUOTA),
}  # fmt: skip


def attacker(pipe: "Connection[Any, Any]", name: str, target: Target, core: int) -> None:
    """A process that attacks whenever it is told for how long; the honest clients' needs come first on its core."""
    os.sched_setaffinity(0, {core})
    os.setsid()  # Linux shares a core among sessions first, and only then by niceness
    os.nice(19)
    with contextlib.suppress(OSError):
        Path("/proc/self/autogroup").write_text("19")
    run = ATTACKS[name].run
    while (order := pipe.recv()) is not None:
        seconds, number = order
        pipe.send(asyncio.run(run(target, seconds, number)))


# ------------------------------------------------------------------------------------------------------- measurements


class Phase(NamedTuple):
    """What the honest traders saw in one phase."""

    p50: float
    p99: float
    lag_p99: float
    """How late this process was itself: what of the p99 is not the venue's."""
    samples: int
    cpu: float
    """Share of its core that the venue used."""
    peak_mib: float


async def measure(crowd: Crowd, server: Server, seconds: float) -> Phase:
    """One phase."""
    for trader in (*crowd.traders, crowd.maker):
        trader.take()
    cpu, began = server.cpu_seconds(), time.perf_counter()
    trading = asyncio.create_task(crowd.trade(seconds))
    peak = server.resident_mib()
    while not trading.done():
        await asyncio.wait([trading], timeout=0.1)
        peak = max(peak, server.resident_mib())
    await trading
    spent = (server.cpu_seconds() - cpu) / (time.perf_counter() - began)
    taken = [trader.take() for trader in crowd.traders]
    ack = np.concatenate([acks for acks, _ in taken])
    p50, p99 = np.percentile(ack, [50, 99]).tolist()
    lag = float(np.percentile(np.concatenate([lags for _, lags in taken]), 99))
    return Phase(p50, p99, lag, len(ack), spent, peak)


async def measure_attack(
    name: str, crowd: Crowd, server: Server, target: Target, core: int, rounds: int, seconds: float
) -> dict[str, Any]:
    """Quiet, attack, quiet, attack, …, quiet; and what is to be said about it."""
    ours, theirs = multiprocessing.get_context("spawn").Pipe()
    process = multiprocessing.get_context("spawn").Process(target=attacker, args=(theirs, name, target, core))
    process.start()
    attack, counts = ATTACKS[name], Counter[str]()
    quiet, busy, worst, grown = [], [], 0.0, []
    crowd.newcomer_ms.clear()
    crowd.newcomers_refused = 0
    try:
        if attack.prepare_seconds:
            ours.send((0.0, 0))
            await asyncio.to_thread(ours.recv)
        await measure(crowd, server, _SETTLE_SECONDS)
        quiet.append(await measure(crowd, server, seconds))
        for number in range(1, rounds + 1):
            before = server.counters()
            mib = server.resident_mib()
            ours.send((seconds + 2 * _LEAD_SECONDS, number))
            await asyncio.sleep(_LEAD_SECONDS)
            busy.append(await measure(crowd, server, seconds))
            told = await asyncio.to_thread(ours.recv)
            worst = max(worst, told.pop("slowest_cut_s", 0.0))
            counts.update(told)
            grown.append(busy[-1].peak_mib - mib)
            await asyncio.sleep(_SETTLE_SECONDS)
            counts.update(_differences(before, server.counters()))
            quiet.append(await measure(crowd, server, seconds))
    finally:
        ours.send(None)
        await asyncio.to_thread(process.join)
    found: Counts = dict(counts) | {
        "rounds": rounds,
        "seconds": rounds * (seconds + 2 * _LEAD_SECONDS),
        "slowest_cut_s": worst,
        "mib_per_session": statistics.median(grown) / DEAF,  # a snapshot in one of the phases is not theirs
    }
    return _judged(name, quiet, busy, found, crowd)


def _differences(before: Counts, after: Counts) -> dict[str, int]:
    """How far the venue's own counters went in one attack."""
    names = {"emex_password_hashes_total": "hashes", "emex_connections_cut_total": "venue_cut",
             "emex_protocol_errors_total": "venue_protocol_errors",
             'emex_refused_total{reason="THROTTLED"}': "venue_throttled"}  # fmt: skip
    return {short: int(after.get(long, 0) - before.get(long, 0)) for long, short in names.items()}


def _judged(name: str, quiet: list[Phase], busy: list[Phase], counts: Counts, crowd: Crowd) -> dict[str, Any]:
    p50, p99 = (statistics.median(phase[at] for phase in quiet) for at in (0, 1))
    attacked50, attacked99 = (statistics.median(phase[at] for phase in busy) for at in (0, 1))
    ratio = attacked99 / p99
    found = ATTACKS[name].judge(counts)
    if ratio > ALLOWED:
        found.append(f"p99 of the others {ratio:.2f} times the quiet one, expected {ALLOWED} at most")
    fewest = min(phase.samples for phase in (*quiet, *busy))
    if fewest < SAMPLES:
        found.append(f"{fewest} samples in a phase, expected {SAMPLES} at least")
    if crowd.newcomers_refused:
        found.append(f"{crowd.newcomers_refused} honest newcomers were not let in")
    found += crowd.faults()
    quiets = [phase.p99 for phase in quiet]
    return {
        "says": ATTACKS[name].says,
        "quiet_ms": {"p50": round(p50, 3), "p99": round(p99, 3)},
        "attack_ms": {"p50": round(attacked50, 3), "p99": round(attacked99, 3)},
        "ratio": round(ratio, 2),
        "noise": round(max(quiets) / min(quiets), 2),
        "quiet_p99_ms": [round(value, 3) for value in quiets],
        "attack_p99_ms": [round(phase.p99, 3) for phase in busy],
        "own_lag_p99_ms": {"quiet": round(statistics.median(phase.lag_p99 for phase in quiet), 3),
                           "attack": round(statistics.median(phase.lag_p99 for phase in busy), 3)},
        "venue_cpu": {"quiet": round(statistics.median(phase.cpu for phase in quiet), 2),
                      "attack": round(statistics.median(phase.cpu for phase in busy), 2)},
        "samples": {"quiet": sum(phase.samples for phase in quiet), "attack": sum(phase.samples for phase in busy)},
        "newcomer_ms": round(max(crowd.newcomer_ms, default=0.0), 1),
        "counts": {key: round(value, 2) for key, value in sorted(counts.items())},
        "not_held": found,
        "held": not found,
    }  # fmt: skip


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """All attacks asked for, one after another, at one venue."""
    venue_core, client_core = sorted(os.sched_getaffinity(0))[:2]
    os.sched_setaffinity(0, {client_core})
    traders = [f"trader{at:02d}" for at in range(options.traders)]
    people = dict.fromkeys([*traders, "maker", "newcomer", "flooder", "hoarder"], Role.TRADER)
    people |= {f"deaf{at}": Role.DROP_COPY for at in range(DEAF)}
    load = os.getloadavg()
    results = {}
    with (
        tempfile.TemporaryDirectory(prefix="emex-flood-") as folder,
        serving(Path(folder), people, venue_core) as (server, passwords),
    ):
        target = Target(server.ports["mqtt"], passwords)
        async with honest(server, passwords, traders, options.rate) as crowd:
            for name in options.attacks:
                results[name] = await measure_attack(
                    name, crowd, server, target, client_core, options.rounds, options.seconds
                )
                if not options.json:
                    print_attack(name, results[name])
    return {
        "attacks": results,
        "requests": sum(one.sent for one in (*crowd.traders, crowd.maker)),
        "load_average_before": load[0],
        "held": all(result["held"] for result in results.values()),
    }


@asynccontextmanager
async def honest(server: Server, passwords: dict[str, str], names: list[str], rate: int) -> AsyncIterator[Crowd]:
    """Everybody honest, logged on."""
    traders = [Honest(name, at) for at, name in enumerate(names, start=1)]
    maker, port = Honest("maker", 0), server.ports["mqtt"]
    for name, password in passwords.items():  # a right password is hashed once; here, and not in a measurement
        link = await open_link(HOST, port, lambda *_: None)
        await link.log_on("first", name, password.encode())
        link.close()
    for one in (*traders, maker):
        await one.open(port, passwords[one.name])
    crowd = Crowd(traders, maker, rate, port, ("newcomer", passwords["newcomer"]))
    await crowd.trade(_SETTLE_SECONDS)
    yield crowd
    for one in (*traders, maker):
        one.close()


def print_attack(name: str, result: dict[str, Any]) -> None:
    """One attack's lines, as soon as they are known."""
    table = Table(title=f"{name}: {result['says']}", title_justify="left", box=None)
    for column in ("", "p50 ms", "p99 ms", "p99 of each phase", "venue's core"):
        table.add_column(column)
    for which in ("quiet", "attack"):
        table.add_row(which, str(result[f"{which}_ms"]["p50"]), str(result[f"{which}_ms"]["p99"]),
                      " ".join(str(value) for value in result[f"{which}_p99_ms"]),
                      f"{result['venue_cpu'][which]:.0%}")  # fmt: skip
    console = Console()
    console.print(table)
    counts = ", ".join(f"{key} {value:g}" for key, value in result["counts"].items())
    lag = result["own_lag_p99_ms"]
    console.print(f"  ratio {result['ratio']}, noise {result['noise']}; own lag p99 {lag['quiet']} ms quiet, "
                  f"{lag['attack']} ms attacked; newcomers within {result['newcomer_ms']} ms")  # fmt: skip
    console.print(f"  {counts}")
    console.print("  held" if result["held"] else f"  [red]not held: {'; '.join(result['not_held'])}[/red]")


def main() -> None:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m bench.flood", description="What one client costs the others.")
    parser.add_argument("--attacks", type=lambda text: text.split(","), default=list(ATTACKS), metavar="A,B")
    parser.add_argument("--traders", type=int, default=10)
    parser.add_argument("--rate", type=int, default=20, help="orders a second of each")
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--seconds", type=float, default=12.0, help="of each phase")
    parser.add_argument("--json", action="store_true")
    options = parser.parse_args()
    if unknown := set(options.attacks) - set(ATTACKS):
        parser.error(f"--attacks: got {', '.join(sorted(unknown))}, expected some of {', '.join(ATTACKS)}")
    if len(os.sched_getaffinity(0)) < 2:
        parser.error("needs two cores: one for the venue, one for its clients")
    with contextlib.suppress(KeyboardInterrupt), asyncio.Runner(loop_factory=_precise_loop) as runner:
        result = runner.run(run(options))
        if options.json:
            print(json.dumps(result, indent=2))
        sys.exit(0 if result["held"] else 1)


def _precise_loop() -> asyncio.AbstractEventLoop:
    """A loop that wakes up in microseconds; with epoll it is up to a millisecond late, as much as what is measured."""
    return asyncio.SelectorEventLoop(selectors.SelectSelector())


if __name__ == "__main__":
    main()
