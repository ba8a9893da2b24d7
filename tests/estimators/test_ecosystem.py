"""scikit-learn's meta-estimators, encoders and searches around our estimators."""

import joblib
import numpy as np
import pandas as pd
import polars as pl
import pytest
import sklearn
from common_cases import CLASSIFIERS, ESTIMATORS, REGRESSORS
from estimator_cases import (
    CELLS,
    LABELS,
    NUMBERS,
    SIZES,
    X,
    fitted,
    make,
    scores,
    target,
)
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import is_classifier
from sklearn.calibration import CalibratedClassifierCV
from sklearn.compose import ColumnTransformer, TransformedTargetRegressor
from sklearn.ensemble import BaggingClassifier, StackingClassifier
from sklearn.experimental import enable_halving_search_cv  # noqa: F401
from sklearn.feature_extraction import FeatureHasher
from sklearn.feature_extraction.text import TfidfVectorizer
from sklearn.inspection import permutation_importance
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import (
    GridSearchCV,
    HalvingGridSearchCV,
    cross_val_predict,
    cross_validate,
    learning_curve,
)
from sklearn.multiclass import OneVsRestClassifier
from sklearn.multioutput import MultiOutputClassifier
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer, OneHotEncoder, StandardScaler

import skfm

NEED_FIELDS = [cls for cls in ESTIMATORS if cls._network_class.needs_fields]
NO_FIELDS = [cls for cls in ESTIMATORS if cls not in NEED_FIELDS]
FRAME = pd.DataFrame(CELLS, columns=["site", "ad", "hour"]).astype(str)


@pytest.fixture(scope="module")
def search_results():
    """The grid search that every backend must reproduce, run without any."""
    return _search(skfm.NFMClassifier, n_jobs=1).cv_results_


def _search(cls, **keywords):
    grid = {"n_factors": [2, 4], "max_iter": [2, 12]}
    return GridSearchCV(make(cls), grid, cv=2, **keywords).fit(X, target(cls))


@pytest.mark.parametrize("backend", ["loky", "threading"])
def test_parallel_grid_search_gives_the_serial_scores(backend, search_results):
    with joblib.parallel_backend(backend):
        found = _search(skfm.NFMClassifier, n_jobs=2).cv_results_
    for split in ("split0_test_score", "split1_test_score"):
        assert_array_equal(found[split], search_results[split])
    assert len(np.unique(found["mean_test_score"])) > 1


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_halving_over_epochs(cls):
    search = HalvingGridSearchCV(
        make(cls),
        {"learning_rate": [1e-6, 0.2]},
        resource="max_iter",
        min_resources=4,
        max_resources=16,
        factor=2,
        cv=2,
        random_state=0,
    ).fit(X, target(cls))
    assert search.best_params_ == {"learning_rate": 0.2, "max_iter": 8}
    assert search.best_estimator_.n_iter_ == 8


@pytest.mark.parametrize("cls", CLASSIFIERS)
@pytest.mark.parametrize("method", ["sigmoid", "isotonic"])
def test_calibration(cls, method):
    base = make(cls, max_iter=40, learning_rate=0.1, early_stopping=False)
    model = CalibratedClassifierCV(base, method=method, cv=2)
    proba = model.fit(X, LABELS).predict_proba(X)
    assert_allclose(proba.sum(axis=1), 1)
    assert np.mean(proba.argmax(axis=1) == LABELS) > 0.9


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_cross_val_predict_leaves_the_fold_out(cls):
    method = "decision_function" if is_classifier(cls()) else "predict"
    y = target(cls)
    folds = [(np.arange(60), np.arange(60, 120)), (np.arange(60, 120), np.arange(60))]
    found = cross_val_predict(make(cls), X, y, cv=folds, method=method)
    for train, test in folds:
        expected = scores(make(cls).fit(X[train], y[train]), X[test])
        assert_array_equal(found[test], expected)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_one_hot_pipeline_takes_unknown_categories(cls):
    model = make_pipeline(OneHotEncoder(handle_unknown="ignore"), make(cls))
    model.fit(FRAME, target(cls))
    strange = FRAME.assign(ad="never seen")
    assert np.all(np.isfinite(model.predict(strange.iloc[:7]).astype(float)))
    nothing = pd.DataFrame({name: ["?", "!"] for name in FRAME})
    found = scores(model, nothing)
    assert found[0] == found[1]
    if not hasattr(model[-1], "hidden_layer_sizes"):
        assert_allclose(found, model[-1].intercept_)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_column_transformer(cls):
    frame = FRAME.assign(age=np.linspace(18, 80, len(FRAME)))
    encoder = ColumnTransformer(
        [
            ("one_hot", OneHotEncoder(handle_unknown="ignore"), list(FRAME)),
            ("number", StandardScaler(), ["age"]),
        ],
        sparse_threshold=1,
    )
    model = make_pipeline(encoder, make(cls, max_iter=40))
    model.fit(frame, target(cls))
    assert model.score(frame, target(cls)) > 0.8
    if cls in NEED_FIELDS:
        assert_array_equal(np.bincount(model[-1].fields_), [*SIZES, 1])


