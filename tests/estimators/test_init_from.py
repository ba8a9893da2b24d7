"""Starting from a fitted model: init_from, freeze, and the two stages of FNN."""

import pickle
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
from common_cases import one_hot
from numpy.testing import assert_allclose, assert_array_equal
from sklearn.base import clone
from sklearn.frozen import FrozenEstimator
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import FunctionTransformer

import skfm

#: Some models here are hardly trained, or have weights that were set by hand.
pytestmark = pytest.mark.filterwarnings(
    "ignore::skfm.exceptions.WorseThanConstantWarning"
)

X, CELLS = one_hot(200, (3, 4, 3))
Y = (CELLS[:, 0] % 2 == CELLS[:, 1] % 2).astype(int)
QUICK = {"max_iter": 3, "n_factors": 4, "batch_size": 64, "random_state": 0}
QUICK |= {"n_members": 1}
#: Steps so small that all weights are those of the start.
STILL = {"learning_rate": 1e-300, "network_learning_rate": 1e-300}
FIELDS = {"fields": [3, 4, 3]}
FAMILIES = sorted(
    name.removesuffix("Classifier")
    for name in skfm.__all__
    if name.endswith("Classifier")
)
every_family = pytest.mark.parametrize("family", FAMILIES)


def make(family, task="Classifier", **parameters):
    return getattr(skfm, family + task)(**QUICK | parameters)


@pytest.fixture(scope="module")
def fm():
    return make("FM", max_iter=20).fit(X, Y)


@every_family
def test_embeddings_start_as_the_fm_has_them(family, fm):
    model = make(family, init_from=fm, **STILL).fit(X, Y)
    expected = fm.factors_
    if family == "FFM":
        expected = np.repeat(expected[:, None], 3, axis=1)
    assert_allclose(model.factors_, expected, rtol=0, atol=1e-15)
    if hasattr(model, "coef_"):
        assert_allclose(model.coef_, fm.coef_, rtol=0, atol=1e-15)
        assert model.intercept_ == pytest.approx(fm.intercept_, abs=1e-15)


@every_family
def test_frozen_embeddings_stay_to_the_bit(family, fm):
    model = make(family, init_from=fm, freeze=True).fit(X, Y)
    expected = fm.factors_
    if family == "FFM":
        expected = np.repeat(expected[:, None], 3, axis=1)
    assert_array_equal(model.factors_, expected)
    if hasattr(model, "coef_"):
        assert np.all(model.coef_ != fm.coef_)
    thawed = clone(model).set_params(freeze=False).fit(X, Y)
    assert np.all(thawed.factors_ != expected)


@pytest.mark.parametrize("penalties", [(0.0, 0.0), (0.01, 0.1)])
def test_a_frozen_step_is_that_of_a_linear_model(fm, penalties):
    alpha, ratio = penalties
    settings = {
        "optimizer": "sgd",
        "learning_rate": 0.5,
        "batch_size": len(Y),
        "max_iter": 1,
        "alpha_linear": alpha,
        "alpha_factors": 1.0,
        "l1_ratio_linear": ratio,
        "dtype": "float64",
        "early_stopping": False,
    }
    model = make("FM", init_from=fm, freeze=True, **settings).fit(X, Y)
    residual = 1 / (1 + np.exp(-fm.decision_function(X))) - Y
    occurrences = X.sum(axis=0) / len(Y)
    gradient = X.T @ residual / len(Y) + alpha * (1 - ratio) * occurrences * fm.coef_
    expected = fm.coef_ - 0.5 * gradient
    pull = 0.5 * alpha * ratio * occurrences
    expected = np.sign(expected) * np.maximum(np.abs(expected) - pull, 0)
    assert_allclose(model.coef_, expected, rtol=1e-12)


@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "sgd"])
def test_thawed_embeddings_move_as_if_their_optimizer_were_new(fm, optimizer):
    model = make("DeepFM", init_from=fm, freeze=True, optimizer=optimizer)
    model.partial_fit(X, Y, classes=[0, 1])
    states = model._optimizers[0].table_arrays
    assert not any(state[:, 1:].any() for state in states)
    model.set_params(freeze=False).partial_fit(X, Y)
    assert np.all(model.factors_ != fm.factors_)


def test_freeze_without_a_model_keeps_the_first_draw():
    start = make("DeepFM", **STILL).fit(X, Y)
    frozen = make("DeepFM", freeze=True).fit(X, Y)
    assert_allclose(frozen.factors_, start.factors_, rtol=0, atol=1e-15)


