"""Displays in the manner of scikit-learn: ``from_...`` draws, ``plot`` draws again."""

from .attention import AttentionDisplay
from .chains import ChainsDisplay
from .comparison import ComparisonDisplay
from .contribution import ContributionDisplay
from .crosses import CrossesDisplay
from .curves import LossCurveDisplay
from .embedding import EmbeddingDisplay
from .interactions import FieldInteractionDisplay

__all__ = [
    "AttentionDisplay",
    "ChainsDisplay",
    "ComparisonDisplay",
    "ContributionDisplay",
    "CrossesDisplay",
    "EmbeddingDisplay",
    "FieldInteractionDisplay",
    "LossCurveDisplay",
]
