"""Offsets of rows: known parts of their scores, which are not learnt."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.utils import check_array

from .checks import refuse_overflow

#: Largest offset in units of the scores, which networks compute in float32.
_LARGEST = float(np.finfo(np.float32).max)


@refuse_overflow
def read_offset(offset: Any, n_rows: int, name: str = "offset") -> np.ndarray | None:
    """Return offsets as float64 of shape (n_rows, n_outputs), or None.

    Raises
    ------
    ValueError
        If they are not finite numbers, or not as many as there are rows.
    """
    if offset is None:
        return None
    checked: np.ndarray = check_array(
        offset, ensure_2d=False, dtype=np.float64, input_name=name
    )
    if checked.ndim > 2 or len(checked) != n_rows:
        raise ValueError(
            f"{name} must have one number for each of the {n_rows} rows, or one for "
            f"each of their outputs; got an array of shape {checked.shape}."
        )
    return checked.reshape(n_rows, -1)


def check_size(offset: np.ndarray | None, name: str) -> None:
    """Raise a ValueError if offsets, in units of the scores, are too large."""
    if offset is not None and np.abs(offset).max() > _LARGEST:
        row = int(np.argwhere(np.abs(offset) > _LARGEST)[0, 0])
        raise ValueError(
            f"{name} is too large in row {row} for the scores of a model, which are "
            "in float32: pass offsets in units of the raw scores or of y."
        )


def check_outputs(offset: np.ndarray | None, n_outputs: int, name: str) -> None:
    """Raise a ValueError unless offsets are of as many outputs as the model has."""
    if offset is not None and offset.shape[1] != n_outputs:
        raise ValueError(
            f"{name} must have {n_outputs} number(s) for each row, one for each raw "
            f"score of the model; got {offset.shape[1]}."
        )


def shifted(model: Any, scores: np.ndarray, offset: Any) -> np.ndarray:
    """Add offsets, as users give them, to the raw scores of a fitted model.

    Raises
    ------
    ValueError
        If the offsets do not fit the scores, or the scores are log odds of mean
        probabilities, to which nothing can be added.
    """
    if offset is None:
        return scores
    if getattr(model._scorer, "link", "identity") != "identity":
        raise ValueError(
            f"{type(model).__name__} was fitted by the Bayesian solver, whose "
            "probabilities are means over samples: fit it with the offset, or with "
            'solver="sgd".'
        )
    known = read_offset(offset, len(scores))
    check_outputs(known, scores.shape[1], "offset")
    return scores + known / model._output_scale()[0]
