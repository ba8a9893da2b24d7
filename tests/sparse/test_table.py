"""Look-ups in a table and its gradients against naive references."""

import itertools

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from hypothesis import given
from hypothesis import strategies as st
from optimizer_cases import PATHS
from sparse_cases import (
    DTYPES,
    LOOKUPS,
    N_COLUMNS,
    N_FACTORS,
    TOLERANCE,
    batch_of,
    dense_lookup,
    naive_lookup,
    random_csr,
    random_table,
    scalar_of,
)

from skfm.data.batch import Batch
from skfm.optim import OPTIMIZERS
from skfm.sparse import (
    ColumnRows,
    KernelBackend,
    RowGradient,
    TorchBackend,
    sample_scores,
)
from skfm.sparse.grouping import group_by_column

UNIT = [pytest.param(True, id="unit"), pytest.param(False, id="real")]


@pytest.mark.parametrize("unit", UNIT)
@pytest.mark.parametrize("n_linear", [0, 1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_look_up_equals_naive_loop(lookup, backend, dtype, n_linear, unit):
    X = random_csr(unit=unit)
    table = random_table(lookup, n_linear, dtype, backend)
    batch = batch_of(X, dtype)
    assert (len(batch.values) == 0) == unit
    result = table.look_up(batch)
    expected = naive_lookup(X, table.weight[:].numpy().astype(float), n_linear, lookup)
    for leaf, reference in zip(result.leaves(), expected, strict=True):
        assert leaf.dtype == DTYPES[dtype]
        assert not leaf.requires_grad
        np.testing.assert_allclose(leaf, reference, atol=TOLERANCE[dtype])
    np.testing.assert_array_equal(result.lengths, np.diff(X.indptr))


@pytest.mark.parametrize("unit", UNIT)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", PATHS)
def test_each_linear_weight_has_factors_of_its_own_by_sample(backend, dtype, unit):
    X = random_csr(unit=unit)
    table = random_table("by_sample", 3, dtype, backend, n_factors=6)
    result = table.look_up(batch_of(X, dtype))
    weight = table.weight[:].numpy().astype(float)
    factors = weight[:, 3:].reshape(N_COLUMNS, 3, 2)
    gram = np.einsum("isa,jsa->sij", factors, factors)
    dense = X.toarray()
    upper = np.triu(np.ones((N_COLUMNS, N_COLUMNS)), 1)
    pairs = np.einsum("bi,bj,sij->bs", dense, dense, gram * upper)
    np.testing.assert_allclose(result.linear, dense @ weight[:, :3], atol=1e-4)
    np.testing.assert_allclose(result.pairs, pairs, atol=10 * TOLERANCE[dtype])
    none = table.look_up(batch_of(sp.csr_array((2, N_COLUMNS)), dtype))
    assert not any(leaf.any() for leaf in none.leaves())


@pytest.mark.parametrize("n_rows", [0, 2])
@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_batches_without_entries(lookup, backend, n_rows):
    X = sp.csr_array((n_rows, N_COLUMNS))
    table = random_table(lookup, backend=backend)
    batch = batch_of(X)
    result = table.look_up(batch, training=True)
    expected = naive_lookup(X, table.weight[:].numpy(), 1, lookup)
    for leaf, reference in zip(result.leaves(), expected, strict=True):
        np.testing.assert_array_equal(leaf.detach(), reference)
    scalar_of(result.leaves()).backward()
    gradient = RowGradient.of(table, batch, [result], torch.ones(n_rows, 2).double())
    columns, rows = gradient.coalesce()
    assert columns.shape == (0,)
    assert rows.shape == (0, 1 + N_FACTORS)


@pytest.mark.parametrize("lookup", LOOKUPS)
def test_training_look_up_collects_gradients(lookup):
    result = random_table(lookup).look_up(batch_of(random_csr()), training=True)
    assert all(leaf.requires_grad and leaf.is_leaf for leaf in result.leaves())


def engine_gradient(table, batch, penalty, cuts=(), n_threads=1):
    """The RowGradient of `scalar_of`, the batch read in parts."""
    bounds = [0, *cuts, len(batch)]
    lookups = []
    for start, stop in itertools.pairwise(bounds):
        part = batch.slice(start, stop)
        lookups.append(table.look_up(part, n_threads=n_threads, training=True))
        scalar_of(lookups[-1].leaves(), start).backward()
    return RowGradient.of(table, batch, lookups, penalty, n_threads=n_threads)


def autograd_gradient(X, weight, n_linear, lookup, penalty):
    """Dense gradient of `scalar_of` plus half of strength times (x w)^2 per entry."""
    weight = weight.double().clone().requires_grad_()
    scalar = scalar_of(dense_lookup(X, weight, n_linear, lookup))
    looked_up = torch.from_numpy(X.toarray() ** 2) @ weight.square()
    linear, factors = looked_up[:, :n_linear], looked_up[:, n_linear:]
    penalty = penalty.double()
    scalar = scalar + 0.5 * (penalty[:, :1] * linear).sum()
    scalar = scalar + 0.5 * (penalty[:, 1:] * factors).sum()
    scalar.backward()
    return weight.grad


def random_penalty(n_rows, dtype="float64"):
    rng = np.random.default_rng(3)
    return torch.from_numpy(rng.random((n_rows, 2))).to(DTYPES[dtype])


@pytest.mark.parametrize("unit", UNIT)
@pytest.mark.parametrize("n_linear", [0, 1, 3])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_row_gradient_equals_autograd(lookup, backend, dtype, n_linear, unit):
    X = random_csr(unit=unit)
    table = random_table(lookup, n_linear, dtype, backend)
    penalty = random_penalty(X.shape[0], dtype)
    gradient = engine_gradient(table, batch_of(X, dtype), penalty)
    columns, rows = gradient.coalesce()
    expected = autograd_gradient(X, table.weight[:], n_linear, lookup, penalty)
    assert rows.dtype == DTYPES[dtype]
    np.testing.assert_array_equal(columns, np.unique(X.indices))
    assert not expected[4].any()
    np.testing.assert_allclose(rows, expected[columns], atol=20 * TOLERANCE[dtype])


@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_penalty_weighs_each_occurrence(lookup, backend):
    X = sp.csr_array(np.eye(N_COLUMNS)[[2, 5, 5, 5]] * [[1.0], [2.0], [3.0], [4.0]])
    table = random_table(lookup, backend=backend)
    batch = batch_of(X)
    result = table.look_up(batch, training=True)
    penalty = torch.tensor([[0.1, 0.7]], dtype=torch.float64).expand(4, 2)
    columns, rows = RowGradient.of(table, batch, [result], penalty).coalesce()
    strength = torch.tensor([0.1] + [0.7] * N_FACTORS).double()
    times = torch.tensor([[1.0], [4.0 + 9.0 + 16.0]])
    assert columns.tolist() == [2, 5]
    np.testing.assert_allclose(rows, times * strength * table.weight[:][[2, 5]])


@pytest.mark.parametrize("cuts", [(8,), (1, 2, 16), (4, 4, 9)])
@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_parts_of_a_batch_have_the_same_gradient(lookup, backend, cuts):
    X = random_csr()
    table = random_table(lookup, backend=backend)
    penalty = random_penalty(X.shape[0])
    _, rows = engine_gradient(table, batch_of(X), penalty, cuts).coalesce()
    expected = autograd_gradient(X, table.weight[:], 1, lookup, penalty)
    np.testing.assert_allclose(rows, expected[np.unique(X.indices)], atol=1e-12)


def test_parts_of_unequal_width_are_padded():
    X = sp.csr_array(np.tril(np.ones((N_COLUMNS, N_COLUMNS))))
    table = random_table("by_nonzero")
    penalty = random_penalty(N_COLUMNS)
    _, rows = engine_gradient(table, batch_of(X), penalty, (2, 5)).coalesce()
    expected = autograd_gradient(X, table.weight[:], 1, "by_nonzero", penalty)
    np.testing.assert_allclose(rows, expected, atol=1e-12)


COLUMN_COUNTS = st.one_of(
    st.integers(1, 3000),
    st.sampled_from([2**11, 2**11 + 1, 2**22, 2**22 + 1, 2**31 - 1]),
    st.integers(1, 2**31 - 1),
)


@st.composite
def entries(draw):
    """indptr, columns and the number of columns, the last column often among them."""
    n_columns = draw(COLUMN_COUNTS)
    column = st.one_of(
        st.integers(0, n_columns - 1), st.sampled_from([0, n_columns - 1])
    )
    rows = draw(st.lists(st.lists(column, max_size=6), max_size=8))
    indptr = np.cumsum([0, *(len(row) for row in rows)]).astype(np.int64)
    columns = np.array([c for row in rows for c in row], np.int32)
    return indptr, columns, n_columns


@given(entries(), st.booleans())
def test_group_is_a_stable_sort(case, ordered):
    indptr, columns, n_columns = case
    order, rows, distinct, bounds = group_by_column(indptr, columns, n_columns, ordered)
    expected_order = np.argsort(columns, kind="stable")
    expected_rows = np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))
    expected_columns, counts = np.unique(columns, return_counts=True)
    np.testing.assert_array_equal(order, expected_order if ordered else [])
    np.testing.assert_array_equal(rows, expected_rows[expected_order])
    np.testing.assert_array_equal(distinct, expected_columns)
    np.testing.assert_array_equal(bounds, [0, *np.cumsum(counts)])


