"""Rows that need no check take a short way to the same scores and errors."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimator_cases import LABELS, X, fitted, make
from numpy.testing import assert_array_equal

import skfm
from skfm.data.csr import ready_csr
from skfm.data.rows import Rows

MODELS = [skfm.FMClassifier, skfm.DeepFMClassifier]


def long_way(model, rows):
    """Scores of rows that have passed all checks."""
    dtype = model.network_.shape.dtype
    csr = model._scaled(model._check_X(rows, reset=False), dtype)
    return model._score(Rows(csr, dtype, model._mean_fields))


@pytest.mark.parametrize("scale", [1.0, 3.0])
@pytest.mark.parametrize("cls", MODELS)
def test_scores_are_those_of_the_long_way(cls, scale):
    numbers = X * scale if scale == 1 else X.multiply(np.arange(1, 13)).tocsr()
    model = make(cls, max_iter=1).fit(numbers, LABELS)
    for rows in (numbers, numbers[3:4], sp.csr_matrix(numbers[:5])):
        assert model._ready_rows(rows) is not None
        assert_array_equal(model._raw_scores(rows), long_way(model, rows))


def other_forms(rows):
    unsorted = rows[:, ::-1][:, ::-1].tocsr()
    zero = rows.copy()
    zero.data[0] = 0
    short = sp.csr_array(rows)
    short.indices, short.data = np.append(rows.indices, 0), np.append(rows.data, 1)
    return {
        "columns": rows.tocsc(),
        "array": rows.toarray(),
        "integers": rows.astype(int),
        "half": rows.toarray().astype(np.float16),
        "order": unsorted,
        "zero": zero,
        "more values than entries": short,
        "no rows": rows[:0],
        "unsigned": sp.csr_array((rows.data, rows.indices, rows.indptr.astype("u4"))),
    }


@pytest.mark.parametrize("form", other_forms(X))
def test_all_else_takes_the_long_way(form):
    rows = other_forms(X)[form]
    if form == "unsigned":
        rows.indices = rows.indices.astype(np.uint32)
    if form == "order":
        rows.indices[:3], rows.data[:3] = rows.indices[2::-1], rows.data[2::-1]
    assert ready_csr(rows, X.shape[1]) is None


def test_properties_of_the_values():
    assert ready_csr(X, X.shape[1]).unit
    assert not ready_csr(X * 2, X.shape[1]).unit
    for odd in (np.nan, np.inf, -np.inf):
        rows = X * 1.0
        rows.data[7] = odd
        assert ready_csr(rows, X.shape[1]) is None


@pytest.mark.parametrize("cls", MODELS)
def test_errors_are_those_of_the_long_way(cls):
    model = fitted(cls)
    with pytest.raises(ValueError, match="features"):
        model.predict(sp.csr_array(X[:, :-1]))
    rows = X[:2] * 1.0
    rows.data[5] = np.nan
    with pytest.raises(ValueError, match="NaN: row 1"):
        model.predict(rows)
    rows = X[:2] * 1.0
    rows.indices[1] = X.shape[1]
    with pytest.raises(ValueError, match="indices must be in"):
        model.predict(rows)


def test_names_are_asked_for():
    frame = pd.DataFrame(X.toarray(), columns=[f"c{j}" for j in range(X.shape[1])])
    model = make(skfm.FMClassifier, categorical_features=None).fit(frame, LABELS)
    with pytest.warns(UserWarning, match="feature names"):
        found = model.decision_function(X)
    assert_array_equal(found, model.decision_function(frame))
