"""Metrics of scored rows against scikit-learn, and against their definitions."""

import numpy as np
import pytest
import sklearn
from sklearn.dummy import DummyClassifier
from sklearn.linear_model import LinearRegression, LogisticRegression
from sklearn.metrics import (
    average_precision_score,
    label_ranking_average_precision_score,
    ndcg_score,
    top_k_accuracy_score,
)
from sklearn.model_selection import GroupKFold, cross_val_score

from skfm import metrics

RNG = np.random.default_rng(0)
N, N_QUERIES = 400, 23
QUERY = RNG.integers(N_QUERIES, size=N)
RELEVANT = (RNG.random(N) < 0.3).astype(float)
RELEVANT[QUERY == 4] = 0  # does not count
SCORES = RNG.permutation(N) / N
FUNCTIONS = ["precision", "recall", "ndcg", "map", "mrr", "hit_rate"]


def by_definition(name, y, s, k):
    """A metric of one query, from a loop over its ranks."""
    ranked = [int(y[i] > 0) for i in np.argsort(-s)]
    first, n_relevant = ranked[:k], sum(ranked)
    precisions = [sum(first[: r + 1]) / (r + 1) for r in range(len(first))]
    return {
        "precision": sum(first) / (k or len(y)),
        "recall": sum(first) / n_relevant,
        "hit_rate": float(any(first)),
        "mrr": max((h / (r + 1) for r, h in enumerate(first)), default=0),
        "map": sum(p * h for p, h in zip(precisions, first, strict=True))
        / min(n_relevant, k or n_relevant),
        "ndcg": ndcg_score([y], [s], k=k),
    }[name]


@pytest.mark.parametrize("k", [1, 3, 10, None])
@pytest.mark.parametrize("name", FUNCTIONS)
def test_mean_over_queries(name, k):
    function = getattr(metrics, f"{name}_at_k")
    expected = [
        by_definition(name, RELEVANT[q == QUERY], SCORES[q == QUERY], k)
        for q in range(N_QUERIES)
        if RELEVANT[q == QUERY].any()
    ]
    found = function(RELEVANT, SCORES, qid=QUERY.astype(str), k=k)
    assert found == pytest.approx(np.mean(expected), rel=1e-12)


def test_scikit_learn_computes_the_same():
    """Its functions of one row each, where the numbers of ranks agree."""
    y, s = RELEVANT[:50], SCORES[:50]
    assert metrics.map_at_k(y, s, k=None) == pytest.approx(
        average_precision_score(y, s)
    )
    assert metrics.map_at_k(y, s, k=None) == pytest.approx(
        label_ranking_average_precision_score([y], [s])
    )
    labels, scores = RNG.integers(5, size=60), RNG.random((60, 5))
    hit_rate = metrics.hit_rate_at_k(
        np.eye(5)[labels].ravel(), scores.ravel(), qid=np.repeat(np.arange(60), 5), k=2
    )
    assert hit_rate == pytest.approx(top_k_accuracy_score(labels, scores, k=2))


@pytest.mark.parametrize("name", FUNCTIONS)
def test_a_constant_score_gets_no_credit_for_the_order_of_rows(name):
    function = getattr(metrics, f"{name}_at_k")
    y = np.array([1.0, 1.0, 0.0, 0.0, 0.0, 0.0])
    constant = function(y, np.zeros(6), k=2)
    if name == "ndcg":
        assert constant == pytest.approx(ndcg_score([y], [np.zeros(6)], k=2))
    else:
        assert constant == 0
    assert constant == function(y[::-1], np.zeros(6), k=2)


def test_queries_weigh_the_mean_of_their_rows():
    y, s = [1, 0, 1, 0], [0.9, 0.1, 0.1, 0.9]
    qid, weight = [0, 0, 1, 1], [3, 1, 1, 1]
    value = metrics.precision_at_k(y, s, qid=qid, k=1, sample_weight=weight)
    assert value == pytest.approx(2 / 3)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"y_true": [0, 0]}, "no relevant row"),
        ({"y_true": [1, -2]}, r"-2.0 in row 1"),
        ({"y_true": [1, 0, 1]}, "inconsistent numbers"),
        ({"qid": [1]}, "inconsistent numbers"),
        ({"k": 0}, "k must be a positive integer or None; got 0"),
        ({"sample_weight": [1, -1]}, "Negative values"),
    ],
)
def test_wrong_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        metrics.recall_at_k(**{"y_true": [1, 0], "y_score": [1.0, 2.0]} | arguments)


@pytest.mark.parametrize("model", [LogisticRegression(), LinearRegression()])
def test_scorers_in_cross_validation(model):
    """By decision_function or predict; each fold has the metric of its queries."""
    X = RNG.normal(size=(N, 3)) + RELEVANT[:, None]
    scorer = metrics.ranking_scorer("recall", k=5)
    with sklearn.config_context(enable_metadata_routing=True):
        found = cross_val_score(
            model,
            X,
            RELEVANT,
            cv=GroupKFold(3),
            params={"groups": QUERY},
            scoring=scorer.set_score_request(qid="groups"),
        )
    expected = []
    for train, test in GroupKFold(3).split(X, groups=QUERY):
        fitted = sklearn.clone(model).fit(X[train], RELEVANT[train])
        scores = getattr(fitted, "decision_function", fitted.predict)(X[test])
        expected.append(
            metrics.recall_at_k(RELEVANT[test], scores, qid=QUERY[test], k=5)
        )
    np.testing.assert_allclose(found, expected)


def test_a_scorer_without_queries_ranks_all_rows():
    model = DummyClassifier().fit([[0]] * 4, [0, 1, 1, 1])
    scorer = metrics.ranking_scorer("precision", k=4)
    assert scorer(model, [[0]] * 4, [1, 1, 0, 0]) == 0.5
