"""The equations of the models by field, against naive loops and against each other."""

import itertools

import numpy as np
import pytest
import torch
from model_references import batch_of, bi_interaction, mlp, scores_of
from numpy.testing import assert_allclose

from skfm.models.deepcrossing import DeepCrossingNetwork
from skfm.models.ffm import FFMNetwork
from skfm.models.fnn import FNNNetwork
from skfm.models.fwfm import FwFMNetwork
from skfm.models.pnn import PNNNetwork
from skfm.models.widedeep import WideDeepNetwork
from skfm.nn.factorization import FMNetwork
from skfm.nn.layers import inner_products, outer_product
from skfm.nn.shape import Shape

#: Three fields, their columns interleaved.
FIELDS = np.array([0, 1, 2, 0, 1, 0, 2, 2, 1], np.int32)
N, K = len(FIELDS), 4
UNIT = {"activation": "relu", "dropout": 0.0, "batch_norm": False}
MLP = {"hidden_layer_sizes": (7, 5), "activation": "relu", "dropout": 0.0}
MLP["batch_norm"] = True
COLUMNS = {"wide_columns": None, "deep_columns": None}
FFM = {"normalize": False, "intra_field_pairs": False}
TIGHT = {"rtol": 1e-9, "atol": 1e-9}


@torch.no_grad()
def build(network_class, n_outputs=1, fields=FIELDS, dtype="float64", **options):
    """A network in eval mode, every weight and running statistic drawn."""
    shape = Shape(len(fields), K, n_outputs, fields=fields, dtype=dtype)
    network = network_class.build(shape, **options)
    rng = np.random.default_rng(0)
    for tensor in [*network.table.weight.tensors(), *network.parameters()]:
        tensor.copy_(torch.from_numpy(0.7 * rng.standard_normal(tuple(tensor.shape))))
    for key, buffer in network.named_buffers():
        if "running" in key:
            buffer.copy_(torch.from_numpy(rng.uniform(0.3, 1.5, tuple(buffer.shape))))
    return network.eval()


def rows(n_rows=12, unit=False):
    """Rows with 0, 1, 2, ... non-zeros, in random columns, dense."""
    rng = np.random.default_rng(1)
    X = np.zeros((n_rows, N))
    for row in range(n_rows):
        chosen = rng.permutation(N)[: row % (N + 1)]
        X[row, chosen] = 1 if unit else rng.normal(size=len(chosen))
    return X


def one_value_per_field(n_rows=10):
    rng = np.random.default_rng(2)
    X = np.zeros((n_rows, N))
    for field in range(3):
        chosen = rng.choice(np.flatnonzero(field == FIELDS), size=n_rows)
        X[np.arange(n_rows), chosen] = rng.normal(size=n_rows)
    X[0, FIELDS == 1] = 0
    return X


def arrays_of(network):
    return {k: v.astype(np.float64) for k, v in network.arrays().items()}


def by_field(x, V):
    """e_f of each field, (F, k)."""
    return np.array([x[f == FIELDS] @ V[f == FIELDS] for f in range(3)])


def head(pooled, arrays):
    weight = arrays.get("head.weight")
    return pooled.sum() if weight is None else pooled @ weight


def naive_ffm(network, x):
    """The pair loop: what i shows to the field of j, times what j shows to i's."""
    arrays = arrays_of(network)
    V = arrays["factors"].reshape(N, 3, K)
    if network.normalize and x.any():
        x = x / np.sqrt(sum(value**2 for value in x))
    total = np.zeros(K)
    for i, j in itertools.combinations(np.flatnonzero(x), 2):
        if FIELDS[i] != FIELDS[j] or network.intra_field_pairs:
            total += x[i] * x[j] * V[i, FIELDS[j]] * V[j, FIELDS[i]]
    linear = x @ arrays["linear"]
    return arrays["bias"] + linear + head(total, arrays)


def naive_fwfm(network, x):
    arrays = arrays_of(network)
    w, V = arrays["linear"], arrays["factors"]
    scores = arrays["bias"] + x @ w
    pairs = list(itertools.combinations(range(3), 2))
    for i, j in itertools.combinations(np.flatnonzero(x), 2):
        if FIELDS[i] != FIELDS[j]:
            number = pairs.index(tuple(sorted((FIELDS[i], FIELDS[j]))))
            r = arrays["pairs.weight"][number]
            scores = scores + r * (V[i] @ V[j]) * x[i] * x[j]
    return scores


