"""Deep & cross network, first and second version."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import Tensor

from .._sklearn import Interval, StrOptions
from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.mlp_parameters import MLPParameters
from ..estimators.params import param
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import MLP, CrossNetwork, Linear
from ..nn.network import Network
from ..nn.shape import Shape
from ..sparse import FieldLookup


class DCNNetwork(Network[FieldLookup]):
    """Network of DCN: cross layers on x0 = [e_1 .. e_F], beside or below an MLP."""

    lookup = "by_field"
    needs_fields = True
    has_linear = False

    def __init__(
        self,
        shape: Shape,
        *,
        structure: str,
        n_cross_layers: int,
        cross: str,
        low_rank: int | None,
        n_experts: int,
        **mlp: Any,
    ) -> None:
        super().__init__(shape)
        size = shape.n_fields * shape.n_factors
        self.cross = CrossNetwork(
            size, n_cross_layers, cross=cross, low_rank=low_rank, n_experts=n_experts
        )
        self.mlp = MLP(size, n_outputs=shape.n_outputs, bias=False, **mlp)
        self.output: Linear | None = None
        if structure == "parallel":
            self.output = Linear(size, shape.n_outputs, bias=False)

    def numbers_per_row(self, n_slots: int) -> int:
        # Output and product of each layer, and their gradients.
        return 4 * (len(self.cross.layers) + 1) * n_slots * self.shape.n_factors

    def interaction(self, lookup: FieldLookup) -> Tensor:
        embeddings = lookup.slots.flatten(start_dim=1)  # (B, F k)
        crossed = self.cross(embeddings)
        if self.output is None:
            scores: Tensor = self.mlp(crossed)
            return scores
        # One linear layer on [crossed, hidden], in two halves.
        return torch.add(self.output(crossed), self.mlp(embeddings))


class _DCN(MLPParameters, BaseModel):
    cross: str = param(
        default="matrix",
        valid=[StrOptions({"vector", "matrix"})],
        doc="""{"vector", "matrix"}
            Kind of weights of a cross layer: a vector (DCN) or a matrix (DCN V2).""",
    )
    n_cross_layers: int = param(
        default=3,
        valid=[Interval(Integral, 0, None, closed="left")],
        doc="""int
            Number L of cross layers. The highest degree of interactions is L + 1.""",
    )
    structure: str = param(
        default="parallel",
        valid=[StrOptions({"parallel", "stacked"})],
        doc="""{"parallel", "stacked"}
            Position of the multi-layer perceptron: beside the cross layers
            ("parallel") or on top of them ("stacked").""",
    )
    low_rank: int | None = param(
        default=None,
        valid=[Interval(Integral, 1, None, closed="left"), None],
        doc="""int or None
            Rank of the cross layers' matrices, which have fields x ``n_factors`` rows
            and columns. None means full matrices. Only for ``cross="matrix"``.""",
    )
    n_experts: int = param(
        default=1,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Number of experts of each cross layer. Above one, a cross layer is a gated
            mixture of ``n_experts`` matrices of rank ``low_rank``.""",
    )

    _references_doc: ClassVar[str] = """
        R. Wang, B. Fu, G. Fu and M. Wang, "Deep & Cross Network for Ad Click
        Predictions", ADKDD 2017, arXiv:1708.05123.

        R. Wang, R. Shivanna, D. Cheng, S. Jain, D. Lin, L. Hong and E. Chi, "DCN V2:
        Improved Deep & Cross Network and Practical Lessons for Web-scale Learning to
        Rank Systems", WWW 2021, arXiv:2008.13535.
        """

    _network_class = DCNNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        return {
            "structure": self.structure,
            "n_cross_layers": self.n_cross_layers,
            "cross": self.cross,
            "low_rank": self.low_rank,
            "n_experts": self.n_experts,
            **self._mlp_options(full_batch),
        }


class DCNClassifier(Classifier, _DCN):
    """Deep & cross network classifier, first and second version.

    Each cross layer multiplies the embeddings x0 = [e_1, ..., e_F] by a linear map of
    the previous layer's output. e_f is the sum of ``x_i v_i`` over the columns of field
    f (Wang et al., ADKDD 2017, equation 3, and WWW 2021, equation 1)::

        cross="vector":         x_(l+1) = x0 (w_l^T x_l) + b_l + x_l
        cross="matrix":         x_(l+1) = x0 * (W_l x_l + b_l) + x_l
        structure="parallel":   f(x) = w0 + w^T [x_L, hidden layers of x0]
        structure="stacked":    f(x) = w0 + MLP(x_L)

    With ``low_rank`` r, W_l is U_l V_l^T of rank r. With ``n_experts``, it is replaced
    by a gated sum of U_i tanh(C_i tanh(V_i^T x_l)). There is no linear part. The model
    needs fields, which are inferred from one-hot blocks or given by ``fields``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    DeepFMClassifier : Models pairs only, by inner products, beside the deep part.
    XDeepFMClassifier : Crosses whole embeddings instead of their elements.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import DCNClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), DCNClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class DCNRegressor(Regressor, _DCN):
    """Deep & cross network regressor, first and second version.

    See `DCNClassifier` for the model.

    {sections}
    """


class DCNRanker(Ranker, _DCN):
    """Deep & cross network ranker, first and second version.

    See `DCNClassifier` for the model.

    {sections}
    """
