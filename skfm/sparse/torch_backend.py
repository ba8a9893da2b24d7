"""Backend for all devices except the CPU: operations of torch."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar

from ..data.batch import Batch
from ..data.labels import Labels
from ..data.rows import Rows
from ..data.transfer import DeviceBatch, ResidentRows, place
from ..runtime.lazy import torch
from . import torch_ops
from .backend import Backend
from .lookup import EntryLookup, FieldLookup, Lookup, PooledLookup, SampleLookup
from .rows import ColumnRows

if TYPE_CHECKING:
    from torch import Tensor

    from .gradients import RowGradient
    from .table import EmbeddingTable


class TorchBackend(Backend[DeviceBatch]):
    """Backend whose operations are those of torch."""

    #: Chunks that fit a cache would not keep the cores of a device busy.
    chunk_bytes: ClassVar[int] = 1 << 28
    fuses_steps: ClassVar[bool] = False
    shares_rows: ClassVar[bool] = False

    def host(self, weight: ColumnRows) -> None:
        """Return None: no kernel reads the table."""

    def place(self, batch: Batch | DeviceBatch) -> DeviceBatch:
        if isinstance(batch, DeviceBatch):
            return batch
        return place(batch, self.device)

    def keep_rows(
        self,
        rows: Rows,
        labels: Labels,
        prepare: Callable[[Batch], Batch],
        reserved: int,
    ) -> ResidentRows | None:
        if ResidentRows.fits(rows, labels, self.device, reserved):
            # Other processes may take memory at the same time.
            with suppress(torch.OutOfMemoryError):
                return ResidentRows(rows, labels, prepare, self.device)
        return None

    def n_threads(self, batch: DeviceBatch, n_threads: int) -> int:
        return 1

    def group(self, table: EmbeddingTable, batch: DeviceBatch) -> None:
        """Return None: columns are sorted where a gradient is reduced."""

    def look_up(
        self, table: EmbeddingTable, batch: DeviceBatch, *, n_threads: int
    ) -> Lookup:
        batch = self.place(batch)
        return self.read_entries(table, self.entries(table, batch), batch)

    def entries(self, table: EmbeddingTable, batch: Batch | DeviceBatch) -> Tensor:
        """Compute [x w | x v] of each entry of a batch, row by row: (nnz, C + k)."""
        batch = self.place(batch)
        return torch_ops.scale(table.weight[batch.columns], batch.values)

    def read_entries(
        self, table: EmbeddingTable, entries: Tensor, batch: Batch | DeviceBatch
    ) -> Lookup:
        """Compute the look-up of a batch from ``entries`` in place of its own."""
        batch = self.place(batch)
        lengths = batch.lengths
        if table.pooled or table.lookup == "by_sample":
            linear, total, squares = torch_ops.pool(entries, table.n_linear, lengths)
            if table.lookup == "pooled_total":
                squares = squares.sum(dim=1, keepdim=True)
            pooled = PooledLookup(linear, lengths, total, squares)
            return pooled if table.pooled else SampleLookup.of(pooled)
        linear, slots = torch_ops.scatter(
            entries, table.n_linear, batch, table.slot_fields, table.n_slots(batch)
        )
        if table.lookup == "by_field":
            return FieldLookup(linear, lengths, slots)
        return EntryLookup(linear, lengths, slots, batch.columns)

    def columns(self, gradient: RowGradient) -> Tensor:
        distinct: Tensor = torch.unique(self.place(gradient.batch).columns)
        return distinct

    def absolute_shares(self, gradient: RowGradient, share: Tensor) -> Tensor:
        return torch_ops.absolute_shares(self.place(gradient.batch), share)

    def coalesce(self, gradient: RowGradient) -> tuple[Tensor, Tensor]:
        table = gradient.table
        return torch_ops.reduce(
            table.weight,
            self.place(gradient.batch),
            gradient.upstream,
            table.n_first,
            table.n_squares,
            gradient.slots,
            table.slot_fields,
        )
