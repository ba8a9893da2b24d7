"""The gradient of a table: what a batch's loss says of its columns' rows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor

from ..batches import Batch
from ..devices import DeviceBatch
from ..threads import parallel_for
from . import kernels, torch_ops
from .lookup import Groups

if TYPE_CHECKING:
    from .table import EmbeddingTable


@dataclass(slots=True)
class RowGradient:
    """Gradient of a table, zero but for the rows of a batch's columns.

    Unreduced: the kernels reduce a column's entries, in row order, right where the
    gradient is used, so it is never written to memory. `coalesce` writes it out.
    """

    table: EmbeddingTable
    batch: Batch | DeviceBatch
    upstream: Tensor
    slots: Tensor | None
    n_threads: int = 1
    groups: Groups | None = None
    share: Tensor | None = None

    def columns(self) -> Tensor:
        """The distinct columns (U,), sorted."""
        if isinstance(self.batch, DeviceBatch):
            return torch.unique(self.batch.columns)
        distinct = self._by_column(self.batch).distinct
        return torch.from_numpy(distinct.astype(np.int64))

    def _by_column(self, batch: Batch) -> Groups:
        if self.groups is None:
            self.groups = self.table.group(batch)
        return self.groups

    def absolute_shares(self) -> Tensor:
        """Sum of ``share * abs(x)`` over each distinct column's entries, (U,).

        ``share`` (B,) is how much each row counts in the batch's loss.
        """
        assert self.share is not None
        batch = self.batch
        if not self.table.uses_kernels:
            return torch_ops.absolute_shares(self.table.place(batch), self.share)
        assert isinstance(batch, Batch)
        groups = self._by_column(batch)
        shares = self.share.numpy()[groups.rows]
        if len(batch.values):
            shares = shares * np.abs(batch.values[groups.order])
        return torch.from_numpy(np.add.reduceat(shares, groups.bounds[:-1]))

    def parts(self) -> tuple[Any, ...]:
        """The arrays as the kernels take them."""
        assert isinstance(self.batch, Batch)
        groups = self._by_column(self.batch)
        upstream = self.upstream.numpy()
        slots, n_slots = np.empty((0, 0), upstream.dtype), 0
        if self.slots is not None:
            n_slots = self.slots.shape[1]
            slots = self.slots.flatten(0, 1).contiguous().numpy()
        return (
            *groups.arrays(),
            *(self.batch.indptr, self.batch.values, upstream),
            *(self.table.n_squares > 0, self.table.squared_upstream),
            *(slots, n_slots, self.table.kernel_fields),
        )

    def coalesce(self) -> tuple[Tensor, Tensor]:
        """Distinct columns (U,), sorted, and their gradients (U, D)."""
        table = self.table
        if not table.uses_kernels:
            return torch_ops.reduce(
                table.weight,
                table.place(self.batch),
                self.upstream,
                *(table.n_first, table.n_squares),
                *(self.slots, table.slot_fields),
            )
        parts = self.parts()
        distinct = parts[0]
        out = np.empty((len(distinct), table.width), table.numpy_dtype)
        parallel_for(
            kernels.reduce, len(distinct), self.n_threads, table.host, parts, out
        )
        return torch.from_numpy(distinct.astype(np.int64)), torch.from_numpy(out)
