"""What can go wrong at the doors, for those who run or use them.

EmexError
├ GatewayError
│ ├ ConnectionLostError    the connection broke; the client logs on again by itself
│ ├ LogonRefusedError      wrong password, locked out, not MQTT 5
│ └ RequestRefusedError    the door refused a request; `reason` says why
└ JournalError             see `gateway.journal.errors`
"""

from engine.errors import EmexError


class GatewayError(EmexError):
    """Base of the client's and the server's errors."""


class ConnectionLostError(GatewayError):
    """The connection broke."""


class LogonRefusedError(GatewayError):
    """The server did not let us in."""


class RequestRefusedError(GatewayError):
    """The door refused a request; nothing happened."""

    def __init__(self, reason: int, text: str) -> None:
        super().__init__(text)
        self.reason = reason
        """`gateway.wire.reasons.DoorReason`."""
