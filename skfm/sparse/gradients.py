"""The gradient of a table: what a batch's loss says of its columns' rows."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.transfer import DeviceBatch
from .lookup import Groups, Lookup, PooledLookup, SlotLookup
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
        """Gradient of loss and penalty, after the loss's backward pass.

        Parameters
        ----------
        table : EmbeddingTable
        batch : Batch or DeviceBatch
        lookups : sequence of Lookup
            Of consecutive parts of the batch, with gradients.
        penalty : Tensor of shape (B, 2)
            Each row's L2 strength on x w and on x v.
        groups : Groups or None
            The batch's, if already at hand.
        """
        upstream = torch.cat([_upstream(table, lookup) for lookup in lookups])
        at = table.n_first + table.n_squares
        upstream[:, at + table.n_linear] += penalty[:, 0]
        upstream[:, _second_order(table)] += penalty[:, 1:]
        slots = _slot_gradient(lookups) if table.n_factors else None
        n_threads = table.threads_for(batch, n_threads)
        return cls(table, batch, upstream, slots, n_threads, groups)

    def columns(self) -> Tensor:
        """Return the distinct columns (U,), sorted."""
        return self.table.backend.columns(self)

    def by_column(self) -> Groups:
        """Return the batch's entries by column."""
        if self.groups is None:
            self.groups = self.table.group(self.batch)
        assert self.groups is not None
        return self.groups

    def absolute_shares(self) -> Tensor:
        """Sum ``share * abs(x)`` over each distinct column's entries, (U,).

        ``share`` (B,) is how much each row counts in the batch's loss.
        """
        assert self.share is not None
        return self.table.backend.absolute_shares(self, self.share)

    def parts(self) -> tuple[Any, ...]:
        """Return the arrays as the kernels take them."""
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
        """Distinct columns (U,), sorted, and their gradients (U, D)."""
        return self.table.backend.coalesce(self)


def _upstream(table: EmbeddingTable, lookup: Lookup) -> Tensor:
    """[dL/d(sum x v) | 2 dL/d(sum (x v)^2) | dL/d(sum x w) | 0]: see `kernels`.

    Or with the second last, where it is the same for all factors.
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
    """Columns of `_upstream` that count the factors themselves."""
    if table.n_squares:
        return slice(table.n_first, table.n_first + table.n_squares)
    last = table.n_first + table.n_linear + 1
    return slice(last, last + 1)


def _slot_gradient(lookups: Sequence[Lookup]) -> Tensor | None:
    """dL/dslots of the whole batch, parts padded to the widest."""
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
