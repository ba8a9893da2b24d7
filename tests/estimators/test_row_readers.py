"""Single dicts, read without arrays, against the codec's encoding of tables."""

import numpy as np
import pandas as pd
import pytest
from estimator_cases import make
from numpy.testing import assert_array_equal

import skfm

N_ROWS = 600


def table():
    rng = np.random.default_rng(0)
    return pd.DataFrame(
        {
            "word": rng.choice(["a", "b", "c"], N_ROWS),
            "code": pd.Series(rng.integers(-2, 3, N_ROWS), dtype="category"),
            "amount": np.where(
                rng.random(N_ROWS) < 0.1, np.nan, rng.normal(size=N_ROWS)
            ),
            "count": rng.integers(0, 150, N_ROWS),
            "many": rng.integers(0, 5000, N_ROWS),
            "zero_or_one": rng.integers(0, 2, N_ROWS),
            "dummy": np.where(
                rng.random(N_ROWS) < 0.2, np.nan, rng.integers(0, 2, N_ROWS)
            ),
            "truth": rng.random(N_ROWS) < 0.5,
            "constant": 3.5,
        }
    )


#: Cells that a server may be sent, for each column.
CELLS = {
    "word": ["a", "c", "new", None],
    "code": [-2, 1, 1.0, 77, None],
    "amount": [0.25, -1e9, 1e300, 3, None, float("nan")],
    "count": [0, 7, 7.0, 7.5, 149, -4, 10**6, None],
    "many": [0, 1234, 2.5, None],
    "zero_or_one": [0, 1, 0.0, 0.5, None],
    "dummy": [0, 1, -0.0, None, float("nan")],
    "truth": [True, False, None],
    "constant": [3.5, 0, None],
}
PAIRS = [("word", "count"), ("dummy", "truth"), ("many", "code")]


@pytest.fixture(scope="module")
def encoder():
    frame = table()
    y = (frame["word"] == "a").astype(int)
    model = make(skfm.FMClassifier, max_iter=1, crosses=PAIRS).fit(frame, y)
    return model.compile_predictor()._dicts


def test_rows_are_those_of_the_codec(encoder):
    rng = np.random.default_rng(1)
    rows = [{}, *table().iloc[:20].to_dict("records")]
    for _ in range(60):
        chosen = {
            name: cells[rng.integers(len(cells))] for name, cells in CELLS.items()
        }
        rows.append({name: c for name, c in chosen.items() if rng.random() < 0.9})
    for row in rows:
        found, expected = encoder._one.read(row), encoder._encoded([row])
        assert found is not None
        assert_array_equal(found.indices, expected.indices)
        assert_array_equal(found.data, expected.data)
        assert found.unit == (expected.data == 1).all()
        assert found.shape == expected.shape


@pytest.mark.parametrize(
    ("name", "cell"),
    [
        ("word", 3),
        ("code", np.int64(1)),
        ("code", float("nan")),
        ("amount", float("inf")),
        ("amount", 10**400),
        ("amount", "many"),
        ("count", 2**60),
        ("truth", 1),
        ("zero_or_one", True),
    ],
)
def test_other_cells_are_left_to_the_codec(encoder, name, cell):
    assert encoder._one.read({name: cell}) is None


def test_columns_of_other_kinds_are_left_to_the_codec():
    frame = pd.DataFrame(
        {"day": pd.date_range("2020", periods=40), "a": list("xy") * 20}
    )
    model = make(skfm.FMClassifier).fit(frame, [0, 1, 1, 0] * 10)
    predictor = model.compile_predictor()
    row = frame.iloc[3].to_dict()
    assert predictor._dicts._one.read(row) is None
    assert_array_equal(predictor.predict_proba(row), model.predict_proba(frame[3:4]))


def test_columns_that_share_categories_are_left_to_the_codec():
    rng = np.random.default_rng(0)
    frame = pd.DataFrame(rng.choice(list("abcd"), (40, 3)), columns=list("xyz"))
    model = make(skfm.FMClassifier, shared_categories=[["x", "z"]])
    model.fit(frame, frame["x"] == frame["y"])
    predictor = model.compile_predictor()
    for row, expected in zip(
        frame.to_dict("records"), model.predict_proba(frame), strict=True
    ):
        assert_array_equal(predictor.predict_proba(row), expected[None])


def test_a_codec_that_contradicts_itself(encoder):
    reader = encoder._one
    starts = reader._starts
    try:
        reader._starts = [start - 1000 for start in starts]
        with pytest.raises(ValueError, match="not a valid CSR"):
            reader.read({})
    finally:
        reader._starts = starts
