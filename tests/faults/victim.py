"""A venue that kills itself (SIGKILL) at one place inside a commit, a snapshot or its recovery.

    python -m tests.faults.victim --place before_witness --number 17 serve generic --journal …

It is `emex serve` with a few methods wrapped; the product knows nothing of it. What it has to say (where it came back
to after its start, where it dies) are lines of JSON on standard error, written at that moment and not later, so that a
death is counted where it happened. It changes nothing that the venue does before it dies.
"""

import argparse
import json
import math
import os
import random
import signal
import threading
import time
from collections.abc import Iterator
from enum import StrEnum
from pathlib import Path
from typing import Any, NoReturn

import numpy as np

import emex
from gateway import recovery, serve
from gateway.desk.kept import Kept
from gateway.desk.replica import Replica
from gateway.journal.store import Journal
from gateway.journal.witness import Witness
from tests.faults.witnesses import digest_of


class Place(StrEnum):
    """Where a venue dies."""

    OUTSIDE = "outside"
    """Killed by somebody else at any moment."""
    BEFORE_INSERT = "before_insert"
    """Commit: nothing is written yet."""
    DURING_INSERT = "during_insert"
    """Commit: while SQLite writes, by another thread."""
    BEFORE_WITNESS = "before_witness"
    """Commit: the row is durable, the witness does not know."""
    BEFORE_OUTPUTS = "before_outputs"
    """Commit: all is written, nobody is told."""
    WRITING_SNAPSHOT = "writing_snapshot"
    """In the middle of the file."""
    BEFORE_RENAME = "before_rename"
    """The file is synced under its unfinished name."""
    AFTER_RENAME = "after_rename"
    """The file is there, old ones too."""
    JOURNAL_OPENED = "journal_opened"
    """Recovery: SQLite has cut its log."""
    SNAPSHOT_RESTORED = "snapshot_restored"
    """Recovery: nothing is replayed."""
    REPLAYING = "replaying"
    """Recovery: after some commits."""


COMMIT = Place.BEFORE_INSERT, Place.DURING_INSERT, Place.BEFORE_WITNESS, Place.BEFORE_OUTPUTS
SNAPSHOT = Place.WRITING_SNAPSHOT, Place.BEFORE_RENAME, Place.AFTER_RENAME
RECOVERY = Place.JOURNAL_OPENED, Place.SNAPSHOT_RESTORED, Place.REPLAYING
_STRIKE_SECONDS = 1e-6, 6e-4
"""From the first page that SQLite writes for a commit to the end of its fsync."""


def tell(**what: Any) -> None:
    """Say something at once."""
    os.write(2, json.dumps({"victim": what}).encode() + b"\n")


def die(place: Place, **where: Any) -> NoReturn:
    """Die here."""
    tell(place=place, **where)
    os.kill(os.getpid(), signal.SIGKILL)
    raise AssertionError("still alive")


class _Stopper:
    """Stands in for a file and dies after so many bytes."""

    def __init__(self, file: Any, size: int) -> None:
        self._file, self._left = file, size

    def write(self, data: Any) -> int:
        part = memoryview(data).cast("B")[: self._left]
        self._left -= len(part)
        self._file.write(part)
        if self._left <= 0:
            self._file.flush()
            die(Place.WRITING_SNAPSHOT, bytes=self._file.tell())
        return len(part)

    def __getattr__(self, name: str) -> Any:
        return getattr(self._file, name)


class _Strike:
    """A thread that dies some time after `begin`, unless `end` comes first."""

    def __init__(self, delay: float, commit: int) -> None:
        self._delay, self._commit = delay, commit
        self._inside = False
        self._ready = threading.Event()
        self._thread = threading.Thread(target=self._wait, daemon=True)
        self._thread.start()

    def begin(self) -> None:
        tell(place=Place.DURING_INSERT, commit=self._commit)
        self._inside = True
        self._ready.set()

    def end(self) -> None:
        self._inside = False

    def _wait(self) -> None:
        kill, ours, signal_number = os.kill, os.getpid(), signal.SIGKILL
        self._ready.wait()
        until = time.perf_counter() + self._delay
        while self._inside and time.perf_counter() < until:
            pass
        # Who ends the commit needs the interpreter's lock, and this thread does not let it go between here and its
        # death. Where the commit was quicker, the next one is struck at.
        if self._inside:
            kill(ours, signal_number)
        tell(place=Place.OUTSIDE, too_late_for=self._commit)


