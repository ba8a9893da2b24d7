"""Adam for a network's dense weights.

torch's own optimizers pull in its compiler, 1.7 s on first use, and spend more time on
bookkeeping than the arithmetic of small networks; here all weights are slices of one
flat buffer, as are the gradients, so that a step is one pass over them.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

import math
from collections.abc import Iterable

import numpy as np
import torch
from numba import njit
from torch import Tensor, nn

from ..nn.parameters import flatten
from ..runtime.jit import JIT
from ..runtime.threads import parallel_for

#: Weights whose gradients are summed in cache, and that are worth a second thread.
_BLOCK = 1024
_WEIGHTS_PER_THREAD = 20_000


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
        self._gradients = self.values.new_zeros(0, len(self.values))

    def gradient_buffers(self, n: int) -> list[Tensor]:
        """Flat buffers whose sum, in order, is the gradient of the next steps."""
        self._gradients = self.values.new_zeros(n, len(self.values))
        return list(self._gradients)

    @torch.no_grad()
    def step(self, n_threads: int = 1) -> None:
        """Update all weights from the gradient buffers."""
        self.n_steps += 1
        if self.values.device.type == "cpu" and self.clip_norm is None:
            self._step_on_cpu(n_threads)
        else:
            self._step_in_torch()

    def _step_on_cpu(self, n_threads: int) -> None:
        arrays = self.values, self._gradients, self._decay, self.mean, self.variance
        settings = (
            self.learning_rate / (1 - self.beta1**self.n_steps),
            *(self.beta1, self.beta2),
            *(math.sqrt(1 - self.beta2**self.n_steps), self.epsilon),
        )
        scalar = self.values.numpy().dtype.type
        size = len(self.values)
        parallel_for(
            _adam,
            size,
            max(1, min(n_threads, size // _WEIGHTS_PER_THREAD)),
            *(array.numpy() for array in arrays),
            tuple(scalar(setting) for setting in settings),
        )

    def _step_in_torch(self) -> None:
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


@njit(**JIT)
def _adam(values, gradients, decay, mean, variance, settings, start, stop):
    """One step of the weights start..stop; ``gradients`` (n, size) are summed."""
    step_size, beta1, beta2, correction, epsilon = settings
    one, block = values.dtype.type(1), np.empty(_BLOCK, values.dtype)
    for low in range(start, stop, _BLOCK):
        n = min(_BLOCK, stop - low)
        for i in range(n):
            block[i] = gradients[0, low + i]
        for further in range(1, gradients.shape[0]):
            for i in range(n):
                block[i] += gradients[further, low + i]
        for i in range(n):
            w = values[low + i]
            g = block[i] + decay[low + i] * w
            m = beta1 * mean[low + i] + (one - beta1) * g
            v = beta2 * variance[low + i] + (one - beta2) * g * g
            mean[low + i], variance[low + i] = m, v
            values[low + i] = w - step_size * m / (np.sqrt(v) / correction + epsilon)