def test_the_model_given_is_left_as_it_was(fm):
    before, factors = fm.decision_function(X), fm.factors_
    model = make("DeepFM", init_from=fm, max_iter=20).fit(X, Y)
    assert np.all(model.factors_ != factors)
    assert_array_equal(fm.decision_function(X), before)


@pytest.mark.parametrize("source", FAMILIES)
def test_any_model_gives_its_embeddings(source):
    given = make(source).fit(X, Y)
    family = "FFM" if source == "FFM" else "FM"
    model = make(family, init_from=given, freeze=True, **FIELDS).fit(X, Y)
    assert_array_equal(model.factors_, given.factors_)


def test_linear_weights_are_taken_over_for_the_same_target_only(fm):
    other = make("DeepFM", "Regressor", init_from=fm, **STILL).fit(X, Y)
    assert_allclose(other.factors_, fm.factors_, rtol=0, atol=1e-15)
    assert_allclose(other.coef_, 0, atol=1e-15)
    renamed = make("DeepFM", init_from=fm, **STILL).fit(X, np.array(["a", "b"])[Y])
    assert_allclose(renamed.coef_, 0, atol=1e-15)


def test_columns_without_rows_keep_their_embeddings():
    rare = np.flatnonzero(CELLS[:, 1] == 3)
    rest = np.flatnonzero(CELLS[:, 1] != 3)
    given = make("FM").fit(X, Y)
    model = make("DeepFM", init_from=given, **FIELDS).fit(X[rest], Y[rest])
    assert len(rare) > 5
    assert_array_equal(model.factors_[6], given.factors_[6])
    assert model.factors_[6].any()


@pytest.mark.parametrize("freeze", [False, True])
def test_columns_that_the_model_given_has_not_seen(freeze):
    rest = np.flatnonzero(CELLS[:, 1] != 3)
    given = make("FM").fit(X[rest], Y[rest])
    assert not given.factors_[6].any()
    model = make("DeepFM", init_from=given, freeze=freeze, **FIELDS).fit(X, Y)
    assert model.factors_[6].any() == (not freeze)


@pytest.mark.parametrize("dtypes", [("float32", "float64"), ("float64", "float32")])
def test_precisions_may_differ(dtypes):
    given = make("FM", dtype=dtypes[0]).fit(X, Y)
    model = make("DeepFM", dtype=dtypes[1], init_from=given, freeze=True).fit(X, Y)
    assert model.factors_.dtype == dtypes[1]
    assert_allclose(model.factors_, given.factors_, rtol=1e-6)


class TestPath:
    @pytest.mark.parametrize("family", ["DeepFM", "FNN"])
    @pytest.mark.parametrize("kind", [str, Path])
    def test_starts_as_from_the_estimator(self, family, kind, fm, tmp_path):
        path = kind(tmp_path / "fm.skfm")
        skfm.save(fm, path)
        model = make(family, init_from=path).fit(X, Y)
        expected = make(family, init_from=fm).fit(X, Y)
        assert_array_equal(model.decision_function(X), expected.decision_function(X))
        assert clone(model).init_from == path

    def test_a_pipeline_gives_its_last_step(self, tmp_path):
        pipeline = skfm.make_field_pipeline(skfm.FieldEncoder(), make("FM"))
        frame = pd.DataFrame(CELLS, columns=list("abc")).astype(str)
        skfm.save(pipeline.fit(frame, Y), tmp_path / "pipeline.skfm")
        encoded = pipeline[0].transform(frame)
        model = make("DeepFM", init_from=tmp_path / "pipeline.skfm", freeze=True)
        assert_array_equal(model.fit(encoded, Y).factors_, pipeline[-1].factors_)

    def test_survives_saving_and_searching(self, fm, tmp_path):
        path = str(tmp_path / "fm.skfm")
        skfm.save(fm, path)
        grid = {"init_from": [None, path]}
        search = GridSearchCV(make("DeepFM", freeze=True, **FIELDS), grid, cv=2)
        skfm.save(search.fit(X, Y).best_estimator_, tmp_path / "best.skfm")
        best = skfm.load(tmp_path / "best.skfm")
        assert best.init_from == search.best_params_["init_from"]

    @pytest.mark.parametrize(
        ("parameters", "columns", "message"),
        [
            ({"n_factors": 8}, 10, "set n_factors=4"),
            ({}, 7, "fitted on 10 columns, but there are 7"),
        ],
    )
    def test_is_checked_as_an_estimator(
        self, parameters, columns, message, fm, tmp_path
    ):
        skfm.save(fm, tmp_path / "fm.skfm")
        model = make("FM", init_from=tmp_path / "fm.skfm", **parameters)
        with pytest.raises(ValueError, match=message):
            model.fit(X[:, :columns], Y)
        assert not hasattr(model, "network_")

    def test_invalid_files_are_refused(self, tmp_path):
        (tmp_path / "text").write_text("no model at all")
        skfm.save(skfm.FMClassifier(), tmp_path / "unfitted")
        skfm.save(skfm.FieldEncoder(), tmp_path / "encoder")
        for name, message in [
            ("missing", "init_from=.*missing.*No such file"),
            ("text", "init_from:.*text cannot be loaded"),
            ("unfitted", "init_from.*not fitted"),
            ("encoder", "init_from must be a fitted estimator"),
        ]:
            with pytest.raises(ValueError, match=message):
                make("DeepFM", init_from=tmp_path / name).fit(X, Y)


