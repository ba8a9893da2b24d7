"""Product-based neural network."""

from __future__ import annotations

from typing import Any, ClassVar

import torch
from torch import Tensor

from .._sklearn import StrOptions
from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.mlp_parameters import MLPParameters
from ..estimators.params import param, redeclare
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import MLP, inner_products, outer_product, pair_numbers
from ..nn.network import Network
from ..nn.shape import Shape
from ..sparse import FieldLookup


class PNNNetwork(Network[FieldLookup]):
    """Network of PNN: w0 + MLP([e_1 .. e_F, products of the fields])."""

    lookup = "by_field"
    needs_fields = True
    has_linear = False

    def __init__(self, shape: Shape, *, product: str, **mlp: Any) -> None:
        super().__init__(shape)
        self.inner, self.outer = product != "outer", product != "inner"
        n_fields, n_factors = shape.n_fields, shape.n_factors
        n_inputs = n_fields * n_factors
        n_inputs += self.inner * n_fields * (n_fields - 1) // 2
        n_inputs += self.outer * n_factors**2
        self.n_inputs = n_inputs
        self.mlp = MLP(n_inputs, n_outputs=shape.n_outputs, bias=False, **mlp)

    def numbers_per_row(self, n_slots: int) -> int:
        # The input of the perceptron and its gradient, beside what it is made of.
        return pair_numbers(n_slots) * self.inner + 2 * self.n_inputs

    def interaction(self, lookup: FieldLookup) -> Tensor:
        fields = lookup.slots  # (B, F, k)
        parts = [fields.flatten(start_dim=1)]
        if self.inner:
            parts.append(inner_products(fields))
        if self.outer:
            parts.append(outer_product(fields))
        scores: Tensor = self.mlp(torch.cat(parts, dim=1))
        return scores


class _PNN(MLPParameters, BaseModel):
    dropout: float | str = redeclare(MLPParameters, "dropout", default=0.0)
    product: str = param(
        default="inner",
        valid=[StrOptions({"inner", "outer", "both"})],
        doc="""{"inner", "outer", "both"}
            Products that the multi-layer perceptron reads beside the embeddings: the
            inner products of all pairs of fields, the outer product of the fields' sum
            with itself, or both.""",
    )

    _references_doc: ClassVar[str] = """
        Y. Qu, H. Cai, K. Ren, W. Zhang, Y. Yu, Y. Wen and J. Wang, "Product-based
        Neural Networks for User Response Prediction", ICDM 2016, arXiv:1611.00144.
        """

    _network_class = PNNNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        return {"product": self.product, **self._mlp_options(full_batch)}


class PNNClassifier(Classifier, _PNN):
    """Product-based neural network classifier.

    A multi-layer perceptron that reads products of the fields' embeddings, which a
    perceptron can hardly form itself (Qu et al., ICDM 2016, equations 1-12). Let e_f be
    the sum of ``x_i v_i`` over the columns of field f, and s the sum of the e_f::

        f(x) = w0 + MLP([e_1, ..., e_F, <e_f, e_g> for f < g, s s^T])

    with the inner products, the outer product, or both. There is no linear part. The
    model needs fields, which are inferred from one-hot blocks or given by ``fields``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    WideDeepClassifier : Has a perceptron without products, beside a linear part.
    DeepFMClassifier : Adds the products to the score, beside a perceptron.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import PNNClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), PNNClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class PNNRegressor(Regressor, _PNN):
    """Product-based neural network regressor.

    See `PNNClassifier` for the model.

    {sections}
    """


class PNNRanker(Ranker, _PNN):
    """Product-based neural network ranker.

    See `PNNClassifier` for the model.

    {sections}
    """
