"""Tables with categories, passed to every estimator as they are."""

import copy
import pickle
import warnings
from pathlib import Path

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from common_cases import ESTIMATORS
from estimator_cases import make, partial_fit, scores
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.model_selection import cross_val_score
from sklearn.pipeline import make_pipeline

from skfm import (
    DeepFMClassifier,
    DeepFMRegressor,
    FieldEncoder,
    FMClassifier,
    NFMClassifier,
)
from skfm.encoding.codec import TableCodec
from skfm.encoding.tables import read_columns

#: Some models here are hardly trained, or have weights that were set by hand.
pytestmark = pytest.mark.filterwarnings(
    "ignore::skfm.exceptions.WorseThanConstantWarning"
)

ROOT = Path(__file__).resolve().parents[2]
every = pytest.mark.parametrize("cls", ESTIMATORS, ids=lambda cls: cls.__name__)


def flights(n=300, seed=0, n_planes=40):
    """Flights, with 10 % of the cells missing but in the columns of integers."""
    rng = np.random.default_rng(seed)
    carrier = rng.choice(["AA", "DL", "UA"], n)
    plane = rng.integers(n_planes, size=n)
    df = pd.DataFrame(
        {
            "carrier": pd.Categorical(carrier),
            "tailnum": [f"N{number}" for number in plane],
            "night": pd.array(rng.random(n) < 0.3, dtype="boolean"),
            "distance": rng.gamma(3, 300, n),
            "hour": rng.integers(5, 24, n),
        }
    )
    y = (df["hour"] > 12).to_numpy() ^ (carrier == "AA")
    where = rng.random((n, 4)) < 0.1
    for j, name in enumerate(df.columns[:4]):
        df.loc[where[:, j], name] = None
    return df, y


DF, Y = flights()
NEW = flights(seed=1, n_planes=60)[0]


def answer(cls, y=Y):
    return y if is_classifier(cls()) else np.where(y, 3.0, -1.0)


def fit(cls, df=DF, y=Y, **parameters):
    cheap = {"max_iter": 2, "batch_size": 100}
    return make(cls, **cheap | parameters).fit(df, answer(cls, y))


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


@pytest.mark.parametrize(
    "selected",
    [
        ["a", "b"],
        np.array(["a", "b"]),
        [0, 1],
        np.array([0, 1]),
        [True, True, False],
        np.array([True, True, False]),
        "from_dtype",
    ],
)
def test_ways_to_name_categories(selected):
    df = pd.DataFrame({"a": list("xyz") * 20, "b": [7, 8] * 30, "n": np.arange(60.0)})
    y = np.arange(60) % 2
    by_dtype = df.astype({"b": "category"})
    reference = make(FMClassifier).fit(by_dtype, y)
    table = by_dtype if isinstance(selected, str) else df
    model = make(FMClassifier, categorical_features=selected).fit(table, y)
    assert_array_equal(scores(model, table), scores(reference, by_dtype))


def test_all_columns_may_be_categories():
    df = pd.DataFrame({"a": [1, 2, 3] * 20, "b": [7, 8] * 30})
    y = np.arange(60) % 2
    model = make(FMClassifier, categorical_features="all").fit(df, y)
    assert len(model.coef_) == 3 + 2 + 4
    array = make(FMClassifier, categorical_features="all").fit(df.to_numpy(), y)
    assert array.field_names_ == ["x0", "x1"]
    assert_array_equal(scores(array, df.to_numpy()), scores(model, df))


def test_arrays_of_objects_take_indices():
    array = np.array([["a", 1.5], ["b", 2.5]] * 20, dtype=object)
    df = pd.DataFrame({"who": array[:, 0], "n": array[:, 1].astype(float)})
    y = np.tile([0, 1], 20)
    model = make(FMClassifier, categorical_features=[0]).fit(array, y)
    reference = make(FMClassifier).fit(df, y)
    assert_array_equal(scores(model, array), scores(reference, df))


def test_columns_may_share_a_field():
    model = fit(DeepFMClassifier, fields=["who", "who", "when", "how far", "when"])
    assert model.field_names_ == ["who", "when", "how far"]
    table_columns = FieldEncoder().fit(DF).columns_
    assert_array_equal(model.fields_, np.array([0, 0, 1, 2, 1])[table_columns])
    assert_array_equal(
        fit(DeepFMClassifier, fields=[2, 1, 2]).fields_,
        np.array([0, 0, 1, 2, 2])[table_columns],
    )


def test_values_that_are_all_one_take_no_memory():
    columns = read_columns(DF[["carrier", "tailnum", "night"]])
    params = FieldEncoder().get_params()
    codec = TableCodec.create(columns, ["a", "b", "c"], named=True, params=params)
    codec, encoded = codec.learn(columns)
    X = codec.matrix(encoded, np.float64, share_ones=True)
    assert X.data.strides == (0,)
    assert X.indices.dtype == np.int32
    assert_array_equal(X.toarray(), codec.matrix(encoded, np.float64).toarray())