class TestRefused:
    @pytest.mark.parametrize(
        ("given", "message"),
        [
            (LogisticRegression(), "fitted estimator of skfm"),
            (make_pipeline(skfm.FMClassifier()), "pass the last step"),
            (skfm.FMClassifier(), "not fitted.*FrozenEstimator"),
            (make("FM", n_factors=8).fit(X, Y), "set n_factors=8"),
            (make("FM").fit(X[:, :9], Y), "fitted on 9 columns, but there are 10"),
        ],
        ids=["foreign", "pipeline", "unfitted", "factors", "columns"],
    )
    @pytest.mark.parametrize("family", ["DeepFM", "FNN"])
    def test_model(self, family, given, message):
        model = make(family, init_from=given)
        with pytest.raises(ValueError, match=message):
            model.fit(X, Y)
        assert not hasattr(model, "network_")
        assert not hasattr(model, "fm_")

    @pytest.mark.parametrize("given", ["model.skfm", 3, np.ones((10, 4))])
    def test_type(self, given):
        with pytest.raises(ValueError, match="init_from"):
            make("DeepFM", init_from=given).fit(X, Y)

    def test_other_names(self):
        frame = pd.DataFrame(X.toarray(), columns=list("abcdefghij"))
        given = make("FM").fit(frame, Y)
        renamed = frame.rename(columns={"c": "z"})
        with pytest.raises(ValueError, match=r"differ by \['c', 'z'\]"):
            make("DeepFM", init_from=given).fit(renamed, Y)
        with pytest.raises(ValueError, match="another order"):
            make("DeepFM", init_from=given).fit(frame[list("bacdefghij")], Y)

    def test_other_categories(self):
        frame = pd.DataFrame(CELLS, columns=list("abc")).astype(str)
        given = make("FM").fit(frame, Y)
        some = CELLS[:, 1] != 3
        with pytest.raises(ValueError, match="names differ by"):
            make("DeepFM", init_from=given).fit(frame[some], Y[some])
        make("DeepFM", init_from=given).fit(frame, Y)

    def test_field_aware_embeddings_for_others(self):
        given = make("FFM").fit(X, Y)
        with pytest.raises(ValueError, match="must have embeddings of shape"):
            make("FM", init_from=given).fit(X, Y)

    @pytest.mark.parametrize("source", ["PNN", "FM"])
    def test_fnn_needs_linear_weights_of_its_target(self, source):
        task = "Regressor" if source == "FM" else "Classifier"
        given = make(source, task).fit(X, Y)
        with pytest.raises(ValueError, match="linear part"):
            make("FNN", init_from=given).fit(X, Y)


