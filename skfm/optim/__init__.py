"""Optimizers of tables and of dense weights, and schedules of learning rates."""

from .base import RowOptimizer
from .dense_adam import DenseAdam
from .row_optimizers import OPTIMIZERS, n_tables
from .schedules import Schedule

__all__ = ["OPTIMIZERS", "DenseAdam", "RowOptimizer", "Schedule", "n_tables"]
