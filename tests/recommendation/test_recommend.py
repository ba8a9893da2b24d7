"""The best items of users against the scores of the table of all pairs."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from sklearn.base import is_classifier
from sklearn.compose import make_column_transformer
from sklearn.dummy import DummyRegressor
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import skfm
from skfm.recommendation import PopularityRanker, recommend

RNG = np.random.default_rng(0)
N_USERS, N_ITEMS, N_ROWS = 9, 14, 400
USERS = pd.DataFrame(
    {"user": [f"u{i}" for i in range(N_USERS)], "age": RNG.normal(size=N_USERS)}
)
ITEMS = pd.DataFrame(
    {
        "item": RNG.permutation(N_ITEMS) + 100,
        "genres": [list(RNG.choice(list("pqr"), 2)) for _ in range(N_ITEMS)],
        "title": "not for the model",
    }
).astype({"item": object})
NAMES = ["item", "user", "genres", "age"]


def pairs(users, items):
    """The table of all pairs, user by user."""
    return users.merge(items, how="cross")[NAMES]


PAIRS = pairs(USERS, ITEMS)
ROWS = RNG.integers(len(PAIRS), size=N_ROWS)
X = PAIRS.iloc[ROWS].reset_index(drop=True)
TASTE = RNG.normal(size=(N_USERS, N_ITEMS)).ravel()[ROWS]
USER_OF = pd.factorize(X.user)[0]


def fitted(cls, **parameters):
    cheap = {"max_iter": 4, "n_factors": 3, "random_state": 0, "dtype": "float64"}
    model = cls(**cheap | {"crosses": None} | parameters)
    y = TASTE > 0 if is_classifier(model) or cls.__name__.endswith("Ranker") else TASTE
    qid = {"qid": USER_OF} if cls.__name__.endswith("Ranker") else {}
    return model.fit(X, y.astype(float), **qid)


def expected(model, users=USERS, items=ITEMS, n=N_ITEMS):
    """All items of each user from the best on."""
    table = pairs(users, items)
    if hasattr(model, "decision_function"):
        scores = model.decision_function(table)
    else:
        scores = model.predict(table)
    scores = scores.reshape(len(users), len(items))
    order = np.argsort(-scores, axis=1, kind="stable")[:, :n]
    return pd.DataFrame(
        {
            "user": np.repeat(users.user.to_numpy(), order.shape[1]),
            "item": items.item.to_numpy()[order.ravel()],
            "score": np.take_along_axis(scores, order, axis=1).ravel(),
            "rank": np.tile(np.arange(1, order.shape[1] + 1), len(users)),
        }
    )


def check(found, wanted):
    pd.testing.assert_frame_equal(found, wanted, rtol=1e-5, atol=1e-6)


SGD = {"solver": "sgd"}
MODELS = {
    "FM": (skfm.FMClassifier, SGD),
    "FM ranker": (skfm.FMRanker, {}),
    "Bayesian FM": (skfm.FMClassifier, {"max_iter": 20}),
    "Bayesian FM of numbers": (skfm.FMRegressor, {"max_iter": 20}),
    "log link": (skfm.FMRegressor, {"loss": "gamma"}),
    "FwFM": (skfm.FwFMRanker, {}),
    "FFM": (skfm.FFMClassifier, {}),
    "FFM, unit length": (skfm.FFMRegressor, {"normalize": True}),
    "FFM, all pairs": (skfm.FFMRegressor, {"intra_field_pairs": True}),
    "NFM": (skfm.NFMRegressor, {}),
    "DeepFM": (skfm.DeepFMRegressor, {}),
    "FNN": (skfm.FNNClassifier, {}),
    "AFM": (skfm.AFMClassifier, {}),
    "crosses": (skfm.FMRegressor, {"crosses": [("user", "item")], **SGD}),
}


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.filterwarnings("ignore::skfm.exceptions.WorseThanConstantWarning")
@pytest.mark.parametrize(("cls", "parameters"), MODELS.values(), ids=MODELS)
def test_the_order_is_that_of_all_pairs(cls, parameters):
    if parameters.get("loss") == "gamma":
        model = cls(max_iter=4, random_state=0, loss="gamma").fit(X, np.exp(TASTE))
    else:
        model = fitted(cls, **parameters)
    check(recommend(model, USERS, ITEMS, n=N_ITEMS), expected(model))


def test_other_estimators_and_pipelines():
    encoder = make_column_transformer((OneHotEncoder(), ["user", "item"]))
    model = make_pipeline(encoder, LogisticRegression()).fit(X, TASTE > 0)
    check(recommend(model, USERS, ITEMS, n=5), expected(model, n=5))
    regressor = skfm.FMRegressor(max_iter=4, random_state=0, **SGD)
    own = make_pipeline(skfm.FieldEncoder(multi_valued=["genres"]), regressor)
    own.fit(X, TASTE)
    check(recommend(own, USERS, ITEMS, n=5), expected(own, n=5))


@pytest.fixture(scope="module")
def model():
    return fitted(skfm.FMRegressor, **SGD)


def test_numbers_without_encoding(model):
    table = X.assign(item=X.item.astype(float))[["age", "item"]]
    plain = skfm.FMRegressor(categorical_features=None, max_iter=3, random_state=0)
    plain.fit(table, TASTE)
    items = ITEMS.astype({"item": float})
    found = recommend(plain, USERS, items, n=3)
    scores = plain.predict(USERS[["age"]].merge(items[["item"]], how="cross"))
    best = np.sort(scores.reshape(N_USERS, -1), axis=1)[:, ::-1][:, :3]
    np.testing.assert_allclose(found.score, best.ravel(), rtol=1e-5)


def test_sparse_parts():
    codes = np.column_stack([USER_OF, pd.factorize(X.item)[0]])
    encoder = OneHotEncoder().fit(codes)
    matrix = encoder.transform(codes)
    model = skfm.FMRegressor(max_iter=4, random_state=0, **SGD).fit(matrix, TASTE)
    n = encoder.categories_[0].size
    whole = np.eye(matrix.shape[1])
    users = sp.csr_array(whole[:n])
    items = sp.csr_array(whole[n:])
    found = recommend(model, users, items, n=2)
    assert list(found.user[:2]) == [0, 0]
    scores = model.predict((whole[:n, None] + whole[None, n:]).reshape(-1, len(whole)))
    best = np.sort(scores.reshape(n, -1), axis=1)[:, ::-1][:, :2]
    np.testing.assert_allclose(found.score, best.ravel(), rtol=1e-5)
    with pytest.raises(ValueError, match="Both users and items have entries in column"):
        recommend(model, users, users)


def test_what_was_seen_is_left_out(model):
    """Duplicates, and pairs of others, change nothing; a user may have less than n."""
    seen = X[["user", "item"]].sample(60, random_state=0)
    everything = PAIRS.loc[PAIRS.user == "u3", ["user", "item"]]
    others = pd.DataFrame({"user": ["stranger", "u1"], "item": [100, "no such"]})
    exclude = pd.concat([seen, seen, everything, others])
    found = recommend(model, USERS, ITEMS, n=6, exclude=exclude)
    ranked = expected(model).merge(
        exclude.drop_duplicates(), how="left", indicator=True
    )
    left = ranked[ranked["_merge"] == "left_only"].drop(columns="_merge")
    left["rank"] = left.groupby("user", sort=False).cumcount() + 1
    check(found, left[left["rank"] <= 6].reset_index(drop=True))
    assert "u3" not in set(found.user)


def test_candidates(model):
    allowed = PAIRS[["user", "item"]].sample(40, random_state=1)
    seen = allowed.head(10)
    found = recommend(model, USERS, ITEMS, n=4, candidates=allowed, exclude=seen)
    ranked = expected(model).merge(allowed.iloc[10:])
    ranked["rank"] = ranked.groupby("user", sort=False).cumcount() + 1
    check(found, ranked[ranked["rank"] <= 4].reset_index(drop=True))


def test_more_items_than_there_are(model):
    check(recommend(model, USERS, ITEMS, n=99), expected(model))


def test_new_and_anonymous_users(model):
    """Unknown ids and missing cells score as in any prediction."""
    users = pd.DataFrame({"user": ["u1", "new", None], "age": [0.5, -1.0, 2.0]})
    check(recommend(model, users, ITEMS, n=3), expected(model, users, n=3))
    without = users.assign(visitor=["x", "y", "z"]).set_index("visitor")
    found = recommend(model, without.assign(user=None), ITEMS, n=1)
    assert list(found.columns) == ["user", "item", "score", "rank"]
    no_user = skfm.FMRegressor(max_iter=3, random_state=0, **SGD)
    no_user.fit(X[["age", "item"]], TASTE)
    found = recommend(no_user, without[["age"]], ITEMS, n=1)
    assert list(found.user) == ["x", "y", "z"]


def test_ids_alone():
    plain = skfm.FMRegressor(max_iter=3, random_state=0, **SGD)
    plain.fit(X[["user", "item"]], TASTE)
    found = recommend(plain, ["u2", "u0"], ITEMS, n=2)
    assert list(found.user) == ["u2", "u2", "u0", "u0"]
    by_table = recommend(plain, USERS, ITEMS, n=2)
    check(
        found.iloc[2:].reset_index(drop=True),
        by_table[by_table.user == "u0"].reset_index(drop=True),
    )


def test_requests_of_one_user_keep_their_order(model):
    twice = USERS.iloc[[4, 2, 4]]
    check(recommend(model, twice, ITEMS, n=3), expected(model, twice, n=3))


def test_equal_scores_keep_the_order_of_the_table():
    flat = DummyRegressor().fit(X, TASTE)
    found = recommend(flat, USERS.head(1), ITEMS, n=4)
    assert list(found.item) == list(ITEMS.item[:4])


@pytest.mark.parametrize("n_jobs", [2, 3])
def test_same_bits_whatever_the_threads_and_pieces(n_jobs, monkeypatch, model):
    one = fitted(skfm.FMClassifier, max_iter=10, n_jobs=1)
    found = recommend(one, USERS, ITEMS, return_std=True)
    monkeypatch.setattr("skfm.recommendation.recommending._USERS_AT_ONCE", 4)
    pieces = recommend(one, USERS, ITEMS, return_std=True)
    pd.testing.assert_frame_equal(pieces, found, rtol=1e-6)
    monkeypatch.setattr("skfm.recommendation.top._USERS_PER_BLOCK", 2)
    blocks = recommend(one, USERS, ITEMS, return_std=True)
    one.n_jobs = n_jobs
    again = recommend(one, USERS, ITEMS, return_std=True)
    pd.testing.assert_frame_equal(again, blocks, check_exact=True)


def test_popularity():
    y = RNG.integers(2, size=N_ROWS)
    model = PopularityRanker().fit(X, y)
    users_of = X[y > 0].groupby("item").user.nunique()
    pd.testing.assert_series_equal(
        model.counts_.sort_index(), users_of, check_names=False, check_index_type=False
    )
    unknown = pd.DataFrame({"item": [ITEMS.item[0], "never"]})
    assert list(model.predict(unknown)) == [users_of[ITEMS.item[0]], 0]
    check(recommend(model, USERS, ITEMS, n=4), expected(model, n=4))


# Uncertainty.


@pytest.mark.filterwarnings("ignore::sklearn.exceptions.ConvergenceWarning")
@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.FMRegressor])
def test_deviations_and_draws_are_those_of_the_posterior(cls):
    model = fitted(cls, max_iter=30, n_samples=8)
    samples = model.posterior_scores(PAIRS).reshape(N_USERS, N_ITEMS, 8)
    found = recommend(model, USERS, ITEMS, n=3, return_std=True)
    rows = pd.Index(USERS.user).get_indexer(found.user)
    columns = pd.Index(ITEMS.item).get_indexer(found.item)
    np.testing.assert_allclose(
        found["std"], samples[rows, columns].std(axis=1), rtol=1e-4
    )
    drawn = recommend(model, USERS, ITEMS, n=1, sample=True, random_state=0)
    columns = pd.Index(ITEMS.item).get_indexer(drawn.item)
    best = samples.max(axis=1)  # of each user, under each sample
    assert (
        np.isclose(best, drawn.score.to_numpy()[:, None], rtol=1e-4).any(axis=1).all()
    )
    again = recommend(model, USERS, ITEMS, n=1, sample=True, random_state=0)
    pd.testing.assert_frame_equal(again, drawn)
    other = recommend(model, USERS, ITEMS, n=1, sample=True, random_state=1)
    assert not other.equals(drawn)


# Wrong input.


def wrong(message, **changed):
    return {"users": USERS, "items": ITEMS, **changed}, message


WRONG = {
    "no such column": wrong("column 'age', which neither", users=USERS[["user"]]),
    "both": wrong("Both users and items have column 'age'", items=ITEMS.assign(age=1)),
    "item twice": wrong("in 2 rows: each must have one", items=ITEMS.iloc[[0, 1, 0]]),
    "no item": wrong("items has no column 'item'", items=ITEMS.drop(columns="item")),
    "a missing item": wrong("no 'item' in row 0", items=ITEMS.assign(item=None)),
    "no users to exclude": wrong(
        "users has no column 'user'",
        users=USERS.drop(columns="user"),
        exclude=X[["user", "item"]],
        items=ITEMS.assign(user="u1"),
    ),
    "exclude": wrong("exclude has no column 'item'", exclude=X[["user"]]),
    "sample": wrong("need the samples of a posterior", sample=True),
    "no items": wrong("0 sample", items=ITEMS.head(0)),
}


@pytest.mark.parametrize(("arguments", "message"), WRONG.values(), ids=WRONG)
def test_wrong_input(model, arguments, message):
    with pytest.raises(ValueError, match=message):
        recommend(model, **arguments)


def test_models_of_several_outputs_are_refused():
    three = skfm.FMClassifier(max_iter=2, random_state=0, **SGD)
    three.fit(X, np.digitize(TASTE, [-0.5, 0.5]))
    with pytest.raises(ValueError, match=r"needs one score a row.* has 3 outputs"):
        recommend(three, USERS, ITEMS)
