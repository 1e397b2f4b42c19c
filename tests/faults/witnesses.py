"""What the campaigns with killed venues share: a venue in a process of its own, and witnesses of what it says.

    Process     `tests.faults.victim` in a folder: start it, kill it, hear what it told before it died
    Record      every report one principal was given, and what contradicts it
    Line        one connection that writes every report into a record before anybody counts it as said
    digest_of   a replica as one word: engine, requests, reports

Nothing here tries again: what a broken connection leaves open is the campaign's business.
"""

import asyncio
import hashlib
import itertools
import json
import os
import shutil
import signal
import sys
from collections.abc import Callable, Hashable, Sequence
from pathlib import Path
from typing import Any, Self

import msgspec

from engine.digest import state_digest
from gateway.desk.replica import Replica
from gateway.errors import ConnectionLostError
from gateway.transports.link import Link, open_link
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.records import RESEND_LIMIT
from gateway.wire.topics import Principal, Role
from tests.gateway.running import password_of

AT = {name: at for at, name in enumerate(m.fields_of(m.ExecutionReport))}
"""Place of each field in a report as a record keeps it."""
PAGE = RESEND_LIMIT
"""Reports asked for at once: a connection with too much unread is cut."""
_TAG_OF_REPORTS = b"\xa18"
"""How a payload of reports begins."""
_START_SECONDS = 120
_decode = msgspec.msgpack.Decoder().decode


def digest_of(replica: Replica) -> str:
    """The whole state of a replica: the engine's in its canonical form, and who has asked and been told what."""
    digest = hashlib.blake2b(state_digest(replica.exchange.canonical_state()).encode(), digest_size=16)
    tables = replica.save()
    for name in ("told", "requests", "reports", "last_ns"):
        digest.update(tables[name].tobytes())
    return digest.hexdigest()


def copy_journal(path: Path, folder: Path) -> Path:
    """A journal nobody writes, with its log, witness and snapshots, copied into a fresh `folder`."""
    shutil.rmtree(folder, ignore_errors=True)
    folder.mkdir()
    for suffix in ("", "-wal", ".witness"):
        part = path.with_name(path.name + suffix)
        if part.exists():
            shutil.copyfile(part, folder / part.name)
    snapshots = path.with_name(path.name + ".snapshots")
    if snapshots.exists():
        shutil.copytree(snapshots, folder / snapshots.name)
    return folder / path.name


class Process:
    """One run of a venue that may die."""

    def __init__(self, process: asyncio.subprocess.Process, log: Path) -> None:
        self.port = 0
        """Where it listens; 0: it died before it did."""
        self._process = process
        self._log = log

    @classmethod
    async def start(cls, folder: Path, rules: str, *options: object, hash_seed: int = 0) -> Self:
        """Start one on the journal in `folder`, and wait until it listens or is dead."""
        log = folder / "log"
        words = [str(option) for option in options]
        command = [sys.executable, "-m", "tests.faults.victim", *words, "serve", rules, "--json", "--port", "0",
                   "--rate", "0", "--hours", "operator", "--journal", str(folder / "journal"),
                   "--accounts", str(folder / "accounts.json"), "--cash", "1000000", "--units", "100000"]  # fmt: skip
        environment = os.environ | {"PYTHONPATH": os.pathsep.join(filter(None, sys.path)),
                                    "PYTHONHASHSEED": str(hash_seed)}  # fmt: skip
        with log.open("wb") as errors:
            process = await asyncio.create_subprocess_exec(
                *command, stdout=asyncio.subprocess.PIPE, stderr=errors, env=environment
            )
        run = cls(process, log)
        assert process.stdout is not None
        async with asyncio.timeout(_START_SECONDS):
            line = await process.stdout.readline()
        if line:
            run.port = int(json.loads(line)["ports"]["mqtt"])
        return run

    def kill(self) -> None:
        """SIGKILL; a process that is dead already stays so."""
        self._signal(signal.SIGKILL)

    def stop(self) -> None:
        """SIGTERM."""
        self._signal(signal.SIGTERM)

    def _signal(self, number: signal.Signals) -> None:
        if self._process.returncode is None:
            self._process.send_signal(number)

    async def ended(self) -> int:
        """Wait for its end; returns its exit status, negative for a signal."""
        return await self._process.wait()

    def told(self, word: str) -> dict[str, Any] | None:
        """The last thing it said that has this word."""
        lines = [json.loads(line)["victim"] for line in self._log.read_text().splitlines() if '{"victim"' in line[:10]]
        return next((line for line in reversed(lines) if word in line), None)

    def log_tail(self) -> str:
        """The end of what it wrote to standard error."""
        return self._log.read_text()[-2000:]


class Record:
    """Everything one principal was told, by number.

    Parameters
    ----------
    form : what is kept of a report (a tuple of its fields but the last, `poss_dup`) to compare with when it comes again
    """

    def __init__(self, name: str, form: Callable[[tuple[int, ...]], Hashable] = tuple) -> None:
        self.name = name
        self.reports: dict[int, Hashable] = {}
        self.outcomes: dict[int, int] = {}
        """Number of the report that answered each request."""
        self.doubled = 0
        """Requests with two outcomes."""
        self.changed = 0
        """Reports that came again as others."""
        self.faults: list[str] = []
        self._form = form
        self._next = 1

    def take(self, report: tuple[int, ...]) -> bool:
        """Write a report down, without its `poss_dup`; True when it is news."""
        number, form = report[0], self._form(report)
        known = self.reports.get(number)
        if known is not None:
            if known != form:
                self.changed += 1
                self.fault(f"report {number} was {known}, is {form}")
            return False
        self.reports[number] = form
        seq = report[AT["ref_seq"]]
        if seq:
            if seq in self.outcomes:
                self.doubled += 1
                self.fault(f"request {seq} was answered by reports {self.outcomes[seq]} and {number}")
            self.outcomes[seq] = number
        return True

    @property
    def next_missing(self) -> int:
        """Number of the first report that has not been heard."""
        while self._next in self.reports:
            self._next += 1
        return self._next

    def fault(self, text: str) -> None:
        """Something that cannot be."""
        self.faults.append(f"{self.name}: {text}")


