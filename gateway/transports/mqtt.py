"""The built-in MQTT 5 server: what each packet of one connection does. No broker: nothing goes from client to client.

    CONNECT       name and password; the server keeps no MQTT session (expiry 0), the journal keeps everything
    PUBLISH       QoS 0 or 1, on one's own topic; PUBACK 0x00 means journaled, anything else means refused and why
    SUBSCRIBE     granted QoS 0: what is lost with a connection comes again by number (Logon, ResendRequest)
    a will        is a payload like any other, on one's own topic: sent on one's behalf when the connection breaks
    refused       QoS 2, retained or shared anything, subscription ids, enhanced authentication, MQTT 3

The packets themselves are read and written by the `mqtt5` codec. `pipes.py` brings the bytes, the host makes the turns.
"""

import asyncio
import itertools
from collections.abc import Callable, Coroutine
from typing import Any

import mqtt5

from gateway.desk.desk import QUEUE_LIMIT
from gateway.desk.session import Acknowledge, Close, Output, Publish, Session
from gateway.transports.host import Host
from gateway.transports.pipes import HARD_LIMIT, Pipe
from gateway.transports.texts import check_texts
from gateway.wire import topics
from gateway.wire.reasons import DoorReason
from gateway.wire.records import PAYLOAD_LIMIT
from gateway.wire.topics import Principal

RECEIVE_MAX = 32
"""Payloads of one connection that may wait for their PUBACK."""
PACKETS_A_LOOK = 8
"""Packets of one connection that are read before others are looked at."""
TOPIC_ALIASES = 8
MAX_PACKET = PAYLOAD_LIMIT + 1024
CONNECT_SECONDS = 5.0
"""A socket that has not sent its CONNECT by then is closed."""
SLOW_SECONDS = 5.0
"""A connection that has not read for so long is cut."""
UNKNOWN_PER_ADDRESS = 64
"""Sockets of one address that have not logged on."""
CONNECTIONS = 2000
"""When there are so many, a socket that has not logged on makes room for a new one."""
CONNECTIONS_PER_NAME = 32
"""Who opens more loses his oldest."""
_MAX_KEEP_ALIVE = 300
_REMEMBERED = 64
_NAME_LIMIT = 64
"""Nobody's name is so long; what is longer is cut, before logs and lists of wrong attempts are full of it."""
_MQTT_3_REFUSAL = b"\x20\x02\x00\x01"

_PUBACK = {
    DoorReason.NOT_LOGGED_ON: mqtt5.PubAckReasonCode.NOT_AUTHORIZED,
    DoorReason.NOT_AUTHORISED: mqtt5.PubAckReasonCode.NOT_AUTHORIZED,
    DoorReason.THROTTLED: mqtt5.PubAckReasonCode.QUOTA_EXCEEDED,
    DoorReason.OVERLOADED: mqtt5.PubAckReasonCode.QUOTA_EXCEEDED,
    DoorReason.JOURNAL_UNAVAILABLE: mqtt5.PubAckReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
    DoorReason.STOPPING: mqtt5.PubAckReasonCode.IMPLEMENTATION_SPECIFIC_ERROR,
}
"""All others are faults of the payload."""
_DISCONNECT = {
    DoorReason.TAKEN_OVER: mqtt5.DisconnectReasonCode.SESSION_TAKEN_OVER,
    DoorReason.THROTTLED: mqtt5.DisconnectReasonCode.MESSAGE_RATE_TOO_HIGH,
    DoorReason.STOPPING: mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN,
}


Admit = Callable[[str, bytes, str], Coroutine[Any, Any, Principal | int]]
"""(name, password, address) -> who it is, or the CONNACK reason code of the refusal."""


