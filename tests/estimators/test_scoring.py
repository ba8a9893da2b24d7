"""Scorers of users in the loop: what they are given, and what they decide."""

import numpy as np
import pandas as pd
import pytest
from estimator_cases import CELLS, LABELS, NUMBERS, X, make, target
from sklearn.base import is_classifier
from sklearn.metrics import get_scorer

import skfm
from skfm.metrics import ranking_scorer

TRAIN, VAL = np.arange(80), np.arange(80, 120)
SGD = {"solver": "sgd"}


def held_out(cls, weight=None):
    y = target(cls)
    given = {"X_val": X[VAL], "y_val": y[VAL], "sample_weight_val": weight}
    return (X[TRAIN], y[TRAIN]), given


@pytest.mark.parametrize(
    ("cls", "scoring"),
    [
        (skfm.FMClassifier, "roc_auc"),
        (skfm.DeepFMClassifier, "accuracy"),
        (skfm.NFMRegressor, "neg_median_absolute_error"),
        (skfm.FNNRegressor, "r2"),
    ],
)
def test_the_best_epoch_is_by_the_scorer(cls, scoring):
    weight = np.linspace(0.5, 2, len(VAL))
    if scoring == "neg_median_absolute_error":
        weight = None
    rows, given = held_out(cls, weight)
    solver = SGD if cls is skfm.FMClassifier else {}
    options = {"max_iter": 12, "scoring": scoring, "early_stopping": True, **solver}
    model = make(cls, **options).fit(*rows, **given)
    scores = model.validation_scores_
    assert model.best_iter_ == int(np.argmax(scores)) + 1
    keywords = {} if weight is None else {"sample_weight": weight}
    again = get_scorer(scoring)(model, X[VAL], target(cls)[VAL], **keywords)
    assert again == pytest.approx(max(scores), rel=1e-6)


def test_scorers_see_the_rows_that_are_held_out():
    table = pd.DataFrame(CELLS, columns=list("abc")).astype(str)
    table["row"] = np.arange(len(table))
    seen = []

    def scoring(model, rows, y):
        seen.append(rows.row.to_numpy())
        np.testing.assert_array_equal(y, NUMBERS[rows.row])
        assert model.predict(rows).shape == y.shape
        # Others are scored by the weights of the moment.
        return -np.square(model.predict(table) - NUMBERS).mean()

    model = make(skfm.FMRegressor, scoring=scoring, early_stopping=True, **SGD)
    model.fit(table, NUMBERS)
    assert len(seen) == model.n_iter_
    assert len(seen[0]) == 12
    np.testing.assert_array_equal(seen[0], seen[-1])
    last = -np.square(model.predict(table) - NUMBERS).mean()
    assert last == pytest.approx(max(model.validation_scores_), rel=1e-5)
    assert "_raw_scores" not in vars(model)


@pytest.mark.parametrize(
    ("cls", "scoring", "y"),
    [
        (skfm.FMClassifier, "neg_log_loss", LABELS),
        (skfm.FMClassifier, "neg_log_loss", CELLS[:, 0]),
        (skfm.FMRegressor, "neg_mean_squared_error", NUMBERS),
    ],
)
def test_chains_are_scored_too(cls, scoring, y):
    given = {"X_val": X[VAL], "y_val": y[VAL]}
    parameters = {"max_iter": 6, "n_factors": 2, "random_state": 0, "solver": "bayes"}
    known = cls(**parameters).fit(X[TRAIN], y[TRAIN], **given)
    model = cls(scoring=scoring, **parameters).fit(X[TRAIN], y[TRAIN], **given)
    expected = np.array(known.validation_scores_)
    if not is_classifier(cls()):
        expected = 2 * known.y_scale_[0] ** 2 * expected
    np.testing.assert_allclose(model.validation_scores_, expected, rtol=1e-5)


def test_rankers():
    relevance, user = CELLS[:, 1] % 3, CELLS[:, 0]
    named = make(skfm.FMRanker, scoring="recall", n_ranks=3, early_stopping=True)
    scorer = ranking_scorer("recall", k=3)
    called = make(skfm.FMRanker, scoring=scorer, early_stopping=True)
    for model in (named, called):
        model.fit(X, relevance, qid=user)
    assert named.validation_scores_ == pytest.approx(called.validation_scores_)
    assert named.best_iter_ == called.best_iter_


@pytest.mark.parametrize(
    ("cls", "scoring", "message"),
    [
        (skfm.NFMClassifier, "ndcg_at", "'scoring' parameter"),
        (skfm.FMRanker, "loss", "'scoring' parameter"),
        (skfm.NFMRegressor, lambda model, rows, y: np.nan, "gives nan on the held-out"),
    ],
)
def test_wrong_scorers(cls, scoring, message):
    rows, given = held_out(skfm.NFMRegressor)
    y = np.abs(rows[1]) if cls is skfm.FMRanker else rows[1]
    if cls is skfm.NFMClassifier:
        y, given = y > 0, {"X_val": given["X_val"], "y_val": given["y_val"] > 0}
    model = make(cls, scoring=scoring)
    with pytest.raises(ValueError, match=message):
        model.fit(rows[0], y, **given if cls is not skfm.FMRanker else {})
    assert not hasattr(model, "network_")
