r"""Evidence of residuals for an effect of the levels of a field.

A field with an effect :math:`b_l \sim N(0, s^2)` on the score leaves
:math:`E[r_i r_j] = s^2 w_i w_j` in the out-of-fold residuals of two rows i and j of a
level. Sums over pairs of *distinct* rows therefore estimate s² without bias, whatever
the variance of the residuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np

from .kernels import weigh
from .levels import Codes

__all__ = [
    "NO_EVIDENCE",
    "Evidence",
    "Residuals",
    "residuals_of",
    "weigh_levels",
    "without_effects",
]


@dataclass(frozen=True)
class Evidence:
    """Evidence for a field.

    Attributes
    ----------
    gain : float
        Estimated gain in log-likelihood, less the cost of the effects of the levels.
    variance : float
        Variance component of the effects, on the scale of the score.
    z : float
        Standard score of the variance component if there is no effect.
    agreement : float
        Standard score by the deviation that the levels show, instead of that of normal
        residuals. A single level cannot raise it above 1.
    dense_gain : float
        Part of the gain that comes from levels of enough rows for the sums of their
        residuals to be about normal.
    """

    gain: float
    variance: float
    z: float
    agreement: float
    dense_gain: float

    def is_significant(self, least_z: float) -> bool:
        """Return whether there is an effect.

        If levels have few rows and outcomes are rare, or errors have heavy tails, a
        single level can reach any z and gain by chance. Then many levels must agree.
        """
        least_gain = least_z**2 / 2
        is_large = self.z > least_z and self.gain > least_gain
        return is_large and (self.agreement > least_z or self.dense_gain > least_gain)


NO_EVIDENCE = Evidence(0.0, 0.0, 0.0, 0.0, 0.0)
#: Variance from which on sums of residuals are about normal.
_DENSE = 10.0


@dataclass(frozen=True)
class Residuals:
    """Residuals out of fold and their variances.

    Attributes
    ----------
    r : ndarray of float of shape (n_rows, n_outputs)
        Derivative of the log-likelihood by the score: ``y - p`` for probabilities,
        ``(y - f) / noise`` for numbers. Several outputs are classes, one against the
        others.
    w : ndarray of float of shape (n_rows, n_outputs)
        Variance of each residual: ``p * (1 - p)``, or 1.
    weight : ndarray of float of shape (n_rows,) or None, default=None
        Weight of each row, as a number of equal rows; None: one.
    """

    r: np.ndarray
    w: np.ndarray
    weight: np.ndarray | None = None

    @cached_property
    def weighed(self) -> tuple[np.ndarray, np.ndarray]:
        """r and w, times the weights of the rows."""
        if self.weight is None:
            return self.r, self.w
        weight = self.weight[:, None]
        return self.r * weight, self.w * weight

    @cached_property
    def counts(self) -> np.ndarray:
        """Weight of each row, as a number of equal rows."""
        return np.ones(len(self.r)) if self.weight is None else self.weight

    @cached_property
    def squares(self) -> tuple[float, float]:
        """Weighed sums of the squares of r and of w."""
        return float(self.row_squares.sum()), float((self.weighed[1] * self.w).sum())

    @cached_property
    def row_squares(self) -> np.ndarray:
        """Weighed sum of the squares of r in each row."""
        return (self.weighed[0] * self.r).sum(axis=1)


def residuals_of(
    y: np.ndarray, means: np.ndarray, *, logistic: bool, weight: np.ndarray | None
) -> Residuals:
    """Return the residuals of predictions; those of numbers have mean square 1.

    Parameters
    ----------
    y : ndarray of shape (n_rows, n_outputs)
    means : ndarray of shape (n_rows, n_outputs)
        Predicted numbers, or probabilities of the outcome 1.
    logistic : bool
        Whether y holds outcomes 0 and 1.
    weight : ndarray of shape (n_rows,) or None
    """
    errors = y - means
    if logistic:
        return Residuals(errors, means * (1 - means), weight)
    scale = np.sqrt(np.average(errors * errors, axis=0, weights=weight))
    scale[scale == 0] = 1.0
    return Residuals(errors / scale, np.ones_like(y), weight)


def weigh_levels(
    residuals: Residuals, levels: Codes, n_levels: int, min_count: int = 2
) -> Evidence:
    r"""Return the evidence for a field of these levels.

    With :math:`R_l = \sum r` and :math:`W_l = \sum w` over the rows of level l, where a
    row of weight 2 is two rows,

    .. math::
        s^2 = \frac{\sum_l (R_l^2 - \sum r^2)}{\sum_l (W_l^2 - \sum w^2)}, \quad
        z = \frac{\sum_l (R_l^2 - \sum r^2)}{\sqrt{2 \sum_l (W_l^2 - \sum w^2)}}, \quad
        gain = \frac12 \sum_l \frac{R_l^2}{W_l + 1/s^2} - \log(1 + s^2 W_l).

    Parameters
    ----------
    residuals : Residuals
        Residuals of ``n_rows`` rows.
    levels : ndarray of int of shape (n_rows,)
        Level of each row, in ``[0, n_levels)``.
    n_levels : int
        Number of levels, some of which may not occur.
    min_count : int, default=2
        Levels with fewer rows do not contribute to the gain.

    Notes
    -----
    The residuals of K classes sum to zero over the classes, so sums over the classes
    count the evidence more than once: by K / (K - 1) where the classes are equally
    frequent. Gain and z are corrected by that.
    """
    n_outputs = residuals.r.shape[1]
    found = weigh(
        levels,
        n_levels,
        *residuals.weighed,
        residuals.row_squares,
        residuals.counts,
        residuals.squares,
        share=(n_outputs - 1) / n_outputs if n_outputs > 1 else 1.0,
        min_count=min_count,
        dense=_DENSE,
    )
    return Evidence(*found)


def _sums(residuals: Residuals, k: int, levels: Codes, n_levels: int) -> tuple:
    return tuple(
        np.bincount(levels, part[:, k], minlength=n_levels)
        for part in residuals.weighed
    )


def without_effects(residuals: Residuals, fields: list[tuple[Codes, int]]) -> Residuals:
    """Return residuals without the remaining effects of fields.

    A model that was fitted on other rows errs in the effect of each level by about
    its posterior standard deviation. Rows of a level share that error, and so do the
    rows of each cross with the field: left in, it would look like an effect of all of
    them. It is estimated by the same statistics, shrunk accordingly, and taken out.

    Parameters
    ----------
    residuals : Residuals
    fields : list of (codes, n_levels)
        Fields that the model includes.
    """
    r, w = residuals.r.copy(), residuals.w
    for levels, n_levels in fields:
        now = Residuals(r, w, residuals.weight)
        variance = weigh_levels(now, levels, n_levels).variance
        if variance <= 0:
            continue
        for k in range(r.shape[1]):
            R, W = _sums(now, k, levels, n_levels)
            effects = R / (W + 1 / variance)
            r[:, k] -= w[:, k] * effects[levels]
    return Residuals(r, w, residuals.weight)
