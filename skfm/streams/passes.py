"""The two passes over a stream: learn its encoding, then encode it into blocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import numpy as np
import pandas as pd

from ..data.batch import Batch
from ..data.csr import all_ones
from ..encoding.codec import TableCodec
from ..encoding.merging import Part
from ..runtime.memory import check_memory
from .block_writer import BlockWriter
from .blocks import BlockRows
from .columns import TableEncoder, first_cells, learn_table, values_of
from .tables import Chunk, Stream, chunks

__all__ = ["Columns", "Labels", "encode", "in_order", "learn", "read_labels"]

#: Memory of a category at the end: a string of 16 bytes, its count, its hash entry.
_CATEGORY_BYTES = 128

Item = TypeVar("Item")
Result = TypeVar("Result")
Labels = dict[str, np.ndarray]


class Columns(NamedTuple):
    """The columns of a stream that a fit reads.

    Attributes
    ----------
    features : list of str
        Columns to encode.
    labels : list of str
        Columns of targets and weights.
    """

    features: list[str]
    labels: list[str]

    @property
    def all(self) -> list[str]:
        """Every column once."""
        return list(dict.fromkeys([*self.features, *self.labels]))


def learn(
    stream: Stream,
    columns: Columns,
    new_codec: Callable[[list[pd.Series]], TableCodec],
    n_threads: int,
) -> tuple[TableCodec, Labels]:
    """Learn the encoding of all rows, and read their labels.

    Parameters
    ----------
    stream : Stream
    columns : Columns
    new_codec : callable
        Returns a codec that has learnt nothing, given the columns of the first rows.
    n_threads : int

    Raises
    ------
    ValueError, TypeError
        If a column cannot be encoded; the message names it and where.
    """
    codec: TableCodec | None = None

    def begin() -> Iterator[tuple[Chunk, TableCodec]]:
        nonlocal codec
        for chunk in chunks(stream, columns.all):
            if codec is None:
                with _naming(chunk):
                    first = first_cells(chunk.table.select(columns.features))
                    codec = new_codec(first)
            yield chunk, codec

    def work(item: tuple[Chunk, TableCodec]) -> tuple[Part, Labels]:
        chunk, empty = item
        with _naming(chunk):
            table = chunk.table.select(columns.features)
            part = learn_table(empty, table, chunk.start)
            return part, _labels(chunk, columns)

    tree, found = _Tree(), []
    for part, labels in in_order(work, begin(), n_threads):
        tree.add(part)
        found.append(labels)
    return tree.result().finish(), _join(found, columns)


def read_labels(stream: Stream, columns: Columns) -> Labels:
    """Read the labels of all rows.

    Raises
    ------
    ValueError
        If one is missing.
    """
    found = []
    for chunk in chunks(stream, columns.labels):
        with _naming(chunk):
            found.append(_labels(chunk, columns))
    return _join(found, columns)


def encode(
    stream: Stream,
    columns: Columns,
    codec: TableCodec,
    writer: BlockWriter,
    n_threads: int,
    *,
    warn: bool = False,
) -> Labels:
    """Encode all rows into blocks, and read their labels.

    Parameters
    ----------
    stream : Stream
    columns : Columns
    codec : TableCodec
    writer : BlockWriter
    n_threads : int
    warn : bool, default=False
        Whether to warn of unknown and missing cells, in each chunk.

    Raises
    ------
    ValueError, TypeError
        If a column cannot be encoded; the message names it and where.
    """
    encoder = TableEncoder(codec)

    def work(chunk: Chunk) -> tuple[BlockRows, Labels]:
        with _naming(chunk):
            encoded = encoder.encode(chunk.table.select(columns.features))
            X = codec.matrix(encoded, writer.dtype, share_ones=True, warn=warn)
            values = X.data[:0] if all_ones(X.data) else X.data
            columns_of_entries = X.indices.astype(np.int32, copy=False)
            batch = Batch(X.indptr.astype(np.int64), columns_of_entries, values)
            numbers = np.arange(chunk.start, chunk.start + len(batch))
            return BlockRows(batch, numbers), _labels(chunk, columns)

    found = []
    for rows, labels in in_order(work, chunks(stream, columns.all), n_threads):
        writer.add(rows)
        found.append(labels)
    return _join(found, columns)


def in_order(
    task: Callable[[Item], Result], items: Iterator[Item], n_threads: int
) -> Iterator[Result]:
    """Yield ``task(item)`` in order; as many items are held at a time as threads."""
    if n_threads == 1:
        yield from map(task, items)
        return
    waiting: deque[Future[Result]] = deque()
    with ThreadPoolExecutor(n_threads, thread_name_prefix="skfm-stream") as pool:
        try:
            for item in items:
                waiting.append(pool.submit(task, item))
                if len(waiting) >= n_threads:
                    yield waiting.popleft().result()
            while waiting:
                yield waiting.popleft().result()
        finally:
            for future in waiting:
                future.cancel()


class _Tree:
    """Parts that are merged in pairs of as many chunks: in few steps, always alike."""

    def __init__(self) -> None:
        self._parts: list[tuple[int, Part]] = []

    def add(self, part: Part) -> None:
        if self._parts:
            self._parts[0][1].take_samples(part)
        level = 0
        while self._parts and self._parts[-1][0] == level:
            _, earlier = self._parts.pop()
            earlier.merge(part)
            part, level = earlier, level + 1
            self._foresee(part)
        self._parts.append((level, part))

    def _foresee(self, part: Part) -> None:
        """Raise a MemoryError if the categories so far will not fit into memory."""
        counts = part.n_categories()
        largest = max(counts, key=counts.__getitem__)
        check_memory(
            _CATEGORY_BYTES * sum(counts.values()),
            "the categories of X need",
            f"column {largest!r} alone has {counts[largest]} in {part.n_rows} rows. "
            "Leave it out, or replace it by a column of fewer categories.",
        )

    def result(self) -> Part:
        _, part = self._parts.pop()
        while self._parts:
            _, earlier = self._parts.pop()
            earlier.merge(part)
            part = earlier
        return part


@contextmanager
def _naming(chunk: Chunk) -> Iterator[None]:
    """Add to an error where the rows are that its message counts."""
    try:
        yield
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"{error} Rows are counted from row {chunk.start} of X, which is in "
            f"{chunk.origin}."
        ) from error


def _labels(chunk: Chunk, columns: Columns) -> Labels:
    return {name: values_of(chunk.table, name) for name in columns.labels}


def _join(found: list[Labels], columns: Columns) -> Labels:
    """Join the labels of all chunks."""
    return {
        name: np.concatenate([labels[name] for labels in found])
        for name in columns.labels
    }
