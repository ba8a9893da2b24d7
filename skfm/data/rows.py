"""Rows of a CSR matrix, cut into batches.

The matrix is never copied: a `Batch` of consecutive rows is a view, one of scattered
rows is gathered into fresh arrays with int32 columns and values of the network's dtype.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np

from ..runtime.jit import CACHE_LINE, kernel, prefetch
from ..runtime.threads import parallel_for
from .batch import PREDICTION_BATCH, Batch
from .csr import ReadyCSR, all_ones


class Rows:
    """All rows of a matrix.

    Parameters
    ----------
    X : CSR matrix or array, or ReadyCSR, of shape (n_rows, n_columns)
        Canonical: sorted, no duplicates, no explicit zeros (see `canonical_csr`).
        Read-only arrays are fine; nothing is written.
    dtype : {"float32", "float64"}
        Floating type of the batches' values.
    mean_fields : ndarray of shape (n_columns,) or None
        Field of each column: batches hold the values divided by the number of entries
        that the row has in the field. None: the values as they are.
    """

    def __init__(
        self, X: Any, dtype: str, mean_fields: np.ndarray | None = None
    ) -> None:
        self.n_columns = X.shape[1]
        self.indptr, self.indices = X.indptr, X.indices
        unit = X.unit if isinstance(X, ReadyCSR) else all_ones(X.data)
        self.data = None if unit else X.data
        self.dtype = np.dtype(dtype)
        self.mean_fields = mean_fields

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def span(self, start: int, stop: int) -> Batch:
        """Consecutive rows, without a copy where types allow."""
        lo, hi = int(self.indptr[start]), int(self.indptr[stop])
        values = np.empty(0, self.dtype)
        if self.data is not None:
            values = self.data[lo:hi].astype(self.dtype, copy=False)
        indptr = self.indptr[start : stop + 1].astype(np.int64) - lo
        columns = self.indices[lo:hi].astype(np.int32, copy=False)
        return Batch(indptr, columns, self._pooled(indptr, columns, values))

    def take(self, rows: np.ndarray, n_threads: int = 1) -> Batch:
        """Gather any rows."""
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(self.indptr[rows + 1] - self.indptr[rows], out=indptr[1:])
        columns = np.empty(indptr[-1], np.int32)
        data = np.empty(0, self.dtype) if self.data is None else self.data
        values = np.empty(0 if self.data is None else indptr[-1], self.dtype)
        parallel_for(
            _gather,
            len(rows),
            n_threads,
            self.indptr,
            self.indices,
            data,
            rows,
            indptr,
            columns,
            values,
        )
        return Batch(indptr, columns, self._pooled(indptr, columns, values, n_threads))

    def batches(self, rows: np.ndarray) -> Iterator[Batch]:
        """Yield any rows in batches."""
        for start in range(0, len(rows), PREDICTION_BATCH):
            yield self.take(rows[start : start + PREDICTION_BATCH])

    def _pooled(
        self,
        indptr: np.ndarray,
        columns: np.ndarray,
        values: np.ndarray,
        n_threads: int = 1,
    ) -> np.ndarray:
        """Return a batch's values, averaged over a row's entries of a field if set."""
        if self.mean_fields is None:
            return values
        pooled = np.empty(len(columns), self.dtype)
        n_fields = int(self.mean_fields.max()) + 1
        parallel_for(
            _divide_by_count,
            len(indptr) - 1,
            n_threads,
            indptr,
            columns,
            values,
            self.mean_fields,
            n_fields,
            pooled,
        )
        return pooled

    def longest(self) -> int:
        """Return the number of entries of the longest row."""
        if len(self) == 1:
            return int(self.indptr[1] - self.indptr[0])
        return int((self.indptr[1:] - self.indptr[:-1]).max(initial=0))

    def mean_length(self) -> float:
        """Average entries of a row."""
        return float(self.indptr[-1] - self.indptr[0]) / max(1, len(self))

    def mean_pairs(self, rows: np.ndarray, weight: np.ndarray) -> float:
        """Average number of pairs of entries in one of ``rows``.

        Parameters
        ----------
        rows : ndarray of int
        weight : ndarray of shape (n_rows,)
            Weight of each row.
        """
        lengths = np.diff(self.indptr)[rows].astype(np.float64)
        return float(np.average(lengths * (lengths - 1) / 2, weights=weight[rows]))


#: Rows ahead of the current one that `_gather` requests, and the cache lines of each.
_ROWS_AHEAD = 8
_LINES_AHEAD = 3


@kernel
def _gather(indptr, indices, data, rows, out_indptr, columns, values, start, stop):  # type: ignore[no-untyped-def]
    unit = data.shape[0] == 0
    for b in range(start, stop):
        ahead = indptr[rows[min(b + _ROWS_AHEAD, stop - 1)]]
        for line in range(_LINES_AHEAD):
            prefetch(indices, ahead, line * CACHE_LINE)  # type: ignore[call-arg]
        source, target = indptr[rows[b]], out_indptr[b]
        for p in range(out_indptr[b + 1] - target):
            columns[target + p] = indices[source + p]
        if not unit:
            for p in range(out_indptr[b + 1] - target):
                values[target + p] = data[source + p]


@kernel
def _divide_by_count(indptr, columns, values, fields, n_fields, out, start, stop):  # type: ignore[no-untyped-def]
    unit = values.shape[0] == 0
    counts = np.zeros(n_fields, np.int64)
    for b in range(start, stop):
        for p in range(indptr[b], indptr[b + 1]):
            counts[fields[columns[p]]] += 1
        for p in range(indptr[b], indptr[b + 1]):
            value = 1.0 if unit else values[p]
            out[p] = value / counts[fields[columns[p]]]
        for p in range(indptr[b], indptr[b + 1]):
            counts[fields[columns[p]]] = 0
