"""What a figure was measured on: processor, memory, system, versions, engine sources. Reads; measures nothing.

A rate belongs to the machine and the minute; this card says which ones.
"""

import datetime as dt
import os
import platform
import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

from engine.jit import JIT_ENABLED, SOURCES_DIGEST

_GIB = 2**30


def card() -> dict[str, Any]:
    """Flat and JSON-able; what the system does not tell is None."""
    return {
        "taken_at": dt.datetime.now(dt.UTC).isoformat(timespec="seconds"),
        "processor": _processor(),
        "cores": os.cpu_count(),
        "memory_gib": _memory_gib(),
        "system": f"{platform.system()} {platform.release()}",
        "load_average": round(os.getloadavg()[0], 2) if hasattr(os, "getloadavg") else None,
        "python": f"{platform.python_implementation()} {platform.python_version()}",
        "numba": version("numba"),
        "numpy": version("numpy"),
        "emex": version("emex"),
        "engine_digest": SOURCES_DIGEST,
        "compiled": JIT_ENABLED,
    }


def _processor() -> str:
    """Its name, as far as the system knows it."""
    if sys.platform == "linux":
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()


def _memory_gib() -> float | None:
    """Main memory."""
    try:
        return round(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") / _GIB, 1)
    except (AttributeError, ValueError, OSError):
        return None
