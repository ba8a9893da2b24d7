"""The dense layers against naive NumPy references."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, arrays
from layer_cases import generator, randomize

from skfm.nn.layers import (
    ACTIVATIONS,
    MLP,
    BatchNorm,
    Dropout,
    InteractionHead,
    Linear,
    PairAttention,
    bi_interaction,
)


@given(
    arrays(
        np.float64,
        array_shapes(min_dims=2, max_dims=2, min_side=0, max_side=6),
        elements=st.floats(-10, 10, width=32),
    )
)
def test_bi_interaction_equals_double_loop(entries):
    """``entries`` are the x v of one row's non-zeros, of shape (m, k)."""
    expected = np.zeros(entries.shape[1])
    for i, j in itertools.combinations(range(len(entries)), 2):
        expected += entries[i] * entries[j]
    total = torch.from_numpy(entries.sum(axis=0))[None]
    squares = torch.from_numpy((entries**2).sum(axis=0))[None]
    np.testing.assert_allclose(bi_interaction(total, squares)[0], expected, atol=1e-10)


def test_bi_interaction_gradient_is_the_sum_of_the_others():
    entries = torch.randn(5, 3, generator=generator(), dtype=torch.float64)
    entries.requires_grad_()
    total, squares = entries.sum(0, keepdim=True), entries.square().sum(0, keepdim=True)
    bi_interaction(total, squares).sum().backward()
    others = entries.sum(0) - entries
    np.testing.assert_allclose(entries.grad, others.detach(), atol=1e-12)


NUMPY_ACTIVATIONS = {
    "relu": lambda x: np.maximum(x, 0),
    "tanh": np.tanh,
    "sigmoid": lambda x: 1 / (1 + np.exp(-x)),
    "silu": lambda x: x / (1 + np.exp(-x)),
    "identity": lambda x: x,
}


def network_has_norm(network):
    return any(isinstance(layer, BatchNorm) for layer in network.hidden)


def naive_mlp(network, x, activation, training):
    """Linear, batch norm (if there), activation; then the output."""
    for layer in network.hidden:
        if isinstance(layer, Linear):
            x = x @ layer.weight.detach().numpy().T
            assert (layer.bias is None) == network_has_norm(network)
            x = x if layer.bias is None else x + layer.bias.detach().numpy()
        elif isinstance(layer, BatchNorm):
            mean, variance = layer.running_mean.numpy(), layer.running_var.numpy()
            if training:
                mean, variance = x.mean(axis=0), x.var(axis=0)
            scale, shift = layer.weight.detach().numpy(), layer.bias.detach().numpy()
            x = scale * (x - mean) / np.sqrt(variance + 1e-3) + shift
        elif isinstance(layer, ACTIVATIONS[activation]):
            x = NUMPY_ACTIVATIONS[activation](x)
    output = network.output
    x = x @ output.weight.detach().numpy().T
    return x if output.bias is None else x + output.bias.detach().numpy()


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("batch_norm", [True, False])
@pytest.mark.parametrize("hidden", [(), (5,), (5, 3)])
@pytest.mark.parametrize("activation", NUMPY_ACTIVATIONS)
def test_mlp_equals_numpy(activation, hidden, batch_norm, training):
    options = {"activation": activation, "dropout": 0.0, "batch_norm": batch_norm}
    network = randomize(MLP(4, hidden, 2, **options)).train(training)
    x = np.random.default_rng(0).normal(size=(7, 4))
    expected = naive_mlp(network, x, activation, training)
    scores = network(torch.from_numpy(x)).detach()
    assert scores.shape == (7, 2)
    np.testing.assert_allclose(scores, expected, atol=1e-12)


def test_mlp_layers_stand_in_order():
    network = MLP(4, (5, 3), 2, activation="gelu", dropout=0.1, batch_norm=True)
    one = [Linear, BatchNorm, torch.nn.GELU, Dropout]
    assert [type(layer) for layer in network.hidden] == one * 2
    assert network.output.bias is not None
    bare = MLP(4, (), 2, activation="relu", dropout=0.1, batch_norm=True, bias=False)
    assert len(bare.hidden) == 0
    assert bare.output.bias is None


@pytest.mark.parametrize("rate", [0.1, 0.5, 0.9])
def test_dropout_zeroes_its_share_and_keeps_the_mean(rate):
    layer = Dropout(rate)
    layer.generator = generator()
    out = layer(torch.ones(200_000, dtype=torch.float64))
    # Six standard errors of a share of 200,000 draws.
    tolerance = 6 * np.sqrt(rate * (1 - rate) / 200_000)
    assert (out == 0).double().mean().item() == pytest.approx(rate, abs=tolerance)
    assert out.mean().item() == pytest.approx(1, abs=tolerance / (1 - rate))
    # Shares are multiples of 2^-16.
    np.testing.assert_allclose(np.unique(out), [0, 1 / (1 - rate)], rtol=1e-4)


def test_dropout_gradient_is_its_mask():
    layer = Dropout(0.5)
    layer.generator = generator()
    x = torch.full((100,), 3.0, requires_grad=True)
    out = layer(x)
    out.sum().backward()
    assert torch.equal(x.grad * 3, out.detach())


