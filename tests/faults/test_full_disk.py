"""A disk that is full, fails to sync or takes its time: nobody is told what is not in the journal, nothing doubles."""

import asyncio
import contextlib
import os
import subprocess
import threading
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import AsyncExitStack
from functools import partial
from pathlib import Path

import mqtt5
import numpy as np
import pytest
import structlog

import emex
from engine.codes import Side
from engine.digest import state_digest
from gateway import serve
from gateway.desk.replica import Replica
from gateway.errors import ConnectionLostError
from gateway.journal.errors import JournalError, JournalFailedError
from gateway.journal.store import Journal
from gateway.transports.link import Link, open_link
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.records import RECORD
from gateway.wire.topics import Principal, Role
from tests.desk.venue import Person, Venue, reports
from tests.faults.disk import HITS, Fault, FaultyDisk
from tests.gateway.running import PEOPLE, password_of, running, trader, write_accounts

NAMES = "anna", "ben", "chen"
ROUNDS = 4
BUY, SELL = Side.BUY, Side.SELL


def asked(name: str, round_: int) -> list[m.Message]:
    """What somebody sends in one payload of a round: orders that meet, a cancel of his own, more text than one page."""
    at, first = NAMES.index(name), 50 * round_ + 1
    side = BUY if (at + round_) % 2 else SELL
    orders: list[m.Message] = [m.NewOrderSingle(first + n, 0, side, 1 + at, 1000 + n % 3) for n in range(20)]
    return [*orders, m.OrderCancelRequest(first + 20, target_seq=first + 1)]


class Session:
    """A venue on a journal, and three people who send everything they have, again after a restart.

    Time stands still, so that the same requests give the same events in however many commits.
    """

    def __init__(self, journal: Journal | None, commits: list[bytes]) -> None:
        self.venue = Venue(journal=journal)  # type: ignore[arg-type]
        replica = Replica(self.venue.rules)
        for payload in commits:
            replica.apply(np.frombuffer(payload, RECORD))
        self.venue.desk = self.venue._desk(replica)
        if not commits:
            self.venue.open(*range(2, 2 + len(NAMES)))
        self.people = [self.venue.enter(name, 2 + at) for at, name in enumerate(NAMES)]

    def trade(self) -> None:
        """All rounds, or until the journal fails."""
        for round_ in range(ROUNDS):
            for person in self.people:
                person.send(*asked(person.session.principal.name, round_))
            self.venue.turn()
            if self.venue.desk.failed:
                return

    @property
    def digest(self) -> str:
        return state_digest(self.venue.desk.replica.exchange.canonical_state())


@pytest.fixture(scope="module")
def undisturbed() -> str:
    """State after everything was asked once on a journal that holds."""
    session = Session(None, [])
    session.trade()
    return session.digest


def new_journal(disk: FaultyDisk) -> Journal:
    return Journal.create(disk.path, {}, disk=disk)


def payloads(journal: Journal) -> list[bytes]:
    return [commit.payload for commit in journal.commits()]


def requests_in(commits: list[bytes]) -> list[tuple[int, int]]:
    """(principal, number) of every request in the journal, in order."""
    records = np.frombuffer(b"".join(commits), RECORD)
    records = records[records["principal"] != 0]
    return list(zip(records["principal"].tolist(), records["seq"].tolist(), strict=True))


def told_of(person: Person) -> set[int]:
    """Numbers of the requests whose acknowledgement or outcome somebody has seen."""
    name = person.session.principal.name
    acknowledged = {ack.token for ack in person.acks if ack.reason is None}
    # The first payload was the log-on.
    seqs = {message.seq for token in acknowledged - {1} for message in asked(name, token - 2)}  # type: ignore[attr-defined]
    return seqs | {report.ref_seq for report in reports(person.replies()) if report.ref_seq}


def calls_of_a_session(folder: Path) -> list[str]:
    """Kinds of the calls while people trade."""
    disk = FaultyDisk(folder, 0)
    session = Session(journal := new_journal(disk), [])
    before = len(disk.calls)
    session.trade()
    kinds = [call.kind for call in disk.calls[before:]]
    journal.close()
    disk.unregister()
    return kinds


