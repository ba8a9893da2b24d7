"""Batches of rows, and the bounds between batches."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Generic, Self, TypeVar

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

#: Number of rows that predict and evaluate score at once: enough to hide the cost of a
#: call, few enough that the look-ups of a batch stay in cache.
PREDICTION_BATCH = 8192

Array = TypeVar("Array", np.ndarray, "Tensor")


@dataclass(slots=True)
class AnyBatch(Generic[Array]):
    """Rows of X, with entries on the CPU or on another device.

    Attributes
    ----------
    indptr : ndarray of shape (B + 1,), int64
        Start of the entries of each row, from 0, and the number of entries.
    columns : ndarray or Tensor of shape (nnz,)
        Column of each entry.
    values : ndarray or Tensor of shape (nnz,) or (0,)
        Value of each entry. Empty if every value is one.
    """

    indptr: np.ndarray
    columns: Array
    values: Array

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def longest(self) -> int:
        """Return the number of entries of the longest row."""
        return int(np.diff(self.indptr).max(initial=0))

    def slice(self, start: int, stop: int) -> Self:
        """Return rows ``start`` to ``stop`` as views."""
        lo, hi = int(self.indptr[start]), int(self.indptr[stop])
        return replace(
            self,
            indptr=self.indptr[start : stop + 1] - lo,
            columns=self.columns[lo:hi],
            values=self.values[lo:hi],
        )


@dataclass(slots=True)
class Batch(AnyBatch[np.ndarray]):
    """Rows of X as the kernels read them: columns of int32, values of a float type."""

    def of_unit_length(self, dtype: np.dtype[Any]) -> Batch:
        """Divide each row by its Euclidean norm; empty rows stay empty."""
        lengths = np.diff(self.indptr)
        values = self.values if len(self.values) else np.ones(len(self.columns), dtype)
        rows = np.repeat(np.arange(len(self)), lengths)
        squares = np.bincount(rows, np.square(values, dtype=np.float64), len(self))
        norms = np.sqrt(squares, out=np.ones(len(self)), where=squares > 0)
        return replace(self, values=(values / norms[rows]).astype(dtype, copy=False))


def batch_bounds(n_rows: int, batch_size: int) -> Iterator[tuple[int, int]]:
    """Yield the start and the stop of each batch.

    A last batch of a single row is joined to the batch before it, because batch
    normalisation needs the spread of several rows.
    """
    start = 0
    while start < n_rows:
        stop = min(start + batch_size, n_rows)
        if n_rows - stop == 1:
            stop = n_rows
        yield start, stop
        start = stop
