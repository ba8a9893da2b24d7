"""Parameters set between fits, torch's modes, predictors while training goes on."""

import gc

import numpy as np
import pytest
import torch
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
        {"tol": None},
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


def test_training_in_place_without_a_predictor():
    model = partial_fit(make(skfm.FMClassifier))
    network = model.network_
    model.compile_predictor()
    gc.collect()
    assert partial_fit(model).network_ is network


@pytest.mark.parametrize("weight", [5e-324, 1e-320, 1e-40])
def test_weights_that_float32_rounds_to_zero(weight):
    weights = np.full(len(LABELS), weight)
    with pytest.raises(ValueError, match=r"sample_weight.*row 0.*rounds to zero"):
        make(skfm.FMClassifier).fit(X, LABELS, sample_weight=weights)
