"""Metrics of scored rows, grouped by query."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np
from numpy.typing import ArrayLike
from sklearn.metrics import make_scorer
from sklearn.utils import check_array, check_consistent_length, column_or_1d

from .._sklearn import Interval, StrOptions, check_sample_weight, validate_params
from ..data.rank_metrics import RANK_METRICS, mean_metric

_COMMON = """
    Parameters
    ----------
    y_true : array-like of shape (n_samples,)
        Relevance of the rows, zero or more. A row is relevant if it is above zero.
    y_score : array-like of shape (n_samples,)
        Scores to rank the rows by, the highest first. Of rows with equal scores the
        less relevant come first, so that a constant score gets no credit.
    qid : array-like of shape (n_samples,), default=None
        The query, such as the user, of each row. None: all rows are of one query.
    k : int or None, default=10
        Number of ranks that count. None means all ranks.
    sample_weight : array-like of shape (n_samples,), default=None
        A query weighs the mean of its rows' weights.

    Returns
    -------
    float
        Mean over the queries that have a relevant row.

    Raises
    ------
    ValueError
        If no row is relevant, or the arrays differ in length.
    """

Metric = Callable[..., float]


def _documented(metric: Metric) -> Metric:
    """Put the parameters that all metrics share into a docstring."""
    assert metric.__doc__ is not None
    metric.__doc__ = metric.__doc__.replace("{common}", _COMMON.strip())
    return metric


@_documented
def precision_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    qid: ArrayLike | None = None,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the share of the first k rows of a query that are relevant.

    A query of fewer than k rows counts as one of k rows.

    {common}

    Examples
    --------
    >>> from skfm.metrics import precision_at_k
    >>> precision_at_k([0, 1, 1, 0], [0.9, 0.8, 0.1, 0.2], k=2)
    0.5
    """
    return _mean("precision", y_true, y_score, qid, k, sample_weight)


@_documented
def recall_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    qid: ArrayLike | None = None,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the share of the relevant rows of a query that are among the first k.

    {common}

    Examples
    --------
    >>> from skfm.metrics import recall_at_k
    >>> recall_at_k([0, 1, 1, 0], [0.9, 0.8, 0.1, 0.2], k=2)
    0.5
    """
    return _mean("recall", y_true, y_score, qid, k, sample_weight)


@_documented
def ndcg_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    qid: ArrayLike | None = None,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the normalised discounted cumulative gain of the first k rows.

    The gain of a row is its relevance, and rows of equal scores share the gains of
    their ranks, as in `sklearn.metrics.ndcg_score`, which wants every query to have the
    same number of rows.

    {common}

    Examples
    --------
    >>> from skfm.metrics import ndcg_at_k
    >>> round(ndcg_at_k([0, 1, 1, 0], [0.9, 0.8, 0.1, 0.2], k=2), 3)
    0.387
    """
    return _mean("ndcg", y_true, y_score, qid, k, sample_weight)


@_documented
def map_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    qid: ArrayLike | None = None,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the mean average precision of the first k rows.

    The average precision of a query is the sum of the precisions at the ranks of its
    relevant rows among the first k, divided by the number of relevant rows, or by k if
    that is smaller.

    {common}

    Examples
    --------
    >>> from skfm.metrics import map_at_k
    >>> map_at_k([0, 1, 1, 0], [0.9, 0.8, 0.1, 0.2], k=2)
    0.25
    """
    return _mean("map", y_true, y_score, qid, k, sample_weight)


@_documented
def mrr_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    qid: ArrayLike | None = None,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the mean reciprocal rank of the first relevant row.

    It is 0 for a query without a relevant row among the first k.

    {common}

    Examples
    --------
    >>> from skfm.metrics import mrr_at_k
    >>> mrr_at_k([0, 1, 1, 0], [0.9, 0.8, 0.1, 0.2])
    0.5
    """
    return _mean("mrr", y_true, y_score, qid, k, sample_weight)


