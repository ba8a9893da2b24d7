"""Columns as codes and distinct values, or as floats.

The type of a column is determined here once. All further work on categories is done for
each distinct value, and not for each row.
"""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Number
from typing import Any

import numpy as np
import pandas as pd

__all__ = [
    "LARGEST_EXACT",
    "Factorized",
    "dates_of_objects",
    "factorize",
    "holds_categories",
    "holds_dates",
    "holds_flags",
    "to_floats",
]

#: Largest integer up to which float64 distinguishes neighbours.
LARGEST_EXACT = 2**53
_NUMBERS = frozenset({"integer", "floating", "mixed-integer-float", "decimal"})
_DATES = frozenset({"datetime", "datetime64", "date"})
_DURATIONS = frozenset({"timedelta", "timedelta64"})
_KINDS = {
    "string": "strings",
    "boolean": "booleans",
    "integer": "numbers",
    "floating": "numbers",
    "mixed-integer-float": "numbers",
    "empty": "nothing",
}


@dataclass(frozen=True)
class Factorized:
    """A column as a code for each row, and its distinct values.

    Attributes
    ----------
    codes : ndarray of int of shape (n,)
        Index into ``values``; -1 where the cell is missing.
    values : ndarray
        Distinct values in canonical form: int64 (uint64 where it takes that), float64,
        bool, datetime64, timedelta64, or objects.
    kind : str
        ``"strings"``, ``"numbers"``, ``"booleans"``, ``"nothing"`` (all cells missing)
        or the name of another type.
    """

    codes: np.ndarray
    values: np.ndarray
    kind: str

    def cell(self, row: int) -> Any:
        """Return the cell of a row as a plain Python value."""
        code = self.codes[row]
        return self.values[code : code + 1].tolist()[0]


def holds_categories(series: pd.Series, name: str, *, sniff: bool) -> bool:
    """Tell from the dtype whether a column is categorical.

    ``sniff`` inspects columns of objects, for tables that have one dtype only.
    """
    dtype = series.dtype
    if isinstance(dtype, pd.CategoricalDtype) or pd.api.types.is_bool_dtype(dtype):
        return True
    if pd.api.types.is_object_dtype(dtype):
        found = pd.api.types.infer_dtype(series)
        numbers = sniff and found in _NUMBERS
        return not (numbers or found in _DATES or found in _DURATIONS)
    if pd.api.types.is_numeric_dtype(dtype) or getattr(dtype, "kind", "O") in "mM":
        return False
    if pd.api.types.is_string_dtype(dtype):
        return True
    raise ValueError(
        f"Column {name!r} has dtype {dtype}, which is neither categorical nor numeric. "
        "Convert it, or name it in categorical_features."
    )


def holds_flags(series: pd.Series) -> bool:
    """Tell whether a column holds truth values, apart from missing cells."""
    if isinstance(series.dtype, pd.CategoricalDtype):
        return pd.api.types.is_bool_dtype(series.cat.categories.dtype)
    if pd.api.types.is_bool_dtype(series.dtype):
        return True
    return (
        pd.api.types.is_object_dtype(series.dtype)
        and pd.api.types.infer_dtype(series) == "boolean"
    )


def holds_dates(series: pd.Series) -> bool:
    """Tell whether a column holds dates, apart from missing cells."""
    if pd.api.types.is_object_dtype(series.dtype):
        return pd.api.types.infer_dtype(series) in _DATES
    return getattr(series.dtype, "kind", "O") == "M"


def dates_of_objects(cells: np.ndarray, *, local: bool) -> np.ndarray:
    """Return date objects, of which none is missing, as datetime64[us].

    ``local`` asks for the local time of their zone, instead of UTC.
    """
    aware = any(getattr(cell, "tzinfo", None) is not None for cell in cells)
    if not aware:
        return cells.astype("M8[us]")
    if local:
        naive = [cell.replace(tzinfo=None) for cell in cells]
        return np.array(naive, dtype="M8[us]")
    return pd.to_datetime(cells, utc=True).tz_localize(None).to_numpy().astype("M8[us]")


