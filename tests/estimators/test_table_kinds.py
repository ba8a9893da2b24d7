"""The same table in the types of every library: the same matrix, the same model."""

import datetime
from decimal import Decimal

import numpy as np
import pandas as pd
import polars as pl
import pyarrow as pa
import pytest
from estimator_cases import make, scores
from numpy.testing import assert_allclose, assert_array_equal
from table_cases import MAKES, mixed_table

from skfm import DeepFMClassifier, FieldEncoder, FMClassifier

DF = mixed_table()
Y = np.arange(len(DF)) % 2
every_make = pytest.mark.parametrize("convert", MAKES.values(), ids=MAKES)


@every_make
def test_the_encoder_makes_the_same_matrix(convert):
    encoder = FieldEncoder().fit(DF)
    expected = encoder.transform(DF).toarray()
    table = convert(DF)
    assert_allclose(encoder.transform(table).toarray(), expected, atol=1e-12)
    other = FieldEncoder().fit(table)
    assert_array_equal(other.get_feature_names_out(), encoder.get_feature_names_out())
    assert_allclose(other.transform(DF).toarray(), expected, atol=1e-12)


@every_make
def test_a_model_predicts_the_same(convert):
    expected = scores(make(DeepFMClassifier).fit(DF, Y), DF)
    model = make(DeepFMClassifier).fit(convert(DF), Y)
    assert_allclose(scores(model, DF), expected, atol=1e-6)
    assert_allclose(scores(model, convert(DF)), expected, atol=1e-6)


@pytest.mark.parametrize(
    "make_table",
    [
        pd.DataFrame,
        pl.DataFrame,
        pa.table,
        lambda table: pd.DataFrame(table).astype(
            {"tags": pd.ArrowDtype(pa.list_(pa.string()))}
        ),
    ],
    ids=["pandas", "polars", "arrow", "arrow-backed"],
)
def test_lists_are_several_values(make_table):
    table = make_table({"tags": [["a", "b"], None, [], ["b"]] * 15})
    model = make(FMClassifier).fit(table, Y)
    expected = ["tags_a", "tags_b", "tags_<unknown>", "tags_<missing>"]
    assert_array_equal(model.column_names_, expected)


@pytest.mark.parametrize(
    "cells",
    [
        pl.Series([Decimal("1.5"), None]),
        pd.Series([Decimal("1.5"), None]),
        pd.Series([Decimal("1.5"), None], dtype=pd.ArrowDtype(pa.decimal128(5, 2))),
    ],
    ids=["polars", "objects", "arrow-backed"],
)
def test_decimals_are_numbers(cells):
    table = pl.DataFrame if isinstance(cells, pl.Series) else pd.DataFrame
    encoder = FieldEncoder(categorical_features=None, numeric="passthrough")
    X = encoder.fit_transform(table({"d": cells}))
    assert X.toarray().tolist() == [[1.5, 0], [0, 1]]


@pytest.mark.parametrize("make_table", [pd.DataFrame, pl.DataFrame, pa.table])
def test_dates_are_categories_on_request(make_table):
    days = [datetime.datetime(2024, 1, day) for day in (2, 1, 2)]
    table = make_table({"d": days})
    with pytest.raises(ValueError, match=r"'d' holds dates.*categorical_features"):
        FieldEncoder(dates=None).fit(table)
    X = FieldEncoder(categorical_features=["d"]).fit_transform(table)
    assert X.indices.tolist() == [1, 0, 1]


MODELS = [
    pytest.param(lambda X: FieldEncoder().fit(X), id="FieldEncoder"),
    pytest.param(lambda X: make(FMClassifier).fit(X, Y), id="FMClassifier"),
]


@pytest.mark.parametrize("fit", MODELS)
@pytest.mark.parametrize("numbers", [False, True])
def test_columns_of_one_name_are_refused(fit, numbers):
    table = DF[["price", "count"]].fillna(0.0) if numbers else DF[["text", "flag"]]
    with pytest.raises(ValueError, match="Several columns of the table are called 's'"):
        fit(table.set_axis(["s", "s"], axis=1))


@pytest.mark.parametrize("fit", MODELS)
@pytest.mark.parametrize("convert", [pd.DataFrame, pl.from_pandas], ids=["pd", "pl"])
def test_empty_tables_are_refused(fit, convert):
    for table in (DF, DF[["price"]]):
        with pytest.raises(ValueError, match=r"table with 0 sample\(s\)"):
            fit(convert(table[:0].convert_dtypes()))
    with pytest.raises(ValueError, match=r"table with 0 (sample|feature)\(s\)"):
        fit(convert(DF[[]]))


@pytest.mark.parametrize("fit", MODELS)
def test_lazy_frames_are_to_be_collected(fit):
    with pytest.raises(TypeError, match=r"LazyFrame.*X\.collect\(\)"):
        fit(pl.LazyFrame({"text": ["a"]}))


def test_a_column_that_was_missing_altogether():
    """Nothing is known of its cells, so any are unknown."""
    model = make(FMClassifier).fit(DF.assign(text=None), Y)
    assert np.isfinite(scores(model, DF)).all()
    assert_array_equal(model.column_names_[:2], ["text_<unknown>", "text_<missing>"])


def test_a_table_that_is_missing_altogether():
    model = make(FMClassifier).fit(DF, Y)
    nothing = pd.DataFrame(None, index=[5, 6], columns=DF.columns)
    one, other = scores(model, nothing)
    assert one == other
    encoder = FieldEncoder().fit(DF)
    missing = [name.endswith("<missing>") for name in model.column_names_]
    assert_allclose(encoder.transform(nothing).toarray()[0], missing, atol=1e-12)


@pytest.mark.parametrize(
    "names", [range(4), pd.MultiIndex.from_product([[1, 2], ["a", "b"]])]
)
def test_names_must_be_strings(names):
    table = DF.set_axis(names, axis=1)
    model = make(FMClassifier).fit(table, Y)
    assert (
        model.field_names_
        == make(FMClassifier)
        .fit(DF.set_axis(["x0", "x1", "x2", "x3"], axis=1), Y)
        .field_names_
    )
    assert_array_equal(scores(model, table), scores(make(FMClassifier).fit(DF, Y), DF))
