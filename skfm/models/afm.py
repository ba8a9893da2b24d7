"""Attentional factorization machine."""

from __future__ import annotations

from numbers import Integral, Real
from typing import Any, ClassVar

import torch
from torch import Generator, Tensor, nn

from .._sklearn import Interval, StrOptions
from ..data.transfer import free_memory
from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.mlp_parameters import auto_dropout
from ..estimators.params import param
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import Dropout, PairAttention
from ..nn.pairwise import Entries, PairwiseNetwork
from ..nn.shape import Shape
from ..runtime.memory import check_memory
from ..sparse import EntryLookup

#: Number of copies of the products and attention units in torch's backward pass.
_COPIES = 4


class AFMNetwork(PairwiseNetwork[EntryLookup]):
    """Network of AFM: w0 + sum w_i x_i + p^T sum_{i<j} a_ij (v_i * v_j) x_i x_j."""

    lookup = "by_nonzero"

    def __init__(
        self, shape: Shape, *, attention_size: int, interaction_dropout: float
    ) -> None:
        super().__init__(shape)
        self.attention = PairAttention(shape.n_factors, attention_size)
        self.dropout = Dropout(interaction_dropout)
        self.projection = PairProjection(shape)

    def numbers_per_row(self, n_slots: int) -> int:
        if self.table.weight.device.type == "cpu":
            return self.attention.numbers_per_row(n_slots)
        pairs = n_slots * (n_slots - 1) // 2
        width = self.shape.n_factors + self.attention.projection.shape[0]
        return pairs * width * _COPIES

    def check_memory(self, longest: int) -> None:
        check_memory(
            self.numbers_per_row(longest) * self.bias.element_size(),
            f"A row of X has {longest} entries, whose pairs need",
            "AFM is for rows with few entries. Use FM or NFM, lower n_factors or "
            "attention_size, or drop frequent columns.",
            free_memory(self.table.weight.device),
        )

    def work_per_row(self) -> float:
        width = self.attention.projection.shape[0]
        return self.shape.mean_pairs * self.shape.n_factors * (width + 2)

    def interaction(self, lookup: EntryLookup) -> Tensor:
        pooled = self.attention.pool(lookup.slots, lookup.lengths)  # (B, k)
        scores: Tensor = self.projection(self.dropout(pooled))
        return scores

    def attention_weights(self, entries: Entries) -> Tensor:
        """Return the attention weight a_ij of each pair, (B, P)."""
        weights: Tensor = self.attention(entries.embeddings, entries.lengths)[1]
        return weights

    def pair_terms(self, entries: Entries) -> Tensor:
        weights = self.attention_weights(entries)[..., None]
        return weights * self.projection(entries.products())


class PairProjection(nn.Module):
    """Projection p in R^{k x C}, which with uniform attention starts as an FM."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.n_pairs = max(1.0, shape.mean_pairs)
        self.weight = nn.Parameter(torch.zeros(shape.n_factors, shape.n_outputs))

    def initialize(self, generator: Generator) -> None:
        if self.weight.shape[1] == 1:
            nn.init.constant_(self.weight, self.n_pairs)
        else:
            nn.init.normal_(self.weight, std=self.n_pairs, generator=generator)

    def forward(self, x: Tensor) -> Tensor:
        """Project x of shape (..., k) to scores of shape (..., C)."""
        return x @ self.weight


class _AFM(BaseModel):
    attention_size: int = param(
        default=16,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Number t of hidden units of the attention network.""",
    )
    interaction_dropout: float | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        doc="""float or "auto"
            Probability of dropping an element of the attention-pooled vector in
            training. "auto" is 0.2, or 0 if all rows fit into one batch.""",
    )

    _references_doc: ClassVar[str] = """
        J. Xiao, H. Ye, X. He, H. Zhang, F. Wu and T.-S. Chua, "Attentional
        Factorization Machines", IJCAI 2017, arXiv:1708.04617.
        """

    _network_class = AFMNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        rate = auto_dropout(self.interaction_dropout, 0.2, full_batch)
        return {"attention_size": self.attention_size, "interaction_dropout": rate}


class AFMClassifier(Classifier, _AFM):
    """Attentional factorization machine classifier.

    A factorization machine in which an attention network weighs the pairs (Xiao et
    al., IJCAI 2017, equations 3-6)::

        f(x) = w0 + sum_i w_i x_i + p^T sum_{i<j} a_ij (v_i * v_j) x_i x_j
        a_ij = softmax over the row's pairs of h^T ReLU(W (v_i * v_j) x_i x_j + b)

    Time and memory grow with the square of a row's number of entries.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FMClassifier : Gives all pairs the same weight, in linear time.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import AFMClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), AFMClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class AFMRegressor(Regressor, _AFM):
    """Attentional factorization machine regressor.

    See `AFMClassifier` for the model.

    {sections}
    """


class AFMRanker(Ranker, _AFM):
    """Attentional factorization machine ranker.

    See `AFMClassifier` for the model.

    {sections}
    """
