"""Estimators of scikit-learn, through skops."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from .container import FileFormatError
from .values import UnsupportedValueError

#: What skops asks about though making one runs nothing.
_HARMLESS = ("numpy.dtype",)


def pack_foreign(estimator: Any) -> np.ndarray:
    """What skops makes of an estimator, as bytes.

    Raises
    ------
    UnsupportedValueError
        If an estimator of this package is inside, which only a Pipeline may hold.
    """
    name = type(estimator).__name__
    skops_io = _skops(f"Saving a {name}")
    try:
        data = skops_io.dumps(estimator)
        inside = skops_io.get_untrusted_types(data=data)
    except Exception as error:
        # skops has no exception of its own for what it does not know.
        raise _unsupported(name) from error
    if any(found.split(".")[0] == "skfm" for found in inside):
        raise _unsupported(name)
    return np.frombuffer(data, np.uint8)


def _unsupported(name: str) -> UnsupportedValueError:
    return UnsupportedValueError(
        f"{name} cannot be saved: that can estimators of skfm, pipelines of them, and "
        "scikit-learn's own that hold none of skfm. Of a search, save best_estimator_."
    )


def unpack_foreign(data: np.ndarray, trusted: Sequence[str]) -> Any:
    """The estimator in bytes that skops made.

    Raises
    ------
    FileFormatError
        If it holds types that are neither scikit-learn's nor trusted.
    """
    skops_io = _skops("Loading this file")
    raw = data.tobytes()
    trusted = [*trusted, *_HARMLESS]
    unknown = sorted({*skops_io.get_untrusted_types(data=raw)} - {*trusted})
    if unknown:
        raise FileFormatError(
            f"it holds {', '.join(unknown)}, which could run code: if you know where "
            f"it comes from, pass trusted={unknown}"
        )
    return skops_io.loads(raw, trusted=trusted)


def _skops(action: str) -> Any:
    try:
        import skops.io
    except ImportError as error:
        raise ImportError(
            f"{action} needs skops, as it has parts that are not of skfm: "
            'pip install "skfm[skops]".'
        ) from error
    return skops.io
