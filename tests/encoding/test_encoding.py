"""FieldEncoder: contract, layout, containers, ids, rare categories."""

import datetime
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from encoder_cases import OPTIONS, columns_of, equal, table, to_polars
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from skfm.encoding import FieldEncoder
from skfm.encoding.blocks import ALMOST_ZERO
from skfm.fields import resolve_fields


@parametrize_with_checks([FieldEncoder(**options) for options in OPTIONS])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
def test_checks_outside_of_check_estimator(check):
    check("FieldEncoder", FieldEncoder())


class TestLayout:
    def test_one_column_per_category_then_unknown_then_missing(self):
        df = pd.DataFrame({"c": ["b", None, "a"], "x": [1.0, 2.0, np.nan]})
        encoder = FieldEncoder(numeric="passthrough").fit(df)
        new = pd.DataFrame({"c": ["a", "b", "z", None], "x": [5.0, np.nan, -1.0, 3.0]})
        expected = [
            [1, 0, 0, 0, 5, 0],
            [0, 1, 0, 0, 0, 1],
            [0, 0, 1, 0, -1, 0],
            [0, 0, 0, 1, 3, 0],
        ]
        assert_array_equal(encoder.transform(new).toarray(), expected)
        names = ["c_a", "c_b", "c_<unknown>", "c_<missing>", "x", "x_<missing>"]
        assert encoder.get_feature_names_out().tolist() == names
        assert encoder.fields_.tolist() == [0, 0, 0, 0, 1, 1]
        assert encoder.fields_.dtype == np.int32
        assert encoder.field_names_.tolist() == ["c", "x"]
        assert encoder.categories_[0].tolist() == ["a", "b"]
        assert encoder.categories_[1] is None

    @pytest.mark.parametrize("dtype", [np.float32, np.float64, "float32"])
    def test_dtype(self, dtype):
        X = FieldEncoder(dtype=dtype).fit_transform([["a", 1.0], ["b", 2.0]])
        assert X.dtype == dtype
        assert X.indices.dtype == X.indptr.dtype == np.int32
        assert X.has_canonical_format

    @pytest.mark.parametrize("options", [{}, {"min_frequency": 3}, {"n_buckets": 4}])
    @pytest.mark.parametrize("numeric", ["scale", "quantile", "passthrough"])
    def test_fields_are_inferred_from_the_matrix(self, options, numeric):
        df = table(np.random.default_rng(0), 300).drop(columns="flag")
        # Without stored near-zeros these two would look like one field of two columns.
        df["left"] = np.arange(300) % 2
        df["right"] = 1 - df["left"]
        df["constant"] = 1.5
        encoder = FieldEncoder(numeric=numeric, **options)
        X = encoder.fit_transform(df)
        X.eliminate_zeros()
        assert_array_equal(np.diff(X.indptr), df.shape[1])
        fields, _ = resolve_fields("auto", X)
        used = np.unique(X.indices)
        assert_array_equal(fields[used], encoder.fields_[used])

    def test_categories_of_dtype_that_do_not_occur_get_no_column(self):
        cells = pd.Categorical(["a", "c"], categories=["c", "b", "a"])
        encoder = FieldEncoder().fit(pd.DataFrame({"c": cells}))
        assert encoder.categories_[0].tolist() == ["a", "c"]

    def test_categories_in_another_order_at_transform(self):
        fit, new = [
            pd.DataFrame({"c": pd.Categorical(["a", "b", None], categories=order)})
            for order in (["a", "b"], ["z", "b", "a"])
        ]
        encoder = FieldEncoder().fit(fit)
        assert equal(encoder.transform(fit), encoder.transform(new))

    @pytest.mark.parametrize(
        ("selected", "categorical"),
        [
            ("from_dtype", ["c"]),
            ("all", ["c", "i"]),
            (["i", "c"], ["c", "i"]),
            ([0, 1], ["c", "i"]),
            ([True, False], ["c"]),
            (np.array([0]), ["c"]),
        ],
    )
    def test_categorical_features(self, selected, categorical):
        df = pd.DataFrame({"c": ["a", "b"], "i": [1, 2]})
        encoder = FieldEncoder(categorical_features=selected).fit(df)
        pairs = zip(df.columns, encoder.categories_, strict=True)
        assert [name for name, levels in pairs if levels is not None] == categorical

    def test_none_means_no_column(self):
        encoder = FieldEncoder(categorical_features=None).fit([[True, 1], [False, 2]])
        assert encoder.categories_ == [None, None]

    def test_does_not_modify_x(self):
        df = table(np.random.default_rng(0), 50)
        before = df.copy(deep=True)
        FieldEncoder().fit(df).transform(df)
        pd.testing.assert_frame_equal(df, before)


