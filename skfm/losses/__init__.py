"""Losses of raw scores, each with its link, its valid targets and starting scores."""

from .base import CallableLoss, Loss, as_target, weighted_quantile
from .classification import (
    BinaryLogLoss,
    Hinge,
    MultilabelLogLoss,
    MultinomialHinge,
    MultinomialLogLoss,
)
from .links import Link
from .offset import OffsetLoss
from .ranking import LambdaLoss, ListwiseLoss, PairwiseLoss, RankingLoss
from .registry import gives_probabilities, loss_class, loss_names, make_loss
from .regression import (
    AbsoluteError,
    Gamma,
    Huber,
    Poisson,
    Quantile,
    SquaredError,
    Tweedie,
)

__all__ = [
    "AbsoluteError",
    "BinaryLogLoss",
    "CallableLoss",
    "Gamma",
    "Hinge",
    "Huber",
    "LambdaLoss",
    "Link",
    "ListwiseLoss",
    "Loss",
    "MultilabelLogLoss",
    "MultinomialHinge",
    "MultinomialLogLoss",
    "OffsetLoss",
    "PairwiseLoss",
    "Poisson",
    "Quantile",
    "RankingLoss",
    "SquaredError",
    "Tweedie",
    "as_target",
    "gives_probabilities",
    "loss_class",
    "loss_names",
    "make_loss",
    "weighted_quantile",
]
