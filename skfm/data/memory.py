"""The row source of a CSR matrix in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, NamedTuple

import numpy as np

from ..runtime.lazy import torch
from .batch import PREDICTION_BATCH, Batch, batch_bounds
from .labels import Labelled, Labels
from .loader import Loader
from .rows import Rows
from .sampler import QueryShuffle, RowShuffle, Shuffle
from .source import Epoch, Reading
from .transfer import DeviceBatch

_NO_QUERIES = np.empty(0, np.int64)


class Part(NamedTuple):
    """Some rows of a matrix.

    Attributes
    ----------
    rows : Rows
    labels : Labels
        Labels of all rows of the matrix.
    chosen : ndarray of int
        Numbers of the rows that count.
    query : ndarray of shape (n_rows,) or (0,), int
        The query of each row of the matrix; empty where rows are not ranked.
    """

    rows: Rows
    labels: Labels
    chosen: np.ndarray
    query: np.ndarray = _NO_QUERIES

    @property
    def weight(self) -> np.ndarray:
        """Weights of all rows of the matrix."""
        weight: np.ndarray = self.labels.weight.numpy()
        return weight

    def weighty(self) -> np.ndarray:
        """Return the rows that count and whose weight is above zero."""
        return self.chosen[self.weight[self.chosen] > 0]

    def origins(self) -> Iterator[Any]:
        """Yield what determines batches of the matrix."""
        rows, labels = self.rows, self.labels
        yield from (rows.n_columns, rows.indptr, rows.indices, rows.data, rows.dtype)
        yield from (labels.target, labels.weight, self.query, rows.mean_fields)


class MemorySource:
    """Rows of a matrix, and held-out rows of it or of another one.

    Parameters
    ----------
    train : Part
        The rows to learn from.
    held_out : Part or None
        The rows to stop on; of the same ``rows`` object if of the same matrix.
    """

    def __init__(self, train: Part, held_out: Part | None = None) -> None:
        self._train, self._held_out = train, held_out
        self.n_columns, self.n_rows = train.rows.n_columns, len(train.chosen)
        self.has_held_out = held_out is not None

    def longest(self) -> int:
        return self._train.rows.longest()

    def mean_length(self) -> float:
        return self._train.rows.mean_length()

    def mean_pairs(self) -> float:
        train = self._train
        return train.rows.mean_pairs(train.chosen, train.weight)

    def weighty(self) -> Iterator[Batch]:
        return self._train.rows.batches(self._train.weighty())

    def whole(self) -> MemorySource:
        """Return the rows to learn from together with those held out of the matrix."""
        train, other = self._train, self._held_out
        if other is None or other.rows is not train.rows:
            return self
        chosen = np.sort(np.concatenate([train.chosen, other.chosen]))
        return MemorySource(train._replace(chosen=chosen))

    def sample(self, n_rows: int) -> Labelled:
        part = self._held_out or self._train
        chosen = some(part.weighty(), n_rows)
        return Labelled(part.rows.take(chosen), part.labels.take(chosen))

    def held_out_query(self) -> np.ndarray:
        part = self._held_out or self._train
        return part.query[part.chosen]

    def feed(self, reading: Reading) -> MemoryFeed:
        return MemoryFeed(self._train, self._held_out, reading)

    def origins(self) -> Iterator[Any]:
        train, held_out = self._train, self._held_out
        yield train.chosen
        if held_out is not None:
            yield held_out.chosen
        yield from train.origins()
        if held_out is not None and held_out.rows is not train.rows:
            yield from held_out.origins()


class MemoryFeed:
    """The batches of a `MemorySource`.

    Parameters
    ----------
    train : Part
    held_out : Part or None
    reading : Reading

    Raises
    ------
    ValueError
        If rows are to be ranked and there is no query of several rows.
    """

    def __init__(self, train: Part, held_out: Part | None, reading: Reading) -> None:
        self._loader = Loader(train.rows, train.labels, reading)
        self._shuffle = _shuffle(train, reading)
        self._first = train.chosen[:PREDICTION_BATCH]
        learnt = torch.from_numpy(self._shuffle.rows)
        self.mean_weight = float(train.labels.weight[learnt].mean())
        self._held_out, self._held_out_loader = held_out or train, self._loader
        if held_out is not None and held_out.rows is not train.rows:
            self._held_out_loader = Loader(held_out.rows, held_out.labels, reading)

    def epoch(self, rng: np.random.Generator, n_threads: int) -> Epoch:
        draws = self._shuffle.epoch(rng)
        return Epoch(len(draws), self._loader.batches(draws, n_threads))

    def first(self) -> Batch | DeviceBatch:
        return self._loader.take(self._first).batch

    def held_out(self, n_threads: int) -> Iterator[Labelled]:
        chosen = self._held_out.chosen
        for lo, hi in batch_bounds(len(chosen), PREDICTION_BATCH):
            yield self._held_out_loader.take(chosen[lo:hi], n_threads)


def some(chosen: np.ndarray, n: int) -> np.ndarray:
    """Draw at most ``n`` of some ascending numbers, always the same ones."""
    if len(chosen) <= n:
        return chosen
    picked = np.random.default_rng(0).choice(len(chosen), n, replace=False)
    return chosen[np.sort(picked)]


def _shuffle(part: Part, reading: Reading) -> Shuffle:
    if not len(part.query):
        return RowShuffle(part.chosen, reading.batch_size)
    return QueryShuffle(
        part.chosen,
        part.query,
        part.labels.target.numpy(),
        reading.batch_size,
        reading.longest_query,
    )