class TestScikitLearn:
    def test_clone_shares_the_fitted_model(self, fm):
        model = make("DeepFM", init_from=fm)
        assert clone(model).init_from is fm
        assert clone(make_pipeline(FunctionTransformer(), model))[-1].init_from is fm
        unfitted = skfm.FMClassifier()
        assert clone(make("DeepFM", init_from=unfitted)).init_from is not unfitted

    def test_frozen_estimator_is_the_model_inside(self, fm):
        frozen = FrozenEstimator(fm)
        model = make("DeepFM", init_from=frozen, freeze=True)
        assert clone(model).init_from is frozen
        assert_array_equal(clone(model).fit(X, Y).factors_, fm.factors_)

    @pytest.mark.parametrize("n_jobs", [1, 2])
    def test_grid_search(self, fm, n_jobs):
        grid = {"init_from": [None, FrozenEstimator(fm)], "alpha": [0, 1e-4]}
        model = make("DeepFM", freeze=True, **FIELDS)
        search = GridSearchCV(model, grid, cv=2, n_jobs=n_jobs, error_score="raise")
        search.fit(X, Y)
        best = clone(search.estimator).set_params(**search.best_params_)
        if best.init_from is not None:
            assert_array_equal(search.best_estimator_.factors_, fm.factors_)
        scores = search.cv_results_["mean_test_score"].reshape(2, 2)
        assert np.all(scores[:, 1] != scores[:, 0])

    def test_grid_search_over_something_else(self, fm):
        model = make("DeepFM", init_from=fm, freeze=True, **FIELDS)
        search = GridSearchCV(model, {"alpha": [0, 1e-4]}, cv=2, error_score="raise")
        best = search.fit(X, Y).best_estimator_
        assert_array_equal(best.factors_, fm.factors_)

    def test_pickle(self, fm):
        model = make("DeepFM", init_from=fm).fit(X, Y)
        back = pickle.loads(pickle.dumps(model))
        assert_array_equal(back.decision_function(X), model.decision_function(X))
        assert_array_equal(back.fit(X, Y).factors_, model.factors_)

    def test_warm_start_continues_the_second_stage(self, fm):
        model = make("DeepFM", init_from=fm, warm_start=True).fit(X, Y)
        model.set_params(**STILL)
        before = model.factors_
        assert_allclose(model.fit(X, Y).factors_, before, rtol=0, atol=1e-15)


class TestFNN:
    @pytest.mark.parametrize("task", ["Classifier", "Regressor"])
    def test_first_stage_is_an_fm(self, task):
        model = make("FNN", task, **FIELDS).fit(X, Y)
        fm = make("FM", task).fit(X, Y)
        score = "decision_function" if task == "Classifier" else "predict"
        assert_array_equal(getattr(model.fm_, score)(X), getattr(fm, score)(X))
        for name in ("intercept_", "coef_", "factors_", "loss_curve_"):
            assert_array_equal(getattr(model.fm_, name), getattr(fm, name))

    @pytest.mark.parametrize("n_classes", [2, 3])
    def test_second_stage_starts_from_the_first(self, n_classes):
        y = CELLS[:, 0] % n_classes
        model = make("FNN", freeze=True).fit(X, y)
        assert_array_equal(model.factors_, model.fm_.factors_)
        linear = model.network_.linear_weights.numpy()
        assert_array_equal(linear, model.fm_.coef_.reshape(-1, 10).T)
        moved = make("FNN").fit(X, y)
        assert_array_equal(moved.fm_.factors_, model.fm_.factors_)
        assert np.all(moved.factors_ != moved.fm_.factors_)

    def test_both_stages_hold_out_the_same_rows(self):
        """Each row has a column of its own: it shows who has learnt from it."""
        eye = np.eye(60)
        model = make("FNN", early_stopping=True, fields=[60], random_state=None)
        model.fit(eye, np.arange(60) % 2)
        learned = model.fm_.factors_.any(axis=1)
        assert learned.sum() == 54
        assert_array_equal(model.factors_.any(axis=1), learned)

    def test_a_fitted_fm_is_the_first_stage(self, fm):
        model = make("FNN", init_from=fm, freeze=True).fit(X, Y)
        assert model.fm_.network_ is fm.network_
        assert_array_equal(model.factors_, fm.factors_)

    def test_an_earlier_fit_leaves_no_trace(self):
        model = make("FNN").fit(X, 1 - Y).fit(X, Y)
        fresh = make("FNN").fit(X, Y)
        assert_array_equal(model.decision_function(X), fresh.decision_function(X))
        assert not hasattr(model.fm_, "fm_")

    def test_partial_fit_keeps_the_first_stage(self):
        model = make("FNN").partial_fit(X, Y, classes=[0, 1])
        fm = model.fm_
        assert model.partial_fit(X, Y).fm_ is fm

    def test_raw_table(self):
        frame = pd.DataFrame(CELLS, columns=list("abc")).astype(str)
        model = make("FNN").fit(frame, Y)
        fm = make("FM").fit(frame, Y)
        assert_array_equal(
            model.fm_.decision_function(frame), fm.decision_function(frame)
        )
