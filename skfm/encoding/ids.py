"""Ids of users, items and the like in the columns of tables."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any

import numpy as np
import pandas as pd

from .tables import check_frame, is_frame, read_columns

__all__ = ["code_pairs", "match", "read_ids", "read_table"]


def read_table(table: Any, called: str) -> pd.DataFrame:
    """Return a DataFrame of any library as one of pandas.

    Raises
    ------
    TypeError
        If it is not a DataFrame. The error calls it ``called``.
    ValueError
        If it has no rows, no columns, or two columns of one name.
    """
    if not is_frame(table):
        raise TypeError(f"{called} must be a DataFrame; got a {type(table).__name__}.")
    check_frame(table)
    if isinstance(table, pd.DataFrame):
        return table
    names = list(getattr(table, "column_names", table.columns))
    return pd.DataFrame(dict(zip(names, read_columns(table), strict=True)))


def read_ids(table: pd.DataFrame, column: Hashable, called: str) -> pd.Index:
    """Return the ids in a column, which must not be missing.

    Raises
    ------
    ValueError
        If there is no such column, or an id is missing.
    """
    if column not in table.columns:
        found = ", ".join(map(repr, table.columns))
        raise ValueError(f"{called} has no column {column!r}; its columns are {found}.")
    ids = table[column]
    missing = ids.isna().to_numpy()
    if missing.any():
        raise ValueError(
            f"{called} has no {column!r} in row {int(np.flatnonzero(missing)[0])} "
            f"({int(missing.sum())} such rows in all): drop these rows."
        )
    return pd.Index(ids, name=column)


def match(ids: pd.Index, known: pd.Index) -> np.ndarray:
    """Return the position of each id in ``known``, which are distinct, or -1."""
    found: np.ndarray = _plain(known).get_indexer(_plain(ids))
    return found


def _plain(ids: pd.Index) -> pd.Index:
    """Return ids as objects if two indexes of their type may not be comparable."""
    return ids if isinstance(ids.dtype, np.dtype) else ids.astype(object)


def code_pairs(first: np.ndarray, second: np.ndarray, n_second: int) -> np.ndarray:
    """Return one number per pair of numbers, the second below ``n_second``."""
    codes: np.ndarray = first.astype(np.int64) * n_second + second
    return codes