def large_batch(n_rows=300):
    """Rows of any length over few columns, so that sums have many terms."""
    rng = np.random.default_rng(5)
    columns = [np.flatnonzero(rng.random(N_COLUMNS) < 0.6) for _ in range(n_rows)]
    indptr = np.cumsum([0, *map(len, columns)]).astype(np.int64)
    values = rng.normal(size=indptr[-1]).astype(np.float32)
    return Batch(indptr, np.concatenate(columns).astype(np.int32), values)


@pytest.mark.parametrize("optimizer", OPTIMIZERS)
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_threads_give_the_same_bits(lookup, optimizer, monkeypatch):
    monkeypatch.setattr(sample_scores, "_ENTRIES_PER_THREAD", 1)
    batch = large_batch()
    penalty = random_penalty(len(batch), "float32")
    results = []
    for n_threads in (1, 2, 3):
        table = random_table(lookup, dtype="float32")
        assert table.threads_for(batch, n_threads) == n_threads
        stepper = OPTIMIZERS[optimizer](table, 0.1)
        gradient = engine_gradient(table, batch, penalty, n_threads=n_threads)
        assert gradient.n_threads == n_threads
        reduced = gradient.coalesce()[1]
        stepper.step(gradient)
        read = table.look_up(batch, n_threads=n_threads).leaves()
        results.append(
            [*read, reduced, *table.weight.tensors(), *(s[:] for s in stepper.state)]
        )
    for other in results[1:]:
        for one, several in zip(results[0], other, strict=True):
            assert torch.equal(one, several)


