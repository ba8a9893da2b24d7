"""Interruption and divergence leave the estimator and the process as they were."""

import copy
import threading
from concurrent.futures import ThreadPoolExecutor

import numba
import numpy as np
import pytest
import torch
from common_cases import ESTIMATORS
from estimator_cases import (
    CELLS,
    LABELS,
    Recorder,
    X,
    fitted,
    make,
    partial_fit,
    raise_after,
    scores,
    target,
)
from numpy.testing import assert_array_equal

import skfm
from skfm.runtime.threads import torch_threads
from skfm.training.learner import Learner
from skfm.training.trainer import Trainer

BATCHES = 4


@pytest.fixture
def fail_at(monkeypatch):
    """``fail_at(step, error)`` makes the given training step raise; None: no more."""
    originals = {"step": Learner.step, "evaluate": Trainer.evaluate}
    count = [0]

    def fail_at(step, error=KeyboardInterrupt, owner=Learner, method="step"):
        count[0] = 0

        def failing(self, *args, **kwargs):
            count[0] += 1
            if count[0] == step:
                raise error
            return originals[method](self, *args, **kwargs)

        monkeypatch.setattr(owner, method, failing)

    return fail_at


def interrupted(action, error=KeyboardInterrupt):
    with pytest.raises(error):
        action()


@pytest.mark.parametrize(("epochs", "last"), [(1, 1), (1, 3), (2, 2), (2, 3)])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_interrupted_by_a_callback(cls, epochs, last):
    model = make(cls, max_iter=last).set_callbacks(Recorder(raise_after(epochs)))
    interrupted(lambda: model.fit(X, target(cls)))
    expected = fitted(cls, max_iter=epochs)
    assert_array_equal(scores(model), scores(expected))
    assert model.n_iter_ == model.best_iter_ == len(model.loss_curve_) == epochs


@pytest.mark.parametrize("error", [KeyboardInterrupt, RuntimeError, MemoryError])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_interrupted_inside_a_step(cls, error, fail_at):
    expected = fitted(cls, max_iter=2)
    model = make(cls, max_iter=9)
    fail_at(2 * BATCHES + 3, error)
    interrupted(lambda: model.fit(X, target(cls)), error)
    assert_array_equal(scores(model), scores(expected))
    assert model.loss_curve_ == expected.loss_curve_


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_interrupted_in_the_first_epoch(cls, fail_at):
    new, old = make(cls), fitted(cls)
    kept, parameters = dict(vars(old)), dict(vars(new))
    said = scores(old)
    for model in (new, old):
        fail_at(BATCHES - 1)
        interrupted(lambda model=model: model.fit(X, target(cls)))
    assert vars(new) == parameters
    assert vars(old) == kept
    assert_array_equal(scores(old), said)


@pytest.mark.parametrize("stop", [3, 6])
def test_interrupted_keeps_the_best_epoch(stop):
    options = {"max_iter": 8, "learning_rate": 3.0, "early_stopping": True}
    options |= {"n_iter_no_change": 9, "random_state": 1}
    expected = fitted(skfm.FMClassifier, **options | {"max_iter": stop})
    model = make(skfm.FMClassifier, **options)
    model.set_callbacks(Recorder(raise_after(stop)))
    interrupted(lambda: model.fit(X, LABELS))
    assert_array_equal(scores(model), scores(expected))
    assert model.best_iter_ == expected.best_iter_ <= stop
    assert model.validation_scores_ == expected.validation_scores_


def test_interrupted_while_validating(fail_at):
    expected = fitted(skfm.FMClassifier, early_stopping=True, max_iter=2)
    model = make(skfm.FMClassifier, early_stopping=True, max_iter=9)
    fail_at(3, owner=Trainer, method="evaluate")
    interrupted(lambda: model.fit(X, LABELS))
    assert_array_equal(scores(model), scores(expected))
    assert model.n_iter_ == len(model.loss_curve_) == len(model.validation_scores_) == 2


