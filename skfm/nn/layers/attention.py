"""Self-attention over the embeddings of a row's fields."""

from __future__ import annotations

import torch
from torch import Tensor, nn

from .basic import Linear


class FieldAttention(nn.Module):
    """Multi-head self-attention with residual and ReLU (AutoInt's interacting layer).

    Each head h maps an embedding to a query, a key and a value. The attention of field
    m to field n is the softmax over n of <query_m, key_n>. The attended values of all
    heads are concatenated, a linear map of the input is added, and a ReLU is applied.
    As in the paper, inner products are not scaled.

    Parameters
    ----------
    n_inputs : int
        Length of the input embeddings.
    n_heads : int
        Number of heads, H.
    attention_size : int
        Length d of a head's queries, keys and values.
    """

    def __init__(self, n_inputs: int, n_heads: int, attention_size: int) -> None:
        super().__init__()
        self.n_heads = n_heads
        n_units = n_heads * attention_size
        self.query = Linear(n_inputs, n_units, bias=False)
        self.key = Linear(n_inputs, n_units, bias=False)
        self.value = Linear(n_inputs, n_units, bias=False)
        self.residual = Linear(n_inputs, n_units, bias=False)

    def _by_head(self, projected: Tensor) -> Tensor:
        """Reshape (B, F, H d) to (B, H, F, d)."""
        return projected.unflatten(2, (self.n_heads, -1)).transpose(1, 2)

    def weights(self, fields: Tensor) -> Tensor:
        """Compute the attention of each field to each field.

        Parameters
        ----------
        fields : Tensor of shape (B, F, n_inputs)

        Returns
        -------
        Tensor of shape (B, H, F, F)
            Element (b, h, m, n) is the share of field n in the new embedding of field m
            in row b and head h; it sums to one over n.
        """
        query = self._by_head(self.query(fields))
        key = self._by_head(self.key(fields))
        return torch.softmax(query @ key.transpose(2, 3), dim=3)

    def forward(self, fields: Tensor) -> Tensor:
        """Map embeddings of shape (B, F, n_inputs) to (B, F, H d)."""
        attended = self.weights(fields) @ self._by_head(self.value(fields))
        together = attended.transpose(1, 2).flatten(start_dim=2)
        return torch.relu(together + self.residual(fields))
