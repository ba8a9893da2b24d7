"""Whether the index arrays of a CSR matrix are what the kernels take for granted."""

from __future__ import annotations

import numpy as np
from numba import njit


def is_canonical(indptr: np.ndarray, indices: np.ndarray, n_columns: int) -> bool:
    """Whether each row's columns are sorted and distinct.

    Raises
    ------
    ValueError
        If the arrays point outside of each other or of the columns: the kernels, which
        do not check, would read memory that is not theirs.
    """
    if indptr[0] == 0 and indptr[-1] <= len(indices):
        found = _inspect(indptr, indices, n_columns)
        if found >= 0:
            return bool(found)
    raise ValueError(
        "X is no valid CSR matrix: its indices must be in "
        f"[0, {n_columns}) and its indptr must ascend from 0 to at most their number. "
        "X.check_format() of scipy tells more."
    )


@njit(nogil=True, cache=True)
def _inspect(indptr, indices, n_columns):  # type: ignore[no-untyped-def]
    """1: canonical, 0: not, -1: out of bounds."""
    canonical = 1
    stop = indptr[0]
    for row in range(len(indptr) - 1):
        start, stop = stop, indptr[row + 1]
        if stop < start or stop > len(indices):
            return -1
        last = -1
        for p in range(start, stop):
            column = indices[p]
            if column < 0 or column >= n_columns:
                return -1
            if column <= last:
                canonical = 0
            last = column
    return canonical
