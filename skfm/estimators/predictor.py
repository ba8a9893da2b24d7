"""Scoring a few rows at a time, without scikit-learn's validation."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.validation import check_is_fitted

from ..data.csr import canonical_csr, ready_csr
from ..data.rows import Rows
from ..encoding.codec import TableCodec
from ..encoding.columns import to_floats
from ..encoding.tables import as_table, read_columns
from ..runtime.attributes import snapshot
from ..runtime.memory import memory_errors
from .checks import check_finite
from .dicts import DictEncoder, NumberDicts, check_dicts
from .scoring import raw_scores
from .tables import is_frame


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

    A predictor is a snapshot: later fits of its estimator, `partial_fit` and warm
    starts too, leave it as it is.

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
        model = snapshot(model)
        check_is_fitted(model)
        self._network, self._mean_fields = model._scorer, model._mean_fields
        self._scaling = model._scaling
        self._n_columns = self._network.shape.n_columns
        self._dtype = self._network.shape.dtype
        names = getattr(model, "feature_names_in_", None)
        self._names = None if names is None else list(names)
        self._codec: TableCodec | None = model._codec
        self._n_cells = len(self._codec.blocks) if self._codec else self._n_columns
        self._dicts: DictEncoder | NumberDicts
        if self._codec is not None:
            self._dicts = DictEncoder(self._codec, self._names)
        else:
            self._dicts = NumberDicts(self._names, self._n_columns)
        # The task turns scores into predictions; only where they come from differs.
        model._raw_scores = self._raw_scores
        self._task = model

    def predict(self, rows: Any, offset: Any = None) -> Any:
        """Predict rows, as the estimator's ``predict`` does.

        Parameters
        ----------
        rows : dict, list of dict, DataFrame or CSR matrix
        offset : array-like of shape (n_rows,) or (n_rows, n_outputs), default=None
            Known part of the raw scores, as the estimator's ``predict`` takes it.

        Returns
        -------
        ndarray

        Raises
        ------
        ValueError
            If a column is unknown, or a cell is not of the type that it had in the fit.
        """
        return self._task.predict(rows, **_given(offset))

    def predict_proba(self, rows: Any, offset: Any = None) -> np.ndarray:
        """Predict probabilities as ``predict_proba`` does; rows as in `predict`."""
        proba: np.ndarray = self._task.predict_proba(rows, **_given(offset))
        return proba

    def decision_function(self, rows: Any, offset: Any = None) -> np.ndarray:
        """Compute raw scores as ``decision_function`` does; rows as in `predict`."""
        scores: np.ndarray = self._task.decision_function(rows, **_given(offset))
        return scores

    def _raw_scores(self, rows: Any) -> np.ndarray:
        with memory_errors("Scoring", "pass fewer rows at a time."):
            return raw_scores(self._network, self._read(self._matrix(rows)), 1)

    def _read(self, matrix: Any) -> Rows:
        if self._scaling is not None:
            matrix = self._scaling.apply(matrix, dtype=self._dtype)
        return Rows(matrix, self._dtype, mean_fields=self._mean_fields)

    def _matrix(self, rows: Any) -> Any:
        """Canonical CSR of rows."""
        if sp.issparse(rows):
            return self._checked(rows)
        if isinstance(rows, Mapping):
            return self._dicts.matrix([rows])
        if isinstance(rows, list) and rows:
            check_dicts(rows)
            return self._dicts.matrix(rows)
        if is_frame(rows):
            return self._from_frame(rows)
        raise TypeError(
            "Pass a dict, a list of some dicts, a DataFrame or a CSR matrix; got a "
            f"{type(rows).__name__}."
        )

    def _checked(self, matrix: Any) -> Any:
        if self._codec is not None:
            raise ValueError(
                "The estimator was fitted on a table: pass dicts or a DataFrame."
            )
        if matrix.format != "csr" or matrix.shape[1:] != (self._n_columns,):
            raise ValueError(
                f"Pass a CSR matrix of {self._n_columns} columns; got a "
                f"{matrix.format} matrix of shape {matrix.shape}."
            )
        ready = ready_csr(matrix, self._n_columns)
        return canonical_csr(matrix) if ready is None else ready

    def _from_frame(self, frame: Any) -> Any:
        table = as_table(frame)
        given = list(getattr(frame, "column_names", frame.columns))
        if self._names is not None:
            if len(given) != len(self._names) or set(given) != set(self._names):
                differing = sorted(map(str, set(given) ^ set(self._names)))
                raise ValueError(
                    f"The columns differ from those of the fit: {differing}."
                )
            table = table[self._names]
        elif len(given) != self._n_cells:
            raise ValueError(
                f"Pass a table of {self._n_cells} columns, as in the fit; got one of "
                f"{len(given)}."
            )
        columns = read_columns(table)
        if self._codec is not None:
            encoded = self._codec.encode(columns)
            return self._codec.matrix(encoded, np.float64, share_ones=True)
        named = zip(columns, self._names or range(len(columns)), strict=True)
        csr = canonical_csr(np.column_stack([to_floats(c, n) for c, n in named]))
        check_finite(csr, "rows")
        return csr


def _given(offset: Any) -> dict[str, Any]:
    # Rankers take none.
    return {} if offset is None else {"offset": offset}
