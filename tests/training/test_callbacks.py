"""scikit-learn's callbacks: progress bars, monitors, and stopping from outside."""

import numpy as np
import pytest
from common_cases import CLASSIFIERS, ESTIMATORS
from estimator_cases import (
    LABELS,
    Recorder,
    X,
    fitted,
    make,
    partial_fit,
    scores,
    target,
)
from numpy.testing import assert_array_equal
from sklearn.callback import ProgressBar, ScoringMonitor
from sklearn.metrics import log_loss
from sklearn.model_selection import GridSearchCV
from sklearn.pipeline import make_pipeline

import skfm


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_one_context_per_epoch(cls):
    recorder = Recorder()
    make(cls).set_callbacks(recorder).fit(X, target(cls))
    epochs = [("epoch", 0), ("epoch", 1), ("epoch", 2)]
    assert recorder.begun == [("fit", 0), *epochs]
    assert recorder.ended == [*epochs, ("fit", 0)]
    assert recorder.set_up == recorder.torn_down == 1


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_the_estimator_of_an_epoch_is_one_stopped_there(cls):
    recorder = Recorder()
    model = make(cls).set_callbacks(recorder).fit(X, target(cls))
    *epochs, end = recorder.estimators
    for n, snapshot in enumerate(epochs, start=1):
        expected = fitted(cls, max_iter=n)
        assert_array_equal(scores(snapshot), scores(expected))
        assert snapshot.n_iter_ == n
        assert snapshot.loss_curve_ == expected.loss_curve_
    assert_array_equal(scores(end), scores(model))


def told(capsys):
    """Return the lines that a fit printed, but for those about compilation."""
    lines = capsys.readouterr().out.splitlines()
    return [line for line in lines if "compiles its kernels" not in line]


def test_iterations_of_chains_have_contexts(capsys):
    recorder = Recorder()
    model = skfm.FMClassifier(max_iter=3, random_state=0, verbose=1, warm_start=True)
    model.set_callbacks(recorder).fit(X, LABELS)
    assert model.solver_ == "bayes"
    iterations = [("iteration", n) for n in range(3)]
    assert recorder.begun == [("fit", 0), *iterations]
    assert recorder.ended == [*iterations, ("fit", 0)]
    for n, snapshot in enumerate(recorder.estimators[:3], start=1):
        assert snapshot.n_iter_ == n
        assert snapshot.diagnostics_["n_iter"] == n
        assert snapshot._chains["keeper/iterations"].max() == (n if n > 1 else 0)
        assert len(snapshot.predict(X)) == len(LABELS)
    _, *lines = told(capsys)
    assert [line.split("  ")[0] for line in lines] == [
        f"iteration {n}/3" for n in (1, 2, 3)
    ]


def test_the_estimator_of_an_epoch_counts_earlier_fits():
    recorder = Recorder()
    model = make(skfm.FMClassifier, warm_start=True).fit(X, LABELS)
    model.set_callbacks(recorder).fit(X, LABELS)
    assert [snapshot.n_iter_ for snapshot in recorder.estimators] == [4, 5, 6, 6]


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_callbacks_do_not_change_the_fit(cls):
    watched = make(cls).set_callbacks(Recorder()).fit(X, target(cls))
    assert_array_equal(scores(watched), scores(fitted(cls)))
    assert set(vars(watched)) - set(vars(fitted(cls))) == {"_skl_callbacks"}


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_callback_that_returns_true_stops(cls):
    model = make(cls, max_iter=50).set_callbacks(Recorder(lambda epoch: epoch == 2))
    model.fit(X, target(cls))
    assert model.n_iter_ == 2
    assert_array_equal(scores(model), scores(fitted(cls, max_iter=2)))


