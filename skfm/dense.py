"""Adam for a network's dense weights.

torch's own optimizers pull in its compiler, 1.7 s on first use, and spend more time on
bookkeeping than the arithmetic of small networks; here all weights are slices of one
flat buffer, as are the gradients, so that a step is a handful of vector operations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


def flatten(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Move the storage of parameters into one flat buffer, which is returned.

    The last bits of a matrix product depend on where in memory its operands lie: a
    network that is to compute what another does has its weights laid out as there.
    """
    parameters = list(parameters)
    values = torch.cat([p.detach().flatten() for p in parameters])
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.data = values[start:stop].view(parameter.shape)
        start = stop
    return values


class DenseAdam:
    """Adam (Kingma & Ba, 2015) with an L2 penalty on weight matrices.

    Parameters
    ----------
    parameters : iterable of Parameter
        Their storage moves into a flat buffer; their values stay.
    learning_rate : float
        May be changed between steps.
    alpha : float
        L2 strength: the gradient of ``alpha / 2 * ||theta||^2`` is added for every
        parameter of two or more dimensions (biases and norms are not penalised).
    clip_norm : float or None
        The gradient of all parameters together, that of the penalty included, is
        scaled down to at most this Euclidean norm.
    """

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        alpha: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        self.clip_norm = clip_norm
        self.learning_rate = learning_rate
        self.n_steps = 0
        parameters = list(parameters)
        self.values = flatten(parameters)
        with torch.no_grad():
            penalised = [torch.full_like(p, float(p.dim() > 1)) for p in parameters]
            self._decay = alpha * torch.cat([p.flatten() for p in penalised])
        self._penalise = bool(self._decay.any())
        self.mean = torch.zeros_like(self.values)
        self.variance = torch.zeros_like(self.values)
        self._gradients: list[Tensor] = []

    def gradient_buffers(self, n: int) -> list[Tensor]:
        """Flat buffers whose sum, in order, is the gradient of the next steps."""
        self._gradients = [torch.zeros_like(self.values) for _ in range(n)]
        return self._gradients

    @torch.no_grad()
    def step(self) -> None:
        """Update all weights from the gradient buffers."""
        self.n_steps += 1
        gradient = self._gradients[0]
        for further in self._gradients[1:]:
            gradient = gradient + further
        if self._penalise:
            gradient = gradient.addcmul(self._decay, self.values)
        if self.clip_norm is not None:
            norm = torch.linalg.vector_norm(gradient).clamp(min=self.clip_norm)
            gradient = gradient * (self.clip_norm / norm)
        self.mean.lerp_(gradient, 1 - self.beta1)
        self.variance.mul_(self.beta2).addcmul_(
            gradient, gradient, value=1 - self.beta2
        )
        correction = math.sqrt(1 - self.beta2**self.n_steps)
        denominator = self.variance.sqrt().div_(correction).add_(self.epsilon)
        step_size = self.learning_rate / (1 - self.beta1**self.n_steps)
        self.values.addcdiv_(self.mean, denominator, value=-step_size)
