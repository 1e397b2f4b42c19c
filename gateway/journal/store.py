"""The journal: an append-only sequence of commits in SQLite, each durable before anybody hears of it.

    row of a commit    number, first_record, records, time_ns, crc, digest, payload (opaque bytes)
    digest             BLAKE2b over the digest before it and everything in the row: a chain, begun by the header's

WAL with `synchronous=FULL`: a commit returns when its frames are fsynced. A torn last transaction is cut by SQLite
when it opens the file. A flipped bit inside the write-ahead log would be cut in the same way, with every commit behind
it; the witness (`witness.py`), a side file that names the last commit, turns that into an error.

Noticed: any change of a stored row, a row missing, doubled or in another place, an acknowledged commit that is gone
although the process only died. Not noticed: acknowledged commits that a disk which lies about fsync loses in a power
cut, together with the witness of them.
"""

import fcntl
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import apsw

from gateway.journal.errors import JournalDamagedError, JournalError, JournalFailedError
from gateway.journal.witness import Opener, Seen, Witness

_SCHEMA = """
CREATE TABLE header (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
CREATE TABLE commits (
    number INTEGER PRIMARY KEY, first_record INTEGER NOT NULL, records INTEGER NOT NULL, time_ns INTEGER NOT NULL,
    crc INTEGER NOT NULL, digest BLOB NOT NULL, payload BLOB NOT NULL
);
"""
_COLUMNS = "number, first_record, records, time_ns, crc, digest, payload"
_DIGEST = "digest of the header"
"""Key of the header's own digest, the first of the chain."""


class Head(NamedTuple):
    """Where the journal ends."""

    number: int
    """Of the last commit; 0 when there is none."""
    records: int
    """In all commits together."""
    digest: bytes
    """Of the last commit."""


class Commit(NamedTuple):
    """One commit, verified."""

    number: int
    first_record: int
    """Number of its first record, from 1."""
    records: int
    time_ns: int
    payload: bytes
    digest: bytes


