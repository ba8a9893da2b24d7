"""Parts of the time of a training step."""

from __future__ import annotations

import time
from collections import defaultdict
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from workloads import FACTORS

import skfm
from skfm.data.loader import Loader
from skfm.optim import RowOptimizer
from skfm.optim.dense_adam import DenseAdam
from skfm.sparse import EmbeddingTable
from skfm.training.learner import Learner

#: The methods that make up a step, and what to call them.
PARTS = [
    (Loader, "_gather", "gather rows and group by column (in the background)"),
    (EmbeddingTable, "look_up", "look up"),
    (Learner, "_backward", "forward and backward, look-up included"),
    (RowOptimizer, "step", "reduce and update the table"),
    (DenseAdam, "step", "update the dense weights"),
    (Learner, "step", "whole step"),
]


@contextmanager
def timed() -> Iterator[dict[str, list[float]]]:
    """Seconds of each call of `PARTS` meanwhile."""
    seconds: dict[str, list[float]] = defaultdict(list)
    originals = [(cls, name, getattr(cls, name)) for cls, name, _ in PARTS]

    def wrap(method: Any, label: str) -> Any:
        def call(*args: Any, **kwargs: Any) -> Any:
            start = time.perf_counter()
            result = method(*args, **kwargs)
            seconds[label].append(time.perf_counter() - start)
            return result

        return call

    for (cls, name, method), (_, _, label) in zip(originals, PARTS, strict=True):
        setattr(cls, name, wrap(method, label))
    try:
        yield seconds
    finally:
        for cls, name, method in originals:
            setattr(cls, name, method)


def profile(X: Any, y: np.ndarray, batch: int = 8192) -> None:
    """Print the nanoseconds per row that the parts of a step take."""
    options = {"n_factors": FACTORS, "batch_size": batch, "early_stopping": False}
    for model in (
        skfm.FMClassifier(max_iter=2, **options),
        skfm.NFMClassifier(max_iter=2, hidden_layer_sizes=(64,), **options),
        skfm.DeepFMClassifier(max_iter=2, **options),
    ):
        with timed() as seconds:
            model.fit(X, y)
        n_rows = 2 * len(y)
        print(type(model).__name__)
        for label, times in seconds.items():
            print(f"  {label:50} {sum(times) / n_rows * 1e9:8.0f} ns/row")
