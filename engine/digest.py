"""Two fingerprints: over the events, and over the state in a form that does not depend on the implementation."""

import hashlib
from collections.abc import Iterable

import numpy as np


class EventDigest:
    """Running digest over event rows; the same bytes give the same digest however they were split."""

    def __init__(self) -> None:
        self._hash = hashlib.blake2b(digest_size=16)

    def update(self, events: np.ndarray) -> None:
        """Add EVENT rows, shape (n,)."""
        self._hash.update(np.ascontiguousarray(events).tobytes())

    def hexdigest(self) -> str:
        """32 hexadecimal digits."""
        return self._hash.hexdigest()


def state_digest(rows: Iterable[tuple[int, ...]]) -> str:
    """Digest of a canonical state (`canonical_state()` of either engine), 32 hexadecimal digits."""
    state_hash = hashlib.blake2b(digest_size=16)
    for row in rows:
        state_hash.update((",".join(map(str, row)) + "\n").encode())
    return state_hash.hexdigest()
