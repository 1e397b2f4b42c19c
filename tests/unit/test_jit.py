"""One compiled version of every kernel: a second one means arguments of another type, and compile time."""

import importlib
import json
import os
import pkgutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import engine.core
from engine import jit
from engine.codes import CommandKind, EventKind, RejectReason
from engine.exchange import Exchange
from engine.reference import ReferenceExchange
from tests.oracle.campaign import compiled
from tests.oracle.commands import View, opening_commands, random_commands

ROOT = Path(__file__).parents[2]
MARKETS = ("listed-cancel", "continuous-reject")
compiled_only = pytest.mark.skipif(
    not jit.JIT_ENABLED, reason="NUMBA_DISABLE_JIT=1: kernels are plain Python functions, nothing is compiled"
)


def dispatchers() -> dict[str, Any]:
    """Every compiled function of engine.core and engine.jit by the name of its home, once."""
    modules = [engine.core, jit]
    modules += [importlib.import_module(f"engine.core.{m.name}") for m in pkgutil.iter_modules(engine.core.__path__)]
    found = {}
    for module in modules:
        for function in vars(module).values():
            if hasattr(function, "signatures") and hasattr(function, "py_func"):
                found[f"{function.py_func.__module__}.{function.py_func.__name__}"] = function
    return found


def workload(name: str) -> np.ndarray:
    """Every command kind, on one rulebook."""
    venue = ReferenceExchange(compiled(name))
    first = opening_commands(View.of(venue))
    venue.submit(first)
    rows = random_commands(np.random.default_rng(3), 3000, len(first) + 1, View.of(venue))
    assert set(CommandKind) <= set(rows["kind"].tolist())
    return np.concatenate([first, rows])


def run_workload() -> np.ndarray:
    """Events of both kinds of market, every command kind among the commands."""
    return np.concatenate(
        [Exchange(compiled(name), accounts=2, orders=2, ids=2, events=1).submit(workload(name)) for name in MARKETS]
    )


def versions() -> dict[str, int]:
    """How many versions of each function exist after the workload."""
    run_workload()
    return {name: len(function.signatures) for name, function in dispatchers().items()}


@compiled_only
def test_no_kernel_has_two_versions_and_each_entry_has_one() -> None:
    counts = versions()
    assert {name: count for name, count in counts.items() if count > 1} == {}
    assert counts["engine.core.apply_screen.apply_screen"] == counts["engine.core.apply_ledger.apply_ledger"] == 1
    assert counts["engine.core.apply_other.apply_other"] == 1
    assert counts["engine.core.day.open_venue"] == 1


@compiled_only
@pytest.mark.slow
def test_compiled_from_nothing_every_kernel_has_exactly_one_version(tmp_path: Path) -> None:
    """And only loops are optimised: a kernel becomes part of one, so that its own code would be made for nobody."""
    # What comes from the cache shows no inner kernels, so this compiles everything in a process of its own.
    program = """if True:
        import json
        from numba.core.codegen import CPUCodeLibrary
        optimise, names = CPUCodeLibrary._optimize_final_module, []
        def counted(library):
            names.append(library.name)
            optimise(library)
        CPUCodeLibrary._optimize_final_module = counted
        from tests.unit.test_jit import versions
        print(json.dumps([versions(), names]))
    """
    environment = os.environ | {"EMEX_CACHE": str(tmp_path), "PYTHONPATH": str(ROOT), "EMEX_COMPILE_ALONE": "1"}
    environment.pop("NUMBA_CACHE_DIR", None)
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=ROOT, env=environment, capture_output=True, text=True, check=True
    )
    counts, optimised = json.loads(done.stdout)
    assert {"apply_screen", "apply_ledger", "apply_other"} <= set(optimised)
    assert not {"enter", "cross", "fill", "refuse_screen", "passes"} & set(optimised)
    assert len(counts) > 40
    assert {name: count for name, count in counts.items() if count != 1} == {}


@compiled_only
def test_the_cache_folder_is_named_by_the_digest_of_the_sources() -> None:
    assert jit.CACHE_FOLDER.name == f"kernels-{jit.SOURCES_DIGEST}"
    assert jit.CACHE_FOLDER.parent == jit.cache_home()


def test_the_cache_can_be_placed_by_the_environment(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("EMEX_CACHE", str(tmp_path))
    assert jit.cache_home() == tmp_path


def test_the_workload_of_this_file_trades_and_refuses_as_the_reference_does() -> None:
    events = run_workload()
    assert (events["kind"] == EventKind.TRADE).any()
    assert len(set(events["reason"].tolist()) & set(RejectReason)) > 10
    expected = [ReferenceExchange(compiled(name)).submit(workload(name)) for name in MARKETS]
    assert events.tobytes() == np.concatenate(expected).tobytes()
