"""Weights that a run returns to: those of the best epoch, or of the start."""

from __future__ import annotations

import torch
from torch import Tensor

from .learner import Learner


class Snapshot:
    """Copy of all that training changes in place.

    Parameters
    ----------
    learner : Learner
    with_optimizers : bool
        Whether to remember the optimizers' state too.

    Attributes
    ----------
    live : list of Tensor
        Tensors that are remembered, in their present state.
    """

    def __init__(self, learner: Learner, *, with_optimizers: bool) -> None:
        self._learner = learner
        network = learner.network
        self.live = [
            *network.table.weight.tensors(),
            learner.dense_optimizer.values,
            *network.buffers(),
        ]
        if with_optimizers:
            self.live += learner.state_tensors()
        self._saved: list[Tensor] | None = None
        self.n_steps = learner.n_steps

    def n_bytes(self) -> int:
        """Return the size of a snapshot in bytes."""
        return sum(tensor.nbytes for tensor in self.live)

    def tensors(self) -> list[Tensor]:
        """Return the remembered tensors; an empty list before the first `take`."""
        return self._saved or []

    def put(self, tensors: list[Tensor], n_steps: tuple[int, int]) -> None:
        """Remember given tensors; raise a ValueError if they do not fit."""
        if [t.shape for t in tensors] != [t.shape for t in self.tensors()]:
            raise ValueError("the best epoch's weights are not those of this network")
        self.n_steps = n_steps
        for saved, tensor in zip(self.tensors(), tensors, strict=True):
            saved.copy_(tensor)

    def take(self) -> None:
        """Remember the present state."""
        self.n_steps = self._learner.n_steps
        if self._saved is None:
            self._saved = [torch.empty_like(live) for live in self.live]
        for saved, live in zip(self._saved, self.live, strict=True):
            saved.copy_(live)

    def restore(self) -> None:
        """Return to the remembered state, if there is one."""
        if self._saved is None:
            return
        self._learner.n_steps = self.n_steps
        for saved, live in zip(self._saved, self.live, strict=True):
            live.copy_(saved)
