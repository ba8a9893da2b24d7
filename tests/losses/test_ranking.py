"""Ranking losses, pairs, NDCG and the shuffling of queries, against naive loops."""

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from sklearn.metrics import ndcg_score

from skfm.data.queries import Queries
from skfm.data.rank_metrics import mean_metric
from skfm.data.sampler import QueryShuffle
from skfm.losses import LambdaLoss, ListwiseLoss, PairwiseLoss
from skfm.losses.ranking import draw_pairs

LENGTHS = [4, 1, 7, 2, 5]
STARTS = np.concatenate([[0], np.cumsum(LENGTHS)])
N = STARTS[-1]
QUERY = np.repeat(np.arange(len(LENGTHS)), LENGTHS)
RNG = np.random.default_rng(0)
RELEVANCE = RNG.integers(4, size=N).astype(float)
RELEVANCE[QUERY == 3] = 2  # a query of equals
RELEVANCE = RELEVANCE[np.lexsort((RELEVANCE, QUERY))]
SCORES, WEIGHT = RNG.normal(size=N), RNG.random(N)
LOSSES = {
    "pairwise": PairwiseLoss(100, None),
    "lambda": LambdaLoss(100, None),
    "listwise": ListwiseLoss(None),
}
each_loss = pytest.mark.parametrize("name", LOSSES)


def per_row(loss, scores=SCORES, weight=WEIGHT, relevance=RELEVANCE, starts=STARTS):
    tensors = (torch.as_tensor(a) for a in (relevance, weight))
    target, weight = tensors
    scores = torch.as_tensor(scores)[:, None]
    return loss.per_row(scores, target, Queries(starts), weight)


def naive(name, s, y, w):
    """The loss of one query, pair by pair or row by row."""
    if name == "listwise":
        p = w * y / (w * y).sum()
        return p @ (np.log(w @ np.exp(s)) - s)
    rank = np.argsort(np.argsort(-s)) + 1
    total, norm = 0.0, 0.0
    for i in range(len(s)):
        for j in range(len(s)):
            if y[i] > y[j]:
                pair = w[i] * w[j]
                if name == "lambda":
                    change = 1 / np.log2(rank[i] + 1) - 1 / np.log2(rank[j] + 1)
                    pair *= (y[i] - y[j]) * abs(change)
                total += pair * np.log1p(np.exp(s[j] - s[i]))
                norm += pair
    return total / norm if norm else 0.0


@each_loss
def test_loss_of_each_query(name):
    result = per_row(LOSSES[name]).numpy()
    for q in range(len(LENGTHS)):
        own = q == QUERY
        expected = naive(name, SCORES[own], RELEVANCE[own], WEIGHT[own])
        np.testing.assert_allclose(result[own], expected, rtol=1e-12, atol=1e-15)


@each_loss
def test_gradient_equals_finite_differences(name):
    leaf = torch.from_numpy(SCORES.copy()).requires_grad_()
    weights = torch.from_numpy(RNG.random(N))
    (per_row(LOSSES[name], leaf) * weights).sum().backward()
    h = 1e-6
    for i in range(N):
        shift = h * (np.arange(N) == i)
        up, down = (per_row(LOSSES[name], SCORES + sign * shift) for sign in (1, -1))
        slope = float(((up - down) * weights).sum()) / (2 * h)
        assert float(leaf.grad[i]) == pytest.approx(slope, abs=1e-7)


@each_loss
def test_only_differences_of_scores_matter(name):
    """And so the gradient of what is common to a query's rows is zero."""
    shift = np.repeat(RNG.normal(size=len(LENGTHS)), LENGTHS)
    moved = per_row(LOSSES[name], SCORES + shift)
    torch.testing.assert_close(moved, per_row(LOSSES[name]))
    leaf = torch.from_numpy(SCORES.copy()).requires_grad_()
    per_row(LOSSES[name], leaf).sum().backward()
    sums = np.add.reduceat(leaf.grad.numpy(), STARTS[:-1])
    np.testing.assert_allclose(sums, 0, atol=1e-14)


@pytest.mark.parametrize("name", ["pairwise", "listwise"])
def test_weight_two_is_the_row_twice(name):
    twice = RNG.integers(0, 3, size=N)
    repeated = np.repeat(np.arange(N), twice)
    starts = np.concatenate([[0], np.cumsum(np.add.reduceat(twice, STARTS[:-1]))])
    kept = starts[:-1] < starts[1:]  # a query may lose all its rows
    once = per_row(LOSSES[name], weight=twice.astype(float)).numpy()
    more = per_row(
        LOSSES[name],
        SCORES[repeated],
        np.ones(len(repeated)),
        RELEVANCE[repeated],
        np.unique(starts),
    ).numpy()
    np.testing.assert_allclose(
        once[STARTS[:-1]][kept], more[np.unique(starts)[:-1]], rtol=1e-12
    )


@pytest.mark.parametrize("scale", [1e4, 1e8])
@each_loss
def test_huge_scores_are_finite(name, scale):
    leaf = torch.from_numpy(scale * SCORES).float().requires_grad_()
    loss = per_row(
        LOSSES[name], leaf, WEIGHT.astype(np.float32), RELEVANCE.astype("f4")
    )
    loss.sum().backward()
    assert torch.isfinite(loss).all()
    assert torch.isfinite(leaf.grad).all()


# Pairs.

queries_of_grades = st.lists(
    st.lists(st.integers(0, 3), min_size=1, max_size=8), min_size=1, max_size=6
)


def sorted_rows(grades):
    rows = [sorted(query) for query in grades]
    starts = np.concatenate([[0], np.cumsum([len(query) for query in rows])])
    return np.concatenate(rows).astype(float), starts


