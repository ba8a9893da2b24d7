"""What a million columns cost: FM on the same rows, folded into fewer columns.

The arithmetic is the same; only the table's size, and so the cache misses, differ.

    python benchmarks/columns.py [--rows 300000]
"""

from __future__ import annotations

import argparse
import resource
import time

import numpy as np
import scipy.sparse as sp

import skfm

FIELDS = 39
FACTORS = 16


def one_hot(n_rows: int, n_columns: int, seed: int = 0) -> sp.csr_array:
    """Rows of 39 fields with skewed category frequencies."""
    rng = np.random.default_rng(seed)
    per_field = n_columns // FIELDS
    cells = (rng.random((n_rows, FIELDS), dtype=np.float32) ** 3 * per_field).astype(
        np.int32
    )
    cells += np.arange(FIELDS, dtype=np.int32) * per_field
    indptr = np.arange(0, cells.size + 1, FIELDS)
    ones = np.ones(cells.size, np.float32)
    return sp.csr_array((ones, cells.ravel(), indptr), shape=(n_rows, n_columns))


def fold(X: sp.csr_array, n_columns: int) -> sp.csr_array:
    """The same rows, the categories of every field folded into fewer columns."""
    old, new = X.shape[1] // FIELDS, n_columns // FIELDS
    field, category = np.divmod(X.indices, old)
    columns = (np.minimum(field, FIELDS - 1) * new + category % new).astype(np.int32)
    folded = sp.csr_array((X.data, columns, X.indptr), shape=(X.shape[0], n_columns))
    folded.sort_indices()
    return folded


def seconds_per_epoch(X: sp.csr_array, y: np.ndarray, epochs: int = 3) -> float:
    """Median epoch of a fit, set-up left out."""
    model = skfm.FMClassifier(
        n_factors=FACTORS,
        batch_size=8192,
        early_stopping=False,
        max_iter=epochs + 1,
        random_state=0,
    )
    clock = EpochClock()
    model.set_callbacks(clock)
    model.fit(X, y)
    return float(np.median(np.diff(clock.ends)))


class EpochClock:
    """A callback that notes when epochs end."""

    def __init__(self) -> None:
        self.ends: list[float] = []

    def setup(self, estimator, context):
        pass

    def teardown(self, estimator, context):
        pass

    def on_fit_task_begin(self, estimator, context):
        pass

    def on_fit_task_end(self, estimator, context):
        if context.task_name == "epoch":
            self.ends.append(time.perf_counter())


def peak_mib() -> float:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=300_000)
    parser.add_argument("--repeats", type=int, default=3)
    options = parser.parse_args()

    wide = one_hot(options.rows, 1_000_000)
    narrow = fold(wide, 10_000)
    y = np.random.default_rng(1).integers(2, size=options.rows)
    seconds_per_epoch(narrow[:20_000], y[:20_000])  # compile
    ratios = []
    for _ in range(options.repeats):
        few, many = seconds_per_epoch(narrow, y), seconds_per_epoch(wide, y)
        ratios.append(many / few)
        print(
            f"10,000 columns {options.rows / few:,.0f} rows/s; "
            f"1,000,000 columns {options.rows / many:,.0f} rows/s; "
            f"ratio {many / few:.2f}"
        )
    print(f"median ratio {np.median(ratios):.2f}")

    del narrow
    before = peak_mib()
    model = skfm.FMClassifier(n_factors=FACTORS, batch_size=8192, early_stopping=False)
    model.set_params(max_iter=1).fit(wide, y)
    table = wide.shape[1] * (FACTORS + 1) * 4 / 2**20
    print(
        f"table {table:.0f} MiB, optimizer state {table:.0f} MiB; peak of the process "
        f"before {before:.0f} MiB, after one more fit {peak_mib():.0f} MiB"
    )


if __name__ == "__main__":
    main()
