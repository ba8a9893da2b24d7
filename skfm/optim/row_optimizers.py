"""Optimizers that touch only the table rows a batch touched.

The plain ones are fused with the reduction of the gradient in a kernel. Momentum, FTRL,
L1 and clipping take the gradient reduced, by column, and go by operations on the rows
it touches, as all optimizers do on other devices.

State has the table's layout, one row per column, and starts at zero: memory the system
hands out lazily, so columns that never occur cost nothing.
"""

from __future__ import annotations

import copy
import math
from typing import Any, ClassVar

import torch
from torch import Tensor

from ..runtime.threads import parallel_for
from ..sparse.gradients import RowGradient
from ..sparse.rows import ColumnRows
from ..sparse.table import EmbeddingTable
from . import fused


class RowOptimizer:
    """Base class of the optimizers of the table.

    Parameters
    ----------
    table : EmbeddingTable
    learning_rate : float
        May be changed between steps.
    l1_linear, l1_factors : float
        L1 strengths: each column's linear weights, and factors, are pulled to zero by
        this times the sum of ``share * abs(x)`` over its entries in the batch.
    clip_norm : float or None
        A column's gradient is scaled down to at most this Euclidean norm.

    Attributes
    ----------
    state : list of ColumnRows of shape (n_columns, C + k)
    n_steps : int
    n_rows : float, default=1
        Rows whose losses a gradient is the mean of. Adagrad and FTRL step by the sum.
    """

    n_states: ClassVar[int] = 0
    #: Whether a kernel does the whole step where nothing but the gradient counts.
    fused: ClassVar[bool] = True

    def __init__(
        self,
        table: EmbeddingTable,
        learning_rate: float,
        *,
        l1_linear: float = 0.0,
        l1_factors: float = 0.0,
        clip_norm: float | None = None,
    ) -> None:
        self.table = table
        self.learning_rate = learning_rate
        self.clip_norm = clip_norm
        self.n_steps = 0
        self.n_rows = 1.0
        l1 = torch.full((table.width,), l1_factors, dtype=table.weight.dtype)
        l1[: table.n_linear] = l1_linear
        self.l1 = l1.to(table.weight.device) if l1_linear or l1_factors else None
        self.state = [self._zeros(i + 1) for i in range(self.n_states)]

    def _zeros(self, place: int) -> ColumnRows:
        return self.table.zeros(place=place, device=self.table.weight.device)

    def of_linear_part(self, table: EmbeddingTable) -> RowOptimizer:
        """Return this optimizer for steps on the table's `linear_part` alone."""
        part = copy.copy(self)
        part.table = table
        part.state = [rows.linear_part() for rows in self.state]
        part.l1 = None if self.l1 is None else self.l1[: table.width]
        return part

    def step(self, gradient: RowGradient) -> None:
        """Update the table's rows that ``gradient`` touches."""
        self.n_steps += 1
        plain = self.fused and self.l1 is None and self.clip_norm is None
        if not (plain and self.table.backend.fuses_steps):
            self._step_reduced(gradient)
            return
        parts = gradient.parts()
        scalar = self.table.numpy_dtype.type
        settings = [_cast(setting, scalar) for setting in self._settings()]
        parallel_for(
            self._kernel(),
            len(parts[0]),
            gradient.n_threads,
            self.table.host,
            parts,
            *(s.host() for s in self.state),
            *settings,
        )

    def _step_reduced(self, gradient: RowGradient) -> None:
        columns, reduced = gradient.coalesce()
        if self.clip_norm is not None:
            norms = torch.linalg.vector_norm(reduced, dim=1, keepdim=True)
            reduced *= self.clip_norm / norms.clamp(min=self.clip_norm)
        pull = None
        if self.l1 is not None:
            pull = gradient.absolute_shares()[:, None] * self.l1
        self._update(columns, reduced, pull)

    def _update(self, columns: Tensor, gradient: Tensor, pull: Tensor | None) -> None:
        """Step on some rows, then soften by what L1 comes to over the step.

        Parameters
        ----------
        columns : Tensor of shape (U,)
        gradient : Tensor of shape (U, C + k)
        pull : Tensor of shape (U, C + k), or None
            L1 strengths.
        """
        self._device_step(columns, gradient)
        if pull is not None:
            weight = self.table.weight[columns]
            self.table.weight[columns] = soften(weight, pull * self._rates(columns))

    def _rates(self, columns: Tensor) -> Tensor | float:
        """Return the step of each weight under a steady gradient of one."""
        return self.learning_rate

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


def soften(weight: Tensor, threshold: Tensor) -> Tensor:
    """Apply the soft threshold, the proximal operator of L1: exactly zero up to it."""
    return weight.sign() * (weight.abs() - threshold).clamp(min=0)


class SGD(RowOptimizer):
    """w -= lr g."""

    def _kernel(self) -> Any:
        return fused.sgd

    def _device_step(self, columns: Tensor, gradient: Tensor) -> None:
        self.table.weight[columns] -= self.learning_rate * gradient


class Momentum(RowOptimizer):
    """u = momentum u + g; w -= lr u, as `torch.optim.SGD`, where a row is touched.

    Parameters
    ----------
    momentum : float
        Above 0 and below 1.
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
    """Adagrad (Duchi et al., 2011) in units of one occurrence.

    With G the gradient of the batch's summed loss, and s the sum of its squares::

        s += G^2;  w -= lr G / (sqrt(s) + 1)

    The loss of one row has a slope of about one: with the 1, the first step of a
    column that occurs once is as long as the row's evidence is strong, and at most one
    learning rate. Without it, that step would be one learning rate whatever the
    gradient is, which rare columns overfit by. Frequent columns anneal by themselves.
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
    """Lazy Adam: as `torch.optim.SparseAdam`, moments of untouched rows stand still."""

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
    """FTRL-Proximal (McMahan et al., KDD 2013, algorithm 1), per coordinate.

    With G the gradient of the batch's summed loss, n the sum of its squares and Z the
    learning rate times the paper's z::

        Z += lr G - (sqrt(n + G^2) - sqrt(n)) w;  n += G^2;  A += lr * L1
        w = 0 where |Z| <= A, else -(Z - sign(Z) A) / (sqrt(n) + 1)

    L1 is counted at each touch (McMahan, AISTATS 2011), so that its strength means what
    it means for the other optimizers; L2 comes with the gradient. Without L1 the steps
    are Adagrad's. The 1 is the paper's beta. A row starts at the weights it has when it
    is first touched.
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
    """Return how many arrays of the table's size training holds.

    They are the weights, the optimizer's state, and, where there are several epochs to
    choose from, the weights of the best one.
    """
    return 1 + OPTIMIZERS[optimizer].n_states + (max_iter > 1)