def test_small_batches_stay_on_one_thread():
    table = random_table("pooled")
    assert table.threads_for(batch_of(random_csr()), 8) == 1


@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_look_up_of_read_only_memory(lookup, backend):
    X = random_csr()
    for array in (X.data, X.indices, X.indptr):
        array.setflags(write=False)
    table = random_table(lookup, backend=backend)
    batch = batch_of(X)
    assert not batch.values.flags.writeable
    always = torch.is_warn_always_enabled()
    torch.set_warn_always(True)
    try:
        leaves = table.look_up(batch).leaves()
    finally:
        torch.set_warn_always(always)
    expected = naive_lookup(X, table.weight[:].numpy(), 1, lookup)
    for leaf, reference in zip(leaves, expected, strict=True):
        np.testing.assert_allclose(leaf, reference, atol=1e-12)


@pytest.mark.parametrize("backend", PATHS)
def test_initialize_draws_only_the_factors_of_active_columns(backend):
    table = random_table("pooled", 2, backend=backend)
    table.weight[:] = torch.zeros(table.weight.shape)
    active = np.arange(N_COLUMNS) % 3 > 0
    table.initialize(active, np.random.default_rng(0), 0.5)
    draws = np.random.default_rng(0).standard_normal((active.sum(), N_FACTORS))
    np.testing.assert_array_equal(table.weight.factors[active], 0.5 * draws)
    assert not table.weight.linear.any()
    assert not table.weight.factors[~active].any()


@pytest.mark.parametrize("n_columns", [7, 70_000])
@pytest.mark.parametrize("n_linear", [0, 1, 3])
def test_factors_fill_whole_cache_lines(n_columns, n_linear):
    rows = ColumnRows.zeros(
        (n_columns, n_linear + 16), n_linear, np.dtype(np.float32), place=1
    )
    assert rows.shape == (n_columns, n_linear + 16)
    factors, linear = rows.host()
    assert factors.ctypes.data % 64 == 0
    assert factors.flags.c_contiguous
    assert not factors.any()
    assert not linear.any()


def test_rows_are_read_and_written_by_index():
    rows = ColumnRows.zeros((5, 4), 1, np.dtype(np.float64), place=0)
    numbers = torch.arange(20, dtype=torch.float64).reshape(5, 4)
    rows[:] = numbers
    rows[torch.tensor([3, 1])] = -numbers[:2]
    assert torch.equal(rows.linear[:, 0], torch.tensor([0.0, -4, 8, 0, 16]).double())
    assert torch.equal(rows.factors[3], torch.tensor([-1.0, -2, -3]).double())
    assert torch.equal(
        rows[torch.tensor([2, 3])], torch.stack([numbers[2], -numbers[0]])
    )


@pytest.mark.parametrize("optimizer", ["sgd", "adagrad", "adam"])
@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("lookup", LOOKUPS)
def test_rows_of_vectors_and_a_rest(lookup, dtype, unit, optimizer):
    """37 factors are two vectors or four, a quarter of one, and a number over."""
    X = random_csr(3, unit=unit)
    batch, results = batch_of(X, dtype), []
    penalty = random_penalty(len(batch), dtype)
    for backend in (KernelBackend, TorchBackend):
        table = random_table(lookup, 2, dtype, backend, n_factors=37)
        gradient = engine_gradient(table, batch, penalty)
        stepper = OPTIMIZERS[optimizer](table, 0.1)
        reduced = gradient.coalesce()[1]
        stepper.step(gradient)
        read = table.look_up(batch).leaves()
        state = [rows[:] for rows in (table.weight, *stepper.state)]
        results.append([*read, reduced, *state])
    tolerance = 100 * TOLERANCE[dtype]
    for ours, theirs in zip(*results, strict=True):
        np.testing.assert_allclose(ours, theirs, rtol=tolerance, atol=tolerance)
