"""Reader and writer of files in the libffm format."""

from __future__ import annotations

import bz2
import contextlib
import gzip
from collections.abc import Iterator
from os import PathLike, fspath
from typing import IO, Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import ArrayLike, DTypeLike
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from .libffm_text import Chunk, Claims, chunks_of

__all__ = ["dump_libffm", "load_libffm"]

_ROWS = 1 << 14


def load_libffm(
    path_or_file: str | PathLike[str] | IO[bytes],
    *,
    n_features: int | None = None,
    n_fields: int | None = None,
    handle_unknown: str = "error",
    dtype: DTypeLike = np.float64,
    zero_based: bool = True,
) -> tuple[sp.csr_matrix, np.ndarray, np.ndarray]:
    """Load a file in the libffm format.

    Each line is ``label field:feature:value field:feature:value ...``.

    Parameters
    ----------
    path_or_file : str, path-like or binary file
        File to read. If its name ends with ``.gz`` or ``.bz2``, it is decompressed.
    n_features : int, default=None
        Number of columns. None means one more than the largest feature.
    n_fields : int, default=None
        Number of fields, which is only used to check them. None means that any number
        is accepted.
    handle_unknown : {"error", "ignore"}, default="error"
        Treatment of entries whose feature does not fit ``n_features``, or whose field
        does not fit ``n_fields``. "error" raises an error. "ignore" leaves them out, as
        xLearn and libffm do when they predict. Use "ignore" to read test data with the
        columns of the training data.
    dtype : dtype, default=np.float64
        Type of the values of X.
    zero_based : bool, default=True
        Whether features and fields are numbered from 0, as in libffm's own files, or
        from 1.

    Returns
    -------
    X : csr_matrix of shape (n_samples, n_features)
        The rows. If a line repeats a feature, its values are added.
    y : ndarray of float64 of shape (n_samples,)
        Labels.
    fields : ndarray of int32 of shape (n_features,)
        Field of each column. A column without entries has the field of the nearest
        column with entries before it or, at the start, after it.

    Raises
    ------
    ValueError
        If a line is malformed, a feature occurs in two fields, or a number is too
        large. The message contains the number of the line and its text.

    See Also
    --------
    sklearn.datasets.load_svmlight_file : The same without fields.

    References
    ----------
    .. [1] Y. Juan, Y. Zhuang, W.-S. Chin and C.-J. Lin, "Field-aware factorization
       machines for CTR prediction", RecSys 2016.
    """
    claims = new_claims(n_features, n_fields, handle_unknown, zero_based)
    parts: list[tuple[np.ndarray, ...]] = []
    line = 1
    with opened(path_or_file, "rb") as file:
        for text in chunks_of(file):
            chunk = Chunk(text, line)
            lines = chunk.parse()
            if handle_unknown == "ignore":
                lines = claims.known(lines)
            claims.add(lines, chunk)
            columns = (lines.features - claims.base).astype(np.int32)
            values = lines.values.astype(dtype)
            parts.append((lines.labels, lines.lengths, columns, values))
            line += chunk.n_lines
    if not parts:
        raise ValueError("The file holds no line.")
    labels, lengths, columns, values = map(np.concatenate, zip(*parts, strict=True))
    if not len(labels):
        raise ValueError("The file holds no line that is not blank.")
    fields = claims.fields()
    indptr = np.concatenate([[0], np.cumsum(lengths)])
    X = sp.csr_matrix((values, columns, indptr), shape=(len(labels), len(fields)))
    X.sum_duplicates()
    return X, labels, fields


def new_claims(
    n_features: int | None, n_fields: int | None, handle_unknown: str, zero_based: bool
) -> Claims:
    """Return a record of no feature, from the parameters of `load_libffm`.

    Raises
    ------
    ValueError
        If they are not possible.
    """
    for name, size in [("n_features", n_features), ("n_fields", n_fields)]:
        if size is not None and not 0 < size < 2**31 - 1:
            raise ValueError(f"{name} must be in [1, 2**31 - 2]; got {size}.")
    if handle_unknown not in ("error", "ignore"):
        raise ValueError(
            f'handle_unknown must be "error" or "ignore"; got {handle_unknown!r}.'
        )
    if handle_unknown == "ignore" and n_features is None and n_fields is None:
        raise ValueError('handle_unknown="ignore" needs n_features or n_fields.')
    return Claims(n_features, n_fields, 0 if zero_based else 1)