def _dense(series: pd.Series) -> pd.Series:
    """Return a column whose dtype is not sparse."""
    is_sparse = isinstance(series.dtype, pd.SparseDtype)
    return series.sparse.to_dense() if is_sparse else series


def to_floats(series: pd.Series, name: str) -> np.ndarray:
    """Return a numeric column as float64, missing cells as NaN.

    Raises
    ------
    ValueError
        When a cell is infinite or not a number.

    Notes
    -----
    Durations are numbers, in seconds.
    """
    series = _dense(series)
    dtype = series.dtype
    if getattr(dtype, "kind", "O") == "m":
        values = _seconds(series.to_numpy(dtype="m8[us]"))
    elif pd.api.types.is_numeric_dtype(dtype) and dtype.kind != "c":
        values = series.to_numpy(dtype=np.float64, na_value=np.nan)
    else:
        values = _objects_to_floats(series, name)
    infinite = np.isinf(values)
    if infinite.any():
        row = int(infinite.argmax())
        raise ValueError(
            f"Numeric column {name!r} holds {values[row]} in row {row}: replace it by "
            "a finite number or by a missing value."
        )
    return values


def _objects_to_floats(series: pd.Series, name: str) -> np.ndarray:
    if series.dtype.kind in "mMc":
        raise ValueError(f"Column {name!r} has dtype {series.dtype}, not a number.")
    cells = series.to_numpy(dtype=object)
    held = ~pd.isna(cells)
    found, values = pd.api.types.infer_dtype(cells[held]), np.full(len(cells), np.nan)
    if found in _DURATIONS:
        values[held] = _seconds(cells[held].astype("m8[us]"))
        return values
    if found not in _NUMBERS | {"boolean", "empty"}:
        row = _first_of_another_kind(cells, held)
        raise ValueError(
            f"Column {name!r} is numeric but holds {cells[row]!r} in row {row}. "
            "Convert the column, or name it in categorical_features before fit."
        )
    try:
        values[held] = cells[held].astype(np.float64)
    except OverflowError:
        large = next(i for i in np.flatnonzero(held) if _overflows(cells[i]))
        raise ValueError(
            f"Column {name!r} holds an integer in row {large} that is too large for a "
            "float64. Convert it, or name the column in categorical_features."
        ) from None
    return values


def _overflows(number: Any) -> bool:
    try:
        float(number)
    except OverflowError:
        return True
    return False


def _first_of_another_kind(cells: np.ndarray, held: np.ndarray) -> int:
    """Return the first row without a number, or with one of another type."""
    rows = np.flatnonzero(held)
    others = [row for row in rows if not isinstance(cells[row], Number)]
    first = type(cells[rows[0]])
    others += [row for row in rows if type(cells[row]) is not first]
    return int([*others, rows[0]][0])


def _seconds(durations: np.ndarray) -> np.ndarray:
    seconds = durations.astype(np.int64) / 1e6
    seconds[np.isnat(durations)] = np.nan
    return seconds


def factorize(
    series: pd.Series, name: str, rows: np.ndarray | None = None
) -> Factorized:
    """Number the distinct values of a column.

    ``rows`` gives the row of each element for errors, by default its position.

    Raises
    ------
    TypeError
        When a cell is not hashable, or the column mixes strings and numbers.
    """
    series = _dense(series)
    if isinstance(series.dtype, pd.CategoricalDtype):
        codes, levels = series.cat.codes.to_numpy(), series.cat.categories
    else:
        try:
            codes, levels = pd.factorize(series)
        except TypeError as error:
            raise _unhashable(series, name, rows) from error
    levels = _to_numpy(levels)
    values, kind = _canonical(levels, name)
    if kind == "mixed":
        raise _mixed(levels, name, codes, rows)
    return Factorized(codes, values, kind)


def _to_numpy(levels: Any) -> np.ndarray:
    numpy_dtype = getattr(levels.dtype, "numpy_dtype", None)
    if numpy_dtype is not None and numpy_dtype.kind in "iufb":
        return levels.to_numpy(dtype=numpy_dtype)
    if isinstance(levels.dtype, pd.DatetimeTZDtype):
        return levels.to_numpy(dtype="datetime64[ns]")
    return levels.to_numpy()


