"""One misbehaves, and the others do not notice: floods, readers who do not read, crowds at the door, guessed passwords.

No test measures a time (`python -m bench.flood` does); clocks that decide something are turned by hand.
"""

import asyncio
import itertools
import select
import socket
from collections import Counter
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import mqtt5
import numpy as np
import pytest

from engine.codes import EventKind, Side
from engine.records import EVENT
from gateway.accounts import Accounts, Holder
from gateway.desk import desk as desk_module
from gateway.desk.throttle import SECOND
from gateway.gatekeeper import LOCK_SECONDS, WRONG_OF_ADDRESS, WRONG_OF_PAIR, Gatekeeper, Refusal
from gateway.hashing import fits
from gateway.serve import Running
from gateway.transports import door as door_module
from gateway.transports import mqtt as mqtt_module
from gateway.transports.door import ARRIVALS, ARRIVALS_A_SECOND, Door
from gateway.transports.link import Link, open_link
from gateway.transports.mqtt import CONNECTIONS_PER_NAME, UNKNOWN_PER_ADDRESS
from gateway.transports.pipes import HARD_LIMIT
from gateway.wire import codec
from gateway.wire import messages as m
from gateway.wire.reasons import DoorReason
from gateway.wire.topics import Role
from tests.desk.venue import reports, venue_with
from tests.gateway.running import CHEAP, PEOPLE, password_of, running, write_accounts

THROTTLED = mqtt5.PubAckReasonCode.QUOTA_EXCEEDED
SUCCESS = mqtt5.PubAckReasonCode.SUCCESS


def run(test: Coroutine[Any, Any, None]) -> None:
    asyncio.run(asyncio.wait_for(test, 60))


async def until(condition: Callable[[], object]) -> None:
    """Let the loop go round until that is so."""
    while not condition():  # noqa: ASYNC110  (it has no event: several processes of the loop are watched)
        await asyncio.sleep(0)


def order(seq: int, side: int = Side.BUY, price: int = 1000) -> m.NewOrderSingle:
    return m.NewOrderSingle(seq, 0, side, 1, price)


class Client:
    """A connection that has logged on, and what it was sent."""

    def __init__(self, name: str) -> None:
        self.name = name
        self.goodbye: mqtt5.DisconnectPacket | None = None
        self.heard: list[tuple[str, bytes]] = []
        self.link: Link

    @classmethod
    async def enter(cls, venue: Running, name: str, client_id: str, *patterns: str) -> "Client":
        client = cls(name)
        client.link = await open_link("127.0.0.1", venue.ports["mqtt"], lambda *message: client.heard.append(message))
        take = client.link._take

        def watched(packet: mqtt5.Packet) -> None:
            if isinstance(packet, mqtt5.DisconnectPacket):
                client.goodbye = packet
            take(packet)

        client.link._take = watched
        await client.link.log_on(client_id, name, password_of(name).encode())
        if patterns:
            assert await client.link.subscribe(*patterns) == int(mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE)
        return client

    async def ask(self, *messages: m.Message) -> int:
        """The PUBACK's code."""
        return await self.link.publish(f"emex/1/in/{self.name}", codec.encode(messages))

    def pour(self, *messages: m.Message) -> None:
        """Each in a payload of its own, all at once, without an answer."""
        topic = f"emex/1/in/{self.name}"
        packets = [mqtt5.PublishPacket(topic, codec.encode([message])).write() for message in messages]
        self.link._transport.write(b"".join(packets))


def clock_of(venue: Running) -> list[int]:
    """Stop the venue's clock; the only element is its time."""
    now = [venue.host._now_ns()]
    venue.host._now_ns = lambda: now[0]
    return now


# --------------------------------------------------------------------------------------------------------- floods


