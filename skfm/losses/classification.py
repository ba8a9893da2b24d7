"""Losses of classifiers: log loss and hinge, for one label of two, of many, or several.

Targets are 0 or 1 where a label is present or not, class numbers for many classes.
"""

from __future__ import annotations

from typing import ClassVar

import numpy as np
from scipy.special import expit, logit, softmax
from torch import Tensor
from torch.nn import functional as F

from .base import ElementwiseLoss, Loss

#: Probabilities stay this far from 0 and 1, so that a log loss is finite.
_PROBABILITY_FLOOR = np.finfo(np.float64).eps


def _clip(probability: np.ndarray) -> np.ndarray:
    # np.clip takes five times as long for a single row.
    above = np.maximum(probability, _PROBABILITY_FLOOR)
    clipped: np.ndarray = np.minimum(above, 1 - _PROBABILITY_FLOOR)
    return clipped


class MultilabelLogLoss(ElementwiseLoss):
    """log(1 + exp(s)) - y s for each label, y in {0, 1}, averaged over the labels."""

    gives_probabilities: ClassVar[bool] = True

    def elements(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(scores, target, reduction="none")

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        share = np.atleast_1d(np.average(target, axis=0, weights=weight))
        log_odds: np.ndarray = logit(_clip(share))
        return log_odds

    def link(self, scores: np.ndarray) -> np.ndarray:
        return _clip(expit(scores))


class BinaryLogLoss(MultilabelLogLoss):
    """log(1 + exp(s)) - y s, for y in {0, 1}; the link gives both classes' columns."""

    def link(self, scores: np.ndarray) -> np.ndarray:
        positive = super().link(scores[:, 0])
        proba = np.empty((len(positive), 2), positive.dtype)
        proba[:, 0], proba[:, 1] = 1 - positive, positive
        return proba


class MultinomialLogLoss(Loss):
    """-log softmax(s)_y, for y in 0..C-1.

    Parameters
    ----------
    n_classes : int
    """

    target_dtype: ClassVar[str] = "int"
    gives_probabilities: ClassVar[bool] = True

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


class Hinge(ElementwiseLoss):
    """max(0, 1 - t s), t = 2 y - 1, for y in {0, 1}; averaged over several labels."""

    def elements(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.relu(1 - (2 * target - 1) * scores)

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        share = np.atleast_1d(np.average(target, axis=0, weights=weight))
        side: np.ndarray = np.sign(share - 0.5)
        return side


class MultinomialHinge(Loss):
    """max(0, 1 + max_{c != y} s_c - s_y), for y in 0..C-1 (Crammer & Singer, 2001).

    Parameters
    ----------
    n_classes : int
    """

    target_dtype: ClassVar[str] = "int"

    def __init__(self, n_classes: int) -> None:
        self.n_classes = n_classes

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        own = scores.gather(1, target[:, None])
        others = scores.scatter(1, target[:, None], -np.inf)
        return F.relu(1 + others.amax(dim=1) - own[:, 0])

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        share = np.bincount(target, weights=weight, minlength=self.n_classes)
        # A margin for a class pays only where it has more than half of the weight.
        return np.where(share > 0.5 * share.sum(), 1.0, 0.0)
