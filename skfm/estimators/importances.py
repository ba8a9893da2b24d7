"""Importance of features: the share of the score's variance that each takes part in.

The total effect of a feature is the expected variance of the raw score when only this
feature is drawn anew (Homma and Saltelli, 1996). Features are taken as independent of
each other, with the frequencies and values that the training rows had, of which a fit
keeps the counts: neither the training rows nor any others are needed.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.rows import Rows
from ..data.statistics import ColumnStatistics
from .draws import Draws, MatrixDraws, TableDraws

if TYPE_CHECKING:
    from ..nn.network import Network
    from ..nn.pairwise import PairwiseNetwork

#: Rows that are scored for all features together, and the bounds of those for each.
_N_SCORED, _MOST, _FEWEST = 200_000, 4000, 100
#: Numbers that the exact effects hold at once.
_NUMBERS_AT_ONCE = 1 << 22


def feature_importances(model: Any) -> np.ndarray:
    """Compute the total effect of each feature, as shares of their sum.

    Parameters
    ----------
    model : estimator
        Fitted.

    Returns
    -------
    ndarray of shape (n_features_in_,)
        Non-negative, with sum one; zeros if the scores do not depend on any feature.

    Raises
    ------
    AttributeError
        If there are too many features to draw each of them anew.
    """
    scale, _ = model._output_scale()
    if model._codec is None and model.network_.shares_pair_weights:
        effects = column_effects(model.network_, model._column_statistics)
    else:
        effects = _drawn_effects(model)
    shares = (effects * scale**2).sum(axis=1)
    total = shares.sum()
    return shares / total if total > 0 else np.zeros(len(shares))


def column_effects(
    network: PairwiseNetwork, statistics: ColumnStatistics
) -> np.ndarray:
    """Compute the total effects of the columns of a factorization machine, exactly.

    With independent x_j of mean m_j and variance s_j, and z = sum_i x_i v_i, the total
    effect of column j on an output whose pairs have the weights h is ::

        s_j E[(w_j + <h * v_j, z - x_j v_j>)^2]

    Returns
    -------
    ndarray of shape (n_columns, n_outputs)
    """
    sums, squares = statistics.moments()
    n_rows = max(1, statistics.n_rows)
    mean = sums / n_rows
    variance = np.maximum(squares / n_rows - mean**2, 0)
    shared = network.pair_weights(0, 0)
    assert shared is not None
    assert network.linear_weights is not None
    weights = shared.detach().cpu().numpy()
    linear = network.linear_weights.detach().cpu().numpy()
    effects = np.empty((len(mean), weights.shape[1]))
    for output, pair_weights in enumerate(weights.T):
        used = np.flatnonzero(pair_weights)
        effects[:, output] = _effects_of_output(
            network, used, pair_weights[used], linear[:, output], mean, variance
        )
    return effects


def _effects_of_output(
    network: Network,
    used: np.ndarray,
    weights: np.ndarray,
    linear: np.ndarray,
    mean: np.ndarray,
    variance: np.ndarray,
) -> np.ndarray:
    """Compute the total effects on one output, which reads the ``used`` factors."""
    total, covariance = np.zeros(len(used)), np.zeros((len(used), len(used)))
    for part, factors in _factors(network, used):
        total += mean[part] @ factors
        covariance += (factors * variance[part, None]).T @ factors
    effects = np.empty(len(mean))
    for part, factors in _factors(network, used):
        weighted = factors * weights
        own = np.einsum("jk,jk->j", weighted, factors)
        expected = linear[part] + weighted @ total - mean[part] * own
        spread = np.einsum("jk,jk->j", weighted @ covariance, weighted)
        spread = np.maximum(spread - variance[part] * own**2, 0)
        effects[part] = variance[part] * (expected**2 + spread)
    return effects


def _factors(network: Network, used: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
    """Yield the used factors of some columns at a time, in float64."""
    step = max(1, _NUMBERS_AT_ONCE // max(1, len(used)))
    table = network.factors
    for start in range(0, network.shape.n_columns, step):
        part = slice(start, start + step)
        factors = table[part].detach().cpu().numpy()
        yield part, factors[:, used].astype(np.float64)


def _drawn_effects(model: Any) -> np.ndarray:
    """Estimate total effects (n_features, n_outputs) from rows drawn twice.

    Always the same rows are drawn. The effect of a feature is half the mean squared
    change of the scores when its cells are exchanged for those of the second draw.
    """
    n_features = model.n_features_in_
    n_rows = min(_MOST, _N_SCORED // n_features)
    if n_rows < _FEWEST:
        raise AttributeError(
            f"{type(model).__name__} has feature_importances_ of at most "
            f"{_N_SCORED // _FEWEST} features, but X had {n_features}. Fit it on the "
            "table before it is encoded, or take an FM."
        )
    draws = draws_of(model, n_rows)
    scores = score_drawn(model, draws.mixed())
    effects = np.empty((n_features, scores.shape[1]))
    for feature in range(n_features):
        changed = score_drawn(model, draws.mixed([feature]))
        effects[feature] = np.square(changed - scores).mean(axis=0) / 2
    return effects


def draws_of(model: Any, n_rows: int) -> Draws:
    """Draw rows of a fitted model, each feature of X being a part."""
    statistics = model._column_statistics
    if model._codec is not None:
        return TableDraws(model._codec, statistics, n_rows)
    return MatrixDraws(statistics, np.arange(len(statistics.counts)), n_rows)


def score_drawn(model: Any, matrix: Any) -> np.ndarray:
    """Compute the raw scores (n_rows, n_outputs) of drawn rows."""
    # The statistics are of values that are averaged over a row's entries already.
    scores: np.ndarray = model._score(Rows(matrix, model.network_.shape.dtype))
    return scores
