"""Identities and options of DCN, xDeepFM, AutoInt and FinalMLP."""

import itertools

import numpy as np
import pytest
import torch
from common_cases import one_hot
from numpy.testing import assert_allclose

import skfm
from skfm.data.csr import canonical_csr
from skfm.data.rows import Rows
from skfm.models.autoint import AutoIntNetwork
from skfm.models.dcn import DCNNetwork
from skfm.models.finalmlp import FinalMLPNetwork
from skfm.models.xdeepfm import XDeepFMNetwork
from skfm.nn import layers
from skfm.nn.shape import Shape

TIGHT = {"rtol": 1e-9, "atol": 1e-9}
N_COLUMNS, N_FIELDS, K = 9, 3, 4
FIELDS = np.arange(N_COLUMNS, dtype=np.int32) // 3
MLP = {
    "hidden_layer_sizes": (8,),
    "activation": "relu",
    "dropout": 0.0,
    "batch_norm": False,
}
CROSS = {"cross": "matrix", "n_cross_layers": 2, "low_rank": None, "n_experts": 1}
ATTENTION = {"n_attention_layers": 2, "n_heads": 2, "attention_size": 3}
NETWORKS = {
    "dcn": (DCNNetwork, {"structure": "parallel", **CROSS}),
    "dcn vector": (
        DCNNetwork,
        {"structure": "parallel", **CROSS, "cross": "vector"},
    ),
    "dcn stacked": (DCNNetwork, {"structure": "stacked", **CROSS}),
    "dcn experts": (
        DCNNetwork,
        {"structure": "parallel", **CROSS, "low_rank": 2, "n_experts": 2},
    ),
    "xdeepfm": (XDeepFMNetwork, {"cin_layer_sizes": (3, 2)}),
    "autoint": (AutoIntNetwork, ATTENTION),
    "finalmlp": (
        FinalMLPNetwork,
        {"hidden_layer_sizes_2": (4,), "n_heads": 2, "gate": "constant"},
    ),
    "finalmlp fields": (
        FinalMLPNetwork,
        {"hidden_layer_sizes_2": (4,), "n_heads": 2, "gate": "fields"},
    ),
}
every_network = pytest.mark.parametrize("name", NETWORKS)


@torch.no_grad()
def random_network(name, n_outputs=1, dtype="float64", fields=FIELDS, **options):
    """A network in eval mode with every weight drawn."""
    network_class, defaults = NETWORKS[name]
    shape = Shape(len(fields), K, n_outputs, fields=fields, dtype=dtype)
    network = network_class.build(shape, **{**MLP, **defaults, **options})
    rng = np.random.default_rng(0)
    for tensor in [*network.table.weight.tensors(), *network.parameters()]:
        tensor.copy_(torch.from_numpy(0.7 * rng.standard_normal(tuple(tensor.shape))))
    return network.eval()


def rows(n_rows=12):
    """Real rows with 0, 1, 2, ... entries in random columns, dense."""
    rng = np.random.default_rng(0)
    X = rng.normal(size=(n_rows, N_COLUMNS))
    for row in range(n_rows):
        X[row, rng.permutation(N_COLUMNS)[row % (N_COLUMNS + 1) :]] = 0
    return X


def batch_of(X, dtype="float64"):
    return Rows(canonical_csr(np.asarray(X, dtype)), dtype).span(0, len(X))


def scores_of(network, X):
    return network.score(batch_of(X, network.shape.dtype)).numpy()


def embeddings_of(network, X):
    """(n, F, k): the sum of x_i v_i over the columns of each field."""
    V = network.table.weight[:].numpy()[:, network.table.n_linear :]
    return np.stack([(X * (f == FIELDS)) @ V for f in range(N_FIELDS)], axis=1)


def field_pairs(embeddings):
    """Sum over f < g of <e_f, e_g>, (n,)."""
    pairs = itertools.combinations(range(embeddings.shape[1]), 2)
    return sum((embeddings[:, f] * embeddings[:, g]).sum(axis=1) for f, g in pairs)


