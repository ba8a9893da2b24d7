"""Layers over all pairs of embeddings: Bi-Interaction, its head, pair attention."""

from __future__ import annotations

from typing import Any

import torch
from torch import Generator, Tensor, nn

from . import pair_kernels
from .basic import Linear


def bi_interaction(total: Tensor, sum_squares: Tensor) -> Tensor:
    """Sum the element-wise products of all pairs: Bi-Interaction (NFM, equation 4).

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


class InteractionHead(nn.Module):
    """Map from an interaction vector in R^k to C scores.

    With one output, the score is the vector's sum, which makes the pairwise part of an
    FM out of a Bi-Interaction. With more outputs, each has a weight for each of the k
    factors (h in R^{k x C}), and all share V.
    """

    def __init__(self, n_factors: int, n_outputs: int) -> None:
        super().__init__()
        self.n_factors = n_factors
        self.weight: nn.Parameter | None = None
        if n_outputs > 1:
            self.weight = nn.Parameter(torch.zeros(n_factors, n_outputs))

    def initialize(self, generator: Generator) -> None:
        """Draw from N(0, 1): equal weights would cancel V's gradient under softmax."""
        if self.weight is not None:
            nn.init.normal_(self.weight, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Map x of shape (..., k) to scores of shape (..., C)."""
        if self.weight is None:
            return x.sum(dim=-1, keepdim=True)
        return x @ self.weight

    def weights(self) -> Tensor:
        """Return h of shape (k, C); ones for one output."""
        if self.weight is None:
            return torch.ones(self.n_factors, 1)
        return self.weight


class PairAttention(nn.Module):
    """Attention-weighted sum of all pairs' products (AFM, equations 4-6).

    Parameters
    ----------
    n_factors : int
        Length k of the embeddings.
    attention_size : int
        Number t of hidden units of the attention network.
    """

    def __init__(self, n_factors: int, attention_size: int) -> None:
        super().__init__()
        self.hidden = Linear(n_factors, attention_size)
        self.projection = nn.Parameter(torch.zeros(attention_size))

    def initialize(self, generator: Generator) -> None:
        """Draw weights near zero, so that attention starts almost uniform."""
        nn.init.normal_(self.projection, std=0.1, generator=generator)

    def forward(self, embeddings: Tensor, lengths: Tensor) -> tuple[Tensor, Tensor]:
        """Pool the pairs of each row.

        Parameters
        ----------
        embeddings : Tensor of shape (B, m, k)
            Embedding x v of each entry, padded with zeros.
        lengths : Tensor of shape (B,)
            Number of entries of each row.

        Returns
        -------
        pooled : Tensor of shape (B, k)
        attention : Tensor of shape (B, m (m - 1) / 2)
            Attention weights, which sum to one over a row's pairs and are zero in rows
            without a pair. Pairs are in the order of `torch.triu_indices(m, m, 1)`.
        """
        m = embeddings.shape[1]
        first, second = torch.triu_indices(m, m, 1, device=embeddings.device)
        # The backward pass of `index_select` sums in no fixed order on a GPU.
        products = embeddings[:, first] * embeddings[:, second]  # (B, P, k)
        logits = torch.relu(self.hidden(products)) @ self.projection  # (B, P)
        present = (second < lengths[:, None]).to(logits.dtype)
        # A finite mask, and a product: softmax over an all-masked row would be NaN,
        # and torch.where would let its gradient through.
        logits = logits * present - (1 - present) * torch.finfo(logits.dtype).max / 4
        attention = torch.softmax(logits, dim=1) * present
        return (attention[:, None] @ products)[:, 0], attention

    def numbers_per_row(self, n_entries: int) -> int:
        """Return how many numbers `pool` keeps of a row on the CPU."""
        return pair_kernels.attention_width(n_entries)

    def pool(self, embeddings: Tensor, lengths: Tensor) -> Tensor:
        """Return the pooled pairs alone, (B, k); the CPU stores no pairs' products."""
        if embeddings.device.type != "cpu" or torch.onnx.is_in_onnx_export():
            return self(embeddings, lengths)[0]
        pooled: Tensor = _PairPooling.apply(
            embeddings,
            lengths,
            self.hidden.weight,
            self.hidden.bias,
            self.projection,
        )
        return pooled


class _PairPooling(torch.autograd.Function):
    """Autograd function of `PairAttention.pool` by kernels."""

    @staticmethod
    def forward(
        ctx: Any, embeddings: Tensor, lengths: Tensor, *dense: Tensor
    ) -> Tensor:
        embeddings = embeddings.contiguous()
        n_rows, m, k = embeddings.shape
        attention = embeddings.new_empty(n_rows, pair_kernels.attention_width(m))
        pooled = embeddings.new_empty(n_rows, k)
        arrays = _host(embeddings, lengths, *map(torch.atleast_2d, dense))
        pair_kernels.attend(*arrays, *_host(attention, pooled))
        ctx.save_for_backward(embeddings, lengths, attention, *dense)
        return pooled

    @staticmethod
    @torch.autograd.function.once_differentiable
    def backward(ctx: Any, upstream: Tensor) -> tuple[Tensor | None, ...]:
        embeddings, lengths, attention, weight, bias, projection = ctx.saved_tensors
        gradients = [torch.zeros_like(embeddings)]
        gradients += [torch.empty_like(part) for part in (weight, bias, projection)]
        arrays = _host(embeddings, lengths, weight, bias[None], projection[None])
        rest = _host(attention, upstream.contiguous())
        outs = _host(gradients[0], *map(torch.atleast_2d, gradients[1:]))
        pair_kernels.attend_backward(*arrays, *rest, *outs)
        of_embeddings, *of_dense = gradients
        return of_embeddings, None, *of_dense


def _host(*tensors: Tensor) -> list[Any]:
    return [tensor.detach().numpy() for tensor in tensors]
