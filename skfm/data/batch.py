"""Batches of rows, and where they are cut."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import Any, Generic, Self, TypeVar

import numpy as np
from torch import Tensor

from .queries import Queries

#: Rows scored at once by predict and evaluate: enough to hide the cost of a call,
#: small enough that a batch's lookups stay in cache.
PREDICTION_BATCH = 8192

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
        """Return the number of entries of the longest row."""
        return int(np.diff(self.indptr).max(initial=0))

    def slice(self, start: int, stop: int) -> Self:
        """Return rows ``start`` to ``stop`` as views, which cut no query."""
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
        """Divide each row by its Euclidean norm; empty rows stay empty."""
        lengths = np.diff(self.indptr)
        values = self.values if len(self.values) else np.ones(len(self.columns), dtype)
        rows = np.repeat(np.arange(len(self)), lengths)
        squares = np.bincount(rows, np.square(values, dtype=np.float64), len(self))
        norms = np.sqrt(squares, out=np.ones(len(self)), where=squares > 0)
        return replace(self, values=(values / norms[rows]).astype(dtype, copy=False))


def batch_bounds(n_rows: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """Yield starts and stops of batches; a last batch of one row joins the previous.

    A single row has no spread, which batch normalisation needs.
    """
    start = 0
    while start < n_rows:
        stop = min(start + batch_size, n_rows)
        if n_rows - stop == 1:
            stop = n_rows
        yield start, stop
        start = stop
