"""The choice between the Bayesian and the stochastic solver."""

import numpy as np
import pytest
from bayesian_cases import CLASSES, LABELS, N_ROWS, Y, make, one_hot

import skfm
from skfm.exceptions import IgnoredParameterWarning


@pytest.mark.parametrize(
    ("parameters", "solver"),
    [
        ({}, "bayes"),
        ({"solver": "sgd"}, "sgd"),
        ({"alpha_factors": 0.003}, "sgd"),
        ({"batch_size": "auto"}, "sgd"),
        ({"early_stopping": False}, "sgd"),
        ({"clip_norm": 1.0}, "sgd"),
        ({"freeze": True}, "sgd"),
        ({"loss": "hinge"}, "sgd"),
    ],
    ids=str,
)
def test_auto(parameters, solver):
    model = make(skfm.FMClassifier, max_iter=3, **parameters)
    assert model.fit(one_hot(), LABELS).solver_ == solver


def test_auto_says_why(capsys):
    make(skfm.FMClassifier, max_iter=1, tol=0.1, verbose=1).fit(one_hot(), LABELS)
    assert 'solver=sgd: "bayes" does not read tol' in capsys.readouterr().out
    make(skfm.FMClassifier, max_iter=1, verbose=1).fit(one_hot(), LABELS)
    told = capsys.readouterr().out
    work = f"{2 * N_ROWS * 2:.1e}"  # entries, iterations and chains
    assert f"solver=bayes: to do {work} non-zeros x" in told
    assert "at most (of 6e+09) and keep 0.0 GiB of samples (of 4)" in told


def test_large_data_go_to_the_stochastic_solver(monkeypatch):
    monkeypatch.setattr("skfm.estimators.solver_choice.BUDGET", 2 * N_ROWS * 2 * 3 - 1)
    model = make(skfm.FMClassifier, max_iter=3).fit(one_hot(), LABELS)
    assert model.solver_ == "sgd"
    monkeypatch.setattr("skfm.estimators.solver_choice.BUDGET", 2 * N_ROWS * 2 * 3)
    assert model.fit(one_hot(), LABELS).solver_ == "bayes"
    monkeypatch.setattr("skfm.estimators.solver_choice.TABLE_BUDGET", 1)
    assert model.fit(one_hot(), LABELS).solver_ == "sgd"


@pytest.mark.parametrize(
    ("cls", "parameters", "message"),
    [
        (skfm.FMRegressor, {"loss": "poisson"}, "no loss='poisson'"),
        (skfm.FMClassifier, {"loss": "hinge"}, "no loss='hinge'"),
        (skfm.FMClassifier, {"freeze": True}, "no freeze"),
        (skfm.FMClassifier, {"checkpoint": "x"}, "no checkpoint"),
    ],
)
def test_bayes_refuses_what_it_cannot_do(cls, parameters, message):
    y = LABELS if cls is skfm.FMClassifier else np.abs(Y)
    model = make(cls, solver="bayes", **parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(one_hot(), y)
    assert not hasattr(model, "network_")


def test_bayes_warns_of_parameters_that_it_does_not_read():
    model = make(skfm.FMClassifier, solver="bayes", max_iter=3, learning_rate=0.1)
    with pytest.warns(IgnoredParameterWarning, match="does not read learning_rate"):
        model.fit(one_hot(), LABELS)
    assert model.solver_ == "bayes"


def test_partial_fit_is_stochastic():
    model = make(skfm.FMClassifier)
    model.partial_fit(one_hot(), LABELS, classes=["no", "yes"])
    assert model.solver_ == "sgd"
    with pytest.raises(ValueError, match="no partial_fit"):
        make(skfm.FMClassifier, solver="bayes").partial_fit(
            one_hot(), LABELS, classes=["no", "yes"]
        )


@pytest.mark.parametrize("y", [LABELS, CLASSES], ids=["two", "three"])
def test_partial_fit_goes_on_from_samples(y):
    X = one_hot()
    model = make(skfm.FMClassifier).fit(X, y)
    before = model.score(X, y)
    for _ in range(20):
        model.partial_fit(X, y)
    assert model.solver_ == "sgd"
    assert model.score(X, y) > before - 0.1


def test_what_only_samples_tell():
    model = make(skfm.FMRegressor, solver="sgd", max_iter=3).fit(one_hot(), Y)
    with pytest.raises(AttributeError, match='set solver="bayes"'):
        model.posterior_scores(one_hot())
    with pytest.raises(AttributeError, match='set solver="bayes"'):
        model.predict(one_hot(), return_std=True)
