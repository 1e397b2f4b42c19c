"""How long messages wait when they arrive at a stated rate, whether or not the engine keeps up: an open loop.

Arrivals are drawn beforehand, a Poisson stream; what waits behind a stall counts as long as it waits (no coordinated
omission). This file may not know where the messages come from.
"""

import gc
import math
import time
from bisect import bisect_right
from typing import Any, Protocol

import numpy as np

from engine.exchange import Exchange
from sim.streams import stream

RATES = (100_000, 1_000_000, 2_000_000, 4_000_000, 8_000_000, 16_000_000)
"""Messages a second offered in the open loop."""
_CAP = 4096
"""Most messages that the open loop hands over in one call."""
_SECONDS = 3.0
"""That messages arrive, at most."""
_WARM = 100_000
"""Messages before the open loop's clock starts, at most a tenth of the day."""
_SATURATED = 0.01
"""Saturated: when the last message arrives, this share of all, and more than two full calls, is not yet answered."""
_QUANTILES = {"p50_us": 0.5, "p99_us": 0.99, "p999_us": 0.999}


class Applies(Protocol):
    """What serving needs of a venue."""

    def apply(self, commands: np.ndarray) -> np.ndarray:
        """Carry out COMMAND rows."""


def open_loop(venue: Exchange, commands: np.ndarray, rate: int, seed: int) -> dict[str, Any]:
    """COMMAND rows offered at `rate` messages a second, a Poisson stream drawn beforehand, whoever may wait.

    A delay is the time from a message's arrival to the return of the call that answered it: what waits behind a stall
    counts as long as it waits (no coordinated omission). Of a saturated rate delays only say how long it was offered.
    Delays in µs, exact, in no buckets.
    """
    warm = min(_WARM, len(commands) // 10)
    for at in range(0, warm, _CAP):
        venue.apply(commands[at : min(at + _CAP, warm)])
    count = min(len(commands) - warm, round(rate * _SECONDS))
    arrivals_ns = np.cumsum(stream(seed, f"arrivals {rate}").exponential(1e9 / rate, count)).astype(np.int64)
    ends, answered_ns = serve(venue, commands[warm : warm + count], arrivals_ns, _CAP)
    delays_ns = np.sort(np.repeat(answered_ns, np.diff(ends, prepend=0)) - arrivals_ns)
    waiting = count - int(ends[: np.searchsorted(answered_ns, arrivals_ns[-1], "right")].max(initial=0))
    return {
        "offered_per_second": rate,
        "answered_per_second": round(count / answered_ns[-1] * 1e9),
        "messages": count,
        "warmed_by": warm,
        "saturated": waiting > max(2 * _CAP, _SATURATED * count),
        **{name: int(delays_ns[max(math.ceil(share * count), 1) - 1]) / 1000 for name, share in _QUANTILES.items()},
        "max_us": int(delays_ns[-1]) / 1000,
        "mean_batch": round(count / len(ends), 2),
    }


def serve(venue: Applies, commands: np.ndarray, arrivals_ns: np.ndarray, cap: int) -> tuple[np.ndarray, np.ndarray]:
    """Hand over what has arrived, up to `cap` at once, as soon as the last call has returned, uncollected.

    `arrivals_ns`: of each message, ascending, ns since the first could arrive. Returns, by call: messages answered so
    far, and the time at which it returned, ns from the same moment.
    """
    count, done, clock = len(commands), 0, time.perf_counter_ns
    arrivals = arrivals_ns.data  # whose items are quicker to look at
    ends: list[int] = []
    answered: list[int] = []
    gc.collect()
    gc.disable()
    try:
        began = clock()
        while done < count:
            here = bisect_right(arrivals, clock() - began, done, min(done + cap, count))
            if here == done:
                continue
            venue.apply(commands[done:here])
            answered.append(clock() - began)
            ends.append(here)
            done = here
    finally:
        gc.enable()
    return np.array(ends), np.array(answered)
