"""The sparse embedding engine: lookups, row-sparse gradients and their optimizers."""

from .optimizers import OPTIMIZERS, RowOptimizer
from .table import EmbeddingTable, Groups, Lookup, RowGradient

__all__ = [
    "OPTIMIZERS",
    "EmbeddingTable",
    "Groups",
    "Lookup",
    "RowGradient",
    "RowOptimizer",
]
