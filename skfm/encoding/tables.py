"""Tables of all kinds as lists of pandas Series."""

from __future__ import annotations

from collections import Counter
from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp
from sklearn.utils import check_array

__all__ = ["as_table", "check_frame", "is_frame", "object_array", "read_columns"]


def is_frame(X: Any) -> bool:
    """Return whether X is a DataFrame of a library that narwhals reads."""
    # narwhals needs half the time of scoring a row for the answer.
    if isinstance(X, np.ndarray | list | tuple) or sp.issparse(X):
        return False
    if nw.dependencies.is_polars_lazyframe(X):
        raise TypeError("X is a LazyFrame, which has no rows yet: pass X.collect().")
    return bool(nw.dependencies.is_into_dataframe(X))


def as_table(X: Any) -> Any:
    """Return X as a DataFrame or a two-dimensional array with rows and columns."""
    if is_frame(X):
        check_frame(X)
        return X
    if isinstance(X, np.ndarray) and X.dtype.names:
        raise TypeError("X is a structured array: pass pandas.DataFrame(X).")
    # NumPy would turn [1, "a"] into two strings.
    dtype = object if isinstance(X, list | tuple) else None
    return check_array(X, dtype=dtype, ensure_all_finite=False)


def check_frame(frame: Any) -> None:
    """Refuse a DataFrame without rows or columns, or with columns of one name.

    Raises
    ------
    ValueError
        If the table is not valid; the message names its shape or the column.
    """
    n_rows, n_columns = frame.shape
    for size, unit, axis in [(n_rows, "sample", 0), (n_columns, "feature", 1)]:
        if size == 0:
            raise ValueError(
                f"Found a table with 0 {unit}(s) (shape=({n_rows}, {n_columns})) while "
                f"a minimum of 1 is required along axis {axis}."
            )
    repeated = [
        name for name, times in Counter(_column_names(frame)).items() if times > 1
    ]
    if repeated:
        raise ValueError(
            f"Several columns of the table are called {repeated[0]!r}. Rename them, so "
            "that a name tells which is meant."
        )


def _column_names(frame: Any) -> list[Any]:
    # The columns of an Arrow table are not their names.
    return list(getattr(frame, "column_names", frame.columns))


def read_columns(table: Any) -> list[pd.Series]:
    """Return the columns of a result of `as_table` as pandas Series."""
    if isinstance(table, np.ndarray):
        if table.dtype.kind == "U":
            table = table.astype(object)
        return [pd.Series(column, dtype=table.dtype, copy=False) for column in table.T]
    if nw.dependencies.is_pandas_dataframe(table):
        return [_plain(table.iloc[:, j]) for j in range(table.shape[1])]
    frame = nw.from_native(table, eager_only=True)
    return [_to_pandas(frame.get_column(name)) for name in frame.columns]


def _plain(series: pd.Series) -> pd.Series:
    """Return objects for types of Arrow that pandas cannot factorize."""
    dtype = series.dtype
    if not isinstance(dtype, pd.ArrowDtype) or dtype.kind != "O":
        return series
    is_number = pd.api.types.is_numeric_dtype(dtype)
    return series if is_number else series.astype(object)


def _to_pandas(series: Any) -> pd.Series:
    """Convert a narwhals Series, and keep integers with missing cells integers."""
    dtype = series.dtype
    if isinstance(dtype, nw.Decimal):
        series = series.cast(nw.Float64)
    if not (dtype.is_integer() or isinstance(dtype, nw.Boolean)):
        values = series.cast(nw.String) if _has_levels(dtype) else series
        # to_numpy would make matrices of nested cells of equal length.
        array = object_array(values) if dtype.is_nested() else values.to_numpy()
        if array.dtype.kind in "mM":
            # pandas lacks some units, such as days.
            array = array.astype(f"{array.dtype.kind}8[us]")
        kept = array.dtype if array.dtype.kind in "fmM" else object
        return pd.Series(array, dtype=kept, copy=False)
    missing = series.is_null().to_numpy()
    if isinstance(dtype, nw.Boolean):
        values = series.fill_null(False).to_numpy().astype(bool)
        return pd.Series(pd.arrays.BooleanArray(values, missing))
    values = series.fill_null(0).to_numpy()
    # Arrow returns read-only views, which pandas' masked arrays accept.
    return pd.Series(pd.arrays.IntegerArray(values, missing))


def _has_levels(dtype: Any) -> bool:
    return isinstance(dtype, nw.Categorical | nw.Enum)


def object_array(cells: Any) -> np.ndarray:
    """Return cells of any type as a one-dimensional array of objects."""
    listed = cells.to_list() if hasattr(cells, "to_list") else cells
    return np.fromiter(listed, dtype=object)
