"""A quick additive model of coded fields, for residuals.

Each field's effects have a normal prior of their own, whose variance is estimated
(empirical Bayes), so that many rare levels need no tuning. Backfitting by blocks of one
field: each sweep costs one `numpy.bincount` a field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import expit

from .evidence import Residuals
from .levels import Codes
from .search import Extra, ResidualModel

__all__ = ["AdditiveModel", "additive_model", "fit_additive"]

_N_SWEEPS = 12
_LEAST_VARIANCE = 1e-6


@dataclass(frozen=True)
class AdditiveModel:
    """Sum of an intercept and one effect per field.

    Attributes
    ----------
    intercept : ndarray of shape (n_outputs,)
    effects : list of ndarray of shape (n_levels, n_outputs)
        Of each field; 0 for levels that were not seen.
    logistic : bool
        Whether the score is a log-odds.
    """

    intercept: NDArray[np.float64]
    effects: list[NDArray[np.float64]]
    logistic: bool

    def residuals(self, codes: Sequence[Codes], y: NDArray[np.float64]) -> Residuals:
        """Return residuals and variances of rows.

        Parameters
        ----------
        codes : sequence of ndarray of int of shape (n_rows,)
            One per field.
        y : ndarray of shape (n_rows, n_outputs)
        """
        score = np.repeat(self.intercept[None, :], len(y), axis=0)
        for code, effects in zip(codes, self.effects, strict=True):
            score += effects[code]
        if self.logistic:
            p = expit(score)
            return Residuals(y - p, p * (1 - p))
        errors = y - score
        scale = np.sqrt(np.mean(errors * errors, axis=0))
        scale[scale == 0] = 1.0
        return Residuals(errors / scale, np.ones_like(y))


def fit_additive(
    codes: Sequence[Codes],
    widths: Sequence[int],
    y: NDArray[np.float64],
    *,
    logistic: bool,
) -> AdditiveModel:
    """Fit the model.

    Parameters
    ----------
    codes : sequence of ndarray of int of shape (n_rows,)
        One per field, in ``[0, width)``.
    widths : sequence of int
        Number of levels of each field.
    y : ndarray of shape (n_rows, n_outputs)
        0 and 1, several columns one against the others, or numbers.
    logistic : bool
        Whether y are outcomes, not numbers.
    """
    fits = [_fit_output(codes, widths, column, logistic) for column in y.T]
    intercepts, effects = zip(*fits, strict=True)
    stacked = [np.column_stack(parts) for parts in zip(*effects, strict=True)]
    return AdditiveModel(np.array(intercepts), stacked, logistic)


def _fit_output(
    codes: Sequence[Codes],
    widths: Sequence[int],
    y: NDArray[np.float64],
    logistic: bool,
) -> tuple[float, list[NDArray[np.float64]]]:
    intercept, noise = _start(y, logistic)
    score = np.full(len(y), intercept)
    fields = [
        _Field.start(code, width, noise**2)
        for code, width in zip(codes, widths, strict=True)
    ]
    for _ in range(_N_SWEEPS):
        uncertainty = 0.0
        for field in fields:
            r, w = _derivatives(y, score, noise, logistic)
            step, spread = field.step(r, w)
            score += step[field.codes]
            uncertainty += spread
        r, w = _derivatives(y, score, noise, logistic)
        shift = r.sum() / w.sum() if w.any() else 0.0
        intercept += shift
        score += shift
        if not logistic:
            noise = _noise(y - score, uncertainty)
    return intercept, [field.effects for field in fields]


@dataclass
class _Field:
    """The effects of a field while they are fitted."""

    codes: Codes
    counts: NDArray[np.integer]
    #: The effect of a level of one row could not be told from noise.
    repeats: NDArray[np.bool_]
    effects: NDArray[np.float64]
    variance: float
    least: float

    @classmethod
    def start(cls, codes: Codes, width: int, variance: float) -> _Field:
        counts = np.bincount(codes, minlength=width)
        least = _LEAST_VARIANCE * variance
        return cls(codes, counts, counts > 1, np.zeros(width), variance, least)

    def step(
        self, r: NDArray[np.float64], w: NDArray[np.float64]
    ) -> tuple[NDArray[np.float64], float]:
        """Move effects and their variance, given the derivatives of all rows.

        Returns the steps of the levels, and the variance that the effects' posterior
        adds to a row's score on average.
        """
        width = len(self.counts)
        precision = np.bincount(self.codes, w, width) + 1 / self.variance
        gradient = np.bincount(self.codes, r, width) - self.effects / self.variance
        step = np.where(self.repeats, gradient / precision, 0.0)
        self.effects += step
        if self.repeats.any():
            moments = self.effects**2 + 1 / precision
            self.variance = max(float(moments[self.repeats].mean()), self.least)
        spread = np.where(self.repeats, self.counts / precision, 0.0)
        return step, float(spread.sum()) / len(r)


def _start(y: NDArray[np.float64], logistic: bool) -> tuple[float, float]:
    """Return the intercept and the noise of a model without fields."""
    if not logistic:
        return float(y.mean()), _noise(y - y.mean(), 0.0)
    mean = (y.sum() + 0.5) / (len(y) + 1)
    return float(np.log(mean / (1 - mean))), 1.0


def _noise(errors: NDArray[np.float64], uncertainty: float) -> float:
    """Return the deviation of targets around the model's posterior."""
    noise = float(np.sqrt(np.mean(errors * errors) + uncertainty))
    return noise if noise > 0 else 1.0


def _derivatives(
    y: NDArray[np.float64], score: NDArray[np.float64], noise: float, logistic: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return first and negative second derivatives of the log-likelihood."""
    if not logistic:
        return (y - score) / noise**2, np.full(len(y), noise**-2)
    p = expit(score)
    return y - p, p * (1 - p)


def additive_model(
    codes: Sequence[Codes],
    widths: Sequence[int],
    y: NDArray[np.float64],
    *,
    logistic: bool,
) -> ResidualModel:
    """Return an additive model of fields for `CrossSearch.run`.

    Parameters
    ----------
    codes : sequence of ndarray of int of shape (n_rows,)
        One per field.
    widths : sequence of int
        Number of levels of each field.
    y : ndarray of float of shape (n_rows, n_outputs)
    logistic : bool
        Whether y are outcomes, 0 and 1, not numbers.
    """

    def residuals(
        train: NDArray[np.intp], test: NDArray[np.intp], extras: Sequence[Extra]
    ) -> Residuals:
        model = fit_additive(
            [*(code[train] for code in codes), *(extra.train for extra in extras)],
            [*widths, *(extra.width for extra in extras)],
            y[train],
            logistic=logistic,
        )
        known = [*(code[test] for code in codes), *(extra.test for extra in extras)]
        return model.residuals(known, y[test])

    return residuals
