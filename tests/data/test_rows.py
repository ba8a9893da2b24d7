"""Rows cut into batches, and canonical CSR."""

import numpy as np
import pytest
import scipy.sparse as sp
from hypothesis import example, given
from hypothesis import strategies as st
from sparse_cases import random_csr

from skfm.data.batch import batch_bounds
from skfm.data.csr import canonical_csr
from skfm.data.rows import Rows


def rows_of(X, dtype="float64", **extra):
    return Rows(X, dtype, **extra)


def with_index_type(X, index_type):
    X = X.copy()
    X.indices, X.indptr = X.indices.astype(index_type), X.indptr.astype(index_type)
    return X


def dense_of(batch, n_columns):
    dense = np.zeros((len(batch), n_columns))
    values = batch.values if len(batch.values) else np.ones(len(batch.columns))
    row = np.repeat(np.arange(len(batch)), np.diff(batch.indptr))
    dense[row, batch.columns] = values
    return dense


@pytest.mark.parametrize(
    ("data_type", "index_type", "writeable"),
    [
        ("float64", np.int32, True),
        ("float64", np.int64, False),
        ("float32", np.int64, True),
        ("float32", np.int32, False),
        ("int64", np.int32, False),
        ("int8", np.int64, True),
        ("bool", np.int32, True),
    ],
)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_take_and_span_read_the_rows(index_type, writeable, dtype, data_type):
    dense = np.rint(3 * random_csr().toarray()).astype(data_type)
    X = with_index_type(sp.csr_array(dense), index_type)
    for array in (X.data, X.indices, X.indptr):
        array.setflags(write=writeable)
    rows = rows_of(X, dtype)
    for start, stop in [(0, X.shape[0]), (3, 9), (5, 5)]:
        span = rows.span(start, stop)
        take = rows.take(np.arange(start, stop))
        for batch in (span, take):
            np.testing.assert_array_equal(
                dense_of(batch, X.shape[1]), dense[start:stop]
            )
            assert batch.indptr.dtype == np.int64
            assert batch.columns.dtype == np.int32
            assert batch.values.dtype == dtype
            assert batch.indptr[0] == 0
            assert (len(batch.values) == 0) == (data_type == "bool" or start == stop)


@pytest.mark.parametrize("n_threads", [1, 3])
def test_take_gathers_any_rows(n_threads):
    X = random_csr()
    rows = rows_of(X)
    chosen = np.array([16, 3, 3, 0, 8, 5])
    batch = rows.take(chosen, n_threads)
    np.testing.assert_array_equal(dense_of(batch, X.shape[1]), X.toarray()[chosen])


def test_span_shares_memory_where_types_allow():
    X = with_index_type(random_csr(), np.int32)
    span = rows_of(X).span(2, 9)
    assert np.shares_memory(span.values, X.data)
    assert np.shares_memory(span.columns, X.indices)


def test_slice_equals_span():
    rows = rows_of(random_csr())
    part, expected = rows.span(3, 15).slice(2, 9), rows.span(5, 12)
    np.testing.assert_array_equal(part.indptr, expected.indptr)
    np.testing.assert_array_equal(part.columns, expected.columns)
    np.testing.assert_array_equal(part.values, expected.values)


def test_one_value_that_is_not_one_is_seen():
    data = np.ones((1 << 20) + 2)
    X = sp.csr_array((data, np.zeros(data.size, int), np.arange(data.size + 1)))
    assert len(rows_of(X).span(0, 5).values) == 0
    X.data[-1] = 2
    assert rows_of(X).span(data.size - 2, data.size).values.tolist() == [1, 2]


def test_statistics_of_rows():
    X = sp.csr_array(np.array([[1, 1, 1, 0], [0, 0, 0, 0], [0, 0, 1, 1], [1, 0, 0, 0]]))
    rows, weight = rows_of(X), np.array([1.0, 1.0, 3.0, 1.0])
    assert rows.longest() == 3
    assert rows.mean_pairs(np.array([0, 2]), weight) == (1 * 3 + 3 * 1) / 4


