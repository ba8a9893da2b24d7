"""Growth of the time of an epoch with the numbers of rows, entries and pairs."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from report import Row
from workloads import labels, one_hot, training_rate

import skfm

FEW, MANY = 100_000, 3_000_000


def with_rows() -> Row:
    """Rows per second of FM on many rows beside those on few."""
    model = skfm.FMClassifier(n_factors=16, batch_size=8192)
    many = training_rate(model, one_hot(MANY, 1_000_000), labels(MANY), epochs=1)
    few = training_rate(model, one_hot(FEW, 1_000_000), labels(FEW), epochs=3)
    what = f"FM, {MANY:,} rows"
    return Row(what, many, "rows/s", f"{FEW:,} rows", few, 0.85)


def _even_rows(n_entries: int, n_rows: int) -> sp.csr_array:
    """One entry in each of ``n_entries`` fields of 100 columns."""
    rng = np.random.default_rng(0)
    columns = rng.integers(100, size=(n_rows, n_entries)) + 100 * np.arange(n_entries)
    indptr = np.arange(0, columns.size + 1, n_entries)
    ones, shape = np.ones(columns.size, np.float32), (n_rows, 100 * n_entries)
    return sp.csr_array((ones, columns.astype(np.int32).ravel(), indptr), shape=shape)


def _nanoseconds(model: Any, n_entries: int, n_rows: int) -> float:
    X, y = _even_rows(n_entries, n_rows), labels(n_rows)
    return 1e9 / training_rate(model, X, y, epochs=3)


def with_entries() -> list[Row]:
    """Time per entry of long rows beside that of short ones."""
    rows = []
    for name, options in (
        ("FM", {}),
        ("NFM", {"hidden_layer_sizes": (64,)}),
        ("DeepFM", {"hidden_layer_sizes": (64,)}),
    ):
        model = getattr(skfm, f"{name}Classifier")(n_factors=16, **options)
        model.set_params(batch_size=4096)
        for n_entries in (50, 100, 200):
            each = _nanoseconds(model, n_entries, 30_000) / n_entries
            base = _nanoseconds(model, n_entries // 2, 60_000) / (n_entries // 2)
            what = f"{name}, time per entry with {n_entries} a row"
            rows.append(Row(what, each, "ns", f"{n_entries // 2} a row", base))
    return rows


def with_pairs() -> list[Row]:
    """AFM's time per pair of long rows beside that of shorter ones."""
    model = skfm.AFMClassifier(n_factors=16, attention_size=16, batch_size=1024)
    rows = []
    for n_entries, n_rows in ((20, 20_000), (40, 8_000), (80, 3_000)):
        each, base = (
            _nanoseconds(model, m, n) / (m * (m - 1) / 2)
            for m, n in ((n_entries, n_rows), (n_entries // 2, 3 * n_rows))
        )
        what = f"AFM, time per pair with {n_entries} entries a row"
        rows.append(Row(what, each, "ns", f"{n_entries // 2} entries", base))
    return rows


def measure() -> list[Row]:
    """Growth."""
    return [with_rows(), *with_entries(), *with_pairs()]
