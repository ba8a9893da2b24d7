"""Batches as a network reads them: gathered, scaled, and where its table is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..runtime.threads import ahead_of_time
from .labels import Labelled, Labels
from .rows import Rows
from .sampler import Draw
from .source import Reading
from .transfer import place_labels

#: Entries of a batch from which on it is gathered while another is trained on: fewer
#: take less time than to wake a thread.
_LARGE = 10_000


class Loader:
    """The rows of a matrix that a run reads over and over.

    On the CPU, batches are gathered from X. On another device, X is moved there once
    if it fits, and batches are gathered there; else each is gathered here and moved.

    Parameters
    ----------
    rows : Rows
    labels : Labels
        Labels of all rows.
    reading : Reading
    """

    def __init__(self, rows: Rows, labels: Labels, reading: Reading) -> None:
        self._rows, self._labels = rows, labels
        self._prepare, self._reader = reading.prepare, reading.reader
        self._resident = self._reader.keep_rows(
            rows, labels, self._prepare, reading.reserved
        )

    def take(self, rows: np.ndarray, n_threads: int = 1) -> Labelled:
        """Gather any rows, as the reader takes them."""
        if self._resident is not None:
            return self._resident.take(rows)
        batch = self._prepare(self._rows.take(rows, n_threads))
        return self._placed(Labelled(batch, self._labels.take(rows)))

    def batches(self, draws: list[Draw], n_threads: int) -> Iterator[Labelled]:
        """Yield the batches, with their entries grouped as the reader wants them.

        With several threads, the next is gathered early if it is large.
        """
        if self._resident is not None:
            for draw in draws:
                yield self._resident.take(draw.rows, draw.queries)
            return
        size = len(draws[0].rows) * self._rows.mean_length()
        early = n_threads > 1 and len(draws) > 1 and size >= _LARGE
        gathered = (ahead_of_time if early else map)(self._gather, draws)
        # This thread alone speaks to the device: it may have a stream of its own there.
        yield from map(self._placed, gathered)

    def _gather(self, draw: Draw) -> Labelled:
        batch = self._prepare(self._rows.take(draw.rows))
        labels = self._labels.take(draw.rows, draw.queries)
        return Labelled(batch, labels, self._reader.group(batch), draw.bounds)

    def _placed(self, given: Labelled) -> Labelled:
        batch = self._reader.place(given.batch)
        labels = place_labels(given.labels, batch)
        return given._replace(batch=batch, labels=labels)
