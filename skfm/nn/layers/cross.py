"""Explicit crosses of increasing degree: cross layers (DCN) and the CIN (xDeepFM)."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import pairwise

import torch
from torch import Generator, Tensor, nn

from .basic import Linear


class VectorCross(nn.Module):
    """Cross layer with a weight vector: x0 (w^T x) + b + x (DCN, equation 3).

    Parameters
    ----------
    size : int
        Length d of x and x0.
    """

    def __init__(self, size: int) -> None:
        super().__init__()
        self.inner = Linear(size, 1, bias=False)
        self.bias = nn.Parameter(torch.zeros(size))

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Map x and x0, each of shape (B, d), to the next x of that shape."""
        crossed: Tensor = x0 * self.inner(x) + self.bias + x
        return crossed


class MatrixCross(nn.Module):
    """Cross layer with a weight matrix: x0 * (W x + b) + x (DCN V2).

    Parameters
    ----------
    size : int
        Length d of x and x0.
    low_rank : int or None, default=None
        Rank r of W = U V^T with U and V of shape (d, r). None means a full matrix.
    """

    def __init__(self, size: int, low_rank: int | None = None) -> None:
        super().__init__()
        self.inner = None if low_rank is None else Linear(size, low_rank, bias=False)
        self.outer = Linear(size if low_rank is None else low_rank, size)

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Map x and x0, each of shape (B, d), to the next x of that shape."""
        inner = x if self.inner is None else self.inner(x)
        crossed: Tensor = x0 * self.outer(inner) + x
        return crossed

    def matrix(self) -> Tensor:
        """Return W of shape (d, d), multiplied out if it is kept as a product."""
        outer: Tensor = self.outer.weight
        return outer if self.inner is None else outer @ self.inner.weight


class ExpertCross(nn.Module):
    """Several low-rank crosses, weighed by a gate (DCN V2, mixture of low-rank
    DCN).

    The sum over experts i of g_i x0 * (U_i tanh(C_i tanh(V_i^T x)) + b), plus x, with
    g = softmax(G x). The gates sum to one, so that a bias is enough for all experts.

    Parameters
    ----------
    size : int
        Length d of x and x0.
    low_rank : int
        Rank r of the experts.
    n_experts : int
        Number of experts, K.
    """

    def __init__(self, size: int, low_rank: int, n_experts: int) -> None:
        super().__init__()
        self.gate = Linear(size, n_experts, bias=False)
        self.inner = Linear(size, n_experts * low_rank, bias=False)
        self.middle = nn.Parameter(torch.zeros(n_experts, low_rank, low_rank))
        self.outer = Linear(n_experts * low_rank, size)

    def initialize(self, generator: Generator) -> None:
        """Draw the experts' inner matrices from N(0, 1 / r), which keeps variance."""
        nn.init.normal_(
            self.middle, std=self.middle.shape[1] ** -0.5, generator=generator
        )

    def forward(self, x: Tensor, x0: Tensor) -> Tensor:
        """Map x and x0, each of shape (B, d), to the next x of that shape."""
        n_experts, rank, _ = self.middle.shape
        hidden = torch.tanh(self.inner(x)).view(-1, n_experts, rank)
        hidden = hidden.transpose(0, 1) @ self.middle.transpose(1, 2)  # (K, B, r)
        gates = torch.softmax(self.gate(x), dim=1)  # (B, K)
        weighed = torch.tanh(hidden).transpose(0, 1) * gates[..., None]
        crossed: Tensor = x0 * self.outer(weighed.flatten(start_dim=1)) + x
        return crossed


