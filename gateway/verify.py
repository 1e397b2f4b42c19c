"""Reading a journal from outside: is it whole, does it replay, does everything add up (`emex verify`, `emex export`).

A journal can be read while its venue runs; what is committed after the start is not looked at. Nothing is changed.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any, Self

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from rich.console import Console
from rich.table import Table

from engine.codes import CommandKind, EventKind, Phase, RejectReason, Side, TradingMode
from engine.digest import EventDigest, state_digest
from engine.rules.compiler import compile_rulebook
from gateway.desk.replica import Replica
from gateway.journal.errors import JournalDamagedError
from gateway.journal.store import Journal
from gateway.recovery import records_of, replay, rulebook_of, snapshots_of

Progress = Callable[[int, int], None]
"""Told (commits done, of how many)."""

_WORDS = {"kind": EventKind, "side": Side, "mode": TradingMode, "phase": Phase, "reason": RejectReason}
_ROWS_A_GROUP = 250_000


def verify(path: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Replay a journal from its first commit and check what must hold.

    Returns
    -------
    dict
        `events`, `records`, `commits`, `digest` (over the events), `state_digest`, and `invariants {name: held}`:
        chain (every commit is the one that was written), conserved (cash, units, holds, queues after the last event),
        reports (numbered without gaps), snapshots (each equals the replayed state of its commit).

    Raises
    ------
    JournalError
        There is no such journal, or its header cannot be read.
    """
    journal = Journal.read_only(path)
    book = rulebook_of(path, journal)
    replica, digest = Replica(compile_rulebook(book)), EventDigest()
    snapshots = {snapshot.number: snapshot.tables for snapshot in snapshots_of(path).newest()}
    held = {"chain": True, "conserved": True, "reports": True, "snapshots": True}
    fault = ""
    try:
        for commit, applied in replay(replica, journal):
            digest.update(applied.events)
            for number, rows in applied.reports.items():
                first = replica.principal(number).next_report - len(rows)
                held["reports"] &= bool((rows["priv_seq"] == np.arange(first, first + len(rows))).all())
            if commit.number in snapshots:
                held["snapshots"] &= _same(snapshots.pop(commit.number), replica.save())
            if progress:
                progress(commit.number, journal.head.number)
    except JournalDamagedError as error:
        held["chain"], fault = False, str(error)
    try:
        replica.exchange.check()
    except AssertionError as error:
        held["conserved"], fault = False, str(error)
    return {
        "rules": book.name,
        "commits": journal.head.number,
        "records": journal.head.records,
        "events": replica.exchange.event_seq,
        "digest": digest.hexdigest(),
        "state_digest": state_digest(replica.exchange.canonical_state()),
        "invariants": held,
        "fault": fault,
    }


def _same(stored: dict[str, np.ndarray], replayed: dict[str, np.ndarray]) -> bool:
    return stored.keys() == replayed.keys() and all(np.array_equal(stored[name], replayed[name]) for name in stored)


def export(path: Path, folder: Path, progress: Progress | None = None) -> dict[str, Any]:
    """Write a journal as Parquet: `commands.parquet` (who asked what, when) and `events.parquet` (what came of it).

    Raises `JournalError`, also where the journal is damaged: what stands before the damage is written.
    """
    journal = Journal.read_only(path)
    book = rulebook_of(path, journal)
    replica = Replica(compile_rulebook(book))
    folder.mkdir(parents=True, exist_ok=True)
    files = [folder / "commands.parquet", folder / "events.parquet"]
    with _Rows(files[0]) as commands, _Rows(files[1]) as events:
        for commit, applied in replay(replica, journal):
            records = records_of(commit)
            commands.add({"commit": np.full(len(records), commit.number), "principal": records["principal"],
                          "seq": records["seq"], **_columns(records["command"], {"kind": CommandKind})})  # fmt: skip
            events.add(_columns(applied.events, {}))
            if progress:
                progress(commit.number, journal.head.number)
    return {"rules": book.name, "commits": journal.head.number, "commands": commands.count, "events": events.count,
            "files": [str(file) for file in files]}  # fmt: skip


def _columns(rows: np.ndarray, words: dict[str, Any]) -> dict[str, Any]:
    """Structured rows as columns; codes as their names."""
    columns: dict[str, Any] = {}
    for name in rows.dtype.names or ():
        values = np.ascontiguousarray(rows[name])
        enum = words.get(name) or _WORDS.get(name)
        if enum is not None:
            known = {int(member): member.name.lower() for member in enum}
            columns[name] = pa.array([known.get(value, "") for value in values.tolist()], pa.string())
        else:
            columns[name] = values
    return columns


class _Rows:
    """A Parquet file that grows by batches."""

    def __init__(self, path: Path) -> None:
        self.count = 0
        self._path = path
        self._writer: pq.ParquetWriter | None = None
        self._waiting: list[pa.Table] = []
        self._rows = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._flush()
        if self._writer is not None:
            self._writer.close()

    def add(self, columns: dict[str, Any]) -> None:
        """Add rows."""
        self._waiting.append(pa.table(columns))
        self._rows += len(self._waiting[-1])
        self.count += len(self._waiting[-1])
        if self._rows >= _ROWS_A_GROUP:
            self._flush()

    def _flush(self) -> None:
        if not self._waiting:
            return
        table = pa.concat_tables(self._waiting)
        if self._writer is None:
            self._writer = pq.ParquetWriter(self._path, table.schema)
        self._writer.write_table(table)
        self._waiting, self._rows = [], 0


def print_verify(result: dict[str, Any], console: Console) -> None:
    """The result of `verify` as a small table."""
    console.print(f"{result['commits']:,} commits, {result['records']:,} commands, {result['events']:,} events, "
                  f"rulebook {result['rules']}")  # fmt: skip
    console.print(f"digest {result['digest']}, state {result['state_digest']}")
    table = Table("invariant", "", box=None)
    for name, held in result["invariants"].items():
        table.add_row(name, "held" if held else "[red]broken[/red]")
    console.print(table)
    if result["fault"]:
        console.print(f"[red]{result['fault']}[/red]")


def print_export(result: dict[str, Any], console: Console) -> None:
    """The result of `export`."""
    console.print(f"{result['commands']:,} commands and {result['events']:,} events in {', '.join(result['files'])}")
