"""When a venue is open: by its rulebook's timetable, always (for classes at any hour), or as its operator says.

The clock is read outside; here a moment becomes the phase and day-roll commands that are due.
"""

import datetime as dt
from enum import StrEnum

import numpy as np

from engine.codes import CommandKind, Phase
from engine.records import command
from engine.rules.schema import Rulebook, in_force
from engine.rules.sessions import Timetable

_NOT_TRADING = (Phase.CLOSED, Phase.BREAK, Phase.HALTED, Phase.CALL, Phase.OPENING)


class Hours(StrEnum):
    """How phases come about."""

    ALWAYS = "always"
    """Open around the clock; a day begins at the venue's midnight."""
    TIMETABLE = "timetable"
    """The rulebook's trading days and sessions, by this machine's clock."""
    OPERATOR = "operator"
    """Only by the operator's commands."""


class _AlwaysOpen(Timetable):
    """Every day is a trading day, and all of it is one session."""

    def __init__(self, book: Rulebook, done_ns: int | None) -> None:
        super().__init__(book, done_ns)
        self._sessions = book.timetable

    def phases(self, date: dt.date) -> list[np.ndarray]:
        """The one phase of the day: the first in which this market trades."""
        rows = in_force(self._sessions, date) if self._sessions else ()
        trading = [phase for _, phase in rows if phase not in _NOT_TRADING]
        return [command(CommandKind.PHASE, time_ns=self.midnight_ns(date), phase=trading[0])] if trading else []


def timetable_of(hours: Hours, book: Rulebook, done_ns: int | None) -> Timetable | None:
    """What hands in phases; None where the operator does.

    Parameters
    ----------
    done_ns : time of the last command of a venue that starts again; None for a new one
    """
    match hours:
        case Hours.ALWAYS:
            return _AlwaysOpen(book, done_ns)
        case Hours.TIMETABLE:
            return Timetable(book, done_ns)
        case Hours.OPERATOR:
            return None
