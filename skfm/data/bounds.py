"""Checks that the arrays of a sparse matrix fit each other.

scipy checks the arrays when it makes a matrix, but a user can replace them afterwards.
Neither the conversions of scipy nor the kernels of this package check them again.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple, NoReturn

import numpy as np

from ..runtime.jit import kernel
from ..runtime.threads import parallel_for

__all__ = ["Entries", "check_arrays", "examine", "kernel_arrays", "kernel_values"]

#: Fewest entries per thread that make a second thread pay.
_ENTRIES_PER_THREAD = 1_000_000
#: Types that the kernels read as they are, in the machine's byte order.
_KERNEL_FLOATS = (np.dtype(np.float32).str, np.dtype(np.float64).str)
_KERNEL_INDICES = (np.dtype(np.int32).str, np.dtype(np.int64).str)


def kernel_arrays(X: Any) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Return the values, indices and indptr of a CSR matrix as the kernels read them.

    They are the arrays of ``X`` itself if the kernels can read their types.

    Parameters
    ----------
    X : CSR matrix or array of shape (n_rows, n_columns)

    Returns
    -------
    data, indices, indptr : ndarray

    Raises
    ------
    TypeError
        If the values are not real numbers, or the indices are not integers.
    ValueError
        If the lengths of the arrays contradict each other.
    """
    indices, indptr = _pointers(X, len(X.data), X.shape[0])
    _require(_are_vectors(X.data), "its values are not a vector")
    return kernel_values(X.data), indices, indptr


def kernel_values(data: np.ndarray) -> np.ndarray:
    """Convert real numbers to a type that the kernels read, if theirs is another.

    Raises
    ------
    TypeError
        If the values are not real numbers.
    """
    kind = data.dtype.kind
    if kind not in "biuf":
        raise TypeError(
            f"X holds values of dtype {data.dtype}, but must hold real numbers. "
            "Convert them, for instance by X.astype(float)."
        )
    if kind == "f":
        return data if data.dtype.str in _KERNEL_FLOATS else data.astype(np.float64)
    return data.astype(data.dtype.newbyteorder("="), copy=False)


class Entries(NamedTuple):
    """Properties of the entries of a CSR matrix.

    Attributes
    ----------
    canonical : bool
        Whether the columns of each row are sorted and distinct.
    full : bool
        Whether no stored value is 0.
    unit : bool
        Whether all stored values are 1.
    finite : bool
        Whether none is NaN or infinite.
    """

    canonical: bool
    full: bool
    unit: bool
    finite: bool


