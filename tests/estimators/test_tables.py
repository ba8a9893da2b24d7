"""Tables with categories, passed to every estimator as they are."""

import copy
import pickle
import warnings

import numpy as np
import pandas as pd
import polars as pl
import pytest
from common_cases import ESTIMATORS
from estimator_cases import make, partial_fit, scores
from flight_cases import DF, NEW, Y, answer, fit
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skfm import (
    DeepFMClassifier,
    FieldEncoder,
    FMClassifier,
)

#: Some models here are hardly trained, or have weights that were set by hand.
pytestmark = pytest.mark.filterwarnings(
    "ignore::skfm.exceptions.WorseThanConstantWarning"
)

every = pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)


# The same model as on the encoder's matrix.


@every
def test_equals_the_model_on_the_encoders_matrix(cls):
    encoder = FieldEncoder()
    X = encoder.fit_transform(DF)
    raw, encoded = fit(cls), fit(cls, X)
    assert raw.n_features_in_ == 5
    assert_array_equal(raw.feature_names_in_, DF.columns)
    assert raw.field_names_ == encoder.field_names_.tolist()
    assert_array_equal(raw.fields_, encoder.fields_)
    assert len(raw.factors_) == X.shape[1]
    assert_array_equal(raw.column_names_, encoder.get_feature_names_out())
    for table in (DF, NEW):
        expected = scores(encoded, encoder.transform(table))
        assert_allclose(scores(raw, table), expected, atol=1e-6)


@every
def test_pandas_equals_polars(cls):
    pandas, polars = fit(cls), fit(cls, pl.from_pandas(DF))
    assert polars.field_names_ == pandas.field_names_
    assert_array_equal(scores(pandas, NEW), scores(polars, pl.from_pandas(NEW)))
    assert_array_equal(scores(pandas, NEW), scores(polars, NEW))


@every
def test_copies_predict_the_same(cls):
    model = fit(cls)
    for copied in (copy.deepcopy(model), pickle.loads(pickle.dumps(model))):
        assert_allclose(scores(copied, NEW), scores(model, NEW), rtol=1e-12)


@every
def test_validation_rows_are_encoded_as_the_others(cls):
    encoder = FieldEncoder()
    X, y, y_new = encoder.fit_transform(DF), answer(cls), answer(cls, Y[::-1])
    raw, encoded = (make(cls, early_stopping="auto") for _ in range(2))
    raw.fit(DF, y, X_val=pl.from_pandas(NEW), y_val=y_new)
    encoded.fit(X, y, X_val=encoder.transform(NEW), y_val=y_new)
    assert len(raw.validation_scores_) == raw.n_iter_
    assert_allclose(raw.validation_scores_, encoded.validation_scores_, atol=1e-6)


@every
def test_partial_fit_moves_no_columns(cls):
    model = partial_fit(make(cls), DF, answer(cls))
    before = model.factors_.reshape(len(model.fields_), -1)
    unknown = [
        name.endswith("<unknown>")
        for name in FieldEncoder().fit(DF).get_feature_names_out()
    ]
    assert not before[unknown].any()
    new = NEW.assign(carrier="never seen")
    partial_fit(model, new, answer(cls))
    after = model.factors_.reshape(before.shape)
    # The unknown carrier, and planes, have learnt from the second block.
    assert np.count_nonzero(after[unknown].any(axis=1)) == 2
    assert np.isfinite(scores(model, NEW)).all()


# Kinds of cells.


def test_unknown_and_missing_cells():
    """An unknown category says nothing; a missing one says what fit made of it."""
    df = pd.DataFrame({"who": ["a", "b", None] * 40, "n": np.arange(120.0)})
    model = fit(FMClassifier, df, np.tile([True, False, True], 40), max_iter=30)
    new = pd.DataFrame({"who": ["x", "y", None], "n": 60.0})
    x, y, missing = scores(model, new)
    assert x == y
    assert missing > x + 0.5
    number = (60.0 - df["n"].mean()) / df["n"].std(ddof=0)
    encoder = FieldEncoder(categorical_features=[0]).fit(df)
    entries = encoder.transform(df.iloc[[60]]).toarray()[0, 4:]
    assert entries[0] == pytest.approx(number)
    assert entries[1:].sum() == 2  # a coarse and a fine bin
    of_number, vectors = (
        entries @ model.coef_[4:],
        entries[:, None] * model.factors_[4:],
    )
    pairs = (np.square(vectors.sum(axis=0)) - np.square(vectors).sum(axis=0)).sum() / 2
    assert x == pytest.approx(model.intercept_ + of_number + pairs, abs=1e-5)


