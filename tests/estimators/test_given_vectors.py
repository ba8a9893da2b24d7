"""Embeddings that start from vectors of categories, made elsewhere."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimator_cases import make
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone

import skfm

RNG = np.random.default_rng(0)
N = 120
TABLE = pd.DataFrame(
    {
        "item": RNG.choice(list("abcd"), N),
        "user": RNG.integers(0, 30, N),
        "tags": [["x", "y"][: k + 1] for k in RNG.integers(0, 2, N)],
    }
)
Y = (TABLE["item"] < "c").to_numpy() ^ (TABLE["user"] % 2 == 0).to_numpy()
ITEMS = pd.DataFrame(RNG.normal(size=(4, 4)), index=["a", "c", "d", "never seen"])
USERS = {int(user): RNG.normal(size=4) for user in (0, 3, 99)}
GIVEN = {"item": ITEMS}
STILL = {"learning_rate": 1e-300, "network_learning_rate": 1e-300}


def rows_of(model, names):
    return model.factors_[[list(model.column_names_).index(name) for name in names]]


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMClassifier])
def test_known_categories_start_from_their_vectors(cls):
    model = make(cls, init_from=GIVEN, **STILL).fit(TABLE, Y)
    assert_allclose(
        rows_of(model, ["item_a", "item_c", "item_d"]), ITEMS[:3], rtol=1e-6
    )
    # The others are drawn.
    assert 0 < np.abs(rows_of(model, ["item_b"])).max() < 0.5


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.FFMClassifier])
def test_given_embeddings_stay_and_others_learn(cls, tmp_path):
    model = make(cls, init_from={"item": ITEMS}, freeze=True, max_iter=20)
    model.fit(TABLE, Y)
    names = ["item_a", "item_c", "item_d"]
    expected = ITEMS[:3].to_numpy()
    if cls is skfm.FFMClassifier:
        n_fields = model.factors_.shape[1]
        expected = np.repeat(expected[:, None], n_fields, axis=1)
    assert_allclose(rows_of(model, names), expected, rtol=1e-6)
    assert model.score(TABLE, Y) > 0.9
    # A stream goes on so, also in a loaded model.
    before = rows_of(model, names), rows_of(model, ["item_b"])
    skfm.save(model, tmp_path / "model.skfm")
    back = skfm.load(tmp_path / "model.skfm").partial_fit(TABLE, Y)
    assert_array_equal(rows_of(back, names), before[0])
    assert np.all(rows_of(back, ["item_b"]) != before[1])


def test_integers_of_a_categorical_column_and_tags():
    model = make(
        skfm.NFMClassifier,
        categorical_features=["item", "user"],
        init_from={"user": USERS, "tags": {"y": np.ones(4)}},
        **STILL,
    ).fit(TABLE, Y)
    assert_allclose(rows_of(model, ["user_3"]), [USERS[3]], rtol=1e-6)
    assert_allclose(rows_of(model, ["tags_y"]), np.ones((1, 4)))


def test_columns_of_a_matrix_are_in_the_units_of_the_user():
    X = sp.csr_array(RNG.normal(size=(N, 3)) * [1, 100, 1])
    given = {1: np.arange(1, 5) / 100}
    model = make(skfm.FMClassifier, init_from=given, **STILL).fit(X, Y)
    assert_allclose(model.factors_[1], given[1], rtol=1e-6)


def test_clones_share_the_vectors():
    model = clone(make(skfm.FMClassifier, init_from=GIVEN))
    assert model.init_from is GIVEN


@pytest.mark.parametrize(
    ("given", "match"),
    [
        ({"items": ITEMS}, r"init_from names column 'items', but X has the columns"),
        ({"item": ITEMS.to_numpy()}, r"init_from\['item'\] must be a DataFrame"),
        ({"item": {"a": [1.0, 2.0]}}, "length 2, but n_factors=4: set n_factors=2"),
        ({"item": {"a": [1.0], "b": [1.0, 2.0]}}, "all of the same length"),
        (
            {"item": {"a": [1, 2, 3, np.nan]}},
            r"Vector 0 of init_from\['item'\] has NaN",
        ),
        ({"item": {"z": [1.0] * 4}}, r"such as \['z'\], of which none occurs"),
        ({"item": {5: [1.0] * 4}}, "'item' held strings during fit but holds numbers"),
    ],
)
def test_what_is_refused(given, match):
    model = make(skfm.FMClassifier, init_from=given)
    with pytest.raises(ValueError, match=match):
        model.fit(TABLE, Y)
    assert not hasattr(model, "network_")


def test_fnn_needs_more_than_vectors():
    with pytest.raises(ValueError, match="fit an FM from them"):
        make(skfm.FNNClassifier, init_from={"item": ITEMS}).fit(TABLE, Y)
