"""Checks that the arrays of a sparse matrix fit each other.

scipy checks them when it makes a matrix, but attributes can be set by hand; neither
its conversions nor the kernels of this package look again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numba import njit

from ..runtime.jit import JIT
from ..runtime.threads import parallel_for

__all__ = ["check_arrays", "is_canonical", "kernel_arrays", "kernel_values"]

#: Entries below which looking at them is not worth a second thread.
_ENTRIES_PER_THREAD = 1_000_000
#: Types that the kernels read as they are, in the machine's byte order.
_KERNEL_FLOATS = (np.dtype(np.float32).str, np.dtype(np.float64).str)
_KERNEL_INDICES = (np.dtype(np.int32).str, np.dtype(np.int64).str)


def kernel_arrays(X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return values, indices and indptr of a CSR matrix, as the kernels read them.

    Those of ``X`` itself where their types allow.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_rows, n_columns)

    Returns
    -------
    data, indices, indptr : ndarray

    Raises
    ------
    TypeError
        If the values are no real numbers, or the indices no integers.
    ValueError
        If the arrays are of lengths that contradict each other.
    """
    indices, indptr = _pointers(X, len(X.data), X.shape[0])
    _require(_are_vectors(X.data), "its values are no vector")
    return kernel_values(X.data), indices, indptr


def kernel_values(data: np.ndarray) -> np.ndarray:
    """Real numbers in a type that the kernels read.

    Raises
    ------
    TypeError
        If they are something else.
    """
    kind = data.dtype.kind
    if kind not in "biuf":
        raise TypeError(
            f"X holds values of dtype {data.dtype}: real numbers are needed. Convert "
            "them, for instance by X.astype(float)."
        )
    if kind == "f":
        return data if data.dtype.str in _KERNEL_FLOATS else data.astype(np.float64)
    return data.astype(data.dtype.newbyteorder("="), copy=False)


def is_canonical(
    indptr: np.ndarray, indices: np.ndarray, n_columns: int, n_threads: int = 1
) -> bool:
    """Return whether each row's columns are sorted and distinct.

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
        "X is not a valid CSR matrix: its indices must be in "
        f"[0, {n_columns}) and its indptr must ascend from 0 to at most their number. "
        "Call X.check_format() of scipy for details."
    )


def check_arrays(X: Any) -> None:
    """Refuse a sparse matrix of another format that scipy could not convert safely.

    Parameters
    ----------
    X : sparse matrix or array, of two dimensions and any format but CSR

    Raises
    ------
    TypeError, ValueError
        If its arrays do not fit each other or its shape.
    """
    _CHECKS.get(X.format, _check_nothing)(X)


def _check_coo(X: Any) -> None:
    coordinates = X.coords
    _require(_are_vectors(X.data, *coordinates), "its arrays are no vectors")
    for numbers, size in zip(coordinates, X.shape, strict=True):
        _require(len(numbers) == len(X.data), "its arrays differ in length")
        _check_range(_kernel_indices(numbers), size)


def _check_csc(X: Any) -> None:
    indices, indptr = _pointers(X, len(X.data), X.shape[1])
    _require(_are_vectors(X.data), "its values are no vector")
    _check_pointers(indptr, indices, X.shape[0])


def _check_bsr(X: Any) -> None:
    data = X.data
    _require(isinstance(data, np.ndarray) and data.ndim == 3, "its blocks are none")
    height, width = data.shape[1:]
    fits = height and width and X.shape[0] % height == X.shape[1] % width == 0
    _require(fits, f"blocks of {height} x {width} do not fit its shape {X.shape}")
    indices, indptr = _pointers(X, len(data), X.shape[0] // height)
    _check_pointers(indptr, indices, X.shape[1] // width)


def _check_dia(X: Any) -> None:
    data, offsets = X.data, X.offsets
    fits = isinstance(data, np.ndarray) and data.ndim == 2 and _are_vectors(offsets)
    _require(fits and len(offsets) == len(data), "its offsets do not fit its diagonals")
    _kernel_indices(offsets)


def _check_lil(X: Any) -> None:
    fits = len(X.rows) == len(X.data) == X.shape[0]
    _require(fits, "its lists do not fit its rows")
    pairs = zip(map(len, X.rows), map(len, X.data), strict=True)
    _require(all(a == b for a, b in pairs), "its lists differ in length")


def _check_nothing(X: Any) -> None:
    """Accept a format that scipy converts by means of checked arrays."""


_CHECKS: dict[str, Callable[[Any], None]] = {
    "coo": _check_coo,
    "csc": _check_csc,
    "bsr": _check_bsr,
    "dia": _check_dia,
    "lil": _check_lil,
}


def _pointers(X: Any, n_values: int, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices and indptr of a compressed matrix, of lengths that fit."""
    indices, indptr = X.indices, X.indptr
    _require(_are_vectors(indices, indptr), "its indices are no vectors")
    lengths = f"it has {n_values} values but {len(indices)} indices"
    _require(n_values == len(indices), lengths)
    lengths = f"its indptr has {len(indptr)} elements, not {n_rows + 1}"
    _require(len(indptr) == n_rows + 1, lengths)
    return _kernel_indices(indices), _kernel_indices(indptr)


def _check_pointers(indptr: np.ndarray, indices: np.ndarray, size: int) -> None:
    ascends = indptr[0] == 0 and bool((np.diff(indptr) >= 0).all())
    _require(ascends and indptr[-1] <= len(indices), "its indptr does not ascend")
    _check_range(indices, size)


def _check_range(numbers: np.ndarray, size: int) -> None:
    if len(numbers):
        low, high = int(numbers.min()), int(numbers.max())
        _require(low >= 0 and high < size, f"it has index {low if low < 0 else high}")


def _are_vectors(*arrays: Any) -> bool:
    return all(isinstance(array, np.ndarray) and array.ndim == 1 for array in arrays)


def _kernel_indices(indices: np.ndarray) -> np.ndarray:
    if indices.dtype.kind not in "iu":
        raise TypeError(f"X has indices of dtype {indices.dtype}, not integers.")
    # Unsigned ones that are too large become negative, and are refused as such.
    exact = indices.dtype.str in _KERNEL_INDICES
    return indices if exact else indices.astype(np.int64)


def _require(holds: Any, trouble: str) -> None:
    if not holds:
        raise ValueError(
            f"X is not a valid sparse matrix: {trouble}. Rebuild it from its entries, "
            "or look at it by X.check_format() of scipy."
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
