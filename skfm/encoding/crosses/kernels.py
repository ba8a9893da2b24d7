"""Compiled loops of the search for crosses."""

# mypy: disable-error-code="untyped-decorator"

from __future__ import annotations

import numpy as np

from ...runtime.jit import kernel

__all__ = ["number_keys", "weigh"]


@kernel
def number_keys(keys: np.ndarray) -> tuple[np.ndarray, int]:
    """Number distinct keys in the order in which they occur, and return their count."""
    size = 4
    while size < 2 * len(keys):
        size *= 2
    slots = np.full(size, -1, np.int32)
    numbers = np.empty(len(keys), np.int32)
    distinct = np.empty(len(keys), np.int64)
    n_distinct = 0
    for i in range(len(keys)):
        # The golden ratio spreads adjacent keys.
        mixed = np.uint64(keys[i]) * np.uint64(0x9E3779B97F4A7C15)
        at = np.int64(mixed >> np.uint64(32)) & (size - 1)
        while slots[at] >= 0 and distinct[slots[at]] != keys[i]:
            at = (at + 1) & (size - 1)
        if slots[at] < 0:
            slots[at] = n_distinct
            distinct[n_distinct] = keys[i]
            n_distinct += 1
        numbers[i] = slots[at]
    return numbers, n_distinct


@kernel
def weigh(
    levels: np.ndarray,
    n_levels: int,
    r: np.ndarray,
    w: np.ndarray,
    row_squares: np.ndarray,
    weight: np.ndarray,
    squares: tuple[float, float],
    share: float,
    min_count: float,
    dense: float,
) -> tuple[float, float, float, float, float]:
    """Return gain, variance, z, agreement and dense gain, or zeros; see `weigh_levels`.

    Parameters
    ----------
    levels : ndarray of int of shape (n_rows,)
    n_levels : int
    r, w : ndarray of shape (n_rows, n_outputs)
        Residuals and variances, times the weights of the rows.
    row_squares : ndarray of shape (n_rows,)
        Weighted sum of the squares of the residuals of each row.
    weight : ndarray of shape (n_rows,)
    squares : (float, float)
        Weighted sums of the squares of residuals and variances over all rows.
    share : float
        Share of the evidence of several outputs that is counted once.
    min_count : float
        Levels with less weight do not contribute to the gain.
    dense : float
        Variance from which on a level is dense.
    """
    n_outputs = r.shape[1]
    sums = np.zeros((n_levels, 2 * n_outputs))
    counts, agreeing = np.zeros(n_levels), np.zeros(n_levels)
    for i in range(len(levels)):
        level = levels[i]
        counts[level] += weight[i]
        agreeing[level] -= row_squares[i]
        for k in range(n_outputs):
            sums[level, 2 * k] += r[i, k]
            sums[level, 2 * k + 1] += w[i, k]
    pairs_r, pairs_w = -squares[0], -squares[1]
    for level in range(n_levels):
        for k in range(n_outputs):
            square = sums[level, 2 * k] ** 2
            agreeing[level] += square
            pairs_r += square
            pairs_w += sums[level, 2 * k + 1] ** 2
    if pairs_w <= 0 or pairs_r <= 0:
        return 0.0, 0.0, 0.0, 0.0, 0.0
    variance = pairs_r / pairs_w
    gain, dense_gain, agreed, spread = 0.0, 0.0, 0.0, 0.0
    for level in range(n_levels):
        agreed += agreeing[level]
        spread += agreeing[level] ** 2
        if counts[level] < min_count:
            continue
        own, least = 0.0, np.inf
        for k in range(n_outputs):
            R, W = sums[level, 2 * k], sums[level, 2 * k + 1]
            own += 0.5 * share * (R * R / (W + 1 / variance) - np.log1p(variance * W))
            least = min(least, W)
        gain += own
        dense_gain += own if least >= dense else 0.0
    z = pairs_r / np.sqrt(2 * pairs_w) * np.sqrt(share)
    return gain, variance, z, agreed / np.sqrt(spread), dense_gain
