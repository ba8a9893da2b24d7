"""The optimizers against torch's own, and what they promise about rows."""

import math
import subprocess
import sys
from functools import partial

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from optimizer_cases import BY_SUMS, PATHS, naive_ftrl
from sparse_cases import DTYPES, N_COLUMNS, N_FACTORS, batch_of, random_table

from skfm.nn.layers import MLP
from skfm.optim import OPTIMIZERS, dense_adam
from skfm.optim.dense_adam import DenseAdam, fused_step, plain_step
from skfm.optim.row_optimizers import Adam
from skfm.runtime.threads import torch_threads
from skfm.sparse import RowGradient

TORCH_OPTIMIZERS = {
    "sgd": torch.optim.SGD,
    "adagrad": partial(torch.optim.Adagrad, eps=1.0),
    "adam": torch.optim.Adam,
    # Without L1, FTRL-Proximal takes Adagrad's steps.
    "ftrl": partial(torch.optim.Adagrad, eps=1.0),
    "momentum": partial(torch.optim.SGD, momentum=0.9),
}
N_STATES = {"sgd": 0, "momentum": 1, "adagrad": 1, "adam": 2, "ftrl": 2}
N_STEPS = 60


@pytest.fixture(autouse=True)
def one_thread():
    """Two threads spin for longer than they work on tensors of this size."""
    with torch_threads(1):
        yield


def full_rows(seed, n_rows=6):
    """Real values in every cell: each column occurs in each batch."""
    return np.random.default_rng(seed).normal(size=(n_rows, N_COLUMNS))


def step_once(table, optimizer, dense, slope=None):
    """One step on the sum of squared pooled leaves, or of ``slope`` times the linear
    leaf."""
    batch = batch_of(sp.csr_array(dense), str(table.numpy_dtype))
    result = table.look_up(batch, training=True)
    if slope is None:
        loss = sum(leaf.square().sum() for leaf in result.leaves()) / 100
    else:
        loss = slope * result.linear.sum()
    loss.backward()
    penalty = torch.zeros(len(batch), 2, dtype=table.weight.dtype)
    optimizer.step(RowGradient.of(table, batch, [result], penalty))


@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_that_always_occur_move_as_under_torch(name, backend):
    table = random_table("pooled", backend=backend)
    start = table.weight[:]
    weight = start.clone().requires_grad_()
    ours = OPTIMIZERS[name](table, 0.05)
    theirs = TORCH_OPTIMIZERS[name]([weight], lr=0.05)
    for seed in range(N_STEPS):
        if seed == N_STEPS // 2:
            ours.learning_rate = theirs.param_groups[0]["lr"] = 0.01
        dense = full_rows(seed)
        step_once(table, ours, dense)
        X = torch.from_numpy(dense)
        factors = weight[:, 1:]
        leaves = [X @ weight[:, :1], X @ factors, X.square() @ factors.square()]
        theirs.zero_grad()
        (sum(leaf.square().sum() for leaf in leaves) / 100).backward()
        theirs.step()
    assert ours.n_steps == N_STEPS
    assert (table.weight[:] - start).abs().min() > 1e-3
    np.testing.assert_allclose(table.weight[:], weight.detach(), rtol=1e-9, atol=1e-10)


@pytest.mark.parametrize("dtype", DTYPES)
@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_untouched_rows_stand_still(name, backend, dtype):
    table = random_table("pooled", dtype=dtype, backend=backend)
    optimizer = OPTIMIZERS[name](table, 0.05)
    step_once(table, optimizer, full_rows(0))  # momentum everywhere
    before = [t[:] for t in (table.weight, *optimizer.state)]
    touched = np.arange(N_COLUMNS) % 3 == 0
    for seed in range(3):
        step_once(table, optimizer, full_rows(seed) * touched)
    after = [t[:] for t in (table.weight, *optimizer.state)]
    for old, new in zip(before, after, strict=True):
        assert new.dtype == DTYPES[dtype]
        assert torch.equal(old[~touched], new[~touched])
        assert (old[touched] != new[touched]).all()


def naive_rows(name, weight, gradient, state, t, lr=0.05):
    """One step of some rows' weights, by the papers' formulas; updates ``state``."""
    if name == "sgd":
        return weight - lr * gradient
    if name == "adagrad":
        state[0] += gradient**2
        return weight - lr * gradient / (np.sqrt(state[0]) + 1)
    if name == "momentum":
        state[0] = 0.9 * state[0] + gradient
        return weight - lr * state[0]
    if name == "ftrl":
        return naive_ftrl(weight, gradient, state, lr)
    state[0] = 0.9 * state[0] + 0.1 * gradient
    state[1] = 0.999 * state[1] + 0.001 * gradient**2
    mean, variance = state[0] / (1 - 0.9**t), state[1] / (1 - 0.999**t)
    return weight - lr * mean / (np.sqrt(variance) + 1e-8)


