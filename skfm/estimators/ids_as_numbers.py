"""The warning of integers that are read as numbers but look like ids.

If integers are ids, or codes of categories, the means of y of neighbouring values
differ as much as those of any two. If they are numbers, neighbours are alike.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from ..exceptions import IdsAsNumbersWarning
from ..runtime.warnings import warn

__all__ = ["warn_of_ids"]

#: Rows, cells and columns that are looked at, at most; and rows, at least.
_MOST_ROWS, _MOST_CELLS, _MOST_COLUMNS, _FEWEST_ROWS = 20_000, 1 << 22, 200, 100
#: Distinct values, at least, and rows of each on average.
_FEWEST_VALUES, _ROWS_PER_VALUE = 10, 3
#: Standard score that the differences of neighbours must exceed.
_SURE = 10.0
#: Differences of neighbours, in those of any two values, that ids exceed.
_UNORDERED = 0.5
#: Columns that the warning names.
_NAMED = 5


def warn_of_ids(X: Any, y: np.ndarray, weight: np.ndarray, names: Any) -> None:
    """Warn of columns of integers that y depends on, but not on their order.

    Parameters
    ----------
    X : CSR array of shape (n_rows, n_columns)
        A dense matrix, as it was given.
    y : ndarray of shape (n_rows,) or (n_rows, n_outputs)
        Targets, or indicators of classes.
    weight : ndarray of shape (n_rows,)
        Rows of weight zero do not count.
    names : ndarray of str or None
        Names of the columns, where they have some.
    """
    rows = np.flatnonzero(weight)
    most = min(_MOST_ROWS, _MOST_CELLS // X.shape[1])
    rows = rows[:: max(1, -(-len(rows) // max(1, most)))]
    if len(rows) < _FEWEST_ROWS:
        return
    targets = y[rows].reshape(len(rows), -1).astype(np.float64)
    cells = X[rows].toarray().astype(np.float64)
    whole = (cells == np.floor(cells)).all(axis=0)
    wide = cells.max(axis=0) - cells.min(axis=0) >= _FEWEST_VALUES - 1
    columns = np.flatnonzero(whole & wide)[:_MOST_COLUMNS].tolist()
    found = [j for j in columns if _are_ids(cells[:, j], targets)]
    if not found:
        return
    named = [repr(j if names is None else names[j]) for j in found[:_NAMED]]
    listed = ", ".join(named) + (" and others" if len(found) > _NAMED else "")
    warn(
        f"The integers in columns {listed} of X are read as numbers, but y does not "
        "follow their order, as if they were ids or codes of categories. Name these "
        "columns in categorical_features. Or pass a DataFrame with "
        'categorical_features="from_dtype", which reads integers that repeat both as '
        "numbers and as ids.",
        IdsAsNumbersWarning,
    )


def _are_ids(values: np.ndarray, targets: np.ndarray) -> bool:
    """Return whether targets depend on integers, but not on their order."""
    distinct, codes = np.unique(values, return_inverse=True)
    n_values, n_rows = len(distinct), len(values)
    if not _FEWEST_VALUES <= n_values <= n_rows / _ROWS_PER_VALUE:
        return False
    noise = 1 / np.bincount(codes)
    expected = noise[1:] + noise[:-1]
    score = neighbours = any_two = 0.0
    for target in targets.T:
        means = np.bincount(codes, target) * noise
        variance = np.square(target - means[codes]).sum() / (n_rows - n_values)
        variance = max(variance, np.finfo(np.float64).eps * np.square(target).mean())
        if not variance:
            continue
        squares = np.square(np.diff(means)) / variance
        score += (squares / expected - 1).sum()
        neighbours += (squares - expected).sum()
        spread = np.square(means - means.mean()).sum() / variance
        any_two += 2 * (spread - (1 - 1 / n_values) * noise.sum())
    # Terms of one degree of freedom each, of which neighbours are correlated.
    error = np.sqrt(3 * (n_values - 1) * targets.shape[1])
    return bool(score > _SURE * error and neighbours > _UNORDERED * any_two)
