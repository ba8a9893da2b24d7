"""Fits of one estimator by several processes, on one machine or more.

Inside of ``with skfm.distributed.group():``, ``fit`` on a dataset is collective: every
process of the group calls it with the same arguments, and each gets the same fitted
estimator.
"""

from .dask_cluster import run_on_dask
from .groups import group, rank, world_size

__all__ = ["group", "rank", "run_on_dask", "world_size"]
