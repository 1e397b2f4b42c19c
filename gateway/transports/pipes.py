"""What carries a connection's bytes: a TCP stream, or a WebSocket whose frames are joined into one.

Both look the same to the packets above: `receive` is called with bytes, `write` takes bytes. A pipe knows how much is
waiting to be sent and since when nothing has moved, so that who does not read can be cut.
"""

import asyncio
import socket
import struct
from collections.abc import Callable, Sequence
from typing import Protocol, cast

from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Origin, Subprotocol

_KERNEL_BUFFER = 256 * 1024
"""Bytes the kernel may hold beyond those: without a bound it takes megabytes before anybody is seen to be slow."""
HIGH_WATER = 64 * 1024
"""Bytes waiting to be sent from which on a reader counts as slow."""
HARD_LIMIT = 1024 * 1024
"""Bytes waiting to be sent at which a connection is cut."""


class Receiver(Protocol):
    """What sits on a pipe."""

    def receive(self, data: bytes) -> None:
        """Bytes have come."""

    def lost(self) -> None:
        """The pipe is gone."""


class Pipe(asyncio.Protocol):
    """A TCP connection."""

    def __init__(self, accept: Callable[["Pipe"], Receiver], clock: Callable[[], float]) -> None:
        self.address = ""
        """Where the other end is: host without port."""
        self.slow_since: float | None = None
        """Clock at which the other end stopped reading fast enough."""
        self._accept = accept
        self._clock = clock
        self._receiver: Receiver | None = None
        self._transport: asyncio.Transport = cast("asyncio.Transport", None)

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """asyncio: a socket was accepted."""
        self._transport = cast("asyncio.Transport", transport)
        self._transport.set_write_buffer_limits(high=HIGH_WATER)
        transport.get_extra_info("socket").setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, _KERNEL_BUFFER)
        peer = transport.get_extra_info("peername")
        self.address = peer[0] if isinstance(peer, tuple) else "local"
        self._receiver = self._accept(self)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes have come."""
        self._hand_over(data)

    def connection_lost(self, exc: Exception | None) -> None:
        """asyncio: the socket is gone."""
        del exc
        if self._receiver is not None:
            self._receiver.lost()

    def pause_writing(self) -> None:
        """asyncio: the other end reads more slowly than we send."""
        self.slow_since = self._clock()

    def resume_writing(self) -> None:
        """asyncio: it has caught up."""
        self.slow_since = None

    def write(self, data: bytes) -> None:
        """Send, now or when there is room; nothing where the connection is broken."""
        if not self._transport.is_closing():
            self._transport.write(data)

    @property
    def waiting(self) -> int:
        """Bytes that wait to be sent."""
        return self._transport.get_write_buffer_size()

    def close(self) -> None:
        """Close when everything written has been sent."""
        self._transport.close()

    def abort(self) -> None:
        """Close at once. What the kernel has not sent goes too: it would keep it for minutes for who does not read."""
        if self.waiting:
            connected = self._transport.get_extra_info("socket")
            connected.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self._transport.abort()

    def pause(self) -> None:
        """Stop reading."""
        self._transport.pause_reading()

    def resume(self) -> None:
        """Read again."""
        self._transport.resume_reading()

    def _hand_over(self, data: bytes) -> None:
        if self._receiver is not None and not self._transport.is_closing():
            self._receiver.receive(data)


class WebSocketPipe(Pipe):
    """MQTT over WebSocket (subprotocol `mqtt`), for browsers and networks that let nothing else pass."""

    def __init__(
        self,
        accept: Callable[[Pipe], Receiver],
        clock: Callable[[], float],
        *,
        max_frame: int,
        origins: Sequence[str] = (),
    ) -> None:
        super().__init__(accept, clock)
        allowed = [None, *(Origin(origin) for origin in origins)]
        self._protocol = ServerProtocol(origins=allowed, subprotocols=[Subprotocol("mqtt")], max_size=max_frame)

    def data_received(self, data: bytes) -> None:
        """asyncio: bytes of frames have come."""
        self._protocol.receive_data(data)
        for event in self._protocol.events_received():
            if isinstance(event, Request):
                if not self._protocol.eof_sent:  # what came behind it has ended the connection already
                    self._shake_hands(event)
            elif isinstance(event, Frame) and event.opcode in (Opcode.BINARY, Opcode.CONT):
                self._hand_over(bytes(event.data))
            elif isinstance(event, Frame) and event.opcode is Opcode.TEXT:
                self._protocol.fail(1003, "expected binary frames")
        self._flush()

    def eof_received(self) -> None:
        """asyncio: the other end has finished."""
        self._protocol.receive_eof()
        self._flush()

    def write(self, data: bytes) -> None:
        """Send as one binary frame."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_binary(data)
            self._flush()

    def close(self) -> None:
        """Say goodbye, then close."""
        if self._protocol.state is State.OPEN:
            self._protocol.send_close(1000)
            self._flush()
        super().close()

    def _shake_hands(self, request: Request) -> None:
        response = self._protocol.accept(request)
        self._protocol.send_response(response)

    def _flush(self) -> None:
        for data in self._protocol.data_to_send():
            if data:
                super().write(data)
            else:
                super().close()
        if self._protocol.close_expected() and not self._transport.is_closing():
            super().close()
