"""From events to reports: who is told what about each event, and how it looks from his side.

    everybody named in an event as its account or counterparty is told, if that account has been opened;
    who asked for it is told the outcome, also when he asked for somebody else (an operator).

Compiled, because it runs over every event; one call a batch. It reads no state.
"""

import numpy as np

from engine.codes import NONE, CommandKind, EventKind, RejectReason, Side, TradingMode
from engine.jit import entry, kernel

VENUE = 0
"""Principal of what the venue does itself: phases, day rolls, cancels after a disconnect."""
FIRST_ACCOUNT = 2
"""The exchange (0) and the government (1) are told nothing."""


@entry
def write_reports(
    events: np.ndarray,
    records: np.ndarray,
    first: int,
    known: np.ndarray,
    reports: np.ndarray,
    told: np.ndarray,
    asked: np.ndarray,
) -> int:
    """Write the reports of a batch, in order of events; returns how many.

    Parameters
    ----------
    events : EVENT rows of all `records`, ascending by command
    records : RECORD rows, shape (n,)
    first : command_seq of the first record
    known : bool by account number: who has been opened; those that these events open are added
    reports : REPORT rows to write, at least three for each event; `priv_seq` is left to the caller
    told : int64, who each report is for
    asked : int64, the record that each report is the outcome of, for who asked; else NONE
    """
    count, event = 0, 0
    for record in range(records.shape[0]):
        principal = np.int64(records[record]["principal"])
        kind = records[record]["command"]["kind"]
        begin = event
        while event < events.shape[0] and events[event]["command_seq"] == first + record:
            event += 1
        # These speak for themselves after what they set in motion; of all others the first event is the answer.
        at_end = (
            kind == CommandKind.MASS_CANCEL or kind == CommandKind.KILL_SWITCH or kind == CommandKind.BID
            or kind == CommandKind.END_STAGE or kind == CommandKind.PHASE or kind == CommandKind.DAY_ROLL
        )  # fmt: skip
        answer = event - 1 if at_end else begin
        for at in range(begin, event):
            account, contra = np.int64(events[at]["account"]), np.int64(events[at]["contra"])
            if events[at]["kind"] == EventKind.ACCOUNT_OPENED:
                known[account] = True
            own = FIRST_ACCOUNT <= account < known.shape[0] and known[account]
            if own:
                _write(events[at], False, account == principal, reports[count])
                told[count], asked[count] = account, NONE
                if at == answer and account == principal:
                    reports[count]["ref_seq"] = records[record]["seq"]
                    asked[count] = record
                count += 1
            if FIRST_ACCOUNT <= contra < known.shape[0] and known[contra]:
                _write(events[at], True, False, reports[count])
                told[count], asked[count] = contra, NONE
                count += 1
            if at == answer and principal != VENUE and not (own and account == principal):
                _write(events[at], False, True, reports[count])
                reports[count]["ref_seq"] = records[record]["seq"]
                told[count], asked[count] = principal, record
                count += 1
    return count


@kernel
def _write(event: np.ndarray, from_contra: bool, has_asked: bool, report: np.ndarray) -> None:
    """One event as its account sees it, or its counterparty; who has not asked does not see the asker's reference."""
    trade = event["kind"] == EventKind.TRADE
    agreed = (
        event["mode"] == TradingMode.BLOCK or event["mode"] == TradingMode.OFFER or event["mode"] == TradingMode.AUCTION
    )
    report["time_ns"] = event["time_ns"]
    report["exec_id"] = event["seq"]
    report["order_id"] = event["contra_id"] if trade and from_contra else event["order_id"]
    report["auction_id"] = NONE if trade else event["contra_id"]
    report["client_ref"] = event["client_ref"] if has_asked else NONE
    report["qty"] = event["qty"]
    report["leaves_qty"] = event["contra_leaves_qty"] if trade and from_contra else event["leaves_qty"]
    report["amount_fen"] = event["amount_fen"]
    report["fee_fen"] = event["contra_fee_fen"] if trade and from_contra else event["fee_fen"]
    report["price_fen"] = event["price_fen"]
    report["account"] = event["contra"] if from_contra else event["account"]
    report["contra"] = NONE
    if agreed:
        report["contra"] = event["account"] if from_contra else event["contra"]
    report["instrument"] = event["instrument"]
    report["ref_seq"] = 0
    report["exec_type"] = event["kind"]
    side = event["side"]
    if from_contra and side != 0:
        side = Side.BUY + Side.SELL - side
    report["side"] = side
    report["mode"] = event["mode"]
    report["phase"] = event["phase"]
    report["reason"] = event["reason"]
    if event["reason"] == RejectReason.NOT_OWNER:
        report["reason"] = RejectReason.UNKNOWN_ORDER
    report["flags"] = event["flags"]
    report["aggressor"] = trade and not from_contra
    report["poss_dup"] = 0