class TestContainers:
    @pytest.mark.parametrize("options", [{}, {"categorical_features": "all"}])
    def test_polars_pandas_and_objects_agree(self, options):
        df = table(np.random.default_rng(1), 200)
        expected = FieldEncoder(**options).fit_transform(df)
        frames = {"polars": to_polars(df), "arrow": to_polars(df).to_arrow()}
        for name, frame in frames.items():
            assert equal(FieldEncoder(**options).fit_transform(frame), expected), name
        fitted = FieldEncoder(**options).fit(df)
        assert equal(fitted.transform(frames["polars"]), expected)
        everything = FieldEncoder(categorical_features="all")
        assert equal(
            everything.fit_transform(df.to_numpy(dtype=object)),
            everything.fit_transform(df),
        )

    def test_polars_categories_and_dates(self):
        frame = pl.DataFrame({"c": ["b", None, "a"], "e": ["x", "y", "x"]}).cast(
            {"c": pl.Categorical, "e": pl.Enum(["y", "x"])}
        )
        encoder = FieldEncoder().fit(frame)
        assert [levels.tolist() for levels in encoder.categories_] == [
            ["a", "b"],
            ["x", "y"],
        ]
        dates = pl.DataFrame({"d": [datetime.date(2024, 1, 2), None]})
        encoder = FieldEncoder(categorical_features="all")
        assert encoder.fit_transform(dates).indices.tolist() == [0, 2]

    def test_array_of_objects_is_categorical_where_it_holds_strings(self):
        X = np.array([["a", 1.5], [None, None], ["b", 2]], dtype=object)
        encoder = FieldEncoder(numeric="passthrough").fit(X)
        assert encoder.get_feature_names_out().tolist() == [
            *["x0_a", "x0_b", "x0_<unknown>", "x0_<missing>"],
            *["x1", "x1_<missing>"],
        ]
        assert equal(encoder.transform(X), encoder.transform(X.tolist()))


class TestIds:
    @settings(max_examples=30, deadline=None)
    @given(st.data())
    def test_large_ids_unseen_and_missing(self, data):
        ids = st.integers(-(2**60), 2**60)
        base = data.draw(ids)
        near = st.one_of(ids, st.integers(base, base + 3))
        known = data.draw(st.lists(near, min_size=1, max_size=30))
        cells = data.draw(
            st.lists(st.one_of(st.none(), near, st.sampled_from(known)), min_size=1)
        )
        encoder = FieldEncoder(categorical_features="all")
        encoder.fit(pd.DataFrame({"id": known}))
        levels = sorted(set(known))
        expected = [
            len(levels) + 1
            if cell is None
            else levels.index(cell)
            if cell in levels
            else len(levels)
            for cell in cells
        ]
        for new in (
            pd.DataFrame({"id": pd.array(cells, dtype="Int64")}),
            pd.DataFrame({"id": pd.Series(cells, dtype=object)}),
            pl.DataFrame({"id": pl.Series(cells, dtype=pl.Int64)}),
        ):
            assert encoder.transform(new).indices.tolist() == expected

    def test_float_column_of_integers_is_the_integers(self):
        encoder = FieldEncoder(categorical_features="all")
        encoder.fit(pd.DataFrame({"id": [3.0, np.nan, 1.0]}))
        assert encoder.categories_[0].dtype == np.int64
        new = pd.DataFrame({"id": [1, 3, 2]})
        assert columns_of(encoder, encoder.transform(new)) == [
            "id_1",
            "id_3",
            "id_<unknown>",
        ]

    def test_rounded_ids_are_refused(self):
        encoder = FieldEncoder(categorical_features="all")
        encoder.fit(pd.DataFrame({"id": [2**60 + 1, 5]}))
        with pytest.raises(ValueError, match=r"'id'.*beyond 2\*\*53"):
            encoder.transform(pd.DataFrame({"id": [2.0**60, np.nan]}))

    def test_unsigned_ids(self):
        high = np.array([2**64 - 1, 2**63 + 5, 1], dtype=np.uint64)
        encoder = FieldEncoder(categorical_features="all")
        encoder.fit(pd.DataFrame({"id": high}))
        assert encoder.categories_[0].tolist() == sorted(high.tolist())
        signed = pd.DataFrame({"id": np.array([-1, 1, 5 - 2**63])})
        assert encoder.transform(signed).indices.tolist() == [3, 0, 3]

    def test_tenth_unseen_tenth_missing(self):
        rng = np.random.default_rng(0)
        known = rng.integers(0, 2**60, 500)
        cells = rng.choice(known, 2000).astype(object)
        kind = rng.choice(3, 2000, p=[0.8, 0.1, 0.1])
        cells[kind == 1] = -1
        cells[kind == 2] = None
        encoder = FieldEncoder(categorical_features="all", warn_unknown=True)
        encoder.fit(pd.DataFrame({"id": known}))
        unknown, missing = (kind == 1).sum(), (kind == 2).sum()
        with pytest.warns(UserWarning, match=f"id: {unknown} unknown, {missing} miss"):
            X = encoder.transform(pd.DataFrame({"id": cells}))
        counts = np.bincount(X.indices, minlength=X.shape[1])
        assert counts[-2:].tolist() == [unknown, missing]
        original = encoder.inverse_transform(X)[:, 0]
        assert original[kind == 0].tolist() == cells[kind == 0].tolist()
        assert set(original[kind != 0]) == {None}

    def test_no_warning_unless_asked(self):
        encoder = FieldEncoder().fit([["a"], ["b"]])
        with warnings.catch_warnings():
            warnings.simplefilter("error")
            encoder.transform([["z"], [None]])


