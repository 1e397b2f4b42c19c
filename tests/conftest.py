"""What every test shares: Hypothesis settings, and a header that says how to repeat the run."""

import os
import signal

import pytest
from hypothesis import settings

# "fixed" draws the same cases every time; EMEX_HYPOTHESIS=explore looks for new ones and says how to repeat
# them. Compiling takes seconds in the first example, so no example has a deadline.
settings.register_profile("fixed", deadline=None, derandomize=True)
settings.register_profile("explore", deadline=None, max_examples=1000, print_blob=True)
PROFILE = os.environ.get("EMEX_HYPOTHESIS", "fixed")
settings.load_profile(PROFILE)

# A run in the background of a shell ignores Ctrl-C, and the programs that tests start would inherit that.
if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
    signal.signal(signal.SIGINT, signal.default_int_handler)


def pytest_report_header(config: pytest.Config) -> list[str]:
    seed = config.getoption("hypothesisseed", None)
    if seed is None:
        seed = "from each test's source" if PROFILE == "fixed" else "random; a failure prints its own"
    lane = "plain Python" if os.environ.get("NUMBA_DISABLE_JIT") == "1" else "compiled"
    return [f"emex: {lane} lane; hypothesis profile {PROFILE}, seed {seed}"]
