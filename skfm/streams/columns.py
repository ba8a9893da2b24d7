"""Arrow tables as codecs learn and encode them.

Strings stay in Arrow, where they are numbered without a Python object for each cell.
"""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd

from ..encoding.blocks import Block, Encoded
from ..encoding.categories import CategoryBlock
from ..encoding.codec import TableCodec
from ..encoding.merged_blocks import merge, n_categories, settle
from ..encoding.merging import Part, learn_cells
from ..encoding.tables import read_columns

__all__ = ["TableEncoder", "first_cells", "learn_table", "values_of"]


@dataclass
class Words:
    """The categories of a column of strings in some rows.

    Attributes
    ----------
    block : CategoryBlock
        Block of the column, which has learnt nothing.
    values : pyarrow.LargeStringArray
        Distinct values.
    counts : ndarray of int64
        Rows that hold each.
    """

    block: CategoryBlock
    values: Any
    counts: np.ndarray

    @property
    def name(self) -> str:
        """The column's name."""
        return self.block.name


@merge.register
def _(words: Words, other: Words) -> None:
    import pyarrow as pa

    both = pa.concat_arrays([words.values, other.values]).dictionary_encode()
    counts = np.concatenate([words.counts, other.counts])
    sums = np.bincount(both.indices.to_numpy(), counts, len(both.dictionary))
    words.values, words.counts = both.dictionary, sums.astype(np.int64)


@settle.register
def _(words: Words) -> Block:
    block = words.block
    if len(words.values):
        block.kind = "strings"
        block.vocabulary = words.values.to_numpy(zero_copy_only=False)
        block.counts = words.counts
    return settle(block)


@n_categories.register
def _(words: Words) -> int:
    return len(words.values)


def learn_table(codec: TableCodec, table: Any, start: int) -> Part:
    """Learn consecutive rows of an Arrow table.

    Parameters
    ----------
    codec : TableCodec
        Codec that has learnt nothing.
    table : pyarrow.Table
    start : int
        Number of the first row in the whole table.

    Raises
    ------
    ValueError, TypeError
        If a column cannot be encoded.
    """
    learnt: list[tuple[Any, Any]] = []
    for block, column in zip(codec.blocks, table.columns, strict=True):
        if isinstance(block, CategoryBlock) and _is_string(column.type):
            learnt.append((_learn_words(block, column), None))
        else:
            learnt.append(learn_cells(block, block.read(_series(column)), start))
    return Part.of(learnt, table.num_rows, codec.shared)


def _learn_words(block: CategoryBlock, column: Any) -> Words:
    import pyarrow as pa

    none = pa.array([], pa.large_string())
    words = Words(copy.deepcopy(block), none, np.empty(0, np.int64))
    for codes, values in _numbered(column):
        counts = np.bincount(codes + 1, minlength=len(values) + 1)[1:]
        # A file may store words that other rows have.
        used = counts > 0
        held = values.filter(pa.array(used)).cast(none.type)
        merge(words, Words(block, held, counts[used]))
    return words


class TableEncoder:
    """Encodes Arrow tables by a codec.

    Parameters
    ----------
    codec : TableCodec
    """

    def __init__(self, codec: TableCodec) -> None:
        self.codec = codec
        self._vocabularies = [_vocabulary(block) for block in codec.blocks]
        #: The last words of each column that were looked up, and their columns.
        self._known: list[tuple[Any, Any]] = [(None, None)] * len(codec.blocks)

    def encode(self, table: Any) -> list[Encoded]:
        """Return the rows of a table, encoded.

        Raises
        ------
        ValueError, TypeError
            If a column holds other types than those learnt.
        """
        columns = zip(self.codec.blocks, table.columns, strict=True)
        return [self._encode(number, *pair) for number, pair in enumerate(columns)]

    def _encode(self, number: int, block: Block, column: Any) -> Encoded:
        if self._vocabularies[number] is None or not _is_string(column.type):
            return block.encode(block.read(_series(column)))
        assert isinstance(block, CategoryBlock)
        parts = [
            self._look_up(number, block, values)[codes]
            for codes, values in _numbered(column)
        ]
        return Encoded(np.concatenate(parts))

    def _look_up(self, number: int, block: CategoryBlock, values: Any) -> np.ndarray:
        """Return the column of each of some distinct strings."""
        import pyarrow.compute as pc

        # All rows of a group of a Parquet file have the same words.
        words, table = self._known[number]
        if words is None or _place(words) != _place(values):
            known = self._vocabularies[number]
            found = pc.index_in(values.cast(known.type), value_set=known)
            places = found.fill_null(-1).to_numpy()
            # Code -1, a missing cell, reads the last element.
            table = np.append(block.columns_at(places), np.int32(block.width - 1))
            self._known[number] = values, table
        return table


def _place(values: Any) -> list[Any]:
    """Return where an array is in memory."""
    return [values.offset, len(values), *(b and b.address for b in values.buffers())]


def _vocabulary(block: Block) -> Any:
    """Return the categories of a block in Arrow; None unless they are strings."""
    import pyarrow as pa

    if not isinstance(block, CategoryBlock) or block.kind != "strings":
        return None
    return pa.array(block.vocabulary, pa.large_string())


def _numbered(column: Any) -> Iterator[tuple[np.ndarray, Any]]:
    """Number the strings of a column.

    Yields
    ------
    codes : ndarray of int
        Code of each of the next cells, -1 where it is missing.
    values : pyarrow.Array of strings
        The string of each code; some may have no cell.
    """
    import pyarrow as pa

    words = pa.large_string()
    if not _is_numbered(column):
        strings = pa.concat_arrays(column.cast(words).chunks)
        column = pa.chunked_array([strings.dictionary_encode()])
    for part in column.chunks:
        codes = part.indices
        if codes.type != pa.int32():
            codes = codes.cast(pa.int64())
        yield codes.fill_null(-1).to_numpy(), part.dictionary


def _is_numbered(column: Any) -> bool:
    """Return whether a column has codes for its strings, -1 where it says so."""
    import pyarrow as pa

    return pa.types.is_dictionary(column.type) and not any(
        part.dictionary.null_count for part in column.chunks
    )


def _is_string(kind: Any) -> bool:
    import pyarrow as pa

    if pa.types.is_dictionary(kind):
        kind = kind.value_type
    return bool(
        pa.types.is_string(kind)
        or pa.types.is_large_string(kind)
        or pa.types.is_string_view(kind)
    )


def first_cells(table: Any) -> list[pd.Series]:
    """Return cells of each column of a table that tell what the column holds."""
    return [
        _series(column.slice(0, 1) if _is_string(column.type) else column)
        for column in table.columns
    ]


def _series(column: Any) -> pd.Series:
    import pyarrow as pa

    if _is_string(column.type):
        column = column.cast(pa.large_string())
    (series,) = read_columns(pa.table([column], ["x"]))
    return series


def values_of(table: Any, name: str) -> np.ndarray:
    """Return a column of targets or weights as an array.

    Raises
    ------
    ValueError
        If a value is missing.
    """
    column = table.column(name)
    if column.null_count:
        row = int(np.argmax(column.is_null().to_numpy()))
        raise ValueError(f"Column {name!r} is missing in row {row}. Drop such rows.")
    if _is_string(column.type):
        parts = [
            values.to_numpy(zero_copy_only=False)[codes]
            for codes, values in _numbered(column)
        ]
        return np.concatenate(parts)
    series = _series(column)
    return series.to_numpy(dtype=getattr(series.dtype, "numpy_dtype", None))
