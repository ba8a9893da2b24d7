"""Steps of the optimizers on one row, written in vectors.

Whether the compiler would make vectors of a loop over a short row depends on the code
around the loop.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from ..runtime.simd import by_vectors, load, multiply_add, places_of, store


@intrinsic
def adagrad_row(typingctx, weight, squares, row, acc, begin, n, multiple, settings):
    """Make a step of Adagrad on n weights of a row.

    G = rows (acc + multiple w); s += G^2; w -= rate G / (sqrt(s) + eps), with settings
    = (rate, eps, rows). The gradient is acc[0, begin:begin + n].
    """

    def codegen(context, builder, signature, args):
        weight, squares, row, acc, begin, n, multiple, settings = args
        rate, epsilon, rows = cgutils.unpack_tuple(builder, settings)
        zero = ir.Constant(row.type, 0)
        starts = places_of(
            context,
            builder,
            signature,
            [(0, weight, row, zero), (1, squares, row, zero), (3, acc, zero, begin)],
        )

        def body(places, spread):
            w, s, g = (load(builder, place) for place in places)
            g = multiply_add(builder, spread(multiple), w, g)
            g = builder.fmul(spread(rows), g)
            s = multiply_add(builder, g, g, s)
            store(builder, s, places[1])
            root = builder.fadd(_sqrt(builder, s), spread(epsilon))
            step = builder.fdiv(builder.fmul(spread(rate), g), root)
            store(builder, builder.fsub(w, step), places[0])

        by_vectors(builder, starts, n, body)
        return context.get_dummy_value()

    whole = types.intp
    arguments = weight, squares, whole, acc, whole, whole, acc.dtype, settings
    return types.void(*arguments), codegen


@intrinsic
def adam_row(typingctx, weight, mean, variance, row, acc, begin, n, multiple, settings):
    """Make a step of Adam on n weights of a row.

    g = acc + multiple w; m = b1 m + (1 - b1) g; v = b2 v + (1 - b2) g^2;
    w -= size m / (sqrt(v) / c + eps), with settings = (size, b1, b2, c, eps). The
    gradient is acc[0, begin:begin + n].
    """

    def codegen(context, builder, signature, args):
        weight, mean, variance, row, acc, begin, n, multiple, settings = args
        size, beta1, beta2, correction, epsilon = cgutils.unpack_tuple(
            builder, settings
        )
        zero, one = ir.Constant(row.type, 0), ir.Constant(size.type, 1.0)
        rest1, rest2 = builder.fsub(one, beta1), builder.fsub(one, beta2)
        starts = places_of(
            context,
            builder,
            signature,
            [
                (0, weight, row, zero),
                (1, mean, row, zero),
                (2, variance, row, zero),
                (4, acc, zero, begin),
            ],
        )

        def body(places, spread):
            w, m, v, g = (load(builder, place) for place in places)
            g = multiply_add(builder, spread(multiple), w, g)
            new = builder.fmul(spread(rest1), g)
            m = multiply_add(builder, spread(beta1), m, new)
            new = builder.fmul(builder.fmul(spread(rest2), g), g)
            v = multiply_add(builder, spread(beta2), v, new)
            store(builder, m, places[1])
            store(builder, v, places[2])
            root = builder.fdiv(_sqrt(builder, v), spread(correction))
            root = builder.fadd(root, spread(epsilon))
            step = builder.fdiv(builder.fmul(spread(size), m), root)
            store(builder, builder.fsub(w, step), places[0])

        by_vectors(builder, starts, n, body)
        return context.get_dummy_value()

    whole = types.intp
    arguments = weight, mean, variance, whole, acc, whole, whole, acc.dtype, settings
    return types.void(*arguments), codegen


def _sqrt(builder, value):
    kind = value.type
    number = getattr(kind, "element", kind)
    lanes = f"v{kind.count}" if number is not kind else ""
    bits = 64 if isinstance(number, ir.DoubleType) else 32
    function = cgutils.get_or_insert_function(
        builder.module, ir.FunctionType(kind, [kind]), f"llvm.sqrt.{lanes}f{bits}"
    )
    return builder.call(function, [value])
