"""DeepFM."""

from __future__ import annotations

from typing import Any, ClassVar

from torch import Tensor

from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.mlp_parameters import MLPParameters
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import MLP, InteractionHead, bi_interaction
from ..nn.network import Network
from ..nn.shape import Shape
from ..sparse import FieldLookup


class DeepFMNetwork(Network[FieldLookup]):
    """Network of DeepFM: the scores of an FM plus MLP([e_1 .. e_F])."""

    lookup = "by_field"
    needs_fields = True

    def __init__(self, shape: Shape, **mlp: Any) -> None:
        super().__init__(shape)
        self.head = InteractionHead(shape.n_factors, shape.n_outputs)
        n_inputs = shape.n_fields * shape.n_factors
        self.mlp = MLP(n_inputs, n_outputs=shape.n_outputs, bias=False, **mlp)

    def interaction(self, lookup: FieldLookup) -> Tensor:
        fields = lookup.slots  # (B, F, k)
        pairs = bi_interaction(fields.sum(dim=1), fields.square().sum(dim=1))
        deep: Tensor = self.mlp(fields.flatten(start_dim=1))
        return deep + self.head(pairs)


class _DeepFM(MLPParameters, BaseModel):
    _references_doc: ClassVar[str] = """
        H. Guo, R. Tang, Y. Ye, Z. Li and X. He, "DeepFM: A Factorization-Machine based
        Neural Network for CTR Prediction", IJCAI 2017, arXiv:1703.04247.
        """

    _network_class = DeepFMNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        return self._mlp_options(full_batch)


class DeepFMClassifier(Classifier, _DeepFM):
    """DeepFM classifier: a factorization machine and an MLP on shared embeddings.

    Let e_f be the sum of ``x_i v_i`` over the columns of field f (Guo et al., IJCAI
    2017, equations 1-4)::

        f(x) = w0 + sum_i w_i x_i + sum_{f<g} <e_f, e_g> + MLP([e_1, ..., e_F])

    Both parts are trained together, from scratch. The model needs fields, which are
    inferred from one-hot blocks or given by ``fields``.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FMClassifier : Has no deep part.
    NFMClassifier : Has an MLP on the pooled pairs; needs no fields.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import DeepFMClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), DeepFMClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    >>> model[-1].fields_
    array([0, 0, 1, 1], dtype=int32)
    """


class DeepFMRegressor(Regressor, _DeepFM):
    """DeepFM regressor: a factorization machine and an MLP on shared embeddings.

    See `DeepFMClassifier` for the model.

    {sections}
    """


class DeepFMRanker(Ranker, _DeepFM):
    """DeepFM ranker: a factorization machine and an MLP on shared embeddings.

    See `DeepFMClassifier` for the model.

    {sections}
    """
