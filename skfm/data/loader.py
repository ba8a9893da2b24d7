"""Batches as a network reads them: gathered, scaled, and where its table is."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import numpy as np

from ..runtime.threads import ahead_of_time
from .batch import Batch
from .rows import Rows
from .sampler import Draw
from .transfer import DeviceBatch, ResidentRows

Prepare = Callable[[Batch], Batch]


class Reader(Protocol):
    """The reader of batches: a table."""

    def place(self, batch: Batch | DeviceBatch) -> Batch | DeviceBatch:
        """Return a batch where it is read, moved there if it is not."""

    def group(self, batch: Batch | DeviceBatch) -> Any:
        """Group a batch's entries as they are read; None where that is not needed."""

    def keep_rows(
        self, rows: Rows, prepare: Prepare, reserved: int
    ) -> ResidentRows | None:
        """Keep all rows where they are read, if that pays and there is room."""


class Feed:
    """The rows that a run reads over and over.

    On the CPU, batches are gathered from X. On another device, X is moved there once
    if it fits, and batches are gathered there; else each is gathered here and moved.

    Parameters
    ----------
    rows : Rows
    prepare : callable
        Scales a batch as the network does before it reads it.
    reader : Reader
    reserved : int, default=0
        Bytes of the device's free memory that the run will need for something else.
    """

    def __init__(
        self, rows: Rows, prepare: Prepare, reader: Reader, reserved: int = 0
    ) -> None:
        self._rows, self._prepare, self._reader = rows, prepare, reader
        self._resident = reader.keep_rows(rows, prepare, reserved)

    def take(self, rows: np.ndarray, n_threads: int = 1) -> Batch | DeviceBatch:
        """Gather any rows, as the reader takes them."""
        if self._resident is not None:
            return self._resident.take(rows)
        return self._reader.place(self._prepare(self._rows.take(rows, n_threads)))

    def batches(
        self, draws: list[Draw], n_threads: int
    ) -> Iterator[tuple[Batch | DeviceBatch, Any]]:
        """Yield the batches, with their entries grouped as the reader wants them.

        With several threads, the next is gathered early.
        """
        if self._resident is not None:
            for draw in draws:
                batch = self._resident.take(draw.rows)
                batch.queries = draw.queries
                yield batch, None
            return
        early = n_threads > 1 and len(draws) > 1
        gathered = (ahead_of_time if early else map)(self._gather, draws)
        # This thread alone speaks to the device: it may have a stream of its own there.
        for on_host, groups in gathered:
            yield self._reader.place(on_host), groups

    def _gather(self, draw: Draw) -> tuple[Batch, Any]:
        batch = self._prepare(self._rows.take(draw.rows))
        batch.queries = draw.queries
        return batch, self._reader.group(batch)
