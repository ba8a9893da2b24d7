"""Convergence diagnostics of chains, and the effective size of their samples.

Vehtari, Gelman, Simpson, Carpenter & Bürkner, Bayesian Analysis 16 (2021).
"""

from __future__ import annotations

import numpy as np
from scipy.special import ndtri


def split_rhat(draws: np.ndarray) -> np.ndarray:
    """Rank-normalised split R-hat: the larger one of draws and of folded draws.

    Parameters
    ----------
    draws : ndarray of shape (n_iter, n_chains, n_quantities)

    Returns
    -------
    rhat : ndarray of shape (n_quantities,)
        1 for a quantity that never changes; NaN with fewer than four iterations.
    """
    halves = _split(np.asarray(draws, np.float64))
    if len(halves) < 2:
        return np.full(draws.shape[2], np.nan)
    folded = np.abs(halves - np.median(halves, axis=(0, 1)))
    return np.maximum(_rhat(_normal_scores(halves)), _rhat(_normal_scores(folded)))


def bulk_ess(draws: np.ndarray) -> np.ndarray:
    """Effective sample size of the rank-normalised draws of all chains together.

    Parameters
    ----------
    draws : ndarray of shape (n_iter, n_chains, n_quantities)

    Returns
    -------
    ess : ndarray of shape (n_quantities,)
    """
    halves = _split(np.asarray(draws, np.float64))
    n, m, _ = halves.shape
    if n < 4:
        return np.full(draws.shape[2], np.nan)
    scores = _normal_scores(halves)
    covariances = _autocovariances(scores).mean(axis=1)
    within = covariances[0] * n / (n - 1)
    between = scores.mean(axis=0).var(axis=0, ddof=1)
    total = within * (n - 1) / n + between
    with np.errstate(invalid="ignore", divide="ignore"):
        correlations = 1 - (within - covariances) / total
    correlations[0] = 1
    # Geyer's initial monotone sequence: sums of neighbours fall and stay positive.
    pairs = correlations[: n // 2 * 2].reshape(n // 2, 2, -1).sum(axis=1)
    pairs = np.minimum.accumulate(np.where(pairs > 0, pairs, 0), axis=0)
    time = np.maximum(-1 + 2 * pairs.sum(axis=0), 1 / np.log10(n * m))
    return np.where(total > 0, n * m / time, n * m)


def _split(draws: np.ndarray) -> np.ndarray:
    """Both halves of each chain, (n_iter // 2, 2 n_chains, n_quantities)."""
    half = len(draws) // 2
    return np.concatenate([draws[:half], draws[len(draws) - half :]], axis=1)


def _normal_scores(draws: np.ndarray) -> np.ndarray:
    """Normal quantiles of the ranks over all chains; zeros where draws are constant."""
    flat = draws.reshape(-1, draws.shape[2])
    order = np.argsort(flat, axis=0, kind="stable")
    ranks = np.empty_like(flat)
    positions = np.arange(1.0, len(flat) + 1)[:, None]
    np.put_along_axis(ranks, order, np.broadcast_to(positions, flat.shape), axis=0)
    scores = ndtri((ranks - 0.375) / (len(flat) + 0.25))
    scores[:, np.ptp(flat, axis=0) == 0] = 0
    return scores.reshape(draws.shape)


def _rhat(scores: np.ndarray) -> np.ndarray:
    n = len(scores)
    within = scores.var(axis=0, ddof=1).mean(axis=0)
    between = scores.mean(axis=0).var(axis=0, ddof=1)
    with np.errstate(invalid="ignore", divide="ignore"):
        rhat = np.sqrt((n - 1) / n + between / within)
    return np.where(within > 0, rhat, 1.0)


def _autocovariances(draws: np.ndarray) -> np.ndarray:
    """Autocovariances of each chain at all lags, by Fourier transform."""
    n = len(draws)
    centred = draws - draws.mean(axis=0)
    spectrum = np.fft.rfft(centred, 2 * n, axis=0)
    return np.fft.irfft(np.abs(spectrum) ** 2, 2 * n, axis=0)[:n] / n
