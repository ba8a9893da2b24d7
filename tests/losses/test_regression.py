"""Losses of regressors by scikit-learn's names: values, links, targets, statistics."""

import numpy as np
import pytest
import torch
from common_cases import one_hot
from estimator_cases import make
from sklearn.metrics import (
    mean_absolute_error,
    mean_gamma_deviance,
    mean_pinball_loss,
    mean_poisson_deviance,
    mean_tweedie_deviance,
)

import skfm
from skfm import losses
from skfm.losses import as_target, weighted_quantile

N = 40
RNG = np.random.default_rng(0)
NUMBERS, COUNTS = RNG.normal(size=N), RNG.poisson(2, size=N).astype(float)
AMOUNTS = RNG.gamma(2, size=N) + 0.1
CASES = {
    "absolute": (losses.AbsoluteError(), NUMBERS),
    "huber": (losses.Huber(0.8), NUMBERS),
    "quantile": (losses.Quantile(0.9), NUMBERS),
    "poisson": (losses.Poisson(), COUNTS),
    "tweedie": (losses.Tweedie(1.5), COUNTS),
    "gamma": (losses.Gamma(), AMOUNTS),
    "tweedie above two": (losses.Tweedie(3), AMOUNTS),
    "several outputs": (losses.Tweedie(1.3), np.column_stack([COUNTS, AMOUNTS])),
}
each_loss = pytest.mark.parametrize(("loss", "target"), CASES.values(), ids=CASES)


def columns(target):
    return target.reshape(len(target), -1)


def values(loss, scores, target):
    encoded = as_target(loss, target, torch.float64)
    return loss.per_row(torch.from_numpy(scores), encoded).detach().numpy()


def random_scores(target):
    return np.random.default_rng(1).normal(size=columns(target).shape)


@each_loss
def test_gradient_equals_finite_differences(loss, target):
    scores, h = random_scores(target), 1e-6
    leaf = torch.from_numpy(scores).requires_grad_()
    loss.per_row(leaf, as_target(loss, target, torch.float64)).sum().backward()
    for c in range(scores.shape[1]):
        shift = h * (np.arange(scores.shape[1]) == c)
        up, down = (values(loss, scores + s, target) for s in (shift, -shift))
        np.testing.assert_allclose(leaf.grad[:, c], (up - down) / (2 * h), atol=1e-6)


@each_loss
def test_baseline_is_the_best_constant(loss, target):
    weight = np.random.default_rng(2).random(N)
    best = loss.baseline(target, weight)
    assert best.shape == columns(target).shape[1:]

    def mean_loss(constant):
        scores = np.broadcast_to(constant, columns(target).shape).copy()
        return weight @ values(loss, scores, target)

    for step in (-1e-3, 1e-3):
        assert mean_loss(best) <= mean_loss(best + step) + 1e-12


@pytest.mark.parametrize(
    ("name", "metric"),
    [
        ("absolute", mean_absolute_error),
        ("quantile", lambda y, p: mean_pinball_loss(y, p, alpha=0.9)),
        ("poisson", lambda y, p: mean_poisson_deviance(y, p) / 2),
        ("gamma", lambda y, p: mean_gamma_deviance(y, p) / 2),
        ("tweedie", lambda y, p: mean_tweedie_deviance(y, p, power=1.5) / 2),
        ("tweedie above two", lambda y, p: mean_tweedie_deviance(y, p, power=3) / 2),
    ],
)
def test_losses_differ_by_what_scikit_learns_metrics_differ(name, metric):
    """Deviances leave a term of y alone out: differences of two scores agree."""
    loss, target = CASES[name]
    first, second = random_scores(target), np.zeros((N, 1))
    ours = values(loss, first, target).mean() - values(loss, second, target).mean()
    theirs = [metric(target, loss.link.numpy(s)[:, 0]) for s in (first, second)]
    assert ours == pytest.approx(theirs[0] - theirs[1], rel=1e-9)


def test_huber_is_squared_near_and_linear_far():
    loss = losses.Huber(1.0)
    distance = np.array([0.5, 1.0, 3.0])
    result = values(loss, distance[:, None], np.zeros(3))
    np.testing.assert_allclose(result, [0.125, 0.5, 2.5])


@pytest.mark.parametrize("quantile", [0.0, 0.1, 0.5, 0.75, 1.0])
def test_weight_two_counts_as_two_rows(quantile):
    weight = RNG.integers(0, 3, size=N)
    twice = np.repeat(NUMBERS, weight)[:, None]
    expected = np.quantile(twice, quantile, method="inverted_cdf")
    result = weighted_quantile(NUMBERS[:, None], weight, quantile)
    np.testing.assert_array_equal(result, [expected])


# Through the estimators.

X, CELLS = one_hot(1500, (4, 5, 3))
EFFECT = np.array([-1.0, -0.3, 0.3, 1.0])[CELLS[:, 0]] + 0.4 * (CELLS[:, 2] == 1)
TRAIN, TEST = slice(0, 1000), slice(1000, None)
CLAIMS = RNG.poisson(np.exp(EFFECT - 1)).astype(float)


