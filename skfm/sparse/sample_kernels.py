"""Compiled scoring of rows under several factorization machines at once.

The machines lie side by side in one table: each linear weight of a column has factors
of its own, as many as there are factors over linear weights. Prediction from samples of
a posterior is this and nothing else.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np

from ..runtime.jit import kernel, prefetch_row
from ..runtime.simd import add_row, add_squares

#: Entries ahead of the current one whose table row is requested.
_AHEAD = 2


@kernel
def pool_samples(weights, indptr, columns, values, linear_sums, pairs, start, stop):
    """linear_sums[b] = sum x w and pairs[b] = sum over pairs of <v, v'> x x'.

    Both (B, S) for the S machines of ``weights``, the factors (n_columns, S k) and the
    linear weights (n_columns, S); ``values`` is empty where all are one.
    """
    factors, linear = weights
    n_samples, width = linear.shape[1], factors.shape[1]
    k = width // n_samples
    unit, one = values.shape[0] == 0, factors.dtype.type(1)
    half = factors.dtype.type(0.5)
    sums, terms = np.empty_like(factors[:1]), np.empty_like(factors[:1])
    last = indptr[stop] - 1
    for b in range(start, stop):
        linear_sums[b] = 0
        pairs[b] = 0
        for p in range(indptr[b], indptr[b + 1]):
            prefetch_row(factors, columns[min(p + _AHEAD, last)], width)
            c, x, again = columns[p], one if unit else values[p], p > indptr[b]
            add_row(sums, 0, 0, factors, c, 0, width, x, again)
            add_squares(terms, 0, 0, factors, c, 0, width, x, again)
            add_row(linear_sums, b, 0, linear, c, 0, n_samples, x, True)
        if indptr[b] == indptr[b + 1]:
            continue
        for a in range(width):
            terms[0, a] = half * (sums[0, a] * sums[0, a] - terms[0, a])
        # Samples in the inner loop: sums that do not wait for each other.
        for a in range(k):
            for s in range(n_samples):
                pairs[b, s] += terms[0, s * k + a]
