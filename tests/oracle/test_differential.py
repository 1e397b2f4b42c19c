"""Fast engine against reference over random commands on tiny and real rulebooks, every event and every state.

300,000 commands compiled; with the JIT off, where the compiled core is slow Python, 9,000.
"""

import numba
import pytest

from engine.codes import EventKind, RejectReason
from tests.oracle.campaign import NAMES, TINY_NAMES, run

TOTAL = 9_000 if numba.config.DISABLE_JIT else 300_000


@pytest.mark.parametrize("name", NAMES)
def test_fast_engine_gives_the_reference_events_and_states_and_any_split_the_same_bytes(name: str) -> None:
    seen = run(name, seed=11, count=-(-TOTAL // len(NAMES)))
    assert seen["ACCEPTED"] > 0
    assert seen["TRADE"] > 0


@pytest.mark.skipif(bool(numba.config.DISABLE_JIT), reason="40,000 commands are for the compiled lane")
def test_random_commands_reach_every_event_and_every_reason() -> None:
    seen: dict[str, int] = {}
    for name in TINY_NAMES:
        for what, count in run(name, seed=11, count=4000).items():
            seen[what] = seen.get(what, 0) + count
    missing = [m.name for m in (*EventKind, *RejectReason) if not seen[m.name]]
    assert not missing, f"never occurred: {missing}"
