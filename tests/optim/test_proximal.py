"""L1 by proximal steps, and clipping, on the rows of a table."""

import numpy as np
import pytest
import torch
from common_cases import one_hot
from estimator_cases import make
from optimizer_cases import BY_SUMS, PATHS, naive_ftrl
from sklearn.linear_model import Lasso
from sparse_cases import N_FACTORS, batch_of, random_csr, random_table

import skfm
from skfm.optim import OPTIMIZERS
from skfm.optim.dense_adam import DenseAdam
from skfm.sparse import RowGradient

L1 = {"l1_linear": 0.3, "l1_factors": 0.1}
BY_COLUMN = np.array([0.3] + [0.1] * N_FACTORS)


def reduced(table, X, share):
    """The gradient of a look-up's squared leaves, and how much each row counts."""
    batch = batch_of(X)
    result = table.look_up(batch, training=True)
    (sum(leaf.square().sum() for leaf in result.leaves()) / 100).backward()
    gradient = RowGradient.of(table, batch, [result], torch.zeros(len(batch), 2))
    gradient.share = torch.from_numpy(share)
    columns, rows = (part.numpy().copy() for part in gradient.coalesce())
    return gradient, columns, rows


def shares_of(X):
    share = np.random.default_rng(7).random(X.shape[0])
    return share, share @ np.abs(X.toarray())


def soften(weight, threshold):
    return np.sign(weight) * np.maximum(np.abs(weight) - threshold, 0)


@pytest.mark.parametrize("unit", [False, True])
@pytest.mark.parametrize("backend", PATHS)
def test_absolute_shares(backend, unit):
    X = random_csr(unit=unit)
    share, expected = shares_of(X)
    table = random_table("pooled", backend=backend)
    gradient, columns, _ = reduced(table, X, share)
    np.testing.assert_allclose(gradient.absolute_shares(), expected[columns])


@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("name", ["sgd", "momentum", "adagrad", "adam", "ftrl"])
def test_proximal_steps_equal_the_formulas(name, backend):
    table = random_table("pooled", backend=backend)
    optimizer = OPTIMIZERS[name](table, 0.05, **L1)
    weight = table.weight[:].numpy().copy()
    state = np.zeros((3, *weight.shape))
    for t in range(1, 6):
        X = random_csr(seed=t)
        share, by_column = shares_of(X)
        gradient, columns, g = reduced(table, X, share)
        pull = by_column[columns][:, None] * BY_COLUMN
        w, touched = weight[columns], state[:, columns]
        optimizer.n_rows = 0.5 * t
        if name in BY_SUMS:
            g, pull = optimizer.n_rows * g, optimizer.n_rows * pull
        if name == "ftrl":
            touched[2] += 0.05 * pull
            w = naive_ftrl(w, g, touched, 0.05, l1=touched[2])
        else:
            rate = 0.05
            if name == "sgd":
                w = w - 0.05 * g
            elif name == "momentum":
                touched[0] = 0.9 * touched[0] + g
                w, rate = w - 0.05 * touched[0], 0.05 / (1 - 0.9)
            elif name == "adagrad":
                touched[0] += g**2
                rate = 0.05 / (np.sqrt(touched[0]) + 1)
                w = w - rate * g
            else:
                touched[0] = 0.9 * touched[0] + 0.1 * g
                touched[1] = 0.999 * touched[1] + 0.001 * g**2
                rate = 0.05 / (np.sqrt(touched[1] / (1 - 0.999**t)) + 1e-8)
                w = w - rate * touched[0] / (1 - 0.9**t)
            w = soften(w, rate * pull)
        weight[columns], state[:, columns] = w, touched
        optimizer.step(gradient)
        np.testing.assert_allclose(table.weight[:], weight, rtol=1e-7, atol=1e-9)
        np.testing.assert_array_equal(table.weight[:].numpy() == 0, weight == 0)
    assert np.any(weight == 0)


@pytest.mark.parametrize("backend", PATHS)
def test_rows_are_clipped_one_by_one(backend):
    X, limit = random_csr(), 2.0
    table = random_table("pooled", backend=backend)
    optimizer = OPTIMIZERS["sgd"](table, 1.0, clip_norm=limit)
    before = table.weight[:].numpy().copy()
    gradient, columns, g = reduced(table, X, np.ones(X.shape[0]))
    optimizer.step(gradient)
    step = before - table.weight[:].numpy()
    norms = np.linalg.norm(g, axis=1)
    assert norms.min() < limit < norms.max()
    expected = g * np.minimum(1, limit / norms)[:, None]
    np.testing.assert_allclose(step[columns], expected, atol=1e-12)
    assert not np.delete(step, columns, axis=0).any()


