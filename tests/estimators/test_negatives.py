"""Rankers on interactions alone, whose negatives are drawn."""

import numpy as np
import pandas as pd
import pytest
from estimator_cases import make

import skfm
from skfm.datasets import make_implicit_feedback
from skfm.metrics import evaluate_recommendations
from skfm.model_selection import LastInteractionsSplit
from skfm.recommendation import recommend

ALL, USERS, ITEMS, TRUTH = make_implicit_feedback(
    60, 40, n_interactions=12, random_state=0
)
ROWS, REST = next(LastInteractionsSplit(3, user="user", time="time").split(ALL))
X, LATER = ALL.loc[ROWS, ["user", "item"]], ALL.loc[REST, ["user", "item"]]
TABLES = {"users": USERS, "items": ITEMS}
LOSSES = ["auto", "pairwise", "listwise", "warp", "lambda"]


def fitted(cls=skfm.FMRanker, rows=X, **parameters):
    fit = {k: parameters.pop(k) for k in ("y", "X_val", *TABLES) if k in parameters}
    model = make(cls, **{"negatives": 3, "batch_size": 256} | parameters)
    return model.fit(rows, **fit)


def quality(model, **options):
    top = recommend(model, USERS, ITEMS, exclude=X, **options)
    return evaluate_recommendations(top, LATER).ndcg


@pytest.fixture(scope="module")
def by_chance():
    rng = np.random.default_rng(0)
    every = USERS.merge(ITEMS, how="cross").sample(frac=1, random_state=rng.integers(9))
    left = every.merge(X, how="left", indicator=True)
    left = left[left["_merge"] == "left_only"]
    return evaluate_recommendations(left.groupby("user").head(10), LATER).ndcg


@pytest.mark.parametrize("loss", LOSSES)
def test_every_loss_learns_from_positives(loss, by_chance):
    model = fitted(loss=loss, max_iter=20, early_stopping=False)
    assert quality(model) > 1.3 * by_chance


@pytest.mark.parametrize("cls", [skfm.DeepFMRanker, skfm.NFMRanker, skfm.AFMRanker])
def test_other_architectures_with_tables_of_users_and_items(cls, by_chance):
    model = fitted(cls, **TABLES, max_iter=20, early_stopping=False)
    assert list(model.feature_names_in_) == ["user", "item", "group", "genre"]
    assert quality(model) > 1.2 * by_chance


@pytest.mark.parametrize("sampling", ["popularity", 0.5, "uniform"])
def test_the_same_bits_whatever_the_threads(sampling):
    models = [
        fitted(sampling=sampling, loss="listwise", n_jobs=n, **TABLES) for n in (1, 3)
    ]
    rows = X.merge(USERS).merge(ITEMS)
    one, three = (model.predict(rows) for model in models)
    np.testing.assert_array_equal(one, three)
    other = fitted(sampling=sampling, loss="listwise", random_state=1, **TABLES)
    assert (other.predict(rows) != one).any()


def test_negatives_are_drawn_anew_in_each_epoch_and_never_known(monkeypatch):
    drawn = []

    def spy(self, users, n, seed, draw=skfm.data.negatives.Unknown.draw):
        drawn.append((users, draw(self, users, n, seed)))
        return drawn[-1][1]

    monkeypatch.setattr("skfm.data.negatives.Unknown.draw", spy)
    fitted(max_iter=2, early_stopping=False, batch_size=10_000)
    epochs = [(u, d) for u, d in drawn if d.shape[1] == 3]
    users, items = pd.factorize(X.user)[0], pd.factorize(X.item)[0]
    known = set(zip(users, items, strict=True))
    for of, them in epochs:
        assert not known & set(zip(np.repeat(of, 3), them.ravel(), strict=True))
    assert (np.sort(epochs[0][1].ravel()) != np.sort(epochs[1][1].ravel())).any()