def naive_pnn(network, x):
    arrays = arrays_of(network)
    E = by_field(x, arrays["factors"])
    parts = [E.ravel()]
    if network.inner:
        parts.append([E[f] @ E[g] for f, g in itertools.combinations(range(3), 2)])
    if network.outer:
        total = sum(E)
        parts.append([a * b for a, b in itertools.product(total, total)])
    return arrays["bias"] + mlp(np.concatenate(parts), arrays)


def naive_widedeep(network, x):
    arrays = arrays_of(network)
    w, V = arrays["linear"], arrays["factors"]
    deep = by_field(x, V)[network.deep_fields].ravel()
    return arrays["bias"] + x @ w + mlp(deep, arrays)


def naive_deepcrossing(network, x):
    arrays = arrays_of(network)
    x = by_field(x, arrays["factors"]).ravel()
    for number in range(len(network.units)):
        inner = f"units.{number}.inner"
        W1, b1 = arrays[f"{inner}.hidden.0.weight"], arrays[f"{inner}.hidden.0.bias"]
        W2, b2 = arrays[f"{inner}.output.weight"], arrays[f"{inner}.output.bias"]
        x = np.maximum(W2 @ np.maximum(W1 @ x + b1, 0) + b2 + x, 0)
    return arrays["bias"] + arrays["output.weight"] @ x


def naive_fnn(network, x):
    arrays = arrays_of(network)
    z = by_field(x, arrays["factors"])
    return arrays["bias"] + mlp(np.concatenate([arrays["w0"], z.ravel()]), arrays)


CASES = {
    "FFM": (FFMNetwork, FFM, naive_ffm),
    "FFM normalised": (FFMNetwork, {**FFM, "normalize": True}, naive_ffm),
    "FFM inside": (FFMNetwork, {**FFM, "intra_field_pairs": True}, naive_ffm),
    "FFM both": (FFMNetwork, dict.fromkeys(FFM, True), naive_ffm),
    "FwFM": (FwFMNetwork, {}, naive_fwfm),
    "IPNN": (PNNNetwork, {**MLP, "product": "inner"}, naive_pnn),
    "OPNN": (PNNNetwork, {**MLP, "product": "outer"}, naive_pnn),
    "PNN": (PNNNetwork, {**MLP, "product": "both"}, naive_pnn),
    "WideDeep": (WideDeepNetwork, {**MLP, **COLUMNS}, naive_widedeep),
    "DeepCrossing": (
        DeepCrossingNetwork,
        {"hidden_layer_sizes": (5, 3), **UNIT},
        naive_deepcrossing,
    ),
    "FNN": (FNNNetwork, MLP, naive_fnn),
}


@pytest.mark.parametrize("unit", [False, True], ids=["real", "unit"])
@pytest.mark.parametrize("n_outputs", [1, 3])
@pytest.mark.parametrize("case", CASES)
def test_naive_loops(case, n_outputs, unit):
    network_class, options, naive = CASES[case]
    network, X = build(network_class, n_outputs, **options), rows(unit=unit)
    expected = np.array([naive(network, x) for x in X]).reshape(len(X), n_outputs)
    assert_allclose(scores_of(network, X), expected, **TIGHT)


@pytest.mark.parametrize("case", CASES)
def test_float32(case):
    network_class, options, naive = CASES[case]
    network = build(network_class, 2, dtype="float32", **options)
    X = rows().astype(np.float32).astype(np.float64)
    expected = np.array([naive(network, x) for x in X])
    scores = scores_of(network, X)
    assert scores.dtype == np.float32
    assert_allclose(scores, expected, rtol=1e-4, atol=1e-5 * np.abs(expected).max())


@pytest.mark.parametrize("case", CASES)
def test_a_single_field(case):
    network_class, options, _ = CASES[case]
    network = build(network_class, fields=np.zeros(N, np.int32), **options)
    assert np.isfinite(scores_of(network, rows())).all()


@pytest.mark.parametrize("case", CASES)
def test_parts_of_a_batch(case, monkeypatch):
    """Rows scored one by one, with slots of other lengths, score the same."""
    network_class, options, _ = CASES[case]
    network, X = build(network_class, 2, **options), rows()
    expected = [scores_of(network, x[None])[0] for x in X]
    monkeypatch.setattr("skfm.sparse.KernelBackend.chunk_bytes", 1)
    assert_allclose(scores_of(network, X), expected, **TIGHT)


@torch.no_grad()
def with_table_of(network, source):
    """``network`` with another's linear weights, bias and embeddings."""
    n_linear = network.table.n_linear
    everything = np.ones(N, bool)
    network.inherit(source, everything, same_target=n_linear > 0)
    return network


