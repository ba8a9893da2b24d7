"""The order in which training sees the rows: all of them once an epoch, in batches."""

from __future__ import annotations

from typing import NamedTuple, Protocol

import numpy as np

from .batch import batch_bounds
from .queries import Queries, starts_of


class Draw(NamedTuple):
    """The rows of a batch, and their queries where rows are ranked.

    ``bounds`` are those of `skfm.data.labels.Labelled`.
    """

    rows: np.ndarray
    queries: Queries | None = None
    bounds: np.ndarray | None = None


class Shuffle(Protocol):
    """Cuts the training rows into batches, anew in every epoch."""

    rows: np.ndarray

    def epoch(self, rng: np.random.Generator) -> list[Draw]:
        """Return the batches of an epoch."""


class RowShuffle:
    """Batches of any rows.

    Parameters
    ----------
    rows : ndarray of int
    size : int
        Rows of a batch; all rows make one batch, in their order, if they fit.
    """

    def __init__(self, rows: np.ndarray, size: int) -> None:
        self.rows, self.size = rows, size

    def epoch(self, rng: np.random.Generator) -> list[Draw]:
        n = len(self.rows)
        order = self.rows if self.size >= n else rng.permutation(self.rows)
        return [Draw(order[lo:hi]) for lo, hi in batch_bounds(n, self.size)]


class QueryShuffle:
    """Batches of whole queries.

    A query of more rows than fit is cut at random into pieces, other ones in every
    epoch, and each piece is ranked by itself. A query of one row has nothing to rank
    and is left out.

    Parameters
    ----------
    rows : ndarray of int
    query, relevance : ndarray
        Query and relevance of each row.
    size : int
        Largest number of rows of a batch. All rows make one batch if they fit.
    longest : int
        Rows of a piece, at most.

    Raises
    ------
    ValueError
        If there is no query of several rows.
    """

    def __init__(
        self,
        rows: np.ndarray,
        query: np.ndarray,
        relevance: np.ndarray,
        size: int,
        longest: int,
    ) -> None:
        # From three on, no piece is of one row.
        self.size, self.longest = max(size, 3), max(min(size, longest), 3)
        rows = rows[np.lexsort((relevance[rows], query[rows]))]
        lengths = np.diff(starts_of(query[rows]))
        if lengths.max() < 2:
            raise ValueError(
                "every query to learn from has only one sample (row): there is nothing "
                "to rank. Is qid the query of each row?"
            )
        self.rows = rows[np.repeat(lengths > 1, lengths)]
        self.lengths = lengths[lengths > 1]

    def epoch(self, rng: np.random.Generator) -> list[Draw]:
        rows, lengths = self._pieces(rng)
        seeds = rng.integers(2**62, size=len(lengths))
        if len(rows) > self.size:
            rows, lengths = _shuffle_runs(rows, lengths, rng)
        starts = np.concatenate([[0], np.cumsum(lengths)])
        draws, first = [], 0
        while first < len(lengths):
            stop = np.searchsorted(starts, starts[first] + self.size, side="right") - 1
            lo, hi = starts[first], starts[stop]
            queries = Queries(starts[first : stop + 1] - lo, int(seeds[first]))
            draws.append(Draw(rows[lo:hi], queries))
            first = int(stop)
        return draws

    def _pieces(self, rng: np.random.Generator) -> tuple[np.ndarray, np.ndarray]:
        """Group rows by query, cut queries that are too long, and return lengths."""
        too_long = np.flatnonzero(self.lengths > self.longest)
        if len(too_long) == 0:
            return self.rows, self.lengths
        rows, ends = self.rows.copy(), np.cumsum(self.lengths)
        n_pieces = -(-self.lengths // self.longest)
        for query in too_long:
            length, n = self.lengths[query], n_pieces[query]
            piece = rng.permutation(np.arange(length) * n // length)
            span = slice(ends[query] - length, ends[query])
            # Stable, so that a piece too is sorted by relevance.
            rows[span] = rows[span][np.argsort(piece, kind="stable")]
        return rows, _piece_lengths(self.lengths, n_pieces)


def _piece_lengths(lengths: np.ndarray, n_pieces: np.ndarray) -> np.ndarray:
    """Lengths of the pieces ``i * n // length`` makes of each query."""
    length, n = np.repeat(lengths, n_pieces), np.repeat(n_pieces, n_pieces)
    piece = np.arange(len(n)) - np.repeat(np.cumsum(n_pieces) - n_pieces, n_pieces)
    # Element i is of piece p if i * n // length == p: from ceil(p length / n) on.
    return -(-(piece + 1) * length // n) + (-piece * length // n)


def _shuffle_runs(
    rows: np.ndarray, lengths: np.ndarray, rng: np.random.Generator
) -> tuple[np.ndarray, np.ndarray]:
    """Consecutive runs in another order, each run as it was."""
    order = rng.permutation(len(lengths))
    starts, shuffled = np.cumsum(lengths) - lengths, lengths[order]
    shift = starts[order] - (np.cumsum(shuffled) - shuffled)
    return rows[np.arange(len(rows)) + np.repeat(shift, shuffled)], shuffled