def test_numbers_are_ids():
    numbered = X.assign(
        user=pd.factorize(X.user, sort=True)[0] + 1000,
        item=pd.factorize(X.item, sort=True)[0],
    )
    model, same = fitted(rows=numbered), fitted()
    np.testing.assert_allclose(model.predict(numbered), same.predict(X), atol=1e-6)


def test_held_out_positives_are_ranked_among_drawn_items():
    model = fitted(early_stopping=True, max_iter=6)
    assert len(model.validation_scores_) == model.n_iter_
    given = fitted(X_val=LATER, max_iter=8, early_stopping=True)
    assert max(given.validation_scores_) > given.validation_scores_[0]


def test_context_is_kept_by_negatives():
    """The time of the day tells which half of the items is chosen."""
    rng = np.random.default_rng(0)
    morning = rng.random(800) < 0.5
    rows = pd.DataFrame(
        {
            "user": rng.choice(list("abcdefghij"), 800),
            "time": np.where(morning, "morning", "evening"),
            "item": np.where(morning, rng.integers(20, size=800), 20)
            + np.where(morning, 0, rng.integers(20, size=800)),
        }
    )
    # Few of the items of each user are known.
    model = fitted(rows=rows.drop_duplicates(), max_iter=40, early_stopping=False)
    request = pd.DataFrame({"user": [None, None], "time": ["morning", "evening"]})
    items = pd.DataFrame({"item": np.arange(40)})
    top = recommend(model, request, items, n=10)
    assert (top.item[:10] < 20).mean() > 0.8
    assert (top.item[10:] >= 20).mean() > 0.8


def test_exposures(by_chance):
    shown = ALL.loc[ROWS, ["user", "item"]].assign(y=1)
    rng = np.random.default_rng(0)
    others = pd.DataFrame(
        {"user": np.repeat(USERS.user, 8), "item": rng.choice(ITEMS.item, 480), "y": 0}
    )
    rows = pd.concat([shown, others]).drop_duplicates(["user", "item"])
    model = fitted(
        rows=rows[["user", "item"]],
        y=rows.y,
        sampling="exposures",
        crosses="auto",
        max_iter=20,
        early_stopping=False,
    )
    assert quality(model) > 1.3 * by_chance
    assert model.crosses_ == []


WRONG = {
    "y of 0": ({"y": np.zeros(len(X))}, "y must be above zero"),
    "no exposures": ({"sampling": "exposures"}, 'sampling="exposures" needs y'),
    "no item": ({"rows": X[["user"]]}, "X has no column 'item'"),
    "an item in no table": ({"items": ITEMS.iloc[1:]}, "items lacks 1 of the 'item'"),
    "a user in no table": ({"users": USERS.iloc[1:]}, "users lacks 1 of the 'user'"),
    "an item twice": ({"items": pd.concat([ITEMS, ITEMS])}, "in several rows"),
    "a column twice": (
        {"rows": X.assign(genre="x"), "items": ITEMS},
        "Both X and items have column 'genre'",
    ),
    "crosses": ({"crosses": [("user", "item")]}, "without crosses"),
    "a scorer": ({"scoring": lambda model, rows, y: 0.0}, "the name of a metric"),
    "strangers": ({"X_val": LATER.assign(user="new")}, "X_val has 'user' 'new'"),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_input(arguments, message):
    with pytest.raises(ValueError, match=message):
        fitted(**arguments)


def test_users_who_know_all_items_teach_nothing():
    complete = pd.DataFrame({"user": "all", "item": X.item.unique()})
    model = fitted(rows=pd.concat([X, complete]), max_iter=2)
    assert np.isfinite(model.loss_curve_).all()
    with pytest.raises(ValueError, match="No user has an item to draw"):
        fitted(rows=complete)


def test_positives_alone_need_negatives():
    with pytest.raises(ValueError, match=r"y is None.*set negatives"):
        make(skfm.FMRanker).fit(X)
    with pytest.raises(ValueError, match="joined only with negatives"):
        make(skfm.FMRanker).fit(X, np.arange(len(X)) % 2, X.user, users=USERS)
