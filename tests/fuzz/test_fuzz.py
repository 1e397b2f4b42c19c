"""Small campaigns at all three places, and every input that has ever done what it may not."""

import asyncio
import logging
from collections import Counter
from pathlib import Path
from typing import Any

import mqtt5
import pytest

from engine.codes import CommandKind, Phase, Side
from engine.records import command
from gateway.desk.desk import PATTERNS_LIMIT
from gateway.desk.throttle import SECOND, Quota
from gateway.transports.mqtt import CONNECT_SECONDS, MAX_PACKET, SLOW_SECONDS, MqttServer
from gateway.transports.pipes import Pipe
from gateway.transports.texts import check_texts
from gateway.wire import codec
from gateway.wire import messages as m
from gateway.wire.codec import WireError
from gateway.wire.reasons import DoorReason
from gateway.wire.topics import Principal
from tests.desk.venue import venue_with
from tests.fuzz.codec import CODEC_REASONS, FakeHost, FakePipe, Inputs, admit, check_one, read_stream
from tests.fuzz.corpus import Corpus, Tally
from tests.fuzz.session import EPISODE, run_episode
from tests.fuzz.sockets import PEOPLE, Ports, campaign, journal_faults
from tests.gateway.running import running

SEED = 20210716


# ----------------------------------------------------------------------------------------------------- small campaigns


def test_twenty_thousand_payloads_and_streams_are_read_or_refused_with_a_reason() -> None:
    inputs, tally = Inputs(SEED), Tally()
    while tally.inputs < 20_000:
        fresh = inputs.fresh()
        check_one(fresh, tally)
        check_one(inputs.again(fresh), tally)
    assert tally.crashes == []
    assert tally.balanced()
    assert {reason.name for reason in CODEC_REASONS} <= set(tally.refused)
    assert {"MQTT_3", "MALFORMED_PACKET", "PROTOCOL_ERROR", "BAD_USER_NAME_OR_PASSWORD"} <= set(tally.refused)
    assert tally.accepted > 2_000


def test_the_codec_campaign_can_fail() -> None:
    tally, inputs = Tally(), Inputs(SEED)
    original = codec.decode

    def wrapping(payload: bytes) -> list[Any]:
        parts = original(payload)
        for part in parts:
            if not isinstance(part, (m.Logon, m.Logout, m.TestRequest, m.ResendRequest, m.StatusRequest)) and len(part):
                part["command"]["qty"] %= 2**31
        return parts

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(codec, "decode", wrapping)
        while not tally.crashed and tally.inputs < 5_000:
            check_one(inputs.fresh(), tally)
    assert tally.crashed


@pytest.mark.slow
def test_three_thousand_inputs_to_the_desk_are_answered_and_change_nothing_when_refused() -> None:
    tally, seen = Tally(), Counter[str]()
    run_episode(SEED, 0, EPISODE, tally, seen)
    run_episode(SEED, 1, 1_000, tally, seen)
    assert tally.crashes == []
    assert tally.balanced()
    assert tally.inputs >= 3_000
    assert {"NOT_AUTHORISED", "NOT_LOGGED_ON", "BAD_TYPE", "STOPPING", "JOURNAL_UNAVAILABLE"} <= set(tally.refused)
    wanted = ("reports", "trades", "restarts", "journal failures", "states compared", "closed TAKEN_OVER",
              "requests DUP_MISMATCH")  # fmt: skip
    assert [name for name in wanted if not seen[name]] == []


