"""The two passes over a stream: learn its encoding, then encode it into blocks."""

from __future__ import annotations

from collections.abc import Callable, Iterator

import numpy as np
import pandas as pd

from ..data.batch import Batch
from ..data.csr import all_ones
from ..distributed.agreement import agreeing
from ..distributed.communicator import gather_objects
from ..encoding.codec import TableCodec
from . import tables
from .block_writer import PLANNED_ROWS, BlockWriter
from .blocks import BlockRows
from .columns import TableEncoder, first_cells, learn_table
from .division import Division
from .part_tree import PartTree, Stem
from .reading import (
    Columns,
    Labels,
    first_chunk,
    in_order,
    join_labels,
    labels_of,
    naming,
    own_chunks,
)
from .tables import Chunk, Stream

__all__ = ["encode", "learn"]

#: Returns a codec that has learnt nothing, given the columns of the first rows.
NewCodec = Callable[[list[pd.Series]], TableCodec]


def learn(
    stream: Stream,
    columns: Columns,
    new_codec: NewCodec,
    n_threads: int,
    division: Division | None = None,
) -> tuple[TableCodec, Labels]:
    """Learn the encoding of all rows, and read their labels.

    Parameters
    ----------
    stream : Stream
    columns : Columns
    new_codec : callable
        Returns a codec that has learnt nothing, given the columns of the first rows.
    n_threads : int
    division : Division, default=None
        Rows that each worker learns. All workers call this.

    Raises
    ------
    ValueError, TypeError
        If a column cannot be encoded; the message names it and where.
    """
    workers = None if division is None else division.workers
    with agreeing(workers):
        own, found = _learn_own(stream, columns, new_codec, n_threads, division)
    if workers is None:
        return own.result().finish(), found
    everything = list(gather_objects(workers, (own.stems, found)))
    with agreeing(workers):
        codec = _merged(stem for stems, _ in everything for stem in stems)
        return codec, join_labels([labels for _, labels in everything], columns)


def _merged(stems: Iterator[Stem]) -> TableCodec:
    """Return the codec of the chunks of all workers."""
    tree = PartTree()
    for stem in stems:
        tree.add(stem)
    return tree.result().finish()


def _learn_own(
    stream: Stream,
    columns: Columns,
    new_codec: NewCodec,
    n_threads: int,
    division: Division | None,
) -> tuple[PartTree, Labels]:
    """Learn the rows of this worker, and read their labels."""
    codec: TableCodec | None = None

    def begin(chunk: Chunk) -> TableCodec:
        with naming(chunk):
            return new_codec(first_cells(chunk.table.select(columns.features)))

    def pairs() -> Iterator[tuple[Chunk, TableCodec]]:
        nonlocal codec
        for chunk in own_chunks(stream, columns.all, division):
            codec = codec or begin(chunk)
            yield chunk, codec

    def work(item: tuple[Chunk, TableCodec]) -> tuple[Stem, Labels]:
        chunk, empty = item
        with naming(chunk):
            table = chunk.table.select(columns.features)
            part = learn_table(empty, table, chunk.start)
            labels = labels_of(chunk, columns)
        return Stem(chunk.start // tables.CHUNK_ROWS, 1, part), labels

    if division is not None:
        # The same on all workers.
        head = first_chunk(stream, columns.features, division, tables.CHUNK_ROWS)
        codec = begin(head)
    tree, found = PartTree(), []
    for stem, labels in in_order(work, pairs(), n_threads):
        tree.add(stem)
        found.append(labels)
    return tree, join_labels(found, columns)


def encode(
    stream: Stream,
    columns: Columns,
    codec: TableCodec,
    writer: BlockWriter,
    n_threads: int,
    division: Division | None = None,
    *,
    warn: bool = False,
) -> Labels:
    """Encode rows into blocks, and read their labels.

    Parameters
    ----------
    stream : Stream
    columns : Columns
    codec : TableCodec
    writer : BlockWriter
    n_threads : int
    division : Division, default=None
        The rows of this worker; None: all rows.
    warn : bool, default=False
        Whether to warn of unknown and missing cells, in each chunk.

    Raises
    ------
    ValueError, TypeError
        If a column cannot be encoded; the message names it and where.
    """
    encoder = TableEncoder(codec)

    def rows_of(chunk: Chunk, *, warn: bool = False) -> BlockRows:
        numbers = np.arange(chunk.start, chunk.start + chunk.table.num_rows)
        with naming(chunk):
            encoded = encoder.encode(chunk.table.select(columns.features))
            order = writer.order(numbers)
            if order is not None and all(part.lengths is None for part in encoded):
                # Cells are faster to permute than rows of entries.
                encoded = [part.take(order) for part in encoded]
                numbers = numbers[order]
            X = codec.matrix(encoded, writer.dtype, share_ones=True, warn=warn)
        values = X.data[:0] if all_ones(X.data) else X.data
        columns_of_entries = X.indices.astype(np.int32, copy=False)
        batch = Batch(X.indptr.astype(np.int64), columns_of_entries, values)
        return BlockRows(batch, numbers)

    def work(chunk: Chunk) -> tuple[BlockRows, Labels]:
        rows = rows_of(chunk, warn=warn)
        with naming(chunk):
            return rows, labels_of(chunk, columns)

    if division is not None:
        # All workers choose the same blocks.
        n_rows = min(PLANNED_ROWS, tables.CHUNK_ROWS)
        head = first_chunk(stream, columns.features, division, n_rows)
        writer.plan(rows_of(head))
    found, all_chunks = [], own_chunks(stream, columns.all, division)
    for rows, labels in in_order(work, all_chunks, n_threads):
        writer.add(rows)
        # The bytes of blocks do not depend on the worker that writes them.
        writer.flush()
        found.append(labels)
    return join_labels(found, columns)
