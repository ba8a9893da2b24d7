"""FieldCrosses: tables in, tables with crosses out."""

import pickle

import numpy as np
import pandas as pd
import polars as pl
import pytest
from sklearn.base import clone
from sklearn.linear_model import Ridge
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline
from sklearn.utils.estimator_checks import parametrize_with_checks

import skfm
from skfm.encoding import FieldCrosses, FieldEncoder


@parametrize_with_checks([FieldCrosses()])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def planted():
    """Color and day interact; user, hour and weight add up."""
    rng = np.random.default_rng(0)
    n = 4000
    X = pd.DataFrame(
        {
            "color": rng.choice(["red", "green", "blue", None], n),
            "day": rng.integers(1, 32, n),
            "user": rng.integers(10**9, 10**9 + 300, n),
            "weight": rng.normal(size=n),
        }
    )
    effects = rng.normal(size=(4, 32))
    color = pd.factorize(X["color"], use_na_sentinel=False)[0]
    y = effects[color, X["day"]] + X["weight"] + 0.5 * rng.normal(size=n)
    return X, y.to_numpy()


def test_planted_cross_is_found_and_added(planted):
    X, y = planted
    crosses = FieldCrosses(random_state=0)
    out = crosses.fit_transform(X, y)
    (found,) = crosses.crosses_
    assert (found.name, found.columns, found.kind) == (
        "color x day",
        ("color", "day"),
        "levels",
    )
    assert found.gain > 100
    assert found.z > 10
    assert found.variance > 0
    assert list(out) == [*X, "color x day"] == list(crosses.get_feature_names_out())
    pd.testing.assert_frame_equal(out[list(X)], X)
    pairs = X["color"].fillna("<missing>") + X["day"].astype(str)
    assert out["color x day"].nunique() == pairs.nunique()
    assert (pairs.groupby(out["color x day"], observed=True).nunique() == 1).all()
    assert "blue x (1.5, 2.5]" in out["color x day"].cat.categories
    pd.testing.assert_frame_equal(crosses.transform(X), out)


def test_classes_have_the_same_cross(planted):
    X, y = planted
    for target in (y > 0, np.digitize(y, [-1, 1]), np.array(["a", "b"])[(y > 0) * 1]):
        found = FieldCrosses(random_state=0).fit(X, target).crosses_
        assert found[0].name == "color x day"


def test_unseen_combinations_are_missing_cells(planted):
    X, y = planted
    crosses = FieldCrosses(random_state=0).fit(X, y)
    new = X[:3].assign(color=["red", "mauve", "red"], day=[1, 1, None])
    cells = crosses.transform(new)["color x day"]
    assert cells.isna().tolist() == [False, True, True]
    assert cells.index.equals(new.index)


def test_other_frames_and_arrays_say_the_same(planted):
    X, y = planted
    crosses = FieldCrosses(random_state=0)
    expected = crosses.fit_transform(X, y)["color x day"]
    polars = crosses.fit_transform(pl.from_pandas(X), y)
    assert isinstance(polars, pl.DataFrame)
    assert polars["color x day"].to_list() == expected.astype(object).tolist()
    array = crosses.fit_transform(X.to_numpy(), y)
    assert [cross.name for cross in crosses.crosses_] == ["x0 x x1"]
    levels = pd.Series(array[:, -1].astype(int))
    assert levels.nunique() == expected.nunique()
    assert pd.crosstab(levels, expected.to_numpy()).gt(0).to_numpy().sum() == (
        expected.nunique()
    )


def test_statistics_of_training_rows_are_out_of_fold():
    rng = np.random.default_rng(1)
    pairs = rng.integers(400, size=(3000, 2))[rng.integers(3000, size=4000)]
    X = pd.DataFrame(pairs, columns=["user", "item"]).astype("category")
    y = rng.normal(size=(400, 400))[pairs[:, 0], pairs[:, 1]] * 2
    y += rng.normal(size=4000)
    crosses = FieldCrosses(random_state=0)
    trained = crosses.fit_transform(X, y)
    assert crosses.crosses_[0].columns == ("user", "item")
    names = [cross.name for cross in crosses.crosses_ if cross.kind == "statistics"]
    assert names == ["user x item (statistics)"]
    assert (trained[names[0]] != crosses.transform(X)[names[0]]).any()
    # In training some rows know of no other; in prediction all do.
    assert (trained[names[0]] == "count 0").any()
    assert not (crosses.transform(X)[names[0]] == "count 0").any()


