"""Collective fits give the same bits for any number of workers and threads."""

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
import pytest
from estimator_cases import Recorder
from numpy.testing import assert_allclose
from sklearn.base import is_classifier
from stream_cases import FEATURES, clicks, write
from worker_cases import digest, run_workers

import skfm
from skfm.datasets import dump_libffm, open_libffm
from skfm.distributed import groups
from skfm.exceptions import WorkerLostError
from skfm.training.lane_learner import LaneLearner


def make(cls, **options):
    cheap = {"max_iter": 2, "n_factors": 4, "batch_size": 64, "crosses": None}
    return cls(**{"random_state": 0} | cheap | options)


def target(cls):
    return "click" if is_classifier(cls()) else "amount"


def fit(size, cls, data, *given, n_jobs=1, **options):
    """Return the estimators of workers, or what they raise."""

    def task(rank):
        model = make(cls, n_jobs=n_jobs, **options)
        return model.fit(data, *(given or (target(cls),)))

    return run_workers(size, task)


def dataset(cls, folder, n_rows=300):
    return write(clicks(n_rows)[[*FEATURES, target(cls)]], folder, (100, 150))


CASES = [
    (skfm.FMClassifier, {}),
    (skfm.FMRegressor, {"optimizer": "adam", "batch_size": 200}),
    (skfm.NFMClassifier, {"batch_norm": True, "dropout": 0.3, "clip_norm": 0.1}),
    (skfm.DeepFMRegressor, {"hidden_layer_sizes": (8,), "dropout": 0.2}),
    (skfm.FFMClassifier, {"intra_field_pairs": True, "learning_rate": 0.1}),
    (skfm.FMClassifier, {"optimizer": "ftrl", "l1_ratio_linear": 0.5}),
]
MORE = [
    *CASES,
    (skfm.AFMClassifier, {}),
    (skfm.AFMRegressor, {"alpha_factors": 0.1}),
    (skfm.NFMRegressor, {"dtype": "float64"}),
    (skfm.DeepFMClassifier, {"optimizer": "sgd", "momentum": 0.5}),
    (skfm.FNNClassifier, {}),
    (skfm.XDeepFMClassifier, {}),
    (skfm.FwFMClassifier, {"class_weight": "balanced"}),
]


@pytest.mark.parametrize(("cls", "options"), CASES)
def test_two_and_three_workers_give_the_bits_of_one(cls, options, tmp_path):
    data = dataset(cls, tmp_path / "data")
    (alone,) = fit(1, cls, data, **options)
    for size, n_jobs in ((2, 2), (3, 1)):
        models = fit(size, cls, data, n_jobs=n_jobs, **options)
        assert {digest(model) for model in models} == {digest(alone)}


@pytest.mark.parametrize(
    ("cls", "options"),
    [
        (skfm.FMRegressor, {"optimizer": "adam", "clip_norm": 0.1}),
        (skfm.FMClassifier, {"optimizer": "ftrl", "l1_ratio_linear": 0.5}),
        (skfm.DeepFMClassifier, {"dropout": 0.0, "hidden_layer_sizes": (8,)}),
        (skfm.FFMClassifier, {"momentum": 0.5, "optimizer": "sgd"}),
    ],
)
def test_one_batch_gives_the_fit_without_a_group(cls, options, tmp_path):
    data = dataset(cls, tmp_path / "data")
    options |= {"batch_size": 300, "dtype": "float64", "max_iter": 3}
    model, _ = fit(2, cls, data, **options)
    plain = make(cls, **options).fit(data, target(cls))
    assert_allclose(model.validation_scores_, plain.validation_scores_, rtol=1e-8)
    assert_allclose(model.loss_curve_, plain.loss_curve_, rtol=1e-8)


@pytest.mark.slow
@pytest.mark.parametrize(("cls", "options"), MORE)
def test_more_workers_and_threads_give_the_bits_of_one(cls, options, tmp_path):
    data = dataset(cls, tmp_path / "data", 600)
    found = {
        digest(model)
        for size, n_jobs in ((1, 1), (1, 2), (2, 1), (3, 2), (4, 2), (5, 1), (16, 1))
        for model in fit(size, cls, data, n_jobs=n_jobs, **options)
    }
    assert len(found) == 1


@pytest.mark.parametrize(
    ("cls", "batch_size"),
    [
        (skfm.NFMClassifier, 2),
        (skfm.AFMClassifier, 3),
        (skfm.DeepFMClassifier, 5),
        (skfm.NFMClassifier, 540),
    ],
)
def test_lanes_without_rows_and_batches_of_few(cls, batch_size, tmp_path):
    data = dataset(cls, tmp_path / "data", 41)
    options = {"batch_size": batch_size, "n_factors": 2}
    if cls is skfm.NFMClassifier:
        options["batch_norm"] = True
    (alone,) = fit(1, cls, data, **options)
    models = fit(4, cls, data, **options)
    assert {digest(model) for model in models} == {digest(alone)}


def test_more_workers_than_lanes(tmp_path):
    data = dataset(skfm.FMClassifier, tmp_path / "data", 90)
    models = fit(17, skfm.FMClassifier, data, max_iter=1)
    assert len({digest(model) for model in models}) == 1
    (alone,) = fit(1, skfm.FMClassifier, data, max_iter=1)
    assert_allclose(models[0].loss_curve_, alone.loss_curve_, rtol=0.1)


