"""Arrays that the draws of all fields use in turn."""

from __future__ import annotations

from typing import Any

import numpy as np

from .data import Data
from .machine_kernels import ROWS
from .octets import LANES


class Room:
    """Arrays that the draws of all fields use in turn."""

    def __init__(self, data: Data, width: int) -> None:
        stages = [stage for part in data.layout.fields for stage in part.stages]
        apart = [p for p in data.layout.fields if p.disjoint and p.stages]
        wide = width + LANES

        def zeros(n: int, *shape: int, dtype: Any = np.float32) -> np.ndarray:
            return np.zeros((n, *shape), dtype)

        n_tasks = max((len(p.stages[0].tasks) for p in apart), default=0)
        n_chunks = max((len(stage.chunks) for stage in stages), default=0)
        n_long = max((len(stage.long) for stage in stages), default=0)
        self.fresh = zeros(max((p.stop - p.start for p in apart), default=0), wide)
        self.grams = zeros(n_tasks, width, width)
        self.moments = zeros(n_tasks, 2, wide)
        self.chunk_grams = zeros(n_chunks, width, width)
        self.chunk_moments = zeros(n_chunks, 2, wide)
        self.long_grams = zeros(n_long, width, width, dtype=np.float64)
        self.long_moments = zeros(n_long, 2, wide, dtype=np.float64)
        self.long_fresh = zeros(n_long, wide)
        self.long_old = zeros(n_long, wide)
        self.long_change = zeros(n_long, wide)
        overlap = any(not part.disjoint for part in data.layout.fields)
        n_blocks = -(-data.rows.n_rows // ROWS) if overlap else 0
        self.overlap_grams = zeros(n_blocks, 2 * width, 2 * width)
        self.overlap_moments = zeros(n_blocks, 2, 2 * width + LANES)
        self.factors = np.ones(wide, np.float32)
        self.no_move = np.ones(wide, np.float32)
        self.none = self.long_grams[:0], self.long_moments[:0]


def aligned_zeros(n_rows: int, width: int) -> np.ndarray:
    """Zeros of shape (n_rows, width), float32, from the start of a cache line.

    Rows of 16 numbers then lie on one line each; elsewhere every row lies on two.
    """
    room = np.zeros(n_rows * width + 16, np.float32)
    start = -(room.ctypes.data // 4) % 16
    return room[start : start + n_rows * width].reshape(n_rows, width)
