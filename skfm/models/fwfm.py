"""Field-weighted factorization machine."""

from __future__ import annotations

from typing import ClassVar

import torch
from torch import Tensor

from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import WeightedPairs, pair_numbers
from ..nn.pairwise import Entries, PairwiseNetwork
from ..nn.shape import Shape
from ..sparse import FieldLookup


class FwFMNetwork(PairwiseNetwork[FieldLookup]):
    """Network of FwFM: w0 + sum w_i x_i + sum_{f<g} r_fg <e_f, e_g>."""

    lookup = "by_field"
    needs_fields = True

    def __init__(self, shape: Shape) -> None:
        super().__init__(shape)
        self.pairs = WeightedPairs(shape.n_fields, shape.n_outputs)

    def numbers_per_row(self, n_slots: int) -> int:
        return pair_numbers(n_slots)

    def work_per_row(self) -> float:
        return float(self.shape.n_fields**2 * self.shape.n_factors)

    def interaction(self, lookup: FieldLookup) -> Tensor:
        scores: Tensor = self.pairs(lookup.slots)
        return scores

    def cross_vectors(self, lookup: FieldLookup) -> tuple[Tensor, Tensor] | None:
        if self.shape.n_outputs > 1:
            return None
        weighted = torch.einsum(
            "bfk,fg->bgk", lookup.slots, self.pairs.matrix()[..., 0]
        )
        return weighted.flatten(1), lookup.slots.flatten(1)

    def pair_terms(self, entries: Entries) -> Tensor:
        assert self.shape.fields is not None
        first, second = entries.fields_of_pairs(self.shape.fields)
        inner = entries.products().sum(dim=2, keepdim=True)  # (B, P, 1)
        return self.pairs.matrix()[first, second] * inner

    def pair_weights(self, first: int, second: int) -> Tensor:
        return self.pairs.matrix()[first, second].expand(self.shape.n_factors, -1)


class _FwFM(BaseModel):
    _references_doc: ClassVar[str] = """
        J. Pan, J. Xu, A. L. Ruiz, W. Zhao, S. Pan, Y. Sun and Q. Lu, "Field-weighted
        Factorization Machines for Click-Through Rate Prediction in Display
        Advertising", WWW 2018, arXiv:1806.03514.
        """

    _network_class = FwFMNetwork


class FwFMClassifier(Classifier, _FwFM):
    """Field-weighted factorization machine classifier.

    A factorization machine that learns a weight r_fg for each pair of fields (Pan et
    al., WWW 2018, equation 4). Let e_f be the sum of ``x_i v_i`` over the columns of
    field f::

        f(x) = w0 + sum_i w_i x_i + sum_{f<g} r_fg <e_f, e_g>

    The model has F (F - 1) / 2 more weights than an FM, whereas a field-aware FM has F
    times as many. It needs fields, which are inferred from one-hot blocks or given by
    ``fields``. r starts at one. With more than two classes, there is an r for each
    class.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FMClassifier : Gives all pairs the same weight; needs no fields.
    FFMClassifier : Has an embedding of each column for each field.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FwFMClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), FwFMClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class FwFMRegressor(Regressor, _FwFM):
    """Field-weighted factorization machine regressor.

    See `FwFMClassifier` for the model.

    {sections}
    """


class FwFMRanker(Ranker, _FwFM):
    """Field-weighted factorization machine ranker.

    See `FwFMClassifier` for the model.

    {sections}
    """
