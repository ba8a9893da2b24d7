"""Weights of a fitted network, in the units of the columns of X.

A network reads ``(x - center) / scale`` of a column. Its weights of the column are
divided by the scale here, and what the centers add to the constant and to the linear
part is added, as far as the model is a polynomial.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.scaling import ColumnScaling

if TYPE_CHECKING:
    from ..nn.network import Network
    from ..nn.samples import Samples

__all__ = ["factors", "intercept", "linear_weights"]


def factors(network: Network | Samples, scaling: ColumnScaling | None) -> np.ndarray:
    """Return the embeddings, (n_columns, k) or (n_columns, F, k)."""
    array = np.array(_host(network.factors))
    if scaling is not None:
        array /= _by_row(scaling.scale, array)
    return array


def linear_weights(network: Network | Samples, scaling: ColumnScaling | None) -> Any:
    """Return the linear weights, (n_columns, n_outputs), or None if there are none."""
    weights = network.linear_weights
    if weights is None or not network.has_linear:
        return None
    linear = np.array(_host(weights))
    if scaling is None:
        return linear
    linear /= _by_row(scaling.scale, linear)
    pairs = _pair_weights(network, scaling)
    if pairs is None:
        return linear
    own = factors(network, scaling).astype(np.float64)
    center = scaling.center[:, None]
    total = (center * own).sum(axis=0)
    return linear - (own * total - np.square(own) * center) @ pairs


def intercept(network: Network | Samples, scaling: ColumnScaling | None) -> np.ndarray:
    """Return the score of a row of zeros, as far as centers tell, (n_outputs,)."""
    bias: np.ndarray = _host(network.bias).astype(np.float64)
    if scaling is None or not scaling.center.any():
        return bias
    weights = network.linear_weights
    if weights is not None and network.has_linear:
        shift = scaling.center / scaling.scale
        bias = bias - shift @ _host(weights)
    pairs = _pair_weights(network, scaling)
    if pairs is None:
        return bias
    moved = scaling.center[:, None] * factors(network, scaling)
    squares = np.square(moved.sum(axis=0)) - np.square(moved).sum(axis=0)
    return bias + 0.5 * squares @ pairs


def _pair_weights(
    network: Network | Samples, scaling: ColumnScaling
) -> np.ndarray | None:
    """Return the weights of products of factors, (k, n_outputs), that all pairs share.

    None where a pair has its own, or nothing is centered.
    """
    if not network.shares_pair_weights or not scaling.center.any():
        return None
    weights = network.pair_weights(0, 0)  # type: ignore[operator]
    assert weights is not None
    array: np.ndarray = _host(weights).astype(np.float64)
    return array


def _host(weights: Any) -> np.ndarray:
    """Return weights, a tensor or an array, as an array."""
    if isinstance(weights, np.ndarray):
        return weights
    array: np.ndarray = weights.detach().cpu().numpy()
    return array


def _by_row(scale: np.ndarray, array: np.ndarray) -> np.ndarray:
    return scale.reshape(-1, *[1] * (array.ndim - 1))
