"""Operations on the rows of arrays, in vectors as wide as a cache line."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..jit import CACHE_LINE

_FMA = ("contract",)


@intrinsic
def add_row(typingctx, out, out_row, out_begin, array, row, begin, n, x, keep):
    """out[out_row, out_begin + j] += x * array[row, begin + j] for j < n.

    For C-contiguous arrays of two dimensions that do not overlap; unless ``keep``, what
    ``out`` held before counts as zero. Written out in vectors, always of the same
    lanes: short rows cost the compiler's loops more time for questions about overlap
    than for the sums, and a load that straddles two stores of a moment ago waits until
    both have reached the cache.
    """
    return _adding(out, array, lambda builder, term: term)


@intrinsic
def add_squares(typingctx, out, out_row, out_begin, array, row, begin, n, x, keep):
    """out[out_row, out_begin + j] += (x * array[row, begin + j])^2: see `add_row`."""
    return _adding(out, array, lambda builder, term: builder.fmul(term, term, _FMA))


def _adding(out, array, of_term):
    def codegen(context, builder, signature, args):
        starts = [
            _start_of_row(context, builder, signature.args[i], *args[i : i + 3])
            for i in (0, 3)
        ]
        n, x, keep = args[6:]

        def body(places, spread):
            target, source = places
            term = builder.fmul(spread(x), _load(builder, source), _FMA)
            old = _load(builder, target)
            old = builder.select(keep, old, ir.Constant(old.type, None))
            term = of_term(builder, term)
            _store(builder, builder.fadd(old, term, _FMA), target)

        _by_vectors(builder, starts, n, body)
        return context.get_dummy_value()

    whole = types.intp
    arguments = out, whole, whole, array, whole, whole, whole, array.dtype
    return types.void(*arguments, types.boolean), codegen


@intrinsic
def sum_of_squares(typingctx, array, row, n):
    """Sum of array[row, j]^2 over j < n, in vectors."""

    def codegen(context, builder, signature, args):
        start = _start_of_row(context, builder, signature.args[0], *args[:2])
        number = start.type.pointee
        vector = ir.VectorType(number, _lanes(number))
        sums = cgutils.alloca_once_value(builder, ir.Constant(vector, None))
        rest = cgutils.alloca_once_value(builder, ir.Constant(number, None))

        def body(places, spread):
            term = _load(builder, places[0])
            total = sums if isinstance(term.type, ir.VectorType) else rest
            square = builder.fmul(term, term, _FMA)
            builder.store(builder.fadd(builder.load(total), square, _FMA), total)

        _by_vectors(builder, [start], args[2], body)
        name = f"llvm.vector.reduce.fadd.v{vector.count}f{8 * _bytes(number)}"
        function = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(number, [number, vector]), name
        )
        return builder.call(
            function, [builder.load(rest), builder.load(sums)], fastmath=("reassoc",)
        )

    return array.dtype(array, types.intp, types.intp), codegen


def _by_vectors(builder, starts, n, body):
    """Run ``body(places, spread)`` for vectors, then for what is left of n numbers.

    ``places`` are those of a vector, or number, in the rows that begin at ``starts``;
    ``spread`` makes a number as wide.
    """
    index, number = n.type, starts[0].type.pointee
    vector = ir.VectorType(number, _lanes(number))
    size = ir.Constant(index, vector.count)
    whole = builder.sdiv(n, size)
    with cgutils.for_range(builder, whole) as loop:
        at = builder.mul(loop.index, size)
        numbers = [builder.gep(start, [at]) for start in starts]
        places = [builder.bitcast(place, vector.as_pointer()) for place in numbers]
        body(places, lambda value: _spread(builder, value, vector))
    rest = builder.mul(whole, size)
    with cgutils.for_range_slice(builder, rest, n, ir.Constant(index, 1)) as (at, _):
        body([builder.gep(start, [at]) for start in starts], lambda value: value)


def _bytes(number):
    return 8 if isinstance(number, ir.DoubleType) else 4


def _lanes(number):
    return CACHE_LINE // _bytes(number)


def _spread(builder, value, vector):
    empty = ir.Constant(vector, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    lanes = ir.VectorType(ir.IntType(32), vector.count)
    return builder.shuffle_vector(first, empty, ir.Constant(lanes, None))


def _load(builder, place):
    pointee = place.type.pointee
    number = getattr(pointee, "element", pointee)
    return builder.load(place, align=_bytes(number))


def _store(builder, value, place):
    number = getattr(value.type, "element", value.type)
    builder.store(value, place, align=_bytes(number))


def _start_of_row(context, builder, array_type, value, row, begin=None):
    struct = context.make_array(array_type)(context, builder, value)
    stride = cgutils.unpack_tuple(builder, struct.strides)[0]
    base = builder.ptrtoint(struct.data, stride.type)
    address = builder.add(base, builder.mul(row, stride))
    start = builder.inttoptr(address, struct.data.type)
    return start if begin is None else builder.gep(start, [begin])
