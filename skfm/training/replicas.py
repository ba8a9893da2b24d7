"""Replicas of a network that process several parts of a batch at once.

Rows are independent except for batch normalisation. Threads therefore share the rows of
a batch, and not the loops of each operation: this needs no team of spinning OpenMP
threads, distributes work once in a step instead of once in an operation, and has
operands that fit the cache.
"""

from __future__ import annotations

from typing import TypeVar

import torch
from torch import Generator, Tensor, nn

from ..nn.layers import BatchNorm, Dropout
from ..nn.network import Network

Module = TypeVar("Module", bound=nn.Module)


class Replica:
    """Twin of a network, with its weights and table but own gradients and dropout.

    Batch normalisation sees the rows of one replica; `Norms` averages the running
    statistics.

    Parameters
    ----------
    network : Network
        Network whose parameters share one flat buffer (see `skfm.optim.dense_adam`).
    gradient : Tensor
        Flat buffer for the gradients, of the size of all parameters.
    seed : int
        Seed of the dropout stream.
    fixed_bias : bool, default=False
        Whether the bias gets no gradient.
    """

    def __init__(
        self,
        network: Network,
        gradient: Tensor,
        seed: int,
        *,
        fixed_bias: bool = False,
    ) -> None:
        self.network: Network = _twin(network)
        self.gradient = gradient
        self.generator = generator = Generator(device=gradient.device)
        generator.manual_seed(seed)
        for module in self.network.modules():
            if isinstance(module, Dropout):
                module.generator = generator
        self.network.bias.requires_grad_(not fixed_bias)
        start = 0
        for parameter in self.network.parameters():
            stop = start + parameter.numel()
            if parameter.requires_grad:
                parameter.grad = gradient[start:stop].view(parameter.shape)
            start = stop


class Norms:
    """Running statistics of the batch normalisation of a network and its replicas."""

    def __init__(self, network: Network, replicas: list[Replica]) -> None:
        networks = [network, *(replica.network for replica in replicas)]
        self._same = list(zip(*map(running_statistics, networks), strict=True))

    def merge(self) -> None:
        """Set the statistics of replicas and network to the replicas' average."""
        for buffers in self._same:
            mean = torch.stack(buffers[1:]).mean(dim=0)
            for buffer in buffers:
                buffer.copy_(mean)


def running_statistics(module: nn.Module) -> list[Tensor]:
    """Return the running means and variances of a module's batch normalisation."""
    norms = [part for part in module.modules() if isinstance(part, BatchNorm)]
    names = ("running_mean", "running_var")
    return [getattr(norm, name) for norm in norms for name in names]


def _twin(module: Module) -> Module:
    """Copy the module tree; the parameters share their storage with the original."""
    twin = module.__new__(type(module))
    twin.__dict__ = dict(module.__dict__)
    twin._parameters = {
        name: None if p is None else nn.Parameter(p.detach())
        for name, p in module._parameters.items()
    }
    twin._buffers = {
        name: None if b is None else b.clone() for name, b in module._buffers.items()
    }
    twin._modules = {
        name: None if m is None else _twin(m) for name, m in module._modules.items()
    }
    return twin
