"""The row source of positives, which makes their negatives in the training step.

A positive is a row of the table: a user, a context and the item that was chosen. Its
negatives are the same row with other items. Rows are joined, batch by batch, from the
entries of users and contexts and the entries of items.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..runtime.jit import kernel
from ..runtime.lazy import torch
from ..runtime.threads import ahead_of_time
from .batch import PREDICTION_BATCH, Batch
from .labels import Labelled, Labels
from .loader import Loader
from .memory import MemorySource, Part
from .negatives import Exposed, Unknown
from .queries import Queries
from .rows import Rows
from .source import Epoch, Reading
from .transfer import DeviceBatch, place_labels


@dataclass(frozen=True)
class Halves:
    """Entries of users and contexts, and entries of items, which rows are joined from.

    Attributes
    ----------
    contexts : CSR array of shape (n_rows, n_columns)
    items : CSR array of shape (n_items, n_columns)
    overlapping : bool, default=False
        Whether both may have entries in the same column, which are added.
    """

    contexts: Any
    items: Any
    overlapping: bool = False

    def join(self, rows: np.ndarray, items: np.ndarray, dtype: Any) -> Batch:
        """Join ``rows`` of contexts and, one for each, ``items``."""
        lengths, indptr = self.lengths, np.zeros(len(rows) + 1, np.int64)
        np.cumsum(lengths[0][rows] + lengths[1][items], out=indptr[1:])
        columns = np.empty(indptr[-1], np.int32)
        unit = self._is_unit and not self.overlapping
        values = np.empty(0 if unit else indptr[-1], dtype)
        halves = (*_arrays(self.contexts), *_arrays(self.items))
        _join(*halves, rows, items, indptr, columns, values)
        if not self.overlapping:
            return Batch(indptr, columns, values)
        shape = len(rows), self.items.shape[1]
        added = sp.csr_array((values, columns, indptr), shape=shape)
        added.sum_duplicates()
        columns = added.indices.astype(np.int32, copy=False)
        return Batch(added.indptr.astype(np.int64), columns, added.data)

    @property
    def parts(self) -> tuple[Any, Any]:
        """Both matrices."""
        return self.contexts, self.items

    # Every batch asks for what takes time in proportion to all entries.
    @cached_property
    def lengths(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of entries of each context, and of each item."""
        return np.diff(self.contexts.indptr), np.diff(self.items.indptr)

    @cached_property
    def _is_unit(self) -> bool:
        return all(bool((half.data == 1).all()) for half in self.parts)


def _arrays(half: Any) -> tuple[np.ndarray, ...]:
    return half.indptr, half.indices, half.data


@kernel
def _join(
    a_indptr,
    a_indices,
    a_data,
    b_indptr,
    b_indices,
    b_data,
    rows,
    items,
    indptr,
    columns,
    values,
):
    unit = values.shape[0] == 0
    for r in range(len(rows)):
        at = indptr[r]
        for p in range(a_indptr[rows[r]], a_indptr[rows[r] + 1]):
            columns[at] = a_indices[p]
            if not unit:
                values[at] = a_data[p]
            at += 1
        for p in range(b_indptr[items[r]], b_indptr[items[r] + 1]):
            columns[at] = b_indices[p]
            if not unit:
                values[at] = b_data[p]
            at += 1


@dataclass(frozen=True)
class Positives:
    """Rows that were chosen, and what their negatives are drawn from.

    Attributes
    ----------
    halves : Halves
    users, items : ndarray of int64 of shape (n_rows,)
        User and item of each row.
    weight : ndarray of shape (n_rows,)
    sampler : Unknown or Exposed
    n_negatives : int
        Negatives of each row.
    dtype : {"float32", "float64"}
    """

    halves: Halves
    users: np.ndarray
    items: np.ndarray
    weight: np.ndarray
    sampler: Unknown | Exposed
    n_negatives: int
    dtype: str

    def batch(self, rows: np.ndarray, seed: int) -> tuple[Batch, Labels]:
        """Return rows with negatives before each, as a query of its own."""
        n = self.n_negatives
        items = np.empty((len(rows), n + 1), np.int64)
        items[:, :n] = self.sampler.draw(self.users[rows], n, seed)
        items[:, n] = self.items[rows]
        repeated = np.repeat(rows, n + 1)
        joined = self.halves.join(repeated, items.ravel(), self.dtype)
        target = np.zeros((len(rows), n + 1), self.dtype)
        target[:, n] = 1
        log_weight = self.sampler.log_weight()
        queries = Queries(
            np.arange(len(rows) + 1) * (n + 1),
            seed,
            None if log_weight is None else log_weight[items.ravel()],
        )
        weight = self.weight[repeated].astype(self.dtype)
        labels = Labels(
            torch.from_numpy(target.ravel()), torch.from_numpy(weight), queries
        )
        return joined, labels

    def against(self, rows: np.ndarray, n_others: int, seed: int) -> Part:
        """Return rows beside ``n_others`` negatives of each of their users.

        A query is a user. The negatives have the context of the user's first row.
        """
        users, firsts = np.unique(self.users[rows], return_index=True)
        drawn = self.sampler.draw(users, n_others, seed)
        contexts = np.concatenate([rows, np.repeat(rows[firsts], n_others)])
        items = np.concatenate([self.items[rows], drawn.ravel()])
        joined = self.halves.join(contexts, items, self.dtype)
        values = joined.values if len(joined.values) else np.ones(len(joined.columns))
        shape = (len(contexts), self.halves.items.shape[1])
        csr = sp.csr_array((values, joined.columns, joined.indptr), shape=shape)
        csr.sort_indices()
        target = (np.arange(len(contexts)) < len(rows)).astype(self.dtype)
        weight = self.weight[contexts].astype(self.dtype)
        labels = Labels(torch.from_numpy(target), torch.from_numpy(weight))
        chosen = np.arange(len(contexts))
        return Part(Rows(csr, self.dtype), labels, chosen, self.users[contexts])


