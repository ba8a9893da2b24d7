"""Comparisons of models and of what they are given."""

from .comparing import compare
from .comparison import Comparison

__all__ = ["Comparison", "compare"]
