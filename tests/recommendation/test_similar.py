"""Similar items and users against the cosines of their vectors."""

import numpy as np
import pandas as pd
import pytest

import skfm
from skfm.inspection import embeddings, most_similar
from skfm.recommendation import similar_items, similar_users

RNG = np.random.default_rng(0)
X = pd.DataFrame(
    {
        "user": RNG.choice(list("abcdefg"), 300),
        "item": RNG.choice(list("pqrst"), 300),
    }
)
X["genre"] = X.item.map(dict(zip("pqrst", "xxyyz", strict=True)))
MODEL = skfm.FMRegressor(max_iter=5, n_factors=3, random_state=0, solver="sgd").fit(
    X, RNG.normal(size=300)
)
ITEMS = X[["item", "genre"]].drop_duplicates()


def test_vectors_are_sums_of_all_that_is_known():
    by_item, by_genre = embeddings(MODEL, "item"), embeddings(MODEL, "genre")
    vectors = by_item.loc[ITEMS.item].to_numpy() + by_genre.loc[ITEMS.genre].to_numpy()
    unit = vectors / np.linalg.norm(vectors, axis=1, keepdims=True)
    cosines = unit @ unit.T
    found = similar_items(MODEL, ITEMS, n=9)
    assert len(found) == 5 * 4
    assert (found.item != found.similar).all()
    known = pd.Index(ITEMS.item)
    np.testing.assert_allclose(
        found.similarity,
        cosines[known.get_indexer(found.item), known.get_indexer(found.similar)],
        rtol=1e-5,
    )
    assert found.groupby("item").similarity.is_monotonic_decreasing.all()


def test_of_one_field_it_is_most_similar():
    users = X[["user"]].drop_duplicates()
    found = similar_users(MODEL, users, ["c"], n=3)
    expected = most_similar(MODEL, "user", "c", n=3)
    assert list(found.similar) == list(expected.index)
    np.testing.assert_allclose(found.similarity, expected, rtol=1e-5)
    assert list(found["rank"]) == [1, 2, 3]


def test_a_new_item_is_like_those_of_its_genre():
    items = pd.concat([ITEMS, pd.DataFrame({"item": ["new"], "genre": ["z"]})])
    assert similar_items(MODEL, items, ["new"], n=1).similar[0] == "t"


@pytest.mark.parametrize(
    ("items", "of", "message"),
    [
        (ITEMS, ["w"], "items has no 'item' 'w'"),
        (
            ITEMS.rename(columns={"genre": "x"}).assign(genre=1)[["x"]],
            None,
            "no column",
        ),
        (pd.concat([ITEMS, ITEMS]), None, "each must have one row"),
    ],
)
def test_wrong_input(items, of, message):
    with pytest.raises(ValueError, match=message):
        similar_items(MODEL, items, of)


def test_crosses_have_no_vector_of_one_side():
    crossed = skfm.FMRegressor(crosses=[("user", "item")], max_iter=1, random_state=0)
    crossed.fit(X, np.arange(300.0))
    with pytest.raises(ValueError, match="without crosses"):
        similar_items(crossed, ITEMS)
