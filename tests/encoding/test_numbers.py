"""Numbers of a table as value, bins and ids; truth values and dummies."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from encoder_cases import equal
from estimator_cases import make, scores
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder

import skfm
from skfm import DeepFMClassifier, FieldEncoder, FMClassifier
from skfm.encoding.blocks import ALMOST_ZERO
from skfm.encoding.cuts import cut_positions, find_bins, half_way
from skfm.inspection import explain, interaction_strength


def encode(cells, new=None, **options):
    """Names and dense rows of a table of one column, x."""
    encoder = FieldEncoder(**options).fit(pd.DataFrame({"x": cells}))
    X = encoder.transform(pd.DataFrame({"x": cells if new is None else new}))
    return encoder, X


def parts(encoder, X):
    """For each field of column x, the column within the field of each row."""
    fields = encoder.fields_[X.indices].reshape(X.shape[0], -1)
    starts = np.searchsorted(encoder.fields_, fields)
    within = X.indices.reshape(fields.shape) - starts
    names = encoder.field_names_[fields[0]]
    return {name.removeprefix("x"): within[:, j] for j, name in enumerate(names)}


def naive_bins(cells, new, n_bins):
    """Bins by the definition: one loop over quantiles, one over cells."""
    held = sorted(cell for cell in cells if cell == cell)
    levels = sorted(set(held))
    if len(levels) <= 2 * n_bins:
        lower = set(levels[:-1])
    else:
        # A quantile is the least value that a share of them does not exceed.
        lower = set()
        for values in (held, levels):
            for k in range(1, n_bins):
                lower.add(values[-(-k * len(values) // n_bins) - 1])
        for before, level in zip([None, *levels], levels, strict=False):
            if held.count(level) * n_bins >= len(held):
                lower |= {before, level}
        lower -= {None, levels[-1]}
    edges = [(low, levels[levels.index(low) + 1]) for low in sorted(lower)]
    bins = []
    for cell in new:
        if cell != cell:
            bins.append(len(edges) + 1)
            continue
        bins.append(sum(cell > low / 2 + high / 2 for low, high in edges))
    return bins


some_cells = st.lists(
    st.one_of(st.integers(-40, 40).map(float), st.floats(-1e6, 1e6), st.just(np.nan)),
    min_size=2,
    max_size=120,
)


class TestBins:
    @settings(max_examples=60, deadline=None)
    @given(some_cells, st.integers(0, 10))
    def test_against_the_definition(self, cells, zeros):
        cells = [*cells, *[0.0] * zeros, 0.25, 7.5, -3.0]
        new = [*cells, -1e9, 1e9, 0.1]
        encoder, X = encode(np.array(cells), np.array(new))
        found = parts(encoder, X)
        levels = {cell for cell in cells if cell == cell}
        assert_array_equal(found["_<fine>"], naive_bins(cells, new, 64))
        if len(levels) > 16:
            assert_array_equal(found["_<coarse>"], naive_bins(cells, new, 8))
        else:
            assert "_<coarse>" not in found

    def test_many_values_have_the_bins_of_both_resolutions(self):
        cells = np.random.default_rng(0).lognormal(size=3000)
        encoder, X = encode(cells)
        found = parts(encoder, X)
        assert list(found) == ["", "_<coarse>", "_<fine>"]
        for name, n_bins in (("_<coarse>", 8), ("_<fine>", 64)):
            assert_array_equal(found[name], naive_bins(cells.tolist(), cells, n_bins))
            assert np.bincount(found[name]).max() <= 3000 / n_bins + 1
        # Each fine bin lies in one coarse bin.
        pairs = set(zip(found["_<fine>"], found["_<coarse>"], strict=True))
        assert len(pairs) == found["_<fine>"].max() + 1

    @settings(max_examples=60, deadline=None)
    @given(
        st.lists(st.integers(-500, 500), min_size=3, max_size=100),
        st.sampled_from([0.25, 3.0, 1024.0]),
        st.integers(-1000, 1000),
        st.randoms(use_true_random=False),
    )
    def test_units_and_order_of_rows_change_no_bin(self, cells, scale, shift, random):
        cells = np.array([*cells, 0.5])
        encoder, X = encode(cells)
        other, X_other = encode(cells * scale + shift)
        before, after = parts(encoder, X), parts(other, X_other)
        assert list(before) == list(after)
        for name in before:
            assert_array_equal(before[name], after[name])
        assert_allclose(X.data, X_other.data, atol=1e-9)
        order = random.sample(range(len(cells)), len(cells))
        shuffled, X_shuffled = encode(cells[order])
        assert_array_equal(
            shuffled.get_feature_names_out(), encoder.get_feature_names_out()
        )
        assert_array_equal(X_shuffled.indices, X[order].indices)

    def test_most_cells_at_one_value(self):
        """Quantiles of the cells alone would leave one bin for all other values."""
        cells = np.concatenate([np.zeros(9000), np.linspace(100, 1099.5, 1000)])
        encoder, X = encode(cells)
        found = parts(encoder, X)
        for name, n_bins in (("_<coarse>", 8), ("_<fine>", 64)):
            sizes = np.bincount(found[name])
            assert sizes[0] == 9000
            assert len(sizes) >= n_bins

    def test_a_heavy_value_within_has_a_bin_of_its_own(self):
        rng = np.random.default_rng(0)
        cells = np.concatenate([-rng.random(300), np.zeros(400), rng.random(300)])
        for bins in list(parts(*encode(cells)).values())[1:]:
            own = bins[300]
            assert_array_equal(np.flatnonzero(bins == own), np.arange(300, 700))

    def test_neighbouring_floats_and_extremes_part(self):
        for low, high in [
            (1.0, np.nextafter(1.0, 2)),
            (-5e-324, 0.0),
            (-1.7e308, 1.7e308),
        ]:
            (edge,) = half_way(np.array([low, high]), np.array([0]))
            assert low <= edge < high

    @pytest.mark.parametrize("n_edges", range(20))
    def test_bisection(self, n_edges):
        rng = np.random.default_rng(n_edges)
        edges = np.sort(rng.normal(size=n_edges))
        numbers = np.concatenate([rng.normal(size=50), edges, [-1e308, 1e308]])
        assert_array_equal(
            find_bins(edges, numbers), (edges < numbers[:, None]).sum(axis=1)
        )
        assert find_bins(edges, np.array([np.nan])).tolist() == [n_edges + 1]

    def test_cuts_of_a_resolution_are_cuts_of_a_finer_one(self):
        rng = np.random.default_rng(0)
        for size in (3, 20, 100, 130, 700):
            counts = rng.geometric(0.2, size) ** 2
            coarse, fine = cut_positions(counts, 8), cut_positions(counts, 64)
            assert np.isin(coarse, fine).all()


class TestValue:
    def test_standardised_and_clipped(self):
        cells = np.append(np.random.default_rng(0).normal(7, 3, 500), [1e4, np.nan])
        encoder, X = encode(cells)
        held = cells[:-1]
        expected = ((held - held.mean()) / held.std()).clip(-5, 5)
        dense = X.toarray()
        assert_allclose(dense[:-1, 0], expected, atol=1e-12)
        assert dense[-2, 0] == 5
        assert dense[-1, 0] == ALMOST_ZERO
        assert encoder.get_feature_names_out()[0] == "x"

    def test_units_of_a_column_do_not_matter_to_a_model(self):
        rng = np.random.default_rng(0)
        df = pd.DataFrame({"sqft": rng.normal(1500, 400, 300), "year": rng.random(300)})
        y = (df["sqft"] > 1500).to_numpy() ^ (df["year"] > 0.5).to_numpy()
        model = make(FMClassifier, max_iter=30).fit(df, y)
        other = df.assign(sqft=df["sqft"] * 1024.0, year=df["year"] / 64)
        rescaled = make(FMClassifier, max_iter=30).fit(other, y)
        assert_allclose(scores(rescaled, other), scores(model, df), atol=1e-4)
        assert model.score(df, y) > 0.9

    def test_inverse(self):
        cells = np.array([3.0, np.nan, 4.25, 0.5, 1e3] * 8 + [2e5])
        encoder, X = encode(cells)
        inverted = encoder.inverse_transform(X)[:, 0].astype(float)
        assert_allclose(inverted[:-1], cells[:-1], rtol=1e-9)
        mean, deviation = np.nanmean(cells), np.nanstd(cells)
        assert inverted[-1] == pytest.approx(mean + 5 * deviation)

    @pytest.mark.parametrize("cells", [[2.5] * 6, [np.nan] * 6, [2.5, np.nan] * 3])
    def test_columns_of_one_value_or_none(self, cells):
        encoder, X = encode(np.array(cells), np.array([2.5, 7.0, np.nan]))
        bins = parts(encoder, X)["_<fine>"]
        assert bins.tolist() == [0, 0, 1]
        assert np.isfinite(X.data).all()


class TestIds:
    @staticmethod
    def ids(n_ids=200, times=3, start=0):
        cells = start + np.repeat(np.arange(n_ids), times)
        return np.random.default_rng(0).permutation(cells)

    def test_integers_that_repeat_are_ids_too(self):
        encoder, X = encode(self.ids(start=10), np.array([10, 209, 5, 12.5, np.nan]))
        bins = parts(encoder, X)
        assert list(bins) == ["", "_<coarse>", "_<fine>", "_<values>"]
        unknown, missing = 200, 201
        assert bins["_<values>"].tolist() == [0, 199, unknown, unknown, missing]
        assert "x_<values>_10" in encoder.get_feature_names_out()

    @pytest.mark.parametrize(
        "cells",
        [
            np.append(np.repeat(np.arange(200), 3), 777),
            np.repeat(np.arange(200), 3) + 0.5,
            np.repeat(np.arange(100), 9),
        ],
        ids=["too rare", "no integers", "bins hold a value each"],
    )
    def test_what_is_no_id(self, cells):
        assert not any("<values>" in name for name in encode(cells)[0].field_names_)

    def test_large_ids_are_exact(self):
        cells = self.ids(start=2**60)
        encoder, X = encode(cells)
        assert_array_equal(parts(encoder, X)["_<values>"], cells - 2**60)
        with pytest.raises(ValueError, match=r"'x'.*beyond 2\*\*53"):
            encode(cells, np.array([2.0**60]))
        # Ids that floats hold exactly let no float be a rounded one.
        encoder, X = encode(self.ids(), np.array([1e300]))
        assert parts(encoder, X)["_<values>"].tolist() == [200]

    def test_dtypes_agree(self):
        cells = self.ids()
        missing = cells.astype(object)
        missing[::7] = None
        reference = pd.DataFrame({"x": pd.array(missing, dtype="Int64")})
        encoder = FieldEncoder().fit(reference)
        expected = encoder.transform(reference)
        floats = reference["x"].to_numpy(float, na_value=np.nan)
        for other in (
            pd.DataFrame({"x": floats}),
            pd.DataFrame({"x": floats.astype(np.float32)}),
            pd.DataFrame({"x": pd.array(missing, dtype="Int16")}),
            pl.DataFrame({"x": missing.tolist()}),
        ):
            assert equal(encoder.transform(other), expected)
            assert equal(FieldEncoder().fit_transform(other), expected)

    def test_ids_are_learnt_without_being_named(self):
        rng = np.random.default_rng(0)
        df = pd.DataFrame({"user": rng.integers(0, 150, 1500)})
        taste = rng.normal(size=150)
        y = taste[df["user"]] > 0
        model = make(FMClassifier, max_iter=60).fit(df, y)
        assert model.score(df, y) > 0.95

    def test_blocks_of_rows_are_as_all_rows(self):
        df = pd.DataFrame({"x": self.ids(), "y": np.linspace(0, 1, 600)})
        whole = FieldEncoder().fit(df)
        stream = FieldEncoder()
        for start in range(0, 600, 100):
            stream.partial_fit(df[start : start + 100])
        assert_array_equal(
            stream.get_feature_names_out(), whole.get_feature_names_out()
        )
        found, expected = stream.transform(df), whole.transform(df)
        assert_array_equal(found.indices, expected.indices)
        assert_allclose(found.data, expected.data, atol=1e-12)

    def test_infinite_numbers_are_refused(self):
        with pytest.raises(ValueError, match=r"'x' holds inf in row 1"):
            encode(np.array([1.0, np.inf]))


class TestFlags:
    def test_an_entry_for_true_none_for_false(self):
        encoder, X = encode([True, False, True])
        assert encoder.get_feature_names_out().tolist() == ["x"]
        assert X.toarray().tolist() == [[1], [0], [1]]
        assert X.nnz == 2
        assert encoder.inverse_transform(X).tolist() == [[True], [False], [True]]

    @pytest.mark.parametrize("dtype", [object, "boolean", "category"])
    def test_missing_truth_values(self, dtype):
        cells = pd.Series([True, None, False], dtype=object).astype(dtype)
        encoder, X = encode(cells)
        assert encoder.get_feature_names_out().tolist() == ["x", "x_<missing>"]
        assert X.toarray().tolist() == [[1, 0], [0, 1], [0, 0]]
        assert encoder.inverse_transform(X)[:, 0].tolist() == [True, None, False]

    def test_missing_cells_without_a_column_have_no_entry(self):
        encoder = FieldEncoder(warn_unknown=True).fit(
            pd.DataFrame({"x": [True, False]})
        )
        with pytest.warns(UserWarning, match="x: 0 unknown, 1 missing"):
            X = encoder.transform(pd.DataFrame({"x": [None, True]}))
        assert X.toarray().tolist() == [[0], [1]]

    def test_other_types_are_refused(self):
        with pytest.raises(ValueError, match="'x' held booleans during fit but holds"):
            encode([True, False], ["yes", "no"])

    def test_numbers_that_are_zero_or_one_are_flags(self):
        encoder, X = encode([0.0, 1.0, np.nan, 1.0])
        assert X.toarray().tolist() == [[0, 0], [1, 0], [0, 1], [1, 0]]
        assert encoder.transform(pd.DataFrame({"x": [2.5]})).toarray()[0, 0] == 2.5

    def test_named_categories_have_all_columns(self):
        encoder, _ = encode([True, False], categorical_features=["x"])
        names = ["x_False", "x_True", "x_<unknown>", "x_<missing>"]
        assert encoder.get_feature_names_out().tolist() == names


class TestDummies:
    CELLS = pd.Series(["a", "b_c", "b_d", None, "a"] * 20)

    def test_dummies_are_the_categories_of_a_field(self):
        dummies = pd.get_dummies(self.CELLS, prefix="home_type")
        df = dummies.assign(other=[True, False] * 50)
        encoder = FieldEncoder().fit(df)
        assert encoder.field_names_.tolist() == ["home_type", "other"]
        assert encoder.fields_.tolist() == [0, 0, 0, 1]
        assert equal(encoder.transform(df), skfm.FieldEncoder().fit_transform(df))
        assert_array_equal(encoder.transform(df).toarray(), df.to_numpy(float))

    def test_as_one_hot_encoder_makes_them(self):
        """A frame of one-hot columns gives the model of the sparse matrix."""
        rng = np.random.default_rng(0)
        df = pd.DataFrame({name: rng.choice(list("xyz"), 200) for name in "ab"})
        y = (df["a"] == "x") ^ (df["b"] == "y")
        dense = OneHotEncoder(sparse_output=False).set_output(transform="pandas")
        of_frame = make_pipeline(dense, make(DeepFMClassifier)).fit(df, y)
        of_matrix = make_pipeline(OneHotEncoder(), make(DeepFMClassifier)).fit(df, y)
        assert of_frame[-1].field_names_ == ["a", "b"]
        assert_array_equal(of_frame[-1].fields_, of_matrix[-1].fields_)
        assert_array_equal(scores(of_frame, df), scores(of_matrix, df))

    def test_a_hundred_dummies(self):
        rng = np.random.default_rng(0)
        who = rng.integers(0, 100, 3000)
        y = rng.normal(size=100)[who] > 0
        dummies = pd.get_dummies(pd.Series(who), prefix="who")
        model = make(FMClassifier, max_iter=20).fit(dummies, y)
        assert model.column_names_.tolist() == dummies.columns.tolist()
        assert model.field_names_ == ["who"]
        assert model.score(dummies, y) > 0.95

    @pytest.mark.parametrize(
        ("table", "fields"),
        [
            ({"is_a": [1, 0, 1], "is_b": [1, 0, 0]}, [0, 1]),
            ({"left": [1, 0, 1], "right": [0, 1, 0]}, [0, 1]),
            ({"c_a": [1, 0, 0], "n": [5.0, 6.0, 7.0], "c_b": [0, 1, 0]}, None),
            ({"c_a": [1, 0, 0], "c_b": [0, 1, 0], "d_a": [1, 1, 0]}, [0, 0, 1]),
            (
                {
                    **{"h_t_a": [1, 0, 0], "h_t_b": [0, 1, 0]},
                    **{"h_r_a": [0, 0, 1], "h_r_b": [1, 1, 0]},
                },
                [0, 0, 1, 1],
            ),
        ],
        ids=["overlap", "no prefix", "apart", "beside a flag", "longer prefixes"],
    )
    def test_what_are_dummies(self, table, fields):
        encoder = FieldEncoder().fit(pd.DataFrame(table))
        if fields is None:
            assert {"c_a", "c_b"} <= set(encoder.field_names_)
        else:
            assert encoder.fields_.tolist() == fields

    def test_later_rows_part_what_was_joined(self):
        first = pd.DataFrame({"c_a": [True, False], "c_b": [False, True]})
        encoder = FieldEncoder().partial_fit(first)
        assert encoder.fields_.tolist() == [0, 0]
        encoder.partial_fit(pd.DataFrame({"c_a": [True], "c_b": [True]}))
        assert encoder.fields_.tolist() == [0, 1]
        encoder.partial_fit(first)
        assert encoder.fields_.tolist() == [0, 1]


def mixed(n=400):
    rng = np.random.default_rng(0)
    df = pd.DataFrame(
        {
            "price": rng.lognormal(size=n).round(3),
            "user": rng.integers(0, n // 4, n),
            "age": rng.integers(17, 80, n),
            "sale": rng.random(n) < 0.3,
            "city": rng.choice(["x", "y", "z"], n),
        }
    )
    df.loc[::9, "price"] = np.nan
    df = pd.concat([df, pd.get_dummies(df.pop("city"), prefix="city")], axis=1)
    return df, (df["age"] > 40).to_numpy() ^ df["sale"].to_numpy()


class TestAroundTheModel:
    @pytest.mark.parametrize("name", ["FM", "DeepFM", "FFM", "AFM", "AutoInt"])
    def test_one_term_for_each_column(self, name):
        df, y = mixed()
        model = make(getattr(skfm, f"{name}Classifier"), max_iter=2).fit(df, y)
        terms = explain(model, df[:20], max_pairs=None)
        total = terms.groupby("row")["contribution"].sum()
        assert_allclose(total, scores(model, df[:20]), atol=1e-4)
        entries = terms[terms["kind"].isin(["linear", "embedding"])]
        assert not entries.duplicated(["row", "kind", "first"]).any()
        assert set(entries["first"]) <= set(df.columns)
        pairs = terms[terms["kind"] == "pair"]
        assert not (pairs["first"] == pairs["second"]).any()
        assert not pairs.duplicated(["row", "first", "second"]).any()

    def test_the_encoder_of_a_pipeline_tells_the_columns(self):
        df, y = mixed()
        encoder = FieldEncoder()
        model = make(FMClassifier, max_iter=2)
        steps = make_pipeline(encoder, model).fit(df, y)
        table = make(FMClassifier, max_iter=2).fit(df, y)
        found, expected = explain(steps, df[:9]), explain(table, df[:9])
        assert found[["kind", "first"]].equals(expected[["kind", "first"]])
        assert_array_equal(
            interaction_strength(steps, df).index,
            interaction_strength(table, df).index,
        )

    def test_explain_keeps_the_largest_pairs(self):
        df, y = mixed()
        model = make(FMClassifier, max_iter=5).fit(df, y)
        every = explain(model, df[:5], max_pairs=None)
        some = explain(model, df[:5], max_pairs=2)
        for row in range(5):
            pairs = every[(every["row"] == row) & (every["kind"] == "pair")]
            kept = some[(some["row"] == row) & (some["kind"] == "pair")]
            assert_allclose(kept["contribution"], pairs["contribution"][:2])
            others = some[(some["row"] == row) & (some["kind"] == "other pairs")]
            rest = pairs["contribution"][2:].sum()
            assert_allclose(others["contribution"], rest, atol=1e-6)

    @pytest.mark.parametrize("by", ["field", "feature"])
    def test_strength_of_columns(self, by):
        df, y = mixed()
        model = make(FMClassifier, max_iter=30).fit(df, y)
        cities = ["city"] if by == "field" else ["city_x", "city_y", "city_z"]
        names = ["price", "user", "age", "sale", *cities]
        of_rows = interaction_strength(model, df, by=by)
        assert of_rows.columns.tolist() == of_rows.index.tolist() == names
        terms = explain(model, df, max_pairs=None)
        pair = terms[(terms["first"] == "age") & (terms["second"] == "sale")]
        summed = pair.set_index("row")["contribution"].reindex(range(400)).fillna(0)
        assert of_rows.loc["age", "sale"] == pytest.approx(summed.var(ddof=0), rel=1e-3)
        of_fit = interaction_strength(model, by=by)
        assert of_fit.columns.tolist() == names
        assert_allclose(of_fit, of_fit.T)
        assert of_fit.loc["age", "sale"] == of_fit.drop(index="sale")["sale"].max()

    def test_fields_of_the_users_take_whole_columns(self):
        df, y = mixed()
        model = make(DeepFMClassifier, fields=["a", "b", "a", "b", *"ccc"]).fit(df, y)
        assert model.field_names_ == ["a", "b", "c"]
        columns = FieldEncoder().fit(df).columns_
        assert_array_equal(model.fields_, np.array([0, 1, 0, 1, 2, 2, 2])[columns])

    @pytest.mark.parametrize("cls", [FMClassifier, DeepFMClassifier])
    def test_files_and_the_predictor_agree(self, cls, tmp_path):
        df, y = mixed()
        model = make(cls, max_iter=2).fit(df, y)
        expected = scores(model, df)
        skfm.save(model, tmp_path / "model.skfm")
        loaded = skfm.load(tmp_path / "model.skfm")
        assert_array_equal(scores(loaded, df), expected)
        rows = df.astype(object).where(df.notna(), None).to_dict("records")
        rows += [{"price": 2.5}, {"user": 10**6, "age": 17.5}, {"sale": True}, {}]
        table = pd.DataFrame(rows, columns=df.columns)
        for served in (model, loaded):
            predictor = served.compile_predictor()
            found = predictor.decision_function(rows)
            assert_allclose(found[: len(df)], expected, atol=1e-6)
            assert_allclose(found, predictor.decision_function(table), atol=1e-6)
        encoder = FieldEncoder().fit(df)
        skfm.save(encoder, tmp_path / "encoder.skfm")
        again = skfm.load(tmp_path / "encoder.skfm")
        assert equal(again.transform(df), encoder.transform(df))
        assert_array_equal(again.columns_, encoder.columns_)
        assert_array_equal(again.fields_, encoder.fields_)
