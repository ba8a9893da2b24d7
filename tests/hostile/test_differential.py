"""An estimator and its predictor, on one input in several forms: value or refusal.

The cells are drawn at random from those that are hard: integers beside 2**53, 2**63 and
beyond, infinity, truth values, dates, and what is no number at all.
"""

import datetime
import functools

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimator_cases import make, scores
from hostile_cases import CELLS, DATES, FLOATS, INTEGERS, LARGE, MANY
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_array_equal

import skfm

REFUSALS = (TypeError, ValueError)
KINDS = {
    "ids": [MANY, MANY + 1, MANY + 2, MANY + 4] * 5,
    "unsigned": [2**63 + 1, 2**64 - 1, 3, 4] * 5,
    "numbers": [0.5, 1.0, 2.5, 100.0] * 5,
    "counts": [1, 2, 3, 4] * 5,
    "flags": [True, False, True, True] * 5,
    "strings": ["a", "b", "1", ""] * 5,
    "dates": [datetime.datetime(2020, month, 1) for month in (1, 2, 3, 12)] * 5,
}
IDS = ("ids", "unsigned")
LABELS = [0, 1, 1, 0] * 5


def outcome(action):
    """Scores, or None for a refusal; anything else is a defect."""
    try:
        return action()
    except REFUSALS:
        return None


def assert_agree(first, second):
    assert (first is None) == (second is None)
    if first is not None:
        assert_array_equal(first, second)
        assert np.isfinite(first).all()


@functools.cache
def encoded(kind):
    frame = pd.DataFrame({"cell": KINDS[kind], "other": list("xyxy") * 5})
    categories = "all" if kind in IDS else "from_dtype"
    model = make(skfm.FMClassifier, categorical_features=categories)
    model.fit(frame, LABELS)
    return model, model.compile_predictor()


@functools.cache
def plain(named):
    numbers = np.random.default_rng(0).random((20, 2))
    frame = pd.DataFrame(numbers, columns=["cell", "other"])
    X = frame if named else sp.csr_array(numbers)
    model = make(skfm.FMClassifier, categorical_features=None).fit(X, LABELS)
    return model, model.compile_predictor()


def table(cells, other):
    frame = pd.DataFrame({"cell": 0, "other": other}, index=range(len(cells)))
    # pandas would take lists and dicts apart.
    frame["cell"] = pd.Series(np.fromiter(cells, object), dtype=object)
    return frame


columns = st.lists(st.sampled_from(CELLS), min_size=1, max_size=3)
likely = st.one_of(
    st.lists(st.sampled_from(part), min_size=1, max_size=3)
    for part in (INTEGERS, [*INTEGERS, *LARGE], FLOATS, [*INTEGERS, *FLOATS], DATES)
)


@settings(max_examples=80, derandomize=True)
@given(cells=columns | likely)
@pytest.mark.parametrize("kind", KINDS)
def test_tables_that_are_encoded(kind, cells):
    model, predictor = encoded(kind)
    frame = table(cells, "x")
    rows = [{"cell": cell, "other": "x"} for cell in cells]
    expected = outcome(lambda: scores(model, frame))
    assert_agree(outcome(lambda: predictor.decision_function(frame)), expected)
    assert_agree(outcome(lambda: predictor.decision_function(rows)), expected)


@settings(max_examples=150, derandomize=True)
@given(cells=columns | likely)
def test_numbers_as_they_are(cells):
    model, predictor = plain(True)
    frame = table(cells, 0.25)
    rows = [{"cell": cell, "other": 0.25} for cell in cells]
    expected = outcome(lambda: scores(model, frame))
    assert_agree(outcome(lambda: predictor.decision_function(frame)), expected)
    assert_agree(outcome(lambda: predictor.decision_function(rows)), expected)


@settings(max_examples=150, derandomize=True)
@given(cells=st.lists(st.sampled_from([*INTEGERS, *FLOATS]), min_size=1, max_size=3))
def test_sparse_numbers(cells):
    model, predictor = plain(False)
    dense = np.column_stack([np.array(cells, float), np.full(len(cells), 0.25)])
    rows = [{0: float(cell), 1: 0.25} for cell in cells]
    expected = outcome(lambda: scores(model, sp.csr_array(dense)))
    for form in (sp.csr_array(dense), pd.DataFrame(dense), rows):
        found = outcome(lambda: predictor.decision_function(form))  # noqa: B023
        assert_agree(found, expected)


@pytest.mark.parametrize("rows", [[[1, 2]], [None], [{}, 3], ["a"], [()], [1.0]])
@pytest.mark.parametrize("which", ["encoded", "named", "unnamed"])
def test_rows_that_are_no_dicts(which, rows):
    _, predictor = encoded("ids") if which == "encoded" else plain(which == "named")
    with pytest.raises(TypeError, match=r"must be a dict.*row [01] is a"):
        predictor.predict(rows)


def test_ids_beyond_the_floats_are_told_apart():
    _, predictor = encoded("ids")
    found = [predictor.decision_function({"cell": MANY + i})[0] for i in (0, 1, 2, 4)]
    assert len(set(found)) == 4


def test_truth_values_are_no_column_numbers():
    with pytest.raises(ValueError, match="has True, but the fit had no column"):
        plain(False)[1].predict({True: 1.0})
