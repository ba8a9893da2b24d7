"""Adam for a network's dense weights.

torch's own optimizers pull in its compiler, 1.7 s on first use, and spend more time on
bookkeeping than the arithmetic of small networks; here all weights and gradients are
slices of two flat buffers, so that a step is a handful of vector operations.
"""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn


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
    """

    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def __init__(
        self,
        parameters: Iterable[nn.Parameter],
        learning_rate: float,
        alpha: float = 0.0,
    ) -> None:
        self.learning_rate = learning_rate
        self.n_steps = 0
        parameters = list(parameters)
        with torch.no_grad():
            self.values = torch.cat([p.detach().flatten() for p in parameters])
            self.gradient = torch.zeros_like(self.values)
            penalised = [torch.full_like(p, float(p.dim() > 1)) for p in parameters]
            self._decay = alpha * torch.cat([p.flatten() for p in penalised])
        self._penalise = bool(self._decay.any())
        self.mean = torch.zeros_like(self.values)
        self.variance = torch.zeros_like(self.values)
        start = 0
        for parameter in parameters:
            stop = start + parameter.numel()
            parameter.data = self.values[start:stop].view(parameter.shape)
            parameter.grad = self.gradient[start:stop].view(parameter.shape)
            start = stop

    def zero_grad(self) -> None:
        """Clear the gradients in place."""
        self.gradient.zero_()

    @torch.no_grad()
    def step(self) -> None:
        """Update all weights from their gradients."""
        self.n_steps += 1
        gradient = self.gradient
        if self._penalise:
            gradient = gradient.addcmul(self._decay, self.values)
        self.mean.lerp_(gradient, 1 - self.beta1)
        self.variance.mul_(self.beta2).addcmul_(
            gradient, gradient, value=1 - self.beta2
        )
        correction = math.sqrt(1 - self.beta2**self.n_steps)
        denominator = self.variance.sqrt().div_(correction).add_(self.epsilon)
        step_size = self.learning_rate / (1 - self.beta1**self.n_steps)
        self.values.addcdiv_(self.mean, denominator, value=-step_size)

    def state(self) -> tuple[Tensor, Tensor, int]:
        """What `load_state` needs to go on, for another network of the same shape."""
        return self.mean, self.variance, self.n_steps

    def load_state(self, state: tuple[Tensor, Tensor, int]) -> None:
        """Continue from an earlier optimizer's `state`."""
        self.mean, self.variance, self.n_steps = state
