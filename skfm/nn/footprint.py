"""Memory that training a network takes, foreseen before any of it is allocated."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
import torch

from ..data.transfer import free_memory
from ..runtime.memory import check_memory
from .network import Network
from .shape import Shape

__all__ = ["Footprint", "rows_in_memory"]

#: Bytes that the look-ups of a batch may take where the batch size is free.
_BATCH_BYTES = 1 << 30
#: Arrays of the size of the dense weights: the weights, their gradients and both
#: moments of Adam.
_DENSE_ARRAYS = 4


def rows_in_memory(
    network: type[Network], shape: Shape, options: dict[str, Any], longest: int
) -> int | None:
    """Return the rows of a batch whose look-ups fit the budget; None means any."""
    numbers = network.held_per_row(shape, options, longest)
    needed = numbers * np.dtype(shape.dtype).itemsize
    return max(1, _BATCH_BYTES // needed) if needed else None


@dataclass(frozen=True)
class Footprint:
    """Sizes of a training run.

    Attributes
    ----------
    network : type
        Class of the network.
    shape : Shape
    options : dict
        Further arguments of the class.
    n_tables : int
        Arrays of the table's size that training holds.
    batch_size : int
    longest : int
        Entries of the longest row.
    keeps_best : bool
        Whether the weights of the best epoch are kept beside the live ones.
    n_networks : int
        Networks of these sizes that are trained at the same time. If there are several,
        a copy of the weights of each is made in the end.
    """

    network: type[Network]
    shape: Shape
    options: dict[str, Any]
    n_tables: int
    batch_size: int
    longest: int
    keeps_best: bool
    n_networks: int = 1

    def check(self) -> None:
        """Raise an error if a run needs more memory than is available.

        Raises
        ------
        MemoryError
            If there is too little memory; the message names what to lower.
        """
        n_tables = self.n_networks * (self.n_tables + (self.n_networks > 1))
        self.network.check_table(self.shape, n_tables)
        self._check_dense()
        self._check_batch()

    def _check_dense(self) -> None:
        shape, n_weights = self.shape, self.n_dense_weights()
        n_arrays = _DENSE_ARRAYS + self.keeps_best
        fields = f" of {shape.n_fields} fields" if shape.n_fields else ""
        self._check(
            self.n_networks * n_arrays * n_weights,
            f"The layers above the embeddings{fields} have {n_weights} weights, which "
            f"with gradients and the state of the optimizer need",
            "lower n_factors or the sizes of the layers, or give fewer fields.",
        )

    def _check_batch(self) -> None:
        held = self.network.held_per_row(self.shape, self.options, self.longest)
        self._check(
            self.n_networks * self.batch_size * held,
            f"The embeddings of a batch of {self.batch_size} rows need",
            "lower batch_size or n_factors, or give fewer fields.",
        )

    def _check(self, numbers: int, what: str, advice: str) -> None:
        check_memory(
            numbers * np.dtype(self.shape.dtype).itemsize,
            what,
            advice,
            free_memory(torch.device(self.shape.device)),
        )

    def n_dense_weights(self) -> int:
        """Count the weights beside the table, without allocating them."""
        # On the CPU, the table takes no memory before it is written to.
        shape = replace(self.shape, device="cpu")
        with torch.device("meta"):
            twin = self.network(shape, **self.options)
        return sum(parameter.numel() for parameter in twin.parameters())
