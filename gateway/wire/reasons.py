"""Why the door refuses a request before the market sees it. Numbers and names are stable, as the market's are.

The ranges are those that `engine.codes.RejectReason` leaves free: 1xxx session, 20xx syntax, 7xxx control, 9xxx system.
Where a fault is the same on both sides of the door (an unknown type, a missing field, a value out of range), number
and name are the same too. Ascending number = order of checking; within a payload (20xx) the first fault from front to
back: its size, then of each message its type, how many fields it has, and each field; last how many messages there are.
"""

from enum import IntEnum


class DoorReason(IntEnum):
    """Reason of a `Reject` or `BusinessMessageReject`."""

    NOT_LOGGED_ON = 1010
    """A connection sends a Logon before its first request."""
    NOT_AUTHORISED = 1040
    """This role may not ask this, or the account is somebody else's."""
    SEQ_TOO_OLD = 1050
    """The sequence number was used so long ago that its result is no longer kept."""
    DUP_MISMATCH = 1060
    """The sequence number was used before, for another request."""
    TAKEN_OVER = 1080
    """A newer connection came with the same client id."""
    NOT_MSGPACK = 2010
    """Not one whole MessagePack value: cut short, followed by other bytes, or a text that is no UTF-8."""
    TOO_LARGE = 2020
    """More than 16 KiB in one payload."""
    TOO_MANY_IN_BATCH = 2030
    """More than 100 requests in one payload."""
    UNKNOWN_TYPE = 2040
    """No request has this type."""
    MISSING_FIELD = 2050
    """Fewer fields than the message needs."""
    BAD_TYPE = 2060
    """Another MessagePack type than the field's, so also 1.0 or true for 1; packed rows that are not whole."""
    OUT_OF_RANGE = 2070
    """An integer outside its field's bounds; packed rows of another version, none at all, or with number 0."""
    UNKNOWN_FIELD = 2080
    """More fields than the message has."""
    THROTTLED = 7010
    """More requests in a second than this account may send."""
    JOURNAL_UNAVAILABLE = 9010
    """The journal cannot be written; nothing is accepted until the venue is started again."""
    OVERLOADED = 9020
    """Too much is waiting; cancels are still taken."""
    STOPPING = 9030
    """The venue is shutting down."""
