"""FieldEncoder: numbers, several values in a cell, streams."""

import pickle
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
from encoder_cases import equal, table
from hash_references import split_mix
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.preprocessing import StandardScaler

from skfm.encoding import FieldEncoder
from skfm.encoding.blocks import ALMOST_ZERO


class TestNumbers:
    def test_scale_as_standard_scaler(self):
        rng = np.random.default_rng(0)
        X = rng.normal(1e3, 5, size=(100, 3))
        X[rng.uniform(size=X.shape) < 0.1] = np.nan
        encoded = FieldEncoder(numeric="scale").fit_transform(X).toarray()
        expected = StandardScaler().fit_transform(X)
        assert_allclose(encoded[:, ::2], np.nan_to_num(expected), atol=1e-12)
        assert_array_equal(encoded[:, 1::2], np.isnan(X))

    def test_zero_is_stored(self):
        encoder = FieldEncoder(numeric="passthrough")
        X = encoder.fit_transform([[0.0], [2.0]])
        assert X.data.tolist() == [ALMOST_ZERO, 2.0]
        assert encoder.inverse_transform(X).tolist() == [[0.0], [2.0]]

    def test_constant_column(self):
        X = FieldEncoder(numeric="scale").fit_transform(np.full((5, 1), 0.1))
        assert np.abs(X.data).max() <= 1e-12

    @settings(max_examples=40, deadline=None)
    @given(st.lists(st.floats(-1e6, 1e6), min_size=2, max_size=60), st.integers(2, 12))
    def test_quantile_bins(self, cells, n_bins):
        encoder = FieldEncoder(numeric="quantile", n_bins=n_bins)
        X = encoder.fit_transform(np.array(cells)[:, None])
        at = [k / n_bins for k in range(1, n_bins)]
        edges = sorted({float(np.quantile(cells, q)) for q in at} - {max(cells)})
        assert X.indices.tolist() == [sum(e < c for e in edges) for c in cells]
        far = encoder.transform([[-1e9], [1e9], [np.nan]])
        assert far.indices.tolist() == [0, len(edges), len(edges) + 1]

    def test_zeros_of_a_count_have_a_bin(self):
        X = FieldEncoder(numeric="quantile").fit_transform([[0.0]] * 95 + [[7.0]] * 5)
        assert np.bincount(X.indices).tolist() == [95, 5]

    def test_numeric_by_column(self):
        encoder = FieldEncoder(numeric={1: "quantile", 2: "passthrough"}, n_bins=2)
        encoder.fit(np.arange(6.0).reshape(2, 3))
        bins = ["(-inf, 1.5]", "(1.5, inf)", "<missing>"]
        assert encoder.get_feature_names_out().tolist() == [
            *["x0", *(f"x0_<fine>_{bin_}" for bin_ in bins)],
            *["x1_(-inf, 2.5]", "x1_(2.5, inf)", "x1_<missing>"],
            *["x2", "x2_<missing>"],
        ]


