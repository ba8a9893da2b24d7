"""Network of the factorization machine, which is also the first stage of FNN."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor

from ..data.batch import Batch
from ..losses import Loss
from ..sparse import PooledLookup
from .layers import InteractionHead, bi_interaction
from .pairwise import Entries, PairwiseNetwork
from .shape import Shape


class FMNetwork(PairwiseNetwork[PooledLookup]):
    """Network of FM: w0 + sum w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j."""

    shares_pair_weights = True

    def __init__(self, shape: Shape) -> None:
        # One output needs only the total of the squares: the gradient costs half.
        self.lookup = "pooled_total" if shape.n_outputs == 1 else "pooled"
        super().__init__(shape)
        self.head = InteractionHead(shape.n_factors, shape.n_outputs)

    def interaction(self, lookup: PooledLookup) -> Tensor:
        if lookup.sum_squares.shape[1] == 1:
            pairs = lookup.sum.square().sum(dim=1, keepdim=True) - lookup.sum_squares
            return 0.5 * pairs
        scores: Tensor = self.head(bi_interaction(lookup.sum, lookup.sum_squares))
        return scores

    @property
    def fuses_scores(self) -> bool:
        one_output = self.lookup == "pooled_total"
        return one_output and self.table.backend.fuses_scores

    def fused_scores(self, batch: Batch, n_threads: int = 1) -> np.ndarray:
        table = self.table
        scores: np.ndarray = table.backend.score_pairs(
            table, self.bias, batch, n_threads=n_threads
        )
        return scores

    def differentiate(
        self, lookup: PooledLookup, loss: Loss, target: Tensor, weight: Tensor
    ) -> float | None:
        if self.lookup != "pooled_total" or not self.table.backend.fuses_scores:
            return None
        sums, linear, squares = (
            leaf.detach().numpy()
            for leaf in (lookup.sum, lookup.linear, lookup.sum_squares)
        )
        # The trainer looks for losses that are not finite.
        with np.errstate(all="ignore"):
            pairs = np.einsum("bk,bk->b", sums, sums) - squares[:, 0]
            scores = linear[:, 0] + sums.dtype.type(0.5) * pairs + self.bias.item()
            found = loss.slopes(scores, target.numpy())
        if found is None:
            return None
        losses, slopes = found
        # Of the weighted loss of each row, by its score.
        by_score = torch.from_numpy(slopes).mul_(weight)[:, None]
        lookup.linear.grad = by_score
        if lookup.sum.requires_grad:
            lookup.sum.grad = by_score * lookup.sum.detach()
            lookup.sum_squares.grad = -0.5 * by_score
        if self.bias.grad is not None:
            self.bias.grad += by_score.sum(dim=0)
        with np.errstate(all="ignore"):
            return float((losses * weight.numpy()).sum())

    def cross_vectors(self, lookup: PooledLookup) -> tuple[Tensor, Tensor] | None:
        return (lookup.sum, lookup.sum) if self.shape.n_outputs == 1 else None

    def pair_terms(self, entries: Entries) -> Tensor:
        terms: Tensor = self.head(entries.products())
        return terms

    def pair_weights(self, first: int, second: int) -> Tensor:
        return self.head.weights()
