"""Tables that are read in chunks of rows.

The chunks of a stream have the same rows whatever files or partitions the rows come
from, so that all that is learnt from them is the same, too.
"""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from typing import Any, NamedTuple, Protocol

__all__ = [
    "CHUNK_ROWS",
    "Chunk",
    "Span",
    "Stream",
    "as_stream",
    "chunks",
    "is_dask",
    "is_stream",
    "spans_of",
]

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


class Span(NamedTuple):
    """Rows ``start:stop`` of a source of a stream."""

    source: int
    start: int
    stop: int


class Stream(Protocol):
    """A table that is read in chunks, any number of times.

    Attributes
    ----------
    names : list of str
        Names of its columns.
    """

    names: list[str]

    @property
    def n_sources(self) -> int:
        """Number of files or partitions that the rows come from."""

    def count(self, source: int) -> int:
        """Return the number of rows of a source.

        Raises
        ------
        ValueError
            If it cannot be read.
        """

    def parts(
        self, names: Sequence[str], spans: Sequence[Span] | None = None
    ) -> Iterator[tuple[Any, str]]:
        """Yield tables with the columns ``names``, and where each comes from.

        Parameters
        ----------
        names : sequence of str
        spans : sequence of Span, default=None
            Rows to read; None: all.

        Raises
        ------
        ValueError
            If a part lacks a column or cannot be read.
        """

    def identity(self) -> Any:
        """Return what tells these data from others; None if nothing does."""


def is_stream(X: Any) -> bool:
    """Return whether X is read in chunks; imports nothing that X does not need."""
    return _is_dataset(X) or is_dask(X)


def as_stream(X: Any) -> Stream:
    """Return the stream of a dataset."""
    if is_dask(X):
        from .dask_frames import DaskStream

        return DaskStream(X)
    from .datasets import DatasetStream

    return DatasetStream(X)


def _is_dataset(X: Any) -> bool:
    module = sys.modules.get("pyarrow.dataset")
    return module is not None and isinstance(X, module.Dataset)


def is_dask(X: Any) -> bool:
    """Return whether X is a Dask DataFrame."""
    # Arrays of Dask, which scikit-learn converts, have no columns.
    return type(X).__module__.startswith("dask") and hasattr(X, "columns")


def spans_of(counts: Sequence[int], start: int, stop: int) -> list[Span]:
    """Return where rows ``start:stop`` of a stream are, whose sources have counts."""
    found, first = [], 0
    for source, count in enumerate(counts):
        lo, hi = max(start, first), min(stop, first + count)
        if lo < hi:
            found.append(Span(source, lo - first, hi - first))
        first += count
    return found


def chunks(
    stream: Stream,
    names: Sequence[str],
    spans: Sequence[Span] | None = None,
    start: int = 0,
) -> Iterator[Chunk]:
    """Yield the rows in chunks of `CHUNK_ROWS`; the last may have fewer.

    Parameters
    ----------
    stream : Stream
    names : sequence of str
        Columns to read.
    spans : sequence of Span, default=None
        Rows to read; None: all.
    start : int, default=0
        Number of the first of these rows.

    Raises
    ------
    ValueError
        If a part lacks a column or cannot be read, or the stream has no rows.
    """
    import pyarrow as pa

    waiting: list[Any] = []
    n_waiting, begin, first = 0, start, ""
    for table, origin in stream.parts(names, spans):
        first = first if waiting else origin
        waiting.append(table)
        n_waiting += table.num_rows
        while n_waiting >= CHUNK_ROWS:
            whole = pa.concat_tables(waiting)
            yield Chunk(whole.slice(0, CHUNK_ROWS), start, first)
            rest = whole.slice(CHUNK_ROWS)
            n_waiting, first, start = rest.num_rows, origin, start + CHUNK_ROWS
            waiting = [rest] if n_waiting else []
    if n_waiting:
        yield Chunk(pa.concat_tables(waiting), start, first)
    elif start == begin and spans is None:
        raise ValueError("X has no rows: pass a dataset with at least one row.")
    pa.default_memory_pool().release_unused()