class TestMultiValued:
    @settings(max_examples=40, deadline=None)
    @given(
        st.lists(
            st.one_of(st.none(), st.lists(st.sampled_from("abcd"), max_size=5)),
            min_size=1,
            max_size=12,
        ),
        st.sampled_from(["sum", "mean"]),
    )
    def test_against_a_naive_count(self, cells, pooling):
        encoder = FieldEncoder(multi_valued=[1], pooling=pooling)
        X = np.empty((len(cells), 2), dtype=object)
        X[:, 0] = "z"
        X[:, 1] = np.fromiter(cells, dtype=object)
        encoded = encoder.fit_transform(X)
        names = encoder.get_feature_names_out().tolist()
        expected = np.zeros(encoded.shape)
        expected[:, 0] = 1
        for row, cell in enumerate(cells):
            for item in cell or ["<missing>"]:
                share = 1 / max(len(cell or []), 1) if pooling == "mean" else 1
                expected[row, names.index(f"x1_{item}")] += share
        assert_allclose(encoded.toarray(), expected, rtol=1e-15)
        assert encoded.has_sorted_indices
        for inverted, cell in zip(
            encoder.inverse_transform(encoded)[:, 1], cells, strict=True
        ):
            assert inverted.tolist() == sorted(set(cell or []))

    @pytest.mark.parametrize("make", [list, tuple, set, np.array])
    def test_lists_strings_and_polars_agree(self, make):
        bags = [["a", "b"], ["c"], [], ["a"]]
        lists = pd.DataFrame({"t": pd.Series([make(b) for b in bags], dtype=object)})
        texts = pd.DataFrame({"t": ["|".join(bag) for bag in bags]})
        expected = FieldEncoder(multi_valued=["t"], delimiter="|").fit_transform(texts)
        assert expected.toarray().tolist() == [
            [1, 1, 0, 0, 0],
            [0, 0, 1, 0, 0],
            [0, 0, 0, 0, 1],
            [1, 0, 0, 0, 0],
        ]
        encoder = FieldEncoder(multi_valued=["t"])
        assert equal(encoder.fit_transform(lists), expected)
        assert equal(encoder.fit_transform(pl.DataFrame({"t": bags})), expected)

    def test_unknown_and_missing_items(self):
        encoder = FieldEncoder(multi_valued=["t"]).fit(
            pd.DataFrame({"t": [["a", "b"]]})
        )
        new = pd.DataFrame({"t": [["z", "a", "y"], ["a", None], [None]]})
        assert encoder.transform(new).toarray().tolist() == [
            [1, 0, 2, 0],
            [1, 0, 0, 0],
            [0, 0, 0, 1],
        ]

    def test_ids_and_hashing(self):
        df = pd.DataFrame({"t": [[2**60, 2**60 + 1], [5]]})
        encoder = FieldEncoder(multi_valued=["t"]).fit(df)
        assert encoder.categories_[0].tolist() == [5, 2**60, 2**60 + 1]
        hashed = FieldEncoder(multi_valued=["t"], n_buckets=100).fit_transform(df)
        expected = {split_mix(n) % 100 for n in (2**60, 2**60 + 1)}
        assert set(hashed[0].indices) == expected


class TestStreaming:
    @settings(max_examples=25, deadline=None)
    @given(
        seed=st.integers(0, 2**31),
        cuts=st.lists(st.integers(1, 59), max_size=4, unique=True),
        options=st.sampled_from(
            [
                {"numeric": "quantile", "n_bins": 4},
                {"min_frequency": 3, "max_categories": 4},
                {"categorical_features": "all", "min_frequency": 0.05},
                {"n_buckets": 5},
            ]
        ),
    )
    def test_blocks_give_what_all_rows_give(self, seed, cuts, options):
        df = table(np.random.default_rng(seed), 60)
        whole = FieldEncoder(**options).fit(df)
        streamed = FieldEncoder(**options)
        bounds = [0, *sorted(cuts), 60]
        for start, end in pairwise(bounds):
            streamed.partial_fit(df[start:end])
        names = whole.get_feature_names_out()
        assert_array_equal(streamed.get_feature_names_out(), names)
        assert_array_equal(streamed.fields_, whole.fields_)
        A, B = whole.transform(df), streamed.transform(df)
        assert_array_equal(A.indices, B.indices)
        assert_allclose(A.data, B.data, rtol=1e-9, atol=1e-12)

    def test_sample_does_not_depend_on_blocks(self, monkeypatch):
        monkeypatch.setattr("skfm.encoding.blocks.SAMPLE_SIZE", 50)
        X = np.random.default_rng(0).normal(size=(400, 1))
        whole = FieldEncoder(numeric="quantile").fit(X)
        streamed = FieldEncoder(numeric="quantile")
        for part in np.split(X, [7, 100, 333]):
            streamed.partial_fit(part)
        names = whole.get_feature_names_out()
        assert_array_equal(streamed.get_feature_names_out(), names)

    def test_refused_block_leaves_no_trace(self):
        encoder = FieldEncoder().partial_fit(pd.DataFrame({"a": ["x"], "b": [1.0]}))
        before = encoder.get_feature_names_out()
        with pytest.raises(ValueError, match="'b'"):
            encoder.partial_fit(pd.DataFrame({"a": ["new"], "b": ["text"]}))
        assert_array_equal(encoder.get_feature_names_out(), before)

    def test_fit_keeps_no_cells(self):
        X = np.random.default_rng(0).normal(size=(5000, 1))
        encoder = FieldEncoder(numeric="quantile").fit(X)
        assert len(pickle.dumps(encoder)) < 5000
        edges = encoder.get_feature_names_out()
        encoder.partial_fit(X * 100)
        assert_array_equal(encoder.get_feature_names_out(), edges)

    def test_integers_then_floats(self):
        encoder = FieldEncoder(categorical_features="all")
        encoder.partial_fit(np.array([[1], [2]])).partial_fit(np.array([[2.0], [0.5]]))
        assert encoder.categories_[0].tolist() == [0.5, 1.0, 2.0]
