"""Tables whose rows are divided among workers: values, gradients, bytes."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sparse_cases import (
    LOOKUPS,
    N_COLUMNS,
    N_FACTORS,
    batch_of,
    dense_lookup,
    random_csr,
    random_table,
    scalar_of,
)
from worker_cases import run_workers

from skfm.distributed import groups
from skfm.sparse import RowGradient, Shards

X = random_csr()
STRENGTHS = np.array([0.3, 0.7])
WIDTH = 2 + N_FACTORS


def learn(rank, lookup, share):
    """Make a step's look-up and gradient, on this worker's rows of X."""
    communicator = groups.communicator()
    shards = Shards(random_table(lookup, n_linear=2), communicator)
    rows = shards.lanes.rows(np.arange(X.shape[0]))
    batch = batch_of(X[rows])
    bounds = shards.lanes.bounds(X.shape[0])
    excerpt = shards.fetch(batch, bounds=bounds - bounds[0])
    assert excerpt.n_rows == X.shape[0]
    looked_up = excerpt.look_up(excerpt.batch).collect_gradients()
    start = rows[0] if len(rows) else 0
    scalar_of(looked_up.leaves(), start).backward()
    penalty = torch.from_numpy(share[rows, None] * STRENGTHS)
    gradient = RowGradient.of(
        excerpt.table, excerpt.batch, [looked_up], penalty, groups=excerpt.groups
    )
    before = communicator.n_bytes
    reduced = shards.reduce(excerpt, gradient, share[rows])
    columns = reduced.columns().numpy() * communicator.size + rank
    assert_array_equal(np.diff(columns) > 0, True)
    found = np.zeros((N_COLUMNS, WIDTH + 1))
    found[columns, :WIDTH] = reduced.coalesce()[1].numpy()
    found[columns, WIDTH] = reduced.absolute_shares().numpy()
    sent = before, communicator.n_bytes - before
    return excerpt, found, sent


def expected(lookup, share):
    """The gradient of the whole table, and sums of shares, by autograd."""
    weight = random_table(lookup, n_linear=2).weight[:].requires_grad_()
    penalty = torch.from_numpy(X.power(2).T @ (share[:, None] * STRENGTHS)) / 2
    linear = (penalty[:, :1] * weight[:, :2].square()).sum()
    factors = (penalty[:, 1:] * weight[:, 2:].square()).sum()
    (scalar_of(dense_lookup(X, weight, 2, lookup)) + linear + factors).backward()
    return np.column_stack([weight.grad.numpy(), abs(X).T @ share])


@pytest.mark.parametrize("lookup", LOOKUPS)
@pytest.mark.parametrize("size", [1, 2, 3, 4])
def test_weights_and_gradients(size, lookup):
    share = np.random.default_rng(0).random(X.shape[0])
    results = run_workers(size, lambda rank: learn(rank, lookup, share))
    found = np.sum([own for _, own, _ in results], axis=0)
    assert_allclose(found, expected(lookup, share), rtol=1e-10, atol=1e-12)
    whole = random_table(lookup, n_linear=2).weight
    for excerpt, _, _ in results:
        assert_array_equal(excerpt.table.weight[:], whole[excerpt.columns.tolist()])


@pytest.mark.parametrize("size", [2, 4])
def test_bytes(size):
    """A step sends 4 + 2 * width * itemsize bytes for a column of another worker."""
    share = np.ones(X.shape[0])
    results = run_workers(size, lambda rank: learn(rank, "pooled", share))
    for rank, (excerpt, _, (fetched, reduced)) in enumerate(results):
        others = np.arange(size) != rank
        asks, answers = (int(counts[others].sum()) for counts in excerpt.counts)
        told = 16 * (size - 1)
        assert fetched == told + 4 * asks + 8 * WIDTH * answers
        # One number more for the shares.
        assert reduced == 8 * (WIDTH + 1) * asks


def test_rows_come_back_together():
    def task(rank):
        shards = Shards(random_table("by_field"), groups.communicator())
        assert len(shards.own.weight.factors) == len(range(rank, N_COLUMNS, 3))
        return shards.whole_table()

    table = random_table("by_field")
    for found in run_workers(3, task):
        assert_array_equal(found.weight[:], table.weight[:])
        assert_array_equal(found.kernel_fields, table.kernel_fields)
        assert found.n_columns == N_COLUMNS
