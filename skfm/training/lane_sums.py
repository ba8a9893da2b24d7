"""Sums of vectors over all lanes of a batch, which are divided among workers."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..distributed.communicator import Communicator
from ..distributed.lanes import Lanes, add_lanes
from ..runtime.threads import parallel_for

#: Number of elements that are added at once, so that they stay in the cache.
_BLOCK = 1 << 13


class LaneSums:
    """Sums over lanes, of which each worker computes and sends a slice.

    Parameters
    ----------
    communicator : Communicator
    lanes : Lanes
        Lanes of this worker.
    like : Tensor of shape (n,)
        Vector of the same size and type.

    Attributes
    ----------
    parts : Tensor of shape (n_lanes of this worker, n)
        Vectors of the lanes. `total` overwrites them.
    """

    def __init__(self, communicator: Communicator, lanes: Lanes, like: Tensor) -> None:
        self._communicator, self._lanes = communicator, lanes
        size = communicator.size
        self._stems = [Lanes(rank, size).stems for rank in range(size)]
        # All slices are equal.
        self._slice = -(-len(like) // size)
        self._parts = like.new_zeros(len(lanes), size * self._slice)
        self.parts = self._parts[:, : len(like)]

    def total(self, n_threads: int) -> Tensor:
        """Return the sum over all lanes, (n,). All workers must call this."""
        lanes, size = self._lanes, self._communicator.size
        n_blocks = -(-self._parts.shape[1] // _BLOCK)
        parallel_for(self._add_own, n_blocks, n_threads)
        rows = self._parts[[stem - lanes.first for stem in lanes.stems]]
        if size == 1:
            return rows[0, : self.parts.shape[1]]
        slices = rows.view(len(rows), size, self._slice).transpose(0, 1)
        received = self._communicator.exchange(
            slices.reshape(-1, self._slice).numpy(),
            [len(rows)] * size,
            [len(stems) for stems in self._stems],
        )
        firsts = [stem for stems in self._stems for stem in stems]
        own = add_lanes(zip(firsts, torch.from_numpy(received), strict=True))
        total = self._communicator.gather(own.numpy())
        return torch.from_numpy(total.reshape(-1))[: self.parts.shape[1]]

    def _add_own(self, start: int, stop: int) -> None:
        """Sum blocks over each stem, into the row of its first lane."""
        lanes = self._lanes
        ends = [*lanes.stems[1:], lanes.stop]
        for block in range(start, stop):
            part = self._parts[:, block * _BLOCK : (block + 1) * _BLOCK]
            for first, end in zip(lanes.stems, ends, strict=True):
                rows = part[first - lanes.first : end - lanes.first]
                add_lanes(zip(range(first, end), rows, strict=True))


def in_lane_order(
    communicator: Communicator, lanes: Lanes, own: np.ndarray
) -> np.ndarray:
    """Return numbers of all lanes, (n_lanes, ...), given those of this worker."""
    size = communicator.size
    received = np.diff(lanes.n * np.arange(size + 1) // size)
    return communicator.exchange(
        np.concatenate([own] * size), [len(own)] * size, received
    )
