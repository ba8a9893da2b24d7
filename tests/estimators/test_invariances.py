"""Invariance to the format of X, order and chunks; the meaning of a weight."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from common_cases import CLASSIFIERS, ESTIMATORS, stochastic
from numpy.testing import assert_allclose, assert_array_equal

import skfm

N_ROWS, N_COLUMNS = 36, 6
every_estimator = pytest.mark.parametrize("E", ESTIMATORS, ids=lambda E: E.__name__)
TIGHT = {"rtol": 1e-9, "atol": 1e-10}


def make(E, **parameters):
    """An estimator with a seed, told that each column is a field if it needs fields."""
    by_field = E._network_class.needs_fields
    fields = {"fields": np.arange(N_COLUMNS)} if by_field else {}
    return E(random_state=0, **fields, **parameters)


def scores_of(model, X):
    score = getattr(model, "decision_function", model.predict)
    return score(X)


@pytest.fixture(scope="module")
def X():
    """Real values, rows of 0 to 6 entries; halves of them are exact in binary."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(N_ROWS, N_COLUMNS)).astype(np.float32).astype(np.float64)
    return X * (rng.random(X.shape) < np.linspace(0, 1, N_ROWS)[:, None])


@pytest.fixture(scope="module")
def y(X):
    return (X[:, 0] + X[:, 1] * X[:, 2] > 0.1).astype(int)


def shuffled(X):
    """CSR with the entries of each row in reverse order."""
    X = sp.csr_array(X)
    order = np.concatenate(
        [
            np.arange(a, b)[::-1]
            for a, b in zip(X.indptr[:-1], X.indptr[1:], strict=True)
        ]
    )
    X = sp.csr_array((X.data[order], X.indices[order], X.indptr), shape=X.shape)
    assert not X.has_sorted_indices
    return X


def duplicated(X):
    """CSR with each entry stored as two halves, far apart."""
    X = sp.coo_array(X)
    row, column = np.tile(X.row, 2), np.tile(X.col, 2)
    order = np.argsort(row, kind="stable")
    indptr = np.concatenate([[0], np.cumsum(np.bincount(row, minlength=X.shape[0]))])
    data = np.tile(X.data / 2, 2)[order]
    X = sp.csr_array((data, column[order], indptr), shape=X.shape)
    assert not X.has_canonical_format
    return X


def with_zeros(X):
    """CSR that stores every cell."""
    indptr = np.arange(len(X) + 1) * X.shape[1]
    indices = np.tile(np.arange(X.shape[1]), len(X))
    stored = sp.csr_array((X.ravel(), indices, indptr), shape=X.shape)
    assert stored.nnz == X.size
    return stored


def int64_indices(X):
    X = sp.csr_array(X)
    X.indices, X.indptr = X.indices.astype(np.int64), X.indptr.astype(np.int64)
    return X


FORMATS = {
    "csr_matrix": sp.csr_matrix,
    "csc_array": sp.csc_array,
    "csc_matrix": sp.csc_matrix,
    "coo_array": sp.coo_array,
    "coo_matrix": sp.coo_matrix,
    "lil_array": sp.lil_array,
    "ndarray": np.array,
    "fortran": np.asfortranarray,
    "list": np.ndarray.tolist,
    "shuffled": shuffled,
    "duplicated": duplicated,
    "with_zeros": with_zeros,
    "int64_indices": int64_indices,
}


@pytest.fixture(scope="module")
def fitted(X, y):
    return {
        E: make(E, max_iter=4, batch_size=8).fit(sp.csr_array(X), y) for E in ESTIMATORS
    }


