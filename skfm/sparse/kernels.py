"""The hot loops of the engine on the CPU.

Each kernel works on a range ``start..stop`` of rows (forward) or of distinct columns
(backward and update), releases the GIL, and writes only to its own range: any number
of threads gives the same bits. Table rows are scattered over memory, so what a step
costs is mostly waiting for them; every loop over entries prefetches ahead.

Shapes: a table row has D numbers, the first C linear weights, the other k = D - C
factors; B rows in the batch; nnz entries.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np
from numba import njit

from ..jit import JIT, add_row, prefetch, prefetch_row

#: Entries ahead of the current one whose table row is requested.
_AHEAD = 16
#: Distinct columns ahead of the current one.
_COLUMNS_AHEAD = 8
#: Bits of a column sorted by one pass of the radix sort: 2048 counters fit in L1.
_RADIX_BITS = 11


@njit(**JIT)
def pool(weight, n_linear, indptr, columns, values, out, start, stop):
    """out[b] = [sum x w | sum x v | sum (x v)^2], the squares by factor or in all."""
    width = weight.shape[1]
    n_factors = width - n_linear
    n_squares = out.shape[1] - width
    unit = values.shape[0] == 0
    acc = np.empty(width + n_factors, weight.dtype)
    last = indptr[stop] - 1
    for b in range(start, stop):
        acc[:] = 0
        for p in range(indptr[b], indptr[b + 1]):
            prefetch_row(weight, columns[min(p + _AHEAD, last)], width)
            c = columns[p]
            x = weight.dtype.type(1) if unit else values[p]
            for d in range(n_linear):
                acc[d] += x * weight[c, d]
            for j in range(n_factors):
                e = x * weight[c, n_linear + j]
                acc[n_linear + j] += e
                acc[width + j] += e * e
        for d in range(width):
            out[b, d] = acc[d]
        if n_squares == n_factors:
            for j in range(n_factors):
                out[b, width + j] = acc[width + j]
        else:
            out[b, width] = acc[width:].sum()


@njit(**JIT)
def pool_by_column(weight, n_linear, groups, values, out, start, stop):
    """Add to out[b] what `pool` writes, for the distinct columns start..stop alone.

    Column by column the table is read in order, each row once; ``out`` fits the cache.
    """
    distinct, bounds, order, rows = groups
    width = weight.shape[1]
    n_factors = width - n_linear
    by_factor = out.shape[1] == width + n_factors
    unit = values.shape[0] == 0
    last = rows.shape[0] - 1
    one = weight.dtype.type(1)
    squares = np.empty(n_factors, weight.dtype)
    for u in range(start, stop):
        prefetch_row(weight, distinct[min(u + _COLUMNS_AHEAD, stop - 1)], width)
        c = distinct[u]
        total = weight.dtype.type(0)
        for j in range(n_factors):
            squares[j] = weight[c, n_linear + j] * weight[c, n_linear + j]
            total += squares[j]
        for i in range(bounds[u], bounds[u + 1]):
            prefetch_row(out, rows[min(i + _COLUMNS_AHEAD, last)], width)
            b = rows[i]
            x = one if unit else values[order[i]]
            add_row(out, b, weight, c, width, width, x, x, True)
            if by_factor:
                for j in range(n_factors):
                    out[b, width + j] += x * x * squares[j]
            else:
                out[b, width] += x * x * total


@njit(**JIT)
def scatter(
    weight, n_linear, indptr, columns, values, fields, linear, slots, start, stop
):
    """linear[b] = sum x w; slots[b, s] = sum of x v over the entries of slot s.

    An entry's slot is its column's field or, when ``fields`` is empty, its position in
    the row. ``slots`` starts at zero.
    """
    width = weight.shape[1]
    unit = values.shape[0] == 0
    by_field = fields.shape[0] > 0
    last = indptr[stop] - 1
    for b in range(start, stop):
        for d in range(n_linear):
            linear[b, d] = 0
        for p in range(indptr[b], indptr[b + 1]):
            prefetch_row(weight, columns[min(p + _AHEAD, last)], width)
            c = columns[p]
            x = weight.dtype.type(1) if unit else values[p]
            slot = np.int64(fields[c]) if by_field else p - indptr[b]
            for d in range(n_linear):
                linear[b, d] += x * weight[c, d]
            for j in range(width - n_linear):
                slots[b, slot, j] += x * weight[c, n_linear + j]


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
    """One pass of the radix sort; ``place`` is where the next key of a digit goes."""
    mask = (1 << _RADIX_BITS) - 1
    out = np.empty_like(keys)
    for i in range(keys.shape[0]):
        value = (keys[i] >> shift) & mask
        out[place[value]] = keys[i]
        place[value] += 1
    return out


@njit(**JIT)
def _runs(keys, row_of):
    """Where the columns of sorted keys begin, and what the keys are made of."""
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
#   upstream (B, F + 1 + S)         [U1 | a | U2]: a column's entries add x U1 to its
#                                   first F numbers, x^2 a w to its linear weights and
#                                   x^2 U2 v to its factors; S is k, or 1 for all alike
#   n_first                         F: D, or C where the factors' part comes by slots
#   slots (B, slots, k) or (0, 0, 0), gradient of `scatter`'s slots
#   fields (n_columns,) or (0,)
#   n_linear                        C


@njit(**JIT)
def _buffer(weight, gradient):
    """What `_column_gradient` works in: the row of an array."""
    return np.empty((1, max(weight.shape[1], gradient[6].shape[1])), weight.dtype)


@njit(forceinline=True, **JIT)
def _column_gradient(weight, gradient, u, acc):
    """Gradient of the u-th distinct column's table row, into ``acc[0, :D]``."""
    distinct, bounds, order, rows, _, values = gradient[:6]
    upstream, n_first, slots, _, n_linear = gradient[6:]
    n_sums, width, c = upstream.shape[1], weight.shape[1], distinct[u]
    unit = values.shape[0] == 0
    x = weight.dtype.type(1)
    for i in range(bounds[u], bounds[u + 1]):
        if not unit:
            x = values[order[i]]
        again = i > bounds[u]
        add_row(acc, 0, upstream, rows[i], n_sums, n_first, x, x * x, again)
    # What is in proportion to the weights: so far acc = [U1 | a | U2].
    a, second = acc[0, n_first], acc[0, n_first + 1]
    if n_sums > n_first + 2:
        for d in range(n_linear, width):
            acc[0, d] += acc[0, n_first + 1 - n_linear + d] * weight[c, d]
        second = weight.dtype.type(0)
    elif n_first == n_linear:
        for d in range(n_linear, width):
            acc[0, d] = 0
    add_row(acc, 0, weight, c, width, n_linear, a, second, True)
    if slots.shape[0] > 0:
        _add_slot_gradient(gradient, u, acc)


