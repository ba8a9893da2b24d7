"""Losses, their gradients, starting scores and links."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from scipy.special import logsumexp
from sklearn.metrics import log_loss, mean_squared_error

from skfm.losses import (
    BinaryLogLoss,
    Huber,
    MultinomialLogLoss,
    SquaredError,
    as_target,
)

N = 40
RNG = np.random.default_rng(0)
CASES = {
    "binary": (BinaryLogLoss(), RNG.integers(2, size=N), 1),
    "multinomial": (MultinomialLogLoss(4), RNG.integers(4, size=N), 4),
    "squared": (SquaredError(), RNG.normal(size=N), 1),
    "squared, two outputs": (SquaredError(), RNG.normal(size=(N, 2)), 2),
}
each_loss = pytest.mark.parametrize(
    ("loss", "target", "n_outputs"), CASES.values(), ids=CASES
)


def values(loss, scores, target):
    """Each row's loss, as NumPy."""
    encoded = as_target(loss, target, torch.float64)
    return loss.per_row(torch.from_numpy(scores), encoded).detach().numpy()


def random_scores(n_outputs):
    return 3 * np.random.default_rng(1).normal(size=(N, n_outputs))


def reference(loss, scores, target):
    if isinstance(loss, BinaryLogLoss):
        return np.logaddexp(0, scores[:, 0]) - target * scores[:, 0]
    if isinstance(loss, MultinomialLogLoss):
        return logsumexp(scores, axis=1) - scores[np.arange(len(target)), target]
    return 0.5 * ((scores - target.reshape(scores.shape)) ** 2).mean(axis=1)


@each_loss
def test_loss_of_each_row(loss, target, n_outputs):
    scores = random_scores(n_outputs)
    result = values(loss, scores, target)
    assert result.shape == (N,)
    np.testing.assert_allclose(result, reference(loss, scores, target), atol=1e-13)
    of_arrays = loss.host_per_row(scores, target)
    np.testing.assert_allclose(of_arrays, result, atol=1e-13)


def test_other_losses_of_arrays_are_those_of_torch():
    scores, target = random_scores(1), RNG.normal(size=N)
    expected = values(Huber(0.5), scores, target)
    np.testing.assert_array_equal(Huber(0.5).host_per_row(scores, target), expected)


@pytest.mark.parametrize("name", ["binary", "multinomial"])
def test_mean_loss_is_the_log_loss_of_the_link(name):
    loss, target, n_outputs = CASES[name]
    scores = random_scores(n_outputs)
    expected = log_loss(target, loss.link.numpy(scores))
    assert values(loss, scores, target).mean() == pytest.approx(expected, rel=1e-12)


@pytest.mark.parametrize("name", ["squared", "squared, two outputs"])
def test_mean_loss_is_half_the_mean_squared_error_of_the_link(name):
    loss, target, n_outputs = CASES[name]
    scores = random_scores(n_outputs)
    expected = mean_squared_error(target, loss.link.numpy(scores)) / 2
    assert values(loss, scores, target).mean() == pytest.approx(expected, rel=1e-12)


@each_loss
def test_gradient_equals_finite_differences(loss, target, n_outputs):
    scores = random_scores(n_outputs)
    leaf = torch.from_numpy(scores).requires_grad_()
    loss.per_row(leaf, as_target(loss, target, torch.float64)).sum().backward()
    h = 1e-6
    for c in range(n_outputs):
        shift = h * (np.arange(n_outputs) == c)
        up, down = (values(loss, scores + s, target) for s in (shift, -shift))
        np.testing.assert_allclose(leaf.grad[:, c], (up - down) / (2 * h), atol=1e-8)


