"""Cost of the Bayesian sampler: seconds an iteration, its memory, and prediction.

    python benchmarks/sampling.py [--rows N] [--prototype FOLDER]

All that is compared runs by turns. myFM takes part in the flights where it is installed
(``benchmarks/requirements-peers.txt``), and the research code that this sampler was
written after with a folder that holds its ``bfm.py``. Wall-clock and processor seconds
are the least of the turns: on a busy machine compare the latter, of one thread. All of
it takes some five minutes.
"""

from __future__ import annotations

import argparse
import importlib.util
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np
import scipy.sparse as sp
from workloads import labels, one_hot

from skfm import FMClassifier
from skfm.sampling import Problem, Settings
from skfm.sampling.sampler import State

#: Columns of the fields of the flights from New York City in 2013.
FLIGHTS = (16, 4037, 3835, 3, 104, 12, 31, 19, 213)
FACTORS = 16


class Cost(NamedTuple):
    wall: float
    processor: float


class Clock:
    """Wall-clock and processor seconds of a block."""

    def __enter__(self) -> Clock:
        self._start = time.perf_counter(), time.process_time()
        return self

    def __exit__(self, *error: Any) -> None:
        wall, processor = self._start
        self.cost = Cost(time.perf_counter() - wall, time.process_time() - processor)


def flights_like(n_rows: int, seed: int = 0) -> tuple[sp.csr_array, np.ndarray]:
    """One-hot rows of nine fields, skewed as the flights', and the columns' fields."""
    rng = np.random.default_rng(seed)
    starts = np.concatenate([[0], np.cumsum(FLIGHTS)[:-1]])
    columns = (rng.random((n_rows, 9)) ** 1.5 * FLIGHTS).astype(np.int32) + starts
    indptr = np.arange(0, columns.size + 1, 9, dtype=np.int32)
    ones = np.ones(columns.size, np.float32)
    X = sp.csr_array(
        (ones, columns.ravel().astype(np.int32), indptr), shape=(n_rows, sum(FLIGHTS))
    )
    return X, np.repeat(np.arange(9), FLIGHTS)


