"""Pools of blocks whose rows are divided among the lanes of batches.

A lane has the rows of some blocks of a pool, or of parts of them, in an order of its
own. A worker reads the blocks of its lanes only.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..data.sampler import Draw
from ..distributed.lanes import Lanes

__all__ = ["LanePool"]


@dataclass(frozen=True)
class LanePool:
    """The part of a pool that the lanes of a worker have.

    Attributes
    ----------
    numbers : ndarray of int
        Blocks to read, one at least.
    skipped : int
        Rows of the first block that other lanes have.
    lanes : Lanes
        The worker's lanes.
    n_rows : int
        Rows of the whole pool.
    n_batches : int
        Batches that its rows are divided into.
    """

    numbers: np.ndarray
    skipped: int
    lanes: Lanes
    n_rows: int
    n_batches: int

    @classmethod
    def of(
        cls, group: np.ndarray, counts: np.ndarray, lanes: Lanes, n_batches: int
    ) -> LanePool:
        """Find the part of a pool that lanes have.

        Parameters
        ----------
        group : ndarray of int
            Blocks of the pool.
        counts : ndarray of int
            Number of rows of each of them.
        lanes : Lanes
        n_batches : int
        """
        ends = np.cumsum(counts)
        bounds = lanes.bounds(int(ends[-1]))
        first = int(np.searchsorted(ends, bounds[0], side="right"))
        last = int(np.searchsorted(ends, bounds[-1], side="left"))
        first = min(first, last)
        skipped = int(bounds[0] - (ends[first] - counts[first]))
        return cls(group[first : last + 1], skipped, lanes, int(ends[-1]), n_batches)

    def draws(self, seed: int) -> list[Draw]:
        """Return the rows of the worker's lanes in each batch.

        Rows are counted from the first one of the first block. The same rows of the
        pool are in a batch for any division of the lanes.
        """
        lanes, cuts = self.lanes, self.n_rows * np.arange(self.n_batches + 1)
        cuts //= self.n_batches
        starts = lanes.bounds(self.n_rows)
        pieces: list[list[np.ndarray]] = [[] for _ in range(self.n_batches)]
        for lane, place in zip(
            range(lanes.first, lanes.stop), self._places(), strict=True
        ):
            rng = np.random.default_rng([seed, lane])
            start = self.skipped + starts[lane - lanes.first] - starts[0]
            rows = start + rng.permutation(len(place))
            at = np.searchsorted(place, cuts)
            for piece, lo, hi in zip(pieces, at[:-1], at[1:], strict=True):
                piece.append(rows[lo:hi])
        return [
            Draw(np.concatenate(piece), bounds=np.cumsum([0, *map(len, piece)]))
            for piece in pieces
        ]

    def _places(self) -> list[np.ndarray]:
        """Return the places of the rows of each own lane in the batches' order.

        The lanes take turns, so that each has about the same share of a batch.
        """
        n, every = self.lanes.n, self.n_rows * np.arange(self.lanes.n + 1)
        sizes = np.diff(every // self.lanes.n)
        turns = self.n_rows // n
        longer = sizes > turns
        late = turns * n + np.cumsum(longer) - 1
        found = []
        for lane in range(self.lanes.first, self.lanes.stop):
            place = np.arange(sizes[lane]) * n + lane
            if longer[lane]:
                place[-1] = late[lane]
            found.append(place)
        return found
