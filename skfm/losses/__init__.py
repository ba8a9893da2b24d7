"""Losses of raw scores, each with its link, its valid targets and starting scores."""

from .base import CallableLoss, Loss, as_target, weighted_quantile
from .classification import (
    BinaryLogLoss,
    Hinge,
    MultilabelLogLoss,
    MultinomialHinge,
    MultinomialLogLoss,
)
from .ranking import LambdaLoss, ListwiseLoss, PairwiseLoss, RankingLoss
from .regression import (
    AbsoluteError,
    Huber,
    Quantile,
    SquaredError,
    Tweedie,
)

__all__ = [
    "AbsoluteError",
    "BinaryLogLoss",
    "CallableLoss",
    "Hinge",
    "Huber",
    "LambdaLoss",
    "ListwiseLoss",
    "Loss",
    "MultilabelLogLoss",
    "MultinomialHinge",
    "MultinomialLogLoss",
    "PairwiseLoss",
    "Quantile",
    "RankingLoss",
    "SquaredError",
    "Tweedie",
    "as_target",
    "weighted_quantile",
]
