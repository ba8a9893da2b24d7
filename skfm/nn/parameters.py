"""Flattened parameters: all dense weights of a network in one buffer."""

from __future__ import annotations

from collections.abc import Iterable

import torch
from torch import Tensor, nn


def flatten(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Move the storage of parameters into one flat buffer, which is returned.

    The last bits of a matrix product depend on where in memory its operands lie: a
    network that is to compute what another does has its weights laid out as there.
    """
    parameters = list(parameters)
    values = torch.cat([p.detach().flatten() for p in parameters])
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.data = values[start:stop].view(parameter.shape)
        start = stop
    return values
