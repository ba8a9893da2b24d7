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
from .reduced import ReducedGradient
from .rows import ColumnRows
from .shards import Excerpt, Shards
from .table import BACKENDS, EmbeddingTable
from .torch_backend import TorchBackend

__all__ = [
    "BACKENDS",
    "Backend",
    "ColumnRows",
    "EmbeddingTable",
    "EntryLookup",
    "Excerpt",
    "FieldLookup",
    "Groups",
    "KernelBackend",
    "Lookup",
    "PooledLookup",
    "ReducedGradient",
    "RowGradient",
    "SampleLookup",
    "Shards",
    "SlotLookup",
    "TorchBackend",
]
