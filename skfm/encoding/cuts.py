"""Cut points between the bins of numbers, and the bins of given numbers."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np

from ..runtime.jit import kernel

__all__ = ["coarsen", "cut_positions", "find_bins", "half_way"]


def cut_positions(counts: np.ndarray, n_bins: int) -> np.ndarray:
    """Return the positions of the cuts among the sorted distinct values.

    Up to ``2 * n_bins`` distinct values get a bin each. For more, the cuts are the
    ``n_bins``-quantiles of the cells and of the distinct values, and cuts around each
    value that fills a bin. (The quantiles of the cells alone would leave a single bin
    for all numbers other than zero in a column that is mostly zero.) Only the order of
    the cells counts, so that neither a positive factor nor a shift changes a bin. The
    cuts for ``n_bins`` are among those for a multiple of it.

    Parameters
    ----------
    counts : ndarray of int of shape (n_values,)
        Number of cells of each distinct value, in ascending order of the values.
    n_bins : int

    Returns
    -------
    positions : ndarray of int
        Ascending, in [0, n_values - 1).
    """
    n_values, n_cells = len(counts), int(counts.sum())
    if n_values <= 2 * n_bins:
        return np.arange(max(n_values - 1, 0))
    at = np.arange(1, n_bins)
    of_cells = np.searchsorted(np.cumsum(counts) * n_bins, at * n_cells)
    of_values = -(-at * n_values // n_bins) - 1
    heavy = np.flatnonzero(counts * n_bins >= n_cells)
    positions = np.unique(np.concatenate([of_cells, of_values, heavy - 1, heavy]))
    return positions[(positions >= 0) & (positions < n_values - 1)]


def half_way(values: np.ndarray, positions: np.ndarray) -> np.ndarray:
    """Return the numbers half-way between values[positions] and the next ones.

    Each is at least the lower of its two values and less than the upper one, even if
    these are neighbours among the floats.
    """
    low, high = values[positions], values[positions + 1]
    middle = np.maximum(low / 2 + high / 2, low)
    return np.where(middle < high, middle, low)


def coarsen(edges: np.ndarray, coarse: np.ndarray) -> np.ndarray:
    """Return the coarse bin of each fine one; all coarse edges are fine edges too."""
    return np.append(0, np.searchsorted(coarse, edges, "right")).astype(np.int32)


@kernel
def find_bins(edges: np.ndarray, numbers: np.ndarray) -> np.ndarray:
    """Return the bin of each number, closed on the right; NaN has a bin of its own.

    The result is that of ``np.searchsorted``. Here all numbers take the same step of
    the bisection before any takes the next one, in a loop without branches, which takes
    a seventh of the time.
    """
    n_edges = len(edges)
    bins = np.zeros(len(numbers), dtype=np.int32)
    length = n_edges
    while length > 0:
        half = (length + 1) // 2
        for i in range(len(numbers)):
            low = bins[i]
            bins[i] = low + half if edges[low + half - 1] < numbers[i] else low
        length -= half
    for i in range(len(numbers)):
        if np.isnan(numbers[i]):
            bins[i] = n_edges + 1
    return bins
