"""Attention over pairs against a naive loop."""

import itertools

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from layer_cases import generator, randomize

from skfm.nn.layers import PairAttention, bi_interaction

LENGTHS = [0, 1, 2, 3, 6]


def padded_rows(padding=0, lengths=LENGTHS, k=4):
    """(B, m, k) embeddings of rows with ``lengths`` entries, and the lengths."""
    rng = np.random.default_rng(0)
    embeddings = np.zeros((len(lengths), max(lengths) + padding, k))
    for b, length in enumerate(lengths):
        embeddings[b, :length] = rng.normal(size=(length, k))
    return torch.from_numpy(embeddings), torch.tensor(lengths)


def naive_attention(layer, rows):
    """The pooled pairs of one row (m, k), and each pair's attention."""
    W, b = layer.hidden.weight.detach().numpy(), layer.hidden.bias.detach().numpy()
    h = layer.projection.detach().numpy()
    products = {
        (i, j): rows[i] * rows[j]
        for i, j in itertools.combinations(range(len(rows)), 2)
    }
    logits = {ij: h @ np.maximum(W @ z + b, 0) for ij, z in products.items()}
    total = sum(np.exp(a) for a in logits.values())
    attention = {ij: np.exp(a) / total for ij, a in logits.items()}
    pooled = np.zeros(rows.shape[1])
    for ij, z in products.items():
        pooled += attention[ij] * z
    return pooled, attention


@pytest.mark.parametrize("padding", [0, 1, 5])
def test_pair_attention_equals_naive_loop(padding):
    layer = randomize(PairAttention(4, 3))
    embeddings, lengths = padded_rows(padding)
    pooled, attention = layer(embeddings, lengths)
    m = embeddings.shape[1]
    pairs = list(zip(*torch.triu_indices(m, m, 1).tolist(), strict=True))
    for b, length in enumerate(LENGTHS):
        expected, weights = naive_attention(layer, embeddings[b, :length].numpy())
        np.testing.assert_allclose(pooled[b].detach(), expected, atol=1e-12)
        by_pair = [weights.get(pair, 0.0) for pair in pairs]
        np.testing.assert_allclose(attention[b].detach(), by_pair, atol=1e-12)
    assert len({round(w, 6) for w in weights.values()}) > 1  # not uniform by accident


def test_uniform_attention_averages_the_pairs():
    layer = randomize(PairAttention(4, 3))
    torch.nn.init.zeros_(layer.projection)
    embeddings, lengths = padded_rows(2)
    pooled, _ = layer(embeddings, lengths)
    interaction = bi_interaction(embeddings.sum(1), embeddings.square().sum(1))
    n_pairs = lengths * (lengths - 1) / 2
    np.testing.assert_allclose(
        (pooled * n_pairs[:, None]).detach(), interaction, atol=1e-12
    )


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
@pytest.mark.parametrize("lengths", [[0], [1], [0, 0], [1, 0, 4], [2, 5]])
def test_pair_attention_of_rows_without_pairs_is_zero_and_finite(lengths, dtype):
    layer = randomize(PairAttention(4, 3)).to(dtype)
    embeddings, row_lengths = padded_rows(lengths=lengths)
    embeddings = embeddings.to(dtype).requires_grad_()
    pooled, attention = layer(embeddings, row_lengths)
    pooled.square().sum().backward()
    for tensor in [pooled, attention, embeddings.grad]:
        assert torch.isfinite(tensor).all()
    for parameter in layer.parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all()
    without = row_lengths < 2
    assert not pooled[without].any()
    assert not attention[without].any()
    assert not embeddings.grad[without].any()
    sums = attention.sum(1)[~without].detach()
    np.testing.assert_allclose(sums, 1, rtol=1e-6)


def test_pair_attention_survives_huge_logits():
    layer = randomize(PairAttention(4, 3)).float()
    embeddings, lengths = padded_rows()
    embeddings = (1e8 * embeddings).float().requires_grad_()
    pooled, attention = layer(embeddings, lengths)
    pooled.sum().backward()
    assert torch.isfinite(attention).all()
    assert torch.isfinite(embeddings.grad).all()


@pytest.mark.parametrize("projection", [-1e6, 1e6])
def test_padding_stays_out_whatever_the_logits(projection):
    layer = randomize(PairAttention(4, 3))
    torch.nn.init.constant_(layer.projection, projection)
    embeddings, lengths = padded_rows(2)
    _, attention = layer(embeddings, lengths)
    np.testing.assert_allclose(attention.sum(1).detach(), lengths > 1)


def test_pair_attention_gradient_equals_finite_differences():
    layer = randomize(PairAttention(4, 3))
    embeddings, lengths = padded_rows(1)
    direction = torch.randn(embeddings.shape, generator=generator()).double()

    def value(x):
        return layer(x, lengths)[0].square().sum()

    leaf = embeddings.clone().requires_grad_()
    value(leaf).backward()
    h = 1e-6
    slope = (value(embeddings + h * direction) - value(embeddings - h * direction)) / (
        2 * h
    )
    assert (leaf.grad * direction).sum().item() == pytest.approx(slope.item(), rel=1e-7)


def pooled_with_gradients(pool, layer, embeddings, lengths):
    """Return what a way to pool gives, and the gradients of its inputs."""
    layer.zero_grad()
    leaf = embeddings.clone().requires_grad_()
    pooled = pool(leaf, lengths)
    direction = torch.randn(pooled.shape, generator=generator(), dtype=pooled.dtype)
    (pooled * direction).sum().backward()
    dense = [p.grad for p in layer.parameters()]
    return [pooled.detach(), leaf.grad, *dense]


@given(
    lengths=st.lists(st.integers(0, 40), min_size=1, max_size=6),
    padding=st.integers(0, 3),
    sizes=st.tuples(st.integers(1, 20), st.integers(1, 20)),
    dtype=st.sampled_from([torch.float32, torch.float64]),
)
def test_kernels_equal_torch(lengths, padding, sizes, dtype):
    layer = randomize(PairAttention(*sizes)).to(dtype)
    embeddings, lengths = padded_rows(padding, lengths, sizes[0])
    given = layer, embeddings.to(dtype), lengths
    expected = pooled_with_gradients(lambda *x: layer(*x)[0], *given)
    found = pooled_with_gradients(layer.pool, *given)
    # In float32 both are off, most where large terms of a sum cancel.
    rtol, atol = (1e-9, 1e-10) if dtype == torch.float64 else (1e-2, 2e-3)
    for ours, theirs in zip(found, expected, strict=True):
        theirs = torch.zeros_like(ours) if theirs is None else theirs
        np.testing.assert_allclose(ours, theirs, rtol=rtol, atol=atol)


def test_kernels_survive_huge_logits_and_show_nan():
    layer = randomize(PairAttention(4, 3)).float()
    embeddings, lengths = padded_rows()
    huge = (1e8 * embeddings).float()
    for part in pooled_with_gradients(layer.pool, layer, huge, lengths):
        assert torch.isfinite(part).all()
    huge[-1, 0, 0] = np.nan
    pooled = layer.pool(huge, lengths)
    assert torch.isnan(pooled[-1]).any()
    assert torch.isfinite(pooled[:-1]).all()


def test_kernels_take_rows_that_are_not_contiguous():
    layer = randomize(PairAttention(4, 3))
    embeddings, lengths = padded_rows(2)
    turned = embeddings.transpose(0, 1).contiguous().transpose(0, 1)
    assert not turned.is_contiguous()
    assert torch.equal(layer.pool(turned, lengths), layer.pool(embeddings, lengths))
