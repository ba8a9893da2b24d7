"""Rows in blocks, in the units of their columns."""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from ..data.rows import Rows
from ..data.scaling import ColumnMoments, ColumnScaling
from .block_writer import BlockWriter
from .blocks import BlockRows, Blocks
from .cache import Cache

__all__ = ["as_read", "block_moments"]

#: Entries of the blocks whose moments are computed at once, at least.
_ENTRIES = 1 << 21


def block_moments(blocks: Blocks, weight: np.ndarray) -> ColumnMoments | None:
    """Return the moments of the columns; None where all entries are one.

    Parameters
    ----------
    blocks : Blocks
    weight : ndarray of shape (n_rows,)
        Weights of the rows, by their numbers.

    Raises
    ------
    ValueError
        If the numbers of a column are too large for their squares.
    """
    if not blocks.n_values:
        return None
    moments: ColumnMoments | None = None
    for part in _parts(blocks, max(_ENTRIES, blocks.n_columns)):
        matrix = part.matrix(blocks.n_columns, blocks.dtype)
        own = ColumnMoments.of(matrix, weight[part.numbers])
        moments = own if moments is None else moments.added(own)
    return moments


def _parts(blocks: Blocks, n_entries: int) -> Iterator[BlockRows]:
    """Yield the rows of several blocks at a time: each takes time for all columns."""
    waiting: list[BlockRows] = []
    for number in range(len(blocks)):
        waiting.append(blocks.read(number))
        last = number == len(blocks) - 1
        if last or sum(len(rows.batch.columns) for rows in waiting) >= n_entries:
            yield BlockRows.join(waiting, blocks.dtype)
            waiting = []


def as_read(
    blocks: Blocks,
    scaling: ColumnScaling | None,
    mean_fields: np.ndarray | None,
    dtype: str,
    cache: Cache,
) -> Blocks:
    """Return blocks with the entries as a network reads them.

    Parameters
    ----------
    blocks : Blocks
        Entries in the user's units.
    scaling : ColumnScaling or None
        Units of the columns; None: they are one.
    mean_fields : ndarray of shape (n_columns,) or None
        Field of each column, if entries are averaged over those of the row.
    dtype : {"float32", "float64"}
        Type of the values.
    cache : Cache
        Place for temporary blocks.
    """
    if scaling is None and mean_fields is None and blocks.dtype == np.dtype(dtype):
        return blocks

    def write(writer: BlockWriter) -> None:
        for number in range(len(blocks)):
            block = blocks.read(number)
            matrix = block.matrix(blocks.n_columns, blocks.dtype)
            if scaling is not None:
                matrix = scaling.apply(matrix, dtype=dtype)
            rows = Rows(matrix, dtype, mean_fields)
            writer.add(BlockRows(rows.span(0, len(rows)), block.numbers))

    return cache.write(None, (blocks.n_rows, blocks.n_columns), dtype, write)