class SampledSource:
    """Row source of positives, which makes their negatives anew in each epoch.

    Parameters
    ----------
    positives : Positives
    chosen : ndarray of int
        The rows to learn from.
    held_out : Part or None
        Rows to stop on.
    """

    def __init__(
        self, positives: Positives, chosen: np.ndarray, held_out: Part | None
    ) -> None:
        self._positives, self._chosen, self._held_out = positives, chosen, held_out
        self.n_columns = int(positives.halves.items.shape[1])
        self.n_rows = len(chosen) * (1 + positives.n_negatives)
        self.has_held_out = held_out is not None
        lengths = positives.halves.lengths
        # Of overlapping halves, at most so many.
        self._lengths = lengths[0] + lengths[1][positives.items]

    def longest(self) -> int:
        lengths = self._positives.halves.lengths
        return int(sum(part.max(initial=0) for part in lengths))

    def mean_length(self) -> float:
        return float(self._lengths.mean())

    def mean_pairs(self) -> float:
        lengths = self._lengths[self._chosen].astype(np.float64)
        weight = self._positives.weight[self._chosen]
        return float(np.average(lengths * (lengths - 1) / 2, weights=weight))

    def weighty(self) -> Iterator[Batch]:
        positives = self._positives
        chosen = self._chosen[positives.weight[self._chosen] > 0]
        for start in range(0, len(chosen), PREDICTION_BATCH):
            rows = chosen[start : start + PREDICTION_BATCH]
            yield positives.halves.join(rows, positives.items[rows], positives.dtype)

    def sample(self, n_rows: int) -> Labelled:
        if self._held_out is not None:
            return MemorySource(self._held_out).sample(n_rows)
        n = max(1, n_rows // (1 + self._positives.n_negatives))
        return Labelled(*self._positives.batch(self._chosen[:n], 0))

    def held_out_query(self) -> np.ndarray:
        assert self._held_out is not None
        return self._held_out.query

    def feed(self, reading: Reading) -> SampledFeed:
        return SampledFeed(self._positives, self._chosen, self._held_out, reading)

    def origins(self) -> Iterator[Any]:
        positives = self._positives
        yield from (self._chosen, positives.users, positives.items, positives.weight)
        yield positives.n_negatives, positives.dtype, type(positives.sampler).__name__
        for part in (*positives.halves.parts, positives.sampler):
            yield from (v for v in vars(part).values() if isinstance(v, np.ndarray))
        for half in positives.halves.parts:
            yield from _arrays(half)
        if self._held_out is not None:
            yield from self._held_out.origins()


class SampledFeed:
    """The batches of a `SampledSource`."""

    def __init__(
        self,
        positives: Positives,
        chosen: np.ndarray,
        held_out: Part | None,
        reading: Reading,
    ) -> None:
        self._positives, self._chosen, self._reading = positives, chosen, reading
        self.mean_weight = float(positives.weight[chosen].mean())
        self._size = max(1, reading.batch_size // (1 + positives.n_negatives))
        self._held_out, self._loader = held_out, None
        if held_out is not None:
            self._loader = Loader(held_out.rows, held_out.labels, reading)

    def epoch(self, rng: np.random.Generator, n_threads: int) -> Epoch:
        order = rng.permutation(self._chosen)
        parts = np.array_split(order, max(1, round(len(order) / self._size)))
        seeds = rng.integers(2**62, size=len(parts))
        draws = list(zip(parts, seeds.tolist(), strict=True))
        early = n_threads > 1 and len(draws) > 1
        made = (ahead_of_time if early else map)(self._make, draws)
        return Epoch(len(draws), map(self._placed, made))

    def _make(self, draw: tuple[np.ndarray, int]) -> Labelled:
        joined, labels = self._positives.batch(*draw)
        batch = self._reading.prepare(joined)
        return Labelled(batch, labels, self._reading.reader.group(batch))

    def _placed(self, given: Labelled) -> Labelled:
        batch = self._reading.reader.place(given.batch)
        return Labelled(batch, place_labels(given.labels, batch), given.groups)

    def first(self) -> Batch | DeviceBatch:
        few = max(1, PREDICTION_BATCH // (1 + self._positives.n_negatives))
        return self._placed(self._make((self._chosen[:few], 0))).batch

    def held_out(self, n_threads: int) -> Iterator[Labelled]:
        assert self._held_out is not None
        assert self._loader is not None
        n_rows = len(self._held_out.chosen)
        for start in range(0, n_rows, PREDICTION_BATCH):
            rows = np.arange(start, min(start + PREDICTION_BATCH, n_rows))
            yield self._loader.take(rows, n_threads)
