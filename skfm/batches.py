"""Rows of a CSR matrix, with targets and weights, cut into batches.

The matrix is never copied: a `Batch` of consecutive rows is a view, one of scattered
rows is gathered into fresh arrays with int32 columns and values of the network's dtype.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

import numpy as np
import scipy.sparse as sp
import torch
from numba import njit
from torch import Tensor

from .jit import CACHE_LINE, JIT, prefetch
from .queries import Queries
from .structure import is_canonical
from .threads import parallel_for

#: Rows scored at once by predict and evaluate: enough to hide the cost of a call,
#: small enough that a batch's lookups stay in cache.
PREDICTION_BATCH = 8192

#: Floating types that the kernels read as they are, in the machine's byte order.
_KERNEL_FLOATS = (np.dtype(np.float32).str, np.dtype(np.float64).str)

MAX_COLUMNS = np.iinfo(np.int32).max


Array = TypeVar("Array", np.ndarray, Tensor)


@dataclass(slots=True)
class AnyBatch(Generic[Array]):
    """Rows of X, wherever their entries are.

    Attributes
    ----------
    indptr : ndarray of shape (B + 1,), int64
        Where each row's entries start, the first at 0.
    columns : ndarray or Tensor of shape (nnz,)
    values : ndarray or Tensor of shape (nnz,) or (0,)
        Empty when every value is one.
    target : Tensor of shape (B,) or (B, n_outputs), or None
    weight : Tensor of shape (B,), or None
    queries : Queries or None
        Where rows are to be ranked: which ones among each other.
    """

    indptr: np.ndarray
    columns: Array
    values: Array
    target: Tensor | None = None
    weight: Tensor | None = None
    queries: Queries | None = None

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def longest(self) -> int:
        """Entries of the longest row."""
        return int(np.diff(self.indptr).max(initial=0))

    def slice(self, start: int, stop: int) -> Self:
        """Rows ``start`` to ``stop`` of this batch, as views; no query is cut."""
        lo, hi = int(self.indptr[start]), int(self.indptr[stop])
        return replace(
            self,
            indptr=self.indptr[start : stop + 1] - lo,
            columns=self.columns[lo:hi],
            values=self.values[lo:hi],
            target=None if self.target is None else self.target[start:stop],
            weight=None if self.weight is None else self.weight[start:stop],
            queries=None if self.queries is None else self.queries.slice(start, stop),
        )


@dataclass(slots=True)
class Batch(AnyBatch[np.ndarray]):
    """Rows of X as the kernels read them: int32 ``columns``, floating ``values``."""

    def of_unit_length(self, dtype: np.dtype[Any]) -> Batch:
        """The same rows, each divided by its Euclidean norm; empty rows stay empty."""
        lengths = np.diff(self.indptr)
        values = self.values if len(self.values) else np.ones(len(self.columns), dtype)
        rows = np.repeat(np.arange(len(self)), lengths)
        squares = np.bincount(rows, np.square(values, dtype=np.float64), len(self))
        norms = np.sqrt(squares, out=np.ones(len(self)), where=squares > 0)
        return replace(self, values=(values / norms[rows]).astype(dtype, copy=False))


class Rows:
    """All rows of a matrix with their targets and weights.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_rows, n_columns)
        Canonical: sorted, no duplicates, no explicit zeros (see `canonical_csr`).
        Read-only arrays are fine; nothing is written.
    dtype : {"float32", "float64"}
        Floating type of the batches' values.
    target, weight : Tensor or None
        One row (element) per row of X.
    mean_fields : ndarray of shape (n_columns,) or None
        Field of each column: batches hold the values divided by the number of entries
        that the row has in the field. None: the values as they are.
    query : ndarray of shape (n_rows,), int, or None
        The query of each row, where rows are to be ranked.
    """

    def __init__(
        self,
        X: Any,
        dtype: str,
        target: Tensor | None = None,
        weight: Tensor | None = None,
        mean_fields: np.ndarray | None = None,
        query: np.ndarray | None = None,
    ) -> None:
        self.n_columns = X.shape[1]
        self.indptr, self.indices = X.indptr, X.indices
        self.data = None if _all_ones(X.data) else X.data
        self.dtype = np.dtype(dtype)
        self.target, self.weight = target, weight
        self.mean_fields, self.query = mean_fields, query

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
        return Batch(
            indptr,
            columns,
            self._pooled(indptr, columns, values),
            None if self.target is None else self.target[start:stop],
            None if self.weight is None else self.weight[start:stop],
        )

    def take(self, rows: np.ndarray, n_threads: int = 1) -> Batch:
        """Any rows, gathered."""
        indptr = np.zeros(len(rows) + 1, np.int64)
        np.cumsum(self.indptr[rows + 1] - self.indptr[rows], out=indptr[1:])
        columns = np.empty(indptr[-1], np.int32)
        data = np.empty(0, self.dtype) if self.data is None else self.data
        values = np.empty(0 if self.data is None else indptr[-1], self.dtype)
        parallel_for(
            _gather,
            len(rows),
            n_threads,
            *(self.indptr, self.indices, data, rows, indptr, columns, values),
        )
        picked = torch.from_numpy(rows)
        return Batch(
            indptr,
            columns,
            self._pooled(indptr, columns, values, n_threads),
            None if self.target is None else self.target.index_select(0, picked),
            None if self.weight is None else self.weight.index_select(0, picked),
        )

    def _pooled(
        self,
        indptr: np.ndarray,
        columns: np.ndarray,
        values: np.ndarray,
        n_threads: int = 1,
    ) -> np.ndarray:
        """Values of a batch, averaged over each row's entries of a field if asked."""
        if self.mean_fields is None:
            return values
        pooled = np.empty(len(columns), self.dtype)
        n_fields = int(self.mean_fields.max()) + 1
        parallel_for(
            _divide_by_count,
            len(indptr) - 1,
            n_threads,
            *(indptr, columns, values, self.mean_fields, n_fields, pooled),
        )
        return pooled

    def longest(self) -> int:
        """Entries of the longest row."""
        return int(np.diff(self.indptr).max(initial=0))

    def mean_length(self) -> float:
        """Average entries of a row."""
        return float(self.indptr[-1] - self.indptr[0]) / max(1, len(self))

    def mean_pairs(self, rows: np.ndarray) -> float:
        """Average number of pairs of entries in one of ``rows``, by weight."""
        lengths = np.diff(self.indptr)[rows].astype(np.float64)
        weight = None if self.weight is None else self.weight.numpy()[rows]
        return float(np.average(lengths * (lengths - 1) / 2, weights=weight))