class TestFormats:
    @pytest.mark.parametrize("form", FORMATS)
    @every_estimator
    def test_formats_of_x(self, E, form, fitted, X, y):
        """The same bits, from predict and from fit, and X as it was."""
        expected = scores_of(fitted[E], sp.csr_array(X))
        given, untouched = FORMATS[form](X), FORMATS[form](X)
        assert_array_equal(scores_of(fitted[E], given), expected)
        refitted = make(E, max_iter=4, batch_size=8).fit(given, y)
        assert_array_equal(scores_of(refitted, given), expected)
        for name in ("data", "indices", "indptr") if hasattr(given, "indptr") else ():
            assert_array_equal(getattr(given, name), getattr(untouched, name))

    @every_estimator
    def test_dataframe(self, E, fitted, X, y):
        frame = pd.DataFrame(X, columns=list("abcdef"))
        # Otherwise numbers of a table enter by their bins too.
        as_they_are = {"categorical_features": None}
        model = make(E, max_iter=4, batch_size=8, **as_they_are).fit(frame, y)
        expected = scores_of(fitted[E], sp.csr_array(X))
        assert_array_equal(scores_of(model, frame), expected)
        assert list(model.feature_names_in_) == list("abcdef")

    @pytest.mark.parametrize("batch", [1, 5, N_ROWS - 1])
    @every_estimator
    def test_prediction_batch(self, E, batch, fitted, X, monkeypatch):
        expected = scores_of(fitted[E], X)
        monkeypatch.setattr("skfm.estimators.scoring.PREDICTION_BATCH", batch)
        assert_allclose(scores_of(fitted[E], X), expected, **TIGHT)

    @every_estimator
    def test_permuted_rows(self, E, fitted, X):
        order = np.random.default_rng(1).permutation(N_ROWS)
        expected = scores_of(fitted[E], X)[order]
        assert np.ptp(expected) > 0.1
        assert_allclose(scores_of(fitted[E], X[order]), expected, **TIGHT)

    @pytest.mark.parametrize("fitted_on", ["float32", "float64"])
    @every_estimator
    def test_rows_are_predicted_in_the_dtype_of_the_fit(self, E, fitted_on, X, y):
        model = make(E, max_iter=4).fit(X.astype(fitted_on), y)
        assert model.factors_.dtype == fitted_on
        expected = scores_of(model, X.astype(np.float64))
        assert_array_equal(scores_of(model, X.astype(np.float32)), expected)


@pytest.mark.parametrize("E", [skfm.AFMClassifier, skfm.AFMRegressor])
@pytest.mark.parametrize("n_bytes", [1, 600])
def test_chunks_of_attention_change_nothing(E, n_bytes, X, y, monkeypatch):
    """Neither the fit nor predictions depend on how many rows' pairs fit in memory."""

    def fit():
        model = E(max_iter=20, batch_size=16, interaction_dropout=0, random_state=0)
        return model.fit(X, y)

    whole = fit()
    expected = scores_of(whole, X)
    monkeypatch.setattr("skfm.sparse.KernelBackend.chunk_bytes", n_bytes)
    assert whole.network_.chunk_rows(N_COLUMNS) < 16
    assert_allclose(scores_of(whole, X), expected, **TIGHT)
    chunked = fit()
    assert_allclose(scores_of(chunked, X), expected, **TIGHT)
    assert_allclose(chunked.factors_, whole.factors_, **TIGHT)


class TestSampleWeight:
    """A weight is a number of repetitions; default parameters, one full batch."""

    weight = np.random.default_rng(2).integers(0, 4, size=N_ROWS)

    def assert_same_fit(self, E, X, y, weight):
        weighted = make(E).fit(X, y, sample_weight=weight)
        repeated = make(E).fit(np.repeat(X, weight, axis=0), np.repeat(y, weight))
        assert_allclose(
            scores_of(weighted, X), scores_of(repeated, X), rtol=1e-6, atol=1e-7
        )
        assert_allclose(weighted.factors_, repeated.factors_, rtol=1e-6, atol=1e-7)
        assert_allclose(weighted.loss_curve_, repeated.loss_curve_)

    @every_estimator
    def test_is_a_number_of_repetitions(self, E, X, y):
        assert {0, 1, 2, 3} == set(self.weight)
        self.assert_same_fit(E, X, y, self.weight)

    @every_estimator
    def test_zero_removes_a_row_with_a_column_of_its_own(self, E, X, y):
        """No other row has an entry in column 2, which is neither first nor last."""
        X = X.copy()
        X[:, 2] = 0
        X[5, 2] = 1.5
        weight = np.ones(N_ROWS, int)
        weight[5] = 0
        self.assert_same_fit(E, X, y, weight)

    @every_estimator
    def test_scale_of_all_weights_does_not_matter(self, E, X, y):
        """But to the Bayesian solver, to which weights are numbers of rows."""
        model = make(E, **stochastic(E)).fit(X, y, sample_weight=np.full(N_ROWS, 7.5))
        expected = scores_of(make(E, **stochastic(E)).fit(X, y), X)
        assert_allclose(scores_of(model, X), expected, rtol=1e-6, atol=1e-7)

    @pytest.mark.parametrize("E", CLASSIFIERS)
    def test_class_weight_multiplies(self, E, X, y):
        by_class = make(E, class_weight={0: 1, 1: 3}).fit(X, y)
        by_row = make(E).fit(X, y, sample_weight=np.where(y == 1, 3, 1))
        assert_allclose(scores_of(by_class, X), scores_of(by_row, X), **TIGHT)
