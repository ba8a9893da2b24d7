"""Look-ups: the sums that are read of a table for a batch."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Self

import numpy as np
from torch import Tensor


@dataclass(slots=True)
class Lookup:
    """The sums that a network reads of a batch: the leaves of the dense graph.

    Attributes
    ----------
    linear : Tensor of shape (B, C)
        Sum of x w.
    lengths : Tensor of shape (B,), int64
        Number of entries of each row.
    """

    linear: Tensor
    lengths: Tensor

    def leaves(self) -> list[Tensor]:
        """Return the tensors that gradients arrive at."""
        return [self.linear]

    def collect_gradients(self, *, frozen: bool = False) -> Self:
        """Make the leaves collect gradients; ``frozen``, the linear part alone."""
        for leaf in [self.linear] if frozen else self.leaves():
            leaf.requires_grad_()
        return self


@dataclass(slots=True)
class PooledLookup(Lookup):
    """The *pooled* look-up.

    Attributes
    ----------
    sum : Tensor of shape (B, k)
        Sum of x v.
    sum_squares : Tensor of shape (B, k) or (B, 1)
        Sum of (x v)^2, element-wise; with "pooled_total" over the factors too.
    """

    sum: Tensor
    sum_squares: Tensor

    def leaves(self) -> list[Tensor]:
        return [self.linear, self.sum, self.sum_squares]

    def rows(self, start: int, stop: int) -> PooledLookup:
        """Return some rows, as views."""
        part = slice(start, stop)
        return PooledLookup(
            self.linear[part],
            self.lengths[part],
            self.sum[part],
            self.sum_squares[part],
        )


@dataclass(slots=True)
class SlotLookup(Lookup):
    """A look-up that keeps the entries of a row apart.

    Attributes
    ----------
    slots : Tensor of shape (B, S, k)
        Sum of x v in each slot.
    """

    slots: Tensor

    def leaves(self) -> list[Tensor]:
        return [self.linear, self.slots]


@dataclass(slots=True)
class FieldLookup(SlotLookup):
    """The look-up *by field*: a slot is a field."""


@dataclass(slots=True)
class EntryLookup(SlotLookup):
    """The look-up *by non-zero*: a slot is an entry, S those of the longest row.

    Shorter rows are padded with zeros.

    Attributes
    ----------
    columns : Tensor of shape (nnz,), int64
        The column of each entry, row by row.
    """

    columns: Tensor


@dataclass(slots=True)
class Groups:
    """A batch's entries grouped by column (see `kernels.group`)."""

    order: np.ndarray
    rows: np.ndarray
    distinct: np.ndarray
    bounds: np.ndarray

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Return the arrays as the kernels take them."""
        return self.distinct, self.bounds, self.order, self.rows
