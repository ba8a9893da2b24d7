"""Operations on rows of arrays in vectors of eight numbers.

Arrays have two dimensions and contiguous rows, whose widths here are multiples of
eight; those of one call do not overlap and share a dtype. Vectors of eight leave the
registers that an 8 x 8 tile of a product needs.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..runtime.simd import Rows, add_to, multiply_add

LANES = 8
_WHOLE = types.intp


class _Octets(Rows):
    """`Rows` whose vectors are of eight numbers."""

    def __init__(self, context, builder, array_type, value) -> None:
        super().__init__(context, builder, array_type, value)
        self.element = self._vector.element
        self._vector = ir.VectorType(self.element, LANES)

    def spread(self, value):
        """A number in every lane."""
        empty = ir.Constant(self._vector, ir.Undefined)
        first = self._builder.insert_element(
            empty, value, ir.Constant(ir.IntType(32), 0)
        )
        lanes = ir.VectorType(ir.IntType(32), LANES)
        return self._builder.shuffle_vector(first, empty, ir.Constant(lanes, None))

    def total(self, register):
        """Sum of the lanes of a variable."""
        bits = 64 if isinstance(self.element, ir.DoubleType) else 32
        function = cgutils.get_or_insert_function(
            self._builder.module,
            ir.FunctionType(self.element, [self.element, self._vector]),
            f"llvm.vector.reduce.fadd.v{LANES}f{bits}",
        )
        zero = ir.Constant(self.element, 0.0)
        value = self._builder.load(register)
        return self._builder.call(function, [zero, value], fastmath=("reassoc",))


def _arrays(context, builder, signature, args, numbers):
    return [_Octets(context, builder, signature.args[i], args[i]) for i in numbers]


def _octets(builder, start, stop):
    """Loop over the first of each eight columns."""
    return cgutils.for_range_slice(builder, start, stop, ir.Constant(stop.type, LANES))


def _tile(height: int, width: int, sign: int):
    """Make the intrinsic that adds a tile of a matrix's product with itself."""

    @intrinsic
    def add_tile(typingctx, array, start, stop, i, j, out):
        """out[i:i+height, j:j+8 width] += sign array[a:b, i..].T @ array[a:b, j..]."""

        def codegen(context, builder, signature, args):
            source, target = _arrays(context, builder, signature, args, (0, 5))
            start, stop, i, j = args[1:5]

            def at(index, offset):
                return builder.add(index, ir.Constant(index.type, offset))

            cells = {
                (a, b): (at(i, a), at(j, LANES * b))
                for a in range(height)
                for b in range(width)
            }
            sums = {key: target.register(target.vector(*cells[key])) for key in cells}
            one = ir.Constant(start.type, 1)
            with cgutils.for_range_slice(builder, start, stop, one) as (row, _):
                right = [source.vector(row, at(j, LANES * b)) for b in range(width)]
                for a in range(height):
                    x = source.number(row, at(i, a))
                    if sign < 0:
                        x = builder.fneg(x)
                    for b in range(width):
                        add_to(builder, sums[a, b], x, right[b])
            for key, register in sums.items():
                target.put(*cells[key], builder.load(register))
            return context.get_dummy_value()

        return types.void(array, *4 * (_WHOLE,), out), codegen

    return add_tile


add_tile_8x8 = _tile(8, 1, 1)
add_tile_4x16 = _tile(4, 2, 1)
subtract_tile_8x8 = _tile(8, 1, -1)
subtract_tile_4x16 = _tile(4, 2, -1)


@intrinsic
def add_octets(typingctx, out, i, array, j, x, start, stop):
    """out[i, start:stop] += x array[j, start:stop]."""

    def codegen(context, builder, signature, args):
        target, source = _arrays(context, builder, signature, args, (0, 2))
        i, (j, x, start, stop) = args[1], args[3:]
        x = target.spread(x)
        with _octets(builder, start, stop) as (at, _):
            target.add(i, at, x, source.vector(j, at))
        return context.get_dummy_value()

    whole = _WHOLE
    return types.void(out, whole, array, whole, out.dtype, whole, whole), codegen


