"""Cross layers, CIN, self-attention, gates and fusion against naive NumPy loops."""

import itertools

import numpy as np
import pytest
import torch
from numpy.testing import assert_allclose

from skfm.nn.layers import (
    CIN,
    BilinearFusion,
    CrossNetwork,
    ExpertCross,
    FeatureGate,
    FieldAttention,
    MatrixCross,
    VectorCross,
)

TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def generator(seed=0):
    return torch.Generator().manual_seed(seed)


@torch.no_grad()
def drawn(layer, seed=0):
    """The layer in float64 with every weight drawn."""
    stream = generator(seed)
    for parameter in layer.double().parameters():
        parameter.normal_(std=0.7, generator=stream)
    return layer


def initialized(layer, seed):
    """The layer as a network starts it."""
    stream = generator(seed)
    with torch.no_grad():
        for part in layer.modules():
            if hasattr(part, "initialize"):
                part.initialize(stream)
    return layer


def array(tensor):
    return tensor.detach().numpy()


def weights_of(layer):
    return {name: array(parameter) for name, parameter in layer.named_parameters()}


def numbers(*shape, seed=0):
    return np.random.default_rng(seed).normal(size=shape)


def softmax(logits):
    exponentials = np.exp(logits - np.max(logits))
    return exponentials / exponentials.sum()


def naive_vector_cross(weights, x, x0):
    (w,) = weights["inner.weight"]
    dot = sum(x[i] * w[i] for i in range(len(x)))
    return np.array(
        [x0[i] * dot + weights["bias"][i] + x[i] for i in range(len(x))],
    )


def naive_matrix_cross(weights, x, x0):
    W = weights["outer.weight"]
    if "inner.weight" in weights:
        W = W @ weights["inner.weight"]
    return x0 * (W @ x + weights["outer.bias"]) + x


def naive_expert_cross(weights, x, x0):
    n_experts, rank, _ = weights["middle"].shape
    gates = softmax(weights["gate.weight"] @ x)
    total = np.zeros_like(x)
    for expert in range(n_experts):
        mine = slice(expert * rank, (expert + 1) * rank)
        hidden = np.tanh(weights["inner.weight"][mine] @ x)
        hidden = np.tanh(weights["middle"][expert] @ hidden)
        inner = weights["outer.weight"][:, mine] @ hidden + weights["outer.bias"]
        total += gates[expert] * x0 * inner
    return total + x


CROSSES = {
    "vector": (lambda: VectorCross(6), naive_vector_cross),
    "matrix": (lambda: MatrixCross(6), naive_matrix_cross),
    "low rank": (lambda: MatrixCross(6, 2), naive_matrix_cross),
    "experts": (lambda: ExpertCross(6, 2, 3), naive_expert_cross),
}


@pytest.mark.parametrize("kind", CROSSES)
def test_cross_layer_equals_naive_loop(kind):
    build, naive = CROSSES[kind]
    layer = drawn(build())
    x, x0 = numbers(5, 6, seed=1), numbers(5, 6, seed=2)
    crossed = layer(torch.from_numpy(x), torch.from_numpy(x0))
    expected = [naive(weights_of(layer), *row) for row in zip(x, x0, strict=True)]
    assert_allclose(array(crossed), expected, **TIGHT)


OPTIONS = {
    "vector": ({"cross": "vector"}, VectorCross),
    "matrix": ({"cross": "matrix"}, MatrixCross),
    "low rank": ({"cross": "matrix", "low_rank": 2}, MatrixCross),
    "experts": ({"cross": "matrix", "low_rank": 2, "n_experts": 3}, ExpertCross),
}


@pytest.mark.parametrize("kind", OPTIONS)
def test_cross_network_stacks_layers_on_the_same_input(kind):
    options, layer_class = OPTIONS[kind]
    network = drawn(CrossNetwork(6, 3, **options))
    assert [type(layer) for layer in network.layers] == [layer_class] * 3
    x0 = numbers(5, 6)
    expected = x0
    for layer in network.layers:
        naive = CROSSES[kind][1]
        expected = np.array(
            [naive(weights_of(layer), *r) for r in zip(expected, x0, strict=True)]
        )
    assert_allclose(array(network(torch.from_numpy(x0))), expected, **TIGHT)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"cross": "vector", "low_rank": 2}, "low_rank=2"),
        ({"cross": "vector", "n_experts": 2}, "n_experts=2"),
        ({"cross": "matrix", "n_experts": 2}, "n_experts=2 needs low_rank"),
    ],
)
def test_cross_options_that_do_not_go_together(options, message):
    with pytest.raises(ValueError, match=message):
        CrossNetwork(6, 2, **options)


