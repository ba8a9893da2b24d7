"""Comparison of models on sets of features."""

from .comparing import compare
from .comparison import Comparison

__all__ = ["Comparison", "compare"]
