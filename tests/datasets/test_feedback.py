"""Interactions of users whose tastes are known."""

import numpy as np
import pandas as pd
import pytest

from skfm.datasets import make_implicit_feedback
from skfm.metrics import evaluate_recommendations
from skfm.recommendation import PopularityRanker, recommend


def test_tables():
    rows, users, items, truth = make_implicit_feedback(
        30, 25, n_interactions=7, random_state=0
    )
    assert not rows.duplicated(["user", "item"]).any()
    assert (rows.groupby("user").size() == 7).all()
    assert set(rows.user) == set(users.user)
    assert set(rows.item) <= set(items.item)
    assert list(truth.scores.index) == list(users.user)
    assert list(truth.scores.columns) == list(items.item)
    again = make_implicit_feedback(30, 25, n_interactions=7, random_state=0)
    pd.testing.assert_frame_equal(again[0], rows)


def test_choices_follow_the_scores():
    """Two items, one choice: the logistic function of the difference of the scores."""
    rows, _, _, truth = make_implicit_feedback(
        20_000, 2, n_interactions=1, random_state=0
    )
    difference = truth.scores["i0"] - truth.scores["i1"]
    expected = 1 / (1 + np.exp(-difference)).to_numpy()
    chosen = rows.item.eq("i0").to_numpy()
    for low in np.arange(0, 1, 0.25):
        near = (expected >= low) & (expected < low + 0.25)
        error = np.sqrt(0.25 / near.sum())
        assert abs(chosen[near].mean() - expected[near].mean()) < 4 * error


def test_the_truth_is_better_than_popularity_on_later_choices():
    rows, users, items, truth = make_implicit_feedback(random_state=0)
    later = rows.time >= 20
    known = rows[~later]
    scores = [
        evaluate_recommendations(
            recommend(model, users, items, exclude=known), rows[later]
        ).ndcg
        for model in (truth, PopularityRanker().fit(known))
    ]
    assert scores[0] > 2 * scores[1]


def test_more_interactions_than_items():
    with pytest.raises(
        ValueError, match="n_interactions=9 must be less than n_items=9"
    ):
        make_implicit_feedback(5, 9, n_interactions=9)
