"""Metrics of rankings: a number for each query, and their mean."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from .queries import starts_of


@dataclass(frozen=True, slots=True)
class Ranked:
    """The ranked rows of some queries, and what could have been ranked.

    Attributes
    ----------
    gains : ndarray of shape (n,)
        Relevance of the rows, query by query, the best rank first.
    starts : ndarray of shape (Q + 1,)
        Start of the rows of each query, and the number of rows.
    relevant : ndarray of shape (m,)
        The relevances above zero of each query, the largest first, ranked or not.
    n_relevant : ndarray of shape (Q,)
        Their number.
    shared : ndarray of shape (n,) or None
        The gains, where rows of equal scores share those of their ranks; None: no
        scores are equal.
    """

    gains: np.ndarray
    starts: np.ndarray
    relevant: np.ndarray
    n_relevant: np.ndarray
    shared: np.ndarray | None = None

    @classmethod
    def of_rows(
        cls, scores: np.ndarray, relevance: np.ndarray, query: np.ndarray
    ) -> Ranked:
        """Rank rows by their scores, the less relevant first where these are equal.

        A model that cannot tell rows apart gets no credit for their order.
        """
        order = np.lexsort((relevance, -scores, query))
        gains, starts = relevance[order], starts_of(query[order])
        best = np.lexsort((-relevance, query))
        positive = relevance[best] > 0
        n_relevant = np.add.reduceat(positive, starts[:-1], dtype=np.int64)
        shared = _share(gains, scores[order], starts)
        return cls(gains, starts, relevance[best][positive], n_relevant, shared)

    @property
    def ranks(self) -> np.ndarray:
        """Rank of each row in its query, from 0 on."""
        return _positions(self.starts)

    def sums(self, values: np.ndarray) -> np.ndarray:
        """Sum values of the rows over each query, which may have no rows."""
        full = np.diff(self.starts) > 0
        summed = np.zeros(len(full))
        if full.any():
            summed[full] = np.add.reduceat(values, self.starts[:-1][full], dtype="f8")
        return summed


def _positions(starts: np.ndarray) -> np.ndarray:
    return np.arange(starts[-1]) - np.repeat(starts[:-1], np.diff(starts))


def _share(gains: np.ndarray, scores: np.ndarray, starts: np.ndarray) -> np.ndarray:
    changes = np.ones(len(gains), np.bool_)
    changes[1:] = scores[1:] != scores[:-1]
    changes[starts[:-1]] = True
    runs = np.flatnonzero(changes)
    lengths = np.diff(np.append(runs, len(gains)))
    shared: np.ndarray = np.repeat(np.add.reduceat(gains, runs) / lengths, lengths)
    return shared


def discounts(starts: np.ndarray) -> np.ndarray:
    """1 / log2(rank + 1) of rows sorted by query and rank."""
    return 1 / np.log2(_positions(starts) + 2)


def _within(ranked: Ranked, at: int | None) -> np.ndarray:
    """Return whether each row is among the first ``at`` rows of its query."""
    ranks = ranked.ranks
    return np.ones(len(ranks), np.bool_) if at is None else ranks < at


def _hits(ranked: Ranked, at: int | None) -> np.ndarray:
    """Return whether each row is relevant and among the first ``at`` of its query."""
    return (ranked.gains > 0) & _within(ranked, at)


def _ndcg(ranked: Ranked, at: int | None) -> np.ndarray:
    gains = ranked.gains if ranked.shared is None else ranked.shared
    gained = ranked.sums(gains * discounts(ranked.starts) * _within(ranked, at))
    starts = np.concatenate([[0], np.cumsum(ranked.n_relevant)])
    ideal = Ranked(ranked.relevant, starts, ranked.relevant, ranked.n_relevant)
    best = ideal.sums(ideal.gains * discounts(starts) * _within(ideal, at))
    return gained / np.where(best > 0, best, 1)


def _precision(ranked: Ranked, at: int | None) -> np.ndarray:
    return ranked.sums(_hits(ranked, at)) / (
        at or np.maximum(np.diff(ranked.starts), 1)
    )


def _recall(ranked: Ranked, at: int | None) -> np.ndarray:
    return ranked.sums(_hits(ranked, at)) / np.maximum(ranked.n_relevant, 1)


def _hit_rate(ranked: Ranked, at: int | None) -> np.ndarray:
    return (ranked.sums(_hits(ranked, at)) > 0).astype(np.float64)


def _average_precision(ranked: Ranked, at: int | None) -> np.ndarray:
    hits = _hits(ranked, at)
    before = np.concatenate([[0], np.cumsum(hits)])
    so_far = before[1:] - np.repeat(before[ranked.starts[:-1]], np.diff(ranked.starts))
    possible = np.minimum(ranked.n_relevant, at or np.iinfo(np.int64).max)
    return ranked.sums(hits * so_far / (ranked.ranks + 1)) / np.maximum(possible, 1)


def _reciprocal_rank(ranked: Ranked, at: int | None) -> np.ndarray:
    hits = np.flatnonzero(_hits(ranked, at))
    found = np.zeros(len(ranked.n_relevant))
    query = np.searchsorted(ranked.starts, hits, side="right") - 1
    queries, firsts = np.unique(query, return_index=True)
    found[queries] = 1 / (ranked.ranks[hits[firsts]] + 1)
    return found


#: Metrics by name: (ranked, at) to a number for each query; ``at`` None: all ranks.
RANK_METRICS: dict[str, Callable[[Ranked, int | None], np.ndarray]] = {
    "ndcg": _ndcg,
    "map": _average_precision,
    "mrr": _reciprocal_rank,
    "recall": _recall,
    "precision": _precision,
    "hit_rate": _hit_rate,
}


def mean_metric(
    name: str,
    scores: np.ndarray,
    relevance: np.ndarray,
    query: np.ndarray,
    weight: np.ndarray,
    at: int | None,
) -> float:
    """Compute the mean of a metric over the queries.

    A query without relevance above zero does not count.

    Parameters
    ----------
    name : str
        A key of `RANK_METRICS`.
    scores, relevance, query, weight : ndarray of shape (n,)
        A query weighs the mean of its rows' weights.
    at : int or None
        Number of ranks that count; None: all.

    Returns
    -------
    float
        NaN where no query counts.
    """
    ranked = Ranked.of_rows(scores, relevance, query)
    order = np.argsort(query, kind="stable")
    share = ranked.sums(weight[order]) / np.diff(ranked.starts)
    share = share * (ranked.n_relevant > 0)
    if share.sum() == 0:
        return float("nan")
    return float(np.average(RANK_METRICS[name](ranked, at), weights=share))
