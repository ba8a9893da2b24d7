"""DeepCrossing."""

from __future__ import annotations

from numbers import Integral
from typing import Any, ClassVar

from torch import Tensor, nn

from .._sklearn import Interval
from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.mlp_parameters import MLPParameters
from ..estimators.params import param
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import Linear, ResidualUnit
from ..nn.network import Network
from ..nn.shape import Shape
from ..sparse import FieldLookup


class DeepCrossingNetwork(Network[FieldLookup]):
    """Network of DeepCrossing: w0 + linear(residual units([e_1 .. e_F]))."""

    lookup = "by_field"
    needs_fields = True
    has_linear = False

    def __init__(
        self, shape: Shape, *, hidden_layer_sizes: tuple[int, ...], **unit: Any
    ) -> None:
        super().__init__(shape)
        n_inputs = shape.n_fields * shape.n_factors
        units = [ResidualUnit(n_inputs, size, **unit) for size in hidden_layer_sizes]
        self.units = nn.Sequential(*units)
        self.output = Linear(n_inputs, shape.n_outputs, bias=False)

    def numbers_per_row(self, n_slots: int) -> int:
        # Sum and activation of each unit, and their gradients.
        return 4 * (len(self.units) + 1) * n_slots * self.shape.n_factors

    def interaction(self, lookup: FieldLookup) -> Tensor:
        scores: Tensor = self.output(self.units(lookup.slots.flatten(start_dim=1)))
        return scores


class _DeepCrossing(MLPParameters, BaseModel):
    hidden_layer_sizes: Any = param(
        default=(128, 64),
        valid=["array-like", Interval(Integral, 1, None, closed="left")],
        doc="""tuple of int, or int
            Number of inner units of each residual unit.""",
    )

    _references_doc: ClassVar[str] = """
        Y. Shan, T. R. Hoens, J. Jiao, H. Wang, D. Yu and J. Mao, "Deep Crossing:
        Web-Scale Modeling without Manually Crafted Combinatorial Features", KDD 2016.
        """

    _network_class = DeepCrossingNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        return self._mlp_options(full_batch)


class DeepCrossingClassifier(Classifier, _DeepCrossing):
    """DeepCrossing classifier: residual units on the fields' embeddings.

    Let e_f be the sum of ``x_i v_i`` over the columns of field f, and let act be the
    ``activation`` (Shan et al., KDD 2016, section 4)::

        x_0 = [e_1, ..., e_F]
        x_l = act(W2_l act(W1_l x_{l-1} + b1_l) + b2_l + x_{l-1})
        f(x) = w0 + w^T x_L

    There is no linear part. The model needs fields, which are inferred from one-hot
    blocks or given by ``fields``. Dropout and batch normalisation apply to the inner
    units.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    WideDeepClassifier : Has a plain perceptron beside a linear part.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import DeepCrossingClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), DeepCrossingClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class DeepCrossingRegressor(Regressor, _DeepCrossing):
    """DeepCrossing regressor: residual units on the fields' embeddings.

    See `DeepCrossingClassifier` for the model.

    {sections}
    """


class DeepCrossingRanker(Ranker, _DeepCrossing):
    """DeepCrossing ranker: residual units on the fields' embeddings.

    See `DeepCrossingClassifier` for the model.

    {sections}
    """
