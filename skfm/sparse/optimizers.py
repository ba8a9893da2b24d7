"""Optimizers that touch only the table rows a batch touched.

State has the table's layout, one row per column, and starts at zero: memory the system
hands out lazily, so columns that never occur cost nothing.
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..threads import parallel_for
from . import kernels
from .memory import zeros
from .table import EmbeddingTable, RowGradient


class RowOptimizer:
    """What the optimizers share.

    Parameters
    ----------
    table : EmbeddingTable
    learning_rate : float
        May be changed between steps.

    Attributes
    ----------
    state : list of Tensor of shape (n_columns, C + k)
    n_steps : int
    """

    n_states: ClassVar[int] = 0

    def __init__(self, table: EmbeddingTable, learning_rate: float) -> None:
        self.table = table
        self.learning_rate = learning_rate
        self.n_steps = 0
        dtype = table.host.dtype
        self.state = [
            torch.from_numpy(zeros(table.host.shape, dtype)).to(table.weight.device)
            for _ in range(self.n_states)
        ]

    def step(self, gradient: RowGradient) -> None:
        """Update the table's rows that ``gradient`` touches."""
        self.n_steps += 1
        if not self.table.on_cpu:
            self._device_step(*gradient.coalesce())
            return
        parts = gradient.parts()
        scalar = self.table.host.dtype.type
        settings = [_cast(setting, scalar) for setting in self._settings()]
        parallel_for(
            self._kernel(),
            len(parts[0]),
            gradient.n_threads,
            *(self.table.host, parts, *(s.numpy() for s in self.state), *settings),
        )

    def _kernel(self) -> Any:
        raise AssertionError("defined by each optimizer")

    def _settings(self) -> tuple[Any, ...]:
        return (self.learning_rate,)

    def _device_step(self, columns: Tensor, gradient: Tensor) -> None:
        raise AssertionError("defined by each optimizer")


def _cast(setting: Any, scalar: Any) -> Any:
    """Give hyper-parameters the table's type, lest a kernel compute in float64."""
    if isinstance(setting, tuple):
        return tuple(scalar(value) for value in setting)
    return scalar(setting)


class SGD(RowOptimizer):
    """w -= lr g."""

    def _kernel(self) -> Any:
        return kernels.sgd

    def _device_step(self, columns: Tensor, gradient: Tensor) -> None:
        self.table.weight[columns] -= self.learning_rate * gradient


class Adagrad(RowOptimizer):
    """Adagrad (Duchi et al., 2011), its accumulator starting at zero.

    The first step of a column is one learning rate long, whatever its gradient;
    frequent columns anneal by themselves.
    """

    n_states = 1
    epsilon = 1e-10

    def _kernel(self) -> Any:
        return kernels.adagrad

    def _settings(self) -> tuple[Any, ...]:
        return self.learning_rate, self.epsilon

    def _device_step(self, columns: Tensor, gradient: Tensor) -> None:
        squares = self.state[0][columns] + gradient.square()
        self.state[0][columns] = squares
        step = gradient / (squares.sqrt() + self.epsilon)
        self.table.weight[columns] -= self.learning_rate * step


class Adam(RowOptimizer):
    """Lazy Adam: as `torch.optim.SparseAdam`, moments of untouched rows stand still."""

    n_states = 2
    beta1, beta2, epsilon = 0.9, 0.999, 1e-8

    def _kernel(self) -> Any:
        return kernels.adam

    def _settings(self) -> tuple[Any, ...]:
        step_size = self.learning_rate / (1 - self.beta1**self.n_steps)
        correction = math.sqrt(1 - self.beta2**self.n_steps)
        return ((step_size, self.beta1, self.beta2, correction, self.epsilon),)

    def _device_step(self, columns: Tensor, gradient: Tensor) -> None:
        ((step_size, beta1, beta2, correction, epsilon),) = self._settings()
        mean = self.state[0][columns] * beta1 + gradient * (1 - beta1)
        variance = self.state[1][columns] * beta2 + gradient.square() * (1 - beta2)
        self.state[0][columns], self.state[1][columns] = mean, variance
        step = mean / (variance.sqrt() / correction + epsilon)
        self.table.weight[columns] -= step_size * step


OPTIMIZERS: dict[str, type[RowOptimizer]] = {
    "adagrad": Adagrad,
    "adam": Adam,
    "sgd": SGD,
}
