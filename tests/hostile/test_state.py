"""Parameters set between fits, torch's modes, predictors while training goes on."""

import numpy as np
import pytest
import torch
from common_cases import ARCHITECTURES
from estimator_cases import LABELS, X, fitted, make, partial_fit, scores, target
from numpy.testing import assert_array_equal

import skfm
from skfm.inspection import explain

MODELS = [skfm.FMClassifier, skfm.DeepFMRegressor]


@pytest.mark.parametrize(
    "changed",
    [
        {"batch_size": 0},
        {"learning_rate": -1.0},
        {"loss": "nosuch"},
        {"n_jobs": "all"},
        {"n_factors": 0},
    ],
    ids=str,
)
@pytest.mark.parametrize("cls", MODELS)
def test_partial_fit_checks_parameters_that_were_set_since(cls, changed):
    model = partial_fit(make(cls))
    before = scores(model)
    (name, _), *_ = changed.items()
    with pytest.raises(ValueError, match=name):
        partial_fit(model.set_params(**changed))
    assert_array_equal(scores(model.set_params(**{name: getattr(cls(), name)})), before)


def test_an_encoder_checks_parameters_that_were_set_since():
    encoder = skfm.FieldEncoder().partial_fit([["a"], ["b"]])
    with pytest.raises(ValueError, match="n_bins"):
        encoder.set_params(n_bins=0).partial_fit([["a"]])


@pytest.mark.parametrize(
    "mode",
    [
        torch.inference_mode,
        torch.no_grad,
        lambda: torch.autocast("cpu", dtype=torch.bfloat16),
    ],
    ids=["inference_mode", "no_grad", "autocast"],
)
@pytest.mark.parametrize("cls", MODELS)
def test_modes_of_torch_change_nothing(cls, mode):
    expected = fitted(cls, dtype="float32")
    terms = explain(expected, X[:3])
    with mode():
        found = fitted(cls, dtype="float32")
        assert_array_equal(scores(found), scores(expected))
        some = found.compile_predictor().predict(X[:3])
        assert_array_equal(some, expected.compile_predictor().predict(X[:3]))
        assert_array_equal(
            explain(found, X[:3]).contribution.to_numpy(), terms.contribution.to_numpy()
        )
    assert_array_equal(scores(partial_fit(found)), scores(partial_fit(expected)))


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("cls", MODELS)
def test_a_predictor_is_a_snapshot(cls, how):
    alone, model = (fitted(cls, warm_start=True) for _ in range(2))
    predictor, before = model.compile_predictor(), scores(model)
    for one in (alone, model):
        partial_fit(one) if how == "partial_fit" else one.fit(X, target(cls))
    found = predictor.predict(X)
    if hasattr(model, "classes_"):
        found = predictor.decision_function(X)
    assert_array_equal(found, before)
    assert np.any(scores(model) != before)
    assert_array_equal(scores(model), scores(alone))


@pytest.mark.parametrize(
    ("weight", "solver"), [(5e-324, "sgd"), (1e-320, "sgd"), (1e-40, "bayes")]
)
def test_weights_that_are_rounded_to_zero(weight, solver):
    weights = np.full(len(LABELS), weight)
    unset = dict.fromkeys(["batch_size", "early_stopping", "n_members"])
    model = make(skfm.FMClassifier, solver=solver, **unset)
    with pytest.raises(ValueError, match=r"sample_weight.*row 0.*rounds to zero"):
        model.fit(X, LABELS, sample_weight=weights)


TOO_LARGE = [10**400, 1]


@pytest.mark.parametrize(
    "fit",
    [
        lambda model: model.fit([[10**400], [1]], [0, 1]),
        lambda model: model.fit(X[:2], TOO_LARGE),
        lambda model: model.fit(X[:2], [0, 1], sample_weight=TOO_LARGE),
        lambda model: fitted(type(model)).predict([TOO_LARGE * 6]),
    ],
    ids=["X", "y", "sample_weight", "predict"],
)
def test_integers_beyond_float64(fit):
    with pytest.raises((TypeError, ValueError), match=r"too large|real numbers"):
        fit(make(skfm.FMRegressor))


@pytest.mark.parametrize("cls", ARCHITECTURES)
def test_predictions_have_the_same_bits_for_any_number_of_threads(cls, monkeypatch):
    monkeypatch.setattr("skfm.sparse.sample_scores._ENTRIES_PER_THREAD", 100)
    rng = np.random.default_rng(0)
    many = X[rng.integers(X.shape[0], size=1001)]
    model = fitted(cls, dtype="float32", max_iter=1)
    one, *others = (scores(model.set_params(n_jobs=n), many) for n in (1, 2, 3))
    for found in others:
        assert_array_equal(found, one)
