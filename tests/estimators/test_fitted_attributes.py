"""Predictions of fitted estimators, rebuilt from their public attributes."""

import numpy as np
import pytest
from common_cases import stochastic
from model_references import NETWORKS, bi_interaction, naive_interactions
from numpy.testing import assert_allclose
from sklearn.preprocessing import PolynomialFeatures

import skfm

FAMILIES = list(NETWORKS)
TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def make(name):
    cls = getattr(skfm, name)
    return cls(max_iter=20, random_state=0, **stochastic(cls))


@pytest.fixture(scope="module")
def numbers():
    """80 rows of 6 real columns with empty cells; an interaction; three classes."""
    rng = np.random.default_rng(5)
    X = rng.normal(size=(80, 6)) * (rng.random((80, 6)) < 0.7)
    y = 40 + 7 * (X[:, 0] + 2 * X[:, 1] * X[:, 2] + 0.1 * rng.normal(size=80))
    return X, y, np.digitize(y, [36, 44])


def in_units(model, X):
    """X as the network reads it."""
    assert not model.column_centers_.any()
    return X / model.column_scales_


@pytest.mark.parametrize("family", FAMILIES)
def test_binary(family, numbers):
    X, _, classes = numbers
    labels = np.array(["no", "yes"])[(classes > 0).astype(int)]
    model = make(f"{family}Classifier")
    model.fit(X, labels)
    assert np.ndim(model.intercept_) == 0
    assert model.coef_.shape == (6,)
    pairs = naive_interactions(family, model.network_, in_units(model, X))[:, 0]
    expected = model.intercept_ + X @ model.coef_ + pairs
    assert_allclose(model.decision_function(X), expected, **TIGHT)
    assert_allclose(model.predict_proba(X)[:, 1], 1 / (1 + np.exp(-expected)))
    assert list(model.predict(X)) == ["yes" if s > 0 else "no" for s in expected]


@pytest.mark.parametrize("family", FAMILIES)
def test_multiclass(family, numbers):
    X, _, classes = numbers
    model = make(f"{family}Classifier")
    model.fit(X, classes)
    assert model.intercept_.shape == (3,)
    assert model.coef_.shape == (3, 6)
    pairs = naive_interactions(family, model.network_, in_units(model, X))
    expected = model.intercept_ + X @ model.coef_.T + pairs
    assert_allclose(model.decision_function(X), expected, **TIGHT)
    odds = np.exp(expected)
    expected_shares = odds / odds.sum(axis=1)[:, None]
    # None is exactly zero: all are at least the spacing of floats at one.
    assert_allclose(model.predict_proba(X), expected_shares, atol=3e-16)
    assert list(model.predict(X)) == list(expected.argmax(axis=1))


@pytest.mark.parametrize("family", FAMILIES)
def test_regression_is_in_units_of_y(family, numbers):
    X, y, _ = numbers
    weight = np.random.default_rng(6).integers(1, 4, size=len(y))
    model = make(f"{family}Regressor")
    model.fit(X, y, sample_weight=weight)
    repeated = np.repeat(y, weight)
    assert_allclose(model.y_mean_, [repeated.mean()])
    assert_allclose(model.y_scale_, [repeated.std()])
    pairs = naive_interactions(family, model.network_, in_units(model, X))[:, 0]
    expected = model.intercept_ + X @ model.coef_ + model.y_scale_ * pairs
    assert_allclose(model.predict(X), expected, **TIGHT)


@pytest.mark.parametrize("family", FAMILIES)
def test_several_outputs_each_have_units(family, numbers):
    X, y, _ = numbers
    Y = np.column_stack([y, 1e3 - 100 * y, X[:, 3]])
    model = make(f"{family}Regressor")
    model.fit(X, Y)
    assert_allclose(model.y_mean_, Y.mean(axis=0))
    assert_allclose(model.y_scale_, Y.std(axis=0))
    pairs = (
        naive_interactions(family, model.network_, in_units(model, X)) * model.y_scale_
    )
    expected = model.intercept_ + X @ model.coef_.T + pairs
    assert_allclose(model.predict(X), expected, rtol=1e-9, atol=1e-7)


def test_multiclass_fm_weighs_shared_factors(numbers):
    X, _, classes = numbers
    model = make("FMClassifier").fit(X, classes)
    H = model.network_.head.weight.detach().numpy()
    pooled = np.array([bi_interaction(x, model.factors_) for x in X])
    expected = model.intercept_ + X @ model.coef_.T + pooled @ H
    assert_allclose(model.decision_function(X), expected, **TIGHT)


def test_fm_is_a_polynomial_of_degree_two(numbers):
    X, y, _ = numbers
    model = make("FMRegressor").fit(X, y)
    polynomial = PolynomialFeatures(2, interaction_only=True).fit(X)
    gram = model.y_scale_ * (model.factors_ @ model.factors_.T)
    weights = [model.intercept_, *model.coef_, *gram[np.triu_indices(6, 1)]]
    assert_allclose(model.predict(X), polynomial.transform(X) @ weights, **TIGHT)


@pytest.mark.parametrize("family", ["FM", "AFM"])
def test_empty_row_is_the_intercept(family, numbers):
    X, y, _ = numbers
    model = getattr(skfm, f"{family}Regressor")(max_iter=5, random_state=0)
    prediction = model.fit(X, y).predict(np.zeros((1, 6)))
    assert_allclose(prediction, [model.intercept_], **TIGHT)


@pytest.mark.parametrize("solver", ["sgd", "bayes"])
def test_coefficients_are_in_units_of_columns_far_from_zero(solver, numbers):
    """Centering is undone exactly where the model is a polynomial."""
    X, y, classes = numbers
    X = np.abs(X) @ np.diag([1e-3, 1, 1, 1, 10, 1]) + [0, 0, 0, 0, 2000, -5]
    model = skfm.FMRegressor(max_iter=20, random_state=0, solver=solver).fit(X, y)
    assert set(np.flatnonzero(model.column_centers_)) >= {4, 5}
    pairs = [bi_interaction(x, model.factors_).sum() for x in X]
    expected = model.intercept_ + X @ model.coef_ + model.y_scale_ * pairs
    assert_allclose(model.predict(X), expected, rtol=1e-6, atol=1e-6)
    model = make("FMClassifier").set_params(solver="sgd").fit(X, classes)
    H = model.network_.head.weight.detach().numpy()
    pooled = np.array([bi_interaction(x, model.factors_) for x in X])
    expected = model.intercept_ + X @ model.coef_.T + pooled @ H
    assert_allclose(model.decision_function(X), expected, rtol=1e-6, atol=1e-6)
