"""`emex doctor`: is this installation sound, is the engine compiled (it is afterwards), what can this machine hold?"""

import os
import platform
import sys
import time
from importlib.metadata import version
from typing import Any

import numpy as np

from engine.core.state import ORDER, TERMS_COLUMNS
from engine.exchange import compile_all
from engine.jit import CACHE_FOLDER, JIT_ENABLED, cache_is_warm
from engine.venue import open_venue

MIN_PYTHON = (3, 11)
MAX_START_S = 30.0
_SHARE = 2
"""Half of the memory is for orders."""
_LEAST_ORDERS = 1_000_000


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
        _living_orders(),
    ]


def _living_orders() -> dict[str, Any]:
    """How many orders may live at once in half of the memory: a slot each, and a place in the id index."""
    try:
        memory = os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (AttributeError, ValueError):
        return {"name": "living orders that fit", "value": "this system does not tell its memory", "passed": True}
    orders = memory // _SHARE // (ORDER.itemsize + 8 * TERMS_COLUMNS + np.dtype(np.int32).itemsize)
    value = f"{orders / 1e6:.0f} million"
    return {"name": "living orders that fit", "value": value, "passed": orders >= _LEAST_ORDERS}
