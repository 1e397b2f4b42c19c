"""The exchange as an agent sees it: send commands, read the tape, one's own balances and five levels of depth.

Behind it is a `Venue`: an engine in this process, or a gateway's client (`sim/remote.py`); nobody above can tell which.
The sim never makes a price or a volume: whatever trades has passed through `send`. This file may not hold behaviour.
"""

import datetime as dt
from typing import Protocol

import numpy as np

from engine.codes import CommandKind, EventKind, OrdType, Rule, Side, TimeInForce
from engine.core.state import Account, Units
from engine.digest import EventDigest
from engine.feed.depth import DepthFeed
from engine.records import EVENT, command, empty_commands
from engine.rules.schema import Rulebook, in_force
from engine.rules.sessions import Timetable

FIRST_ACCOUNT = 2
"""Account number of firm 0; 0 and 1 belong to the exchange and the government."""
ALLOWANCE, OFFSET = 0, 1
"""Instruments of the rulebook."""


class Venue(Protocol):
    """What a port needs of whoever carries out its commands; both engines offer it."""

    def submit(self, commands: np.ndarray) -> np.ndarray:
        """Carry out COMMAND rows in order; returns their EVENT rows."""

    def balances(self) -> tuple[np.ndarray, np.ndarray]:
        """Cash (accounts, ACCOUNT_COLUMNS) and units (accounts, instruments, UNITS_COLUMNS)."""

    def brought_in(self) -> tuple[int, list[int]]:
        """Cash paid in and not out again, fen; units issued, t, by instrument."""

    def check(self) -> None:
        """Assert what it knows of its invariants."""


class Port:
    """One venue, under the rulebook `book`, for one season."""

    def __init__(self, book: Rulebook, venue: Venue) -> None:
        self.book, self._venue = book, venue
        self.timetable = Timetable(self.book)
        self.depth = DepthFeed()
        self._digest = EventDigest()
        self._parts: list[np.ndarray] = []
        self._time_ns = 0
        self.close_fen = self.low_fen = self.high_fen = 0
        """Reference price and limits of the running day."""

    def send(self, rows: np.ndarray) -> np.ndarray:
        """Submit COMMAND rows at the running time; returns their EVENT rows."""
        rows["time_ns"] = self._time_ns
        events = self._venue.submit(rows)
        self._digest.update(events)
        self._parts.append(events)
        self.depth.update(events)
        return events

    def rule(self, rule: Rule, day: np.datetime64) -> int:
        """A number of the rulebook that holds for every instrument, as in force on `day`."""
        return int(in_force(self.book.rules[None, rule], day.astype(dt.date)))

    def begin_day(self, day: np.datetime64) -> list[np.ndarray]:
        """Roll to `day`; returns the day's PHASE commands for `enter_phase`."""
        date = day.astype(dt.date)
        roll = self.timetable.day_roll(date)
        self._time_ns = int(roll["time_ns"][0])
        events = self.send(roll)
        opened = events[(events["kind"] == EventKind.DAY_OPENED) & (events["instrument"] == ALLOWANCE)][0]
        self.close_fen = int(opened["price_fen"])
        self.low_fen, self.high_fen = int(opened["low_price_fen"]), int(opened["high_price_fen"])
        return self.timetable.phases(date)

    def enter_phase(self, phase: np.ndarray) -> None:
        """Send one PHASE command at its time."""
        self._time_ns = int(phase["time_ns"][0])
        self.send(phase)

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self._time_ns += seconds * 10**9

    def open_accounts(self, groups: np.ndarray) -> None:
        """One account a firm, with its group number."""
        rows = empty_commands(len(groups))
        rows["kind"] = CommandKind.OPEN_ACCOUNT
        rows["account"] = np.arange(len(groups)) + FIRST_ACCOUNT
        rows["group"] = groups
        self.send(rows)

    def move(
        self, kind: CommandKind, firms: np.ndarray, amounts: np.ndarray, instrument: int = ALLOWANCE
    ) -> np.ndarray:
        """ISSUE, SURRENDER or DEDUCT (t), DEPOSIT, WITHDRAW or FINE (fen) for each firm with a positive amount."""
        firms, amounts = firms[amounts > 0], amounts[amounts > 0]
        rows = empty_commands(len(firms))
        rows["kind"], rows["account"] = kind, firms + FIRST_ACCOUNT
        if kind in (CommandKind.ISSUE, CommandKind.SURRENDER, CommandKind.DEDUCT):
            rows["instrument"], rows["qty"] = instrument, amounts
        else:
            rows["amount_fen"] = amounts
        return self.send(rows)

    def cash_fen(self, count: int) -> np.ndarray:
        """Available cash by firm, int64, shape (count,)."""
        accounts, _ = self._venue.balances()
        return accounts[FIRST_ACCOUNT : FIRST_ACCOUNT + count, Account.CASH].copy()

    def units_t(self, count: int, instrument: int = ALLOWANCE) -> np.ndarray:
        """Available units by firm, int64, shape (count,); units bought today are not among them."""
        _, units = self._venue.balances()
        return units[FIRST_ACCOUNT : FIRST_ACCOUNT + count, instrument, Units.AVAILABLE].copy()

    def best(self, side: Side) -> int | None:
        """Best displayed price, fen."""
        return self.depth.best(side)

    def events(self) -> np.ndarray:
        """The whole tape so far, EVENT rows."""
        return np.concatenate(self._parts) if self._parts else np.zeros(0, EVENT)

    def digest(self) -> str:
        """Digest over the tape."""
        return self._digest.hexdigest()

    def totals(self) -> dict[str, int]:
        """Conservation: what was brought in and what lies in all accounts together, t and fen. Asserts invariants."""
        self._venue.check()
        accounts, units = self._venue.balances()
        owned = units[:, :, : Units.BIDDING]
        cash_in, issued = self._venue.brought_in()
        return {
            "cash_in_fen": cash_in,
            "cash_in_accounts_fen": int(accounts[:, [Account.CASH, Account.CASH_HELD]].sum()),
            "allowances_issued_t": issued[ALLOWANCE],
            "allowances_in_accounts_t": int(owned[:, ALLOWANCE].sum()),
            "offsets_issued_t": issued[OFFSET],
            "offsets_in_accounts_t": int(owned[:, OFFSET].sum()),
        }


