"""Sums over the entries of a row, in vectors held in registers.

Look-ups and scores wait for the rows of a table, which are scattered over memory. The
sums over the entries of a row are therefore stored only at its end, two entries are
added at a time, and the rows of the table are requested far ahead.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..runtime.jit import request_line
from ..runtime.simd import (
    Place,
    Rows,
    lanes_of,
    load,
    multiply_add,
    spread,
    store,
    sum_lanes,
)

_FMA = ("contract",)
#: Entries ahead of the current one whose factors are requested.
_AHEAD = 48
#: Sums that do not wait for each other, one for each of consecutive entries.
_CHAINS = 2


@intrinsic
def score_row(typingctx, factors, linear, columns, values, begin, end, last):
    """Return sum x w + sum over pairs of <v, v'> x x' of the entries begin..end.

    ``factors`` (n_columns, k) and ``linear`` (n_columns, 1) are C-contiguous;
    ``values`` is None where all are one; ``last`` is the last entry that may be
    requested.
    """

    def codegen(context, builder, signature, args):
        row = _Row(context, builder, signature.args, args)
        total = row.variable()
        half = ir.Constant(row.number, 0.5)

        def add_part(at, sums, squares, weights):
            pairs = builder.fsub(builder.fmul(sums, sums, _FMA), squares, _FMA)
            pairs = builder.fmul(half, row.sum(pairs), _FMA)
            row.add(total, builder.fadd(weights, pairs, _FMA))

        row.for_parts(add_part)
        return builder.load(total)

    whole = types.intp
    arrays = factors, linear, columns, values
    return factors.dtype(*arrays, whole, whole, whole), codegen


@intrinsic
def pool_row(
    typingctx, factors, linear, columns, values, begin, end, last, out, b, by_factor
):
    """Set out[b] to [sum x v | sum (x v)^2 | sum x w] of the entries begin..end.

    This is the order if squares are summed ``by_factor``. Otherwise they are summed
    over all factors, and come last. The sum of x w is set only where ``linear`` has one
    column. Other arguments are those of `score_row`.
    """

    def codegen(context, builder, signature, args):
        row = _Row(context, builder, signature.args, args)
        out = Rows(context, builder, signature.args[7], args[7])
        b, by_factor = args[8:]
        k, linear_sum, square_sum = (
            row.factors.n_columns,
            row.variable(),
            row.variable(),
        )

        def store_part(at, sums, squares, weights):
            store(builder, sums, out.place(b, at))
            row.add(linear_sum, weights)
            with builder.if_else(by_factor) as (each, all_together):
                with each:
                    store(builder, squares, out.place(b, builder.add(k, at)))
                with all_together:
                    row.add(square_sum, row.sum(squares))

        row.for_parts(store_part)
        _finish(builder, row, out.place, b, by_factor, linear_sum, square_sum)
        return context.get_dummy_value()

    whole, truth = types.intp, types.boolean
    arrays = factors, linear, columns, values
    arguments = *arrays, whole, whole, whole, out, whole, truth
    return types.void(*arguments), codegen


def _finish(builder, row, place, b, by_factor, linear_sum, square_sum):
    """Write code that stores the sums of a row which are single numbers."""
    k, n_linear = row.factors.n_columns, row.linear.n_columns
    after = builder.select(by_factor, builder.add(k, k), k)
    with builder.if_then(row.has_one_weight):
        store(builder, builder.load(linear_sum), place(b, after))
    with builder.if_then(builder.not_(by_factor)):
        last = place(b, builder.add(after, n_linear))
        store(builder, builder.load(square_sum), last)


class _Vector:
    """Access to a contiguous array of one dimension."""

    def __init__(self, context, builder, kind, value) -> None:
        self._builder, self._kind = builder, context.get_data_type(kind.dtype)
        self._data = context.make_array(kind)(context, builder, value).data

    def read(self, at):
        pointer = self._builder.gep(self._data, [at], source_etype=self._kind)
        return self._builder.load(pointer, typ=self._kind)


class _Row:
    """Code that sums over the entries of a row."""

    def __init__(self, context, builder, kinds, args) -> None:
        self.factors, self.linear = (
            Rows(context, builder, kinds[i], args[i]) for i in (0, 1)
        )
        self.number = context.get_data_type(kinds[0].dtype)
        self._builder = builder
        self._begin, self._end, self._last = args[4:7]
        self._columns = _Vector(context, builder, kinds[2], args[2])
        self._values = None
        if not isinstance(kinds[3], types.NoneType):
            self._values = _Vector(context, builder, kinds[3], args[3])
        one = self._size(1)
        self.has_one_weight = builder.icmp_signed("==", self.linear.n_columns, one)

    def variable(self, kind=None):
        """Allocate a variable of a type, by default a number, that starts at zero."""
        zero = ir.Constant(kind or self.number, None)
        return cgutils.alloca_once_value(self._builder, zero)

    def add(self, variable, term):
        """Write code that adds to a variable."""
        builder = self._builder
        builder.store(builder.fadd(builder.load(variable), term, _FMA), variable)

    def sum(self, lanes):
        """Return the sum of a vector; a number itself."""
        if not isinstance(lanes.type, ir.VectorType):
            return lanes
        return sum_lanes(self._builder, lanes, self.number)

    def for_parts(self, use):
        """Write loops over the factors: by vectors, halves, quarters, then singly.

        ``use(at, sums, squares, weights)`` writes what is done with the sums of x v and
        (x v)^2 of the factors from ``at`` on, and with the sum of x w, which is zero
        but for the first factors.
        """
        builder, zero = self._builder, self._size(0)
        lanes, done = lanes_of(self.number), zero
        for width in (lanes, lanes // 2, lanes // 4, 1):
            kind = ir.VectorType(self.number, width) if width > 1 else self.number
            size = self._size(width)
            stop = builder.mul(builder.sdiv(self.factors.n_columns, size), size)
            with cgutils.for_range_slice(builder, done, stop, size) as (at, _):
                first = builder.icmp_signed("==", at, zero)
                use(at, *self._part(at, kind, builder.and_(first, self.has_one_weight)))
            done = stop

    def _part(self, at, kind, with_weights):
        """Write the sums of the factors in a vector, or of one."""
        builder, one, step = self._builder, self._size(1), self._size(_CHAINS)
        kinds = kind, kind, self.number
        chains = [[self.variable(each) for each in kinds] for _ in range(_CHAINS)]
        n = builder.sub(self._end, self._begin)
        split = builder.mul(builder.sdiv(n, step), step)
        split = builder.add(self._begin, split)
        with cgutils.for_range_slice(builder, self._begin, split, step) as (p, _):
            for number, chain in enumerate(chains):
                entry = builder.add(p, self._size(number))
                self._add_entry(entry, at, with_weights, chain)
        with cgutils.for_range_slice(builder, split, self._end, one) as (p, _):
            self._add_entry(p, at, with_weights, chains[0])
        return [self._joined([chain[i] for chain in chains]) for i in range(3)]

    def _size(self, number):
        return ir.Constant(self._begin.type, number)

    def _add_entry(self, p, at, with_weights, chain):
        builder, (sums, squares, weights) = self._builder, chain
        kind = sums.allocated_type
        self._request(p, at)
        column = self._column(p)
        term = load(builder, Place(self.factors.place(column, at).pointer, kind))
        x = None if self._values is None else self._values.read(p)
        if x is not None:
            term = builder.fmul(term, spread(builder, kind, x), _FMA)
        self.add(sums, term)
        builder.store(multiply_add(builder, term, term, builder.load(squares)), squares)
        with builder.if_then(with_weights):
            weight = load(builder, self.linear.place(column))
            self.add(weights, weight if x is None else builder.fmul(weight, x, _FMA))

    def _request(self, p, at):
        builder = self._builder
        ahead = builder.add(p, self._size(_AHEAD))
        inside = builder.icmp_signed("<", ahead, self._last)
        ahead = builder.select(inside, ahead, self._last)
        request_line(builder, self.factors.place(self._column(ahead), at).pointer)

    def _column(self, p):
        return self._builder.sext(self._columns.read(p), p.type)

    def _joined(self, variables):
        builder = self._builder
        first, *others = map(builder.load, variables)
        for other in others:
            first = builder.fadd(first, other, _FMA)
        return first
