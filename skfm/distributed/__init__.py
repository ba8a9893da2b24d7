"""Fits of one estimator by several processes, on one machine or more.

Inside of ``with skfm.distributed.group():``, ``fit`` on a dataset is collective: every
process of the group calls it with the same arguments, and each gets the same fitted
estimator.
"""

from .groups import group, rank, world_size

__all__ = ["group", "rank", "world_size"]