class MqttServer:
    """All connections of the built-in server."""

    def __init__(self, host: Host, admit: Admit) -> None:
        self.host = host
        self.admit = admit
        self.connections: set[Connection] = set()
        self.refused_packets = 0
        """Connections closed because of what they sent."""
        self.cut = 0
        """Connections cut because they did not read."""
        self.turned_away = 0
        """Connections closed at once: too many, of one address or at all."""
        self._unknown: dict[str, dict[Connection, None]] = {}
        """By address, oldest first: who has not logged on."""
        self._known: dict[str, dict[Connection, None]] = {}
        """By name, oldest first."""
        self._encoded: dict[Publish, bytes] = {}
        self._numbers = itertools.count(1)

    def accept(self, pipe: Pipe) -> "Connection":
        """A new pipe; one too many is closed at once."""
        connection = Connection(self, pipe, next(self._numbers))
        if len(self._unknown.get(pipe.address, ())) >= UNKNOWN_PER_ADDRESS or not self._has_room():
            self.turned_away += 1
            connection.turn_off()
            return connection
        self.connections.add(connection)
        self._unknown.setdefault(pipe.address, {})[connection] = None
        return connection

    def _has_room(self) -> bool:
        """Whether one more fits. From a full house the oldest that has not logged on goes, of the address with most."""
        if len(self.connections) >= CONNECTIONS and self._unknown:
            fullest = max(self._unknown.values(), key=len)
            oldest = next(iter(fullest))
            oldest.turn_off()
            self.gone(oldest)
        return len(self.connections) < CONNECTIONS

    def logged_on(self, connection: "Connection") -> None:
        """It is known from now on who that is."""
        _drop(self._unknown, connection.address, connection)
        others = self._known.setdefault(connection.name, {})
        others[connection] = None
        if len(others) > CONNECTIONS_PER_NAME:
            next(iter(others)).disconnect(mqtt5.DisconnectReasonCode.QUOTA_EXCEEDED, "too many connections")

    def gone(self, connection: "Connection") -> None:
        """That connection is no more."""
        self.connections.discard(connection)
        _drop(self._unknown, connection.address, connection)
        _drop(self._known, connection.name, connection)

    def encode(self, message: Publish) -> bytes:
        """A PUBLISH with QoS 0; remembered for a moment, because the same message goes to many."""
        data = self._encoded.get(message)
        if data is None:
            if len(self._encoded) >= _REMEMBERED:
                self._encoded.clear()
            data = mqtt5.PublishPacket(message.topic, message.payload, retain=message.retain).write()
            self._encoded[message] = data
        return data

    def sweep(self, now: float) -> None:
        """Once a second: close who never logged on, who is silent beyond its keep-alive, who does not read."""
        for connection in list(self.connections):
            connection.check(now)

    def close_all(self) -> None:
        """Say goodbye to everybody."""
        for connection in list(self.connections):
            connection.disconnect(mqtt5.DisconnectReasonCode.SERVER_SHUTTING_DOWN)