@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("name", OPTIMIZERS)
def test_rows_that_come_and_go_have_states_of_their_own(name, backend):
    table = random_table("pooled", backend=backend)
    optimizer = OPTIMIZERS[name](table, 0.05)
    weight = table.weight[:].numpy().copy()
    state = np.zeros((optimizer.n_states, *weight.shape))
    for t in range(1, 13):
        present = np.random.default_rng(t).random(N_COLUMNS) < 0.4
        batch = batch_of(sp.csr_array(full_rows(t) * present))
        result = table.look_up(batch, training=True)
        (sum(leaf.square().sum() for leaf in result.leaves()) / 100).backward()
        penalty = torch.full((len(batch), 2), 0.1, dtype=torch.float64)
        gradient = RowGradient.of(table, batch, [result], penalty)
        columns, rows = (part.numpy() for part in gradient.coalesce())
        optimizer.n_rows = 1.0 + t % 3  # batches need not be of one size
        if name in BY_SUMS:
            rows = optimizer.n_rows * rows
        touched = state[:, columns]
        weight[columns] = naive_rows(name, weight[columns], rows, touched, t)
        state[:, columns] = touched
        optimizer.step(gradient)
        np.testing.assert_allclose(table.weight[:], weight, rtol=1e-9, atol=1e-10)
    for ours, naive in zip(optimizer.state, state, strict=True):
        np.testing.assert_allclose(ours[:], naive, rtol=1e-9)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_state_starts_at_zero_with_the_shape_of_the_table(name):
    table = random_table("pooled")
    optimizer = OPTIMIZERS[name](table, 0.05)
    assert len(optimizer.state) == N_STATES[name]
    for state in optimizer.state:
        assert state.shape == (N_COLUMNS, 1 + N_FACTORS)
        assert not state[:].any()


def rare_touch(table, optimizer, slope):
    """Length of the step of column 0's linear weight at its first occurrence."""
    dense = np.zeros((1, N_COLUMNS))
    dense[0, 0] = 1
    before = table.weight.linear[0, 0].item()
    step_once(table, optimizer, dense, slope)
    return before - table.weight.linear[0, 0].item()


def others(n_steps, table, optimizer):
    """Let all columns but the first occur ``n_steps`` times."""
    for seed in range(n_steps):
        dense = full_rows(seed)
        dense[:, 0] = 0
        step_once(table, optimizer, dense)


@pytest.mark.parametrize("slope", [1e-3, -2.0, 1e4])
@pytest.mark.parametrize("n_rows", [1, 64])
@pytest.mark.parametrize("n_before", [0, 5])
@pytest.mark.parametrize("backend", PATHS)
@pytest.mark.parametrize("name", ["adagrad", "ftrl"])
def test_first_step_is_as_long_as_the_evidence(name, backend, n_before, n_rows, slope):
    table = random_table("pooled", backend=backend)
    optimizer = OPTIMIZERS[name](table, 0.3)
    others(n_before, table, optimizer)
    optimizer.n_rows = float(n_rows)
    step = rare_touch(table, optimizer, slope / n_rows)
    assert step == pytest.approx(0.3 * slope / (abs(slope) + 1), rel=1e-9)


@pytest.mark.parametrize("n_before", [0, 200])
@pytest.mark.parametrize("backend", PATHS)
def test_first_adam_step_of_a_rare_column(backend, n_before):
    table = random_table("pooled", backend=backend)
    optimizer = OPTIMIZERS["adam"](table, 0.01)
    others(n_before, table, optimizer)
    beta1, beta2, t = Adam.beta1, Adam.beta2, n_before + 1
    step = (1 - beta1) / (1 - beta1**t) * math.sqrt((1 - beta2**t) / (1 - beta2))
    assert rare_touch(table, optimizer, 1.0) == pytest.approx(0.01 * step, rel=1e-6)


def test_lazy_adam_first_touch_late_in_training_is_three_learning_rates():
    table = random_table("pooled")
    optimizer = OPTIMIZERS["adam"](table, 0.01)
    optimizer.n_steps = 100_000
    step = rare_touch(table, optimizer, 1.0)
    assert step == pytest.approx(0.01 * math.sqrt(10), rel=1e-3)
    # Nothing moves after it while the column is away.
    before = table.weight[:][0]
    others(3, table, optimizer)
    assert torch.equal(table.weight[:][0], before)


def small_network(seed=0):
    network = MLP(
        4, (6, 5), 2, activation="tanh", dropout=0.0, batch_norm=True
    ).double()
    generator = torch.Generator().manual_seed(seed)
    with torch.no_grad():
        for parameter in network.parameters():
            parameter.normal_(generator=generator)
    return network


