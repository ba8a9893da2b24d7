"""Division of the chunks of a stream among the workers of a group."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..distributed.agreement import agreeing, check_same
from ..distributed.communicator import Communicator
from . import tables
from .tables import Span, Stream, spans_of

__all__ = ["Division", "divide"]


@dataclass(frozen=True)
class Division:
    """The rows of a stream that one worker reads: whole chunks, one after the other.

    Attributes
    ----------
    workers : Communicator
    counts : list of int
        Number of rows of each source of the stream.
    """

    workers: Communicator
    counts: list[int]

    @property
    def n_rows(self) -> int:
        """Number of rows of the stream."""
        return sum(self.counts)

    @property
    def start(self) -> int:
        """Number of the first row that this worker reads."""
        return self._bound(self.workers.rank)

    @property
    def spans(self) -> list[Span]:
        """Where the rows of this worker are."""
        stop = self._bound(self.workers.rank + 1)
        return spans_of(self.counts, self.start, stop)

    def head(self, n_rows: int) -> list[Span]:
        """Return where the first rows of the stream are."""
        return spans_of(self.counts, 0, min(n_rows, self.n_rows))

    def _bound(self, rank: int) -> int:
        """Return the number of the first row of a worker."""
        n_chunks = -(-self.n_rows // tables.CHUNK_ROWS)
        first = n_chunks * rank // self.workers.size
        return min(self.n_rows, first * tables.CHUNK_ROWS)


def divide(stream: Stream, workers: Communicator | None, asked: Any) -> Division | None:
    """Divide a stream among workers; None if there is only one. All call this.

    Parameters
    ----------
    stream : Stream
    workers : Communicator or None
    asked : object
        What is read and how, which has to be the same for all workers. It can be
        written as JSON.

    Raises
    ------
    ValueError
        If the workers differ, a source cannot be read, or there are no rows.
    """
    if workers is None or workers.size == 1:
        return None
    check_same(workers, [stream.n_sources, asked])
    counts = np.empty(stream.n_sources, np.int64)
    with agreeing(workers) as agreement:
        own = range(workers.rank, stream.n_sources, workers.size)
        agreement.value = [stream.count(source) for source in own]
    for rank, found in enumerate(agreement.values):
        counts[rank :: workers.size] = found
    if not counts.sum():
        raise ValueError("X has no rows: pass a dataset with at least one row.")
    return Division(workers, counts.tolist())
