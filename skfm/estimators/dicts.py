"""Dicts, from the names of columns to cells, as the rows that an estimator reads."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ..data.csr import canonical_csr
from ..encoding.blocks import Encoded, ScaleBlock
from ..encoding.categories import CategoryBlock
from ..encoding.codec import TableCodec
from ..encoding.columns import LARGEST_EXACT, to_floats
from ..encoding.nested import NestedBlock
from ..encoding.tables import object_array, read_columns
from .checks import check_finite
from .row_readers import PYTHON_TYPES, CategoryColumns, RowReader

__all__ = ["DictEncoder", "NumberDicts", "check_dicts"]


def check_dicts(rows: Sequence[Any]) -> None:
    """Refuse rows that are no dicts.

    Raises
    ------
    TypeError
        If there is such a row; the message names the first.
    """
    for number, row in enumerate(rows):
        if not isinstance(row, Mapping):
            raise TypeError(
                f"Each row must be a dict, from names of columns to cells; row {number}"
                f" is a {type(row).__name__}."
            )


class NumberDicts:
    """Reads dicts of numbers that a model takes as they are.

    Parameters
    ----------
    names : list of str or None
        Names of the columns; without them keys are the columns' numbers.
    n_columns : int
    """

    def __init__(self, names: list[str] | None, n_columns: int) -> None:
        self._names, self._n_columns = names, n_columns
        self._positions = {name: j for j, name in enumerate(names or [])}

    def matrix(self, rows: Sequence[Mapping[Any, Any]]) -> Any:
        """Canonical CSR of rows, in which keys that are left out are 0."""
        sizes = np.fromiter(map(len, rows), np.int64, len(rows))
        n_cells = int(sizes.sum())
        keys = (self._position(key) for row in rows for key in row)
        columns = np.fromiter(keys, np.int64, n_cells)
        numbers = np.repeat(np.arange(len(rows)), sizes)
        cells = [cell for row in rows for cell in row.values()]
        values = _as_floats(cells)
        if values is None:
            values = self._read(object_array(cells), numbers, columns)
        indptr = np.append(0, np.cumsum(sizes))
        shape = len(rows), self._n_columns
        csr = canonical_csr(sp.csr_array((values, columns, indptr), shape=shape))
        check_finite(csr, "rows")
        return csr

    def _position(self, key: Any) -> int:
        is_number = isinstance(key, int) and not isinstance(key, bool)
        if self._names is None and is_number and 0 <= key < self._n_columns:
            return int(key)
        position = self._positions.get(key)
        if position is None:
            raise _unknown(key)
        return position

    def _read(
        self, cells: np.ndarray, rows: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Convert cells to floats by column, as the estimator reads those of tables."""
        values = np.empty(len(cells))
        for column in np.unique(columns):
            at = np.flatnonzero(columns == column)
            name: Any = int(column) if self._names is None else self._names[column]
            held = pd.Series(None, range(int(rows[at].max()) + 1), dtype=object)
            held.iloc[rows[at]] = cells[at]
            values[at] = to_floats(held, name)[rows[at]]
        return values


class DictEncoder:
    """Encodes dicts as a codec does tables, without pandas where it can.

    Parameters
    ----------
    codec : TableCodec
    names : list of str or None
        Names of the table's columns; without them keys are the columns' numbers.
    """

    def __init__(self, codec: TableCodec, names: list[str] | None) -> None:
        self.codec = codec
        self._keys = range(len(codec.blocks)) if names is None else names
        self._known = set(self._keys)
        self._blocks = [_cell_reader(block) for block in codec.blocks]
        self._one = RowReader(codec, self._keys)

    def matrix(self, rows: Sequence[Mapping[Any, Any]]) -> Any:
        """CSR of rows, in which cells of keys that are left out are missing."""
        for row in rows:
            if not row.keys() <= self._known:
                raise _unknown(next(key for key in row if key not in self._known))
        ready = self._one.read(rows[0]) if len(rows) == 1 else None
        return self._encoded(rows) if ready is None else ready

    def _encoded(self, rows: Sequence[Mapping[Any, Any]]) -> Any:
        encoded = [
            read([row.get(key) for row in rows])
            for key, read in zip(self._keys, self._blocks, strict=True)
        ]
        return self.codec.matrix(encoded, np.float64)


def _cell_reader(block: Any) -> Callable[[list[Any]], Any]:
    """Return a function that encodes a list of cells as ``block`` does."""
    if isinstance(block, CategoryBlock) and block.kind in PYTHON_TYPES:
        return _CategoryReader(block)
    if isinstance(block, ScaleBlock):
        return _NumberReader(block)
    if isinstance(block, NestedBlock):
        return _NestedReader(block)
    return _SeriesReader(block)


class _SeriesReader:
    """Cells by way of pandas: right for all blocks, and slow."""

    def __init__(self, block: Any) -> None:
        self.block = block

    def __call__(self, cells: list[Any]) -> Encoded:
        (series,) = read_columns(object_array(cells)[:, None])
        encoded: Encoded = self.block.encode(self.block.read(series))
        return encoded


class _CategoryReader(_SeriesReader):
    """Categories that Python's equality tells apart: strings, numbers, booleans."""

    def __init__(self, block: CategoryBlock) -> None:
        super().__init__(block)
        self._columns = CategoryColumns(block)

    def __call__(self, cells: list[Any]) -> Encoded:
        columns = [self._columns.find(cell) for cell in cells]
        if None in columns:
            return super().__call__(cells)
        return Encoded(np.array(columns, np.int32))


class _NumberReader(_SeriesReader):
    """Numbers, standardised or as they are."""

    def __call__(self, cells: list[Any]) -> Encoded:
        numbers = _as_floats(cells)
        if numbers is None:
            return super().__call__(cells)
        encoded: Encoded = self.block.encode(numbers)
        return encoded


class _NestedReader(_SeriesReader):
    """Numbers as value, bins and, where they are integers that repeat, ids."""

    def __init__(self, block: NestedBlock) -> None:
        super().__init__(block)
        self._ids = None
        if block.id_field is not None:
            self._ids = _CategoryReader(block.id_field)

    def __call__(self, cells: list[Any]) -> Encoded:
        numbers = _as_floats(cells)
        if numbers is None:
            return super().__call__(cells)
        if self._ids is None:
            encoded: Encoded = self.block.encode_floats(numbers, None)
            return encoded
        if (np.abs(numbers) > LARGEST_EXACT).any():
            return super().__call__(cells)
        ids = self._ids([None if cell != cell else cell for cell in cells]).columns
        encoded = self.block.encode_floats(numbers, ids)
        return encoded


def _as_floats(cells: list[Any]) -> np.ndarray | None:
    """Convert cells to floats, missing ones to NaN; None if one is not finite."""
    if any(cell is not None and type(cell) not in (int, float) for cell in cells):
        return None
    try:
        numbers = np.array(cells, dtype=np.float64)  # None becomes NaN
    except OverflowError:
        return None
    return None if np.isinf(numbers).any() else numbers


def _unknown(key: Any) -> ValueError:
    return ValueError(f"A row has {key!r}, but the fit had no column of that name.")
