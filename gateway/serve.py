"""A venue that runs: journal, desk, doors, hours, metrics, snapshots, logs, and a graceful end (`emex serve`).

    start    accounts ─ recover or create ─ open what is missing ─ listen ─ say where
    run      the host's turns; every second hours and a sweep; snapshots and checkpoints in a worker thread
    stop     SIGINT, SIGTERM: take nothing new, finish what waits, say goodbye, checkpoint, close

When the journal fails the venue stops by itself with exit status 1; the next start decides what was not acknowledged.
"""

import asyncio
import contextlib
import resource
import signal
import ssl
import sys
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Self

import numpy as np
import structlog
from prometheus_client import CollectorRegistry

from engine.codes import CommandKind, Participant
from engine.exchange import compile_all
from engine.records import command, empty_commands
from gateway.accounts import Accounts, Holder, new_password
from gateway.desk.desk import Desk, Terms
from gateway.desk.replica import Frozen
from gateway.desk.throttle import Quota
from gateway.errors import GatewayError
from gateway.gatekeeper import Gatekeeper, Refusal
from gateway.hashing import Hashing
from gateway.hours import Hours, timetable_of
from gateway.journal.snapshots import Snapshot
from gateway.journal.store import Head
from gateway.metrics import TimedJournal, VenueCollector, serve_metrics
from gateway.recovery import Venue, create, recover
from gateway.transports.bridge import Bridge, Broker
from gateway.transports.door import Door
from gateway.transports.host import Host
from gateway.transports.mqtt import MAX_PACKET, MqttServer
from gateway.transports.pipes import Pipe, WebSocketPipe
from gateway.wire.topics import Principal, Role

log = structlog.get_logger()

SNAPSHOT_EVENTS = 100_000
"""Events between two snapshots, at least."""
SNAPSHOT_REST = 10
"""So many times as long as a snapshot took none is taken: under a heavy load they must not be all that is done."""
CHECKPOINT_BYTES = 64 * 1024 * 1024
"""Size of the write-ahead log at which it is folded into the journal."""
_LOOK_COMMITS = 64
"""The log's size is looked at so often."""
_FILES = 65_536
"""Open files, where the system knows no limit."""
_CONNACK = {Refusal.BAD_CREDENTIALS: 0x86, Refusal.LOCKED_OUT: 0x8A, Refusal.BUSY: 0x89}
_DEMO = (("operator", Role.INSTRUCTOR), ("anna", Role.TRADER), ("ben", Role.TRADER))


@dataclass(frozen=True)
class Options:
    """How to serve."""

    rules: str
    journal: Path
    accounts: Path
    host: str = "127.0.0.1"
    port: int | None = 1883
    """None: no server of its own, the venue is found at its broker only."""
    websocket_port: int | None = None
    metrics_port: int | None = None
    hours: str = Hours.ALWAYS
    rate: int = 300
    """Requests a second of one trader; 0 = no limit."""
    cash_fen: int = 0
    units_t: int = 0
    """What a trader's account begins with, of each instrument."""
    time_from_operator: bool = False
    certificate: Path | None = None
    key: Path | None = None
    broker: Broker | None = None
    """An existing broker that the venue is a client of."""


def open_venue(path: Path, rules: str) -> Venue:
    """The venue of that journal; a new one where there is none. Raises `JournalError` or `RulebookError`."""
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        return create(path, rules)
    venue = recover(path)
    if venue.book.name != Path(rules).stem:
        venue.journal.close()
        raise GatewayError(f"{path}: was written under {venue.book.name!r}, got {rules!r}: name another journal")
    return venue


def find_accounts(path: Path) -> tuple[Accounts, dict[str, str]]:
    """The accounts of that file; where there is none an operator and two traders, with the passwords made for them."""
    if path.exists():
        return Accounts.load(path), {}
    path.parent.mkdir(parents=True, exist_ok=True)
    accounts = Accounts.load(path)
    passwords = {name: new_password() for name, _ in _DEMO}
    for name, role in _DEMO:
        accounts.add(name, role, passwords[name])
    accounts.save()
    return accounts, passwords


