"""The built-in MQTT 5 server, packet by packet over real sockets."""

import asyncio
import itertools
import socket
import ssl
import struct
import subprocess
import time
import urllib.request
from collections.abc import Callable, Coroutine
from contextlib import suppress
from pathlib import Path
from typing import Any

import mqtt5
import pytest
from websockets.asyncio.client import connect

from gateway.errors import ConnectionLostError, LogonRefusedError
from gateway.journal.store import Journal
from gateway.recovery import records_of
from gateway.serve import Running
from gateway.transports.link import Link, open_link
from gateway.transports.mqtt import CONNECT_SECONDS, MAX_PACKET, PACKETS_A_LOOK, RECEIVE_MAX, SLOW_SECONDS
from gateway.wire import codec
from gateway.wire import messages as m
from tests.gateway.running import password_of, running, trader

ANNA_IN, ANNA_OUT = "emex/1/in/anna", "emex/1/out/anna"


_OPEN: list[Callable[[], None]] = []


def run(test: Coroutine[Any, Any, None]) -> None:
    """Run a test; whatever connection it leaves open is closed behind it."""

    async def guarded() -> None:
        try:
            await asyncio.wait_for(test, 60)
        finally:
            while _OPEN:
                _OPEN.pop()()
            await asyncio.sleep(0)

    asyncio.run(guarded())


class Ear:
    """What a link hears."""

    def __init__(self) -> None:
        self.messages: asyncio.Queue[tuple[str, bytes]] = asyncio.Queue()

    def __call__(self, topic: str, payload: bytes) -> None:
        self.messages.put_nowait((topic, payload))

    async def reply(self) -> m.Reply:
        _, payload = await self.messages.get()
        (reply, *_) = codec.decode_replies(payload)
        return reply


async def link_of(venue: Running, name: str, client_id: str = "", will: mqtt5.Will | None = None) -> tuple[Link, Ear]:
    ear = Ear()
    link = await open_link("127.0.0.1", venue.ports["mqtt"], ear)
    _OPEN.append(link.abort)
    await link.log_on(client_id, name, password_of(name).encode(), will)
    return link, ear


class Raw:
    """A connection that sends what it likes and reads packet by packet."""

    def __init__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.reader, self.writer = reader, writer
        self._buffer = b""

    def send(self, *packets: Any) -> None:
        for packet in packets:
            self.writer.write(packet if isinstance(packet, bytes) else packet.write())

    async def packets(self, count: int = 1) -> list[Any]:
        """The next packets, fewer where the connection ends."""
        found: list[mqtt5.Packet] = []
        while len(found) < count:
            try:
                packet, length = mqtt5.read(memoryview(self._buffer))
            except IndexError:
                data = await self.reader.read(65536)
                if not data:
                    break
                self._buffer += data
                continue
            found.append(packet)
            self._buffer = self._buffer[length:]
        return found

    async def rest(self) -> bytes:
        """Everything until the other end closes."""
        return self._buffer + await self.reader.read()

    def abort(self) -> None:
        self.writer.transport.abort()


async def raw(venue: Running) -> Raw:
    peer = Raw(*await asyncio.open_connection("127.0.0.1", venue.ports["mqtt"]))
    _OPEN.append(peer.abort)
    return peer


def connect_packet(name: str = "anna", **options: Any) -> mqtt5.ConnectPacket:
    return mqtt5.ConnectPacket("raw", username=name, password=password_of(name).encode(), **options)


def publish(payload: bytes, packet_id: int, topic: str = ANNA_IN, alias: int | None = None) -> mqtt5.PublishPacket:
    return mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id, topic_alias=alias)


