"""Scores in one compiled pass against naive loops, and against the layers of torch."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from numpy.testing import assert_allclose, assert_array_equal
from sparse_cases import N_COLUMNS, TOLERANCE, batch_of, random_csr

from skfm.nn.factorization import FMNetwork
from skfm.nn.posterior import PosteriorNetwork
from skfm.nn.samples import Samples
from skfm.nn.shape import Shape
from skfm.sparse import KernelBackend, TorchBackend


def machine(n_factors, dtype="float64", n_outputs=1):
    shape = Shape(N_COLUMNS, n_factors, n_outputs, dtype=dtype)
    network = FMNetwork.build(shape)
    rng = np.random.default_rng(n_factors)
    network.table.weight[:] = torch.from_numpy(
        rng.normal(size=network.table.weight.shape).astype(dtype)
    )
    network.set_bias(np.array([0.7] * n_outputs))
    return network.eval()


def naive_scores(network, X):
    linear, factors = (
        part.numpy().astype(float) for part in (network.linear_weights, network.factors)
    )
    scores = np.full(X.shape[0], 0.7)
    for b, row in enumerate(X.toarray()):
        scores[b] += row @ linear[:, 0]
        for i in range(N_COLUMNS):
            for j in range(i):
                scores[b] += factors[i] @ factors[j] * row[i] * row[j]
    return scores[:, None]


# Factors that fill vectors, halves and quarters of them, and none.
@pytest.mark.parametrize("n_factors", [1, 4, 8, 16, 45])
@pytest.mark.parametrize("unit", [True, False])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_scores_of_a_machine(dtype, unit, n_factors):
    network, X = machine(n_factors, dtype), random_csr(unit=unit)
    assert network.fuses_scores
    found = network.fused_scores(batch_of(X, dtype))
    assert found.dtype == np.float64
    tolerance = 20 * TOLERANCE[dtype]
    assert_allclose(found, naive_scores(network, X), tolerance, tolerance)
    batch = batch_of(X, dtype)
    layers = network(network.table.look_up(batch)).detach()
    assert_allclose(network.score(batch), layers, tolerance, tolerance)


def posterior(link, n_outputs, *, spread=1.0, shift=0.0):
    rng = np.random.default_rng(3)
    n_samples, k = 6, 3
    size = n_samples * n_outputs
    samples = Samples.of(
        rng.normal(size=(N_COLUMNS, size * k)),
        rng.normal(size=(N_COLUMNS, size)),
        shift + spread * rng.normal(size=(n_samples, n_outputs)),
        np.ones((n_samples, n_outputs)),
        link=link,
        fields=None,
        dtype="float64",
    )
    return PosteriorNetwork.of(samples), samples


@pytest.mark.parametrize("shift", [0.0, 2000.0, -2000.0])
@pytest.mark.parametrize(
    ("link", "n_outputs", "spread"),
    [("logit", 1, 1.0), ("logit", 1, 1000.0), ("logit", 2, 30.0), ("identity", 2, 1.0)],
)
def test_scores_of_samples(link, n_outputs, spread, shift):
    network, samples = posterior(link, n_outputs, spread=spread, shift=shift)
    assert network.fuses_scores
    for unit in (True, False):
        batch = batch_of(random_csr(unit=unit))
        expected = network(network.table.look_up(batch)).detach()
        assert_allclose(network.fused_scores(batch), expected, 1e-11)
        assert_array_equal(samples.fused_scores(batch), network.fused_scores(batch))


def test_means_of_many_classes():
    network, samples = posterior("softmax", 3)
    # Only the samples have a function for them.
    assert not network.fuses_scores
    batch = batch_of(random_csr())
    lookup = network.table.look_up(batch)
    each = samples.sample_scores(batch)
    assert_allclose(each, network.sample_scores(lookup).detach(), 1e-11)
    assert_allclose(samples.fused_scores(batch), network(lookup).detach(), 1e-11)


def test_samples_describe_their_weights_as_the_network_does():
    network, samples = posterior("logit", 2)
    for name, array in network.host_arrays().items():
        assert_array_equal(samples.host_arrays()[name], array)
    assert_allclose(samples.linear_weights, network.linear_weights, 1e-12)
    assert_array_equal(samples.pair_weights(0, 1), network.pair_weights(0, 1))
    for ours, theirs in zip(samples.sample(4), network.sample(4), strict=True):
        assert_allclose(ours, theirs, 1e-12)
    assert samples.model_factors == network.model_factors
    assert samples.fixed_options() == network.fixed_options()


@pytest.mark.parametrize(
    "network",
    [machine(16), *posterior("logit", 1)],
    ids=["machine", "posterior", "samples"],
)
def test_bits_depend_on_the_row_alone(network, monkeypatch):
    monkeypatch.setattr("skfm.sparse.sample_scores._ENTRIES_PER_THREAD", 1)
    X = random_csr(seed=5)
    batch = batch_of(X)
    whole = network.fused_scores(batch)
    assert_array_equal(network.fused_scores(batch, n_threads=3), whole)
    for b in range(len(batch)):
        assert_array_equal(network.fused_scores(batch.slice(b, b + 1))[0], whole[b])


def test_arrays_with_gaps():
    network, X = machine(8), random_csr()
    expected = network.fused_scores(batch_of(X))
    spread = sp.csr_array(X)
    spread.data, spread.indices = (
        np.repeat(part, 2)[::2] for part in (X.data, X.indices)
    )
    assert not spread.indices.flags.c_contiguous
    assert_array_equal(network.fused_scores(batch_of(spread)), expected)


def test_where_scores_are_fused():
    assert KernelBackend.fuses_scores
    assert not TorchBackend.fuses_scores
    # Outputs share the sums over factors.
    assert not machine(3, n_outputs=2).fuses_scores
