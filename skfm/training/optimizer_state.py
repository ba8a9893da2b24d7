"""State of the optimizers between two runs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from ..optim import OPTIMIZERS
from ..persistence.records import is_integer, require, saved

if TYPE_CHECKING:
    from ..nn.network import Network


@saved("record")
@dataclass(frozen=True)
class OptimizerState:
    """State of the optimizers between two runs, as NumPy arrays.

    Attributes
    ----------
    optimizer : str
        Name of the optimizer of the table.
    table_arrays : list of ndarray
        State of that optimizer: arrays of factors and of linear weights by turns.
    table_steps : int
    mean, variance : ndarray of shape (n_dense,)
        Moments of the gradients of the dense weights.
    dense_steps : int
    """

    optimizer: str
    table_arrays: list[np.ndarray]
    table_steps: int
    mean: np.ndarray
    variance: np.ndarray
    dense_steps: int

    def check(self) -> None:
        """Raise a ValueError unless this is the state of an optimizer."""
        require(self.optimizer in OPTIMIZERS, f"optimizer is {self.optimizer!r}")
        steps = (self.table_steps, self.dense_steps)
        require(all(is_integer(n, 0) for n in steps), "a number of steps is none")
        arrays: list[Any] = [self.mean, self.variance, *self.table_arrays]
        fine = all(isinstance(array, np.ndarray) for array in arrays)
        require(fine, "an optimizer's state is no array")

    def check_fits(self, network: Network) -> None:
        """Raise a ValueError unless this is the state of a network's optimizers."""
        factors, linear = network.table.weight.host()
        dense = np.empty(sum(p.numel() for p in network.parameters()), factors.dtype)
        parts = [factors, linear] * OPTIMIZERS[self.optimizer].n_states
        found = [*self.table_arrays, self.mean, self.variance]
        require(
            [(a.shape, a.dtype) for a in found]
            == [(a.shape, a.dtype) for a in [*parts, dense, dense]],
            "the optimizer's state does not fit the network",
        )
