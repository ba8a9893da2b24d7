"""Searches on joblib's distributed backends give the serial scores."""

import joblib
import numpy as np
import pytest
from estimator_cases import LABELS, X, make
from numpy.testing import assert_array_equal
from sklearn.model_selection import GridSearchCV

import skfm

pytestmark = [pytest.mark.external, pytest.mark.filterwarnings("default")]


def search(**keywords):
    grid = {"n_factors": [2, 4], "max_iter": [2, 12]}
    model = make(skfm.DeepFMClassifier, fields=(4, 5, 3))
    found = GridSearchCV(model, grid, cv=2, **keywords).fit(X, LABELS)
    return found.cv_results_["mean_test_score"], found.best_estimator_


def test_dask():
    distributed = pytest.importorskip("distributed")
    expected, best = search(n_jobs=1)
    cluster = {"n_workers": 2, "threads_per_worker": 1, "dashboard_address": None}
    with (
        distributed.Client(processes=False, **cluster),
        joblib.parallel_config(backend="dask"),
    ):
        found, other = search(n_jobs=2)
    assert_array_equal(found, expected)
    assert_array_equal(other.predict_proba(X), best.predict_proba(X))
    assert len(np.unique(found)) > 1


def test_ray():
    ray = pytest.importorskip("ray")
    from ray.util.joblib import register_ray

    expected, _ = search(n_jobs=1)
    ray.init(num_cpus=2, include_dashboard=False)
    try:
        register_ray()
        with joblib.parallel_config(backend="ray"):
            found, _ = search(n_jobs=2)
    finally:
        ray.shutdown()
    assert_array_equal(found, expected)
