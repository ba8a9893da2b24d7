"""Operations on the rows of arrays, written in vectors as wide as a cache line."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import functools
from typing import Any, NamedTuple

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .jit import CACHE_LINE

_FMA = ("contract",)


class Place(NamedTuple):
    """Address of a number or a vector, and its type."""

    pointer: Any
    kind: Any


@intrinsic
def add_row(typingctx, out, out_row, out_begin, array, row, begin, n, x, keep):
    """Add a multiple of n numbers of a row to a row of another array.

    out[out_row, out_begin + j] += x * array[row, begin + j] for j < n. The arrays are
    C-contiguous, have two dimensions and do not overlap. Unless ``keep``, the previous
    numbers in ``out`` count as zero.

    Vectors always start at the same places of a row. The loops of the compiler spend
    more time on checks for overlap than on the sums of short rows, and their loads may
    straddle two recent stores, so that they wait for both.
    """
    return _adding(out, array, lambda builder, term: term)


@intrinsic
def add_squares(typingctx, out, out_row, out_begin, array, row, begin, n, x, keep):
    """Add the squares (x * array[row, begin + j])^2: see `add_row`."""
    return _adding(out, array, lambda builder, term: builder.fmul(term, term, _FMA))


@intrinsic
def add_powers(typingctx, out, out_row, out_begin, array, row, squared, n, x, keep):
    """Do as `add_row`, but multiply by x^2 where ``squared`` (1, n) is 1 and not 0."""

    def codegen(context, builder, signature, args):
        target, source, mask = (
            Rows(context, builder, signature.args[i], args[i]) for i in (0, 3, 5)
        )
        n, x, keep = args[6:]
        zero = ir.Constant(n.type, 0)
        starts = [target.place(*args[1:3]), source.place(args[4]), mask.place(zero)]
        more = builder.fsub(builder.fmul(x, x, _FMA), x, _FMA)

        def body(places, spread):
            old, term, chosen = (load(builder, place) for place in places)
            power = multiply_add(builder, chosen, spread(more), spread(x))
            old = builder.select(keep, old, ir.Constant(old.type, None))
            store(builder, multiply_add(builder, power, term, old), places[0])

        by_vectors(builder, starts, n, body)
        return context.get_dummy_value()

    whole = types.intp
    arguments = out, whole, whole, array, whole, squared, whole, array.dtype
    return types.void(*arguments, types.boolean), codegen


def _adding(out, array, of_term):
    def codegen(context, builder, signature, args):
        starts = [
            Rows(context, builder, signature.args[i], args[i]).place(
                *args[i + 1 : i + 3]
            )
            for i in (0, 3)
        ]
        n, x, keep = args[6:]

        def body(places, spread):
            target, source = places
            term = builder.fmul(spread(x), load(builder, source), _FMA)
            old = load(builder, target)
            old = builder.select(keep, old, ir.Constant(old.type, None))
            term = of_term(builder, term)
            store(builder, builder.fadd(old, term, _FMA), target)

        by_vectors(builder, starts, n, body)
        return context.get_dummy_value()

    whole = types.intp
    arguments = out, whole, whole, array, whole, whole, whole, array.dtype
    return types.void(*arguments, types.boolean), codegen


def sum_lanes(builder, vector, number, total=None):
    """Add the lanes of a vector of numbers to a number, by default to zero."""
    total = ir.Constant(number, 0) if total is None else total
    name = f"llvm.vector.reduce.fadd.v{vector.type.count}f{8 * _bytes(number)}"
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(number, [number, vector.type]), name
    )
    return builder.call(function, [total, vector], fastmath=("reassoc",))


def by_vectors(builder, starts, n, body):
    """Write loops over n numbers: by vectors, then by quarters of one, then singly.

    Parameters
    ----------
    builder
        Builder of the function.
    starts : list of Place
        First number of each row.
    n
        Number of numbers in a row.
    body : callable
        ``body(places, spread)`` writes the body of a loop. ``places`` are the current
        vectors, or numbers, of the rows; ``spread(x)`` copies a number to every lane.
    """
    number, done = starts[0].kind, ir.Constant(n.type, 0)
    for lanes in (lanes_of(number), lanes_of(number) // 4, 1):
        kind = ir.VectorType(number, lanes) if lanes > 1 else number
        size = ir.Constant(n.type, lanes)
        end = builder.mul(builder.sdiv(n, size), size)
        with cgutils.for_range_slice(builder, done, end, size) as (at, _):
            places = [
                Place(_further(builder, start, at).pointer, kind) for start in starts
            ]
            body(places, functools.partial(spread, builder, kind))
        done = end


def places_of(context, builder, signature, wanted):
    """Return places from tuples (number of the argument, array, row, column)."""
    return [
        Rows(context, builder, signature.args[number], array).place(row, column)
        for number, array, row, column in wanted
    ]


def _bytes(number):
    return 8 if isinstance(number, ir.DoubleType) else 4


def lanes_of(number):
    """Return how many numbers a vector holds."""
    return CACHE_LINE // _bytes(number)


def spread(builder, kind, value):
    """Copy a number to every lane of a vector; return it if ``kind`` is a number."""
    if not isinstance(kind, ir.VectorType):
        return value
    empty = ir.Constant(kind, ir.Undefined)
    first = builder.insert_element(empty, value, ir.Constant(ir.IntType(32), 0))
    lanes = ir.VectorType(ir.IntType(32), kind.count)
    return builder.shuffle_vector(first, empty, ir.Constant(lanes, None))


def _further(builder, place, n):
    """Return the place of the number that is ``n`` numbers further on."""
    pointer = builder.gep(place.pointer, [n], source_etype=place.kind)
    return Place(pointer, place.kind)


def load(builder, place):
    number = getattr(place.kind, "element", place.kind)
    return builder.load(place.pointer, align=_bytes(number), typ=place.kind)


def store(builder, value, place):
    number = getattr(value.type, "element", value.type)
    builder.store(value, place.pointer, align=_bytes(number))


class Rows:
    """Access to an argument of an intrinsic that is a C-contiguous matrix.

    Attributes
    ----------
    n_rows, n_columns
        Numbers of rows and of columns.
    """

    def __init__(self, context, builder, array_type, value) -> None:
        struct = context.make_array(array_type)(context, builder, value)
        self._builder = builder
        self._stride = cgutils.unpack_tuple(builder, struct.strides)[0]
        self._base = builder.ptrtoint(struct.data, self._stride.type)
        self.n_rows, self.n_columns = cgutils.unpack_tuple(builder, struct.shape)
        self._number = context.get_data_type(array_type.dtype)
        self._vector = ir.VectorType(self._number, lanes_of(self._number))

    def place(self, row, column=None):
        """Return the place of a number, by default of the first in the row."""
        builder = self._builder
        address = builder.add(self._base, builder.mul(row, self._stride))
        start = Place(builder.inttoptr(address, ir.PointerType()), self._number)
        return start if column is None else _further(builder, start, column)

    def _vector_place(self, row, column):
        return Place(self.place(row, column).pointer, self._vector)

    def number(self, row, column):
        """Load a number, and copy it to every lane."""
        value = load(self._builder, self.place(row, column))
        return spread(self._builder, self._vector, value)

    def vector(self, row, column=None):
        """Load the vector at a column, by default at the start of the row."""
        return load(self._builder, self._vector_place(row, column))

    def put(self, row, column, value) -> None:
        """Store a vector at a column of the row."""
        store(self._builder, value, self._vector_place(row, column))

    def add(self, row, column, x, y) -> None:
        """Add the product of two vectors to the vector at a column of the row."""
        total = multiply_add(self._builder, x, y, self.vector(row, column))
        self.put(row, column, total)

    def register(self, start=None):
        """Allocate a variable that holds a vector, zeros by default."""
        place = cgutils.alloca_once(self._builder, self._vector)
        none = ir.Constant(self._vector, None)
        self._builder.store(none if start is None else start, place)
        return place


def multiply_add(builder, x, y, z):
    """Compute x y + z."""
    return builder.fadd(z, builder.fmul(x, y, _FMA), _FMA)


def add_to(builder, register, x, y) -> None:
    """Add x y to a variable made by `Rows.register`."""
    builder.store(multiply_add(builder, x, y, builder.load(register)), register)