def click_like(n_rows: int, n_columns: int) -> tuple[sp.csr_array, np.ndarray]:
    """Rows of 39 skewed one-hot fields, and the columns' fields."""
    X = one_hot(n_rows, n_columns)
    return X, np.minimum(np.arange(X.shape[1]) // (n_columns // 39), 38)


def ours(
    X: sp.csr_array, fields: np.ndarray, y: np.ndarray, *, threads: int, chains: int
) -> Callable[[int], Cost]:
    """A function that runs iterations and returns their mean cost."""
    problem = Problem(X, fields, int(fields.max()) + 1, y, None, "logistic")
    settings = Settings(FACTORS, chains, n_threads=threads)
    state = State(problem, settings)
    state.advance()  # the first scores all rows

    def run(n_iter: int) -> Cost:
        with Clock() as clock:
            for _ in range(n_iter):
                state.advance()
        return Cost(*(part / n_iter for part in clock.cost))

    return run


def prototype(
    folder: Path, X: sp.csr_array, fields: np.ndarray, y: np.ndarray, *, threads: int
) -> Callable[[int], Cost]:
    """The same of the research code, which starts anew every time."""
    sys.path.insert(0, str(folder))
    from bfm import BFM  # type: ignore[import-not-found]

    sizes = np.bincount(fields)
    matrix = sp.csr_matrix(X)

    def run(n_iter: int) -> Cost:
        model = BFM(FACTORS, n_iter, "pg", keep=False, threads=threads, hc=0.1)
        model.fit(matrix, y, sizes)
        return Cost(*np.mean(model.times[1:], axis=0))

    run(2)
    return run


def my_fm(X: sp.csr_array, fields: np.ndarray, y: np.ndarray) -> Callable[[int], Cost]:
    """The same of myFM, which has one thread and starts anew every time."""
    from myfm import MyFMClassifier  # type: ignore[import-not-found]

    matrix = sp.csr_matrix(X, dtype=np.float64)

    def cost(n_iter: int) -> Cost:
        model = MyFMClassifier(rank=FACTORS, random_seed=0)
        with Clock() as clock:
            model.fit(matrix, y, n_iter=n_iter, n_kept_samples=1, group_shapes=sizes)
        return clock.cost

    def run(n_iter: int) -> Cost:
        start, end = cost(1), cost(1 + n_iter)
        return Cost(*((b - a) / n_iter for a, b in zip(start, end, strict=True)))

    sizes = np.bincount(fields).tolist()
    return run


def least(costs: list[Cost]) -> Cost:
    return Cost(min(c.wall for c in costs), min(c.processor for c in costs))


def compare(
    runs: dict[str, Callable[[int], Cost]], turns: int, n_iter: int
) -> dict[str, Cost]:
    """Run by turns, print each one's least cost, and return it."""
    costs: dict[str, list[Cost]] = {name: [] for name in runs}
    for _ in range(turns):
        for name, run in runs.items():
            costs[name].append(run(n_iter))
    found = {name: least(of_turns) for name, of_turns in costs.items()}
    for name, cost in found.items():
        print(
            f"  {name:<28} {1e3 * cost.wall:8.1f} ms an iteration, "
            f"{1e3 * cost.processor:8.1f} ms of processors",
            flush=True,
        )
    return found


def ratios(costs: dict[str, Cost]) -> None:
    """Print what threads, and this sampler, gain in wall-clock time."""
    pairs = {
        "gain of a second thread": ("1 chains, 1 threads", "1 chains, 2 threads"),
        "two chains on two threads over one on one": (
            "2 chains, 2 threads",
            "1 chains, 1 threads",
        ),
        "myFM over one chain on two threads": ("myFM", "1 chains, 2 threads"),
        "one chain on two threads over the prototype": (
            "1 chains, 2 threads",
            "prototype, 2 threads",
        ),
    }
    for name, (one, other) in pairs.items():
        if one in costs and other in costs:
            print(f"  {name}: {costs[one].wall / costs[other].wall:.2f}", flush=True)


def prediction(X: sp.csr_array, fields: np.ndarray, y: np.ndarray, turns: int) -> None:
    """Processor time of predictions: the mean over samples, and one FM."""
    few, given = X[:20_000], {"fields": fields, "n_factors": FACTORS, "random_state": 0}
    models = {
        "mean over samples": FMClassifier(solver="bayes", max_iter=64, **given),
        "one FM": FMClassifier(solver="sgd", max_iter=1, **given),
    }
    costs: dict[str, list[float]] = {name: [] for name in models}
    for model in models.values():
        model.fit(few, y[: few.shape[0]]).set_params(n_jobs=1).predict_proba(few)
    for _ in range(max(5, turns)):
        for name, model in models.items():
            with Clock() as clock:
                model.predict_proba(few)
            costs[name].append(clock.cost.processor)
    for name, times in costs.items():
        print(f"  {name}: {few.shape[0] / min(times):,.0f} rows a second", flush=True)
    mean, one = (min(times) for times in costs.values())
    n_samples = models["mean over samples"].network_.shape.n_samples
    print(f"  {n_samples} samples take the time of {mean / one:.1f} FMs", flush=True)


def memory(X: sp.csr_array, fields: np.ndarray, y: np.ndarray) -> None:
    """Bytes a row of what one and two chains hold, besides X and the samples."""
    problem = Problem(X, fields, int(fields.max()) + 1, y, None, "logistic")
    for chains in (1, 2):
        state = State(problem, Settings(FACTORS, chains))
        columns, rows = state.data.layout.columns, state.data.rows
        arrays = [*columns.arrays(), rows.first, rows.key, rows.weight, rows.target]
        for chain in state.chains:
            for machine in chain.machines:
                arrays += [machine.sums, machine.working, machine.residual]
                arrays += [machine.roots]
        size = sum(array.nbytes for array in arrays) / X.shape[0]
        print(f"  {chains} chains: {size:.0f} bytes a row", flush=True)
    entries = X.nnz / X.shape[0]
    print(f"  X: {8 * entries:.0f}; 8 (k + 8): {8 * (FACTORS + 8)}", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=267_000)
    parser.add_argument("--turns", type=int, default=3)
    parser.add_argument("--iterations", type=int, default=8)
    parser.add_argument("--columns", type=int, default=1_000_000)
    parser.add_argument("--prototype", type=Path)
    given = parser.parse_args()
    shapes = {
        "flights": flights_like(given.rows),
        "clicks": click_like(given.rows * 255 // 267, given.columns),
    }
    for name, (X, fields) in shapes.items():
        y = labels(X.shape[0])
        print(f"{name}: {X.shape[0]:,} rows, {X.shape[1]:,} columns", flush=True)
        runs = {
            f"{c} chains, {t} threads": ours(X, fields, y, threads=t, chains=c)
            for c, t in ((1, 1), (1, 2), (2, 2))
        }
        if name == "flights" and importlib.util.find_spec("myfm"):
            runs["myFM"] = my_fm(X, fields, y)
        if given.prototype is not None:
            for t in (1, 2):
                run = prototype(given.prototype, X, fields, y, threads=t)
                runs[f"prototype, {t} threads"] = run
        ratios(compare(runs, given.turns, given.iterations))
        memory(X, fields, y)
        if name == "flights":
            prediction(X, fields, y, given.turns)


if __name__ == "__main__":
    main()
