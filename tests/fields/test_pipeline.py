"""make_field_pipeline: the transformer's fields, in every fold."""

import numpy as np
import pandas as pd
import pytest
from estimator_cases import make
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.compose import ColumnTransformer
from sklearn.decomposition import PCA
from sklearn.feature_selection import VarianceThreshold
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV, cross_validate
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import (
    KBinsDiscretizer,
    OneHotEncoder,
    OrdinalEncoder,
    StandardScaler,
)

from skfm import (
    AFMClassifier,
    DeepFMClassifier,
    FieldEncoder,
    FieldInferenceError,
    FMClassifier,
    fields_from,
    make_field_pipeline,
)


def table(n=240, seed=0):
    rng = np.random.default_rng(seed)
    df = pd.DataFrame(
        {
            "plane": [f"N{number}" for number in rng.zipf(1.5, n) % 50],
            "carrier": rng.choice(["AA", "DL", "UA"], n),
            "hour": rng.integers(24, size=n).astype(float),
        }
    )
    return df, (df["hour"] > 12).to_numpy() ^ (df["carrier"] == "AA").to_numpy()


DF, Y = table()
CATEGORIES = ["plane", "carrier"]


def columns(encoder, numbers):
    return ColumnTransformer([("c", encoder, CATEGORIES), ("n", numbers, ["hour"])])


TRANSFORMERS = {
    "dropped": columns(
        OneHotEncoder(drop="first", handle_unknown="ignore"), StandardScaler()
    ),
    "infrequent": columns(
        OneHotEncoder(min_frequency=5, handle_unknown="infrequent_if_exist"),
        KBinsDiscretizer(4, quantile_method="averaged_inverted_cdf"),
    ),
    "codes": columns(
        OrdinalEncoder(handle_unknown="use_encoded_value", unknown_value=-1),
        "passthrough",
    ),
    "hashed": FieldEncoder(n_buckets=8),
    "frequent": FieldEncoder(min_frequency=3, numeric="quantile"),
    "chain": make_pipeline(FieldEncoder(), VarianceThreshold()),
}
every_transformer = pytest.mark.parametrize(
    "transformer", TRANSFORMERS.values(), ids=TRANSFORMERS
)


def fitted(transformer, model=None):
    model = make(DeepFMClassifier) if model is None else model
    return make_field_pipeline(clone(transformer), model).fit(DF, Y)


@every_transformer
def test_fields_are_the_transformers(transformer):
    pipeline = fitted(transformer)
    fields, names = fields_from(pipeline[0])
    assert_array_equal(pipeline[-1].fields_, fields)
    assert pipeline[-1].field_names_ == names
    assert len(pipeline[-1].factors_) == len(fields)
    reference = make(DeepFMClassifier, fields=fields)
    reference.fit(pipeline[0].transform(DF), Y)
    expected = reference.predict_proba(pipeline[0].transform(DF))
    assert_allclose(pipeline.predict_proba(DF), expected, atol=1e-12)


def folds(pipeline):
    """The pipelines that a cross-validation fits."""
    found = cross_validate(
        pipeline,
        DF,
        Y,
        cv=4,
        scoring=lambda *_: 0.0,
        return_estimator=True,
        error_score="raise",
    )
    return found["estimator"]


@every_transformer
def test_fields_are_right_in_every_fold(transformer):
    pipeline = make_field_pipeline(transformer, make(DeepFMClassifier))
    for fold in folds(pipeline):
        assert_array_equal(fold[-1].fields_, fields_from(fold[0])[0])


def test_folds_differ():
    pipeline = make_field_pipeline(TRANSFORMERS["dropped"], make(DeepFMClassifier))
    assert len({len(fold[-1].fields_) for fold in folds(pipeline)}) > 1


@pytest.mark.parametrize("assemble", [make_field_pipeline, make_pipeline])
def test_grid_search_over_encoder_and_model(assemble):
    grid = {
        "fieldencoder__min_frequency": [None, 2, 10],
        "deepfmclassifier__n_factors": [2, 4],
    }
    pipeline = assemble(FieldEncoder(), make(DeepFMClassifier))
    search = GridSearchCV(pipeline, grid, cv=2, n_jobs=2, error_score="raise")
    search.fit(DF, Y)
    assert np.isfinite(search.cv_results_["mean_test_score"]).all()
    best = search.best_estimator_
    assert_array_equal(best[-1].fields_, best[0].fields_)
    assert best[-1].factors_.shape == (
        len(best[0].fields_),
        search.best_params_["deepfmclassifier__n_factors"],
    )


def test_fit_leaves_parameters_alone():
    pipeline = make_field_pipeline(FieldEncoder(), make(DeepFMClassifier))
    before = clone(pipeline).get_params()
    pipeline.fit(DF, Y)
    assert pipeline[-1].fields == "auto"
    assert clone(pipeline).get_params().keys() == before.keys()
    assert not hasattr(clone(pipeline)[-1], "fields_")


