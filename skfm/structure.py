"""Whether the index arrays of a CSR matrix are what the kernels take for granted."""

from __future__ import annotations

import numpy as np
from numba import njit

from .jit import JIT
from .threads import parallel_for

#: Entries below which looking at them is not worth a second thread.
_ENTRIES_PER_THREAD = 1_000_000


def is_canonical(
    indptr: np.ndarray, indices: np.ndarray, n_columns: int, n_threads: int = 1
) -> bool:
    """Whether each row's columns are sorted and distinct.

    Raises
    ------
    ValueError
        If the arrays point outside of each other or of the columns: the kernels, which
        do not check, would read memory that is not theirs.
    """
    if indptr[0] == 0 and indptr[-1] <= len(indices):
        found = np.ones(2, np.bool_)
        n_threads = max(1, min(n_threads, len(indices) // _ENTRIES_PER_THREAD))
        parallel_for(
            _inspect, len(indptr) - 1, n_threads, indptr, indices, n_columns, found
        )
        if found[0]:
            return bool(found[1])
    raise ValueError(
        "X is no valid CSR matrix: its indices must be in "
        f"[0, {n_columns}) and its indptr must ascend from 0 to at most their number. "
        "X.check_format() of scipy tells more."
    )


@njit(**JIT)
def _inspect(indptr, indices, n_columns, found, start, stop):  # type: ignore[no-untyped-def]
    """Take back ``found = [in bounds, canonical]`` if rows start..stop are not."""
    for row in range(start, stop):
        first, end = indptr[row], indptr[row + 1]
        if first < 0 or end < first or end > len(indices):
            found[0] = False
            return
        last = -1
        for p in range(first, end):
            column = indices[p]
            if column < 0 or column >= n_columns:
                found[0] = False
                return
            if column <= last:
                found[1] = False
            last = column
