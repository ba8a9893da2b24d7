"""Per-row losses of raw scores, each with its link and its starting scores."""

from __future__ import annotations

from typing import ClassVar, Protocol

import numpy as np
import torch
from scipy.special import expit, softmax
from torch import Tensor
from torch.nn import functional as F

#: Probabilities stay this far from 0 and 1, so that a log loss is finite.
_PROBABILITY_FLOOR = np.finfo(np.float64).eps


class Loss(Protocol):
    """What training asks of a loss.

    Raw scores have shape (B, C). ``target_dtype`` is "float" (targets of the network's
    dtype) or "int" (class numbers).
    """

    target_dtype: ClassVar[str]

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        """Loss of each row, shape (B,)."""

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """The best constant scores, shape (C,): where the bias starts."""

    def link(self, scores: np.ndarray) -> np.ndarray:
        """From float64 raw scores (n, C) to predictions or probabilities."""


class BinaryLogLoss:
    """log(1 + exp(s)) - y s, for y in {0, 1}; the link gives both classes' columns."""

    target_dtype: ClassVar[str] = "float"

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(
            scores[:, 0], target, reduction="none"
        )

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        p = np.average(target, weights=weight)
        p = np.clip(p, _PROBABILITY_FLOOR, 1 - _PROBABILITY_FLOOR)
        return np.array([np.log(p / (1 - p))])

    def link(self, scores: np.ndarray) -> np.ndarray:
        positive = np.clip(
            expit(scores[:, 0]), _PROBABILITY_FLOOR, 1 - _PROBABILITY_FLOOR
        )
        return np.column_stack([1 - positive, positive])


class MultinomialLogLoss:
    """-log softmax(s)_y, for y in 0..C-1.

    Parameters
    ----------
    n_classes : int
    """

    target_dtype: ClassVar[str] = "int"

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(scores, target, reduction="none")

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        share = np.bincount(target, weights=weight, minlength=self.n_classes)
        log_share = np.log(np.maximum(share / share.sum(), _PROBABILITY_FLOOR))
        centred: np.ndarray = log_share - log_share.mean()
        return centred

    def link(self, scores: np.ndarray) -> np.ndarray:
        p = np.maximum(softmax(scores, axis=1), _PROBABILITY_FLOOR)
        normed: np.ndarray = p / p.sum(axis=1, keepdims=True)
        return normed


class SquaredError:
    """Half the squared error, averaged over the outputs; the identity as link."""

    target_dtype: ClassVar[str] = "float"

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        return 0.5 * (scores - target.reshape(scores.shape)).square().mean(dim=1)

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.atleast_1d(np.average(target, axis=0, weights=weight))

    def link(self, scores: np.ndarray) -> np.ndarray:
        return scores


def as_target(loss: Loss, target: np.ndarray, dtype: torch.dtype) -> Tensor:
    """Encoded targets as the tensor that ``loss`` takes, never sharing memory."""
    if loss.target_dtype == "int":
        return torch.from_numpy(target.astype(np.int64))
    return torch.from_numpy(np.array(target, np.float64)).to(dtype)
