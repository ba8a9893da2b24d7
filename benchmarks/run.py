"""Measure skfm beside other libraries and the machine's limits, all in one run.

    python benchmarks/run.py              everything, into RESULTS.md and a picture
    python benchmarks/run.py --only fm deep --rows 200000
    python benchmarks/run.py --profile    where the time of steps, rows and fits goes

Figures are medians of at least three. What is not installed of requirements-peers.txt
is skipped and named.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import growth
import memory
import numpy as np
import peers
import prediction
import roofline
import scipy.sparse as sp
import small
import steps
import torch
from lock_free import LockFreeFM
from report import Row, draw, write
from sklearn.base import clone
from workloads import FACTORS, FIELDS, fold, labels, median_seconds, one_hot
from workloads import training_rate as rate

import skfm

COLUMNS = 1_000_000
HERE = Path(__file__).parent


class Data:
    """The main set: one-hot rows of 39 fields in 1,000,000 columns."""

    def __init__(self, n_rows: int) -> None:
        self.X, self.y = one_hot(n_rows, COLUMNS), labels(n_rows)
        self.cells = self.X.indices.reshape(-1, FIELDS).astype(np.int64)

    def part(self, n_rows: int) -> tuple[sp.csr_array, np.ndarray, np.ndarray]:
        return self.X[:n_rows], self.y[:n_rows], self.cells[:n_rows]

    def within_fields(self, n_rows: int) -> np.ndarray:
        """Category of each cell, counted inside its field."""
        return self.cells[:n_rows] - np.arange(FIELDS) * (COLUMNS // FIELDS)


def beside_lock_free(models: list[Any], X: sp.csr_array, y: np.ndarray) -> np.ndarray:
    """Rows per second of each model and of the lock-free loop, (n_models + 1,).

    By turns, as a machine shared with others changes its pace by the minute.
    """
    racing = LockFreeFM(X.shape[1], FACTORS, n_threads=2)
    racing.epoch(X[:1000], y[:1000])
    rounds = [
        [
            *(rate(model, X, y, epochs=2) for model in models),
            len(y) / racing.epoch(X, y),
        ]
        for _ in range(5)
    ]
    return np.median(rounds, axis=0)


def fm(data: Data) -> list[Row]:
    """Factorization machines."""
    rows, model = [], skfm.FMClassifier(n_factors=FACTORS, n_jobs=2)
    even = one_hot(len(data.y), COLUMNS, skew=1)
    for name, X in (("skewed", data.X), ("even", even)):
        sizes = (4096, 8192, 16384)
        models = [clone(model).set_params(batch_size=batch) for batch in sizes]
        *rates, racing = beside_lock_free(models, X, data.y)
        for batch, ours in zip(sizes, rates, strict=True):
            what = f"FM, {name} categories, batch {batch}"
            rows.append(Row(what, ours, "rows/s", "lock-free loop", racing, 2.0))
    per_field = COLUMNS // FIELDS
    cells, y = data.within_fields(60_000), data.y[:60_000]
    plain = peers.if_installed(peers.torchfm_rate, "FM", cells, y, per_field)
    rows.append(Row("FM, batch 8192", rows[1].value, "rows/s", "torchfm", plain))
    narrow = rate(
        clone(model).set_params(batch_size=8192), fold(data.X, 10_000), data.y
    )
    what = "FM, time per row with 1,000,000 columns"
    wide = 1e9 / rows[1].value
    rows.append(Row(what, wide, "ns", "10,000 columns", 1e9 / narrow, 2.5, low=True))
    nfm = skfm.NFMClassifier(n_factors=FACTORS, hidden_layer_sizes=(64,), n_jobs=2)
    ours = rate(nfm.set_params(batch_size=8192), data.X, data.y)
    rows.append(Row("NFM, hidden 64", ours, "rows/s", "target", 350_000, 1.0))
    return rows


def deep(data: Data) -> list[Row]:
    """Deep models."""
    X, y, _ = data.part(80_000)
    cells, per_field = data.within_fields(40_000), COLUMNS // FIELDS
    sizes, rows = (400, 400, 400), []
    model = skfm.DeepFMClassifier(
        n_factors=FACTORS, hidden_layer_sizes=sizes, dropout=0.0, batch_size=4096
    )
    for precision, target in (("full", 0.98), ("bfloat16", 0.85)):
        short = precision == "bfloat16"
        bare = roofline.mlp_rate(FIELDS * FACTORS, sizes, batch=4096, bfloat16=short)
        ours = rate(clone(model).set_params(precision=precision), X, y)
        what = f"DeepFM (400, 400, 400), batch 4096, precision {precision}"
        # Without such operations bfloat16 saves memory, but no time.
        fair = not short or "bf16" in roofline.processor()
        rows.append(
            Row(what, ours, "rows/s", "bare MLP", bare, target if fair else None)
        )
    for library, measure in (
        ("torchfm", peers.torchfm_rate),
        ("deepctr-torch", peers.deepctr_rate),
    ):
        theirs = peers.if_installed(measure, "DeepFM", cells, y[:40_000], per_field)
        rows.append(Row(rows[0].name, rows[0].value, "rows/s", library, theirs))
    afm = skfm.AFMClassifier(n_factors=10, attention_size=16, batch_size=4096)
    ours = rate(afm, X[:40_000], y[:40_000], epochs=2)
    plain = peers.plain_afm_rate(data.cells[: 4096 * 4], y[: 4096 * 4], COLUMNS)
    what = "AFM, t = 16, m = 10"
    rows.append(Row(what, ours, "rows/s", "plain torch, dense Adam", plain, 5.0))
    return rows


def predict(data: Data) -> list[Row]:
    """Prediction."""
    X, y, _ = data.part(400_000)
    return [*prediction.many_rows(X, y), *prediction.one_row()]


def threads(data: Data) -> list[Row]:
    """Threads."""
    model = skfm.FMClassifier(n_factors=FACTORS, batch_size=8192)
    one, two = (rate(clone(model).set_params(n_jobs=n), data.X, data.y) for n in (1, 2))
    rows = [Row("FM, two threads", two, "rows/s", "one thread", one, 1.6)]
    beside, after = small.two_fits(data.X[:100_000], data.y[:100_000])
    rows.append(
        Row(
            "two fits side by side",
            beside,
            "s",
            "one after the other",
            after,
            1.0,
            True,
        )
    )
    return rows


def fits(data: Data) -> list[Row]:
    """Whole fits with default parameters, 100,000 rows."""
    X, y, cells = data.part(100_000)
    rows = []
    for name in ("FM", "DeepFM"):
        model = getattr(skfm, f"{name}Classifier")(random_state=0)
        ours = median_seconds(lambda model=model: model.fit(X, y))
        for library, measure, given in (
            ("LogisticRegression", peers.linear_seconds, X),
            ("HistGradientBoosting", peers.boosting_seconds, cells),
            ("LightGBM", peers.lightgbm_seconds, cells),
        ):
            theirs = peers.if_installed(measure, given, y)
            what = f"{name}, {model.n_iter_} epochs"
            rows.append(Row(what, ours, "s", library, theirs))
    return rows


SECTIONS: dict[str, Callable[[Data], list[Row]]] = {
    "fm": fm,
    "deep": deep,
    "fits": fits,
    "predict": predict,
    "threads": threads,
    "small": lambda data: small.measure(),
    "memory": lambda data: memory.measure(),
    "growth": lambda data: growth.measure(),
}


def limits() -> list[str]:
    """List the limits of the machine, one per line."""
    return [
        f"{roofline.processor()}, {torch.get_num_threads()} threads, torch "
        f"{torch.__version__}",
        f"copying memory: {roofline.copy_bandwidth():.1f} GB/s read and written",
        f"a random cache line among 1,000,000: {roofline.random_rows():.0f} ns",
        f"matrix products: {roofline.matrix_rate(torch.float32):.0f} GFLOP/s float32, "
        f"{roofline.matrix_rate(torch.bfloat16):.0f} bfloat16",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--only", nargs="*", choices=SECTIONS, default=list(SECTIONS))
    parser.add_argument("--profile", action="store_true")
    options = parser.parse_args()
    data = Data(options.rows)
    if options.profile:
        steps.profile(data.X, data.y)
        prediction.profile()
        small.profile()
        return
    start, machine, tables = time.perf_counter(), limits(), {}
    print(*machine, sep="\n")
    for name in options.only:
        section = SECTIONS[name]
        rows = section(data)
        tables[(section.__doc__ or name.capitalize()).rstrip(".")] = rows
        print(*rows, sep="\n", flush=True)
    if options.only == list(SECTIONS):
        machine.append(f"{options.rows:,} rows of 39 fields in {COLUMNS:,} columns")
        write(HERE / "RESULTS.md", machine, tables)
        draw(HERE.parent / "docs" / "images" / "benchmarks.png", tables)
    print(f"{time.perf_counter() - start:.0f} s")


if __name__ == "__main__":
    main()
