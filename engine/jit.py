"""The only file that imports Numba: how a kernel is compiled, cached, and reached with one integer array.

`@kernel` is the only decorator used on compiled functions, so options are decided once. Compiled code is cached
in a folder named by a digest of all engine sources and of the compiler's version: Numba itself does not notice
an edit in a callee. With NUMBA_DISABLE_JIT=1 every kernel is the plain Python function it looks like.
"""

import ctypes
import gc
import hashlib
import math
import os
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from importlib.metadata import version
from pathlib import Path
from typing import Any, TypeVar, cast

import numba as nb
import numpy as np
from numba.core import cgutils, types
from numba.core.codegen import JITCodeLibrary, JITCPUCodegen
from numba.core.types.functions import BaseFunction
from numba.extending import intrinsic
from numba.np import arrayobj

F = TypeVar("F", bound=Callable[..., Any])


def _sources_digest() -> str:
    """Digest of everything that decides what is compiled: engine sources, Python and compiler versions."""
    digest = hashlib.blake2b(digest_size=8)
    here = Path(__file__).parent
    for path in sorted([here / "codes.py", here / "records.py", here / "jit.py", *(here / "core").glob("*.py")]):
        digest.update(path.name.encode())
        digest.update(path.read_bytes())
    for part in (sys.version, version("numba"), version("numpy")):
        digest.update(part.encode())
    return digest.hexdigest()


def cache_home() -> Path:
    """Folder under which compiled code is kept: `$EMEX_CACHE`, else the user's cache folder."""
    if "EMEX_CACHE" in os.environ:
        return Path(os.environ["EMEX_CACHE"])
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", str(Path.home()))) / "emex"
    return Path(os.environ.get("XDG_CACHE_HOME", str(Path.home() / ".cache"))) / "emex"


SOURCES_DIGEST = _sources_digest()
CACHE_FOLDER = cache_home() / f"kernels-{SOURCES_DIGEST}"
nb.config.CACHE_DIR = os.environ.get("NUMBA_CACHE_DIR") or str(CACHE_FOLDER)

JIT_ENABLED: bool = not nb.config.DISABLE_JIT


def cache_is_warm() -> bool:
    """Whether compiled kernels of these sources lie in the cache; without them the first start takes 9 seconds."""
    return CACHE_FOLDER.is_dir() and any(CACHE_FOLDER.rglob("*.nbc"))


def _one_version(dispatcher: Any) -> Any:
    """Make every integer argument an int64, so that a constant or an enum member does not compile another version.

    Numba compiles a function anew for each combination of argument types, and an integer literal is a type of its
    own; left alone, the core compiles half as many kernels again. `tests/unit/test_jit.py` counts the versions.
    """
    if not JIT_ENABLED:
        return dispatcher
    resolve = dispatcher.get_call_template

    def widened(arguments: Any, keywords: Any) -> Any:
        wide = tuple(
            types.int64 if isinstance(t, (types.Integer, types.IntegerLiteral, types.IntEnumMember))
            else types.boolean if isinstance(t, (types.Boolean, types.BooleanLiteral)) else t
            for t in arguments
        )  # fmt: skip
        return resolve(wide, keywords)

    dispatcher.get_call_template = widened
    return dispatcher


_OPTIONS: dict[str, Any] = {"error_model": "numpy", "nogil": True, "no_cfunc_wrapper": True, "_nrt": False}


def kernel(function: F) -> F:
    """Compile `function` for use inside other kernels: it becomes part of the entry that calls it.

    No Python objects, floor division, wrapping integers; it makes and returns no arrays, so nobody counts references.
    """
    options = _OPTIONS | {"no_cpython_wrapper": True, "forceinline": True}
    return cast("F", _one_version(nb.njit(**options)(function)))


def apart(function: F) -> F:
    """As `kernel`, but a function of its own in the compiled code: what seldom runs does not crowd what always runs."""
    return cast("F", _one_version(nb.njit(**_OPTIONS, no_cpython_wrapper=True)(function)))


_ENTRIES: set[str] = set()
"""Names of the functions that `entry` has made."""