@contextlib.contextmanager
def opened(path_or_file: Any, mode: str) -> Iterator[Any]:
    """Open a file, and decompress it if its name says so; leave an open one open."""
    if hasattr(path_or_file, "read") or hasattr(path_or_file, "write"):
        yield path_or_file
        return
    openers: dict[str, Any] = {".gz": gzip.open, ".bz2": bz2.open}
    name = fspath(path_or_file)
    opener = next((o for end, o in openers.items() if name.endswith(end)), open)
    with opener(name, mode) as file:
        yield file


def dump_libffm(
    X: Any,
    y: ArrayLike,
    f: str | PathLike[str] | IO[bytes],
    *,
    fields: ArrayLike,
    zero_based: bool = True,
) -> None:
    """Write a file in the libffm format.

    Parameters
    ----------
    X : {array-like, sparse matrix} of shape (n_samples, n_features)
        Rows to write. All stored entries are written, including explicit zeros.
    y : array-like of shape (n_samples,)
        Labels.
    f : str, path-like or binary file
        File to write. If its name ends with ``.gz`` or ``.bz2``, it is compressed.
    fields : array-like of int of shape (n_features,)
        Field of each column.
    zero_based : bool, default=True
        Whether to number features and fields from 0 or from 1.

    Raises
    ------
    ValueError
        If the lengths of X, y and fields differ, or a field is negative.
    """
    X = sp.csr_matrix(check_array(X, accept_sparse="csr", ensure_all_finite=False))
    labels = column_or_1d(np.asarray(y, dtype=np.float64))
    check_consistent_length(X, labels)
    of_column = column_or_1d(np.asarray(fields))
    if len(of_column) != X.shape[1]:
        raise ValueError(
            f"fields has {len(of_column)} elements, but X has {X.shape[1]} columns."
        )
    if of_column.dtype.kind not in "iu" or (of_column < 0).any():
        raise ValueError("fields must not be negative, and must be integers.")
    with opened(f, "wb") as file:
        for start in range(0, X.shape[0], _ROWS):
            rows = slice(start, start + _ROWS)
            file.write(_lines(X[rows], labels[rows], of_column, 0 if zero_based else 1))


def _lines(X: sp.csr_matrix, y: np.ndarray, fields: np.ndarray, base: int) -> bytes:
    of_column, columns = pd.factorize(X.indices)
    heads = [f" {fields[j] + base}:{j + base}:" for j in columns.tolist()]
    entries = np.empty((X.nnz, 2), dtype=object)
    entries[:, 0] = np.array(heads, dtype=object)[of_column]
    entries[:, 1] = _texts(X.data)
    # A row consists of a label, two words for each entry, and the end of the line.
    words = np.empty(2 * X.nnz + 2 * len(y), dtype=object)
    rows = 2 * np.arange(len(y))
    starts, ends = 2 * X.indptr[:-1] + rows, 2 * X.indptr[1:] + rows + 1
    is_entry = np.ones(len(words), dtype=bool)
    is_entry[starts] = is_entry[ends] = False
    words[starts] = _texts(y)
    words[is_entry] = entries.ravel()
    words[ends] = "\n"
    return "".join(words.tolist()).encode("ascii")


def _texts(numbers: np.ndarray) -> np.ndarray:
    """Return the text of each number, formatting each distinct number once."""
    of_number, distinct = pd.factorize(numbers, use_na_sentinel=False)
    return np.array([*map(_write, distinct)], dtype=object)[of_number]


def _write(number: np.floating[Any]) -> str:
    """Return the shortest text that is read as the same float64."""
    return repr(float(number)).removesuffix(".0")
