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
#: Scores beyond which exponentials are no normal numbers of float64.
_FAR = 600.0


@kernel(inner=True)
def _pool_row(weights, entries, values, linear_sums, pairs, b, sums, terms):
    """Set row b of ``linear_sums`` and ``pairs``; ``sums`` and ``terms`` are scratch.

    ``entries`` are the columns of a batch, the first and the end of those of the row,
    and the last that may be requested.
    """
    (factors, linear), (columns, begin, end, last) = weights, entries
    n_samples, width = linear.shape[1], factors.shape[1]
    unit, one = values.shape[0] == 0, factors.dtype.type(1)
    half = factors.dtype.type(0.5)
    linear_sums[b] = 0
    pairs[b] = 0
    if begin == end:
        return
    for p in range(begin, end):
        prefetch_row(factors, columns[min(p + _AHEAD, last)], width)
        c, x, again = columns[p], one if unit else values[p], p > begin
        add_row(sums, 0, 0, factors, c, 0, width, x, again)
        add_squares(terms, 0, 0, factors, c, 0, width, x, again)
        add_row(linear_sums, b, 0, linear, c, 0, n_samples, x, True)
    for a in range(width):
        terms[0, a] = half * (sums[0, a] * sums[0, a] - terms[0, a])
    # Samples in the inner loop: sums that do not wait for each other.
    k = width // n_samples
    for a in range(k):
        for s in range(n_samples):
            pairs[b, s] += terms[0, s * k + a]


@kernel
def pool_samples(weights, indptr, columns, values, linear_sums, pairs, start, stop):
    """linear_sums[b] = sum x w and pairs[b] = sum over pairs of <v, v'> x x'.

    Both (B, S) for the S machines of ``weights``, the factors (n_columns, S k) and the
    linear weights (n_columns, S); ``values`` is empty where all are one.
    """
    sums, terms = np.empty_like(weights[0][:1]), np.empty_like(weights[0][:1])
    last = indptr[stop] - 1
    for b in range(start, stop):
        entries = columns, indptr[b], indptr[b + 1], last
        _pool_row(weights, entries, values, linear_sums, pairs, b, sums, terms)


@kernel
def score_samples(
    weights, constants, scale, logit, indptr, columns, values, out, start, stop
):
    """Set out[b] to the raw scores (B, C) of the mean prediction of all machines.

    The score of sample s and output c is f = constants[s, c] + sum x w + ``scale``
    times the sum over pairs. Raw scores are the means of f or, with ``logit``, the log
    odds of the means of sigmoid(f).
    """
    n_samples, n_outputs = constants.shape
    sums, terms = np.empty_like(weights[0][:1]), np.empty_like(weights[0][:1])
    linear_sums, pairs = np.empty_like(weights[1][:1]), np.empty_like(weights[1][:1])
    scores = np.empty(n_samples, np.float64)
    last = indptr[stop] - 1
    for b in range(start, stop):
        entries = columns, indptr[b], indptr[b + 1], last
        _pool_row(weights, entries, values, linear_sums, pairs, 0, sums, terms)
        for c in range(n_outputs):
            for s in range(n_samples):
                at = s * n_outputs + c
                both = linear_sums[0, at] + scale * pairs[0, at]
                scores[s] = both + constants[s, c]
            out[b, c] = _mean_log_odds(scores) if logit else _mean(scores)


@kernel(inner=True)
def _mean(scores):
    total = 0.0
    for f in scores:
        total += f
    return total / len(scores)


@kernel(inner=True)
def _mean_log_odds(scores):
    """Return the log odds of the mean of sigmoid(f) over ``scores``."""
    # The larger of a probability and its complement is 1 / (1 + exp(-|f|)), and the
    # smaller exp(-|f|) times that. If all the smaller ones are on one side and might
    # vanish, the largest of their exponentials is taken out of the sum.
    below = above = np.inf
    for f in scores:
        below, above = min(below, max(-f, 0.0)), min(above, max(f, 0.0))
    below, above = below * (below > _FAR), above * (above > _FAR)
    positive = negative = 0.0
    for f in scores:
        smaller = np.exp(-abs(f))
        larger = 1.0 / (1.0 + smaller)
        if f > 0:
            positive += larger
            negative += larger * (np.exp(above - f) if above > 0 else smaller)
        else:
            negative += larger
            positive += larger * (np.exp(below + f) if below > 0 else smaller)
    return (np.log(positive) - below) - (np.log(negative) - above)
