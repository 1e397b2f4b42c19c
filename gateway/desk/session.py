"""One connection's session: what it has sent and waits for its turn, and what waits to be sent to it.

A transport makes one for each connection, hands in payloads through `Desk.offer`, and sends what `take_outputs` gives,
in that order. A principal may have several at once (a program and a screen, say); its numbers are shared by all.
"""

from collections import deque
from dataclasses import dataclass, field
from typing import NamedTuple

import numpy as np

from gateway.wire.codec import Query
from gateway.wire.reasons import DoorReason
from gateway.wire.topics import Principal, matches, reports


class Publish(NamedTuple):
    """Send `payload` on `topic`."""

    topic: str
    payload: bytes
    retain: bool = False


class Acknowledge(NamedTuple):
    """The payload that came with `token` is done with: journaled (reason None), or refused whole."""

    token: int
    reason: DoorReason | None = None


class Close(NamedTuple):
    """End the connection."""

    reason: DoorReason


Output = Publish | Acknowledge | Close


@dataclass(eq=False)
class Payload:
    """What is left of one payload: REQUEST rows as words, and queries, in the order sent."""

    parts: deque[np.ndarray | Query]
    token: int
    requests: int
    """How many it had."""


@dataclass(eq=False)
class Session:
    """A connection of a principal."""

    principal: Principal
    client_id: str
    logged_on: bool = False
    cancel_on_disconnect: bool = False
    patterns: set[str] = field(default_factory=set)
    """What it has subscribed to."""
    pending: deque[Payload] = field(default_factory=deque)
    waiting: int = 0
    """Requests in `pending`."""
    closed: bool = False
    outputs: list[Output] = field(default_factory=list)

    @property
    def private_topic(self) -> str:
        """Where its reports go."""
        return reports(self.principal.name)

    def reads(self, topic: str) -> bool:
        """Whether it has subscribed to `topic`."""
        return topic in self.patterns or any(matches(pattern, topic) for pattern in self.patterns)

    def take_outputs(self) -> list[Output]:
        """What is to be sent now, in order; it is then no longer held here."""
        outputs, self.outputs = self.outputs, []
        return outputs
