"""Losses of scores to which a known offset is added."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..runtime.lazy import torch
from .base import Loss, as_target, best_constant

if TYPE_CHECKING:
    from torch import Tensor


class OffsetLoss(Loss):
    """A loss of the scores plus an offset of each row, which is no parameter.

    The offsets travel with the targets, in their first columns: ::

        per_row(scores, [offset, target]) = loss.per_row(scores + offset, target)

    so that nothing between the data and the loss has to know of them.

    Parameters
    ----------
    loss : Loss
        Loss of the sum.
    n_outputs : int
        Number C of raw scores per row.
    """

    def __init__(self, loss: Loss, n_outputs: int) -> None:
        self.loss, self.n_outputs = loss, n_outputs
        self.fixes_bias = loss.fixes_bias  # type: ignore[misc]

    def join(self, offset: np.ndarray, target: np.ndarray) -> np.ndarray:
        """Return encoded targets (n, C + T) from offsets (n, C) and targets (n, T)."""
        return np.column_stack([offset, target.reshape(len(target), -1)])

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        offset, own = target[:, : self.n_outputs], target[:, self.n_outputs :]
        own = own[:, 0] if own.shape[1] == 1 else own
        if self.loss.target_dtype == "int":
            own = own.long()
        return self.loss.per_row(scores + offset, own)

    def slopes(
        self, scores: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray] | None:
        offset, own = target[:, 0], target[:, 1:]
        return self.loss.slopes(scores + offset, own)

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Find the best constant scores beside the offsets."""
        encoded = as_target(self, target, torch.float64)
        offset, own = target[:, : self.n_outputs], target[:, self.n_outputs :]
        own = own[:, 0] if own.shape[1] == 1 else own
        if self.loss.target_dtype == "int":
            own = own.astype(np.int64)
        start = self.loss.baseline(own, weight)
        start = start - np.average(offset, axis=0, weights=weight)
        return best_constant(lambda s: self.per_row(s, encoded), start, weight)
