"""Summaries of fitted estimators."""

import numpy as np
import pandas as pd
import pytest
from sklearn.exceptions import NotFittedError

from skfm import DeepFMRegressor, FMClassifier

RNG = np.random.default_rng(0)
TABLE = pd.DataFrame(
    {"kind": RNG.choice(list("abc"), 300), "size": RNG.normal(size=300)}
)


def test_summary_of_a_network():
    options = {"random_state": 0, "max_iter": 3, "n_factors": 4, "crosses": None}
    model = DeepFMRegressor(n_members=1, **options)
    model.fit(TABLE, TABLE["size"] * (TABLE["kind"] == "a"))
    arrays = model.network_.arrays()
    assert model.n_parameters_ == sum(array.size for array in arrays.values())
    lines = model.summary().splitlines()
    width = model.network_.shape.n_columns
    assert f"2 of X, encoded as {width}, in 4 fields" in lines[4]
    assert [line.split() for line in lines if line.startswith("factors")] == [
        ["factors", str(width), "x", "4", str(4 * width)]
    ]


def test_summary_of_members():
    options = {"random_state": 0, "max_iter": 3, "n_factors": 4, "crosses": None}
    model = DeepFMRegressor(n_members=3, **options)
    model.fit(TABLE, TABLE["size"] * (TABLE["kind"] == "a"))
    best = [str(member["best_iter"]) for member in model.members_]
    assert f"members are those of {', '.join(best)}\n" in model.summary()


def test_summary_of_samples():
    y = TABLE["kind"] == "a"
    model = FMClassifier(random_state=0, max_iter=20).fit(TABLE, y)
    assert "of each chain" in model.summary()
    assert f"{model.network_.shape.n_samples} samples kept" in model.summary()


def test_nothing_to_tell_before_fit():
    with pytest.raises(NotFittedError):
        FMClassifier().summary()
    assert not hasattr(FMClassifier(), "n_parameters_")
