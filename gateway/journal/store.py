"""The journal: an append-only sequence of commits in SQLite, each durable before anybody hears of it.

    row of a commit    number, first_record, records, time_ns, crc, digest, payload (opaque bytes)
    digest             BLAKE2b over the digest before it and everything in the row: a chain, begun by the header's

    create    written under another name, made durable, renamed: a journal is there whole or not at all
    append    WAL with `synchronous=FULL`: a commit returns when its frames are fsynced; then the witness is told
    open      read, checked, and only then touched: what was read is folded into the file and the log begun anew, so
              that nothing is built on what is there by luck (not synced when the process died, or when fsync failed)

A torn last transaction is cut by SQLite when it opens the file. A flipped bit inside the write-ahead log would be cut
in the same way, with every commit behind it; the witness (`witness.py`), a side file that names the last commit, turns
that into an error. A journal that cannot be opened is left as it was found.

Noticed: any change of a stored row, a row missing, doubled or in another place, pages out of order, an acknowledged
commit that is gone. Not noticed: acknowledged commits that are lost together with the witness of them, as on a disk
that lies about fsync, or where a power cut has set the witness back and the log is damaged before the next start; and
a forgery that rewrites chain and witness, for there is no key.
"""

import contextlib
import fcntl
import hashlib
import zlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import IO, Any, NamedTuple, Self

import apsw

from gateway.journal.disk import Disk
from gateway.journal.errors import JournalDamagedError, JournalError, JournalFailedError
from gateway.journal.witness import Seen, Witness

_TABLES = {
    "header": "CREATE TABLE header (key TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID",
    "commits": "CREATE TABLE commits (number INTEGER PRIMARY KEY, first_record INTEGER NOT NULL, "
    "records INTEGER NOT NULL, time_ns INTEGER NOT NULL, crc INTEGER NOT NULL, digest BLOB NOT NULL, "
    "payload BLOB NOT NULL)",
}
_COLUMNS = "number, first_record, records, time_ns, crc, digest, payload"
_DIGEST = "digest of the header"
"""Key of the header's own digest, the first of the chain."""
_ROWS_A_READ = 256
"""A reader lets go of the file so often: the log cannot be emptied while it is read."""
_READERS_MS = 5000
"""So long `open` waits for readers."""
_NO_END = 2**62
_REAL = Disk()
_OF_THE_DISK = (apsw.IOError, apsw.FullError, apsw.CantOpenError, apsw.BusyError, apsw.LockedError, apsw.NoMemError)
"""What SQLite says where the file may be whole."""


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

    @property
    def head(self) -> Head:
        """Where the journal ended when this was its last."""
        return Head(self.number, self.first_record + self.records - 1, self.digest)


