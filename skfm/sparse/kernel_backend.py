"""Backend for the CPU: compiled kernels on arrays."""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, ClassVar

import numpy as np

from ..data.batch import Batch
from ..data.labels import Labels
from ..data.rows import Rows
from ..runtime.lazy import torch
from ..runtime.threads import parallel_for
from . import kernels
from .backend import Backend
from .grouping import group_by_column
from .lookup import (
    EntryLookup,
    FieldLookup,
    Groups,
    Lookup,
    PooledLookup,
    SampleLookup,
)
from .rows import ColumnRows
from .sample_scores import sample_sums, score_samples, useful_threads
from .score_kernels import score_pairs

if TYPE_CHECKING:
    from torch import Tensor

    from .gradients import RowGradient
    from .table import EmbeddingTable


class KernelBackend(Backend[Batch]):
    """Backend whose kernels are run by several threads on ranges of rows or columns."""

    #: About the size of a core's share of the cache.
    chunk_bytes: ClassVar[int] = 1 << 24
    fuses_steps: ClassVar[bool] = True
    shares_rows: ClassVar[bool] = True
    fuses_scores: ClassVar[bool] = True

    def host(self, weight: ColumnRows) -> tuple[np.ndarray, np.ndarray]:
        return weight.host()

    def place(self, batch: Batch) -> Batch:
        return batch

    def keep_rows(
        self,
        rows: Rows,
        labels: Labels,
        prepare: Callable[[Batch], Batch],
        reserved: int,
    ) -> None:
        """Return None: batches are gathered from the rows in main memory."""

    def n_threads(self, batch: Batch, n_threads: int) -> int:
        return useful_threads(batch, n_threads)

    def group(self, table: EmbeddingTable, batch: Batch) -> Groups:
        ordered = len(batch.values) > 0 or table.lookup == "by_nonzero"
        order, rows, distinct, bounds = group_by_column(
            batch.indptr, batch.columns, table.n_columns, ordered
        )
        return Groups(order, rows, distinct, bounds)

    def look_up(self, table: EmbeddingTable, batch: Batch, *, n_threads: int) -> Lookup:
        n_threads = self.n_threads(batch, n_threads)
        if table.pooled:
            return _pool(table, batch, n_threads)
        if table.lookup == "by_sample":
            return _pool_samples(table, batch, n_threads)
        return _scatter(table, batch, n_threads)

    def score_pairs(
        self, table: EmbeddingTable, bias: Tensor, batch: Batch, *, n_threads: int
    ) -> np.ndarray:
        scores = np.empty((len(batch), 1))
        parallel_for(
            score_pairs,
            len(batch),
            self.n_threads(batch, n_threads),
            table.host,
            bias.detach().numpy(),
            *_entries(batch),
            scores,
        )
        return scores

    def score_samples(
        self,
        table: EmbeddingTable,
        constants: Tensor,
        batch: Batch,
        *,
        scale: float,
        logit: bool,
        n_threads: int,
    ) -> np.ndarray:
        return score_samples(
            table.host,
            constants.numpy(),
            batch,
            scale=scale,
            logit=logit,
            n_threads=n_threads,
        )

    def columns(self, gradient: RowGradient) -> Tensor:
        return torch.from_numpy(gradient.by_column().distinct.astype(np.int64))

    def absolute_shares(self, gradient: RowGradient, share: Tensor) -> Tensor:
        groups, values = gradient.by_column(), np.asarray(gradient.batch.values)
        shares = share.numpy()[groups.rows]
        if len(values):
            shares = shares * np.abs(values[groups.order])
        return torch.from_numpy(np.add.reduceat(shares, groups.bounds[:-1]))

    def coalesce(self, gradient: RowGradient) -> tuple[Tensor, Tensor]:
        table, parts = gradient.table, gradient.parts()
        distinct = parts[0]
        out = np.empty((len(distinct), table.width), table.numpy_dtype)
        parallel_for(
            kernels.reduce, len(distinct), gradient.n_threads, table.host, parts, out
        )
        return torch.from_numpy(distinct.astype(np.int64)), torch.from_numpy(out)


def _entries(batch: Batch) -> tuple[np.ndarray, np.ndarray, np.ndarray | None]:
    """Return the arrays of a batch for kernels that read them as contiguous ones.

    Values of one are told by their type, so that no code is compiled for others.
    """
    columns, values = map(np.ascontiguousarray, (batch.columns, batch.values))
    return batch.indptr, columns, values if len(values) else None


def _pool(table: EmbeddingTable, batch: Batch, n_threads: int) -> PooledLookup:
    width = table.width + max(1, table.n_squares)
    out = np.empty((len(batch), width), table.numpy_dtype)
    parallel_for(
        kernels.pool,
        len(batch),
        n_threads,
        table.host,
        *_entries(batch),
        table.n_squares > 0,
        out,
    )
    return _split(table, out, batch.indptr[1:] - batch.indptr[:-1])


def _pool_samples(table: EmbeddingTable, batch: Batch, n_threads: int) -> SampleLookup:
    linear, pairs = sample_sums(table.host, batch, n_threads)
    lengths = batch.indptr[1:] - batch.indptr[:-1]
    return SampleLookup(*map(torch.from_numpy, (linear, lengths, pairs)))


def _scatter(
    table: EmbeddingTable, batch: Batch, n_threads: int
) -> FieldLookup | EntryLookup:
    n_rows, k, dtype = len(batch), table.n_factors, table.numpy_dtype
    linear = np.empty((n_rows, table.n_linear), dtype)
    slots = np.zeros((n_rows, table.n_slots(batch), k), dtype)
    parallel_for(
        kernels.scatter,
        n_rows,
        n_threads,
        table.host,
        batch.indptr,
        batch.columns,
        batch.values,
        table.kernel_fields,
        linear,
        slots.reshape(-1, k),
    )
    lengths = batch.indptr[1:] - batch.indptr[:-1]
    sums, told = map(torch.from_numpy, (linear, lengths))
    if table.lookup == "by_field":
        return FieldLookup(sums, told, torch.from_numpy(slots))
    columns = torch.from_numpy(batch.columns.astype(np.int64))
    return EntryLookup(sums, told, torch.from_numpy(slots), columns)


def _split(
    table: EmbeddingTable, sums: np.ndarray, lengths: np.ndarray
) -> PooledLookup:
    """Split the output of `kernels.pool` into the parts of a look-up."""
    k, at = table.n_factors, table.n_first + table.n_squares
    out, end = torch.from_numpy(sums), at + table.n_linear
    squares = out[:, k:at] if table.n_squares else out[:, end : end + 1]
    return PooledLookup(out[:, at:end], torch.from_numpy(lengths), out[:, :k], squares)
