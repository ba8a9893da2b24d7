"""Results do not depend on the units of columns, nor on the first chunk of a stream."""

import numpy as np
import pytest
import scipy.sparse as sp
from common_cases import ESTIMATORS, one_hot, stochastic
from estimator_cases import make
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier

import skfm

RNG = np.random.default_rng(0)
N = 400
SQFT, YEAR = RNG.uniform(500, 4000, N), RNG.integers(1950, 2020, N).astype(float)
PRICE = 100 * SQFT + 2000 * (YEAR - 1950) + RNG.normal(0, 5000, N)
HOUSES = np.column_stack([SQFT, YEAR])
BLOCK, CELLS = one_hot(N, (4, 3))
INCOME = RNG.lognormal(10, 1, N) * (RNG.random(N) < 0.8)
#: One-hot columns, an income that some lack, and years.
MIXED = sp.csr_array(sp.hstack([BLOCK, INCOME[:, None], YEAR[:, None]]))
RICH = (np.log1p(INCOME) > 10) ^ (CELLS[:, 0] == 1)
#: Units of the columns.
FACTORS = np.r_[1, 1, 1, 1, 7, 7, 7, 1e-4, 12.5]


def scores(model, X):
    return getattr(model, "decision_function", model.predict)(X)


@pytest.mark.parametrize("kind", [sp.csr_array.toarray, sp.csr_array.copy])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_units_do_not_matter(cls, kind):
    y = RICH.astype(int) if is_classifier(cls()) else PRICE
    X, other = kind(MIXED), kind(sp.csr_array(MIXED.multiply(FACTORS)))
    options = {"fields": [4, 3, 1, 1], "max_iter": 5, **stochastic(cls)}
    model = make(cls, **options).fit(X, y)
    rescaled = make(cls, **options).fit(other, y)
    expected = scores(model, X)
    assert_allclose(scores(rescaled, other), expected, rtol=1e-5, atol=1e-5)
    if hasattr(model, "factors_"):
        back = rescaled.factors_ * FACTORS[:, None]
        assert_allclose(back, model.factors_, rtol=1e-4, atol=1e-8)


@pytest.mark.parametrize("form", [np.asarray, sp.csr_array])
@pytest.mark.parametrize("cls", [skfm.FMRegressor, skfm.DeepFMRegressor])
def test_square_feet_and_years(cls, form):
    model = cls(random_state=0).fit(form(HOUSES), PRICE)
    assert model.score(form(HOUSES), PRICE) > 0.98
    assert_allclose(model.column_centers_, HOUSES.mean(axis=0), rtol=1e-6)


def test_an_income_beside_one_hot_columns():
    model = skfm.FMClassifier(solver="sgd", random_state=0).fit(MIXED, RICH)
    assert model.score(MIXED, RICH) > 0.9
    # One-hot columns are as they are, and the years are in all rows.
    assert_array_equal(model.column_scales_[:7], 1)
    assert_array_equal(np.flatnonzero(model.column_centers_), [8])


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMRegressor])
def test_served_saved_and_exported(cls, tmp_path):
    pytest.importorskip("onnxruntime")
    import onnxruntime

    y = RICH if is_classifier(cls()) else PRICE
    model = make(cls, fields=[4, 3, 1, 1], **stochastic(cls)).fit(MIXED, y)
    rows = MIXED[:20].toarray()
    rows[0, 8] = 0.0
    sparse, expected = sp.csr_array(rows), scores(model, rows)
    assert_array_equal(scores(model, sparse), expected)
    name = "decision_function" if is_classifier(model) else "predict"
    assert_array_equal(getattr(model.compile_predictor(), name)(sparse), expected)
    skfm.save(model, tmp_path / "model.skfm")
    assert_array_equal(scores(skfm.load(tmp_path / "model.skfm"), rows), expected)
    for dense in (True, False):
        skfm.to_onnx(model, tmp_path / "model.onnx", dense=dense)
        run = onnxruntime.InferenceSession(tmp_path / "model.onnx")
        inputs = {"X": rows.astype(np.float32)}
        if not dense:
            columns = np.tile(np.arange(9), (20, 1))
            inputs = {"columns": columns, "values": inputs["X"]}
        found = run.run(None, inputs)[-1][:, -1]
        if is_classifier(model):
            found = np.log(found / (1 - found))
        assert_allclose(found, expected, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize("sizes", [[1] * 50 + [350], [50] * 8])
def test_a_stream_of_large_targets(sizes):
    """The first chunk, be it a single row, does not settle any unit."""
    y = 1e6 + PRICE
    model = make(skfm.FMRegressor)
    ends = np.cumsum(sizes)
    for rows in map(np.arange, ends - sizes, ends):
        model.partial_fit(HOUSES[rows], y[rows])
    for _ in range(9):
        model.partial_fit(HOUSES[rows], y[rows])
    assert model.score(HOUSES, y) > 0.9
    assert_allclose(model.y_mean_, y.mean(), rtol=0.01)
    assert_allclose(model.column_centers_, HOUSES.mean(axis=0), rtol=0.1)
    # More rows than settle the units change them no more.
    for _ in range(3):
        model.partial_fit(np.tile(HOUSES, (3, 1)), np.tile(y, 3))
    before = model.y_mean_, model.column_scales_
    model.partial_fit(2 * HOUSES, 2 * y)
    assert_array_equal(model.y_mean_, before[0])
    assert_array_equal(model.column_scales_, before[1])


@pytest.mark.parametrize("classes", [[0, 1], [0, 1, 2]])
def test_a_first_chunk_of_one_row_of_a_stream_of_classes(classes):
    model = make(skfm.FMClassifier).partial_fit(BLOCK[:1], [1], classes=classes)
    assert 0.5 < model.predict_proba(BLOCK[:1])[0, 1] < 0.9


def test_embeddings_of_another_unit_are_converted():
    first = make(skfm.FMClassifier, solver="sgd").fit(MIXED, RICH)
    still = {"learning_rate": 1e-300, "network_learning_rate": 1e-300}
    half = sp.csr_array(MIXED[:200])
    model = make(skfm.NFMClassifier, init_from=first, **still).fit(half, RICH[:200])
    assert np.any(model.column_scales_ != first.column_scales_)
    assert_allclose(model.factors_, first.factors_, rtol=1e-6)
    assert_allclose(
        model.coef_ * model.column_scales_,
        model.network_.linear_weights[:, 0].numpy(),
        rtol=1e-6,
    )