def naive_cin(layers, fields):
    """Pooled maps of one row's fields (F, k), layer after layer."""
    maps, pooled = fields, []
    for layer in layers:
        n_fields = len(fields)
        W = array(layer.weight).reshape(-1, len(maps), n_fields)
        following = np.zeros((len(W), fields.shape[1]))
        for h, i, j in itertools.product(*map(range, W.shape)):
            following[h] += W[h, i, j] * maps[i] * fields[j]
        maps = following
        pooled.extend(maps.sum(axis=1))
    return pooled


@pytest.mark.parametrize("n_fields", [1, 4])
@pytest.mark.parametrize("sizes", [(1,), (3,), (3, 5, 2)])
def test_cin_equals_naive_loop(sizes, n_fields):
    layer = drawn(CIN(n_fields, sizes))
    fields = numbers(5, n_fields, 3)
    expected = [naive_cin(layer.layers, row) for row in fields]
    pooled = layer(torch.from_numpy(fields))
    assert pooled.shape == (5, layer.n_maps)
    assert_allclose(array(pooled), expected, **TIGHT)


def test_cin_layer_is_homogeneous_in_its_degree():
    layer = drawn(CIN(4, (3, 2, 2)))
    fields = torch.from_numpy(numbers(5, 4, 3))
    degrees = np.repeat([2, 3, 4], [3, 2, 2])
    assert_allclose(
        array(layer(1.7 * fields)), 1.7**degrees * array(layer(fields)), **TIGHT
    )


def test_cin_counts_its_products():
    """They are products of the fields or of the maps, whichever are fewer."""
    assert CIN(4, (3, 2)).products_per_factor == 4 * 3 + 3 * 2
    assert CIN(2, (3, 2)).products_per_factor == 2 * 2 + 3 * 2


def naive_attention(layer, fields):
    """Output (F, H d) and attention (H, F, F) of one row's fields (F, n)."""
    weights = weights_of(layer)
    size = layer.value.out_features // layer.n_heads
    n_fields = len(fields)
    attention = np.zeros((layer.n_heads, n_fields, n_fields))
    out = fields @ weights["residual.weight"].T
    for head in range(layer.n_heads):
        mine = slice(head * size, (head + 1) * size)
        query, key, value = (
            weights[f"{name}.weight"][mine] for name in ("query", "key", "value")
        )
        for m in range(n_fields):
            logits = [(query @ fields[m]) @ (key @ field) for field in fields]
            attention[head, m] = softmax(np.array(logits))
            for n in range(n_fields):
                out[m, mine] += attention[head, m, n] * (value @ fields[n])
    return np.maximum(out, 0), attention


@pytest.mark.parametrize("n_fields", [1, 5])
@pytest.mark.parametrize(("n_heads", "size"), [(1, 4), (3, 2)])
def test_field_attention_equals_naive_loop(n_heads, size, n_fields):
    layer = drawn(FieldAttention(4, n_heads, size))
    fields = numbers(6, n_fields, 4)
    out, attention = (
        layer(torch.from_numpy(fields)),
        layer.weights(torch.from_numpy(fields)),
    )
    expected = [naive_attention(layer, row) for row in fields]
    assert_allclose(array(out), [e[0] for e in expected], **TIGHT)
    assert_allclose(array(attention), [e[1] for e in expected], **TIGHT)
    assert_allclose(array(attention).sum(axis=3), 1)


def test_field_attention_follows_a_permutation_of_the_fields():
    layer = drawn(FieldAttention(4, 2, 3))
    fields, order = torch.from_numpy(numbers(6, 5, 4)), [3, 0, 4, 1, 2]
    assert_allclose(
        array(layer(fields[:, order])), array(layer(fields))[:, order], **TIGHT
    )


def test_field_attention_survives_huge_logits():
    layer = drawn(FieldAttention(4, 2, 3)).float()
    fields = torch.from_numpy(1e8 * numbers(6, 5, 4)).float().requires_grad_()
    layer(fields).sum().backward()
    assert torch.isfinite(layer.weights(fields)).all()
    assert torch.isfinite(fields.grad).all()


