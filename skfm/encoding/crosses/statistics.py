"""Statistics of the target in the levels of a cross, and their columns."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from ..cuts import half_way
from .levels import Codes, Weight, compact

__all__ = [
    "MOST_TOLD",
    "Edges",
    "bin_means",
    "find_column",
    "find_columns",
    "n_columns",
    "out_of_fold",
]

#: Count of a level from which on counts are not distinguished.
MOST_TOLD = 3
#: Number of bins of the mean for each count.
_N_BINS = 8

#: Upper edges of the bins for each count from 1 on, without the last.
Edges = Sequence[np.ndarray]


def out_of_fold(
    levels: Codes,
    n_levels: int,
    y: np.ndarray,
    folds: np.ndarray,
    weight: Weight,
) -> tuple[np.ndarray, np.ndarray]:
    """Return number and sum of the targets with the level of each row in other folds.

    Parameters
    ----------
    levels : ndarray of int of shape (n_rows,)
        Level of each row, in ``[0, n_levels)``.
    n_levels : int
    y : ndarray of float of shape (n_rows,)
    folds : ndarray of int of shape (n_rows,)
        Number of the fold of each row, from 0.
    weight : ndarray of float of shape (n_rows,) or None
        Weight of each row, as a number of equal rows; None: one.
    """
    n_folds = int(folds.max()) + 1
    keys = levels.astype(np.int64) * n_folds + folds
    cells, n_cells = compact(keys, n_levels * n_folds)
    weighed = y if weight is None else y * weight
    c, s = (
        np.bincount(levels, values, n_levels)[levels]
        - np.bincount(cells, values, n_cells)[cells]
        for values in (weight, weighed)
    )
    return c.astype(np.float64), s.astype(np.float64)


def bin_means(c: np.ndarray, means: np.ndarray, weight: Weight) -> list[np.ndarray]:
    """Return edges between bins of about equal weight, for each count."""
    told = _told(c)
    return [
        _edges(means[rows], None if weight is None else weight[rows])
        for rows in (told == count for count in range(1, MOST_TOLD + 1))
    ]


def _edges(means: np.ndarray, weight: Weight) -> np.ndarray:
    """Return edges half-way between values, so that rounding does not move values."""
    order = np.argsort(means)
    means = means[order]
    last = np.flatnonzero(np.append(means[1:] > means[:-1], len(means) > 0))
    distinct = means[last]
    if len(distinct) <= _N_BINS:
        return half_way(distinct, np.arange(len(distinct) - 1))
    reached = last + 1.0 if weight is None else np.cumsum(weight[order])[last]
    at = np.searchsorted(reached, np.arange(1, _N_BINS) * reached[-1] / _N_BINS)
    return half_way(distinct, np.unique(at[at < len(distinct) - 1]))


def find_columns(c: np.ndarray, means: np.ndarray, edges: Edges) -> np.ndarray:
    """Return the column of each row, by count and bin; column 0 is for the count 0."""
    columns, told = np.zeros(len(c), np.int32), _told(c)
    start = 1
    for count, own in enumerate(edges, start=1):
        rows = np.flatnonzero(told == count)
        columns[rows] = start + np.searchsorted(own, means[rows])
        start += len(own) + 1
    return columns


def find_column(c: float, mean: float, edges: Edges) -> int:
    """Return the column of one row: see `find_columns`."""
    told = min(int(c), MOST_TOLD)
    if not told:
        return 0
    start = 1 + sum(len(own) + 1 for own in edges[: told - 1])
    return start + int(edges[told - 1].searchsorted(mean))


def n_columns(edges: Edges) -> int:
    """Return the number of columns."""
    return 1 + sum(len(own) + 1 for own in edges)


def _told(c: np.ndarray) -> np.ndarray:
    return np.minimum(c, MOST_TOLD).astype(np.int64)
