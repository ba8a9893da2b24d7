"""Checks of what users pass, with errors that say where the trouble is."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._params import check_sample_weight


def check_finite(X: Any, name: str = "X") -> None:
    """Refuse NaN and infinity in a CSR matrix, naming the first bad entry.

    Raises
    ------
    ValueError
        With the row and column.
    """
    if X.data.dtype.kind not in "fc" or np.isfinite(X.data.sum(dtype=np.float64)):
        return
    bad = np.flatnonzero(~np.isfinite(X.data))
    if len(bad) == 0:
        return
    entry = int(bad[0])
    row = int(np.searchsorted(X.indptr, entry, side="right")) - 1
    what = "NaN" if np.isnan(X.data[entry]) else "infinity"
    raise ValueError(
        f"Input {name} contains {what}: row {row}, column {int(X.indices[entry])} "
        f"({len(bad)} such values in all). Impute or drop them."
    )


def check_weights(sample_weight: Any, X: Any, name: str = "sample_weight") -> Any:
    """Sample weights as float64, or ones.

    Raises
    ------
    ValueError
        If they are negative, all zero, not finite, or not one per row.
    """
    if sample_weight is None:
        return np.ones(X.shape[0])
    weight = check_sample_weight(sample_weight, X, dtype=np.float64)
    if np.any(weight < 0):
        row = int(np.flatnonzero(weight < 0)[0])
        raise ValueError(
            f"Negative values in data passed to `{name}`: {weight[row]} in row {row}. "
            "Weights must be zero or more."
        )
    if not np.any(weight > 0):
        raise ValueError(f"{name} is zero for every row: nothing to learn from.")
    return weight