def test_stopping_from_outside_keeps_the_best_epoch():
    model = make(skfm.FMClassifier, max_iter=50, learning_rate=3.0, early_stopping=True)
    model.set_params(n_iter_no_change=50, random_state=1)
    model.set_callbacks(Recorder(lambda epoch: epoch == 6)).fit(X, LABELS)
    assert model.n_iter_ == 6
    assert model.best_iter_ == 1 + np.argmax(model.validation_scores_) < 6
    short = model.set_callbacks().set_params(max_iter=model.best_iter_)
    expected = scores(model)
    assert_array_equal(scores(short.fit(X, LABELS)), expected)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_partial_fit_is_one_epoch(cls):
    recorder = Recorder()
    partial_fit(make(cls).set_callbacks(recorder))
    assert recorder.ended == [("epoch", 0), ("fit", 0)]


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_a_failing_fit_tears_callbacks_down(cls):
    recorder = Recorder()
    model = make(cls).set_callbacks(recorder)
    with pytest.raises(ValueError, match="infinity"):
        model.fit(X * np.inf, target(cls))
    assert recorder.torn_down == 1
    assert recorder.ended == []


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_scoring_monitor(cls):
    monitor = ScoringMonitor(scoring="neg_log_loss")
    make(cls).set_callbacks(monitor).fit(X, LABELS)
    log = monitor.get_logs().data
    found = [row["neg_log_loss"] for row in log if row["task_name"] == "epoch"]
    models = [fitted(cls, max_iter=n) for n in (1, 2, 3)]
    expected = [-log_loss(LABELS, model.predict_proba(X)) for model in models]
    assert found == pytest.approx(expected, rel=1e-12)


def test_scoring_monitor_weighs_rows():
    monitor = ScoringMonitor(scoring="accuracy")
    weight = np.where(LABELS, 1.0, 5.0)
    model = make(skfm.FMClassifier, max_iter=1).set_callbacks(monitor)
    model.fit(X, LABELS, weight)
    row = next(r for r in monitor.get_logs().data if r["task_name"] == "epoch")
    assert row["accuracy"] == pytest.approx(model.score(X, LABELS, weight))
    assert row["accuracy"] != pytest.approx(model.score(X, LABELS))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_progress_bar_of_a_fit(cls, capsys):
    make(cls).set_callbacks(ProgressBar()).fit(X, target(cls))
    assert cls.__name__ in capsys.readouterr().out


def _pipeline(cls):
    return make_pipeline("passthrough", make(cls))


def test_progress_bar_through_a_pipeline(capsys):
    model = _pipeline(skfm.FMClassifier)
    model.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, LABELS)
    shown = capsys.readouterr().out
    assert "Pipeline" in shown
    assert "FMClassifier" in shown
    assert not hasattr(model[-1], "_skl_callbacks")


@pytest.mark.parametrize("n_jobs", [1, 2])
def test_progress_bar_through_a_grid_search(n_jobs, capsys):
    grid = {"fmclassifier__n_factors": [2, 4]}
    search = GridSearchCV(_pipeline(skfm.FMClassifier), grid, cv=2, n_jobs=n_jobs)
    search.set_callbacks(ProgressBar(max_propagation_depth=None)).fit(X, LABELS)
    shown = capsys.readouterr().out
    for name in ("GridSearchCV", "Pipeline", "FMClassifier"):
        assert name in shown


def test_verbose_prints_a_line_per_epoch(capsys):
    fitted(skfm.FMClassifier)
    assert capsys.readouterr().out == ""
    model = fitted(skfm.FMClassifier, verbose=1)
    first, *lines = told(capsys)
    unread = "batch_size, early_stopping, n_members"
    assert first == f'solver=sgd: "bayes" does not read {unread}'
    assert len(lines) == 3
    for n, (line, loss) in enumerate(zip(lines, model.loss_curve_, strict=True), 1):
        assert line.startswith(f"epoch {n}/3  loss {loss:.5f}")


def test_verbose_shows_the_validation_score(capsys):
    model = fitted(skfm.FMClassifier, verbose=1, early_stopping=True)
    _, *lines = told(capsys)
    for line, score in zip(lines, model.validation_scores_, strict=True):
        assert f"validation score {score:.5f}" in line
