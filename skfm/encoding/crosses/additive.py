"""A quick additive model of coded fields, for residuals.

The effects of each field have a normal prior, whose variance is estimated (empirical
Bayes), so that many rare levels need no tuning. The model is fitted by backfitting in
blocks of one field: each sweep costs one `numpy.bincount` per field.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from scipy.special import expit

from .evidence import Residuals, residuals_of
from .levels import Codes, Weight
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
        Effects of the levels of each field, 0 for unseen levels.
    logistic : bool
        Whether the score is a log-odds.
    """

    intercept: np.ndarray
    effects: list[np.ndarray]
    logistic: bool

    def residuals(
        self,
        codes: Sequence[Codes],
        y: np.ndarray,
        weight: Weight = None,
    ) -> Residuals:
        """Return residuals and variances of rows, in units of their mean square.

        Parameters
        ----------
        codes : sequence of ndarray of int of shape (n_rows,)
            One per field.
        y : ndarray of shape (n_rows, n_outputs)
        weight : ndarray of shape (n_rows,) or None, default=None
        """
        score = np.repeat(self.intercept[None, :], len(y), axis=0)
        for code, effects in zip(codes, self.effects, strict=True):
            score += effects[code]
        means = expit(score) if self.logistic else score
        return residuals_of(y, means, logistic=self.logistic, weight=weight)


def fit_additive(
    codes: Sequence[Codes],
    widths: Sequence[int],
    y: np.ndarray,
    *,
    logistic: bool,
    weight: Weight = None,
) -> AdditiveModel:
    """Fit the model.

    Parameters
    ----------
    codes : sequence of ndarray of int of shape (n_rows,)
        One per field, in ``[0, width)``.
    widths : sequence of int
        Number of levels of each field.
    y : ndarray of shape (n_rows, n_outputs)
        Outcomes 0 and 1, with a column for each of several classes, or numbers.
    logistic : bool
        Whether y holds outcomes, and not numbers.
    weight : ndarray of shape (n_rows,) or None, default=None
        Weight of each row, as a number of equal rows; None: one.
    """
    fits = [_fit_output(codes, widths, column, logistic, weight) for column in y.T]
    intercepts, effects = zip(*fits, strict=True)
    stacked = [np.column_stack(parts) for parts in zip(*effects, strict=True)]
    return AdditiveModel(np.array(intercepts), stacked, logistic)


def _fit_output(
    codes: Sequence[Codes],
    widths: Sequence[int],
    y: np.ndarray,
    logistic: bool,
    weight: Weight,
) -> tuple[float, list[np.ndarray]]:
    intercept, noise = _start(y, logistic, weight)
    score = np.full(len(y), intercept)
    fields = [
        _Field.start(code, width, noise**2, weight)
        for code, width in zip(codes, widths, strict=True)
    ]
    for _ in range(_N_SWEEPS):
        uncertainty = 0.0
        for field in fields:
            r, w = _derivatives(y, score, noise, logistic, weight)
            step, spread = field.step(r, w)
            score += step[field.codes]
            uncertainty += spread
        r, w = _derivatives(y, score, noise, logistic, weight)
        shift = r.sum() / w.sum() if w.any() else 0.0
        intercept += shift
        score += shift
        if not logistic:
            noise = _noise(y - score, uncertainty, weight)
    return intercept, [field.effects for field in fields]


@dataclass
class _Field:
    """Effects of a field during the fit."""

    codes: Codes
    #: Weighted number of rows of each level.
    counts: np.ndarray
    #: The effect of a level with a single row cannot be told from noise.
    repeats: np.ndarray
    effects: np.ndarray
    variance: float
    least: float

    @classmethod
    def start(cls, codes: Codes, width: int, variance: float, weight: Weight) -> _Field:
        counts = np.bincount(codes, weight, width)
        least = _LEAST_VARIANCE * variance
        return cls(codes, counts, counts >= 2, np.zeros(width), variance, least)

    def step(self, r: np.ndarray, w: np.ndarray) -> tuple[np.ndarray, float]:
        """Move effects and their variance, given the derivatives of all rows.

        Returns the steps of the levels, and the variance that the posterior of the
        effects adds to the score of a row on average.
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
        return step, float(spread.sum() / self.counts.sum())


def _start(y: np.ndarray, logistic: bool, weight: Weight) -> tuple[float, float]:
    """Return the intercept and the noise of a model without fields."""
    mean = np.average(y, weights=weight)
    if not logistic:
        return float(mean), _noise(y - mean, 0.0, weight)
    n_rows = len(y) if weight is None else weight.sum()
    mean = (mean * n_rows + 0.5) / (n_rows + 1)
    return float(np.log(mean / (1 - mean))), 1.0


def _noise(errors: np.ndarray, uncertainty: float, weight: Weight) -> float:
    """Return the deviation of targets around the model's posterior."""
    noise = float(np.sqrt(np.average(errors * errors, weights=weight) + uncertainty))
    return noise if noise > 0 else 1.0


def _derivatives(
    y: np.ndarray,
    score: np.ndarray,
    noise: float,
    logistic: bool,
    weight: Weight,
) -> tuple[np.ndarray, np.ndarray]:
    """Return first and negative second derivatives of the log-likelihood."""
    if logistic:
        p = expit(score)
        r, w = y - p, p * (1 - p)
    else:
        r, w = (y - score) / noise**2, np.full(len(y), noise**-2)
    return (r, w) if weight is None else (r * weight, w * weight)


def additive_model(
    codes: Sequence[Codes],
    widths: Sequence[int],
    y: np.ndarray,
    *,
    logistic: bool,
    weight: Weight = None,
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
        Whether y holds outcomes 0 and 1, and not numbers.
    weight : ndarray of float of shape (n_rows,) or None, default=None
        Weight of each row, as a number of equal rows; None: one.
    """

    def residuals(
        train: np.ndarray, test: np.ndarray, extras: Sequence[Extra]
    ) -> Residuals:
        weights = [None if weight is None else weight[rows] for rows in (train, test)]
        model = fit_additive(
            [*(code[train] for code in codes), *(extra.train for extra in extras)],
            [*widths, *(extra.width for extra in extras)],
            y[train],
            logistic=logistic,
            weight=weights[0],
        )
        known = [*(code[test] for code in codes), *(extra.test for extra in extras)]
        return model.residuals(known, y[test], weights[1])

    return residuals
