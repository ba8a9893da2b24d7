"""Tables as new users have them: models explain what there is to explain."""

import numpy as np
import pandas as pd
import pytest
from common_cases import stochastic
from sklearn.metrics import ndcg_score, roc_auc_score

import skfm

RNG = np.random.default_rng(0)
N = 1500
TRAIN, TEST = slice(0, 1200), slice(1200, N)
CODES = RNG.integers(0, 20, (N, 2))
TASTE = RNG.normal(size=(2, 20))
RATING = TASTE[0, CODES[:, 0]] + TASTE[1, CODES[:, 1]] + 0.3 * RNG.normal(size=N)
IDS = pd.DataFrame(CODES * 7919 + 10**6, columns=["user_id", "item_id"])
DUMMIES = pd.get_dummies(IDS.astype(str))
VECTORS = RNG.normal(size=(N, 8))
VECTOR = pd.DataFrame({"embedding": list(VECTORS)})
AGE, INCOME = RNG.uniform(18, 90, N), RNG.lognormal(10, 1, N)
PEOPLE = pd.DataFrame({"age": AGE, "income": INCOME, "balance": RNG.normal(0, 1e6, N)})
WEALTH = (AGE - 50) / 20 + (np.log(INCOME) - 10) + 0.3 * RNG.normal(size=N)
DATES = pd.DataFrame({"sold": np.datetime64("2024-01-01") + CODES[:, 0]})
WEEKEND = np.isin(DATES["sold"].dt.day_of_week, [5, 6]).astype(float)

#: A table, and numbers that it explains; the explained share that is at least reached.
SITUATIONS = {
    "integer ids": (IDS, RATING, 0.85),
    "dummies": (DUMMIES, RATING, 0.85),
    "lists of floats": (VECTOR, VECTORS[:, 0] + VECTORS[:, 1], 0.85),
    "numbers in their own units": (PEOPLE, WEALTH, 0.85),
    "an array in its own units": (
        PEOPLE[["age"]].assign(i=np.log(INCOME)).to_numpy(),
        WEALTH,
        0.85,
    ),
    "dates": (DATES, WEEKEND, 0.9),
}


@pytest.mark.parametrize("name", SITUATIONS)
@pytest.mark.parametrize("family", ["FM", "DeepFM"])
def test_numbers_are_explained(family, name):
    table, y, least = SITUATIONS[name]
    short = {"max_iter": 50, "n_chains": 1} if family == "FM" else {}
    model = getattr(skfm, f"{family}Regressor")(random_state=0, **short)
    model.fit(table[TRAIN], y[TRAIN])
    assert model.score(table[TEST], y[TEST]) > least


@pytest.mark.slow
@pytest.mark.parametrize("name", ["integer ids", "numbers in their own units"])
@pytest.mark.parametrize("family", ["FM", "DeepFM"])
def test_classes_and_orders_are_found(family, name):
    table, y, _ = SITUATIONS[name]
    classifier = getattr(skfm, f"{family}Classifier")(random_state=0)
    classifier.fit(table[TRAIN], y[TRAIN] > 0)
    proba = classifier.predict_proba(table[TEST])[:, 1]
    assert roc_auc_score(y[TEST] > 0, proba) > 0.93
    ranker = getattr(skfm, f"{family}Ranker")(random_state=0)
    relevance = np.digitize(y, [-1, 0, 1])
    ranker.fit(table[TRAIN], relevance[TRAIN], qid=np.arange(1200) // 10)
    found = ranker.predict(table[TEST]).reshape(-1, 10)
    assert ndcg_score(relevance[TEST].reshape(-1, 10), found) > 0.93


def test_one_entry_for_true_and_none_for_false():
    model = skfm.FMRegressor(max_iter=5, random_state=0, solver="sgd")
    model.fit(DUMMIES[TRAIN], RATING[TRAIN])
    assert list(model.column_names_) == list(DUMMIES)
    assert model._codec.field_names.tolist() == ["user_id", "item_id"]


@pytest.mark.slow
@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMClassifier])
def test_no_number_of_rows_makes_another_model(cls):
    """The loss on the same rows, for 9,000 to 11,000 rows to learn from."""
    X, y, truth = skfm.datasets.make_interactions(
        13_000, n_fields=6, random_state=0, return_truth=True
    )
    losses = []
    for n_rows in (9_000, 9_999, 10_000, 10_001, 11_000):
        model = cls(random_state=0, **stochastic(cls)).fit(X[:n_rows], y[:n_rows])
        score = model.decision_function(X[11_000:])
        sign = np.where(y[11_000:] == 1, 1, -1)
        losses.append(np.logaddexp(0, -sign * score).mean())
    assert np.ptp(losses) < 0.03
    assert truth is not None