class TestInfrequent:
    @settings(max_examples=40, deadline=None)
    @given(
        cells=st.lists(st.sampled_from("abcdefgh"), min_size=1, max_size=40),
        least=st.one_of(st.none(), st.integers(1, 6), st.floats(0.01, 0.9)),
        most=st.one_of(st.none(), st.integers(1, 6)),
    )
    def test_groups_as_one_hot_encoder(self, cells, least, most):
        X = np.array(cells, dtype=object)[:, None]
        kept = FieldEncoder(min_frequency=least).fit(X).categories_[0]
        # Where all fit, OneHotEncoder makes a group of one category regardless.
        assume(most != len(kept) or len(kept) < len(set(cells)))
        theirs = OneHotEncoder(min_frequency=least, max_categories=most).fit(X)
        ours = FieldEncoder(min_frequency=least, max_categories=most).fit(X)
        width = ours.fields_.size - 2
        assert_array_equal(
            ours.transform(X).toarray()[:, :width], theirs.transform(X).toarray()
        )
        if least is None and most is None:
            return
        rare = theirs.infrequent_categories_[0]
        assert_array_equal(ours.infrequent_categories_[0], [] if rare is None else rare)

    def test_as_many_categories_as_allowed(self):
        encoder = FieldEncoder(max_categories=2).fit([["a"], ["b"]])
        assert encoder.categories_[0].tolist() == ["a", "b"]

    def test_unseen_is_not_infrequent(self):
        encoder = FieldEncoder(min_frequency=2).fit([["a"], ["a"], ["b"]])
        X = encoder.transform([["a"], ["b"], ["z"]])
        assert columns_of(encoder, X) == ["x0_a", "x0_<infrequent>", "x0_<unknown>"]

    def test_excess_is_raised_on_request(self):
        df = pd.DataFrame({"c": ["a", "b", "c"], "ok": ["a", "a", "b"]})
        encoder = FieldEncoder(max_categories=2, on_excess="raise")
        with pytest.raises(ValueError, match=r"'c' has 3 categories.*max_categories=2"):
            encoder.fit(df)
        encoder.fit(df[["ok"]])


@pytest.mark.parametrize("options", OPTIONS)
def test_inverse_transform(options):
    df = table(np.random.default_rng(2), 80)[["text", "id", "price"]]
    encoder = FieldEncoder(**options).fit(df)
    X = encoder.transform(df)
    # As an estimator would have left it.
    X.data[np.abs(X.data) == ALMOST_ZERO] = 0
    X.eliminate_zeros()
    table_ = encoder.inverse_transform(X)
    assert table_.shape == df.shape
    for j, name in enumerate(df):
        if "n_buckets" in options:
            assert set(table_[:, j]) == {None}
        elif encoder.categories_[j] is not None:
            known = df[name].isin(encoder.categories_[j]).to_numpy()
            assert table_[known, j].tolist() == df[name][known].tolist()
            assert set(table_[~known, j]) <= {None}
        else:
            cells = df[name].to_numpy(dtype=float, na_value=np.nan)
            missing = np.isnan(table_[:, j].astype(float))
            assert_array_equal(missing, np.isnan(cells))
            if options.get("numeric") != "quantile":
                found = table_[:, j].astype(float)
                atol = 1e-10 * max(np.nanmax(np.abs(cells)), 1)
                assert_allclose(found, cells, rtol=1e-10, atol=atol)
    dense = encoder.inverse_transform(X.toarray())
    assert [*map(repr, dense.ravel())] == [*map(repr, table_.ravel())]


def test_pickle_and_clone():
    df = table(np.random.default_rng(3), 40)
    encoder = FieldEncoder(min_frequency=2).fit(df)
    copy = pickle.loads(pickle.dumps(encoder))
    assert equal(copy.transform(df), encoder.transform(df))
    assert clone(encoder).get_params() == encoder.get_params()


def test_grid_search_in_a_pipeline():
    rng = np.random.default_rng(4)
    df = table(rng, 300)
    y = (df["text"].fillna("a") == "b").to_numpy() ^ (rng.uniform(size=300) < 0.1)
    model = make_pipeline(FieldEncoder(), LogisticRegression())
    grid = {"fieldencoder__min_frequency": [None, 5, 0.1]}
    search = GridSearchCV(model, grid, cv=3, n_jobs=2).fit(df, y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    assert search.best_score_ > 0.8
