"""Crosses of a table's columns as a parameter of the estimators."""

import pickle

import numpy as np
import pandas as pd
import pytest
from sklearn.metrics import roc_auc_score

import skfm
from skfm.exceptions import IdsAsNumbersWarning
from skfm.inspection import explain, interaction_strength

QUICK = {"random_state": 0, "max_iter": 8, "early_stopping": False}


@pytest.fixture(scope="module")
def planted():
    """An effect of month and day that is not of low rank; airport adds up."""
    rng = np.random.default_rng(0)
    n = 6000
    X = pd.DataFrame(
        {
            "month": rng.integers(1, 13, n),
            "day": rng.integers(1, 32, n),
            "airport": rng.choice(["JFK", "LGA", "EWR"], n),
        }
    )
    effects = 2 * rng.normal(size=(12, 31))
    score = effects[X["month"] - 1, X["day"] - 1] + (X["airport"] == "JFK")
    return X, score.to_numpy() + rng.logistic(size=n)


def names_of(model):
    return [cross.name for cross in model.crosses_]


@pytest.mark.parametrize("name", ["FM", "NFM", "DeepFM", "WideDeep"])
def test_a_planted_cross_is_found_and_helps(planted, name):
    X, y = planted
    cls = getattr(skfm, f"{name}Classifier")
    options = QUICK | {"n_factors": 2}
    model = cls(**options).fit(X[:4500], y[:4500] > 0)
    assert names_of(model) == ["month x day"]
    assert model.field_names_[-1] == "month x day"
    assert model.fields_[-1] == model.fields_.max()
    plain = cls(crosses=None, **options).fit(X[:4500], y[:4500] > 0)
    assert plain.crosses_ == []
    if name == "FM":
        # Two factors are too few for the pair; the others may bend them.
        with_cross, without = (
            roc_auc_score(y[4500:] > 0, m.decision_function(X[4500:]))
            for m in (model, plain)
        )
        assert with_cross > without + 0.05


