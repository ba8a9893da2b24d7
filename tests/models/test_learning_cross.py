"""DCN, xDeepFM, AutoInt and FinalMLP learn the functions that they can express."""

import numpy as np
import pytest
from common_cases import one_hot
from numpy.testing import assert_array_equal
from sklearn.metrics import r2_score

import skfm

OPTIONS = [
    (skfm.DCNClassifier, {}),
    (skfm.DCNClassifier, {"cross": "vector", "structure": "stacked"}),
    (skfm.DCNClassifier, {"low_rank": 4}),
    (skfm.DCNClassifier, {"low_rank": 4, "n_experts": 3}),
    (skfm.XDeepFMClassifier, {"cin_layer_sizes": 8}),
    (skfm.AutoIntClassifier, {"n_attention_layers": 3}),
    (skfm.FinalMLPClassifier, {"gate": "fields", "hidden_layer_sizes_2": (32,)}),
    (skfm.FinalMLPClassifier, {"gate": None}),
]
every_option = pytest.mark.parametrize(("E", "options"), OPTIONS)


@pytest.mark.parametrize("hidden", [(), (8,)])
@every_option
def test_every_array_moves(E, options, hidden, click_data):
    if "hidden_layer_sizes_2" in options and not hidden:
        options = {**options, "hidden_layer_sizes_2": ()}

    def arrays(**parameters):
        model = E(hidden_layer_sizes=hidden, random_state=0, **options)
        return model.set_params(**parameters).fit(*click_data).network_.arrays()

    start = arrays(max_iter=1, learning_rate=1e-9, network_learning_rate=1e-9)
    end = arrays(max_iter=3, network_learning_rate=0.01)
    assert end.keys() == start.keys()
    for name in end:
        assert np.abs(end[name] - start[name]).max() > 1e-4, name
    assert np.abs(end["factors"] - start["factors"]).max(axis=1).min() > 1e-4


@every_option
def test_parity_of_three_categories(E, options):
    X, cells = one_hot(120, (2, 2, 2))
    y = cells.sum(axis=1) % 2
    model = E(n_factors=8, network_learning_rate=0.01, random_state=0, max_iter=40)
    assert model.set_params(**options).fit(X, y).score(X, y) == 1


@pytest.mark.parametrize(
    ("options", "learns"),
    [
        ({"cross": "vector"}, True),
        ({"cross": "matrix"}, True),
        ({"n_cross_layers": 0}, False),
    ],
)
def test_dcn_learns_a_product_by_its_crosses(options, learns):
    """Without hidden layers only a cross layer can multiply."""
    X = np.random.default_rng(4).normal(size=(120, 3))
    y = 1 + X[:, 0] + 2 * X[:, 1] * X[:, 2]
    model = skfm.DCNRegressor(hidden_layer_sizes=(), random_state=0, alpha=0)
    model.set_params(alpha_factors=0, network_learning_rate=0.01, max_iter=150)
    model.set_params(early_stopping=False)
    score = r2_score(y, model.set_params(**options).fit(X, y).predict(X))
    assert score > 0.95 if learns else score < 0.5


@pytest.mark.parametrize(("sizes", "learns"), [((4,), False), ((4, 4), True)])
def test_cin_layers_are_the_degree_of_xdeepfm(sizes, learns):
    """A product of three numbers takes two layers, where there is no MLP."""
    X = np.random.default_rng(5).choice([-1.0, 1.0], size=(120, 3))
    y = X.prod(axis=1)
    model = skfm.XDeepFMRegressor(cin_layer_sizes=sizes, hidden_layer_sizes=())
    model.set_params(alpha_factors=0, network_learning_rate=0.01, init_scale=0.5)
    model.set_params(max_iter=150, random_state=0).fit(X, y)
    score = r2_score(y, model.predict(X))
    assert score > 0.95 if learns else score < 0.2


@pytest.mark.parametrize(
    "E",
    [
        skfm.DCNRegressor,
        skfm.XDeepFMRegressor,
        skfm.AutoIntRegressor,
        skfm.FinalMLPRegressor,
    ],
)
def test_same_seed_same_bits(E):
    X, cells = one_hot(300, (4, 5, 3))
    y = cells[:, 0] * cells[:, 1] - cells[:, 2]
    model = E(random_state=0, max_iter=2)
    one, again, other = (
        model.set_params(random_state=seed).fit(X, y).predict(X) for seed in (0, 0, 1)
    )
    assert_array_equal(one, again)
    assert np.abs(one - other).max() > 1e-3