def _canonical(values: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    """Return distinct values in the form of `Factorized`, and their kind."""
    kind = values.dtype.kind
    if kind == "O":
        return _canonical_objects(values, name)
    if kind == "b":
        return values, "booleans"
    if kind in "iu":
        return _canonical_integers(values), "numbers"
    if kind == "f":
        return _canonical_floats(values.astype(np.float64)), "numbers"
    if kind in "mM":
        return values.astype(f"{kind}8[us]"), "dates" if kind == "M" else "durations"
    raise ValueError(
        f"Column {name!r} holds {values.dtype}. Complex data not supported"
    )


def _canonical_integers(values: np.ndarray) -> np.ndarray:
    wide = values.dtype.kind == "u" and values.size and values.max() >= 2**63
    return values.astype(np.uint64 if wide else np.int64)


def _canonical_floats(values: np.ndarray) -> np.ndarray:
    """Return whole floats as integers: ids beside missing cells are floats."""
    whole = (values == np.floor(values)) & (np.abs(values) <= LARGEST_EXACT)
    return values.astype(np.int64) if whole.all() else values


def _canonical_objects(values: np.ndarray, name: str) -> tuple[np.ndarray, str]:
    inferred = pd.api.types.infer_dtype(values)
    kind = _KINDS.get(inferred)
    if kind == "numbers":
        return _canonical_numbers(values, name), kind
    if kind == "booleans":
        return values.astype(bool), kind
    if inferred in _DATES:
        return dates_of_objects(values, local=False), "dates"
    if inferred in _DURATIONS:
        return values.astype("m8[us]"), "durations"
    if kind is not None:
        return values, kind
    types = sorted({type(value).__name__ for value in values})
    return values, f"values of type {types[0]}" if len(types) == 1 else "mixed"


def _canonical_numbers(values: np.ndarray, name: str) -> np.ndarray:
    whole = pd.api.types.infer_dtype(values) == "integer"
    # A float of NumPy cannot be compared with an integer beyond all floats.
    numbers = [v.item() if isinstance(v, np.generic) else v for v in values]
    low, high = min(numbers), max(numbers)
    if not whole and max(-low, high) <= LARGEST_EXACT:
        return _canonical_floats(values.astype(np.float64))
    if whole and low >= -(2**63) and high < 2**63:
        return values.astype(np.int64)
    if whole and low >= 0 and high < 2**64:
        return values.astype(np.uint64)
    if pd.api.types.infer_dtype(values) == "floating":
        return values.astype(np.float64)
    raise ValueError(
        f"The numbers of column {name!r}, from {low} to {high}, have no exact common "
        "64-bit type. Pass them as strings."
    )


def _mixed(
    values: np.ndarray,
    name: str,
    codes: np.ndarray,
    rows: np.ndarray | None,
) -> TypeError:
    first: dict[str, int] = {}
    for number, value in enumerate(values):
        first.setdefault(type(value).__name__, number)
    (one, i), (two, j), *_ = first.items()
    row_i, row_j = (_row(int(np.argmax(codes == k)), rows) for k in (i, j))
    return TypeError(
        f"Column {name!r} mixes {one}, as {values[i]!r} in row {row_i}, and {two}, as "
        f"{values[j]!r} in row {row_j}. Convert it to one type, for instance by "
        "astype(str)."
    )


def _unhashable(series: pd.Series, name: str, rows: np.ndarray | None) -> TypeError:
    place, cell = next((i, c) for i, c in enumerate(series) if not _is_hashable(c))
    return TypeError(
        f"Column {name!r} holds {cell!r} in row {_row(place, rows)}, of type "
        f"{type(cell).__name__}. A categorical cell or argument must be a string, a "
        "number or another hashable value; if the cells hold several values each, "
        "name the column in multi_valued."
    )


def _row(place: int, rows: np.ndarray | None) -> int:
    return place if rows is None else int(rows[place])


def _is_hashable(cell: Any) -> bool:
    try:
        hash(cell)
    except TypeError:
        return False
    return True
