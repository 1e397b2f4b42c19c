"""The client's end of one MQTT 5 connection: connect, publish and wait for the PUBACK, hear what comes.

Thin on purpose: one connection, QoS 0 and 1, no resending and no reconnecting (`gateway.client` does both, by number).
It speaks to the built-in server and to any MQTT 5 broker.
"""

import asyncio
import itertools
import socket
import ssl
from collections import deque
from collections.abc import Callable
from typing import Any, cast

import mqtt5

from gateway.errors import ConnectionLostError, LogonRefusedError

_KEEP_ALIVE = 30
_MAX_IN_FLIGHT = 65_535
_PASSING = (mqtt5.ConnAckReasonCode.SERVER_BUSY, mqtt5.ConnAckReasonCode.SERVER_UNAVAILABLE)
"""Refusals that say nothing against the password: another attempt may be let in."""


class Link(asyncio.Protocol):
    """One connection; make it with `open_link`."""

    def __init__(self, on_message: Callable[[str, bytes], None]) -> None:
        self.lost = asyncio.get_running_loop().create_future()
        """Done when the connection is gone; its result says why, as text."""
        self.receive_max = _MAX_IN_FLIGHT
        """Payloads that may wait for their PUBACK; further ones wait here until one has it."""
        self._on_message = on_message
        self._transport = cast("asyncio.Transport", None)
        self._buffer = b""
        self._ids = itertools.cycle(range(1, _MAX_IN_FLIGHT + 1))
        self._waiting: dict[int, asyncio.Future[int]] = {}
        self._held: deque[tuple[str, bytes, asyncio.Future[int]]] = deque()
        self._connack: asyncio.Future[mqtt5.ConnAckPacket] = asyncio.get_running_loop().create_future()
        self._pinger: asyncio.TimerHandle | None = None
        self._why = "the connection was closed"

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: the socket is there."""
        self._transport = cast("asyncio.Transport", transport)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is gone."""
        if self._pinger is not None:
            self._pinger.cancel()
        why = str(exc) if exc else self._why
        held = [future for _, _, future in self._held]
        waiting: list[asyncio.Future[Any]] = [*self._waiting.values(), *held, self._connack]
        for future in waiting:
            if not future.done():
                future.set_exception(ConnectionLostError(why))
                future.exception()  # whoever waits has a copy; nobody waiting is no mistake
        self._waiting.clear()
        self._held.clear()
        if not self.lost.done():
            self.lost.set_result(why)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes have come."""
        buffer = self._buffer + data if self._buffer else data
        view, begin = memoryview(buffer), 0
        while begin < len(buffer):
            try:
                packet, length = mqtt5.read(view[begin:])
            except IndexError:
                break
            except ValueError as error:
                self._why = f"not MQTT 5: {error}"
                self._transport.abort()
                return
            begin += length
            self._take(packet)
        self._buffer = buffer[begin:]

    def _take(self, packet: mqtt5.Packet) -> None:
        match packet:
            case mqtt5.PublishPacket():
                if packet.qos == mqtt5.QoS.AT_LEAST_ONCE and packet.packet_id is not None:
                    self._transport.write(mqtt5.PubAckPacket(packet.packet_id).write())
                self._on_message(packet.topic, packet.payload)
            case mqtt5.PubAckPacket():
                self._done(packet.packet_id, int(packet.reason_code))
            case mqtt5.SubAckPacket():
                self._done(packet.packet_id, max(int(code) for code in packet.reason_codes))
            case mqtt5.ConnAckPacket():
                self._connack.set_result(packet)
            case mqtt5.DisconnectPacket():
                self._why = packet.reason_str or packet.reason_code.name
            case _:
                pass

    def _done(self, packet_id: int, code: int) -> None:
        future = self._waiting.pop(packet_id, None)
        if future is not None and not future.done():
            future.set_result(code)
        while self._held and len(self._waiting) < self.receive_max:
            self._send(*self._held.popleft())

    async def log_on(self, client_id: str, name: str, password: bytes, will: mqtt5.Will | None = None) -> None:
        """CONNECT. Raises `LogonRefusedError` with the server's reason, `ConnectionLostError` if it has no time now."""
        packet = mqtt5.ConnectPacket(
            client_id, username=name, password=password, clean_start=True, keep_alive=_KEEP_ALIVE, will=will
        )
        self._transport.write(packet.write())
        connack = await self._connack
        if connack.reason_code != mqtt5.ConnAckReasonCode.SUCCESS:
            self.close()
            error = ConnectionLostError if connack.reason_code in _PASSING else LogonRefusedError
            raise error(f"{name}: {connack.reason_code.name}")
        self.receive_max = connack.receive_max
        self._ping(connack.server_keep_alive or _KEEP_ALIVE)

    def _ping(self, seconds: float) -> None:
        self._transport.write(mqtt5.PingReqPacket().write())
        self._pinger = asyncio.get_running_loop().call_later(seconds / 2, self._ping, seconds)

    def publish(self, topic: str, payload: bytes) -> asyncio.Future[int]:
        """Send with QoS 1; the future is the reason code of its PUBACK, or `ConnectionLostError`."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self.lost.done():
            future.set_exception(ConnectionLostError(self._why))
        elif len(self._waiting) < self.receive_max:
            self._send(topic, payload, future)
        else:
            self._held.append((topic, payload, future))
        return future

    def _send(self, topic: str, payload: bytes, future: "asyncio.Future[int]") -> None:
        packet_id = self._next(future)
        self._transport.write(
            mqtt5.PublishPacket(topic, payload, qos=mqtt5.QoS.AT_LEAST_ONCE, packet_id=packet_id).write()
        )

    async def subscribe(self, *patterns: str) -> int:
        """Returns the worst reason code of the answer; from 128 on something was refused."""
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        if self.lost.done():
            raise ConnectionLostError(self._why)
        packet_id = self._next(future)
        filters = [mqtt5.TopicFilter(pattern, max_qos=mqtt5.QoS.AT_LEAST_ONCE) for pattern in patterns]
        self._transport.write(mqtt5.SubscribePacket(packet_id, filters).write())
        return await future

    def _next(self, future: "asyncio.Future[int]") -> int:
        """A free packet id, whose answer goes to `future`."""
        packet_id = next(number for number in self._ids if number not in self._waiting)
        self._waiting[packet_id] = future
        return packet_id

    def close(self) -> None:
        """Say goodbye and close."""
        if not self._transport.is_closing():
            self._transport.write(mqtt5.DisconnectPacket().write())
            self._transport.close()

    def abort(self) -> None:
        """Close without a goodbye, as a broken network would."""
        self._transport.abort()


async def open_link(
    host: str, port: int, on_message: Callable[[str, bytes], None], tls: ssl.SSLContext | None = None
) -> Link:
    """Connect a socket (TCP_NODELAY, without which a round trip takes 40 ms). Raises `OSError`."""
    loop = asyncio.get_running_loop()
    transport, link = await loop.create_connection(lambda: Link(on_message), host, port, ssl=tls)
    connected = transport.get_extra_info("socket")
    if connected is not None and connected.family in (socket.AF_INET, socket.AF_INET6):
        connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    return link
