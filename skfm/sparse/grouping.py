"""Grouping of the entries of a batch by column, by a radix sort.

The keys (column, entry), or (column, row) if only the rows are wanted, are packed into
64 bits. The sort is stable.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np

from ..runtime.jit import kernel

#: Bits of a column that one pass sorts at most: 2048 counters fit in the L1 cache.
_RADIX_BITS = 11


@kernel
def group_by_column(indptr, columns, n_columns, ordered):
    """Sort the entries of a batch by column, and those of a column by row.

    Parameters
    ----------
    indptr, columns : ndarray
        Arrays of the batch.
    n_columns : int
        Number of columns of X.
    ordered : bool
        Whether the numbers of the entries are wanted, and not only their rows.

    Returns
    -------
    order : ndarray of int32 of shape (nnz,), or (0,) unless ``ordered``
        Entries sorted by column.
    rows : ndarray of int32 of shape (nnz,)
        Row of each sorted entry.
    distinct : ndarray of int32 of shape (U,)
        Columns with an entry.
    bounds : ndarray of int32 of shape (U + 1,)
        Start of the entries of each of these columns in ``rows``, and nnz.
    """
    n = columns.shape[0]
    n_bits = 1
    while (n_columns - 1) >> n_bits > 0:
        n_bits += 1
    n_digits = -(-n_bits // _RADIX_BITS)
    n_bits = -(-n_bits // n_digits)
    mask = (1 << n_bits) - 1
    places = np.zeros((n_digits, 1 << n_bits), np.int64)
    for p in range(n):
        for digit in range(n_digits):
            places[digit, (columns[p] >> (digit * n_bits)) & mask] += 1
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
        keys = _sort_digit(keys, places[digit], 32 + digit * n_bits)
    return _runs(keys, row_of)


@kernel(inner=True)
def _sort_digit(keys, place, shift):
    """Make one pass of the radix sort; ``place`` is the next place of each digit."""
    mask = place.shape[0] - 1
    out = np.empty_like(keys)
    for i in range(keys.shape[0]):
        value = (keys[i] >> shift) & mask
        out[place[value]] = keys[i]
        place[value] += 1
    return out


@kernel
def _runs(keys, row_of):
    """Find the start of each column in sorted keys, and split keys into their parts."""
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
        # Written every time: a branch would often be mispredicted.
        distinct[n_distinct] = column
        bounds[n_distinct] = i
        n_distinct += column != previous
        previous = column
    bounds[n_distinct] = n
    return order, rows, distinct[:n_distinct], bounds[: n_distinct + 1]
