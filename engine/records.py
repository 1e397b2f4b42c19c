"""The two record layouts that cross the engine's border: commands in, events out. Version 1.

Both are NumPy structured arrays with explicit offsets, read by item (`row["price_fen"]`, never by attribute).
They are contracts: journals, files and the wire keep them, so fields are only ever added under a new version.
Absent integers are `codes.NONE`. Units are in the names: fen, t (quantities are tonnes), ns since the epoch.

Which fields a command reads, besides `kind`, `time_ns` and `client_ref` (echoed, opaque):

    NEW           account instrument side ord_type tif qty [price_fen] [until_ns] [min_qty] [flags = OrderCondition]
    CANCEL        account target_id
    REPLACE       account target_id [price_fen] [qty = new total quantity]
    CLICK         account instrument side qty [price_fen = limit] [target_id = the listing]
    PROPOSE       account instrument side qty price_fen contra [until_ns]
    CONFIRM       account target_id             (account is the counterparty named in the proposal)
    DECLINE       account target_id             (or the proposer, who then withdraws it)
    MASS_CANCEL   account [instrument] [side]   (screen orders, offers and proposals)
    ANNOUNCE      account instrument side qty price_fen = reserve [limit_price_fen = bound of the bids]
    APPLY         account target_id qty         (to an auction)
    BID           account target_id qty price_fen [min_qty = take so much or nothing]
    OFFER         account instrument side qty price_fen
    TAKE          account target_id qty         (of an offer)
    OPEN_ACCOUNT  account [group] flags = Participant
    DEPOSIT       account amount_fen
    WITHDRAW      account amount_fen
    ISSUE         account instrument qty        (new units, from nowhere: the one source of units)
    SURRENDER     account instrument qty        (to the government's account)
    FINE          account amount_fen            (to the government's account)
    DEDUCT        account instrument qty        (forced, to the government's account)
    PHASE         phase
    DAY_ROLL      date = yyyymmdd of the day that begins
    SET_RULE      instrument rule amount_fen    (amount_fen carries the new value, in the rule's own unit)
    KILL_SWITCH   account flags = 1 (only cancels from now on; orders, offers, proposals are cancelled) or 0
    END_STAGE     target_id                     (an auction: on to its next stage, or settled)
"""

from typing import Final

import numpy as np

VERSION: Final = 1

COMMAND: Final = np.dtype(
    [
        ("time_ns", "<i8"),
        ("qty", "<i8"),
        ("min_qty", "<i8"),
        ("target_id", "<i8"),
        ("amount_fen", "<i8"),
        ("until_ns", "<i8"),
        ("client_ref", "<i8"),
        ("price_fen", "<i4"),
        ("limit_price_fen", "<i4"),
        ("account", "<i4"),
        ("contra", "<i4"),
        ("instrument", "<i4"),
        ("group", "<i4"),
        ("date", "<i4"),
        ("rule", "<i4"),
        ("kind", "u1"),
        ("side", "u1"),
        ("ord_type", "u1"),
        ("tif", "u1"),
        ("mode", "u1"),
        ("phase", "u1"),
        ("flags", "<u2"),
    ]
)
"""96 bytes. `flags` of OPEN_ACCOUNT is the `Participant`."""

EVENT: Final = np.dtype(
    [
        ("seq", "<i8"),
        ("command_seq", "<i8"),
        ("time_ns", "<i8"),
        ("order_id", "<i8"),
        ("contra_id", "<i8"),
        ("qty", "<i8"),
        ("leaves_qty", "<i8"),
        ("contra_leaves_qty", "<i8"),
        ("amount_fen", "<i8"),
        ("fee_fen", "<i8"),
        ("contra_fee_fen", "<i8"),
        ("client_ref", "<i8"),
        ("price_fen", "<i4"),
        ("low_price_fen", "<i4"),
        ("high_price_fen", "<i4"),
        ("account", "<i4"),
        ("contra", "<i4"),
        ("instrument", "<i4"),
        ("kind", "u1"),
        ("side", "u1"),
        ("mode", "u1"),
        ("phase", "u1"),
        ("reason", "<u2"),
        ("flags", "<u2"),
    ]
)
"""128 bytes. `seq` counts events from 1, `command_seq` commands from 1; `amount_fen` of a trade is its value."""

_ABSENT = np.zeros(1, COMMAND)
for _field in ("qty", "min_qty", "target_id", "amount_fen", "until_ns", "client_ref", "price_fen",
               "limit_price_fen", "account", "contra", "instrument", "group", "date", "rule"):  # fmt: skip
    _ABSENT[_field] = -1


def empty_commands(count: int) -> np.ndarray:
    """`count` command rows, shape (count,), every field absent (`NONE`; codes 0)."""
    return np.repeat(_ABSENT, count)


def command(kind: int, **fields: int) -> np.ndarray:
    """One command, shape (1,): `command(CommandKind.DEPOSIT, account=2, amount_fen=5_000_00)`."""
    row = _ABSENT.copy()
    row["kind"] = kind
    for name, value in fields.items():
        row[name] = value
    return row
