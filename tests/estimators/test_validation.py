"""Invalid input: an error that names it, before any training, and no change."""

import copy
import functools

import numpy as np
import pytest
import scipy.sparse as sp
import torch
from common_cases import CLASSIFIERS, ESTIMATORS, REGRESSORS
from estimator_cases import LABELS, SIZES, X, fitted, make, scores, target
from numpy.testing import assert_array_equal

import skfm
from skfm.training.trainer import Trainer

#: Some models here are hardly trained, or have weights that were set by hand.
pytestmark = pytest.mark.filterwarnings(
    "ignore::skfm.exceptions.WorseThanConstantWarning"
)

N = len(LABELS)
ONES = np.ones(N)
DENSE = X.toarray()


def entry(value, row=7, column=2, data=X):
    """X with one odd value."""
    changed = data.tolil(copy=True)
    changed[row, column] = value
    return changed.tocsr()


def weights(value):
    return np.where(np.arange(N) == 3, value, 1.0)


#: name: (arguments of fit after the first two defaults, what the message says)
DATA = {
    "NaN": ({"X": entry(np.nan)}, r"X contains NaN.*row 7, column 2"),
    "infinity": ({"X": entry(-np.inf)}, r"X contains infinity.*row 7, column 2"),
    "both infinities": (
        {"X": entry(np.inf, row=9, data=entry(-np.inf))},
        r"X contains infinity.*row 7, column 2.*2 such",
    ),
    "dense NaN": (
        {"X": np.where(np.arange(12) == 4, np.nan, DENSE)},
        r"X contains NaN.*row 0, column 4 \(120 such.*categorical_features",
    ),
    "no rows": ({"X": X[:0], "y": []}, r"0 sample"),
    "no columns": ({"X": X[:, :0]}, r"0 feature"),
    "one-dimensional X": ({"X": np.ones(N)}, r"2D array"),
    "strings": ({"X": np.full((N, 2), "a")}, r"numeric.*categorical_features=\"all\""),
    "complex": ({"X": DENSE * 1j}, r"(?i)complex"),
    "y missing": ({"y": None}, r"requires y"),
    "y too short": ({"y": LABELS[:-1]}, r"inconsistent numbers.*120, 119"),
    "NaN in y": ({"y": np.where(LABELS, np.nan, 1.0)}, r"y contains NaN"),
    "negative weight": (
        {"sample_weight": weights(-0.5)},
        r"(?i)negative.*`sample_weight`.*-0.5 in row 3",
    ),
    "NaN weight": ({"sample_weight": weights(np.nan)}, r"sample_weight contains NaN"),
    "weights zero": ({"sample_weight": 0 * ONES}, r"(?i)sample.weights? .*zero"),
    "few weights": ({"sample_weight": ONES[:5]}, r"sample_weight.shape.*\(5,\)"),
    "2-D weights": ({"sample_weight": DENSE}, r"(?i)sample.weight.*1D"),
    "X_val alone": ({"X_val": X}, r"X_val.*y_val is missing"),
    "y_val alone": ({"y_val": LABELS}, r"X_val is missing"),
    "sample_weight_val alone": ({"sample_weight_val": ONES}, r"needs X_val"),
    "NaN in X_val": ({"X_val": entry(np.nan), "y_val": LABELS}, r"X_val contains NaN"),
    "columns of X_val": (
        {"X_val": X[:, :3], "y_val": LABELS},
        r"X_val has 3 features.*12",
    ),
    "length of y_val": (
        {"X_val": X, "y_val": LABELS[:9]},
        r"(X_val|y_val).*inconsistent|inconsistent.*120, 9",
    ),
    "negative sample_weight_val": (
        {"X_val": X, "y_val": LABELS, "sample_weight_val": weights(-1)},
        r"`sample_weight_val`.*row 3",
    ),
    "length of sample_weight_val": (
        {"X_val": X, "y_val": LABELS, "sample_weight_val": ONES[:5]},
        r"sample_weight_val.*\(5,\)",
    ),
    "NaN in sample_weight_val": (
        {"X_val": X, "y_val": LABELS, "sample_weight_val": weights(np.nan)},
        r"sample_weight_val contains NaN",
    ),
}

