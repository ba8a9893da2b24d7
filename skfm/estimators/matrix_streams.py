"""Checks of sparse matrices that are read in chunks, and their way to disk."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
from sklearn.utils.validation import validate_data

from ..data.csr import canonical_csr
from ..data.rows import Rows
from ..datasets import LibffmRows
from ..runtime.threads import resolve_n_jobs
from ..streams.block_writer import BlockWriter
from ..streams.blocks import BlockRows
from ..streams.cache import Cache
from ..streams.scaled import as_read, block_moments
from .checks import check_finite, check_weights
from .streamed import StreamedData, refuse_options, stored_dtype
from .tables import refuse_unused

__all__ = ["encode_again", "learn_and_encode"]


def learn_and_encode(
    model: Any,
    X: LibffmRows,
    y: Any,
    sample_weight: Any,
    classes: Any,
    *,
    one_pass: bool = False,
) -> StreamedData:
    """Learn the fields, the target and the units, and write the rows to disk.

    ``one_pass`` says that they are a chunk of a stream of `partial_fit`.
    """
    refuse_options(model)
    refuse_unused(model)
    model._codec = None
    validate_data(model, _stand_in(X), skip_check_array=True)
    target, weight = _labels(model, X, y, sample_weight, "sample_weight")
    model._learn_target(target, weight, classes)
    if one_pass:
        model._learn_streamed_target(target, weight, first=True)
    _learn_fields(model, X)
    data = _stored(model, X, target, weight)
    model._learn_scaling(
        lambda: block_moments(data.blocks, data.weight), stream=one_pass, resume=False
    )
    return _as_read(model, data)


def encode_again(
    model: Any,
    X: LibffmRows,
    y: Any,
    sample_weight: Any,
    suffix: str = "",
    *,
    one_pass: bool = False,
) -> StreamedData:
    """Write rows to go on with, or to stop on, to disk; see `learn_and_encode`."""
    if model._codec is not None or X.shape[1] != model.n_features_in_:
        raise ValueError(
            f"X{suffix} has {X.shape[1]} columns, but {type(model).__name__} was "
            f"fitted on {model.n_features_in_} columns, or on a table. Pass n_features "
            'and handle_unknown="ignore" to open_libffm.'
        )
    given = _labels(model, X, y, sample_weight, f"sample_weight{suffix}")
    if one_pass:
        model._learn_streamed_target(*given, first=False)
    data = _stored(model, X, *given)
    if one_pass:
        model._learn_scaling(
            lambda: block_moments(data.blocks, data.weight), stream=True, resume=True
        )
    return _as_read(model, data)


def _stand_in(X: LibffmRows) -> np.ndarray:
    """Return an array of the shape of X that takes no memory."""
    return np.broadcast_to(0.0, X.shape)


def _labels(
    model: Any, X: LibffmRows, y: Any, sample_weight: Any, name: str
) -> tuple[np.ndarray, np.ndarray]:
    weight = check_weights(sample_weight, _stand_in(X)[:, :1], name)
    return model._check_target(y, X.shape[0]), weight


def _learn_fields(model: Any, X: LibffmRows) -> None:
    """Learn the fields: by default those of the file."""
    model._scaling = model._column_moments = None
    if not isinstance(model.fields, str):
        model._learn_fields(X, False)
        return
    asked = model._needs_fields() or model.field_pooling == "mean"
    numbers, fields = np.unique(X.fields, return_inverse=True)
    model.fields_ = fields.astype(np.int32) if asked else None
    model.field_names_ = [str(number) for number in numbers] if asked else None
    model._mean_fields = model.fields_ if model.field_pooling == "mean" else None


def _stored(
    model: Any, X: LibffmRows, y: np.ndarray, weight: np.ndarray
) -> StreamedData:
    """Write the rows into blocks as they are, beside the encoded target."""
    # A unit may need the digits of the values.
    dtype = stored_dtype(model) if X.unit else "float64"
    n_threads, cache = resolve_n_jobs(model.n_jobs), Cache(model.cache)

    def write(writer: BlockWriter) -> None:
        start = 0
        for part in X.parts():
            csr = canonical_csr(part, n_threads)
            check_finite(csr)
            rows = Rows(csr, dtype)
            numbers = np.arange(start, start + len(rows))
            writer.add(BlockRows(rows.span(0, len(rows)), numbers))
            start += len(rows)

    origin = ("libffm", X.identity(), dtype)
    blocks = cache.find(origin) or cache.write(origin, X.shape, dtype, write)
    target = model._encode_target(y)
    return StreamedData(blocks, target, model._weigh(target, weight), cache)


def _as_read(model: Any, data: StreamedData) -> StreamedData:
    """Return the rows as the network reads them."""
    how = model._scaling, model._mean_fields, stored_dtype(model)
    return replace(data, blocks=as_read(data.blocks, *how, data.cache))
