"""Neural factorization machine."""

from __future__ import annotations

from numbers import Real
from typing import Any

from torch import Tensor

from .._params import Interval, StrOptions, param, redeclare
from ..base import BaseModel
from ..layers import MLP, BatchNorm, Dropout, bi_interaction
from ..network import Network, Shape
from ..parameters import MLPParameters, SharedParameters, auto_dropout
from ..sparse import Lookup
from ..tasks import Classifier, Ranker, Regressor


class NFMNetwork(Network):
    """w0 + sum w_i x_i + MLP(Bi-Interaction(x)): the MLP stands on top of the pairs."""

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

    def interaction(self, lookup: Lookup) -> Tensor:
        assert lookup.sum is not None
        assert lookup.sum_squares is not None
        pairs = bi_interaction(lookup.sum, lookup.sum_squares)  # (B, k)
        if self.norm is not None:
            pairs = self.norm(pairs)
        scores: Tensor = self.mlp(self.dropout(pairs))
        return scores


class _NFM(MLPParameters, BaseModel):
    interaction_dropout: float | str = param(
        default="auto",
        valid=[StrOptions({"auto"}), Interval(Real, 0, 1, closed="left")],
        doc="""float or "auto"
            Probability of dropping an element of the Bi-Interaction vector in training.
            "auto": 0.2, and 0 where all rows make one batch.""",
    )

    _network_class = NFMNetwork

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        rate = auto_dropout(self.interaction_dropout, 0.2, full_batch)
        return {"interaction_dropout": rate, **self._mlp_options(full_batch)}


class NFMClassifier(Classifier, _NFM):
    """Neural factorization machine classifier.

    Bi-Interaction pooling sums the element-wise products of all pairs of embeddings
    into one vector of length k, in linear time; a multi-layer perceptron on top of it
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
    X. He and T.-S. Chua, "Neural Factorization Machines for Sparse Predictive
    Analytics", SIGIR 2017, arXiv:1708.05027.

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

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    References
    ----------
    X. He and T.-S. Chua, "Neural Factorization Machines for Sparse Predictive
    Analytics", SIGIR 2017, arXiv:1708.05027.

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import NFMRegressor
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = 1 + X[:, 0] + 2 * X[:, 1] * X[:, 2]
    >>> NFMRegressor(max_iter=300, random_state=0).fit(X, y).score(X, y) > 0.9
    True
    """


class NFMRanker(Ranker, _NFM):
    """Neural factorization machine ranker.

    See `NFMClassifier` for the model. Learns to order the rows of a query by
    relevance; ``predict`` gives the scores to order them by.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    References
    ----------
    X. He and T.-S. Chua, "Neural Factorization Machines for Sparse Predictive
    Analytics", SIGIR 2017, arXiv:1708.05027.

    Examples
    --------
    The items that each user likes, which no score of the item alone can rank:

    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import NFMRanker
    >>> X = [["u1", "a"], ["u1", "b"], ["u2", "a"], ["u2", "b"]] * 25
    >>> relevance, user = [1, 0, 0, 1] * 25, [1, 1, 2, 2] * 25
    >>> model = NFMRanker(random_state=0)
    >>> X = OneHotEncoder().fit_transform(X)
    >>> model.fit(X, relevance, qid=user).score(X, relevance, qid=user)
    1.0
    """