PARAMETERS = {
    "max_iter": ({"max_iter": 0}, r"max_iter.*0"),
    "n_factors": ({"n_factors": 0}, r"n_factors.*0"),
    "learning_rate": ({"learning_rate": -1}, r"learning_rate.*-1"),
    "optimizer": ({"optimizer": "lbfgs"}, r"optimizer.*lbfgs"),
    "n_jobs": ({"n_jobs": 0}, r"n_jobs=0"),
    "device": ({"device": "cuda:99"}, r"device='cuda:99' is not available"),
    "unknown device": ({"device": "toaster"}, r"device='toaster' is not available"),
    "device that cannot compute": ({"device": "meta"}, r"device='meta'"),
    "device without module": ({"device": "hpu"}, r"device='hpu'"),
    "short fields": ({"fields": [4, 5]}, r"fields.*cover 9 columns, but X has 12"),
    "many labels": ({"fields": list("abcdefghijklm")}, r"fields has 13.*12 columns"),
    "fields of nothing": ({"fields": [4, 8, 0]}, r"fields\[2\] is 0"),
    "ambiguous fields": ({"fields": [1] * 12}, r"ambiguous.*range\(12\)"),
}

CLASSIFIER_DATA = {
    "one class": ({"y": np.full(N, "only")}, r"one class.*'only'"),
    "numbers": ({"y": np.linspace(0, 1, N)}, r"Unknown label type.*continuous"),
    "two columns": ({"y": np.full((N, 2), 2)}, r"2 columns.*indicator"),
    "unknown class in y_val": (
        {"X_val": X, "y_val": LABELS + 1},
        r"label.*2.*\[0, 1\]",
    ),
}

CLASS_WEIGHTS = {
    "all zero": {0: 0, 1: 0},
    "negative": {0: -1, 1: 1},
    "NaN": {0: np.nan, 1: 1},
    "infinite": {0: np.inf, 1: 1},
}

REGRESSOR_DATA = {
    "strings in y": ({"y": np.full(N, "high")}, r"could not convert.*high"),
    "infinite y": ({"y": np.where(LABELS, np.inf, 1.0)}, r"y contains infinity"),
    "outputs of y_val": ({"X_val": X, "y_val": np.ones((N, 2))}, r"2 outputs"),
}


@pytest.fixture
def no_training(monkeypatch):
    def run(self):
        raise AssertionError("training began")

    def forbid():
        monkeypatch.setattr(Trainer, "advance", run)

    return forbid


@functools.cache
def subjects(cls):
    """An unfitted, a fitted and a warm estimator: no test may change them."""
    return make(cls), fitted(cls), fitted(cls, warm_start=True)


def refuses(model, arguments, message, *, predicts=True):
    """Check that fit raises and leaves the model, fitted or not, unchanged."""
    arguments = {"X": X, "y": target(type(model))} | arguments
    before = dict(vars(model))
    said = scores(model) if predicts and hasattr(model, "network_") else None
    with pytest.raises(ValueError, match=f"(?s){message}"):
        model.fit(**arguments)
    now = vars(model)
    assert now.keys() == before.keys()
    assert all(now[name] is before[name] for name in now)
    if said is not None:
        assert_array_equal(scores(model), said)


@pytest.mark.parametrize("case", DATA)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_bad_data(cls, case, no_training):
    models = subjects(cls)
    no_training()
    arguments, message = DATA[case]
    for model in models[: 2 if case == "no columns" else 3]:
        refuses(model, arguments, message)


@pytest.mark.parametrize("case", PARAMETERS)
@pytest.mark.parametrize("cls", ESTIMATORS)
def test_bad_parameters(cls, case, no_training):
    models = [copy.copy(model) for model in subjects(cls)[:2]]
    no_training()
    parameters, message = PARAMETERS[case]
    for model in models:
        refuses(model.set_params(**parameters), {}, message, predicts=False)


@pytest.mark.parametrize("case", CLASSIFIER_DATA)
@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_bad_data_of_classifiers(cls, case, no_training):
    models = subjects(cls)[:2]
    no_training()
    for model in models:
        refuses(model, *CLASSIFIER_DATA[case])


@pytest.mark.parametrize("case", CLASS_WEIGHTS)
def test_bad_class_weights(case, no_training):
    no_training()
    model = make(skfm.FMClassifier, class_weight=CLASS_WEIGHTS[case])
    refuses(model, {}, "class_weight")