@given(queries_of_grades)
def test_all_pairs_of_short_queries(grades):
    relevance, starts = sorted_rows(grades)
    pairs = draw_pairs(relevance, Queries(starts), 100)
    expected = [
        (i, j)
        for lo, hi in pairwise(starts)
        for i in range(lo, hi)
        for j in range(lo, hi)
        if relevance[i] > relevance[j]
    ]
    assert list(zip(pairs.better, pairs.worse, strict=True)) == expected


@given(queries_of_grades, st.integers(0, 2**40), st.integers(1, 2))
def test_sampled_pairs_are_different_pairs_of_their_query(grades, seed, n_pairs):
    relevance, starts = sorted_rows(grades)
    pairs = draw_pairs(relevance, Queries(starts, seed), n_pairs)
    assert np.all(relevance[pairs.better] > relevance[pairs.worse])
    everything = draw_pairs(relevance, Queries(starts), 100).counts
    lengths = np.diff(starts)
    np.testing.assert_array_equal(
        pairs.counts, np.minimum(everything, n_pairs * lengths)
    )
    query = np.repeat(np.arange(len(lengths)), pairs.counts)
    for rows in (pairs.better, pairs.worse):
        assert np.all((starts[query] <= rows) & (rows < starts[query + 1]))


def test_a_sample_of_pairs_is_even():
    relevance = np.repeat([0.0, 1.0, 2.0], [3, 30, 7])
    counts = np.zeros((40, 40))
    for seed in range(3000):
        pairs = draw_pairs(relevance, Queries(np.array([0, 40]), seed), 1)
        counts[pairs.better, pairs.worse] += 1
    possible = relevance[:, None] > relevance
    assert not counts[~possible].any()
    expected = 3000 * 40 / possible.sum()
    assert np.abs(counts[possible] - expected).max() < 6 * np.sqrt(expected)


# NDCG.


@pytest.mark.parametrize("at", [None, 1, 3, 10])
@pytest.mark.parametrize("ties", [False, True])
def test_ndcg_is_scikit_learns(at, ties):
    scores = np.round(SCORES) if ties else SCORES
    order = RNG.permutation(N)
    result = mean_metric(
        "ndcg", *(scores[order], RELEVANCE[order], QUERY[order], np.ones(N), at)
    )
    expected = [
        ndcg_score([RELEVANCE[q == QUERY]], [scores[q == QUERY]], k=at)
        for q in range(len(LENGTHS))
        if LENGTHS[q] > 1 and RELEVANCE[q == QUERY].any()
    ]
    # A query of one relevant row is always ranked well; scikit-learn refuses it.
    expected += [1.0] * int(RELEVANCE[QUERY == 1][0] > 0)
    assert result == pytest.approx(np.mean(expected), rel=1e-12)


def test_ndcg_of_weighted_queries_and_of_none():
    query, relevance = np.array([0, 0, 1, 1, 2, 2]), np.array([0.0, 1, 1, 0, 0, 0])
    scores = np.arange(6.0)
    weight = np.array([1.0, 1, 2, 4, 9, 9])
    worst = 1 / np.log2(3)
    expected = (1 * 1 + 3 * worst) / 4  # the third query has no relevant row
    assert mean_metric("ndcg", scores, relevance, query, weight, None) == pytest.approx(
        expected
    )
    assert np.isnan(mean_metric("ndcg", scores, 0 * relevance, query, weight, None))


# Shuffling.


@given(
    st.lists(st.integers(1, 30), min_size=1, max_size=12).filter(lambda n: max(n) > 1),
    st.integers(1, 40),
    st.integers(1, 40),
    st.integers(0, 100),
)
def test_batches_of_whole_queries(lengths, size, longest, seed):
    rng = np.random.default_rng(seed)
    query = rng.permutation(np.repeat(np.arange(len(lengths)), lengths))
    relevance = rng.integers(3, size=len(query)).astype(float)
    rows = np.flatnonzero(rng.random(len(query)) < 2)
    draws = QueryShuffle(rows, query, relevance, size, longest).epoch(rng)
    seen = np.concatenate([draw.rows for draw in draws])
    kept = np.flatnonzero(np.array(lengths)[query] > 1)
    np.testing.assert_array_equal(np.sort(seen), kept)
    limit = max(3, min(size, longest))
    pieces = []
    for draw in draws:
        assert 1 < len(draw.rows) <= max(3, size)
        starts = draw.queries.starts
        assert (starts[0], starts[-1]) == (0, len(draw.rows))
        for lo, hi in pairwise(starts):
            piece = draw.rows[lo:hi]
            assert 1 < len(piece) <= limit
            assert len(set(query[piece])) == 1
            assert np.all(np.diff(relevance[piece]) >= 0)
            pieces.append(query[piece[0]])
    # Only what is too long is cut, into as few pieces as can be.
    n_pieces = np.bincount(pieces, minlength=len(lengths))
    for length, n in zip(lengths, n_pieces, strict=True):
        assert n == (0 if length == 1 else -(-length // limit))


def test_every_epoch_has_other_batches():
    rng = np.random.default_rng(0)
    query = np.repeat(np.arange(20), 5)
    shuffle = QueryShuffle(np.arange(100), query, np.zeros(100), 25, 25)
    first, second = (shuffle.epoch(rng) for _ in range(2))
    assert not np.array_equal(first[0].rows, second[0].rows)
    assert first[0].queries.seed != second[0].queries.seed


def test_parts_of_a_batch_cut_no_query():
    queries = Queries(STARTS, 5)
    assert queries.whole([(0, 6), (6, 12), (12, 19)]) == [(0, 12), (12, 19)]
    assert queries.whole([(0, 19)]) == [(0, 19)]
    part = queries.slice(4, 14)
    assert part.starts.tolist() == [0, 1, 8, 10]
    assert part.seed != queries.seed
