"""Statistics of the columns: frequencies, sums and squares over training rows."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np

from ..persistence.records import is_array, is_integer, require, saved
from ..runtime.jit import kernel
from .batch import Batch


@saved("record")
@dataclass(frozen=True, eq=False)
class ColumnStatistics:
    """Statistics of the entries of each column, in rows of positive weight.

    Attributes
    ----------
    n_rows : int
        Number of rows; 0 if it is not known.
    counts : ndarray of int64 of shape (n_columns,)
        Number of rows with an entry in the column.
    sums, squares : ndarray of float64 of shape (n_columns,), or None
        Sums of the entries, and of their squares, as the network reads them. None if
        every entry is one, so that both equal ``counts``.
    """

    n_rows: int
    counts: np.ndarray
    sums: np.ndarray | None = None
    squares: np.ndarray | None = None

    def check(self) -> None:
        """Raise a ValueError unless the arrays fit each other."""
        require(is_integer(self.n_rows, 0), f"n_rows is {self.n_rows!r}")
        counted = is_array(self.counts, np.int64, (None,))
        require(counted and self.counts.min(initial=0) >= 0, "counts are not counts")
        if self.sums is None and self.squares is None:
            return
        for array in (self.sums, self.squares):
            fine = is_array(array, np.float64, (len(self.counts),))
            require(fine, "sums and squares are not of the columns that are counted")

    @property
    def seen(self) -> np.ndarray:
        """Boolean mask of the columns that have an entry."""
        return self.counts > 0

    def __add__(self, other: ColumnStatistics) -> ColumnStatistics:
        """Return the statistics of both sets of rows."""
        known = self.n_rows > 0 and other.n_rows > 0
        unit = self.sums is None and other.sums is None
        (sums, squares), (more, more_squares) = self.moments(), other.moments()
        return ColumnStatistics(
            self.n_rows + other.n_rows if known else 0,
            self.counts + other.counts,
            None if unit else sums + more,
            None if unit else squares + more_squares,
        )

    def moments(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the sums of the entries and of their squares, (n_columns,) each."""
        if self.sums is None or self.squares is None:
            return self.counts, self.counts
        return self.sums, self.squares


def column_statistics(
    batches: Iterable[Batch], n_columns: int, prepare: Callable[[Batch], Batch]
) -> ColumnStatistics:
    """Compute the statistics of the columns in some rows, as a network reads them.

    Parameters
    ----------
    batches : iterable of Batch
        The rows, which are passed over once: see `skfm.data.source.RowSource.weighty`.
    n_columns : int
        Number of columns.
    prepare : callable
        Function applied to each batch: see `skfm.nn.network.Network.prepare`.
    """
    n_rows, counts = 0, np.zeros(n_columns, np.int64)
    sums = squares = None
    for batch in map(prepare, batches):
        n_rows += len(batch)
        _count(batch.columns, counts)
        if not len(batch.values):
            continue
        if sums is None:
            # The batches before this one had no entries, or they would have values.
            sums, squares = np.zeros((2, n_columns))
        _add(batch.columns, batch.values, sums, squares)
    return ColumnStatistics(n_rows, counts, sums, squares)


@kernel
def _count(columns, counts):  # type: ignore[no-untyped-def]
    for column in columns:
        counts[column] += 1


@kernel
def _add(columns, values, sums, squares):  # type: ignore[no-untyped-def]
    for p in range(len(columns)):
        value = np.float64(values[p])
        sums[columns[p]] += value
        squares[columns[p]] += value * value
