"""Graphs that read tables give the predictions of the estimator on the same tables."""

import numpy as np
import pandas as pd
import pytest
from common_cases import stochastic
from estimator_cases import make
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.pipeline import make_pipeline

import skfm

ort = pytest.importorskip("onnxruntime")

RNG = np.random.default_rng(0)
N = 300
VECTORS = RNG.normal(3, 2, (N, 3))
TABLE = pd.DataFrame(
    {
        "text": RNG.choice(["a", "b", "ü", None], N),
        "id": RNG.integers(0, 40, N),
        "many": RNG.integers(0, 90, N).astype(float),
        "price": RNG.lognormal(3, 1, N),
        "count": RNG.poisson(0.7, N),
        "flag": RNG.random(N) < 0.4,
        "zero_one": (RNG.random(N) < 0.3).astype(int),
        "vector": list(VECTORS),
    }
)
TABLE.loc[::7, "many"] = np.nan
TABLE.loc[3::11, "price"] = np.nan
LABELS = (
    (TABLE["text"] == "a").to_numpy() ^ (TABLE["id"] % 2 == 0).to_numpy()
) | TABLE["flag"].to_numpy()
#: Unknown and missing cells, and numbers outside of those of the fit.
NEW = pd.concat(
    [
        TABLE.head(30),
        TABLE.tail(6).assign(
            text=["new", None, "a", "b", "ü", "é"],
            id=[77, -1, 2, 3, 4, 5],
            many=[1e9, -5.0, 2.5, np.nan, 3.0, 89.0],
            price=[1e12, -1e12, np.nan, 0.0, 1.5, 20.0],
        ),
    ]
)


def inputs_of(table):
    found = {}
    for name in table:
        column = table[name]
        if name == "vector":
            found[name] = np.stack(column)
        elif name == "text":
            found[name] = column.fillna("").to_numpy(object)[:, None]
        else:
            found[name] = column.to_numpy()[:, None]
    return found


def session(model, path, X=TABLE):
    skfm.to_onnx(model, path / "model.onnx", X=X)
    return ort.InferenceSession(path / "model.onnx")


def assert_same(model, run, table=NEW, inputs=None):
    inputs = inputs_of(table) if inputs is None else inputs
    found = dict(
        zip([o.name for o in run.get_outputs()], run.run(None, inputs), strict=True)
    )
    if "probabilities" in found:
        expected = model.predict_proba(table)
        assert_allclose(found["probabilities"], expected, atol=2e-5)
    else:
        expected = model.predict(table)
        assert_allclose(found["variable"][:, 0], expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.AFMClassifier])
def test_a_model_fitted_on_a_table(cls, tmp_path):
    model = make(cls, max_iter=20, **stochastic(cls)).fit(TABLE, LABELS)
    run = session(model, tmp_path)
    assert [i.name for i in run.get_inputs()] == list(TABLE)
    assert_same(model, run)
    for row in range(len(NEW)):
        assert_same(model, run, NEW.iloc[[row]])


@pytest.mark.parametrize("numeric", ["nested", "scale", "quantile", "passthrough"])
@pytest.mark.parametrize("make_one", [make_pipeline, skfm.make_field_pipeline])
def test_a_pipeline_with_a_field_encoder(numeric, make_one, tmp_path):
    table, new = TABLE.drop(columns="vector"), NEW.drop(columns="vector")
    encoder = skfm.FieldEncoder(numeric=numeric, min_frequency=9)
    regressor = make(skfm.DeepFMRegressor, dtype="float32")
    if make_one is make_pipeline:
        regressor.set_params(fields=encoder.fit(table).fields_)
    model = make_one(encoder, regressor).fit(table, TABLE["id"] + LABELS)
    new = new.assign(price=new["price"].clip(0, 100))
    assert_same(model, session(model, tmp_path, table[:1]), new)


def test_categories_of_each_type(tmp_path):
    """Integers as floats among missing ones, as integers, and truth values."""
    frame = TABLE[["text", "many", "id", "flag"]]
    model = make(skfm.DeepFMClassifier, categorical_features="all")
    model.fit(frame, LABELS)
    assert_same(model, session(model, tmp_path, frame), NEW[list(frame)])
    whole = frame.assign(many=frame["many"].fillna(0).astype(int))
    run = session(model, tmp_path, whole)
    inputs = inputs_of(whole) | {"many": frame["many"].fillna(-(2.0**63))}
    inputs["many"] = inputs["many"].to_numpy().astype(np.int64)[:, None]
    assert_same(model, run, frame, inputs)


def test_columns_without_names(tmp_path):
    cells = TABLE[["text", "id"]].fillna("none").astype(str).to_numpy(object)
    model = make(skfm.FMClassifier, categorical_features="all", solver="sgd")
    model.fit(cells, LABELS)
    run = session(model, tmp_path, cells)
    inputs = {f"x{j}": cells[:, [j]] for j in range(2)}
    found = run.run(["probabilities"], inputs)[0]
    assert_allclose(found, model.predict_proba(cells), atol=2e-5)


def test_missing_categories_that_are_the_empty_string(tmp_path):
    """A category of the fit is itself."""
    table = pd.DataFrame({"a": ["", "x"] * 20})
    model = make(skfm.FMRegressor, solver="sgd").fit(table, [0, 1] * 20)
    run = session(model, tmp_path, table)
    found = run.run(None, {"a": np.array([[""], ["x"]], object)})[0][:, 0]
    assert_allclose(found, model.predict(table[:2]), atol=1e-5)


@pytest.mark.parametrize(
    ("column", "match"),
    [
        (pd.date_range("2020-01-01", periods=40), r"'x' cannot.*dates"),
        ([["a"], ["b", "a"]] * 20, r"'x' cannot.*several values"),
        (pd.Categorical(np.arange(40) / 8), r"'x' cannot.*floats"),
    ],
)
def test_what_onnx_cannot_express(column, match, tmp_path):
    table = pd.DataFrame({"x": column, "y": list("abcd") * 10})
    model = make(skfm.FMClassifier, solver="sgd").fit(table, np.arange(40) % 2)
    with pytest.raises(ValueError, match=match):
        skfm.to_onnx(model, tmp_path / "model.onnx", X=table)
    skfm.to_onnx(model, tmp_path / "model.onnx")
    assert [i.name for i in session_inputs(tmp_path)] == ["columns", "values"]


def session_inputs(path):
    return ort.InferenceSession(path / "model.onnx").get_inputs()


def test_other_refusals(tmp_path):
    path = tmp_path / "model.onnx"
    table = TABLE[["text", "id"]].astype(str)
    crossed = make(skfm.FMClassifier, solver="sgd", crosses=[("text", "id")])
    with pytest.raises(ValueError, match=r"cross .*text.*cannot be exported"):
        skfm.to_onnx(crossed.fit(table, LABELS), path, X=table)
    hashed = make_pipeline(
        skfm.FieldEncoder(n_buckets=8), make(skfm.FMClassifier, solver="sgd")
    )
    with pytest.raises(ValueError, match=r"'text' cannot.*hashed"):
        skfm.to_onnx(hashed.fit(table, LABELS), path, X=table)
    plain = make(skfm.FMClassifier, solver="sgd").fit(VECTORS, LABELS)
    with pytest.raises(ValueError, match="reads matrices: leave X out"):
        skfm.to_onnx(plain, path, X=VECTORS)
    with pytest.raises(ValueError, match="dense=True is for matrices"):
        skfm.to_onnx(crossed, path, X=table, dense=True)
    assert not path.exists()
    assert_array_equal(plain.classes_, [False, True])
