"""Rows of numbers, one for each column of X, in the layout of the fastest look-up."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.transfer import torch_dtype
from ..runtime.lazy import torch
from ..runtime.memory import zeros

if TYPE_CHECKING:
    from torch import Tensor


class ColumnRows:
    """A matrix (n_columns, C + k) whose first C columns are stored apart.

    The length k of an embedding is usually a power of two. Embeddings then fill whole
    cache lines, while a row that also held the linear weights would straddle one more.
    Read and write rows by index, ``rows[columns]``, or through `linear` and `factors`.

    Parameters
    ----------
    factors : Tensor of shape (n_columns, k)
        Embedding of each column.
    linear : Tensor of shape (n_columns, C)
        Linear weights of each column.
    """

    def __init__(self, factors: Tensor, linear: Tensor) -> None:
        self.factors, self.linear = factors, linear

    @classmethod
    def zeros(
        cls,
        shape: tuple[int, int],
        n_linear: int,
        dtype: np.dtype[Any],
        *,
        place: int,
        device: torch.device | str = "cpu",
    ) -> ColumnRows:
        """Allocate rows of zeros; `skfm.runtime.memory.zeros` explains ``place``."""
        n_columns, width = shape
        shapes = [(n_columns, width - n_linear), (n_columns, n_linear)]
        if torch.device(device).type != "cpu":
            kind = torch_dtype(dtype)
            return cls(*(torch.zeros(s, dtype=kind, device=device) for s in shapes))
        arrays = (zeros(s, dtype, place=2 * place + i) for i, s in enumerate(shapes))
        return cls(*map(torch.from_numpy, arrays))

    @property
    def shape(self) -> tuple[int, int]:
        return self.factors.shape[0], self.linear.shape[1] + self.factors.shape[1]

    @property
    def dtype(self) -> torch.dtype:
        return self.factors.dtype

    @property
    def device(self) -> torch.device:
        return self.factors.device

    def tensors(self) -> list[Tensor]:
        """Return the stored tensors."""
        return [self.factors, self.linear]

    def linear_part(self) -> ColumnRows:
        """Return the rows without factors, in the same memory."""
        return ColumnRows(self.factors[:, :0], self.linear)

    def host(self) -> tuple[np.ndarray, np.ndarray]:
        """Return the stored arrays as the kernels take them, on the CPU only."""
        return self.factors.numpy(), self.linear.numpy()

    def __getitem__(self, columns: Tensor | slice) -> Tensor:
        return torch.cat([self.linear[columns], self.factors[columns]], dim=1)

    def __setitem__(self, columns: Tensor | slice, rows: Tensor) -> None:
        n_linear = self.linear.shape[1]
        self.linear[columns] = rows[:, :n_linear]
        self.factors[columns] = rows[:, n_linear:]
