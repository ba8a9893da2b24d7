"""The warning of integers in arrays that look like ids."""

import warnings

import numpy as np
import pandas as pd
import pytest
from estimator_cases import make
from sklearn.base import is_classifier
from sklearn.datasets import load_digits

import skfm
from skfm.estimators.ids_as_numbers import warn_of_ids
from skfm.exceptions import IdsAsNumbersWarning

RNG = np.random.default_rng(0)
N = 900
CODES = RNG.integers(0, 30, (N, 2))
TASTE = RNG.normal(size=(2, 30))
NOISE = RNG.normal(size=N)
RATING = TASTE[0, CODES[:, 0]] + TASTE[1, CODES[:, 1]] + NOISE
IDS = 7919 * CODES + 10**6
AGE = RNG.integers(18, 90, N)


@pytest.mark.parametrize("kind", [np.asarray, lambda ids: ids.astype(float).tolist()])
@pytest.mark.parametrize("cls", [skfm.FMRegressor, skfm.DeepFMClassifier])
def test_ids_in_arrays_are_named(cls, kind):
    y = np.digitize(RATING, [-1, 1]) if is_classifier(cls()) else RATING
    X = np.column_stack([AGE, IDS])
    with pytest.warns(IdsAsNumbersWarning, match="in columns 1, 2 of X are read as"):
        make(cls, max_iter=1).fit(kind(X), y)
    frame = pd.DataFrame(X, columns=["age", "user", "item"])
    with pytest.warns(IdsAsNumbersWarning, match="'user', 'item' of X"):
        make(cls, max_iter=1, categorical_features=None).fit(frame, y)
    # Both remedies that the warning names.
    make(cls, max_iter=1).fit(frame, y)
    make(cls, max_iter=1, categorical_features=[1, 2]).fit(X, y)


#: Integers that are numbers, and what depends on their order, on nothing, or on noise.
NUMBERS = {
    "a trend": AGE / 20 + NOISE,
    "a hump": np.sin(AGE / 25) + 0.1 * NOISE,
    "a step": (AGE > 40) + 0.01 * NOISE,
    "noise": NOISE,
    "a constant": np.ones(N),
}


@pytest.mark.parametrize("name", NUMBERS)
def test_numbers_are_silent(name):
    warnings.simplefilter("error")
    X = np.column_stack([AGE, CODES[:, 0] % 2, RNG.permutation(N), NOISE])
    matrix = skfm.data.csr.canonical_csr(X)
    warn_of_ids(matrix, NUMBERS[name], np.ones(N), None)


def test_pixels_are_silent():
    warnings.simplefilter("error")
    X, y = load_digits(return_X_y=True)
    digits = np.equal.outer(y, np.arange(10))
    warn_of_ids(skfm.data.csr.canonical_csr(X), digits, np.ones(len(y)), None)


def test_rows_without_weight_do_not_count():
    matrix = skfm.data.csr.canonical_csr(IDS)
    warnings.simplefilter("error")
    warn_of_ids(matrix, RATING, (np.arange(N) < 90) * 1.0, None)
    with pytest.raises(IdsAsNumbersWarning):
        warn_of_ids(matrix, RATING, np.ones(N), None)
