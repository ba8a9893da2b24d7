"""Look-ups: the sums that are read from a table for a batch."""

from __future__ import annotations

from dataclasses import dataclass, fields, replace
from typing import TYPE_CHECKING, Self

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor


@dataclass(slots=True)
class Lookup:
    """Base class of look-ups, which are the leaves of the graph of a network.

    Attributes
    ----------
    linear : Tensor of shape (B, C)
        Sums of x w over the entries of each row.
    lengths : Tensor of shape (B,), int64
        Number of entries of each row.
    """

    linear: Tensor
    lengths: Tensor

    def leaves(self) -> list[Tensor]:
        """Return the tensors that collect gradients."""
        return [self.linear]

    def share(self, number: int, n: int) -> Self:
        """Return the look-up of one of n equal parts of the numbers of each column.

        It is that of one table, where the columns of n tables lie side by side.
        """
        wide = [f.name for f in fields(self) if f.name not in ("lengths", "columns")]
        parts = {name: equal_part(getattr(self, name), number, n) for name in wide}
        return replace(self, **parts)

    def collect_gradients(self, *, frozen: bool = False) -> Self:
        """Make the leaves collect gradients; with ``frozen``, only the linear part."""
        for leaf in [self.linear] if frozen else self.leaves():
            leaf.requires_grad_()
        return self


@dataclass(slots=True)
class PooledLookup(Lookup):
    """Pooled look-up: sums over all entries of each row.

    Attributes
    ----------
    sum : Tensor of shape (B, k)
        Sums of x v.
    sum_squares : Tensor of shape (B, k) or (B, 1)
        Sums of (x v)^2 for each factor or, in a "pooled_total" look-up, over all
        factors.
    """

    sum: Tensor
    sum_squares: Tensor

    def leaves(self) -> list[Tensor]:
        return [self.linear, self.sum, self.sum_squares]

    def rows(self, start: int, stop: int) -> PooledLookup:
        """Return the look-up of rows ``start`` to ``stop``, as views."""
        part = slice(start, stop)
        return PooledLookup(
            self.linear[part],
            self.lengths[part],
            self.sum[part],
            self.sum_squares[part],
        )


@dataclass(slots=True)
class SampleLookup(Lookup):
    """The look-up *by sample*: each linear weight has factors of its own.

    Attributes
    ----------
    pairs : Tensor of shape (B, C)
        Sum of <v, v'> x x' over the pairs of entries, with the factors of each weight.
    """

    pairs: Tensor

    @classmethod
    def of(cls, pooled: PooledLookup) -> SampleLookup:
        """Return the look-up that sums over all factors make."""
        terms = pooled.sum.square() - pooled.sum_squares
        pairs = 0.5 * terms.view(*pooled.linear.shape, -1).sum(dim=2)
        return cls(pooled.linear, pooled.lengths, pairs)

    def leaves(self) -> list[Tensor]:
        return [self.linear, self.pairs]


@dataclass(slots=True)
class SlotLookup(Lookup):
    """Base class of look-ups that divide the entries of a row among slots.

    Attributes
    ----------
    slots : Tensor of shape (B, S, k)
        Sums of x v over the entries of each slot.
    """

    slots: Tensor

    def leaves(self) -> list[Tensor]:
        return [self.linear, self.slots]


@dataclass(slots=True)
class FieldLookup(SlotLookup):
    """Look-up by field: one slot for each field."""


@dataclass(slots=True)
class EntryLookup(SlotLookup):
    """Look-up by non-zero: one slot for each entry.

    S is the number of entries of the longest row. Shorter rows are padded with zeros.

    Attributes
    ----------
    columns : Tensor of shape (nnz,), int64
        Column of each entry, row by row.
    """

    columns: Tensor


@dataclass(slots=True)
class Groups:
    """Entries of a batch grouped by column: see `skfm.sparse.grouping`."""

    order: np.ndarray
    rows: np.ndarray
    distinct: np.ndarray
    bounds: np.ndarray

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Return the arrays as the kernels take them."""
        return self.distinct, self.bounds, self.order, self.rows


def equal_part(tensor: Tensor, number: int, n: int) -> Tensor:
    """Return one of n equal parts of the last axis of a tensor."""
    width = tensor.shape[-1] // n
    return tensor[..., number * width : (number + 1) * width]
