"""Targets and weights, early stopping, randomness, and the other parameters."""

import numpy as np
import pytest
import scipy.sparse as sp
from common_cases import CLASSIFIERS, ESTIMATORS, REGRESSORS, one_hot
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
from sklearn.utils.class_weight import compute_sample_weight

import skfm
from skfm.estimators import defaults, holding_out

WEIGHT = np.random.default_rng(3).random(len(LABELS))
NAMED = np.array(["miss", "hit"])[LABELS]
DEEP = [cls for cls in ESTIMATORS if "hidden_layer_sizes" in cls().get_params()]


def same(first, second):
    """Tell whether two models give the same scores, bit by bit."""
    return np.array_equal(scores(first), scores(second))


# Targets.


@pytest.mark.parametrize("cls", CLASSIFIERS)
@pytest.mark.parametrize("labels", [NAMED, NAMED.astype(object), list(NAMED)])
def test_string_labels(cls, labels):
    model = make(cls, max_iter=40).fit(X, labels)
    assert model.classes_.tolist() == ["hit", "miss"]
    assert np.mean(model.predict(X) == NAMED) > 0.9
    assert_array_equal(model.predict(X) == "miss", model.decision_function(X) > 0)


@pytest.mark.parametrize("cls", CLASSIFIERS)
@pytest.mark.parametrize("values", [[False, True], [-1, 1], [0.0, 1.0], ["a", "b"]])
def test_other_labels_change_no_score(cls, values):
    model = make(cls).fit(X, np.array(values)[LABELS])
    assert_array_equal(scores(model), scores(fitted(cls)))
    assert model.predict(X).dtype == np.array(values).dtype


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_multiclass(cls):
    labels = np.array(["a", "c", "b"])[CELLS[:, 2]]
    model = make(cls, max_iter=60).fit(X, labels)
    assert model.score(X, labels) > 0.9
    proba = model.predict_proba(X)
    assert proba.shape == scores(model).shape == (len(labels), 3)
    assert_allclose(proba.sum(axis=1), 1)
    assert_array_equal(model.classes_[proba.argmax(axis=1)], model.predict(X))
    assert_allclose(np.exp(model.predict_log_proba(X)), proba)


@pytest.mark.parametrize("cls", REGRESSORS)
def test_several_outputs(cls):
    y = np.column_stack([NUMBERS, 100 - 50 * NUMBERS, CELLS[:, 0]])
    model = make(cls, max_iter=60).fit(X, y)
    assert model.predict(X).shape == y.shape
    assert model.score(X, y) > 0.9
    assert make(cls).fit(X, y[:, :1]).predict(X).shape == (len(y),)


@pytest.mark.parametrize("cls", REGRESSORS)
def test_units_of_the_target_do_not_matter(cls):
    model = make(cls).fit(X, 1e6 * NUMBERS + 1e7)
    assert_allclose(model.predict(X), 1e6 * fitted(cls).predict(X) + 1e7, rtol=1e-6)


# Weights.


@pytest.mark.parametrize("cls", CLASSIFIERS)
@pytest.mark.parametrize("class_weight", [{0: 0.5, 1: 3.0}, {1: 2.0}, "balanced"])
def test_class_weight_is_a_sample_weight(cls, class_weight):
    y = np.where(CELLS[:, 2] == 0, LABELS, 0)
    by_hand = compute_sample_weight(class_weight, y)
    model = make(cls, class_weight=class_weight).fit(X, y)
    assert_allclose(scores(model), scores(make(cls).fit(X, y, by_hand)), rtol=1e-9)
    assert not same(model, make(cls).fit(X, y))


def test_class_weight_multiplies_sample_weight():
    model = make(skfm.FMClassifier, class_weight={0: 1.0, 1: 4.0})
    expected = make(skfm.FMClassifier).fit(X, LABELS, WEIGHT * np.where(LABELS, 4, 1))
    assert same(model.fit(X, LABELS, WEIGHT), expected)


@pytest.mark.parametrize("class_weight", [{0: 0.5, 1: 3.0}, "balanced"])
def test_validation_rows_are_weighted_as_the_training_rows(class_weight):
    """Also if they lack a class."""
    only = LABELS == 1
    model = make(skfm.FMClassifier, class_weight=class_weight)
    model.fit(X, LABELS, X_val=X[only], y_val=LABELS[only])
    plain = make(skfm.FMClassifier)
    by_hand = compute_sample_weight(class_weight, LABELS)
    plain.fit(X, LABELS, by_hand, X_val=X[only], y_val=LABELS[only])
    assert model.validation_scores_ == pytest.approx(plain.validation_scores_)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.NFMRegressor])
