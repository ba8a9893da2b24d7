"""Layers of two-stream networks: gates on the inputs, and bilinear fusion."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from .basic import MLP


class FeatureGate(nn.Module):
    """Gate on each element of x: 2 sigmoid(MLP(context)) * x.

    FinalMLP's stream-specific feature selection: a weight between 0 and 2 for each
    element. The MLP has one hidden ReLU layer.

    Parameters
    ----------
    size : int
        Length d of x.
    context : {"constant", "fields"}
        Input of the MLP. "constant" is a learned vector, so that all rows have the same
        gates; "fields" is x itself, so that each row has its own.
    hidden_size : int, default=64
        Number of units of the hidden layer, and length of the learned vector.
    """

    def __init__(self, size: int, context: str, hidden_size: int = 64) -> None:
        super().__init__()
        self.context: nn.Parameter | None = None
        if context == "constant":
            self.context = nn.Parameter(torch.zeros(hidden_size))
        self.mlp = MLP(
            size if self.context is None else hidden_size,
            (hidden_size,),
            size,
            activation="relu",
            dropout=0.0,
            batch_norm=False,
        )

    def initialize(self, generator: Generator) -> None:
        """Draw the context from N(0, 1): with zeros, no hidden unit would learn."""
        if self.context is not None:
            nn.init.normal_(self.context, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Weigh the elements of x, of shape (B, d)."""
        context = x if self.context is None else self.context[None]
        gates: Tensor = 2 * torch.sigmoid(self.mlp(context))
        return gates * x


class BilinearFusion(nn.Module):
    """Bilinear form of two vectors: sum over heads of o1_h^T W_h o2_h (FinalMLP).

    Each head reads its share of both vectors, so that the matrix of the form is
    block-diagonal. There is one score per output.

    Parameters
    ----------
    first_size, second_size : int
        Lengths of o1 and o2.
    n_outputs : int
        Number of outputs, C.
    n_heads : int
        Number of heads H, which must divide both lengths.

    Raises
    ------
    ValueError
        If ``n_heads`` does not divide both lengths.
    """

    def __init__(
        self, first_size: int, second_size: int, n_outputs: int, n_heads: int
    ) -> None:
        super().__init__()
        if first_size % n_heads or second_size % n_heads:
            raise ValueError(
                f"n_heads={n_heads} must divide the last hidden sizes of both streams, "
                f"which are {first_size} and {second_size} (without hidden layers: "
                "fields x n_factors)."
            )
        self.n_heads, self.n_outputs = n_heads, n_outputs
        first, second = first_size // n_heads, second_size // n_heads
        self.weight = nn.Parameter(torch.zeros(n_heads, first, n_outputs * second))

    def initialize(self, generator: Generator) -> None:
        """Draw each head's matrix with Glorot's variance."""
        _, first, second = self.weight.shape
        std = (2 / (first + second / self.n_outputs)) ** 0.5
        nn.init.normal_(self.weight, std=std, generator=generator)

    def forward(self, first: Tensor, second: Tensor) -> Tensor:
        """Map o1 of shape (B, first_size) and o2 of (B, second_size) to (B, C)."""
        left = first.unflatten(1, (self.n_heads, -1)).transpose(0, 1)
        left = (left @ self.weight).unflatten(2, (self.n_outputs, -1))  # (H, B, C, s)
        right = second.unflatten(1, (self.n_heads, 1, -1)).transpose(0, 1)
        return (left * right).sum(dim=(0, 3))
