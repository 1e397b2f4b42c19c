"""What the journal asks of the file system beside what SQLite does by itself.

Tests put a disk with faults in its place.
"""

import os
from pathlib import Path
from typing import BinaryIO


class Disk:
    """The real one. Everything raises `OSError`."""

    vfs: str | None = None
    """SQLite's name for it; None = the usual one."""

    def exists(self, path: Path) -> bool:
        """Whether there is such a file."""
        return path.exists()

    def size(self, path: Path) -> int:
        """Bytes of a file, 0 where there is none."""
        return path.stat().st_size if path.exists() else 0

    def read(self, path: Path) -> bytes:
        """All of a file."""
        return path.read_bytes()

    def open(self, path: Path) -> BinaryIO:
        """For writing in place, unbuffered; made when it is not there."""
        path.touch(exist_ok=True)
        return path.open("r+b", buffering=0)

    def sync(self, file: BinaryIO) -> None:
        """Make what was written durable."""
        os.fsync(file.fileno())

    def remove(self, path: Path) -> None:
        """Remove a file if it is there."""
        path.unlink(missing_ok=True)

    def rename(self, path: Path, target: Path) -> None:
        """Give a file another name, at once or not at all."""
        path.rename(target)

    def sync_folder(self, folder: Path) -> None:
        """Make names durable: what was made, renamed and removed."""
        handle = os.open(folder, os.O_RDONLY)
        try:
            os.fsync(handle)
        finally:
            os.close(handle)