def messy_csr(index_type=np.int32):
    """Unsorted columns, a duplicate, explicit zeros, and a pair that cancels."""
    data = np.array([2.0, 1.0, 0.0, 5.0, 3.0, 4.0, -4.0])
    indices = np.array([3, 0, 1, 2, 2, 1, 1], index_type)
    indptr = np.array([0, 3, 3, 5, 7], index_type)
    return sp.csr_array((data, indices, indptr), shape=(4, 5))


@pytest.mark.parametrize("container", [sp.csr_array, sp.csr_matrix])
@pytest.mark.parametrize("writeable", [True, False])
@pytest.mark.parametrize("index_type", [np.int32, np.int64])
def test_canonical_csr_leaves_its_input_alone(index_type, writeable, container):
    X = container(messy_csr(index_type))
    arrays = [X.data, X.indices, X.indptr]
    before = [array.copy() for array in arrays]
    for array in arrays:
        array.setflags(write=writeable)
    attributes = set(vars(X))
    result = canonical_csr(X)
    assert set(vars(X)) == attributes
    for array, kept, now in zip(
        arrays, before, [X.data, X.indices, X.indptr], strict=True
    ):
        assert now is array
        np.testing.assert_array_equal(array, kept)
    assert isinstance(result, sp.csr_array)
    assert result.indptr.tolist() == [0, 2, 2, 3, 3]
    assert result.indices.tolist() == [0, 3, 2]
    assert result.data.tolist() == [1, 2, 8]


@pytest.mark.parametrize("flag", [True, False])
def test_flags_that_lie_do_not_reach_the_result(flag):
    X = messy_csr()
    X.has_sorted_indices = X.has_canonical_format = flag
    assert canonical_csr(X).indices.tolist() == [0, 3, 2]
    assert X.has_sorted_indices == X.has_canonical_format == flag


@pytest.mark.parametrize("index_type", [np.int32, np.int64])
def test_canonical_csr_shares_the_memory_of_a_canonical_matrix(index_type):
    X = with_index_type(random_csr(), index_type)
    result = canonical_csr(X)
    assert result is not X
    for name in ("data", "indices", "indptr"):
        assert np.shares_memory(getattr(result, name), getattr(X, name))


@pytest.mark.parametrize("kind", ["csc", "coo", "lil", "dok", "bsr", "dia", "dense"])
def test_canonical_csr_of_other_formats(kind):
    dense = random_csr().toarray()
    X = dense if kind == "dense" else sp.csr_array(dense).asformat(kind)
    result = canonical_csr(X)
    np.testing.assert_array_equal(result.toarray(), dense)
    assert result.format == "csr"
    assert result.has_canonical_format
    assert result.nnz == np.count_nonzero(dense)


def test_sorted_duplicates_are_summed():
    X = sp.csr_array(([1.0, 2.0], [1, 1], [0, 2]), shape=(1, 3))
    result = canonical_csr(X)
    np.testing.assert_array_equal(result.indices, [1])
    np.testing.assert_array_equal(result.data, [3.0])


def test_storage_beyond_the_last_entry_is_not_read():
    X = sp.csr_array((2, 3))
    X.indptr = np.array([0, 2, 3], np.int32)
    X.indices = np.array([0, 1, 2, 2], np.int32)
    X.data = np.array([1.0, 0.0, 1.0, 7.0])
    result = canonical_csr(X)
    assert result.data.tolist() == [1, 1]
    assert result.indices.tolist() == [0, 2]
    assert len(X.data) == 4


def test_more_columns_than_an_int32_is_an_error():
    X = sp.csr_array((1, 2**31), dtype=np.float64)
    with pytest.raises(ValueError, match=r"2147483648 columns.*Hash"):
        canonical_csr(X)


@given(st.integers(0, 200), st.integers(1, 60))
@example(61, 60)
@example(2, 1)
def test_batch_bounds(n_rows, batch_size):
    bounds = list(batch_bounds(n_rows, batch_size))
    edges = [0, *(stop for _, stop in bounds)]
    assert [start for start, _ in bounds] == edges[:-1]
    assert edges[-1] == n_rows
    sizes = np.diff(edges)
    assert all(size == batch_size for size in sizes[:-1])
    assert all(0 < size <= batch_size + 1 for size in sizes)
    if batch_size > 1 and n_rows > 1:
        assert min(sizes) > 1