@pytest.mark.parametrize("score", [-1e4, 1e4])
@pytest.mark.parametrize("name", ["binary", "multinomial"])
def test_loss_and_gradient_of_huge_scores_are_finite(name, score):
    loss, target, n_outputs = CASES[name]
    scores = np.zeros((N, n_outputs))
    scores[:, 0] = score
    leaf = torch.from_numpy(scores).float().requires_grad_()
    loss.per_row(leaf, as_target(loss, target, torch.float32)).sum().backward()
    assert torch.isfinite(leaf.grad).all()
    np.testing.assert_allclose(
        values(loss, scores, target), reference(loss, scores, target)
    )


@each_loss
def test_baseline_is_the_best_constant(loss, target, n_outputs):
    weight = np.random.default_rng(2).random(N)
    baseline = loss.baseline(target, weight)
    assert baseline.shape == (n_outputs,)
    constant = torch.from_numpy(baseline.copy()).requires_grad_()
    encoded = as_target(loss, target, torch.float64)
    per_row = loss.per_row(constant.expand(N, n_outputs), encoded)
    (per_row * torch.from_numpy(weight)).sum().backward()
    # The losses are convex: where the slope vanishes is the minimum.
    np.testing.assert_allclose(constant.grad, 0, atol=1e-12)


def test_multinomial_baseline_is_centred():
    loss, target, _ = CASES["multinomial"]
    assert loss.baseline(target, np.ones(N)).sum() == pytest.approx(0, abs=1e-12)


@pytest.mark.parametrize(
    ("loss", "target", "n_outputs"),
    [
        (BinaryLogLoss(), np.zeros(5), 1),
        (BinaryLogLoss(), np.ones(5), 1),
        (MultinomialLogLoss(3), np.array([0, 2, 2, 0, 2]), 3),
    ],
    ids=["no positive", "no negative", "a class without rows"],
)
def test_baseline_of_a_class_without_rows_is_finite(loss, target, n_outputs):
    baseline = loss.baseline(target, np.ones(5))
    assert np.isfinite(baseline).all()
    share = loss.link.numpy(baseline[None])[0]
    present = [np.mean(target == c) for c in range(len(share))]
    np.testing.assert_allclose(share, present, atol=1e-12)


def scores_up_to_ten_thousand(n_outputs):
    shape = st.tuples(st.integers(1, 5), st.just(n_outputs))
    return arrays(np.float64, shape, elements=st.floats(-1e4, 1e4))


@pytest.mark.parametrize(
    ("loss", "n_outputs"), [(BinaryLogLoss(), 1), (MultinomialLogLoss(4), 4)]
)
def test_link_gives_probabilities_with_finite_logarithms(loss, n_outputs):
    @given(scores_up_to_ten_thousand(n_outputs))
    def check(scores):
        p = loss.link.numpy(scores)
        assert p.shape == (len(scores), max(2, n_outputs))
        assert (p > 0).all()
        assert (p < 1).all()
        assert np.isfinite(np.log(p)).all()
        np.testing.assert_allclose(p.sum(axis=1), 1, rtol=0, atol=4e-16)

    check()


def test_links_at_known_scores():
    p = BinaryLogLoss().link.numpy(np.array([[0.0], [np.log(3)], [-1e4], [1e4]]))
    eps = np.finfo(float).eps
    expected = [[0.5, 0.5], [0.25, 0.75], [1 - eps, eps], [eps, 1 - eps]]
    np.testing.assert_allclose(p, expected, rtol=1e-12)
    p = MultinomialLogLoss(3).link.numpy(np.log([[1.0, 2.0, 5.0]]) + 700)
    np.testing.assert_allclose(p, [[1 / 8, 2 / 8, 5 / 8]], rtol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@each_loss
def test_targets_never_share_memory(loss, target, n_outputs, dtype):
    given_ = target.astype(np.int64 if loss.target_dtype == "int" else np.float64)
    before = given_.copy()
    encoded = as_target(loss, given_, dtype)
    assert encoded.dtype == (torch.int64 if loss.target_dtype == "int" else dtype)
    np.testing.assert_allclose(encoded, before, rtol=1e-6)
    encoded.zero_()
    np.testing.assert_array_equal(given_, before)
