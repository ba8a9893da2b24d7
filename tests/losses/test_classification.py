"""Hinge and callable losses, and several labels a row."""

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from common_cases import CLASSIFIERS
from estimator_cases import CELLS, LABELS, X, make
from sklearn.exceptions import DataConversionWarning
from sklearn.metrics import hinge_loss, log_loss
from sklearn.model_selection import cross_val_score
from torch.nn import functional as F

import skfm
from skfm import losses
from skfm.losses import as_target

MANY = np.array(["a", "b", "c"])[CELLS[:, 2]]
INDICATOR = np.column_stack([LABELS, CELLS[:, 2] == 0, CELLS[:, 1] > 2]).astype(int)
N = len(LABELS)
LOSSES = {
    "hinge": (losses.Hinge(), LABELS, 1),
    "several hinges": (losses.Hinge(), INDICATOR, 3),
    "crammer-singer": (losses.MultinomialHinge(3), CELLS[:, 2], 3),
    "labels": (losses.MultilabelLogLoss(), INDICATOR, 3),
}
each_loss = pytest.mark.parametrize(
    ("loss", "target", "n_outputs"), LOSSES.values(), ids=LOSSES
)


def values(loss, scores, target):
    encoded = as_target(loss, target, torch.float64)
    return loss.per_row(torch.from_numpy(scores), encoded).detach().numpy()


def random_scores(n_outputs):
    return np.random.default_rng(1).normal(size=(N, n_outputs))


@each_loss
def test_gradient_equals_finite_differences(loss, target, n_outputs):
    scores, h = random_scores(n_outputs), 1e-6
    leaf = torch.from_numpy(scores).requires_grad_()
    loss.per_row(leaf, as_target(loss, target, torch.float64)).sum().backward()
    for c in range(n_outputs):
        shift = h * (np.arange(n_outputs) == c)
        up, down = (values(loss, scores + s, target) for s in (shift, -shift))
        np.testing.assert_allclose(leaf.grad[:, c], (up - down) / (2 * h), atol=1e-6)


@each_loss
def test_baseline_is_no_worse_than_its_surroundings(loss, target, n_outputs):
    weight = np.random.default_rng(2).random(N)
    best = loss.baseline(target, weight)
    assert best.shape == (n_outputs,)
    rng = np.random.default_rng(3)

    def mean_loss(constant):
        scores = np.broadcast_to(constant, (N, n_outputs)).copy()
        return weight @ values(loss, scores, target)

    for _ in range(20):
        other = best + 0.05 * rng.normal(size=n_outputs)
        assert mean_loss(best) <= mean_loss(other) + 1e-9


def test_hinges_are_scikit_learns():
    scores = random_scores(1)
    expected = hinge_loss(2 * LABELS - 1, scores[:, 0])
    assert values(losses.Hinge(), scores, LABELS).mean() == pytest.approx(expected)
    scores, classes = random_scores(3), CELLS[:, 2]
    result = values(losses.MultinomialHinge(3), scores, classes).mean()
    assert result == pytest.approx(hinge_loss(classes, scores))


@pytest.mark.parametrize("cls", CLASSIFIERS)
@pytest.mark.parametrize("y", [LABELS, MANY, INDICATOR], ids=["two", "many", "labels"])
def test_hinge_learns_and_has_no_probabilities(cls, y):
    model = make(cls, loss="hinge", max_iter=60).fit(X, y)
    assert model.score(X, y) > 0.9
    assert not hasattr(model, "predict_proba")
    with pytest.raises(AttributeError, match="predict_log_proba"):
        model.predict_log_proba(X)


@pytest.mark.parametrize(
    ("y", "function"),
    [
        (
            LABELS,
            lambda s, t: F.binary_cross_entropy_with_logits(
                s[:, 0], t, reduction="none"
            ),
        ),
        (MANY, lambda s, t: F.cross_entropy(s, t, reduction="none")),
        (
            INDICATOR,
            lambda s, t: F.binary_cross_entropy_with_logits(
                s, t, reduction="none"
            ).mean(dim=1),
        ),
    ],
    ids=["two", "many", "labels"],
)
def test_a_callable_log_loss_is_the_log_loss(y, function):
    own = make(skfm.FMClassifier, loss=function, max_iter=5).fit(X, y)
    named = make(skfm.FMClassifier, max_iter=5).fit(X, y)
    np.testing.assert_allclose(
        *(model.decision_function(X) for model in (own, named)), atol=1e-3
    )
    np.testing.assert_array_equal(own.predict(X), named.predict(X))


