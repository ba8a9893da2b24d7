"""Neural factorization machine."""

from __future__ import annotations

from numbers import Real
from typing import Any, ClassVar

from torch import Tensor

from .._sklearn import Interval, StrOptions
from ..estimators.base import BaseModel
from ..estimators.classifier import Classifier
from ..estimators.hyperparameters import SharedParameters
from ..estimators.mlp_parameters import MLPParameters, auto_dropout
from ..estimators.params import param, redeclare
from ..estimators.ranker import Ranker
from ..estimators.regressor import Regressor
from ..nn.layers import MLP, BatchNorm, Dropout, bi_interaction
from ..nn.network import Network
from ..nn.shape import Shape
from ..sparse import PooledLookup


class NFMNetwork(Network[PooledLookup]):
    """Network of NFM: w0 + sum w_i x_i + MLP(Bi-Interaction(x))."""

    lookup = "pooled"

    def __init__(
        self,
        shape: Shape,
        *,
        interaction_dropout: float,
        batch_norm: bool,
        **mlp: Any,
    ) -> None:
        super().__init__(shape)
        self.norm = BatchNorm(shape.n_factors) if batch_norm else None
        self.dropout = Dropout(interaction_dropout)
        self.mlp = MLP(
            shape.n_factors, n_outputs=shape.n_outputs, batch_norm=batch_norm, **mlp
        )

    def interaction(self, lookup: PooledLookup) -> Tensor:
        pairs = bi_interaction(lookup.sum, lookup.sum_squares)  # (B, k)
        if self.norm is not None:
            pairs = self.norm(pairs)
        scores: Tensor = self.mlp(self.dropout(pairs))
        return scores


class _NFM(MLPParameters, BaseModel):
    n_factors: int = redeclare(SharedParameters, "n_factors", default=64)
    # The perceptron reads only products of embeddings, which it must not outrun.
    network_learning_rate: float = redeclare(
        SharedParameters, "network_learning_rate", default=0.001
    )
    hidden_layer_sizes: Any = redeclare(
        MLPParameters, "hidden_layer_sizes", default=(64,)
    )
    dropout: float | str = redeclare(MLPParameters, "dropout", default=0.0)
    interaction_dropout: float | str = param(
        default=0.0,
        valid=[StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        doc="""float or "auto"
            Probability of dropping an element of the Bi-Interaction vector in training.
            "auto" is 0.2, or 0 if all rows fit into one batch.""",
    )

    _references_doc: ClassVar[str] = """
        X. He and T.-S. Chua, "Neural Factorization Machines for Sparse Predictive
        Analytics", SIGIR 2017, arXiv:1708.05027.
        """

    _network_class = NFMNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        rate = auto_dropout(self.interaction_dropout, 0.2, full_batch)
        return {"interaction_dropout": rate, **self._mlp_options(full_batch)}


class NFMClassifier(Classifier, _NFM):
    """Neural factorization machine classifier.

    Bi-Interaction pooling sums the element-wise products of all pairs of embeddings
    into one vector of length k, in linear time. A multi-layer perceptron on top of it
    learns higher-order interactions (He & Chua, SIGIR 2017, equations 3-7)::

        f(x) = w0 + sum_i w_i x_i + MLP(1/2 [(sum_i x_i v_i)^2 - sum_i (x_i v_i)^2])

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FMClassifier : The special case without hidden layers.

    References
    ----------
    {references}

    Examples
    --------
    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import NFMClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = ["no", "yes", "yes", "no"] * 25
    >>> model = make_pipeline(OneHotEncoder(), NFMClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class NFMRegressor(Regressor, _NFM):
    """Neural factorization machine regressor.

    See `NFMClassifier` for the model.

    {sections}
    """


class NFMRanker(Ranker, _NFM):
    """Neural factorization machine ranker.

    See `NFMClassifier` for the model.

    {sections}
    """
