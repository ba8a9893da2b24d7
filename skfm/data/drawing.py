"""Rows drawn as if the fields were independent of each other."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import scipy.sparse as sp

from .statistics import ColumnStatistics

#: Random numbers drawn at once.
_NUMBERS_PER_DRAW = 1 << 22


def draw_rows(
    statistics: ColumnStatistics, fields: np.ndarray, n_rows: int, seed: Any
) -> sp.csr_array:
    """Draw rows whose columns have the frequencies of training, (n_rows, n_columns).

    Parameters
    ----------
    statistics : ColumnStatistics
        Statistics of the training rows, whose number is known.
    fields : ndarray of shape (n_columns,)
        Field of each column. The columns of a field with at most one entry a row on
        average exclude each other; all others are independent.
    n_rows : int
        Number of rows to draw.
    seed : int or sequence of int
        Seed of the generator.

    Returns
    -------
    csr_array
        Entries other than one are normal, with the mean and the standard deviation that
        those of their column had.
    """
    rng = np.random.default_rng(seed)
    parts = list(_places(statistics, fields, n_rows, rng))
    rows, columns = (np.concatenate(part) for part in zip(*parts, strict=True))
    values = np.ones(len(columns))
    if statistics.sums is not None and statistics.squares is not None:
        counts = statistics.counts[columns]
        mean = statistics.sums[columns] / counts
        variance = statistics.squares[columns] / counts - mean**2
        values = rng.normal(mean, np.sqrt(np.maximum(variance, 0)))
    shape = (n_rows, len(statistics.counts))
    drawn = sp.coo_array((values, (rows, columns)), shape=shape).tocsr()
    drawn.sort_indices()
    return drawn


def _places(
    statistics: ColumnStatistics,
    fields: np.ndarray,
    n_rows: int,
    rng: np.random.Generator,
) -> Iterator[tuple[np.ndarray, np.ndarray]]:
    """Yield the row and the column of the entries, field by field."""
    order = np.argsort(fields, kind="stable")
    bounds = np.searchsorted(fields[order], np.arange(1, int(fields.max()) + 1))
    for field in np.split(order, bounds):
        columns = field[statistics.seen[field]]
        counts = statistics.counts[columns]
        if counts.sum() <= statistics.n_rows:
            ends = np.cumsum(counts)
            drawn = rng.integers(statistics.n_rows, size=n_rows)
            place = np.searchsorted(ends, drawn, side="right")
            (present,) = np.nonzero(place < len(columns))
            yield present, columns[place[present]]
            continue
        step = max(1, _NUMBERS_PER_DRAW // n_rows)
        for start in range(0, len(columns), step):
            part = slice(start, start + step)
            drawn = rng.integers(statistics.n_rows, size=(n_rows, len(counts[part])))
            rows, places = np.nonzero(drawn < counts[part])
            yield rows, columns[part][places]