class TestCrossNetwork:
    @staticmethod
    def x0():
        return torch.from_numpy(np.random.default_rng(1).normal(size=(7, 12)))

    @pytest.mark.parametrize("cross", ["vector", "matrix"])
    def test_without_layers_is_its_input(self, cross):
        x0 = self.x0()
        assert torch.equal(layers.CrossNetwork(12, 0, cross=cross)(x0), x0)

    @torch.no_grad()
    def test_matrix_of_equal_rows_is_the_vector_cross(self):
        """W_l = 1 w_l^T. The vector's b_l stands outside the product, so b = 0."""
        vector = layers.CrossNetwork(12, 3, cross="vector").double()
        matrix = layers.CrossNetwork(12, 3, cross="matrix").double()
        low_rank = layers.CrossNetwork(12, 3, cross="matrix", low_rank=1).double()
        for one, two, three in zip(
            vector.layers, matrix.layers, low_rank.layers, strict=True
        ):
            one.inner.weight.normal_(generator=torch.Generator().manual_seed(0))
            two.outer.weight.copy_(one.inner.weight.expand(12, 12))
            three.inner.weight.copy_(one.inner.weight)
            three.outer.weight.fill_(1)
        expected = vector(self.x0())
        assert_allclose(matrix(self.x0()), expected, **TIGHT)
        assert_allclose(low_rank(self.x0()), expected, **TIGHT)

    @torch.no_grad()
    def test_block_triangular_matrix_gives_the_pairs_of_fields(self):
        """W = triu(1_F, 1) x I_k and b = 0: 1^T x_1 - 1^T x_0 = FM2 of the fields."""
        embeddings = np.random.default_rng(2).normal(size=(7, N_FIELDS, K))
        network = layers.CrossNetwork(N_FIELDS * K, 1, cross="matrix").double()
        blocks = np.kron(np.triu(np.ones((N_FIELDS, N_FIELDS)), 1), np.eye(K))
        network.layers[0].outer.weight.copy_(torch.from_numpy(blocks))
        x0 = torch.from_numpy(embeddings.reshape(7, -1))
        gained = (network(x0) - x0).sum(dim=1)
        assert_allclose(gained, field_pairs(embeddings), **TIGHT)

    @torch.no_grad()
    def test_one_expert_without_tanh_is_a_low_rank_matrix(self):
        """If tanh is linear and the middle matrix is the identity, C drops out."""
        expert = layers.ExpertCross(12, 3, 1).double()
        matrix = layers.MatrixCross(12, 3).double()
        stream = torch.Generator().manual_seed(0)
        expert.inner.weight.normal_(std=1e-6, generator=stream)
        expert.outer.weight.normal_(std=1e6, generator=stream)
        expert.middle.copy_(torch.eye(3))
        matrix.inner.weight.copy_(expert.inner.weight)
        matrix.outer.weight.copy_(expert.outer.weight)
        x0 = self.x0()
        assert_allclose(expert(x0, x0), matrix(x0, x0), rtol=1e-7, atol=1e-7)


class TestDCN:
    @torch.no_grad()
    def test_is_a_linear_layer_on_crosses_and_hidden_units(self):
        network, X = random_network("dcn"), rows()
        x0 = torch.from_numpy(embeddings_of(network, X)).flatten(1)
        both = torch.cat([network.cross(x0), network.mlp.hidden(x0)], dim=1)
        weight = torch.cat([network.output.weight, network.mlp.output.weight], dim=1)
        expected = both @ weight.T + network.bias
        assert_allclose(scores_of(network, X), expected, **TIGHT)

    @torch.no_grad()
    def test_stacked_puts_the_mlp_on_the_crosses(self):
        network, X = random_network("dcn stacked"), rows()
        x0 = torch.from_numpy(embeddings_of(network, X)).flatten(1)
        expected = network.mlp(network.cross(x0)) + network.bias
        assert_allclose(scores_of(network, X), expected, **TIGHT)

    def test_without_cross_and_hidden_layers_is_linear(self):
        network = random_network("dcn", n_cross_layers=0, hidden_layer_sizes=())
        X, bias = rows(), network.bias.detach().numpy()
        unit = scores_of(network, np.eye(N_COLUMNS)) - bias
        assert_allclose(scores_of(network, X), X @ unit + bias, **TIGHT)

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"cross": "vector", "low_rank": 4}, "low_rank"),
            ({"n_experts": 2}, "n_experts=2 needs low_rank"),
        ],
    )
    def test_options_that_do_not_go_together(self, options, message):
        X, cells = one_hot(20, (2, 2))
        with pytest.raises(ValueError, match=message):
            skfm.DCNClassifier(**options).fit(X, cells[:, 0])


