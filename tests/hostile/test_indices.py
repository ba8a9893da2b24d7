"""Sparse matrices whose arrays were set by hand, and tables of another width.

Each is scored as a naive reader reads it, or refused; nothing is read out of bounds.
"""

import functools

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from estimator_cases import X, fitted, make, scores, target
from hostile_cases import READERS, SHAPE, dense_of, spoilt
from numpy.testing import assert_allclose

import skfm

REFUSALS = (TypeError, ValueError)
MODELS = [skfm.FMClassifier, skfm.DeepFMRegressor, skfm.AFMClassifier]
TRIALS = 60


@functools.cache
def model(cls):
    return fitted(cls, fields=(4, 5, 3))


def outcome(action):
    """Scores, or None for a refusal."""
    try:
        return action()
    except REFUSALS:
        return None


def expected_of(matrix, cls):
    dense = None if matrix.data.dtype.kind in "cU" else dense_of(matrix)
    return dense, None if dense is None else scores(model(cls), dense)


@pytest.mark.parametrize("cls", MODELS)
@pytest.mark.parametrize("form", READERS)
def test_arrays_that_were_set_by_hand(form, cls):
    rng = np.random.default_rng(7)
    n_taken = 0
    for _ in range(TRIALS):
        matrix = spoilt(form, rng)
        _, expected = expected_of(matrix, cls)
        actions = [lambda: scores(model(cls), matrix)]  # noqa: B023
        if form == "csr":
            predictor = model(cls).compile_predictor()
            actions.append(lambda: scores_of(predictor, matrix))  # noqa: B023
        for action in actions:
            found = outcome(action)
            assert (found is None) == (expected is None)
            if found is not None:
                assert_allclose(found, expected, rtol=1e-9)
        n_taken += expected is not None
    assert 0 < n_taken < TRIALS


def scores_of(predictor, rows):
    if hasattr(predictor._task, "classes_"):
        return predictor.decision_function(rows)
    return predictor.predict(rows)


@pytest.mark.parametrize("form", READERS)
def test_a_fit_on_arrays_that_were_set_by_hand(form):
    rng = np.random.default_rng(8)
    y = np.array([0, 1, 1, 0, 0, 1])
    for _ in range(TRIALS // 3):
        matrix = spoilt(form, rng)
        dense, _ = expected_of(matrix, skfm.FMClassifier)
        new = make(skfm.FMClassifier, max_iter=1, dtype="float64")
        found = outcome(lambda: new.fit(matrix, y))  # noqa: B023
        assert (found is None) == (dense is None)
        if dense is None:
            assert not hasattr(new, "network_")
            continue
        as_dense = make(skfm.FMClassifier, max_iter=1, dtype="float64").fit(
            sp.csr_array(dense), y
        )
        assert_allclose(scores(new), scores(as_dense), rtol=1e-9)


@pytest.mark.parametrize(
    ("form", "name", "value"),
    [
        ("dia", "offsets", np.arange(3)),
        ("dia", "data", np.ones(12)),
        ("lil", "rows", np.array([[0]], object)),
        ("lil", "data", np.array([[1.0] * 7] * 6 + [None], object)[:-1]),
    ],
)
def test_other_formats(form, name, value):
    matrix = X[: SHAPE[0]].asformat(form)
    setattr(matrix, name, value)
    with pytest.raises(ValueError, match="not a valid sparse matrix"):
        model(skfm.FMClassifier).predict(matrix)


TABLES = {
    "pandas": lambda a: pd.DataFrame(a),
    "named": lambda a: pd.DataFrame(a).add_prefix("x"),
    "polars": lambda a: pl.DataFrame(a),
}
FITS = {
    "csr": sp.csr_array,
    "ndarray": lambda a: a,
    "integer names": lambda a: pd.DataFrame(a),
}


@pytest.mark.parametrize("width", [1, 4, 6, 12, 5000])
@pytest.mark.parametrize("table", TABLES)
@pytest.mark.parametrize("fit_on", FITS)
@pytest.mark.parametrize("cls", [skfm.DeepFMClassifier, skfm.FFMRegressor])
def test_tables_of_another_width(cls, fit_on, table, width):
    rng = np.random.default_rng(0)
    numbers = rng.random((40, 5)).round(1)
    new = make(cls, max_iter=1, fields=list("ppqqr"), categorical_features=None)
    new.fit(FITS[fit_on](numbers), target(cls)[:40])
    predictor = new.compile_predictor()
    right, wrong = numbers[:2], np.ones((1, width))
    expected = scores(new, FITS[fit_on](right))
    assert_allclose(scores_of(predictor, TABLES[table](right)), expected)
    with pytest.raises(ValueError, match=rf"table of 5 columns.*{width}"):
        predictor.predict(TABLES[table](wrong))
