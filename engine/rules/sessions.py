"""The timetable: from a moment to the phase and day-roll commands that must come before it.

The core never derives a phase or a date from a time stamp; every door asks this file and hands the commands in.
"""

import datetime as dt
from collections.abc import Iterator

import numpy as np

from engine.codes import CommandKind
from engine.records import command
from engine.rules.compiler import date_number
from engine.rules.schema import Rulebook, in_force

DAY_NS = 24 * 3600 * 10**9
_EPOCH = dt.date(1970, 1, 1)


class Timetable:
    """Walks forward through local days and phases of one rulebook.

    Parameters
    ----------
    done_ns : everything due until then has been handed in already (a venue that starts again); None = nothing yet
    """

    def __init__(self, book: Rulebook, done_ns: int | None = None) -> None:
        self._offset_ns = book.utc_offset_hours * 3600 * 10**9
        self._timetable = book.timetable
        self._weekdays = book.weekdays
        self._extra_days = book.extra_days[0].compiled if book.extra_days else frozenset()
        self._now_ns = done_ns

    def local_date(self, time_ns: int) -> dt.date:
        """Calendar day at the venue."""
        return _EPOCH + dt.timedelta(days=(time_ns + self._offset_ns) // DAY_NS)

    def midnight_ns(self, date: dt.date) -> int:
        """Start of the venue's day, ns since the epoch."""
        return (date - _EPOCH).days * DAY_NS - self._offset_ns

    def day_roll(self, date: dt.date, time_ns: int | None = None) -> np.ndarray:
        """The DAY_ROLL that begins `date`, at midnight unless told, shape (1,)."""
        time_ns = self.midnight_ns(date) if time_ns is None else time_ns
        return command(CommandKind.DAY_ROLL, time_ns=time_ns, date=date_number(date))

    def phases(self, date: dt.date) -> list[np.ndarray]:
        """The PHASE commands of one trading day; none on a day without trading."""
        if not self._timetable or not self._trades_on(date):
            return []
        start, rows = self.midnight_ns(date), in_force(self._timetable, date)
        return [command(CommandKind.PHASE, time_ns=start + at, phase=phase) for at, phase in rows]

    def _trades_on(self, date: dt.date) -> bool:
        if not self._weekdays or date in self._extra_days:
            return True
        return date.isoweekday() in in_force(self._weekdays, date)

    def advance(self, time_ns: int) -> Iterator[np.ndarray]:
        """Commands due after the previous call and not later than `time_ns`; none for a venue that never closes."""
        if not self._timetable:
            return
        today = self.local_date(time_ns)
        if self._now_ns is None or self.local_date(self._now_ns) < today:
            yield self.day_roll(today)
            since = self.midnight_ns(today)
        else:
            since = self._now_ns + 1
        for phase in self.phases(today):
            if since <= phase["time_ns"][0] <= time_ns:
                yield phase
        self._now_ns = time_ns
