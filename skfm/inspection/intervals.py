"""Samples of a posterior as the outputs of one model, and their intervals."""

from __future__ import annotations

from functools import cached_property

import numpy as np

from ..nn.network import Network
from ..nn.posterior import PosteriorNetwork
from .reading import Model, to_float64


class SampledModel(Model):
    """A Bayesian fit with an output for each output under each sample, S C in all."""

    @classmethod
    def of_model(cls, model: Model) -> SampledModel:
        """Take the samples of a model apart.

        Raises
        ------
        ValueError
            If it was not fitted by the Bayesian solver.
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
        """The network whose outputs are those of the samples."""
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
    """Bounds of the central interval with a share of the samples.

    Parameters
    ----------
    values : ndarray of shape (N, S, C)
    share : float

    Returns
    -------
    lower, upper : ndarray of shape (N, C)
    """
    tail = (1 - share) / 2
    lower, upper = np.quantile(values, [tail, 1 - tail], axis=1)
    return lower, upper