@pytest.mark.parametrize("then", ["restart", "power cut"])
@pytest.mark.parametrize("fault", [Fault.FULL, Fault.SYNC, Fault.SHORT])
def test_whatever_call_fails_nothing_untrue_is_told_and_a_resend_has_one_effect(
    fault: Fault, then: str, undisturbed: str, tmp_path: Path
) -> None:
    kinds = calls_of_a_session(tmp_path)
    places = [call for call, kind in enumerate(kinds, 1) if kind in HITS[fault]]
    assert len(places) >= ROUNDS
    for call in places:
        disk = FaultyDisk(tmp_path, call)
        session = Session(journal := new_journal(disk), [])
        disk.plan(fault, call)
        session.trade()
        where = f"{fault} at call {call} of {len(kinds)}"
        assert fault in disk.hits, where
        assert isinstance(session.venue.desk.failed, JournalFailedError), where
        refuses_everything(session)
        told = {(2 + at, seq) for at, person in enumerate(session.people) for seq in told_of(person)}
        with contextlib.suppress(JournalError):
            journal.close()
        if then == "power cut":
            disk.survive()
        else:
            disk.reboot()
        journal = Journal.open(disk.path, disk=disk)
        assert told <= set(requests_in(payloads(journal))), f"{where}: told of what is not in the journal"
        again = Session(journal, payloads(journal))
        again.trade()
        assert again.digest == undisturbed, f"{where}: another state"
        every = requests_in(payloads(journal))
        assert len(every) == len(set(every)) == len(NAMES) * ROUNDS * 21, where
        for at, person in enumerate(again.people):
            assert sorted(told_of(person)) == sorted(seq for who, seq in set(every) if who == 2 + at), where
        journal.close()
        disk.unregister()


def refuses_everything(session: Session) -> None:
    """Everybody has been told and cut off; who comes back gets no order and no cancel in."""
    venue = session.venue
    for person in session.people:
        assert person.closed is not None
        assert person.closed.reason is DoorReason.JOURNAL_UNAVAILABLE
    late = venue.enter("dora", 5, logon=False)
    for request in (m.NewOrderSingle(1, 0, BUY, 1, 1000), m.OrderMassCancelRequest(1)):
        token = late.send(m.Logon(), request)
        venue.turn()
        assert late.acks[-1].token == token
        assert late.acks[-1].reason is DoorReason.JOURNAL_UNAVAILABLE


@pytest.mark.parametrize("then", ["restart", "power cut"])
@pytest.mark.parametrize("fault", [Fault.FULL, Fault.SYNC, Fault.SHORT, Fault.READ, Fault.KILL])
def test_a_journal_whose_making_failed_is_there_whole_or_not_at_all(fault: Fault, then: str, tmp_path: Path) -> None:
    outcomes = []
    for call in range(1, 45):
        disk = FaultyDisk(tmp_path, call)
        disk.plan(fault, call)
        with contextlib.suppress(JournalError):
            new_journal(disk).close()
        if then == "power cut":
            disk.survive()
        else:
            disk.reboot()
        outcomes.append(disk.exists(disk.path))
        journal = Journal.open(disk.path, disk=disk) if outcomes[-1] else new_journal(disk)
        assert journal.append(b"first", 1, 1) == 1, f"{fault} at call {call}"
        journal.close()
        disk.unregister()
    assert set(outcomes) == {False, True}


@pytest.mark.parametrize("work", [Journal.checkpoint, Journal.empty_log], ids=["checkpoint", "empty_log"])
@pytest.mark.parametrize("fault", [Fault.FULL, Fault.SYNC, Fault.SHORT, Fault.READ])
def test_after_a_checkpoint_that_failed_nothing_is_accepted_and_nothing_is_lost(
    fault: Fault, work: Callable[[Journal], None], tmp_path: Path
) -> None:
    failures = 0
    for call in range(1, 30):
        disk = FaultyDisk(tmp_path, call)
        session = Session(journal := new_journal(disk), [])
        session.trade()
        written = payloads(journal)
        disk.plan(fault, call)
        try:
            work(journal)
        except JournalFailedError:
            failures += 1
            session.people[0].send(m.NewOrderSingle(900, 0, BUY, 1, 1000))
            session.venue.turn()
            refuses_everything(session)
        with contextlib.suppress(JournalError):
            journal.close()
        disk.survive()
        journal = Journal.open(disk.path, disk=disk)
        assert payloads(journal) == written, f"{fault} at call {call}"
        journal.close()
        disk.unregister()
    assert failures > 3


def test_a_journal_on_a_disk_that_is_still_full_cannot_be_opened_and_loses_nothing(tmp_path: Path) -> None:
    disk = FaultyDisk(tmp_path, 1)
    session = Session(journal := new_journal(disk), [])
    session.trade()
    written = payloads(journal)
    disk.die()
    with contextlib.suppress(JournalError):
        journal.close()
    disk.reboot()
    disk.plan(Fault.FULL, 1)
    with pytest.raises(JournalError, match=r"cannot be opened.*no room"):
        Journal.open(disk.path, disk=disk)
    disk.reboot()
    journal = Journal.open(disk.path, disk=disk)
    assert payloads(journal) == written
    journal.close()
    disk.unregister()


