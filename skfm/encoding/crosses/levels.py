"""Joint levels of several coded fields."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np

from .kernels import number_keys

__all__ = ["Codes", "Weight", "compact", "fits_in_key", "joint_keys", "split_keys"]

Codes = np.ndarray
#: Weight of each row, as a number of equal rows; None: one.
Weight = np.ndarray | None

#: Number of possible keys per row up to which keys are used as levels: counting over
#: empty levels costs less than hashing the rows.
_SPARSE = 4


def fits_in_key(widths: Sequence[int]) -> bool:
    """Return whether every combination of levels has a 64-bit key of its own."""
    return math.prod(int(width) for width in widths) < 2**63


def joint_keys(codes: Sequence[Codes], widths: Sequence[int]) -> np.ndarray:
    """Return an integer for each row, equal for rows with the same levels.

    Parameters
    ----------
    codes : sequence of ndarray of int of shape (n_rows,)
        Levels of each field, in ``[0, width)``.
    widths : sequence of int
        Number of levels of each field; see `fits_in_key`.
    """
    keys = codes[0].astype(np.int64)
    for code, width in zip(codes[1:], widths[1:], strict=True):
        keys *= width
        keys += code
    return keys


def split_keys(keys: np.ndarray, widths: Sequence[int]) -> list[np.ndarray]:
    """Return the level of each field, given keys of `joint_keys`."""
    parts = []
    for width in reversed(widths[1:]):
        keys, part = np.divmod(keys, width)
        parts.append(part)
    return [keys, *reversed(parts)]


def compact(keys: np.ndarray, n_possible: int) -> tuple[Codes, int]:
    """Return small levels for keys, and their number; equal keys have equal levels.

    Some of the levels may not occur.
    """
    if n_possible <= _SPARSE * len(keys):
        return keys, n_possible
    return number_keys(keys)
