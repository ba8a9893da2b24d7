"""Saving and loading of scikit-learn's own estimators by skops.

They may contain estimators of this package, as searches and calibrated classifiers do.
skops sees a `Member` in the place of each.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import sklearn.metrics
import sklearn.model_selection

from .archives import Archive
from .cells import UnsupportedValueError
from .header import FileFormatError
from .replacing import replaced
from .values import Budget

#: Types that skops does not trust, although making them runs no code.
_HARMLESS = frozenset(
    {
        "numpy.dtype",
        "sklearn.calibration._CalibratedClassifier",
        "sklearn.calibration._SigmoidCalibration",
        "sklearn.metrics._scorer._CurveScorer",
        "sklearn.metrics._scorer._MultimetricScorer",
        "sklearn.metrics._scorer._PassthroughScorer",
        "sklearn.metrics._scorer._Scorer",
        "sklearn.model_selection._search_successive_halving.HalvingGridSearchCV",
        "sklearn.model_selection._search_successive_halving.HalvingRandomSearchCV",
        "sklearn.utils._bunch.Bunch",
        "sklearn.utils._metadata_requests.MetadataRequest",
        "sklearn.utils._metadata_requests.MethodMetadataRequest",
        "skfm.persistence.foreign.Member",
    }
)


class Member:
    """Place of an estimator of this package in one of scikit-learn.

    Parameters
    ----------
    number : int
        Number of the estimator among those of the file.
    """

    def __init__(self, number: int) -> None:
        self.number = number


def pack_foreign(
    estimator: Any, is_own: Callable[[Any], bool]
) -> tuple[np.ndarray, list[Any]]:
    """Serialize an estimator to bytes by skops, without the estimators of this package.

    Parameters
    ----------
    estimator : estimator
        Estimator of scikit-learn.
    is_own : callable
        Returns whether an object is saved without skops.

    Returns
    -------
    data : ndarray of uint8
        Bytes that skops wrote, with a `Member` in the place of each own estimator.
    members : list
        Own estimators, in the order of the numbers of their places.

    Raises
    ------
    UnsupportedValueError
        If skops cannot save the estimator.
    """
    name = type(estimator).__name__
    skops_io = _skops(f"Saving a {name}")
    members: list[Any] = []

    def place(value: Any) -> Any:
        if not is_own(value):
            return value
        members.append(value)
        return Member(len(members) - 1)

    try:
        data = skops_io.dumps(replaced(estimator, place))
        inside = skops_io.get_untrusted_types(data=data)
    except Exception as error:
        # skops has no exception class for types that it does not support.
        raise _unsupported(name) from error
    if any(found.split(".")[0] == "skfm" for found in {*inside} - _HARMLESS):
        raise _unsupported(name)
    return np.frombuffer(data, np.uint8), members


def _unsupported(name: str) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"{name} cannot be saved. A file can hold an estimator of skfm or of "
        "scikit-learn, and a Pipeline or search of such. To save the result of a "
        "search, save its best_estimator_."
    )


def unpack_foreign(
    data: np.ndarray, members: Sequence[Any], trusted: Sequence[str], budget: Budget
) -> Any:
    """Load an estimator from bytes that skops wrote, and put its members in place.

    Raises
    ------
    FileFormatError
        If the bytes name types that are neither scikit-learn's nor trusted, or loading
        would take more memory than the budget has left.
    """
    skops_io = _skops("Loading this file")
    budget.spend(data.nbytes)
    raw = data.tobytes()
    called = Archive(raw, budget).called
    found = skops_io.get_untrusted_types(data=raw)
    harmless = {name for name in found if _is_harmless(name)} - called
    unknown = [name for name in found if name not in {*trusted} | harmless]
    if unknown:
        raise FileFormatError(
            f"it holds {', '.join(unknown)}, which could run code: if you trust its "
            f"source, pass trusted={unknown}"
        )

    def member(value: Any) -> Any:
        return members[int(value.number)] if type(value) is Member else value

    return replaced(skops_io.loads(raw, trusted=found), member)


def _is_harmless(name: str) -> bool:
    """Return whether a type or function of this name may be loaded: it only computes.

    These are metrics, scorers, splitters of scikit-learn and the like.
    """
    if name in _HARMLESS:
        return True
    module, _, own = name.rpartition(".")
    splitter = getattr(sklearn.model_selection, own, None)
    for value in (getattr(sklearn.metrics, own, None), splitter):
        is_public = getattr(value, "__module__", None) == module
        if is_public and (value is not splitter or hasattr(value, "split")):
            return True
    return False


def _skops(action: str) -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            f"{action} needs the package skops, because it has parts that do not "
            'belong to skfm. Install it by: pip install "skfm[skops]".'
        ) from error
    return skops.io
