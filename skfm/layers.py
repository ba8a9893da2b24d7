"""Dense layers of the interaction models.

Layers draw no random numbers when built: `initialize` does, from the generator it is
given, so that a fit neither reads nor moves torch's global stream.
"""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

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


def bi_interaction(total: Tensor, sum_squares: Tensor) -> Tensor:
    """Bi-Interaction pooling (NFM, equation 4): all pairs' products, summed.

    Parameters
    ----------
    total : Tensor of shape (B, k)
        Sum of x v.
    sum_squares : Tensor of shape (B, k)
        Sum of (x v)^2.

    Returns
    -------
    Tensor of shape (B, k)
        Half of total^2 - sum_squares, element-wise.
    """
    return 0.5 * (total.square() - sum_squares)


class Linear(nn.Linear):
    """`torch.nn.Linear` that waits for `initialize`."""

    def reset_parameters(self) -> None:
        with torch.no_grad():
            self.weight.zero_()
            if self.bias is not None:
                self.bias.zero_()

    def initialize(self, generator: Generator) -> None:
        """Glorot-uniform weights, zero bias."""
        nn.init.xavier_uniform_(self.weight, generator=generator)


class Dropout(nn.Module):
    """Inverted dropout with a random stream of its own.

    Parameters
    ----------
    rate : float
        Probability of zeroing an element, in [0, 1).

    Attributes
    ----------
    generator : torch.Generator or None
        Where masks are drawn from; None is torch's global stream.
    """

    def __init__(self, rate: float) -> None:
        super().__init__()
        self.rate = rate
        self.generator: Generator | None = None

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or self.rate == 0:
            return x
        keep = torch.empty_like(x).bernoulli_(1 - self.rate, generator=self.generator)
        return x * keep.div_(1 - self.rate)


class InteractionHead(nn.Module):
    """From an interaction vector in R^k to C scores.

    With one output the scores are the vector's sum, which makes FM2 out of a
    Bi-Interaction; with more, each output weighs the k factors in its own way
    (h in R^{k x C}), and all share V.
    """

    def __init__(self, n_factors: int, n_outputs: int) -> None:
        super().__init__()
        self.weight: nn.Parameter | None = None
        if n_outputs > 1:
            self.weight = nn.Parameter(torch.zeros(n_factors, n_outputs))

    def initialize(self, generator: Generator) -> None:
        """N(0, 1): equal weights would cancel V's gradient under softmax."""
        if self.weight is not None:
            nn.init.normal_(self.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        if self.weight is None:
            return x.sum(dim=1, keepdim=True)
        return x @ self.weight


class MLP(nn.Module):
    """Hidden layers (linear, batch norm, activation, dropout) and a linear output.

    Parameters
    ----------
    n_inputs : int
    hidden_layer_sizes : sequence of int
    n_outputs : int
    activation : str
        A key of `ACTIVATIONS`.
    dropout : float
        After every hidden layer.
    batch_norm : bool
        Before every activation, with the NFM authors' epsilon of 1e-3.
    bias : bool, default=True
        Of the output layer.
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
    ) -> None:
        super().__init__()
        sizes = [n_inputs, *hidden_layer_sizes]
        layers: list[nn.Module] = []
        for fan_in, fan_out in pairwise(sizes):
            layers.append(Linear(fan_in, fan_out))
            if batch_norm:
                layers.append(BatchNorm(fan_out))
            layers.append(ACTIVATIONS[activation]())
            if dropout:
                layers.append(Dropout(dropout))
        self.hidden = nn.Sequential(*layers)
        self.output = Linear(sizes[-1], n_outputs, bias=bias)

    def forward(self, x: Tensor) -> Tensor:
        scores: Tensor = self.output(self.hidden(x))
        return scores


class BatchNorm(nn.BatchNorm1d):
    """Batch normalisation that lets a batch of a single row pass."""

    def __init__(self, n_features: int) -> None:
        super().__init__(n_features, eps=1e-3)

    def forward(self, x: Tensor) -> Tensor:
        if self.training and len(x) == 1:
            # One row has no spread: use the running statistics.
            return nn.functional.batch_norm(
                x, self.running_mean, self.running_var, self.weight, self.bias, False
            )
        return super().forward(x)


class PairAttention(nn.Module):
    """Attention-weighted sum of all pairs' products (AFM, equations 4-6).

    Parameters
    ----------
    n_factors : int
        k.
    attention_size : int
        t, hidden units of the attention network.
    """

    def __init__(self, n_factors: int, attention_size: int) -> None:
        super().__init__()
        self.hidden = Linear(n_factors, attention_size)
        self.projection = nn.Parameter(torch.zeros(attention_size))

    def initialize(self, generator: Generator) -> None:
        """Near zero: attention starts almost uniform."""
        nn.init.normal_(self.projection, std=0.1, generator=generator)

    def forward(self, embeddings: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Pool the pairs of each row.

        Parameters
        ----------
        embeddings : Tensor of shape (B, m, k)
            x v of each entry, padded with zeros.
        lengths : Tensor of shape (B,)
            Entries of each row.

        Returns
        -------
        pooled : Tensor of shape (B, k)
        attention : Tensor of shape (B, m (m - 1) / 2)
            Sums to one over a row's pairs; all zero for rows without a pair. Pairs in
            the order of `torch.triu_indices(m, m, 1)`.
        """
        m = embeddings.shape[1]
        first, second = torch.triu_indices(m, m, 1, device=embeddings.device)
        products = embeddings[:, first] * embeddings[:, second]  # (B, P, k)
        logits = torch.relu(self.hidden(products)) @ self.projection  # (B, P)
        present = (second < lengths[:, None]).to(logits.dtype)
        # A finite mask, and a product: softmax over an all-masked row would be NaN,
        # and torch.where would let its gradient through.
        logits = logits * present - (1 - present) * torch.finfo(logits.dtype).max / 4
        attention = torch.softmax(logits, dim=1) * present
        return (attention[:, None] @ products)[:, 0], attention
