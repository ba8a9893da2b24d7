"""Threads that read an estimator while another one fits it again.

All that a call reads is of the fit before or of the fit after, never of both.
"""

import pickle
import sys
import tempfile
import threading
from pathlib import Path

import numpy as np
import pandas as pd
import pytest
import scipy.sparse as sp
from estimator_cases import CELLS, LABELS, NUMBERS, Recorder, X, make
from numpy.testing import assert_array_equal
from sklearn.base import clone

import skfm
from skfm.inspection import explain
from skfm.runtime.attributes import snapshot

THREE = np.array(["a", "b", "c"])[CELLS[:, 2]]
SITES = pd.DataFrame(CELLS, columns=["site", "ad", "hour"]).astype(str)
OTHERS = SITES.assign(site="s" + SITES["site"], ad=SITES["hour"], hour=SITES["ad"])


@pytest.fixture(autouse=True)
def _often():
    """Switch threads often."""
    interval = sys.getswitchinterval()
    sys.setswitchinterval(1e-4)
    yield
    sys.setswitchinterval(interval)


class Reader(threading.Thread):
    """Makes calls in turn until the context ends, and keeps all that they return."""

    def __init__(self, *calls):
        super().__init__()
        self.calls, self.found, self.stop = calls, set(), threading.Event()

    def run(self):
        while not self.stop.is_set():
            self.found.update(map(outcome, self.calls))

    def __enter__(self):
        self.start()
        return self

    def __exit__(self, *exception):
        self.stop.set()
        self.join()


def outcome(call):
    """Return the result of a call, or its error, in a form that can be compared."""
    try:
        found = call()
    except Exception as error:
        return repr(error)
    parts = found if isinstance(found, tuple) else (found,)
    parts = [part.toarray() if sp.issparse(part) else part for part in parts]
    return tuple(str(np.asarray(part).tolist()) for part in parts)


def labels(model):
    return model.predict(X)


def probabilities(model):
    return model.predict_proba(X)


def through_a_file(model):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "model")
        skfm.save(model, path)
        return skfm.load(path).predict(X)


#: An estimator, two sets of data to fit by turns, and calls that read it.
REFITS = {
    "classes": (
        make(skfm.FMClassifier),
        [(X, LABELS), (X, THREE)],
        [labels, probabilities],
    ),
    "deep": (
        make(skfm.DeepFMClassifier),
        [(X, THREE), (X, LABELS)],
        [labels, probabilities],
    ),
    "table": (
        make(skfm.FMClassifier),
        [(SITES, LABELS), (OTHERS, LABELS)],
        [lambda model: model.predict_proba(SITES)],
    ),
    "scale": (
        skfm.FMRegressor(max_iter=20, random_state=0),
        [(X, NUMBERS), (X, 1000 + 9 * NUMBERS)],
        [
            lambda model: model.predict(X, return_std=True),
            lambda model: model.predict_quantiles(X),
            lambda model: model.intercept_,
        ],
    ),
    "explanation": (
        make(skfm.FMClassifier),
        [(X, LABELS), (X, THREE)],
        [lambda model: explain(model, X[:2]), lambda model: model.coef_],
    ),
    "predictor": (
        make(skfm.FMClassifier),
        [(SITES, THREE), (OTHERS, LABELS)],
        [lambda model: model.compile_predictor().predict(SITES)],
    ),
    "file": (
        make(skfm.FMClassifier),
        [(X, LABELS), (X, THREE)],
        [
            through_a_file,
            lambda model: pickle.loads(pickle.dumps(model)).predict_proba(X),
        ],
    ),
    "encoder": (
        skfm.FieldEncoder(),
        [(SITES,), (OTHERS,)],
        [
            lambda encoder: encoder.transform(SITES),
            lambda encoder: encoder.get_feature_names_out(),
        ],
    ),
    "crosses": (
        skfm.FieldCrosses(crosses=[(0, 1)], random_state=0),
        [(SITES, LABELS), (OTHERS[["ad", "site", "hour"]], LABELS)],
        [lambda crosses: crosses.transform(SITES)],
    ),
}


