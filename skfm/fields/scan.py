"""Scans of a CSR matrix in chunks, so that it is never copied whole."""

from collections.abc import Iterator
from typing import Any

import numpy as np

__all__ = [
    "CHUNK_ENTRIES",
    "active_columns",
    "all_equal",
    "entries_of_rows",
    "largest_of_two",
    "neighbours",
    "rows_with",
    "varying_columns",
]

CHUNK_ENTRIES = 1 << 20


def _entry_chunks(X: Any) -> list[slice]:
    # indptr, not the arrays, says how many entries there are: arrays may be longer.
    starts = range(0, X.nnz, CHUNK_ENTRIES)
    return [slice(i, min(i + CHUNK_ENTRIES, X.nnz)) for i in starts]


def active_columns(X: Any) -> np.ndarray:
    """Return which columns of a CSR matrix have an entry."""
    active = np.zeros(X.shape[1], dtype=bool)
    for chunk in _entry_chunks(X):
        active[X.indices[chunk]] = True
    return active


def largest_of_two(X: Any) -> np.ndarray:
    """Return the larger value of each column of two values, one of them above zero.

    NaN for other columns. Where a row has no entry, the value is 0.
    """
    high = np.full(X.shape[1], -np.inf)
    low = np.full(X.shape[1], np.inf)
    n_entries = np.zeros(X.shape[1], dtype=np.int64)
    chunks = _entry_chunks(X)
    for chunk in chunks:
        columns = X.indices[chunk]
        np.maximum.at(high, columns, X.data[chunk])
        np.minimum.at(low, columns, X.data[chunk])
        n_entries += np.bincount(columns, minlength=len(high))
    low[n_entries < X.shape[0]] = 0.0
    two = (high > 0) & (low < high)
    for chunk in chunks:
        columns, values = X.indices[chunk], X.data[chunk]
        two[columns[(values != high[columns]) & (values != low[columns])]] = False
    return np.where(two, high, np.nan)


def _row_chunks(indptr: np.ndarray) -> Iterator[tuple[int, int]]:
    cuts = np.arange(0, int(indptr[-1]) + CHUNK_ENTRIES, CHUNK_ENTRIES)
    rows = np.unique(np.searchsorted(indptr, cuts, side="left"))
    rows[-1] = len(indptr) - 1
    yield from zip(rows[:-1].tolist(), rows[1:].tolist(), strict=True)


def neighbours(X: Any) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the columns of entries that follow each other in a row, two vectors."""
    for start, stop in _row_chunks(X.indptr):
        first, last = X.indptr[start], X.indptr[stop]
        columns = X.indices[first:last]
        inside = np.ones(max(len(columns) - 1, 0), dtype=bool)
        ends = X.indptr[start + 1 : stop] - first - 1
        inside[ends[(ends >= 0) & (ends < len(inside))]] = False
        yield columns[:-1][inside], columns[1:][inside]


def rows_with(
    X: Any, counts: np.ndarray, width: int
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield row numbers (n,) and columns (n, width) of rows with `width` entries."""
    for start, stop in _row_chunks(X.indptr):
        indices = X.indices[X.indptr[start] : X.indptr[stop]]
        full = counts[start:stop] == width
        if not full.all():
            indices = indices[np.repeat(full, counts[start:stop])]
        if len(indices):
            yield start + np.flatnonzero(full), indices.reshape(-1, width)


def entries_of_rows(
    X: Any, counts: np.ndarray, width: int, rows: np.ndarray | None
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the row and the column of each entry of some rows.

    With `rows` None: of all rows with fewer than `width` entries, and of their
    neighbours in the same chunk, because a slice costs less than a selection.
    """
    if rows is None:
        for start, stop in _row_chunks(X.indptr):
            sizes = counts[start:stop]
            if sizes.min(initial=width) < width:
                entry_rows = np.repeat(np.arange(start, stop), sizes)
                yield entry_rows, X.indices[X.indptr[start] : X.indptr[stop]]
        return
    step = max(1, CHUNK_ENTRIES // width)
    for first in range(0, len(rows), step):
        some = rows[first : first + step]
        sizes = counts[some].astype(np.int64)
        offsets = X.indptr[some] - (np.cumsum(sizes) - sizes)
        places = np.arange(sizes.sum()) + np.repeat(offsets, sizes)
        yield np.repeat(some, sizes), X.indices[places]


def varying_columns(X: Any, fields: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Return which columns hold different values, and the entries of each field."""
    varies = np.zeros(X.shape[1], dtype=bool)
    sample = np.zeros(X.shape[1], dtype=X.data.dtype)
    n_entries = np.zeros(int(fields[-1]) + 1, dtype=np.int64)
    chunks = _entry_chunks(X)
    for chunk in chunks:
        sample[X.indices[chunk]] = X.data[chunk]
        found = fields[X.indices[chunk]]
        n_entries += np.bincount(found, minlength=len(n_entries))
    for chunk in chunks:
        columns = X.indices[chunk]
        varies[columns[X.data[chunk] != sample[columns]]] = True
    return varies, n_entries


def all_equal(X: Any) -> bool:
    """Return whether all entries of a CSR matrix have the same value."""
    return all(bool((X.data[c] == X.data[0]).all()) for c in _entry_chunks(X))