def test_however_many_connections_a_flooder_has_an_honest_request_is_in_the_very_next_turn(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(desk_module, "TURN_LIMIT", 10)
    venue, (anna, ben) = venue_with("anna", "ben")
    bots = [venue.enter("anna", 2, client_id=f"bot{at}") for at in range(30)]
    numbers = itertools.count(1)
    for bot in bots:
        bot.send(*(order(next(numbers)) for _ in range(50)))
    ben.send(order(1))
    waited = venue.desk.backlog
    venue.desk.turn(venue.now_ns)
    ben.take()
    assert [report.exec_type for report in reports(ben.replies())] == [EventKind.ACCEPTED]
    assert waited == 30 * 50 + 1
    assert venue.desk.backlog == 30 * 49
    assert anna.closed is None


def test_a_flooder_is_disconnected_for_his_rate_and_his_other_connection_can_still_cancel(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, rate=10) as venue:
            clock_of(venue)
            screen, bot, ben = [await Client.enter(venue, *who) for who in
                                (("anna", "screen"), ("anna", "bot"), ("ben", "main"))]  # fmt: skip
            for client in (screen, bot, ben):
                assert await client.ask(m.Logon()) == SUCCESS
            assert await screen.ask(order(1), order(2)) == SUCCESS
            bot.pour(*(order(seq) for seq in range(3, 103)))
            await bot.link.lost
            assert bot.goodbye is not None
            assert bot.goodbye.reason_code == mqtt5.DisconnectReasonCode.MESSAGE_RATE_TOO_HIGH
            refused = venue.desk.counters.refused[DoorReason.THROTTLED]
            assert 20 < refused < 100  # his burst was taken, and what came after the goodbye was not even read
            assert await screen.ask(m.OrderCancelRequest(500, target_seq=1)) == SUCCESS
            assert await ben.ask(*(order(seq) for seq in range(1, 20))) == SUCCESS
            assert not screen.link.lost.done()
            assert not ben.link.lost.done()
            living = venue.venue.replica.exchange.living(2)
            assert 1 not in living[:, 9].tolist()
            screen.link.close()
            ben.link.close()

    run(test())


def test_who_comes_back_after_being_thrown_out_is_still_over_his_quota_and_later_no_more(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, rate=10) as venue:
            now = clock_of(venue)
            numbers = itertools.count(1)
            for attempt in range(5):
                bot = await Client.enter(venue, "anna", "bot")
                if attempt:
                    bot.pour(m.Logon())
                else:
                    assert await bot.ask(m.Logon()) == SUCCESS
                    bot.pour(*(order(next(numbers)) for _ in range(100)))
                await bot.link.lost
                assert bot.goodbye is not None
                assert bot.goodbye.reason_code == mqtt5.DisconnectReasonCode.MESSAGE_RATE_TOO_HIGH
            assert venue.desk.counters.requests == 19 + 2  # his burst of 20 but for the Logon; two accounts were opened
            now[0] += 4 * SECOND
            bot = await Client.enter(venue, "anna", "bot")
            answers = [await bot.ask(m.Logon())] + [await bot.ask(order(next(numbers))) for _ in range(30)]
            assert answers == [SUCCESS] * 20 + [THROTTLED] * 11
            bot.link.close()

    run(test())


# ----------------------------------------------------------------------------------------------- who does not read


def test_who_never_reads_is_cut_and_told_while_another_reader_gets_every_report(tmp_path: Path) -> None:
    """What waits for one of them never grows beyond the limit and one turn; what the kernel held is gone with him."""

    async def test() -> None:
        people = PEOPLE | {f"deaf{at}": Role.DROP_COPY for at in range(3)}
        async with running(tmp_path, people=people) as venue:
            risk = await Client.enter(venue, "risk", "main", "emex/1/copy/+", "emex/1/tape")
            anna = await Client.enter(venue, "anna", "main")
            await anna.ask(m.Logon())
            deaf = [deaf_reader(venue.ports["mqtt"], f"deaf{at}") for at in range(3)]
            most = biggest = 0
            numbers = itertools.count(1)
            while venue.server.cut < len(deaf):
                heard = sum(len(payload) for _, payload in risk.heard)
                assert await anna.ask(*(order(next(numbers)) for _ in range(100))) == SUCCESS
                most = max(most, *(connection._pipe.waiting for connection in venue.server.connections))
                assert not any(session.outputs for session in venue.desk._sessions.values())
                biggest = max(biggest, sum(len(payload) for _, payload in risk.heard) - heard)
                assert next(numbers) < 100_000, "nobody was cut"
            assert HARD_LIMIT / 2 < most <= min(HARD_LIMIT + biggest, 2 * 2**20)
            assert await anna.ask(order(200_000)) == SUCCESS
            assert not any(connection.name.startswith("deaf") for connection in venue.server.connections)
            assert [is_over(sock) for sock in deaf] == [True] * 3
            told = [report.priv_seq for topic, payload in risk.heard if topic == "emex/1/copy/anna"
                    for report in codec.decode_replies(payload)]  # fmt: skip
            assert told == list(range(2, venue.venue.replica.principal(2).next_report))
            tape = [reply.rows for topic, payload in risk.heard if topic == "emex/1/tape"
                    for reply in codec.decode_replies(payload)]  # fmt: skip
            events = np.frombuffer(b"".join(tape), EVENT)["seq"]
            assert events[-1] == venue.venue.replica.exchange.event_seq
            assert (np.diff(events) == 1).all()
            for sock in deaf:
                sock.close()
            risk.link.close()
            anna.link.close()

    run(test())


def deaf_reader(port: int, name: str) -> socket.socket:
    """A drop copy's connection that subscribes to everything, and from which nobody reads."""
    sock = socket.socket()
    sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
    sock.connect(("127.0.0.1", port))
    connect = mqtt5.ConnectPacket("deaf", username=name, password=password_of(name).encode())
    filters = [mqtt5.TopicFilter(pattern) for pattern in ("emex/1/md/#", "emex/1/copy/+", "emex/1/tape")]
    sock.sendall(connect.write() + mqtt5.SubscribePacket(1, filters).write())
    return sock


def is_over(sock: socket.socket) -> bool:
    """Whether the other end has reset the connection, which shows before anything is read."""
    poll = select.poll()
    poll.register(sock, 0)
    return bool(poll.poll(1000))


# ---------------------------------------------------------------------------------------------- a crowd at the door


class Street:
    """Stands for a pipe: somebody from an address who says nothing."""

    slow_since = None
    waiting = 0

    def __init__(self, address: str) -> None:
        self.address = address
        self.aborted = False

    def abort(self) -> None:
        self.aborted = True

    def close(self) -> None:
        self.abort()


def test_a_house_full_of_strangers_has_room_for_one_from_elsewhere(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def test() -> None:
        monkeypatch.setattr(mqtt_module, "CONNECTIONS", 100)
        async with running(tmp_path) as venue:
            anna = await Client.enter(venue, "anna", "main")
            crowd = [Street(f"10.0.0.{at % 3}") for at in range(96)] + [Street("10.0.0.7") for _ in range(3)]
            for pipe in crowd:
                venue.server.accept(pipe)
            assert len(venue.server.connections) == 100
            honest = Street("192.168.0.1")
            connection = venue.server.accept(honest)
            assert connection in venue.server.connections
            assert [pipe.aborted for pipe in crowd] == [True] + [False] * 98
            more = [Street("10.0.0.9") for _ in range(50)]
            for pipe in more:
                venue.server.accept(pipe)
            assert not honest.aborted
            assert not anna.link.lost.done()
            assert Counter(pipe.address for pipe in crowd + more if not pipe.aborted)["10.0.0.7"] == 3
            assert len(venue.server.connections) == 100
            anna.link.close()

    run(test())


def test_nobody_who_has_logged_on_makes_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            clients = [await Client.enter(venue, "anna", str(at)) for at in range(3)]
            monkeypatch.setattr(mqtt_module, "CONNECTIONS", 3)
            stranger = Street("10.0.0.1")
            venue.server.accept(stranger)
            assert stranger.aborted
            assert len(venue.server.connections) == 3
            assert not venue.server._unknown
            for client in clients:
                assert not client.link.lost.done()
                client.link.close()

    run(test())


def test_an_address_has_a_limit_of_silent_sockets_and_other_addresses_log_on(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            port = venue.ports["mqtt"]
            crowd = [await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
                     for _ in range(UNKNOWN_PER_ADDRESS)]  # fmt: skip
            reader, writer = await asyncio.open_connection("127.0.0.1", port, local_addr=("127.0.0.2", 0))
            assert await reader.read() == b""
            assert len(venue.server.connections) == UNKNOWN_PER_ADDRESS
            anna = await Client.enter(venue, "anna", "main")
            assert await anna.ask(m.Logon()) == SUCCESS
            anna.link.close()
            writer.close()
            for _, one in crowd:
                one.close()

    run(test())


def test_who_opens_too_many_connections_loses_his_oldest_and_nobody_elses(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            ben = await Client.enter(venue, "ben", "main")
            many = [await Client.enter(venue, "anna", str(at)) for at in range(CONNECTIONS_PER_NAME + 2)]
            for client in many[:2]:
                await client.link.lost
                assert client.goodbye is not None
                assert client.goodbye.reason_code == mqtt5.DisconnectReasonCode.QUOTA_EXCEEDED
            assert await many[2].ask(m.Logon()) == await many[-1].ask(m.Logon()) == SUCCESS
            assert len(venue.server._known["anna"]) == CONNECTIONS_PER_NAME
            assert await ben.ask(m.Logon()) == SUCCESS
            for client in (*many, ben):
                client.link.close()
            await until(lambda: not venue.server.connections)
            assert not venue.server._known

    run(test())


class Guest(asyncio.Protocol):
    """A pipe that only notes in which round of the loop it was made."""

    made: list[int]
    round = 0

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.made.append(Guest.round)
        self.transport = transport

    def connection_lost(self, exc: Exception | None) -> None:
        del exc


def door_test(test: Callable[[int, list[float], Door], Coroutine[Any, Any, None]]) -> list[int]:
    """Run a test with a door and its clock; returns in which rounds of the loop pipes were made."""
    Guest.made = []

    async def guarded() -> None:
        now = [0.0]
        door = Door(Guest, None, lambda: now[0])
        try:
            await test(await door.open("127.0.0.1", 0), now, door)
        finally:
            door.close()

    run(guarded())
    return Guest.made


def come(port: int, address: str, count: int) -> list[socket.socket]:
    """So many from an address at once; the kernel answers them, whatever the loop does."""
    return [socket.create_connection(("127.0.0.1", port), source_address=(address, 0)) for _ in range(count)]


def test_a_crowd_is_let_in_one_each_time_the_loop_comes_round() -> None:
    async def test(port: int, now: list[float], door: Door) -> None:
        del now
        crowd = come(port, "127.0.0.2", 50)
        while len(Guest.made) < len(crowd):
            Guest.round += 1
            await asyncio.sleep(0)
        assert door.turned_away == 0
        for sock in crowd:
            sock.close()

    rounds = Counter(door_test(test))
    assert sum(rounds.values()) == 50
    assert max(rounds.values()) == 1


def test_who_comes_too_often_is_turned_away_until_later_and_others_come_in() -> None:
    async def test(port: int, now: list[float], door: Door) -> None:
        crowd = come(port, "127.0.0.2", ARRIVALS + 10)
        await until(lambda: len(Guest.made) + door.turned_away == ARRIVALS + 10)
        assert (len(Guest.made), door.turned_away) == (ARRIVALS, 10)
        crowd += come(port, "127.0.0.3", 1)
        await until(lambda: len(Guest.made) + door.turned_away == ARRIVALS + 11)
        now[0] += 1
        crowd += come(port, "127.0.0.2", ARRIVALS_A_SECOND + 1)
        await until(lambda: len(Guest.made) + door.turned_away == len(crowd))
        assert (len(Guest.made), door.turned_away) == (ARRIVALS + 1 + ARRIVALS_A_SECOND, 11)
        now[0] += 1000
        crowd += come(port, "127.0.0.2", ARRIVALS + 1)
        await until(lambda: len(Guest.made) + door.turned_away == len(crowd))
        assert door.turned_away == 12
        for sock in crowd:
            sock.close()

    door_test(test)


@pytest.mark.parametrize("seconds", [0.05, 3600], ids=["after a while", "when the door closes"])
def test_who_is_turned_away_hears_it_later_unless_too_many_are(monkeypatch: pytest.MonkeyPatch, seconds: float) -> None:
    away: list[socket.socket] = []

    async def test(port: int, now: list[float], door: Door) -> None:
        del now
        crowd = come(port, "127.0.0.2", ARRIVALS)
        await until(lambda: len(Guest.made) == ARRIVALS)
        away.extend(come(port, "127.0.0.2", 5))
        await until(lambda: door.turned_away == 5)
        assert await hears(away[4]) == b""
        if seconds < 1:
            assert [await hears(sock) for sock in away[:4]] == [b""] * 4
        else:
            for sock in away[:4]:
                sock.settimeout(0)
                with pytest.raises(BlockingIOError):
                    sock.recv(1)
        for sock in crowd:
            sock.close()

    monkeypatch.setattr(door_module, "HELD", 4)
    monkeypatch.setattr(door_module, "HELD_SECONDS", seconds)
    door_test(test)
    for sock in away:
        sock.settimeout(5)
        assert sock.recv(1) == b""
        sock.close()


async def hears(sock: socket.socket) -> bytes:
    """What comes next, nothing if the other end has closed; from then on it does not wait."""
    sock.settimeout(0)
    return await asyncio.wait_for(asyncio.get_running_loop().sock_recv(sock, 1), 10)


# ------------------------------------------------------------------------------------------------ guessed passwords


def test_a_storm_of_wrong_passwords_makes_few_hashes_and_who_is_known_comes_in_beside_it(tmp_path: Path) -> None:
    async def test() -> None:
        now = [0.0]
        accounts = Accounts.load(write_accounts(tmp_path / "accounts.json", PEOPLE), CHEAP)
        hashed: list[bytes] = []

        def counted(password_hash: str, password: bytes) -> bool:
            hashed.append(password)
            return fits(password_hash, password)

        keeper = Gatekeeper(accounts, counted, lambda: now[0])
        assert isinstance(await keeper.admit("ben", password_of("ben").encode(), "10.0.1.1"), Holder)
        addresses = [f"10.0.0.{at}" for at in range(8)]
        names = [*PEOPLE, *(f"nobody{at}" for at in range(50))]
        for _ in range(10):
            guesses = [keeper.admit(name, b"wrong", address) for name in names for address in addresses]
            storm = asyncio.gather(*guesses)
            await asyncio.sleep(0)
            assert isinstance(await keeper.admit("ben", password_of("ben").encode(), "10.0.1.1"), Holder)
            answers = Counter(await storm)
            assert set(answers) <= set(Refusal)
            assert answers.total() == len(guesses)
        assert len(hashed) == keeper.hashes == 1 + WRONG_OF_ADDRESS * len(addresses)
        assert keeper.wrong == WRONG_OF_ADDRESS * len(addresses)
        assert keeper.locked + keeper.busy == 10 * len(guesses) - keeper.wrong
        assert isinstance(await keeper.admit("anna", password_of("anna").encode(), "10.0.1.2"), Holder)
        assert await keeper.admit("anna", password_of("anna").encode(), addresses[0]) is Refusal.LOCKED_OUT
        now[0] += LOCK_SECONDS
        assert isinstance(await keeper.admit("anna", password_of("anna").encode(), addresses[0]), Holder)
        keeper.close()

    run(test())


def test_guesses_at_one_name_from_one_address_leave_its_owner_and_the_address_alone(tmp_path: Path) -> None:
    async def test() -> None:
        accounts = Accounts.load(write_accounts(tmp_path / "accounts.json", PEOPLE), CHEAP)
        keeper = Gatekeeper(accounts, fits, lambda: 0.0)
        answers = Counter([await keeper.admit("anna", b"wrong", "10.0.0.1") for _ in range(1000)])
        assert answers == {Refusal.BAD_CREDENTIALS: WRONG_OF_PAIR, Refusal.LOCKED_OUT: 1000 - WRONG_OF_PAIR}
        assert keeper.hashes == WRONG_OF_PAIR
        assert isinstance(await keeper.admit("anna", password_of("anna").encode(), "10.0.0.2"), Holder)
        assert isinstance(await keeper.admit("ben", password_of("ben").encode(), "10.0.0.1"), Holder)
        keeper.close()

    run(test())
