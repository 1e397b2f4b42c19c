"""The loop that all transports share: it owns the clock, makes the desk's turns, and keeps the venue's timetable.

A transport attaches a session with a way to deliver to it, and offers its payloads; the host makes a turn as soon as
the event loop has read what is there, so that what arrives together is committed together. All of it is one thread, but
for the write to the disk: meanwhile the engine works, and what arrives is read. Nobody hears of a turn before both end.
"""

import asyncio
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial

import structlog

from engine.rules.sessions import Timetable
from gateway.desk.desk import Desk, Turn
from gateway.desk.market_data import INTERVAL_NS
from gateway.desk.session import Output, Session
from gateway.journal.errors import JournalError
from gateway.wire.topics import Principal

log = structlog.get_logger()

Deliver = Callable[[list[Output]], None]


class Host:
    """Runs one desk in the event loop.

    Parameters
    ----------
    timetable : phases and day rolls follow it by the clock; None = the operator sends them
    after_turn : called after every turn that did something (snapshots, checkpoints); must not block
    """

    def __init__(
        self,
        desk: Desk,
        *,
        timetable: Timetable | None = None,
        now_ns: Callable[[], int] = time.time_ns,
        after_turn: Callable[[], None] = lambda: None,
    ) -> None:
        self.desk = desk
        self.monotonic = time.monotonic
        self.stopped = asyncio.Event()
        """Set when the desk has failed or been stopped."""
        self._timetable = timetable
        self._now_ns = now_ns
        self._after_turn = after_turn
        self._deliver: dict[Session, Deliver] = {}
        self._disk = ThreadPoolExecutor(1, thread_name_prefix="commit")
        self._scheduled = False
        self._committing = False
        """Whether a turn is on its way to the disk: the next one waits for it."""
        self._wanted = False
        """Whether somebody has asked for a turn meanwhile."""
        self._timer: asyncio.TimerHandle | None = None

    def attach(self, principal: Principal, client_id: str, deliver: Deliver) -> Session:
        """A new session, whose outputs go to `deliver`."""
        session = self.desk.connect(principal, client_id)
        self._deliver[session] = deliver
        self.wake()
        return session

    def detach(self, session: Session) -> None:
        """Its connection is gone."""
        self.desk.close(session)
        self._deliver.pop(session, None)
        self.wake()

    def offer(self, session: Session, topic: str, payload: bytes, token: int) -> None:
        """A payload has come in."""
        self.desk.offer(session, topic, payload, token, self._now_ns())
        self.wake()

    def wake(self) -> None:
        """Make a turn as soon as what has arrived has been read."""
        if not self._scheduled:
            self._scheduled = True
            asyncio.get_running_loop().call_soon(self._turn)

    def first_turn(self) -> None:
        """What the venue does before it listens: open accounts, enter the phase that is due, compile its kernels.

        Raises what stops the desk.
        """
        self.follow_timetable()
        self.desk.turn(self._now_ns())
        if self.desk.failed:
            raise self.desk.failed

    def follow_timetable(self) -> None:
        """Hand in the phases that are due; call it every second or so."""
        if self._timetable is not None:
            for due in self._timetable.advance(self._now_ns()):
                self.desk.operate(due)
                self.wake()

    def stop(self) -> None:
        """Take nothing new, finish what waits."""
        self.desk.stopping = True
        self.wake()

    def close(self) -> None:
        """No more turns."""
        self._disk.shutdown()

    def _turn(self) -> None:
        """Begin a turn: the disk writes in its own thread, while the engine works in this one."""
        self._scheduled = False
        if self._committing:
            self._wanted = True
            return
        with self._stopping_on_error():
            turn = self.desk.begin(self._now_ns())
            if not len(turn.records):
                self._finish(turn)
                return
            self._committing = True
            commit = asyncio.get_running_loop().run_in_executor(self._disk, self.desk.commit, turn)
            commit.add_done_callback(partial(self._committed, turn))
            self.desk.carry_out(turn)

    def _committed(self, turn: Turn, commit: "asyncio.Future[None]") -> None:
        """The disk has answered."""
        self._committing = False
        with self._stopping_on_error():
            commit.result()
            if not self.desk.failed:
                self._finish(turn)

    def _finish(self, turn: Turn) -> None:
        self._send(self.desk.finish(turn))
        self._after_turn()
        if self.desk.has_work or self._wanted:
            self._wanted = False
            self.wake()
        elif self.desk.stopping:
            self.stopped.set()
        elif self.desk.market_data.waiting and self._timer is None:
            self._timer = asyncio.get_running_loop().call_later(INTERVAL_NS / 1e9, self._show)

    def _send(self, sessions: list[Session]) -> None:
        for session in sessions:
            deliver = self._deliver.get(session)
            outputs = session.take_outputs()
            if deliver is not None:
                deliver(outputs)

    @contextmanager
    def _stopping_on_error(self) -> Iterator[None]:
        """Whatever goes wrong in a turn stops the venue, because its state is then in doubt."""
        try:
            yield
        except JournalError as error:
            self._send(self.desk.fail(error))
            self.stopped.set()
        except Exception as error:
            log.exception("turn failed")
            self.desk.failed = error
            self.stopped.set()

    def _show(self) -> None:
        """Market data is due, though nobody asks anything."""
        self._timer = None
        self.wake()