@_documented
def hit_rate_at_k(
    y_true: ArrayLike,
    y_score: ArrayLike,
    *,
    qid: ArrayLike | None = None,
    k: int | None = 10,
    sample_weight: ArrayLike | None = None,
) -> float:
    """Compute the share of the queries that have a relevant row among the first k.

    {common}

    Examples
    --------
    >>> from skfm.metrics import hit_rate_at_k
    >>> hit_rate_at_k([1, 0, 0, 1], [0.9, 0.1, 0.9, 0.1], qid=["a", "a", "b", "b"], k=1)
    0.5
    """
    return _mean("hit_rate", y_true, y_score, qid, k, sample_weight)


_FUNCTIONS: dict[str, Metric] = {
    "ndcg": ndcg_at_k,
    "map": map_at_k,
    "mrr": mrr_at_k,
    "recall": recall_at_k,
    "precision": precision_at_k,
    "hit_rate": hit_rate_at_k,
}


@validate_params(
    {
        "metric": [StrOptions(set(RANK_METRICS))],
        "k": [Interval(Integral, 1, None, closed="left"), None],
    },
    prefer_skip_nested_validation=True,
)
def ranking_scorer(metric: str = "ndcg", *, k: int | None = 10) -> Any:
    """Make a scorer of one of the metrics for `sklearn.model_selection`.

    Rows are ranked by ``decision_function``, or by ``predict`` where a model has none,
    such as a ranker or a regressor. The queries reach the scorer by metadata routing.

    Parameters
    ----------
    metric : {"ndcg", "map", "mrr", "recall", "precision", "hit_rate"}, default="ndcg"
        The metric to compute.
    k : int or None, default=10
        Number of ranks that count. None means all ranks.

    Returns
    -------
    callable
        Scorer with the signature ``scorer(estimator, X, y, qid=None)``.

    Examples
    --------
    >>> import numpy as np, sklearn
    >>> from sklearn.model_selection import GroupKFold, cross_validate
    >>> from skfm import FMRanker
    >>> from skfm.metrics import ranking_scorer
    >>> X = np.random.default_rng(0).normal(size=(90, 3))
    >>> y, user = (X[:, 0] > 0).astype(int), np.repeat(np.arange(30), 3)
    >>> with sklearn.config_context(enable_metadata_routing=True):
    ...     result = cross_validate(
    ...         FMRanker(random_state=0).set_fit_request(qid="groups"),
    ...         X,
    ...         y,
    ...         cv=GroupKFold(3),
    ...         params={"groups": user},
    ...         scoring=ranking_scorer("mrr", k=3).set_score_request(qid="groups"),
    ...     )
    >>> result["test_score"].shape
    (3,)
    """
    methods = ("decision_function", "predict")
    return make_scorer(_FUNCTIONS[metric], response_method=methods, k=k)


def _mean(
    name: str, y_true: Any, y_score: Any, qid: Any, k: int | None, sample_weight: Any
) -> float:
    if k is not None and not (isinstance(k, Integral) and k >= 1):
        raise ValueError(f"k must be a positive integer or None; got {k!r}.")
    relevance = _vector(y_true, "y_true")
    scores = _vector(y_score, "y_score")
    check_consistent_length(relevance, scores, qid)
    if (relevance < 0).any():
        row = int(np.flatnonzero(relevance < 0)[0])
        raise ValueError(
            f"y_true must be zero or more, but is {relevance[row]} in row {row}."
        )
    query = np.zeros(len(scores), np.int64)
    if qid is not None:
        ids = check_array(qid, ensure_2d=False, dtype=None, input_name="qid")
        query = np.unique(column_or_1d(ids), return_inverse=True)[1]
    weight = np.ones(len(scores))
    if sample_weight is not None:
        weight = check_sample_weight(
            sample_weight, scores, dtype=np.float64, ensure_non_negative=True
        )
    value = mean_metric(name, scores, relevance, query, weight, k)
    if np.isnan(value):
        raise ValueError("y_true has no relevant row, that is, none above zero.")
    return value


def _vector(values: Any, name: str) -> np.ndarray:
    found: np.ndarray = column_or_1d(
        check_array(values, ensure_2d=False, dtype=np.float64, input_name=name)
    )
    return found
