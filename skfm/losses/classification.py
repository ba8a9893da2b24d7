"""Losses of classifiers: log loss and hinge loss.

Targets are 0 or 1 for two classes and for each label of an indicator matrix, and class
numbers for more than two classes.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar

import numpy as np
from scipy.special import expit, logit, logsumexp

from ..runtime.lazy import F
from .base import ElementwiseLoss, Loss
from .links import (
    BINARY_LOGIT,
    LOGIT,
    PROBABILITY_FLOOR,
    SOFTMAX,
    Link,
    clip_probability,
)
from .registry import register

if TYPE_CHECKING:
    from torch import Tensor


def _limit(scores: np.ndarray, n_rows: int) -> np.ndarray:
    """Limit log odds to those of half a row that was not seen among ``n_rows``."""
    most = np.log(2 * n_rows + 1)
    return np.clip(scores, -most, most)


@register("log_loss", "multilabel")
class MultilabelLogLoss(ElementwiseLoss):
    """Log loss log(1 + exp(s)) - y s, y in {0, 1}, averaged over the labels."""

    link: ClassVar[Link] = LOGIT

    def elements(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.binary_cross_entropy_with_logits(scores, target, reduction="none")

    def slopes(
        self, scores: np.ndarray, target: np.ndarray
    ) -> tuple[np.ndarray, np.ndarray]:
        target = target.reshape(scores.shape)
        return np.logaddexp(0, scores) - target * scores, expit(scores) - target

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        share = np.atleast_1d(np.average(target, axis=0, weights=weight))
        log_odds: np.ndarray = logit(clip_probability(share))
        return log_odds

    def cautious(self, baseline: np.ndarray, n_rows: int) -> np.ndarray:
        return _limit(baseline, n_rows)


@register("log_loss", "binary")
class BinaryLogLoss(MultilabelLogLoss):
    """Log loss log(1 + exp(s)) - y s, y in {0, 1}; its link returns two columns."""

    link: ClassVar[Link] = BINARY_LOGIT


@register("log_loss", "multiclass")
class MultinomialLogLoss(Loss):
    """Softmax loss -log softmax(s)_y, y in 0..C-1.

    Parameters
    ----------
    n_outputs : int
        Number of classes.
    """

    parameters: ClassVar[tuple[str, ...]] = ("n_outputs",)
    target_dtype: ClassVar[str] = "int"
    link: ClassVar[Link] = SOFTMAX

    def __init__(self, n_outputs: int) -> None:
        self.n_outputs = n_outputs

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.cross_entropy(scores, target, reduction="none")

    def host_per_row(self, scores: np.ndarray, target: np.ndarray) -> np.ndarray:
        own = scores[np.arange(len(scores)), target]
        losses: np.ndarray = logsumexp(scores, axis=1) - own
        return losses

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        share = np.bincount(target, weights=weight, minlength=self.n_outputs)
        log_share = np.log(np.maximum(share / share.sum(), PROBABILITY_FLOOR))
        centred: np.ndarray = log_share - log_share.mean()
        return centred

    def cautious(self, baseline: np.ndarray, n_rows: int) -> np.ndarray:
        return _limit(baseline, n_rows)


@register("hinge", "binary")
@register("hinge", "multilabel")
class Hinge(ElementwiseLoss):
    """Hinge loss max(0, 1 - t s), t = 2 y - 1, y in {0, 1}, averaged over labels."""

    def elements(self, scores: Tensor, target: Tensor) -> Tensor:
        return F.relu(1 - (2 * target - 1) * scores)

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        share = np.atleast_1d(np.average(target, axis=0, weights=weight))
        side: np.ndarray = np.sign(share - 0.5)
        return side


@register("hinge", "multiclass")
class MultinomialHinge(Loss):
    """Multiclass hinge loss (Crammer & Singer, 2001).

    The loss is max(0, 1 + max_{c != y} s_c - s_y), y in 0..C-1.

    Parameters
    ----------
    n_outputs : int
        Number of classes.
    """

    parameters: ClassVar[tuple[str, ...]] = ("n_outputs",)
    target_dtype: ClassVar[str] = "int"

    def __init__(self, n_outputs: int) -> None:
        self.n_outputs = n_outputs

    def per_row(self, scores: Tensor, target: Tensor) -> Tensor:
        own = scores.gather(1, target[:, None])
        others = scores.scatter(1, target[:, None], -np.inf)
        return F.relu(1 + others.amax(dim=1) - own[:, 0])

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        share = np.bincount(target, weights=weight, minlength=self.n_outputs)
        # A margin in favour of a class pays only if it has more than half the weight.
        return np.where(share > 0.5 * share.sum(), 1.0, 0.0)
