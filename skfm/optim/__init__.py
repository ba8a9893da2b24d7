"""Optimizers of table rows and of dense weights, and learning-rate schedules."""

from .dense_adam import DenseAdam
from .row_optimizers import OPTIMIZERS, RowOptimizer, n_tables
from .schedules import Schedule

__all__ = ["OPTIMIZERS", "DenseAdam", "RowOptimizer", "Schedule", "n_tables"]
