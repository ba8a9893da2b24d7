"""Units of columns: scale, center, and streams."""

import numpy as np
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal

from skfm.data.csr import canonical_csr
from skfm.data.scaling import ALMOST_ZERO, SETTLED, ColumnMoments, learn_moments

RNG = np.random.default_rng(0)
N = 300
YEARS = RNG.integers(1950, 2020, N).astype(float)
AMOUNTS = RNG.lognormal(10, 1, N) * (RNG.random(N) < 0.6)
ONE_HOT = (RNG.random((N, 2)) < [0.9, 0.1]) * 1.0
NORMAL = RNG.normal(size=N)
X = np.column_stack([YEARS, AMOUNTS, ONE_HOT, NORMAL, np.zeros(N)])
WEIGHT = RNG.integers(0, 4, N).astype(float)


def csr(dense):
    return canonical_csr(np.asarray(dense))


def scaling_of(dense, weight=None):
    weight = np.ones(len(dense)) if weight is None else weight
    return ColumnMoments.of(csr(dense), weight).scaling()


def test_units_of_each_kind_of_column():
    found = scaling_of(X)
    assert_array_equal(np.flatnonzero(found.center), [0])
    assert_allclose(found.center[0], YEARS.mean(), rtol=1e-7)
    held = AMOUNTS[AMOUNTS > 0]
    expected = [YEARS.std(), np.sqrt(np.mean(held**2)), 1, 1]
    expected += [np.sqrt(np.mean(NORMAL**2)), 1]
    assert_allclose(found.scale, expected, rtol=1e-7)
    assert_array_equal(found.scale[[2, 3, 5]], 1)


def test_one_hot_columns_have_no_units():
    assert scaling_of(ONE_HOT) is None
    assert learn_moments(csr(ONE_HOT), np.ones(N)) is None
    # Whatever stands for one: a weight of the whole block.
    found = scaling_of(5 * ONE_HOT)
    assert_array_equal(found.scale, 5)
    assert not found.center.any()


def test_columns_of_a_field_share_a_unit():
    fields = np.array([0, 1, 2, 2, 3, 3])
    found = scaling_of(X)
    shared = ColumnMoments.of(csr(X), np.ones(N)).scaling(fields)
    assert_array_equal(shared.scale[:4], found.scale[:4])
    averages = ONE_HOT / np.maximum(ONE_HOT.sum(axis=1), 1)[:, None]
    same = np.zeros(2, int)
    moments = ColumnMoments.of(csr(averages), np.ones(N))
    assert moments.scaling(same) is None
    assert moments.scaling() is not None
    counts = averages * 6
    found = ColumnMoments.of(csr(counts), np.ones(N)).scaling(same)
    expected = np.sqrt(np.mean(counts[counts != 0] ** 2))
    assert_allclose(found.scale, expected, rtol=1e-6)
    assert not found.center.any()


def test_weights_are_numbers_of_rows():
    repeated = np.repeat(X, WEIGHT.astype(int), axis=0)
    weighted, expected = scaling_of(X, WEIGHT), scaling_of(repeated)
    assert_array_equal(weighted.scale, expected.scale)
    assert_array_equal(weighted.center, expected.center)


@pytest.mark.parametrize("dtype", [np.float64, np.float32])
def test_values_are_scaled_and_zeros_of_centered_columns_filled_in(dtype):
    dense = X.copy()
    dense[:40, 0] = 0.0
    dense[40, 0] = YEARS.mean()
    found = scaling_of(X)
    rows = csr(dense.astype(dtype))
    before = rows.data.copy()
    scaled = found.apply(rows)
    assert scaled.dtype == dtype
    assert_array_equal(rows.data, before)
    expected = np.where(dense == 0, 0, dense / found.scale)
    expected[:, 0] = (dense[:, 0] - found.center[0]) / found.scale[0]
    assert_allclose(scaled.toarray(), expected, rtol=1e-5, atol=1e-5)
    assert scaled.has_canonical_format
    # One that is not to be filled in keeps its zeros.
    part = found.apply(rows, np.zeros(6, bool))
    assert part.nnz == rows.nnz


def test_what_is_zero_in_its_unit_is_still_an_entry():
    center = float(scaling_of(X).center[0])
    scaled = scaling_of(X).apply(csr([[center, 0, 1, 0, 0, 0]]))
    assert_array_equal(scaled.data, [ALMOST_ZERO, 1])


@pytest.mark.parametrize("size", [1, 7, 100])
def test_chunks_of_a_stream_have_the_units_of_all_rows(size):
    parts = [
        ColumnMoments.of(csr(X[i : i + size]), WEIGHT[i : i + size])
        for i in range(0, N, size)
    ]
    moments = parts[0]
    for part in parts[1:]:
        moments = moments.merged(part)
    expected = scaling_of(X, WEIGHT)
    assert_allclose(moments.scaling().scale, expected.scale, rtol=1e-6)
    assert_allclose(moments.scaling().center, expected.center, rtol=1e-6)


def test_units_settle():
    first = ColumnMoments.of(csr(np.tile(X, (SETTLED // N + 1, 1))), np.ones(1200))
    merged = first.merged(ColumnMoments.of(csr(1e3 * X), np.ones(N)))
    settled = first.counts >= SETTLED
    assert_array_equal(np.flatnonzero(settled), [0, 2, 4])
    assert_array_equal(merged.scaling().scale[settled], first.scaling().scale[settled])
    assert merged.scaling().scale[1] > 2 * first.scaling().scale[1]


def test_numbers_that_are_too_large():
    with pytest.raises(ValueError, match="column 1 of X are too large"):
        scaling_of(np.array([[1.0, 1e200], [2.0, -1e200]]))


def test_tiny_numbers_are_left_as_they_are():
    found = scaling_of(np.array([[1e-200, 2.0], [3e-200, 1.0]]))
    assert found.scale[0] == 1


def test_integers_and_indices_of_64_bits():
    rows = csr((1000 * ONE_HOT).astype(np.int64))
    wide = sp.csr_array(
        (rows.data, rows.indices.astype(np.int64), rows.indptr.astype(np.int64)),
        shape=rows.shape,
    )
    assert_array_equal(scaling_of(rows.toarray()).apply(wide).toarray(), ONE_HOT)