def _hashed():
    words = [[f"{name}={cell}" for name, cell in row.items()] for row in _records()]
    return words, FeatureHasher(n_features=256, input_type="string")


def _records():
    return FRAME.to_dict("records")


@pytest.mark.parametrize("cls", NO_FIELDS)
def test_feature_hasher(cls):
    words, hasher = _hashed()
    model = make_pipeline(hasher, make(cls, max_iter=40)).fit(words, target(cls))
    assert model.score(words, target(cls)) > 0.8


@pytest.mark.parametrize("cls", NEED_FIELDS)
def test_hashed_features_without_fields_are_refused_with_remedies(cls):
    words, hasher = _hashed()
    with pytest.raises(ValueError, match=r"(?is)hash.*fields="):
        make_pipeline(hasher, make(cls)).fit(words, target(cls))
    model = make_pipeline(hasher, make(cls, fields=[128, 128]))
    assert model.fit(words, target(cls))[-1].fields_.max() == 1


TEXTS = [f"the {a} of {b} and {c}" for a, b, c in FRAME.replace("", "x").to_numpy()]


@pytest.mark.parametrize("cls", NO_FIELDS)
def test_text(cls):
    vectorizer = TfidfVectorizer(token_pattern=r"\w+", ngram_range=(1, 2))
    model = make_pipeline(vectorizer, make(cls, max_iter=40)).fit(TEXTS, target(cls))
    assert model.score(TEXTS, target(cls)) > 0.8
    assert model.predict([""]).shape == (1,)


def test_stacking_of_all_classifiers():
    stack = StackingClassifier(
        [(cls.__name__, make(cls, max_iter=30)) for cls in CLASSIFIERS],
        LogisticRegression(),
        cv=2,
        passthrough=True,
    ).fit(X, LABELS)
    assert stack.score(X, LABELS) > 0.95


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_permutation_importance_finds_what_matters(cls):
    noise = np.random.default_rng(0).normal(size=len(LABELS))
    dense = np.column_stack([1.0 - 2 * LABELS, noise])
    model = make(cls, max_iter=40).fit(dense, target(cls))
    found = permutation_importance(model, dense, target(cls), random_state=0)
    assert found.importances_mean[0] > 10 * abs(found.importances_mean[1])


def test_wrappers_of_classifiers():
    model = make(skfm.FMClassifier, max_iter=20)
    assert (
        BaggingClassifier(model, n_estimators=3).fit(X, LABELS).score(X, LABELS) > 0.9
    )
    both = np.column_stack([LABELS, 1 - LABELS])
    first, second = MultiOutputClassifier(model).fit(X, both).predict(X).T
    assert np.mean(first == 1 - second) > 0.95
    one_by_one = OneVsRestClassifier(model).fit(X, CELLS[:, 2])
    assert one_by_one.score(X, CELLS[:, 2]) == 1


