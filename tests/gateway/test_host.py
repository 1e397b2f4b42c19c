"""The loop of turns beside a disk that takes its time: the engine works meanwhile, and nobody hears of it too early."""

import asyncio
import threading
from collections.abc import Awaitable, Callable

import pytest

from gateway.desk.session import Acknowledge, Close, Output, Publish, Session
from gateway.journal.errors import JournalFailedError
from gateway.transports.host import Host
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.topics import Principal, Role
from tests.desk.venue import MemoryJournal, Venue

ORDER = m.NewOrderSingle(1, 0, 1, 5, 1000)


class SlowJournal(MemoryJournal):
    """A disk that answers when the test says so."""

    def __init__(self) -> None:
        super().__init__()
        self.slow = False
        self.began = threading.Semaphore(0)
        """Released when a commit begins."""
        self.answer = threading.Semaphore(0)

    def append(self, payload: bytes, records: int, time_ns: int) -> int:
        if self.slow:
            self.began.release()
            assert self.answer.acquire(timeout=10)
        return super().append(payload, records, time_ns)


class Stage:
    """A host, its slow journal, and one trader who is logged on."""

    def __init__(self) -> None:
        self.journal = SlowJournal()
        self.venue = Venue(journal=self.journal)
        self.venue.open(2, 3)
        self.host = Host(self.venue.desk, now_ns=lambda: self.venue.now_ns)
        self.heard: list[Output] = []
        self.anna: Session = self.enter("anna", 2)

    def enter(self, name: str, number: int, client_id: str = "main") -> Session:
        session = self.host.attach(Principal(name, number, Role.TRADER), client_id, self.heard.extend)
        self.host.desk.subscribe(session, topics.reports(name))
        self.offer(session, m.Logon())
        return session

    def offer(self, session: Session, *messages: m.Message, token: int = 0) -> None:
        topic = topics.requests(session.principal) or ""
        self.host.offer(session, topic, codec.encode(messages), token)

    async def settled(self) -> None:
        """Everything that can go on without the disk has gone on."""
        for _ in range(20):
            await asyncio.sleep(0)

    async def begin_slowly(self) -> None:
        """Anna's order is on its way to the disk, which does not answer yet."""
        await self.settled()
        self.heard.clear()
        self.journal.slow = True
        self.offer(self.anna, ORDER, token=7)
        await self.settled()
        assert await asyncio.to_thread(self.journal.began.acquire, timeout=10)

    async def let_answer(self, commits: int = 1) -> None:
        """So many commits come to their end, one after the other."""
        for number in range(commits):
            if number:
                assert await asyncio.to_thread(self.journal.began.acquire, timeout=10)
            self.journal.answer.release()
            await asyncio.wrap_future(self.host._disk.submit(lambda: None))  # comes after it in the same thread
            await self.settled()


def play(test: Callable[[Stage], Awaitable[None]]) -> None:
    async def run() -> None:
        stage = Stage()
        try:
            await test(stage)
        finally:
            stage.journal.answer.release(10)
            stage.host.close()

    asyncio.run(run())


def told(outputs: list[Output]) -> list[str]:
    """What has left the host, in short."""
    names: list[str] = []
    for output in outputs:
        match output:
            case Publish(topic) if topic.startswith(topics.MARKET_DATA):
                names.append("market data")
            case Publish(_, payload):
                names += [type(reply).__name__ for reply in codec.decode_replies(payload)]
            case Acknowledge(token, reason):
                names.append(f"ack {token} {reason}")
            case Close(reason):
                names.append(f"close {reason.name}")
    return names


def test_the_engine_works_while_the_disk_writes_and_nobody_hears_of_it_before_the_disk_has_answered() -> None:
    async def test(stage: Stage) -> None:
        events = stage.venue.desk.replica.exchange.event_seq
        await stage.begin_slowly()
        assert stage.venue.desk.replica.exchange.event_seq == events + 1
        assert stage.heard == []
        await stage.let_answer()
        assert told(stage.heard) == ["ExecutionReport", "ack 7 None"]

    play(test)


