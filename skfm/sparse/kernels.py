"""Compiled loops of look-ups and gradients on the CPU.

Each kernel works on a range ``start..stop`` of rows (look-ups) or of distinct columns
(gradients), releases the GIL, and writes only to its own range, so that any number of
threads gives the same bits. The rows of a table are scattered over memory. A step
mostly waits for them, and every loop over entries therefore prefetches ahead.

``weights`` is a pair of arrays, the factors (n_columns, k) and the linear weights
(n_columns, C), and so is each part of the state of an optimizer. A batch has B rows and
nnz entries.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np

from ..runtime.jit import kernel, prefetch, prefetch_row
from ..runtime.simd import add_powers, add_row
from .pair_sums import pool_row

#: Distance, in entries, at which the row of the table is prefetched.
_AHEAD = 16
#: The same distance in distinct columns.
COLUMNS_AHEAD = 12


def rounded(width: int) -> int:
    """Round a number of sums up to a multiple of 4, which are added faster."""
    return -(-width // 4) * 4


@kernel(forceinline=True)
def request(weights, column):
    """Prefetch the weights of a column."""
    factors, linear = weights
    prefetch_row(factors, column, factors.shape[1])
    if linear.shape[1] == 1:
        prefetch(linear, np.intp(column), 0)
    elif linear.shape[1] > 1:
        prefetch_row(linear, column, linear.shape[1])


@kernel
def pool(weights, indptr, columns, values, by_factor, out, start, stop):
    """Set out[b] to [sum x v | sum (x v)^2 | sum x w] over the entries of row b.

    This is the order if squares are summed ``by_factor``. Otherwise, they are summed
    over all factors, and their sum comes last. ``values`` is None where all are one.
    """
    factors, linear = weights
    k, n_linear = factors.shape[1], linear.shape[1]
    at, one = 2 * k if by_factor else k, factors.dtype.type(1)
    last = indptr[stop] - 1
    for b in range(start, stop):
        first, end = indptr[b], indptr[b + 1]
        pool_row(factors, linear, columns, values, first, end, last, out, b, by_factor)
        if n_linear == 1 and k > 0:
            continue
        for d in range(n_linear):
            out[b, at + d] = 0
        for p in range(first, end):
            x = one if values is None else values[p]
            for d in range(n_linear):
                out[b, at + d] += x * linear[columns[p], d]


@kernel
def scatter(weights, indptr, columns, values, fields, linear_sums, slots, start, stop):
    """Set linear_sums[b] to sum x w, and add x v of each entry to slots[b, s].

    The slot s of an entry is its field or, if ``fields`` is empty, its position in the
    row. ``slots`` (B S, k) is zero at the start.
    """
    factors, linear = weights
    k, n_linear = factors.shape[1], linear.shape[1]
    n_slots = slots.shape[0] // max(1, linear_sums.shape[0])
    unit = values.shape[0] == 0
    by_field = fields.shape[0] > 0
    last = indptr[stop] - 1
    for b in range(start, stop):
        for d in range(n_linear):
            linear_sums[b, d] = 0
        for p in range(indptr[b], indptr[b + 1]):
            request(weights, columns[min(p + _AHEAD, last)])
            c = columns[p]
            x = factors.dtype.type(1) if unit else values[p]
            slot = np.int64(fields[c]) if by_field else p - indptr[b]
            for d in range(n_linear):
                linear_sums[b, d] += x * linear[c, d]
            add_row(slots, b * n_slots + slot, 0, factors, c, 0, k, x, True)


# A gradient that is not yet reduced is passed as one tuple (see `RowGradient.parts`):
#   distinct, bounds, order, rows   groups of the entries: see `grouping`
#   indptr, values                  arrays of the batch
#   upstream (B, width)             [U1v | U2v | U1w | a | u2]. Each entry adds
#                                   x U1v + x^2 (U2v or u2) v to the gradient of its
#                                   column's factors, and x U1w + x^2 a w to that of the
#                                   linear weights. U1v and U2v have k columns or none;
#                                   u2 has one column if U2v has none. Zeros follow, up
#                                   to a `rounded` width.
#   by_factor                       whether U2v has columns
#   squared (1, width)              1 for the columns multiplied by x^2, else 0
#   slots (B S, k) or (0, 0)        gradient of the slots of `scatter`
#   n_slots                         number S of slots
#   fields (n_columns,) or (0,)     field of each column


@kernel(forceinline=True)
def widths(weights, gradient):
    """Return the start and the end of the linear part of a row, and the row's width."""
    upstream, by_factor, _, slots = gradient[6:10]
    k = weights[0].shape[1]
    at = 2 * k if by_factor else k
    width = upstream.shape[1] + (k if slots.shape[0] > 0 else 0)
    return at, at + weights[1].shape[1], width


