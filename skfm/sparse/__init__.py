"""Sparse embedding engine: tables of weights, their look-ups, and row gradients."""

from .backend import Backend
from .gradients import RowGradient
from .kernel_backend import KernelBackend
from .lookup import (
    EntryLookup,
    FieldLookup,
    Groups,
    Lookup,
    PooledLookup,
    SampleLookup,
    SlotLookup,
)
from .rows import ColumnRows
from .table import BACKENDS, EmbeddingTable
from .torch_backend import TorchBackend

__all__ = [
    "BACKENDS",
    "Backend",
    "ColumnRows",
    "EmbeddingTable",
    "EntryLookup",
    "FieldLookup",
    "Groups",
    "KernelBackend",
    "Lookup",
    "PooledLookup",
    "RowGradient",
    "SampleLookup",
    "SlotLookup",
    "TorchBackend",
]