@pytest.mark.parametrize("context", ["constant", "fields"])
def test_feature_gate_equals_numpy(context):
    gate = drawn(FeatureGate(6, context, hidden_size=4))
    weights, x = weights_of(gate), numbers(5, 6)
    source = x if context == "fields" else np.tile(weights["context"], (5, 1))
    hidden = source @ weights["mlp.hidden.0.weight"].T + weights["mlp.hidden.0.bias"]
    logits = np.maximum(hidden, 0) @ weights["mlp.output.weight"].T
    gates = 2 / (1 + np.exp(-logits - weights["mlp.output.bias"]))
    assert_allclose(array(gate(torch.from_numpy(x))), gates * x, **TIGHT)
    assert (np.ptp(gates, axis=0) < 1e-12).all() == (context == "constant")


@pytest.mark.parametrize("context", ["constant", "fields"])
def test_feature_gate_without_weights_passes_its_input(context):
    """2 sigmoid(0) = 1: layers are zero until they are initialised."""
    x = torch.from_numpy(numbers(5, 6))
    assert torch.equal(FeatureGate(6, context).double()(x), x)


@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("n_heads", [1, 2, 4])
def test_bilinear_fusion_equals_naive_loop(n_heads, n_outputs):
    layer = drawn(BilinearFusion(8, 4, n_outputs, n_heads))
    first, second = numbers(5, 8, seed=1), numbers(5, 4, seed=2)
    W = array(layer.weight).reshape(n_heads, 8 // n_heads, n_outputs, 4 // n_heads)
    expected = np.zeros((5, n_outputs))
    for h, i, c, j in itertools.product(*map(range, W.shape)):
        left = first[:, h * (8 // n_heads) + i]
        expected[:, c] += left * W[h, i, c, j] * second[:, h * (4 // n_heads) + j]
    fused = layer(torch.from_numpy(first), torch.from_numpy(second))
    assert_allclose(array(fused), expected, **TIGHT)


@pytest.mark.parametrize("sizes", [(8, 6), (6, 8)])
def test_bilinear_fusion_needs_heads_that_divide(sizes):
    with pytest.raises(ValueError, match="n_heads=4 must divide"):
        BilinearFusion(*sizes, 1, 4)


LAYERS = {
    "vector": lambda: VectorCross(6),
    "matrix": lambda: MatrixCross(6),
    "low rank": lambda: MatrixCross(6, 2),
    "experts": lambda: ExpertCross(6, 2, 3),
    "cin": lambda: CIN(2, (3, 2)),
    "attention": lambda: FieldAttention(3, 2, 2),
    "gate": lambda: FeatureGate(6, "fields", 4),
    "constant gate": lambda: FeatureGate(6, "constant", 4),
    "fusion": lambda: BilinearFusion(6, 6, 2, 3),
}
OF_FIELDS, OF_ONE_VECTOR = ("cin", "attention"), ("gate", "constant gate")


@pytest.mark.parametrize("name", LAYERS)
def test_gradients(name):
    """Gradients of inputs and weights equal finite differences."""
    layer = drawn(LAYERS[name]())
    shape = (4, 2, 3) if name in OF_FIELDS else (4, 6)
    n_inputs = 1 if name in OF_FIELDS + OF_ONE_VECTOR else 2
    inputs = [torch.from_numpy(numbers(*shape, seed=i)) for i in range(n_inputs)]
    names = [key for key, _ in layer.named_parameters()]
    weights = [p.detach().clone() for p in layer.parameters()]

    def call(*tensors):
        values = dict(zip(names, tensors[n_inputs:], strict=True))
        return torch.func.functional_call(layer, values, tensors[:n_inputs])

    leaves = [tensor.requires_grad_() for tensor in (*inputs, *weights)]
    assert torch.autograd.gradcheck(call, leaves, fast_mode=True)


@pytest.mark.parametrize("name", LAYERS)
def test_weights_start_from_the_generator_alone(name):
    state = torch.random.get_rng_state()
    one, same, other = (initialized(LAYERS[name](), seed) for seed in (1, 1, 2))
    assert torch.equal(torch.random.get_rng_state(), state)
    assert all(map(torch.equal, one.parameters(), same.parameters()))
    assert not all(map(torch.equal, one.parameters(), other.parameters()))
    for parameter in one.parameters():
        assert parameter.dim() == 1 or parameter.any()
