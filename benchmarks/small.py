"""Cost of a fit besides its arithmetic: small data, start-up, parallel fits."""

from __future__ import annotations

import cProfile
import pstats
import tempfile
import warnings
from typing import Any

import numpy as np
import scipy.sparse as sp
from joblib import Parallel, delayed
from report import Row
from sklearn.base import clone
from sklearn.exceptions import ConvergenceWarning
from sklearn.linear_model import LogisticRegression
from sklearn.model_selection import GridSearchCV
from sklearn.neural_network import MLPClassifier
from workloads import few_categories, in_fresh_process, labels, median_seconds

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
    return [*rows, *few_rows(), grid_search(), *imports(), *first_fits()]


def few_rows(n_rows: int = 1000, categories: int = 20) -> list[Row]:
    """Default fits of 1,000 rows of 39 fields."""
    X, y = few_categories(n_rows, categories)
    models = {
        "FM": (skfm.FMClassifier(random_state=0), 0.1),
        "FM, sgd": (skfm.FMClassifier(solver="sgd", random_state=0), 0.1),
        "DeepFM": (skfm.DeepFMClassifier(random_state=0), 0.5),
    }
    linear = median_seconds(lambda: LogisticRegression().fit(X, y))
    rows = []
    for name, (model, target) in models.items():
        ours = median_seconds(lambda model=model: model.fit(X, y))
        what = f"{name}, fit of {n_rows:,} rows, {model.n_iter_} iterations"
        rows.append(Row(what, ours, "s", "target", target, 1.0, low=True))
        rows.append(Row(what, ours, "s", "LogisticRegression", linear))
    return rows


def grid_search(n_rows: int = 10_000) -> Row:
    """Twenty fits on two processes, beside the same fits one after the other."""
    X, y = few_categories(n_rows, 20)
    model = skfm.FMClassifier(solver="sgd", random_state=0)
    grid = {"n_factors": [2, 4, 8, 16]}
    beside, after = (
        median_seconds(lambda n=n: GridSearchCV(model, grid, cv=5, n_jobs=n).fit(X, y))
        for n in (2, 1)
    )
    what = f"grid search, 20 fits of {n_rows:,} rows, n_jobs=2"
    rates = 20 / beside, "fits/s", "n_jobs=1", 20 / after
    return Row(what, *rates, 1.7)


def imports() -> list[Row]:
    """Imports, each in a process of its own."""
    linear = _seconds("import sklearn.linear_model", prepared="")
    rows = []
    for statement in (
        "import skfm",
        "from skfm import FieldEncoder",
        "from skfm import FMClassifier",
    ):
        ours = _seconds(statement, prepared="")
        beside = "import sklearn.linear_model", linear
        rows.append(Row(statement, ours, "s", *beside, 1.5, low=True))
    return rows


def first_fits() -> list[Row]:
    """First fits of a process, with the kernels on disk and with none."""
    fit = "import skfm; skfm.{}.fit([[0], [1]], [0, 1])"
    models = {
        "FM": "FMClassifier(max_iter=1)",
        "FM, sgd": 'FMClassifier(max_iter=1, solver="sgd")',
        "AFM": "AFMClassifier(max_iter=1)",
    }
    rows = []
    for name, model in models.items():
        rows.append(_start(f"{name}, import and first fit", fit.format(model), 2.0))
        with tempfile.TemporaryDirectory() as folder:
            what = f"{name}, import and first fit, kernels compiled"
            rows.append(_start(what, fit.format(model), 5.0, NUMBA_CACHE_DIR=folder))
    return rows


def _mlp_seconds(X: Any, y: np.ndarray, epochs: int) -> float:
    model = MLPClassifier(max_iter=epochs, tol=0, n_iter_no_change=epochs)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ConvergenceWarning)
        return median_seconds(lambda: model.fit(X, y))


#: What first fits import besides skfm, which is not counted.
_LIBRARIES = "import torch, sklearn.linear_model, sklearn.utils.estimator_checks"


def _start(name: str, statement: str, target: float, **environment: str) -> Row:
    seconds = _seconds(statement, prepared=_LIBRARIES, **environment)
    return Row(name, seconds, "s", "target", target, 1.0, low=True)


def _seconds(statement: str, *, prepared: str, **environment: str) -> float:
    """Median seconds of a statement in a fresh process."""
    code = (
        f"import time\n{prepared}\nstart = time.perf_counter()\n{statement}\n"
        "print(time.perf_counter() - start)"
    )
    # With a folder for compiled kernels only the first process finds it empty.
    n_times = 1 if environment else 3
    times = [float(in_fresh_process(code, **environment)) for _ in range(n_times)]
    return float(np.median(times))


def profile(rows: int = 12) -> None:
    """Print where the time of a first import, of compiling and of small fits goes."""
    code = "import skfm; skfm.FMClassifier"
    lines = in_fresh_process(code, of_import=True).splitlines()
    longest = sorted(lines, key=_cumulative, reverse=True)
    print("from skfm import FMClassifier: longest imports", *longest[:rows], sep="\n")
    with tempfile.TemporaryDirectory() as folder:
        print("FM, kernels compiled: longest functions")
        print(in_fresh_process(_COMPILING, NUMBA_CACHE_DIR=folder))
    X, y = few_categories(1000, 20)
    for model in (
        skfm.FMClassifier(n_jobs=1),
        skfm.FMClassifier(solver="sgd", n_jobs=1),
        skfm.DeepFMClassifier(n_jobs=1),
    ):
        model.fit(X, y)
        watched = cProfile.Profile()
        watched.runcall(model.fit, X, y)
        print(f"{model}, fit of 1,000 rows")
        pstats.Stats(watched).sort_stats("tottime").print_stats(rows)


def _cumulative(line: str) -> int:
    """Microseconds of an import and those in it: see ``python -X importtime``."""
    parts = line.split("|")
    number = parts[1].strip() if len(parts) == 3 else ""
    return int(number) if number.isdigit() else 0


_COMPILING = """
import time, skfm
from numba.core import event

class Watch(event.Listener):
    begun, seconds = [], {}

    def on_start(self, event):
        self.begun.append([time.perf_counter(), 0.0])

    def on_end(self, event):
        start, inner = self.begun.pop()
        passed = time.perf_counter() - start
        if self.begun:
            self.begun[-1][1] += passed
        name = event.data["dispatcher"].py_func.__name__
        self.seconds[name] = self.seconds.get(name, 0) + passed - inner

watch = Watch()
event.register("numba:compile", watch)
skfm.FMClassifier(max_iter=1).fit([[0], [1]], [0, 1])
for name, took in sorted(watch.seconds.items(), key=lambda item: -item[1])[:12]:
    print(f"  {took:6.2f} s  {name}")
print(f"  {sum(watch.seconds.values()):6.2f} s  in all")
"""
