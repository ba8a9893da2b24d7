"""Training rates on a GPU beside the CPU's, where there is one.

python benchmarks/gpu.py [--rows 1000000]
"""

from __future__ import annotations

import argparse

import torch
from sklearn.base import clone
from workloads import FACTORS, labels, one_hot, training_rate

import skfm


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=1_000_000)
    n_rows = parser.parse_args().rows
    if not torch.cuda.is_available():
        print("no GPU that torch can use: nothing measured")
        return
    X, y = one_hot(n_rows, 1_000_000), labels(n_rows)
    wide = {"hidden_layer_sizes": (400, 400, 400), "dropout": 0.0}
    for model in (
        skfm.FMClassifier(n_factors=FACTORS, batch_size=65_536),
        skfm.DeepFMClassifier(n_factors=FACTORS, batch_size=65_536, **wide),
        skfm.AFMClassifier(n_factors=10, batch_size=16_384),
    ):
        for device in ("cuda", "cpu"):
            part = n_rows if device == "cuda" else min(n_rows, 200_000)
            on_device = clone(model).set_params(device=device)
            rate = training_rate(on_device, X[:part], y[:part], epochs=2)
            print(f"{type(model).__name__:16} {device:5} {rate:12,.0f} rows/s")


if __name__ == "__main__":
    main()
