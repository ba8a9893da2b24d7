"""Row sources: the protocol by which training reads data, wherever the data are.

`skfm.data.memory.MemorySource` reads a CSR matrix in memory.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

import numpy as np

from ..distributed.lanes import Lanes
from .batch import Batch
from .labels import Labelled, Labels
from .rows import Rows
from .transfer import DeviceBatch, ResidentRows

Prepare = Callable[[Batch], Batch]


class Reader(Protocol):
    """The reader of batches: a table."""

    def place(self, batch: Batch | DeviceBatch) -> Batch | DeviceBatch:
        """Return a batch where it is read, moved there if it is not."""

    def group(self, batch: Batch | DeviceBatch) -> Any:
        """Group a batch's entries as they are read; None where that is not needed."""

    def keep_rows(
        self, rows: Rows, labels: Labels, prepare: Prepare, reserved: int
    ) -> ResidentRows | None:
        """Keep all rows where they are read, if that pays and there is room."""


@dataclass(frozen=True)
class Reading:
    """Description of how a run reads its batches.

    Attributes
    ----------
    reader : Reader
    prepare : callable
        Scales a batch as the network does before it reads it.
    batch_size : int
        Rows of a training batch.
    longest_query : int
        Rows that can be ranked among each other at once.
    reserved : int
        Bytes of the device's free memory that the run will need for something else.
    lanes : Lanes or None
        Where several processes make a run together, the lanes of this one.
    """

    reader: Reader
    prepare: Prepare
    batch_size: int
    longest_query: int
    reserved: int = 0
    lanes: Lanes | None = None


class Epoch(NamedTuple):
    """The batches of an epoch, and their number."""

    n_batches: int
    batches: Iterator[Labelled]


class Feed(Protocol):
    """The batches of a run, as its reader wants them.

    Attributes
    ----------
    mean_weight : float
        Mean weight of the rows of an epoch.
    """

    mean_weight: float

    def epoch(self, rng: np.random.Generator, n_threads: int) -> Epoch:
        """Start a pass over the training rows, in an order drawn from ``rng``."""

    def first(self) -> Batch | DeviceBatch:
        """Return the first training rows, as many as are scored at once."""

    def held_out(self, n_threads: int) -> Iterator[Labelled]:
        """Yield the held-out rows in their order."""


class RowSource(Protocol):
    """Labelled rows to learn from, and rows held out to stop on.

    Attributes
    ----------
    n_columns : int
    n_rows : int
        Number of the rows to learn from.
    has_held_out : bool
        Whether there are held-out rows.
    """

    n_columns: int
    n_rows: int
    has_held_out: bool

    def longest(self) -> int:
        """Return the number of entries of the longest row."""

    def mean_length(self) -> float:
        """Return the mean number of entries of a row."""

    def mean_pairs(self) -> float:
        """Return the mean number of pairs of entries in a training row, by weight."""

    def weighty(self) -> Iterator[Batch]:
        """Yield the training rows of weight above zero, once each."""

    def sample(self, n_rows: int) -> Labelled:
        """Return at most ``n_rows`` held-out rows (training rows if there are none).

        They are drawn from those of weight above zero, alike for the same data.
        """

    def held_out_query(self) -> np.ndarray:
        """Return the query of each held-out row; only where rows are ranked."""

    def feed(self, reading: Reading) -> Feed:
        """Return the batches of a run."""

    def origins(self) -> Iterator[Any]:
        """Yield all that determines the batches, as arrays, tensors and literals."""