def listings(firms: np.ndarray, side: np.ndarray | int, prices_fen: np.ndarray, qty_t: np.ndarray) -> np.ndarray:
    """NEW limit day orders, COMMAND rows, shape (n,)."""
    rows = empty_commands(len(firms))
    rows["kind"], rows["account"], rows["instrument"] = CommandKind.NEW, firms + FIRST_ACCOUNT, ALLOWANCE
    rows["side"], rows["ord_type"], rows["tif"] = side, OrdType.LIMIT, TimeInForce.DAY
    rows["price_fen"], rows["qty"] = prices_fen, qty_t
    return rows


def clicks(firms: np.ndarray, side: int, limits_fen: np.ndarray, qty_t: np.ndarray) -> np.ndarray:
    """CLICK sweeps of the best levels, COMMAND rows, shape (n,)."""
    rows = listings(firms, side, limits_fen, qty_t)
    rows["kind"] = CommandKind.CLICK
    return rows


def proposal(buyer: int, seller: int, price_fen: int, qty_t: int) -> np.ndarray:
    """PROPOSE by the buyer to a named seller, one COMMAND row."""
    return command(
        CommandKind.PROPOSE, account=buyer + FIRST_ACCOUNT, contra=seller + FIRST_ACCOUNT, instrument=ALLOWANCE,
        side=Side.BUY, price_fen=price_fen, qty=qty_t,
    )  # fmt: skip


def confirmation(seller: int, proposal_id: int) -> np.ndarray:
    """CONFIRM of a proposal by the seller, one COMMAND row."""
    return command(CommandKind.CONFIRM, account=seller + FIRST_ACCOUNT, target_id=proposal_id)
