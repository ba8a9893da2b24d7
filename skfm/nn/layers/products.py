"""Products of the fields' embeddings, and the residual unit."""

from __future__ import annotations

import torch
from torch import Generator, Tensor, nn

from .basic import ACTIVATIONS, MLP


def field_pairs(embeddings: Tensor) -> tuple[Tensor, Tensor]:
    """Return the fields of all pairs f < g as two index tensors, F (F - 1) / 2 long.

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, ...)
    """
    n_fields = embeddings.shape[1]
    first, second = torch.triu_indices(n_fields, n_fields, 1, device=embeddings.device)
    return first, second


def inner_products(embeddings: Tensor) -> Tensor:
    """Compute <e_f, e_g> of all pairs of fields f < g (PNN, section III-B).

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, k)

    Returns
    -------
    Tensor of shape (B, F (F - 1) / 2)
        Inner products in the order of `field_pairs`.
    """
    first, second = field_pairs(embeddings)
    gram = embeddings @ embeddings.transpose(1, 2)  # (B, F, F)
    return gram[:, first, second]


def pair_numbers(n_fields: int) -> int:
    """Return the numbers that `inner_products` and its gradient hold of a row."""
    # The Gram matrix, the pairs, which are half of it, and the gradients of both.
    return 3 * n_fields**2


def outer_product(embeddings: Tensor) -> Tensor:
    """Compute the outer product of the fields' sum with itself (PNN, equation 12).

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, k)

    Returns
    -------
    Tensor of shape (B, k * k)
        f f^T with f the sum of the embeddings, row by row.
    """
    total = embeddings.sum(dim=1)  # (B, k)
    return (total[:, :, None] * total[:, None, :]).flatten(start_dim=1)


def field_aware_products(embeddings: Tensor) -> Tensor:
    """Sum e_fg * e_gf over f < g, element-wise (FFM).

    Parameters
    ----------
    embeddings : Tensor of shape (B, F, F, k)
        ``embeddings[:, f, g]`` is the embedding of field f for field g.

    Returns
    -------
    Tensor of shape (B, k)
    """
    first, second = field_pairs(embeddings)
    return (embeddings[:, first, second] * embeddings[:, second, first]).sum(dim=1)


def _pad_rows(values: Tensor, lengths: Tensor, longest: int) -> Tensor:
    """Arrange one value per entry, row by row, as (B, longest), padded with zeros."""
    there = torch.arange(longest, device=values.device) < lengths[:, None]
    padded = values.new_zeros(there.shape)
    padded[there] = values
    return padded


def gather_fields(entries: Tensor, fields: Tensor, n_fields: int) -> Tensor:
    """Sum a row's entries by field, (B, F, d).

    A product with a 0/1 matrix, whose sums run in a fixed order on any device.

    Parameters
    ----------
    entries : Tensor of shape (B, m, d)
        Padded with zeros.
    fields : Tensor of shape (B, m), int64
        The field of each entry; any value where padded.
    n_fields : int
    """
    member = fields[:, None, :] == torch.arange(n_fields, device=fields.device)[:, None]
    return member.to(entries.dtype) @ entries


def field_aware_entry_products(
    entries: Tensor, fields: Tensor, lengths: Tensor
) -> Tensor:
    """Compute `field_aware_products` plus the pairs of entries within a field (FFM).

    Parameters
    ----------
    entries : Tensor of shape (B, m, F, k)
        Embedding of each entry for each field, padded with zeros.
    fields : Tensor of shape (number of entries,), int64
        The field of each entry, row by row.
    lengths : Tensor of shape (B,)
        Number of entries of each row.

    Returns
    -------
    Tensor of shape (B, k)
    """
    n_fields, n_factors = entries.shape[2:]
    fields = _pad_rows(fields, lengths, entries.shape[1])  # (B, m)
    by_field = gather_fields(entries.flatten(start_dim=2), fields, n_fields)
    by_field = by_field.unflatten(2, (n_fields, n_factors))  # (B, F, F, k)
    total = by_field.diagonal(dim1=1, dim2=2)  # (B, k, F)
    index = fields[:, :, None, None].expand(-1, -1, 1, n_factors)
    own = entries.gather(2, index)[:, :, 0]  # (B, m, k)
    inside = 0.5 * (total.square().sum(dim=2) - own.square().sum(dim=1))
    return field_aware_products(by_field) + inside


class WeightedPairs(nn.Module):
    """Weighted sum of pairs of fields, r_fg <e_f, e_g>, an r for each output (FwFM).

    Parameters
    ----------
    n_fields : int
        Number of fields, F.
    n_outputs : int
        Number of outputs.

    Attributes
    ----------
    weight : Parameter of shape (F (F - 1) / 2, n_outputs)
        Weights r in the order of `field_pairs`.
    """

    def __init__(self, n_fields: int, n_outputs: int) -> None:
        super().__init__()
        self.n_fields = n_fields
        n_pairs = n_fields * (n_fields - 1) // 2
        self.weight = nn.Parameter(torch.zeros(n_pairs, n_outputs))

    def initialize(self, generator: Generator) -> None:
        """Start at one, as an FM; at N(0, 1) where equal outputs would cancel out."""
        if self.weight.shape[1] == 1:
            nn.init.ones_(self.weight)
        else:
            nn.init.normal_(self.weight, generator=generator)

    def forward(self, embeddings: Tensor) -> Tensor:
        return inner_products(embeddings) @ self.weight

    def matrix(self) -> Tensor:
        """Return r as a symmetric matrix (F, F, n_outputs) with a zero diagonal."""
        n, n_outputs = self.n_fields, self.weight.shape[1]
        first, second = torch.triu_indices(n, n, 1, device=self.weight.device)
        matrix = self.weight.new_zeros(n, n, n_outputs)
        matrix[first, second] = matrix[second, first] = self.weight
        return matrix


class ResidualUnit(nn.Module):
    """Residual unit act(MLP(x) + x) with one hidden layer (DeepCrossing, equation 4).

    Parameters
    ----------
    n_inputs : int
        Length of x.
    n_hidden : int
        Number of units of the hidden layer.
    activation : str
        Activation function, a key of `ACTIVATIONS`.
    dropout, batch_norm, precision
        Options of the hidden layer, as in `MLP`.
    """

    def __init__(
        self,
        n_inputs: int,
        n_hidden: int,
        *,
        activation: str,
        dropout: float,
        batch_norm: bool,
        precision: str = "full",
    ) -> None:
        super().__init__()
        self.inner = MLP(
            n_inputs,
            (n_hidden,),
            n_inputs,
            activation=activation,
            dropout=dropout,
            batch_norm=batch_norm,
            precision=precision,
        )
        self.activation = ACTIVATIONS[activation]()

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.activation(self.inner(x) + x)
        return out
