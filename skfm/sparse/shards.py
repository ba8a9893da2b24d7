"""Tables whose rows are divided among workers: the columns by their remainder.

A step fetches the weights of the columns of a batch into a small table, on which
look-ups run as on a whole one, and sends the gradients of its rows to their owners.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.batch import Batch
from ..data.labels import Labels
from ..data.rows import Rows
from ..data.transfer import DeviceBatch
from ..distributed.communicator import Communicator
from ..distributed.lanes import Lanes
from ..runtime.lazy import torch
from ..runtime.threads import parallel_for
from . import lane_kernels
from .gradients import RowGradient
from .grouping import group_by_column
from .lane_gradients import own_sums, send_sums
from .lookup import EntryLookup, Groups, Lookup
from .reduced import ReducedGradient
from .rows import ColumnRows
from .table import EmbeddingTable

if TYPE_CHECKING:
    from torch import Tensor

#: Rows that are gathered at once from all workers.
_AT_ONCE = 1 << 20


class Shards:
    """A table whose rows are divided among the workers of a group.

    Parameters
    ----------
    table : EmbeddingTable
        The whole table, the same on all workers.
    communicator : Communicator

    Attributes
    ----------
    own : EmbeddingTable
        The worker's rows: those of the columns rank, rank + size, rank + 2 size, ...
    lanes : Lanes
    """

    def __init__(self, table: EmbeddingTable, communicator: Communicator) -> None:
        self.communicator = communicator
        self.lanes = Lanes(communicator.rank, communicator.size)
        self.n_columns = table.n_columns
        self.part = slice(communicator.rank, None, communicator.size)
        columns = np.arange(self.n_columns)[self.part]
        rows = table.excerpt(columns, table.weight).zeros(place=0, device="cpu")
        for whole, kept in zip(table.weight.tensors(), rows.tensors(), strict=True):
            kept.copy_(whole[self.part])
        self.own = table.excerpt(columns, rows)
        self._all = np.arange(self.n_columns if communicator.size == 1 else 0)
        # Without rows, for the fields of all columns.
        none = ColumnRows(*(t[:0].clone() for t in table.weight.tensors()))
        self._like = table.excerpt(np.arange(self.n_columns), none)

    def whole(self, tensor: Tensor) -> Tensor:
        """Return the rows of all workers, given this worker's rows of an array."""
        size = self.communicator.size
        out = tensor.new_empty(self.n_columns, *tensor.shape[1:])
        for rank in range(size):
            part = out[rank::size]
            for start in range(0, len(part), _AT_ONCE):
                span = slice(start, start + _AT_ONCE)
                own = rank == self.communicator.rank
                sent = (tensor if own else part)[span].contiguous()
                self.communicator.broadcast(sent.numpy(), rank)
                part[span] = sent
        return out

    def whole_table(self) -> EmbeddingTable:
        """Return the table of all workers' rows."""
        weight = ColumnRows(*map(self.whole, self.own.weight.tensors()))
        return self._like.excerpt(np.arange(self.n_columns), weight)

    # How batches are read: see `skfm.data.source.Reader`.

    def place(self, batch: Batch | DeviceBatch) -> Batch | DeviceBatch:
        """Return a batch as it is."""
        return batch

    def group(self, batch: Batch | DeviceBatch) -> Groups:
        """Group the entries of a batch by column."""
        order, rows, distinct, bounds = group_by_column(
            batch.indptr, batch.columns, self.n_columns, True
        )
        return Groups(order, rows, distinct, bounds)

    def keep_rows(
        self,
        rows: Rows,
        labels: Labels,
        prepare: Callable[[Batch], Batch],
        reserved: int,
    ) -> None:
        """Return None: batches are gathered where their rows are."""

    def fetch(
        self,
        batch: Any,
        groups: Groups | None = None,
        bounds: np.ndarray | None = None,
        *,
        n_threads: int = 1,
    ) -> Excerpt:
        """Fetch the weights of a batch's columns; all workers call this.

        Parameters
        ----------
        batch : Batch
            This worker's rows.
        groups : Groups, default=None
            Groups of the batch, if they have been computed already.
        bounds : ndarray of int, default=None
            Bounds between the lanes of the rows, which a later `reduce` needs.
        n_threads : int, default=1
        """
        if bounds is None:
            bounds = np.zeros(0, np.int64)
        groups, size = groups or self.group(batch), self.communicator.size
        if size == 1:
            columns, n_rows = groups.distinct, len(batch)
            counts = np.array([len(columns)]), np.array([len(columns)])
            return Excerpt(
                *(self.own, batch, groups, self._all, columns, counts, n_rows, bounds)
            )
        owner = groups.distinct % size
        order = np.argsort(owner, kind="stable")
        columns = groups.distinct[order]
        sent, one = np.bincount(owner, minlength=size), [1] * size
        told = np.stack([sent, np.full(size, len(batch))], axis=1)
        received, n_rows = self.communicator.exchange(told, one, one).T
        asked = self.communicator.exchange(columns // size, sent, received)
        weight = self._answer(asked, (sent, received), n_threads)
        place = np.empty(len(columns), np.int32)
        place[order] = np.arange(len(columns), dtype=np.int32)
        relabelled = np.empty(len(batch.columns), np.int32)
        lane_kernels.relabel(groups.arrays(), place, relabelled)
        return Excerpt(
            self._like.excerpt(columns, weight),
            replace(batch, columns=relabelled),
            replace(groups, distinct=place),
            columns,
            asked,
            (sent, received),
            int(n_rows.sum()),
            bounds,
        )

    def _answer(
        self,
        asked: np.ndarray,
        counts: tuple[np.ndarray, np.ndarray],
        n_threads: int,
    ) -> ColumnRows:
        """Send the weights that others ask for, and return those asked of others."""
        own, k, (sent, received) = self.own, self.own.n_factors, counts
        rows = np.empty((len(asked), own.width), own.numpy_dtype)
        parallel_for(lane_kernels.pack, len(asked), n_threads, own.host, asked, rows)
        rows = self.communicator.exchange(rows, received, sent)
        parts = rows[:, :k], rows[:, k:]
        return ColumnRows(*(torch.from_numpy(part.copy()) for part in parts))

    def reduce(
        self, excerpt: Excerpt, gradient: RowGradient, share: np.ndarray
    ) -> ReducedGradient:
        """Sum the gradients of all workers' rows, for the columns of this worker.

        Parameters
        ----------
        excerpt : Excerpt
        gradient : RowGradient
            Gradient of the rows of ``excerpt``, or of the linear part of its table.
        share : ndarray of shape (B,) or (0,)
            Shares of the rows, if their sums by column are wanted.
        """
        table, size = gradient.table, self.communicator.size
        sizes = table.n_factors, table.n_linear
        padded = ReducedGradient.width(*sizes)
        width = table.width + (len(share) > 0) if size > 1 else padded
        of_row = self.lanes.of_rows(excerpt.bounds)
        given = gradient, share, self.lanes, of_row, width
        sums = own_sums(*given, in_order=size == 1)
        if size == 1:
            return ReducedGradient(excerpt.asked, sums[0], *sizes, gradient.n_threads)
        sent, received = excerpt.counts
        found = send_sums(self.communicator, *sums, sent, received)
        asked = np.split(excerpt.asked, np.cumsum(received)[:-1])
        columns = np.concatenate(
            [part[of] for part, of in zip(asked, found.columns, strict=True)]
        )
        distinct, rows = found.add_up(
            columns, self.own.n_columns, padded, gradient.n_threads
        )
        return ReducedGradient(distinct, rows, *sizes, gradient.n_threads)


@dataclass(slots=True)
class Excerpt:
    """The columns of a batch, with their weights in a table of their own.

    A worker that is alone has no excerpts, but all columns in its table.

    Attributes
    ----------
    table : EmbeddingTable of U columns
    batch : Batch
        The batch, with the numbers of the columns in this table.
    groups : Groups
        Its groups.
    columns : ndarray of int32 of shape (U,)
        Columns of the whole table, sorted by owner.
    asked : ndarray of int32
        Rows of this worker's table that workers have fetched, by worker.
    counts : tuple of ndarray
        Number of columns that each worker owns, and of those that each has fetched
        from here.
    n_rows : int
        Number of rows of the batches of all workers.
    bounds : ndarray of int
        Bounds between the lanes of the rows of this worker.
    """

    table: EmbeddingTable
    batch: Batch
    groups: Groups
    columns: np.ndarray
    asked: np.ndarray
    counts: tuple[np.ndarray, np.ndarray]
    n_rows: int
    bounds: np.ndarray

    def look_up(self, batch: Batch, n_threads: int = 1) -> Lookup:
        """Look up some rows of the batch."""
        lookup = self.table.look_up(batch, n_threads=n_threads)
        if isinstance(lookup, EntryLookup):
            columns = self.columns[batch.columns].astype(np.int64)
            lookup.columns = torch.from_numpy(columns)
        return lookup
