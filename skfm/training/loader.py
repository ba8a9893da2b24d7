"""Batches as a network reads them: gathered, scaled, and where its table is."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress

import numpy as np
import torch

from ..data.batch import Batch
from ..data.rows import Rows
from ..data.sampler import Draw
from ..data.transfer import DeviceBatch, ResidentRows
from ..nn.network import Network
from ..runtime.threads import ahead_of_time
from ..sparse import Groups


class Feed:
    """The rows that a run reads over and over.

    On the CPU, batches are gathered from X. On another device, X is moved there once
    if it fits, and batches are gathered there; else each is gathered here and moved.

    Parameters
    ----------
    network : Network
    rows : Rows
    reserved : int, default=0
        Bytes of the device's free memory that the run will need for something else.
    """

    def __init__(self, network: Network, rows: Rows, reserved: int = 0) -> None:
        self._network, self._rows = network, rows
        self._resident: ResidentRows | None = None
        device = network.table.weight.device
        if network.table.uses_kernels or not ResidentRows.fits(rows, device, reserved):
            return
        # Others may take memory at the same time.
        with suppress(torch.OutOfMemoryError):
            self._resident = ResidentRows(rows, network.prepare, device)

    def take(self, rows: np.ndarray, n_threads: int = 1) -> Batch | DeviceBatch:
        """Any rows, as `Network.score_prepared` and a learner take them."""
        if self._resident is not None:
            return self._resident.take(rows)
        return self._place(self._network.prepare(self._rows.take(rows, n_threads)))

    def batches(
        self, draws: list[Draw], n_threads: int
    ) -> Iterator[tuple[Batch | DeviceBatch, Groups | None]]:
        """The batches, and their entries by column where kernels read them.

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
            yield self._place(on_host), groups

    def _gather(self, draw: Draw) -> tuple[Batch, Groups | None]:
        batch = self._network.prepare(self._rows.take(draw.rows))
        batch.queries = draw.queries
        table = self._network.table
        return batch, table.group(batch) if table.uses_kernels else None

    def _place(self, batch: Batch) -> Batch | DeviceBatch:
        table = self._network.table
        return batch if table.uses_kernels else table.place(batch)