def test_counting_is_asked_for():
    df = pd.DataFrame({"who": ["a", "b", None] * 10, "n": 1.0})
    y = np.arange(30) % 2
    model = make(FMClassifier).fit(df, y)
    new = pd.DataFrame({"who": ["x", "a", None, "y"], "n": [1.0, 2.0, 3.0, np.nan]})
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        model.predict(new)
    model.set_params(warn_unknown=True)
    counted = "who: 2 unknown, 1 missing; n: 0 unknown, 1 missing"
    for asked in (model, make_pipeline("passthrough", model)):
        with pytest.warns(UserWarning, match=counted) as warned:
            asked.predict(new)
        assert [warning.filename for warning in warned] == [__file__]


def test_the_order_of_categories_may_change():
    model = fit(DeepFMClassifier)
    reordered = NEW.assign(
        carrier=NEW["carrier"].cat.set_categories(["UA", "none", "AA", "DL"])
    )
    assert_array_equal(scores(model, reordered), scores(model, NEW))
    as_strings = NEW.assign(carrier=NEW["carrier"].astype("str"))
    assert_array_equal(scores(model, as_strings), scores(model, NEW))


@pytest.mark.parametrize("start", [2**24, 2**53, 2**60])
@pytest.mark.parametrize("dtype", ["int64", "Int64", "category"])
def test_large_ids_are_not_rounded(start, dtype):
    ids = np.tile(np.arange(start, start + 4), 30)
    df = pd.DataFrame({"id": pd.Series(ids).astype(dtype)})
    if dtype == "Int64":
        df.loc[::13, "id"] = pd.NA
    y = ids % 2
    model = make(FMClassifier, categorical_features=["id"], max_iter=50).fit(df, y)
    held = df["id"].notna().to_numpy()
    assert model.score(df[held], y[held]) == 1
    unseen = pd.DataFrame({"id": pd.Series([start - 1, start + 4]).astype(dtype)})
    assert_allclose(scores(model, unseen), model.intercept_)


# Refits, all or nothing.


def test_a_refit_forgets_the_table():
    model = fit(FMClassifier)
    numbers = DF[["hour"]].to_numpy(float)
    model.fit(numbers, Y)
    assert_array_equal(
        scores(model, numbers), scores(fit(FMClassifier, numbers), numbers)
    )
    assert model.fields_ is None
    model.fit(DF, Y)
    assert_array_equal(scores(model, NEW), scores(fit(FMClassifier), NEW))


def test_a_refused_refit_leaves_the_model_as_it_was():
    model = fit(FMClassifier)
    before = scores(model, NEW)
    mixed = pd.DataFrame({"who": ["a", 1] * 20})
    with pytest.raises(TypeError, match="'who' mixes str"):
        model.fit(mixed, np.arange(40) % 2)
    assert_array_equal(scores(model, NEW), before)
    with pytest.raises(ValueError, match="NaN"):
        model.fit(DF, np.where(Y, 1.0, np.nan))
    assert_array_equal(scores(model, NEW), before)


def test_warm_start_keeps_the_columns():
    model = fit(FMClassifier, warm_start=True, max_iter=2)
    shape = model.factors_.shape
    model.fit(NEW, Y)
    assert model.factors_.shape == shape
    assert model.n_iter_ == 4


def test_cross_validation_of_raw_tables():
    found = cross_val_score(make(DeepFMClassifier), DF, Y, cv=3, error_score="raise")
    assert np.isfinite(found).all()
