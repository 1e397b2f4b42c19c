"""A venue's way back: the last good snapshot, then the journal's commits after it, through the same `Replica.apply`.

    create      a new journal; its header holds the rulebook's text, so that it is replayed under its own rules
    recover     journal and replica of an existing one
    replay      commits into a replica

Nothing else reads what a commit holds.
"""

import hashlib
import time
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog

from engine.jit import SOURCES_DIGEST
from engine.rules.compiler import compile_rulebook
from engine.rules.schema import Rulebook, find_rulebook, parse_rulebook
from gateway.desk.replica import Applied, Replica
from gateway.journal.errors import JournalError
from gateway.journal.snapshots import Snapshots
from gateway.journal.store import Commit, Journal
from gateway.wire.records import RECORD, VERSION

log = structlog.get_logger()

FORMAT = "emex journal"


class Venue(NamedTuple):
    """What a journal holds, ready to go on."""

    journal: Journal
    replica: Replica
    book: Rulebook
    snapshots: Snapshots
    replayed: int
    """Commits that no snapshot contained."""


def sources_digest() -> str:
    """Digest of the code that decides what a replica's arrays mean."""
    root = Path(__file__).parents[1]
    digest = hashlib.blake2b(SOURCES_DIGEST.encode(), digest_size=8)
    for path in sorted([*(root / "gateway" / "desk").glob("*.py"), root / "gateway" / "wire" / "records.py",
                        root / "engine" / "exchange.py", *(root / "engine" / "rules").glob("*.py")]):  # fmt: skip
        digest.update(path.read_bytes())
    return digest.hexdigest()


def create(path: Path, rules: str) -> Venue:
    """A new venue under a rulebook (name or path). Raises `JournalError` where the file exists already."""
    book = find_rulebook(rules)
    header = {
        "format": FORMAT,
        "version": str(VERSION),
        "emex": version("emex"),
        "rules": book.name,
        "rules_hash": book.rules_hash,
        "rulebook": book.path.read_text(encoding="utf-8"),
        "created_ns": str(time.time_ns()),
    }
    journal = Journal.create(path, header)
    return Venue(journal, Replica(compile_rulebook(book)), book, snapshots_of(path), 0)


def recover(path: Path) -> Venue:
    """An existing venue. Raises `JournalError`, or `JournalDamagedError` with the place of the damage."""
    journal = Journal.open(path)
    try:
        book = rulebook_of(path, journal)
        snapshots = snapshots_of(path)
        replica, after = Replica(compile_rulebook(book)), 0
        for snapshot in snapshots.newest():
            if _belongs(journal, snapshot.number, snapshot.chain):
                replica, after = Replica.restore(compile_rulebook(book), snapshot.tables), snapshot.number
                break
            log.warning("snapshot is not of this journal, passed over", commit=snapshot.number)
        replayed = sum(1 for _ in replay(replica, journal, after))
    except BaseException:
        journal.close()
        raise
    return Venue(journal, replica, book, snapshots, replayed)


def rulebook_of(path: Path, journal: Journal) -> Rulebook:
    """The rulebook under which a journal was written."""
    header = journal.header
    if header.get("format") != FORMAT or header.get("version") != str(VERSION):
        found = f"{header.get('format')} {header.get('version')}"
        raise JournalError(f"{path}: header: got {found!r}, expected '{FORMAT} {VERSION}'")
    return parse_rulebook(Path(f"{header['rules']}.toml"), header["rulebook"].encode())


def replay(replica: Replica, journal: Journal, after: int = 0) -> Iterator[tuple[Commit, Applied]]:
    """Apply the commits after that number, one by one."""
    for commit in journal.commits(after):
        yield commit, replica.apply(records_of(commit))


def records_of(commit: Commit) -> np.ndarray:
    """RECORD rows of one commit, shape (n,); writable, because to the compiler read-only rows are of another type."""
    return np.frombuffer(bytearray(commit.payload), RECORD)


def _belongs(journal: Journal, number: int, chain: str) -> bool:
    return number <= journal.head.number and journal.digest_at(number).hex() == chain


def snapshots_of(path: Path) -> Snapshots:
    """The snapshots beside a journal."""
    return Snapshots(path.with_name(path.name + ".snapshots"), sources_digest())
