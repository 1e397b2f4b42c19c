"""A side file that names a journal's header and last commit: one that has lost its tail is not taken for a whole one.

It is made, durably, before the journal has its name, so that a journal without witness has lost it. Two slots are
written in turn, each with its own checksum: a torn write spoils one, the other still stands. A slot is written after
its commit is durable, and fsynced only when the journal is opened or closed. So after a killed process it is exact, and
after a power cut it may be behind, never ahead.
"""

import struct
import zlib
from pathlib import Path
from typing import NamedTuple

from gateway.journal.disk import Disk

_SLOT = struct.Struct("<q16s16sI")
_STRIDE = 512
"""The slots lie in different sectors."""


class Seen(NamedTuple):
    """What the witness says."""

    number: int
    """Of the last commit."""
    digest: bytes
    """Of the last commit."""
    header: bytes
    """Digest of the header, which a start from a snapshot does not tie to the commit."""


class Witness:
    """The witness of one journal, for writing.

    Parameters
    ----------
    path : of the side file, made when it is not there
    """

    def __init__(self, path: Path, disk: Disk) -> None:
        self._disk = disk
        self._file = disk.open(path)

    @staticmethod
    def read(path: Path, disk: Disk) -> Seen:
        """What the newest valid slot says. Raises `OSError`, `ValueError` when both are spoilt."""
        data, found = disk.read(path), []
        for start in (0, _STRIDE):
            part = data[start : start + _SLOT.size]
            if len(part) == _SLOT.size:
                *said, crc = _SLOT.unpack(part)
                if zlib.crc32(part[:-4]) == crc:
                    found.append(Seen(*said))
        if not found:
            raise ValueError("both slots of the witness are spoilt")
        return max(found)

    def begin(self, seen: Seen) -> None:
        """Fill both slots, durably. Raises `OSError`."""
        self._put(0, _slot(seen).ljust(_STRIDE, b"\0") * 2)
        self.sync()

    def write(self, seen: Seen) -> None:
        """Name a commit that is durable. Raises `OSError`."""
        self._put(_STRIDE * (seen.number % 2), _slot(seen))

    def sync(self) -> None:
        """Make it durable. Raises `OSError`."""
        self._disk.sync(self._file)

    def close(self) -> None:
        """Close the file."""
        self._file.close()

    def _put(self, at: int, data: bytes) -> None:
        self._file.seek(at)
        done = self._file.write(data)
        if done != len(data):
            raise OSError(f"the witness took {done} of {len(data)} bytes")


def _slot(seen: Seen) -> bytes:
    body = _SLOT.pack(*seen, 0)[:-4]
    return body + struct.pack("<I", zlib.crc32(body))