def examine(
    data: np.ndarray,
    indices: np.ndarray,
    indptr: np.ndarray,
    n_columns: int,
    n_threads: int = 1,
) -> Entries:
    """Examine arrays that `kernel_arrays` has returned, in one pass over them.

    Raises
    ------
    ValueError
        If an index is out of bounds. The kernels do not check indices and would read
        memory outside of the arrays.
    """
    if indptr[0] == 0 and indptr[-1] <= len(indices):
        found = np.ones(5, np.bool_)
        n_threads = max(1, min(n_threads, len(indices) // _ENTRIES_PER_THREAD))
        arrays = indptr, indices, data
        parallel_for(_examine, len(indptr) - 1, n_threads, *arrays, n_columns, found)
        in_bounds, *rest = found.tolist()
        if in_bounds:
            return Entries(*rest)
    raise ValueError(
        f"X is not a valid CSR matrix: its indices must be in [0, {n_columns}), and "
        f"its indptr must ascend from 0 to at most {len(indices)}, the number of "
        "indices. Rebuild X from its entries, or call X.check_format() for details."
    )


def check_arrays(X: Any) -> None:
    """Raise an error for a sparse matrix that scipy could not convert safely.

    Parameters
    ----------
    X : sparse matrix or array of two dimensions, in any format except CSR

    Raises
    ------
    TypeError, ValueError
        If the arrays of X do not fit each other or its shape.
    """
    _CHECKS.get(X.format, _check_nothing)(X)


def _check_coo(X: Any) -> None:
    coordinates = X.coords
    _require(_are_vectors(X.data, *coordinates), "its arrays are not vectors")
    for numbers, size in zip(coordinates, X.shape, strict=True):
        _require(len(numbers) == len(X.data), "its arrays differ in length")
        _check_range(_kernel_indices(numbers), size)


def _check_csc(X: Any) -> None:
    indices, indptr = _pointers(X, len(X.data), X.shape[1])
    _require(_are_vectors(X.data), "its values are not a vector")
    _check_pointers(indptr, indices, X.shape[0])


def _check_bsr(X: Any) -> None:
    data = X.data
    is_blocks = isinstance(data, np.ndarray) and data.ndim == 3
    _require(is_blocks, "its data do not have 3 dimensions")
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
    """Accept a format that scipy converts with checks of its own."""


_CHECKS: dict[str, Callable[[Any], None]] = {
    "coo": _check_coo,
    "csc": _check_csc,
    "bsr": _check_bsr,
    "dia": _check_dia,
    "lil": _check_lil,
}


def _pointers(X: Any, n_values: int, n_rows: int) -> tuple[np.ndarray, np.ndarray]:
    """Return the indices and indptr of a compressed matrix after checking lengths."""
    indices, indptr = X.indices, X.indptr
    _require(_are_vectors(indices, indptr), "its indices are not vectors")
    # Messages are made where they are needed: they take time.
    if n_values != len(indices):
        _refuse(f"it has {n_values} values but {len(indices)} indices")
    if len(indptr) != n_rows + 1:
        _refuse(f"its indptr has {len(indptr)} elements, not {n_rows + 1}")
    return _kernel_indices(indices), _kernel_indices(indptr)


def _check_pointers(indptr: np.ndarray, indices: np.ndarray, size: int) -> None:
    ascends = indptr[0] == 0 and bool((np.diff(indptr) >= 0).all())
    _require(ascends and indptr[-1] <= len(indices), "its indptr does not ascend")
    _check_range(indices, size)


def _check_range(numbers: np.ndarray, size: int) -> None:
    if len(numbers):
        low, high = int(numbers.min()), int(numbers.max())
        found = low if low < 0 else high
        _require(0 <= found < size, f"index {found} is not in [0, {size})")


def _are_vectors(*arrays: Any) -> bool:
    return all(isinstance(array, np.ndarray) and array.ndim == 1 for array in arrays)


def _kernel_indices(indices: np.ndarray) -> np.ndarray:
    if indices.dtype.kind not in "iu":
        raise TypeError(
            f"X has indices of dtype {indices.dtype}, but they must be integers. "
            "Rebuild X from its entries."
        )
    # Unsigned integers that are too large become negative, which the checks refuse.
    exact = indices.dtype.str in _KERNEL_INDICES
    return indices if exact else indices.astype(np.int64)


def _require(holds: Any, trouble: str) -> None:
    if not holds:
        _refuse(trouble)


def _refuse(trouble: str) -> NoReturn:
    raise ValueError(
        f"X is not a valid sparse matrix: {trouble}. Rebuild X from its entries."
    )


@kernel
def _examine(indptr, indices, data, n_columns, found, start, stop):  # type: ignore[no-untyped-def]
    """Clear the flags that rows start..stop lack: in bounds, and those of `Entries`."""
    for row in range(start, stop):
        first, end = indptr[row], indptr[row + 1]
        if first < 0 or end < first or end > len(indices):
            found[0] = False
            return
        if first == end:
            continue
        n_unsorted = 0
        for p in range(first + 1, end):
            n_unsorted += indices[p] <= indices[p - 1]
        low, high = indices[first], indices[end - 1]
        if n_unsorted > 0:
            found[1] = False
            for p in range(first, end):
                low, high = min(low, indices[p]), max(high, indices[p])
        if low < 0 or high >= n_columns:
            found[0] = False
            return
    _examine_values(data, found, indptr[start], indptr[stop])


@kernel(inner=True)
def _examine_values(data, found, first, end):  # type: ignore[no-untyped-def]
    # Sums instead of flags, so that vectors of values are compared at once.
    n_others = n_zeros = n_odd = 0
    for p in range(first, end):
        n_others += data[p] != 1
    if n_others == 0:
        return
    for p in range(first, end):
        n_zeros += data[p] == 0
        n_odd += data[p] - data[p] != 0  # NaN and infinity
    found[3] = False
    if n_zeros > 0:
        found[2] = False
    if n_odd > 0:
        found[4] = False
