"""Raw scores of rows under a fitted network."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from ..data.batch import PREDICTION_BATCH, Batch
from ..data.rows import Rows
from ..nn.samples import Samples
from ..runtime.threads import torch_threads
from .checks import finite_scores

if TYPE_CHECKING:
    from ..nn.network import Network

__all__ = ["raw_scores", "score_batch"]

#: Rows at once where nothing but their scores is stored.
_FUSED_BATCH = 1 << 16


def raw_scores(network: Network | Samples, rows: Rows, n_threads: int) -> np.ndarray:
    """Compute the raw scores of rows in float64, (n_rows, n_outputs).

    Raises
    ------
    MemoryError
        If a row needs too much memory.
    ValueError
        If a score is not finite.
    """
    network.check_memory(rows.longest())
    size = _FUSED_BATCH if network.fuses_scores else PREDICTION_BATCH
    parts = [
        score_batch(network, rows.span(start, min(start + size, len(rows))), n_threads)
        for start in range(0, len(rows), size)
    ]
    return finite_scores(parts[0] if len(parts) == 1 else np.concatenate(parts))


def score_batch(network: Network | Samples, batch: Batch, n_threads: int) -> np.ndarray:
    """Compute the raw scores of a batch of rows in float64, (B, n_outputs)."""
    if network.fuses_scores:
        # Threads of their own: torch does nothing here.
        return network.fused_scores(network.prepare(batch), n_threads)
    assert not isinstance(network, Samples)
    with torch_threads(1):
        scores: np.ndarray = network.score(batch, n_threads).cpu().double().numpy()
        return scores
