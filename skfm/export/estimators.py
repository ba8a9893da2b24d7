"""Conversion of estimators of this package to ONNX models."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils.validation import check_is_fitted

from ..estimators.fitted import Fitted
from ..runtime.attributes import snapshot
from .outputs import add_outputs
from .tables import Table, add_table, check_table
from .tracing import trace

#: Largest size of an ONNX file, which is a protocol buffer of less than 2 GiB.
_MAX_BYTES = 2**31 - 2**20


def model_bytes(estimator: Any, *, dense: bool, table: Table | None = None) -> bytes:
    """Return the serialised ONNX model of an estimator of this package.

    With ``table``, the graph reads a table and encodes it.
    """
    if not isinstance(estimator, Fitted):
        raise TypeError(
            "ONNX export needs an estimator of skfm or a Pipeline that ends in one; "
            f"got {type(estimator).__name__}."
        )
    estimator = snapshot(estimator)
    check_is_fitted(estimator)
    if getattr(estimator, "intra_field_pairs", False):
        raise ValueError(
            "intra_field_pairs=True cannot be exported, because ONNX has no ragged "
            "arrays: fit the estimator with intra_field_pairs=False."
        )
    n_bytes = 4 * int(np.prod(estimator.network_.table.weight.shape))
    if n_bytes > _MAX_BYTES:
        raise ValueError(
            f"The table takes {n_bytes / 2**30:.1f} GiB, but an ONNX file holds less "
            "than 2 GiB. Hash the categories into fewer columns, or lower n_factors."
        )
    if table is not None:
        check_table(table.codec)
    onnx = import_onnx()
    scores = trace(
        estimator.network_,
        estimator._mean_fields,
        estimator._scaling,
        dense=dense,
    )
    model = onnx.load_from_string(scores)
    add_outputs(model, estimator)
    if table is not None:
        add_table(model, table.codec, table.X)
    onnx.checker.check_model(model)
    raw: bytes = model.SerializeToString()
    return raw


def import_onnx() -> Any:
    """Import onnx, or raise an ImportError that names the extra."""
    try:
        import onnx
    except ImportError as error:
        raise ImportError('to_onnx needs onnx: pip install "skfm[onnx]".') from error
    return onnx
