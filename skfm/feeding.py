"""Batches as a network reads them: gathered, scaled, and where its table is."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from .batches import Batch, Rows
from .devices import DeviceBatch, ResidentRows
from .network import Network
from .shuffling import Draw
from .sparse import Groups
from .threads import run_in_background


class Feed:
    """The rows that a run reads over and over.

    On the CPU, batches are gathered from X. On another device, X is moved there once
    if it fits, and batches are gathered there; else each is gathered here and moved.

    Parameters
    ----------
    network : Network
    rows : Rows
    """

    def __init__(self, network: Network, rows: Rows) -> None:
        self._network, self._rows = network, rows
        self._resident: ResidentRows | None = None
        table = network.table
        if not table.uses_kernels and ResidentRows.fits(rows, table.weight.device):
            place = table.weight.device
            self._resident = ResidentRows(rows, network.prepare, place)

    def take(self, rows: np.ndarray, n_threads: int = 1) -> Batch | DeviceBatch:
        """Any rows, as `Network.score_prepared` and a learner take them."""
        if self._resident is not None:
            return self._resident.take(rows)
        batch = self._network.prepare(self._rows.take(rows, n_threads))
        table = self._network.table
        return batch if table.uses_kernels else table.place(batch)

    def batches(
        self, draws: list[Draw], n_threads: int
    ) -> Iterator[tuple[Batch | DeviceBatch, Groups | None]]:
        """The batches, and their entries by column where kernels read them.

        With several threads, the next is made ready early.
        """
        if n_threads == 1 or len(draws) == 1:
            yield from map(self._draw, draws)
            return
        ahead = run_in_background(self._draw, draws[0])
        for draw in draws[1:]:
            ready = ahead.result()
            ahead = run_in_background(self._draw, draw)
            yield ready
        yield ahead.result()

    def _draw(self, draw: Draw) -> tuple[Batch | DeviceBatch, Groups | None]:
        batch = self.take(draw.rows)
        batch.queries = draw.queries
        if isinstance(batch, Batch):
            return batch, self._network.table.group(batch)
        return batch, None