class Running:
    """One running venue; `async with Running(options) as venue: await venue.ended()`."""

    def __init__(self, options: Options) -> None:
        self.options = options
        self.accounts, self.new_passwords = find_accounts(options.accounts)
        self.venue = open_venue(options.journal, options.rules)
        self._registry = CollectorRegistry()
        self._hashing = Hashing()
        self.gatekeeper = Gatekeeper(self.accounts, self._hashing.fits, time.monotonic)
        terms = Terms(
            self.venue.book.name, self.venue.book.rules_hash, time.time_ns(), Quota(options.rate, 2 * options.rate),
            options.time_from_operator,
        )  # fmt: skip
        self.desk = Desk(self.venue.replica, TimedJournal(self.venue.journal, self._registry), terms)
        fresh = self.venue.replica.last_ns == 0
        timetable = timetable_of(Hours(options.hours), self.venue.book, None if fresh else self.venue.replica.last_ns)
        self.host = Host(self.desk, timetable=timetable, after_turn=self._after_turn)
        self.server = MqttServer(self.host, self._admit)
        self.bridge = Bridge(self.host, self.accounts, options.broker) if options.broker is not None else None
        self.ports: dict[str, int] = {}
        """Where it listens: by "mqtt", "websocket", "metrics"."""
        self._worker = ThreadPoolExecutor(1, thread_name_prefix="journal")
        self._busy: asyncio.Future[None] | None = None
        self._folded = False
        """Whether the write-ahead log has been folded in but for its last part."""
        self._snapshot_at = self.venue.replica.exchange.event_seq
        self._snapshot_rest = 0.0
        self._doors: list[Door] = []
        self._stop_metrics: Callable[[], None] = lambda: None
        self._ticker: asyncio.Task[None] | None = None

    async def __aenter__(self) -> Self:
        """Open accounts, listen. Raises `OSError` where a port is taken."""
        self.desk.operate(self._openings())
        self.host.first_turn()
        options, loop = self.options, asyncio.get_running_loop()
        tls = None
        if options.certificate is not None:
            tls = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
            tls.load_cert_chain(options.certificate, options.key)
        accept, clock = self.server.accept, time.monotonic
        if options.port is not None:
            await self._listen("mqtt", lambda: Pipe(accept, clock), options.port, tls)
        if options.websocket_port is not None:
            await self._listen(
                "websocket", lambda: WebSocketPipe(accept, clock, max_frame=2 * MAX_PACKET), options.websocket_port, tls
            )
        if options.metrics_port is not None:
            self._registry.register(VenueCollector(self.desk, self.server, self.gatekeeper, self._doors, self.bridge))
            http, thread = serve_metrics(self._registry, options.host, options.metrics_port)
            self.ports["metrics"] = http.server_port

            def stop() -> None:
                http.shutdown()
                http.server_close()
                thread.join()

            self._stop_metrics = stop
        if self.bridge is not None:
            self.bridge.start()
        self._ticker = loop.create_task(self._tick())
        log.info("serving", rules=self.venue.book.name, journal=str(options.journal), ports=self.ports,
                 commits=self.venue.journal.head.number, replayed=self.venue.replayed)  # fmt: skip
        return self

    async def __aexit__(self, *_: object) -> None:
        """The graceful end."""
        for door in self._doors:
            door.close()
        if self._ticker is not None:
            self._ticker.cancel()
        if not self.desk.failed:
            self.host.stop()
            await self.host.stopped.wait()
        self.server.close_all()
        if self.bridge is not None:
            await self.bridge.close()
        if self._busy is not None:
            await asyncio.wait([self._busy])
        self._stop_metrics()
        self.host.close()
        self._worker.shutdown()
        self.gatekeeper.close()
        self._hashing.close()
        self.venue.journal.close()
        log.info("stopped", failed=str(self.desk.failed) if self.desk.failed else None)

    async def ended(self) -> bool:
        """Wait until it is told to stop or fails; True when it held."""
        loop = asyncio.get_running_loop()
        for number in (signal.SIGINT, signal.SIGTERM):
            loop.add_signal_handler(number, self.host.stop)
        await self.host.stopped.wait()
        return self.desk.failed is None

    async def _listen(
        self, name: str, make: Callable[[], asyncio.BaseProtocol], port: int, tls: ssl.SSLContext | None
    ) -> None:
        door = Door(make, tls, time.monotonic)
        self.ports[name] = await door.open(self.options.host, port)
        self._doors.append(door)

    def _openings(self) -> np.ndarray:
        """Commands that open and endow traders' accounts which the venue does not know yet."""
        replica, rows = self.venue.replica, [empty_commands(0)]
        for holder in self.accounts:
            if holder.role is not Role.TRADER or replica.exchange.holdings(holder.number) is not None:
                continue
            number = holder.number
            rows.append(command(CommandKind.OPEN_ACCOUNT, account=number, flags=Participant.COVERED))
            if self.options.cash_fen:
                rows.append(command(CommandKind.DEPOSIT, account=number, amount_fen=self.options.cash_fen))
            units = self.options.units_t
            for instrument in range(len(replica.exchange.symbols) if units else 0):
                rows += [command(CommandKind.ISSUE, account=number, instrument=instrument, qty=units)]
        return np.concatenate(rows)

    async def _admit(self, name: str, password: bytes, address: str) -> Principal | int:
        found = await self.gatekeeper.admit(name, password, address)
        if isinstance(found, Holder):
            log.info("logged on", name=name, role=found.role, address=address)
            return Principal(found.name, found.number, found.role)
        if found is Refusal.BAD_CREDENTIALS:  # the others are counted: they are as many as somebody likes to send
            log.warning("log-on refused", name=name, address=address, reason=found.name)
        return _CONNACK[found]

    async def _tick(self) -> None:
        """Once a second."""
        while True:
            await asyncio.sleep(1)
            self.host.follow_timetable()
            self.server.sweep(time.monotonic())

    def _after_turn(self) -> None:
        """Hand slow work to the worker thread, one piece at a time."""
        if self._busy is not None and not self._busy.done():
            return
        replica, journal = self.venue.replica, self.venue.journal
        due = replica.exchange.event_seq - self._snapshot_at >= SNAPSHOT_EVENTS
        if due and time.monotonic() >= self._snapshot_rest:
            self._snapshot_at = replica.exchange.event_seq
            self._work(self._write_snapshot, journal.head, replica.freeze())
        elif self._folded:
            self._folded = False
            journal.empty_log()
        elif journal.head.number % _LOOK_COMMITS == 0 and journal.wal_bytes() > CHECKPOINT_BYTES:
            self._folded = True
            self._work(journal.checkpoint)

    def _work(self, task: Callable[..., object], *args: object) -> None:
        def logged() -> None:
            try:
                task(*args)
            except Exception:
                log.exception("background work failed", work=getattr(task, "__name__", "?"))

        self._busy = asyncio.get_running_loop().run_in_executor(self._worker, logged)

    def _write_snapshot(self, head: Head, frozen: Frozen) -> None:
        began = time.monotonic()
        path = self.venue.snapshots.write(Snapshot(head.number, head.digest.hex(), frozen.tables()))
        ended = time.monotonic()
        self._snapshot_rest = ended + SNAPSHOT_REST * (ended - began)
        log.info("snapshot", commit=head.number, file=path.name, seconds=round(ended - began, 3))


