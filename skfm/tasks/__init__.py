"""Tasks: what y means, which loss, and how raw scores are read."""

from .classifier import Classifier
from .ranker import Ranker
from .regressor import Regressor

__all__ = ["Classifier", "Ranker", "Regressor"]