def test_dense_weights_are_clipped_together():
    def moments(clip_norm):
        weights = [
            torch.nn.Parameter(torch.ones(2, 3)),
            torch.nn.Parameter(torch.ones(1)),
        ]
        adam = DenseAdam(weights, 0.1, alpha=1.0, clip_norm=clip_norm)
        adam.gradient_buffers(2)[1].fill_(2.0)
        adam.step()
        return adam.mean.numpy()

    # 2 and the penalty's 1 for the matrix, 2 for the bias: a norm of sqrt(58).
    expected = 0.1 * np.array([3.0] * 6 + [2.0])
    np.testing.assert_allclose(moments(None), expected, rtol=1e-6)
    np.testing.assert_allclose(moments(8.0), moments(None), rtol=1e-6)
    np.testing.assert_allclose(moments(1.0), moments(None) / np.sqrt(58), rtol=1e-6)


# Through the estimators.

X, CELLS = one_hot(600, (5, 4, 6))
Y = np.array([1.0, -1.0, 0, 0, 0])[CELLS[:, 0]]
NOISY = Y + 0.3 * np.random.default_rng(0).normal(size=len(Y))


FULL = {"batch_size": len(Y), "max_iter": 150, "early_stopping": False}
SETTINGS = {
    "adagrad": {"learning_rate": 0.3, **FULL},
    "adam": {"learning_rate": 0.03, **FULL},
    "sgd": {"learning_rate": 1.0, **FULL},
    "momentum": {"optimizer": "sgd", "learning_rate": 0.1, "momentum": 0.9, **FULL},
    # FTRL remembers all pulls, so that the noise of small batches does not matter.
    "ftrl": {
        "learning_rate": 0.3,
        "batch_size": 32,
        "max_iter": 30,
        "early_stopping": False,
    },
}


@pytest.mark.parametrize("name", SETTINGS)
def test_l1_leaves_exact_zeros_where_nothing_is_to_learn(name):
    parameters = {"optimizer": name, **SETTINGS[name]}
    model = make(
        skfm.FMRegressor,
        **parameters,
        **{"alpha_linear": 0.15, "l1_ratio_linear": 1.0},
        **{"alpha_factors": 0.15, "l1_ratio_factors": 1.0},
    ).fit(X, NOISY)
    assert np.all(model.coef_[2:] == 0)
    assert np.all(np.abs(model.coef_[:2]) > 0.3)
    assert np.all(model.factors_ == 0)


def test_l1_is_the_lasso_of_a_linear_model():
    """A full batch of exact proximal gradient steps, against scikit-learn's."""
    alpha = 0.05
    model = make(
        skfm.FMRegressor,
        **{"optimizer": "sgd", "learning_rate": 1.0, "network_learning_rate": 0.03},
        **{"batch_size": len(Y), "max_iter": 800, "init_scale": 0.0},
        early_stopping=False,
        **{"alpha_linear": alpha, "l1_ratio_linear": 1.0},
    ).fit(X, NOISY)
    y = (NOISY - NOISY.mean()) / NOISY.std()
    # The sum of |x_i w_i| over rows grows with the frequency of a column: scale it.
    frequency = np.asarray(X.mean(axis=0))
    lasso = Lasso(alpha=alpha, tol=1e-12, max_iter=100_000)
    lasso.fit(X.toarray() / frequency, y)
    ours = model.coef_ / NOISY.std()
    np.testing.assert_allclose(ours, lasso.coef_ / frequency, atol=2e-3)
    np.testing.assert_array_equal(ours == 0, lasso.coef_ == 0)


@pytest.mark.parametrize(
    ("parameters", "message"),
    [
        ({"momentum": 0.9}, "momentum=0.9 .*optimizer='adagrad'"),
        ({"l1_ratio_linear": 0.5, "alpha_linear": 0}, "share of alpha_linear"),
        ({"l1_ratio_factors": 0.5, "alpha_factors": 0}, "share of alpha_factors"),
    ],
)
def test_parameters_that_would_do_nothing_are_refused(parameters, message):
    model = make(skfm.FMRegressor, **parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(X, Y)
    assert not hasattr(model, "network_")


@pytest.mark.parametrize("cls", [skfm.FMRegressor, skfm.DeepFMRegressor])
@pytest.mark.parametrize(
    "parameters",
    [
        {"optimizer": "ftrl"},
        {"optimizer": "ftrl", "l1_ratio_linear": 0.5},
        {"optimizer": "sgd", "momentum": 0.9},
        {"clip_norm": 0.01},
    ],
)
def test_continuing_takes_the_optimizer_along(cls, parameters):
    """Two passes over the rows are one model of two epochs, to the bit."""
    fixed = {"batch_size": len(Y), "early_stopping": False, "warm_start": True}
    at_once = make(cls, **fixed | parameters, max_iter=4).fit(X, Y)
    in_two = make(cls, **fixed | parameters, max_iter=2).fit(X, Y).fit(X, Y)
    assert not np.array_equal(at_once.predict(X), np.full(len(Y), Y.mean()))
    np.testing.assert_array_equal(at_once.predict(X), in_two.predict(X))
