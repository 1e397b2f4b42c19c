"""The packed forms of the wire and of the journal, as NumPy rows. Version 1.

    REQUEST   what a client asks: its sequence number beside a COMMAND          client -> gateway, in bulk
    RECORD    what the venue did: who asked what, when                          gateway -> journal
    REPORT    what one account is told about one event                          gateway -> client; kept for replay

They are contracts like `engine.records`: fields are only added under a new version. A client that has no NumPy sends
and reads messages instead (`messages.py`), which say the same.
"""

from typing import Final

import numpy as np

from engine.records import COMMAND, empty_commands

VERSION: Final = 1

REQUEST: Final = np.dtype([("seq", "<u4"), ("target_seq", "<u4"), ("command", COMMAND)])
"""104 bytes. `seq` is the sender's own number (from 1); `target_seq`, where not 0, names the order by the number of the
request that entered it, instead of `target_id`. `account` may be `NONE` for one's own, `time_ns` is the gateway's."""

RECORD: Final = np.dtype([("principal", "<i4"), ("seq", "<u4"), ("content", "<u8"), ("command", COMMAND)])
"""112 bytes. `content` is a hash of the request as it came; principal and seq are 0 for the venue's own commands."""

_REPORT_FIELDS = {
    "priv_seq": "<i8", "time_ns": "<i8", "exec_id": "<i8", "order_id": "<i8", "auction_id": "<i8",
    "client_ref": "<i8", "qty": "<i8", "leaves_qty": "<i8", "amount_fen": "<i8", "fee_fen": "<i8",
    "price_fen": "<i4", "account": "<i4", "contra": "<i4", "instrument": "<i4", "ref_seq": "<u4", "exec_type": "u1",
    "side": "u1", "mode": "u1", "phase": "u1", "reason": "<u2", "flags": "<u2", "aggressor": "u1", "poss_dup": "u1",
}  # fmt: skip
_SIZES = [np.dtype(form).itemsize for form in _REPORT_FIELDS.values()]
REPORT: Final = np.dtype(
    {
        "names": list(_REPORT_FIELDS),
        "formats": list(_REPORT_FIELDS.values()),
        "offsets": [sum(_SIZES[:at]) for at in range(len(_SIZES))],
        "itemsize": 112,
    }
)
"""112 bytes, the last two unused: one event as one account sees it.

`priv_seq` numbers the reports of a principal from 1 without gaps; `exec_id` is the number of the event; `exec_type` its
`EventKind`. `ref_seq` is the request that this is the outcome of, 0 for what others caused. `side`, `leaves_qty` and
`fee_fen` are the account's own. `contra` is named in agreements only; on a screen counterparties are anonymous.
"""

_UNITS_COLUMNS = 7
"""As many as the engine keeps; it lies here because a client has no engine."""


def position_row(instruments: int) -> np.dtype:
    """One account's balances in a market of so many instruments: fen, and tonnes as in `AccountReport.units`."""
    units = instruments, _UNITS_COLUMNS
    return np.dtype([("account", "<i8"), ("cash_fen", "<i8"), ("cash_held_fen", "<i8"), ("units_t", "<i8", units)])


PAYLOAD_LIMIT = 16 * 1024
"""Bytes of one payload."""
BATCH_LIMIT = 100
"""Requests of one payload."""
RESEND_LIMIT = 200
"""Private reports that are sent again for one question; who wants more asks on from where they end."""
STATUS_LIMIT = 200
"""Open orders that one question is answered with."""

HASH_MULTIPLIERS: Final = np.array([
    0x6B5614302345E943, 0,                  0x49F86216F0150E97, 0x11E8D5034A491269, 0x4FDC612AFDA5C77D,
    0x5D2A9E1632B54313, 0x7B7F41237C4689B5, 0x0037D721E3020675, 0x5B1F4F2120340009, 0x04EBF47DE8E908A5,
    0x67119D9B5A11BA13, 0x3D49B635627C8A11, 0x2CEA73128E31958B,
], np.uint64)  # fmt: skip
"""Drawn once, odd, one for each word of a REQUEST, see `content_hash`; journals hold hashes made with them. The second
word is `time_ns`, which is the gateway's and no content."""
assert REQUEST.fields["command"][1] == COMMAND.fields["time_ns"][1] + 8  # type: ignore[index]


def empty_requests(count: int) -> np.ndarray:
    """`count` REQUEST rows, shape (count,), every field of their commands absent."""
    rows = np.zeros(count, REQUEST)
    rows["command"] = empty_commands(count)
    return rows


def content_hash(requests: np.ndarray) -> np.ndarray:
    """What each REQUEST row asks, as one integer; uint64, shape (n,). Equal rows but for their time: equal hashes.

    Multiply-shift over the row's words: it tells a client's mistake from a repetition, and defends against nobody
    (who makes two of his own requests collide harms himself).
    """
    words = np.ascontiguousarray(requests).view(np.uint64).reshape(len(requests), len(HASH_MULTIPLIERS))
    mixed = (words ^ (words >> np.uint64(29))) * HASH_MULTIPLIERS
    total: np.ndarray = mixed.sum(axis=1, dtype=np.uint64)
    folded: np.ndarray = total ^ (total >> np.uint64(32))
    return folded
