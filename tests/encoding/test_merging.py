"""Codecs of parts of a table merge into that of the whole table."""

from itertools import pairwise

import numpy as np
import pandas as pd
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from skfm.encoding import FieldEncoder
from skfm.encoding.codec import TableCodec
from skfm.encoding.merging import learn_part
from skfm.encoding.tables import as_table, read_columns

N_ROWS = 60


def table(seed):
    rng = np.random.default_rng(seed)
    hours = pd.to_timedelta(rng.integers(90, size=N_ROWS), "h")
    color = rng.integers(3, size=N_ROWS)
    return pd.DataFrame(
        {
            "word": rng.choice(["b", "a", "é", None], N_ROWS),
            "id": rng.integers(8, size=N_ROWS) * 10**12,
            "count": pd.array(
                np.where(rng.random(N_ROWS) < 0.1, None, rng.integers(4, size=N_ROWS)),
                dtype="Int64",
            ),
            "price": np.where(
                rng.random(N_ROWS) < 0.1, np.nan, rng.normal(size=N_ROWS)
            ),
            "is_new": rng.random(N_ROWS) < 0.5,
            "color_red": color == 0,
            "color_blue": color == 1,
            "shape_a": (color == 1).astype(int),
            "shape_b": (rng.random(N_ROWS) < 0.1).astype(int),
            "when": pd.Timestamp("2024-01-30") + hours,
            "vector": [list(map(float, v)) for v in rng.normal(size=(N_ROWS, 2))],
        }
    )


def columns_of(frame):
    return read_columns(as_table(frame))


def new_codec(frame, **options):
    params = FieldEncoder(**options).get_params()
    names = list(frame.columns)
    return TableCodec.create(columns_of(frame), names, named=True, params=params)


def merged(frame, cuts, rng, **options):
    """Learn the pieces between cuts, and merge them in pairs drawn at random."""
    empty = new_codec(frame, **options)
    bounds = np.unique([0, *cuts, len(frame)])
    parts = [
        learn_part(empty, columns_of(frame.iloc[lo:hi]), int(lo))
        for lo, hi in pairwise(bounds)
    ]
    while len(parts) > 1:
        i, j = rng.choice(len(parts), 2, replace=False)
        if j:
            parts[0].take_samples(parts[j])
        parts[i].merge(parts[j])
        del parts[j]
    return parts[0].finish()


def same_codecs(found, expected, frame):
    assert found.n_rows == expected.n_rows
    assert found.joined == expected.joined
    assert_array_equal(found.column_names(), expected.column_names())
    assert_array_equal(found.fields, expected.fields)
    one, other = (
        codec.matrix(codec.encode(columns_of(frame)), np.float64)
        for codec in (found, expected)
    )
    assert_array_equal(one.indices, other.indices)
    assert_array_equal(one.indptr, other.indptr)
    assert_allclose(one.data, other.data, rtol=1e-7, atol=1e-9)


@settings(max_examples=6)
@given(st.lists(st.integers(1, N_ROWS - 1), max_size=6), st.integers(0, 5))
def test_any_parts_in_any_order_give_the_codec_of_all_rows(cuts, seed):
    frame = table(seed)
    expected, _ = new_codec(frame).learn(columns_of(frame))
    found = merged(frame, cuts, np.random.default_rng(seed))
    same_codecs(found, expected, frame)


@pytest.mark.parametrize(
    "options",
    [
        {"categorical_features": ["word", "id", "price"], "min_frequency": 3},
        {"categorical_features": "all", "n_buckets": 7, "dates": None},
        {"numeric": "quantile", "n_bins": 4, "max_categories": 2},
        {"numeric": "scale", "dates": ["month", "weekday"]},
    ],
)
def test_options(options):
    frame = table(1).drop(columns="vector")
    expected, _ = new_codec(frame, **options).learn(columns_of(frame))
    found = merged(frame, [13, 14, 40], np.random.default_rng(0), **options)
    same_codecs(found, expected, frame)


def test_quantiles_are_those_of_one_sample(monkeypatch):
    monkeypatch.setattr("skfm.encoding.blocks.SAMPLE_SIZE", 20)
    frame = table(2)[["price"]]
    expected, _ = new_codec(frame).learn(columns_of(frame))
    found = merged(frame, [7, 31, 32], np.random.default_rng(0))
    same_codecs(found, expected, frame)


def test_lists_of_several_values():
    frame = pd.DataFrame({"tags": [["a"], ["b", "a"], None, [], ["c"]] * 4})
    options = {"multi_valued": ["tags"], "min_frequency": 5}
    expected, _ = new_codec(frame, **options).learn(columns_of(frame))
    found = merged(frame, [3, 9], np.random.default_rng(0), **options)
    same_codecs(found, expected, frame)


def test_values_of_two_types_are_refused():
    frame = pd.DataFrame({"x": ["a", "b", 1, 2]})
    with pytest.raises(ValueError, match=r"'x' holds (strings|numbers) in some rows"):
        merged(frame, [2], np.random.default_rng(0))
