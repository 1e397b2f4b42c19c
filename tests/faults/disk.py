"""A disk in memory that fails on command: SQLite and the journal write to it, and it decides what a power cut leaves.

    plan        a later call fails in one of the ways of `Fault`
    survive     the power comes back: what was synced, and of the rest what luck has left
    reboot      the process comes back: everything that was written is still in the cache

What luck leaves of unsynced changes, for each file by itself: any part of its writes in units of 512 bytes (older
beside newer, a write torn in the middle), cut or not, longer by zeros or by junk; and of the names that were made,
moved and removed since their folder was synced any part. One sector is written whole or not at all, as SQLite assumes
of a real disk too (`SQLITE_IOCAP_POWERSAFE_OVERWRITE`). After a failed fsync the cache looks as if all had been written
while any part of it has, and no later fsync writes the rest: so does Linux.

Only locks and SQLite's shared memory are real; their files lie in a folder given by the test. Luck is the disk's seed;
the salts that SQLite puts into its log are not.
"""

import errno
import itertools
import os
import random
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from enum import StrEnum
from pathlib import Path
from typing import Any, NamedTuple

import apsw

from gateway.journal.disk import Disk

SECTOR = 512
_numbers = itertools.count(1)


class Fault(StrEnum):
    """How a call fails."""

    POWER = "power cut"
    """It may be half done; nothing after it is."""
    KILL = "killed process"
    """Neither it nor anything after it is done."""
    FULL = "disk full"
    """Neither it nor any later one that needs room, until the next process."""
    SYNC = "failed fsync"
    SHORT = "short write"
    """Half of it is written, then there is no room."""
    READ = "read error"


HITS = {
    Fault.FULL: ("grow",),
    Fault.SYNC: ("sync", "sync folder"),
    Fault.SHORT: ("write", "grow"),
    Fault.READ: ("read",),
}
"""Kinds of calls that a fault can hit; power cuts and kills hit any."""


class Call(NamedTuple):
    """One call that reached the disk."""

    kind: str
    file: str


class Inode:
    """A file's contents."""

    def __init__(self) -> None:
        self.seen = bytearray()
        """As processes see it."""
        self._durable = bytearray()
        self._pending: list[tuple[int, bytes | None]] = []
        """What was done since: (offset, data), or (size, None) for a cut."""

    def write(self, at: int, data: bytes) -> None:
        """Into the cache."""
        _put(self.seen, at, data)
        self._pending.append((at, data))

    def truncate(self, size: int) -> None:
        """In the cache."""
        del self.seen[size:]
        self._pending.append((size, None))

    def sync(self) -> None:
        """All of it is on the disk."""
        self._durable[:] = self.seen
        self._pending.clear()

    def lose(self, rng: random.Random) -> None:
        """Any part of what was pending is on the disk, and the rest never will be; the cache shows all of it."""
        self._durable, end = self._settled(rng), len(self.seen)
        if len(self._durable) > end:
            del self._durable[end:]
        self._pending.clear()

    def fall_back(self, rng: random.Random) -> None:
        """The cache is gone."""
        self.seen = self._settled(rng)
        self.sync()

    def _settled(self, rng: random.Random) -> bytearray:
        data, end = bytearray(self._durable), len(self.seen)
        whole = rng.choice((0, 0, rng.randint(0, len(self._pending)), len(self._pending)))
        share = rng.choice((0.0, 0.1, 0.5, 0.9))
        junk = rng if rng.random() < 0.3 else None
        for number, (at, written) in enumerate(self._pending):
            if written is None:
                if number < whole or rng.random() < share:
                    del data[at:]
                continue
            for begin, piece in _sectors(at, written):
                if number < whole or rng.random() < share:
                    _put(data, begin, piece, junk)
        if self._pending and rng.random() < 0.2:
            _put(data, end, b"", junk)
        return data


