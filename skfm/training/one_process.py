"""Parts of a learner that differ if several processes train together."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.source import Reader
from ..distributed.lanes import Lanes
from ..nn.layers import Dropout
from ..nn.network import Network
from .replicas import Replica

__all__ = ["OneProcess"]


class OneProcess:
    """Base class of learners, and learner of a process with all rows and all weights.

    `skfm.training.lane_learner` overrides all methods.

    Attributes
    ----------
    network : Network
    replicas : list of Replica
    part : slice
        Columns whose weights this process holds.
    writes : bool
        Whether this process writes the files of the run.
    lanes : Lanes or None
        The part of each batch that this process learns from; None: all of it.
    """

    network: Network
    replicas: list[Replica]
    part = slice(None)
    writes = True
    lanes: Lanes | None = None

    @property
    def reader(self) -> Reader:
        """Reader of the batches."""
        return self.network.table

    def total(self, number: float) -> float:
        """Return the sum of a number over all processes."""
        return number

    def gather(self) -> None:
        """Collect all weights in the network at the end of a run."""

    def copy_network(self) -> Network:
        """Return a copy of the network, for callbacks between two epochs."""
        return copy.deepcopy(self.network)

    def origins(self) -> Iterator[Any]:
        """Yield what determines the steps, except settings and weights."""
        yield from ()

    def whole(self, live: Tensor, tensor: Tensor) -> Tensor:
        """Return the rows of all processes; ``tensor`` is ``live`` or a copy of it."""
        return tensor

    def own(self, live: Tensor, array: np.ndarray) -> np.ndarray:
        """Return the rows of this process: the inverse of `whole`."""
        return array

    def buffers(self) -> list[Tensor]:
        """Return the tensors that training changes, except weights and optimizers."""
        twins = [replica.network for replica in self.replicas]
        networks = [self.network, *twins]
        return [buffer for network in networks for buffer in network.buffers()]

    def streams(self) -> list[torch.Generator]:
        """Return the distinct streams of dropout whose state outlasts a step."""
        modules = [m for r in self.replicas for m in r.network.modules()]
        streams = [m.generator for m in modules if isinstance(m, Dropout)]
        return list({id(s): s for s in streams if s is not None}.values())
