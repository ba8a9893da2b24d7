"""Runs of the Bayesian solver that go on, are interrupted or end with a warning."""

import numpy as np
import pytest
from bayesian_cases import CLASSES, LABELS, TABLE, Y, make
from numpy.testing import assert_allclose
from sklearn.exceptions import ConvergenceWarning as SklearnConvergenceWarning

import skfm
from skfm.exceptions import ConvergenceWarning


def test_a_warm_start_goes_on():
    whole = make(skfm.FMRegressor, max_iter=40, warm_start=True).fit(TABLE, Y)
    parts = make(skfm.FMRegressor, max_iter=20, warm_start=True).fit(TABLE, Y)
    parts.fit(TABLE, Y)
    assert parts.n_iter_ == whole.n_iter_ == 40
    assert len(parts.loss_curve_) == 40
    assert_allclose(parts.predict(TABLE), whole.predict(TABLE), atol=0.2)
    with pytest.raises(ValueError, match="n_factors changed"):
        parts.set_params(n_factors=3).fit(TABLE, Y)


@pytest.mark.parametrize("kept", [False, True])
@pytest.mark.parametrize("y", [Y, LABELS, CLASSES], ids=["numbers", "two", "three"])
def test_a_warm_start_goes_on_from_samples(y, kept):
    cls = skfm.FMRegressor if y is Y else skfm.FMClassifier
    # There are no chains to continue, or another number of them.
    model = make(cls, max_iter=40, warm_start=kept).fit(TABLE, y)
    before = model.score(TABLE, y)
    model.set_params(warm_start=True, max_iter=1, n_chains=3).fit(TABLE, y)
    assert model.n_iter_ == len(model.loss_curve_) == 41
    first, *_, last, following = model.loss_curve_
    assert following - last < 0.2 * (first - last)
    assert model.score(TABLE, y) > before - 0.1


def test_chains_that_disagree_warn(monkeypatch):
    monkeypatch.setattr("skfm.estimators.bayesian._DISAGREE", 0.9)
    monkeypatch.setattr("skfm.estimators.bayesian._APART", 0.0)
    with pytest.warns(ConvergenceWarning, match=r"split R-hat is \d.*Raise max_iter"):
        make(skfm.FMRegressor, max_iter=20).fit(TABLE, Y)
    assert issubclass(ConvergenceWarning, SklearnConvergenceWarning)


class Stop(KeyboardInterrupt):
    pass


def stop_at(monkeypatch, iteration):
    from skfm.sampling.chain import Chain

    original = Chain.step

    def step(chain):
        original(chain)
        if chain.iteration > iteration:
            raise Stop

    monkeypatch.setattr(Chain, "step", step)


def test_an_interrupted_fit_keeps_its_samples(monkeypatch):
    stop_at(monkeypatch, 40)
    model = make(skfm.FMRegressor, crosses=None)
    with pytest.raises(Stop):
        model.fit(TABLE, Y)
    assert model.n_iter_ == 40
    assert model.score(TABLE, Y) > 0.8


def test_a_fit_interrupted_at_once_leaves_nothing(monkeypatch):
    stop_at(monkeypatch, 0)
    model = make(skfm.FMRegressor)
    with pytest.raises(Stop):
        model.fit(TABLE, Y)
    assert vars(model) == vars(make(skfm.FMRegressor))


@pytest.mark.parametrize("iteration", [10, 40])
def test_parameters_that_are_not_finite_end_the_fit(monkeypatch, iteration):
    from skfm.sampling.chain import Chain

    original = Chain.step

    def step(chain):
        if chain.iteration == iteration:
            chain.machines[0].table[3] = np.inf
        original(chain)

    monkeypatch.setattr(Chain, "step", step)
    model = make(skfm.FMRegressor)
    with pytest.raises(FloatingPointError, match="parameters of column 'user_"):
        model.fit(TABLE, Y)
    # Until the first sample is kept there is nothing else than what has failed.
    assert hasattr(model, "network_") == (iteration == 40)
    if iteration == 40:
        assert model.n_iter_ == 40
        assert model.score(TABLE, Y) > 0.8
