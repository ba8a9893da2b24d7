"""Prediction of many rows, and of one, beside plain loops and LogisticRegression."""

from __future__ import annotations

import itertools
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import numba
import numpy as np
import pandas as pd
import scipy.sparse as sp
from report import Row
from sklearn.linear_model import LogisticRegression
from workloads import FACTORS, FIELDS, few_categories

import skfm

Tasks = dict[str, Callable[[], Any]]


def by_turns(tasks: Tasks, repeats: int, calls: int = 1) -> dict[str, np.ndarray]:
    """Seconds of a call of each task, (repeats,), after one that is not counted.

    By turns, as a machine shared with others changes its pace by the minute.
    """
    for task in tasks.values():
        task()
    seconds: dict[str, list[float]] = {name: [] for name in tasks}
    for _ in range(repeats):
        for name, task in tasks.items():
            start = time.perf_counter()
            for _ in range(calls):
                task()
            seconds[name].append((time.perf_counter() - start) / calls)
    return {name: np.array(times) for name, times in seconds.items()}


@numba.njit(nogil=True, fastmath=True, boundscheck=False, error_model="numpy")
def _forward(table, bias, indptr, columns, k, out, start, stop):
    total = np.empty(k, np.float32)
    for b in range(start, stop):
        total[:] = 0
        squares, score = np.float32(0), bias
        for p in range(indptr[b], indptr[b + 1]):
            c = columns[p]
            score += table[c, k]
            for j in range(k):
                v = table[c, j]
                total[j] += v
                squares += v * v
        norm = np.float32(0)
        for j in range(k):
            norm += total[j] * total[j]
        score += np.float32(0.5) * (norm - squares)
        out[b] = np.float32(1) / (np.float32(1) + np.exp(-score))


class ForwardLoop:
    """The loop over rows that one writes first, on two threads.

    Parameters
    ----------
    model : FMClassifier
        Fitted by "sgd" on two classes.
    """

    def __init__(self, model: skfm.FMClassifier) -> None:
        network = model.network_
        parts = network.factors, network.linear_weights
        self._table = np.hstack([part.numpy() for part in parts])
        self._bias = np.float32(network.bias.item())

    def predict(self, X: sp.csr_array, n_threads: int = 2) -> np.ndarray:
        """Probabilities of the second class."""
        out = np.empty(X.shape[0], np.float32)
        ends = np.linspace(0, X.shape[0], n_threads + 1).astype(int)
        fixed = self._table, self._bias, X.indptr, X.indices, self._table.shape[1] - 1
        with ThreadPoolExecutor(n_threads) as pool:
            runs = [
                pool.submit(_forward, *fixed, out, start, stop)
                for start, stop in itertools.pairwise(ends)
            ]
            for run in runs:
                run.result()
        return out


def fitted(X: sp.csr_array, y: np.ndarray) -> skfm.FMClassifier:
    """A machine with 16 factors whose values do not matter."""
    model = skfm.FMClassifier(
        n_factors=FACTORS, solver="sgd", max_iter=1, early_stopping=False, n_jobs=2
    )
    return model.fit(X, y)


def many_rows(X: sp.csr_array, y: np.ndarray) -> list[Row]:
    """All rows at once."""
    model = fitted(X[:20_000], y[:20_000])
    loop = ForwardLoop(model)
    tasks: Tasks = {
        "ours": lambda: model.predict_proba(X),
        "loop": lambda: loop.predict(X),
    }
    ours, theirs = (X.shape[0] / np.median(t) for t in by_turns(tasks, 9).values())
    name = f"FM predict_proba, {X.shape[0]:,} rows"
    return [Row(name, ours, "rows/s", "loop over rows, two threads", theirs, 2.5)]


def one_row(n_rows: int = 1000, categories: int = 20, calls: int = 20) -> list[Row]:
    """A CSR row, or a dict, of 39 categories."""
    frame, X, y = categories_of(n_rows, categories)
    row, linear = X[[7]], LogisticRegression().fit(X, y)
    cell = frame.iloc[7].to_dict()
    short = {"max_iter": 1, "random_state": 0}
    # The members of a network are read one by one: as many as there are take as often
    # the time.
    single = {"n_members": 1} | short
    by_sgd = {"solver": "sgd", "n_factors": FACTORS} | single
    models = {
        "FM, samples": skfm.FMClassifier(**short).fit(X, y),
        "FM, sgd": skfm.FMClassifier(**by_sgd).fit(X, y),
        "DeepFM": skfm.DeepFMClassifier(**single).fit(X, y),
    }
    of_table = skfm.FMClassifier(**by_sgd, crosses=None).fit(frame, y)
    tasks: Tasks = {"linear": lambda: linear.predict_proba(row)}
    for name, model in models.items():
        tasks[name] = lambda model=model: model.predict_proba(row)
        predictor = model.compile_predictor()
        tasks[f"{name}, compiled"] = lambda p=predictor: p.predict_proba(row)
    from_dict = of_table.compile_predictor()
    tasks["dict"] = lambda: from_dict.predict_proba(cell)
    tasks["kernel"] = _kernel_alone(models["FM, sgd"], row)
    micro = {n: np.median(t) * 1e6 for n, t in by_turns(tasks, 30, calls).items()}
    rows = []
    for name in models:
        beside = "LogisticRegression", micro["linear"]
        what = f"{name}, one row, predict_proba"
        rows.append(Row(what, micro[name], "µs", *beside, 1.2, low=True))
        what, ours = f"{name}, one row, compiled", micro[f"{name}, compiled"]
        rows.append(Row(what, ours, "µs", "target", 40.0, 1.0, low=True))
    what = "FM, sgd, a dict of 39 cells, compiled"
    rows.append(Row(what, micro["dict"], "µs", "target", 60.0, 1.0, low=True))
    ours = micro["FM, sgd, compiled"]
    rows.append(Row("FM, sgd, one row", ours, "µs", "kernel alone", micro["kernel"]))
    return rows


def categories_of(
    n_rows: int, categories: int
) -> tuple[pd.DataFrame, sp.csr_array, np.ndarray]:
    """39 columns of categories, as a table and one-hot, and a target of two classes."""
    X, y = few_categories(n_rows, categories)
    cells = X.indices.reshape(-1, FIELDS) % categories
    names = [f"c{j}" for j in range(FIELDS)]
    return pd.DataFrame(cells, columns=names).astype(str), X, y


def _kernel_alone(model: skfm.FMClassifier, row: sp.csr_array) -> Callable[[], Any]:
    from skfm.data.rows import Rows

    batch = Rows(row, model.network_.shape.dtype).span(0, 1)
    return lambda: model.network_.fused_scores(batch)


def profile(n_rows: int = 1000, calls: int = 1000) -> None:
    """Print where the time of one row goes, function by function."""
    import cProfile
    import pstats

    _, X, y = categories_of(n_rows, 20)
    row = X[[7]]
    for model in (
        skfm.FMClassifier(max_iter=1),
        skfm.FMClassifier(solver="sgd", max_iter=1),
        skfm.DeepFMClassifier(max_iter=1),
    ):
        model.fit(X, y).predict_proba(row)
        watched = cProfile.Profile()
        watched.enable()
        for _ in range(calls):
            model.predict_proba(row)
        watched.disable()
        print(f"{type(model).__name__}: predict_proba of one row, {calls} calls")
        pstats.Stats(watched).sort_stats("tottime").print_stats(12)
