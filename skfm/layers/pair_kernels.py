"""Attention over the pairs of a row, without writing out a pair's product.

With E the embeddings of a row (L, k), a pair's hidden units are linear in the second
embedding: W (e_i * e_j) = (W diag(e_i)) e_j. So for each i, vectors hold 16 (or 8) of
the j, and all that is kept of a pair is its logit, then its attention. The backward
pass computes the hidden units again.

Shapes: embeddings (B, m, k), weight (t, k), bias and projection (1, t), attention
(B, m, n) with n the m rounded up to whole vectors and zeros where j <= i.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np
from numba import njit

from ..jit import CACHE_LINE, JIT
from .pair_vectors import (
    dense_gradients,
    embedding_gradients,
    hidden_units,
    pooled_pairs,
    share_gradient,
)

#: Columns are padded to a multiple of this many.
LANES = 16


def padded(m: int) -> int:
    """Columns that ``m`` take."""
    return -(-m // LANES) * LANES


@njit(forceinline=True, **JIT)
def _turn(embeddings, length, by_factor):
    """A row's embeddings (m, k) as (k, n), padded with zeros."""
    for d in range(by_factor.shape[0]):
        for j in range(length):
            by_factor[d, j] = embeddings[j, d]
        for j in range(length, by_factor.shape[1]):
            by_factor[d, j] = 0


@njit(**JIT)
def attend(embeddings, lengths, weight, bias, head, attention, pooled):
    """attention[b, i, j] of each pair and pooled[b] = sum of attention e_i * e_j."""
    (n_units, k), n = weight.shape, attention.shape[2]
    dtype, lanes = weight.dtype, CACHE_LINE // weight.itemsize
    by_factor = np.empty((k, n), dtype)
    products, hidden = np.empty((k, lanes), dtype), np.empty((n_units, lanes), dtype)
    sums = np.empty((k, lanes), dtype)
    for b in range(embeddings.shape[0]):
        length, rows, shares = lengths[b], embeddings[b], attention[b]
        _turn(rows, length, by_factor)
        for i in range(length - 1):
            for begin in range((i + 1) // LANES * LANES, n, lanes):
                hidden_units(
                    *(i, begin, rows, by_factor, weight, bias, head),
                    *(products, hidden, shares),
                )
        _softmax(shares, length)
        sums[:] = 0
        for i in range(length - 1):
            for begin in range((i + 1) // LANES * LANES, n, lanes):
                pooled_pairs(i, begin, rows, by_factor, shares, sums)
        for d in range(k):
            pooled[b, d] = sums[d].sum()


@njit(forceinline=True, **JIT)
def _softmax(logits, length):
    """Softmax over the pairs i < j < length; zero elsewhere."""
    largest = logits.dtype.type(-np.inf)
    for i in range(length - 1):
        for j in range(i + 1, length):
            largest = max(largest, logits[i, j])
    total = logits.dtype.type(0)
    for i in range(length - 1):
        for j in range((i + 1) // LANES * LANES, i + 1):
            logits[i, j] = 0
        for j in range(i + 1, length):
            e = np.exp(logits[i, j] - largest)
            logits[i, j] = e
            total += e
        for j in range(length, logits.shape[1]):
            logits[i, j] = 0
    for i in range(length - 1):
        for j in range(i + 1, length):
            logits[i, j] /= total


@njit(**JIT)
def attend_backward(
    embeddings,
    lengths,
    weight,
    bias,
    head,
    attention,
    upstream,
    of_embeddings,
    of_weight,
    of_bias,
    of_head,
):
    """Gradients of what `attend` pooled; ``of_embeddings`` starts at zero."""
    (n_units, k), (m, n) = weight.shape, attention.shape[1:]
    dtype, lanes = weight.dtype, CACHE_LINE // weight.itemsize
    by_factor, of_by_factor = np.empty((2, k, n), dtype)
    products, of_first = np.empty((2, k, lanes), dtype)
    hidden, of_hidden = np.empty((2, n_units, lanes), dtype)
    of_logits, unused = np.zeros((2, m, n), dtype)
    # Sums over all rows and pairs, lane by lane.
    weights = np.zeros((n_units * k, lanes), dtype)
    biases, heads = np.zeros((2, n_units, lanes), dtype)
    for b in range(embeddings.shape[0]):
        length, rows, shares = lengths[b], embeddings[b], attention[b]
        above = upstream[b : b + 1]
        _turn(rows, length, by_factor)
        _logits_gradient(rows, by_factor, shares, above, length, of_logits)
        of_by_factor[:] = 0
        for i in range(length - 1):
            of_first[:] = 0
            for begin in range((i + 1) // LANES * LANES, n, lanes):
                hidden_units(
                    *(i, begin, rows, by_factor, weight, bias, head),
                    *(products, hidden, unused),
                )
                dense_gradients(
                    *(i, begin, of_logits, head, products, hidden, of_hidden),
                    *(weights, biases, heads),
                )
                embedding_gradients(
                    *(i, begin, rows, by_factor, shares, above, weight, of_hidden),
                    *(of_by_factor, of_first),
                )
            for d in range(k):
                of_embeddings[b, i, d] = of_first[d].sum()
        for j in range(length):
            for d in range(k):
                of_embeddings[b, j, d] += of_by_factor[d, j]
    for unit in range(n_units):
        of_bias[0, unit] = biases[unit].sum()
        of_head[0, unit] = heads[unit].sum()
        for d in range(k):
            of_weight[unit, d] = weights[unit * k + d].sum()


@njit(forceinline=True, **JIT)
def _logits_gradient(rows, by_factor, shares, upstream, length, of_logits):
    """a_ij (c_ij - sum a c) with c_ij = <upstream, e_i * e_j>, into ``of_logits``."""
    n, lanes = by_factor.shape[1], CACHE_LINE // by_factor.itemsize
    sums = np.zeros((1, lanes), by_factor.dtype)
    for i in range(length - 1):
        for begin in range((i + 1) // LANES * LANES, n, lanes):
            share_gradient(i, begin, rows, by_factor, shares, upstream, of_logits, sums)
    mean = sums.sum()
    for i in range(length - 1):
        for j in range((i + 1) // LANES * LANES, n):
            of_logits[i, j] = shares[i, j] * (of_logits[i, j] - mean)
