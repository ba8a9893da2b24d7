"""Fits on a device that is not the CPU, without a GPU: see `pretend_device.cpp`."""

import shutil
import types
from pathlib import Path

import numpy as np
import pytest
import torch
from common_cases import ALL_ESTIMATORS
from estimator_cases import LABELS, NUMBERS, SIZES, X, fitted, make, partial_fit, scores
from numpy.testing import assert_allclose, assert_array_equal
from torch.utils import cpp_extension

import skfm
from skfm.data import transfer
from skfm.inspection import embeddings, explain, interaction_strength

NAME = "pretended"
PLENTY = 1 << 40
#: Columns that identify a line of an explanation.
PART = ["row", "kind", "first", "second"]
RANKERS = [getattr(skfm, name) for name in skfm.__all__ if name.endswith("Ranker")]
pytestmark = [
    pytest.mark.external,
    pytest.mark.skipif(
        not (cpp_extension.is_ninja_available() and shutil.which("c++")),
        reason="needs a C++ compiler and ninja",
    ),
]


@pytest.fixture(scope="module", autouse=True)
def device(tmp_path_factory):
    """The device, made known to torch."""
    source = Path(__file__).with_name("pretend_device.cpp")
    extension = cpp_extension.load(
        "pretend_device",
        [str(source)],
        build_directory=str(tmp_path_factory.mktemp("extension")),
    )
    torch.utils.rename_privateuse1_backend(NAME)
    module = types.ModuleType(f"torch.{NAME}")
    module.is_available = lambda: True
    module.device_count = lambda: 1
    module.current_device = lambda: 0
    module.mem_get_info = lambda device: (PLENTY, PLENTY)
    module.memory_reserved = module.memory_allocated = lambda device: 0
    torch._register_device_module(NAME, module)
    extension.register_hooks()


@pytest.fixture(params=["resident", "streamed"])
def place(request, monkeypatch):
    """Set the place where the rows of X are kept."""
    if request.param == "streamed":
        monkeypatch.setattr(transfer, "RESIDENT_SHARE", 0)


def without_dropout(cls):
    """Options by which nothing is drawn on the device."""
    rates = [name for name in cls().get_params() if "dropout" in name]
    return {"fields": list(SIZES), **dict.fromkeys(rates, 0.0)}


def test_the_device_is_not_the_cpu():
    there = torch.ones(3, device=NAME)
    with pytest.raises(TypeError, match="can't convert"):
        there.numpy()
    with pytest.raises(RuntimeError, match=r"of the pretended|same device"):
        there + torch.ones(3)
    assert transfer.free_memory(there.device) == PLENTY


@pytest.mark.parametrize("cls", ALL_ESTIMATORS)
def test_fits_equal_those_on_the_cpu(cls, place):
    options = {"early_stopping": True, **without_dropout(cls)}
    model, expected = fitted(cls, device=NAME, **options), fitted(cls, **options)
    assert model.network_.table.weight.device.type == NAME
    assert all(weight.device.type == NAME for weight in model.network_.parameters())
    assert_allclose(scores(model), scores(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cls", ALL_ESTIMATORS)
def test_defaults(cls, place):
    model = fitted(cls, device=NAME, fields=list(SIZES), max_iter=20)
    assert model.loss_curve_[-1] < model.loss_curve_[0]


@pytest.mark.parametrize("loss", ["pairwise", "lambda", "listwise"])
@pytest.mark.parametrize("cls", RANKERS)
def test_rankers(cls, loss, place):
    relevance = (NUMBERS - NUMBERS.min()).round()
    query = np.repeat(np.arange(12), 10)

    def scores_on(device):
        options = {"early_stopping": True, **without_dropout(cls)}
        model = make(cls, loss=loss, device=device, **options)
        return model.fit(X, relevance, qid=query).predict(X)

    assert_allclose(scores_on(NAME), scores_on("cpu"), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize(
    "options",
    [
        {"optimizer": "ftrl", "alpha_linear": 1e-3, "l1_ratio_linear": 1.0},
        {"optimizer": "sgd", "momentum": 0.9, "clip_norm": 0.5},
        {"optimizer": "adam", "freeze": True},
        {"field_pooling": "mean", "fields": [9, 3]},
        {"n_jobs": 2, "batch_size": 7},
    ],
    ids=str,
)
def test_options(options, place):
    options = {**without_dropout(skfm.DeepFMClassifier), **options}
    model = fitted(skfm.DeepFMClassifier, device=NAME, **options)
    expected = fitted(skfm.DeepFMClassifier, **options)
    assert_allclose(scores(model), scores(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("cls", ALL_ESTIMATORS)
def test_predictions_and_inspection(cls, tmp_path):
    options = without_dropout(cls)
    model, expected = fitted(cls, device=NAME, **options), fitted(cls, **options)
    skfm.save(model, tmp_path / "model.skfm")
    loaded = skfm.load(tmp_path / "model.skfm")
    assert loaded.network_.table.backend.fuses_steps
    questions = [
        lambda m: m.factors_,
        lambda m: embeddings(m, field=0),
        lambda m: explain(m, X[:9]).set_index(PART).sort_index()["contribution"],
        lambda m: m.compile_predictor().predict(X[:5]),
        scores,
    ]
    for ask in questions:
        assert_allclose(ask(model), ask(expected), rtol=1e-7, atol=1e-9)
    assert_allclose(scores(loaded), scores(expected), rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("name", ["FM", "FwFM", "FFM", "AFM"])
def test_strengths_of_interactions(name):
    cls = getattr(skfm, f"{name}Regressor")
    options = without_dropout(cls)
    model, expected = fitted(cls, device=NAME, **options), fitted(cls, **options)
    found = interaction_strength(model, X)
    assert_allclose(found, interaction_strength(expected, X), rtol=1e-6, atol=1e-9)


@pytest.mark.parametrize("cls", ALL_ESTIMATORS)
def test_going_on_elsewhere(cls):
    model = partial_fit(make(cls, **without_dropout(cls)))
    expected = scores(partial_fit(partial_fit(model)))
    there = partial_fit(make(cls, **without_dropout(cls)))
    partial_fit(partial_fit(there.set_params(device=NAME)).set_params(device="cpu"))
    assert there.network_.table.backend.fuses_steps
    assert_allclose(scores(there), expected, rtol=1e-9, atol=1e-12)


def test_an_interrupted_fit_leaves_the_model_where_it_was(monkeypatch):
    model = fitted(skfm.FMClassifier, warm_start=True)
    before, said = dict(vars(model)), scores(model)
    model.set_params(device=NAME)
    monkeypatch.setattr(transfer.ResidentRows, "take", None)
    with pytest.raises(TypeError, match="not callable"):
        model.fit(X, LABELS)
    assert vars(model) == before | {"device": NAME}
    assert_array_equal(scores(model), said)
