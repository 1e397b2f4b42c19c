"""The exchange as an agent sees it: send commands, read the tape, one's own balances, five levels of depth by product.

Behind it is a `Venue`: an engine in this process, or a gateway's client (`sim/remote.py`); nobody above can tell which.
The sim never makes a price or a volume: whatever trades has passed through `send`. This file may not hold behaviour.
"""

import datetime as dt
from dataclasses import dataclass
from typing import Protocol

import numpy as np

from engine.codes import CommandKind, EventKind, Rule, Side, TradingMode
from engine.core.state import Account, Units
from engine.digest import EventDigest
from engine.feed.depth import DepthFeed
from engine.memory import joined
from engine.records import EVENT, command, empty_commands
from engine.rules.schema import Rulebook, in_force
from engine.rules.sessions import Timetable
from sim.venue import rule_on

GOVERNMENT = 1
"""Its account number."""
FIRST_ACCOUNT = 2
"""Account number of participant 0; 0 and 1 belong to the exchange and the government."""
OFFERS = (TradingMode.OFFER,)
"""What the public sees where there is no screen."""
_IN_TONNES = (CommandKind.ISSUE, CommandKind.SURRENDER, CommandKind.DEDUCT)


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


@dataclass(frozen=True)
class Opened:
    """An instrument's day as it begins."""

    close_fen: int
    """Previous close."""
    low_fen: int
    high_fen: int


