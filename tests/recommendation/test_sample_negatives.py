"""Rows of interactions and negatives."""

import numpy as np
import pandas as pd
import pytest

from skfm.recommendation import sample_negatives

RNG = np.random.default_rng(0)
ROWS = pd.DataFrame(
    {
        "user": RNG.choice(list("abcd"), 30),
        "item": RNG.integers(12, size=30),
        "hour": RNG.integers(24, size=30),
    }
)
ITEMS = pd.DataFrame({"item": np.arange(12), "genre": list("xyzxyzxyzxyz")})


@pytest.mark.parametrize("power", [0.0, 1.0])
def test_negatives_differ_by_what_tells_of_the_item(power):
    X, y = sample_negatives(ROWS, 3, items=ITEMS, power=power, random_state=0)
    assert list(X.columns) == ["user", "item", "hour", "genre"]
    assert list(y) == [1] * 30 + [0] * 90
    pd.testing.assert_frame_equal(
        X[["user", "item", "hour"]][:30],
        ROWS,
        check_dtype=False,
        check_categorical=False,
    )
    negatives = X[30:].reset_index(drop=True)
    context = ROWS.loc[np.repeat(np.arange(30), 3)].reset_index(drop=True)
    assert (negatives.user == context.user).all()
    assert (negatives.hour == context.hour).all()
    assert (negatives.genre == ITEMS.genre[negatives.item].to_numpy()).all()
    assert not negatives.merge(ROWS, on=["user", "item"]).size
    again, _ = sample_negatives(ROWS, 3, items=ITEMS, power=power, random_state=0)
    pd.testing.assert_frame_equal(again, X)


def test_users_with_all_items_have_no_negatives():
    rows = pd.DataFrame({"user": list("aab"), "item": list("xyx")})
    X, y = sample_negatives(rows, 2, random_state=0)
    assert list(X.user[y == 0]) == ["b", "b"]
    assert set(X.item[y == 0]) == {"y"}