def test_transformed_target():
    model = TransformedTargetRegressor(
        make(skfm.FMRegressor, max_iter=40), func=np.arcsinh, inverse_func=np.sinh
    )
    assert model.fit(X, NUMBERS).score(X, NUMBERS) > 0.8


@pytest.mark.parametrize("cls", [CLASSIFIERS[0], REGRESSORS[0]])
def test_incremental_learning_curve(cls):
    sizes, train, test = learning_curve(
        make(cls), X, target(cls), cv=2, exploit_incremental_learning=True
    )
    assert train.shape == test.shape == (len(sizes), 2)
    assert np.all(np.isfinite(test))


# Metadata routing.


@pytest.fixture
def routing():
    with sklearn.config_context(enable_metadata_routing=True):
        yield


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_sample_weight_and_validation_rows_through_a_pipeline(cls):
    y, weight = target(cls), np.random.default_rng(0).random(len(LABELS))
    request = {"sample_weight": True, "X_val": True, "y_val": True}
    routed = make(cls).set_fit_request(**request)
    pipeline = make_pipeline(FunctionTransformer(), routed, transform_input=["X_val"])
    parts = {"sample_weight": weight, "X_val": X[:30], "y_val": y[:30]}
    model = pipeline.fit(X, y, **parts)[-1]
    expected = make(cls).fit(X, y, **parts)
    assert_array_equal(scores(model), scores(expected))
    assert model.validation_scores_ == expected.validation_scores_ != []
    assert np.any(scores(model) != scores(make(cls).fit(X, y)))


@pytest.mark.usefixtures("routing")
@pytest.mark.parametrize("cls", [CLASSIFIERS[0], REGRESSORS[0]])
def test_cross_validate_slices_the_weights(cls):
    y, weight = target(cls), np.random.default_rng(0).random(len(LABELS))
    model = make(cls).set_fit_request(sample_weight=True)
    model.set_score_request(sample_weight=False)
    train, test = np.arange(80), np.arange(80, 120)
    found = cross_validate(
        model,
        X,
        y,
        cv=[(train, test)],
        params={"sample_weight": weight},
        return_estimator=True,
    )
    expected = make(cls).fit(X[train], y[train], weight[train])
    assert_array_equal(scores(found["estimator"][0]), scores(expected))
    assert found["test_score"] == [expected.score(X[test], y[test])]


@pytest.mark.usefixtures("routing")
def test_weights_that_are_not_requested_are_refused():
    with pytest.raises(ValueError, match="sample_weight"):
        cross_validate(
            make(skfm.FMClassifier), X, LABELS, params={"sample_weight": LABELS + 1.0}
        )


# Frames.


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("library", [pd, pl])
def test_frames_keep_their_names(cls, library):
    names = [f"column_{i}" for i in range(X.shape[1])]
    frame = library.DataFrame(dict(zip(names, X.toarray().T, strict=True)))
    model = make(cls, fields=SIZES).fit(frame, target(cls))
    assert model.feature_names_in_.tolist() == names
    assert_array_equal(scores(model, frame), scores(fitted(cls, fields=SIZES)))
    with pytest.raises(ValueError, match=r"(?i)feature names.*order"):
        model.predict(frame[names[::-1]])
    with pytest.raises(ValueError, match="column_0"):
        model.predict(frame[names[1:]])
    with pytest.warns(UserWarning, match="feature names"):
        model.predict(X.toarray())


@pytest.mark.parametrize("cls", NEED_FIELDS)
def test_columns_of_a_numeric_frame_are_fields(cls):
    frame = pd.DataFrame({"a": NUMBERS, "b": CELLS[:, 0], "c": CELLS[:, 1]})
    model = make(cls).fit(frame, target(cls))
    encoder = skfm.FieldEncoder().fit(frame)
    assert_array_equal(model.fields_, encoder.fields_)
    assert model.field_names_ == encoder.field_names_.tolist()
    assert set(encoder.field_names_) >= {"a", "b", "c"}


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_an_output_container_changes_nothing(cls):
    with sklearn.config_context(transform_output="pandas"):
        assert isinstance(fitted(cls).predict(X), np.ndarray)
