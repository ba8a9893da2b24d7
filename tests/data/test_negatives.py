"""Drawn negatives: never known, distributed as asked, and joined with their context."""

import numpy as np
import pytest
import scipy.sparse as sp
from scipy import stats

from skfm.data.negatives import Exposed, Unknown
from skfm.data.sampled import Halves

RNG = np.random.default_rng(0)
N_USERS, N_ITEMS, N_DRAWS = 6, 13, 4000
USERS = np.append(RNG.integers(N_USERS - 1, size=60), np.full(N_ITEMS - 1, 5))
ITEMS = np.append(RNG.integers(N_ITEMS, size=60), np.arange(N_ITEMS - 1))
KNOWN = np.zeros((N_USERS, N_ITEMS), bool)
KNOWN[USERS, ITEMS] = True


@pytest.mark.parametrize("power", [0.0, 1.0, 0.5])
def test_draws_are_distributed_over_the_unknown_items(power):
    unknown = Unknown.of(USERS, ITEMS, KNOWN.shape, power)
    weight = np.where(KNOWN, 0, np.maximum(KNOWN.sum(axis=0), 1) ** power)
    assert (unknown.totals() > 0).all()
    for user in range(N_USERS):
        drawn = unknown.draw(np.full(N_DRAWS // 4, user), 4, seed=user).ravel()
        counts = np.bincount(drawn, minlength=N_ITEMS)
        assert not counts[KNOWN[user]].any()
        expected = N_DRAWS * weight[user] / weight[user].sum()
        there = expected > 0
        # User 5 has one item left.
        if there.sum() > 1:
            assert stats.chisquare(counts[there], expected[there]).pvalue > 1e-3


def test_draws_depend_on_the_seed_only():
    unknown = Unknown.of(USERS, ITEMS, KNOWN.shape, 0.0)
    users = RNG.integers(N_USERS, size=50)
    first = unknown.draw(users, 3, seed=1)
    np.testing.assert_array_equal(unknown.draw(users, 3, seed=1), first)
    assert (unknown.draw(users, 3, seed=2) != first).any()


def test_exposed_items_are_those_of_the_user():
    exposed = Exposed.of(USERS, ITEMS, N_USERS + 1)
    assert exposed.totals()[N_USERS] == 0
    for user in range(N_USERS):
        drawn = exposed.draw(np.full(500, user), 2, seed=0)
        assert set(drawn.ravel()) == set(ITEMS[user == USERS])


@pytest.mark.parametrize("unit", [True, False])
def test_joined_rows_are_sums_of_their_halves(unit):
    contexts = sp.random_array((5, 9), density=0.4, rng=RNG, format="csr")
    items = sp.random_array((4, 9), density=0.4, rng=RNG, format="csr")
    if unit:
        contexts.data[:] = items.data[:] = 1
    rows, chosen = np.array([0, 3, 3, 1]), np.array([2, 0, 3, 3])
    batch = Halves(contexts, items).join(rows, chosen, "float64")
    assert (len(batch.values) == 0) == unit
    values = np.ones(len(batch.columns)) if unit else batch.values
    joined = sp.csr_array((values, batch.columns, batch.indptr), shape=(4, 9))
    expected = contexts.toarray()[rows] + items.toarray()[chosen]
    np.testing.assert_array_equal(joined.toarray(), expected)
