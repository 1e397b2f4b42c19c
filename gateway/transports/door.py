"""Where sockets come in: a few each time the loop comes round, and of one address only so many in a while.

asyncio's own server accepts all that wait before anything else happens, and a pipe takes a tenth of a millisecond to
make: a crowd at the door would hold up everybody inside. Here the crowd waits in the kernel, and who comes again and
again is turned away before anything is made for him. He hears of it after a second only: else he would be back at once,
thousands of times a second, and each time the kernel works for him instead of those who trade.
"""

import asyncio
import socket
import ssl
from collections import Counter
from collections.abc import Callable

ARRIVALS = 256
"""New connections of one address at once; a class that comes back all together gets in."""
ARRIVALS_A_SECOND = 25
"""So many of them are forgotten a second."""
_LOOKS = 4
"""Sockets looked at each time the loop comes round, until a pipe has been made."""
_WAITING = 512
"""Sockets that the kernel holds meanwhile."""
_RETRY_SECONDS = 1.0
HELD_SECONDS = 1.0
"""How long a socket that is turned away stays open, unread."""
HELD = 1024
"""Sockets held so at once; further ones are closed at once."""


class Door:
    """Listens on one port until it is closed.

    Parameters
    ----------
    clock : monotonic seconds
    """

    def __init__(
        self, make: Callable[[], asyncio.BaseProtocol], tls: ssl.SSLContext | None, clock: Callable[[], float]
    ) -> None:
        self.turned_away = 0
        """Sockets not let in because their address had come too often."""
        self._held: dict[socket.socket, asyncio.TimerHandle] = {}
        """Those of them that do not know it yet."""
        self._make = make
        self._tls = tls
        self._clock = clock
        self._listening: list[socket.socket] = []
        self._arrived: Counter[str] = Counter()
        """By address, as far as they are not forgotten yet."""
        self._forgotten_at = clock()
        self._greeting: set[asyncio.Task[object]] = set()

    async def open(self, host: str, port: int) -> int:
        """Listen; returns the port. Raises `OSError`."""
        server = await asyncio.get_running_loop().create_server(self._make, host, port, start_serving=False)
        self._listening = [bound.dup() for bound in server.sockets]
        server.close()
        for listening in self._listening:
            listening.settimeout(0)
            listening.listen(_WAITING)
            self._watch(listening)
        return int(self._listening[0].getsockname()[1])

    def close(self) -> None:
        """Let nobody else in."""
        for listening in self._listening:
            asyncio.get_running_loop().remove_reader(listening)
            listening.close()
        for timer in self._held.values():
            timer.cancel()
        while self._held:
            self._held.popitem()[0].close()

    def _watch(self, listening: socket.socket) -> None:
        if listening.fileno() >= 0:
            asyncio.get_running_loop().add_reader(listening, self._look, listening)

    def _look(self, listening: socket.socket) -> None:
        """Somebody is at the door."""
        for _ in range(_LOOKS):
            try:
                connected, peer = listening.accept()
            except (BlockingIOError, ConnectionAbortedError):
                return
            except OSError:  # no more files: whoever waits goes on waiting
                loop = asyncio.get_running_loop()
                loop.remove_reader(listening)
                loop.call_later(_RETRY_SECONDS, self._watch, listening)
                return
            if self._comes_too_often(peer[0]):
                self.turned_away += 1
                self._hold(connected)
                continue
            connected.settimeout(0)
            self._let_in(connected)
            return

    def _hold(self, connected: socket.socket) -> None:
        if len(self._held) < HELD:
            self._held[connected] = asyncio.get_running_loop().call_later(HELD_SECONDS, self._let_go, connected)
        else:
            connected.close()

    def _let_go(self, connected: socket.socket) -> None:
        del self._held[connected]
        connected.close()

    def _comes_too_often(self, address: str) -> bool:
        seconds = int(self._clock() - self._forgotten_at)
        if seconds:
            self._forgotten_at += seconds
            left = {other: count - seconds * ARRIVALS_A_SECOND for other, count in self._arrived.items()}
            self._arrived = Counter({other: count for other, count in left.items() if count > 0})
        if self._arrived[address] >= ARRIVALS:
            return True
        self._arrived[address] += 1
        return False

    def _let_in(self, connected: socket.socket) -> None:
        loop = asyncio.get_running_loop()
        greeting: asyncio.Task[object] = loop.create_task(self._greet(connected))
        self._greeting.add(greeting)
        greeting.add_done_callback(self._greeting.discard)

    async def _greet(self, connected: socket.socket) -> None:
        try:
            await asyncio.get_running_loop().connect_accepted_socket(self._make, connected, ssl=self._tls)
        except OSError:  # a handshake that came to nothing
            connected.close()
