r"""The evidence that residuals give for an effect of a field's levels.

A field with an effect :math:`b_l \sim N(0, s^2)` on the score leaves
:math:`E[r_i r_j] = s^2 w_i w_j` in the out-of-fold residuals of two rows i and j of a
level. Sums over pairs of *distinct* rows therefore estimate s² without bias, whatever
the variance of the residuals.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from .levels import Codes

__all__ = [
    "NO_EVIDENCE",
    "Evidence",
    "Residuals",
    "weigh_levels",
    "without_effects",
]


@dataclass(frozen=True)
class Evidence:
    """Evidence for a field.

    Attributes
    ----------
    gain : float
        Estimated gain in log-likelihood, after the cost of the levels' effects.
    variance : float
        Variance component of the effects, on the scale of the score.
    z : float
        Standard score of the variance component where there is no effect.
    """

    gain: float
    variance: float
    z: float


NO_EVIDENCE = Evidence(0.0, 0.0, 0.0)


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
    """

    r: NDArray[np.float64]
    w: NDArray[np.float64]

    @cached_property
    def squares(self) -> tuple[float, float]:
        """Sums of the squares of r and of w."""
        return float((self.r * self.r).sum()), float((self.w * self.w).sum())


def weigh_levels(
    residuals: Residuals, levels: Codes, n_levels: int, min_count: int = 2
) -> Evidence:
    r"""Return the evidence for a field of these levels.

    With :math:`R_l = \sum r` and :math:`W_l = \sum w` over the rows of level l,

    .. math::
        s^2 = \frac{\sum_l (R_l^2 - \sum r^2)}{\sum_l (W_l^2 - \sum w^2)}, \quad
        z = \frac{\sum_l (R_l^2 - \sum r^2)}{\sqrt{2 \sum_l (W_l^2 - \sum w^2)}}, \quad
        gain = \frac12 \sum_l \frac{R_l^2}{W_l + 1/s^2} - \log(1 + s^2 W_l).

    Parameters
    ----------
    residuals : Residuals
        Of ``n_rows`` rows.
    levels : ndarray of int of shape (n_rows,)
        The level of each row, in ``[0, n_levels)``.
    n_levels : int
        Number of levels; some may not occur.
    min_count : int, default=2
        Levels of fewer rows add nothing to the gain.

    Notes
    -----
    The residuals of K classes sum to zero over the classes, so sums over the classes
    count the evidence more than once: by K / (K - 1) where the classes are equally
    frequent. Gain and z are corrected by that.
    """
    n_outputs = residuals.r.shape[1]
    share = (n_outputs - 1) / n_outputs if n_outputs > 1 else 1.0
    sums = [_sums(residuals, k, levels, n_levels) for k in range(n_outputs)]
    # Not by numpy.dot, whose threads cost more than they save here.
    pairs_r = sum((R * R).sum() for R, _ in sums) - residuals.squares[0]
    pairs_w = sum((W * W).sum() for _, W in sums) - residuals.squares[1]
    if pairs_w <= 0 or pairs_r <= 0:
        return NO_EVIDENCE
    variance = pairs_r / pairs_w
    kept = np.bincount(levels, minlength=n_levels) >= min_count
    gain = sum(_gain(R[kept], W[kept], variance) for R, W in sums)
    z = pairs_r / np.sqrt(2 * pairs_w) * np.sqrt(share)
    return Evidence(float(gain * share), float(variance), float(z))


def _sums(residuals: Residuals, k: int, levels: Codes, n_levels: int) -> tuple:
    return tuple(
        np.bincount(levels, part[:, k], minlength=n_levels)
        for part in (residuals.r, residuals.w)
    )


def _gain(R: NDArray[np.float64], W: NDArray[np.float64], variance: float) -> float:
    penalised = R * R / (W + 1 / variance)
    return 0.5 * float((penalised - np.log1p(variance * W)).sum())


def without_effects(residuals: Residuals, fields: list[tuple[Codes, int]]) -> Residuals:
    """Return residuals without what is left in them of the effects of fields.

    A model that was fitted on other rows errs in the effect of each level by about
    its posterior standard deviation. Rows of a level share that error, and so do the
    rows of each cross with the field: left in, it would look like an effect of all of
    them. It is estimated by the same statistics, shrunk accordingly, and taken out.

    Parameters
    ----------
    residuals : Residuals
    fields : list of (codes, n_levels)
        The fields that the model knows.
    """
    r, w = residuals.r.copy(), residuals.w
    for levels, n_levels in fields:
        now = Residuals(r, w)
        variance = weigh_levels(now, levels, n_levels).variance
        if variance <= 0:
            continue
        for k in range(r.shape[1]):
            R, W = _sums(now, k, levels, n_levels)
            effects = R / (W + 1 / variance)
            r[:, k] -= w[:, k] * effects[levels]
    return Residuals(r, w)
