"""Rankers: queries, weights, early stopping, model selection."""

import numpy as np
import pytest
import sklearn
from common_cases import one_hot
from estimator_cases import make
from sklearn.base import clone
from sklearn.metrics import ndcg_score
from sklearn.model_selection import (
    GridSearchCV,
    GroupKFold,
    cross_val_score,
    cross_validate,
)
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skfm
from skfm.exceptions import SingleQueryWarning

RANKERS = [getattr(skfm, name) for name in skfm.__all__ if name.endswith("Ranker")]
SOME = [skfm.FMRanker, skfm.NFMRanker, skfm.DeepFMRanker, skfm.AFMRanker]
LOSSES = ("pairwise", "listwise", "lambda")

N_USERS, N_ITEMS = 30, 12
X, CELLS = one_hot(600, (N_USERS, N_ITEMS, 3))
USER = CELLS[:, 0]
TASTE = np.random.default_rng(1).normal(size=(2, N_USERS, 2))
ITEMS = np.random.default_rng(2).normal(size=(N_ITEMS, 2))
UTILITY = (TASTE[0][USER] * ITEMS[CELLS[:, 1]]).sum(axis=1)
RELEVANCE = np.digitize(UTILITY, [0.5, 1.5])


#: One batch of all pairs: nothing is drawn but the starting weights. The gradient of a
#: query's own weights is rounding noise; without a penalty, Adagrad leaves it small.
EXACT = {"batch_size": len(USER), "n_pairs": 100, "alpha_linear": 0.0}
EXACT |= {"early_stopping": False}


def fitted(cls=skfm.FMRanker, y=RELEVANCE, qid=USER, **parameters):
    return make(cls, **{"batch_size": 128} | parameters).fit(X, y, qid=qid)


@pytest.mark.parametrize(
    ("cls", "loss"),
    [(cls, "pairwise") for cls in SOME]
    + [(skfm.FMRanker, loss) for loss in LOSSES[1:]],
)
def test_rankers_learn_tastes(cls, loss):
    options = {"max_iter": 60, "learning_rate": 0.3, "early_stopping": False}
    model = fitted(cls, loss=loss, **options)
    start = make(cls, max_iter=1, learning_rate=1e-9, network_learning_rate=1e-9)
    before = start.fit(X, RELEVANCE, qid=USER).score(X, RELEVANCE, qid=USER)
    assert model.score(X, RELEVANCE, qid=USER) > max(0.9, before + 0.1)


@pytest.mark.parametrize("cls", RANKERS)
def test_effects_shared_by_a_query_are_not_learned(cls):
    """The intercept stays zero; in an FM, so do the users' linear weights."""
    model = fitted(cls, alpha_linear=0.0)
    assert model.intercept_ == 0
    if cls is skfm.FMRanker:
        np.testing.assert_allclose(model.coef_[:N_USERS], 0, atol=1e-6)
        assert np.abs(model.coef_[N_USERS : N_USERS + N_ITEMS]).min() > 1e-3


@pytest.mark.parametrize("loss", LOSSES)
def test_rows_of_a_query_need_not_be_adjacent(loss):
    """Nor do queries have an order: any permutation is the same model."""
    order = np.random.default_rng(0).permutation(len(USER))
    settings = {"loss": loss, **EXACT}
    model = fitted(**settings)
    other = make(skfm.FMRanker, **settings)
    other.fit(X[order], RELEVANCE[order], qid=USER[order])
    np.testing.assert_allclose(other.predict(X), model.predict(X), atol=1e-6)


@pytest.mark.parametrize("names", [USER - 7, USER / 3, USER.astype(str), list(USER)])
def test_names_of_queries_do_not_matter(names):
    settings = EXACT
    model, other = fitted(**settings), fitted(qid=names, **settings)
    np.testing.assert_allclose(other.predict(X), model.predict(X), atol=1e-6)


def test_no_queries_are_one_query():
    with pytest.warns(SingleQueryWarning, match="Pass the query of each row as qid"):
        alone = fitted(qid=None, loss="listwise", batch_size=len(USER))
    one = np.full(len(USER), "all")
    same = fitted(qid=one, loss="listwise", batch_size=len(USER))
    np.testing.assert_array_equal(alone.predict(X), same.predict(X))
    # In several batches, one query is cut into pieces.
    cut = fitted(qid=one)
    assert cut.loss_curve_[-1] < cut.loss_curve_[0]


def test_groups_of_a_cross_validation_are_no_queries():
    """With metadata routing off, they only decide the folds."""
    with pytest.warns(SingleQueryWarning, match="enable metadata routing"):
        cross_val_score(
            make(skfm.FMRanker), X, RELEVANCE, groups=USER, cv=GroupKFold(2)
        )


