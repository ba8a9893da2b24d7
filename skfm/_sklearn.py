"""scikit-learn's private names that skfm uses, in one place."""

from __future__ import annotations

import functools
import inspect
from collections.abc import Callable
from typing import Any

import numpy as np
from sklearn import get_config
from sklearn.base import _fit_context
from sklearn.utils import _safe_indexing as safe_indexing
from sklearn.utils._param_validation import (
    Hidden,
    Interval,
    Options,
    StrOptions,
    validate_params,
)
from sklearn.utils.validation import _check_sample_weight

__all__ = [
    "Hidden",
    "Interval",
    "Options",
    "StrOptions",
    "check_sample_weight",
    "check_sum",
    "fit_context",
    "safe_indexing",
    "validate_params",
]

_validated = _fit_context(prefer_skip_nested_validation=True)
#: Arguments of other libraries' fit methods, and the names that they have here.
_FOREIGN = {
    "eval_set": "X_val and y_val",
    "validation_data": "X_val and y_val",
    "group": "qid, the query of each row,",
    "init_score": "offset",
    "base_margin": "offset",
    "callbacks": "them to set_callbacks",
}
#: Arguments of other libraries' fit methods that are parameters here.
_FOREIGN_PARAMETERS = {
    "epochs": "max_iter",
    "eval_metric": "scoring",
    "early_stopping_rounds": "n_iter_no_change",
    "categorical_feature": "categorical_features",
    "cat_features": "categorical_features",
}


def fit_context(method: Callable[..., Any]) -> Any:
    """Validate parameters, then run and tear down callbacks, around a fit method.

    scikit-learn skips the parameters where a fitted estimator's `partial_fit` is
    called, though `set_params` may have changed them since.
    """
    in_context = _validated(method)

    known = inspect.signature(method).parameters.keys()
    again = method.__name__ == "partial_fit"

    @functools.wraps(method)
    def fit(estimator: Any, *args: Any, **keywords: Any) -> Any:
        for name in keywords.keys() - known:
            raise TypeError(_unknown(estimator, method.__name__, name))
        if again and not get_config()["skip_parameter_validation"]:
            estimator._validate_params()
        return in_context(estimator, *args, **keywords)

    return fit


def _unknown(estimator: Any, method: str, name: str) -> str:
    """Return what is wrong with an argument, and where it belongs."""
    cls = type(estimator).__name__
    refusal = f"{cls}.{method}() has no argument {name}."
    if name in _FOREIGN:
        return f"{refusal} Pass {_FOREIGN[name]} instead."
    known = _FOREIGN_PARAMETERS.get(name, name)
    if known in estimator.get_params(deep=False):
        return f"{refusal} Set the parameter {known} instead: {cls}({known}=...)."
    return f"{cls}.{method}() got an unexpected keyword argument {name!r}"


def check_sample_weight(sample_weight: Any, X: Any, **options: Any) -> Any:
    """Check weights as scikit-learn does, and that floats hold them and their sum.

    Raises
    ------
    ValueError
    """
    try:
        weight = _check_sample_weight(sample_weight, X, **options)
    except OverflowError as error:
        raise ValueError(
            "sample_weight holds an integer that is too large for a float64. Divide "
            "all weights by a constant."
        ) from error
    check_sum(weight, "sample_weight")
    return weight


def check_sum(weight: np.ndarray, name: str) -> None:
    """Refuse weights whose sum overflows.

    Raises
    ------
    ValueError
        With the largest weight.
    """
    with np.errstate(over="ignore"):
        total = weight.sum()
    if not np.isfinite(total):
        raise ValueError(
            f"The sum of {name}, with weights of up to {weight.max()}, is too large "
            "for a float64. Divide all weights by a constant."
        )
