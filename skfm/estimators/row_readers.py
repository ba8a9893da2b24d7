"""Single rows of a table, encoded cell by cell without arrays.

An array of one element takes longer to make than all else that a cell needs. Cells of
unforeseen types, and blocks of kinds that are rarely served, are left to the codec.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Callable, Hashable, Mapping, Sequence
from math import inf
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..data.bounds import examine
from ..data.csr import ReadyCSR
from ..encoding.blocks import ALMOST_ZERO, CLIP, ScaleBlock
from ..encoding.categories import CategoryBlock
from ..encoding.codec import TableCodec
from ..encoding.columns import LARGEST_EXACT
from ..encoding.crosses.fields import crossable_fields
from ..encoding.cuts import coarsen
from ..encoding.flags import FlagBlock
from ..encoding.nested import NestedBlock

__all__ = ["PYTHON_TYPES", "CategoryColumns", "RowReader"]

#: Types of the cells of each kind of category that a dict of Python can look up.
PYTHON_TYPES: dict[str, tuple[type, ...]] = {
    "strings": (str,),
    "numbers": (int, float),
    "booleans": (bool,),
}

#: Adds the columns of a cell's entries, counted from the first column of its block, and
#: their values to lists. Returns whether it can.
CellReader = Callable[[Any, int, list[int], list[float]], bool]


class CategoryColumns:
    """Columns of the categories that Python's equality tells apart.

    Parameters
    ----------
    block : CategoryBlock
        Block of a kind in `PYTHON_TYPES`.
    """

    def __init__(self, block: CategoryBlock) -> None:
        self._types = PYTHON_TYPES[block.kind]
        columns = block.encode(block.read(pd.Series(block.vocabulary))).columns
        self._columns = dict(
            zip(block.vocabulary.tolist(), columns.tolist(), strict=True)
        )
        self._unknown, self._missing = block.width - 2, block.width - 1

    def find(self, cell: Any) -> int | None:
        """Return the column of a cell, or None if pandas has to read the cell."""
        if type(cell) in self._types and _is_exact(cell):
            return self._columns.get(cell, self._unknown)
        return self._missing if cell is None else None

    def __call__(
        self, cell: Any, start: int, columns: list[int], values: list[float]
    ) -> bool:
        """Read a cell: see `CellReader`."""
        column = self.find(cell)
        if column is None:
            return False
        columns.append(start + column)
        values.append(1.0)
        return True


def _is_exact(cell: Any) -> bool:
    """Return whether a cell equals the same categories as in a column of pandas.

    Not so NaN, nor numbers of which float64 has no neighbours.
    """
    return isinstance(cell, str) or -LARGEST_EXACT <= cell <= LARGEST_EXACT


def _read_number(cell: Any) -> float | None:
    """Return a cell as a float, NaN if it is missing; None if it is no plain number."""
    if cell is None:
        return np.nan
    if type(cell) not in (int, float):
        return None
    try:
        number = float(cell)
    except OverflowError:
        return None
    return None if number in (inf, -inf) else number


class _Scale:
    """A number, standardised or as it is: see `ScaleBlock.encode`."""

    def __init__(self, block: ScaleBlock) -> None:
        self._mean, self._scale = float(block.mean), float(block.scale)

    def __call__(
        self, cell: Any, start: int, columns: list[int], values: list[float]
    ) -> bool:
        number = _read_number(cell)
        if number is None:
            return False
        missing = number != number
        columns.append(start + missing)
        scaled = (number - self._mean) / self._scale or ALMOST_ZERO
        values.append(1.0 if missing else scaled)
        return True


class _Nested:
    """A number as value, bins and ids: see `NestedBlock.encode_floats`."""

    def __init__(self, block: NestedBlock) -> None:
        widths = block.field_widths
        starts = dict(zip(widths, np.cumsum([0, *widths.values()]), strict=False))
        self._coarse_start, self._fine_start, self._ids_start = (
            int(starts.get(part, 0)) for part in ("<coarse>", "<fine>", "<values>")
        )
        self._mean, self._scale = float(block.value.mean), float(block.value.scale)
        self._edges = block.edges.tolist()
        coarse = coarsen(block.edges, block.coarse).tolist()
        self._coarse = [*coarse, len(block.coarse) + 1]
        self._ids = None
        if block.id_field is not None:
            self._ids = CategoryColumns(block.id_field)

    def __call__(
        self, cell: Any, start: int, columns: list[int], values: list[float]
    ) -> bool:
        number = _read_number(cell)
        if number is None or (self._ids and abs(number) > LARGEST_EXACT):
            return False
        missing = number != number
        value = max(-CLIP, min(CLIP, (number - self._mean) / self._scale))
        columns.append(start)
        values.append(ALMOST_ZERO if missing or value == 0 else value)
        edges = self._edges
        fine = len(edges) + 1 if missing else bisect_left(edges, number)
        if self._coarse_start:
            columns.append(start + self._coarse_start + self._coarse[fine])
            values.append(1.0)
        columns.append(start + self._fine_start + fine)
        values.append(1.0)
        if self._ids is not None:
            known = self._ids(
                None if missing else cell, start + self._ids_start, columns, values
            )
            return known
        return True


class _Flag:
    """A truth value, or a number that was 0 or 1 in training: see `encode_flags`."""

    def __init__(self, block: FlagBlock | NestedBlock) -> None:
        self._booleans = isinstance(block, FlagBlock)
        self._has_missing = block.has_missing

    def __call__(
        self, cell: Any, start: int, columns: list[int], values: list[float]
    ) -> bool:
        if self._booleans:
            number = float(cell) if type(cell) is bool else None
            number = np.nan if cell is None else number
        else:
            number = _read_number(cell)
        if number is None:
            return False
        missing = number != number
        if missing and self._has_missing:
            columns.append(start + 1)
            values.append(1.0)
        elif not missing and number != 0:
            columns.append(start)
            values.append(number)
        return True


def _cell_reader(block: Any) -> CellReader | None:
    """Return the reader of a block's cells; None if there is none of its kind."""
    if isinstance(block, CategoryBlock) and block.kind in PYTHON_TYPES:
        return CategoryColumns(block)
    if isinstance(block, ScaleBlock):
        return _Scale(block)
    if _is_flag(block) and isinstance(block, FlagBlock | NestedBlock):
        return _Flag(block)
    if isinstance(block, NestedBlock):
        ids = block.id_field
        plain = ids is None or ids.kind in PYTHON_TYPES
        return _Nested(block) if plain else None
    return None