def test_who_subscribes_meanwhile_sees_what_was_public_before() -> None:
    async def test(stage: Stage) -> None:
        await stage.begin_slowly()
        desk = stage.host.desk
        before = [message.payload for message in desk.market_data.retained()]
        desk.subscribe(stage.anna, "emex/1/md/#")
        assert [out.payload for out in stage.anna.take_outputs() if isinstance(out, Publish)] == before
        await stage.let_answer()

    play(test)


def test_what_arrives_meanwhile_is_read_at_once_and_carried_out_in_one_next_commit() -> None:
    async def test(stage: Stage) -> None:
        await stage.begin_slowly()
        for seq in (2, 3, 4):
            stage.offer(stage.anna, m.NewOrderSingle(seq, 0, 1, 5, 1000 + seq), token=seq)
        stage.offer(stage.anna, m.NewOrderSingle(5, 0, 9, 5, 1000), m.TestRequest(1), token=99)
        await stage.settled()
        assert stage.anna.waiting == 5
        commits = len(stage.journal.commits)
        await stage.let_answer(2)
        assert len(stage.journal.commits) == commits + 2
        assert told(stage.heard).count("ExecutionReport") == 5
        assert [name for name in told(stage.heard) if name.startswith("ack")] == [
            "ack 7 None", "ack 2 None", "ack 3 None", "ack 4 None", "ack 99 None"
        ]  # fmt: skip

    play(test)


def test_a_repetition_that_comes_while_its_original_is_on_the_way_gets_the_originals_outcome() -> None:
    async def test(stage: Stage) -> None:
        await stage.begin_slowly()
        stage.offer(stage.anna, ORDER, token=8)
        await stage.settled()
        assert stage.heard == []
        await stage.let_answer()
        reports = [r for out in stage.heard if isinstance(out, Publish) for r in codec.decode_replies(out.payload)]
        assert [(r.ref_seq, r.poss_dup) for r in reports if isinstance(r, m.ExecutionReport)] == [(1, 0), (1, 1)]
        assert stage.host.desk.counters.duplicates == 1

    play(test)


def test_when_the_disk_fails_nobody_hears_what_the_engine_has_done_and_everybody_is_disconnected() -> None:
    async def test(stage: Stage) -> None:
        await stage.begin_slowly()
        stage.enter("ben", 3)
        stage.journal.fail_at = len(stage.journal.commits) + 1
        await stage.let_answer()
        assert isinstance(stage.host.desk.failed, JournalFailedError)
        assert stage.host.stopped.is_set()
        reason = DoorReason.JOURNAL_UNAVAILABLE.name
        assert sorted(told(stage.heard)) == [f"close {reason}", f"close {reason}"]

    play(test)


def test_a_connection_that_breaks_meanwhile_takes_its_orders_with_it_in_the_next_commit() -> None:
    async def test(stage: Stage) -> None:
        stage.offer(stage.anna, m.Logon(0, True))  # noqa: FBT003  (a field of the message)
        await stage.begin_slowly()
        stage.host.detach(stage.anna)
        await stage.let_answer(2)
        assert len(stage.venue.desk.replica.exchange.living(2)) == 0
        assert stage.host.desk.counters.disconnect_cancels == 1

    play(test)


def test_a_venue_that_is_told_to_stop_waits_for_the_disk() -> None:
    async def test(stage: Stage) -> None:
        await stage.begin_slowly()
        stage.host.stop()
        await stage.settled()
        assert not stage.host.stopped.is_set()
        await stage.let_answer()
        await asyncio.wait_for(stage.host.stopped.wait(), 10)
        assert told(stage.heard) == ["ExecutionReport", "ack 7 None"]

    play(test)


def test_an_error_of_the_engine_stops_the_venue_although_the_disk_is_well(monkeypatch: pytest.MonkeyPatch) -> None:
    async def test(stage: Stage) -> None:
        await stage.settled()
        stage.heard.clear()

        def broken(_: object) -> None:
            raise AssertionError("cash is negative")

        monkeypatch.setattr(stage.venue.desk.replica, "apply", broken)
        stage.offer(stage.anna, ORDER, token=7)
        await asyncio.wait_for(stage.host.stopped.wait(), 10)
        assert str(stage.host.desk.failed) == "cash is negative"
        assert stage.heard == []

    play(test)
