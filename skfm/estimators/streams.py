"""Entrance of data that are read in chunks, whatever they are."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..datasets import LibffmRows
from ..streams.tables import is_stream
from . import matrix_streams, table_streams
from .streamed import StreamedData

__all__ = ["check_held_out_stream", "check_stream", "is_streamed", "read_parts"]


def is_streamed(X: Any) -> bool:
    """Return whether X is read in chunks."""
    return isinstance(X, LibffmRows) or is_stream(X)


def check_stream(
    model: Any,
    X: Any,
    y: Any,
    sample_weight: Any,
    classes: Any,
    *,
    resume: bool,
    one_pass: bool,
) -> StreamedData:
    """Check and encode what an estimator is to be fitted on.

    Parameters
    ----------
    model : estimator
        Takes what is learnt of X and y.
    X, y, sample_weight
        Arguments of `fit`.
    classes : array-like or None
        All labels, where partial_fit was told.
    resume : bool
        Whether the encoding stays as it is.
    one_pass : bool
        Whether the rows are a chunk of a stream of `partial_fit`.

    Raises
    ------
    ValueError, TypeError
        If they cannot be encoded.
    """
    room = matrix_streams if isinstance(X, LibffmRows) else table_streams
    if resume:
        return room.encode_again(model, X, y, sample_weight, one_pass=one_pass)
    return room.learn_and_encode(model, X, y, sample_weight, classes, one_pass=one_pass)


def check_held_out_stream(model: Any, X: Any, y: Any, sample_weight: Any) -> Any:
    """Check and encode rows to stop on; see `check_stream`."""
    room = matrix_streams if isinstance(X, LibffmRows) else table_streams
    try:
        return room.encode_again(model, X, y, sample_weight, "_val")
    except ValueError as error:
        message = str(error)
        if "_val" in message:
            raise
        raise ValueError(f"X_val: {message}") from error


def read_parts(model: Any, X: Any) -> Iterator[Any]:
    """Yield the rows of a stream, or of an iterator of tables, in parts to score.

    Raises
    ------
    ValueError
        If a column is missing, or there are no rows.
    """
    if isinstance(X, LibffmRows):
        yield from X.parts()
    elif is_stream(X):
        yield from table_streams.read_tables(model, X)
    else:
        empty = True
        for table in X:
            empty = False
            yield table
        if empty:
            raise ValueError("X is an iterator without any table.")
