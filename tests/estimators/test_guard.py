"""The warning at the end of a fit that is worse than a constant."""

import re

import numpy as np
import pytest
import scipy.sparse as sp
from common_cases import one_hot
from estimator_cases import LABELS, X, make
from numpy.testing import assert_allclose
from sklearn.base import is_classifier

import skfm
from skfm.estimators import guard
from skfm.estimators.guard import Comparison
from skfm.exceptions import WorseThanConstantWarning

_rng = np.random.default_rng(0)
N = 400
#: Numbers of about one, an income and a balance.
UNITS = np.array([1.0, 3e4, 5e3])
SCALED = np.column_stack(
    [_rng.normal(size=N), _rng.lognormal(size=N), _rng.normal(size=N)]
)
OWN_UNITS = SCALED * UNITS
SIGNAL = SCALED[:, 0] + 0.1 * _rng.normal(size=N)

#: Large first weights, and no time to mend them.
HARDLY_TRAINED = {"init_scale": 30.0, "learning_rate": 1e-6, "max_iter": 1}

MODELS = [
    (skfm.FMClassifier, {"solver": "sgd"}),
    (skfm.FMRegressor, {"solver": "sgd"}),
    (skfm.DeepFMClassifier, {}),
    (skfm.DeepFMRegressor, {}),
]


def target_of(cls):
    return (SIGNAL > 0.3).astype(int) if is_classifier(cls()) else 50 + 7 * SIGNAL


def loss_of(model, data, y):
    """Log loss, or half the squared error in standard deviations of y."""
    if is_classifier(model):
        sign = np.where(y == 1, 1, -1)
        return np.logaddexp(0, -sign * model.decision_function(data)).mean()
    errors = (y - model.predict(data)) / model.y_scale_
    return 0.5 * np.square(errors).mean()


def loss_of_constant(y, rows):
    """The same of the constant that is best on the first ``rows`` rows."""
    if set(y) == {0, 1}:
        share = y[:rows].mean()
        return -np.log(np.where(y == 1, share, 1 - share))
    return 0.5 * np.square((y - y[:rows].mean()) / y[:rows].std())


def warning_of(model, *args, **keywords):
    with pytest.warns(WorseThanConstantWarning) as caught:
        model.fit(*args, **keywords)
    (found,) = caught
    return str(found.message)


@pytest.mark.parametrize(("cls", "parameters"), MODELS)
@pytest.mark.parametrize("kind", [np.asarray, sp.csr_array])
def test_weights_that_are_hardly_trained(cls, parameters, kind):
    data, y = kind(SCALED), target_of(cls)
    model = make(cls, early_stopping=False, **HARDLY_TRAINED, **parameters)
    message = warning_of(model, data, y)
    losses = loss_of(model, data, y), loss_of_constant(y, N).mean()
    figures = re.search(r"training rows is (\S+), .* constant (\S+)\. ", message)
    assert_allclose([float(figure) for figure in figures.groups()], losses, rtol=6e-3)
    assert "ended too early (max_iter)" in message


@pytest.mark.parametrize(("cls", "parameters"), MODELS)
@pytest.mark.parametrize("data", [SCALED, OWN_UNITS], ids=["scaled", "own units"])
def test_columns_of_any_unit_are_silent(cls, parameters, data):
    make(cls, **parameters).fit(data, target_of(cls))


def test_held_out_rows_come_first():
    y = target_of(skfm.FMClassifier)
    model = make(skfm.FMClassifier, solver="sgd", **HARDLY_TRAINED)
    held_out = {"X_val": SCALED[300:], "y_val": y[300:]}
    message = warning_of(model, SCALED[:300], y[:300], **held_out)
    constant = loss_of_constant(y, 300)[300:].mean()
    assert f"held-out rows is {loss_of(model, SCALED[300:], y[300:]):.3g}" in message
    assert f"best constant {constant:.3g}" in message


