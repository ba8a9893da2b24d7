"""Values of "auto" parameters, from the size of the data."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import torch
from sklearn.model_selection import GroupShuffleSplit, train_test_split

#: Rows from which early stopping pays, as in HistGradientBoosting.
MANY_ROWS = 10_000
#: Rows from which float32 is enough. What double precision is for, that weights are
#: repetitions and such, holds for single batches; beyond them it only costs time.
_SINGLE_PRECISION_ROWS = 1_000
#: At most this many rows make one full batch.
FULL_BATCH = 256
MAX_AUTO_BATCH = 8192
#: An epoch has about this many batches, until they reach the maximal size.
_BATCHES_PER_EPOCH = 256


def dtype(asked: str, X: Any) -> str:
    """float32 or float64 for a fit on X."""
    if asked != "auto":
        return asked
    if X.shape[0] >= _SINGLE_PRECISION_ROWS or X.dtype == np.float32:
        return "float32"
    return "float64"


def batch_size(asked: int | str, n_rows: int) -> int:
    """Return the number of rows per step, at most ``n_rows``."""
    if isinstance(asked, str):
        if n_rows <= FULL_BATCH:
            return n_rows
        wanted = 1 << (n_rows // _BATCHES_PER_EPOCH).bit_length()
        asked = int(np.clip(wanted, FULL_BATCH, MAX_AUTO_BATCH))
    return min(asked, n_rows)


def learning_rate(
    asked: float | str, optimizer: str, n_rows: int, *, ranked: bool = False
) -> float:
    """Step size of the table's optimizer.

    ``ranked``: batches hold whole queries, so that what only one query has, such as the
    weights of a user, is touched once an epoch.
    """
    if not isinstance(asked, str):
        return float(asked)
    rate = 0.1 if n_rows < MANY_ROWS or ranked else 0.03
    return rate / 10 if optimizer == "adam" else rate


def early_stopping(asked: bool | str, n_rows: int, *, given: bool) -> bool:
    """Return whether to stop early; ``given`` if validation rows were passed."""
    if isinstance(asked, str):
        return given or n_rows >= MANY_ROWS
    return bool(asked)


def hold_out(
    weight: np.ndarray,
    fraction: float,
    labels: np.ndarray | None,
    rng: np.random.Generator,
    query: np.ndarray | None = None,
) -> tuple[np.ndarray, np.ndarray]:
    """Split the rows into those to learn from and those to stop on, each sorted.

    Of several queries, whole ones are held out.

    Raises
    ------
    ValueError
        If either part would be empty or weigh nothing.
    """
    if labels is not None:
        counts = np.bincount(labels)
        n_rest = math.ceil(fraction * len(labels))
        if counts.min() < 2 or min(n_rest, len(labels) - n_rest) < len(counts):
            labels = None  # too few rows for every class to be on both sides
    seed = int(rng.integers(2**31))
    if query is not None and np.any(query != query[0]):
        splitter = GroupShuffleSplit(1, test_size=fraction, random_state=seed)
        train, rest = next(splitter.split(weight, groups=query))
    else:
        train, rest = train_test_split(
            np.arange(len(weight)),
            test_size=fraction,
            stratify=labels,
            random_state=seed,
        )
    for part, rows in (("training", train), ("held-out", rest)):
        if not np.any(weight[rows] > 0):
            raise ValueError(
                f"The {part} rows have only zero weights; pass X_val and y_val, "
                "another validation_fraction, or early_stopping=False."
            )
    return np.sort(train), np.sort(rest)


def device(asked: str) -> str:
    """Return a device that exists and has what training needs.

    Raises
    ------
    ValueError
        If torch does not know it, this machine does not have it, or torch cannot sum
        runs of rows on it.
    """
    try:
        rows = torch.ones(2, 1, device=asked)
        lengths = torch.tensor([2], device=asked)
        torch.segment_reduce(rows, "sum", lengths=lengths, axis=0).cpu()
    except (RuntimeError, AssertionError, ImportError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(
            f"device={asked!r} is not available here ({reason}); 'cpu' always is."
        ) from error
    return asked