def test_rows_without_weight_are_as_if_absent(planted):
    X, y = planted
    absent = np.arange(len(X)) % 5 == 0
    # Their targets would hide the effect, but categories stay those of the table.
    wrong = np.where(absent, 1e3 * np.random.default_rng(0).normal(size=len(y)), y)
    weighed, without = FieldCrosses(random_state=0), FieldCrosses(random_state=0)
    X = X.astype({"day": "category", "user": "category"}).drop(columns="weight")
    out = weighed.fit_transform(X, wrong, sample_weight=1.0 - absent)
    expected = without.fit_transform(X[~absent], y[~absent])
    assert [cross[:4] for cross in weighed.crosses_] == [
        cross[:4] for cross in without.crosses_
    ]
    assert weighed.crosses_[0].gain == pytest.approx(without.crosses_[0].gain)
    assert (out["color x day"][~absent] == expected["color x day"]).all()
    assert not FieldCrosses(random_state=0).fit(X, wrong).crosses_


def test_whole_weights_are_numbers_of_rows(planted):
    X, y = planted
    X, y = X[["color", "day"]][:200].astype("category"), y[:200]
    assert not FieldCrosses(random_state=0).fit(X, y).crosses_
    found = FieldCrosses(random_state=0).fit(X, y, sample_weight=np.full(200, 9))
    assert [cross.name for cross in found.crosses_] == ["color x day"]


def test_other_weights_are_no_evidence_of_their_own(planted):
    """A few rows of large weight do not stand for many that agree."""
    X, y = planted
    rng = np.random.default_rng(5)
    noise, weight = rng.normal(size=len(y)), rng.lognormal(sigma=1.5, size=len(y))
    for scale in (1e-3, 1.0, 1e3):
        crosses = FieldCrosses(random_state=0).fit(X, noise, scale * weight)
        assert crosses.crosses_ == []
    equal = FieldCrosses(random_state=0).fit(X, y, np.full(len(y), 0.1))
    assert equal.crosses_ == FieldCrosses(random_state=0).fit(X, y).crosses_


def test_crosses_that_are_asked_for_are_added(planted):
    X, y = planted
    by_name = FieldCrosses(crosses=[("day", "color"), ("user", "day", "weight")])
    out = by_name.fit_transform(X, y)
    assert list(out)[-2:] == ["color x day", "day x user x weight"]
    assert np.isnan(by_name.crosses_[0].gain)
    by_index = FieldCrosses(crosses=[(0, 1)]).fit(X, y)
    assert by_index.crosses_[0].columns == ("color", "day")


def test_integers_that_repeat_are_crossed_by_value():
    rng = np.random.default_rng(2)
    X = pd.DataFrame(rng.integers(100, size=(4000, 2)), columns=["a", "b"])
    crosses = FieldCrosses(crosses=[("a", "b")], min_count=1)
    out = crosses.fit_transform(X, X["a"])
    assert out["a x b"].nunique() == len(X.drop_duplicates())
    y = (X["a"] > 50) * (X["b"] > 50) + rng.normal(size=4000)
    found = FieldCrosses(random_state=0).fit(X, y).crosses_
    assert [cross.name for cross in found] == ["a (bins) x b (bins)"]
    assert found[0].columns == ("a", "b")


@pytest.mark.parametrize("wrong", [["month"], [("color",)], [("color", "color")]])
def test_crosses_that_are_no_tuples_are_refused(planted, wrong):
    with pytest.raises(ValueError, match="not a tuple of two or more"):
        FieldCrosses(crosses=wrong).fit(*planted)


def test_errors_name_the_remedy(planted):
    X, y = planted
    with pytest.raises(ValueError, match="crosses names column 'month'"):
        FieldCrosses(crosses=[("month", "day")]).fit(X, y)
    with pytest.raises(ValueError, match="Negative values in data passed"):
        FieldCrosses().fit(X, y, sample_weight=np.where(y > 0, -1, 1))
    with pytest.raises(ValueError, match="requires y to be passed"):
        FieldCrosses().fit(X, None)
    with pytest.raises(ValueError, match='Use "multiclass"'):
        FieldCrosses(target_type="binary").fit(X, X["day"])
    with pytest.raises(ValueError, match="Rename the column"):
        FieldCrosses(random_state=0).fit_transform(X.assign(**{"color x day": 0}), y)