class CrossNetwork(nn.Module):
    """Stack of cross layers on the same x0; with no layer, the identity.

    Parameters
    ----------
    size : int
        Length d of x0.
    n_layers : int
        Number of cross layers.
    cross : {"vector", "matrix"}
        Kind of weights of a layer.
    low_rank : int or None, default=None
        Rank of the matrices. None means full matrices.
    n_experts : int, default=1
        Number of experts of a layer. Above one, a layer is a mixture of low-rank
        matrices, which needs ``low_rank``.

    Raises
    ------
    ValueError
        If the options cannot be combined.
    """

    def __init__(
        self,
        size: int,
        n_layers: int,
        *,
        cross: str,
        low_rank: int | None = None,
        n_experts: int = 1,
    ) -> None:
        super().__init__()
        if cross == "vector" and (low_rank is not None or n_experts > 1):
            raise ValueError(
                'low_rank and n_experts are options of cross="matrix"; got '
                f"low_rank={low_rank}, n_experts={n_experts} with cross={cross!r}."
            )
        if n_experts > 1 and low_rank is None:
            raise ValueError(
                f"n_experts={n_experts} needs low_rank: the experts are low-rank "
                "matrices. Pass low_rank, such as a quarter of the fields x n_factors."
            )

        def layer() -> nn.Module:
            if cross == "vector":
                return VectorCross(size)
            if low_rank is not None and n_experts > 1:
                return ExpertCross(size, low_rank, n_experts)
            return MatrixCross(size, low_rank)

        self.layers = nn.ModuleList([layer() for _ in range(n_layers)])

    def forward(self, x0: Tensor) -> Tensor:
        """Map x0 of shape (B, d) to the last layer's x, of shape (B, d)."""
        x = x0
        for layer in self.layers:
            x = layer(x, x0)
        return x


class CIN(nn.Module):
    """Compressed interaction network (xDeepFM), without activation.

    X^l_h = sum_ij W^l_hij (X^(l-1)_i * X^0_j), element-wise over the factors: layer l
    holds products of l + 1 embeddings. Each map is summed over the factors.

    Parameters
    ----------
    n_fields : int
        Number of fields F, the rows of X^0.
    layer_sizes : sequence of int
        Number of feature maps H_l of each layer.
    """

    def __init__(self, n_fields: int, layer_sizes: Sequence[int]) -> None:
        super().__init__()
        sizes = [n_fields, *layer_sizes]
        self.n_maps = sum(layer_sizes)
        #: Number of products of a row for each of the k factors.
        self.products_per_factor = sum(
            before * min(n_fields, after) for before, after in pairwise(sizes)
        )
        self.layers = nn.ModuleList(
            [
                Linear(before * n_fields, after, bias=False)
                for before, after in pairwise(sizes)
            ]
        )

    def forward(self, fields: Tensor) -> Tensor:
        """Compute the pooled feature maps of all layers.

        Parameters
        ----------
        fields : Tensor of shape (B, F, k)

        Returns
        -------
        Tensor of shape (B, n_maps)
        """
        n_rows, n_fields, n_factors = fields.shape
        # Rows and factors last: products are then sums of long vectors, and a layer is
        # one matrix product.
        first = fields.transpose(0, 1).reshape(n_fields, -1)  # (F, B k)
        maps, pooled = first, []
        for layer in self.layers:
            assert isinstance(layer, Linear)
            maps = _weigh_products(maps, first, layer.weight)
            pooled.append(maps.view(-1, n_rows, n_factors).sum(dim=2))
        return torch.cat(pooled).T


def _weigh_products(maps: Tensor, first: Tensor, weight: Tensor) -> Tensor:
    """Compute the weighted sums of the products of two sets of vectors.

    Either the products are formed and weighed, or one set is weighed and then
    multiplied by the other: whichever holds fewer numbers.

    Parameters
    ----------
    maps : Tensor of shape (H, n)
    first : Tensor of shape (F, n)
    weight : Tensor of shape (H', H F)

    Returns
    -------
    Tensor of shape (H', n)
    """
    n_fields = len(first)
    if n_fields <= len(weight):
        products = maps[:, None] * first  # (H, F, n)
        return weight @ products.flatten(end_dim=1)
    weighed = weight.view(-1, n_fields) @ first  # (H' H, n)
    return (weighed.view(len(weight), len(maps), -1) * maps).sum(dim=1)
