"""Time and memory of fits on datasets that are larger than memory.

    python benchmarks/streams.py 2000000

writes that many rows of 39 columns (13 integers, 26 strings, like clicks on
advertisements) to Parquet files in a temporary directory, fits them for two epochs, and
prints the processor time, the time and the largest resident memory of each step.
"""

from __future__ import annotations

import argparse
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

import skfm
from skfm.estimators import table_streams
from skfm.training.trainer import Trainer

#: Numbers of categories of the columns of strings, by turns.
SIZES = (5, 20, 100, 1_000, 10_000, 100_000)
ROWS_PER_FILE = 250_000
#: Functions to time: the owner, its attribute, and a name.
STEPS: list[tuple[Any, str, str]] = [
    (table_streams, "learn", "pass 1"),
    (table_streams, "_encode", "pass 2"),
    (Trainer, "_epoch", "epoch"),
]


def write(folder: Path, n_rows: int) -> Any:
    """Write rows, and return their dataset."""
    rng = np.random.default_rng(0)
    for start in range(0, n_rows, ROWS_PER_FILE):
        n = min(ROWS_PER_FILE, n_rows - start)
        table: dict[str, Any] = {}
        for j in range(13):
            table[f"n{j}"] = rng.exponential(20 * (j + 1), n).astype(np.int32)
        for j in range(26):
            size = SIZES[j % len(SIZES)]
            words = pa.array([f"{word:08x}" for word in range(size)])
            codes = pa.array((size * rng.random(n) ** 3).astype(np.int32))
            table[f"c{j}"] = words.take(codes)
        likely = (table["n0"] > 20) ^ (rng.random(n) < 0.3)
        table["click"] = (rng.random(n) < np.where(likely, 0.35, 0.15)).astype(np.int8)
        pq.write_table(pa.table(table), folder / f"{start:010}.parquet")
    return ds.dataset(folder)


class Peak:
    """The largest resident memory since the last reset, sampled."""

    def __init__(self) -> None:
        self.value = 0
        threading.Thread(target=self._watch, daemon=True).start()

    def _watch(self) -> None:
        while True:
            self.value = max(self.value, resident())
            time.sleep(0.02)


def resident() -> int:
    """Return the resident memory of this process in bytes."""
    return int(Path("/proc/self/statm").read_text().split()[1]) * 4096


@contextmanager
def timed(n_rows: int) -> Iterator[None]:
    """Print the cost of each call of `STEPS` meanwhile."""
    peak, base = Peak(), resident()
    originals = [(owner, name, getattr(owner, name)) for owner, name, _ in STEPS]

    def wrap(call: Callable[..., Any], label: str) -> Callable[..., Any]:
        def timed_call(*args: Any, **options: Any) -> Any:
            peak.value, wall, cpu = 0, time.perf_counter(), time.process_time()
            result = call(*args, **options)
            wall, cpu = time.perf_counter() - wall, time.process_time() - cpu
            print(
                f"{label:8} {wall:7.1f} s  {cpu / n_rows * 1e6:6.2f} us of processor a "
                f"row  {n_rows / wall:9,.0f} rows/s  "
                f"{(peak.value - base) / 1e6:6.0f} MB more than before"
            )
            return result

        return timed_call

    for (owner, name, call), (_, _, label) in zip(originals, STEPS, strict=True):
        setattr(owner, name, wrap(call, label))
    try:
        yield
    finally:
        for owner, name, call in originals:
            setattr(owner, name, call)


def measure(n_rows: int, n_jobs: int, **options: Any) -> None:
    """Fit a factorization machine on so many rows, and print what it costs."""
    with tempfile.TemporaryDirectory() as folder:
        data = write(Path(folder), n_rows)
        model = skfm.FMClassifier(
            solver="sgd", max_iter=2, random_state=0, n_jobs=n_jobs, **options
        )
        with timed(n_rows):
            model.fit(data, "click")
    table = model.network_.shape.n_columns * (model.n_factors + 1) * 4
    print(f"weights, optimizer, best epoch: {3 * table / 1e6:.0f} MB")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("rows", type=int)
    parser.add_argument("--n-jobs", type=int, default=2)
    given = parser.parse_args()
    measure(given.rows, given.n_jobs)