def _is_flag(block: Any) -> bool:
    return bool(getattr(block, "is_flag", False))


class _Place(NamedTuple):
    """Place of a field's level among the entries of its block."""

    block: int
    position: int
    start: int  # of the field, in the matrix
    is_flag: bool

    def level(self, columns: list[int], bounds: list[int]) -> int:
        """Return the level, given all columns and where those of each block start."""
        first = bounds[self.block]
        if self.is_flag:
            found = bounds[self.block + 1] > first
            return columns[first] - self.start + 1 if found else 0
        return columns[first + self.position] - self.start


class RowReader:
    """Reads dicts as the columns of a codec's matrix, one at a time.

    Parameters
    ----------
    codec : TableCodec
    keys : sequence of hashable
        Keys of the cells of each block.
    """

    def __init__(self, codec: TableCodec, keys: Sequence[Hashable]) -> None:
        blocks = codec.blocks
        readers = [_cell_reader(block) for block in blocks]
        self._readers = [r for r in readers if r is not None]
        self._able = len(self._readers) == len(blocks)
        self._shared = bool(codec.shared.groups)
        self._keys = list(keys)
        self._starts, self._n_columns = codec.starts, sum(codec.widths)
        self._crosses = codec.crosses.items
        starts = self._starts
        self._places = [
            _Place(
                f.block,
                f.position,
                starts[f.block] + f.start,
                _is_flag(blocks[f.block]),
            )
            for f in crossable_fields(blocks)
        ]

    def read(self, row: Mapping[Any, Any]) -> ReadyCSR | None:
        """Return the matrix of a row, whose keys are known; None if it can't."""
        if not self._able:
            return None
        columns: list[int] = []
        values: list[float] = []
        bounds = [0]
        for key, reader, start in zip(
            self._keys, self._readers, self._starts, strict=False
        ):
            if not reader(row.get(key), start, columns, values):
                return None
            bounds.append(len(columns))
        starts = self._starts[len(self._readers) :]
        for cross, start in zip(self._crosses, starts, strict=False):
            places = (self._places[number] for number in cross.fields)
            codes = [place.level(columns, bounds) for place in places]
            columns.append(start + cross.encode_one(codes))
            values.append(1.0)
        if self._shared:
            columns, values = _added(columns, values)
        return self._matrix(columns, values)

    def _matrix(self, columns: list[int], values: list[float]) -> ReadyCSR | None:
        data, indices = np.array(values), np.array(columns, np.int32)
        indptr, n_columns = np.array([0, len(columns)]), self._n_columns
        # A codec out of a file may contradict itself, and kernels do not check.
        found = examine(data, indices, indptr, n_columns)
        if not found.canonical:
            return None
        return ReadyCSR(data, indices, indptr, (1, n_columns), found.unit)


def _added(columns: list[int], values: list[float]) -> tuple[list[int], list[float]]:
    """Return entries in order, of which those in one column are added."""
    added: dict[int, float] = {}
    for column, value in zip(columns, values, strict=True):
        added[column] = added.get(column, 0.0) + value
    in_order = sorted(added)
    return in_order, [added[column] for column in in_order]