class TestXDeepFM:
    @torch.no_grad()
    def test_one_triangular_map_gives_the_pairs_of_fields(self):
        network = random_network("xdeepfm", cin_layer_sizes=(1,))
        X = rows()
        weight = np.triu(np.ones((N_FIELDS, N_FIELDS)), 1).reshape(1, -1)
        network.cin.layers[0].weight.copy_(torch.from_numpy(weight))
        network.output.weight.fill_(1)
        network.mlp.output.weight.zero_()
        w = network.table.weight[:].numpy()[:, 0]
        expected = field_pairs(embeddings_of(network, X)) + X @ w
        expected += network.bias.detach().numpy()
        assert_allclose(scores_of(network, X)[:, 0], expected, **TIGHT)

    @torch.no_grad()
    def test_is_linear_plus_cin_plus_mlp(self):
        network, X = random_network("xdeepfm", n_outputs=2), rows()
        fields = torch.from_numpy(embeddings_of(network, X))
        w = network.table.weight.linear
        expected = network.output(network.cin(fields)) + network.mlp(fields.flatten(1))
        expected += torch.from_numpy(X) @ w + network.bias
        assert_allclose(scores_of(network, X), expected, **TIGHT)

    def test_many_products_are_computed_in_chunks(self):
        fields = np.arange(N_COLUMNS, dtype=np.int32)
        small = random_network("xdeepfm", fields=fields)
        wide = random_network("xdeepfm", fields=fields, cin_layer_sizes=(512, 64))
        n_slots = len(fields)
        assert small.chunk_rows(n_slots) > 4096
        # 512 x 9 products of 8 bytes for each of 4 factors: 147 kB a row.
        assert 50 < wide.chunk_rows(n_slots) < 150
        assert len(wide.parts(batch_of(np.ones((300, N_COLUMNS))), 1)) > 1

    @pytest.mark.parametrize("sizes", [(), (3, 0), (2.5,), "wide"])
    def test_unusable_layer_sizes(self, sizes):
        X, cells = one_hot(20, (2, 2))
        with pytest.raises(ValueError, match="cin_layer_sizes"):
            skfm.XDeepFMClassifier(cin_layer_sizes=sizes).fit(X, cells[:, 0])


class TestAutoInt:
    @torch.no_grad()
    def test_without_queries_fields_attend_to_all_alike(self):
        """Then a layer is ReLU(mean of V e + R e), whatever the number of heads."""
        network = random_network("autoint", n_attention_layers=1, hidden_layer_sizes=())
        (layer,), X = network.attention, rows()
        layer.query.weight.zero_()
        fields = torch.from_numpy(embeddings_of(network, X))
        mean = fields.mean(dim=1, keepdim=True)
        units = torch.relu(layer.value(mean) + layer.residual(fields))
        expected = network.output(units.flatten(1)) + network.bias
        assert network.mlp is None
        assert_allclose(scores_of(network, X), expected, **TIGHT)

    def test_mlp_stands_beside_the_attention(self):
        network, X = random_network("autoint"), rows()
        whole = scores_of(network, X)
        fields = torch.from_numpy(embeddings_of(network, X))
        with torch.no_grad():
            deep = network.mlp(fields.flatten(1)).numpy()
            network.mlp.output.weight.zero_()
        assert_allclose(whole - scores_of(network, X), deep, **TIGHT)

    def test_attention_weights_of_each_layer_and_head(self):
        network, X = random_network("autoint"), rows()
        lookup = network.table.look_up(batch_of(X))
        with torch.no_grad():
            weights = network.attention_weights(lookup)
        assert len(weights) == 2
        for attention in weights:
            assert attention.shape == (len(X), 2, N_FIELDS, N_FIELDS)
            assert_allclose(attention.sum(dim=3), 1)
            assert np.ptp(attention.numpy()) > 0.1
        # The empty row's embeddings are all zero, so all fields are alike.
        assert_allclose(weights[0][0], 1 / N_FIELDS)

    def test_many_fields_are_computed_in_chunks(self):
        fields = np.arange(200, dtype=np.int32)
        network = random_network("autoint", fields=fields)
        # Two layers of two heads hold 200 x 200 logits and weights of 8 bytes.
        assert 2 < network.chunk_rows(200) < 20
        assert network.chunk_rows(N_FIELDS) > 1000


