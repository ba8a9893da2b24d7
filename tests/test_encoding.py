"""FieldEncoder: layout, exactness, streams, errors."""

import datetime
import os
import pickle
import subprocess
import sys
import warnings
from itertools import pairwise

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler
from sklearn.utils.estimator_checks import (
    check_dataframe_column_names_consistency,
    check_param_validation,
    parametrize_with_checks,
)

from skfm.encoding import FieldEncoder
from skfm.encoding.blocks import ALMOST_ZERO
from skfm.encoding.hashing import hash_values
from skfm.fields import resolve_fields

OPTIONS = [
    {},
    {"categorical_features": "all"},
    {"categorical_features": "all", "n_buckets": 8},
    {"categorical_features": "all", "min_frequency": 2, "max_categories": 3},
    {"numeric": "quantile"},
    {"numeric": "passthrough"},
]


@parametrize_with_checks([FieldEncoder(**options) for options in OPTIONS])
def test_scikit_learn_checks(estimator, check):
    check(estimator)


@pytest.mark.parametrize(
    "check", [check_param_validation, check_dataframe_column_names_consistency]
)
def test_checks_outside_of_check_estimator(check):
    check("FieldEncoder", FieldEncoder())


def equal(A, B):
    return A.shape == B.shape and (A != B).nnz == 0


def columns_of(encoder, X):
    """The name of the only entry of each row."""
    assert_array_equal(np.diff(X.indptr), 1)
    return encoder.get_feature_names_out()[X.indices].tolist()


def table(rng, n):
    """A table with a column of each kind, 10 % of the cells missing."""
    df = pd.DataFrame(
        {
            "text": rng.choice(["a", "b", "c", "é"], n),
            "flag": rng.choice([True, False], n),
            "id": rng.integers(0, 2**60, 6)[rng.integers(0, 6, n)],
            "price": rng.normal(size=n).round(2),
            "count": rng.integers(0, 3, n),
        }
    )
    df = df.astype({"flag": "boolean", "id": "Int64", "count": "Int64"})
    return df.mask(rng.uniform(size=df.shape) < 0.1)


def to_polars(df):
    columns = {name: [*df[name].astype(object)] for name in df}
    listed = {
        name: [None if pd.isna(cell) else cell for cell in cells]
        for name, cells in columns.items()
    }
    return pl.DataFrame(listed)


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
        df = table(np.random.default_rng(0), 300)
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
        pairs = zip(encoder.field_names_, encoder.categories_, strict=True)
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


MASK = 2**64 - 1


def sip_hash(key, message):
    """SipHash-2-4, written from the paper of Aumasson and Bernstein."""
    k0, k1 = (int.from_bytes(key[i : i + 8], "little") for i in (0, 8))
    v = [
        k0 ^ 0x736F6D6570736575,
        k1 ^ 0x646F72616E646F6D,
        k0 ^ 0x6C7967656E657261,
        k1 ^ 0x7465646279746573,
    ]

    def left(x, b):
        return ((x << b) | (x >> (64 - b))) & MASK

    def rounds(count):
        for _ in range(count):
            v[0] = (v[0] + v[1]) & MASK
            v[2] = (v[2] + v[3]) & MASK
            v[1] = left(v[1], 13) ^ v[0]
            v[3] = left(v[3], 16) ^ v[2]
            v[0] = left(v[0], 32)
            v[2] = (v[2] + v[1]) & MASK
            v[0] = (v[0] + v[3]) & MASK
            v[1] = left(v[1], 17) ^ v[2]
            v[3] = left(v[3], 21) ^ v[0]
            v[2] = left(v[2], 32)

    whole = len(message) // 8 * 8
    last = message[whole:].ljust(7, b"\0") + bytes([len(message) % 256])
    for i in range(0, whole + 8, 8):
        word = int.from_bytes((message[:whole] + last)[i : i + 8], "little")
        v[3] ^= word
        rounds(2)
        v[0] ^= word
    v[2] ^= 0xFF
    rounds(4)
    return v[0] ^ v[1] ^ v[2] ^ v[3]


def mix(z):
    z = ((z ^ (z >> 30)) * 0xBF58476D1CE4E5B9) & MASK
    z = ((z ^ (z >> 27)) * 0x94D049BB133111EB) & MASK
    return z ^ (z >> 31)


