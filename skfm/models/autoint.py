"""AutoInt."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

import torch
from torch import Tensor, nn

from .._sklearn import Interval
from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.mlp_parameters import MLPParameters
from ..estimators.params import param
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import MLP, FieldAttention, Linear
from ..nn.network import Network
from ..nn.shape import Shape
from ..sparse import FieldLookup


class AutoIntNetwork(Network[FieldLookup]):
    """Network of AutoInt: w0 + w^T attention([e_1 .. e_F]) + MLP([e_1 .. e_F])."""

    lookup = "by_field"
    needs_fields = True
    has_linear = False

    def __init__(
        self,
        shape: Shape,
        *,
        n_attention_layers: int,
        n_heads: int,
        attention_size: int,
        **mlp: Any,
    ) -> None:
        super().__init__(shape)
        self.n_heads, self.n_units = n_heads, n_heads * attention_size
        widths = [shape.n_factors] + [self.n_units] * (n_attention_layers - 1)
        self.attention = nn.ModuleList(
            [FieldAttention(width, n_heads, attention_size) for width in widths]
        )
        n_attended = shape.n_fields * self.n_units
        self.output = Linear(n_attended, shape.n_outputs, bias=False)
        self.mlp: MLP | None = None
        if mlp["hidden_layer_sizes"]:
            n_inputs = shape.n_fields * shape.n_factors
            self.mlp = MLP(n_inputs, n_outputs=shape.n_outputs, bias=False, **mlp)

    def numbers_per_row(self, n_slots: int) -> int:
        # A layer's logits and weights, and its four projections.
        per_layer = 2 * self.n_heads * n_slots**2 + 4 * n_slots * self.n_units
        return per_layer * len(self.attention)

    def work_per_row(self) -> float:
        # Projections use their weights once per field; two products are over pairs.
        n_fields = self.shape.n_fields
        projections = sum(p.numel() for p in self.attention.parameters())
        pairs = 2 * n_fields**2 * self.n_units * len(self.attention)
        return super().work_per_row() + projections * (n_fields - 1) + pairs

    def interaction(self, lookup: FieldLookup) -> Tensor:
        fields = lookup.slots  # (B, F, k)
        attended = fields
        for layer in self.attention:
            attended = layer(attended)  # (B, F, H d)
        scores: Tensor = self.output(attended.flatten(start_dim=1))
        if self.mlp is None:
            return scores
        return torch.add(scores, self.mlp(fields.flatten(start_dim=1)))

    def attention_weights(self, lookup: FieldLookup) -> list[Tensor]:
        """Return each layer's attention between fields, of shape (B, H, F, F)."""
        attended, weights = lookup.slots, []
        for layer in self.attention:
            assert isinstance(layer, FieldAttention)
            weights.append(layer.weights(attended))
            attended = layer(attended)
        return weights


class _AutoInt(MLPParameters, BaseModel):
    n_attention_layers: int = param(
        default=2,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Number of self-attention layers.""",
    )
    n_heads: int = param(
        default=2,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Number of attention heads of each layer.""",
    )
    attention_size: int = param(
        default=8,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Length d of a head's queries, keys and values.""",
    )

    _references_doc: ClassVar[str] = """
        W. Song, C. Shi, Z. Xiao, Z. Duan, Y. Xu, M. Zhang and J. Tang, "AutoInt:
        Automatic Feature Interaction Learning via Self-Attentive Neural Networks",
        CIKM 2019, arXiv:1810.11921.
        """

    _network_class = AutoIntNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        return {
            "n_attention_layers": self.n_attention_layers,
            "n_heads": self.n_heads,
            "attention_size": self.attention_size,
            **self._mlp_options(full_batch),
        }


class AutoIntClassifier(Classifier, _AutoInt):
    """AutoInt classifier: self-attention between the fields' embeddings.

    Let e_f be the sum of ``x_i v_i`` over the columns of field f. Each layer of
    multi-head self-attention computes a new embedding of each field from those of all
    fields (Song et al., CIKM 2019)::

        a^h_mn = softmax over n of <Q_h e_m, K_h e_n>
        e_m <- ReLU([sum_n a^h_mn V_h e_n for each head h] + R e_m)
        f(x) = w0 + w^T [e_1, ..., e_F after the last layer] + MLP([e_1, ..., e_F])

    With the multi-layer perceptron this is the paper's AutoInt+; without hidden layers
    (``hidden_layer_sizes=()``) it is AutoInt, which has no MLP. There is no linear
    part. A field without entries takes part with a zero embedding. The model needs
    fields, which are inferred from one-hot blocks or given by ``fields``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    AFMClassifier : Applies attention to pairs of entries.
    XDeepFMClassifier : Models interactions of a given degree.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import AutoIntClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), AutoIntClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class AutoIntRegressor(Regressor, _AutoInt):
    """AutoInt regressor: self-attention between the fields' embeddings.

    See `AutoIntClassifier` for the model.

    {sections}
    """


class AutoIntRanker(Ranker, _AutoInt):
    """AutoInt ranker: self-attention between the fields' embeddings.

    See `AutoIntClassifier` for the model.

    {sections}
    """