def test_a_constant_target_has_no_crosses(planted):
    X, y = planted
    assert FieldCrosses().fit(X, np.zeros(len(y))).crosses_ == []


def test_parts_of_dates_are_crossed():
    rng = np.random.default_rng(0)
    when = pd.Timestamp("2010-01-01") + pd.to_timedelta(
        rng.integers(0, 24 * 3650, 4000), "h"
    )
    X = pd.DataFrame({"when": when, "item": rng.choice(["a", "b", "c"], 4000)})
    effects = rng.normal(size=(7, 24))
    y = effects[when.day_of_week, when.hour] + 0.5 * rng.normal(size=4000)
    crosses = FieldCrosses(random_state=0).fit(X, y)
    assert [cross[:2] for cross in crosses.crosses_] == [
        ("when (weekday) x when (hour)", ("when", "when"))
    ]
    cells = crosses.transform(X[:3].assign(when=pd.Timestamp("2013-01-07 05:00")))
    assert cells.iloc[0, -1] == "0 x 5"
    asked = FieldCrosses(crosses=[("when", "item")]).fit(X, y)
    assert asked.crosses_[0].name == "when (fine bins) x item"


def test_saved_crosses_transform_alike(planted, tmp_path):
    X, y = planted
    rng = np.random.default_rng(1)
    pairs = rng.integers(400, size=(3000, 2))[rng.integers(3000, size=len(X))]
    X = X.assign(user=pairs[:, 0].astype(str), item=pairs[:, 1].astype(str))
    taste = 4 * rng.normal(size=(400, 400))[pairs[:, 0], pairs[:, 1]]
    crosses = FieldCrosses(random_state=0).fit(X, y + taste)
    assert {cross.kind for cross in crosses.crosses_} == {"levels", "statistics"}
    skfm.save(crosses, tmp_path / "crosses.skfm")
    loaded = skfm.load(tmp_path / "crosses.skfm")
    assert loaded.crosses_ == crosses.crosses_
    new = X[:50].assign(user=["nobody", *X["user"][1:50]])
    pd.testing.assert_frame_equal(loaded.transform(new), crosses.transform(new))


def test_labels_that_look_alike_stay_apart():
    X = pd.DataFrame({"a": ["p x q", "p"] * 4, "b": ["r", "q x r"] * 4})
    out = FieldCrosses(crosses=[("a", "b")]).fit_transform(X, np.arange(8.0))
    assert out["a x b"].nunique() == 2


def test_works_in_a_pipeline_without_leak():
    """Nothing is learned from noise, though pairs repeat."""
    rng = np.random.default_rng(3)
    pairs = rng.integers(60, size=(500, 2))[rng.integers(500, size=2000)]
    X = pd.DataFrame(pairs, columns=["user", "item"]).astype("category")
    noise = rng.normal(size=2000)
    model = make_pipeline(
        FieldCrosses(random_state=0), FieldEncoder(), Ridge(alpha=10.0)
    )
    assert cross_val_score(model, X, noise, cv=3).mean() < 0.02
    signal = rng.normal(size=(60, 60))[pairs[:, 0], pairs[:, 1]] + 0.3 * noise
    without = make_pipeline(FieldEncoder(), Ridge(alpha=10.0))
    with_crosses = cross_val_score(model, X, signal, cv=3).mean()
    assert with_crosses > cross_val_score(without, X, signal, cv=3).mean() + 0.2


def test_clones_and_pickles_transform_alike(planted):
    X, y = planted
    crosses = FieldCrosses(random_state=0).fit(X, y)
    expected = crosses.transform(X)
    again = pickle.loads(pickle.dumps(crosses))
    pd.testing.assert_frame_equal(again.transform(X), expected)
    pd.testing.assert_frame_equal(clone(crosses).fit(X, y).transform(X), expected)


def test_pandas_output_can_be_asked_of_arrays(planted):
    X, y = planted
    crosses = FieldCrosses(random_state=0).set_output(transform="pandas")
    out = crosses.fit_transform(X[["day", "user", "weight"]].to_numpy(), y)
    assert list(out) == list(crosses.get_feature_names_out())
