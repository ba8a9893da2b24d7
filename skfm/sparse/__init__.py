"""The sparse embedding engine: lookups, row-sparse gradients and their optimizers."""

from .gradients import RowGradient
from .lookup import Groups, Lookup
from .optimizers import OPTIMIZERS, RowOptimizer
from .rows import ColumnRows
from .table import EmbeddingTable

__all__ = [
    "OPTIMIZERS",
    "ColumnRows",
    "EmbeddingTable",
    "Groups",
    "Lookup",
    "RowGradient",
    "RowOptimizer",
]