class Port:
    """One venue, under the rulebook `book`, for one season."""

    def __init__(self, book: Rulebook, venue: Venue) -> None:
        self.book, self._venue = book, venue
        self.timetable = Timetable(self.book)
        offers = in_force(book.rules[None, Rule.MODE], dt.date.max) == TradingMode.NO_SCREEN
        self.feeds = [DepthFeed(number, OFFERS) if offers else DepthFeed(number) for number in range(len(book.symbols))]
        self._digest = EventDigest()
        self._parts: list[np.ndarray] = []
        self._time_ns = 0

    def send(self, rows: np.ndarray) -> np.ndarray:
        """Submit COMMAND rows at the running time; returns their EVENT rows."""
        if len(rows) == 0:
            return np.zeros(0, EVENT)
        rows["time_ns"] = self._time_ns
        events = self._venue.submit(rows)
        self._digest.update(events)
        self._parts.append(events)
        for number in np.unique(events["instrument"]):
            if number >= 0:
                self.feeds[number].update(events)
        return events

    def rule(self, rule: Rule, day: np.datetime64, instrument: int = 0) -> int:
        """A number of the rulebook as in force on `day`; NONE (-1) where it says nothing."""
        return rule_on(self.book, rule, day, instrument)

    def tradable(self, instrument: int, day: np.datetime64) -> bool:
        """Whether the product trades on `day`."""
        return self.rule(Rule.TRADABLE, day, instrument) != 0

    def roll(self, day: np.datetime64) -> tuple[np.ndarray, list[Opened]]:
        """Roll to `day`: the roll's EVENT rows, and every instrument's reference price and limits."""
        roll = self.timetable.day_roll(day.astype(dt.date))
        self._time_ns = int(roll["time_ns"][0])
        events = self.send(roll)
        opened = events[events["kind"] == EventKind.DAY_OPENED]
        opened = opened[np.argsort(opened["instrument"])]
        return events, [Opened(int(e["price_fen"]), int(e["low_price_fen"]), int(e["high_price_fen"])) for e in opened]

    def phases(self, day: np.datetime64) -> list[np.ndarray]:
        """The day's PHASE commands for `enter_phase`."""
        return self.timetable.phases(day.astype(dt.date))

    def enter_phase(self, phase: np.ndarray) -> None:
        """Send one PHASE command at its time."""
        self._time_ns = int(phase["time_ns"][0])
        self.send(phase)

    def advance(self, seconds: int) -> None:
        """Let time pass."""
        self._time_ns += seconds * 10**9

    def open_accounts(self, groups: np.ndarray, participants: np.ndarray) -> None:
        """One account a participant, with its group number and kind."""
        rows = empty_commands(len(groups))
        rows["kind"] = CommandKind.OPEN_ACCOUNT
        rows["account"] = np.arange(len(groups)) + FIRST_ACCOUNT
        rows["group"], rows["flags"] = groups, participants
        self.send(rows)

    def move(self, kind: CommandKind, who: np.ndarray, amounts: np.ndarray, instrument: int = 0) -> np.ndarray:
        """ISSUE, SURRENDER or DEDUCT (t), DEPOSIT, WITHDRAW or FINE (fen) for each participant with an amount."""
        who, amounts = who[amounts > 0], amounts[amounts > 0]
        rows = empty_commands(len(who))
        rows["kind"], rows["account"] = kind, who + FIRST_ACCOUNT
        if kind in _IN_TONNES:
            rows["instrument"], rows["qty"] = instrument, amounts
        else:
            rows["amount_fen"] = amounts
        return self.send(rows)

    def withdraw_orders(self, count: int) -> None:
        """Everything that participants have standing is cancelled, after hours too, so that units are free."""
        rows = empty_commands(2 * count)
        rows["kind"] = CommandKind.KILL_SWITCH
        rows["account"] = np.tile(np.arange(count) + FIRST_ACCOUNT, 2)
        rows["flags"] = np.repeat([1, 0], count)
        self.send(rows)

    def issue_to_government(self, instrument: int, qty_t: int) -> None:
        """Units for a sale by the government."""
        self.send(command(CommandKind.ISSUE, account=GOVERNMENT, instrument=instrument, qty=qty_t))

    def cash_fen(self, count: int) -> np.ndarray:
        """Available cash by participant, int64, shape (count,)."""
        accounts, _ = self._venue.balances()
        return accounts[FIRST_ACCOUNT : FIRST_ACCOUNT + count, Account.CASH].copy()

    def units_t(self, count: int, instrument: int) -> np.ndarray:
        """Available units by participant, int64, shape (count,); units bought today are not among them."""
        _, units = self._venue.balances()
        return units[FIRST_ACCOUNT : FIRST_ACCOUNT + count, instrument, Units.AVAILABLE].copy()

    def events(self) -> np.ndarray:
        """The whole tape so far, EVENT rows."""
        return joined(self._parts) if self._parts else np.zeros(0, EVENT)

    def digest(self) -> str:
        """Digest over the tape."""
        return self._digest.hexdigest()

    def totals(self) -> dict[str, dict[str, int]]:
        """Conservation: cash in fen, and by symbol where every unit that was issued is, t. Asserts invariants."""
        self._venue.check()
        accounts, units = self._venue.balances()
        owned = units[:, :, : Units.BIDDING].sum(axis=2)
        cash_in, issued = self._venue.brought_in()
        tape = self.events()
        in_accounts = int(accounts[:, [Account.CASH, Account.CASH_HELD]].sum())
        found = {"cash": {"brought_in_fen": cash_in, "in_accounts_fen": in_accounts}}
        for number, symbol in enumerate(self.book.symbols):
            rows = tape[tape["instrument"] == number]
            gone = {
                name: int(rows["qty"][rows["kind"] == kind].sum())
                for name, kind in (("surrendered_t", EventKind.SURRENDERED), ("cancelled_t", EventKind.DEDUCTED))
            }
            with_government = int(owned[GOVERNMENT, number]) - sum(gone.values())
            found[symbol] = {
                "issued_t": issued[number],
                "held_t": int(owned[:, number].sum() - owned[GOVERNMENT, number]),
                **gone,
                "unsold_t": with_government,
            }
        return found


def proposal(buyer: int, seller: int, instrument: int, price_fen: int, qty_t: int) -> np.ndarray:
    """PROPOSE by the buyer to a named seller, one COMMAND row."""
    return command(
        CommandKind.PROPOSE, account=buyer + FIRST_ACCOUNT, contra=seller + FIRST_ACCOUNT, instrument=instrument,
        side=Side.BUY, price_fen=price_fen, qty=qty_t,
    )  # fmt: skip


def confirmation(seller: int, proposal_id: int) -> np.ndarray:
    """CONFIRM of a proposal by the seller, one COMMAND row."""
    return command(CommandKind.CONFIRM, account=seller + FIRST_ACCOUNT, target_id=proposal_id)
