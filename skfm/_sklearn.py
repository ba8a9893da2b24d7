"""scikit-learn's private names that skfm uses, in one place."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

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
from sklearn.utils.validation import _check_sample_weight as check_sample_weight

__all__ = [
    "Hidden",
    "Interval",
    "Options",
    "StrOptions",
    "check_sample_weight",
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
}


def fit_context(method: Callable[..., Any]) -> Any:
    """Validate parameters, then run and tear down callbacks, around a fit method.

    scikit-learn skips the parameters where a fitted estimator's `partial_fit` is
    called, though `set_params` may have changed them since.
    """
    in_context = _validated(method)

    again = method.__name__ == "partial_fit"

    @functools.wraps(method)
    def fit(estimator: Any, *args: Any, **keywords: Any) -> Any:
        for name in _FOREIGN.keys() & keywords.keys():
            raise TypeError(
                f"{type(estimator).__name__}.{method.__name__}() has no argument "
                f"{name}. Pass {_FOREIGN[name]} instead."
            )
        if again and not get_config()["skip_parameter_validation"]:
            estimator._validate_params()
        return in_context(estimator, *args, **keywords)

    return fit
