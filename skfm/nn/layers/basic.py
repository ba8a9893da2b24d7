"""Basic layers: linear, dropout, batch normalisation, multi-layer perceptron."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager, nullcontext
from itertools import pairwise
from typing import Any

import torch
from torch import Generator, Tensor, nn

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "sigmoid": nn.Sigmoid,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "identity": nn.Identity,
}


class Linear(nn.Linear):
    """Linear layer whose weights are set by `initialize`, not by the constructor."""

    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.weight.zero_()
            if self.bias is not None:
                self.bias.zero_()

    def initialize(self, generator: Generator) -> None:
        """Draw Glorot-uniform weights; the bias starts at zero."""
        nn.init.xavier_uniform_(self.weight, generator=generator)


#: Random numbers of 16 bits.
_LEVELS = 1 << 16


class Dropout(nn.Module):
    """Inverted dropout with a random stream of its own.

    Parameters
    ----------
    rate : float
        Probability of zeroing an element, in [0, 1), to a precision of 2^-16.

    Attributes
    ----------
    generator : torch.Generator or None
        Generator that draws the masks; None means torch's global stream.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        # 16 random bits an element take a third of the time of `bernoulli_`.
        n_kept = max(1, round((1 - self.rate) * _LEVELS))
        words = torch.empty(-(-x.numel() // 4), dtype=torch.int64, device=x.device)
        words.random_(-(2**63), None, generator=self.generator)
        levels = words.view(torch.int16)[: x.numel()].view(x.shape)
        keep = levels < n_kept - _LEVELS // 2
        return x * keep.to(x.dtype).mul_(_LEVELS / n_kept)


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that accepts a batch of a single row."""

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) == 1:
            # One row has no variance: use the running statistics.
            return nn.functional.batch_norm(
                x,
                self.running_mean,
                self.running_var,
                self.weight,
                self.bias,
                eps=self.eps,
            )
        return super().forward(x)


class MLP(nn.Module):
    """Hidden layers (linear, batch norm, activation, dropout) and a linear output.

    Parameters
    ----------
    n_inputs : int
        Number of inputs.
    hidden_layer_sizes : sequence of int
        Number of units of each hidden layer.
    n_outputs : int
        Number of outputs.
    activation : str
        Activation function of the hidden layers, a key of `ACTIVATIONS`.
    dropout : float
        Dropout rate after every hidden layer.
    batch_norm : bool
        Whether to normalise batches before every activation, with the NFM authors'
        epsilon of 1e-3.
    bias : bool, default=True
        Whether the output layer has a bias.
    precision : {"full", "bfloat16"}, default="full"
        Precision of the hidden layers' matrix products; bfloat16 applies to float32
        inputs only.
    """

    def __init__(
        self,
        n_inputs: int,
        hidden_layer_sizes: Sequence[int],
        n_outputs: int,
        *,
        activation: str,
        dropout: float,
        batch_norm: bool,
        bias: bool = True,
        precision: str = "full",
    ) -> None:
        super().__init__()
        self.precision = precision
        sizes = [n_inputs, *hidden_layer_sizes]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            # Batch normalisation subtracts the mean, and any bias with it.
            layers.append(Linear(fan_in, fan_out, bias=not batch_norm))
            if batch_norm:
                layers.append(BatchNorm(fan_out))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(Dropout(dropout))
        self.hidden = nn.Sequential(*layers)
        self.output = Linear(sizes[-1], n_outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        with self._autocast(x):
            hidden = self.hidden(x)
        scores: Tensor = self.output(hidden.to(x.dtype))
        return scores

    def _autocast(self, x: Tensor) -> AbstractContextManager[Any]:
        if self.precision == "full" or x.dtype != torch.float32:
            return nullcontext()
        return torch.autocast(x.device.type, dtype=torch.bfloat16)