@pytest.mark.parametrize("factor", [1e-42, 1e-3, 1e3, 1e39])
def test_only_ratios_of_weights_matter(cls, factor):
    y = target(cls)
    model = make(cls, dtype="float32").fit(X, y, WEIGHT * factor)
    plain = make(cls, dtype="float32").fit(X, y, WEIGHT)
    assert_allclose(scores(model), scores(plain), rtol=1e-3, atol=1e-4)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_rows_of_weight_zero_teach_nothing(cls):
    y, keep = target(cls), np.arange(len(LABELS)) < 80
    poisoned = np.where(keep, y, y[::-1])
    model = make(cls, batch_size=200).fit(X, poisoned, keep.astype(float))
    expected = make(cls, batch_size=200).fit(X[keep], y[keep])
    assert_allclose(scores(model), scores(expected), rtol=1e-7)


def test_weights_may_be_read_only_lists_and_integers():
    weight = np.where(LABELS, 2.0, 1.0)
    expected = make(skfm.FMClassifier).fit(X, LABELS, weight.copy())
    weight.flags.writeable = False
    for same_weight in (weight, weight.tolist(), weight.astype(int)):
        assert same(make(skfm.FMClassifier).fit(X, LABELS, same_weight), expected)


# Early stopping.


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_early_stopping_keeps_the_best_epoch(cls):
    model = make(cls, early_stopping=True, max_iter=200, learning_rate=1.0)
    model.fit(X, target(cls))
    history = model.validation_scores_
    assert len(history) == len(model.loss_curve_) == model.n_iter_ < 200
    assert model.best_iter_ == 1 + np.argmax(history)
    patience = model.n_iter_no_change or skfm.NFMClassifier().n_iter_no_change
    assert model.n_iter_ == model.best_iter_ + patience
    again = make(cls, early_stopping=True, max_iter=model.best_iter_, learning_rate=1.0)
    assert same(again.fit(X, target(cls)), model)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_given_validation_rows(cls):
    y, train = target(cls), np.arange(len(LABELS)) < 90
    rest = {"X_val": X[~train], "y_val": y[~train]}
    model, weighted = (make(cls, early_stopping="auto") for _ in range(2))
    model.fit(X[train], y[train], **rest)
    weighted.fit(X[train], y[train], **rest, sample_weight_val=WEIGHT[~train])
    off = make(cls).fit(X[train], y[train], **rest)
    assert model.validation_scores_ != weighted.validation_scores_
    assert model.loss_curve_ == weighted.loss_curve_ == off.loss_curve_
    assert same(off, make(cls).fit(X[train], y[train]))
    stopped = make(
        cls, max_iter=200, learning_rate=0.5, n_iter_no_change=1, early_stopping=True
    )
    assert stopped.fit(X[train], y[train], **rest).n_iter_ < 200
    assert len(make(cls).fit(X[train], y[train]).validation_scores_) == 0


@pytest.mark.parametrize(
    ("asked", "n_rows", "given", "stops"),
    [
        (True, 5, False, True),
        (False, 10**6, True, False),
        ("auto", 63, False, False),
        ("auto", 64, False, True),
        ("auto", 5, True, True),
    ],
)
def test_early_stopping_by_default(asked, n_rows, given, stops):
    assert defaults.early_stopping(asked, n_rows, given=given) is stops


@pytest.mark.parametrize("fraction", [0.1, 0.5])
def test_validation_fraction_is_stratified(fraction):
    labels = np.arange(200) % 4 == 0
    rest = holding_out.hold_out(
        200, fraction, labels.astype(int), np.random.default_rng(0)
    )
    train, rest = holding_out.split(np.ones(200), rest)
    assert_array_equal(np.sort(np.concatenate([train, rest])), np.arange(200))
    assert len(rest) == 200 * fraction
    assert np.mean(labels[rest]) == pytest.approx(0.25)


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_few_held_out_rows_of_many_classes(cls):
    labels = np.arange(20) % 5
    model = make(cls, early_stopping=True).fit(X[:20], labels)
    assert len(model.validation_scores_) == model.n_iter_


