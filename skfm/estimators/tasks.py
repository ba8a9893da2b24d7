"""What the tasks share."""

from __future__ import annotations

from typing import Any

import numpy as np

from .base import Run

#: partial_fit is one pass over the rows it is given.
ONE_PASS = Run(
    warm=True, max_iter=1, early_stopping=False, keep_optimizer=True, scheduled=False
)


class FittedTarget:
    """Types of the attributes that the tasks set."""

    classes_: np.ndarray
    _class_weights: np.ndarray | None
    _multilabel: bool
    _sparse_labels: bool
    y_mean_: np.ndarray
    y_scale_: np.ndarray
    #: What raw scores mean: equal in two models whose bias can be exchanged.
    _score_kind: tuple[Any, ...]
