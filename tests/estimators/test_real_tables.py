"""Real tables, with ids and cells that fit has not seen."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.metrics import log_loss, roc_auc_score
from sklearn.model_selection import train_test_split
from table_cases import ADULT, real_flights

from skfm import DeepFMClassifier, FieldEncoder


@pytest.mark.parametrize("read", [pd.read_csv, pl.read_csv], ids=["pandas", "polars"])
def test_adult(read):
    if not ADULT.exists():
        pytest.skip("the Adult data are not here")
    null = "null_values" if read is pl.read_csv else "na_values"
    df = read(ADULT, **{null: "?"})
    df = df[:8_000]
    y = np.asarray(df["income"] == ">50K")
    df = df[[name for name in df.columns if name != "income"]]
    probability, encoded = _from_table_and_matrix(df, y)
    assert roc_auc_score(y[6_000:], probability[:, 1]) > 0.88
    # Numbers that the encoder clips get a unit of their own in a matrix.
    assert abs(log_loss(y[6_000:], probability) - log_loss(y[6_000:], encoded)) < 0.02
    clipped = ["fnlwgt", "capital-gain", "capital-loss"]
    rest = df[[name for name in df.columns if name not in clipped]]
    probability, encoded = _from_table_and_matrix(rest, y)
    assert_allclose(probability, encoded, atol=1e-6)


def _from_table_and_matrix(df, y):
    """Probabilities of fits of a table and of its encoded matrix."""
    train, test = df[:6_000], df[6_000:]
    model = DeepFMClassifier(max_iter=3, n_members=1, random_state=0)
    probability = model.fit(train, y[:6_000]).predict_proba(test)
    encoder = FieldEncoder()
    model.fit(encoder.fit_transform(train), y[:6_000])
    return probability, model.predict_proba(encoder.transform(test))


def test_flights_with_unseen_planes():
    df, late = real_flights(12_000)
    train, test, y_train, _ = train_test_split(df, late, random_state=0)
    assert len(set(test["tailnum"]) - set(train["tailnum"])) > 10
    model = DeepFMClassifier(max_iter=2, n_members=1, crosses=None, random_state=0).fit(
        train, y_train
    )
    polars = DeepFMClassifier(max_iter=2, n_members=1, crosses=None, random_state=0)
    polars.fit(pl.from_pandas(train), y_train)
    expected = model.predict_proba(test)
    assert_array_equal(polars.predict_proba(pl.from_pandas(test)), expected)
    # Numbers have a unit in a matrix, which they have not in a table.
    train, test = train.astype(str), test.astype(str)
    encoder = FieldEncoder().fit(train)
    table, encoded = (
        DeepFMClassifier(max_iter=2, n_members=1, crosses=None, random_state=0)
        for _ in range(2)
    )
    expected = table.fit(train, y_train).predict_proba(test)
    encoded.fit(encoder.transform(train), y_train)
    assert_allclose(encoded.predict_proba(encoder.transform(test)), expected, atol=1e-6)