def test_models_without_need_of_fields_know_them():
    model = fitted(TRANSFORMERS["infrequent"], make(FMClassifier))
    assert model[-1].field_names_ == ["plane", "carrier", "hour"]


def test_explicit_fields_are_kept():
    encoder = FieldEncoder().fit(DF)
    one = [len(encoder.fields_)]
    pipeline = fitted(FieldEncoder(), make(DeepFMClassifier, fields=one))
    assert not pipeline[-1].fields_.any()


def test_parameters_survive_a_refused_fit():
    pipeline = make_field_pipeline(FieldEncoder(), make(DeepFMClassifier))
    with pytest.raises(ValueError, match="NaN"):
        pipeline.fit(DF, np.where(Y, 1.0, np.nan))
    assert pipeline[-1].fields == "auto"


@pytest.mark.parametrize("memory", [False, True])
def test_a_refused_fit_leaves_all_steps_as_they_were(memory, tmp_path):
    model = make_field_pipeline(
        FieldEncoder(), make(AFMClassifier), memory=str(tmp_path) if memory else None
    ).fit(DF, Y)
    expected, steps = model.predict_proba(DF), list(model.steps)
    with pytest.raises(ValueError, match="only one class"):
        model.fit(DF.assign(plane="N0"), np.zeros(len(DF)))
    assert_array_equal(model.predict_proba(DF), expected)
    assert model.steps == steps


def test_unreadable_transformers_are_refused():
    numbers = DF[["hour"]].assign(other=1.0)
    pipeline = make_field_pipeline(PCA(), make(DeepFMClassifier))
    with pytest.raises(FieldInferenceError, match="output of PCA are unknown"):
        pipeline.fit(numbers, Y)


def test_a_model_without_fields_is_refused():
    with pytest.raises(
        TypeError, match=r"LogisticRegression.* has no parameter fields"
    ):
        make_field_pipeline(FieldEncoder(), LogisticRegression()).fit(DF, Y)


def test_a_model_alone():
    model = make_field_pipeline(make(AFMClassifier)).fit(DF, Y)
    names = model[-1].field_names_
    assert names[: len(DF.columns)] == list(DF)
    # The number has bins beside its value.
    assert names[len(DF.columns) :] == ["hour_<coarse>", "hour_<fine>"]


def test_weights_reach_the_model():
    weight = np.where(Y, 5.0, 1.0)
    pipeline = make_field_pipeline(FieldEncoder(), make(FMClassifier))
    pipeline.fit(DF, Y, fmclassifier__sample_weight=weight)
    reference = make(FMClassifier)
    reference.fit(pipeline[0].transform(DF), Y, sample_weight=weight)
    assert_array_equal(pipeline[-1].coef_, reference.coef_)


def test_transformers_may_be_cached(tmp_path):
    for _ in range(2):
        pipeline = make_field_pipeline(
            FieldEncoder(), make(DeepFMClassifier), memory=str(tmp_path)
        ).fit(DF, Y)
        assert_array_equal(pipeline[-1].fields_, pipeline[0].fields_)


def test_steps_are_named_as_by_make_pipeline():
    steps = [FieldEncoder(), FMClassifier()]
    assert make_field_pipeline(*steps).steps == make_pipeline(*steps).steps


class TestPartialFit:
    """The transformers are those of the first chunk, the model learns from all."""

    def chunks(self):
        frame = pd.DataFrame({"a": ["x", "y"] * 20, "b": list("uvwz") * 10})
        y = np.arange(40) % 2
        return [(frame[:20], y[:20]), (frame[20:].assign(b="new"), y[20:])]

    def test_equals_the_model_on_the_matrix(self):
        pipeline = make_field_pipeline(FieldEncoder(), DeepFMClassifier(random_state=0))
        (first, y), (second, z) = self.chunks()
        encoder = FieldEncoder().fit(first)
        model = DeepFMClassifier(fields=encoder.fields_, random_state=0)
        pipeline.partial_fit(first, y, classes=[0, 1]).partial_fit(second, z)
        model.partial_fit(encoder.transform(first), y, classes=[0, 1])
        model.partial_fit(encoder.transform(second), z)
        found = pipeline.decision_function(second)
        expected = model.decision_function(encoder.transform(second))
        assert_array_equal(found, expected)
        assert pipeline[-1].field_names_ == ["a", "b"]
        assert pipeline[-1].fields == "auto"

    def test_is_there_where_the_model_has_it(self):
        encoder = FieldEncoder()
        last = LogisticRegression()
        assert not hasattr(make_field_pipeline(encoder, last), "partial_fit")
