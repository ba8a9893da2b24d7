"""Reading of the chunks of a stream, and of targets and weights."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import NamedTuple, TypeVar

import numpy as np

from ..distributed.agreement import agreeing
from ..distributed.communicator import gather_objects
from .columns import values_of
from .division import Division
from .tables import Chunk, Stream, chunks

__all__ = [
    "Columns",
    "Labels",
    "first_chunk",
    "in_order",
    "join_labels",
    "labels_of",
    "naming",
    "own_chunks",
    "read_labels",
    "share_labels",
]

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


def own_chunks(
    stream: Stream, names: list[str], division: Division | None
) -> Iterator[Chunk]:
    """Yield the chunks that this worker reads; all, without a division."""
    if division is None:
        return chunks(stream, names)
    return chunks(stream, names, division.spans, division.start)


def first_chunk(
    stream: Stream, names: list[str], division: Division, n_rows: int
) -> Chunk:
    """Return the first rows of a stream, of which any worker may be in need."""
    return next(chunks(stream, names, division.head(n_rows)))


def read_labels(
    stream: Stream, columns: Columns, division: Division | None = None
) -> Labels:
    """Read the labels of all rows; all workers call this.

    Raises
    ------
    ValueError
        If one is missing.
    """
    found = []
    with agreeing(None if division is None else division.workers):
        for chunk in own_chunks(stream, columns.labels, division):
            with naming(chunk):
                found.append(labels_of(chunk, columns))
    return share_labels(join_labels(found, columns), columns, division)


def share_labels(own: Labels, columns: Columns, division: Division | None) -> Labels:
    """Return the labels of all rows, given those that this worker has read."""
    if division is None:
        return own
    return join_labels(list(gather_objects(division.workers, own)), columns)


def labels_of(chunk: Chunk, columns: Columns) -> Labels:
    """Return the labels of a chunk.

    Raises
    ------
    ValueError
        If one is missing.
    """
    return {name: values_of(chunk.table, name) for name in columns.labels}


def join_labels(found: list[Labels], columns: Columns) -> Labels:
    """Join the labels of consecutive rows; of none, there are no arrays."""
    found = [labels for labels in found if labels]
    if not found:
        return {}
    return {
        name: np.concatenate([labels[name] for labels in found])
        for name in columns.labels
    }


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


@contextmanager
def naming(chunk: Chunk) -> Iterator[None]:
    """Add to an error where the rows are that its message counts."""
    try:
        yield
    except (ValueError, TypeError) as error:
        kind = TypeError if isinstance(error, TypeError) else ValueError
        raise kind(
            f"{error} Rows are counted from row {chunk.start} of X, which is in "
            f"{chunk.origin}."
        ) from error
