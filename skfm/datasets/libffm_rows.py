"""Files in the libffm format that are read in chunks of rows."""

from __future__ import annotations

import os
from collections.abc import Iterator
from os import PathLike, fspath
from typing import Any

import numpy as np
import scipy.sparse as sp

from .libffm import new_claims, opened
from .libffm_text import Chunk, Claims, Lines, chunks_of

__all__ = ["LibffmRows", "open_libffm"]

#: Number of entries that are read at once.
_ENTRIES = 1 << 21


class LibffmRows:
    """Rows of a file, which is read whenever they are needed.

    Estimators take it as X; it is made by `open_libffm`.

    Attributes
    ----------
    shape : (int, int)
        Numbers of rows and columns.
    fields : ndarray of int32 of shape (n_features,)
        Field of each column, which an estimator with ``fields="auto"`` uses.
    unit : bool
        Whether every value in the file is 1.
    """

    def __init__(
        self, path: str, claims: Claims, n_rows: int, ignore: bool, unit: bool
    ) -> None:
        self._path, self._claims, self._ignore = path, claims, ignore
        self.unit = unit
        self.fields = claims.fields()
        self.shape = (n_rows, len(self.fields))

    def parts(self) -> Iterator[sp.csr_matrix]:
        """Yield the rows in order, as matrices of many rows each.

        Raises
        ------
        ValueError
            If the file has changed.
        """
        waiting: list[Lines] = []
        n_rows = n_entries = 0
        for lines in _read(self._path, self._claims, ignore=self._ignore):
            waiting.append(lines)
            n_rows += len(lines.labels)
            n_entries += len(lines.values)
            if n_entries >= _ENTRIES:
                yield self._matrix(waiting)
                waiting, n_entries = [], 0
        if n_rows != self.shape[0]:
            raise ValueError(f"{self._path} has changed: open it again.")
        if waiting:
            yield self._matrix(waiting)

    def _matrix(self, parts: list[Lines]) -> sp.csr_matrix:
        lengths = np.concatenate([lines.lengths for lines in parts])
        features = np.concatenate([lines.features for lines in parts])
        columns = (features - self._claims.base).astype(np.int32)
        values = np.concatenate([lines.values for lines in parts])
        indptr = np.concatenate([[0], np.cumsum(lengths)])
        shape = (len(lengths), self.shape[1])
        X = sp.csr_matrix((values, columns, indptr), shape=shape)
        X.sum_duplicates()
        return X

    def identity(self) -> Any:
        """Return what tells the rows from those of other files."""
        status = os.stat(self._path)
        return self._path, status.st_size, status.st_mtime_ns, self.shape, self._ignore


def open_libffm(
    path: str | PathLike[str],
    *,
    n_features: int | None = None,
    n_fields: int | None = None,
    handle_unknown: str = "error",
    zero_based: bool = True,
) -> tuple[LibffmRows, np.ndarray, np.ndarray]:
    """Open a file in the libffm format that may be larger than memory.

    The file is read once for its labels and fields, and again by each fit and
    prediction, in chunks.

    Parameters
    ----------
    path : str or path-like
        File to read. If its name ends with ``.gz`` or ``.bz2``, it is decompressed.
    n_features, n_fields, handle_unknown, zero_based
        Options of `load_libffm`.

    Returns
    -------
    X : LibffmRows of shape (n_samples, n_features)
        The rows, for ``fit`` and the predictions of estimators.
    y : ndarray of float64 of shape (n_samples,)
        Labels.
    fields : ndarray of int32 of shape (n_features,)
        Field of each column.

    Raises
    ------
    ValueError
        If a line is malformed, a feature occurs in two fields, or a number is too
        large. The message contains the number of the line and its text.

    See Also
    --------
    load_libffm : The same in memory.

    Examples
    --------
    >>> import tempfile
    >>> import numpy as np
    >>> from skfm import FFMClassifier
    >>> from skfm.datasets import dump_libffm, open_libffm
    >>> rows = np.eye(4)[np.arange(40) % 4]
    >>> path = f"{tempfile.mkdtemp()}/clicks.ffm"
    >>> dump_libffm(rows, np.arange(40) % 2, path, fields=[0, 0, 1, 1])
    >>> X, y, fields = open_libffm(path)
    >>> model = FFMClassifier(max_iter=2).fit(X, y)
    >>> model.predict_proba(X).shape
    (40, 2)
    """
    claims = new_claims(n_features, n_fields, handle_unknown, zero_based)
    name, ignore = os.path.abspath(fspath(path)), handle_unknown == "ignore"
    labels, unit = [], True
    for lines in _read(name, claims, ignore=ignore):
        labels.append(lines.labels)
        unit = unit and bool((lines.values == 1).all())
    if not sum(map(len, labels)):
        raise ValueError("The file holds no line that is not blank.")
    y = np.concatenate(labels)
    rows = LibffmRows(name, claims, len(y), ignore, unit)
    return rows, y, rows.fields


def _read(path: str, claims: Claims, *, ignore: bool) -> Iterator[Lines]:
    line = 1
    with opened(path, "rb") as file:
        for text in chunks_of(file):
            chunk = Chunk(text, line)
            lines = chunk.parse()
            if ignore:
                lines = claims.known(lines)
            claims.add(lines, chunk)
            yield lines
            line += chunk.n_lines