def test_regressors_rankers_and_several_classes_find_it(planted):
    X, y = planted
    regressor = skfm.FMRegressor(crosses="auto", **QUICK).fit(X, y)
    assert names_of(regressor) == ["month x day"]
    outputs = skfm.FMRegressor(crosses="auto", **QUICK).fit(X, np.c_[y, -y])
    assert names_of(outputs) == ["month x day"]
    classes = np.digitize(y, [-1, 1])
    several = skfm.FMClassifier(crosses="auto", **QUICK).fit(X, classes)
    assert names_of(several)[0] == "month x day"
    labels = np.c_[y > 0, y > 1]
    multilabel = skfm.FMClassifier(crosses="auto", **QUICK).fit(X, labels)
    assert names_of(multilabel)[0] == "month x day"
    ranker = skfm.FMRanker(crosses="auto", **QUICK)
    ranker.fit(X, np.clip(np.round(y), 0, 5), qid=np.arange(len(y)) // 10)
    assert names_of(ranker)[0] == "month x day"


def test_sampled_machines_get_no_cross_that_they_explain():
    """Neither of a pair of low rank, which other estimators get."""
    rng = np.random.default_rng(0)
    codes = rng.integers(6, size=(2000, 3))
    X = pd.DataFrame(codes).astype("category")
    factors = rng.normal(size=(2, 6, 2))
    pair = (factors[0, codes[:, 0]] * factors[1, codes[:, 1]]).sum(axis=1)
    y = pair + rng.normal(size=2000)
    quick = {"random_state": 0, "max_iter": 2, "n_factors": 4}
    assert names_of(skfm.FMRegressor(solver="sgd", **quick).fit(X, y)) == ["x0 x x1"]
    assert names_of(skfm.FMRegressor(**quick).fit(X, y)) == []
    classes = np.digitize(y, [-1, 1])
    assert names_of(skfm.FMClassifier(**quick).fit(X, classes)) == []
    labels = np.c_[y > 0, y > 1]
    assert names_of(skfm.FMClassifier(**quick).fit(X, labels)) == ["x0 x x1"]
    triple = rng.normal(size=(6, 6, 6))[tuple(codes.T)] > 0
    one, two = (
        skfm.FMClassifier(n_jobs=n, **quick).fit(X, triple).crosses_ for n in (1, 2)
    )
    assert one
    assert one == two


def test_crosses_that_are_asked_for_are_added(planted):
    X, y = planted
    crosses = [("airport", "month"), (0, 1, 2)]
    model = skfm.FMRegressor(crosses=crosses, **QUICK).fit(X, y)
    assert names_of(model) == ["month x airport", "month x day x airport"]
    assert np.isnan(model.crosses_[0].gain)
    names = model.column_names_
    assert len(names) == len(model.coef_) == len(model.fields_)
    assert "month x airport_(-inf, 1.5] x EWR" in names


def test_fields_that_are_given_are_those_of_the_columns(planted):
    X, y = planted
    model = skfm.FMRegressor(crosses=[(0, 1)], fields=["when", "when", "where"])
    model.set_params(**QUICK).fit(X, y)
    assert model.field_names_ == ["when", "where", "month x day"]
    n_levels = model.crosses_[0].n_levels
    assert (model.fields_ == 2).sum() == n_levels


def test_predictor_files_and_pickles_agree(planted, tmp_path):
    X, y = planted
    pairs = np.random.default_rng(1).integers(300, size=(4500, 2))
    pairs = pairs[np.random.default_rng(2).integers(4500, size=len(X))]
    X = X.assign(user=pairs[:, 0].astype(str), item=pairs[:, 1].astype(str))
    taste = 2 * np.random.default_rng(3).normal(size=(300, 300))
    target = y + taste[pairs[:, 0], pairs[:, 1]] > 0
    model = skfm.FMClassifier(crosses="auto", **QUICK).fit(X, target)
    kinds = {cross.kind for cross in model.crosses_}
    assert kinds == {"levels", "statistics"}
    new = X[:50].assign(user=["nobody", *X["user"][1:50]])
    expected = model.predict_proba(new)
    skfm.save(model, tmp_path / "model.skfm")
    loaded = skfm.load(tmp_path / "model.skfm")
    assert loaded.crosses_ == model.crosses_
    np.testing.assert_array_equal(loaded.predict_proba(new), expected)
    copied = pickle.loads(pickle.dumps(model))
    np.testing.assert_array_equal(copied.predict_proba(new), expected)
    rows = new.to_dict("records")
    for predictor in (model.compile_predictor(), loaded.compile_predictor()):
        np.testing.assert_allclose(
            predictor.predict_proba(rows), expected, rtol=1e-5, atol=1e-7
        )


def test_statistics_in_training_are_out_of_fold(planted):
    """Learnt in sample, they would tell the target of noise."""
    rng = np.random.default_rng(4)
    pairs = rng.integers(100, size=(2000, 2))[rng.integers(2000, size=3000)]
    X = pd.DataFrame(pairs, columns=["user", "item"]).astype("category")
    taste = rng.normal(size=(100, 100))[pairs[:, 0], pairs[:, 1]]
    y = 2 * taste + rng.normal(size=3000)
    model = skfm.FMRegressor(crosses="auto", **QUICK).fit(X, y)
    (found,) = (cross for cross in model.crosses_ if cross.kind == "statistics")
    assert found.name == "user x item (statistics)"
    # Rows that are the only ones of their pair know of none in training.
    unseen = model.column_names_.tolist().index(f"{found.name}_count 0")
    assert model._column_statistics.counts[unseen] > 0


def test_crosses_are_learnt_by_the_weights(planted):
    X, y = planted
    counted = np.arange(len(y)) % 3 > 0
    wrong = np.where(counted, y, 1e3 * y[::-1])
    X = X.astype("category")
    weighed, without = (skfm.FMRegressor(crosses="auto", **QUICK) for _ in range(2))
    weighed.fit(X, wrong, sample_weight=counted)
    without.fit(X[counted], y[counted])
    assert names_of(weighed) == names_of(without) == ["month x day"]
    gains = [model.crosses_[0].gain for model in (weighed, without)]
    assert gains[0] == pytest.approx(gains[1])


def test_explanations_name_the_crosses(planted):
    X, y = planted
    model = skfm.FMRegressor(crosses="auto", **QUICK).fit(X, y)
    terms = explain(model, X[:1])
    total = terms["contribution"].sum()
    assert total == pytest.approx(model.predict(X[:1])[0], rel=1e-4, abs=1e-4)
    assert terms["first"].str.startswith("month x day_").any()
    assert "month x day" in interaction_strength(model, X[:200]).index


def test_a_cross_is_wide_where_its_columns_are(planted):
    X, y = planted
    model = skfm.WideDeepRegressor(
        crosses=[(0, 1)], wide_columns=["month", "day"], **QUICK
    ).fit(X, y)
    wide = model._chosen("wide_columns")
    names = model.column_names_
    assert wide[[name.startswith("month x day") for name in names]].all()
    assert not wide[[name.startswith("airport") for name in names]].any()
    model.set_params(wide_columns=["month"])
    assert not model._chosen("wide_columns")[-model.crosses_[0].n_levels :].any()


def test_later_fits_keep_the_crosses(planted):
    X, y = planted
    model = skfm.FMRegressor(crosses="auto", warm_start=True, **QUICK).fit(X, y)
    found = model.crosses_
    assert model.fit(X, -y).crosses_ == found
    stream = skfm.FMRegressor(solver="sgd", random_state=0).partial_fit(X, y)
    assert stream.crosses_ == found
    assert stream.partial_fit(X[:100], y[:100]).crosses_ == found


def test_same_state_gives_the_same_bits(planted):
    X, y = planted
    a, b = (
        skfm.FMRegressor(crosses="auto", n_jobs=n, **QUICK).fit(X, y) for n in (1, 2)
    )
    assert a.crosses_ == b.crosses_
    np.testing.assert_array_equal(a.predict(X), b.predict(X))


def test_input_that_is_not_encoded_has_no_crosses(planted):
    X, y = planted
    numbers = X[["month", "day"]].to_numpy()
    with pytest.warns(IdsAsNumbersWarning):
        model = skfm.FMRegressor(crosses="auto", **QUICK).fit(numbers, y)
    assert model.crosses_ == []
    with pytest.raises(ValueError, match="needs a table that is encoded"):
        skfm.FMRegressor(crosses=[(0, 1)]).fit(numbers, y)
    with pytest.raises(ValueError, match="crosses names column 'week'"):
        skfm.FMRegressor(crosses=[("week", "day")]).fit(X, y)