def test_early_stopping_and_given_rows(tmp_path):
    frame = clicks()
    names = [*FEATURES, "click", "weight"]
    data = write(frame[:450][names], tmp_path / "a")
    held_out = write(frame[450:][names], tmp_path / "b")
    options = {"max_iter": 30, "n_iter_no_change": 2, "learning_rate": 1.0}
    given = ("click", "weight", held_out, "click", "weight")
    (alone,) = fit(1, skfm.FMClassifier, data, *given, **options)
    assert alone.best_iter_ < alone.n_iter_ < 30
    models = fit(3, skfm.FMClassifier, data, *given, **options)
    assert {digest(model) for model in models} == {digest(alone)}


def test_libffm_files_and_vectors_to_start_from(tmp_path):
    rng = np.random.default_rng(0)
    X, y = (
        rng.random((120, 6)) * (rng.random((120, 6)) < 0.5),
        rng.integers(2, size=120),
    )
    dump_libffm(X, y, tmp_path / "rows.ffm", fields=[0, 0, 1, 1, 2, 2])
    rows, y, _ = open_libffm(tmp_path / "rows.ffm")
    start = make(skfm.FMClassifier, solver="sgd").fit(rows, y)
    options = {"init_from": start, "freeze": True, "solver": "sgd", "max_iter": 3}
    (alone,) = fit(1, skfm.FMClassifier, rows, y, **options)
    models = fit(2, skfm.FMClassifier, rows, y, **options)
    assert {digest(model) for model in models} == {digest(alone)}
    assert_allclose(alone.factors_, start.factors_)
    assert not np.allclose(alone.coef_, start.coef_)


def test_warm_start_and_partial_fit_go_on(tmp_path):
    data = dataset(skfm.FMClassifier, tmp_path / "data")

    def task(rank):
        model = make(skfm.FMClassifier, warm_start=True).fit(data, "click")
        model.fit(data, "click")
        return model.partial_fit(data, "click")

    found = [digest(model) for size in (1, 2) for model in run_workers(size, task)]
    assert len(set(found)) == 1


@pytest.fixture
def failing(monkeypatch):
    """``failing(step, rank)``: this worker fails at a training step."""
    original = LaneLearner.step

    def failing(step, rank):
        count = [0, 0, 0, 0]

        def learn(self, *args):
            own = groups.communicator().rank
            count[own] += 1
            if (count[own], own) == (step, rank):
                raise KeyError("killed")
            return original(self, *args)

        monkeypatch.setattr(LaneLearner, "step", learn)

    yield failing
    monkeypatch.setattr(LaneLearner, "step", original)


@pytest.mark.parametrize(
    ("before", "after"),
    [
        (2, 3),
        pytest.param(3, 1, marks=pytest.mark.slow),
        pytest.param(1, 2, marks=pytest.mark.slow),
    ],
)
def test_other_numbers_of_workers_go_on_from_a_checkpoint(
    before, after, failing, tmp_path, monkeypatch
):
    data = dataset(skfm.DeepFMClassifier, tmp_path / "data")
    options = {"max_iter": 5, "dropout": 0.3, "hidden_layer_sizes": (4,)}
    options |= {"learning_rate": 2.0, "batch_norm": True}
    (whole,) = fit(1, skfm.DeepFMClassifier, data, **options)
    options["checkpoint"] = tmp_path / "ck"
    with monkeypatch.context():
        failing(18, before - 1)
        errors = fit(before, skfm.DeepFMClassifier, data, **options)
    assert isinstance(errors.pop(), KeyError)
    assert all(isinstance(error, WorkerLostError) for error in errors)
    assert len(list((tmp_path / "ck").iterdir())) == 1
    failing(0, 0)
    models = fit(after, skfm.DeepFMClassifier, data, **options)
    assert {digest(model) for model in models} == {digest(whole)}
    assert list((tmp_path / "ck").iterdir()) == []


def test_one_error_everywhere(tmp_path):
    frame = clicks(90)
    write(frame[[*FEATURES, "click"]], tmp_path, (30, 60))
    pq.write_table(pa.table({"user": ["u1"]}), tmp_path / "002.parquet")
    data = ds.dataset(tmp_path, format="parquet")
    errors = fit(3, skfm.FMClassifier, data)
    assert {type(error) for error in errors} == {ValueError}
    assert all("002.parquet has no column 'item'" in str(error) for error in errors)


def test_workers_that_differ(tmp_path):
    data = dataset(skfm.FMClassifier, tmp_path, 90)

    def task(rank):
        return make(skfm.FMClassifier, random_state=rank).fit(data, "click")

    for error in run_workers(2, task):
        assert isinstance(error, ValueError)
        assert "do not fit the same model to the same data" in str(error)
    (error,) = fit(1, skfm.FMClassifier, data, random_state=None)
    assert "random_state must be an int inside of" in str(error)


class Stop:
    """Callback that stops a fit after its first epoch."""

    def setup(self, estimator, context):
        pass

    teardown = on_fit_task_begin = setup

    def on_fit_task_end(self, estimator, context):
        return context.task_name == "epoch"


def test_a_callback_of_one_stops_all(tmp_path):
    data = dataset(skfm.FMClassifier, tmp_path, 90)

    def task(rank, callback):
        model = make(skfm.FMClassifier, max_iter=5)
        if rank == 1:
            model.set_callbacks(callback)
        return model.fit(data, "click")

    models = run_workers(3, lambda rank: task(rank, Stop()))
    assert [model.n_iter_ for model in models] == [1, 1, 1]
    errors = run_workers(3, lambda rank: task(rank, Recorder()))
    assert "no worker of a group has all weights" in str(errors.pop(1))
    assert all(isinstance(error, WorkerLostError) for error in errors)
