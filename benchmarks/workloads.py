"""Data and timers of the benchmarks."""

from __future__ import annotations

import os
import subprocess
import sys
import time
from collections.abc import Callable
from typing import Any

import numpy as np
import scipy.sparse as sp

FIELDS = 39
FACTORS = 16


def one_hot(
    n_rows: int, n_columns: int, *, skew: float = 3.0, seed: int = 0
) -> sp.csr_array:
    """Rows of 39 fields; with ``skew`` 1 all categories of a field are as frequent."""
    rng = np.random.default_rng(seed)
    per_field = n_columns // FIELDS
    cells = rng.random((n_rows, FIELDS), dtype=np.float32) ** skew * per_field
    columns = cells.astype(np.int32) + np.arange(FIELDS, dtype=np.int32) * per_field
    indptr = np.arange(0, columns.size + 1, FIELDS, dtype=np.int32)
    ones = np.ones(columns.size, np.float32)
    return sp.csr_array((ones, columns.ravel(), indptr), shape=(n_rows, n_columns))


def fold(X: sp.csr_array, n_columns: int) -> sp.csr_array:
    """The same rows, the categories of every field folded into fewer columns."""
    old, new = X.shape[1] // FIELDS, n_columns // FIELDS
    field, category = np.divmod(X.indices, old)
    columns = (np.minimum(field, FIELDS - 1) * new + category % new).astype(np.int32)
    folded = sp.csr_array((X.data, columns, X.indptr), shape=(X.shape[0], n_columns))
    folded.sort_indices()
    return folded


def labels(n_rows: int) -> np.ndarray:
    return np.random.default_rng(1).integers(2, size=n_rows)


def few_categories(n_rows: int, categories: int) -> tuple[sp.csr_array, np.ndarray]:
    """One-hot rows of 39 small fields, and labels that the categories tell in part."""
    rng = np.random.default_rng(2)
    cells = rng.integers(categories, size=(n_rows, FIELDS))
    columns = (cells + categories * np.arange(FIELDS)).astype(np.int32)
    indptr = np.arange(0, columns.size + 1, FIELDS, dtype=np.int32)
    ones, shape = np.ones(columns.size), (n_rows, categories * FIELDS)
    X = sp.csr_array((ones, columns.ravel(), indptr), shape=shape)
    scores = X @ rng.normal(size=shape[1]) + 2 * rng.logistic(size=n_rows)
    return X, (scores > 0).astype(int)


class EpochClock:
    """A callback that notes when epochs end."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def setup(self, estimator: Any, context: Any) -> None: ...

    def teardown(self, estimator: Any, context: Any) -> None: ...

    def on_fit_task_begin(self, estimator: Any, context: Any) -> None: ...

    def on_fit_task_end(self, estimator: Any, context: Any) -> None:
        if context.task_name == "epoch":
            self.ends.append(time.perf_counter())


def training_rate(model: Any, X: Any, y: np.ndarray, *, epochs: int = 3) -> float:
    """Rows per second of the median epoch after the first."""
    clock = EpochClock()
    model.set_params(early_stopping=False, max_iter=epochs + 1, random_state=0)
    model.set_callbacks(clock).fit(X, y)
    return float(len(y) / np.median(np.diff(clock.ends)))


def median_seconds(task: Callable[[], Any], repeats: int = 3) -> float:
    """Median time of a few calls, after one that is not counted."""
    task()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        task()
        times.append(time.perf_counter() - start)
    return float(np.median(times))


def in_fresh_process(code: str, *, of_import: bool = False, **environment: str) -> str:
    """Return the output of a new interpreter, to measure start-up and memory.

    With ``of_import``, the times of its imports.
    """
    options = ["-X", "importtime"] if of_import else []
    ran = subprocess.run(
        [sys.executable, *options, "-c", code],
        check=True,
        capture_output=True,
        text=True,
        env={**os.environ, **environment},
    )
    return (ran.stderr if of_import else ran.stdout).strip()