def torch_adam(network, learning_rate, alpha):
    matrices = [p for p in network.parameters() if p.dim() > 1]
    vectors = [p for p in network.parameters() if p.dim() <= 1]
    groups = [
        {"params": matrices, "weight_decay": alpha},
        {"params": vectors, "weight_decay": 0.0},
    ]
    return torch.optim.Adam(groups, lr=learning_rate)


def mean_loss(network, seed):
    generator = torch.Generator().manual_seed(seed)
    x = torch.randn(20, 4, generator=generator, dtype=torch.float64)
    return network(x).sub(x[:, :2]).square().mean()


def learn(network, dense, steps, shares=(1.0,)):
    """Steps of `DenseAdam`, the gradient divided between buffers."""
    parameters = list(network.parameters())
    buffers = dense.gradient_buffers(len(shares))
    for seed in steps:
        gradients = torch.autograd.grad(mean_loss(network, seed), parameters)
        flat = torch.cat([gradient.flatten() for gradient in gradients])
        for buffer, share in zip(buffers, shares, strict=True):
            buffer.copy_(share * flat)
        dense.step()


@pytest.mark.parametrize("shares", [(1.0,), (4.0, -2.0, -1.0)])
@pytest.mark.parametrize("alpha", [0.0, 0.1])
# A norm that is never reached: the gradient is reduced as a whole, not in parts.
@pytest.mark.parametrize("clip_norm", [None, 1e9], ids=["parts", "whole"])
def test_dense_adam_equals_torch_adam(alpha, shares, clip_norm):
    ours, theirs = small_network(), small_network()
    dense = DenseAdam(ours.parameters(), 0.01, alpha, clip_norm)
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        assert torch.equal(mine, other)
    learn(ours, dense, range(N_STEPS), shares)
    optimizer = torch_adam(theirs, 0.01, alpha)
    for seed in range(N_STEPS):
        optimizer.zero_grad()
        mean_loss(theirs, seed).backward()
        optimizer.step()
    for mine, other in zip(ours.parameters(), theirs.parameters(), strict=True):
        np.testing.assert_allclose(mine.detach(), other.detach(), rtol=1e-8, atol=1e-10)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_fused_step_equals_the_plain_one(dtype):
    rng = np.random.default_rng(0)
    states = [
        torch.from_numpy(np.stack([part, 0 * part, 0 * part])).to(dtype)
        for part in [rng.normal(size=3_001)] * 2
    ]
    options = {"learning_rate": 0.1, "betas": (0.9, 0.99), "epsilon": 1e-8}
    for n_steps in range(1, 6):
        gradient = torch.from_numpy(rng.normal(size=3_001)).to(dtype)
        for step, (values, mean, variance) in zip(
            (fused_step, plain_step), states, strict=True
        ):
            count = torch.tensor(float(n_steps))
            step(values, gradient, mean, variance, count, **options)
    eps = torch.finfo(dtype).eps
    np.testing.assert_allclose(*states, rtol=30 * eps, atol=30 * eps)


@pytest.mark.slow
def test_adam_starts_without_the_compiler_of_torch():
    code = (
        "import sys, torch\n"
        "from skfm.optim import DenseAdam\n"
        "adam = DenseAdam([torch.nn.Parameter(torch.ones(3))], 0.1)\n"
        "adam.gradient_buffers(1)[0].fill_(1)\n"
        "adam.step()\n"
        "assert (adam.values < 1).all()\n"
        "assert 'torch._dynamo' not in sys.modules\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True)


def test_dense_adam_continues_from_its_state():
    whole, halves = small_network(), small_network()
    learn(whole, DenseAdam(whole.parameters(), 0.01, 0.1), range(10))
    first = DenseAdam(halves.parameters(), 0.01, 0.1)
    learn(halves, first, range(5))
    second = DenseAdam(halves.parameters(), 0.01, 0.1)
    second.mean, second.variance = first.mean, first.variance
    second.n_steps = first.n_steps
    learn(halves, second, range(5, 10))
    for one, other in zip(whole.parameters(), halves.parameters(), strict=True):
        assert torch.equal(one, other)


def test_dense_adam_gives_the_same_bits_for_any_number_of_threads(monkeypatch):
    monkeypatch.setattr(dense_adam, "_WEIGHTS_PER_THREAD", 20_000)
    rng = np.random.default_rng(0)
    weights, gradients = rng.normal(size=90_001), rng.normal(size=(3, 90_001))
    results = []
    for n_threads in (1, 2, 3):
        dense = DenseAdam([torch.nn.Parameter(torch.from_numpy(weights))], 0.1, 0.5)
        for buffer, gradient in zip(dense.gradient_buffers(3), gradients, strict=True):
            buffer.copy_(torch.from_numpy(gradient))
        for _ in range(3):
            dense.step(n_threads)
        results.append(torch.stack([dense.values, dense.mean, dense.variance]))
    assert all(torch.equal(results[0], other) for other in results[1:])
    assert not torch.equal(results[0][0], torch.from_numpy(weights))
