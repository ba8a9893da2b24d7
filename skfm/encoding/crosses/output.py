"""Tables with the columns of crosses added."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd

__all__ = ["append_columns", "append_numbers"]


def append_columns(
    table: Any,
    names: Sequence[str],
    levels: Sequence[np.ndarray],
    labels: Sequence[Sequence[str]],
) -> Any:
    """Return the table with a column for each cross.

    Parameters
    ----------
    table : DataFrame
    names : sequence of str
        Names of the new columns.
    levels : sequence of ndarray of int of shape (n_rows,)
        Level of each row.
    labels : sequence of sequence of str
        Names of the levels. Further levels are missing cells.

    Raises
    ------
    ValueError
        When the table has a column with one of the names.
    """
    taken = set(names).intersection(table.columns)
    if taken:
        raise ValueError(
            f"The table has a column {min(taken)!r} already, which is the name of a "
            "cross that was found. Rename the column, or set crosses."
        )
    cells = [
        _categorical(level, label) for level, label in zip(levels, labels, strict=True)
    ]
    if nw.dependencies.is_pandas_dataframe(table):
        new = {
            name: pd.Series(cell, index=table.index)
            for name, cell in zip(names, cells, strict=True)
        }
        return pd.concat([table, pd.DataFrame(new, index=table.index)], axis=1)
    frame = nw.from_native(table, eager_only=True)
    series = [
        nw.new_series(
            name,
            [None if cell is np.nan else cell for cell in cell.astype(object)],
            nw.String,
            backend=frame.implementation,
        )
        for name, cell in zip(names, cells, strict=True)
    ]
    return frame.with_columns(*series).to_native()


def append_numbers(table: np.ndarray, levels: Sequence[np.ndarray]) -> np.ndarray:
    """Return an array with a column of level numbers for each cross."""
    return np.column_stack([table, *levels])


def _categorical(levels: np.ndarray, labels: Sequence[str]) -> pd.Categorical:
    codes = np.where(levels < len(labels), levels, -1)
    return pd.Categorical.from_codes(codes, _distinct(pd.Index(labels, dtype=object)))


def _distinct(labels: pd.Index) -> pd.Index:
    """Return labels, with numbers if several are equal, as levels may contain " x "."""
    repeated = labels.duplicated(keep=False)
    if not repeated.any():
        return labels
    numbered = [f"{label} (level {i})" for i, label in enumerate(labels)]
    return pd.Index(np.where(repeated, numbered, labels), dtype=object)
