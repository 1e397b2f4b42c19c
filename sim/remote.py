"""A venue behind a gateway, as `sim.port` asks for it: the season's one operator sends what all agents decide.

    submit      COMMAND rows -> packed requests, many payloads in flight -> their EVENT rows, from the tape
    balances    one question; what it said holds until the next command

A payload's PUBACK comes behind everything that it caused, on one connection: once all have come, all events are here.
The operator brings the time and nobody else commands, so commands and orders have the numbers they have in process.
This file may not decide anything, and keeps no engine.
"""

import asyncio
from collections.abc import Sequence
from typing import Self

import numpy as np

from engine.codes import EventKind
from engine.core.state import ACCOUNT_COLUMNS, Account
from engine.records import EVENT
from gateway.background import BackgroundLoop
from gateway.errors import GatewayError
from gateway.transports.link import Link, open_link
from gateway.wire import codec, topics
from gateway.wire import messages as m
from gateway.wire.records import REQUEST, VERSION, position_row
from gateway.wire.topics import Principal, Role

SERVE_OPTIONS = ("--hours", "operator", "--time-from-operator")
"""How a venue must be served that is to follow a season: no phases and no clock of its own."""


class RemoteVenue:
    """A new venue of which this is the only operator; `with RemoteVenue(port, name, password) as venue: …`."""

    def __init__(self, port: int, name: str, password: str) -> None:
        self.commands = self.payloads = self.questions = 0
        """What has been sent."""
        self._address = port, name, password
        self._topic = topics.requests(Principal(name, 0, Role.INSTRUCTOR)) or ""
        self._events = 0
        self._cash_in_fen = 0
        self._heard: list[m.Reply] = []
        self._known: tuple[np.ndarray, np.ndarray] | None = None
        """Balances since the last command."""

    def __enter__(self) -> Self:
        """Connect and log on. Raises `GatewayError`, or `OSError` when nobody answers."""
        self._loop = BackgroundLoop("emex-season")
        try:
            self._loop.run(self._open())
        except BaseException:
            self._loop.close()
            raise
        return self

    def __exit__(self, *_: object) -> None:
        """Close the connection; the venue goes on."""
        self._loop.run(self._close())
        self._loop.close()

    def submit(self, commands: np.ndarray) -> np.ndarray:
        """Carry out COMMAND rows in order; returns their EVENT rows. Raises `GatewayError`."""
        if len(commands) == 0:
            return np.zeros(0, EVENT)
        rows = np.zeros(len(commands), REQUEST)
        rows["seq"] = np.arange(self.commands + 1, self.commands + 1 + len(rows))
        rows["command"] = commands
        limit = self._session.batch_limit
        parts = [rows[at : at + limit].tobytes() for at in range(0, len(rows), limit)]
        self._known = None
        heard = self._ask([m.PackedRequests(VERSION, part) for part in parts])
        self.commands += len(rows)
        self.payloads += len(parts)
        tape = b"".join(reply.rows for reply in heard if isinstance(reply, m.TapeRows))
        return self._checked(np.frombuffer(bytearray(tape), EVENT))

    def balances(self) -> tuple[np.ndarray, np.ndarray]:
        """Cash and units of all accounts, in the shapes of `Exchange.balances`."""
        if self._known is None:
            self.questions += 1
            pages = [r for r in self._ask([m.RequestForPositions()]) if isinstance(r, m.PositionRows)]
            layout = position_row(len(self._session.symbols))
            rows = np.frombuffer(b"".join(page.rows for page in pages), layout)
            count = int(rows["account"][-1]) + 1
            accounts = np.zeros((count, ACCOUNT_COLUMNS), np.int64)
            accounts[rows["account"], Account.OPEN] = 1
            accounts[rows["account"], Account.CASH] = rows["cash_fen"]
            accounts[rows["account"], Account.CASH_HELD] = rows["cash_held_fen"]
            units = np.zeros((count, *layout["units_t"].shape), np.int64)
            units[rows["account"]] = rows["units_t"]
            self._known = accounts, units
        return self._known

    def brought_in(self) -> tuple[int, list[int]]:
        """Cash paid in and not out again, fen, and units issued by instrument, t: what the tape says."""
        return self._cash_in_fen, self._issued_t.tolist()

    def check(self) -> None:
        """Assert that no balance is negative; what an engine knows beyond is checked from the journal."""
        assert all((table >= 0).all() for table in self.balances()), "a balance is negative"

    def _checked(self, events: np.ndarray) -> np.ndarray:
        """The events of everything sent so far, none missing and none of anybody else; counts what came in."""
        numbers = np.arange(self._events + 1, self._events + 1 + len(events))
        if len(events) == 0 or (events["seq"] != numbers).any() or events["command_seq"][-1] != self.commands:
            got = f"events to {events['seq'][-1:]} of commands to {events['command_seq'][-1:]}"
            raise GatewayError(f"tape: got {got}, expected every event from {self._events + 1} on to command "
                               f"{self.commands}: is somebody else commanding this venue?")  # fmt: skip
        self._events += len(events)
        kinds = events["kind"]
        self._cash_in_fen += int(events["amount_fen"][kinds == EventKind.DEPOSITED].sum())
        self._cash_in_fen -= int(events["amount_fen"][kinds == EventKind.WITHDRAWN].sum())
        issued = events[kinds == EventKind.ISSUED]
        np.add.at(self._issued_t, issued["instrument"], issued["qty"])
        return events

    # ------------------------------------------------------------------------------------------- in the loop's thread

    async def _open(self) -> None:
        port, name, password = self._address
        self._link: Link = await open_link("127.0.0.1", port, self._hear)
        try:
            await self._log_on(name, password)
        except BaseException:
            await self._close()
            raise

    async def _log_on(self, name: str, password: str) -> None:
        await self._link.log_on("season", name, password.encode())
        if await self._link.subscribe(topics.TAPE, topics.reports(name)) >= 128:
            raise GatewayError(f"{name}: may not read the tape, expected an instructor")
        replies = await self._answers([m.Logon()])
        self._session = next(reply for reply in replies if isinstance(reply, m.LogonReply))
        if self._session.last_seq:
            raise GatewayError(f"{name}: has commanded this venue before, expected a new venue")
        self._issued_t = np.zeros(len(self._session.symbols), np.int64)

    async def _close(self) -> None:
        self._link.close()
        await asyncio.wait([self._link.lost])

    def _ask(self, messages: Sequence[m.Message]) -> list[m.Reply]:
        return self._loop.run(self._answers(messages))

    async def _answers(self, messages: Sequence[m.Message]) -> list[m.Reply]:
        """Send each message as a payload; returns what was told until all were done with."""
        payloads = [codec.encode([message]) for message in messages]
        codes = await asyncio.gather(*(self._link.publish(self._topic, payload) for payload in payloads))
        heard, self._heard = self._heard, []
        refused = next((r for r in heard if isinstance(r, (m.Reject, m.BusinessMessageReject))), None)
        if refused is not None or any(codes):
            raise GatewayError(f"the venue refused a command: {refused.text if refused else codes}")
        return heard

    def _hear(self, topic: str, payload: bytes) -> None:
        del topic
        self._heard += codec.decode_replies(payload)
