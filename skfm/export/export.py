"""to_onnx."""

from __future__ import annotations

import os
from typing import Any

from sklearn.pipeline import Pipeline

from ..persistence.atomic import replacing
from .estimators import model_bytes
from .pipelines import pipeline_model


def to_onnx(
    estimator: Any,
    path: str | os.PathLike[str],
    *,
    dense: bool = False,
    X: Any = None,
) -> None:
    """Write a fitted model as an ONNX graph, to be run where there is no Python.

    The graph computes in float32, on any number of rows. Its inputs are

    - by default ``columns`` (int64) and ``values`` (float32), both of shape (n_rows,
      n_entries): the columns and the values of each row's entries, in any order, and
      padded with values of 0 at any column;
    - if ``dense``, ``X`` (float32) of shape (n_rows, n_columns);
    - of a Pipeline, those that skl2onnx derives from the columns of ``X``.

    Its outputs are, of classifiers, ``label`` of shape (n_rows,), or (n_rows, n_labels)
    for an indicator matrix, and ``probabilities`` of shape (n_rows, n_classes), or
    ``scores`` where the loss gives no probabilities; of regressors ``variable``, and of
    rankers ``scores``, both of shape (n_rows, n_outputs).

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted. An estimator that was fitted on a table reads the columns that the
        table was encoded to, as ``column_names_`` tells them. Of a Pipeline, the last
        step is an estimator of this package, and the others are scikit-learn's.
    path : path-like
        Replaced if it exists.
    dense : bool, default=False
        Whether the graph reads dense rows.
    X : array-like or DataFrame, default=None
        Rows as the Pipeline takes them, one is enough; needed for a Pipeline only.

    Raises
    ------
    ImportError
        Without the ``onnx`` extra.
    ValueError
        If X is missing, the file would be larger than the 2 GB that ONNX allows, or
        an FFM has ``intra_field_pairs=True``.
    TypeError
        If the estimator is not of this package.

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
    if isinstance(estimator, Pipeline):
        if X is None:
            raise ValueError(
                "Pass X, a row or more as the Pipeline takes them: their types are "
                "those of the graph's inputs."
            )
        raw = pipeline_model(estimator, X)
    else:
        raw = model_bytes(estimator, dense=dense)
    with replacing(path) as file:
        file.write(raw)
