"""The equations of the models, against naive versions and against each other."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays
from model_references import (
    NETWORKS,
    batch_of,
    bi_interaction,
    interactions_of,
    linear_and_factors,
    naive_interactions,
    naive_scores,
    random_network,
    scores_of,
)
from numpy.testing import assert_allclose
from sklearn.preprocessing import PolynomialFeatures

from skfm.nn import layers
from skfm.sparse import RowGradient

FAMILIES = list(NETWORKS)
N_COLUMNS = 9
TIGHT = {"rtol": 1e-9, "atol": 1e-9}


def rows(seed=0, n_rows=12, n_columns=N_COLUMNS, unit=False):
    """Rows with 0, 1, 2, ... non-zeros, in random columns, dense."""
    rng = np.random.default_rng(seed)
    X = np.zeros((n_rows, n_columns))
    for row in range(n_rows):
        chosen = rng.permutation(n_columns)[: row % (n_columns + 1)]
        X[row, chosen] = 1 if unit else rng.normal(size=len(chosen))
    return X


def one_value_per_field(seed=0, n_rows=10):
    """Three fields of three columns, at most one real value in each."""
    rng = np.random.default_rng(seed)
    X = np.zeros((n_rows, N_COLUMNS))
    for field in range(3):
        X[np.arange(n_rows), 3 * field + rng.integers(3, size=n_rows)] = rng.normal(
            size=n_rows
        )
    X[0, :3] = 0
    return X


@torch.no_grad()
def set_table(network, *, w=None, V=None):
    if w is not None:
        network.table.weight.linear[:] = torch.from_numpy(w)
    if V is not None:
        network.table.weight.factors[:] = torch.from_numpy(V)


@torch.no_grad()
def like(name, network, **options):
    """Another architecture with the bias and table of ``network``."""
    other = random_network(
        name, N_COLUMNS, network.shape.n_factors, network.shape.n_outputs, **options
    )
    other.bias.copy_(network.bias)
    other.table.weight[:] = network.table.weight[:]
    return other


class TestAgainstNaiveLoops:
    @pytest.mark.parametrize("unit", [False, True], ids=["real", "unit"])
    @pytest.mark.parametrize("n_outputs", [1, 3])
    @pytest.mark.parametrize("family", FAMILIES)
    def test_float64(self, family, n_outputs, unit):
        network = random_network(family, n_outputs=n_outputs)
        X = rows(unit=unit)
        assert_allclose(
            scores_of(network, X), naive_scores(family, network, X), **TIGHT
        )

    @pytest.mark.parametrize("family", FAMILIES)
    def test_float32(self, family):
        network = random_network(family, n_outputs=2, dtype="float32")
        X = rows().astype(np.float32).astype(np.float64)
        expected = naive_scores(family, network, X)
        scores = scores_of(network, X)
        assert scores.dtype == np.float32
        # Where terms cancel, only an error relative to their size can be asked for.
        scale = np.abs(expected).max()
        assert_allclose(scores, expected, rtol=1e-4, atol=1e-5 * scale)

    @pytest.mark.parametrize("family", ["NFM", "DeepFM"])
    def test_without_batch_norm(self, family):
        network = random_network(family, batch_norm=False)
        assert not any("norm" in name for name in network.arrays())
        expected = naive_scores(family, network, rows())
        assert_allclose(scores_of(network, rows()), expected, **TIGHT)


class TestBiInteraction:
    def test_double_loop(self):
        network, X = random_network("NFM"), rows()
        lookup = network.table.look_up(batch_of(X))
        pooled = layers.bi_interaction(lookup.sum, lookup.sum_squares)
        _, V = linear_and_factors(network)
        expected = [bi_interaction(x, V) for x in X]
        assert_allclose(pooled.numpy(), expected, **TIGHT)
        assert not pooled[0].any()

    def test_gradient(self):
        """d BI / d v_i = x_i (S - x_i v_i), summed over the rows."""
        network, X = random_network("NFM"), rows()
        batch = batch_of(X)
        weights = np.random.default_rng(3).normal(size=(len(X), 4))
        lookup = network.table.look_up(batch, training=True)
        pooled = layers.bi_interaction(lookup.sum, lookup.sum_squares)
        (pooled * torch.from_numpy(weights)).sum().backward()
        no_penalty = torch.zeros(len(X), 2, dtype=torch.float64)
        gradient = RowGradient.of(network.table, batch, [lookup], no_penalty)
        columns, values = (part.numpy() for part in gradient.coalesce())

        _, V = linear_and_factors(network)
        expected = np.zeros((N_COLUMNS, 4))
        for x, weight in zip(X, weights, strict=True):
            for i in np.flatnonzero(x):
                expected[i] += weight * x[i] * (x @ V - x[i] * V[i])
        assert_allclose(columns, np.flatnonzero(X.any(axis=0)))
        assert_allclose(values[:, 1:], expected[columns], **TIGHT)
        assert not values[:, 0].any()


class TestFM:
    @given(
        X=arrays(
            np.float64,
            st.tuples(st.integers(1, 4), st.just(N_COLUMNS)),
            elements=st.integers(-8, 8).map(lambda i: i / 4),
        ),
        seed=st.integers(0, 1000),
    )
    def test_any_matrix(self, X, seed):
        network = random_network("FM", n_outputs=2, seed=seed)
        assert_allclose(scores_of(network, X), naive_scores("FM", network, X), **TIGHT)

    def test_is_a_polynomial_of_degree_two(self):
        network, X = random_network("FM"), rows()
        w, V = linear_and_factors(network)
        polynomial = PolynomialFeatures(2, interaction_only=True).fit(X)
        pairs = [
            V[np.flatnonzero(power)[0]] @ V[np.flatnonzero(power)[1]]
            for power in polynomial.powers_
            if power.sum() == 2
        ]
        weights = np.concatenate([network.bias.detach(), w[:, 0], pairs])
        expected = polynomial.transform(X) @ weights
        assert_allclose(scores_of(network, X)[:, 0], expected, **TIGHT)

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_users_and_items_make_a_biased_matrix_factorization(self, n_outputs):
        """mu + b_u + b_i + <p_u, q_i>, each output weighing the k factors."""
        n_users, n_items = 4, N_COLUMNS - 4
        network = random_network("FM", n_outputs=n_outputs)
        w, V = linear_and_factors(network)
        weights = np.ones((4, 1))
        if n_outputs > 1:
            weights = network.head.weight.detach().numpy()
        users, items = np.divmod(np.arange(n_users * n_items), n_items)
        X = np.eye(N_COLUMNS)[users] + np.eye(N_COLUMNS)[n_users + items]
        products = np.einsum("uk,ik,kc->uic", V[:n_users], V[n_users:], weights)
        expected = network.bias.detach().numpy() + products
        expected += w[:n_users, None] + w[None, n_users:]
        scores = scores_of(network, X).reshape(n_users, n_items, n_outputs)
        assert_allclose(scores, expected, **TIGHT)

    def test_rotated_factors(self):
        network, X = random_network("FM"), rows()
        before = scores_of(network, X)
        _, V = linear_and_factors(network)
        Q, _ = np.linalg.qr(np.random.default_rng(1).normal(size=(4, 4)))
        set_table(network, V=V @ Q)
        assert_allclose(scores_of(network, X), before, **TIGHT)

    @pytest.mark.parametrize("c", [-2.0, 0.1])
    def test_pairs_are_quadratic(self, c):
        network, X = random_network("FM", n_outputs=3), rows()
        scaled = interactions_of(network, c * X)
        assert_allclose(scaled, c**2 * interactions_of(network, X), **TIGHT)


class TestNFM:
    @torch.no_grad()
    def make(self, fm, h, batch_norm):
        """An NFM without hidden layers, its batch norm the identity."""
        nfm = like("NFM", fm, hidden_layer_sizes=(), batch_norm=batch_norm)
        nfm.mlp.output.weight.copy_(torch.from_numpy(np.atleast_2d(h)))
        nfm.mlp.output.bias.zero_()
        if batch_norm:
            nfm.norm.running_mean.zero_()
            nfm.norm.running_var.fill_(1 - nfm.norm.eps)
            nfm.norm.weight.fill_(1)
            nfm.norm.bias.zero_()
        return nfm

    @pytest.mark.parametrize("batch_norm", [False, True])
    def test_without_hidden_layers_is_fm(self, batch_norm):
        fm, X = random_network("FM"), rows()
        nfm = self.make(fm, np.ones(4), batch_norm)
        assert_allclose(scores_of(nfm, X), scores_of(fm, X), **TIGHT)

    def test_positive_h_scales_the_factors(self):
        fm, X = random_network("FM"), rows()
        h = np.array([0.5, 1.0, 2.0, 3.0])
        nfm = self.make(fm, h, batch_norm=False)
        _, V = linear_and_factors(fm)
        set_table(fm, V=V * np.sqrt(h))
        assert_allclose(scores_of(nfm, X), scores_of(fm, X), **TIGHT)

    def test_sign_flip_of_a_factor(self):
        network, X = random_network("NFM"), rows()
        before = scores_of(network, X)
        _, V = linear_and_factors(network)
        set_table(network, V=V * [1, -1, 1, 1])
        assert_allclose(scores_of(network, X), before, **TIGHT)


class TestAFM:
    @torch.no_grad()
    def test_uniform_attention_is_fm_over_the_number_of_pairs(self):
        fm, X = random_network("FM"), rows()
        afm = like("AFM", fm)
        afm.attention.projection.zero_()
        afm.projection.weight.fill_(1)
        m = (X != 0).sum(axis=1)
        n_pairs = (m * (m - 1) / 2)[:, None]
        scaled = interactions_of(afm, X) * n_pairs
        assert_allclose(scaled, interactions_of(fm, X), **TIGHT)

    @pytest.mark.parametrize("padding", [0, 1, 5])
    def test_padding_changes_nothing(self, padding):
        """Rows of 0, 1, 2, ... non-zeros, alone and beside a longer row."""
        network = random_network("AFM", n_columns=20)
        for m in range(6):
            x = np.zeros((1, 20))
            x[0, :m] = np.linspace(-1, 2, m)
            longer = np.zeros((1, 20))
            longer[0, : m + padding] = 0.5
            batch = np.vstack([x, longer])
            expected = naive_interactions("AFM", network, x)
            assert_allclose(interactions_of(network, batch)[:1], expected, **TIGHT)

    def test_attention_sums_to_one_over_the_pairs_of_a_row(self):
        network, X = random_network("AFM"), rows()
        lookup = network.table.look_up(batch_of(X))
        with torch.no_grad():
            _, attention = network.attention(lookup.slots, lookup.lengths)
        m = (X != 0).sum(axis=1)
        assert_allclose(attention.sum(dim=1).numpy(), m > 1, **TIGHT)
        assert_allclose((attention > 0).sum(dim=1).numpy(), m * (m - 1) // 2)


class TestDeepFM:
    @torch.no_grad()
    def without_deep_part(self, fm):
        deepfm = like("DeepFM", fm)
        deepfm.mlp.output.weight.zero_()
        if fm.head.weight is not None:
            deepfm.head.weight.copy_(fm.head.weight)
        return deepfm

    @pytest.mark.parametrize("n_outputs", [1, 3])
    def test_without_deep_part_is_fm_where_fields_have_one_value(self, n_outputs):
        fm = random_network("FM", n_outputs=n_outputs)
        deepfm, X = self.without_deep_part(fm), one_value_per_field()
        assert_allclose(scores_of(deepfm, X), scores_of(fm, X), **TIGHT)

    def test_differs_from_fm_by_the_pairs_inside_fields(self):
        fm, X = random_network("FM"), rows()
        deepfm = self.without_deep_part(fm)
        _, V = linear_and_factors(fm)
        inside = np.zeros(len(X))
        for field in range(3):
            columns = np.arange(3 * field, 3 * field + 3)
            embedding = X[:, columns] @ V[columns]
            squares = (X[:, columns] ** 2) @ (V[columns] ** 2)
            inside += 0.5 * ((embedding**2).sum(axis=1) - squares.sum(axis=1))
        difference = scores_of(fm, X) - scores_of(deepfm, X)
        assert np.abs(inside).max() > 0.1
        assert_allclose(difference[:, 0], inside, **TIGHT)

    def test_both_parts_read_and_train_the_same_table(self):
        network, X = random_network("DeepFM", batch_norm=False), rows()

        def gradient():
            batch = batch_of(X)
            lookup = network.table.look_up(batch, training=True)
            network(lookup).sum().backward()
            no_penalty = torch.zeros(len(X), 2, dtype=torch.float64)
            return RowGradient.of(
                network.table, batch, [lookup], no_penalty
            ).coalesce()[1]

        assert "factors" in network.arrays()
        both = gradient()
        output = network.mlp.output.weight.detach().clone()
        with torch.no_grad():
            network.mlp.output.weight.zero_()
        only_pairs = gradient()
        with torch.no_grad():
            network.mlp.output.weight.copy_(output)
        network.head.forward = lambda pairs: 0 * pairs.sum(dim=1, keepdim=True)
        only_deep = gradient()
        # The linear weights' gradient is in both.
        assert only_pairs[:, 1:].abs().min() > 0
        assert only_deep[:, 1:].abs().min() > 0
        assert_allclose(both[:, 1:], only_pairs[:, 1:] + only_deep[:, 1:], **TIGHT)


class TestEveryNetwork:
    @pytest.mark.parametrize("family", FAMILIES)
    def test_scaled_column_with_inversely_scaled_weights(self, family):
        network, X = random_network(family, n_outputs=2), rows()
        before = scores_of(network, X)
        w, V = linear_and_factors(network)
        scale = np.random.default_rng(2).uniform(0.2, 5, size=N_COLUMNS)
        set_table(network, w=w / scale[:, None], V=V / scale[:, None])
        assert_allclose(scores_of(network, X * scale), before, **TIGHT)

    @pytest.mark.parametrize("family", FAMILIES)
    def test_permuted_columns_with_their_weights(self, family):
        network, X = random_network(family, n_outputs=2), rows()
        order = np.random.default_rng(4).permutation(N_COLUMNS)
        fields = network.shape.fields
        options = {} if fields is None else {"fields": fields[order]}
        # The same seed gives the same dense weights.
        other = random_network(family, n_outputs=2, **options)
        w, V = linear_and_factors(network)
        set_table(other, w=w[order], V=V[order])
        assert_allclose(scores_of(other, X[:, order]), scores_of(network, X), **TIGHT)

    @pytest.mark.parametrize("n_outputs", [1, 3])
    @pytest.mark.parametrize("family", ["FM", "AFM"])
    def test_empty_row_and_single_entry(self, family, n_outputs):
        network = random_network(family, n_outputs=n_outputs)
        X = np.zeros((2, N_COLUMNS))
        X[1, 4] = -1.5
        scores = scores_of(network, X)
        bias, (w, _) = network.bias.detach().numpy(), linear_and_factors(network)
        assert_allclose(scores[0], bias, **TIGHT)
        assert_allclose(scores[1], bias - 1.5 * w[4], **TIGHT)
        assert not interactions_of(network, X).any()
