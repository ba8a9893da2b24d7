"""Cells of a comparison: one model on one set of features and one fold."""

from __future__ import annotations

import time
from contextlib import nullcontext
from dataclasses import dataclass
from typing import Any

import numpy as np
from sklearn.base import clone
from sklearn.metrics import check_scoring
from sklearn.pipeline import make_pipeline

from .._sklearn import safe_indexing


@dataclass(frozen=True)
class Cell:
    """One fit of a comparison, of a model with a featurization on a fold.

    Attributes
    ----------
    features, model : str
        Names of the featurization and of the model.
    fold : int
        Number of the fold.
    estimator : estimator
        Model to fit.
    featurization : list of columns, transformer or "passthrough"
        Input of the model.
    train, test : ndarray of int
        Numbers of the training and test rows.
    """

    features: str
    model: str
    fold: int
    estimator: Any
    featurization: Any
    train: np.ndarray
    test: np.ndarray

    @property
    def columns(self) -> Any:
        """List of the columns of X that the cell uses; None means all."""
        return self.featurization if isinstance(self.featurization, list) else None

    def pipeline(self) -> Any:
        """Return a clone of the estimator, in a pipeline if there is a transformer."""
        estimator = clone(self.estimator)
        if self.columns is not None or isinstance(self.featurization, str):
            return estimator
        return make_pipeline(clone(self.featurization), estimator)

    def record(self, **found: Any) -> dict[str, Any]:
        """Return the record of the cell and its results."""
        return {
            "features": self.features,
            "model": self.model,
            "fold": self.fold,
            "n_train": len(self.train),
            "n_test": len(self.test),
            **found,
        }


def run_cell(
    cell: Cell, X: Any, y: Any, scoring: Any, context: Any = None, owner: Any = None
) -> dict[str, Any]:
    """Fit and score a cell; an error becomes part of the record.

    Parameters
    ----------
    cell : Cell
        Cell to run.
    X, y
        All rows and their targets.
    scoring : str, callable, list, dict or None
        Metric or metrics, as in `compare`.
    context : sklearn.callback.CallbackContext or None
        Callback context of this cell.
    owner : estimator or None
        Estimator to which the context belongs.
    """
    if context is not None:
        context.call_on_fit_task_begin(estimator=owner)
    try:
        found = _fit_and_score(cell, X, y, scoring, context)
    except Exception as error:
        found = {"error": f"{type(error).__name__}: {error}"}
    if context is not None:
        context.call_on_fit_task_end(estimator=owner)
    return cell.record(**found)


def _fit_and_score(
    cell: Cell, X: Any, y: Any, scoring: Any, context: Any
) -> dict[str, Any]:
    if cell.columns is not None:
        X = safe_indexing(X, cell.columns, axis=1)
    pipeline = cell.pipeline()
    watched = context is not None and hasattr(pipeline, "set_callbacks")
    started = time.perf_counter()
    with context.propagate_callback_context(pipeline) if watched else nullcontext():
        pipeline.fit(safe_indexing(X, cell.train), safe_indexing(y, cell.train))
    fitted = time.perf_counter()
    scorer = check_scoring(pipeline, scoring=scoring)
    score = scorer(pipeline, safe_indexing(X, cell.test), safe_indexing(y, cell.test))
    scored = time.perf_counter()
    metrics = {k: float(v) for k, v in score.items()} if type(score) is dict else {}
    return {
        "score": next(iter(metrics.values())) if metrics else float(score),
        **metrics,
        "fit_seconds": fitted - started,
        "predict_seconds": scored - fitted,
        **_size(pipeline),
    }


def _size(pipeline: Any) -> dict[str, int | None]:
    """Count the weights of the last estimator, and the columns that it reads."""
    model = pipeline
    while hasattr(model, "steps"):
        model = model[-1]
    n_columns = getattr(model, "n_features_in_", None)
    if hasattr(model, "network_"):
        network = model.network_
        dense = sum(parameter.numel() for parameter in network.parameters())
        table = int(np.prod(network.table.weight.shape))
        n_parameters = table // network.shape.n_samples + dense
        return {"n_parameters": n_parameters, "n_columns": network.shape.n_columns}
    if hasattr(model, "coef_"):
        n_parameters = np.size(model.coef_) + np.size(getattr(model, "intercept_", []))
        return {"n_parameters": int(n_parameters), "n_columns": n_columns}
    return {"n_parameters": None, "n_columns": n_columns}
