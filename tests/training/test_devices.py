"""Whole fits by the code for devices other than the CPU, in torch on the CPU."""

import copy

import numpy as np
import pytest
from common_cases import ARCHITECTURES, ESTIMATORS
from estimator_cases import LABELS, NUMBERS, SIZES, X, fitted, make, partial_fit, scores
from numpy.testing import assert_allclose, assert_array_equal

import skfm
from skfm.data import transfer
from skfm.data.transfer import ResidentRows
from skfm.sparse import KernelBackend, TorchBackend
from skfm.training import learner

PLENTY = 1 << 40
RANKERS = [
    getattr(skfm, name)
    for name in ("FMRanker", "NFMRanker", "DeepFMRanker", "AFMRanker")
]
PLACES = ["streamed", "resident"]


@pytest.fixture
def place(request, in_torch, monkeypatch):
    """Set the place where batches are gathered, and count batches and moves."""
    counts = {"gathered there": 0, "moved": 0}
    free = PLENTY if request.param == "resident" else None
    monkeypatch.setattr(transfer, "free_memory", lambda device: free)
    _count(monkeypatch, ResidentRows, "take", counts, "gathered there")
    _count(monkeypatch, skfm.sparse.torch_backend, "place", counts, "moved")
    return request.param, counts


def _count(monkeypatch, owner, name, counts, key):
    original = getattr(owner, name)

    def counted(*args, **options):
        counts[key] += 1
        return original(*args, **options)

    monkeypatch.setattr(owner, name, counted)


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("cls", ARCHITECTURES)
def test_fits_equal_those_by_kernels(cls, place, monkeypatch):
    where, counts = place
    options = {"fields": list(SIZES), "early_stopping": True}
    model = fitted(cls, **options)
    n_batches = counts["gathered there" if where == "resident" else "moved"]
    assert n_batches >= 3 * 4
    assert counts["moved" if where == "resident" else "gathered there"] == 0
    found = scores(model)
    monkeypatch.undo()
    by_kernels = fitted(cls, **options)
    assert isinstance(model.network_.table.backend, TorchBackend)
    assert isinstance(by_kernels.network_.table.backend, KernelBackend)
    assert_allclose(found, scores(by_kernels), rtol=1e-7, atol=1e-9)
    assert_allclose(model.loss_curve_, by_kernels.loss_curve_, rtol=1e-7)


VARIANTS = {
    "more threads": {"n_jobs": 2},
    "weights": {"sample_weight": np.linspace(0.5, 2, len(LABELS))},
    "validation rows": {"X_val": X[:40], "y_val": LABELS[:40], "early_stopping": True},
    "one batch": {"batch_size": 1000},
    "L1": {"alpha_linear": 1e-3, "l1_ratio_linear": 1.0},
    "clipped": {"clip_norm": 0.1},
    "Adam": {"optimizer": "adam"},
    "frozen": {"freeze": True},
    "scaled rows": {"cls": skfm.FFMClassifier, "normalize": True},
    "parts of the columns": {
        "cls": skfm.WideDeepClassifier,
        "deep_columns": range(8),
        "wide_columns": range(4, 12),
    },
    "several values a field": {"fields": [9, 3], "field_pooling": "mean"},
}
OF_FIT = ("sample_weight", "X_val", "y_val")


def variant(name):
    """A model fitted with other options than the defaults."""
    options = {"cls": skfm.DeepFMClassifier, "fields": list(SIZES)} | VARIANTS[name]
    given = {key: options.pop(key) for key in OF_FIT if key in options}
    return make(**options).fit(X, LABELS, **given)


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("name", VARIANTS)
def test_options(name, place, monkeypatch):
    found = scores(variant(name))
    monkeypatch.undo()
    assert_allclose(found, scores(variant(name)), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("cls", ARCHITECTURES)
def test_same_bits_wherever_rows_are_gathered(cls, in_torch, monkeypatch):
    streamed = fitted(cls, fields=list(SIZES), early_stopping=True)
    monkeypatch.setattr(transfer, "free_memory", lambda device: PLENTY)
    resident = fitted(cls, fields=list(SIZES), early_stopping=True)
    assert_array_equal(scores(streamed), scores(resident))
    assert streamed.validation_scores_ == resident.validation_scores_


@pytest.mark.parametrize("place", PLACES, indirect=True)
@pytest.mark.parametrize("loss", ["pairwise", "lambda", "listwise"])
@pytest.mark.parametrize("cls", RANKERS)
def test_rankers(cls, loss, place, monkeypatch):
    relevance = (NUMBERS - NUMBERS.min()).round()
    query = np.repeat(np.arange(12), 10)

    def scores_of_a_fit():
        model = make(cls, loss=loss, early_stopping=True, fields=list(SIZES))
        return model.fit(X, relevance, qid=query).predict(X)

    found = scores_of_a_fit()
    monkeypatch.undo()
    assert_allclose(found, scores_of_a_fit(), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("place", PLACES, indirect=True)
def test_partial_fit_in_parts(place, monkeypatch):
    def model_of_two_parts():
        model = make(skfm.DeepFMClassifier, fields=list(SIZES))
        partial_fit(model, X[:60], LABELS[:60])
        return partial_fit(model, X[60:], LABELS[60:])

    found = scores(model_of_two_parts())
    monkeypatch.undo()
    assert_allclose(found, scores(model_of_two_parts()), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("cls", [skfm.FMClassifier, skfm.DeepFMClassifier])
def test_rows_are_shuffled_alike_whatever_the_parts(cls, in_torch, monkeypatch):
    options = {"fields": list(SIZES)}
    if cls is skfm.DeepFMClassifier:
        options["dropout"] = 0.0
    whole = fitted(cls, **options)
    monkeypatch.undo()
    monkeypatch.setattr(learner, "_WORK_PER_PART", 1)
    monkeypatch.setattr(learner, "_ROWS_PER_PART", 4)
    made = {"replicas": 0}
    _count(monkeypatch, learner.Replica, "__init__", made, "replicas")
    in_parts = fitted(cls, **options)
    assert made["replicas"] == 8
    assert_allclose(scores(in_parts), scores(whole), rtol=1e-7, atol=1e-9)


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_partial_fit_on_another_device(cls):
    model = partial_fit(make(cls, fields=list(SIZES)))
    stays, before = copy.deepcopy(model), model.network_
    # By another name a device is another one.
    partial_fit(model.set_params(device="cpu:0"))
    assert model.network_ is not before
    assert model.network_.shape.device == "cpu:0"
    assert_array_equal(scores(model), scores(partial_fit(stays)))


def test_a_missing_device_changes_nothing():
    model = partial_fit(make(skfm.FMClassifier)).set_params(device="cuda:77")
    before = dict(vars(model))
    with pytest.raises(ValueError, match="device='cuda:77' is not available here"):
        partial_fit(model)
    assert vars(model) == before


def test_devices_without_an_operation():
    with pytest.raises(ValueError, match="device='meta' is not available here"):
        make(skfm.FMClassifier, device="meta").fit(X, LABELS)
