"""Scores of batches under several factorization machines at once, from arrays."""

from __future__ import annotations

import numpy as np

from ..data.batch import Batch
from ..runtime.threads import parallel_for
from . import sample_kernels

__all__ = ["sample_sums", "score_samples", "useful_threads"]

#: The factors (n_columns, S k) and the linear weights (n_columns, S) of S machines.
Weights = tuple[np.ndarray, np.ndarray]
#: Fewest entries per thread that make a second thread pay.
_ENTRIES_PER_THREAD = 20_000


def useful_threads(batch: Batch, n_threads: int) -> int:
    """Return the number of threads, at most ``n_threads``, that pay for a batch."""
    return max(1, min(n_threads, len(batch.columns) // _ENTRIES_PER_THREAD))


def sample_sums(
    weights: Weights, batch: Batch, n_threads: int
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the sums of linear weights and of pairs of a batch, (B, S) each."""
    linear, pairs = np.empty((2, len(batch), weights[1].shape[1]), weights[1].dtype)
    parallel_for(
        sample_kernels.pool_samples,
        len(batch),
        useful_threads(batch, n_threads),
        weights,
        batch.indptr,
        batch.columns,
        batch.values,
        linear,
        pairs,
    )
    return linear, pairs


def score_samples(
    weights: Weights,
    constants: np.ndarray,
    batch: Batch,
    *,
    scale: float,
    logit: bool,
    n_threads: int,
) -> np.ndarray:
    """Compute raw scores of the mean prediction, (B, C) in float64.

    Parameters
    ----------
    weights : tuple of ndarray
        Factors and linear weights of S C machines.
    constants, batch, scale, logit, n_threads
        As of `skfm.sparse.backend.Backend.score_samples`.
    """
    scores = np.empty((len(batch), constants.shape[1]))
    parallel_for(
        sample_kernels.score_samples,
        len(batch),
        useful_threads(batch, n_threads),
        weights,
        constants,
        weights[0].dtype.type(scale),
        logit,
        batch.indptr,
        batch.columns,
        batch.values,
        scores,
    )
    return scores
