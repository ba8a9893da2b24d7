"""Kernels of attention over the pairs of a row, one row at a time.

The products of a row's pairs are laid out factor by factor, (k, P), and processed in
vectors of pairs, so that they stay in cache. Only the attention of the pairs is kept
after a row; the backward pass computes products and hidden units again.

Shapes: embeddings (B, m, k), weight (t, k), bias and head (1, t), attention (B, n) with
n the largest number of pairs of a row, rounded up to whole vectors.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np

from ...runtime.jit import CACHE_LINE, kernel
from .pair_vectors import (
    dense_gradients,
    hidden_units,
    multiply_pairs,
    pool_products,
    product_gradients,
    share_gradient,
    split_gradients,
)

#: Number of elements of one vector, or of two.
_LANES = 16


def attention_width(m: int) -> int:
    """Return n for rows of up to ``m`` entries."""
    return -(-m * (m - 1) // 2 // _LANES) * _LANES


@kernel
def attend(embeddings, lengths, weight, bias, head, attention, pooled):
    """Compute the attention of each row's pairs, and their weighted sum ``pooled``."""
    (m, k), n = embeddings.shape[1:], attention.shape[1]
    dtype, lanes = weight.dtype, CACHE_LINE // weight.itemsize
    by_factor = np.zeros((k, m + _LANES), dtype)
    products = np.zeros((k, n + _LANES), dtype)
    hidden = np.empty((weight.shape[0], lanes), dtype)
    sums = np.empty((k, lanes), dtype)
    for b in range(embeddings.shape[0]):
        n_pairs = _products(embeddings[b], lengths[b], by_factor, products)
        shares = attention[b : b + 1]
        for at in range(0, n_pairs, lanes):
            hidden_units(at, products, weight, bias, head, hidden, shares)
        _softmax(shares[0], n_pairs)
        sums[:] = 0
        for at in range(0, n_pairs, lanes):
            pool_products(at, products, shares, sums)
        for d in range(k):
            pooled[b, d] = sums[d].sum()


@kernel(forceinline=True)
def _products(rows, length, by_factor, products):
    """Lay out a row's embeddings and pairs' products; return the number of pairs."""
    lanes = CACHE_LINE // rows.itemsize
    for d in range(by_factor.shape[0]):
        for j in range(length):
            by_factor[d, j] = rows[j, d]
        for j in range(length, length + lanes):
            by_factor[d, j] = 0
    n_pairs = 0
    for i in range(length - 1):
        for j in range(i + 1, length, lanes):
            # The surplus zeros at the end are overwritten by the next i.
            multiply_pairs(i, j, n_pairs + j - i - 1, rows, by_factor, products)
        n_pairs += length - 1 - i
    return n_pairs


@kernel(forceinline=True)
def _softmax(logits, n_pairs):
    """Apply softmax to the first ``n_pairs`` logits, and set the rest to zero."""
    largest = logits.dtype.type(-np.inf)
    for p in range(n_pairs):
        largest = max(largest, logits[p])
    total = logits.dtype.type(0)
    for p in range(n_pairs):
        logits[p] = np.exp(logits[p] - largest)
        total += logits[p]
    for p in range(n_pairs):
        logits[p] /= total
    for p in range(n_pairs, logits.shape[0]):
        logits[p] = 0


@kernel
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
    """Compute the gradients of `attend`; ``of_embeddings`` must start at zero."""
    (m, k), n, n_units = embeddings.shape[1:], attention.shape[1], weight.shape[0]
    dtype, lanes = weight.dtype, CACHE_LINE // weight.itemsize
    by_factor, of_by_factor = np.zeros((2, k, m + _LANES), dtype)
    products, of_products = np.zeros((2, k, n + _LANES), dtype)
    hidden, of_hidden = np.empty((2, n_units, lanes), dtype)
    of_logits, unused = np.zeros((2, 1, n), dtype)
    # Sums over all rows and pairs, lane by lane.
    weights = np.zeros((n_units * k, lanes), dtype)
    biases, heads = np.zeros((2, n_units, lanes), dtype)
    for b in range(embeddings.shape[0]):
        rows, shares, above = embeddings[b], attention[b : b + 1], upstream[b : b + 1]
        n_pairs = _products(rows, lengths[b], by_factor, products)
        _logits_gradient(products, shares, above, n_pairs, of_logits)
        for at in range(0, n_pairs, lanes):
            hidden_units(at, products, weight, bias, head, hidden, unused)
            dense_gradients(
                at,
                products,
                of_logits,
                head,
                hidden,
                of_hidden,
                weights,
                biases,
                heads,
            )
            product_gradients(at, shares, above, weight, of_hidden, of_products)
        _split(rows, lengths[b], by_factor, of_products, of_by_factor, of_embeddings[b])
    for unit in range(n_units):
        of_bias[0, unit] = biases[unit].sum()
        of_head[0, unit] = heads[unit].sum()
        for d in range(k):
            of_weight[unit, d] = weights[unit * k + d].sum()


@kernel(forceinline=True)
def _logits_gradient(products, shares, upstream, n_pairs, of_logits):
    """Compute a_p (c_p - sum a c) with c_p = <upstream, products_p>."""
    lanes = CACHE_LINE // products.itemsize
    sums = np.zeros((1, lanes), products.dtype)
    for at in range(0, n_pairs, lanes):
        share_gradient(at, products, shares, upstream, of_logits, sums)
    mean = sums.sum()
    for p in range(shares.shape[1]):
        of_logits[0, p] = shares[0, p] * (of_logits[0, p] - mean)


@kernel(forceinline=True)
def _split(rows, length, by_factor, of_products, of_by_factor, of_rows):
    """Turn the gradients of a row's products into those of its embeddings."""
    k, lanes = by_factor.shape[0], CACHE_LINE // rows.itemsize
    of_first = np.empty((k, lanes), rows.dtype)
    of_by_factor[:] = 0
    first = 0
    for i in range(length - 1):
        of_first[:] = 0
        for j in range(i + 1, length, lanes):
            split_gradients(
                i,
                j,
                first + j - i - 1,
                rows,
                by_factor,
                of_products,
                of_by_factor,
                of_first,
            )
        first += length - 1 - i
        for d in range(k):
            of_rows[i, d] = of_first[d].sum()
    for j in range(length):
        for d in range(k):
            of_rows[j, d] += of_by_factor[d, j]