def split_mix(number):
    return mix((number + 0x9E3779B97F4A7C15) & MASK)


def hash_text(text):
    return mix(sip_hash(b"skfm.FieldEncode", text.encode()))


class TestHashing:
    def test_reference_vector(self):
        """The paper's own example keeps the reference honest."""
        assert sip_hash(bytes(range(16)), bytes(range(15))) == 0xA129CA6149BE45E5
        # First output of SplitMix64 for seed 0.
        assert split_mix(0) == 0xE220A8397B1DCDAF

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.text(st.characters(exclude_categories=["Cs"]), max_size=30)))
    def test_strings(self, texts):
        hashed = hash_values(np.array(texts, dtype=object), "strings", "c")
        assert hashed.tolist() == [hash_text(text) for text in texts]

    @settings(max_examples=50, deadline=None)
    @given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1))
    def test_integers(self, numbers):
        hashed = hash_values(np.array(numbers, dtype=np.int64), "numbers", "c")
        assert hashed.tolist() == [split_mix(n & MASK) for n in numbers]

    def test_integral_floats_hash_as_integers(self):
        floats = hash_values(np.array([1.0, -7.0, 0.5]), "numbers", "c")
        assert floats.tolist()[:2] == [split_mix(1), split_mix(-7 & MASK)]

    def test_same_in_another_process(self):
        code = (
            "from skfm.encoding import FieldEncoder\n"
            "X = [['a', 1], ['bc', 2**60], ['é', -3], [None, None]]\n"
            "e = FieldEncoder(categorical_features='all', n_buckets=1000)\n"
            "print(e.fit_transform(X).indices.tolist())"
        )
        path = os.pathsep.join(sys.path)
        output = subprocess.run(
            [sys.executable, "-c", code],
            capture_output=True,
            check=True,
            text=True,
            env={**os.environ, "PYTHONHASHSEED": "7", "PYTHONPATH": path},
        ).stdout
        numbers = [split_mix(n & MASK) % 1000 + 1001 for n in (1, 2**60, -3)]
        texts = [hash_text(text) % 1000 for text in ("a", "bc", "é")]
        expected = [*zip(texts, numbers, strict=True), (1000, 2001)]
        assert output == f"{[i for row in expected for i in row]}\n"

    def test_by_column(self):
        df = pd.DataFrame({"a": ["x", None], "b": ["y", "z"]})
        encoder = FieldEncoder(n_buckets={"a": 3}).fit(df)
        assert encoder.get_feature_names_out().tolist() == [
            *["a_<hash 0>", "a_<hash 1>", "a_<hash 2>", "a_<missing>"],
            *["b_y", "b_z", "b_<unknown>", "b_<missing>"],
        ]