def test_a_disk_that_takes_its_time_delays_the_acknowledgement(tmp_path: Path) -> None:
    disk = FaultyDisk(tmp_path, 1)
    session = Session(journal := new_journal(disk), [])
    anna = session.people[0]
    seen: list[int] = []

    def stall() -> None:
        session.venue.now_ns += 2 * 10**9
        anna.take()
        seen.append(len(anna.acks))

    disk.on_sync = stall
    before = len(anna.acks)
    (accepted,) = reports(anna.ask(m.NewOrderSingle(1, 0, BUY, 1, 1000)))
    assert accepted.ref_seq == 1
    assert seen
    assert set(seen) == {before}
    assert len(anna.acks) == before + 1
    assert (2, 1) in requests_in(payloads(journal))
    journal.close()
    disk.unregister()


# ------------------------------------------------------------------------------------------- a venue that listens


@pytest.fixture
def disk(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[FaultyDisk]:
    """On which every venue of the test has its journal."""
    faulty = FaultyDisk(tmp_path, 1)
    for way in ("create", "open"):
        monkeypatch.setattr(Journal, way, partial(getattr(Journal, way), disk=faulty))
    yield faulty
    faulty.unregister()


def topic_of(name: str) -> str:
    return topics.requests(Principal(name, 0, Role.TRADER)) or ""


async def link_of(port: int, name: str) -> Link:
    link = await open_link("127.0.0.1", port, lambda *_: None)
    await link.log_on("", name, password_of(name).encode())
    return link


def metrics_of(venue: serve.Running) -> dict[str, str]:
    with urllib.request.urlopen(f"http://127.0.0.1:{venue.ports['metrics']}/metrics", timeout=10) as answer:
        lines = answer.read().decode().splitlines()
    return dict(line.split(" ", 1) for line in lines if not line.startswith("#"))


@pytest.mark.e2e
def test_a_venue_whose_journal_fails_says_so_and_its_clients_go_on_after_a_restart(
    disk: FaultyDisk, tmp_path: Path
) -> None:
    async def test() -> None:
        async with AsyncExitStack() as stack:
            async with running(tmp_path, metrics_port=0) as venue:
                port = venue.ports["mqtt"]
                anna = await stack.enter_async_context(trader(venue, "anna"))
                ben = await link_of(port, "ben")
                first = await anna.buy("ANY", 5, "10.00")
                assert (await asyncio.to_thread(metrics_of, venue))["emex_journal_failed"] == "0.0"
                disk.plan(Fault.SYNC, 1)
                second = asyncio.create_task(anna.buy("ANY", 7, "10.00"))
                assert await venue.ended() is False
                assert "JOURNAL_UNAVAILABLE" in await ben.lost
                assert (await asyncio.to_thread(metrics_of, venue))["emex_journal_failed"] == "1.0"
                ben = await link_of(port, "ben")
                order = codec.encode([m.Logon(), m.NewOrderSingle(1, 0, SELL, 1, 1000)])
                code = await ben.publish(topic_of("ben"), order)
                assert code == mqtt5.PubAckReasonCode.IMPLEMENTATION_SPECIFIC_ERROR
                ben.abort()
                assert not second.done()
            disk.survive()
            async with running(tmp_path, port=port):
                again = await second
                _, orders = await anna.status()
                assert [(row[0], row[7]) for row in orders] == [(first.order_id, 5), (again.order_id, 7)]

    asyncio.run(asyncio.wait_for(test(), 60))


@pytest.mark.e2e
def test_a_log_that_cannot_be_emptied_stops_the_venue_and_everybody_hears_why(
    disk: FaultyDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(serve, "CHECKPOINT_BYTES", 0)
    empty_log = Journal.empty_log

    def on_a_bad_disk(journal: Journal) -> None:
        disk.plan(Fault.SYNC, 1)
        empty_log(journal)

    async def test() -> None:
        async with running(tmp_path) as venue:
            anna = await link_of(venue.ports["mqtt"], "anna")
            monkeypatch.setattr(Journal, "empty_log", on_a_bad_disk)
            seq = 0
            with contextlib.suppress(ConnectionLostError):
                await anna.publish(topic_of("anna"), codec.encode([m.Logon()]))
                while seq < 1000:
                    seq += 1
                    await anna.publish(topic_of("anna"), codec.encode([m.NewOrderSingle(seq, 0, BUY, 1, 1000)]))
            assert "JOURNAL_UNAVAILABLE" in await anna.lost
            assert await venue.ended() is False

    asyncio.run(asyncio.wait_for(test(), 60))


@pytest.mark.e2e
def test_an_order_is_acknowledged_when_a_stalled_fsync_returns_and_not_before(disk: FaultyDisk, tmp_path: Path) -> None:
    entered, go_on = threading.Event(), threading.Event()

    def stall() -> None:
        entered.set()
        assert go_on.wait(60)

    async def test() -> None:
        async with running(tmp_path) as venue:
            anna = await link_of(venue.ports["mqtt"], "anna")
            await anna.publish(topic_of("anna"), codec.encode([m.Logon()]))
            disk.on_sync = stall
            acknowledged = anna.publish(topic_of("anna"), codec.encode([m.NewOrderSingle(1, 0, BUY, 1, 1000)]))
            await asyncio.to_thread(entered.wait, 60)
            # The loop is not held up: somebody else still gets in, though nobody is answered.
            ben = await link_of(venue.ports["mqtt"], "ben")
            assert not acknowledged.done()
            go_on.set()
            assert await acknowledged == mqtt5.PubAckReasonCode.SUCCESS
            assert venue.venue.journal.head.number > 0
            anna.abort()
            ben.abort()

    asyncio.run(asyncio.wait_for(test(), 60))


@pytest.mark.e2e
def test_a_process_whose_journal_fails_ends_with_status_1(
    disk: FaultyDisk, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    accounts = write_accounts(tmp_path / "accounts.json", PEOPLE)
    heard: list[str] = []

    async def client(port: int) -> None:
        anna = await link_of(port, "anna")
        await anna.publish(topic_of("anna"), codec.encode([m.Logon()]))
        disk.plan(Fault.FULL, 1)
        anna.publish(topic_of("anna"), codec.encode([m.NewOrderSingle(n, 0, BUY, 1, 1000) for n in range(1, 90)]))
        heard.append(await anna.lost)

    def announced(venue: serve.Running) -> str:
        clients.append(threading.Thread(target=lambda: asyncio.run(client(venue.ports["mqtt"]))))
        clients[0].start()
        return "listening"

    clients: list[threading.Thread] = []
    monkeypatch.setattr(serve, "welcome", announced)
    with pytest.raises(SystemExit) as ended:
        emex.main(["serve", "generic", "--port", "0", "--journal", str(disk.path), "--accounts", str(accounts)])
    clients[0].join()
    structlog.reset_defaults()
    assert ended.value.code == 1
    assert "JOURNAL_UNAVAILABLE" in heard[0]
    assert "listening" in capsys.readouterr().out


# --------------------------------------------------------------------------------------------- a disk that is full


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A real file system with room for some hundred commits."""
    if os.geteuid() != 0:
        pytest.skip("only root can mount a small file system")
    place = tmp_path / "small"
    place.mkdir()
    mount = ["mount", "-t", "tmpfs", "-o", "size=512k", "tmpfs", str(place)]
    if subprocess.run(mount, capture_output=True, check=False).returncode != 0:
        pytest.skip("no small file system can be mounted here")
    yield place
    # What a failed test has left open does not keep it.
    subprocess.run(["umount", "--lazy", str(place)], check=True)


def test_a_disk_that_is_really_full_stops_the_venue_and_loses_nothing(small_disk: Path) -> None:
    path = small_disk / "journal"
    session = Session(journal := Journal.create(path, {}), [])
    anna, seq = session.people[0], 0
    while not session.venue.desk.failed:
        seq += 1
        anna.send(*(m.NewOrderSingle(100 * seq + n, 0, BUY, 1, 1000) for n in range(100)))
        session.venue.turn()
        assert seq < 1000
    assert "full" in str(session.venue.desk.failed)
    refuses_everything(session)
    told = {report.ref_seq for report in reports(anna.replies())}
    journal.close()
    with pytest.raises(JournalError, match="full"):
        Journal.open(path)
    subprocess.run(["mount", "-o", "remount,size=8m", str(small_disk)], check=True)
    journal = Journal.open(path)
    commits = payloads(journal)
    assert told <= {number for _, number in requests_in(commits)}
    assert len(told) >= 100 * (seq - 1)
    again = Session(journal, commits)
    for n in range(1, seq + 1):
        again.people[0].send(*(m.NewOrderSingle(100 * n + at, 0, BUY, 1, 1000) for at in range(100)))
        again.venue.turn()
    every = requests_in(payloads(journal))
    assert len(every) == len(set(every)) == 100 * seq
    journal.close()
