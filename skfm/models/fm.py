"""Factorization machine."""

from __future__ import annotations

from ..base import BaseModel
from ..factorization import FMNetwork
from ..tasks import Classifier, Ranker, Regressor


class _FM(BaseModel):
    _network_class = FMNetwork


class FMClassifier(Classifier, _FM):
    """Factorization machine classifier.

    Scores are linear in the features plus all pairwise interactions, each pair's weight
    the inner product of two learned vectors, so that pairs never seen together can
    still be estimated (Rendle, ICDM 2010, equation 1)::

        f(x) = w0 + sum_i w_i x_i + sum_{i<j} <v_i, v_j> x_i x_j

    Computed in O(non-zeros x k). With more than two classes the embeddings are shared
    and each class weighs the factors: <v_i, v_j> becomes sum_f h_cf v_if v_jf.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    See Also
    --------
    FMRegressor : The same model for numbers.
    DeepFMClassifier : Adds a multi-layer perceptron on the same embeddings.

    References
    ----------
    S. Rendle, "Factorization Machines", ICDM 2010.

    Examples
    --------
    XOR of two categories, which no linear model can learn:

    >>> from sklearn.pipeline import make_pipeline
    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FMClassifier
    >>> X = [["a", "x"], ["a", "y"], ["b", "x"], ["b", "y"]] * 25
    >>> y = [0, 1, 1, 0] * 25
    >>> model = make_pipeline(OneHotEncoder(), FMClassifier(random_state=0))
    >>> model.fit(X, y).score(X, y)
    1.0
    """


class FMRegressor(Regressor, _FM):
    """Factorization machine regressor.

    See `FMClassifier` for the model. ``predict(X)`` is ``intercept_ + X @ coef_`` plus
    ``y_scale_`` times the pairwise terms of ``factors_``; several outputs share the
    embeddings.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    References
    ----------
    S. Rendle, "Factorization Machines", ICDM 2010.

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import FMRegressor
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> y = 1 + X[:, 0] + 2 * X[:, 1] * X[:, 2]
    >>> model = FMRegressor(alpha_factors=0, max_iter=300, random_state=0).fit(X, y)
    >>> model.score(X, y) > 0.95
    True
    """


class FMRanker(Ranker, _FM):
    """Factorization machine ranker.

    See `FMClassifier` for the model. Learns to order the rows of a query by
    relevance; ``predict`` gives the scores to order them by.

    Parameters
    ----------
    {parameters}

    Attributes
    ----------
    {attributes}

    References
    ----------
    S. Rendle, "Factorization Machines", ICDM 2010.

    Examples
    --------
    The items that each user likes, which no score of the item alone can rank:

    >>> from sklearn.preprocessing import OneHotEncoder
    >>> from skfm import FMRanker
    >>> X = [["u1", "a"], ["u1", "b"], ["u2", "a"], ["u2", "b"]] * 25
    >>> relevance, user = [1, 0, 0, 1] * 25, [1, 1, 2, 2] * 25
    >>> model = FMRanker(random_state=0)
    >>> X = OneHotEncoder().fit_transform(X)
    >>> model.fit(X, relevance, qid=user).score(X, relevance, qid=user)
    1.0
    """
