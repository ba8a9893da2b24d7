"""scikit-learn's private names that skfm uses, in one place."""

from __future__ import annotations

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

#: Validates parameters, then runs and tears down callbacks, around a fit method.
fit_context = _fit_context(prefer_skip_nested_validation=True)
