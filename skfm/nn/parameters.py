"""Storage of all dense weights of a network in one buffer."""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from ..runtime.lazy import torch

if TYPE_CHECKING:
    from torch import Tensor, nn


def flatten(parameters: Iterable[nn.Parameter]) -> Tensor:
    """Move the storage of parameters into one flat buffer, and return it.

    The last bits of a matrix product depend on the alignment of its operands in memory.
    Networks with this layout give the same bits for the same weights.
    """
    parameters = list(parameters)
    values = torch.cat([p.detach().flatten() for p in parameters])
    start = 0
    for parameter in parameters:
        stop = start + parameter.numel()
        parameter.data = values[start:stop].view(parameter.shape)
        start = stop
    return values
