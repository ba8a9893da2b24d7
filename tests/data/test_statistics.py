"""Statistics of the columns that a fit keeps."""

import numpy as np
import pytest
import scipy.sparse as sp
from estimator_cases import LABELS, X, fitted, make
from numpy.testing import assert_allclose, assert_array_equal
from sparse_cases import random_csr

import skfm
from skfm.inspection import interaction_strength

COUNTS = np.asarray(X.sum(axis=0)).ravel()


def test_a_fit_counts_its_rows_and_later_ones_add_up():
    model = make(skfm.FMClassifier, warm_start=True).fit(X, LABELS)
    found = model._column_statistics
    assert (found.n_rows, found.counts.dtype, found.sums) == (120, np.int64, None)
    assert_array_equal(found.counts, COUNTS)
    model.fit(X[:50], LABELS[:50]).partial_fit(X[:7] * 2, LABELS[:7])
    found = model._column_statistics
    assert found.n_rows == 177
    first = X[:50].sum(axis=0) + COUNTS
    assert_array_equal(found.counts, first + X[:7].sum(axis=0))
    assert_array_equal(found.sums, first + 2 * X[:7].sum(axis=0))
    assert_array_equal(found.squares, first + 4 * X[:7].sum(axis=0))


def test_rows_of_no_weight_do_not_count():
    weight = np.arange(120) % 3
    model = make(skfm.FMClassifier, early_stopping=False).fit(X, LABELS, weight)
    found = model._column_statistics
    assert found.n_rows == 80
    assert_array_equal(found.counts, X[weight > 0].sum(axis=0))


def test_init_from_adds_the_rows_it_has_seen():
    source = fitted(skfm.FMClassifier)
    model = make(skfm.NFMClassifier, init_from=source).fit(X[:60], LABELS[:60])
    found = model._column_statistics
    assert found.n_rows == 180
    assert_array_equal(found.counts, COUNTS + X[:60].sum(axis=0))
    assert source._column_statistics.n_rows == 120


@pytest.mark.parametrize("pooling", ["sum", "mean"])
@pytest.mark.parametrize("normalize", [False, True])
def test_moments_are_those_of_the_values_that_the_network_reads(normalize, pooling):
    rows = random_csr()
    fields = np.arange(rows.shape[1]) % 3
    model = make(
        skfm.FFMClassifier, normalize=normalize, field_pooling=pooling, fields=fields
    ).fit(rows, np.arange(rows.shape[0]) % 2)
    dense = model._scaled(sp.csr_array(rows), np.float64).toarray()
    if pooling == "mean":
        own = fields[:, None] == fields
        dense = dense / np.maximum((dense != 0).astype(float) @ own, 1)
    if normalize:
        norm = np.linalg.norm(dense, axis=1, keepdims=True)
        dense = dense / np.where(norm > 0, norm, 1)
    found = model._column_statistics
    assert_array_equal(found.counts, (dense != 0).sum(axis=0))
    assert_allclose(found.sums, dense.sum(axis=0), rtol=1e-5, atol=1e-5)
    assert_allclose(found.squares, (dense**2).sum(axis=0), rtol=1e-5)


def test_statistics_are_saved(tmp_path):
    model = fitted(skfm.FMRegressor, fields=(4, 5, 3))
    skfm.save(model, tmp_path / "model.skfm")
    back = skfm.load(tmp_path / "model.skfm")
    assert interaction_strength(back).equals(interaction_strength(model))


def test_empty_rows_before_the_first_value(monkeypatch):
    monkeypatch.setattr("skfm.data.memory.PREDICTION_BATCH", 2)
    rows = sp.csr_array(np.array([[0.0, 0], [0, 0], [2, 0], [0, 3], [2, 0], [1, 1]]))
    model = make(skfm.FMRegressor).fit(rows, np.arange(6))
    found, scaled = model._column_statistics, model._scaled(rows, np.float64).toarray()
    assert_array_equal(found.counts, [3, 2])
    assert_allclose(found.sums, scaled.sum(axis=0))
    assert_allclose(found.squares, np.square(scaled).sum(axis=0))