def test_categories_only():
    df = DF[["carrier", "tailnum"]]
    before = df.copy()
    model = fit(NFMClassifier, df)
    reference = fit(NFMClassifier, FieldEncoder().fit_transform(df))
    X = FieldEncoder().fit(df).transform(df)
    assert_array_equal(scores(model, df), scores(reference, X))
    pd.testing.assert_frame_equal(df, before)


def test_several_outputs():
    y = np.column_stack([Y, DF["hour"]]).astype(float)
    model = make(DeepFMRegressor).fit(DF, y)
    assert model.predict(NEW).shape == (len(NEW), 2)


# Numbers only.


@pytest.mark.parametrize("convert", [pd.DataFrame, pl.from_pandas], ids=["pd", "pl"])
def test_numbers_are_encoded_beside_categories_or_not(convert):
    df = pd.DataFrame(
        np.random.default_rng(0).normal(2, 3, (60, 3)), columns=list("abc")
    )
    df.iloc[0, 1] = np.nan
    y = np.arange(60) % 2
    model = make(FMClassifier).fit(convert(df), y)
    encoder = FieldEncoder().fit(df)
    assert_array_equal(model.column_names_, encoder.get_feature_names_out())
    reference = make(FMClassifier).fit(encoder.transform(df), y)
    assert_allclose(scores(model, df), scores(reference, encoder.transform(df)))


def test_numbers_are_taken_as_they_are_on_request():
    """Numbers of arrays, and of tables without categories on request, are unchanged."""
    df = pd.DataFrame(
        np.random.default_rng(0).normal(2, 3, (60, 3)), columns=list("abc")
    )
    y = np.arange(60) % 2
    array = make(FMClassifier).fit(df.to_numpy(), y)
    assert_array_equal(array.column_names_, ["x0", "x1", "x2"])
    for table in (df, pl.from_pandas(df)):
        model = make(FMClassifier, categorical_features=None).fit(table, y)
        assert_array_equal(model.column_names_, ["a", "b", "c"])
        assert_array_equal(scores(model, table), scores(array, df.to_numpy()))
    with pytest.raises(ValueError, match="NaN: row 0, column 1"):
        model.fit(df.replace(df.iloc[0, 1], np.nan), y)


def test_sparse_columns_of_booleans_are_numbers():
    dummies = pd.get_dummies(DF["tailnum"], sparse=True)
    model = fit(FMClassifier, dummies)
    assert len(model.coef_) == dummies.shape[1]


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


# Errors.


def test_errors_name_columns_and_cells():
    model = fit(FMClassifier)
    with pytest.raises(ValueError, match=r"now missing:\n- hour"):
        model.predict(DF.drop(columns="hour"))
    with pytest.raises(ValueError, match="must be in the same order"):
        model.predict(DF[DF.columns[::-1]])
    with pytest.raises(ValueError, match=r"'tailnum' held strings .* in row 0"):
        model.predict(DF.assign(tailnum=1))
    with pytest.raises(
        ValueError, match=r"'hour' is numeric but holds 'noon' in row 0"
    ):
        model.predict(DF.assign(hour="noon"))
    with pytest.raises(ValueError, match=r"sparse matrix, but this FMClassifier"):
        model.predict(sp.csr_array((3, 5)))
    with pytest.raises(ValueError, match="0 sample"):
        model.predict(DF[:0])
    with pytest.raises(ValueError, match="requires y to be passed"):
        make(FMClassifier).fit(DF, None)
    with pytest.raises(ValueError, match="inconsistent numbers of samples"):
        make(FMClassifier).fit(DF, Y[:-1])


def test_unhashable_cells_are_refused():
    cells = ["a", {"b": 1}] * 20
    with pytest.raises(TypeError, match=r"'who' holds \{'b': 1\} in row 1"):
        fit(FMClassifier, pd.DataFrame({"who": cells}), np.arange(40) % 2)


@pytest.mark.parametrize("nothing", [None, []])
def test_no_categories_on_request(nothing):
    with pytest.raises(ValueError, match=r"'carrier' is numeric but holds '..' in row"):
        fit(FMClassifier, categorical_features=nothing)


def test_a_column_of_strings_that_was_numeric():
    numbers = DF[["hour"]].astype(float)
    model = fit(FMClassifier, numbers)
    with pytest.raises(ValueError, match="'hour' is numeric but holds 'noon' in row 2"):
        model.predict(pd.DataFrame({"hour": [1, 2, "noon"]}))


@pytest.mark.parametrize(
    ("selected", "message"),
    [
        (["plane"], "categorical_features names column 'plane', but X has the columns"),
        ([7], r"column 7, but X has 5 columns: indices are in \[0, 4\]"),
        ([True, False], r"mask must have shape \(5,\)"),
    ],
)
def test_wrong_categorical_features(selected, message):
    with pytest.raises(ValueError, match=message):
        fit(FMClassifier, categorical_features=selected)


def test_a_sparse_matrix_has_no_categories_to_name():
    with pytest.raises(ValueError, match="needs a table, but X is a sparse matrix"):
        fit(FMClassifier, sp.csr_array(np.eye(300)), categorical_features=[0])


def test_cross_validation_of_raw_tables():
    found = cross_val_score(make(DeepFMClassifier), DF, Y, cv=3, error_score="raise")
    assert np.isfinite(found).all()