class Line:
    """One connection of a principal; make it with `open`.

    Parameters
    ----------
    on_report : told (report without `poss_dup`, whether it is news, `poss_dup`) of each, after it was written down
    on_refusal : told of each `BusinessMessageReject`
    """

    def __init__(
        self,
        record: Record,
        role: Role,
        client_id: str,
        on_report: Callable[[tuple[int, ...], bool, int], None] = lambda *_: None,
        on_refusal: Callable[[m.BusinessMessageReject], None] = lambda _: None,
    ) -> None:
        self.record = record
        self.session: m.LogonReply
        self._client_id = client_id
        self._topic = topics.requests(Principal(record.name, 0, role)) or ""
        self._on_report = on_report
        self._on_refusal = on_refusal
        self._link: Link | None = None
        self._live = 0
        """Number of the last report that came as a new one on this connection."""
        self._replies: list[m.Reply] = []
        self._beats: dict[int, asyncio.Future[None]] = {}
        self._numbers = itertools.count(1)

    async def open(self, port: int, next_expected: int = 0) -> None:
        """Connect, log on, and wait for what the log-on brings. Raises `OSError`, `ConnectionLostError`."""
        self._live = 0
        name = self.record.name
        self._link = link = await open_link("127.0.0.1", port, self._hear)
        await link.log_on(self._client_id, name, password_of(name).encode())
        await link.subscribe(topics.reports(name))
        replies = await self.ask(m.Logon(next_expected))
        self.session = next(reply for reply in replies if isinstance(reply, m.LogonReply))
        if next_expected:
            for page in pages(next_expected + PAGE, self.session.next_report):
                await self.ask(page)

    def send(self, payload: bytes) -> asyncio.Future[int]:
        """A payload; the future is the reason code of its PUBACK."""
        assert self._link is not None
        return self._link.publish(self._topic, payload)

    async def ask(self, *messages: m.Message) -> list[m.Reply]:
        """Queries; returns the answers to all of them. Raises `ConnectionLostError`."""
        assert self._link is not None
        number = next(self._numbers)
        beat = self._beats[number] = asyncio.get_running_loop().create_future()
        self.send(codec.encode([*messages, m.TestRequest(number)])).add_done_callback(_seen)
        await asyncio.wait([beat, self._link.lost], return_when=asyncio.FIRST_COMPLETED)
        if not beat.done():
            raise ConnectionLostError(self._link.lost.result())
        replies, self._replies = self._replies, []
        return replies

    async def status(self) -> tuple[m.AccountReport | None, dict[int, int]]:
        """Balances (None: no account), and leaves by order."""
        orders: dict[int, int] = {}
        while True:
            replies = await self.ask(m.StatusRequest(0, max(orders, default=0)))
            account = next((reply for reply in replies if isinstance(reply, m.AccountReport)), None)
            (page,) = (reply for reply in replies if isinstance(reply, m.OpenOrders))
            orders |= {row[0]: row[7] for row in page.orders}
            if page.last:
                return account, orders

    @property
    def is_lost(self) -> bool:
        """Whether the connection is gone."""
        return self._link is not None and self._link.lost.done()

    def abort(self) -> None:
        """Break the connection as a network would."""
        if self._link is not None:
            self._link.abort()

    async def lost(self) -> str:
        """Wait until the connection is gone and everything it brought is written down; returns why."""
        if self._link is None:
            return "it never was"
        await asyncio.wait([self._link.lost])
        return str(self._link.lost.result())

    def _hear(self, topic: str, payload: bytes) -> None:
        del topic
        if _TAG_OF_REPORTS in payload[:8]:
            for _, *fields in _decode(payload):
                self._take(tuple(fields[:-1]), fields[-1])
            return
        for reply in codec.decode_replies(payload):
            if isinstance(reply, m.Heartbeat):
                self._beats.pop(reply.test_req_id).set_result(None)
            elif isinstance(reply, m.BusinessMessageReject):
                self._on_refusal(reply)
            elif isinstance(reply, m.Reject):
                self.record.fault(f"a payload could not be read: {reply.text}")
            else:
                self._replies.append(reply)

    def _take(self, report: tuple[int, ...], poss_dup: int) -> None:
        news = self.record.take(report)
        if not poss_dup:
            if self._live and report[0] != self._live + 1:
                self.record.fault(f"report {report[0]} came as new after {self._live}")
            self._live = report[0]
        self._on_report(report, news, poss_dup)


def _seen(future: "asyncio.Future[int]") -> None:
    """A PUBACK nobody waits for."""
    if not future.cancelled():
        future.exception()


def pages(begin: int, end: int) -> Sequence[m.ResendRequest]:
    """Requests for the reports from `begin` to before `end` again."""
    return [m.ResendRequest(at, min(at + PAGE, end) - 1) for at in range(begin, end, PAGE)]
