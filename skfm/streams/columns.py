"""Arrow tables as codecs learn and encode them.

Strings stay in Arrow, where they are numbered without a Python object for each cell.
"""

from __future__ import annotations

import copy
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
    codes, values = _numbered(column)
    counts = np.bincount(codes + 1, minlength=len(values) + 1)[1:]
    return Words(copy.deepcopy(block), values, counts)


class TableEncoder:
    """Encodes Arrow tables by a codec.

    Parameters
    ----------
    codec : TableCodec
    """

    def __init__(self, codec: TableCodec) -> None:
        self.codec = codec
        self._vocabularies = [_vocabulary(block) for block in codec.blocks]

    def encode(self, table: Any) -> list[Encoded]:
        """Return the rows of a table, encoded.

        Raises
        ------
        ValueError, TypeError
            If a column holds other types than those learnt.
        """
        columns = zip(self.codec.blocks, self._vocabularies, table.columns, strict=True)
        return [self._encode(*column) for column in columns]

    def _encode(self, block: Block, vocabulary: Any, column: Any) -> Encoded:
        import pyarrow.compute as pc

        if vocabulary is None or not _is_string(column.type):
            return block.encode(block.read(_series(column)))
        assert isinstance(block, CategoryBlock)
        codes, values = _numbered(column)
        found = pc.index_in(values, value_set=vocabulary).fill_null(-1).to_numpy()
        # Code -1, a missing cell, reads the last element.
        table = np.append(block.columns_at(found), np.int32(block.width - 1))
        return Encoded(table[codes])


def _vocabulary(block: Block) -> Any:
    """Return the categories of a block in Arrow; None unless they are strings."""
    import pyarrow as pa

    if not isinstance(block, CategoryBlock) or block.kind != "strings":
        return None
    return pa.array(block.vocabulary, pa.large_string())


def _numbered(column: Any) -> tuple[np.ndarray, Any]:
    """Return a code for each cell, -1 where it is missing, and the distinct strings."""
    import pyarrow as pa

    strings = pa.concat_arrays(column.cast(pa.large_string()).chunks)
    encoded = strings.dictionary_encode()
    return encoded.indices.fill_null(-1).to_numpy(), encoded.dictionary


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
        codes, values = _numbered(column)
        words: np.ndarray = values.to_numpy(zero_copy_only=False)[codes]
        return words
    series = _series(column)
    return series.to_numpy(dtype=getattr(series.dtype, "numpy_dtype", None))