def entry(function: F) -> F:
    """Compile `function` as one of the few doors from Python into the core; cached on disk with all it calls."""
    _ENTRIES.add(function.__qualname__)
    return cast("F", nb.njit(cache=True, **_OPTIONS)(function))


class _Library(JITCodeLibrary):  # type: ignore[misc]
    """Code of one function while it is compiled. Numba optimises every function with all it calls and makes machine
    code of it; of a kernel nobody calls that, so here only an entry gets it, once, when everything is inside.
    """

    def _optimize_final_module(self) -> None:
        if self.name in _ENTRIES:
            super()._optimize_final_module()

    def _finalize_final_module(self) -> None:
        if self.name in _ENTRIES:
            super()._finalize_final_module()
        else:
            self._finalize_dynamic_globals()
            self._finalized = True


@contextmanager
def compiling() -> Iterator[None]:
    """Compile in a third of the time, and so that an index is a place: parts of Numba are replaced for the moment.

    `BaseFunction.get_call_type` asks dozens of templates anew at each of thousands of `table[row, column]`; its answer
    depends on its arguments alone and is remembered. Kernels get no machine code of their own (`_Library`), so none has
    a place for its environment either, of which `set_env` would have to be told. `arrayobj.fix_integer_index` lets -1
    mean the last row, at the cost of three instructions an access; no kernel counts from the end (`make test-bounds`
    would notice).
    """
    resolve, set_env = BaseFunction.get_call_type, JITCPUCodegen.set_env
    answers: dict[Any, Any] = {}

    def remembered(function: Any, context: Any, args: Any, kws: Any) -> Any:
        key = function, tuple(args), tuple(sorted(kws.items()))
        if key not in answers:
            answers[key] = resolve(function, context, args, kws)
        return answers[key]

    def as_it_is(context: Any, builder: Any, kind: Any, index: Any, _size: Any) -> Any:
        return context.cast(builder, index, kind, types.intp)

    def set_where_it_is(codegen: Any, name: str, environment: Any) -> None:
        if codegen._engine.get_global_value_address(name):  # noqa: SLF001
            set_env(codegen, name, environment)

    replaced: list[tuple[Any, str, Any]] = [
        (BaseFunction, "get_call_type", remembered),
        (arrayobj, "fix_integer_index", as_it_is),
        (JITCPUCodegen, "_library_class", _Library),
        (JITCPUCodegen, "set_env", set_where_it_is),
    ]
    before = [(owner, name, getattr(owner, name)) for owner, name, _ in replaced]
    was_enabled = gc.isenabled()
    gc.disable()
    try:
        for owner, name, instead in replaced:
            setattr(owner, name, instead)
        yield
    finally:
        for owner, name, original in before:
            setattr(owner, name, original)
        if was_enabled:
            gc.enable()


def compile_side_by_side(loops: Sequence[Any], examples: tuple[Any, ...], other: str) -> None:
    """Compile entries for arguments like `examples`, or load them from the cache.

    When the cache is cold and there are two loops, a second process runs the Python text `other`, which compiles the
    last one into the cache meanwhile. Should it fail, this process compiles what is missing.
    """
    if not JIT_ENABLED:
        return
    helper = None
    alone = len(loops) == 1 or os.cpu_count() == 1 or "EMEX_COMPILE_ALONE" in os.environ
    if not alone and not cache_is_warm():
        path = os.pathsep.join(filter(None, sys.path))
        helper = subprocess.Popen([sys.executable, "-c", other], env=os.environ | {"PYTHONPATH": path})  # noqa: S603
    with compiling():
        for number, loop in enumerate(loops):
            if helper and number == len(loops) - 1:
                helper.wait()
            loop.compile(tuple(nb.typeof(example) for example in examples))


