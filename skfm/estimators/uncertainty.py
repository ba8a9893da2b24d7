"""Predictions of Bayesian fits with their uncertainty."""

from __future__ import annotations

from typing import Any

import numpy as np
from scipy.special import ndtr
from sklearn.utils.validation import check_is_fitted

from ..data.batch import PREDICTION_BATCH
from ..nn.samples import Samples
from ..runtime.attributes import on_snapshot
from ..runtime.threads import resolve_n_jobs
from .checks import finite_scores
from .offsets import shifted
from .sampled import SampledModel


class SampledPredictions(SampledModel):
    """Predictions of single samples."""

    @on_snapshot
    def posterior_scores(self, X: Any) -> np.ndarray:
        """Score rows under each sample of the posterior.

        This serves decisions under uncertainty, such as Thompson sampling: each column
        of the result holds the scores by one plausible model.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_rows, n_draws) or (n_rows, n_draws, n_outputs)
            Log odds of ``classes_[1]``, scores of all classes (whose softmax are the
            probabilities), or, of a regressor, targets without noise in units of y.

        Raises
        ------
        AttributeError
            If the estimator was fitted by another solver than "bayes".
        """
        scores = self._rescaled(self._sample_scores(X), "score")
        return scores[:, :, 0] if scores.shape[2] == 1 else scores

    def _posterior(self) -> Samples:
        """Return the samples of the posterior.

        Raises
        ------
        AttributeError
            If there are none.
        """
        check_is_fitted(self)
        if isinstance(self._scorer, Samples):
            return self._scorer
        raise AttributeError(
            f'{type(self).__name__} was fitted by solver="{self.solver_}", which '
            'makes no samples of a posterior: set solver="bayes".'
        )

    def _sample_scores(self, X: Any) -> np.ndarray:
        """Compute raw scores of the samples, (n_rows, n_draws, n_outputs), float64."""
        samples = self._posterior()
        rows = self._read_rows(X)
        n_threads = resolve_n_jobs(self.n_jobs)
        out = np.empty((len(rows), *samples.offsets.shape))
        for start in range(0, len(rows), PREDICTION_BATCH):
            batch = rows.span(start, min(start + PREDICTION_BATCH, len(rows)))
            out[start : start + len(batch)] = samples.sample_scores(batch, n_threads)
        return finite_scores(out)


class SampledRegressor(SampledPredictions):
    """Predictions of a regressor with their uncertainty."""

    @on_snapshot
    def predict(self, X: Any, return_std: bool = False, *, offset: Any = None) -> Any:
        """Predict the mean of the target, in units of y.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return the standard deviation of the predictive distribution too,
            which includes the noise. Requires a fit by ``solver="bayes"``.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Known part of the raw scores, as in `fit`.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        std : ndarray of the same shape
            Standard deviations, if ``return_std`` is True.
        """
        mean = super().predict(X, offset=offset)
        if not return_std:
            return mean
        scores = self._sample_scores(X)
        noise = self._noise()
        with np.errstate(over="ignore", invalid="ignore"):
            variance = scores.var(axis=1) + np.square(noise).mean(axis=0)
            std = np.sqrt(variance) * self._output_scale()[0]
        std = finite_scores(std, "standard deviation")
        return mean, std[:, 0] if std.shape[1] == 1 else std

    @on_snapshot
    def predict_quantiles(
        self, X: Any, quantiles: Any = (0.05, 0.5, 0.95), *, offset: Any = None
    ) -> np.ndarray:
        """Predict quantiles of the target, in units of y.

        The predictive distribution of a row is the mixture of the samples' normal
        distributions about their scores.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
            Levels, above 0 and below 1.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Known part of the raw scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_quantiles) or (n_samples, n_quantiles, n_outputs)

        Raises
        ------
        AttributeError
            If the estimator was fitted by another solver than "bayes".
        ValueError
            If a quantile is not between 0 and 1.
        """
        levels = np.atleast_1d(np.asarray(quantiles, np.float64))
        if levels.ndim != 1 or not np.all((levels > 0) & (levels < 1)):
            raise ValueError(
                f"quantiles must be numbers above 0 and below 1; got {quantiles!r}."
            )
        scores, noise = self._sample_scores(X), self._noise()
        if offset is not None:
            scores = (
                scores + shifted(self, np.zeros_like(scores[:, 0]), offset)[:, None]
            )
        found = np.empty((len(scores), len(levels), scores.shape[2]))
        for start in range(0, len(scores), PREDICTION_BATCH):
            rows = slice(start, start + PREDICTION_BATCH)
            found[rows] = _mixture_quantiles(scores[rows], noise, levels)
        found = self._rescaled(found, "quantile")
        return found[:, :, 0] if found.shape[2] == 1 else found

    def _noise(self) -> np.ndarray:
        """Return the standard deviations of the noise, (n_draws, n_outputs)."""
        noise: np.ndarray = self._posterior().noise.astype(np.float64)
        return noise


def _mixture_quantiles(
    scores: np.ndarray, noise: np.ndarray, levels: np.ndarray
) -> np.ndarray:
    """Quantiles of equal mixtures of normal distributions, by bisection.

    Parameters
    ----------
    scores : ndarray of shape (n, S, C)
        Means.
    noise : ndarray of shape (S, C)
        Standard deviations.
    levels : ndarray of shape (n_quantiles,)

    Returns
    -------
    ndarray of shape (n, n_quantiles, C)
    """
    low = (scores - 40 * noise).min(axis=1)[:, None]
    high = (scores + 40 * noise).max(axis=1)[:, None]
    low, high = (np.repeat(end, len(levels), axis=1) for end in (low, high))
    for _ in range(60):
        middle = 0.5 * (low + high)
        z = (middle[:, :, None] - scores[:, None]) / noise
        below = ndtr(z).mean(axis=2) < levels[:, None]
        low, high = np.where(below, middle, low), np.where(below, high, middle)
    found: np.ndarray = 0.5 * (low + high)
    return found
