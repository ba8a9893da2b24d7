"""What is read of a table for a batch, and a batch's entries by column."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from torch import Tensor


@dataclass(slots=True)
class Lookup:
    """What a network reads of a batch: the leaves of the dense graph.

    Attributes
    ----------
    linear : Tensor of shape (B, C)
        Sum of x w.
    sum, sum_squares : Tensor of shape (B, k), or None
        Sum of x v and of (x v)^2, element-wise: the *pooled* lookup. With
        "pooled_total" the squares are summed over the factors too: (B, 1).
    slots : Tensor of shape (B, S, k), or None
        Sum of x v *by field* (S fields), or the x v of each *non-zero* (S the longest
        row), padded with zeros.
    lengths : Tensor of shape (B,), int64
        Number of entries of each row.
    columns : Tensor of shape (nnz,), int64, or None
        The column of each entry, row by row; with the *by non-zero* lookup only.
    """

    linear: Tensor
    sum: Tensor | None
    sum_squares: Tensor | None
    slots: Tensor | None
    lengths: Tensor
    columns: Tensor | None = None

    def leaves(self) -> list[Tensor]:
        """The tensors that gradients arrive at."""
        parts = (self.linear, self.sum, self.sum_squares, self.slots)
        return [part for part in parts if part is not None]

    def pooled_rows(self, start: int, stop: int) -> Lookup:
        """Rows of a pooled lookup, as views."""
        assert self.sum is not None
        assert self.sum_squares is not None
        rows = slice(start, stop)
        return Lookup(
            *(self.linear[rows], self.sum[rows], self.sum_squares[rows]),
            *(None, self.lengths[rows]),
        )

    def collect_gradients(self, *, frozen: bool = False) -> Lookup:
        """Make the leaves collect gradients; ``frozen``, the linear part alone."""
        for leaf in [self.linear] if frozen else self.leaves():
            leaf.requires_grad_()
        return self


@dataclass(slots=True)
class Groups:
    """A batch's entries grouped by column (see `kernels.group`)."""

    order: np.ndarray
    rows: np.ndarray
    distinct: np.ndarray
    bounds: np.ndarray

    def arrays(self) -> tuple[np.ndarray, ...]:
        """The arrays as the kernels take them."""
        return self.distinct, self.bounds, self.order, self.rows
