"""Metrics of recommended items against those of the full table of scores."""

import numpy as np
import pandas as pd
import pytest

from skfm import metrics

RNG = np.random.default_rng(0)
N_USERS, N_ITEMS, K = 12, 15, 4
SCORES = RNG.random((N_USERS, N_ITEMS))
TRUTH = RNG.random((N_USERS, N_ITEMS)) < 0.2
TRUTH[3] = False


def pairs(users, items, **columns):
    return pd.DataFrame({"user": [f"u{u}" for u in users], "item": items, **columns})


RELEVANT = pairs(*np.nonzero(TRUTH))
TOP = np.argsort(-SCORES, axis=1)[:, :K]
RECOMMENDED = pairs(
    np.repeat(np.arange(N_USERS), K), TOP.ravel(), rank=np.tile(np.arange(K), N_USERS)
)


def test_the_metrics_are_those_of_all_scores():
    found = metrics.evaluate_recommendations(RECOMMENDED, RELEVANT, k=K)
    qid = np.repeat(np.arange(N_USERS), N_ITEMS)
    assert list(found.index) == [
        "ndcg",
        "map",
        "mrr",
        "recall",
        "precision",
        "hit_rate",
    ]
    for name, value in found.items():
        function = getattr(metrics, f"{name}_at_k")
        expected = function(TRUTH.ravel(), SCORES.ravel(), qid=qid, k=K)
        assert value == pytest.approx(expected, rel=1e-12), name


def test_rows_may_come_in_any_order_and_interactions_repeat():
    expected = metrics.evaluate_recommendations(RECOMMENDED, RELEVANT, k=K)
    found = metrics.evaluate_recommendations(
        RECOMMENDED.sample(frac=1, random_state=0),
        pd.concat([RELEVANT, RELEVANT.head(9)]),
        k=K,
    )
    pd.testing.assert_series_equal(found, expected)


def test_by_user():
    found = metrics.evaluate_recommendations(RECOMMENDED, RELEVANT, k=K, by_user=True)
    assert "u3" not in found.index
    assert len(found) == N_USERS - 1
    u = found.index[0]
    first = TOP[int(u[1:])]
    assert found.loc[u, "precision"] == TRUTH[int(u[1:]), first].mean()
    means = metrics.evaluate_recommendations(RECOMMENDED, RELEVANT, k=K)
    pd.testing.assert_series_equal(found.mean(), means)


def test_a_user_without_recommendations_scores_zero():
    without = RECOMMENDED[RECOMMENDED.user != "u0"]
    found = metrics.evaluate_recommendations(without, RELEVANT, k=K, by_user=True)
    assert (found.loc["u0"] == 0).all()
    nothing = metrics.evaluate_recommendations(RECOMMENDED.head(0), RELEVANT, k=K)
    assert (nothing == 0).all()


def test_coverage_and_novelty():
    items = pd.DataFrame({"item": np.arange(N_ITEMS)})
    interactions = pairs([0, 0, 1, 1], [0, 0, 0, 1])
    evaluated = RECOMMENDED.user != "u3"
    found = metrics.evaluate_recommendations(
        RECOMMENDED, RELEVANT, k=K, items=items, interactions=interactions
    )
    chosen = RECOMMENDED.item[evaluated]
    assert found["coverage"] == chosen.nunique() / N_ITEMS
    counts = {0: 2, 1: 1}
    shares = np.array([(counts.get(i, 0) + 1) / 3 for i in chosen])
    assert found["novelty"] == pytest.approx(-np.log2(shares).mean())
    assert metrics.coverage(RECOMMENDED.head(0), items) == 0
    assert np.isnan(metrics.novelty(RECOMMENDED.head(0), interactions))


@pytest.mark.parametrize(
    ("recommended", "message"),
    [
        (RECOMMENDED.rename(columns={"item": "film"}), "no column 'item'.*'film'"),
        (pd.concat([RECOMMENDED, RECOMMENDED.head(1)]), "item .* twice for user 'u0'"),
        (RECOMMENDED.assign(user=[None] + ["u"] * 47), "no 'user' in row 0"),
    ],
)
def test_wrong_tables(recommended, message):
    with pytest.raises(ValueError, match=message):
        metrics.evaluate_recommendations(recommended, RELEVANT, k=K)


def test_arrays_are_refused():
    with pytest.raises(TypeError, match="relevant must be a DataFrame; got a ndarray"):
        metrics.evaluate_recommendations(RECOMMENDED, RELEVANT.to_numpy(), k=K)