def test_misspelt_keys_of_class_weight(no_training):
    no_training()
    names = np.where(LABELS, "click", "none")
    model = make(skfm.FMClassifier, class_weight={"clck": 3.0, "none": 1.0})
    with pytest.raises(
        ValueError, match=r"key 'clck'.*\['click', 'none'\].*'click' has"
    ):
        model.fit(X, names)


def test_a_fold_without_a_class_that_has_a_weight():
    given = {0: 1.0, 1: 3.0, 2: 5.0}
    model = make(skfm.FMClassifier, class_weight=given).fit(X, LABELS)
    same = make(skfm.FMClassifier, class_weight={0: 1.0, 1: 3.0}).fit(X, LABELS)
    assert_array_equal(scores(model), scores(same))


@pytest.mark.parametrize("case", REGRESSOR_DATA)
@pytest.mark.parametrize("cls", REGRESSORS)
def test_bad_data_of_regressors(cls, case, no_training):
    models = subjects(cls)[:2]
    no_training()
    for model in models:
        refuses(model, *REGRESSOR_DATA[case])


@pytest.mark.parametrize("cls", CLASSIFIERS)
def test_bad_calls_of_partial_fit(cls, no_training):
    model = fitted(cls)
    balanced = make(cls, class_weight="balanced")
    no_training()
    before = dict(vars(model))
    with pytest.raises(ValueError, match=r"(?s)label.*'?5.*row 2.*classes"):
        model.partial_fit(X[:3], [0, 1, 5])
    with pytest.raises(ValueError, match="11 features"):
        model.partial_fit(X[:, 1:], LABELS)
    with pytest.raises(ValueError, match="only one class"):
        make(cls).partial_fit(X, LABELS * 0, classes=[0])
    with pytest.raises(ValueError, match="balanced"):
        balanced.partial_fit(X, LABELS, classes=[0, 1])
    assert vars(model) == before


@pytest.mark.parametrize("cls", ESTIMATORS)
def test_bad_data_at_prediction(cls):
    model = fitted(cls)
    with pytest.raises(ValueError, match=r"11 features.*expecting 12"):
        model.predict(X[:, 1:])
    with pytest.raises(ValueError, match="NaN: row 7, column 2"):
        model.predict(entry(np.nan))
    with pytest.raises(ValueError, match="not fitted"):
        make(cls).predict(X)


@pytest.mark.parametrize("cls", [skfm.DeepFMClassifier, skfm.DeepFMRegressor])
def test_fields_that_cannot_be_inferred(cls, no_training):
    rng = np.random.default_rng(0)
    tangled = sp.random_array((N, 300), density=0.05, format="csr", rng=rng)
    model = fitted(cls)
    no_training()
    refuses(model, {"X": tangled}, r"Fields cannot be inferred.*fields=")


@pytest.mark.parametrize("cls", [skfm.AFMClassifier, skfm.AFMRegressor])
def test_pairs_that_do_not_fit_in_memory(cls, no_training, monkeypatch):
    long = np.ones((N, 60))
    wide = make(cls, batch_size=1).fit(long, target(cls))
    monkeypatch.setattr("skfm.runtime.memory._SMALL", 0)
    # Enough for three tables of 60 columns x 5 numbers, not for 1770 pairs.
    monkeypatch.setattr("skfm.runtime.memory.available_memory", lambda: 10_000)
    with pytest.raises(MemoryError, match="60 entries"):
        wide.predict(long)
    no_training()
    for model in (make(cls, batch_size=1), wide, wide.set_params(warm_start=True)):
        monkeypatch.setattr("skfm.runtime.memory.available_memory", lambda: 10_000)
        before = dict(vars(model))
        with pytest.raises(MemoryError, match=r"(?s)60 entries.*Use FM or NFM"):
            model.fit(long, target(cls))
        assert vars(model) == before


@pytest.mark.parametrize("cls", [skfm.NFMClassifier, skfm.DeepFMRegressor])
@pytest.mark.parametrize("sizes", [(0,), (2.5,), [[8, 4]], ((1, 2), (3,)), "big", -1])
def test_bad_hidden_layers(cls, sizes, no_training):
    no_training()
    model = make(cls, hidden_layer_sizes=sizes, fields=SIZES)
    refuses(model, {}, "hidden_layer_sizes")


def test_gradients_switched_off_by_the_caller():
    expected = scores(fitted(skfm.NFMClassifier))
    with torch.no_grad():
        assert_array_equal(scores(fitted(skfm.NFMClassifier)), expected)