@intrinsic
def dot_octets(typingctx, left, i, right, j, start, stop):
    """Sum of left[i, start:stop] * right[j, start:stop]."""

    def codegen(context, builder, signature, args):
        a, b = _arrays(context, builder, signature, args, (0, 2))
        i, (j, start, stop) = args[1], args[3:]
        total = a.register()
        with _octets(builder, start, stop) as (at, _):
            add_to(builder, total, a.vector(i, at), b.vector(j, at))
        return a.total(total)

    whole = _WHOLE
    return left.dtype(left, whole, right, whole, whole, whole), codegen


@intrinsic
def add_products(typingctx, out, i, left, j, right, m, x, start, stop):
    """out[i, start:stop] += x left[j, start:stop] * right[m, start:stop]."""

    def codegen(context, builder, signature, args):
        target, a, b = _arrays(context, builder, signature, args, (0, 2, 4))
        i, j, (m, x, start, stop) = args[1], args[3], args[5:]
        x = target.spread(x)
        with _octets(builder, start, stop) as (at, _):
            product = builder.fmul(a.vector(j, at), b.vector(m, at))
            target.add(i, at, x, product)
        return context.get_dummy_value()

    n, x = _WHOLE, out.dtype
    return types.void(out, n, left, n, right, n, x, n, n), codegen


@intrinsic
def take_slopes(typingctx, out, i, sums, row, table, c, x, s, stop):
    """out[i, :stop] = s x (sums[row, :stop] - x table[c, :stop])."""

    def codegen(context, builder, signature, args):
        target, q, v = _arrays(context, builder, signature, args, (0, 2, 4))
        i, row, (c, x, s, stop) = args[1], args[3], args[5:]
        minus = target.spread(builder.fneg(x))
        factor = target.spread(builder.fmul(s, x))
        zero = ir.Constant(stop.type, 0)
        with _octets(builder, zero, stop) as (at, _):
            slope = multiply_add(builder, minus, v.vector(c, at), q.vector(row, at))
            target.put(i, at, builder.fmul(factor, slope))
        return context.get_dummy_value()

    n, number = _WHOLE, out.dtype
    return types.void(out, n, sums, n, table, n, number, number, n), codegen


@intrinsic
def step_sums(typingctx, sums, row, change, i, x, stop):
    """Return sums[row, :stop] . change[i, :stop]; then sums[row] += x change[i]."""

    def codegen(context, builder, signature, args):
        q, d = _arrays(context, builder, signature, args, (0, 2))
        row, (i, x, stop) = args[1], args[3:]
        x, total = q.spread(x), q.register()
        zero = ir.Constant(stop.type, 0)
        with _octets(builder, zero, stop) as (at, _):
            old, step = q.vector(row, at), d.vector(i, at)
            add_to(builder, total, old, step)
            q.put(row, at, multiply_add(builder, x, step, old))
        return q.total(total)

    whole = _WHOLE
    return sums.dtype(sums, whole, change, whole, sums.dtype, whole), codegen


@intrinsic
def add_moments(typingctx, out, array, n, factors, j):
    """out[a, j:j+8] += factors[a, :n] @ array[:n, j:j+8] for a = 0, 1."""

    def codegen(context, builder, signature, args):
        target, source, left = _arrays(context, builder, signature, args, (0, 1, 3))
        n, j = args[2], args[4]
        which = [ir.Constant(n.type, a) for a in (0, 1)]
        sums = [target.register(target.vector(a, j)) for a in which]
        with cgutils.for_range_slice(builder, which[0], n, which[1]) as (row, _):
            value = source.vector(row, j)
            for a, register in zip(which, sums, strict=True):
                add_to(builder, register, left.number(a, row), value)
        for a, register in zip(which, sums, strict=True):
            target.put(a, j, builder.load(register))
        return context.get_dummy_value()

    return types.void(out, array, _WHOLE, factors, _WHOLE), codegen
