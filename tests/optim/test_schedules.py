"""The course of the learning rates, by itself and in training."""

import numpy as np
import pytest
from estimator_cases import NUMBERS, X, make

import skfm
from skfm.optim.schedules import Schedule
from skfm.training.learner import Learner


def test_constant_with_warm_up():
    schedule = Schedule("constant", 2.0, 10)
    times = [0.0, 0.5, 1.0, 2.0, 9.9]
    factors = [schedule.factor(t) for t in times]
    assert factors == [0.0, 0.25, 0.5, 1.0, 1.0]
    assert not schedule.goes_on()


def test_cosine_falls_to_zero_and_warms_up_too():
    schedule = Schedule("cosine", 0.0, 10)
    times = np.linspace(0, 10, 21)
    factors = [schedule.factor(t) for t in times]
    np.testing.assert_allclose(factors, (1 + np.cos(np.pi * times / 10)) / 2)
    assert Schedule("cosine", 4.0, 10).factor(2) == pytest.approx(factors[4] / 2)


def test_adaptive_divides_by_five_three_times():
    schedule = Schedule("adaptive", 0.0, 10)
    assert [(schedule.factor(3), schedule.goes_on()) for _ in range(4)] == [
        (1.0, True),
        (pytest.approx(1 / 5), True),
        (pytest.approx(1 / 25), True),
        (pytest.approx(1 / 125), False),
    ]


@pytest.fixture
def rates(monkeypatch):
    """The learning rates of every step, of the table and of the network."""
    seen = []
    step = Learner.step

    def spy(self, *args):
        table, dense = self.table_optimizer, self.dense_optimizer
        seen.append((table.learning_rate, dense.learning_rate))
        return step(self, *args)

    monkeypatch.setattr(Learner, "step", spy)
    return seen


RATES = {"learning_rate": 0.2, "network_learning_rate": 0.01}


def test_both_rates_follow_the_schedule(rates):
    settings = {"learning_rate_schedule": "cosine", "warmup_epochs": 1.5}
    make(skfm.FMRegressor, **RATES, **settings, max_iter=4, batch_size=40).fit(
        X, NUMBERS
    )
    schedule = Schedule("cosine", 1.5, 4)
    expected = [schedule.factor((i + 0.5) / 3) for i in range(12)]
    np.testing.assert_allclose(rates, np.outer(expected, [0.2, 0.01]))


def test_partial_fit_keeps_the_rates(rates):
    settings = {"learning_rate_schedule": "cosine", "warmup_epochs": 5}
    model = make(skfm.FMRegressor, **RATES, **settings)
    model.partial_fit(X, NUMBERS).partial_fit(X, NUMBERS)
    assert set(rates) == {(0.2, 0.01)}


@pytest.mark.parametrize("held_out", [True, False])
def test_adaptive_lowers_the_rates_where_training_would_end(rates, held_out):
    model = make(
        skfm.FMRegressor,
        **RATES,
        **{"learning_rate_schedule": "adaptive", "n_iter_no_change": 2},
        **{"early_stopping": held_out, "max_iter": 200, "batch_size": 120, "tol": 1e-3},
    ).fit(X, NUMBERS)
    table = np.array(rates)[:, 0]
    assert np.unique(table) == pytest.approx(0.2 / 5.0 ** np.arange(3, -1, -1))
    assert np.all(np.diff(table) <= 0)
    # After each plateau, and before the end, patience starts anew.
    lengths = np.unique(table, return_counts=True)[1]
    assert lengths.min() >= 2
    assert model.n_iter_ < 200


def test_a_constant_rate_changes_nothing_about_stopping():
    settings = {"early_stopping": True, "max_iter": 60, "n_iter_no_change": 2}
    model = make(skfm.FMRegressor, **settings).fit(X, NUMBERS)
    scores = model.validation_scores_
    if model.n_iter_ < 60:
        assert max(scores[-2:]) <= max(scores[:-2]) + skfm.NFMRegressor().tol
    assert scores[model.best_iter_ - 1] == max(scores)
