"""Lanes: parts of a batch whose gradients are summed in one order by any workers.

A batch has `n_lanes` lanes of about the same number of rows. The sum over lanes is that
of a binary tree: neighbours first, then their sums. Whoever computes the sum of a
subtree, the result has the same bits. A lane in which something does not occur is left
out, instead of adding zero.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

import numpy as np

if TYPE_CHECKING:
    from torch import Tensor

__all__ = ["Lanes", "add_lanes", "n_lanes"]

#: Lanes of a batch, unless there are more workers.
_LANES = 16


def n_lanes(n_workers: int) -> int:
    """Return the number of lanes, a power of two."""
    return max(_LANES, 1 << (n_workers - 1).bit_length())


class Lanes:
    """The lanes of a worker.

    Parameters
    ----------
    rank, size : int
        Number of the worker, and number of workers.

    Attributes
    ----------
    n : int
        Number of lanes of a batch.
    first, stop : int
        The worker's lanes.
    stems : list of int
        First lane of each of the largest subtrees that the worker has all lanes of.
    """

    def __init__(self, rank: int, size: int) -> None:
        self.n = n_lanes(size)
        self.first, self.stop = self.n * rank // size, self.n * (rank + 1) // size
        self.stems: list[int] = []
        at = self.first
        while at < self.stop:
            self.stems.append(at)
            width = at & -at or self.n
            while at + width > self.stop:
                width //= 2
            at += width

    def __len__(self) -> int:
        return self.stop - self.first

    def bounds(self, n_rows: int) -> np.ndarray:
        """Return where the worker's lanes start in a batch, and where the last ends."""
        return n_rows * np.arange(self.first, self.stop + 1) // self.n

    def rows(self, rows: np.ndarray) -> np.ndarray:
        """Return the rows of a batch that are in the worker's lanes."""
        bounds = self.bounds(len(rows))
        return rows[bounds[0] : bounds[-1]]

    def of_rows(self, bounds: np.ndarray) -> np.ndarray:
        """Return the lane of each of the worker's rows, given the bounds of lanes."""
        lanes = np.arange(self.first, self.stop, dtype=np.int32)
        return np.repeat(lanes, np.diff(bounds))

    def stem_of_lane(self) -> np.ndarray:
        """Return the position in ``stems`` for each lane of a batch, (n,) of int32.

        It means nothing for the lanes of other workers.
        """
        places = np.searchsorted(self.stems, np.arange(self.n), side="right") - 1
        return places.astype(np.int32)


def add_lanes(parts: Iterable[tuple[int, Tensor]]) -> Tensor:
    """Return the sum over subtrees, given with their first lanes, in ascending order.

    The tensors are overwritten.
    """
    stack: list[tuple[int, Tensor]] = []
    for lane, part in parts:
        # The two last are in a subtree without this lane.
        while len(stack) > 1 and stack[-2][0] ^ stack[-1][0] < stack[-1][0] ^ lane:
            stack[-2][1].add_(stack.pop()[1])
        stack.append((lane, part))
    while len(stack) > 1:
        stack[-2][1].add_(stack.pop()[1])
    return stack[0][1]
