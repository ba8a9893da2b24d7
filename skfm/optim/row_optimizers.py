"""Optimizers of the rows of a table, and their registry."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from ..runtime.lazy import torch
from ..sparse.table import EmbeddingTable
from . import fused
from .base import RowOptimizer, soften

if TYPE_CHECKING:
    from torch import Tensor


class SGD(RowOptimizer):
    """Stochastic gradient descent: w -= lr g."""

    def _kernel(self) -> Any:
        return fused.sgd

    def _device_step(self, columns: Tensor, gradient: Tensor) -> None:
        self.table.weight[columns] -= self.learning_rate * gradient


class Momentum(RowOptimizer):
    """Gradient descent with momentum: u = momentum u + g; w -= lr u.

    The step is that of `torch.optim.SGD`, but only in the touched rows.

    Parameters
    ----------
    momentum : float
        Decay of the velocity u, above 0 and below 1.
    """

    n_states = 1
    fused = False

    def __init__(
        self,
        table: EmbeddingTable,
        learning_rate: float,
        *,
        momentum: float = 0.9,
        **options: Any,
    ) -> None:
        super().__init__(table, learning_rate, **options)
        self.momentum = momentum

    def _rates(self, columns: Tensor) -> float:
        return self.learning_rate / (1 - self.momentum)

    def _device_step(self, columns: Tensor, gradient: Tensor) -> None:
        velocity = self.momentum * self.state[0][columns] + gradient
        self.state[0][columns] = velocity
        self.table.weight[columns] -= self.learning_rate * velocity


class Adagrad(RowOptimizer):
    """Adagrad (Duchi et al., 2011) on the gradient of the summed loss of a batch.

    With G that gradient and s the sum of its squares::

        s += G^2;  w -= lr G / (sqrt(s) + 1)

    The slope of the loss of one row is about one. Because of the 1, the first step of a
    column that occurs once is proportional to this slope if it is small, and at most
    one learning rate. Without the 1, the step would be one learning rate whatever the
    gradient is, and rare columns would overfit. The steps of frequent columns become
    shorter by themselves.
    """

    n_states = 1
    epsilon = 1.0

    def _kernel(self) -> Any:
        return fused.adagrad

    def _settings(self) -> tuple[Any, ...]:
        return ((self.learning_rate, self.epsilon, self.n_rows),)

    def _rates(self, columns: Tensor) -> Tensor:
        scale = self.state[0][columns].sqrt() + self.epsilon
        return self.learning_rate * self.n_rows / scale

    def _device_step(self, columns: Tensor, gradient: Tensor) -> None:
        gradient = self.n_rows * gradient
        squares = self.state[0][columns] + gradient.square()
        self.state[0][columns] = squares
        step = gradient / (squares.sqrt() + self.epsilon)
        self.table.weight[columns] -= self.learning_rate * step


class Adam(RowOptimizer):
    """Lazy Adam, which leaves untouched rows alone, as `torch.optim.SparseAdam`."""

    n_states = 2
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def _kernel(self) -> Any:
        return fused.adam

    def _settings(self) -> tuple[Any, ...]:
        step_size = self.learning_rate / (1 - self.beta1**self.n_steps)
        correction = math.sqrt(1 - self.beta2**self.n_steps)
        return ((step_size, self.beta1, self.beta2, correction, self.epsilon),)

    def _rates(self, columns: Tensor) -> Tensor:
        correction = math.sqrt(1 - self.beta2**self.n_steps)
        scale = self.state[1][columns].sqrt() / correction + self.epsilon
        return self.learning_rate / scale

    def _device_step(self, columns: Tensor, gradient: Tensor) -> None:
        ((step_size, beta1, beta2, correction, epsilon),) = self._settings()
        mean = self.state[0][columns] * beta1 + gradient * (1 - beta1)
        variance = self.state[1][columns] * beta2 + gradient.square() * (1 - beta2)
        self.state[0][columns], self.state[1][columns] = mean, variance
        step = mean / (variance.sqrt() / correction + epsilon)
        self.table.weight[columns] -= step_size * step


class FTRL(RowOptimizer):
    """FTRL-Proximal (McMahan et al., KDD 2013, algorithm 1).

    With G the gradient of the summed loss of a batch, n the sum of its squares and Z
    the learning rate times the paper's z::

        Z += lr G - (sqrt(n + G^2) - sqrt(n)) w;  n += G^2;  A += lr * L1
        w = 0 where |Z| <= A, else -(Z - sign(Z) A) / (sqrt(n) + 1)

    The L1 penalty is added at each touch (McMahan, AISTATS 2011), so that its strength
    means the same as for the other optimizers. The L2 penalty is part of the gradient.
    Without L1, the steps are those of Adagrad. The 1 is the paper's beta. A row starts
    from the weights that it has when it is first touched.
    """

    n_states = 2
    fused = False
    epsilon = 1.0

    def __init__(
        self, table: EmbeddingTable, learning_rate: float, **options: Any
    ) -> None:
        super().__init__(table, learning_rate, **options)
        if self.l1 is not None:
            self.state.append(self._zeros(len(self.state) + 1))

    def _update(self, columns: Tensor, gradient: Tensor, pull: Tensor | None) -> None:
        weight, gradient = self.table.weight[columns], self.n_rows * gradient
        z, squares = self.state[0][columns], self.state[1][columns]
        z = torch.where(squares == 0, -self.epsilon * weight, z)
        before = squares.sqrt()
        squares = squares + gradient.square()
        root = squares.sqrt()
        z = z + self.learning_rate * gradient - (root - before) * weight
        self.state[0][columns], self.state[1][columns] = z, squares
        if pull is not None:
            self.state[2][columns] += self.learning_rate * self.n_rows * pull
            z = soften(z, self.state[2][columns])
        self.table.weight[columns] = -z / (root + self.epsilon)


OPTIMIZERS: dict[str, type[RowOptimizer]] = {
    "adagrad": Adagrad,
    "adam": Adam,
    "ftrl": FTRL,
    "momentum": Momentum,
    "sgd": SGD,
}


def n_tables(optimizer: str, max_iter: int) -> int:
    """Return the number of arrays of the size of the table that training holds.

    They are the weights, the state of the optimizer and, if there are several epochs to
    choose from, the weights of the best epoch.
    """
    return 1 + OPTIMIZERS[optimizer].n_states + (max_iter > 1)