@pytest.mark.parametrize("n_jobs", [1, 4])
@pytest.mark.parametrize("loss", LOSSES)
def test_same_bits_whatever_the_threads(loss, n_jobs):
    first, again = (fitted(loss=loss, n_pairs=2, n_jobs=n) for n in (2, n_jobs))
    np.testing.assert_array_equal(first.predict(X), again.predict(X))


@pytest.mark.parametrize("loss", LOSSES)
def test_parts_of_a_batch_change_nothing(loss, monkeypatch):
    """Scores and gradients of a batch do not depend on how threads divide it."""
    settings = {"loss": loss, **EXACT}
    whole = fitted(**settings)
    monkeypatch.setattr("skfm.training.learner._WORK_PER_PART", 1_000)
    divided = fitted(**settings, n_jobs=2)
    np.testing.assert_allclose(divided.predict(X), whole.predict(X), atol=1e-6)


def test_a_query_of_weight_zero_is_as_good_as_absent():
    kept = USER < 20
    settings = {**EXACT, "alpha_factors": 0.0}
    weighted = make(skfm.FMRanker, **settings)
    weighted.fit(X, RELEVANCE, qid=USER, sample_weight=kept.astype(float))
    alone = make(skfm.FMRanker, **settings).fit(
        X[kept], RELEVANCE[kept], qid=USER[kept]
    )
    np.testing.assert_allclose(
        weighted.predict(X[kept]), alone.predict(X[kept]), atol=1e-6
    )


def test_score_is_mean_ndcg():
    model = fitted(n_ranks=3)
    scores = model.predict(X)
    expected = [
        ndcg_score([RELEVANCE[u == USER]], [scores[u == USER]], k=3)
        for u in range(N_USERS)
        if RELEVANCE[u == USER].any()
    ]
    result = model.score(X, RELEVANCE, qid=USER)
    assert result == pytest.approx(np.mean(expected), rel=1e-12)


# Early stopping.


@pytest.fixture
def learnt(monkeypatch):
    """The rows that fits learn from, which are numbered."""
    rows = []
    init = skfm.data.sampler.QueryShuffle.__init__

    def spy(self, chosen, *rest):
        rows.append(chosen)
        init(self, chosen, *rest)

    monkeypatch.setattr("skfm.data.sampler.QueryShuffle.__init__", spy)
    return rows


@pytest.mark.parametrize("hold_out", ["rows", "auto"])
def test_rows_of_users_are_held_out(learnt, hold_out):
    """Rows of each relevance are held out and left if columns identify users."""
    model = fitted(
        early_stopping=True, validation_fraction=0.2, max_iter=20, hold_out=hold_out
    )
    assert len(model.validation_scores_) == model.n_iter_
    assert all(0 < score <= 1 for score in model.validation_scores_)
    train = np.isin(np.arange(len(USER)), learnt[-1])
    assert 0.7 < train.mean() < 0.9
    for user in range(N_USERS):
        own = user == USER
        levels = set(RELEVANCE[own & ~train])
        assert levels <= set(RELEVANCE[own & train])
        assert len(levels) != 1


@pytest.mark.parametrize("hold_out", ["queries", "auto"])
def test_whole_queries_are_held_out(learnt, hold_out):
    """As it is by itself where queries have no columns of their own."""
    qid = USER
    if hold_out == "auto":
        qid = USER * 3 + CELLS[:, 2]
    fitted(early_stopping=True, validation_fraction=0.2, qid=qid, hold_out=hold_out)
    held_out = np.setdiff1d(np.arange(len(USER)), learnt[-1])
    queries = np.unique(qid[held_out])
    assert len(queries) == np.ceil(0.2 * len(np.unique(qid)))
    assert not np.isin(qid[learnt[-1]], queries).any()


def test_queries_of_few_rows_are_held_out_whole(learnt):
    one_click = np.zeros(len(USER))
    one_click[np.unique(USER, return_index=True)[1]] = 1
    fitted(early_stopping=True, y=one_click)
    held_out = np.setdiff1d(np.arange(len(USER)), learnt[-1])
    assert not np.isin(USER[learnt[-1]], USER[held_out]).any()


def test_short_queries_give_no_more_than_the_fraction(learnt):
    qid = np.arange(len(USER)) // 4
    fitted(
        early_stopping=True,
        y=np.arange(len(USER)) % 2,
        qid=qid,
        hold_out="rows",
        validation_fraction=0.1,
    )
    assert len(learnt[-1]) == pytest.approx(0.9 * len(USER), abs=2)


def test_given_validation_queries():
    model = make(skfm.FMRanker, max_iter=20, early_stopping="auto")
    half = USER < 15
    model.fit(
        X[half],
        RELEVANCE[half],
        USER[half],
        **{"X_val": X[~half], "y_val": RELEVANCE[~half], "qid_val": USER[~half]},
    )
    best = max(model.validation_scores_)
    assert model.validation_scores_[model.best_iter_ - 1] == best
    assert model.score(X[~half], RELEVANCE[~half], USER[~half]) == pytest.approx(best)


