"""Scores of single rows under a factorization machine, in vectors held in registers.

Prediction waits for the rows of a table, which are scattered over memory. The sums over
the entries of a row are therefore never stored, two entries are added at a time, and
the rows of the table are requested further ahead than training does.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..runtime.jit import request_line
from ..runtime.simd import Place, Rows, lanes_of, load, multiply_add, spread, sum_lanes

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
        n_factors, zero = row.factors.n_columns, ir.Constant(args[4].type, 0)
        total = cgutils.alloca_once_value(builder, ir.Constant(row.number, 0))
        lanes, done = lanes_of(row.number), zero
        for width in (lanes, lanes // 2, lanes // 4, 1):
            size = ir.Constant(zero.type, width)
            stop = builder.mul(builder.sdiv(n_factors, size), size)
            with cgutils.for_range_slice(builder, done, stop, size) as (at, _):
                first = builder.icmp_signed("==", at, zero)
                part = row.part(at, width, first)
                builder.store(builder.fadd(builder.load(total), part), total)
            done = stop
        return builder.load(total)

    whole = types.intp
    arrays = factors, linear, columns, values
    return factors.dtype(*arrays, whole, whole, whole), codegen


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
        self.factors, self._linear = (
            Rows(context, builder, kinds[i], args[i]) for i in (0, 1)
        )
        self.number = context.get_data_type(kinds[0].dtype)
        self._builder = builder
        self._begin, self._end, self._last = args[4:]
        self._columns = _Vector(context, builder, kinds[2], args[2])
        self._values = None
        if not isinstance(kinds[3], types.NoneType):
            self._values = _Vector(context, builder, kinds[3], args[3])

    def part(self, at, width, first):
        """Write the sums of ``width`` factors from ``at`` on, and of the weights.

        The linear weights are added where ``first`` is true.
        """
        builder = self._builder
        kind = ir.VectorType(self.number, width) if width > 1 else self.number
        chains = [self._accumulators(kind) for _ in range(_CHAINS)]
        n, one, step = (
            builder.sub(self._end, self._begin),
            self._size(1),
            self._size(_CHAINS),
        )
        whole = builder.mul(builder.sdiv(n, step), step)
        split = builder.add(self._begin, whole)
        with cgutils.for_range_slice(builder, self._begin, split, step) as (p, _):
            for number, chain in enumerate(chains):
                self._add_entry(builder.add(p, self._size(number)), at, first, chain)
        with cgutils.for_range_slice(builder, split, self._end, one) as (p, _):
            self._add_entry(p, at, first, chains[0])
        return self._score(chains, width)

    def _size(self, number):
        return ir.Constant(self._begin.type, number)

    def _accumulators(self, kind):
        """Return variables for the sums of x v, (x v)^2 and x w."""
        return [
            cgutils.alloca_once_value(self._builder, ir.Constant(one, None))
            for one in (kind, kind, self.number)
        ]

    def _add_entry(self, p, at, first, chain):
        builder, (sums, squares, weights) = self._builder, chain
        kind = sums.allocated_type
        self._request(p, at)
        column = self._column(p)
        term = load(builder, Place(self.factors.place(column, at).pointer, kind))
        x = None if self._values is None else self._values.read(p)
        if x is not None:
            term = builder.fmul(term, spread(builder, kind, x), _FMA)
        self._add(sums, term)
        builder.store(multiply_add(builder, term, term, builder.load(squares)), squares)
        with builder.if_then(first):
            weight = load(builder, self._linear.place(column))
            self._add(weights, weight if x is None else builder.fmul(weight, x, _FMA))

    def _add(self, variable, term):
        builder = self._builder
        builder.store(builder.fadd(builder.load(variable), term, _FMA), variable)

    def _request(self, p, at):
        builder = self._builder
        ahead = builder.add(p, self._size(_AHEAD))
        inside = builder.icmp_signed("<", ahead, self._last)
        ahead = builder.select(inside, ahead, self._last)
        request_line(builder, self.factors.place(self._column(ahead), at).pointer)

    def _column(self, p):
        return self._builder.sext(self._columns.read(p), p.type)

    def _score(self, chains, width):
        """Write sum x w + ((sum x v)^2 - sum (x v)^2) / 2, summed over the vector."""
        builder = self._builder
        sums, squares, weights = (
            self._joined([chain[i] for chain in chains]) for i in range(3)
        )
        pairs = builder.fsub(builder.fmul(sums, sums, _FMA), squares, _FMA)
        pairs = sum_lanes(builder, pairs, self.number) if width > 1 else pairs
        half = ir.Constant(self.number, 0.5)
        return builder.fadd(weights, builder.fmul(half, pairs, _FMA), _FMA)

    def _joined(self, variables):
        builder = self._builder
        first, *others = map(builder.load, variables)
        for other in others:
            first = builder.fadd(first, other, _FMA)
        return first
