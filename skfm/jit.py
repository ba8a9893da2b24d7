"""How the CPU's hot loops are compiled, and asking memory for data ahead of its use."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

from typing import Any

import numpy as np
from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

#: Options of every kernel: it releases the GIL and is compiled once per machine.
JIT: dict[str, Any] = {
    "nogil": True,
    "cache": True,
    "error_model": "numpy",
    # Contraction (fused multiply-add) is deterministic; reassociation is left out.
    "fastmath": {"contract", "nsz"},
}

CACHE_LINE = 64
_FMA = ("contract",)


@intrinsic
def prefetch(typingctx, array, row, offset):
    """Request the cache line ``offset`` bytes into ``array[row]``."""

    def codegen(context, builder, signature, args):
        struct = context.make_array(signature.args[0])(context, builder, args[0])
        stride = cgutils.unpack_tuple(builder, struct.strides)[0]
        base = builder.ptrtoint(struct.data, stride.type)
        address = builder.add(base, builder.add(builder.mul(args[1], stride), args[2]))
        byte_pointer, i32 = ir.IntType(8).as_pointer(), ir.IntType(32)
        function = cgutils.get_or_insert_function(
            builder.module,
            ir.FunctionType(ir.VoidType(), [byte_pointer, i32, i32, i32]),
            "llvm.prefetch.p0",
        )
        flags = [ir.Constant(i32, flag) for flag in (0, 3, 1)]
        builder.call(function, [builder.inttoptr(address, byte_pointer), *flags])
        return context.get_dummy_value()

    return types.void(array, types.intp, types.intp), codegen


@njit(forceinline=True, **JIT)
def prefetch_row(array, row, width):
    """Request the first ``width`` elements of ``array[row]``."""
    end = width * array.itemsize
    for offset in range(0, end, CACHE_LINE):
        prefetch(array, np.intp(row), offset)
    # A row that starts inside a line ends in one more.
    prefetch(array, np.intp(row), end - array.itemsize)


@intrinsic
def add_row(typingctx, out, out_row, array, row, n, head, x, y, keep):
    """out[out_row, j] += (x if j < head else y) * array[row, j] for j < n.

    For C-contiguous arrays of two dimensions that do not overlap; unless ``keep``, what
    ``out`` held before counts as zero. Written out in vectors, always of the same
    lanes: short rows cost the compiler's loops more time for questions about overlap
    than for the sums, and a load that straddles two stores of a moment ago waits until
    both have reached the cache.
    """

    def codegen(context, builder, signature, args):
        out_type, array_type = signature.args[0], signature.args[2]
        number = context.get_value_type(array_type.dtype)
        n_bytes = array_type.dtype.bitwidth // 8
        lanes = CACHE_LINE // n_bytes
        to = _start_of_row(context, builder, out_type, args[0], args[1])
        of = _start_of_row(context, builder, array_type, args[2], args[3])
        n, head, x, y, keep = args[4:]
        index = n.type
        counters = ir.VectorType(index, lanes)
        number_vector = ir.VectorType(number, lanes).as_pointer()

        def spread(value):
            vector = ir.Constant(ir.VectorType(value.type, lanes), ir.Undefined)
            zero = ir.Constant(ir.IntType(32), 0)
            vector = builder.insert_element(vector, value, zero)
            everywhere = ir.Constant(ir.VectorType(zero.type, lanes), [0] * lanes)
            return builder.shuffle_vector(vector, vector, everywhere)

        def add(target, source, factor):
            product = builder.fmul(builder.load(source, align=n_bytes), factor, _FMA)
            old = builder.load(target, align=n_bytes)
            old = builder.select(keep, old, ir.Constant(old.type, None))
            builder.store(builder.fadd(old, product, _FMA), target, align=n_bytes)

        xs, ys, heads = spread(x), spread(y), spread(head)
        steps = ir.Constant(counters, list(range(lanes)))
        size = ir.Constant(index, lanes)
        whole = builder.sdiv(n, size)
        with cgutils.for_range(builder, whole) as loop:
            at = builder.mul(loop.index, size)
            first = builder.icmp_signed("<", builder.add(spread(at), steps), heads)
            target, source = (
                builder.bitcast(builder.gep(pointer, [at]), number_vector)
                for pointer in (to, of)
            )
            add(target, source, builder.select(first, xs, ys))
        rest = builder.mul(whole, size)
        with cgutils.for_range_slice(builder, rest, n, ir.Constant(index, 1)) as (
            at,
            _,
        ):
            factor = builder.select(builder.icmp_signed("<", at, head), x, y)
            add(builder.gep(to, [at]), builder.gep(of, [at]), factor)
        return context.get_dummy_value()

    whole = types.intp
    dtype = array.dtype
    arguments = out, whole, array, whole, whole, whole, dtype, dtype, types.boolean
    return types.void(*arguments), codegen


def _start_of_row(context, builder, array_type, value, row):
    struct = context.make_array(array_type)(context, builder, value)
    stride = cgutils.unpack_tuple(builder, struct.strides)[0]
    base = builder.ptrtoint(struct.data, stride.type)
    address = builder.add(base, builder.mul(row, stride))
    return builder.inttoptr(address, struct.data.type)