# Several labels.


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_several_labels(cls):
    model = make(cls, max_iter=60).fit(X, INDICATOR)
    assert model.classes_.tolist() == [0, 1, 2]
    proba, prediction = model.predict_proba(X), model.predict(X)
    assert proba.shape == model.decision_function(X).shape == INDICATOR.shape
    np.testing.assert_array_equal(prediction, proba > 0.5)
    assert prediction.dtype.kind == "i"
    assert model.score(X, INDICATOR) > 0.9
    assert model.coef_.shape == (3, X.shape[1])


def test_mean_loss_of_several_labels_is_the_mean_log_loss():
    model = make(skfm.FMClassifier).fit(X, INDICATOR)
    proba = model.predict_proba(X)
    each = [log_loss(INDICATOR[:, c], proba[:, c]) for c in range(3)]
    scores = model.decision_function(X)
    mean = values(losses.MultilabelLogLoss(), scores, INDICATOR).mean()
    assert mean == pytest.approx(np.mean(each), rel=1e-9)


def test_sparse_labels_come_back_sparse():
    dense = make(skfm.FMClassifier).fit(X, INDICATOR)
    for kind in (sp.csr_matrix, sp.csc_array, sp.coo_array):
        model = make(skfm.FMClassifier).fit(X, kind(INDICATOR))
        prediction = model.predict(X)
        assert isinstance(prediction, sp.csr_array)
        np.testing.assert_array_equal(prediction.toarray(), dense.predict(X))
        assert model.score(X, kind(INDICATOR)) == dense.score(X, INDICATOR)


def test_labels_early_stopping_weights_and_continuing():
    weight = np.random.default_rng(0).random(N)
    held_out = {"X_val": X, "y_val": INDICATOR, "sample_weight_val": weight}
    model = make(skfm.FMClassifier, early_stopping="auto")
    model.fit(X, INDICATOR, weight, **held_out)
    assert len(model.validation_scores_) == model.n_iter_
    again = make(skfm.FMClassifier)
    again.partial_fit(X, INDICATOR, classes=[0, 1, 2]).partial_fit(X, INDICATOR)
    assert again.n_iter_ == 2


def test_labels_in_cross_validation():
    model = make(skfm.FMClassifier, max_iter=80)
    assert cross_val_score(model, X, INDICATOR, cv=3).mean() > 0.8
    assert cross_val_score(model, X, INDICATOR, cv=3, scoring="f1_micro").mean() > 0.9


def test_one_column_is_one_label():
    model = make(skfm.FMClassifier)
    with pytest.warns(DataConversionWarning, match="column-vector"):
        model.fit(X, LABELS[:, None])
    assert model.predict(X).shape == (N,)


@pytest.mark.parametrize(
    ("y", "parameters", "message"),
    [
        (INDICATOR + 1, {}, "indicator matrix.*Other values"),
        (CELLS, {}, "indicator matrix"),
        (INDICATOR, {"class_weight": "balanced"}, "class_weight.*indicator"),
        (INDICATOR, {"class_weight": {0: 2.0}}, "class_weight.*indicator"),
    ],
)
def test_invalid_labels_are_refused(y, parameters, message):
    model = make(skfm.FMClassifier, **parameters)
    with pytest.raises(ValueError, match=message):
        model.fit(X, y)
    assert not hasattr(model, "network_")


def test_kinds_of_labels_do_not_mix():
    model = make(skfm.FMClassifier)
    with pytest.raises(ValueError, match=r"np\.arange\(3\)"):
        model.partial_fit(X, INDICATOR, classes=["a", "b", "c"])
    model.partial_fit(X, INDICATOR, classes=[0, 1, 2])
    with pytest.raises(ValueError, match=r"2 columns.*3 labels"):
        model.partial_fit(X, INDICATOR[:, :2])
    with pytest.raises(ValueError, match=r"1 columns.*3 labels"):
        model.partial_fit(X, LABELS)
    one = make(skfm.FMClassifier).partial_fit(X, LABELS, classes=[0, 1])
    with pytest.raises(ValueError, match=r"3 columns.*one label"):
        one.partial_fit(X, INDICATOR)
