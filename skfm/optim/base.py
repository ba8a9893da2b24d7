"""Base class of the optimizers of a table, which update only the touched rows.

A plain step is fused with the reduction of the gradient in a kernel. Momentum, FTRL, L1
penalties and gradient clipping first reduce the gradient by column, and then use
operations of torch on the touched rows. On devices other than the CPU, all steps do.

The state of an optimizer has one row per column, like the table, and starts at zero.
The system commits its memory when it is first touched, so that columns that never occur
cost nothing.
"""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any, ClassVar

from ..runtime.lazy import torch
from ..runtime.threads import parallel_for
from ..sparse.gradients import RowGradient
from ..sparse.reduced import ReducedGradient
from ..sparse.rows import ColumnRows
from ..sparse.table import EmbeddingTable

if TYPE_CHECKING:
    from torch import Tensor


class RowOptimizer:
    """Base class of the optimizers of a table.

    Parameters
    ----------
    table : EmbeddingTable
        Table to train.
    learning_rate : float
        Learning rate, which may be changed between steps.
    l1_linear, l1_factors : float, default=0.0
        Strength of the L1 penalty on the linear weights, and on the factors. A column
        is penalised in proportion to the sum of ``share * abs(x)`` over its entries.
    clip_norm : float, default=None
        Largest Euclidean norm of the gradient of a column. A longer gradient is scaled
        down; None: it is not.

    Attributes
    ----------
    state : list of ColumnRows of shape (n_columns, C + k)
        State of the optimizer.
    n_steps : int
        Number of steps made.
    n_rows : float
        Number of rows of a batch, initially 1. A gradient is the mean over the rows;
        Adagrad and FTRL multiply it by this number.
    """

    #: Number of arrays in ``state``, without those that options add.
    n_states: ClassVar[int] = 0
    #: Whether a kernel makes the whole step if neither L1 nor clipping is asked for.
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
        """Return the optimizer for steps on ``table``, the `linear_part` of its own."""
        part = copy.copy(self)
        part.table = table
        part.state = [rows.linear_part() for rows in self.state]
        part.l1 = None if self.l1 is None else self.l1[: table.width]
        return part

    def step(self, gradient: RowGradient | ReducedGradient) -> None:
        """Update the rows of the table that ``gradient`` touches."""
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

    def _step_reduced(self, gradient: RowGradient | ReducedGradient) -> None:
        columns, reduced = gradient.coalesce()
        if self.clip_norm is not None:
            norms = torch.linalg.vector_norm(reduced, dim=1, keepdim=True)
            reduced *= self.clip_norm / norms.clamp(min=self.clip_norm)
        pull = None
        if self.l1 is not None:
            pull = gradient.absolute_shares()[:, None] * self.l1
        self._update(columns, reduced, pull)

    def _update(self, columns: Tensor, gradient: Tensor, pull: Tensor | None) -> None:
        """Make a step on some rows, then apply the soft threshold of the L1 penalty.

        Parameters
        ----------
        columns : Tensor of shape (U,)
            Columns that the gradient touches.
        gradient : Tensor of shape (U, C + k)
            Gradient of these columns.
        pull : Tensor of shape (U, C + k), or None
            Strengths of the L1 penalty on these weights.
        """
        self._device_step(columns, gradient)
        if pull is not None:
            weight = self.table.weight[columns]
            self.table.weight[columns] = soften(weight, pull * self._rates(columns))

    def _rates(self, columns: Tensor) -> Tensor | float:
        """Return the step of each weight under a constant gradient of one."""
        return self.learning_rate

    def _kernel(self) -> Any:
        raise AssertionError("defined by each optimizer")

    def _settings(self) -> tuple[Any, ...]:
        return (self.learning_rate,)

    def _device_step(self, columns: Tensor, gradient: Tensor) -> None:
        raise AssertionError("defined by each optimizer")


def _cast(setting: Any, scalar: Any) -> Any:
    """Convert a setting to the type of the table, so that kernels compute in it."""
    if isinstance(setting, tuple):
        return tuple(scalar(value) for value in setting)
    return scalar(setting)


def soften(weight: Tensor, threshold: Tensor) -> Tensor:
    """Apply the soft threshold, which sets weights of at most ``threshold`` to zero."""
    return weight.sign() * (weight.abs() - threshold).clamp(min=0)