@pytest.mark.parametrize("known", [CELLS[:, 0] >= 0, CELLS[:, 0] != 3])
@pytest.mark.parametrize("optimizer", ["adagrad", "adam"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_interrupted_partial_fit(cls, optimizer, known, fail_at):
    """Also when the rows bring columns that had no weights."""
    y = target(cls)
    model = make(cls, fields=(4, 5, 3), optimizer=optimizer)
    partial_fit(model, X[known], y[known])
    untouched, said, kept = copy.deepcopy(model), scores(model), dict(vars(model))
    fail_at(2)
    interrupted(lambda: partial_fit(model))
    assert vars(model) == kept
    assert_array_equal(scores(model), said)
    fail_at(None)
    assert_array_equal(scores(partial_fit(model)), scores(partial_fit(untouched)))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_partial_fit_interrupted_after_its_epoch(cls):
    model = partial_fit(make(cls))
    complete = partial_fit(copy.deepcopy(model))
    model.set_callbacks(Recorder(raise_after(1)))
    interrupted(lambda: partial_fit(model))
    assert_array_equal(scores(model), scores(complete))
    assert model.n_iter_ == 2


@pytest.mark.parametrize("optimizer", ["adagrad", "adam"])
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_an_interrupted_fit_can_continue(cls, optimizer, fail_at):
    options = {"optimizer": optimizer, "warm_start": True}
    whole = fitted(cls, **options, max_iter=2)
    model = make(cls, **options, max_iter=9)
    fail_at(2 * BATCHES + 2)
    interrupted(lambda: model.fit(X, target(cls)))
    fail_at(None)
    for going_on in (model, whole):
        going_on.set_params(max_iter=1).fit(X, target(cls))
    assert_array_equal(scores(model), scores(whole))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_divergence(cls, monkeypatch):
    expected = fitted(cls, max_iter=2)
    original, count = Learner._backward, [0]

    def diverging(self, *args):
        loss, lookups = original(self, *args)
        count[0] += 1
        return (np.nan if count[0] > 2 * BATCHES else loss), lookups

    monkeypatch.setattr(Learner, "_backward", diverging)
    model = make(cls, max_iter=9)
    with pytest.raises(FloatingPointError, match=r"epoch 3.*lower learning_rate"):
        model.fit(X, target(cls))
    assert_array_equal(scores(model), scores(expected))
    assert model.n_iter_ == 2
    new = make(cls)
    with pytest.raises(FloatingPointError, match="epoch 1"):
        new.fit(X, target(cls))
    assert not hasattr(new, "network_")


@pytest.mark.parametrize("cls", [skfm.FMRegressor, skfm.NFMRegressor])
def test_a_huge_learning_rate(cls):
    model = make(cls, optimizer="sgd", learning_rate=1e9, max_iter=50)
    with pytest.raises(FloatingPointError, match=r"lower learning_rate \(=1000000000"):
        model.fit(X, target(cls))


@pytest.mark.parametrize("cls", [skfm.NFMRegressor, skfm.DeepFMClassifier])
def test_weights_that_overflow_in_the_last_step_are_noticed(cls):
    model = make(cls, network_learning_rate=1e30, max_iter=1, dtype="float32")
    with pytest.raises(FloatingPointError, match="network_learning_rate"):
        model.set_params(batch_size=N_ROWS).fit(X, target(cls))


N_ROWS = X.shape[0]


# State outside of the estimator.


def _numpy_stream():
    return str(np.random.mtrand._rand.get_state())


def outside():
    """Return the state of the process that a fit might change."""
    return (
        _numpy_stream(),
        torch.get_rng_state().tolist(),
        torch.get_num_threads(),
        numba.get_num_threads(),
        torch.get_default_dtype(),
        torch.is_grad_enabled(),
        np.geterr(),
        torch.are_deterministic_algorithms_enabled(),
    )


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_nothing_outside_changes(cls, fail_at):
    before = outside()
    model = fitted(cls, early_stopping=True, n_jobs=2)
    assert outside() == before
    model.predict(X)
    assert outside() == before
    interrupted(lambda: model.fit(X * np.nan, target(cls)), ValueError)
    assert outside() == before
    fail_at(BATCHES + 2)
    interrupted(lambda: model.fit(X, target(cls)))
    assert outside() == before


def test_thread_counts_after_overlapping_users():
    """torch keeps a count per Python thread: whoever leaves must restore its own."""
    before = torch.get_num_threads()
    inside, leave, seen = threading.Event(), threading.Event(), []

    def other():
        with torch_threads(before + 2):
            inside.set()
            leave.wait(20)
        seen.append(torch.get_num_threads())

    with torch_threads(before + 1):
        assert torch.get_num_threads() == before + 1
        thread = threading.Thread(target=other)
        thread.start()
        assert inside.wait(20)
    assert torch.get_num_threads() == before
    leave.set()
    thread.join()
    assert seen == [before]
    assert torch.get_num_threads() == before


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_eight_threads_predict_at_once(cls):
    model = fitted(cls)
    many = X[np.tile(np.arange(N_ROWS), 20)]
    expected = scores(model, many)
    with ThreadPoolExecutor(8) as pool:
        for found in pool.map(lambda _: scores(model, many), range(24)):
            assert_array_equal(found, expected)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_fits_and_predictions_at_once(cls):
    model, expected = fitted(cls), [fitted(cls, random_state=i) for i in range(4)]
    said = scores(model)
    with ThreadPoolExecutor(6) as pool:
        fits = [pool.submit(fitted, cls, random_state=i) for i in range(4)]
        predictions = [pool.submit(scores, model) for _ in range(8)]
        for fit, serial in zip(fits, expected, strict=True):
            assert_array_equal(scores(fit.result()), scores(serial))
        for prediction in predictions:
            assert_array_equal(prediction.result(), said)
