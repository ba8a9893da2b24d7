"""Comparison of models on sets of features, and splits of interactions."""

from .comparing import compare
from .comparison import Comparison
from .splitters import LastInteractionsSplit, TimeCutSplit

__all__ = ["Comparison", "LastInteractionsSplit", "TimeCutSplit", "compare"]
