"""Situations of new users, for each task, in each form that a model can take."""

from types import MappingProxyType
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from numpy.testing import assert_allclose, assert_array_equal
from scipy.stats import spearmanr
from sklearn.base import clone
from sklearn.metrics import roc_auc_score

import skfm

RNG = np.random.default_rng(0)
N, N_TRAIN = 500, 400
CODES = RNG.integers(0, 12, (N, 2))
TASTE = RNG.normal(size=(2, 12))
EFFECT = TASTE[0, CODES[:, 0]] + TASTE[1, CODES[:, 1]]
IDS = pd.DataFrame(CODES * 7919 + 10**6, columns=["user_id", "item_id"])
AGE, INCOME = RNG.uniform(18, 90, N), RNG.lognormal(10, 0.5, N)
WEALTH = (AGE - 50) / 20 + 2 * (np.log(INCOME) - 10)
PEOPLE = pd.DataFrame({"age": AGE, "income": INCOME, "debt": RNG.normal(0, 1e6, N)})
VECTORS = RNG.normal(size=(N, 4))
ONE_HOT = np.eye(12)[CODES[:, 0]]
WEIGHTS = RNG.uniform(0.2, 1, (N, 2))
NAMES = np.array(list("abcdefghijkl"))


class Situation(NamedTuple):
    """Rows, what explains them, parameters, and whether ONNX can express the table."""

    X: Any
    y: np.ndarray
    options: Any = MappingProxyType({})
    exported: bool = True