class TestNumbers:
    def test_scale_as_standard_scaler(self):
        rng = np.random.default_rng(0)
        X = rng.normal(1e3, 5, size=(100, 3))
        X[rng.uniform(size=X.shape) < 0.1] = np.nan
        encoded = FieldEncoder().fit_transform(X).toarray()
        expected = StandardScaler().fit_transform(X)
        assert_allclose(encoded[:, ::2], np.nan_to_num(expected), atol=1e-12)
        assert_array_equal(encoded[:, 1::2], np.isnan(X))

    def test_zero_is_stored(self):
        encoder = FieldEncoder(numeric="passthrough")
        X = encoder.fit_transform([[0.0], [2.0]])
        assert X.data.tolist() == [ALMOST_ZERO, 2.0]
        assert encoder.inverse_transform(X).tolist() == [[0.0], [2.0]]

    def test_constant_column(self):
        X = FieldEncoder().fit_transform(np.full((5, 1), 0.1))
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
        encoder.fit(np.arange(12.0).reshape(4, 3))
        assert encoder.get_feature_names_out().tolist() == [
            *["x0", "x0_<missing>"],
            *["x1_(-inf, 5.5]", "x1_(5.5, inf)", "x1_<missing>"],
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


FIT = pd.DataFrame({"c": ["a", "b"], "n": [1.0, 2.0], "i": [1, 2]})


@pytest.mark.parametrize(
    ("new", "error", "message"),
    [
        (FIT[["c", "n"]], ValueError, "yet now missing:\n- i"),
        (FIT[["n", "c", "i"]], ValueError, "must be in the same order"),
        (FIT.assign(n=["1", "x"]), ValueError, "'n' is numeric but holds '1' in row 0"),
        (FIT.assign(n=[1.0, np.inf]), ValueError, "'n' holds inf in row 1"),
        (FIT.assign(c=[7, 8]), ValueError, "'c' held strings.*numbers now, as .*7"),
        (FIT.assign(c=[True, None]), ValueError, "'c' held strings.*booleans now"),
        (FIT.assign(i=["a", "b"]), ValueError, "'i' held numbers.*strings now"),
        (
            FIT.assign(c=["a", [1]]),
            TypeError,
            r"'c' holds \[1\] in row 1.*multi_valued",
        ),
        (
            FIT.assign(c=pd.Series(["a", 5], dtype=object)),
            TypeError,
            "'c' mixes str, as 'a' in row 0, and int, as 5 in row 1",
        ),
        (FIT[:0], ValueError, r"0 sample\(s\)"),
    ],
)
def test_errors_of_transform(new, error, message):
    encoder = FieldEncoder(categorical_features=["c", "i"]).fit(FIT)
    with pytest.raises(error, match=message):
        encoder.transform(new)


@pytest.mark.parametrize(
    ("options", "df", "error", "message"),
    [
        ({"delimiter": "", "multi_valued": ["c"]}, FIT, ValueError, "'c' is empty"),
        ({"delimiter": {"c": "|"}}, FIT, ValueError, "'c', which is not multi-valued"),
        ({"n_buckets": {"n": 5}}, FIT, ValueError, "'n', which is not categorical"),
        ({"n_buckets": {"c": 0}}, FIT, ValueError, "n_buckets of column 'c'"),
        ({"n_buckets": {"zz": 5}}, FIT, ValueError, "n_buckets names column 'zz'"),
        ({"numeric": {"n": "log"}}, FIT, ValueError, "numeric of column 'n'"),
        ({"min_frequency": 1.5}, FIT, ValueError, "min_frequency=1.5"),
        ({"categorical_features": ["q"]}, FIT, ValueError, "names column 'q'"),
        ({"categorical_features": [3]}, FIT, ValueError, "names column 3"),
        ({"categorical_features": [True]}, FIT, ValueError, "boolean mask"),
        ({"categorical_features": None}, FIT, ValueError, "'c' is numeric but holds"),
        ({"multi_valued": ["c"]}, FIT, ValueError, "'c' is multi.*'a' in row 0.*delim"),
        ({"multi_valued": ["n"]}, FIT, ValueError, "'n' is multi.*1.0 in row 0"),
        (
            {"multi_valued": ["n"], "delimiter": "|"},
            FIT,
            ValueError,
            "'n' has delimiter='|' but holds numbers",
        ),
        (
            {"multi_valued": ["t"]},
            pd.DataFrame({"t": [["a"], ["b", ["c"]]]}),
            TypeError,
            r"'t' holds \['c'\] in row 1",
        ),
        (
            {"n_buckets": 4, "categorical_features": "all"},
            pd.DataFrame({"t": [(1, 2), (3, 4)]}),
            ValueError,
            "'t' holds values of type tuple.*no stable hash",
        ),
        (
            {},
            pd.DataFrame({"d": pd.to_datetime(["2024-01-01"])}),
            ValueError,
            "'d' has dtype datetime64.*categorical_features",
        ),
        (
            {"categorical_features": "all"},
            pd.DataFrame({"i": pd.Series([2**70, 1], dtype=object)}),
            ValueError,
            "'i'.*no exact common",
        ),
        ({}, pd.DataFrame({"x": [1e200, -1e200]}), ValueError, "'x' are too large"),
        ({}, pd.DataFrame(index=[0, 1]), ValueError, r"0 feature\(s\)"),
        ({}, sp.csr_matrix([[1.0]]), TypeError, "[Ss]parse"),
    ],
)
def test_errors_of_fit(options, df, error, message):
    with pytest.raises(error, match=message):
        FieldEncoder(**options).fit(df)
