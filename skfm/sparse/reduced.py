"""Gradient of some rows of a table, which is summed over the batch already."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..runtime.lazy import torch
from .kernels import rounded

if TYPE_CHECKING:
    from torch import Tensor

_NONE = np.empty(0, np.int32)


@dataclass(slots=True)
class ReducedGradient:
    """Gradient that is reduced by column; see `skfm.sparse.gradients.RowGradient`.

    Attributes
    ----------
    distinct : ndarray of int32 of shape (U,)
        Columns, ascending.
    rows : ndarray of shape (U, at least `width`)
        [factors | linear weights | sum of ``share * abs(x)`` or 0 | 0 ...] of each.
    n_factors, n_linear : int
    n_threads : int
    """

    distinct: np.ndarray
    rows: np.ndarray
    n_factors: int
    n_linear: int
    n_threads: int = 1

    @staticmethod
    def width(n_factors: int, n_linear: int) -> int:
        """Return the width of ``rows`` that the kernels read fastest."""
        return rounded(n_factors + n_linear + 2)

    def columns(self) -> Tensor:
        """Return the distinct columns, shape (U,)."""
        return torch.from_numpy(self.distinct.astype(np.int64))

    def absolute_shares(self) -> Tensor:
        """Return the sums of ``share * abs(x)``, (U,)."""
        at = self.n_factors + self.n_linear
        return torch.from_numpy(self.rows[:, at].copy())

    def coalesce(self) -> tuple[Tensor, Tensor]:
        """Return the distinct columns (U,), and their gradients (U, C + k)."""
        k, end = self.n_factors, self.n_factors + self.n_linear
        gradient = np.concatenate([self.rows[:, k:end], self.rows[:, :k]], axis=1)
        return self.columns(), torch.from_numpy(gradient)

    def parts(self) -> tuple[Any, ...]:
        """Return the tuple that the kernels take, as if a column had one entry."""
        n, dtype = len(self.distinct), self.rows.dtype
        each = np.arange(n + 1, dtype=np.int32)
        return (
            self.distinct,
            each,
            _NONE,
            each[:n],
            np.empty(0, np.int64),
            np.empty(0, dtype),
            self.rows,
            False,
            np.zeros((1, self.rows.shape[1]), dtype),
            np.empty((0, 0), dtype),
            0,
            _NONE,
        )
