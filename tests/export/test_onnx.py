"""Exported graphs: onnxruntime gives the predictions of the estimator."""

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from common_cases import ARCHITECTURES, one_hot
from estimator_cases import CELLS, LABELS, X, make, target
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.compose import make_column_transformer
from sklearn.linear_model import LogisticRegression
from sklearn.pipeline import Pipeline, make_pipeline
from sklearn.preprocessing import OneHotEncoder, StandardScaler

import skfm
from skfm.losses import loss_names

ort = pytest.importorskip("onnxruntime")
pytest.importorskip("onnx")

RNG = np.random.default_rng(0)
#: Rows of several lengths, with values: some are without entries.
VALUES = sp.csr_array(
    X.toarray() * RNG.normal(size=X.shape) * (RNG.random(X.shape) < 0.8)
)
MORE = {
    skfm.FFMClassifier: [{"normalize": True}],
    skfm.DCNClassifier: [
        {"cross": "vector", "structure": "stacked"},
        {"low_rank": 2, "n_experts": 3},
    ],
    skfm.PNNClassifier: [{"product": "outer"}, {"product": "both"}],
    skfm.NFMClassifier: [{"batch_norm": True, "activation": "gelu"}],
    skfm.DeepFMRegressor: [
        {"activation": "silu"},
        {"activation": "tanh"},
        {"n_members": 2},
    ],
    skfm.FMClassifier: [
        {"field_pooling": "mean", "fields": (4, 8)},
        {"n_members": 3},
    ],
    skfm.AFMClassifier: [
        {"field_pooling": "mean", "fields": (4, 8)},
        {"n_members": 2},
    ],
}


FRAME = pd.DataFrame(CELLS, columns=["site", "ad", "hour"]).astype(str)


def padded(rows, width=None):
    """Columns and values of CSR rows; padded in front, in the midst and at the end."""
    lengths = np.diff(rows.indptr)
    width = lengths.max() + 2 if width is None else width
    columns = np.zeros((rows.shape[0], width), np.int64)
    values = np.zeros((rows.shape[0], width), np.float32)
    for i, (lo, hi) in enumerate(zip(rows.indptr, rows.indptr[1:], strict=False)):
        places = np.sort(np.random.default_rng(i).permutation(width)[: hi - lo])
        columns[i, places], values[i, places] = rows.indices[lo:hi], rows.data[lo:hi]
    return {"columns": columns, "values": values}


def session(model, path, **how):
    skfm.to_onnx(model, path / "model.onnx", **how)
    return ort.InferenceSession(path / "model.onnx")


def assert_same(model, run, inputs, rows):
    """Outputs by name, against the estimator's methods."""
    found = dict(
        zip([o.name for o in run.get_outputs()], run.run(None, inputs), strict=True)
    )
    if not is_classifier(model):
        (scores,) = found.values()
        expected = np.reshape(model.predict(rows), (rows.shape[0], -1))
        assert_allclose(scores, expected, rtol=1e-5, atol=1e-5)
        return
    if not hasattr(model, "predict_proba"):
        expected = model.decision_function(rows)
        scores = found["scores"]
        assert_allclose(scores, expected.reshape(scores.shape), rtol=1e-5, atol=1e-5)
        assert_array_equal(found["label"], model.predict(rows))
        return
    assert_allclose(found["probabilities"], model.predict_proba(rows), atol=1e-5)
    sure = np.max(found["probabilities"], axis=1) > 0.5 + 1e-5
    assert_array_equal(found["label"][sure], model.predict(rows)[sure])


