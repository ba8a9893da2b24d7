"""Conversion to CSR matrices in the canonical form that the kernels rely on."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp

from .bounds import check_arrays, examine, kernel_arrays, kernel_values

#: Classes of scipy's CSR matrices, whose subclasses may do as they like.
_CSR = (sp.csr_array, sp.csr_matrix)
MAX_COLUMNS = np.iinfo(np.int32).max


def as_csr(X: Any) -> Any:
    """Convert a sparse matrix of any format to CSR, after checking its arrays.

    Parameters
    ----------
    X : sparse matrix or array of shape (n_rows, n_columns)

    Returns
    -------
    CSR matrix or array
        X itself if it is in CSR format. Its arrays are then not checked here, but by
        `canonical_csr`.

    Raises
    ------
    TypeError, ValueError
        If X does not have two dimensions, or its arrays do not fit each other.
    """
    if X.ndim != 2:
        raise ValueError(f"X must have 2 dimensions, rows and columns, not {X.ndim}.")
    if X.format == "csr":
        return X
    check_arrays(X)
    if X.dtype.kind == "f" and X.dtype not in (np.float32, np.float64):
        X = X.astype(np.float64)  # scipy converts float16 in no other format
    return X.tocsr()


def canonical_csr(X: Any, n_threads: int = 1) -> Any:
    """Convert X to CSR with sorted, distinct columns and no stored zeros.

    The result shares the arrays of X where possible. Everything that the kernels read
    has passed through this function, because they do not check indices.

    Parameters
    ----------
    X : sparse matrix or array, or ndarray, of shape (n_rows, n_columns)
    n_threads : int, default=1

    Returns
    -------
    csr_array
        A new object. X and the flags that scipy caches on it are left unchanged.

    Raises
    ------
    TypeError
        If X does not hold real numbers.
    ValueError
        If X has more than 2^31 - 1 columns, or is a sparse matrix whose arrays do not
        fit each other.
    """
    if X.shape[1] > MAX_COLUMNS:
        raise ValueError(
            f"X has {X.shape[1]} columns, but at most {MAX_COLUMNS} are supported. "
            "Hash the categories into fewer columns."
        )
    X = as_csr(X) if sp.issparse(X) else sp.csr_array(kernel_values(X))
    csr = sp.csr_array(kernel_arrays(X), shape=X.shape, copy=False)
    found = examine(csr.data, csr.indices, csr.indptr, csr.shape[1], n_threads)
    if not (found.canonical and found.full):
        # The sum of duplicates may exceed a small integer type.
        csr = csr.copy() if csr.dtype.kind == "f" else csr.astype(np.float64)
        csr.sum_duplicates()
        csr.eliminate_zeros()
    return csr


class ReadyCSR(NamedTuple):
    """Arrays of a CSR matrix that needs no conversion, without scipy's object.

    Making such an object takes longer than all else that a single row needs.

    Attributes
    ----------
    data, indices, indptr : ndarray
    shape : tuple of int
    unit : bool
        Whether all values are 1.
    """

    data: np.ndarray
    indices: np.ndarray
    indptr: np.ndarray
    shape: tuple[int, int]
    unit: bool


def ready_csr(X: Any, n_columns: int, n_threads: int = 1) -> ReadyCSR | None:
    """Return the arrays of X if `canonical_csr` would return them as they are.

    Returns
    -------
    ReadyCSR or None
        None if X is anything but a canonical CSR matrix of finite floats, with at least
        one row and with ``n_columns`` columns.

    Raises
    ------
    TypeError, ValueError
        If X is a CSR matrix whose arrays do not fit each other.
    """
    if type(X) not in _CSR or len(X.shape) != 2 or X.shape[1] != n_columns:
        return None
    arrays = data, indices, indptr = X.data, X.indices, X.indptr
    if data.dtype.kind != "f" or not X.shape[0]:
        return None
    for array, readable in zip(arrays, kernel_arrays(X), strict=True):
        if array is not readable:
            return None
    found = examine(data, indices, indptr, n_columns, n_threads)
    ready = found.canonical and found.full and found.finite
    if not ready or indptr[-1] != len(indices):
        return None
    return ReadyCSR(data, indices, indptr, X.shape, found.unit)


def all_ones(data: np.ndarray, chunk: int = 1 << 16) -> bool:
    """Return whether all values are one; stop at the first chunk with another value."""
    return all(
        bool(np.all(data[i : i + chunk] == 1)) for i in range(0, len(data), chunk)
    )