@pytest.mark.parametrize("solver", ["bayes", "sgd"])
def test_held_out_rows_that_contradict(solver):
    stop = None if solver == "bayes" else False
    model = skfm.FMClassifier(
        solver=solver, max_iter=60, early_stopping=stop, random_state=0
    )
    message = warning_of(model, X, LABELS, X_val=X, y_val=1 - LABELS)
    flipped = loss_of(model, X, 1 - LABELS)
    assert f"held-out rows is {flipped:.3g}" in message
    assert "only 120 rows" in message
    assert "unlike the training rows" in message
    assert ("learning_rate" in message) == (solver == "sgd")


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.FMRegressor])
@pytest.mark.parametrize("parameters", [{"early_stopping": True}, {"solver": "bayes"}])
@pytest.mark.parametrize("seed", range(2))
def test_pure_noise_is_silent(cls, parameters, seed):
    rng = np.random.default_rng(10 + seed)
    data, _ = one_hot(1000, (100, 100, 100))
    noise = (
        rng.integers(2, size=1000) if is_classifier(cls()) else rng.normal(size=1000)
    )
    model = cls(random_state=seed, max_iter=60, **parameters)
    model.fit(data[:800], noise[:800], X_val=data[800:], y_val=noise[800:])
    # It does not beat the constant, which is no fault of its own.
    constant = loss_of_constant(noise, 800)[800:].mean()
    assert loss_of(model, data[800:], noise[800:]) > 0.95 * constant


def test_partial_fit_does_not_compare():
    make(skfm.FMRegressor).partial_fit(OWN_UNITS, SIGNAL)


def test_a_bounded_sample_is_scored(monkeypatch):
    counts, of = [], Comparison.of
    monkeypatch.setattr(guard, "_MANY", 50)
    monkeypatch.setattr(
        Comparison, "of", lambda *losses: counts.append(losses) or of(*losses)
    )
    weight = np.where(np.arange(120) < 20, 0.0, 1.0)
    for _ in range(2):
        make(skfm.FMClassifier).fit(X, LABELS, sample_weight=weight)
    assert [len(losses[0]) for losses in counts] == [50, 50]
    assert all(losses[2].min() > 0 for losses in counts)
    np.testing.assert_array_equal(*(losses[0] for losses in counts))


def test_an_error_of_the_warning_leaves_the_model_fitted():
    model = make(skfm.FMRegressor, solver="sgd", **HARDLY_TRAINED)
    with pytest.raises(WorseThanConstantWarning):
        model.fit(SCALED, SIGNAL)
    assert model.predict(SCALED).shape == (N,)


ONES = np.ones(100)
FEW = np.where(np.arange(100) < 10, 1.0, 0.0)


@pytest.mark.parametrize(
    ("model", "constant", "worse"),
    [
        (ONES, ONES, False),
        (1.4 * ONES, ONES, False),
        (1.6 * ONES, ONES, True),
        # Less than four standard errors, of 0.302 each with ten rows of 100.
        (ONES + 9 * FEW, ONES, False),
        # Twice the constant's loss, by however few rows.
        (ONES + 1e9 * (np.arange(100) == 0), ONES, True),
        # A negative loss has a size, too.
        (-0.7 * ONES, -ONES, False),
        (-0.4 * ONES, -ONES, True),
        # Nothing beats a constant that is always right.
        (ONES, 0 * ONES, False),
        (np.inf * ONES, ONES, True),
        (np.nan * ONES, ONES, True),
        (np.nan * ONES, np.nan * ONES, False),
    ],
)
def test_worse_is_more_than_noise(model, constant, worse):
    assert Comparison.of(model, constant, ONES).worse == worse


def test_the_error_of_the_difference():
    model = _rng.normal(size=100)
    found = Comparison.of(model, 0 * ONES, 3 * ONES)
    assert_allclose(found.error, model.std() / 10)
    # A row of weight two counts as two, a row of weight zero not at all.
    doubled = Comparison.of(model, FEW, 2 * FEW)
    assert_allclose(doubled.model, model[:10].mean())
