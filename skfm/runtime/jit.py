"""Compilation of the kernels, and prefetching of data from memory."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic


def _can_cache() -> bool:
    """Return whether numba can write compiled kernels to some directory."""

    def probe() -> None:
        pass

    try:
        njit(cache=True)(probe)
    except RuntimeError:
        return False
    return True


#: Options of every kernel. It releases the GIL. It is compiled once per machine, or
#: once per process if neither site-packages nor the user's cache directory is writable.
JIT: dict[str, Any] = {
    "nogil": True,
    "cache": _can_cache(),
    "error_model": "numpy",
    # Contraction (fused multiply-add) is deterministic, reassociation would not be.
    "fastmath": {"contract", "nsz"},
}

CACHE_LINE = 64


@intrinsic
def prefetch(typingctx, array, row, offset):
    """Request the cache line ``offset`` bytes into ``array[row]``."""

    def codegen(context, builder, signature, args):
        struct = context.make_array(signature.args[0])(context, builder, args[0])
        stride = cgutils.unpack_tuple(builder, struct.strides)[0]
        base = builder.ptrtoint(struct.data, stride.type)
        address = builder.add(base, builder.add(builder.mul(args[1], stride), args[2]))
        pointer, i32 = ir.PointerType(), ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [pointer, i32, i32, i32]),
            "llvm.prefetch.p0",
        )
        flags = [ir.Constant(i32, flag) for flag in (0, 3, 1)]
        builder.call(function, [builder.inttoptr(address, pointer), *flags])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), codegen


@njit(forceinline=True, **JIT)
def prefetch_row(array, row, width):
    """Request the first two lines and the last of ``width`` elements of ``array[row]``.

    The processor itself fetches the other lines of longer rows. A loop over them here
    took a quarter of the time of compiling the kernels.
    """
    last = (width - 1) * array.itemsize
    prefetch(array, np.intp(row), 0)
    prefetch(array, np.intp(row), min(CACHE_LINE, last))
    prefetch(array, np.intp(row), last)
