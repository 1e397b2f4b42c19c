"""`emex doctor`: is this installation sound, and is the engine compiled? Compiles it when it is not."""

import os
import platform
import sys
import time
from importlib.metadata import version
from typing import Any

from engine.exchange import compile_all
from engine.jit import CACHE_FOLDER, JIT_ENABLED, cache_is_warm
from engine.venue import open_venue

MIN_PYTHON = (3, 11)
MAX_START_S = 30.0


def doctor() -> list[dict[str, Any]]:
    """Rows of name, value, passed; warms the compiled cache on the way."""
    was_warm = cache_is_warm()
    begun = time.perf_counter()
    open_venue("generic")
    seconds = time.perf_counter() - begun
    compile_all()
    all_seconds = time.perf_counter() - begun
    return [
        {"name": "python", "value": platform.python_version(), "passed": sys.version_info >= MIN_PYTHON},
        {"name": "numba", "value": version("numba"), "passed": True},
        {
            "name": "compiler",
            "value": "on" if JIT_ENABLED else "off (NUMBA_DISABLE_JIT)",
            "passed": JIT_ENABLED,
        },
        {
            "name": "compiled cache",
            "value": str(CACHE_FOLDER),
            "passed": os.access(CACHE_FOLDER.parent, os.W_OK),
        },
        {"name": "cache was warm", "value": "yes" if was_warm else "no, it is now", "passed": True},
        {"name": "engine ready after", "value": f"{seconds:.1f} s", "passed": seconds < MAX_START_S},
        {"name": "auctions ready after", "value": f"{all_seconds:.1f} s", "passed": all_seconds < 3 * MAX_START_S},
        {"name": "cores", "value": str(os.cpu_count()), "passed": True},
    ]
