"""Draws of rows whose columns are independent, from what a fit keeps of its rows."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import replace
from typing import Any, Protocol

import numpy as np
import scipy.sparse as sp

from ..data.drawing import draw_rows
from ..data.statistics import ColumnStatistics
from ..encoding.blocks import Block, Encoded
from ..encoding.codec import TableCodec
from ..encoding.dates import DateBlock
from ..encoding.multi_valued import MultiValuedBlock
from ..encoding.nested import NestedBlock


class Draws(Protocol):
    """Two draws of the same number of rows, whose parts can be exchanged."""

    def mixed(self, exchanged: Collection[int] = ()) -> Any:
        """Return the first draw as the network reads it, with parts of the second."""


class MatrixDraws:
    """Two draws of rows of the matrix that a model was fitted on.

    Parameters
    ----------
    statistics : ColumnStatistics
        Statistics of the columns.
    parts : ndarray of int of shape (n_columns,)
        The part of each column. The columns of a part with at most one entry a row on
        average exclude each other.
    n_rows : int
        Number of rows of each draw.
    """

    def __init__(
        self, statistics: ColumnStatistics, parts: np.ndarray, n_rows: int
    ) -> None:
        self._parts = parts
        both = [draw_rows(statistics, parts, n_rows, seed) for seed in (0, 1)]
        self._both = sp.hstack(both, format="csc")

    def mixed(self, exchanged: Collection[int] = ()) -> Any:
        n_columns = len(self._parts)
        second = np.isin(self._parts, list(exchanged))
        return self._both[:, np.arange(n_columns) + n_columns * second].tocsr()


class TableDraws:
    """Two draws of the cells of the table that a model was fitted on, encoded.

    A part is a column of the table. Crosses are those of the drawn cells.

    Parameters
    ----------
    codec : TableCodec
        Encoding of the table.
    statistics : ColumnStatistics
        Statistics of the columns of the matrix.
    n_rows : int
        Number of rows of each draw.
    """

    def __init__(
        self, codec: TableCodec, statistics: ColumnStatistics, n_rows: int
    ) -> None:
        self._codec = codec
        blocks = [
            (block, _part(statistics, start, start + block.width))
            for block, start in zip(codec.blocks, codec.starts, strict=False)
        ]
        for group in codec.shared.groups:
            for number in group:
                block, part = blocks[number]
                blocks[number] = block, _share(block, part, len(group))
        self._first, self._second = (
            [
                draw_cells(block, part, n_rows, [seed, number])
                for number, (block, part) in enumerate(blocks)
            ]
            for seed in (0, 1)
        )

    def mixed(self, exchanged: Collection[int] = ()) -> Any:
        cells = list(self._first)
        for part in exchanged:
            cells[part] = self._second[part]
        return self._codec.matrix(cells, np.float64)


def _part(statistics: ColumnStatistics, start: int, stop: int) -> ColumnStatistics:
    """Return the statistics of some consecutive columns."""
    sums, squares = (
        None if moment is None else moment[start:stop]
        for moment in (statistics.sums, statistics.squares)
    )
    counts = statistics.counts[start:stop]
    return ColumnStatistics(statistics.n_rows, counts, sums, squares)


def _share(block: Block, part: ColumnStatistics, n_columns: int) -> ColumnStatistics:
    """Return the statistics of one of several columns with the same categories.

    It is not known which entries were whose: all columns have the same frequencies.
    """
    if isinstance(block, MultiValuedBlock):
        return replace(part, n_rows=part.n_rows * n_columns)
    # Each cell has an entry of one; the sums of two are no values of a cell.
    return ColumnStatistics(int(part.counts.sum()), part.counts)


def draw_cells(
    block: Block, statistics: ColumnStatistics, n_rows: int, seed: Sequence[int]
) -> Encoded:
    """Draw encoded cells of a column of a table.

    Parameters
    ----------
    block : Block
        Block of the column.
    statistics : ColumnStatistics
        Statistics of the columns of the block.
    n_rows : int
        Number of cells to draw.
    seed : sequence of int
        Seed of the generator.

    Returns
    -------
    Encoded
        All fields of a number are those of one number. The parts of a date are
        independent of each other, and so are the items of a cell.
    """
    if isinstance(block, DateBlock):
        return _draw_date(block, statistics, n_rows, seed)
    if isinstance(block, NestedBlock) and not block.is_flag:
        finest = list(block.field_widths.values())[-1]
        last = _part(statistics, block.width - finest, block.width)
        return block.encode_levels(_draw_field(last, n_rows, seed))
    if isinstance(block, MultiValuedBlock):
        return _draw_bags(block, statistics, n_rows, seed)
    drawn = draw_rows(statistics, np.zeros(block.width, np.int64), n_rows, seed)
    values = None if statistics.sums is None else drawn.data
    if statistics.counts.sum() == statistics.n_rows and drawn.nnz == n_rows:
        return Encoded(drawn.indices, values)
    return Encoded(drawn.indices, values, np.diff(drawn.indptr))


def _draw_field(
    statistics: ColumnStatistics, n_rows: int, seed: Sequence[int]
) -> np.ndarray:
    """Draw the column of a field that has one entry in each row."""
    ends = np.cumsum(statistics.counts)
    drawn = np.random.default_rng(seed).integers(ends[-1], size=n_rows)
    return np.searchsorted(ends, drawn, side="right")


def _draw_bags(
    block: MultiValuedBlock,
    statistics: ColumnStatistics,
    n_rows: int,
    seed: Sequence[int],
) -> Encoded:
    """Draw cells of several items, of which none is in a missing cell."""
    absent = block.missing_column
    n_missing = statistics.counts[absent]
    share = n_missing / statistics.n_rows
    missing = np.random.default_rng([*seed, 0]).random(n_rows) < share
    items = ColumnStatistics(
        max(1, statistics.n_rows - int(n_missing)),
        np.where(np.arange(block.width) == absent, 0, statistics.counts),
        statistics.sums,
        statistics.squares,
    )
    held = draw_rows(items, np.arange(block.width), n_rows, [*seed, 1])
    mark = sp.csr_array(
        (
            np.ones(missing.sum()),
            (np.flatnonzero(missing), np.full(missing.sum(), absent)),
        ),
        shape=held.shape,
    )
    drawn = sp.csr_array(held.multiply(~missing[:, None]) + mark)
    drawn.sort_indices()
    return Encoded(drawn.indices, drawn.data, np.diff(drawn.indptr))


def _draw_date(
    block: DateBlock, statistics: ColumnStatistics, n_rows: int, seed: Sequence[int]
) -> Encoded:
    columns, values, start = [], None, 0
    for number, part in enumerate(block.parts_with_columns):
        own = _part(statistics, start, start + part.width)
        drawn = draw_cells(part, own, n_rows, [*seed, number])
        columns.append(drawn.columns.reshape(n_rows, -1) + start)
        values = drawn.values if isinstance(part, NestedBlock) else values
        start += part.width
    together = np.hstack(columns)
    return Encoded(together.ravel(), values, per_row=together.shape[1])
