"""A session is the same whichever way its payloads come: the built-in server, or a broker (a real Mosquitto).

Each test runs on both, through one thin client that knows packets and nothing of numbers or resending.
"""

import asyncio
from collections.abc import AsyncIterator, Callable, Coroutine
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any, TypeVar

import mqtt5
import pytest

from engine.codes import EventKind, RejectReason, Side
from gateway import client as client_module
from gateway.client import Trader
from gateway.desk import desk as desk_module
from gateway.serve import Running
from gateway.transports.link import Link, open_link
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.topics import Principal, Role
from tests.gateway.mosquitto import mosquitto, running_at
from tests.gateway.running import PEOPLE, password_of, running

pytestmark = pytest.mark.e2e

BUY, SELL = Side.BUY, Side.SELL
Told = TypeVar("Told", bound=m.Message)


class Peer:
    """One connection of somebody: connect, send, receive."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.link: Link
        self.replies: asyncio.Queue[m.Reply] = asyncio.Queue()
        """What came on one's own topic."""
        self.heard: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()
        """What came on others."""
        self.topic = topics.requests(Principal(name, 0, PEOPLE[name])) or f"emex/1/in/{name}"

    async def connect(self, port: int, will: mqtt5.Will | None = None, *, subscribe: bool = True) -> None:
        self.link = await open_link("127.0.0.1", port, self._hear)
        await self.link.log_on("", self.name, password_of(self.name).encode(), will)
        if subscribe:
            assert await self.link.subscribe(topics.reports(self.name)) < 128

    def _hear(self, topic: str, payload: bytes) -> None:
        if topic == topics.reports(self.name):
            for reply in codec.decode_replies(payload):
                self.replies.put_nowait(reply)
        else:
            self.heard.put_nowait((topic, payload))

    async def send(self, *messages: m.Message) -> int:
        return await self.link.publish(self.topic, codec.encode(messages))

    async def receive(self) -> tuple[str, bytes]:
        return await asyncio.wait_for(self.heard.get(), 10)

    async def reply(self, kind: type[Told]) -> Told:
        """The next message of that kind on one's own topic; others before it are dropped."""
        while True:
            reply = await asyncio.wait_for(self.replies.get(), 10)
            if isinstance(reply, kind):
                return reply

    async def log_on(self, next_expected: int = 0, *, cancel_on_disconnect: bool = False) -> m.LogonReply:
        await self.send(m.Logon(next_expected, cancel_on_disconnect))
        return await self.reply(m.LogonReply)

    async def ask(self, message: m.Message) -> m.ExecutionReport:
        await self.send(message)
        return await self.reply(m.ExecutionReport)

    async def orders(self) -> list[list[int]]:
        await self.send(m.StatusRequest(7))
        page = await self.reply(m.OpenOrders)
        assert page.last
        return page.orders

    async def quiet(self) -> None:
        """Return when everything sent before has been answered."""
        await self.send(m.TestRequest(1))
        await self.reply(m.Heartbeat)


class Door:
    """Where a venue is reached, and its people's connections."""

    def __init__(self, venue: Running, port: int, stack: AsyncExitStack) -> None:
        self.venue = venue
        self.port = port
        self._stack = stack

    async def peer(self, name: str, will: mqtt5.Will | None = None, *, subscribe: bool = True) -> Peer:
        """Somebody connected."""
        peer = Peer(name)
        await peer.connect(self.port, will, subscribe=subscribe)
        self._stack.callback(peer.link.abort)
        return peer

    async def entered(self, *names: str) -> list[Peer]:
        """Several, logged on."""
        peers = [await self.peer(name) for name in names]
        for peer in peers:
            await peer.log_on()
        return peers

    def trader(self, name: str, **options: Any) -> Trader:
        return Trader("127.0.0.1", self.port, name, password_of(name), role=PEOPLE[name], **options)


