"""Gradients of networks in closed form against those of autograd."""

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose
from sparse_cases import N_COLUMNS, TOLERANCE, batch_of, random_csr

from skfm.losses import BinaryLogLoss, Huber, OffsetLoss, SquaredError
from skfm.nn.factorization import FMNetwork
from skfm.nn.shape import Shape


def machine(dtype, n_outputs=1):
    network = FMNetwork.build(Shape(N_COLUMNS, 5, n_outputs, dtype=dtype))
    rng = np.random.default_rng(0)
    drawn = rng.normal(size=network.table.weight.shape).astype(dtype)
    network.table.weight[:] = torch.from_numpy(drawn)
    network.set_bias(np.array([0.7] * n_outputs))
    for parameter in network.parameters():
        parameter.grad = torch.ones_like(parameter)
    return network


def gradients(network, loss, *, dtype, closed, frozen=False):
    batch, rng = batch_of(random_csr(), dtype), np.random.default_rng(1)
    target = rng.integers(2, size=len(batch)).astype(dtype)
    if isinstance(loss, OffsetLoss):
        target = loss.join(rng.normal(size=len(batch)).astype(dtype), target)
    target = torch.from_numpy(target)
    weight = torch.from_numpy(rng.random(len(batch)).astype(dtype))
    lookup = network.table.look_up(batch).collect_gradients(frozen=frozen)
    if closed:
        found = network.differentiate(lookup, loss, target, weight)
    else:
        total = (loss.per_row(network(lookup), target) * weight).sum()
        total.backward()
        found = total.item()
    leaves = [lookup.linear] if frozen else lookup.leaves()
    return [found, network.bias.grad, *(leaf.grad for leaf in leaves)]


@pytest.mark.parametrize("frozen", [False, True])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(
    "loss", [BinaryLogLoss(), SquaredError(), OffsetLoss(BinaryLogLoss(), 1)]
)
def test_gradients_are_those_of_autograd(loss, dtype, frozen):
    found, expected = (
        gradients(machine(dtype), loss, dtype=dtype, closed=closed, frozen=frozen)
        for closed in (True, False)
    )
    tolerance = TOLERANCE[dtype]
    for ours, theirs in zip(found, expected, strict=True):
        assert_allclose(ours, theirs, tolerance, tolerance)


def test_what_is_left_to_autograd():
    found = gradients(machine("float64"), Huber(1.0), dtype="float64", closed=True)
    assert found[0] is None
    network = machine("float64", n_outputs=2)
    two = gradients(network, BinaryLogLoss(), dtype="float64", closed=True)
    assert two[0] is None
