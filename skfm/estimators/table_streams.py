"""Checks and encoding of datasets whose columns are a table."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils.validation import check_is_fitted, validate_data

from ..distributed.groups import communicator
from ..encoding.codec import TableCodec
from ..encoding.encoder import encoder_of
from ..encoding.state import codec_of
from ..persistence import load, save
from ..runtime.threads import resolve_n_jobs
from ..streams.block_writer import BlockWriter
from ..streams.blocks import Blocks
from ..streams.cache import Cache
from ..streams.division import Division, divide
from ..streams.passes import encode, learn
from ..streams.reading import Columns, Labels, read_labels, share_labels
from ..streams.shared_folder import find_everywhere, write_together
from ..streams.tables import Stream, as_stream, chunks
from .checks import check_weights
from .streamed import StreamedData, refuse_options, stored_dtype
from .tables import new_codec, wants_encoding

__all__ = ["encode_again", "learn_and_encode", "read_tables"]

#: File of a cache that has what the first pass learnt.
_ENCODER = "encoder.skfm"


def learn_and_encode(
    model: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    classes: Any,
    *,
    one_pass: bool = False,
) -> StreamedData:
    """Learn the encoding of a stream and of its target, and encode it.

    Parameters
    ----------
    model : estimator
        Takes what is learnt.
    X : dataset
    y : str or list of str
        Columns of the target.
    sample_weight : str or None
        Column of the weights.
    classes : array-like or None
        All labels, where partial_fit was told.
    one_pass : bool, default=False
        Whether the rows are a chunk of a stream of `partial_fit`.

    Raises
    ------
    ValueError, TypeError
        If something cannot be encoded.
    """
    stream = as_stream(X)
    labels = _label_columns(stream, y, sample_weight, "y", "sample_weight")
    features = [name for name in stream.names if name not in labels]
    _check_options(model, features)
    columns = Columns(features, labels)
    names = np.array(features, dtype=object)

    def begin(series: list[pd.Series]) -> TableCodec:
        return new_codec(series, names, model)

    origin, division = _origin(model, stream, features), _divide(model, stream, columns)
    workers = None if division is None else division.workers
    blocks = find_everywhere(Cache(model.cache), origin, workers)
    if blocks is None:
        n_threads = resolve_n_jobs(model.n_jobs)
        model._codec, found = learn(stream, columns, begin, n_threads, division)
    else:
        model._codec = codec_of(load(blocks.folder / _ENCODER))
        found = read_labels(stream, columns, division)
    validate_data(model, pd.DataFrame(columns=names), skip_check_array=True)
    given = _read_labels(model, found, y, sample_weight, "sample_weight")
    model._learn_target(*given, classes)
    if one_pass:
        model._learn_streamed_target(*given, first=True)
    model._learn_fields(None, False)
    if blocks is None:
        rest, n_rows = Columns(features, []), len(given[1])
        blocks, _ = _encode(model, stream, rest, n_rows, origin, division)
    return _encoded(model, blocks, *given)


def _asked(model: Any) -> list[str]:
    """Return how an estimator encodes tables."""
    columns = str((model.categorical_features, model.shared_categories))
    return [columns, model.field_pooling, stored_dtype(model)]


def _origin(model: Any, stream: Stream, features: list[str]) -> Any:
    """Return what tells the encoded rows from others, or None."""
    files = stream.identity()
    return None if files is None else (files, features, tuple(_asked(model)))


def _divide(model: Any, stream: Stream, columns: Columns) -> Division | None:
    """Divide a stream among the workers of a group."""
    return divide(stream, communicator(), [*columns, *_asked(model)])


def encode_again(
    model: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    suffix: str = "",
    *,
    one_pass: bool = False,
) -> StreamedData:
    """Encode a stream as ``model`` has learnt, as rows to go on with or to stop on.

    Parameters
    ----------
    model : estimator
        Has learnt its input.
    X : dataset
    y : str or list of str
    sample_weight : str or None
    suffix : {"", "_val"}
        Suffix of the names of these parameters.
    one_pass : bool, default=False
        Whether the rows are a chunk of a stream of `partial_fit`.

    Raises
    ------
    ValueError, TypeError
        If columns are missing or cannot be encoded.
    """
    stream, weight_name = as_stream(X), f"sample_weight{suffix}"
    if model._codec is None:
        raise ValueError(
            f"X{suffix} is a dataset, but {type(model).__name__} was not fitted on a "
            "table with names. Fit it on a DataFrame or a dataset."
        )
    labels = _label_columns(stream, y, sample_weight, f"y{suffix}", weight_name)
    columns = Columns(feature_columns(model, stream, f"X{suffix}"), labels)
    division = _divide(model, stream, columns)
    if division is None:
        n_rows = sum(stream.count(source) for source in range(stream.n_sources))
    else:
        n_rows = division.n_rows
    blocks, found = _encode(model, stream, columns, n_rows, None, division)
    given = _read_labels(model, found, y, sample_weight, weight_name)
    if one_pass:
        model._learn_streamed_target(*given, first=False)
    return _encoded(model, blocks, *given)


def read_tables(model: Any, X: Any) -> Iterator[Any]:
    """Yield the rows of a dataset as tables to score.

    Raises
    ------
    ValueError
        If a column is missing, or there are no rows.
    """
    check_is_fitted(model)
    stream = as_stream(X)
    for chunk in chunks(stream, feature_columns(model, stream, "X")):
        yield chunk.table


def feature_columns(model: Any, stream: Stream, name: str) -> list[str]:
    """Return the columns of a stream that a fitted model reads, in its order.

    Raises
    ------
    ValueError
        If the stream lacks some, or the model does not know their names.
    """
    names = getattr(model, "feature_names_in_", None)
    if names is None:
        raise ValueError(
            f"{name} is a dataset, but {type(model).__name__} was fitted on columns "
            "without names. Fit it on a DataFrame or a dataset."
        )
    missing = [column for column in names if column not in stream.names]
    if missing:
        raise ValueError(
            f"{name} has no column {missing[0]!r}, which {type(model).__name__} was "
            f"fitted on. It has the columns {stream.names}."
        )
    return list(names)


def _label_columns(
    stream: Stream, y: Any, sample_weight: Any, y_name: str, weight_name: str
) -> list[str]:
    """Return the columns of targets and weights.

    Raises
    ------
    ValueError
        If they are not names of columns.
    """
    targets = [y] if isinstance(y, str) else list(y) if isinstance(y, list) else []
    weights = [] if sample_weight is None else [sample_weight]
    for name, given, columns in (
        (y_name, y, targets),
        (weight_name, sample_weight, weights),
    ):
        named = all(isinstance(column, str) for column in columns)
        if not named or (name == y_name and not columns):
            raise ValueError(
                f"{name} must be the name of a column where X is a dataset; got "
                f"{given if given is None else type(given).__name__}."
            )
        for column in columns:
            if column not in stream.names:
                raise ValueError(
                    f"{name}={column!r} is no column of X, which has the columns "
                    f"{stream.names}."
                )
    return [*targets, *weights]


def _check_options(model: Any, features: list[str]) -> None:
    """Refuse what needs all rows in memory.

    Raises
    ------
    ValueError
        If this is the case; the message names the remedy.
    """
    if not features:
        raise ValueError("X has no columns besides those of y and sample_weight.")
    if not wants_encoding(pd.DataFrame(columns=features), model.categorical_features):
        raise ValueError(
            f"categorical_features={model.categorical_features!r} takes X as it is, "
            'but a dataset is encoded: set categorical_features="from_dtype".'
        )
    refuse_options(model)


def _read_labels(
    model: Any, found: Labels, y: Any, sample_weight: Any, weight_name: str
) -> tuple[np.ndarray, np.ndarray]:
    """Return the checked target and weights of all rows."""
    target = found[y] if isinstance(y, str) else np.stack([found[n] for n in y], axis=1)
    n_rows = len(target)
    stand_in = np.broadcast_to(0.0, (n_rows, 1))
    given = None if sample_weight is None else found[sample_weight]
    weight = check_weights(given, stand_in, weight_name)
    return model._check_target(target, n_rows), weight


def _encode(
    model: Any,
    stream: Stream,
    columns: Columns,
    n_rows: int,
    origin: Any,
    division: Division | None,
) -> tuple[Blocks, Labels]:
    """Encode a stream into blocks, and read the labels; none if they are there."""
    codec, cache, found = model._codec, Cache(model.cache), {}
    shape, dtype = (n_rows, sum(codec.widths)), stored_dtype(model)

    def write(writer: BlockWriter, division: Division | None = None) -> None:
        how = resolve_n_jobs(model.n_jobs), division
        read = encode(stream, columns, codec, writer, *how, warn=model.warn_unknown)
        found.update(read)

    def describe(folder: Path) -> None:
        if origin is not None:
            save(encoder_of(codec, columns.features), folder / _ENCODER)

    if division is not None:
        blocks = write_together(
            cache,
            origin,
            shape,
            dtype,
            lambda writer: write(writer, division),
            describe,
            division.workers,
        )
        if blocks is not None:
            return blocks, share_labels(found, columns, division)
    # Without a folder that all workers reach, each of them encodes all rows.
    return cache.write(origin, shape, dtype, write, describe), found


def _encoded(
    model: Any, blocks: Blocks, y: np.ndarray, weight: np.ndarray
) -> StreamedData:
    target = model._encode_target(y)
    weight = model._weigh(target, weight)
    return StreamedData(blocks, target, weight, Cache(model.cache))