class Journal:
    """An append-only sequence of commits. Make one with `create`, `open` or `read_only`."""

    def __init__(self, path: Path, disk: Disk, db: apsw.Connection, lock: IO[bytes] | None) -> None:
        self.path = path
        self._disk = disk
        self._db = db
        self._lock = lock
        self._witness: Witness | None = None
        self._failed: JournalFailedError | None = None
        self.header: Mapping[str, str] = {}
        """What `create` was given."""
        self._begin = b""
        """Digest of the header."""
        self.head = Head(0, 0, b"")

    @classmethod
    def create(cls, path: Path, header: Mapping[str, str], *, disk: Disk = _REAL) -> Self:
        """A new journal. Raises `JournalError` where it exists, or where what lies beside it says that it was lost.

        Parameters
        ----------
        header : kept with the journal and covered by the chain
        """
        lock = _take_lock(path)
        try:
            _refuse_to_replace(path, disk)
            _make(path, header, disk)
            return cls._read(path, disk, lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def open(cls, path: Path, *, disk: Disk = _REAL) -> Self:
        """An existing journal, to go on with. Raises `JournalError`, also where another process has it open."""
        _expect(path, disk)
        lock = _take_lock(path)
        try:
            return cls._read(path, disk, lock)
        except BaseException:
            lock.close()
            raise

    @classmethod
    def read_only(cls, path: Path, *, disk: Disk = _REAL) -> Self:
        """For reading, also while another process appends. Raises `JournalError`."""
        _expect(path, disk)
        return cls._read(path, disk, None)

    @classmethod
    def _read(cls, path: Path, disk: Disk, lock: IO[bytes] | None) -> Self:
        """A journal of which header, pages, last commit and witness have been checked; to go on with, given a lock."""
        seen = _hear_witness(path, disk)
        flags = apsw.SQLITE_OPEN_READONLY if lock is None else apsw.SQLITE_OPEN_READWRITE
        try:
            journal = cls(path, disk, _connect(path, disk, flags), lock)
        except apsw.Error as error:
            raise _unreadable(path, error) from None
        try:
            journal._load_header(seen)
            journal._load_head(seen)
            if lock is not None:
                journal._settle()
        except BaseException:
            journal._give_up()
            raise
        return journal

    def _load_header(self, seen: Seen) -> None:
        """Refuse a journal whose header, or whose tables themselves, are not what was written."""
        try:
            tables = {str(name): text for name, text in self._db.execute("SELECT name, sql FROM sqlite_schema")}
            stored = {str(key): str(value) for key, value in self._db.execute("SELECT key, value FROM header")}
        except (apsw.Error, UnicodeDecodeError) as error:
            raise _unreadable(self.path, error) from None
        digest = stored.pop(_DIGEST, "")
        if tables != _TABLES or not _header_digest(stored).hex() == digest == seen.header.hex():
            raise JournalDamagedError(f"{self.path}: the header (before commit 1, record 1) is not what was written")
        self.header, self._begin = stored, bytes.fromhex(digest)

    def _load_head(self, seen: Seen) -> None:
        """Refuse a journal with pages out of order, a broken last commit, or without what the witness has seen."""
        try:
            ((state,),) = self._db.execute("PRAGMA quick_check(1)").fetchall()
            last = int(next(self._db.execute("SELECT coalesce(max(number), 0) FROM commits"))[0])
        except apsw.Error as error:
            raise self._first_fault(error) from None
        if state != "ok":
            raise self._first_fault(str(state).splitlines()[-1])
        self.head = self._place(last)
        if seen.number > last:
            lost = f"commit {last + 1} (from record {self.head.records + 1}) and later ones are missing"
            raise JournalDamagedError(f"{self.path}: {lost}; commit {seen.number} was acknowledged")
        place = self._place(seen.number)
        if place.digest != seen.digest:
            what = f"commit {seen.number} (up to record {place.records}) is not the one that was acknowledged"
            raise JournalDamagedError(f"{self.path}: {what}")

    def _first_fault(self, what: Exception | str) -> JournalError:
        """Something in the file is out of order: say where it begins."""
        if isinstance(what, Exception) and not _is_damage(what):
            return _unreadable(self.path, what)
        last = self._place(0)
        try:
            for commit in self._commits(last, _NO_END):
                last = commit.head
        except JournalError as error:
            return error
        return self._damaged(last.number, last.records, f"the last that can be read: {what}")

    def _settle(self) -> None:
        """Make durable what has been read, before anybody is told of it or anything is built on it."""
        try:
            self._witness = Witness(_witness_of(self.path), self._disk)
            self._db.execute("PRAGMA journal_mode = WAL").fetchall()
            if not _fold(self._db):
                raise JournalError(f"{self.path}: is being read by another process, try again")
            self._db.set_busy_timeout(0)
            self._witness.write(self._seen(self.head.number, self.head.digest))
            self._witness.sync()
        except (apsw.Error, OSError) as error:
            raise JournalError(f"{self.path}: cannot be opened: {error}") from None

    def _seen(self, number: int, digest: bytes) -> Seen:
        return Seen(number, digest, self._begin)

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
            self._witness.write(self._seen(number, digest))
        except (apsw.Error, OSError) as error:
            raise self._fail(f"commit {number} failed", error) from None
        self.head = Head(number, first + records - 1, digest)
        return number

    def commits(self, after: int = 0) -> Iterator[Commit]:
        """Commits from number `after` + 1 to the head as of now, each verified, and the next one too.

        Raises `JournalDamagedError`.
        """
        place, end, waiting = self._place(after), self.head.number, None
        for commit in self._commits(place, end):
            if waiting is not None:
                yield waiting
            place, waiting = commit.head, commit
        if place.number != end:
            raise self._damaged(place.number + 1, place.records + 1, "it is missing")
        if waiting is not None:
            yield waiting

    def _commits(self, place: Head, end: int) -> Iterator[Commit]:
        """What is stored behind `place` up to number `end`, each verified."""
        query = f"SELECT {_COLUMNS} FROM commits WHERE number > ? AND number <= ? ORDER BY number LIMIT ?"  # noqa: S608
        begin = None
        while place != begin:
            begin = place
            try:
                for row in self._db.execute(query, (begin.number, end, _ROWS_A_READ)):
                    commit = self._verified(row, place)
                    yield commit
                    place = commit.head
            except (apsw.Error, UnicodeDecodeError) as error:
                if not _is_damage(error):
                    raise _unreadable(self.path, error) from None
                raise self._damaged(place.number + 1, place.records + 1, str(error)) from None

    def digest_at(self, number: int) -> bytes:
        """Place of a commit in the chain; of 0 the header's. Raises `JournalDamagedError` where there is none."""
        return self._place(number).digest

    def _place(self, number: int) -> Head:
        """Where the journal ended when that commit was its last; verified against what is stored before it."""
        before = place = Head(0, 0, self._begin)
        if number == 0:
            return place
        query = "SELECT number, first_record + records - 1, digest FROM commits WHERE number = ?"
        try:
            for row in self._db.execute(query, (number - 1,)):
                before = Head(*row)
            if before.number == number - 1 and [type(value) for value in before] == [int, int, bytes]:
                for commit in self._commits(before, number):
                    place = commit.head
        except (apsw.Error, UnicodeDecodeError, JournalDamagedError) as error:
            raise self._first_fault(error) from None
        if place.number != number:
            raise self._first_fault(f"commit {number} is missing")
        return place

    def _verified(self, row: tuple[Any, ...], before: Head) -> Commit:
        """A row as the commit behind `before`, if it is the one that was written there."""
        found, first_record, records, time_ns, crc, digest, payload = row
        number, first = before.number + 1, before.records + 1
        kinds = [type(value) for value in row]
        if kinds != [int, int, int, int, int, bytes, bytes]:
            raise self._damaged(number, first, "its row has other types than were written")
        if found != number or first_record != first:
            raise self._damaged(number, first, f"found commit {found} with record {first_record} in its place")
        if zlib.crc32(payload) != crc:
            raise self._damaged(number, first, "its checksum does not fit")
        if _commit_digest(before.digest, number, first, records, time_ns, payload) != digest:
            raise self._damaged(number, first, "the hash chain breaks here")
        return Commit(number, first, records, time_ns, payload, digest)

    def _damaged(self, number: int, first: int, what: str) -> JournalDamagedError:
        return JournalDamagedError(f"{self.path}: commit {number} (from record {first}): {what}")

    def wal_bytes(self) -> int:
        """Size of the write-ahead log."""
        return self._disk.size(_beside(self.path, "-wal"))

    def checkpoint(self) -> None:
        """Fold most of the write-ahead log into the file, for a worker thread: it has a connection of its own.

        Raises
        ------
        JournalFailedError
            What the disk holds is then unknown, and every later call raises the same.
        """
        try:
            other = _connect(self.path, self._disk, apsw.SQLITE_OPEN_READWRITE)
            try:
                other.execute("PRAGMA wal_checkpoint(PASSIVE)").fetchall()
            finally:
                other.close()
        except apsw.Error as error:
            raise self._fail("checkpoint failed", error) from None

    def empty_log(self) -> None:
        """Fold in what is left of the write-ahead log and begin it anew; quick after `checkpoint`.

        Where somebody reads the log it stays until the next time. Raises `JournalFailedError`, as `checkpoint` does.
        """
        try:
            _fold(self._db)
        except apsw.Error as error:
            raise self._fail("checkpoint failed", error) from None

    def _fail(self, what: str, error: Exception) -> JournalFailedError:
        self._failed = JournalFailedError(f"{self.path}: {what}: {error}")
        return self._failed

    def close(self) -> None:
        """Fold the log in, close, and let others open it."""
        try:
            if self._failed is None and self._witness is not None:
                self.empty_log()
                self._witness.sync()
                self._db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 0)
        except OSError as error:
            raise self._fail("the witness is not durable", error) from None
        finally:
            self._give_up()

    def _give_up(self) -> None:
        """Close as things are: what is in doubt or damaged stays as it is."""
        # SQLite tidies up; nothing depends on whether the disk lets it.
        with contextlib.suppress(apsw.Error):
            self._db.close()
        if self._witness is not None:
            self._witness.close()
        if self._lock is not None:
            self._lock.close()