def _put(data: bytearray, at: int, piece: bytes, junk: random.Random | None = None) -> None:
    """Write; a hole before it holds zeros, or junk."""
    hole = at - len(data)
    if hole > 0:
        data.extend(junk.randbytes(hole) if junk else bytes(hole))
    data[at : at + len(piece)] = piece


def _sectors(at: int, data: bytes) -> Iterator[tuple[int, bytes]]:
    begin = 0
    while begin < len(data):
        end = begin + SECTOR - (at + begin) % SECTOR
        yield at + begin, data[begin:end]
        begin = end


class FaultyDisk(Disk):
    """One disk with one folder on it.

    Parameters
    ----------
    folder : a real one, for what is real
    """

    def __init__(self, folder: Path, seed: int) -> None:
        self.path = folder / "journal"
        """For the journal."""
        self.calls: list[Call] = []
        """Everything that was asked of it, but looks at names and sizes, which cannot fail."""
        self.hits: dict[Fault, Call] = {}
        """Calls that failed as planned, the last of each way."""
        self.off = False
        """Whether the process is dead: none of its calls gets through."""
        self.on_sync: Callable[[], None] = lambda: None
        """Called inside every fsync, which takes as long as this does."""
        self._rng = random.Random(seed)
        self._names: dict[str, Inode] = {}
        self._durable_names: dict[str, Inode] = {}
        self._pending_names: list[dict[str, Inode | None]] = []
        """What was done to names since they were synced; None: removed."""
        self._plans: dict[Fault, int] = {}
        self._full = False
        self.vfs = f"faulty-{next(_numbers)}"
        self._vfs = _Vfs(self)

    def unregister(self) -> None:
        """Let SQLite forget it."""
        self._vfs.unregister()

    # ------------------------------------------------------------------------------------------ what happens to it

    def plan(self, fault: Fault, call: int) -> None:
        """The `call`th call from now on, counted from 1, fails, or the first behind it that can fail so."""
        self._plans[fault] = len(self.calls) + call
        self.hits.pop(fault, None)

    @property
    def power_is_off(self) -> bool:
        """Whether it was a power cut that ended the process."""
        return self.off and Fault.POWER in self.hits

    def die(self) -> None:
        """The process is killed between two calls."""
        self.off = True

    def reboot(self) -> None:
        """A new process begins on the cache that the last one left; what failed works again."""
        self.off = self._full = False
        self._plans = {fault: at for fault, at in self._plans.items() if fault is Fault.POWER}

    def survive(self) -> None:
        """The power is gone and comes back, and a new process begins."""
        rng = self._rng
        names = dict(self._durable_names)
        whole = rng.choice((0, rng.randint(0, len(self._pending_names)), len(self._pending_names)))
        share = rng.choice((0.0, 0.5))
        for number, changes in enumerate(self._pending_names):
            if number < whole or rng.random() < share:
                _rename(names, changes)
        for inode in dict.fromkeys(names.values()):
            inode.fall_back(rng)
        self._names, self._durable_names = names, dict(names)
        self._pending_names.clear()
        self._plans.clear()
        self.hits.clear()
        self.reboot()

    def step(self, kind: str, file: str) -> Fault | None:
        """Count a call; returns what becomes of it when it fails half done, raises where it fails entirely."""
        if self.off:
            raise apsw.IOError("the process is dead")
        call = Call(kind, file)
        self.calls.append(call)
        if kind == "grow" and self._full:
            raise apsw.FullError("no room on the disk")
        for fault, at in self._plans.items():
            if len(self.calls) >= at and kind in HITS.get(fault, (kind,)):
                break
        else:
            return None
        del self._plans[fault]
        self.hits[fault] = call
        self.off = fault in {Fault.POWER, Fault.KILL}
        if fault is Fault.FULL:
            self._full = True
            raise apsw.FullError("no room on the disk")
        if fault in {Fault.KILL, Fault.READ}:
            raise apsw.IOError(fault)
        return fault

    # ---------------------------------------------------------------------------------- what everybody asks of it

    def find(self, name: str) -> Inode | None:
        """The file of that name."""
        return self._names.get(name)

    def make(self, name: str) -> Inode:
        """A new file."""
        inode = Inode()
        self.change_names("make", name, {name: inode})
        return inode

    def change_names(self, kind: str, file: str, changes: dict[str, Inode | None]) -> None:
        """Make, rename or remove, in the cache."""
        fault = self.step(kind, file)
        _rename(self._names, changes)
        self._pending_names.append(changes)
        if fault is not None:
            raise apsw.IOError(fault)

    def read_from(self, file: str, inode: Inode, at: int, size: int) -> bytes:
        """Bytes from the cache, fewer at its end."""
        if self.step("read", file) is not None:
            raise apsw.IOError(Fault.POWER)
        return bytes(inode.seen[at : at + size])

    def write_to(self, file: str, inode: Inode, at: int, data: bytes) -> int:
        """Into the cache; returns how much of it."""
        fault = self.step("grow" if at + len(data) > len(inode.seen) else "write", file)
        if fault is Fault.SHORT:
            data = data[: len(data) // 2]
        inode.write(at, data)
        if fault is Fault.POWER:
            raise apsw.IOError(fault)
        return len(data)

    def truncate_to(self, file: str, inode: Inode, size: int) -> None:
        """In the cache."""
        fault = self.step("truncate", file)
        inode.truncate(size)
        if fault is not None:
            raise apsw.IOError(fault)

    def sync_file(self, file: str, inode: Inode) -> None:
        """An fsync."""
        fault = self.step("sync", file)
        self.on_sync()
        if fault is Fault.SYNC:
            inode.lose(self._rng)
        if fault is not None:
            raise apsw.IOError(fault)
        inode.sync()

    def sync_names(self) -> None:
        """An fsync of the folder."""
        fault = self.step("sync folder", "")
        if fault is not None:
            raise apsw.IOError(fault)
        self._durable_names = dict(self._names)
        self._pending_names.clear()

    # ----------------------------------------------------------------------------------- what the journal asks of it

    def exists(self, path: Path) -> bool:
        return path.name in self._names

    def size(self, path: Path) -> int:
        inode = self.find(path.name)
        return len(inode.seen) if inode else 0

    def read(self, path: Path) -> bytes:
        inode = self._names[path.name]
        with _os_errors():
            return self.read_from(path.name, inode, 0, len(inode.seen))

    def open(self, path: Path) -> Any:
        with _os_errors():
            return _SideFile(self, path.name, self.find(path.name) or self.make(path.name))

    def sync(self, file: Any) -> None:
        with _os_errors():
            self.sync_file(file.name, file.inode)

    def remove(self, path: Path) -> None:
        if self.exists(path):
            with _os_errors():
                self.change_names("remove", path.name, {path.name: None})

    def rename(self, path: Path, target: Path) -> None:
        with _os_errors():
            self.change_names("rename", path.name, {path.name: None, target.name: self._names[path.name]})

    def sync_folder(self, folder: Path) -> None:
        del folder
        with _os_errors():
            self.sync_names()


def _rename(names: dict[str, Inode], changes: dict[str, Inode | None]) -> None:
    for name, inode in changes.items():
        names.pop(name, None)
        if inode is not None:
            names[name] = inode


@contextmanager
def _os_errors() -> Iterator[None]:
    """SQLite's errors as Python's."""
    try:
        yield
    except apsw.Error as error:
        number = errno.ENOSPC if isinstance(error, apsw.FullError) else errno.EIO
        raise OSError(number, os.strerror(number)) from None


class _SideFile:
    """A file that is not SQLite's."""

    def __init__(self, disk: FaultyDisk, name: str, inode: Inode) -> None:
        self.name, self.inode = name, inode
        self._disk = disk
        self._at = 0

    def seek(self, at: int) -> None:
        self._at = at

    def write(self, data: bytes) -> int:
        with _os_errors():
            done = self._disk.write_to(self.name, self.inode, self._at, data)
        self._at += done
        return done

    def close(self) -> None:
        """Costs nothing, changes nothing."""


class _Vfs(apsw.VFS):
    """The disk as SQLite opens files on it."""

    def __init__(self, disk: FaultyDisk) -> None:
        self._disk = disk
        super().__init__(disk.vfs, base="unix")

    def xFullPathname(self, name: str) -> str:  # noqa: N802
        return name

    def xAccess(self, pathname: str, flags: int) -> bool:  # noqa: N802
        del flags
        return self._disk.find(Path(pathname).name) is not None

    def xDelete(self, filename: str, syncdir: bool) -> None:  # noqa: FBT001, N802
        name = Path(filename).name
        self._disk.change_names("remove", name, {name: None})
        if syncdir:
            self._disk.sync_names()

    def xOpen(self, name: Any, flags: list[int]) -> Any:  # noqa: N802
        path = name.filename() if isinstance(name, apsw.URIFilename) else name
        file = Path(path).name
        inode = self._disk.find(file)
        if inode is None:
            if not flags[0] & apsw.SQLITE_OPEN_CREATE:
                raise apsw.CantOpenError(file)
            inode = self._disk.make(file)
        flags[1] = flags[0]
        if flags[0] & apsw.SQLITE_OPEN_MAIN_DB:
            return _MainFile(self._disk, file, inode, name)
        # As SQLite on Unix does it: a log makes its own name durable when it is synced for the first time.
        return _LogFile(self._disk, file, inode, named=not flags[0] & apsw.SQLITE_OPEN_CREATE)


class _Contents:
    """Reading and writing, the same for every file of SQLite's."""

    _disk: FaultyDisk
    _file: str
    _inode: Inode
    _named = True

    def xRead(self, amount: int, offset: int) -> bytes:  # noqa: N802
        return self._disk.read_from(self._file, self._inode, offset, amount)

    def xWrite(self, data: bytes, offset: int) -> None:  # noqa: N802
        data = bytes(data)
        if self._disk.write_to(self._file, self._inode, offset, data) < len(data):
            raise apsw.FullError("no room on the disk")

    def xTruncate(self, newsize: int) -> None:  # noqa: N802
        self._disk.truncate_to(self._file, self._inode, newsize)

    def xSync(self, flags: int) -> None:  # noqa: N802
        del flags
        self._disk.sync_file(self._file, self._inode)
        if not self._named:
            self._disk.sync_names()
            self._named = True

    def xFileSize(self) -> int:  # noqa: N802
        return len(self._inode.seen)


class _MainFile(_Contents, apsw.VFSFile):
    """The database; its locks and its shared memory are those of an empty real file of that name."""

    def __init__(self, disk: FaultyDisk, file: str, inode: Inode, name: Any) -> None:
        self._disk, self._file, self._inode = disk, file, inode
        flags = apsw.SQLITE_OPEN_MAIN_DB | apsw.SQLITE_OPEN_READWRITE | apsw.SQLITE_OPEN_CREATE
        apsw.VFSFile.__init__(self, "unix", name, [flags, 0])


class _LogFile(_Contents):
    """A log, of which SQLite locks nothing."""

    def __init__(self, disk: FaultyDisk, file: str, inode: Inode, *, named: bool) -> None:
        self._disk, self._file, self._inode, self._named = disk, file, inode, named

    def xLock(self, level: int) -> None:  # noqa: N802
        """Whoever locks the database has the log."""

    def xUnlock(self, level: int) -> None:  # noqa: N802
        """As above."""

    def xCheckReservedLock(self) -> bool:  # noqa: N802
        return False

    def xFileControl(self, op: int, ptr: int) -> bool:  # noqa: N802
        del op, ptr
        return False

    def xSectorSize(self) -> int:  # noqa: N802
        return 4096

    def xDeviceCharacteristics(self) -> int:  # noqa: N802
        return int(apsw.SQLITE_IOCAP_POWERSAFE_OVERWRITE)

    def xClose(self) -> None:  # noqa: N802
        """Costs nothing, changes nothing."""