# Randomness and threads.


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_random_state(cls):
    model = fitted(cls, random_state=1, early_stopping=True)
    assert same(model, fitted(cls, random_state=1, early_stopping=True))
    assert not same(model, fitted(cls, random_state=2, early_stopping=True))
    assert not same(fitted(cls, random_state=None), fitted(cls, random_state=None))
    stream = np.random.RandomState(1)
    first, second = fitted(cls, random_state=stream), fitted(cls, random_state=stream)
    assert not same(first, second)
    assert same(first, fitted(cls, random_state=np.random.RandomState(1)))


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.FMRegressor])
def test_one_and_two_threads_give_the_same_bits(cls):
    many, cells = one_hot(30_000, (50, 40, 30, 20))
    y = (cells[:, 0] % 2 == cells[:, 1] % 2).astype(int)
    options = {"batch_size": 15_000, "max_iter": 2, "early_stopping": True}
    options |= {"n_factors": 16}
    one = make(cls, n_jobs=1, **options).fit(many, y)
    two = make(cls, n_jobs=2, **options).fit(many, y)
    assert_array_equal(scores(one, many), scores(two, many))
    assert one.loss_curve_ == two.loss_curve_
    assert one.validation_scores_ == two.validation_scores_


# The rest.


@pytest.mark.parametrize(
    ("asked", "given", "n_rows", "expected"),
    [
        ("auto", np.float64, 999, "float64"),
        ("auto", np.float32, 10, "float32"),
        ("auto", np.float64, 1_000, "float32"),
        ("auto", np.int64, 10, "float64"),
        ("auto", bool, 10, "float64"),
        ("float64", np.float32, 10**5, "float64"),
        ("float32", np.float64, 10, "float32"),
    ],
)
def test_dtype_of_the_parameter_and_of_the_data(asked, given, n_rows, expected):
    assert defaults.dtype(asked, sp.csr_array((n_rows, 2), dtype=given)) == expected


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_dtype_of_the_weights(cls):
    for dtype in ("float32", "float64"):
        model = fitted(cls, dtype=dtype)
        assert model.factors_.dtype == np.dtype(dtype)
        assert scores(model).dtype == np.float64
    auto = make(cls).fit(X.astype(np.float32), target(cls))
    assert same(auto, fitted(cls, dtype="float32"))


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize("batch_size", ["auto", 1, 7, 119, 10_000])
def test_batch_sizes(cls, batch_size):
    model = fitted(cls, batch_size=batch_size, max_iter=1)
    assert np.all(np.isfinite(scores(model)))
    full = fitted(cls, batch_size=len(LABELS), max_iter=1)
    assert same(model, full) == (batch_size == 10_000)


@pytest.mark.parametrize("cls", ESTIMATORS)
@pytest.mark.parametrize(("n_rows", "rows"), [(63, 63), (64, 16), (120, 21)])
def test_batch_sizes_of_few_rows(cls, n_rows, rows):
    data = X[:n_rows], target(cls)[:n_rows]
    model = make(cls, batch_size="auto", max_iter=1).fit(*data)
    assert same(model, make(cls, batch_size=rows, max_iter=1).fit(*data))


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.FMRegressor])
@pytest.mark.parametrize("optimizer", ["adagrad", "adam", "sgd"])
def test_every_optimizer_learns(cls, optimizer):
    model = fitted(cls, optimizer=optimizer, max_iter=150, init_scale=0.2)
    assert model.score(X, target(cls)) > 0.9
    assert model.loss_curve_[-1] < model.loss_curve_[0] / 2


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_fields(cls):
    labels = np.repeat(["ad", "site", "hour"], SIZES)
    for fields in (list(SIZES), np.array(SIZES), labels, labels.tolist(), [7] * 12):
        model = fitted(cls, fields=fields)
        one = len(set(np.ravel(fields).tolist())) == 1
        expected = np.zeros(12) if one else np.repeat([0, 1, 2], SIZES)
        assert_array_equal(model.fields_, expected)
    assert fitted(cls, fields=labels).field_names_ == ["ad", "site", "hour"]


@pytest.mark.parametrize("cls", DEEP)
@pytest.mark.parametrize("sizes", [8, (8,), [8], np.array([8])])
def test_hidden_layers_may_be_written_in_several_ways(cls, sizes):
    expected = fitted(cls, hidden_layer_sizes=(8,))
    assert same(fitted(cls, hidden_layer_sizes=sizes), expected)
    assert not same(fitted(cls, hidden_layer_sizes=()), expected)
    assert same(fitted(cls, hidden_layer_sizes=()), fitted(cls, hidden_layer_sizes=[]))


@pytest.mark.parametrize("cls", DEEP)
@pytest.mark.parametrize("batch_size", [1, 7, 119])
def test_batch_norm_takes_any_batch(cls, batch_size):
    model = fitted(cls, batch_norm=True, batch_size=batch_size, max_iter=1)
    assert np.all(np.isfinite(scores(model)))
    assert not same(model, fitted(cls, batch_size=batch_size, max_iter=1))


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_device(cls):
    assert same(fitted(cls, device="cpu"), fitted(cls))
