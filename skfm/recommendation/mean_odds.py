"""Sums of probabilities over the samples of a posterior, in vectors."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg, var-annotated"

from __future__ import annotations

import math

import numpy as np
from llvmlite import ir
from numba.core import cgutils
from numba.extending import intrinsic

from ..runtime.jit import kernel
from ..runtime.simd import multiply_add

#: Logarithm of two, as a number of few digits, whose multiples are exact, and the rest.
_LN2 = 0.693359375, -2.121944400546905827679e-4


def far(dtype: np.dtype) -> float:
    """Return the size of scores from which on their sums count them as equal."""
    return 0.9 * abs(math.log(np.finfo(dtype).tiny))


@intrinsic
def _exp(typingctx, x):
    """Compute exp(x) within some units in the last place, where that is normal.

    The compiler makes vectors of this, unlike of a call of the library's function.
    """

    def codegen(context, builder, signature, args):
        (x,) = args
        number = x.type
        double = isinstance(number, ir.DoubleType)
        bits, bias, digits, degree = (64, 1023, 52, 12) if double else (32, 127, 23, 7)

        def constant(value):
            return ir.Constant(number, value)

        # exp(x) = 2^n exp(x - n log 2), with a series for the second.
        rint = cgutils.get_or_insert_function(
            builder.module, ir.FunctionType(number, [number]), f"llvm.rint.f{bits}"
        )
        n = builder.call(rint, [builder.fmul(x, constant(1 / math.log(2)))])
        for part in _LN2:
            x = multiply_add(builder, n, constant(-part), x)
        series = constant(1 / math.factorial(degree))
        for i in range(degree - 1, -1, -1):
            series = multiply_add(builder, series, x, constant(1 / math.factorial(i)))
        whole = ir.IntType(bits)
        exponent = builder.add(builder.fptosi(n, whole), ir.Constant(whole, bias))
        power = builder.bitcast(
            builder.shl(exponent, ir.Constant(whole, digits)), number
        )
        return builder.fmul(series, power)

    return x(x), codegen


@kernel
def add_odds(scores, limit, positive, negative):
    """Add sigmoid(f) and sigmoid(-f) of each score to ``positive`` and ``negative``.

    Both keep their relative precision, for |f| up to ``limit``, see `far`.
    """
    one = scores.dtype.type(1)
    for r in range(scores.shape[0]):
        for j in range(scores.shape[1]):
            f = scores[r, j]
            # These comparisons leave NaN as it is.
            f = limit if f > limit else f
            f = -limit if f < -limit else f
            odds = _exp(f)
            complement = one / (one + odds)
            positive[r, j] += odds * complement
            negative[r, j] += complement