@kernel(forceinline=True)
def column_gradient(weights, gradient, u, acc, at):
    """Compute the gradient of the u-th distinct column, without multiples of weights.

    It is written to acc[0, :k] and acc[0, at:at + C]. The next two numbers are the
    multiples of the linear weights, and of the factors, that must be added to it.
    Nothing is returned, because numba would count references for each column.
    """
    factors = weights[0]
    distinct, bounds, order, rows, _, values = gradient[:6]
    upstream, by_factor, squared, slots = gradient[6:10]
    k, c = factors.shape[1], distinct[u]
    n_sums, skipped = upstream.shape[1], acc.shape[1] - upstream.shape[1]
    end = rows.shape[0] - 1
    for i in range(bounds[u], bounds[u + 1]):
        prefetch_row(upstream, rows[min(i + COLUMNS_AHEAD, end)], n_sums)
        again = i > bounds[u]
        if values.shape[0] == 0:
            one = factors.dtype.type(1)
            add_row(acc, 0, skipped, upstream, rows[i], 0, n_sums, one, again)
        else:
            x = values[order[i]]
            add_powers(acc, 0, skipped, upstream, rows[i], squared, n_sums, x, again)
    if by_factor:
        for j in range(k):
            acc[0, j] += acc[0, k + j] * factors[c, j]
    if slots.shape[0] > 0:
        _set_slot_gradient(gradient, u, acc)


@kernel(forceinline=True)
def _set_slot_gradient(gradient, u, acc):
    """Add x dL/dslots over the entries of a column to the factors' part of ``acc``."""
    distinct, bounds, order, rows, indptr, values = gradient[:6]
    slots, n_slots, fields = gradient[9:]
    by_field, ordered = fields.shape[0] > 0, order.shape[0] > 0
    if by_field:
        ahead = min(u + COLUMNS_AHEAD, distinct.shape[0] - 1)
        first = np.intp(rows[bounds[ahead]]) * n_slots
        prefetch_row(slots, first + fields[distinct[ahead]], slots.shape[1])
    for i in range(bounds[u], bounds[u + 1]):
        p, b = np.int64(order[i]) if ordered else np.int64(0), np.int64(rows[i])
        x = slots.dtype.type(1) if values.shape[0] == 0 else values[p]
        slot = np.int64(fields[distinct[u]]) if by_field else p - indptr[b]
        again = i > bounds[u]
        add_row(acc, 0, 0, slots, b * n_slots + slot, 0, slots.shape[1], x, again)


@kernel
def reduce(weights, gradient, out, start, stop):
    """Write the gradient of each distinct column, [linear weights | factors]."""
    distinct, (at, end, width) = gradient[0], widths(weights, gradient)
    acc = np.empty((1, width), weights[0].dtype)
    k, n_linear, one = weights[0].shape[1], weights[1].shape[1], acc.dtype.type(1)
    for u in range(start, stop):
        request(weights, distinct[min(u + COLUMNS_AHEAD, stop - 1)])
        column_gradient(weights, gradient, u, acc, at)
        c, a, second = distinct[u], acc[0, end], acc[0, end + 1]
        add_row(out, u, 0, acc, 0, at, n_linear, one, False)
        add_row(out, u, 0, weights[1], c, 0, n_linear, a, True)
        add_row(out, u, n_linear, acc, 0, 0, k, one, False)
        add_row(out, u, n_linear, weights[0], c, 0, k, second, True)
