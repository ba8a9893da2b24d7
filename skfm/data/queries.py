"""Queries: the rows that are ranked among each other, and how good a ranking is."""

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
        Where each query's rows start, and the number of rows.
    seed : int
        Of what a loss draws.
    """

    starts: np.ndarray
    seed: int = 0

    def __len__(self) -> int:
        return len(self.starts) - 1

    def lengths(self) -> np.ndarray:
        """Return the number of rows of each query."""
        return np.diff(self.starts)

    def slice(self, start: int, stop: int) -> Queries:
        """Return the queries of the rows ``start`` to ``stop``, which cut none."""
        first, last = np.searchsorted(self.starts, [start, stop])
        return Queries(self.starts[first : last + 1] - start, self.seed + start)

    def whole(self, parts: list[tuple[int, int]]) -> list[tuple[int, int]]:
        """Consecutive parts of the rows, each moved to the next start of a query."""
        stops = np.array([stop for _, stop in parts])
        stops = np.unique(self.starts[np.searchsorted(self.starts, stops)])
        bounds = [0, *(int(stop) for stop in stops)]
        return list(pairwise(bounds))


def starts_of(sorted_ids: np.ndarray) -> np.ndarray:
    """Return the start of each run of equal elements, and the number of elements."""
    changes = np.flatnonzero(sorted_ids[1:] != sorted_ids[:-1]) + 1
    return np.concatenate([[0], changes, [len(sorted_ids)]])


def mean_ndcg(
    scores: np.ndarray,
    relevance: np.ndarray,
    query: np.ndarray,
    weight: np.ndarray,
    at: int | None,
) -> float:
    """Compute the mean normalised discounted cumulative gain of the queries.

    The gain is the relevance, the discount of rank r is 1 / log2(r + 1), equal scores
    share the gains of their ranks: as `sklearn.metrics.ndcg_score`. A query without
    relevance above zero has no NDCG and does not count.

    Parameters
    ----------
    scores, relevance, query, weight : ndarray of shape (n,)
        A query weighs the mean of its rows' weights.
    at : int or None
        Ranks that count; None: all.

    Returns
    -------
    float
        NaN where no query counts.
    """
    order = np.lexsort((-scores, query))
    starts = starts_of(query[order])
    gained = _discounted(relevance[order], starts, at, ties=scores[order])
    best = _discounted(relevance[np.lexsort((-relevance, query))], starts, at)
    share = np.add.reduceat(weight[order], starts[:-1]) / np.diff(starts)
    share *= best > 0
    if share.sum() == 0:
        return float("nan")
    return float(np.average(gained / np.where(best > 0, best, 1), weights=share))


def discounts(starts: np.ndarray) -> np.ndarray:
    """1 / log2(rank + 1) of rows sorted by query and rank."""
    rank = np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts))
    return 1 / np.log2(rank + 2)


def _discounted(
    gains: np.ndarray,
    starts: np.ndarray,
    at: int | None,
    ties: np.ndarray | None = None,
) -> np.ndarray:
    """Discounted cumulative gain of each query, from gains in the order of ranks."""
    discount = discounts(starts)
    if at is not None:
        rank = np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts))
        discount[rank >= at] = 0
    if ties is not None:
        changes = np.ones(len(ties), np.bool_)
        changes[1:] = ties[1:] != ties[:-1]
        changes[starts[:-1]] = True
        runs = np.flatnonzero(changes)
        lengths = np.diff(np.append(runs, len(ties)))
        gains = np.repeat(np.add.reduceat(gains, runs) / lengths, lengths)
    cumulated: np.ndarray = np.add.reduceat(gains * discount, starts[:-1])
    return cumulated