def serve(options: Options, announce: Callable[["Running"], None]) -> bool:
    """Serve until told to stop; False when the journal has failed. `announce` is called once it listens."""
    compile_all()
    _, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if hard != resource.RLIM_INFINITY else _FILES, hard))
    structlog.configure(
        processors=[
            structlog.processors.add_log_level,
            structlog.processors.TimeStamper(fmt="iso", utc=True),
            structlog.processors.format_exc_info,
            structlog.processors.JSONRenderer(ensure_ascii=False),
        ],
        logger_factory=structlog.PrintLoggerFactory(sys.stderr),
    )
    with contextlib.suppress(KeyboardInterrupt):
        return asyncio.run(_serve(options, announce))
    return True


async def _serve(options: Options, announce: Callable[["Running"], None]) -> bool:
    async with Running(options) as running:
        announce(running)
        return await running.ended()


def welcome(running: Running) -> str:
    """What to connect to, and how."""
    host, book, broker = running.options.host, running.venue.book, running.options.broker
    lines = [f"{book.title}  {book.title_zh}"]
    if "mqtt" in running.ports:
        lines.append(f"mqtt://{host}:{running.ports['mqtt']}")
    if broker is not None:
        lines.append(f"at the broker {broker.host}:{broker.port}, as {broker.user}")
    lines += [f"{name}: port {port}" for name, port in running.ports.items() if name != "mqtt"]
    lines.append(f"instruments: {', '.join(book.symbols)}; journal {running.options.journal}")
    for name, password in running.new_passwords.items():
        lines.append(f"new account {name}, password {password}")
    lines.append("stop with Ctrl-C")
    return "\n".join(lines)
