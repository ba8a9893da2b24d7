"""The codes of a codec's fields say what its matrix says."""

import numpy as np
import pandas as pd
import pytest

from skfm.encoding import FieldEncoder
from skfm.encoding.crosses.fields import crossable_fields, field_codes


@pytest.fixture(scope="module")
def table():
    rng = np.random.default_rng(0)
    n = 1200
    flags = pd.array(rng.random(n) < 0.4, dtype="boolean")
    flags[3] = None
    return pd.DataFrame(
        {
            "color": rng.choice(["red", "green", None], n),
            "ids": rng.integers(0, 300, n),
            "few": rng.integers(0, 5, n),
            "weight": np.where(rng.random(n) < 0.1, np.nan, rng.normal(size=n)),
            "tags": [["a", "b"][: rng.integers(3)] for _ in range(n)],
            "flag": flags,
            "dummy": rng.integers(0, 2, n),
            "when": pd.Timestamp("2013-01-01")
            + pd.to_timedelta(rng.integers(0, 300, n), "D"),
        }
    )


@pytest.fixture(scope="module")
def encoder(table):
    return FieldEncoder(multi_valued=["tags"]).fit(table)


def test_fields_of_all_columns_but_multi_valued_ones(encoder):
    names = [field.name for field in crossable_fields(encoder._codec.blocks)]
    assert names == [
        "color",
        "ids (bins)",
        "ids (fine bins)",
        "ids",
        "few",
        "weight (bins)",
        "weight",
        "flag",
        "dummy",
        "when (bins)",
        "when (fine bins)",
        "when (month)",
        "when (day)",
        "when (weekday)",
    ]


def test_parts_of_a_date_may_be_crossed_but_bins_of_a_number_may_not(encoder):
    fields = crossable_fields(encoder._codec.blocks)
    source = {field.name: field.source for field in fields}
    assert source["weight (bins)"] == source["weight"]
    assert source["when (bins)"] == source["when (fine bins)"]
    parts = {source[f"when ({part})"] for part in ("month", "day", "weekday", "bins")}
    assert len(parts) == 4


def test_codes_are_the_columns_of_the_matrix(table, encoder):
    codec = encoder._codec
    columns = [table[name] for name in table]
    fields = crossable_fields(codec.blocks)
    codes = field_codes(fields, codec.encode(columns))
    dense = encoder.transform(table).toarray()
    starts = np.cumsum([0, *codec.widths])
    for code, field in zip(codes.T, fields, strict=True):
        assert code.max() < field.width
        if codec.blocks[field.block].name in ("flag", "dummy"):
            continue
        first = starts[field.block] + field.start
        part = dense[:, first : first + field.width]
        np.testing.assert_array_equal(part, np.eye(field.width)[code])
        labels = encoder.get_feature_names_out()[first : first + field.width]
        for label, name in zip(
            field.labels(codec.blocks[field.block]), labels, strict=True
        ):
            assert name.endswith(label)


def test_flags_have_a_level_for_false_true_and_missing(table, encoder):
    codec = encoder._codec
    fields = crossable_fields(codec.blocks)
    codes = field_codes(fields, codec.encode([table[name] for name in table]))
    flag, dummy = (
        next(f for f, field in enumerate(fields) if field.name == name)
        for name in ("flag", "dummy")
    )
    expected = table["flag"].astype(float).fillna(2).to_numpy()
    np.testing.assert_array_equal(codes[:, flag], expected)
    np.testing.assert_array_equal(codes[:, dummy], table["dummy"])
    assert fields[flag].labels(codec.blocks[5]) == ["False", "True", "<missing>"]
    assert fields[dummy].labels(codec.blocks[6]) == ["False", "True"]
