"""Losses of rankers, which compare the scores of the rows of a query.

The loss of a query is a mean over its pairs or rows. It counts once for each of its
rows in the loss of a batch. Rows are sorted by query and, within a query, by relevance
(see `skfm.data.queries`).
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

import numpy as np

from ..data.queries import Queries
from ..data.rank_metrics import discounts, mean_metric
from ..runtime.lazy import F, torch, without_gradients
from .base import Loss
from .registry import register

if TYPE_CHECKING:
    from torch import Tensor


class Pairs(NamedTuple):
    """Pairs of a more and a less relevant row, query after query."""

    better: np.ndarray
    worse: np.ndarray
    counts: np.ndarray  # number of pairs of each query


class RankingLoss(Loss):
    """Base class of the losses of rankers.

    Parameters
    ----------
    n_ranks : int or None
        Number of top ranks that count in the metric of held-out rows; None: all.
    scoring : str or callable
        Name of that metric, a key of `skfm.data.rank_metrics.RANK_METRICS`.
    """

    parameters: ClassVar[tuple[str, ...]] = ("n_ranks", "scoring")
    fixes_bias: ClassVar[bool] = True
    positive_only: ClassVar[bool] = True

    def __init__(self, n_ranks: int | None, scoring: Any = "ndcg") -> None:
        self.n_ranks, self.scoring = n_ranks, scoring

    def check_target(self, target: np.ndarray) -> None:
        if np.any(target < 0):
            row = int(np.flatnonzero(target < 0)[0])
            raise ValueError(
                f"y must be zero or more, the relevance of each row, but is "
                f"{target[row]} in row {row}."
            )

    def check_held_out(self, target: Tensor) -> None:
        """Raise an error if the metric of the held-out rows is not defined.

        Raises
        ------
        ValueError
            If no row has relevance above zero.
        """
        if not bool((target > 0).any()):
            raise ValueError(
                "no held-out row has relevance above zero, so that no metric of them "
                "is defined: pass other X_val and y_val, another validation_fraction, "
                "or early_stopping=False."
            )

    def baseline(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        return np.zeros(1)

    def per_row(
        self,
        scores: Tensor,
        target: Tensor,
        queries: Queries | None = None,
        weight: Tensor | None = None,
    ) -> Tensor:
        """Compute the loss of each row's query, shape (B,).

        Parameters
        ----------
        scores : Tensor of shape (B, 1)
        target : Tensor of shape (B,)
            Relevance of the rows.
        queries : Queries
            Queries of the rows.
        weight : Tensor of shape (B,)
            Weights of the rows within their query.
        """
        assert queries is not None
        assert weight is not None
        per_query = self.per_query(scores[:, 0], target, queries, weight)
        return _by_row(per_query, _tensor(queries.lengths(), scores), len(scores))

    def per_query(
        self, scores: Tensor, target: Tensor, queries: Queries, weight: Tensor
    ) -> Tensor:
        """Compute the loss of each query, (Q,), from tensors of shape (B,)."""
        raise AssertionError("defined by each loss")

    def validation_score(
        self,
        scores: np.ndarray,
        target: np.ndarray,
        query: np.ndarray,
        weight: np.ndarray,
    ) -> float:
        """Compute the mean of the metric over the queries."""
        rows = scores[:, 0], target, query, weight
        return mean_metric(self.scoring, *rows, self.n_ranks)


@register("pairwise", "relevance")
class PairwiseLoss(RankingLoss):
    """Mean of log(1 + exp(-(s_i - s_j))) over pairs where i is more relevant than j.

    With binary relevance, this is the loss of Bayesian personalised ranking (Rendle et
    al., UAI 2009). The weight of a pair is the product of the weights of its rows.

    Parameters
    ----------
    n_pairs : int
        Number of pairs per row that are used at most. If a query of n rows has more
        than ``n_pairs * n`` pairs, as many are drawn evenly from them, anew for each
        batch.
    n_ranks, scoring : object
        Metric of the held-out rows, as in `RankingLoss`.
    """

    parameters: ClassVar[tuple[str, ...]] = ("n_pairs", "n_ranks", "scoring")

    def __init__(
        self, n_pairs: int, n_ranks: int | None, scoring: Any = "ndcg"
    ) -> None:
        super().__init__(n_ranks, scoring)
        self.n_pairs = n_pairs

    def per_query(
        self, scores: Tensor, target: Tensor, queries: Queries, weight: Tensor
    ) -> Tensor:
        pairs = draw_pairs(target.cpu().numpy(), queries, self.n_pairs)
        better, worse, counts = (_tensor(array, scores) for array in pairs)
        strength = weight[better] * weight[worse]
        strength = strength * self._importance(scores, target, queries, better, worse)
        values = F.softplus(scores[worse] - scores[better]) * strength
        return _mean_by_run(values, strength, counts)

    def _importance(
        self,
        scores: Tensor,
        target: Tensor,
        queries: Queries,
        better: Tensor,
        worse: Tensor,
    ) -> Tensor:
        return scores.new_ones(())


@register("lambda", "relevance")
class LambdaLoss(PairwiseLoss):
    """Pairwise loss that weights a pair by the effect of its order on the NDCG.

    The weight is |y_i - y_j| |1 / log2(r_i + 1) - 1 / log2(r_j + 1)|, where r are the
    ranks by the current scores (LambdaRank: Burges, 2010). Weights are normalised to a
    mean of one within a query.
    """

    @without_gradients
    def _importance(
        self,
        scores: Tensor,
        target: Tensor,
        queries: Queries,
        better: Tensor,
        worse: Tensor,
    ) -> Tensor:
        query = np.repeat(np.arange(len(queries)), queries.lengths())
        ranking = np.lexsort((-scores.cpu().numpy(), query))
        by_row = np.empty(len(query))
        by_row[ranking] = discounts(queries.starts)
        discount = torch.from_numpy(by_row).to(scores)
        gain = target[better] - target[worse]
        return gain * (discount[better] - discount[worse]).abs()


@register("listwise", "relevance")
class ListwiseLoss(RankingLoss):
    """Softmax cross-entropy of the shares of relevance (ListNet: Cao et al., 2007).

    The loss of a query is -sum_i p_i log softmax(s)_i over its rows, with
    p_i = y_i / sum_j y_j. A row of weight 2 counts as two rows.

    Of rows that are drawn, the scores less the logarithms of their probabilities count,
    up to a constant: the loss then estimates that of all rows (Bengio and Senecal,
    2008).
    """

    def per_query(
        self, scores: Tensor, target: Tensor, queries: Queries, weight: Tensor
    ) -> Tensor:
        lengths = _tensor(queries.lengths(), scores)
        if queries.log_weight is not None:
            scores = scores - _tensor(queries.log_weight, scores).to(scores.dtype)
        n_rows, plain = len(scores), scores.detach()
        highest = torch.segment_reduce(plain, "max", lengths=lengths, unsafe=True)
        centred = scores - _by_row(highest, lengths, n_rows)
        total = _sum_by_run(weight * centred.exp(), lengths)
        gain = weight * target
        log_total = _by_row(total.log(), lengths, n_rows)
        return _mean_by_run((log_total - centred) * gain, gain, lengths)


@register("warp", "relevance")
class WarpLoss(PairwiseLoss):
    """Hinges of pairs, weighed by the rank of the better row (WARP).

    The loss of a row is log(1 + n) times the mean of max(0, 1 - (s_i - s_j)) over the n
    rows of its pairs for which that is above zero; that of a query the mean over its
    rows that are in pairs (Weston et al., 2011).
    """

    def per_query(
        self, scores: Tensor, target: Tensor, queries: Queries, weight: Tensor
    ) -> Tensor:
        pairs = draw_pairs(target.cpu().numpy(), queries, self.n_pairs)
        runs = np.flatnonzero(np.diff(pairs.better, prepend=-1))
        lengths = _tensor(np.diff(np.append(runs, len(pairs.better))), scores)
        better, worse, counts = (_tensor(array, scores) for array in pairs)
        hinge = F.relu(1 - (scores[better] - scores[worse]))
        strength = weight[better] * weight[worse]
        with torch.no_grad():
            n_above = _sum_by_run((hinge > 0).to(scores), lengths)
            share = torch.log1p(n_above) / n_above.clamp(min=1)
        values = hinge * strength * _by_row(share, lengths, len(better))
        # Each of a query's better rows counts once.
        single = strength / _by_row(lengths.to(scores), lengths, len(better))
        return _mean_by_run(values, single, counts)


@register("log_loss", "relevance")
class PointwiseLoss(RankingLoss):
    """Mean over the rows of a query of the log loss of y > 0: each row by itself."""

    fixes_bias: ClassVar[bool] = False

    def per_query(
        self, scores: Tensor, target: Tensor, queries: Queries, weight: Tensor
    ) -> Tensor:
        chosen = (target > 0).to(scores)
        values = F.binary_cross_entropy_with_logits(scores, chosen, reduction="none")
        return _mean_by_run(values * weight, weight, _tensor(queries.lengths(), scores))


def draw_pairs(relevance: np.ndarray, queries: Queries, n_pairs: int) -> Pairs:
    """Form pairs of rows of different relevance in each query: all, or a random part.

    The pairs of a query are numbered by the better row and then by the worse, without
    listing them: rows are sorted by relevance, so that the rows worse than a row are
    the first rows of its query. If a part is drawn, the numbers are divided into equal
    stretches, and one number is drawn from each.
    """
    rows = np.arange(len(relevance))
    query_start = np.repeat(queries.starts[:-1], queries.lengths())
    new_level = np.ones(len(rows), np.bool_)
    new_level[1:] = relevance[1:] != relevance[:-1]
    new_level[queries.starts[:-1]] = True
    level_start = np.maximum.accumulate(np.where(new_level, rows, 0))
    ends = np.cumsum(level_start - query_start)
    bounds = np.concatenate([[0], ends])[queries.starts]
    n_all = np.diff(bounds)
    counts = np.minimum(n_all, n_pairs * queries.lengths())
    query = np.repeat(np.arange(len(queries)), counts)
    number = np.arange(len(query)) - np.repeat(np.cumsum(counts) - counts, counts)
    if np.any(counts < n_all):
        stretch = (n_all / np.maximum(counts, 1))[query]
        within = np.random.default_rng(queries.seed).random(len(query))
        # Where all pairs are taken, a stretch holds one number.
        number = np.minimum((number + within) * stretch, n_all[query] - 1)
        number = number.astype(np.int64)
    number = number + bounds[:-1][query]
    better = np.searchsorted(ends, number, side="right")
    first = np.concatenate([[0], ends])[better]
    return Pairs(better, query_start[better] + number - first, counts)


def _tensor(array: np.ndarray, like: Tensor) -> Tensor:
    return torch.from_numpy(np.ascontiguousarray(array)).to(like.device)


def _by_row(per_query: Tensor, lengths: Tensor, n_rows: int) -> Tensor:
    """Repeat the value of each query for each of its rows."""
    queries = torch.arange(len(lengths), device=lengths.device)
    # The backward pass of `repeat_interleave` of the values themselves would sum in no
    # fixed order on a GPU.
    return per_query[torch.repeat_interleave(queries, lengths, output_size=n_rows)]


def _sum_by_run(values: Tensor, lengths: Tensor) -> Tensor:
    if len(values) == 0:
        # The empty sum makes the gradients of a batch without pairs zero, not None.
        return values.sum() + values.new_zeros(len(lengths))
    return torch.segment_reduce(values, "sum", lengths=lengths, unsafe=True)


def _mean_by_run(weighted: Tensor, weight: Tensor, lengths: Tensor) -> Tensor:
    """Divide sums of ``weighted`` by those of ``weight``; zero where these are zero."""
    total = _sum_by_run(weight, lengths)
    share = torch.where(total > 0, 1 / total.clamp(min=1e-30), 0)
    return _sum_by_run(weighted, lengths) * share