def test_two_people_trade(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue, trader(venue, "anna") as anna, trader(venue, "ben") as ben:
            order = await anna.sell("ANY", 5, "10.00")
            assert (await ben.buy("ANY", 3, "10.50")).reason == 0
            _, orders = await anna.status()
            assert [(row[0], row[7]) for row in orders] == [(order.order_id, 2)]

    run(test())


def test_a_puback_means_that_the_request_is_in_the_journal(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            link, _ = await link_of(venue, "anna")
            link.publish(ANNA_IN, codec.encode([m.Logon()]))
            for seq in range(1, 20):
                code = await link.publish(ANNA_IN, codec.encode([m.NewOrderSingle(seq, 0, 1, 5, 1000)]))
                assert code == mqtt5.PubAckReasonCode.SUCCESS
                journal = Journal.read_only(tmp_path / "journal")
                last = records_of(list(journal.commits())[-1])
                assert (int(last["principal"][-1]), int(last["seq"][-1])) == (2, seq)
            link.close()

    run(test())


@pytest.mark.parametrize(
    ("topic", "payload", "code"),
    [
        (ANNA_IN, b"junk", mqtt5.PubAckReasonCode.PAYLOAD_FORMAT_INVALID),
        ("emex/1/in/ben", codec.encode([m.Logon()]), mqtt5.PubAckReasonCode.NOT_AUTHORIZED),
        ("anything", b"", mqtt5.PubAckReasonCode.NOT_AUTHORIZED),
        (ANNA_IN, codec.encode([m.NewOrderSingle(1, 0, 1, 1, 1)]), mqtt5.PubAckReasonCode.NOT_AUTHORIZED),
        (ANNA_IN, codec.encode([m.Logon()]), mqtt5.PubAckReasonCode.SUCCESS),
    ],
)
def test_a_puback_says_why_a_payload_was_refused(tmp_path: Path, topic: str, payload: bytes, code: int) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            link, _ = await link_of(venue, "anna")
            assert await link.publish(topic, payload) == code
            link.close()

    run(test())


def test_wrong_passwords_are_refused_and_then_locked_out(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            codes = []
            for _ in range(7):
                peer = await raw(venue)
                peer.send(mqtt5.ConnectPacket("x", username="anna", password=b"wrong"))
                (connack,) = await peer.packets()
                codes.append(connack.reason_code)
                bad, banned = mqtt5.ConnAckReasonCode.BAD_USER_NAME_OR_PASSWORD, mqtt5.ConnAckReasonCode.BANNED
            assert codes == [bad] * 5 + [banned] * 2
            with pytest.raises(LogonRefusedError, match="BANNED"):
                await link_of(venue, "anna")
            link, _ = await link_of(venue, "ben")
            link.close()
            assert venue.gatekeeper.hashes == 6

    run(test())


@pytest.mark.parametrize(
    ("packet", "code"),
    [
        (mqtt5.PublishPacket(ANNA_IN, b"", retain=True), mqtt5.DisconnectReasonCode.RETAIN_NOT_SUPPORTED),
        (mqtt5.PublishPacket(ANNA_IN, b"", qos=mqtt5.QoS.EXACTLY_ONCE, packet_id=1),
         mqtt5.DisconnectReasonCode.QOS_NOT_SUPPORTED),
        (mqtt5.PublishPacket(ANNA_IN, b"x" * MAX_PACKET), mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE),
        (mqtt5.PublishPacket(ANNA_IN, b"", topic_alias=9), mqtt5.DisconnectReasonCode.TOPIC_ALIAS_INVALID),
        (mqtt5.PublishPacket("", b"", topic_alias=2), mqtt5.DisconnectReasonCode.TOPIC_ALIAS_INVALID),
        (mqtt5.PubRelPacket(3), mqtt5.DisconnectReasonCode.PROTOCOL_ERROR),
        (mqtt5.AuthPacket(), mqtt5.DisconnectReasonCode.PROTOCOL_ERROR),
        (mqtt5.ConnectPacket("again"), mqtt5.DisconnectReasonCode.PROTOCOL_ERROR),
        (b"\xf7\x00", mqtt5.DisconnectReasonCode.MALFORMED_PACKET),
        (b"\x30\xff\xff\xff\xff\x7f", mqtt5.DisconnectReasonCode.MALFORMED_PACKET),
        (b"\x30\x03\x00\x09a", mqtt5.DisconnectReasonCode.MALFORMED_PACKET),
    ],
    ids=str,
)  # fmt: skip
def test_what_is_not_in_the_subset_ends_the_connection_with_the_reason(tmp_path: Path, packet: Any, code: int) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            peer = await raw(venue)
            peer.send(connect_packet())
            (connack,) = await peer.packets()
            assert connack.reason_code == mqtt5.ConnAckReasonCode.SUCCESS
            peer.send(packet)
            (goodbye,) = await peer.packets()
            assert isinstance(goodbye, mqtt5.DisconnectPacket)
            assert goodbye.reason_code == code
            assert await peer.rest() == b""

    run(test())


def test_packets_may_be_cut_anywhere(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            peer = await raw(venue)
            stream = connect_packet().write() + mqtt5.SubscribePacket(1, [mqtt5.TopicFilter(ANNA_OUT)]).write()
            stream += publish(codec.encode([m.Logon()]), 2).write()
            for at in range(len(stream)):
                peer.send(stream[at : at + 1])
                await peer.writer.drain()
                if at % 16 == 0:
                    await asyncio.sleep(0)
            kinds = {type(packet) for packet in await peer.packets(4)}
            assert kinds == {mqtt5.ConnAckPacket, mqtt5.SubAckPacket, mqtt5.PublishPacket, mqtt5.PubAckPacket}

    run(test())


def test_topic_aliases_stand_for_their_topic(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            peer = await raw(venue)
            logon = codec.encode([m.Logon()])
            peer.send(connect_packet())
            peer.send(publish(logon, 1, alias=3), publish(logon, 2, topic="", alias=3))
            codes = [packet.reason_code for packet in await peer.packets(5) if isinstance(packet, mqtt5.PubAckPacket)]
            assert codes == [mqtt5.PubAckReasonCode.SUCCESS] * 2

    run(test())


def test_mqtt_3_is_refused_in_its_own_words(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            peer = await raw(venue)
            body = b"\x00\x04MQTT\x04\x02\x00\x3c\x00\x01x"
            peer.send(b"\x10" + bytes([len(body)]) + body)
            assert await peer.rest() == b"\x20\x02\x00\x01"

    run(test())


def test_who_does_not_connect_is_closed_in_time_and_first_packets_of_other_kinds_at_once(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            silent = await raw(venue)
            peer = await raw(venue)
            peer.send(mqtt5.PingReqPacket())
            assert await peer.rest() == b""
            venue.server.sweep(time.monotonic() + CONNECT_SECONDS + 0.1)
            assert await silent.rest() == b""

    run(test())


def test_who_is_silent_beyond_its_keep_alive_is_closed(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            peer = await raw(venue)
            peer.send(connect_packet(keep_alive=10))
            await peer.packets()
            venue.server.sweep(time.monotonic() + 14)
            assert len(venue.server.connections) == 1
            venue.server.sweep(time.monotonic() + 16)
            (goodbye,) = await peer.packets()
            assert goodbye.reason_code == mqtt5.DisconnectReasonCode.KEEP_ALIVE_TIMEOUT

    run(test())


def test_more_payloads_in_flight_than_agreed_end_the_connection(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            peer = await raw(venue)
            peer.send(connect_packet())
            (connack,) = await peer.packets()
            assert connack.receive_max == RECEIVE_MAX
            payload = codec.encode([m.Logon()])
            venue.host._committing = True  # as if the disk were slow
            peer.send(b"".join(publish(payload, at).write() for at in range(1, RECEIVE_MAX + 2)))
            codes = [packet.reason_code for packet in await peer.packets(1000)
                     if isinstance(packet, mqtt5.DisconnectPacket)]  # fmt: skip
            assert codes == [mqtt5.DisconnectReasonCode.RECEIVE_MAX_EXCEEDED]
            venue.host._committing = False

    run(test())


def test_one_connections_packets_are_read_a_few_at_a_time_and_all_of_them(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            peer = await raw(venue)
            peer.send(connect_packet())
            await peer.packets()
            (connection,) = venue.server.connections
            looks: list[int] = []
            read_on = connection._read_on

            def counted() -> None:
                looks.append(venue.desk.counters.payloads)
                read_on()

            connection._read_on = counted  # type: ignore[method-assign]
            count = 5 * PACKETS_A_LOOK + 1
            packet = mqtt5.PublishPacket(ANNA_IN, codec.encode([m.Logon()])).write()
            peer.send(packet * count)
            async with asyncio.timeout(10):
                while venue.desk.counters.payloads < count:  # noqa: ASYNC110  (nothing announces it)
                    await asyncio.sleep(0.01)
            assert looks == [PACKETS_A_LOOK * at for at in range(1, 6)]

    run(test())


def test_a_will_is_sent_when_the_connection_breaks_and_only_then(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue, trader(venue, "anna", client_id="watch") as anna:
            for breaks, seq in ((False, 100), (True, 200)):
                will = mqtt5.Will(ANNA_IN, payload=codec.encode([m.Logon(), m.NewOrderSingle(seq, 0, 1, 1, 1000)]))
                link, _ = await link_of(venue, "anna", "other", will)
                (link.abort if breaks else link.close)()
                await link.lost
                await asyncio.sleep(0.05)
                _, orders = await anna.status()
                assert len(orders) == int(breaks)

    run(test())


@pytest.mark.parametrize(
    "will",
    [
        mqtt5.Will("emex/1/in/ben", payload=b""), mqtt5.Will(ANNA_OUT, payload=b""),
        mqtt5.Will(ANNA_IN, payload=b"", retain=True), mqtt5.Will(ANNA_IN, payload=b"", qos=mqtt5.QoS.EXACTLY_ONCE),
    ],
    ids=["another's", "output", "retained", "qos 2"],
)  # fmt: skip
def test_a_will_on_another_topic_is_refused_with_the_connection(tmp_path: Path, will: mqtt5.Will) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            with pytest.raises(LogonRefusedError, match="NOT_AUTHORIZED"):
                await link_of(venue, "anna", will=will)

    run(test())


def test_a_newer_connection_with_the_same_client_id_takes_over(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            old, _ = await link_of(venue, "anna", "same")
            other, _ = await link_of(venue, "ben", "same")
            new, _ = await link_of(venue, "anna", "same")
            assert await old.lost == "TAKEN_OVER"
            assert not other.lost.done()
            assert not new.lost.done()
            other.close()
            new.close()

    run(test())


@pytest.mark.parametrize("waits", [False, True], ids=["too much waits", "too long"])
def test_who_never_reads_is_cut_and_the_others_go_on(tmp_path: Path, *, waits: bool) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue, trader(venue, "anna") as anna:
            with socket.create_connection(("127.0.0.1", venue.ports["mqtt"])) as deaf:
                deaf.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
                deaf.settimeout(0)  # a send that blocked would block the server too: it reads in this very thread

                async def send(packet: mqtt5.Packet) -> None:
                    await asyncio.get_running_loop().sock_sendall(deaf, packet.write())

                await send(connect_packet("ben"))
                await send(publish(codec.encode([m.Logon()]), 1, topic="emex/1/in/ben"))
                for at in range(2, RECEIVE_MAX):
                    orders = [m.NewOrderSingle(100 * at + number, 0, 1, 1, 1000) for number in range(99)]
                    await send(publish(codec.encode(orders), at, topic="emex/1/in/ben"))
                with suppress(ConnectionError):  # cut while it asks
                    for at in itertools.count():
                        assert (await anna.buy("ANY", 1, 1000)).reason == 0
                        if venue.server.cut or (waits and any(c._pipe.slow_since for c in venue.server.connections)):
                            break
                        status = [m.StatusRequest(0)] * (1 if waits else 99)
                        await send(publish(codec.encode(status), 1 + at % 9, topic="emex/1/in/ben"))
                if waits:
                    venue.server.sweep(time.monotonic())
                    assert venue.server.cut == 0
                    venue.server.sweep(time.monotonic() + SLOW_SECONDS + 0.1)
                assert venue.server.cut == 1
                assert (await anna.buy("ANY", 1, 1000)).reason == 0

    run(test())


def test_mqtt_over_websocket_is_the_same_door(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, websocket_port=0) as venue:
            address = f"ws://127.0.0.1:{venue.ports['websocket']}"
            async with connect(address, subprotocols=["mqtt"]) as browser:
                assert browser.subprotocol == "mqtt"
                stream = connect_packet().write() + mqtt5.SubscribePacket(1, [mqtt5.TopicFilter("emex/1/md/#")]).write()
                await browser.send(stream[:7])
                await browser.send(stream[7:])
                found: list[mqtt5.Packet] = []
                while len(found) < 4:
                    data = await browser.recv()
                    while data:
                        packet, length = mqtt5.read(memoryview(data))
                        found.append(packet)
                        data = data[length:]
                topics = [packet.topic for packet in found if isinstance(packet, mqtt5.PublishPacket)]
                assert topics == ["emex/1/md/status", "emex/1/md/ANY/snapshot"]
            with pytest.raises(Exception, match="403"):
                async with connect(address, subprotocols=["mqtt"], origin="https://elsewhere.example"):
                    pass

    run(test())


@pytest.mark.parametrize("rest", [b"", b"GET / HTTP/1.1\r\n\r\n", b"x"], ids=["one request", "two", "and more"])
def test_a_refused_handshake_is_answered_at_most_once_and_closed(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, rest: bytes
) -> None:
    async def test() -> None:
        async with running(tmp_path, websocket_port=0) as venue:
            reader, writer = await asyncio.open_connection("127.0.0.1", venue.ports["websocket"])
            writer.write(b"GET /mqtt HTTP/1.1\r\nHost: here\r\n\r\n" + rest)
            answer = await asyncio.wait_for(reader.read(), 10)
            assert answer.count(b"HTTP/1.1 426 ") == answer.count(b"HTTP/1.1") <= 1
            assert answer or rest
            writer.close()

    run(test())
    assert caplog.text == ""


def test_tls_where_there_is_a_certificate(tmp_path: Path) -> None:
    made = subprocess.run(
        ["openssl", "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key",
         "-out", tmp_path / "cert", "-days", "2", "-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1"],
        capture_output=True, check=False,
    )  # fmt: skip
    if made.returncode:
        pytest.skip(f"openssl cannot make a certificate here: {made.stderr.decode()[-200:]}")

    async def test() -> None:
        async with running(tmp_path, certificate=tmp_path / "cert", key=tmp_path / "key") as venue:
            tls = ssl.create_default_context(cafile=str(tmp_path / "cert"))
            async with trader(venue, "anna", tls=tls) as anna:
                assert (await anna.buy("ANY", 1, 1000)).reason == 0
            with pytest.raises((ConnectionLostError, OSError)):
                await link_of(venue, "anna")

    run(test())


def test_metrics_count_what_happened(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path, metrics_port=0) as venue, trader(venue, "anna") as anna:
            await anna.buy("ANY", 1, 1000)
            address = f"http://127.0.0.1:{venue.ports['metrics']}/metrics"
            page = await asyncio.to_thread(lambda: urllib.request.urlopen(address).read().decode())
            values = dict(line.rsplit(" ", 1) for line in page.splitlines() if not line.startswith("#"))
            assert float(values["emex_commit_seconds_count"]) == float(values["emex_commits_total"]) == 2
            assert float(values['emex_logons_total{outcome="admitted"}']) == 1
            assert float(values["emex_connections"]) == 1

    run(test())


def test_nagle_is_off_at_both_ends(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            link, _ = await link_of(venue, "anna")
            ends = [link._transport, next(iter(venue.server.connections))._pipe._transport]
            options = [end.get_extra_info("socket").getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY) for end in ends]
            assert all(options)
            link.close()

    run(test())


def test_a_connection_reset_in_the_middle_of_a_packet_leaves_nothing_behind(tmp_path: Path) -> None:
    async def test() -> None:
        async with running(tmp_path) as venue:
            events = venue.desk.replica.exchange.event_seq
            payload = codec.encode([m.Logon(), m.NewOrderSingle(1, 0, 1, 1, 1000)])
            stream = (
                connect_packet().write()
                + mqtt5.PublishPacket(ANNA_IN, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=1).write()
            )
            for cut in range(1, len(stream)):
                peer = await raw(venue)
                peer.send(stream[:cut])
                await peer.writer.drain()
                linger = struct.pack("ii", 1, 0)
                peer.writer.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
                peer.abort()
            await asyncio.sleep(0.2)
            assert not venue.server.connections
            assert venue.desk.replica.exchange.event_seq == events
            assert venue.server._unknown == {}

    run(test())