@pytest.mark.slow
def test_five_hundred_hostile_connections_disturb_nobody(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    async def test() -> list[str]:
        async with running(tmp_path, people=PEOPLE, websocket_port=0, metrics_port=0) as venue:
            ports = Ports(venue.ports["mqtt"], venue.ports["websocket"], venue.ports["metrics"])
            _, honest, _, _, faults = await campaign(ports, 500, SEED, workers=60)
        return faults + journal_faults(tmp_path / "journal", {2 + at: one.sent for at, one in enumerate(honest)})

    with caplog.at_level(logging.WARNING):
        assert asyncio.run(test()) == []
    assert [record.getMessage() for record in caplog.records] == []


# ------------------------------------------------------------------------------------- what has once gone wrong: bytes

_EMPTY_ROWS = bytes.fromhex("9193a2555201c400")
_TEXTS = {
    "the topic of a PUBLISH": "30030001ff",
    "a user property of a PUBLISH": "300c0001610726000161000180" + "78",
    "the client id of a CONNECT": "100e00044d51545405020000000001ff",
    "the user name of a CONNECT": "101200044d515454058200000000016100" + "02c328",
    "the topic of a will": "101500044d51545405040000000001610000" + "02eda0" + "0000",
    "a filter of a SUBSCRIBE": "82070001000001ff00",
    "a filter of an UNSUBSCRIBE": "a20600010000" + "01ff",
    "the reason of a DISCONNECT": "e00600041f0001ff",
    "the method of an AUTH": "f0061804150001ff",
}


def test_packed_rows_without_a_row_are_refused() -> None:
    """They were read, and a refusal that names the first number of nothing was an `IndexError`."""
    with pytest.raises(WireError) as caught:
        codec.decode(_EMPTY_ROWS)
    assert caught.value.reason == DoorReason.OUT_OF_RANGE
    venue, _ = venue_with("anna")
    stranger = venue.enter("ben", 9, logon=False)
    stranger.send_bytes(_EMPTY_ROWS)
    venue.turn()
    assert [ack.reason for ack in stranger.acks] == [DoorReason.OUT_OF_RANGE]


@pytest.mark.parametrize(
    ("requests", "stay"),
    [([m.Logon(0, cancel_on_disconnect=True), m.NewOrderSingle(2, 0, Side.BUY, 5, 1000)], 0), ([m.Logout()], 1)],
    ids=["a wish to cancel", "a farewell"],
)
def test_the_last_wish_holds_also_when_the_connection_ends_before_its_turn(
    requests: list[m.Message], stay: int
) -> None:
    """It counted from its turn on: orders stayed that should go, and went that should stay."""
    venue, (anna,) = venue_with("anna")
    anna.ask(m.Logon(0, cancel_on_disconnect=stay == 1))
    anna.ask(m.NewOrderSingle(1, 0, Side.BUY, 5, 1000))
    anna.send(*requests)
    venue.desk.close(anna.session)
    venue.turn()
    assert len(venue.desk.replica.exchange.living(2)) == stay


def test_a_session_reads_a_bounded_number_of_patterns() -> None:
    """A client could make the venue try any number of them for every message."""
    venue, (anna,) = venue_with("anna")
    granted = [venue.desk.subscribe(anna.session, f"emex/1/md/{number}/update") for number in range(1000)]
    assert sum(granted) == PATTERNS_LIMIT - 1
    assert venue.desk.subscribe(anna.session, anna.session.private_topic)


def test_a_turn_of_which_no_account_is_told_is_a_turn_like_any_other() -> None:
    """A phase or a quiet day roll, alone in its turn, stopped the venue; and, being journaled, its next start."""
    venue, _ = venue_with("anna")
    for own in (command(CommandKind.PHASE, phase=Phase.CLOSED), command(CommandKind.DAY_ROLL, date=20300102),
                command(CommandKind.PHASE, phase=Phase.OPEN)):  # fmt: skip
        venue.desk.operate(own)
        venue.turn()
    assert venue.desk.replica.exchange.today() == (Phase.OPEN, 20300102)
    venue.restart()
    assert venue.desk.replica.exchange.today() == (Phase.OPEN, 20300102)
    assert len(venue.enter("anna", 2).ask(m.NewOrderSingle(1, 0, Side.BUY, 1, 1000))) == 1


def test_any_number_of_a_test_request_comes_back() -> None:
    """Above 2**31 - 1 the gateway's own client could not read the answer."""
    _, (anna,) = venue_with("anna")
    assert anna.ask(m.TestRequest(2**63 - 1)) == [m.Heartbeat(2**63 - 1)]


@pytest.mark.parametrize("packet", _TEXTS.values(), ids=_TEXTS)
def test_a_text_that_is_no_utf_8_is_malformed(packet: str) -> None:
    """The MQTT codec panics on it: no `Exception`, and lines on standard error, from anybody who connects."""
    data = bytes.fromhex(packet)
    with pytest.raises(UnicodeDecodeError):
        check_texts(data)
    connect = mqtt5.ConnectPacket("", username="anna", password=b"anna-secret").write()
    assert read_stream(b"\x00" + data) in ("CLOSED_UNKNOWN", "MQTT_3")
    assert read_stream(b"\x00" + connect + data) == "MALFORMED_PACKET"


def test_texts_are_looked_at_without_refusing_a_legal_packet() -> None:
    corpus, other = Corpus(SEED), 0
    for _ in range(3_000):
        packet = corpus.packet()
        mqtt5_reads = True
        try:
            mqtt5.read(memoryview(packet))
        except ValueError:
            mqtt5_reads = False
        if mqtt5_reads:
            check_texts(packet)
            other += not packet.isascii()
    assert other > 1_000


def test_a_clock_set_back_neither_throttles_nor_disconnects() -> None:
    """Every bucket was emptied by as much as the clock went back, and the window of a flood never ended."""
    venue, (anna,) = venue_with("anna", quota=Quota(10, 20))
    venue.now_ns -= 3600 * SECOND
    for second in range(12):
        for seq in range(1, 11):
            anna.send(m.NewOrderSingle(second * 10 + seq, 0, Side.BUY, 1, 1000))
        venue.turn(1.0)
    assert [ack.reason for ack in anna.acks if ack.reason is not None] == []
    assert anna.closed is None


def test_market_data_goes_on_when_the_clock_is_set_back() -> None:
    """It waited until the clock had caught up again."""
    venue, (anna,) = venue_with("anna")
    anna.session.patterns.add("emex/1/md/#")
    venue.turn(3600.0)
    anna.ask(m.NewOrderSingle(1, 0, Side.BUY, 1, 1000))
    anna.public()
    venue.now_ns -= 3600 * SECOND
    anna.ask(m.NewOrderSingle(2, 0, Side.BUY, 1, 1000))
    venue.turn(0.2)
    assert [type(data) for data in anna.public()] == [m.MarketDataIncremental, m.MarketDataSnapshot]


def connection_of(name: str = "anna") -> tuple[MqttServer, Any, FakePipe]:
    """A connection that has logged on, whose other end takes nothing."""

    async def make() -> tuple[MqttServer, Any, FakePipe]:
        server, pipe = MqttServer(FakeHost(), admit), FakePipe()  # type: ignore[arg-type]
        connection = server.accept(pipe)  # type: ignore[arg-type]
        connection.receive(mqtt5.ConnectPacket("", username=name, password=f"{name}-secret".encode()).write())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
        return server, connection, pipe

    return asyncio.run(make())


@pytest.mark.parametrize("silent", [False, True], ids=["it was refused", "it was silent beyond its keep-alive"])
def test_who_does_not_take_the_goodbye_is_gone_all_the_same(silent: bool) -> None:  # noqa: FBT001
    """A connection closed with something unsent stayed for as long as its other end liked."""
    server, connection, pipe = connection_of()
    if silent:
        server.sweep(1000.0)
    else:
        connection.receive(b"\xff\x00")
    assert pipe.closed
    assert not pipe.aborted
    server.sweep(1000.0 + SLOW_SECONDS + 1)
    assert pipe.aborted


def test_bytes_behind_a_connect_are_not_collected_while_the_password_is_looked_at() -> None:
    """Another read of any size was taken in before it was paused."""

    async def test() -> bool:
        pipe = FakePipe()
        connection = MqttServer(FakeHost(), admit).accept(pipe)  # type: ignore[arg-type]
        connection.receive(mqtt5.ConnectPacket("", username="anna", password=b"anna-secret").write())
        paused = pipe.paused
        await asyncio.sleep(0)
        assert not pipe.paused
        return paused

    assert asyncio.run(test())


@pytest.mark.parametrize(
    "data", [b"\x30\xff\xff\xff\xff\x7f", b"\x30\xff\xff\x7f" + b"x" * MAX_PACKET], ids=["length", "too large"]
)
def test_a_refused_length_is_counted(data: bytes) -> None:
    server, connection, _ = connection_of()
    connection.receive(data)
    assert server.refused_packets == 1


@pytest.mark.parametrize(
    "packet",
    [mqtt5.ConnectPacket("", username="anna", password=b"anna-secret", authentication_method="x"),
     mqtt5.ConnectPacket("", username="anna", password=b"anna-secret", will=mqtt5.Will("emex/1/in/ben"))],
    ids=["method", "will"],
)  # fmt: skip
def test_a_refused_connect_is_counted(packet: mqtt5.ConnectPacket) -> None:
    async def test() -> int:
        server = MqttServer(FakeHost(), admit)  # type: ignore[arg-type]
        server.accept(FakePipe()).receive(packet.write())  # type: ignore[arg-type]
        await asyncio.sleep(0)
        return server.refused_packets

    assert asyncio.run(test()) == 1


def test_a_connection_turned_away_at_the_door_is_counted() -> None:
    server = MqttServer(FakeHost(), admit)  # type: ignore[arg-type]
    pipes = [FakePipe() for _ in range(65)]
    for pipe in pipes:
        server.accept(pipe)  # type: ignore[arg-type]
    assert server.turned_away == 1
    assert [pipe.aborted for pipe in pipes] == [False] * 64 + [True]
    server.sweep(CONNECT_SECONDS + 1)
    assert all(pipe.aborted for pipe in pipes)


def test_a_name_as_long_as_a_packet_is_cut_before_it_is_kept() -> None:
    """Logs and the lists of wrong attempts would hold it whole."""
    names: list[str] = []

    async def test() -> None:
        async def remember(name: str, password: bytes, address: str) -> Principal | int:
            del password, address
            names.append(name)
            return 0x86

        server = MqttServer(FakeHost(), remember)  # type: ignore[arg-type]
        server.accept(FakePipe()).receive(mqtt5.ConnectPacket("", username="n" * 15_000).write())  # type: ignore[arg-type]
        await asyncio.sleep(0)
        await asyncio.sleep(0)

    asyncio.run(test())
    assert names == ["n" * 64]


def test_nothing_is_written_to_a_broken_connection() -> None:
    """asyncio says so in the log, once for each packet answered after the break."""
    written: list[bytes] = []

    class Broken:
        def is_closing(self) -> bool:
            return True

        def write(self, data: bytes) -> None:
            written.append(data)

    pipe = Pipe(lambda _: None, lambda: 0.0)  # type: ignore[arg-type,return-value]
    pipe._transport = Broken()  # type: ignore[assignment]
    pipe.write(b"x")
    assert written == []