def _beside(path: Path, suffix: str) -> Path:
    return path.with_name(path.name + suffix)


def _witness_of(path: Path) -> Path:
    return _beside(path, ".witness")


def _expect(path: Path, disk: Disk) -> None:
    if not disk.exists(path):
        raise JournalError(f"{path}: there is no such journal")


def _take_lock(path: Path) -> IO[bytes]:
    """Held by the one process that writes a journal."""
    try:
        lock = _beside(path, ".lock").open("wb")
    except OSError as error:
        raise JournalError(f"{path}: cannot be opened: {error.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        lock.close()
        raise JournalError(f"{path}: is in use by another process") from None
    return lock


def _refuse_to_replace(path: Path, disk: Disk) -> None:
    """Only what was never finished may lie where a new journal is made."""
    if disk.exists(path):
        raise JournalError(f"{path}: exists already, expected the name of a new journal")
    advice = f"put it back, or remove what is left ({path.name}*) to begin anew"
    if disk.size(_beside(path, "-wal")):
        raise JournalDamagedError(f"{path}: is gone, but its write-ahead log is here: {advice}")
    witness = _witness_of(path)
    if disk.exists(witness):
        with contextlib.suppress(ValueError):
            seen = Witness.read(witness, disk)
            if seen.number:
                raise JournalDamagedError(f"{path}: is gone, but commit {seen.number} was acknowledged: {advice}")


def _make(path: Path, header: Mapping[str, str], disk: Disk) -> None:
    """Write a new journal beside its place, and give it its name when it is whole and durable."""
    new, begin = _beside(path, ".new"), _header_digest(header)
    try:
        for suffix in ("", "-wal", "-journal"):
            disk.remove(_beside(new, suffix))
        db = _connect(new, disk, apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE)
        try:
            with db:
                for statement in _TABLES.values():
                    db.execute(statement)
                rows = [*header.items(), (_DIGEST, begin.hex())]
                db.executemany("INSERT INTO header VALUES (?, ?)", rows)
            db.execute("PRAGMA journal_mode = WAL").fetchall()
        finally:
            db.close()
        witness = Witness(_witness_of(path), disk)
        try:
            witness.begin(Seen(0, begin, begin))
        finally:
            witness.close()
        disk.sync_folder(path.parent)
        disk.rename(new, path)
        disk.sync_folder(path.parent)
    except (apsw.Error, OSError) as error:
        raise JournalFailedError(f"{path}: cannot be made: {error}") from None


def _connect(path: Path, disk: Disk, flags: int) -> apsw.Connection:
    """A connection that writes nothing unless asked: no checkpoint by itself, none when it is closed."""
    db = apsw.Connection(str(path), flags=flags, vfs=disk.vfs)
    if flags & apsw.SQLITE_OPEN_READWRITE and db.readonly("main"):
        db.close()
        raise JournalError(f"{path}: may not be written")
    try:
        db.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        db.set_busy_timeout(_READERS_MS)
        for pragma in ("synchronous = FULL", "wal_autocheckpoint = 0"):
            db.execute(f"PRAGMA {pragma}").fetchall()
    except BaseException:
        db.close()
        raise
    return db


def _fold(db: apsw.Connection) -> bool:
    """Fold the whole write-ahead log in, durably, and empty it; False where somebody reads it."""
    ((busy, _, _),) = db.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchall()
    return not busy


def _hear_witness(path: Path, disk: Disk) -> Seen:
    """What must be in the journal. Heard before the journal is read, because another process may append to both."""
    witness = _witness_of(path)
    if not disk.exists(witness):
        raise JournalDamagedError(f"{path}: its witness {witness.name} is missing: whether it is whole cannot be known")
    try:
        return Witness.read(witness, disk)
    except ValueError as error:
        raise JournalDamagedError(f"{path}: {error}: whether it is whole cannot be known") from None
    except OSError as error:
        raise JournalError(f"{path}: {error}") from None


def _is_damage(error: Exception) -> bool:
    """Whether the file, and not the disk or another process, is to blame."""
    too_short = getattr(error, "extendedresult", 0) == apsw.SQLITE_IOERR_SHORT_READ
    return too_short or not isinstance(error, _OF_THE_DISK)


def _unreadable(path: Path, error: Exception) -> JournalError:
    if not _is_damage(error):
        return JournalError(f"{path}: cannot be read: {error}")
    return JournalDamagedError(f"{path}: the header (before commit 1, record 1) cannot be read: {error}")


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
