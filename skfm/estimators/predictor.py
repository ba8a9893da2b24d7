"""Scoring a few rows at a time, without scikit-learn's validation."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import torch
from sklearn.utils.validation import check_is_fitted
from torch import Tensor

from ..data.batch import Batch
from ..data.csr import canonical_csr, is_canonical
from ..data.rows import Rows
from ..encoding.blocks import Encoded, ScaleBlock
from ..encoding.categories import CategoryBlock
from ..encoding.codec import TableCodec
from ..encoding.columns import LARGEST_EXACT
from ..encoding.nested import NestedBlock
from ..encoding.tables import as_table, object_array, read_columns
from ..runtime.threads import torch_threads
from .checks import finite_scores
from .tables import is_frame

#: What cells of a kind of category are, for which a dict of Python's finds them.
_PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "strings": (str,),
    "numbers": (int, float),
    "booleans": (bool,),
}


class Predictor:
    """Scores rows of a fitted estimator at low latency; safe to share among threads.

    Made by the estimators' ``compile_predictor``. Nothing is locked and nothing changes
    while it scores, each call runs on the thread that makes it, and the results are
    those of the estimator's own methods.

    Rows are what the estimator was fitted on, or dicts:

    - a CSR matrix, whose values are taken as they are: not checked beyond its number
      of columns and what would lead out of bounds;
    - a DataFrame with the columns of the fit, by name, in any order;
    - a dict or a list of dicts, from the names of columns to cells. A column that is
      left out is a missing cell where the estimator encodes tables, and 0 otherwise.
      Without names, keys are column numbers.

    The weights are the estimator's own: don't train it while it serves.

    Parameters
    ----------
    model : estimator
        Fitted.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm import FMClassifier
    >>> X = pd.DataFrame({"user": list("aabb"), "item": list("xyxy")})
    >>> model = FMClassifier(max_iter=300, random_state=0).fit(X, [0, 1, 1, 0])
    >>> predictor = model.compile_predictor()
    >>> predictor.predict({"user": "a", "item": "y"})
    array([1])
    >>> predictor.predict_proba([{"user": "b", "item": "y"}, {"user": "new"}]).shape
    (2, 2)
    """

    def __init__(self, model: Any) -> None:
        check_is_fitted(model, "network_")
        self._network, self._mean_fields = model.network_, model._mean_fields
        self._n_columns = model.network_.shape.n_columns
        self._dtype = np.dtype(model.network_.shape.dtype)
        names = getattr(model, "feature_names_in_", None)
        self._names = None if names is None else list(names)
        encoder = model._codec and _RowEncoder(model._codec, self._names)
        self._encoder: _RowEncoder | None = encoder
        self._positions = {name: j for j, name in enumerate(self._names or [])}
        # The task turns scores into predictions; only where they come from differs.
        self._task = copy.copy(model)
        self._task._raw_scores = self._raw_scores

    def predict(self, rows: Any) -> Any:
        """What the estimator's ``predict`` returns for rows.

        Parameters
        ----------
        rows : dict, list of dict, DataFrame or CSR matrix

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If a column is unknown, or a cell is not of the type that it had in the fit.
        """
        return self._task.predict(rows)

    def predict_proba(self, rows: Any) -> np.ndarray:
        """What a classifier's ``predict_proba`` returns; rows as in `predict`."""
        proba: np.ndarray = self._task.predict_proba(rows)
        return proba

    def decision_function(self, rows: Any) -> np.ndarray:
        """What a classifier's ``decision_function`` returns; rows as in `predict`."""
        scores: np.ndarray = self._task.decision_function(rows)
        return scores

    def _raw_scores(self, rows: Any) -> np.ndarray:
        batch = self._batch(self._matrix(rows))
        with torch_threads(1), torch.no_grad():
            scored = self._score(batch)
        return finite_scores(scored.cpu().numpy().astype(np.float64))

    def _score(self, batch: Batch) -> Tensor:
        network = self._network
        if len(batch) != 1:
            return network.score(batch)
        # Nothing to share out: straight through.
        scores: Tensor = network(network.table.look_up(network.prepare(batch)))
        return scores

    def _batch(self, matrix: Any) -> Batch:
        if self._mean_fields is not None or matrix.indices.dtype != np.int32:
            rows = Rows(matrix, self._dtype.name, mean_fields=self._mean_fields)
            return rows.span(0, len(rows))
        values = matrix.data.astype(self._dtype, copy=False)
        return Batch(matrix.indptr.astype(np.int64), matrix.indices, values)

    def _matrix(self, rows: Any) -> Any:
        """Canonical CSR of rows."""
        if hasattr(rows, "indptr"):
            return self._checked(rows)
        if isinstance(rows, Mapping):
            return self._from_dicts([rows])
        if isinstance(rows, list) and rows:
            return self._from_dicts(rows)
        if is_frame(rows):
            return self._from_frame(rows)
        raise TypeError(
            "Pass a dict, a list of some dicts, a DataFrame or a CSR matrix; got a "
            f"{type(rows).__name__}."
        )

    def _checked(self, matrix: Any) -> Any:
        if self._encoder is not None:
            raise ValueError(
                "The estimator was fitted on a table: pass dicts or a DataFrame."
            )
        if matrix.format != "csr" or matrix.shape[1] != self._n_columns:
            raise ValueError(
                f"Pass a CSR matrix of {self._n_columns} columns; got a "
                f"{matrix.format} matrix of {matrix.shape[1]}."
            )
        canonical = is_canonical(matrix.indptr, matrix.indices, self._n_columns)
        return matrix if canonical and matrix.data.all() else canonical_csr(matrix)

    def _from_frame(self, frame: Any) -> Any:
        table = as_table(frame)
        if self._names is not None:
            given = list(frame.columns)
            if len(given) != len(self._names) or set(given) != set(self._names):
                differing = sorted(map(str, set(given) ^ set(self._names)))
                raise ValueError(
                    f"The columns differ from those of the fit: {differing}."
                )
            table = table[self._names]
        columns = read_columns(table)
        if self._encoder is not None:
            return self._encoder.matrix(columns)
        dense = np.column_stack([column.to_numpy(np.float64) for column in columns])
        return canonical_csr(dense)

    def _from_dicts(self, rows: Sequence[Mapping[Any, Any]]) -> Any:
        if self._encoder is not None:
            return self._encoder.from_dicts(rows)
        sizes = np.fromiter(map(len, rows), np.int64, len(rows))
        n_cells = int(sizes.sum())
        cells = np.fromiter((v for row in rows for v in row.values()), float, n_cells)
        keys = (self._position(key) for row in rows for key in row)
        columns = np.fromiter(keys, np.int64, n_cells)
        dense = np.zeros((len(rows), self._n_columns))
        dense[np.repeat(np.arange(len(rows)), sizes), columns] = cells
        return canonical_csr(dense)

    def _position(self, key: Any) -> int:
        if self._names is None and isinstance(key, int) and 0 <= key < self._n_columns:
            return key
        position = self._positions.get(key)
        if position is None:
            raise _unknown(key)
        return position


