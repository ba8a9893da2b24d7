"""Cost of a fit besides its arithmetic: small data, start-up, parallel fits."""

from __future__ import annotations

import tempfile
import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from report import Row
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from workloads import in_fresh_process, labels, median_seconds

import skfm


def small_data() -> tuple[sp.csr_array, np.ndarray]:
    """2,000 rows of 10 fields with 20 categories each."""
    rng = np.random.default_rng(0)
    cells = rng.integers(20, size=(2000, 10)) + 20 * np.arange(10)
    indptr = np.arange(0, cells.size + 1, 10)
    X = sp.csr_array((np.ones(cells.size), cells.ravel(), indptr), shape=(2000, 200))
    return X, labels(2000)


def two_fits(X: sp.csr_array, y: np.ndarray) -> tuple[float, float]:
    """Seconds of two fits at once in threads of joblib, and one after the other."""
    model = skfm.FMClassifier(max_iter=5, early_stopping=False, random_state=0)

    def fits(n_jobs: int) -> Any:
        with Parallel(n_jobs=n_jobs, prefer="threads") as pool:
            return pool(delayed(clone(model).fit)(X, y) for _ in range(2))

    return median_seconds(lambda: fits(2)), median_seconds(lambda: fits(1))


def measure() -> list[Row]:
    """Small data."""
    X, y = small_data()
    rows = []
    for name in ("FM", "NFM", "DeepFM", "AFM"):
        model = getattr(skfm, f"{name}Classifier")(random_state=0)
        ours = median_seconds(lambda model=model: model.fit(X, y))
        theirs = _mlp_seconds(X, y, model.n_iter_)
        what = f"{name}, 2,000 rows, {model.n_iter_} epochs"
        rows.append(Row(what, ours, "s", "MLPClassifier", theirs, 3.0, low=True))
    one_epoch = skfm.FMClassifier(random_state=0, max_iter=1)
    overhead = median_seconds(lambda: one_epoch.fit(X, y), 20) * 1e3
    rows.append(Row("FM, fit of one epoch", overhead, "ms", "", None))
    grid = GridSearchCV(
        skfm.FMClassifier(random_state=0), {"n_factors": [2, 4, 8, 16]}, cv=5
    )
    twenty = median_seconds(lambda: grid.fit(X, y))
    alone = rows[0].value * 20
    rows.append(
        Row("grid search of 20 fits", twenty, "s", "20 fits", alone, 1.5, low=True)
    )
    rows.append(_start("import skfm after its libraries", "import skfm", 1.5))
    first = "import skfm; skfm.FMClassifier(max_iter=1).fit([[0], [1]], [0, 1])"
    rows.append(_start("import and first fit", first, 2.0))
    with tempfile.TemporaryDirectory() as folder:
        name = "import and first fit, kernels compiled"
        rows.append(_start(name, first, 6.5, NUMBA_CACHE_DIR=folder))
    return rows


def _mlp_seconds(X: Any, y: np.ndarray, epochs: int) -> float:
    model = MLPClassifier(max_iter=epochs, tol=0, n_iter_no_change=epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return median_seconds(lambda: model.fit(X, y))


def _start(name: str, statement: str, target: float, **environment: str) -> Row:
    code = (
        "import time, torch, sklearn.linear_model, sklearn.utils.estimator_checks\n"
        f"start = time.perf_counter()\n{statement}\nprint(time.perf_counter() - start)"
    )
    # With a folder for compiled kernels only the first process finds it empty.
    n_times = 1 if environment else 3
    times = [float(in_fresh_process(code, **environment)) for _ in range(n_times)]
    return Row(name, float(np.median(times)), "s", "target", target, 1.0, low=True)
