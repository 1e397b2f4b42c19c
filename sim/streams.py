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


_NEIGHBOURS_LOG2 = 3
"""Log2 of how many neighbours in size `balanced` spreads over the whole range."""


def balanced(rng: np.random.Generator, size: np.ndarray) -> np.ndarray:
    """Uniforms in (0, 1), unlike for neighbours in size, so that no few large firms decide a season.

    Of each two neighbours one is in the lower half, of each four one in each quarter, of each eight one in each eighth;
    and all together one in each of `count` slices (rounded up to a multiple of eight). Nested uniform scrambling (Owen,
    1995) of every eight places; two traits drawn in this way do not depend on each other.

    Parameters
    ----------
    size : of each participant, shape (count,); the result has the same shape
    """
    count, width = len(size), 1 << _NEIGHBOURS_LOG2
    blocks, place = -(-count // width), np.arange(width)
    stratum = np.zeros((blocks, width), np.int64)
    for bit in range(_NEIGHBOURS_LOG2):
        coins = rng.integers(0, 2, (blocks, 1 << bit))
        stratum = 2 * stratum + ((place >> bit & 1) ^ coins[:, place & ((1 << bit) - 1)])
    within = rng.permuted(np.tile(np.arange(blocks)[:, None], width), axis=0)
    slices = stratum * blocks + np.take_along_axis(within, stratum, axis=1)
    found = np.empty(count)
    drawn = (slices + rng.random((blocks, width))) / (blocks * width)
    found[np.argsort(-size, kind="stable")] = drawn.ravel()[:count]
    return found
