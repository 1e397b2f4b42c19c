"""A side file that names the journal's last commit: a journal that has lost its tail is not mistaken for a whole one.

Two slots are written in turn, each with its own checksum: a torn write spoils one, the other still stands. A slot is
written after its commit is durable and is not fsynced itself. So after a killed process it is exact, and after a power
cut it may be behind, never ahead.
"""

import struct
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO, NamedTuple

_SLOT = struct.Struct("<q16sI")
_STRIDE = 512
"""The slots lie in different sectors."""


Opener = Callable[[Path], BinaryIO]
"""Opens a file for reading and writing in place, unbuffered."""


class Seen(NamedTuple):
    """What the witness says."""

    number: int
    digest: bytes


class Witness:
    """The witness of one journal.

    Parameters
    ----------
    path : of the side file, made when it is not there
    opener : how it is opened (tests put a faulty disk here)
    """

    def __init__(self, path: Path, opener: Opener | None = None) -> None:
        self._file = (opener or _open)(path)

    def read(self) -> Seen | None:
        """The newest valid slot; None when nothing was ever written. Raises `ValueError` when both are spoilt."""
        self._file.seek(0)
        data = self._file.read(2 * _STRIDE)
        if not data.strip(b"\0"):
            return None
        found = []
        for start in (0, _STRIDE):
            part = data[start : start + _SLOT.size]
            if len(part) == _SLOT.size:
                number, digest, crc = _SLOT.unpack(part)
                if zlib.crc32(part[:-4]) == crc:
                    found.append(Seen(number, digest))
        if not found:
            raise ValueError("both slots of the witness are spoilt")
        return max(found)

    def write(self, seen: Seen) -> None:
        """Name a commit that is durable. Raises `OSError`."""
        body = _SLOT.pack(seen.number, seen.digest, 0)[:-4]
        self._file.seek(_STRIDE * (seen.number % 2))
        self._file.write(body + struct.pack("<I", zlib.crc32(body)))

    def close(self) -> None:
        """Close the file."""
        self._file.close()


def _open(path: Path) -> BinaryIO:
    path.touch(exist_ok=True)
    return path.open("r+b", buffering=0)