class TestFFM:
    """Field-aware embeddings and the pairs inside fields."""

    def test_one_embedding_for_all_fields_is_fm_with_pairs_inside_fields(self):
        fm, X = build(FMNetwork), rows()
        ffm = build(FFMNetwork, normalize=False, intra_field_pairs=True)
        with_table_of(ffm, fm)
        assert (ffm.factors == fm.factors[:, None]).all()
        assert_allclose(scores_of(ffm, X), scores_of(fm, X), **TIGHT)

    def test_pairs_inside_fields_do_not_matter_where_fields_have_one_value(self):
        fm, X = build(FMNetwork), one_value_per_field()
        ffm = with_table_of(build(FFMNetwork, **FFM), fm)
        assert_allclose(scores_of(ffm, X), scores_of(fm, X), **TIGHT)
        assert np.abs(scores_of(ffm, rows()) - scores_of(fm, rows())).max() > 0.1

    def test_normalised_rows_do_not_depend_on_their_length(self):
        network, X = build(FFMNetwork, **{**FFM, "normalize": True}), rows()
        assert_allclose(scores_of(network, 7 * X), scores_of(network, X), **TIGHT)

    def test_normalised_rows_have_length_one_and_leave_the_batch_alone(self):
        X = rows()
        batch = batch_of(X)
        before = batch.values.copy()
        scaled = batch.of_unit_length(np.dtype(np.float64))
        lengths = [
            np.linalg.norm(scaled.values[a:b])
            for a, b in itertools.pairwise(scaled.indptr)
        ]
        assert_allclose(lengths, X.any(axis=1).astype(float), **TIGHT)
        assert_allclose(batch.values, before)


class TestFwFM:
    """Weights of pairs of fields."""

    def test_equal_weights_are_fm_where_fields_have_one_value(self):
        fm, X = build(FMNetwork), one_value_per_field()
        fwfm = with_table_of(build(FwFMNetwork), fm)
        with torch.no_grad():
            fwfm.pairs.weight.fill_(1)
        assert_allclose(scores_of(fwfm, X), scores_of(fm, X), **TIGHT)


class TestPNN:
    """Products of the embeddings of fields."""

    def fields_and_pairs(self):
        """Embeddings by field of single-valued rows, and FM2 from the columns."""
        network, X = build(PNNNetwork, product="both", **MLP), one_value_per_field()
        V = network.factors.numpy()
        fields = network.table.look_up(batch_of(X)).slots
        return fields, np.array([bi_interaction(x, V).sum() for x in X])

    def test_inner_products_sum_to_fm(self):
        fields, pairs = self.fields_and_pairs()
        assert_allclose(inner_products(fields).sum(dim=1), pairs, **TIGHT)

    def test_outer_product_has_twice_fm_off_the_squares(self):
        fields, pairs = self.fields_and_pairs()
        outer = outer_product(fields).unflatten(1, (K, K))
        trace = outer.diagonal(dim1=1, dim2=2).sum(dim=1)
        assert_allclose(trace - fields.square().sum(dim=(1, 2)), 2 * pairs, **TIGHT)


class TestWideDeep:
    """The wide and the deep part."""

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_without_deep_part_is_linear(self, n_outputs):
        network = build(WideDeepNetwork, n_outputs, **COLUMNS, **MLP)
        with torch.no_grad():
            network.mlp.output.weight.zero_()
        X, arrays = rows(), arrays_of(network)
        expected = arrays["bias"] + X @ arrays["linear"]
        assert_allclose(scores_of(network, X), expected, **TIGHT)

    def test_perceptron_is_not_told_of_fields_without_deep_columns(self):
        deep = FIELDS != 1
        columns = {"wide_columns": None, "deep_columns": deep}
        network = build(WideDeepNetwork, **columns, **MLP)
        assert network.mlp.hidden[0].weight.shape[1] == 2 * K
        X = rows()
        expected = np.array([naive_widedeep(network, x) for x in X])
        assert_allclose(scores_of(network, X), expected, **TIGHT)


@pytest.mark.parametrize("n_outputs", [1, 3])
def test_fnn_starts_from_the_rows_of_the_fm(n_outputs):
    """The first stage is a factorization machine."""
    fm, fnn = build(FMNetwork, n_outputs), build(FNNNetwork, n_outputs, **MLP)
    with torch.no_grad():
        for part in fm.table.weight.tensors():
            part.mul_(2)
    known = np.arange(N) != 4
    before = fnn.table.weight[:][4]
    fnn.inherit(fm, known, same_target=True)
    assert torch.equal(fnn.table.weight[known], fm.table.weight[known])
    assert torch.equal(fnn.table.weight[:][4], before)
    assert torch.equal(fnn.w0, fm.bias)
