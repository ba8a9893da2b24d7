"""Kinds of X: any format, dtype and index type, read-only, canonical or not."""

import numpy as np
import pytest
import scipy.sparse as sp
from common_cases import ESTIMATORS
from estimator_cases import SIZES, make, scores, target
from estimator_cases import X as ONE_HOT
from numpy.testing import assert_allclose, assert_array_equal

import skfm

#: One class per lookup of the engine.
LOOKUPS = [skfm.FMClassifier, skfm.DeepFMRegressor, skfm.AFMClassifier]

# Values other than one, all exact in every dtype under test.
X = sp.csr_array(ONE_HOT)
X.data = np.random.default_rng(0).integers(1, 4, X.nnz).astype(np.float64)


def fit(cls, data, **parameters):
    """A model of ``data``, in the same arithmetic whatever its dtype."""
    parameters = {"dtype": "float64", "fields": SIZES} | parameters
    return make(cls, **parameters).fit(data, target(cls))


def with_arrays(data=None, indices=None, indptr=None):
    """X as a CSR array of other arrays, exactly as given."""
    csr = sp.csr_array(X.shape, dtype=(X.data if data is None else data).dtype)
    csr.data = X.data if data is None else data
    csr.indices = X.indices if indices is None else indices
    csr.indptr = X.indptr if indptr is None else indptr
    return csr


@pytest.mark.parametrize("cls", LOOKUPS)
@pytest.mark.parametrize(
    "convert",
    [
        sp.csr_matrix,
        sp.csc_matrix,
        sp.csc_array,
        sp.coo_array,
        sp.lil_array,
        sp.bsr_array,
        sp.dok_array,
        sp.coo_matrix,
        lambda X: X.toarray(),
        lambda X: np.asfortranarray(X.toarray()),
    ],
)
def test_formats(cls, convert):
    data = convert(X)
    model = fit(cls, data, max_iter=1)
    expected = fit(cls, X, max_iter=1)
    assert_array_equal(scores(model, data), scores(expected, X))


@pytest.mark.parametrize("cls", LOOKUPS)
@pytest.mark.parametrize(
    "dtype", ["f4", "f8", "longdouble", "i1", "i2", "i4", "i8", "u1", "u8"]
)
@pytest.mark.parametrize("index", [np.int32, np.int64])
def test_dtypes(cls, dtype, index):
    data = with_arrays(
        X.data.astype(dtype), X.indices.astype(index), X.indptr.astype(index)
    )
    model = fit(cls, data, max_iter=1)
    assert_array_equal(scores(model, data), scores(fit(cls, X, max_iter=1), X))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_booleans(cls):
    ones = with_arrays(np.ones(X.nnz))
    for data in (ones.astype(bool), ones.astype(bool).toarray()):
        assert_array_equal(scores(fit(cls, data), data), scores(fit(cls, ones), ones))


@pytest.mark.parametrize("cls", LOOKUPS)
def test_half_precision_arrays(cls):
    dense = X.toarray().astype(np.float16)
    assert_array_equal(scores(fit(cls, dense), dense), scores(fit(cls, X), X))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_read_only_memory_maps(cls, tmp_path):
    parts = []
    for name in ("data", "indices", "indptr"):
        array = getattr(X, name)
        np.save(tmp_path / f"{name}.npy", array)
        parts.append(np.load(tmp_path / f"{name}.npy", mmap_mode="r"))
        assert not parts[-1].flags.writeable
    mapped = with_arrays(*parts)
    model = fit(cls, mapped, early_stopping=True)
    expected = fit(cls, X, early_stopping=True)
    assert_array_equal(scores(model, mapped), scores(expected, X))
    y = target(cls).copy()
    y.flags.writeable = False
    assert_array_equal(scores(make(cls).fit(X, y), X), scores(make(cls).fit(X, y), X))


def scrambled():
    """X with every entry split in two, in random order, and stored zeros."""
    rng = np.random.default_rng(1)
    data, indices = [], []
    for start, stop in zip(X.indptr[:-1], X.indptr[1:], strict=True):
        columns, values = X.indices[start:stop], X.data[start:stop]
        absent = np.setdiff1d(np.arange(X.shape[1]), columns)[:1]
        order = rng.permutation(2 * len(columns) + 1)
        indices.append(np.concatenate([columns, columns, absent])[order])
        data.append(np.concatenate([values - 1, values * 0 + 1, [0]])[order])
    indptr = np.arange(len(data) + 1) * len(data[0])
    return with_arrays(np.concatenate(data), np.concatenate(indices), indptr)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_unsorted_duplicate_and_zero_entries(cls):
    data = scrambled()
    assert_array_equal(data.toarray(), X.toarray())
    assert_array_equal(scores(fit(cls, data), data), scores(fit(cls, X), X))


@pytest.mark.parametrize("dtype", [np.uint8, np.int8])
def test_duplicates_of_small_integers_do_not_wrap_around(dtype):
    data = sp.csr_array(
        (np.array([100, 100, 100, 1], dtype), [0, 0, 0, 1], [0, 3, 4]), shape=(2, 2)
    )
    dense = np.array([[300.0, 0.0], [0.0, 1.0]])
    model = make(skfm.FMRegressor, dtype="float64").fit(dense, [0.0, 1.0])
    assert_allclose(model.predict(data), model.predict(dense))


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("case", ["canonical", "scrambled", "dense"])
def test_the_data_of_the_user_is_left_alone(cls, case):
    data = {"canonical": X.copy, "scrambled": scrambled, "dense": X.toarray}[case]()
    arrays = [data] if case == "dense" else [data.data, data.indices, data.indptr]
    before = [array.copy() for array in arrays]
    known = {} if case == "dense" else dict(vars(data))
    y, weight = target(cls).copy(), np.ones(len(target(cls)))
    model = make(cls, fields=SIZES).fit(data, y, weight)
    scores(model, data)
    for array, expected in zip(arrays, before, strict=True):
        assert_array_equal(array, expected)
    if case != "dense":
        assert dict(vars(data)).keys() == known.keys()
        now = (data.data, data.indices, data.indptr)
        assert all(a is b for a, b in zip(now, arrays, strict=True))
    assert_array_equal(y, target(cls))
    assert_array_equal(weight, 1)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_rows_and_columns_without_entries(cls):
    nothing = sp.csr_array(X.shape)
    found = scores(fit(cls, nothing), nothing)
    assert_array_equal(found, found[0])
    sparse_rows = X * (np.arange(X.shape[0]) % 2)[:, None]
    assert np.all(np.isfinite(scores(fit(cls, sparse_rows), X)))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_one_row_and_one_column(cls):
    model = fit(cls, X)
    all_rows = scores(model, X)
    assert_allclose(scores(model, X[5:6]), all_rows[5:6], rtol=1e-12)
    one = fit(cls, X[:, :1], fields=[1])
    assert len(np.unique(scores(one, X[:, :1]))) > 1
