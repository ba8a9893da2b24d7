"""The sparse embedding engine: lookups and row-sparse gradients."""

from .gradients import RowGradient
from .lookup import Groups, Lookup
from .rows import ColumnRows
from .table import EmbeddingTable

__all__ = [
    "ColumnRows",
    "EmbeddingTable",
    "Groups",
    "Lookup",
    "RowGradient",
]
