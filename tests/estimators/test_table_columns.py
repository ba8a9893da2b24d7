"""Columns of tables: which are categories, which are numbers, and errors about them."""

import numpy as np
import pandas as pd
import polars as pl
import pytest
import scipy.sparse as sp
from estimator_cases import make, scores
from flight_cases import DF, NEW, Y, fit
from numpy.testing import assert_allclose, assert_array_equal

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
