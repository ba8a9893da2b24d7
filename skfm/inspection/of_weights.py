"""Strength of interactions that the weights of a network alone show."""

from __future__ import annotations

import numpy as np
import pandas as pd

from ..models.dcn import DCNNetwork
from ..models.fwfm import FwFMNetwork
from ..nn.layers import MatrixCross
from ..nn.network import Network
from ..nn.pairwise import PairwiseNetwork
from .reading import Model, to_float64


def measure(network: Network, kind: str = "auto") -> str:
    """Return the measure of `interaction_strength`: variance, weights or total."""
    if kind != "auto":
        return kind
    if isinstance(network, PairwiseNetwork):
        return "variance"
    has_matrix = _matrix_cross(network.members[0]) is not None
    return "weights" if has_matrix else "total"


def strength_of_weights(model: Model) -> pd.DataFrame:
    """Return the strength of each pair of fields that the weights show.

    Raises
    ------
    TypeError
        If the weights of the architecture do not show it.
    """
    found = [_of_network(network) for network in model.network.members]
    known = [matrix for matrix in found if matrix is not None]
    if not known:
        raise TypeError(
            f"The weights of this {type(model.estimator).__name__} alone do not show "
            'the strength of interactions: leave kind="auto", or fit an FwFM, or a DCN '
            'with cross="matrix" and without experts.'
        )
    _, names = model.fields()
    return pd.DataFrame(np.mean(known, axis=0), names, names)


def _of_network(network: Network) -> np.ndarray | None:
    """Return the strengths (F, F) that the weights of one network show, if they do."""
    layer = _matrix_cross(network)
    if isinstance(network, FwFMNetwork):
        strength: np.ndarray = np.abs(to_float64(network.pairs.matrix())).mean(axis=2)
        return strength
    if layer is None:
        return None
    k = network.shape.n_factors
    blocks = to_float64(layer.matrix()).reshape(-1, k, network.shape.n_fields, k)
    return np.sqrt(np.square(blocks).sum(axis=(1, 3)))


def _matrix_cross(network: Network) -> MatrixCross | None:
    """Return the first cross layer of a DCN, if it has a matrix."""
    if not isinstance(network, DCNNetwork):
        return None
    layer = next(iter(network.cross.layers), None)
    return layer if isinstance(layer, MatrixCross) else None
