"""Compilation of the kernels, their cache on disk, and prefetching from memory."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils, event
from numba.core.caching import FunctionCache
from numba.extending import intrinsic

from .warnings import warn

CACHE_LINE = 64
#: Name of numba's event that a function is compiled.
_COMPILE = "numba:compile"
#: Options of every kernel. It releases the GIL.
_OPTIONS: dict[str, Any] = {
    "nogil": True,
    # Nothing calls kernels from C.
    "no_cfunc_wrapper": True,
    "error_model": "numpy",
    # Contraction (fused multiply-add) is deterministic, reassociation would not be.
    "fastmath": {"contract", "nsz"},
}


class _Cache(FunctionCache):
    """Compiled code of a kernel on disk, where a fit does not depend on the disk."""

    def load_overload(self, sig, target_context):
        try:
            return super().load_overload(sig, target_context)
        except Exception:
            # Truncated files, as a full disk or a crash leaves them, raise anything.
            with suppress(OSError):
                self.flush()
            return None

    def save_overload(self, sig, data):
        try:
            super().save_overload(sig, data)
        except Exception as error:
            _warn_once(f"cannot be written to {self.cache_path} ({error!r})")


def kernel(
    function: Callable[..., Any] | None = None, *, inner: bool = False, **options: Any
) -> Any:
    """Compile a function to machine code when it is first called.

    It is compiled once per machine, or once per process if neither site-packages nor
    the user's cache directory is writable.

    Parameters
    ----------
    function : callable, default=None
        None returns a decorator with the options.
    inner : bool, default=False
        Whether only other kernels call the function. No code is then compiled for calls
        from Python, which takes a tenth of the time.
    **options : dict
        Further options of `numba.njit`.
    """
    if function is None:
        return functools.partial(kernel, inner=inner, **options)
    inner = inner or options.get("forceinline", False)
    options |= _OPTIONS | {"no_cpython_wrapper": inner}
    compiled: Any = njit(**options)(function)
    try:
        compiled._cache = _Cache(function)
    except RuntimeError:
        _warn_once("have no directory that can be written to")
    return compiled


@contextmanager
def noting_compilation(note: Callable[[], None] | None) -> Iterator[None]:
    """Call ``note`` once if any kernel is compiled meanwhile, before it is.

    Kernels whose machine code is on disk are not compiled. None is never called.
    """
    if note is None:
        yield
        return
    listener = _FirstCompilation(note)
    event.register(_COMPILE, listener)
    try:
        yield
    finally:
        event.unregister(_COMPILE, listener)


class _FirstCompilation(event.Listener):
    def __init__(self, note):
        self._notes = [note]

    def on_start(self, event):
        # `pop` is atomic: kernels may be compiled in several threads.
        with suppress(IndexError):
            self._notes.pop()()

    def on_end(self, event):
        pass


_warned = False


def _warn_once(trouble: str) -> None:
    """Warn, once per process, that kernels are not kept."""
    global _warned
    if not _warned:
        _warned = True
        warn(
            f"The compiled kernels of skfm {trouble}, so that every process compiles "
            "them again, which takes some seconds. Set the environment variable "
            "NUMBA_CACHE_DIR to a directory that can be written to.",
            RuntimeWarning,
        )


@intrinsic
def prefetch(typingctx, array, row, offset):
    """Request the cache line ``offset`` bytes into ``array[row]``."""

    def codegen(context, builder, signature, args):
        struct = context.make_array(signature.args[0])(context, builder, args[0])
        stride = cgutils.unpack_tuple(builder, struct.strides)[0]
        base = builder.ptrtoint(struct.data, stride.type)
        address = builder.add(base, builder.add(builder.mul(args[1], stride), args[2]))
        request_line(builder, builder.inttoptr(address, ir.PointerType()))
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), codegen


def request_line(builder, pointer) -> None:
    """Write code that requests the cache line of an address."""
    i32 = ir.IntType(32)
    function = cgutils.get_or_insert_function(
        builder.module,
        ir.FunctionType(ir.VoidType(), [ir.PointerType(), i32, i32, i32]),
        "llvm.prefetch.p0",
    )
    builder.call(function, [pointer, *(ir.Constant(i32, flag) for flag in (0, 3, 1))])


@kernel(forceinline=True)
def prefetch_row(array, row, width):
    """Request the first two lines and the last of ``width`` elements of ``array[row]``.

    The processor itself fetches the other lines of longer rows. A loop over them here
    took a quarter of the time of compiling the kernels.
    """
    last = (width - 1) * array.itemsize
    prefetch(array, np.intp(row), 0)
    prefetch(array, np.intp(row), min(CACHE_LINE, last))
    prefetch(array, np.intp(row), last)