class TestFinalMLP:
    @torch.no_grad()
    def test_heads_are_a_block_diagonal_bilinear_form(self):
        heads = layers.BilinearFusion(8, 4, 1, 2).double()
        full = layers.BilinearFusion(8, 4, 1, 1).double()
        heads.weight.normal_(generator=torch.Generator().manual_seed(0))
        full.weight.copy_(torch.block_diag(*heads.weight)[None])
        rng = np.random.default_rng(3)
        o1, o2 = (torch.from_numpy(rng.normal(size=(7, size))) for size in (8, 4))
        assert_allclose(heads(o1, o2), full(o1, o2), **TIGHT)

    @pytest.mark.parametrize("gate", ["constant", "fields", None])
    @torch.no_grad()
    def test_without_fusion_is_the_sum_of_two_mlps(self, gate):
        network, X = random_network("finalmlp", n_outputs=2, gate=gate), rows()
        network.bilinear.weight.zero_()
        e = torch.from_numpy(embeddings_of(network, X)).flatten(1)
        expected = network.first(network.first_gate(e)) + network.bias
        expected += network.second(network.second_gate(e))
        assert_allclose(scores_of(network, X), expected, **TIGHT)
        if gate is None:
            assert torch.equal(network.first_gate(e), e)

    def test_second_stream_has_the_sizes_of_the_first_unless_given(self):
        X, cells = one_hot(20, (2, 2))
        model = skfm.FinalMLPClassifier(hidden_layer_sizes=(12, 8), max_iter=1)
        same = model.fit(X, cells[:, 0]).network_
        assert same.second.output.in_features == 8
        model.set_params(hidden_layer_sizes_2=20)
        assert model.fit(X, cells[:, 0]).network_.second.output.in_features == 20
        assert model.network_.first.output.in_features == 8

    @pytest.mark.parametrize(
        ("options", "message"),
        [
            ({"n_heads": 3}, "n_heads=3 must divide"),
            ({"hidden_layer_sizes_2": (4, 0)}, "hidden_layer_sizes_2"),
        ],
    )
    def test_unusable_options(self, options, message):
        X, cells = one_hot(20, (2, 2))
        with pytest.raises(ValueError, match=message):
            skfm.FinalMLPClassifier(**options).fit(X, cells[:, 0])


class TestEveryNetwork:
    @pytest.mark.parametrize("n_outputs", [1, 3])
    @every_network
    def test_float32_agrees_with_float64(self, name, n_outputs):
        X = rows().astype(np.float32).astype(np.float64)
        exact = scores_of(random_network(name, n_outputs), X)
        rounded = scores_of(random_network(name, n_outputs, dtype="float32"), X)
        assert rounded.dtype == np.float32
        assert exact.shape == (len(X), n_outputs)
        assert_allclose(rounded, exact, rtol=1e-4, atol=1e-5 * np.abs(exact).max())

    @every_network
    def test_scaled_column_with_inversely_scaled_weights(self, name):
        network, X = random_network(name, n_outputs=2), rows()
        before = scores_of(network, X)
        scale = np.random.default_rng(2).uniform(0.2, 5, size=N_COLUMNS)
        for part in network.table.weight.tensors():
            part /= torch.from_numpy(scale)[:, None]
        assert_allclose(scores_of(network, X * scale), before, **TIGHT)

    @pytest.mark.parametrize("hidden", [(), (8,)])
    @every_network
    def test_one_field(self, name, hidden):
        options = {"hidden_layer_sizes": hidden}
        one = random_network(name, fields=np.zeros(N_COLUMNS, np.int32), **options)
        X = rows()
        scores = scores_of(one, X)
        assert scores.shape == (len(X), 1)
        assert np.isfinite(scores).all()
        # Only through its sum does a row of a single field count.
        pooled = X @ one.factors.numpy()
        linear = 0 if one.linear_weights is None else X @ one.linear_weights.numpy()
        lookup = one.table.look_up(batch_of(X))
        lookup.slots = torch.from_numpy(pooled)[:, None]
        with torch.no_grad():
            expected = one.interaction(lookup).numpy() + linear
        assert_allclose(scores, expected + one.bias.detach().numpy(), **TIGHT)

    @every_network
    def test_parts_of_a_batch_score_as_the_whole(self, name):
        network, X = random_network(name), rows()
        whole = scores_of(network, X)
        network.chunk_rows = lambda n_slots: 5
        assert len(network.parts(batch_of(X), 1)) == 3
        assert_allclose(scores_of(network, X), whole, **TIGHT)

    @every_network
    def test_gradient_of_the_embeddings(self, name):
        network = random_network(name, n_outputs=2)
        lookup = network.table.look_up(batch_of(rows()[1:4]))
        slots = lookup.slots.clone().requires_grad_()

        def interaction(slots):
            lookup.slots = slots
            return network.interaction(lookup)

        assert torch.autograd.gradcheck(interaction, [slots], fast_mode=True)