@njit(forceinline=True, **JIT)
def _add_slot_gradient(gradient, u, acc):
    """Add sum x dL/dslots over a column's entries to the factors' part of ``acc``."""
    distinct, bounds, order, rows, indptr, values = gradient[:6]
    slots, fields, n_linear = gradient[8:]
    by_field, ordered = fields.shape[0] > 0, order.shape[0] > 0
    if by_field:
        ahead = min(u + _COLUMNS_AHEAD, distinct.shape[0] - 1)
        offset = fields[distinct[ahead]] * slots.shape[2] * slots.itemsize
        prefetch(slots, np.intp(rows[bounds[ahead]]), np.intp(offset))
    for i in range(bounds[u], bounds[u + 1]):
        p, b = np.int64(order[i]) if ordered else np.int64(0), rows[i]
        x = slots.dtype.type(1) if values.shape[0] == 0 else values[p]
        slot = np.int64(fields[distinct[u]]) if by_field else p - indptr[b]
        for j in range(slots.shape[2]):
            acc[0, n_linear + j] += x * slots[b, slot, j]


@njit(**JIT)
def reduce(weight, gradient, out, start, stop):
    """out[u] = gradient of the u-th distinct column's table row."""
    distinct, acc = gradient[0], _buffer(weight, gradient)
    width = weight.shape[1]
    for u in range(start, stop):
        prefetch_row(weight, distinct[min(u + _COLUMNS_AHEAD, stop - 1)], width)
        _column_gradient(weight, gradient, u, acc)
        for d in range(width):
            out[u, d] = acc[0, d]


@njit(**JIT)
def sgd(weight, gradient, learning_rate, start, stop):
    """Reduce and step: w -= lr g."""
    distinct, acc = gradient[0], _buffer(weight, gradient)
    width = weight.shape[1]
    for u in range(start, stop):
        prefetch_row(weight, distinct[min(u + _COLUMNS_AHEAD, stop - 1)], width)
        _column_gradient(weight, gradient, u, acc)
        c = distinct[u]
        for d in range(width):
            weight[c, d] -= learning_rate * acc[0, d]


@njit(**JIT)
def adagrad(weight, gradient, squares, learning_rate, epsilon, start, stop):
    """Reduce and step: s += g^2; w -= lr g / (sqrt(s) + eps)."""
    distinct, acc = gradient[0], _buffer(weight, gradient)
    width = weight.shape[1]
    for u in range(start, stop):
        ahead = distinct[min(u + _COLUMNS_AHEAD, stop - 1)]
        prefetch_row(weight, ahead, width)
        prefetch_row(squares, ahead, width)
        _column_gradient(weight, gradient, u, acc)
        c = distinct[u]
        for d in range(width):
            g = acc[0, d]
            s = squares[c, d] + g * g
            squares[c, d] = s
            weight[c, d] -= learning_rate * g / (np.sqrt(s) + epsilon)


@njit(**JIT)
def adam(weight, gradient, mean, variance, settings, start, stop):
    """Reduce and step, lazily: a column's moments advance when it is touched.

    settings = (step size lr / (1 - beta1^t), beta1, beta2, sqrt(1 - beta2^t), eps)
    """
    step_size, beta1, beta2, correction, epsilon = settings
    distinct, acc = gradient[0], _buffer(weight, gradient)
    width = weight.shape[1]
    one = weight.dtype.type(1)
    for u in range(start, stop):
        ahead = distinct[min(u + _COLUMNS_AHEAD, stop - 1)]
        prefetch_row(weight, ahead, width)
        prefetch_row(mean, ahead, width)
        prefetch_row(variance, ahead, width)
        _column_gradient(weight, gradient, u, acc)
        c = distinct[u]
        for d in range(width):
            g = acc[0, d]
            m = beta1 * mean[c, d] + (one - beta1) * g
            v = beta2 * variance[c, d] + (one - beta2) * g * g
            mean[c, d], variance[c, d] = m, v
            weight[c, d] -= step_size * m / (np.sqrt(v) / correction + epsilon)
