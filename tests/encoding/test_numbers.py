"""Numbers of a table as values, bins and ids, and truth values."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from encoder_cases import equal
from estimator_cases import make, scores
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skfm import FieldEncoder, FMClassifier
from skfm.encoding.blocks import ALMOST_ZERO
from skfm.encoding.cuts import cut_positions, find_bins, half_way


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
    st.one_of(
        st.integers(-40, 40).map(float),
        st.floats(-1e6, 1e6, allow_subnormal=False),
        st.just(np.nan),
    ),
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