def fit(cls, data, **parameters):
    y = target(cls) if not cls.__name__.endswith("Ranker") else LABELS
    model = make(cls, fields=(4, 5, 3), max_iter=20).set_params(**parameters)
    if cls.__name__.endswith("Ranker"):
        return model.fit(data, y, qid=np.arange(len(y)) // 6)
    return model.fit(data, y)


CASES = [(cls, {}) for cls in ARCHITECTURES]
CASES += [(cls, parameters) for cls, some in MORE.items() for parameters in some]


@pytest.mark.parametrize(("cls", "parameters"), CASES)
def test_parity(cls, parameters, tmp_path):
    model = fit(cls, VALUES, **parameters)
    run = session(model, tmp_path)
    for rows in (VALUES, VALUES[:1], VALUES[3:10]):
        assert_same(model, run, padded(rows), rows)
    run = session(model, tmp_path, dense=True)
    for rows in (VALUES, VALUES[:1]):
        assert_same(model, run, {"X": rows.toarray().astype(np.float32)}, rows)


@pytest.mark.parametrize("kind", ["numbers", "two classes", "three classes"])
def test_means_over_samples_are_the_same_to_rounding(kind, tmp_path):
    cls = skfm.FMRegressor if kind == "numbers" else skfm.FMClassifier
    y = {"numbers": RNG.normal(size=120), "two classes": LABELS}.get(kind, CELLS[:, 2])
    model = cls(max_iter=20, random_state=0).fit(VALUES, y)
    assert model.solver_ == "bayes"
    found = session(model, tmp_path).run(None, padded(VALUES))[-1]
    expected = model.predict if kind == "numbers" else model.predict_proba
    assert_allclose(found.squeeze(), expected(VALUES), rtol=0, atol=1e-6)


def test_bfloat16_is_exported_in_float32(tmp_path):
    model = fit(skfm.DeepFMRegressor, VALUES, precision="bfloat16", dtype="float32")
    run = session(model, tmp_path)
    found = run.run(None, padded(VALUES))[0][:, 0]
    assert_allclose(found, model.predict(VALUES), atol=0.05)
    full = model.network_.mlp
    full.precision = "full"
    assert_allclose(found, model.predict(VALUES), rtol=1e-5, atol=1e-5)


COUNTS = CELLS[:, 0] + 2.0 * CELLS[:, 1]
INDICATORS = np.column_stack([LABELS, CELLS[:, 0] % 2, CELLS[:, 1] == 2])
#: Targets that every loss of the kind is defined for.
OF_KIND = {
    "numbers": (skfm.FMRegressor, COUNTS + 1),
    "binary": (skfm.FMClassifier, LABELS),
    "multiclass": (skfm.FMClassifier, CELLS[:, 2]),
    "multilabel": (skfm.FMClassifier, INDICATORS),
    "relevance": (skfm.FMRanker, LABELS),
}
LOSSES = [(kind, name) for kind in OF_KIND for name in loss_names(kind)]


@pytest.mark.parametrize(("kind", "loss"), LOSSES)
@pytest.mark.parametrize("piped", [False, True])
def test_every_loss(kind, loss, piped, tmp_path):
    cls, y = OF_KIND[kind]
    queries = {"qid": np.arange(len(y)) // 6} if kind == "relevance" else {}
    model = make(cls, loss=loss, max_iter=20, dtype="float32")
    if piped:
        encode = OneHotEncoder().fit(FRAME)
        model.fit(encode.transform(FRAME), y, **queries)
        model, rows = Pipeline([("encode", encode), ("model", model)]), FRAME
        run = session(model, tmp_path, X=FRAME)
        inputs = {name: FRAME[[name]].to_numpy(object) for name in FRAME}
    else:
        model.fit(X, y, **queries)
        run, inputs, rows = session(model, tmp_path), padded(X), X
    assert_same(model, run, inputs, rows)


def test_rankers_give_scores(tmp_path):
    model = fit(skfm.DeepFMRanker, X)
    run = session(model, tmp_path)
    assert [o.name for o in run.get_outputs()] == ["scores"]
    assert_same(model, run, padded(X), X)


TARGETS = {
    "strings": np.array(["no", "ünsure", "yes"], dtype=object)[CELLS[:, 0] % 3],
    "integers": np.array([-5, 0, 7])[CELLS[:, 0] % 3],
    "booleans": CELLS[:, 0] % 2 == 0,
    "floats": np.array([-1.0, 4.0])[CELLS[:, 0] % 2],
    "large": np.array([1, 2**63], np.uint64)[CELLS[:, 0] % 2],
}


@pytest.mark.parametrize("kind", TARGETS)
def test_labels(kind, tmp_path):
    model = make(skfm.FMClassifier, max_iter=20).fit(X, TARGETS[kind])
    run = session(model, tmp_path)
    assert_same(model, run, padded(X), X)


def test_indicators_and_losses_without_probabilities(tmp_path):
    model = make(skfm.NFMClassifier, max_iter=20).fit(X, INDICATORS)
    run = session(model, tmp_path)
    label, probabilities = run.run(None, padded(X))
    assert_array_equal(label, model.predict(X))
    assert_allclose(probabilities, model.predict_proba(X), atol=1e-5)
    model = make(skfm.FMClassifier, loss="hinge", max_iter=20).fit(X, LABELS)
    run = session(model, tmp_path)
    assert [o.name for o in run.get_outputs()] == ["label", "scores"]
    label, scores = run.run(None, padded(X))
    assert_array_equal(label, model.predict(X))
    assert_allclose(scores[:, 0], model.decision_function(X), atol=1e-5)


def test_several_outputs(tmp_path):
    y = np.column_stack([LABELS * 100.0 + 5000, CELLS[:, 0]])
    model = make(skfm.XDeepFMRegressor, fields=(4, 5, 3)).fit(X, y)
    assert_same(model, session(model, tmp_path), padded(X), X)


class TestPipelines:
    @pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMRegressor])
    @pytest.mark.parametrize("make_one", [make_pipeline, skfm.make_field_pipeline])
    def test_one_hot(self, cls, make_one, tmp_path):
        encoder = OneHotEncoder(handle_unknown="ignore")
        model = make_one(encoder, make(cls, max_iter=20, dtype="float32"))
        model.fit(FRAME, target(cls))
        run = session(model, tmp_path, X=FRAME)
        new = FRAME[:20].assign(ad=["new"] * 3 + ["1"] * 17)
        inputs = {name: new[[name]].to_numpy(object) for name in new}
        assert_same(model, run, inputs, new)

    def test_numbers_beside_categories(self, tmp_path):
        frame = FRAME.assign(number=np.arange(len(FRAME)) * 0.1)
        columns = make_column_transformer(
            (OneHotEncoder(), ["site", "ad"]), (StandardScaler(), ["number"])
        )
        model = make_pipeline(columns, make(skfm.FMClassifier, max_iter=20))
        model.fit(frame, np.array(["a", "b", "c"])[CELLS[:, 0] % 3])
        run = session(model, tmp_path, X=frame.drop(columns="hour"))
        inputs = {name: frame[[name]].to_numpy(object) for name in ["site", "ad"]}
        inputs["number"] = frame[["number"]].to_numpy()
        assert_same(model, run, inputs, frame)


