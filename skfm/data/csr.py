"""CSR matrices in the canonical form that the kernels take for granted."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from numba import njit

from ..runtime.jit import JIT
from ..runtime.threads import parallel_for

#: Entries below which looking at them is not worth a second thread.
_ENTRIES_PER_THREAD = 1_000_000
#: Floating types that the kernels read as they are, in the machine's byte order.
_KERNEL_FLOATS = (np.dtype(np.float32).str, np.dtype(np.float64).str)

MAX_COLUMNS = np.iinfo(np.int32).max


def canonical_csr(X: Any, n_threads: int = 1) -> Any:
    """CSR with sorted unique columns and no stored zeros, sharing X's arrays if it can.

    Parameters
    ----------
    X : sparse matrix or array, or ndarray, of shape (n_rows, n_columns)
    n_threads : int, default=1

    Returns
    -------
    csr_array
        A new object; X itself, and the flags scipy caches on it, are left alone.

    Raises
    ------
    ValueError
        If X has more columns than an int32 can number, or is a sparse matrix whose
        arrays do not fit each other.
    """
    if X.shape[1] > MAX_COLUMNS:
        raise ValueError(
            f"X has {X.shape[1]} columns; at most {MAX_COLUMNS} are supported. "
            "Hash the categories into fewer columns."
        )
    if X.dtype.kind == "f" and X.dtype.str not in _KERNEL_FLOATS:
        X = X.astype(np.float64)
    if not sp.issparse(X):
        return sp.csr_array(X)
    if X.format != "csr":
        X = X.tocsr()
    csr = sp.csr_array((X.data, X.indices, X.indptr), shape=X.shape, copy=False)
    canonical = is_canonical(csr.indptr, csr.indices, csr.shape[1], n_threads)
    if not canonical or not (all_ones(csr.data) or np.all(csr.data)):
        # Sums of duplicates may exceed a small integer type.
        csr = csr.copy() if csr.dtype.kind == "f" else csr.astype(np.float64)
        csr.sum_duplicates()
        csr.eliminate_zeros()
    return csr


def all_ones(data: np.ndarray, chunk: int = 1 << 16) -> bool:
    """Whether all values are one; stops at the first chunk with another value."""
    return all(
        bool(np.all(data[i : i + chunk] == 1)) for i in range(0, len(data), chunk)
    )


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
