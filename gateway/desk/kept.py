"""The last rows of a growing sequence, found by an ascending number: results of requests, private reports."""

import numpy as np

KEPT = 100_000
"""So many requests and so many reports of a principal can be asked for again."""


class Kept:
    """Rows of integers with an ascending key in column 0; at least the last `kept` of them.

    Parameters
    ----------
    rows : what is already there, int64, shape (n, columns)
    """

    def __init__(self, rows: np.ndarray, kept: int = KEPT) -> None:
        self._rows = rows
        self._count = len(rows)
        self._kept = kept

    def append(self, rows: np.ndarray) -> None:
        """Add rows, shape (n, columns), whose keys go on ascending."""
        end = self._count + len(rows)
        if end > len(self._rows):
            held = self.last()
            grown = np.empty((max(64, 2 * (len(held) + len(rows))), self._rows.shape[1]), np.int64)
            grown[: len(held)] = held
            self._rows, self._count, end = grown, len(held), len(held) + len(rows)
        self._rows[self._count : end] = rows
        self._count = end

    def rows(self) -> np.ndarray:
        """A view of everything kept, shape (n, columns)."""
        return self._rows[: self._count]

    def last(self) -> np.ndarray:
        """A view of what must be kept."""
        return self.rows()[-self._kept :]

    def since(self, key: int) -> np.ndarray:
        """A view of the rows from `key` on."""
        rows = self.rows()
        return rows[np.searchsorted(rows[:, 0], key) :]

    def find(self, key: int) -> np.ndarray | None:
        """The row of that key, None where there is none (any more)."""
        rows = self.since(key)
        return rows[0] if len(rows) and rows[0, 0] == key else None