def canonical_csr(X: Any, n_threads: int = 1) -> Any:
    """CSR with sorted unique columns and no stored zeros, sharing X's arrays if it can.

    Parameters
    ----------
    X : sparse matrix or array, or ndarray, of shape (n_rows, n_columns)
    n_threads : int, default=1

    Returns
    -------
    csr_array
        A new object; X itself, and the flags scipy caches on it, are left alone.

    Raises
    ------
    ValueError
        If X has more columns than an int32 can number, or is a sparse matrix whose
        arrays do not fit each other.
    """
    if X.shape[1] > MAX_COLUMNS:
        raise ValueError(
            f"X has {X.shape[1]} columns; at most {MAX_COLUMNS} are supported. "
            "Hash the categories into fewer columns."
        )
    if X.dtype.kind == "f" and X.dtype.str not in _KERNEL_FLOATS:
        X = X.astype(np.float64)
    if not sp.issparse(X):
        return sp.csr_array(X)
    if X.format != "csr":
        X = X.tocsr()
    csr = sp.csr_array((X.data, X.indices, X.indptr), shape=X.shape, copy=False)
    canonical = is_canonical(csr.indptr, csr.indices, csr.shape[1], n_threads)
    if not canonical or not (_all_ones(csr.data) or np.all(csr.data)):
        # Sums of duplicates may exceed a small integer type.
        csr = csr.copy() if csr.dtype.kind == "f" else csr.astype(np.float64)
        csr.sum_duplicates()
        csr.eliminate_zeros()
    return csr


def batch_bounds(n_rows: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """Starts and stops of batches; a last batch of one row joins its neighbour.

    A single row has no spread, which batch normalisation needs.
    """
    start = 0
    while start < n_rows:
        stop = min(start + batch_size, n_rows)
        if n_rows - stop == 1:
            stop = n_rows
        yield start, stop
        start = stop


def _all_ones(data: np.ndarray, chunk: int = 1 << 16) -> bool:
    """Whether all values are one; stops at the first chunk with another value."""
    return all(
        bool(np.all(data[i : i + chunk] == 1)) for i in range(0, len(data), chunk)
    )


#: Rows ahead of the current one that `_gather` requests, and the cache lines of each.
_ROWS_AHEAD = 8
_LINES_AHEAD = 3


@njit(**JIT)
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


@njit(**JIT)
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
