"""The hot loops of the engine on the CPU.

Each kernel works on a range ``start..stop`` of rows (forward) or of distinct columns
(backward), releases the GIL, and writes only to its own range: any number
of threads gives the same bits. Table rows are scattered over memory, so what a step
costs is mostly waiting for them; every loop over entries prefetches ahead.

Shapes: ``weights`` is a pair of arrays, factors (n_columns, k) and linear weights
(n_columns, C), and so is each part of the optimizers' state; B rows in the batch; nnz
entries.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np
from numba import njit

from ..runtime.jit import JIT, prefetch, prefetch_row
from ..runtime.simd import add_powers, add_row, add_squares, sum_of_squares

#: Entries ahead of the current one whose table row is requested.
_AHEAD = 16
#: Distinct columns ahead of the current one.
COLUMNS_AHEAD = 12
#: Bits of a column sorted by one pass of the radix sort: 2048 counters fit in L1.
_RADIX_BITS = 11


def rounded(width: int) -> int:
    """Return the number of sums over entries: more are added faster than an odd few."""
    return -(-width // 4) * 4


@njit(forceinline=True, **JIT)
def request(weights, column):
    """Prefetch a column's numbers."""
    factors, linear = weights
    prefetch_row(factors, column, factors.shape[1])
    if linear.shape[1] == 1:
        prefetch(linear, np.intp(column), 0)
    elif linear.shape[1] > 1:
        prefetch_row(linear, column, linear.shape[1])


@njit(**JIT)
def pool(weights, indptr, columns, values, by_factor, out, start, stop):
    """out[b] = [sum x v | sum (x v)^2 | sum x w], or [sum x v | sum x w | sum (x v)^2].

    The squares ``by_factor``, or in all. More columns of ``out`` are left alone.
    """
    factors, linear = weights
    k, n_linear = factors.shape[1], linear.shape[1]
    at = 2 * k if by_factor else k
    unit = values.shape[0] == 0
    acc, one = np.zeros((2, k), factors.dtype), factors.dtype.type(1)
    last = indptr[stop] - 1
    for b in range(start, stop):
        for d in range(n_linear):
            out[b, at + d] = 0
        for p in range(indptr[b], indptr[b + 1]):
            request(weights, columns[min(p + _AHEAD, last)])
            c, x, again = columns[p], one if unit else values[p], p > indptr[b]
            add_row(acc, 0, 0, factors, c, 0, k, x, again)
            add_squares(acc, 1, 0, factors, c, 0, k, x, again)
            for d in range(n_linear):
                out[b, at + d] += x * linear[c, d]
        if indptr[b] == indptr[b + 1]:
            acc[:] = 0
        add_row(out, b, 0, acc, 0, 0, k, one, False)
        if by_factor:
            add_row(out, b, k, acc, 1, 0, k, one, False)
        else:
            total = factors.dtype.type(0)
            for j in range(k):
                total += acc[1, j]
            out[b, at + n_linear] = total


@njit(**JIT)
def pool_by_column(weights, groups, values, by_factor, squared, out, start, stop):
    """Add to out[b] what `pool` writes, for the distinct columns start..stop alone.

    Column by column the table is read in order, each row once; ``out`` fits the cache.
    Zero is added to what columns it has more. ``squared`` (1, width) is 1 for columns
    of squares, else 0.
    """
    factors, linear = weights
    distinct, bounds, order, rows = groups
    k, n_linear, width = factors.shape[1], linear.shape[1], out.shape[1]
    at = 2 * k if by_factor else k
    unit = values.shape[0] == 0
    last = rows.shape[0] - 1
    terms, one = np.zeros((1, width), factors.dtype), factors.dtype.type(1)
    for u in range(start, stop):
        request(weights, distinct[min(u + COLUMNS_AHEAD, stop - 1)])
        c = distinct[u]
        add_row(terms, 0, 0, factors, c, 0, k, one, False)
        if by_factor:
            add_squares(terms, 0, k, factors, c, 0, k, one, False)
        else:
            terms[0, at + n_linear] = sum_of_squares(factors, c, k)
        for d in range(n_linear):
            terms[0, at + d] = linear[c, d]
        for i in range(bounds[u], bounds[u + 1]):
            prefetch_row(out, rows[min(i + COLUMNS_AHEAD, last)], width)
            if unit:
                add_row(out, rows[i], 0, terms, 0, 0, width, one, True)
            else:
                x = values[order[i]]
                add_powers(out, rows[i], 0, terms, 0, squared, width, x, True)


@njit(**JIT)
def add_parts(sums, n_rows, start, stop):
    """Add rows b + n_rows, b + 2 n_rows, ... of ``sums`` to row b, in that order."""
    one, width = sums.dtype.type(1), sums.shape[1]
    for b in range(start, stop):
        for further in range(b + n_rows, sums.shape[0], n_rows):
            add_row(sums, b, 0, sums, further, 0, width, one, True)


