"""Rates on a GPU beside those of the CPU's kernels.

    python benchmarks/gpu.py [--rows 1000000]
    python benchmarks/gpu.py --device cpu --rows 20000   the same code, without a GPU

Rows per second of a training epoch with all rows kept on the device ("resident"),
with each batch moved there ("streamed") and by the kernels; of predict_proba; and how
far probabilities of the device's model are from those of the kernels' model.
"""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from unittest import mock

import numpy as np
import torch
from sklearn.base import clone
from workloads import FACTORS, labels, median_seconds, one_hot, training_rate

import skfm
from skfm.data import transfer
from skfm.sparse import BACKENDS, TorchBackend

COLUMNS = 1_000_000
#: Rows that the CPU is given at most: its rate does not depend on them.
CPU_ROWS = 200_000


def models() -> list[Any]:
    wide = {"hidden_layer_sizes": (400, 400, 400), "dropout": 0.0}
    return [
        skfm.FMClassifier(n_factors=FACTORS, batch_size=65_536),
        skfm.NFMClassifier(n_factors=FACTORS, batch_size=65_536, dropout=0.0),
        skfm.DeepFMClassifier(n_factors=FACTORS, batch_size=65_536, **wide),
        skfm.DCNClassifier(n_factors=FACTORS, batch_size=65_536, **wide),
        skfm.AFMClassifier(n_factors=10, batch_size=16_384, interaction_dropout=0.0),
    ]


@contextmanager
def torch_path(device: str) -> Iterator[None]:
    """Run what a device runs, also where the device is the CPU."""
    if device != "cpu":
        yield
        return
    with (
        mock.patch.dict(BACKENDS, cpu=TorchBackend),
        mock.patch.object(transfer, "free_memory", return_value=1 << 40),
    ):
        yield


def measure(model: Any, device: str, X: Any, y: np.ndarray) -> None:
    few, labels_of_few = X[:CPU_ROWS], y[:CPU_ROWS]
    there = clone(model).set_params(device=device)
    with torch_path(device):
        resident = training_rate(there, X, y, epochs=3)
        with mock.patch.object(transfer, "RESIDENT_SHARE", 0):
            streamed = training_rate(clone(there), X, y, epochs=3)
        predicting = len(y) / median_seconds(lambda: there.predict_proba(X))
        on_few = clone(there)
        training_rate(on_few, few, labels_of_few, epochs=1)
        probabilities = on_few.predict_proba(few)
    by_kernels = clone(model)
    kernels = training_rate(by_kernels, few, labels_of_few, epochs=1)
    apart = np.abs(probabilities - by_kernels.predict_proba(few)).max()
    print(
        f"{type(model).__name__:18} resident {resident:12,.0f} rows/s, streamed "
        f"{streamed:12,.0f}, kernels {kernels:10,.0f}; predict_proba "
        f"{predicting:12,.0f}; probabilities within {apart:.1e}"
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    parser.add_argument("--device", default="cuda")
    options = parser.parse_args()
    if options.device == "cuda" and not torch.cuda.is_available():
        print("no GPU that torch can use: nothing measured")
        return
    X, y = one_hot(options.rows, COLUMNS), labels(options.rows)
    for model in models():
        measure(model, options.device, X, y)


if __name__ == "__main__":
    main()
