"""Compiled scoring of rows, from the weights of their columns to their raw scores.

Nothing between the two is stored: a batch of any size takes no memory but its scores.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

from ..runtime.jit import kernel
from .pair_sums import score_row


@kernel
def score_pairs(weights, bias, indptr, columns, values, out, start, stop):
    """Set out[b, 0] = bias[0] + sum x w + sum over pairs of <v, v'> x x' of row b.

    ``weights`` are the factors (n_columns, k), k > 0, and the linear weights
    (n_columns, 1); ``values`` is None where all are one.
    """
    factors, linear = weights
    last = indptr[stop] - 1
    for b in range(start, stop):
        begin, end = indptr[b], indptr[b + 1]
        out[b, 0] = bias[0] + score_row(
            factors, linear, columns, values, begin, end, last
        )
