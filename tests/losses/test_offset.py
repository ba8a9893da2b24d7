"""A known offset of each row, added to its scores."""

import numpy as np
import pytest
import torch

from skfm.losses import (
    BinaryLogLoss,
    MultinomialLogLoss,
    OffsetLoss,
    Poisson,
    SquaredError,
    as_target,
)

N = 200
RNG = np.random.default_rng(0)
each_loss = pytest.mark.parametrize(
    ("loss", "target", "n_outputs"),
    [
        (BinaryLogLoss(), RNG.integers(2, size=N), 1),
        (MultinomialLogLoss(3), RNG.integers(3, size=N), 3),
        (Poisson(), RNG.poisson(2.0, size=(N, 1)).astype(float), 1),
        (SquaredError(), RNG.normal(size=(N, 2)), 2),
    ],
    ids=lambda value: type(value).__name__,
)


def joined(loss, target, n_outputs):
    offset = np.random.default_rng(1).normal(size=(N, n_outputs))
    shifted = OffsetLoss(loss, n_outputs)
    return offset, shifted, shifted.join(offset, target)


@each_loss
def test_loss_is_that_of_the_sum(loss, target, n_outputs):
    offset, shifted, both = joined(loss, target, n_outputs)
    scores = torch.randn(N, n_outputs, dtype=torch.float64)
    found = shifted.per_row(scores, as_target(shifted, both, torch.float64))
    own = as_target(loss, target, torch.float64)
    torch.testing.assert_close(
        found, loss.per_row(scores + torch.from_numpy(offset), own)
    )


@each_loss
def test_no_constant_is_better_than_the_baseline(loss, target, n_outputs):
    _, shifted, both = joined(loss, target, n_outputs)
    weight = RNG.uniform(0.5, 2, size=N)
    best = shifted.baseline(both, weight)
    encoded = as_target(shifted, both, torch.float64)

    def mean_loss(constant):
        scores = torch.from_numpy(constant).expand(N, n_outputs)
        return np.average(shifted.per_row(scores, encoded).numpy(), weights=weight)

    for step in (*np.eye(n_outputs), *-np.eye(n_outputs)):
        assert mean_loss(best) <= mean_loss(best + 0.01 * step) + 1e-12


def test_baseline_of_squared_error_is_the_mean_residual():
    offset, shifted, both = joined(SquaredError(), RNG.normal(size=(N, 2)), 2)
    weight = RNG.uniform(0.5, 2, size=N)
    expected = np.average(both[:, 2:] - offset, axis=0, weights=weight)
    np.testing.assert_allclose(shifted.baseline(both, weight), expected, atol=1e-6)