@pytest.mark.parametrize(
    ("loss", "bad", "message"),
    [
        ("poisson", -1.0, "zero or more for loss='poisson', but is -1.0 in row 7"),
        ("gamma", 0.0, "above zero for loss='gamma', but is 0.0 in row 7"),
        ("tweedie", -2.0, "zero or more for loss='tweedie' with power=1.5.* in row 7"),
    ],
)
@pytest.mark.parametrize("where", ["y", "y_val"])
def test_targets_out_of_range(loss, bad, message, where):
    good = CLAIMS + 1
    wrong = good.copy()
    wrong[7] = bad
    data = {"y": good, "X_val": X, "y_val": good} | {where: wrong}
    model = make(skfm.FMRegressor, loss=loss)
    with pytest.raises(ValueError, match=rf"{where} must be .*{message}"):
        model.fit(X, **data)
    assert not hasattr(model, "network_")


@pytest.mark.parametrize("loss", ["poisson", "tweedie"])
def test_a_target_of_zeros(loss):
    with pytest.raises(ValueError, match="zero in every row"):
        make(skfm.FMRegressor, loss=loss).fit(X, 0 * CLAIMS)


def test_poisson_beats_squared_error_on_claim_counts():
    def deviance(loss):
        model = make(skfm.FMRegressor, loss=loss, max_iter=40, alpha_factors=0.01)
        prediction = model.fit(X[TRAIN], CLAIMS[TRAIN]).predict(X[TEST])
        return mean_poisson_deviance(CLAIMS[TEST], np.maximum(prediction, 1e-3))

    assert deviance("poisson") < deviance("squared_error")


def test_coefficients_of_a_log_link_are_of_the_logarithm():
    model = make(skfm.FMRegressor, loss="poisson", init_scale=0).fit(X, CLAIMS)
    expected = np.exp(model.intercept_ + X @ model.coef_)
    np.testing.assert_allclose(model.predict(X), expected, rtol=1e-5)


@pytest.mark.parametrize("quantile", [0.1, 0.9])
def test_a_quantile_covers_its_share_of_held_out_rows(quantile):
    rng = np.random.default_rng(5)
    X, cells = one_hot(4000, (4, 5))
    y = 10 * cells[:, 0] + rng.gumbel(size=4000) * (1 + cells[:, 1])
    model = make(
        skfm.FMRegressor,
        **{"loss": "quantile", "quantile": quantile, "max_iter": 60},
        **{"batch_size": 200, "learning_rate_schedule": "cosine"},
    ).fit(X[:3000], y[:3000])
    covered = np.mean(y[3000:] <= model.predict(X[3000:]))
    assert abs(covered - quantile) <= 0.02


@pytest.mark.parametrize("loss", ["absolute_error", "huber", "quantile"])
def test_robust_losses_in_any_unit(loss):
    """Outliers of any size, and units of y, change little or nothing."""
    y = EFFECT + 0.1 * RNG.normal(size=len(EFFECT))
    spoilt = np.where(RNG.random(len(y)) < 0.05, 1e4, y)
    fit = {"loss": loss, "max_iter": 40, "batch_size": 150}
    plain = make(skfm.FMRegressor, **fit).fit(X, spoilt).predict(X)
    scaled = make(skfm.FMRegressor, **fit).fit(X, 1e6 * spoilt + 1e7).predict(X)
    np.testing.assert_allclose(scaled, 1e6 * plain + 1e7, rtol=1e-6)
    assert np.mean(np.abs(plain - EFFECT)) < 0.1
    squared = make(skfm.FMRegressor, batch_size=150).fit(X, spoilt).predict(X)
    assert np.mean(np.abs(squared - EFFECT)) > 10


def squared(scores, target):
    return 0.5 * (scores - target).square().mean(dim=1)


def test_a_callable_is_the_loss_it_computes():
    y = np.column_stack([EFFECT, CLAIMS])
    y = (y - y.mean(axis=0)) / y.std(axis=0)
    own = make(skfm.FMRegressor, loss=squared).fit(X, y)
    named = make(skfm.FMRegressor, loss="squared_error").fit(X, y)
    np.testing.assert_allclose(own.predict(X), named.predict(X), atol=1e-5)
    assert own.y_scale_.tolist() == [1, 1]


@pytest.mark.parametrize(
    ("function", "message"),
    [
        (lambda s, t: (s - t).square(), r"shape \(1500,\).*got \(1500, 1\)"),
        (lambda s, t: 1.0, "must return a tensor"),
        (lambda s, t: (s - t).detach()[:, 0], "cannot be differentiated"),
    ],
)
def test_invalid_callables_are_refused(function, message):
    model = make(skfm.FMRegressor, loss=function, early_stopping=False)
    with pytest.raises(ValueError, match=message):
        model.fit(X, CLAIMS)
    assert not hasattr(model, "network_")


def test_a_warm_start_cannot_change_the_link():
    model = make(skfm.FMRegressor, warm_start=True).fit(X, CLAIMS)
    before = model.predict(X)
    with pytest.raises(ValueError, match="another link"):
        model.set_params(loss="poisson").fit(X, CLAIMS)
    np.testing.assert_array_equal(
        model.set_params(loss="squared_error").predict(X), before
    )
