"""Credible intervals from the samples of a posterior."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..nn.network import Network
from ..nn.posterior import PosteriorNetwork
from .reading import Model, to_float64


class SampledModel(Model):
    """Bayesian fit whose network has C outputs for each of its S samples."""

    @classmethod
    def of_model(cls, model: Model) -> SampledModel:
        """Make a sampled model from a model that was fitted by the Bayesian solver.

        Raises
        ------
        ValueError
            If the model was fitted by another solver.
        """
        if not isinstance(model.network, PosteriorNetwork):
            raise ValueError(
                "credible_interval needs samples of a posterior, but this "
                f"{type(model.estimator).__name__} has none: fit an FMClassifier or "
                'FMRegressor with solver="bayes", or leave credible_interval out.'
            )
        return cls(model.estimator, model.encoder)

    @property
    def n_samples(self) -> int:
        return int(self.estimator.network_.shape.n_samples)

    @cached_property
    def network(self) -> Network:
        """Network with separate outputs for the samples."""
        network: Network = self.estimator.network_.apart()
        return network

    @property
    def scale(self) -> np.ndarray:
        return np.tile(self.estimator._output_scale()[0], self.n_samples)

    @property
    def bias(self) -> np.ndarray:
        shift = np.tile(self.estimator._output_scale()[1], self.n_samples)
        bias: np.ndarray = to_float64(self.network.bias) * self.scale + shift
        return bias


def by_sample(values: np.ndarray, n_samples: int) -> np.ndarray:
    """Reshape values (N, S C) to (N, S, C)."""
    return values.reshape(len(values), n_samples, -1)


def bounds(values: np.ndarray, share: float) -> tuple[np.ndarray, np.ndarray]:
    """Compute the bounds of the central interval with a share of the samples.

    Parameters
    ----------
    values : ndarray of shape (N, S, C)
        Values of each sample.
    share : float
        Share of the samples between the bounds.

    Returns
    -------
    lower, upper : ndarray of shape (N, C)
        Bounds over the samples.
    """
    tail = (1 - share) / 2
    lower, upper = np.quantile(values, [tail, 1 - tail], axis=1)
    return lower, upper