if JIT_ENABLED:

    def view(
        address: int, rows: int | None = None, columns: int | None = None, dtype: Any = np.int64
    ) -> Callable[[np.ndarray], np.ndarray]:
        """A function (descriptor) -> view of the table whose address stands at position `address` of the descriptor.

        Parameters
        ----------
        rows : position of its number of rows; None: it is one row, shape (columns,)
        columns : None: it is one column, shape (rows,)

        The view is made where it is used, of a pointer and constants: it costs a load, and a descriptor does not change
        during a call, so not even that twice.
        """
        sizes = [size for size in (rows, columns) if size is not None]
        item = types.Array(nb.from_dtype(np.dtype(dtype)), len(sizes), "C")

        @intrinsic  # type: ignore[untyped-decorator]
        def made(_typing: Any, descriptor: Any) -> Any:
            def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
                data = context.make_array(descriptor)(context, builder, args[0]).data

                def at(position: int) -> Any:
                    load = builder.load(builder.gep(data, [context.get_constant(types.intp, position)]))
                    load.set_metadata("invariant.load", builder.module.add_metadata([]))
                    return load

                array = context.make_array(signature.return_type)(context, builder)
                size = context.get_constant(types.intp, np.dtype(dtype).itemsize)
                shape = [at(rows)] if rows is not None else []
                shape += [context.get_constant(types.intp, columns)] if columns is not None else []
                strides = [builder.mul(size, shape[1]), size] if len(shape) == 2 else [size]
                kind = context.get_data_type(signature.return_type.dtype).as_pointer()
                context.populate_array(array, data=builder.inttoptr(at(address), kind), shape=shape, strides=strides,
                                       itemsize=size, meminfo=None)  # fmt: skip
                return array._getvalue()  # noqa: SLF001

            return item(descriptor), codegen

        return made  # type: ignore[no-any-return]

    @intrinsic  # type: ignore[untyped-decorator]
    def prefetch(_typing: Any, array: Any, row: Any) -> Any:
        """Ask for the cache line where `array[row]` begins, without waiting; changes nothing."""

        def codegen(context: Any, builder: Any, signature: Any, args: Any) -> Any:
            made = context.make_array(signature.args[0])(context, builder, args[0])
            stride = cgutils.unpack_tuple(builder, made.strides)[0]
            place = builder.add(builder.ptrtoint(made.data, stride.type), builder.mul(args[1], stride))
            flags = [cgutils.ir.Constant(cgutils.ir.IntType(32), flag) for flag in (0, 3, 1)]  # to read, keep it, data
            kind = cgutils.ir.FunctionType(cgutils.ir.VoidType(), [cgutils.voidptr_t, *(flag.type for flag in flags)])
            ask = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0i8")
            builder.call(ask, [builder.inttoptr(place, cgutils.voidptr_t), *flags])
            return context.get_dummy_value()

        return types.none(array, types.int64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def trailing_zeros(_typing: Any, word: Any) -> Any:
        """Number of zero bits below the lowest set bit of a non-zero uint64."""

        def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.cttz(args[0], cgutils.true_bit)

        return types.int64(types.uint64), codegen

    @intrinsic  # type: ignore[untyped-decorator]
    def leading_zeros(_typing: Any, word: Any) -> Any:
        """Number of zero bits above the highest set bit of a non-zero uint64."""

        def codegen(context: Any, builder: Any, _signature: Any, args: Any) -> Any:
            return builder.ctlz(args[0], cgutils.true_bit)

        return types.int64(types.uint64), codegen

else:

    def view(
        address: int, rows: int | None = None, columns: int | None = None, dtype: Any = np.int64
    ) -> Callable[[np.ndarray], np.ndarray]:
        """As the compiled one."""
        item = np.dtype(dtype)

        def made(descriptor: np.ndarray) -> np.ndarray:
            shape = [] if rows is None else [int(descriptor[rows])]
            shape += [] if columns is None else [columns]
            memory = (ctypes.c_char * (math.prod(shape) * item.itemsize)).from_address(int(descriptor[address]))
            return np.ndarray(shape, item, memory)

        return made

    def prefetch(array: np.ndarray, row: int) -> None:
        """Changes nothing."""

    def trailing_zeros(word: int) -> int:
        """Number of zero bits below the lowest set bit of a non-zero uint64."""
        return (int(word) & -int(word)).bit_length() - 1

    def leading_zeros(word: int) -> int:
        """Number of zero bits above the highest set bit of a non-zero uint64."""
        return 64 - int(word).bit_length()
