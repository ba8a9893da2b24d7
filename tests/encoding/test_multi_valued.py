"""Several values of a field, added or averaged: in tables, in matrices, encoded."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from common_cases import ESTIMATORS
from estimator_cases import make, scores
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier

from skfm import (
    DeepFMClassifier,
    FieldEncoder,
    FMClassifier,
    FMRegressor,
)

Y = np.random.default_rng(0).random(150) < 0.5


def answer(cls, y=Y):
    return y if is_classifier(cls()) else np.where(y, 3.0, -1.0)


def tagged(n=150, seed=0):
    """A table with none to four of six tags in a cell, none of them twice."""
    rng = np.random.default_rng(seed)
    tags = [
        [*rng.choice(list("abcdef"), size, replace=False)] or None
        for size in rng.integers(0, 5, n)
    ]
    return pd.DataFrame({"tags": tags, "plane": rng.choice(["N1", "N2", None], n)})


@pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)
@pytest.mark.parametrize("pooling", ["sum", "mean"])
def test_three_ways_to_say_the_same(cls, pooling):
    train, new = tagged(), tagged(40, seed=1)
    raw = make(cls, field_pooling=pooling).fit(train, answer(cls))

    pooled = FieldEncoder(multi_valued=["tags"], pooling=pooling).fit(train)
    encoded = make(cls, fields=pooled.fields_)
    encoded.fit(pooled.transform(train), answer(cls))

    plain = FieldEncoder(multi_valued=["tags"]).fit(train)
    divided = make(cls, fields=plain.fields_, field_pooling=pooling)
    divided.fit(plain.transform(train), answer(cls))

    for table in (train, new):
        expected = scores(raw, table)
        assert_allclose(scores(encoded, pooled.transform(table)), expected, atol=1e-9)
        assert_allclose(scores(divided, plain.transform(table)), expected, atol=1e-9)


@pytest.mark.parametrize(
    "cells",
    [[["a", "b"], []], [{"a"}, {"b"}], [{"a": 0.5}, {"b": 2.0}], [("a",), None]],
)
def test_cells_that_hold_several_values_tell_so(cells):
    table = pd.DataFrame({"tags": cells})
    own = FieldEncoder().fit_transform(table)
    named = FieldEncoder(multi_valued=["tags"]).fit_transform(table)
    assert_array_equal(own.toarray(), named.toarray())


def test_sum_and_mean_differ():
    total, mean = (
        make(FMClassifier, field_pooling=pooling).fit(tagged(), Y)
        for pooling in ("sum", "mean")
    )
    assert abs(scores(total, tagged()) - scores(mean, tagged())).max() > 1e-3


@pytest.mark.parametrize(
    "table", [pd.DataFrame, pl.DataFrame], ids=["pandas", "polars"]
)
@pytest.mark.parametrize("pooling", ["sum", "mean"])
@pytest.mark.parametrize("cls", [FMRegressor, DeepFMClassifier])
def test_lists_in_cells(cls, pooling, table):
    # Repeated items would be numbers, which have a unit in a matrix.
    tags = [["a", "b"], [], ["c"], None, ["a", "c"], ["b", "c", "a"]] * 20
    df = table({"tags": tags, "n": [float(n) for n in range(120)]})
    encoder = FieldEncoder(multi_valued=["tags"], pooling=pooling)
    X, y = encoder.fit_transform(df), np.arange(120) % 2
    raw = make(cls, field_pooling=pooling).fit(df, y)
    encoded = make(cls, fields=encoder.fields_).fit(X, y)
    assert raw.field_names_ == ["tags", "n", "n_<coarse>", "n_<fine>"]
    assert_allclose(scores(raw, df), scores(encoded, X), atol=1e-6)
    new = table({"tags": [["z", "a"], ["z"]], "n": [1.0, 2.0]})
    expected = scores(encoded, encoder.transform(new))
    assert_allclose(scores(raw, new), expected, atol=1e-6)


LABELS = np.array(["b", "a", "b", "c", "a", "a", "b"])


def bags(n=150, ones=False):
    """A CSR matrix with any number of entries in each of three interleaved fields."""
    rng = np.random.default_rng(3)
    values = np.ones((n, 7)) if ones else rng.normal(size=(n, 7))
    return sp.csr_array(values * (rng.random((n, 7)) < 0.5))


def divided(X):
    """The values of X, each divided by the entries of its field in its row."""
    held = X.toarray() != 0
    counts = held.astype(int) @ (LABELS[:, None] == LABELS)
    return sp.csr_array(X.toarray() / np.maximum(counts, 1))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_means_of_fields(cls):
    # Of ones, whose averages are shares: other numbers have a unit in a matrix.
    X, y = bags(ones=True), answer(cls, Y)
    before = X.copy()
    model = make(cls, fields=LABELS, field_pooling="mean").fit(X, y)
    reference = make(cls, fields=LABELS).fit(divided(X), y)
    assert_allclose(scores(model, X), scores(reference, divided(X)), atol=1e-12)
    assert_array_equal(X.toarray(), before.toarray())
    summed = make(cls, fields=LABELS).fit(X, y)
    assert abs(scores(model, X) - scores(summed, X)).max() > 1e-3


def test_means_do_not_depend_on_threads():
    X = sp.vstack([bags()] * 30, format="csr")
    y = np.tile(Y, 30)
    one, two = (
        make(FMClassifier, fields=LABELS, field_pooling="mean", n_jobs=n).fit(X, y)
        for n in (1, 2)
    )
    assert_array_equal(one.factors_, two.factors_)
