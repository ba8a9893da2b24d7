"""Streams of Dask DataFrames."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np

from .tables import Span

__all__ = ["DaskStream", "map_partitions"]


class DaskStream:
    """The rows of a Dask DataFrame, partition by partition.

    Partitions are computed by the scheduler that Dask is set to use, one at a time.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    """

    def __init__(self, frame: Any) -> None:
        self._frame = frame
        self.names = [str(name) for name in frame.columns]

    @property
    def n_sources(self) -> int:
        """Number of partitions."""
        return int(self._frame.npartitions)

    def count(self, source: int) -> int:
        with _naming(source):
            return len(self._frame.get_partition(source))

    def parts(
        self, names: Sequence[str], spans: Sequence[Span] | None = None
    ) -> Iterator[tuple[Any, str]]:
        import pyarrow as pa

        schema: Any = None
        if spans is None:
            spans = [Span(i, 0, sys.maxsize) for i in range(self.n_sources)]
        for source, start, stop in spans:
            with _naming(source):
                part = self._frame.get_partition(source)[list(names)].compute()
                table = pa.Table.from_pandas(part, schema, preserve_index=False)
            table = table.replace_schema_metadata(None)
            schema = table.schema if schema is None else schema
            table = table.slice(start, stop - start)
            if table.num_rows:
                yield table, _name(source)

    def identity(self) -> Any:
        return None


def map_partitions(
    frame: Any, names: Sequence[str], call: Callable[[Any], np.ndarray]
) -> Any:
    """Return the rows that a function gives for each partition, as a Dask array.

    Nothing is computed before the array is.

    Parameters
    ----------
    frame : dask.dataframe.DataFrame
    names : sequence of str
        Columns that the function reads.
    call : callable
        Function from a DataFrame to an array with a row for each of its rows.
    """
    import dask
    import dask.array as da

    frame = frame[list(names)]
    example = call(frame._meta_nonempty)
    shape, delayed = (np.nan, *example.shape[1:]), dask.delayed(call, pure=False)
    return da.concatenate(
        [
            da.from_delayed(delayed(part), shape, dtype=example.dtype)
            for part in frame.to_delayed()
        ]
    )


def _name(source: int) -> str:
    return f"partition {source}"


@contextmanager
def _naming(source: int) -> Iterator[None]:
    """Name the partition in errors, of whatever type."""
    try:
        yield
    except Exception as error:
        raise ValueError(f"X cannot be read in {_name(source)}: {error}") from error