class Connection:
    """One MQTT connection."""

    def __init__(self, server: MqttServer, pipe: Pipe, number: int) -> None:
        self.known = False
        """Whether it has logged on."""
        self.name = ""
        """As whom."""
        self.address = pipe.address
        self._server = server
        self._pipe = pipe
        self._number = number
        self._session: Session | None = None
        self._buffer = bytearray()
        self._authenticating: asyncio.Task[None] | None = None
        self._will: mqtt5.Will | None = None
        self._aliases: dict[int, str] = {}
        self._in_flight = 0
        self._paused = False
        self._reading_on = False
        """Whether what is in the buffer is read as soon as the others have been looked at."""
        self._closing = False
        self._keep_alive = 0.0
        self._max_packet: int | None = None
        self._heard = self._began = server.host.monotonic()

    # ------------------------------------------------------------------------------------------------ bytes in

    def receive(self, data: bytes) -> None:
        """Bytes of packets, cut anywhere."""
        if self._closing:
            return
        self._heard = self._server.host.monotonic()
        self._buffer += data
        if self._authenticating is None and not self._reading_on:
            self._read()
        if self._authenticating is not None:  # a stranger's bytes are not collected
            self._pause()

    def _read(self) -> None:
        """Whole packets in the buffer, a few at a time."""
        begin = count = 0
        buffer = bytes(self._buffer)
        while not self._closing and self._authenticating is None:
            if count == PACKETS_A_LOOK:
                self._reading_on = True
                asyncio.get_running_loop().call_soon(self._read_on)
                self._pause()
                break
            length = _packet_length(buffer, begin)
            if length is None or (0 < length <= MAX_PACKET and begin + length > len(buffer)):
                break
            if length < 0:
                self._refuse(mqtt5.DisconnectReasonCode.MALFORMED_PACKET, "length")
                break
            if length > MAX_PACKET:
                self._refuse(mqtt5.DisconnectReasonCode.PACKET_TOO_LARGE, f"expected at most {MAX_PACKET} bytes")
                break
            self._read_one(buffer[begin : begin + length])
            begin += length
            count += 1
        del self._buffer[:begin]
        if self._closing:
            self._buffer.clear()

    def _read_on(self) -> None:
        self._reading_on = False
        if not self._closing:
            self._read()
            self._resume()

    def _read_one(self, data: bytes) -> None:
        try:
            check_texts(data)
            packet, length = mqtt5.read(memoryview(data))
        except (ValueError, IndexError, OverflowError) as error:
            if not self.known and data[:1] == b"\x10" and data[2:8] in (b"\x00\x04MQTT", b"\x00\x06MQIs"):
                self._send(_MQTT_3_REFUSAL)
            self._refuse(mqtt5.DisconnectReasonCode.MALFORMED_PACKET, str(error))
            return
        if length != len(data):
            self._refuse(mqtt5.DisconnectReasonCode.MALFORMED_PACKET, "length")
            return
        match packet:
            case mqtt5.ConnectPacket() if not self.known:
                self._connect(packet)
            case _ if self._session is None:
                self._server.refused_packets += 1
                self.turn_off()
            case mqtt5.PublishPacket():
                self._publish(packet, self._session)
            case mqtt5.SubscribePacket():
                self._subscribe(packet, self._session)
            case mqtt5.UnsubscribePacket():
                self._unsubscribe(packet, self._session)
            case mqtt5.PingReqPacket():
                self._send(mqtt5.PingRespPacket().write())
            case mqtt5.DisconnectPacket():
                if packet.reason_code != mqtt5.DisconnectReasonCode.DISCONNECT_WITH_WILL_MESSAGE:
                    self._will = None
                self._closing = True
                self._pipe.close()
            case _:
                self._refuse(mqtt5.DisconnectReasonCode.PROTOCOL_ERROR, "a packet that clients do not send")

    # ------------------------------------------------------------------------------------------------ packets

    def _connect(self, packet: mqtt5.ConnectPacket) -> None:
        if packet.authentication_method is not None:
            self._server.refused_packets += 1
            self._turn_away(mqtt5.ConnAckReasonCode.BAD_AUTHENTICATION_METHOD)
            return
        self._authenticating = asyncio.get_running_loop().create_task(self._authenticate(packet))

    async def _authenticate(self, packet: mqtt5.ConnectPacket) -> None:
        name = (packet.username or "")[:_NAME_LIMIT]
        found = await self._server.admit(name, packet.password or b"", self._pipe.address)
        self._authenticating = None
        if self._closing:
            return
        if isinstance(found, int):
            self._turn_away(mqtt5.ConnAckReasonCode(found))
            return
        will = packet.will
        if will is not None and (
            will.topic != topics.requests(found) or will.retain or will.qos == mqtt5.QoS.EXACTLY_ONCE
        ):
            self._server.refused_packets += 1
            self._turn_away(mqtt5.ConnAckReasonCode.NOT_AUTHORIZED)
            return
        self.known = True
        self.name = found.name
        self._server.logged_on(self)
        self._will = will
        self._max_packet = packet.max_packet_size
        self._keep_alive = 1.5 * min(packet.keep_alive or _MAX_KEEP_ALIVE, _MAX_KEEP_ALIVE)
        assigned = None if packet.client_id else f"emex-{self._number}"
        self._session = self._server.host.attach(found, packet.client_id or f"emex-{self._number}", self.deliver)
        connack = mqtt5.ConnAckPacket(
            session_expiry_interval=0, assigned_client_id=assigned,
            server_keep_alive=None if 0 < packet.keep_alive <= _MAX_KEEP_ALIVE else _MAX_KEEP_ALIVE,
            receive_max=RECEIVE_MAX, topic_alias_max=TOPIC_ALIASES, max_qos=mqtt5.QoS.AT_LEAST_ONCE,
            max_packet_size=MAX_PACKET, subscription_id_available=False, shared_subscription_available=False,
        )  # fmt: skip
        self._send(connack.write())
        self._read()
        self._resume()

    def _turn_away(self, code: mqtt5.ConnAckReasonCode) -> None:
        self._send(mqtt5.ConnAckPacket(reason_code=code).write())
        self._closing = True
        self._pipe.close()

    def _publish(self, packet: mqtt5.PublishPacket, session: Session) -> None:
        if packet.qos == mqtt5.QoS.EXACTLY_ONCE:
            self._refuse(mqtt5.DisconnectReasonCode.QOS_NOT_SUPPORTED, "QoS 2")
            return
        if packet.retain:
            self._refuse(mqtt5.DisconnectReasonCode.RETAIN_NOT_SUPPORTED, "retain")
            return
        topic = packet.topic
        if packet.topic_alias is not None:
            if not 0 < packet.topic_alias <= TOPIC_ALIASES or not (topic or packet.topic_alias in self._aliases):
                self._refuse(mqtt5.DisconnectReasonCode.TOPIC_ALIAS_INVALID, "alias")
                return
            topic = self._aliases[packet.topic_alias] = topic or self._aliases[packet.topic_alias]
        token = packet.packet_id or 0
        if token:
            self._in_flight += 1
            if self._in_flight > RECEIVE_MAX:
                self._refuse(mqtt5.DisconnectReasonCode.RECEIVE_MAX_EXCEEDED, "too many in flight")
                return
        self._server.host.offer(session, topic, packet.payload, token)
        if session.waiting > QUEUE_LIMIT:
            self._pause()

    def _subscribe(self, packet: mqtt5.SubscribePacket, session: Session) -> None:
        desk, codes = self._server.host.desk, []
        for topic_filter in packet.topic_filters:
            if packet.subscription_id is not None:
                desk.counters.refuse(DoorReason.NOT_AUTHORISED)
                codes.append(mqtt5.SubAckReasonCode.SUBSCRIPTION_IDS_NOT_SUPPORTED)
            elif topic_filter.pattern.startswith("$share/"):
                desk.counters.refuse(DoorReason.NOT_AUTHORISED)
                codes.append(mqtt5.SubAckReasonCode.SHARED_SUBSCRIPTIONS_NOT_SUPPORTED)
            elif desk.subscribe(session, topic_filter.pattern):
                codes.append(mqtt5.SubAckReasonCode.GRANTED_QOS_AT_MOST_ONCE)
            else:
                codes.append(mqtt5.SubAckReasonCode.NOT_AUTHORIZED)
        self._send(mqtt5.SubAckPacket(packet.packet_id, codes).write())
        self.deliver(session.take_outputs())

    def _unsubscribe(self, packet: mqtt5.UnsubscribePacket, session: Session) -> None:
        desk = self._server.host.desk
        codes = [
            mqtt5.UnsubAckReasonCode.SUCCESS if desk.unsubscribe(session, pattern)
            else mqtt5.UnsubAckReasonCode.NO_SUBSCRIPTION_EXISTED
            for pattern in packet.patterns
        ]  # fmt: skip
        self._send(mqtt5.UnsubAckPacket(packet.packet_id, codes).write())

    # ------------------------------------------------------------------------------------------------ bytes out

    def deliver(self, outputs: list[Output]) -> None:
        """Send what the desk has for this connection."""
        if self._closing:
            return
        parts: list[bytes] = []
        for output in outputs:
            match output:
                case Publish():
                    data = self._server.encode(output)
                    if self._max_packet is None or len(data) <= self._max_packet:
                        parts.append(data)
                case Acknowledge(token=0):
                    pass
                case Acknowledge():
                    self._in_flight -= 1
                    code = mqtt5.PubAckReasonCode.SUCCESS
                    if output.reason is not None:
                        code = _PUBACK.get(output.reason, mqtt5.PubAckReasonCode.PAYLOAD_FORMAT_INVALID)
                    parts.append(mqtt5.PubAckPacket(output.token, reason_code=code).write())
                case Close():
                    if parts:
                        self._send(b"".join(parts))
                    code_ = _DISCONNECT.get(output.reason, mqtt5.DisconnectReasonCode.ADMINISTRATIVE_ACTION)
                    self.disconnect(code_, output.reason.name)
                    return
        if parts:
            self._send(b"".join(parts))
        self._resume()

    def _pause(self) -> None:
        """Take no more bytes for now."""
        if not self._paused:
            self._paused = True
            self._pipe.pause()

    def _resume(self) -> None:
        """Read on, if there is room for what comes."""
        if not self._paused or self._closing or self._reading_on:
            return
        if self._session is not None and self._session.waiting <= QUEUE_LIMIT:
            self._paused = False
            self._pipe.resume()

    def _send(self, data: bytes) -> None:
        """Write; who leaves far too much unread is cut at once."""
        self._pipe.write(data)
        if self._pipe.waiting > HARD_LIMIT:
            self._cut()

    def _cut(self) -> None:
        self._server.cut += 1
        self.turn_off()

    def turn_off(self) -> None:
        """Close at once, without a word."""
        self._closing = True
        self._pipe.abort()

    def disconnect(self, code: mqtt5.DisconnectReasonCode, text: str | None = None) -> None:
        """Say why and close."""
        if not self._closing:
            self._closing = True
            if self.known:
                self._send(mqtt5.DisconnectPacket(reason_code=code, reason_str=text).write())
            self._pipe.close()

    def _refuse(self, code: mqtt5.DisconnectReasonCode, text: str) -> None:
        """Close, because it has sent what it may not."""
        self._server.refused_packets += 1
        self.disconnect(code, text)

    # ------------------------------------------------------------------------------------------------ life

    def check(self, now: float) -> None:
        """Close if it is time to; see `MqttServer.sweep`."""
        slow = self._pipe.slow_since
        if slow is not None and now - slow > SLOW_SECONDS:
            self._cut()
        elif self._closing:
            if now - self._heard > SLOW_SECONDS:  # the other end does not take the goodbye
                self._pipe.abort()
        elif not self.known:
            if now - self._began > CONNECT_SECONDS and self._authenticating is None:
                self._pipe.abort()
        elif now - self._heard > self._keep_alive:
            self.disconnect(mqtt5.DisconnectReasonCode.KEEP_ALIVE_TIMEOUT)

    def lost(self) -> None:
        """The pipe is gone, with or without a goodbye."""
        self._closing = True
        if self._authenticating is not None:
            self._authenticating.cancel()
        self._server.gone(self)
        if self._session is not None:
            if self._will is not None and self._will.payload:
                self._server.host.offer(self._session, self._will.topic, self._will.payload or b"", 0)
            self._server.host.detach(self._session)


def _drop(groups: "dict[str, dict[Connection, None]]", key: str, connection: Connection) -> None:
    """Take a connection out of its group, and a group that is then empty out of all."""
    group = groups.get(key)
    if group is not None:
        group.pop(connection, None)
        if not group:
            del groups[key]


def _packet_length(buffer: bytes, begin: int) -> int | None:
    """Bytes of the packet at `begin`, header included; None while the header is incomplete; -1 when it is malformed."""
    length = 0
    for at in range(4):
        if begin + 1 + at >= len(buffer):
            return None
        byte = buffer[begin + 1 + at]
        length |= (byte & 0x7F) << (7 * at)
        if not byte & 0x80:
            return length + 2 + at
    return -1
