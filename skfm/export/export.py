"""The public function `to_onnx`."""

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
    """Write a fitted model as an ONNX graph, which runs without Python.

    The graph computes in float32, on any number of rows. Its inputs are:

    - by default, ``columns`` (int64) and ``values`` (float32), both of shape (n_rows,
      n_entries). They hold the columns and the values of the entries of each row, in
      any order. Shorter rows are padded with values of 0 at any column.
    - with ``dense=True``, ``X`` (float32) of shape (n_rows, n_columns);
    - for a Pipeline, the inputs that skl2onnx derives from the columns of ``X``.

    Its outputs are:

    - for classifiers, ``label`` of shape (n_rows,), or (n_rows, n_labels) for an
      indicator matrix, and ``probabilities`` of shape (n_rows, n_classes). If the loss
      has no probabilities, the second output is ``scores``.
    - for regressors, ``variable`` of shape (n_rows, n_outputs);
    - for rankers, ``scores`` of shape (n_rows, n_outputs).

    Parameters
    ----------
    estimator : estimator or Pipeline
        Fitted estimator. If it was fitted on a table, the graph reads the columns that
        the table was encoded to, which ``column_names_`` lists. The last step of a
        Pipeline must be an estimator of this package, and the others must be
        transformers of scikit-learn.
    path : path-like
        File to write. It is replaced if it exists.
    dense : bool, default=False
        Whether the graph reads dense rows.
    X : array-like or DataFrame, default=None
        One or more rows as the Pipeline reads them, which determine the types of its
        inputs. Only needed for a Pipeline.

    Raises
    ------
    ImportError
        If the ``onnx`` extra is not installed.
    ValueError
        If X is missing, the file would be larger than the 2 GiB that ONNX allows, or
        an FFM has ``intra_field_pairs=True``.
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
    if isinstance(estimator, Pipeline):
        if X is None:
            raise ValueError(
                "to_onnx of a Pipeline needs X: pass one or more rows as the Pipeline "
                "reads them, which determine the types of the inputs of the graph."
            )
        raw = pipeline_model(estimator, X)
    else:
        raw = model_bytes(estimator, dense=dense)
    with replacing(path) as file:
        file.write(raw)
