"""xDeepFM."""

from __future__ import annotations

from collections.abc import Sequence
from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import Tensor

from .._sklearn import Interval
from ..estimators.base import BaseModel
from ..estimators.checks import check_layer_sizes
from ..estimators.classifier import Classifier
from ..estimators.mlp_parameters import MLPParameters
from ..estimators.params import param
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import CIN, MLP, Linear
from ..nn.network import Network
from ..nn.shape import Shape
from ..sparse import FieldLookup


class XDeepFMNetwork(Network[FieldLookup]):
    """Network of xDeepFM: a linear part + w^T CIN([e_1 .. e_F]) + MLP([e_1 .. e_F])."""

    lookup = "by_field"
    needs_fields = True

    def __init__(
        self, shape: Shape, *, cin_layer_sizes: Sequence[int], **mlp: Any
    ) -> None:
        super().__init__(shape)
        self.cin = CIN(shape.n_fields, cin_layer_sizes)
        self.output = Linear(self.cin.n_maps, shape.n_outputs, bias=False)
        n_inputs = shape.n_fields * shape.n_factors
        self.mlp = MLP(n_inputs, n_outputs=shape.n_outputs, bias=False, **mlp)

    def numbers_per_row(self, n_slots: int) -> int:
        return self.cin.products_per_factor * self.shape.n_factors

    def work_per_row(self) -> float:
        # The CIN uses each of its weights once for every factor.
        cin = sum(p.numel() for p in self.cin.parameters())
        return super().work_per_row() + cin * (self.shape.n_factors - 1)

    def interaction(self, lookup: FieldLookup) -> Tensor:
        fields = lookup.slots  # (B, F, k)
        explicit, deep = self.output(self.cin(fields)), self.mlp(fields.flatten(1))
        return torch.add(explicit, deep)


class _XDeepFM(MLPParameters, BaseModel):
    cin_layer_sizes: Any = param(
        default=(16, 16),
        valid=["array-like", Interval(Integral, 1, None, closed="left")],
        doc="""tuple of int, or int
            Number of feature maps of each layer of the compressed interaction network.
            Layer l holds interactions of degree l + 1.""",
    )

    _references_doc: ClassVar[str] = """
        J. Lian, X. Zhou, F. Zhang, Z. Chen, X. Xie and G. Sun, "xDeepFM: Combining
        Explicit and Implicit Feature Interactions for Recommender Systems", KDD 2018,
        arXiv:1803.05170.
        """

    _network_class = XDeepFMNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        sizes = check_layer_sizes("cin_layer_sizes", self.cin_layer_sizes)
        if not sizes:
            raise ValueError("cin_layer_sizes must have at least one layer; got none.")
        return {"cin_layer_sizes": sizes, **self._mlp_options(full_batch)}


class XDeepFMClassifier(Classifier, _XDeepFM):
    """xDeepFM classifier: a compressed interaction network beside an MLP.

    Let X^0 be the matrix of the embeddings e_1 .. e_F, one per row, where e_f is the
    sum of ``x_i v_i`` over the columns of field f. Layer l of the compressed
    interaction network (CIN) holds weighted sums of element-wise products of l + 1
    embeddings (Lian et al., KDD 2018)::

        X^l_h = sum_ij W^l_hij (X^(l-1)_i * X^0_j)
        f(x) = w0 + sum_i w_i x_i + w^T [sums of X^l_h over the factors] + MLP(X^0)

    The CIN has no activation, as the authors found best. The model needs fields, which
    are inferred from one-hot blocks or given by ``fields``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    DeepFMClassifier : Models pairs only, by inner products, beside the deep part.
    DCNClassifier : Crosses the embeddings' elements.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import XDeepFMClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), XDeepFMClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class XDeepFMRegressor(Regressor, _XDeepFM):
    """xDeepFM regressor: a compressed interaction network beside an MLP.

    See `XDeepFMClassifier` for the model.

    {sections}
    """


class XDeepFMRanker(Ranker, _XDeepFM):
    """xDeepFM ranker: a compressed interaction network beside an MLP.

    See `XDeepFMClassifier` for the model.

    {sections}
    """