@asynccontextmanager
async def built_in(folder: Path) -> AsyncIterator[Door]:
    async with running(folder) as venue, AsyncExitStack() as stack:
        yield Door(venue, venue.ports["mqtt"], stack)


@asynccontextmanager
async def at_a_broker(folder: Path) -> AsyncIterator[Door]:
    async with mosquitto(folder) as broker, running_at(broker, folder) as venue, AsyncExitStack() as stack:
        yield Door(venue, broker.port, stack)


Test = Callable[[Door], Coroutine[Any, Any, None]]


@pytest.fixture(params=[built_in, at_a_broker], ids=["built in", "broker"])
def on(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Test], None]:
    """Run a test behind one of the doors."""

    async def behind(test: Test) -> None:
        async with request.param(tmp_path) as door:
            await asyncio.wait_for(test(door), 60)

    return lambda test: asyncio.run(behind(test))


def order(seq: int, side: int = BUY, qty: int = 1, price: int = 1000) -> m.NewOrderSingle:
    return m.NewOrderSingle(seq, 0, side, qty, price)


def test_a_logon_says_where_numbers_stand(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        anna = await door.peer("anna")
        first = await anna.log_on()
        assert (first.last_seq, first.account, first.symbols) == (0, 2, ["ANY"])
        assert (await anna.ask(order(5))).priv_seq == first.next_report
        again = await anna.log_on()
        assert (again.last_seq, again.next_report, again.epoch) == (5, first.next_report + 1, first.epoch)

    on(test)


def test_nothing_is_taken_before_the_logon(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        anna = await door.peer("anna")
        await anna.send(order(1))
        refusal = await anna.reply(m.BusinessMessageReject)
        assert (refusal.reason, refusal.ref_seq) == (DoorReason.NOT_LOGGED_ON, 1)

    on(test)


def test_two_accounts_trade_and_each_hears_its_own_side(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        anna, ben = await door.entered("anna", "ben")
        accepted = await anna.ask(order(1, SELL, 5))
        assert (accepted.exec_type, accepted.ref_seq) == (EventKind.ACCEPTED, 1)
        assert (await ben.ask(order(1, BUY, 3))).exec_type == EventKind.ACCEPTED
        sold, bought = await anna.reply(m.ExecutionReport), await ben.reply(m.ExecutionReport)
        assert [(r.exec_type, r.side, r.qty, r.price_fen, r.leaves_qty) for r in (sold, bought)] == [
            (EventKind.TRADE, SELL, 3, 1000, 2), (EventKind.TRADE, BUY, 3, 1000, 0),
        ]  # fmt: skip

    on(test)


def test_what_the_market_refuses_is_refused_with_its_reason(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        (anna,) = await door.entered("anna")
        refused = await anna.ask(order(1, qty=0))
        assert (refused.exec_type, refused.reason) == (EventKind.REJECTED, RejectReason.QTY_ZERO)

    on(test)


def test_what_cannot_be_read_is_refused_with_a_reason(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        (anna,) = await door.entered("anna")
        await anna.link.publish(anna.topic, b"\xc1")
        assert (await anna.reply(m.Reject)).reason == DoorReason.NOT_MSGPACK
        await anna.ask(order(1))

    on(test)


def test_a_request_that_comes_again_happens_once_and_gets_its_first_outcome(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        (anna,) = await door.entered("anna")
        first = await anna.ask(order(1))
        again = await anna.ask(order(1))
        assert (again.order_id, again.priv_seq, again.poss_dup) == (first.order_id, first.priv_seq, 1)
        assert len(await anna.orders()) == 1

    on(test)


def test_a_number_used_for_another_request_is_refused(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        (anna,) = await door.entered("anna")
        await anna.ask(order(1))
        await anna.send(order(1, qty=2))
        assert (await anna.reply(m.BusinessMessageReject)).reason == DoorReason.DUP_MISMATCH

    on(test)


def test_reports_missed_while_away_come_with_the_next_logon(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        anna, ben = await door.entered("anna", "ben")
        last = (await anna.ask(order(1, SELL, 5))).priv_seq
        anna.link.abort()
        await anna.link.lost
        await ben.ask(order(1, BUY, 2))
        await ben.ask(order(2, BUY, 1))
        anna = await door.peer("anna")
        await anna.log_on(last + 1)
        missed = [await anna.reply(m.ExecutionReport) for _ in range(2)]
        assert [(r.priv_seq, r.exec_type, r.qty) for r in missed] == [
            (last + 1, EventKind.TRADE, 2), (last + 2, EventKind.TRADE, 1),
        ]  # fmt: skip

    on(test)


def test_a_client_that_missed_more_than_comes_at_once_asks_on_until_it_has_everything(
    on: Callable[[Test], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    for module in (client_module, desk_module):
        monkeypatch.setattr(module, "RESEND_LIMIT", 20)

    async def test(door: Door) -> None:
        (ben,) = await door.entered("ben")
        async with door.trader("anna") as anna:
            order_id = (await anna.sell("ANY", 500, 1000)).order_id
            reports = anna.reports()
            assert anna._link is not None
            anna._link.abort()
            for seq in range(1, 104):
                await ben.ask(order(seq, BUY, 1))
            fills = [await asyncio.wait_for(anext(reports), 10) for _ in range(103)]
            assert [fill.leaves_qty for fill in fills] == list(range(499, 396, -1))
            assert {fill.order_id for fill in fills} == {order_id}
            first = fills[0].priv_seq
            assert [fill.priv_seq for fill in fills] == list(range(first, first + 103))

    on(test)


def test_a_client_with_more_orders_than_one_answer_holds_asks_on_until_it_has_all(
    on: Callable[[Test], None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(desk_module, "STATUS_LIMIT", 20)

    async def test(door: Door) -> None:
        (ben,) = await door.entered("ben")
        async with door.trader("anna") as anna:
            ids = [(await anna.buy("ANY", 1, 10)).order_id for _ in range(45)]
            await ben.send(order(1, BUY, 1))
            status = await anna.status()
            assert [waiting.order_id for waiting in status.orders] == ids
            assert status.account is not None
            assert anna._link is not None
            asked = asyncio.create_task(anna.status())
            await asyncio.sleep(0)
            anna._link.abort()
            assert [waiting.order_id for waiting in (await asked).orders] == ids

    on(test)


def test_a_gap_is_filled_by_asking_for_its_numbers(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        (anna,) = await door.entered("anna")
        told = [await anna.ask(order(seq)) for seq in range(1, 6)]
        await anna.send(m.ResendRequest(told[1].priv_seq, told[3].priv_seq))
        again = [await anna.reply(m.ExecutionReport) for _ in range(3)]
        assert [(r.priv_seq, r.order_id) for r in again] == [(r.priv_seq, r.order_id) for r in told[1:4]]
        assert all(report.poss_dup for report in again)

    on(test)


def test_one_order_is_cancelled_or_all_of_them(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        (anna,) = await door.entered("anna")
        placed = [await anna.ask(order(seq)) for seq in range(1, 5)]
        cancelled = await anna.ask(m.OrderCancelRequest(5, target_seq=2))
        assert (cancelled.exec_type, cancelled.order_id) == (EventKind.CANCELED, placed[1].order_id)
        await anna.send(m.OrderMassCancelRequest(6))
        kinds = [(await anna.reply(m.ExecutionReport)).exec_type for _ in range(4)]
        assert kinds == [EventKind.CANCELED] * 3 + [EventKind.MASS_CANCELED]
        assert await anna.orders() == []

    on(test)


def test_a_batch_is_answered_in_the_order_sent(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        (anna,) = await door.entered("anna")
        await anna.send(*(order(seq) for seq in range(1, 101)))
        reports = [await anna.reply(m.ExecutionReport) for _ in range(100)]
        assert [report.ref_seq for report in reports] == list(range(1, 101))

    on(test)


def test_market_data_begins_with_what_stands_and_goes_on_by_number(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        (anna,) = await door.entered("anna")
        await anna.ask(order(1, SELL, 5))
        await asyncio.sleep(0.3)
        guest = await door.peer("guest", subscribe=False)
        assert await guest.link.subscribe("emex/1/md/#") < 128
        first = dict([await guest.receive() for _ in range(2)])
        snapshot = codec.decode_data(first["emex/1/md/ANY/snapshot"])
        status = codec.decode_data(first["emex/1/md/status"])
        assert isinstance(snapshot, m.MarketDataSnapshot)
        assert isinstance(status, m.TradingSessionStatus)
        assert [entry[2:] for entry in snapshot.entries] == [[SELL, 1000, 5]]
        assert status.epoch == door.venue.desk.terms.epoch
        await anna.ask(order(2, SELL, 2))
        update = codec.decode_data(dict([await guest.receive() for _ in range(2)])["emex/1/md/ANY/update"])
        assert isinstance(update, m.MarketDataIncremental)
        assert (update.md_seq, [entry[2:] for entry in update.entries]) == (snapshot.md_seq + 1, [[SELL, 1000, 7]])

    on(test)


FOREIGN = ["emex/1/out/anna", "emex/1/out/+", "emex/1/out/#", "emex/1/#", "#", "+/+/+/+", "emex/1/in/anna",
           "emex/1/in/+", "emex/1/copy/anna", "emex/1/copy/+", "emex/1/tape", "emex/1/admin/+", "emex/1/admin/teacher",
           "emex/+/out/anna", "$share/all/emex/1/out/anna", "$share/all/emex/1/out/+"]  # fmt: skip


@pytest.mark.parametrize("name", ["ben", "guest", "risk"])
def test_nobody_hears_what_is_anothers(on: Callable[[Test], None], name: str) -> None:
    async def test(door: Door) -> None:
        (anna, teacher) = await door.entered("anna", "teacher")
        spy = await door.peer(name, subscribe=False)
        for pattern in FOREIGN:
            await spy.link.subscribe(pattern)
            if spy.link.lost.done():  # some brokers close at such a filter
                spy = await door.peer(name, subscribe=False)
        for seq in range(1, 4):
            await anna.ask(order(seq))
            await teacher.ask(m.Deposit(seq, 2, 100))
        await asyncio.sleep(0.3)
        heard = {spy.heard.get_nowait()[0] for _ in range(spy.heard.qsize())}
        may = ("emex/1/md/", "emex/1/copy/", "emex/1/tape") if PEOPLE[name] is Role.DROP_COPY else ("emex/1/md/",)
        assert {topic for topic in heard if not topic.startswith(may)} == set()
        if PEOPLE[name] is Role.DROP_COPY:
            assert {"emex/1/copy/anna", "emex/1/tape"} <= heard

    on(test)


@pytest.mark.parametrize(
    ("name", "topic"),
    [
        ("ben", "emex/1/in/anna"), ("ben", "emex/1/admin/teacher"), ("ben", "emex/1/admin/ben"),
        ("ben", "emex/1/out/anna"), ("ben", "emex/1/copy/anna"), ("ben", "emex/1/tape"),
        ("ben", "emex/1/md/ANY/snapshot"), ("ben", "emex/1/md/status"), ("teacher", "emex/1/in/anna"),
        ("teacher", "emex/1/in/teacher"), ("guest", "emex/1/in/guest"), ("guest", "emex/1/in/anna"),
        ("risk", "emex/1/in/risk"), ("risk", "emex/1/copy/anna"),
    ],
)  # fmt: skip
def test_nobody_publishes_for_another_or_beyond_his_role(on: Callable[[Test], None], name: str, topic: str) -> None:
    async def test(door: Door) -> None:
        (anna,) = await door.entered("anna")
        before = door.venue.desk.replica.exchange.event_seq
        watcher = await door.peer("guest", subscribe=False)
        await watcher.link.subscribe("emex/1/md/#")
        intruder = await door.peer(name, subscribe=False)
        code = await intruder.link.publish(topic, codec.encode([m.Logon(), order(1)]))
        assert code == mqtt5.PubAckReasonCode.NOT_AUTHORIZED
        await anna.quiet()
        await asyncio.sleep(0.05)
        assert door.venue.desk.replica.exchange.event_seq == before
        assert anna.replies.empty()
        assert watcher.heard.qsize() == 2  # what was retained before

    on(test)


def test_a_wrong_password_does_not_come_in(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        link = await open_link("127.0.0.1", door.port, lambda *_: None)
        with pytest.raises(Exception, match=r"BAD_USER_NAME|NOT_AUTHORIZED"):
            await link.log_on("", "anna", b"guess")
        await link.lost

    on(test)


def test_an_operator_deposits_and_the_account_is_told(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        anna, teacher = await door.entered("anna", "teacher")
        outcome = await teacher.ask(m.Deposit(1, 2, 500_00))
        told = await anna.reply(m.ExecutionReport)
        assert (outcome.exec_type, outcome.ref_seq) == (told.exec_type, 1) == (EventKind.DEPOSITED, 1)
        assert (told.amount_fen, told.ref_seq) == (500_00, 0)

    on(test)


def test_drop_copies_and_the_tape_reach_those_who_may_read_them(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        risk = await door.peer("risk", subscribe=False)
        assert await risk.link.subscribe("emex/1/copy/+", "emex/1/tape") < 128
        (anna,) = await door.entered("anna")
        report = await anna.ask(order(1))
        heard = dict([await risk.receive() for _ in range(2)])
        assert codec.decode_replies(heard["emex/1/copy/anna"]) == [report]
        assert isinstance(codec.decode_replies(heard["emex/1/tape"])[0], m.TapeRows)

    on(test)


def test_an_empty_will_makes_cancel_on_disconnect_work(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        anna = await door.peer("anna", mqtt5.Will("emex/1/in/anna", payload=b""))
        await anna.log_on(cancel_on_disconnect=True)
        await anna.ask(order(1))
        anna.link.abort()
        await anna.link.lost
        await asyncio.sleep(0.2)
        anna = await door.peer("anna")
        await anna.log_on()
        assert await anna.orders() == []
        assert door.venue.desk.counters.disconnect_cancels == 1

    on(test)


def test_orders_stay_after_a_broken_connection_without_that_wish(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        anna = await door.peer("anna", mqtt5.Will("emex/1/in/anna", payload=b""))
        await anna.log_on()
        await anna.ask(order(1))
        anna.link.abort()
        await anna.link.lost
        await asyncio.sleep(0.2)
        anna = await door.peer("anna")
        await anna.log_on()
        assert len(await anna.orders()) == 1

    on(test)


def test_the_client_of_the_package_trades_through_either_door(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        async with door.trader("anna") as anna, door.trader("ben", cancel_on_disconnect=True) as ben:
            assert (await anna.sell("ANY", 5, "10.00")).reason == 0
            assert (await ben.buy("ANY", 3, "10.50")).reason == 0
            _, orders = await anna.status()
            assert [row[7] for row in orders] == [2]
            async for book in ben.watch("ANY"):
                if book.best_ask == 1000:
                    break

    on(test)


def test_a_client_may_have_more_requests_open_than_packets_in_flight(on: Callable[[Test], None]) -> None:
    async def test(door: Door) -> None:
        async with door.trader("anna") as anna:
            outcomes = await asyncio.gather(*(anna.buy("ANY", 1, 1000) for _ in range(200)))
            assert sorted(outcome.ref_seq for outcome in outcomes) == list(range(1, 201))
            assert len((await anna.status())[1]) == 200

    on(test)
