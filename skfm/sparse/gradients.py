"""Gradient of the loss of a batch with respect to the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.batch import Batch
from ..data.transfer import DeviceBatch
from ..runtime.lazy import torch
from .lookup import Groups, Lookup, PooledLookup, SlotLookup
from .table import EmbeddingTable

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(slots=True)
class RowGradient:
    """Gradient of a table, which is zero except in the rows of a batch's columns.

    It is not reduced: the kernels sum over the entries of a column, in row order, where
    they use the gradient, so that it is never written to memory. `coalesce` does write
    it out.
    """

    table: EmbeddingTable
    batch: Batch | DeviceBatch
    upstream: Tensor
    slots: Tensor | None
    n_threads: int = 1
    groups: Groups | None = None
    share: Tensor | None = None

    @classmethod
    def of(
        cls,
        table: EmbeddingTable,
        batch: Batch | DeviceBatch,
        lookups: Sequence[Lookup],
        penalty: Tensor,
        *,
        groups: Groups | None = None,
        n_threads: int = 1,
    ) -> RowGradient:
        """Make the gradient of loss and penalty after the backward pass of the loss.

        Parameters
        ----------
        table : EmbeddingTable
            Table that was read.
        batch : Batch or DeviceBatch
            Batch that was looked up.
        lookups : sequence of Lookup
            Look-ups of consecutive parts of the batch, with gradients.
        penalty : Tensor of shape (B, 2)
            L2 strength of each row, on x w and on x v.
        groups : Groups, default=None
            Groups of the batch, if they have been computed already.
        n_threads : int, default=1
            Largest number of threads.
        """
        upstream = torch.cat([_upstream(table, lookup) for lookup in lookups])
        at = table.n_first + table.n_squares
        upstream[:, at + table.n_linear] += penalty[:, 0]
        upstream[:, _second_order(table)] += penalty[:, 1:]
        slots = _slot_gradient(lookups) if table.n_factors else None
        n_threads = table.threads_for(batch, n_threads)
        return cls(table, batch, upstream, slots, n_threads, groups)

    def columns(self) -> Tensor:
        """Return the distinct columns, sorted, shape (U,)."""
        return self.table.backend.columns(self)

    def by_column(self) -> Groups:
        """Return the entries of the batch grouped by column."""
        if self.groups is None:
            self.groups = self.table.group(self.batch)
        assert self.groups is not None
        return self.groups

    def absolute_shares(self) -> Tensor:
        """Sum ``share * abs(x)`` over the entries of each distinct column, (U,).

        ``share`` (B,) holds the weight of each row in the loss of the batch.
        """
        assert self.share is not None
        return self.table.backend.absolute_shares(self, self.share)

    def parts(self) -> tuple[Any, ...]:
        """Return the gradient as the tuple that the kernels take: see `kernels`."""
        groups = self.by_column()
        upstream = self.upstream.numpy()
        slots, n_slots = np.empty((0, 0), upstream.dtype), 0
        if self.slots is not None:
            n_slots = self.slots.shape[1]
            slots = self.slots.flatten(0, 1).contiguous().numpy()
        return (
            *groups.arrays(),
            self.batch.indptr,
            self.batch.values,
            upstream,
            self.table.n_squares > 0,
            self.table.squared_upstream,
            slots,
            n_slots,
            self.table.kernel_fields,
        )

    def coalesce(self) -> tuple[Tensor, Tensor]:
        """Return the distinct columns (U,), sorted, and their gradients (U, D)."""
        return self.table.backend.coalesce(self)


def _upstream(table: EmbeddingTable, lookup: Lookup) -> Tensor:
    """Stack [dL/d(sum x v) | 2 dL/d(sum (x v)^2) | dL/d(sum x w) | 0]: see `kernels`.

    If the second part is the same for all factors, it is a single column, the last.
    """
    at, width = table.n_first + table.n_squares, table.squared_upstream.shape[1]
    upstream = lookup.linear.new_zeros(len(lookup.lengths), width)
    if lookup.linear.grad is not None:
        upstream[:, at : at + table.n_linear] = lookup.linear.grad
    if not isinstance(lookup, PooledLookup):
        return upstream
    if lookup.sum.grad is not None:
        upstream[:, : table.n_first] = lookup.sum.grad
    if lookup.sum_squares.grad is not None:
        upstream[:, _second_order(table)] = 2 * lookup.sum_squares.grad
    return upstream


def _second_order(table: EmbeddingTable) -> slice:
    """Return the columns of `_upstream` that are multiplied by the factors."""
    if table.n_squares:
        return slice(table.n_first, table.n_first + table.n_squares)
    last = table.n_first + table.n_linear + 1
    return slice(last, last + 1)


def _slot_gradient(lookups: Sequence[Lookup]) -> Tensor | None:
    """Join dL/dslots of all parts of the batch, padded to the widest part."""
    parts = [lookup.slots for lookup in lookups if isinstance(lookup, SlotLookup)]
    if not parts:
        return None
    width = max(part.shape[1] for part in parts)
    grads = [_gradient_of(part) for part in parts]
    if all(grad.shape[1] == width for grad in grads):
        return grads[0] if len(grads) == 1 else torch.cat(grads)
    pad = torch.nn.functional.pad
    return torch.cat([pad(g, (0, 0, 0, width - g.shape[1])) for g in grads])


def _gradient_of(leaf: Tensor) -> Tensor:
    return torch.zeros_like(leaf) if leaf.grad is None else leaf.grad