SITUATIONS = {
    "numbers in their own units": Situation(PEOPLE, WEALTH),
    "an income beside one-hot columns": Situation(
        sp.csr_array(np.column_stack([ONE_HOT, INCOME])),
        TASTE[0, CODES[:, 0]] + INCOME / 1e4,
        {"fields": [12, 1]},
    ),
    "integer ids": Situation(IDS, EFFECT),
    "dummies": Situation(pd.get_dummies(IDS.astype(str)), EFFECT),
    "lists of floats": Situation(
        pd.DataFrame({"embedding": list(VECTORS)}), VECTORS[:, 0] + VECTORS[:, 1]
    ),
    "dates": Situation(
        pd.DataFrame({"sold": np.datetime64("2024-01-01") + CODES[:, 0]}),
        TASTE[0, CODES[:, 0] % 7],
        exported=False,
    ),
    "weighted values": Situation(
        pd.DataFrame(
            {
                "tags": [
                    dict(zip(NAMES[codes], weights.tolist(), strict=True))
                    for codes, weights in zip(CODES, WEIGHTS, strict=True)
                ]
            }
        ),
        TASTE[0, CODES[:, 0]] * WEIGHTS[:, 0] * (CODES[:, 0] != CODES[:, 1])
        + TASTE[0, CODES[:, 1]] * WEIGHTS[:, 1],
        exported=False,
    ),
    "shared categories": Situation(
        pd.DataFrame(NAMES[CODES], columns=["clicked", "shown"]),
        TASTE[0, CODES].sum(axis=1),
        {"shared_categories": [["clicked", "shown"]]},
    ),
}
TASKS = ("Classifier", "Regressor", "Ranker")
FAMILIES = ("FM", "DeepFM")
ALL = [
    (name, task, family) for name in SITUATIONS for task in TASKS for family in FAMILIES
]
#: Each situation, task and family once at least.
SOME = [(name, TASKS[i % 3], FAMILIES[i // 3 % 2]) for i, name in enumerate(SITUATIONS)]
CASES = [
    case if case in SOME else pytest.param(*case, marks=pytest.mark.slow)
    for case in ALL
]


def model_for(situation, task, family):
    options = {"max_iter": 25, "n_factors": 4, "batch_size": 32, "random_state": 0}
    options |= {"crosses": None, **situation.options}
    if family == "FM" and task != "Ranker":
        options["solver"] = "sgd"
    return getattr(skfm, family + task)(**options)


def target_for(situation, task):
    """What a task learns of the numbers to explain, and the keywords of fit."""
    y = situation.y[:N_TRAIN]
    if task == "Classifier":
        return np.where(y > np.median(y), "high", "low"), {}
    if task == "Ranker":
        grades = np.digitize(y, np.quantile(y, [0.25, 0.5, 0.75]))
        return grades, {"qid": np.arange(N_TRAIN) // 20}
    return 1e6 + 1e3 * y, {}


def scores(model, X):
    if hasattr(model, "decision_function"):
        return -model.decision_function(X)  # of "low"
    return model.predict(X)


def explained(model, situation):
    """AUC of a classifier; of others, the correlation of the ranks of new rows."""
    truth, found = situation.y[N_TRAIN:], scores(model, situation.X[N_TRAIN:])
    if hasattr(model, "classes_"):
        return roc_auc_score(truth > np.median(situation.y[:N_TRAIN]), found)
    return spearmanr(found, truth).statistic


@pytest.mark.parametrize(("name", "task", "family"), CASES)
def test_every_form_explains_what_there_is(name, task, family, tmp_path):
    situation, train = SITUATIONS[name], slice(0, N_TRAIN)
    X, (y, given) = situation.X[train], target_for(situation, task)
    model = model_for(situation, task, family)
    stream = clone(model)
    model.fit(X, y, **given)
    assert explained(model, situation) > 0.8
    saved_and_served(model, situation, tmp_path)
    if isinstance(X, pd.DataFrame):
        exported(model, situation, tmp_path)
        shared = situation.options.get("shared_categories")
        encoder = skfm.FieldEncoder(shared_categories=shared)
        plain = clone(model).set_params(shared_categories=None)
        pipeline = skfm.make_field_pipeline(encoder, plain)
        last = type(plain).__name__.lower()
        pipeline.fit(X, y, **{f"{last}__{key}": value for key, value in given.items()})
        assert explained(pipeline, situation) > 0.8
    streamed(stream, X, y, given)
    assert explained(stream, situation) > 0.7


def saved_and_served(model, situation, folder):
    new, path = situation.X[N_TRAIN:], folder / "model.skfm"
    skfm.save(model, path)
    assert_array_equal(scores(skfm.load(path), new), scores(model, new))
    rows = new.to_dict("records") if isinstance(new, pd.DataFrame) else new
    served = model.compile_predictor().predict(rows)
    expected = model.predict(new)
    if expected.dtype.kind == "f":
        assert_allclose(served, expected, rtol=1e-5)
    else:
        assert_array_equal(served, expected)


def streamed(model, X, y, given):
    for _ in range(8):
        for chunk in (slice(0, 200), slice(200, N_TRAIN)):
            part = {key: value[chunk] for key, value in given.items()}
            if hasattr(model, "predict_proba"):
                part["classes"] = ["high", "low"]
            model.partial_fit(X[chunk], y[chunk], **part)


def exported(model, situation, folder):
    onnxruntime = pytest.importorskip("onnxruntime")
    new, path = situation.X[N_TRAIN:], folder / "model.onnx"
    if not situation.exported:
        with pytest.raises(ValueError, match=f"Column '{new.columns[0]}' cannot be"):
            skfm.to_onnx(model, path, X=new)
        return
    skfm.to_onnx(model, path, X=new)
    cells = {name: np.stack(new[name].tolist()) for name in new}
    feed = {name: a.reshape(len(a), -1) for name, a in cells.items()}
    feed = {n: a.astype(object) if a.dtype.kind == "U" else a for n, a in feed.items()}
    found = onnxruntime.InferenceSession(path).run(None, feed)[-1]
    expected = (
        model.predict_proba(new)
        if hasattr(model, "predict_proba")
        else model.predict(new)[:, None]
    )
    assert_allclose(found, expected, rtol=1e-4, atol=1e-4)
