"""Tables that are read in chunks of rows.

The chunks of a stream have the same rows whatever files or partitions the rows come
from, so that all that is learnt from them is the same, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

import numpy as np
import pandas as pd

from ..encoding.tables import read_columns

__all__ = ["CHUNK_ROWS", "Chunk", "Stream", "as_stream", "is_stream", "series_of"]

#: Number of rows of a chunk.
CHUNK_ROWS = 1 << 16


class Chunk(NamedTuple):
    """Consecutive rows of a stream.

    Attributes
    ----------
    table : pyarrow.Table
    start : int
        Number of the first row in the stream.
    origin : str
        File or partition of the first row, for errors.
    """

    table: Any
    start: int
    origin: str


class Stream(Protocol):
    """A table that is read in chunks, any number of times.

    Attributes
    ----------
    names : list of str
        Names of its columns.
    """

    names: list[str]

    def parts(self, names: Sequence[str]) -> Iterator[tuple[Any, str]]:
        """Yield tables with the columns ``names``, and where each comes from.

        Raises
        ------
        ValueError
            If a part lacks a column or cannot be read.
        """

    def identity(self) -> Any:
        """Return what tells these data from others; None if nothing does."""


def is_stream(X: Any) -> bool:
    """Return whether X is read in chunks; imports nothing that X does not need."""
    return _is_dataset(X) or _is_dask(X)


def as_stream(X: Any) -> Stream:
    """Return the stream of a dataset."""
    if _is_dask(X):
        from .dask_frames import DaskStream

        return DaskStream(X)
    from .datasets import DatasetStream

    return DatasetStream(X)


def _is_dataset(X: Any) -> bool:
    module = sys.modules.get("pyarrow.dataset")
    return module is not None and isinstance(X, module.Dataset)


def _is_dask(X: Any) -> bool:
    return type(X).__module__.startswith("dask") and hasattr(X, "to_delayed")


def chunks(stream: Stream, names: Sequence[str]) -> Iterator[Chunk]:
    """Yield the rows in chunks of `CHUNK_ROWS`; the last may have fewer.

    Parameters
    ----------
    stream : Stream
    names : sequence of str
        Columns to read.

    Raises
    ------
    ValueError
        If a part lacks a column or cannot be read, or there are no rows.
    """
    import pyarrow as pa

    waiting: list[Any] = []
    n_waiting, start, first = 0, 0, ""
    for table, origin in stream.parts(names):
        first = first if waiting else origin
        waiting.append(table)
        n_waiting += table.num_rows
        while n_waiting >= CHUNK_ROWS:
            whole = pa.concat_tables(waiting)
            yield Chunk(whole.slice(0, CHUNK_ROWS), start, first)
            rest = whole.slice(CHUNK_ROWS)
            waiting, n_waiting, first = [rest], rest.num_rows, origin
            start += CHUNK_ROWS
    if n_waiting:
        yield Chunk(pa.concat_tables(waiting), start, first)
    elif not start:
        raise ValueError("X has no rows: pass a dataset with at least one row.")


def series_of(table: Any) -> list[pd.Series]:
    """Return the columns of an Arrow table as pandas Series.

    Strings become categories, so that only distinct ones are made Python objects.
    """
    return [_series(table.select([j])) for j in range(table.num_columns)]


def _series(table: Any) -> pd.Series:
    import pyarrow as pa

    column = table.column(0)
    kind = column.type
    if pa.types.is_dictionary(kind) and _is_string(kind.value_type):
        column, kind = column.cast(kind.value_type), kind.value_type
    if not _is_string(kind):
        (series,) = read_columns(table)
        return series
    encoded = pa.concat_arrays(column.dictionary_encode().unify_dictionaries().chunks)
    codes = encoded.indices.fill_null(-1).to_numpy(zero_copy_only=False)
    words = encoded.dictionary.to_numpy(zero_copy_only=False).astype(object)
    categories = pd.Index(words, dtype=object)
    return pd.Series(pd.Categorical.from_codes(codes, categories))


def _is_string(kind: Any) -> bool:
    import pyarrow as pa

    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )


def values_of(table: Any, name: str) -> np.ndarray:
    """Return a column of targets or weights as an array.

    Raises
    ------
    ValueError
        If a value is missing.
    """
    column = table.column(name)
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy()))
        raise ValueError(f"Column {name!r} is missing in row {row}. Drop such rows.")
    series = _series(table.select([name]))
    if isinstance(series.dtype, pd.CategoricalDtype):
        words: np.ndarray = series.cat.categories.to_numpy()[series.cat.codes]
        return words
    return series.to_numpy(dtype=getattr(series.dtype, "numpy_dtype", None))