class Journal:
    """An append-only sequence of commits. Make one with `create`, `open` or `read_only`."""

    def __init__(self, path: Path, db: apsw.Connection, lock: IO[bytes] | None, witness: Witness | None) -> None:
        self.path = path
        self._db = db
        self._lock = lock
        self._witness = witness
        self._failed: JournalFailedError | None = None
        self.header: Mapping[str, str] = {}
        """What `create` was given."""
        self.head = Head(0, 0, b"")

    @classmethod
    def create(
        cls,
        path: Path,
        header: Mapping[str, str],
        *,
        vfs: str | None = None,
        exclusive: bool = False,
        opener: Opener | None = None,
    ) -> Self:
        """A new journal. Raises `JournalError` where the file exists.

        Parameters
        ----------
        header : kept with the journal and covered by the chain
        vfs, exclusive, opener : a disk to test with (a VFS without shared memory needs exclusive locking)
        """
        if path.exists():
            raise JournalError(f"{path}: exists already, expected the name of a new journal")
        journal = cls(path, *_open_for_writing(path, vfs, opener, exclusive=exclusive))
        try:
            with journal._db:
                for statement in filter(str.strip, _SCHEMA.split(";")):
                    journal._db.execute(statement)
                rows = [*header.items(), (_DIGEST, _header_digest(header).hex())]
                journal._db.executemany("INSERT INTO header VALUES (?, ?)", rows)
            journal._load()
        except apsw.Error as error:
            journal._give_up()
            raise JournalFailedError(f"{path}: cannot be made: {error}") from None
        return journal

    @classmethod
    def open(cls, path: Path, *, vfs: str | None = None, exclusive: bool = False, opener: Opener | None = None) -> Self:
        """An existing journal, to go on with. Raises `JournalError`, also where another process has it open."""
        if vfs is None and not path.exists():
            raise JournalError(f"{path}: there is no such journal")
        journal = cls(path, *_open_for_writing(path, vfs, opener, exclusive=exclusive))
        try:
            journal._load()
            journal._hear_witness()
        except apsw.Error as error:
            journal._give_up()
            raise JournalDamagedError(f"{path}: cannot be read as a journal: {error}") from None
        except JournalError:
            journal._give_up()
            raise
        return journal

    @classmethod
    def read_only(cls, path: Path) -> Self:
        """For reading, also while another process appends. Raises `JournalError`."""
        if not path.exists():
            raise JournalError(f"{path}: there is no such journal")
        try:
            journal = cls(path, apsw.Connection(str(path), flags=apsw.SQLITE_OPEN_READONLY), None, None)
            journal._load()
        except apsw.Error as error:
            raise JournalDamagedError(f"{path}: cannot be read as a journal: {error}") from None
        return journal

    def _load(self) -> None:
        """Header and head. Raises `JournalDamagedError` where they are not whole."""
        stored = {str(key): str(value) for key, value in self._db.execute("SELECT key, value FROM header")}
        digest = stored.pop(_DIGEST, "")
        if _header_digest(stored).hex() != digest:
            raise JournalDamagedError(f"{self.path}: the header is not what was written")
        self.header = stored
        self.head = Head(0, 0, bytes.fromhex(digest))
        for row in self._db.execute(f"SELECT {_COLUMNS} FROM commits ORDER BY number DESC LIMIT 1"):  # noqa: S608
            before = self.digest_at(int(row[0]) - 1)
            last = self._verified(row, int(row[0]), int(row[1]), before)
            self.head = Head(last.number, last.first_record + last.records - 1, last.digest)

    def _hear_witness(self) -> None:
        """Refuse a journal that has lost what the witness saw."""
        assert self._witness is not None
        try:
            seen = self._witness.read()
        except ValueError as error:
            raise JournalDamagedError(f"{self.path}: {error}") from None
        if seen is None:
            return
        if seen.number > self.head.number:
            lost = f"commit {self.head.number + 1} (record {self.head.records + 1}) and later ones are missing"
            raise JournalDamagedError(f"{self.path}: {lost}; commit {seen.number} was acknowledged")
        if self.digest_at(seen.number) != seen.digest:
            raise JournalDamagedError(f"{self.path}: commit {seen.number} is not the one that was acknowledged")

    def append(self, payload: bytes, records: int, time_ns: int) -> int:
        """Make one commit durable; returns its number.

        Raises
        ------
        JournalFailedError
            Disk full, an I/O error, a failed fsync. Whether the commit is there is unknown until the journal is opened
            again; every later call raises the same.
        """
        if self._failed is not None:
            raise self._failed
        number, first = self.head.number + 1, self.head.records + 1
        crc = zlib.crc32(payload)
        digest = _commit_digest(self.head.digest, number, first, records, time_ns, payload)
        row = number, first, records, time_ns, crc, digest, payload
        try:
            self._db.execute("INSERT INTO commits VALUES (?, ?, ?, ?, ?, ?, ?)", row)
            assert self._witness is not None
            self._witness.write(Seen(number, digest))
        except (apsw.Error, OSError) as error:
            self._failed = JournalFailedError(f"{self.path}: commit {number} failed: {error}")
            raise self._failed from None
        self.head = Head(number, first + records - 1, digest)
        return number

    def commits(self, after: int = 0) -> Iterator[Commit]:
        """Commits from number `after` + 1 to the head as of now, each verified. Raises `JournalDamagedError`."""
        before, expected = self.digest_at(after), after + 1
        record = self._first_record(after)
        end = self.head.number
        query = f"SELECT {_COLUMNS} FROM commits WHERE number > ? AND number <= ? ORDER BY number"  # noqa: S608
        try:
            for row in self._db.execute(query, (after, end)):
                commit = self._verified(row, expected, record, before)
                yield commit
                before, expected, record = commit.digest, expected + 1, record + commit.records
        except apsw.Error as error:
            raise self._damaged(expected, record, str(error)) from None
        if expected != end + 1:
            raise self._damaged(expected, record, "it is missing")

    def digest_at(self, number: int) -> bytes:
        """Place of a commit in the chain; of 0 the header's."""
        if number == 0:
            return _header_digest(self.header)
        for (digest,) in self._db.execute("SELECT digest FROM commits WHERE number = ?", (number,)):
            return bytes(digest)
        raise self._damaged(number, 0, "it is missing")

    def _first_record(self, after: int) -> int:
        if after == 0:
            return 1
        query = "SELECT first_record + records FROM commits WHERE number = ?"
        return int(next(self._db.execute(query, (after,)))[0])

    def _verified(self, row: tuple[Any, ...], number: int, first: int, before: bytes) -> Commit:
        """A row as a commit, if it is the one that was written there."""
        found, first_record, records, time_ns, crc, digest, payload = row
        kinds = [type(value) for value in row]
        if kinds != [int, int, int, int, int, bytes, bytes]:
            raise self._damaged(number, first, "its row has other types than were written")
        if found != number or first_record != first:
            raise self._damaged(number, first, f"found commit {found} with record {first_record} in its place")
        if zlib.crc32(payload) != crc:
            raise self._damaged(number, first, "its checksum does not fit")
        if _commit_digest(before, number, first, records, time_ns, payload) != digest:
            raise self._damaged(number, first, "the hash chain breaks here")
        return Commit(number, first, records, time_ns, payload, digest)

    def _damaged(self, number: int, first: int, what: str) -> JournalDamagedError:
        return JournalDamagedError(f"{self.path}: commit {number} (from record {first}): {what}")

    def wal_bytes(self) -> int:
        """Size of the write-ahead log."""
        wal = self.path.with_name(self.path.name + "-wal")
        return wal.stat().st_size if wal.exists() else 0

    def checkpoint(self) -> None:
        """Fold most of the write-ahead log into the file, for a worker thread: it has a connection of its own."""
        other = apsw.Connection(str(self.path))
        try:
            other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
        finally:
            other.close()

    def empty_log(self) -> None:
        """Fold in what is left of the write-ahead log and begin it anew; quick after `checkpoint`."""
        try:
            self._db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
        except apsw.Error as error:
            self._failed = JournalFailedError(f"{self.path}: checkpoint failed: {error}")
            raise self._failed from None

    def close(self) -> None:
        """Fold the log in, close, and let others open it."""
        try:
            if self._failed is None and self._lock is not None:
                self.empty_log()
        finally:
            self._give_up()

    def _give_up(self) -> None:
        self._db.close()
        if self._witness is not None:
            self._witness.close()
        if self._lock is not None:
            self._lock.close()