class _RowEncoder:
    """Encodes dicts as a codec does tables, without pandas where it can."""

    def __init__(self, codec: TableCodec, names: list[str] | None) -> None:
        self.codec = codec
        self._keys = range(len(codec.blocks)) if names is None else names
        self._known = set(self._keys)
        self._blocks = [_cell_reader(block) for block in codec.blocks]

    def matrix(self, columns: Any) -> Any:
        return self.codec.matrix(
            self.codec.encode(columns), np.float64, share_ones=True
        )

    def from_dicts(self, rows: Sequence[Mapping[Any, Any]]) -> Any:
        for row in rows:
            if not row.keys() <= self._known:
                raise _unknown(next(key for key in row if key not in self._known))
        encoded = [
            read([row.get(key) for row in rows])
            for key, read in zip(self._keys, self._blocks, strict=True)
        ]
        return self.codec.matrix(encoded, np.float64)


def _cell_reader(block: Any) -> Callable[[list[Any]], Any]:
    """What encodes a list of cells as ``block`` does."""
    if isinstance(block, CategoryBlock) and block.kind in _PYTHON_TYPES:
        return _CategoryReader(block)
    if isinstance(block, ScaleBlock):
        return _NumberReader(block)
    if isinstance(block, NestedBlock):
        return _NestedReader(block)
    return _SeriesReader(block)


class _SeriesReader:
    """Cells by way of pandas: right for all blocks, and slow."""

    def __init__(self, block: Any) -> None:
        self.block = block

    def __call__(self, cells: list[Any]) -> Encoded:
        (series,) = read_columns(object_array(cells)[:, None])
        encoded: Encoded = self.block.encode(self.block.read(series))
        return encoded


class _CategoryReader(_SeriesReader):
    """Categories that Python's equality tells apart: strings, numbers, booleans."""

    def __init__(self, block: CategoryBlock) -> None:
        super().__init__(block)
        self._types = _PYTHON_TYPES[block.kind]
        columns = block.encode(block.read(pd.Series(block.vocabulary))).columns
        self._columns = dict(
            zip(block.vocabulary.tolist(), columns.tolist(), strict=True)
        )
        self._unknown, self._missing = block.width - 2, block.width - 1

    def __call__(self, cells: list[Any]) -> Encoded:
        columns = np.empty(len(cells), np.int32)
        for i, cell in enumerate(cells):
            if cell is None:
                columns[i] = self._missing
            elif type(cell) in self._types and cell == cell:
                columns[i] = self._columns.get(cell, self._unknown)
            else:
                return super().__call__(cells)
        return Encoded(columns)


class _NumberReader(_SeriesReader):
    """Numbers, standardised or as they are."""

    def __call__(self, cells: list[Any]) -> Encoded:
        numbers = _as_floats(cells)
        if numbers is None:
            return super().__call__(cells)
        encoded: Encoded = self.block.encode(numbers)
        return encoded


class _NestedReader(_SeriesReader):
    """Numbers as value, bins and, where they are integers that repeat, ids."""

    def __init__(self, block: NestedBlock) -> None:
        super().__init__(block)
        self._ids = None
        if block.with_ids:
            assert block.ids is not None
            self._ids = _CategoryReader(block.ids)

    def __call__(self, cells: list[Any]) -> Encoded:
        numbers = _as_floats(cells)
        if numbers is None:
            return super().__call__(cells)
        if self._ids is None:
            encoded: Encoded = self.block.encode_floats(numbers, None)
            return encoded
        if (np.abs(numbers) > LARGEST_EXACT).any():
            return super().__call__(cells)
        ids = self._ids([None if cell != cell else cell for cell in cells]).columns
        encoded = self.block.encode_floats(numbers, ids)
        return encoded


def _as_floats(cells: list[Any]) -> np.ndarray | None:
    """Cells as floats, missing ones as NaN; None where one is no finite number."""
    if any(cell is not None and type(cell) not in (int, float) for cell in cells):
        return None
    try:
        numbers = np.array(cells, dtype=np.float64)  # None becomes NaN
    except OverflowError:
        return None
    return None if np.isinf(numbers).any() else numbers


def _unknown(key: Any) -> ValueError:
    return ValueError(f"A row has {key!r}, but the fit had no column of that name.")
