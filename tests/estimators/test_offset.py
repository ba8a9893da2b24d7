"""Offsets: known parts of the scores, in fits and in predictions."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from sklearn import config_context
from sklearn.model_selection import cross_val_score

from skfm import (
    DeepFMClassifier,
    DeepFMRegressor,
    FMClassifier,
    FMRegressor,
    FNNClassifier,
)

N = 1200
RNG = np.random.default_rng(0)
X = RNG.normal(size=(N, 3))
SCORE = X[:, 0] + X[:, 1] * X[:, 2]
OFFSET = 2 * RNG.normal(size=N)
LABELS = RNG.random(N) < 1 / (1 + np.exp(-SCORE - OFFSET))
COUNTS = RNG.poisson(np.exp((SCORE + OFFSET) / 3))
NUMBERS = SCORE + 5 * OFFSET + 0.1 * RNG.normal(size=N)


@pytest.mark.parametrize("cls", [FMClassifier, DeepFMClassifier, FNNClassifier])
def test_classifiers_learn_what_is_beside_the_offset(cls):
    options = {"random_state": 0, "max_iter": 30, "early_stopping": False}
    model = cls(**options).fit(X, LABELS, offset=OFFSET)
    without = cls(**options).fit(X, LABELS)
    found = np.corrcoef(model.decision_function(X), SCORE)[0, 1]
    assert found > 0.9
    assert found > np.corrcoef(without.decision_function(X), SCORE)[0, 1]
    shifted = model.decision_function(X, offset=OFFSET)
    assert_allclose(shifted, model.decision_function(X) + OFFSET)
    proba = model.predict_proba(X, offset=OFFSET)
    assert_allclose(proba[:, 1], 1 / (1 + np.exp(-shifted)), atol=1e-12)
    assert_array_equal(model.predict(X, offset=OFFSET), shifted > 0)
    score = model.score(X, LABELS, offset=OFFSET)
    assert score == np.mean(model.predict(X, offset=OFFSET) == LABELS)


def test_offsets_of_several_classes():
    labels = np.digitize(SCORE, [-1, 1])
    known = 3.0 * np.eye(3)[labels]
    model = FMClassifier(random_state=0, max_iter=10).fit(X, labels, offset=known)
    assert model.solver_ == "sgd"
    shifted = model.decision_function(X, offset=known)
    assert_allclose(shifted, model.decision_function(X) + known)


@pytest.mark.parametrize("solver", ["bayes", "sgd"])
def test_regressors_fit_the_residual(solver):
    options = {"solver": solver, "random_state": 0, "max_iter": 30}
    known = 5 * OFFSET
    model = FMRegressor(**options).fit(X, NUMBERS, offset=known)
    residual = FMRegressor(**options).fit(X, NUMBERS - known)
    assert_allclose(model.predict(X), residual.predict(X), atol=1e-3)
    assert_allclose(model.predict(X, offset=known), model.predict(X) + known)
    assert model.score(X, NUMBERS, offset=known) > model.score(X, NUMBERS)


def test_offset_of_counts_is_the_logarithm_of_the_exposure():
    model = FMRegressor(loss="poisson", random_state=0, max_iter=100)
    model.fit(X, COUNTS, offset=OFFSET / 3)
    rate, exposure = model.predict(X), np.exp(OFFSET / 3)
    assert_allclose(model.predict(X, offset=OFFSET / 3), rate * exposure)
    assert np.corrcoef(np.log(rate), SCORE)[0, 1] > 0.95


def test_intervals_move_with_the_offset():
    model = FMRegressor(random_state=0, max_iter=30)
    model.fit(X, NUMBERS, offset=5 * OFFSET)
    moved = model.predict_quantiles(X[:5], offset=OFFSET[:5])
    assert_allclose(moved, model.predict_quantiles(X[:5]) + OFFSET[:5, None])
    mean, std = model.predict(X[:5], return_std=True, offset=OFFSET[:5])
    plain_mean, plain_std = model.predict(X[:5], return_std=True)
    assert_allclose(mean, plain_mean + OFFSET[:5])
    assert_array_equal(std, plain_std)


@pytest.mark.parametrize("scoring", ["loss", "accuracy"])
def test_rows_to_stop_on_have_offsets_of_their_own(scoring):
    train, test = slice(0, 900), slice(900, N)
    model = DeepFMClassifier(random_state=0, max_iter=8, scoring=scoring)
    model.fit(
        X[train],
        LABELS[train],
        offset=OFFSET[train],
        X_val=X[test],
        y_val=LABELS[test],
        offset_val=OFFSET[test],
    )
    best = max(model.validation_scores_)
    if scoring == "accuracy":
        expected = model.score(X[test], LABELS[test], offset=OFFSET[test])
    else:
        proba = model.predict_proba(X[test], offset=OFFSET[test])
        expected = np.log(proba[np.arange(N - 900), LABELS[test].astype(int)]).mean()
    assert best == pytest.approx(expected, abs=1e-5)


def test_scorers_see_the_offsets_of_rows_that_are_held_out():
    model = DeepFMRegressor(random_state=0, max_iter=20, scoring="r2")
    model.fit(X, NUMBERS, offset=5 * OFFSET)
    assert max(model.validation_scores_) > 0.95


def test_partial_fit_and_predictor_take_offsets():
    model = FMClassifier(solver="sgd", random_state=0)
    for _ in range(20):
        model.partial_fit(X, LABELS, classes=[False, True], offset=OFFSET)
    assert np.corrcoef(model.decision_function(X), SCORE)[0, 1] > 0.8
    predictor, row = model.compile_predictor(), sp.csr_array(X[:1])
    found = predictor.predict_proba(row, offset=OFFSET[:1])
    assert_allclose(found, model.predict_proba(X[:1], offset=OFFSET[:1]))


def test_offsets_are_routed():
    with config_context(enable_metadata_routing=True):
        model = FMRegressor(random_state=0, max_iter=20)
        model.set_fit_request(offset=True).set_score_request(offset=True)
        scores = cross_val_score(model, X, NUMBERS, cv=2, params={"offset": 5 * OFFSET})
    assert scores.min() > 0.95


@pytest.mark.parametrize(
    ("options", "keywords", "message"),
    [
        ({"solver": "bayes"}, {"offset": OFFSET}, "takes offsets of regressors only"),
        ({}, {"offset": OFFSET[1:]}, r"one number for each of the 1200 rows"),
        ({}, {"offset": np.full(N, np.nan)}, "offset contains NaN"),
        ({}, {"offset": np.ones((N, 2))}, r"must have 1 number\(s\) for each row"),
        ({}, {"offset_val": OFFSET}, "offset_val needs X_val"),
        (
            {},
            {"offset": OFFSET, "X_val": X, "y_val": LABELS},
            "offset and offset_val go together",
        ),
    ],
)
def test_offsets_that_do_not_fit_are_refused(options, keywords, message):
    model = FMClassifier(**options)
    with pytest.raises(ValueError, match=message):
        model.fit(X, LABELS, **keywords)
    assert not hasattr(model, "classes_")


def test_mean_probabilities_take_no_offset():
    model = FMClassifier(random_state=0, max_iter=4).fit(X, LABELS)
    with pytest.raises(ValueError, match="fitted by the Bayesian solver"):
        model.predict_proba(X, offset=OFFSET)