@pytest.mark.parametrize(("rate", "training"), [(0.5, False), (0.0, True)])
def test_dropout_that_is_off_passes_its_input(rate, training):
    layer = Dropout(rate).train(training)
    x = torch.ones(50)
    assert layer(x) is x


def test_dropout_repeats_with_its_generator():
    x = torch.ones(1000)
    first, second, other = Dropout(0.5), Dropout(0.5), Dropout(0.5)
    first.generator, second.generator = generator(1), generator(1)
    other.generator = generator(2)
    torch.rand(3, generator=torch.default_generator)  # a foreign stream moves on
    once, again = first(x), first(x)
    assert torch.equal(once, second(x))
    assert not torch.equal(once, again)
    assert not torch.equal(once, other(x))


def test_batch_norm_of_a_single_row_uses_the_running_statistics():
    layer = randomize(BatchNorm(3)).train()
    x = torch.randn(1, 3, generator=generator(), dtype=torch.float64)
    before = layer.running_mean.clone(), layer.running_var.clone()
    training = layer(x)
    assert torch.equal(layer.running_mean, before[0])
    assert torch.equal(layer.running_var, before[1])
    expected = (x - before[0]) / (before[1] + 1e-3).sqrt() * layer.weight + layer.bias
    np.testing.assert_allclose(training.detach(), expected.detach(), atol=1e-12)
    np.testing.assert_allclose(training.detach(), layer.eval()(x).detach(), atol=1e-12)


def test_interaction_head_with_one_output_sums():
    head = InteractionHead(4, 1)
    head.initialize(generator())
    x = torch.randn(5, 4, generator=generator(), dtype=torch.float64)
    assert not list(head.parameters())
    np.testing.assert_allclose(head(x)[:, 0], x.numpy().sum(axis=1))


def test_interaction_head_with_three_outputs_weighs_the_factors():
    head = InteractionHead(400, 3).double()
    head.initialize(generator())
    x = torch.randn(5, 400, generator=generator(1), dtype=torch.float64)
    weight = head.weight.detach().numpy()
    np.testing.assert_allclose(head(x).detach(), x.numpy() @ weight, atol=1e-10)
    assert weight.shape == (400, 3)
    assert weight.mean() == pytest.approx(0, abs=6 / np.sqrt(1200))
    assert weight.std() == pytest.approx(1, abs=6 / np.sqrt(2400))


BUILDERS = {
    "linear": lambda: Linear(4, 3),
    "mlp": lambda: MLP(4, (5,), 2, activation="relu", dropout=0.5, batch_norm=True),
    "attention": lambda: PairAttention(4, 3),
    "head": lambda: InteractionHead(4, 3),
}


def initialize_all(module, seed):
    rng = generator(seed)
    with torch.no_grad():
        for part in module.modules():
            if hasattr(part, "initialize"):
                part.initialize(rng)
    return module


@pytest.mark.parametrize("name", BUILDERS)
def test_building_and_initialising_leaves_torch_global_stream(name):
    state = torch.random.get_rng_state()
    initialize_all(BUILDERS[name](), 0)
    assert torch.equal(torch.random.get_rng_state(), state)


def test_dropout_with_a_generator_leaves_torch_global_stream():
    state = torch.random.get_rng_state()
    layer = Dropout(0.5)
    layer.generator = generator()
    layer(torch.ones(10))
    assert torch.equal(torch.random.get_rng_state(), state)


@pytest.mark.parametrize("name", BUILDERS)
def test_weights_depend_on_the_generator_alone(name):
    one, two, other = (initialize_all(BUILDERS[name](), seed) for seed in (1, 1, 2))
    same = [map(torch.equal, one.parameters(), m.parameters()) for m in (two, other)]
    assert all(same[0])
    assert not all(same[1])


def test_linear_starts_glorot_uniform():
    layer = Linear(60, 40)
    assert not layer.weight.any()
    initialize_all(layer, 0)
    limit = np.sqrt(6 / (60 + 40))
    weight = layer.weight.detach().numpy()
    assert np.abs(weight).max() <= limit
    assert np.abs(weight).max() > 0.99 * limit
    assert weight.std() == pytest.approx(limit / np.sqrt(3), rel=0.05)
    assert not layer.bias.any()


@pytest.mark.parametrize("hidden", [(), (64,), (64, 32)])
def test_bfloat16_is_near_full_precision(hidden):
    options = {"activation": "relu", "dropout": 0.0, "batch_norm": False}
    full = randomize(MLP(40, hidden, 2, **options)).float()
    short = MLP(40, hidden, 2, precision="bfloat16", **options)
    short.load_state_dict(full.state_dict())
    x = torch.from_numpy(np.random.default_rng(0).normal(size=(50, 40))).float()
    exact, near = full(x), short(x)
    assert near.dtype == torch.float32
    assert torch.equal(exact, near) == (not hidden)
    # Eight bits of each factor, 40 to 64 products a sum.
    assert (near - exact).abs().max() < 0.03 * exact.abs().max()
    near.sum().backward()
    assert all(p.grad.dtype == torch.float32 for p in short.parameters())
    assert torch.equal(full.double()(x.double()), short.double()(x.double()))