@pytest.mark.parametrize("name", REFITS)
def test_a_refit(name):
    estimator, fits, reads = REFITS[name]
    twins = [clone(estimator).fit(*data) for data in fits]
    expected = {outcome(lambda: read(twin)) for twin in twins for read in reads}  # noqa: B023
    assert len(expected) == 2 * len(reads)
    model = clone(estimator).fit(*fits[0])
    with Reader(*(lambda read=read: read(model) for read in reads)) as reader:
        for data in fits * 2:
            model.fit(*data)
    assert reader.found <= expected


@pytest.mark.parametrize("how", ["partial_fit", "warm_start"])
@pytest.mark.parametrize("cls", [skfm.FMRegressor, skfm.DeepFMRegressor])
def test_a_fit_that_goes_on(cls, how):
    def course():
        """A model after each of some fits."""
        model = make(cls, warm_start=True, optimizer="adam")
        fit = model.partial_fit if how == "partial_fit" else model.fit
        return (fit(X, NUMBERS) for _ in range(5))

    expected = [outcome(lambda: model.predict(X)) for model in course()]  # noqa: B023
    assert len(set(expected)) == 5
    going_on = course()
    model = next(going_on)
    predictor = model.compile_predictor()
    with (
        Reader(lambda: model.predict(X)) as reader,
        Reader(lambda: predictor.predict(X)) as served,
    ):
        for _ in going_on:
            pass
    assert reader.found <= set(expected)
    assert served.found == {expected[0]}
    assert outcome(lambda: model.predict(X)) == expected[-1]


UNKNOWN = np.full(len(LABELS), "unknown")


@pytest.mark.parametrize("warm", [False, True])
def test_a_fit_that_is_refused(warm):
    refused = [
        (SITES, LABELS, -np.ones(len(LABELS))),
        (SITES, UNKNOWN),
        (SITES, LABELS, None, OTHERS, UNKNOWN),
        (X, LABELS) if warm else (OTHERS, LABELS, None, X, LABELS),
    ]
    model = make(skfm.DeepFMClassifier, warm_start=warm).fit(SITES, LABELS)
    attributes, before = dict(vars(model)), outcome(lambda: model.predict_proba(SITES))
    with Reader(lambda: model.predict_proba(SITES)) as reader:
        for data in refused * 2:
            with pytest.raises((TypeError, ValueError), match=r"\w"):
                model.fit(*data)
    assert reader.found == {before}
    assert vars(model) == attributes


def test_a_warm_start_that_diverges_in_its_first_epoch():
    model = make(skfm.FMRegressor, warm_start=True, optimizer="sgd").fit(X, NUMBERS)
    before, statistics = model.predict(X), model._optimizers
    with pytest.raises(FloatingPointError, match="diverged"):
        model.set_params(learning_rate=1e30).fit(X, NUMBERS)
    assert_array_equal(model.predict(X), before)
    assert model._optimizers is statistics


def test_parameters_that_are_set_during_a_fit_count_from_the_next_on():
    model = make(skfm.FMClassifier)
    recorder = Recorder(lambda _: model.set_params(n_factors=7) and None)
    model.set_callbacks(recorder).fit(X, LABELS)
    assert model.n_factors == 7
    assert model.factors_.shape == (X.shape[1], 4)
    assert model.fit(X, LABELS).factors_.shape == (X.shape[1], 7)


def test_callbacks_see_the_fit_that_goes_on():
    model = make(skfm.FMClassifier).fit(X, LABELS)
    recorder = Recorder(lambda _: assert_array_equal(model.classes_, [0, 1]))
    model.set_callbacks(recorder).fit(X, THREE)
    for copied in [*recorder.estimators, model]:
        assert_array_equal(copied.classes_, ["a", "b", "c"])


def test_a_snapshot_stays_as_it_is():
    model = make(skfm.FMClassifier).fit(X, LABELS)
    twin, before = snapshot(model), model.predict_proba(X)
    model.fit(X, THREE)
    assert_array_equal(twin.predict_proba(X), before)
    assert twin.get_params() == model.get_params()
