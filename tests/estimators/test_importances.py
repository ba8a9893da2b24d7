"""Total effects of features: against brute force, and where scikit-learn uses them."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.feature_selection import RFE, SelectFromModel

from skfm import AFMRegressor, DeepFMRegressor, FMClassifier, FMRegressor


def planted(n_rows=1500):
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, 5))
    X[:, 1] += 1
    return X, 2 * X[:, 0] + X[:, 1] * X[:, 2]


def brute_force(model, X, n_rows=5_000):
    """Half the mean squared change of scores when a column is drawn anew."""
    rng = np.random.default_rng(1)
    first, second = (
        np.stack([rng.choice(column, n_rows) for column in X.T], axis=1)
        for _ in range(2)
    )
    effects = []
    for j in range(X.shape[1]):
        changed = first.copy()
        changed[:, j] = second[:, j]
        difference = model._raw_scores(changed) - model._raw_scores(first)
        effects.append(np.square(difference).sum())
    return np.array(effects) / np.sum(effects)


@pytest.mark.parametrize(
    "model",
    [
        FMRegressor(random_state=0, max_iter=60),
        FMClassifier(random_state=0, max_iter=60),
        FMClassifier(solver="sgd", n_members=1, random_state=0),
        FMRegressor(solver="sgd", n_members=1, random_state=0),
        AFMRegressor(random_state=0, max_iter=5),
    ],
    ids=repr,
)
def test_importances_are_total_effects(model):
    X, y = planted()
    if hasattr(model, "predict_proba"):
        y = np.digitize(y, [-1, 2])
    model.fit(X, y)
    found = model.feature_importances_
    assert found.sum() == pytest.approx(1)
    np.testing.assert_allclose(found, brute_force(model, X), atol=0.04)


def test_several_outputs_count_in_units_of_y():
    X, y = planted()
    model = FMRegressor(random_state=0, max_iter=60)
    model.fit(X, np.column_stack([y, 1000 * X[:, 4]]))
    assert model.feature_importances_[4] > 0.99


def test_columns_of_a_table_count_with_all_their_parts():
    rng = np.random.default_rng(0)
    n = 1500
    table = pd.DataFrame(
        {
            "kind": rng.choice(list("abc"), n),
            "wave": rng.uniform(-3, 3, n),
            "id": rng.integers(0, 40, n),
            "day": pd.date_range("2025-01-01", periods=n, freq="7h"),
            "bag": [["u", "v"][: i % 3] for i in rng.integers(0, 3, n)],
            "flag": rng.random(n) < 0.5,
            "noise": rng.normal(size=n),
        }
    )
    y = (
        (table["kind"] == "a")
        + np.sin(2 * table["wave"])
        + 2.0 * (table["id"] % 7 == 0)
    )
    found = FMRegressor(random_state=0).fit(table, y).feature_importances_
    variances = [2 / 9, 0.5, 4 * 6 / 49]
    np.testing.assert_allclose(found[:3], variances / np.sum(variances), atol=0.05)
    assert found[3:].max() < 0.03


def test_missing_cells_of_bags_have_no_items():
    table = pd.DataFrame({"bag": [None, ["u", "v"], ["u"], ["v"]] * 60})
    model = FMRegressor(random_state=0, max_iter=30).fit(table, [0, 3, 1, 2] * 60)
    assert model.feature_importances_ == pytest.approx([1])


def test_scores_without_features_have_no_importances():
    model = DeepFMRegressor(random_state=0, max_iter=1)
    model.fit(np.zeros((20, 2)), np.arange(20.0))
    assert not model.feature_importances_.any()


def test_too_many_features_to_draw():
    X = sp.random_array((50, 2001), density=0.01, format="csr", rng=0)
    model = DeepFMRegressor(fields=[2001], max_iter=1).fit(X, np.arange(50.0))
    with pytest.raises(AttributeError, match=r"at most 2000 features, but X had 2001"):
        _ = model.feature_importances_
    model = FMRegressor(random_state=0, max_iter=2).fit(X, np.arange(50.0))
    assert model.feature_importances_.shape == (2001,)


@pytest.mark.parametrize("selector", [RFE, SelectFromModel])
def test_selectors_find_the_features(selector):
    X, y = planted()
    limit = "n_features_to_select" if selector is RFE else "max_features"
    chosen = selector(
        FMRegressor(random_state=0, max_iter=60),
        importance_getter="feature_importances_",
        **{limit: 3},
        **({} if selector is RFE else {"threshold": -np.inf}),
    ).fit(X, y)
    assert chosen.get_support().tolist() == [True] * 3 + [False] * 2