def _open_for_writing(
    path: Path, vfs: str | None, opener: Opener | None, *, exclusive: bool
) -> tuple[apsw.Connection, IO[bytes], Witness]:
    """Database, lock and witness of a journal that nobody else writes."""
    lock = path.with_name(path.name + ".lock").open("wb")
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise JournalError(f"{path}: is in use by another process") from None
    witness = Witness(path.with_name(path.name + ".witness"), opener)
    try:
        db = apsw.Connection(str(path), vfs=vfs)
        if exclusive:
            db.execute("PRAGMA locking_mode = EXCLUSIVE")
        for pragma in ("journal_mode = WAL", "synchronous = FULL", "wal_autocheckpoint = 0"):
            db.execute(f"PRAGMA {pragma}")
    except apsw.Error as error:
        witness.close()
        lock.close()
        raise JournalDamagedError(f"{path}: cannot be opened as a journal: {error}") from None
    return db, lock, witness


def _header_digest(header: Mapping[str, str]) -> bytes:
    digest = hashlib.blake2b(digest_size=16)
    for key, value in sorted(header.items()):
        for text in (key.encode(), value.encode()):
            digest.update(len(text).to_bytes(8, "little") + text)
    return digest.digest()


def _commit_digest(before: bytes, number: int, first: int, records: int, time_ns: int, payload: bytes) -> bytes:
    digest = hashlib.blake2b(before, digest_size=16)
    for value in (number, first, records, time_ns):
        digest.update(value.to_bytes(8, "little", signed=True))
    digest.update(payload)
    return digest.digest()
