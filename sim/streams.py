"""Named random streams from one seed: adding a stream, or drawing more from one, shifts no other.

Draws are primitives and traits (decision: draws, not outcomes, are fixed), so what the market did must never decide
how many numbers a stream of traits gives. This file may not know what the numbers are for.
"""

import zlib

import numpy as np


def stream(seed: int, name: str) -> np.random.Generator:
    """The generator called `name` under `seed`; the same pair gives the same numbers on every machine."""
    return np.random.Generator(np.random.PCG64(np.random.SeedSequence([seed, zlib.crc32(name.encode())])))


def stratified(rng: np.random.Generator, count: int) -> np.ndarray:
    """`count` uniforms in (0, 1), one in each of `count` equal slices, in random order, float, shape (count,)."""
    return (rng.permutation(count) + rng.random(count)) / count
