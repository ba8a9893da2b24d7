"""Defaults of the stochastic solver, which are the same for any number of rows."""

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import log_loss

import skfm
from skfm.estimators import defaults

SIZES = np.unique(np.geomspace(64, 10**7, 1_000).astype(int))
QUANTITIES = {
    "batch_size": lambda n: defaults.batch_size("auto", n, n),
    "learning_rate": lambda n: defaults.learning_rate("auto", "adagrad", n),
    "learning_rate of Adam": lambda n: defaults.learning_rate("auto", "adam", n),
    "alpha_factors": lambda n: defaults.alpha_factors("auto", n),
}


@pytest.mark.parametrize("name", QUANTITIES)
def test_quantities_vary_smoothly_with_the_number_of_rows(name):
    """A few more rows change one by no larger a share, but for rounding."""
    values = np.array([QUANTITIES[name](int(n)) for n in SIZES], dtype=float)
    changes = np.abs(np.diff(np.log(values)))
    rounding = 1 / values[:-1] if name == "batch_size" else 1e-12
    assert np.all(changes <= np.diff(np.log(SIZES)) + rounding)


@pytest.mark.parametrize(
    ("n_rows", "expected"),
    [(1, 0.03), (3_000, 0.03), (9_487, 0.01 * 3**0.5), (30_000, 0.01), (10**8, 0.01)],
)
def test_alpha_factors_is_a_power_of_the_number_of_rows(n_rows, expected):
    found = defaults.alpha_factors("auto", n_rows)
    assert found == pytest.approx(expected, rel=1e-4)


def test_alpha_factors_of_rankers_is_the_same_for_all():
    found = {defaults.alpha_factors("auto", n, ranked=True) for n in (10, 10**6)}
    assert found == {0.003}


def test_the_first_step_moves_no_score_by_more_than_one():
    for entries, expected in (
        (0, 0.1),
        (1, 0.1),
        (10, 0.1),
        (40, 0.025),
        (1000, 0.001),
    ):
        rate = defaults.learning_rate("auto", "adagrad", 10, entries=entries)
        assert rate == pytest.approx(expected)


def test_given_values_stay():
    assert defaults.alpha_factors(0.5, 10) == 0.5
    assert defaults.learning_rate(0.5, "adam", 10) == 0.5
    assert defaults.batch_size(7, 10, 9) == 7
    assert defaults.batch_size(10, 10, 9) == 9


@pytest.fixture(scope="module")
def rows():
    """Training and test rows of rare ids, whose weak effects are soon overfitted."""
    rng = np.random.default_rng(0)
    sizes = (1_500, 1_500, 60, 20)
    cells = [rng.integers(size, size=15_000) for size in sizes]
    score = sum(rng.normal(scale=0.4, size=max(part) + 1)[part] for part in cells)
    y = (rng.random(15_000) < 1 / (1 + np.exp(1.2 - score))).astype(int)
    table = pd.DataFrame(dict(zip("abcd", cells, strict=True))).astype("category")
    return table[:11_000], y[:11_000], table[11_000:], y[11_000:]


@pytest.mark.parametrize(
    "name",
    ["FM", *(pytest.param(n, marks=pytest.mark.slow) for n in ("DeepFM", "NFM"))],
)
def test_no_number_of_rows_makes_another_model(name, rows):
    table, y, others, truth = rows
    losses = []
    for n in (9_000, 9_999, 10_001, 11_000):
        model = getattr(skfm, f"{name}Classifier")(random_state=0, n_jobs=1)
        model.fit(table[:n], y[:n])
        losses.append(log_loss(truth, model.predict_proba(others)))
    constant = log_loss(truth, np.full(len(truth), y.mean()))
    assert np.ptp(losses) < 0.02 * constant
    assert max(losses) < constant
