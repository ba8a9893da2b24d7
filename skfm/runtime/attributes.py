"""The fitted attributes of an estimator, read and replaced as a whole.

Threads may predict with an estimator while another fits it. A method that reads several
fitted attributes works on a snapshot, and a fit works on a draft, which is a snapshot
too. When it is done, the estimator takes over all attributes of the draft by a single
assignment, so that no snapshot holds attributes of two fits. A fit that is refused
leaves nothing but a draft behind.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Concatenate, ParamSpec, TypeVar

#: Attributes that scikit-learn sets on an estimator during a fit.
OF_RUNNING_FIT = frozenset({"_callback_fit_ctx", "_skl_callbacks_to_teardown"})
#: Attributes that scikit-learn sets on estimators and that are not part of the model.
BOOKKEEPING = OF_RUNNING_FIT | {
    "_metadata_request",
    "_parent_callback_ctx",
    "_skl_callbacks",
    "_sklearn_output_config",
}

P = ParamSpec("P")
Result = TypeVar("Result")
Estimator = TypeVar("Estimator")


def snapshot(estimator: Estimator) -> Estimator:
    """Return a shallow copy, which later fits of the estimator leave as it is."""
    twin = object.__new__(type(estimator))
    # copy.copy takes several times as long, which shows in the latency of predictors.
    twin.__dict__ = dict(vars(estimator))
    return twin


def on_snapshot(
    method: Callable[Concatenate[Any, P], Result],
) -> Callable[Concatenate[Any, P], Result]:
    """Make a method read the attributes of one fit, whatever other threads fit."""

    @functools.wraps(method)
    def reading(estimator: Any, *args: P.args, **keywords: P.kwargs) -> Result:
        return method(snapshot(estimator), *args, **keywords)

    return reading


def _lasting(estimator: Any) -> dict[str, Any]:
    """Return the attributes that no fit sets: parameters and bookkeeping."""
    names = BOOKKEEPING.union(estimator.get_params(deep=False))
    return {n: value for n, value in dict(vars(estimator)).items() if n in names}


def fitted_attributes(estimator: Any) -> dict[str, Any]:
    """Return all attributes but the parameters and scikit-learn's bookkeeping."""
    attributes, lasting = dict(vars(estimator)), _lasting(estimator)
    return {n: value for n, value in attributes.items() if n not in lasting}


def publish(estimator: Any, draft: Any) -> None:
    """Replace the fitted attributes of an estimator by those of its draft, at once.

    The estimator keeps its parameters, also those that other threads have set since the
    draft was made.
    """
    fitted = fitted_attributes(draft)
    replaced, lasting = vars(estimator), _lasting(estimator)
    estimator.__dict__ = lasting | fitted
    # An assignment by another thread since the copy has changed the replaced dict only.
    for name, value in lasting.items():
        if replaced.get(name, value) is not value and vars(estimator)[name] is value:
            setattr(estimator, name, replaced[name])
