"""Snapshots: named arrays beside the journal, so that a start need not replay everything. A cache, never the only copy.

A snapshot belongs to one commit (its number and its place in the hash chain) and to the sources that wrote it, and
names the digest of its state: under other sources, or damaged, it is passed over, and the one before it, or the whole
journal, is replayed instead.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import NamedTuple

import numpy as np
import structlog

log = structlog.get_logger()

KEPT = 2
"""So many snapshots stay; older ones are removed."""
_META = "meta"


class Snapshot(NamedTuple):
    """One snapshot, read."""

    number: int
    """Of the last commit it contains."""
    chain: str
    """Hash of that commit, hexadecimal."""
    tables: dict[str, np.ndarray]


class Snapshots:
    """The snapshots of one journal.

    Parameters
    ----------
    folder : where they lie, one file each
    sources : digest of everything that decides what the tables mean
    """

    def __init__(self, folder: Path, sources: str) -> None:
        self._folder = folder
        self._sources = sources

    def write(self, snapshot: Snapshot) -> Path:
        """Write one, durably, then remove old ones; slow, for a worker thread. Raises `OSError`."""
        self._folder.mkdir(exist_ok=True)
        path = self._folder / f"{snapshot.number:015d}.npz"
        unfinished = path.with_suffix(".tmp")
        meta = {"number": snapshot.number, "chain": snapshot.chain, "sources": self._sources,
                "digest": _digest(snapshot.tables)}  # fmt: skip
        text = np.frombuffer(json.dumps(meta).encode(), np.uint8)
        for left in self._folder.glob("*.tmp"):
            left.unlink()
        with unfinished.open("wb") as file:
            np.savez(file, allow_pickle=False, **{_META: text}, **snapshot.tables)
            file.flush()
            os.fsync(file.fileno())
        unfinished.rename(path)
        for old in self._files()[KEPT:]:
            old.unlink()
        return path

    def newest(self) -> Iterator[Snapshot]:
        """Usable snapshots, newest first."""
        for path in self._files():
            try:
                with path.open("rb") as file, np.load(file, allow_pickle=False) as stored:
                    meta = json.loads(stored[_META].tobytes())
                    if meta["sources"] != self._sources:
                        log.info("snapshot of other sources, passed over", file=path.name)
                        continue
                    tables = {name: stored[name] for name in stored.files if name != _META}
            # A bit in the wrong place of an archive can raise anything; whatever it is, there is another way.
            except Exception as error:  # noqa: BLE001
                log.warning("snapshot cannot be read, passed over", file=path.name, error=str(error))
                continue
            if meta.get("digest") != _digest(tables):
                log.warning("snapshot is not what was written, passed over", file=path.name)
                continue
            yield Snapshot(int(meta["number"]), str(meta["chain"]), tables)

    def _files(self) -> list[Path]:
        """Newest first."""
        return sorted(self._folder.glob("*.npz"), reverse=True)


def _digest(tables: Mapping[str, np.ndarray]) -> str:
    """Over names, shapes and values of the whole state."""
    digest = hashlib.blake2b(digest_size=16)
    for name, table in sorted(tables.items()):
        digest.update(f"{name} {table.dtype.str} {table.shape}\n".encode())
        digest.update(np.ascontiguousarray(table).data)
    return digest.hexdigest()
