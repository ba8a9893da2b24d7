"""Products of the fields' embeddings, and the residual unit, against naive loops."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from skfm.nn.layers import (
    ACTIVATIONS,
    ResidualUnit,
    WeightedPairs,
    field_aware_products,
    gather_fields,
    inner_products,
    outer_product,
)

SHAPES = [(0, 3, 2), (1, 1, 1), (4, 1, 3), (4, 2, 3), (5, 4, 2)]


def draw(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


def pairs(n_fields):
    return list(itertools.combinations(range(n_fields), 2))


@pytest.mark.parametrize("shape", SHAPES)
def test_inner_products(shape):
    E = draw(*shape)
    expected = [[e[f] @ e[g] for f, g in pairs(shape[1])] for e in E]
    got = inner_products(torch.from_numpy(E))
    assert got.shape == (shape[0], len(pairs(shape[1])))
    np.testing.assert_allclose(got, np.reshape(expected, got.shape), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_outer_product(shape):
    E = draw(*shape)
    expected = [np.outer(sum(e), sum(e)).ravel() for e in E]
    got = outer_product(torch.from_numpy(E))
    assert got.shape == (shape[0], shape[2] ** 2)
    np.testing.assert_allclose(got, np.reshape(expected, got.shape), atol=1e-12)


@pytest.mark.parametrize("shape", SHAPES)
def test_field_aware_products(shape):
    n_rows, n_fields, k = shape
    C = draw(n_rows, n_fields, n_fields, k)
    expected = np.zeros((n_rows, k))
    for b, (f, g) in itertools.product(range(n_rows), pairs(n_fields)):
        expected[b] += C[b, f, g] * C[b, g, f]
    got = field_aware_products(torch.from_numpy(C))
    np.testing.assert_allclose(got, expected, atol=1e-12)


@given(
    n_rows=st.integers(1, 4),
    n_entries=st.integers(0, 5),
    n_fields=st.integers(1, 4),
    seed=st.integers(0, 1000),
)
def test_gather_fields(n_rows, n_entries, n_fields, seed):
    entries = draw(n_rows, n_entries, 3, seed=seed)
    shape = (n_rows, n_entries)
    fields = np.random.default_rng(seed).integers(n_fields, size=shape)
    expected = np.zeros((n_rows, n_fields, 3))
    for b, p in np.ndindex(*shape):
        expected[b, fields[b, p]] += entries[b, p]
    got = gather_fields(torch.from_numpy(entries), torch.from_numpy(fields), n_fields)
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("shape", SHAPES)
def test_weighted_pairs(shape, n_outputs):
    n_rows, n_fields, _ = shape
    layer = WeightedPairs(n_fields, n_outputs).double()
    E, r = draw(*shape), draw(len(pairs(n_fields)), n_outputs, seed=1)
    with torch.no_grad():
        layer.weight.copy_(torch.from_numpy(r))
    expected = np.zeros((n_rows, n_outputs))
    for number, (f, g) in enumerate(pairs(n_fields)):
        for b in range(n_rows):
            expected[b] += r[number] * (E[b, f] @ E[b, g])
    got = layer(torch.from_numpy(E)).detach()
    np.testing.assert_allclose(got, expected, atol=1e-12)


def test_weighted_pairs_start_as_an_fm_or_apart():
    one, several = WeightedPairs(5, 1), WeightedPairs(60, 3)
    for layer in (one, several):
        assert not layer.weight.any()
        layer.initialize(generator())
    assert (one.weight == 1).all()
    assert several.weight.std().item() == pytest.approx(1, abs=0.1)
    again = WeightedPairs(60, 3)
    again.initialize(generator())
    assert torch.equal(again.weight, several.weight)


NUMPY = {"relu": lambda x: np.maximum(x, 0), "tanh": np.tanh}


@pytest.mark.parametrize("activation", NUMPY)
def test_residual_unit(activation):
    options = {"activation": activation, "dropout": 0.0, "batch_norm": False}
    unit = ResidualUnit(4, 7, **options).double()
    W1, b1, W2, b2 = draw(7, 4), draw(7, seed=1), draw(4, 7, seed=2), draw(4, seed=3)
    hidden = unit.inner.hidden[0]
    values = {hidden.weight: W1, hidden.bias: b1}
    values |= {unit.inner.output.weight: W2, unit.inner.output.bias: b2}
    with torch.no_grad():
        for parameter, value in values.items():
            parameter.copy_(torch.from_numpy(value))
    assert len(values) == len(list(unit.parameters()))
    act = NUMPY[activation]
    x = draw(6, 4, seed=4)
    expected = [act(W2 @ act(W1 @ row + b1) + b2 + row) for row in x]
    got = unit(torch.from_numpy(x)).detach()
    np.testing.assert_allclose(got, expected, atol=1e-12)


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_residual_unit_without_weights_is_its_activation(activation):
    options = {"activation": activation, "dropout": 0.0, "batch_norm": False}
    unit = ResidualUnit(4, 7, **options)
    x = torch.randn(5, 4, generator=generator())
    assert torch.equal(unit(x), ACTIVATIONS[activation]()(x))


LAYERS = {
    "inner_products": (inner_products, (3, 4, 2)),
    "outer_product": (outer_product, (3, 4, 2)),
    "field_aware_products": (field_aware_products, (2, 3, 3, 2)),
}


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name):
    layer, shape = LAYERS[name]
    x = torch.from_numpy(draw(*shape)).requires_grad_()
    assert torch.autograd.gradcheck(layer, [x])
