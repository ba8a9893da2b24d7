"""Selection of columns by names, indices or a mask, as all parameters accept it."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

import numpy as np

__all__ = ["column_mask", "column_position"]


def column_position(key: Any, names: Sequence[str], named: bool, param: str) -> int:
    """Return the position of a column that is given by its name or index.

    Parameters
    ----------
    key : str or int
        Name or index of the column.
    names : sequence of str
        Names of all columns.
    named : bool
        Whether the names come from the user, so that ``key`` may be one of them.
    param : str
        Name of the parameter, for errors.

    Raises
    ------
    ValueError
        If there is no such column.
    """
    known = {key: names.index(key)} if isinstance(key, str) and key in names else {}
    return _position(key, known, names, named, param)


def column_mask(
    selected: Iterable[Any] | None, names: Sequence[str], named: bool, param: str
) -> np.ndarray:
    """Return the mask of the columns that are given by names, indices or a mask.

    Parameters
    ----------
    selected : iterable of str, int or bool, or None
        Names and indices, or a mask. None selects no column.
    names, named, param
        Names of the columns and of the parameter, as in `column_position`.

    Raises
    ------
    ValueError
        If there is no such column, or the mask has another length than ``names``.
    """
    mask = np.zeros(len(names), np.bool_)
    keys = [] if selected is None else list(selected)
    if keys and all(isinstance(key, bool | np.bool_) for key in keys):
        if len(keys) != len(names):
            raise ValueError(
                f"{param} set as a boolean mask must have shape ({len(names)},), one "
                f"element per column of X, but has shape ({len(keys)},)."
            )
        return np.array(keys)
    places: dict[Any, int] = {}
    for place, name in enumerate(names):
        places.setdefault(name, place)
    mask[[_position(key, places, names, named, param) for key in keys]] = True
    return mask


def _position(
    key: Any, places: Mapping[Any, int], names: Sequence[str], named: bool, param: str
) -> int:
    if isinstance(key, str) and named and key in places:
        return places[key]
    if isinstance(key, int | np.integer) and not isinstance(key, bool):
        if 0 <= key < len(names):
            return int(key)
        raise ValueError(
            f"{param} names column {key}, but X has {len(names)} columns: indices are "
            f"in [0, {len(names) - 1}]."
        )
    hint = f"X has the columns {list(names)}" if named else "X has no column names"
    raise ValueError(f"{param} names column {key!r}, but {hint}.")