def _die_in_commit(place: Place, number: int, rng: random.Random) -> None:
    """The `number`th commit of this run, counted from 1, is the last; one that outran its strike is not."""
    append, write = Journal.append, Witness.write
    count = 0
    strike: _Strike | None = None

    def dying_append(self: Journal, *args: Any) -> int:
        nonlocal count, strike
        count += 1
        commit = self.head.number + 1
        if count >= number:
            if place is Place.BEFORE_INSERT:
                die(place, commit=commit)
            if place is Place.DURING_INSERT:
                strike = _Strike(math.exp(rng.uniform(*map(math.log, _STRIKE_SECONDS))), commit)
                strike.begin()
        done = append(self, *args)
        if count == number and place is Place.BEFORE_OUTPUTS:
            die(place, commit=commit)
        return done

    def dying_write(self: Witness, *args: Any) -> None:
        if strike is not None:
            strike.end()
        if count == number and place is Place.BEFORE_WITNESS:
            die(place, commit=args[0].number)
        write(self, *args)

    Journal.append, Witness.write = dying_append, dying_write  # type: ignore[method-assign]


def _die_in_snapshot(place: Place, number: int, rng: random.Random) -> None:
    """The `number`th snapshot of this run is the last."""
    savez, rename = np.savez, Path.rename
    count = 0

    def dying_savez(file: Any, *args: Any, **tables: Any) -> None:
        nonlocal count
        count += 1
        if count == number and place is Place.WRITING_SNAPSHOT:
            size = sum(table.nbytes for table in tables.values() if isinstance(table, np.ndarray))
            file = _Stopper(file, 1 + int(rng.random() * size))
        savez(file, *args, **tables)

    def dying_rename(self: Path, target: Path) -> Path:
        ours = self.suffix == ".tmp" and count == number
        if ours and place is Place.BEFORE_RENAME:
            die(place, file=self.name)
        renamed = rename(self, target)
        if ours and place is Place.AFTER_RENAME:
            die(place, file=target.name)
        return renamed

    np.savez = dying_savez
    Path.rename = dying_rename  # type: ignore[method-assign, assignment]


def _die_in_recovery(place: Place, number: int) -> None:
    """The `number`th commit that is replayed is the last, or the last one if there are fewer."""
    open_journal, restore, replay = Journal.open.__func__, Replica.restore.__func__, recovery.replay  # type: ignore[attr-defined]

    def dying_open(cls: type[Journal], *args: Any, **options: Any) -> Journal:
        journal: Journal = open_journal(cls, *args, **options)
        if place is Place.JOURNAL_OPENED:
            die(place, commit=journal.head.number)
        return journal

    def dying_restore(cls: type[Replica], *args: Any) -> Replica:
        replica: Replica = restore(cls, *args)
        if place is Place.SNAPSHOT_RESTORED:
            die(place, command=replica.exchange.command_seq)
        return replica

    def dying_replay(*args: Any) -> Iterator[Any]:
        count = 0
        for pair in replay(*args):
            count += 1
            if count == number:
                break
            yield pair
        die(Place.REPLAYING, commits=count)

    Journal.open = classmethod(dying_open)  # type: ignore[method-assign, assignment]
    Replica.restore = classmethod(dying_restore)  # type: ignore[method-assign, assignment]
    recovery.replay = dying_replay


def _tell_where_it_came_back() -> None:
    open_venue = serve.open_venue

    def telling(*args: Any) -> recovery.Venue:
        venue = open_venue(*args)
        tell(commits=venue.journal.head.number, replayed=venue.replayed, digest=digest_of(venue.replica))
        return venue

    serve.open_venue = telling


def main() -> None:
    """Serve until death."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--place", type=Place, default=Place.OUTSIDE)
    parser.add_argument("--number", type=int, default=1)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--snapshot-events", type=int, default=serve.SNAPSHOT_EVENTS)
    parser.add_argument("--kept", type=int, default=0, help="how many requests and reports stay; 0 = as shipped")
    ours, theirs = parser.parse_known_args()
    rng = random.Random(ours.seed)
    serve.SNAPSHOT_EVENTS = ours.snapshot_events
    serve.SNAPSHOT_REST = 0
    if ours.kept:
        Kept.__init__.__defaults__ = (ours.kept,)
    _tell_where_it_came_back()
    if ours.place in COMMIT:
        _die_in_commit(ours.place, ours.number, rng)
    elif ours.place in SNAPSHOT:
        _die_in_snapshot(ours.place, ours.number, rng)
    elif ours.place in RECOVERY:
        _die_in_recovery(ours.place, ours.number)
    emex.main(theirs)


if __name__ == "__main__":
    main()
