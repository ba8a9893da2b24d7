"""Continuing from fitted weights: warm_start and partial_fit."""

import numpy as np
import pytest
from common_cases import CLASSIFIERS, ESTIMATORS
from estimator_cases import (
    CELLS,
    LABELS,
    SIZES,
    X,
    fitted,
    make,
    partial_fit,
    scores,
    target,
)
from numpy.testing import assert_array_equal

import skfm


def same(first, second):
    """Tell whether two models give the same scores, bit by bit."""
    return np.array_equal(scores(first), scores(second))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_warm_start_continues(cls):
    y = target(cls)
    model = fitted(cls, warm_start=True, max_iter=10)
    first, curve = scores(model), list(model.loss_curve_)
    model.set_params(max_iter=5).fit(X, y)
    assert model.n_iter_ == model.best_iter_ == len(model.loss_curve_) == 15
    assert model.loss_curve_[:10] == curve
    assert max(model.loss_curve_[10:]) < min(curve[:3])
    assert np.any(scores(model) != first)
    cold = fitted(cls, max_iter=10)
    assert cold.fit(X, y).n_iter_ == 10
    assert_array_equal(scores(cold), first)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMRegressor])
@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "sgd"])
def test_full_batch_epochs_may_be_cut_anywhere(cls, optimizer):
    """Full batches draw nothing at random, so two runs equal one long run."""
    once = fitted(cls, optimizer=optimizer, max_iter=7, batch_size=120)
    twice = make(cls, optimizer=optimizer, max_iter=4, batch_size=120, warm_start=True)
    twice.fit(X, target(cls)).set_params(max_iter=3).fit(X, target(cls))
    assert same(once, twice)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMRegressor])
@pytest.mark.parametrize("change", [{"n_factors": 5}, {"fields": [6, 6]}])
def test_warm_start_refuses_another_shape(cls, change):
    model = fitted(cls, warm_start=True, fields=SIZES).set_params(**change)
    with pytest.raises(ValueError, match=f"(?s){next(iter(change))}.*warm_start"):
        model.fit(X, target(cls))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_warm_start_refuses_another_number_of_columns(cls):
    model = fitted(cls, warm_start=True)
    with pytest.raises(ValueError, match=f"11 features.*{cls.__name__}.*12 features"):
        model.fit(X[:, 1:], target(cls))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_many_partial_fits_learn(cls):
    model = make(cls, max_iter=1)
    for _ in range(40):
        partial_fit(model)
    assert model.score(X, target(cls)) > 0.9
    assert model.n_iter_ == 40


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_classes_of_partial_fit(cls):
    model = make(cls)
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, LABELS)
    model.partial_fit(X[:5], np.zeros(5, int), classes=[2, 0, 1])
    model.partial_fit(X, LABELS)
    assert_array_equal(model.classes_, [0, 1, 2])
    assert model.predict_proba(X).shape == (len(LABELS), 3)
    with pytest.raises(ValueError, match=r"label.*3.*row 1"):
        model.partial_fit(X[:2], [0, 3])
    with pytest.raises(ValueError, match="classes"):
        model.partial_fit(X, LABELS, classes=[0, 1])


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_columns_get_weights_when_first_seen(cls):
    y, known = target(cls), CELLS[:, 0] != 3
    model = partial_fit(make(cls, fields=SIZES), X[known], y[known])
    assert not model.factors_[3].any()
    assert not np.any(np.atleast_2d(model.coef_)[:, 3])
    old = model.factors_[:3].copy()
    partial_fit(model, X[~known], y[~known])
    assert model.factors_[3].all()
    assert np.all(np.atleast_2d(model.coef_)[:, 3])
    assert_array_equal(model.factors_[:3], old)
