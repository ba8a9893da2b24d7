"""to_onnx."""

from __future__ import annotations

import os
from typing import Any

import numpy as np
from sklearn.pipeline import Pipeline
from sklearn.utils.validation import check_is_fitted

from ..fitted import Fitted
from ..persistence.atomic import replacing
from .outputs import add_outputs
from .tracing import OPSET, trace

#: Protocol buffers, which ONNX files are, end here.
_MAX_BYTES = 2**31 - 2**20


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
        from .pipelines import pipeline_model

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


def model_bytes(estimator: Any, *, dense: bool) -> bytes:
    """A serialised ONNX model of an estimator of this package."""
    if not isinstance(estimator, Fitted):
        raise TypeError(
            f"{type(estimator).__name__} is no estimator of skfm nor a Pipeline of one."
        )
    check_is_fitted(estimator, "network_")
    if getattr(estimator, "intra_field_pairs", False):
        raise ValueError(
            "intra_field_pairs=True cannot be exported: ONNX has no ragged arrays."
        )
    n_bytes = 4 * int(np.prod(estimator.network_.table.weight.shape))
    if n_bytes > _MAX_BYTES:
        raise ValueError(
            f"The table takes {n_bytes / 2**30:.1f} GiB, and an ONNX file holds less "
            "than 2. Hash the categories into fewer columns, or lower n_factors."
        )
    onnx = import_onnx()
    scores = trace(estimator.network_, estimator._mean_fields, dense=dense)
    model = onnx.load_from_string(scores)
    add_outputs(model, estimator)
    onnx.checker.check_model(model)
    raw: bytes = model.SerializeToString()
    return raw


def import_onnx() -> Any:
    try:
        import onnx
    except ImportError as error:
        raise ImportError('to_onnx needs onnx: pip install "skfm[onnx]".') from error
    return onnx


__all__ = ["OPSET", "import_onnx", "model_bytes", "to_onnx"]