# Continuing.


def test_partial_fit_and_warm_start():
    model = make(skfm.FMRanker, n_pairs=50)
    for part in np.array_split(np.arange(N_USERS), 3):
        rows = np.isin(USER, part)
        model.partial_fit(X[rows], RELEVANCE[rows], qid=USER[rows])
    assert model.n_iter_ == 3
    warm = fitted(warm_start=True)
    before = warm.loss_curve_[-1]
    assert warm.fit(X, RELEVANCE, qid=USER).loss_curve_[-1] < before


def test_a_ranker_starts_from_a_regressor():
    source = make(skfm.FMRegressor).fit(X, UTILITY)
    ranker = fitted(init_from=source, freeze=True)
    np.testing.assert_array_equal(ranker.factors_, source.factors_)


# Wrong input.

WRONG = {
    "negative": ({"y": np.where(USER == 3, -1.0, 1)}, "zero or more.*-1.0 in row"),
    "group sizes": ({"qid": [300, 300]}, "query of each of the 600 rows; got 2.*Sizes"),
    "qid of NaN": ({"qid": np.where(USER == 3, np.nan, USER)}, "qid contains NaN"),
    "queries of one row": ({"qid": np.arange(600)}, "only one sample"),
    "no qid_val": ({"X_val": X, "y_val": RELEVANCE}, "qid_val is missing"),
    "no qid": (
        {"qid": None, "X_val": X, "y_val": RELEVANCE, "qid_val": USER},
        "qid is missing",
    ),
    "bad y_val": (
        {"X_val": X, "y_val": RELEVANCE - 1.0, "qid_val": USER},
        "y_val must be zero or more",
    ),
    "bad qid_val": (
        {"X_val": X, "y_val": RELEVANCE, "qid_val": [1]},
        "qid_val must have the query of each of the 600 rows",
    ),
    "nothing relevant held out": (
        {"X_val": X, "y_val": 0 * RELEVANCE, "qid_val": USER},
        "no held-out row has relevance above zero",
    ),
}


@pytest.mark.parametrize(("data", "message"), WRONG.values(), ids=WRONG)
def test_wrong_input(data, message):
    model = make(skfm.FMRanker)
    with pytest.raises(ValueError, match=message):
        model.fit(**{"X": X, "y": RELEVANCE, "qid": USER} | data)
    assert not hasattr(model, "network_")


def test_ndcg_of_nothing_relevant():
    with pytest.raises(ValueError, match="no row has relevance above zero"):
        fitted().score(X, 0 * RELEVANCE, qid=USER)


# Model selection: one array feeds split, fit and score.


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


def routed(**parameters):
    model = make(skfm.FMRanker, batch_size=128, **parameters)
    return model.set_fit_request(qid="groups").set_score_request(qid="groups")


def test_grid_search_with_groups(routing):
    """Users apart: what is known of new ones is which items are liked."""
    liked = np.digitize(ITEMS[CELLS[:, 1], 0], [-0.5, 0.5])
    search = GridSearchCV(
        routed(max_iter=30), {"alpha_linear": [0.001, 1000.0]}, cv=GroupKFold(3)
    )
    search.fit(X, liked, groups=USER)
    assert search.best_params_ == {"alpha_linear": 0.001}
    by_hand = []
    for train, test in GroupKFold(3).split(X, groups=USER):
        model = clone(search.best_estimator_)
        model.fit(X[train], liked[train], qid=USER[train])
        by_hand.append(model.score(X[test], liked[test], qid=USER[test]))
    assert search.best_score_ == pytest.approx(np.mean(by_hand))
    assert search.score(X, liked, groups=USER) > 0.9


def test_pipelines_route_queries(routing):
    pipeline = make_pipeline(FunctionTransformer(accept_sparse=True), routed())
    result = cross_validate(
        pipeline, X, RELEVANCE, params={"groups": USER}, cv=GroupKFold(3)
    )
    assert np.all(result["test_score"] > 0)


@pytest.mark.parametrize("loss", LOSSES)
@pytest.mark.parametrize(
    ("relevance", "qid", "weight"),
    [
        (np.ones(len(USER)), USER, None),
        (USER % 3, USER, None),
        (np.zeros(len(USER)), None, None),
        (RELEVANCE, USER, (RELEVANCE == 1).astype(float)),
    ],
)
def test_queries_without_a_pair_to_compare(loss, relevance, qid, weight):
    model = make(skfm.FMRanker, loss=loss)
    with pytest.raises(ValueError, match=r"No query has two rows .* with y=0"):
        model.fit(X, relevance, qid=qid, sample_weight=weight)
    assert not hasattr(model, "network_")


def test_one_pair_is_enough():
    one = np.zeros(len(USER))
    one[0] = 1
    fitted(y=one, early_stopping=False)