@njit(**JIT)
def scatter(weights, indptr, columns, values, fields, linear_sums, slots, start, stop):
    """linear_sums[b] = sum x w; slots[b, s] = sum of x v over the entries of slot s.

    An entry's slot is its column's field or, when ``fields`` is empty, its position in
    the row. ``slots`` (B S, k) starts at zero.
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


@njit(**JIT)
def group(indptr, columns, n_columns, ordered):
    """Sort a batch's entries by column, entries of a column in row order.

    A stable radix sort of (column, entry) keys packed into 64 bits; of (column, row)
    where only the rows are wanted.

    Returns
    -------
    order : (nnz,) int32, entries sorted by column; empty unless ``ordered``
    rows : (nnz,) int32, the row of each sorted entry
    distinct : (U,) int32, the columns present
    bounds : (U + 1,) int32, where each column's entries start in ``order``
    """
    n = columns.shape[0]
    mask = (1 << _RADIX_BITS) - 1
    n_digits = 1
    while (n_columns - 1) >> (n_digits * _RADIX_BITS) > 0:
        n_digits += 1
    places = np.zeros((n_digits, 1 << _RADIX_BITS), np.int64)
    for p in range(n):
        for digit in range(n_digits):
            places[digit, (columns[p] >> (digit * _RADIX_BITS)) & mask] += 1
    for digit in range(n_digits):
        total = 0
        for value in range(mask + 1):
            total, places[digit, value] = total + places[digit, value], total
    keys, row_of = np.empty(n, np.int64), np.empty(n if ordered else 0, np.int32)
    place = places[0]
    for b in range(indptr.shape[0] - 1):
        for p in range(indptr[b], indptr[b + 1]):
            value = columns[p] & mask
            keys[place[value]] = (np.int64(columns[p]) << 32) | (p if ordered else b)
            place[value] += 1
            if ordered:
                row_of[p] = b
    for digit in range(1, n_digits):
        keys = _sort_digit(keys, places[digit], 32 + digit * _RADIX_BITS)
    return _runs(keys, row_of)


@njit(**JIT)
def _sort_digit(keys, place, shift):
    """Make a pass of the radix sort; ``place`` is the next place of each digit."""
    mask = (1 << _RADIX_BITS) - 1
    out = np.empty_like(keys)
    for i in range(keys.shape[0]):
        value = (keys[i] >> shift) & mask
        out[place[value]] = keys[i]
        place[value] += 1
    return out


@njit(**JIT)
def _runs(keys, row_of):
    """Find the starts of the columns in sorted keys, and take the keys apart."""
    n, ordered = keys.shape[0], row_of.shape[0] > 0
    order, rows = np.empty(row_of.shape[0], np.int32), np.empty(n, np.int32)
    distinct, bounds = np.empty(n, np.int32), np.empty(n + 1, np.int32)
    n_distinct = 0
    previous = np.int64(-1)
    for i in range(n):
        column, low = keys[i] >> 32, keys[i] & 0xFFFFFFFF
        if ordered:
            order[i] = low
            rows[i] = row_of[low]
        else:
            rows[i] = low
        # Written in any case: a branch would be mispredicted every other time.
        distinct[n_distinct] = column
        bounds[n_distinct] = i
        n_distinct += column != previous
        previous = column
    bounds[n_distinct] = n
    return order, rows, distinct[:n_distinct], bounds[: n_distinct + 1]


# A gradient not yet reduced travels as one tuple (see `RowGradient.parts`):
#   distinct, bounds, order, rows   what `group` returns
#   indptr, values                  of the batch
#   upstream (B, F + S + C + 1 + 1) [U1v | U2v | U1w | a | u2]: a column's entries add
#                                   x U1v + x^2 (U2v or u2) v to its factors, which is
#                                   F, 0 or k, and S, 0 or k, numbers; x U1w + x^2 a w
#                                   to its linear weights; u2 is there where U2v is not;
#                                   zeros follow, up to a `rounded` width
#   by_factor                       whether there is U2v
#   squared (1, width of upstream)  1 for the columns that count by x^2, else 0
#   slots (B S, k) or (0, 0)        gradient of `scatter`'s slots
#   n_slots                         S
#   fields (n_columns,) or (0,)


@njit(forceinline=True, **JIT)
def widths(weights, gradient):
    """Return the start and end of the linear part in a gradient row, and its width."""
    upstream, by_factor, _, slots = gradient[6:10]
    k = weights[0].shape[1]
    at = 2 * k if by_factor else k
    width = upstream.shape[1] + (k if slots.shape[0] > 0 else 0)
    return at, at + weights[1].shape[1], width


@njit(forceinline=True, **JIT)
def column_gradient(weights, gradient, u, acc, at):
    """Gradient of the u-th distinct column, but for multiples of its weights.

    Into acc[0, :k] and acc[0, at:at + C]; by how much the linear weights, and the
    factors, are to be multiplied and added comes next. Nothing is returned: references
    would be counted for each column.
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


@njit(forceinline=True, **JIT)
def _set_slot_gradient(gradient, u, acc):
    """Sum x dL/dslots over a column's entries into the factors' part of ``acc``."""
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


@njit(**JIT)
def reduce(weights, gradient, out, start, stop):
    """out[u] = gradient of the u-th distinct column: [linear weights | factors]."""
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
