"""Starting a fit from a fitted model: which models will do, and what is taken over."""

from __future__ import annotations

import os
from collections.abc import Mapping
from typing import Any

import numpy as np
from sklearn.frozen import FrozenEstimator
from sklearn.pipeline import Pipeline

from ..persistence import FileFormatError, load
from ..runtime.attributes import snapshot
from .fitted import Fitted
from .vectors import read_vectors


def check_pretrained(model: Any, n_columns: int) -> Any:
    """Return a snapshot of the model that ``init_from`` stands for; None without one.

    Parameters
    ----------
    model : estimator
        About to be fitted; its columns and fields are known.
    n_columns : int
        Columns of the matrix that its network will see.

    Raises
    ------
    ValueError
        If ``init_from`` is no fitted estimator of skfm nor a file with one, or one
        with other columns or embeddings of another length.
    """
    given = model.init_from
    if isinstance(given, str | os.PathLike):
        given = _read(given)
    if isinstance(given, FrozenEstimator):
        given = given.estimator
    if given is None:
        return None
    if isinstance(given, Mapping):
        return read_vectors(model, given, n_columns)
    if not isinstance(given, Fitted):
        raise ValueError(
            f"init_from must be a fitted estimator of skfm; got {given!r}. Of a "
            "pipeline, pass the last step."
        )
    given = snapshot(given)
    if not hasattr(given, "network_"):
        raise ValueError(
            f"init_from={given!r} is not fitted. If it was: scikit-learn unfits "
            "estimators among the values of a parameter grid; wrap it in "
            "sklearn.frozen.FrozenEstimator there."
        )
    _check_columns(model, given, n_columns)
    n_factors = given.network_.model_factors
    if n_factors != model.n_factors:
        raise ValueError(
            f"init_from has n_factors={n_factors}, but this {type(model).__name__} has "
            f"n_factors={model.n_factors}: set n_factors={n_factors}."
        )
    return given


def _read(path: str | os.PathLike[str]) -> Any:
    """Return the estimator in a file; of a Pipeline, its last step."""
    try:
        given = load(path)
    except OSError as error:
        raise ValueError(
            f"init_from={os.fspath(path)!r} cannot be read: {error.strerror}."
        ) from error
    except FileFormatError as error:
        raise ValueError(f"init_from: {error}") from error
    return given[-1] if isinstance(given, Pipeline) else given


def _check_columns(model: Any, given: Any, n_columns: int) -> None:
    own, theirs = _column_names(model), _column_names(given)
    if own is not None and theirs is not None and not np.array_equal(own, theirs):
        differing = sorted(set(own) ^ set(theirs))[:5]
        how = f"the names differ by {differing}" if differing else "in another order"
        raise ValueError(
            f"init_from was fitted on other columns: {how}. Fit both on the same "
            "columns; encode tables with one fitted FieldEncoder."
        )
    n_given = given.network_.shape.n_columns
    if n_given != n_columns:
        raise ValueError(
            f"init_from was fitted on {n_given} columns, but there are {n_columns} "
            "now: fit both on the same columns."
        )


def _column_names(model: Any) -> Any:
    """Return the names of the columns that a model's network reads, if it has any."""
    if model._codec is not None:
        return model._codec.column_names()
    return getattr(model, "feature_names_in_", None)


def same_target(model: Any, given: Any) -> bool:
    """Return whether raw scores mean the same in two models: same classes and link."""
    return bool(model._score_kind == given._score_kind)
