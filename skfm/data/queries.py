"""Queries: the groups of rows that a ranker orders."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise

import numpy as np


@dataclass(slots=True)
class Queries:
    """The queries of a batch, whose rows are sorted by query and then by relevance.

    Attributes
    ----------
    starts : ndarray of shape (Q + 1,), int64
        Start of the rows of each query, and the number of rows.
    seed : int
        Seed of the random numbers that a loss draws.
    log_weight : ndarray of shape (B,) or None
        Logarithm of the weight by which each row is drawn; None: all weigh the same.
    """

    starts: np.ndarray
    seed: int = 0
    log_weight: np.ndarray | None = None

    def __len__(self) -> int:
        return len(self.starts) - 1

    def lengths(self) -> np.ndarray:
        """Return the number of rows of each query."""
        return np.diff(self.starts)

    def slice(self, start: int, stop: int) -> Queries:
        """Return the queries of rows ``start`` to ``stop``, which must not cut one."""
        first, last = np.searchsorted(self.starts, [start, stop])
        log_weight = None if self.log_weight is None else self.log_weight[start:stop]
        starts = self.starts[first : last + 1] - start
        return Queries(starts, self.seed + start, log_weight)

    def whole(self, parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Move the ends of consecutive parts of the rows to the next end of a query."""
        stops = np.array([stop for _, stop in parts])
        stops = np.unique(self.starts[np.searchsorted(self.starts, stops)])
        bounds = [0, *(int(stop) for stop in stops)]
        return list(pairwise(bounds))


def starts_of(sorted_ids: np.ndarray) -> np.ndarray:
    """Return the start of each run of equal elements, and the number of elements."""
    changes = np.flatnonzero(sorted_ids[1:] != sorted_ids[:-1]) + 1
    return np.concatenate([[0], changes, [len(sorted_ids)]])