def test_the_columns_of_an_encoded_table(tmp_path):
    model = make(skfm.FMClassifier).fit(FRAME, LABELS)
    run = session(model, tmp_path)
    encoder = skfm.FieldEncoder().fit(FRAME)
    assert_array_equal(encoder.get_feature_names_out(), model.column_names_)
    found = run.run(["probabilities"], padded(sp.csr_array(encoder.transform(FRAME))))
    assert_allclose(found[0], model.predict_proba(FRAME), atol=1e-5)


class TestRefused:
    def test_invalid_models_are_refused(self, tmp_path):
        path = tmp_path / "model.onnx"
        with pytest.raises(TypeError, match="got LogisticRegression"):
            skfm.to_onnx(LogisticRegression(), path)
        with pytest.raises(ValueError, match="not fitted"):
            skfm.to_onnx(skfm.FMClassifier(), path)
        with pytest.raises(ValueError, match="needs X"):
            skfm.to_onnx(make_pipeline(OneHotEncoder(), skfm.FMClassifier()), path)
        assert not path.exists()

    def test_ragged_pairs(self, tmp_path):
        model = fit(skfm.FFMClassifier, X, intra_field_pairs=True)
        with pytest.raises(ValueError, match="intra_field_pairs"):
            skfm.to_onnx(model, tmp_path / "model.onnx")

    def test_tables_beyond_two_gigabytes(self, tmp_path):
        rows, _ = one_hot(20, (2, 40_000_000))
        model = make(skfm.FMClassifier, n_factors=16, max_iter=1, dtype="float32")
        model.fit(rows, np.arange(20) % 2)
        with pytest.raises(ValueError, match=r"takes 2\.5 GiB"):
            skfm.to_onnx(model, tmp_path / "model.onnx")

    def test_without_onnx(self, tmp_path, monkeypatch):
        model = make(skfm.FMClassifier).fit(X, LABELS)
        monkeypatch.setitem(__import__("sys").modules, "onnx", None)
        with pytest.raises(ImportError, match=r"skfm\[onnx\]"):
            skfm.to_onnx(model, tmp_path / "model.onnx")
