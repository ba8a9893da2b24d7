"""The public function `to_onnx`."""

from __future__ import annotations

import os
from typing import Any

from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..encoding import FieldEncoder
from ..persistence.atomic import replacing
from .estimators import model_bytes
from .pipelines import pipeline_model
from .tables import Table


def to_onnx(
    estimator: Any,
    path: str | os.PathLike[str],
    *,
    dense: bool = False,
    X: Any = None,
) -> None:
    """Write a fitted model as an ONNX graph, which runs without Python.

    The graph computes in float32, on any number of rows. Its inputs are:

    - by default, ``columns`` (int64) and ``values`` (float32), both of shape (n_rows,
      n_entries). They hold the columns and the values of the entries of each row, in
      any order. Shorter rows are padded with values of 0 at any column.
    - with ``dense=True``, ``X`` (float32) of shape (n_rows, n_columns);
    - for a model that was fitted on a table, and for a Pipeline of a `FieldEncoder` and
      a model, given ``X``: one input of shape (n_rows, 1) for each column of the table,
      under its name. Categories are string, int64 or bool. Numbers are int64 if ``X``
      has integers, else float64. Vectors are float64 of shape (n_rows, length).
      A missing cell is ``""`` in strings, -2**63 in integers and NaN in floats; a
      missing truth value is False.
    - for another Pipeline, the inputs that skl2onnx derives from the columns of ``X``.

    Its outputs are:

    - for classifiers, ``label`` of shape (n_rows,), or (n_rows, n_labels) for an
      indicator matrix, and ``probabilities`` of shape (n_rows, n_classes). If the loss
      has no probabilities, the second output is ``scores``.
    - for regressors, ``variable`` of shape (n_rows, n_outputs);
    - for rankers, ``scores`` of shape (n_rows, n_outputs).

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted estimator. If it was fitted on a table and ``X`` is None, the graph reads
        the columns that the table was encoded to, which ``column_names_`` lists. The
        last step of a Pipeline must be an estimator of this package, and the others
        must be transformers of scikit-learn, or a single `FieldEncoder`.
    path : path-like
        File to write. It is replaced if it exists.
    dense : bool, default=False
        Whether the graph reads dense rows.
    X : array-like or DataFrame, default=None
        One or more rows of the table as the Pipeline or the model reads them, which
        determine the types of the inputs.

    Raises
    ------
    ImportError
        If the ``onnx`` extra is not installed.
    ValueError
        If X is missing, or given for a model that was fitted on a matrix; the file
        would be larger than the 2 GiB that ONNX allows; an FFM has
        ``intra_field_pairs=True``; or a column of the table has an encoding that ONNX
        cannot express: dates, hashed categories, categories that are floats, cells of
        several values, and crosses.
    TypeError
        If the estimator does not belong to this package.

    Examples
    --------
    >>> import os, tempfile
    >>> import skfm
    >>> model = skfm.FMClassifier(random_state=0).fit(
    ...     [[0.0, 1.0], [1.0, 0.0]] * 9, [0, 1] * 9
    ... )
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     skfm.to_onnx(model, os.path.join(folder, "model.onnx"))
    """
    if isinstance(estimator, Pipeline) and X is None:
        raise ValueError(
            "to_onnx of a Pipeline needs X: pass one or more rows as the Pipeline "
            "reads them, which determine the types of the inputs of the graph."
        )
    model, table = _with_table(estimator, X)
    if table is not None and dense:
        raise ValueError("dense=True is for matrices, but X is a table: drop one.")
    if table is None and isinstance(estimator, Pipeline):
        raw = pipeline_model(estimator, X)
    else:
        raw = model_bytes(model, dense=dense, table=table)
    with replacing(path) as file:
        file.write(raw)


def _with_table(estimator: Any, X: Any) -> tuple[Any, Table | None]:
    """Return the model of an estimator, and the table that it reads, if X is given.

    Raises
    ------
    ValueError
        If X is given for a model that reads matrices.
    """
    if isinstance(estimator, Pipeline):
        encoder, model = estimator.steps[0][1], estimator.steps[-1][1]
        if len(estimator.steps) == 2 and isinstance(encoder, FieldEncoder):
            check_is_fitted(encoder)
            return model, Table(encoder._codec, X)
        return model, None
    if X is None:
        return estimator, None
    codec = getattr(estimator, "_codec", None)
    if codec is None:
        raise ValueError(
            "X is for a Pipeline, or a model that was fitted on a table; this "
            f"{type(estimator).__name__} reads matrices: leave X out."
        )
    return estimator, Table(codec, X)
