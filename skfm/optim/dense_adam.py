"""Adam for the dense weights of a network.

All weights are slices of one flat buffer, as are the gradients, so that a step is one
pass over them. The step is the fused operation of torch, called directly, because the
class `torch.optim.Adam` imports torch's compiler, which takes seconds.
"""

from __future__ import annotations

import math
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..nn.parameters import flatten
from ..runtime.lazy import torch, without_gradients
from ..runtime.threads import parallel_for

if TYPE_CHECKING:
    from torch import Tensor, nn

#: Unit in which weights are divided among threads. It is a multiple of the length of
#: every vector, so that the bounds of the parts make no difference to the bits.
_BLOCK = 1024
#: Fewest weights per thread that make a second thread pay.
_WEIGHTS_PER_THREAD = 200_000
#: Types of devices for which torch has the fused step.
_FUSED = ("cpu", "cuda")


class DenseAdam:
    """Adam (Kingma & Ba, 2015) with an L2 penalty on weight matrices.

    Parameters
    ----------
    parameters : iterable of Parameter
        Weights to train. Their values are moved into one flat buffer.
    learning_rate : float
        Learning rate, which may be changed between steps.
    alpha : float, default=0.0
        Strength of the L2 penalty ``alpha / 2 * ||theta||^2`` on each parameter of two
        or more dimensions. Biases and the parameters of norms are not penalised.
    clip_norm : float, default=None
        Largest Euclidean norm of the gradient of all parameters together, penalty
        included. A longer gradient is scaled down; None: it is not.
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
        self._count = torch.zeros((), device=self.values.device)
        self._gradients = self.values.new_zeros(0, len(self.values))

    def gradient_buffers(self, n: int) -> list[Tensor]:
        """Allocate flat buffers whose sum, in order, is the gradient of the next step.

        Write them anew before every step, which overwrites them.
        """
        self._gradients = self.values.new_zeros(n, len(self.values))
        return list(self._gradients)

    @without_gradients
    def step(self, n_threads: int = 1) -> None:
        """Update all weights from the gradient buffers, which are overwritten."""
        self.n_steps += 1
        self._count.fill_(self.n_steps)
        n_blocks = -(-len(self.values) // _BLOCK)
        if self.clip_norm is not None:
            # The norm is that of the whole gradient.
            self._reduce(slice(None))
            self._clip()
            self._update(slice(None))
        elif n_threads <= 1 or self.values.device.type != "cpu":
            self._step_part(0, n_blocks)
        else:
            useful = max(1, len(self.values) // _WEIGHTS_PER_THREAD)
            # One part for each thread: between small ones, threads wait for Python.
            n_parts = min(n_threads, useful)
            parallel_for(self._step_parts, n_parts, n_parts, n_blocks, n_parts)

    def _step_parts(self, n_blocks: int, n_parts: int, first: int, last: int) -> None:
        self._step_part(n_blocks * first // n_parts, n_blocks * last // n_parts)

    @without_gradients  # gradients are switched on and off for each thread
    def _step_part(self, start: int, stop: int) -> None:
        part = slice(start * _BLOCK, stop * _BLOCK)
        self._reduce(part)
        self._update(part)

    def _reduce(self, part: slice) -> None:
        """Sum the buffers and the gradient of the penalty into the first buffer."""
        gradient = self._gradients[0, part]
        for further in self._gradients[1:]:
            gradient += further[part]
        if self._penalise:
            gradient.addcmul_(self._decay[part], self.values[part])

    def _clip(self) -> None:
        assert self.clip_norm is not None
        gradient = self._gradients[0]
        norm = torch.linalg.vector_norm(gradient).clamp(min=self.clip_norm)
        gradient *= self.clip_norm / norm

    def _update(self, part: slice) -> None:
        update = fused_step if self.values.device.type in _FUSED else plain_step
        update(
            self.values[part],
            self._gradients[0, part],
            self.mean[part],
            self.variance[part],
            self._count,
            learning_rate=self.learning_rate,
            betas=(self.beta1, self.beta2),
            epsilon=self.epsilon,
        )


def fused_step(
    values: Tensor,
    gradient: Tensor,
    mean: Tensor,
    variance: Tensor,
    n_steps: Tensor,
    *,
    learning_rate: float,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Make one step of Adam in place, by the fused operation of torch.

    Parameters
    ----------
    values, gradient, mean, variance : Tensor of shape (n,)
        Weights, their gradient, and its moments before the step.
    n_steps : Tensor of shape ()
        Number of this step, counted from 1, on the device of the weights.
    learning_rate : float
        Learning rate of this step.
    betas : tuple of float
        Decay of the two moments.
    epsilon : float
        Number added to the root of the second moment.
    """
    torch._fused_adam_(
        [values],
        [gradient],
        [mean],
        [variance],
        [],
        [n_steps],
        lr=learning_rate,
        beta1=betas[0],
        beta2=betas[1],
        weight_decay=0.0,
        eps=epsilon,
        amsgrad=False,
        maximize=False,
    )


def plain_step(
    values: Tensor,
    gradient: Tensor,
    mean: Tensor,
    variance: Tensor,
    n_steps: Tensor,
    *,
    learning_rate: float,
    betas: tuple[float, float],
    epsilon: float,
) -> None:
    """Make the step of `fused_step` by operations that every device has."""
    t, (beta1, beta2) = n_steps.item(), betas
    mean.lerp_(gradient, 1 - beta1)
    variance.mul_(beta2).addcmul_(gradient, gradient, value=1 - beta2)
    denominator = variance.sqrt().div_(math.sqrt(1 - beta2**t)).add_(epsilon)
    values.addcdiv_(mean, denominator, value=-learning_rate / (1 - beta1**t))
