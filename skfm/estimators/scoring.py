"""Raw scores of rows under a fitted network."""

from __future__ import annotations

import numpy as np

from ..data.batch import PREDICTION_BATCH
from ..data.rows import Rows
from ..nn.network import Network
from ..runtime.threads import torch_threads
from .checks import finite_scores

__all__ = ["raw_scores"]

#: Rows at once where nothing but their scores is stored.
_FUSED_BATCH = 1 << 16


def raw_scores(network: Network, rows: Rows, n_threads: int) -> np.ndarray:
    """Compute the raw scores of rows in float64, (n_rows, n_outputs).

    Raises
    ------
    MemoryError
        If a row needs too much memory.
    ValueError
        If a score is not finite.
    """
    network.check_memory(rows.longest())
    scored = _fused if network.fuses_scores else _by_torch
    return finite_scores(scored(network, rows, n_threads))


def _fused(network: Network, rows: Rows, n_threads: int) -> np.ndarray:
    # Threads of their own: torch does nothing here.
    parts = [
        network.fused_scores(network.prepare(rows.span(start, stop)), n_threads)
        for start, stop in _bounds(len(rows), _FUSED_BATCH)
    ]
    return parts[0] if len(parts) == 1 else np.concatenate(parts)


def _by_torch(network: Network, rows: Rows, n_threads: int) -> np.ndarray:
    scores = np.empty((len(rows), network.shape.n_outputs))
    with torch_threads(1):
        for start, stop in _bounds(len(rows), PREDICTION_BATCH):
            part = network.score(rows.span(start, stop), n_threads)
            scores[start:stop] = part.cpu().numpy()
    return scores


def _bounds(n_rows: int, size: int) -> list[tuple[int, int]]:
    return [(start, min(start + size, n_rows)) for start in range(0, n_rows, size)]
