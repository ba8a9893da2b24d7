"""Draws of rows whose columns are independent, from what a fit keeps of its rows."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import scipy.sparse as sp

from ..data.drawing import draw_rows
from ..data.statistics import ColumnStatistics
from ..encoding.blocks import Block, Encoded
from ..encoding.dates import DateBlock
from ..encoding.multi_valued import MultiValuedBlock
from ..encoding.nested import NestedBlock


class MatrixDraws:
    """Draws of the columns of the matrix that a model was fitted on.

    Parameters
    ----------
    model : estimator
        Fitted.
    """

    def __init__(self, model: Any) -> None:
        self._statistics = model._column_statistics

    def draw(self, n_rows: int, seed: int) -> list[Any]:
        """Draw each column, as a matrix of one column."""
        own = np.arange(len(self._statistics.counts))
        drawn = draw_rows(self._statistics, own, n_rows, seed).tocsc()
        return [drawn[:, [j]] for j in own]

    def matrix(self, columns: Sequence[Any]) -> Any:
        """Join the columns."""
        return sp.hstack(columns, format="csr")


class TableDraws:
    """Draws of the columns of the table that a model was fitted on, encoded.

    Parameters
    ----------
    model : estimator
        Fitted on a table.
    """

    def __init__(self, model: Any) -> None:
        self._codec, self._statistics = model._codec, model._column_statistics

    def draw(self, n_rows: int, seed: int) -> list[Encoded]:
        """Draw each column of the table."""
        start, drawn = 0, []
        for number, block in enumerate(self._codec.blocks):
            part = _part(self._statistics, start, start + block.width)
            drawn.append(draw_cells(block, part, n_rows, [seed, number]))
            start += block.width
        return drawn

    def matrix(self, encoded: Sequence[Encoded]) -> Any:
        """Assemble the matrix, with the crosses of the drawn cells."""
        return self._codec.matrix(encoded, np.float64)


def _part(statistics: ColumnStatistics, start: int, stop: int) -> ColumnStatistics:
    """Return the statistics of some consecutive columns."""
    sums, squares = (
        None if moment is None else moment[start:stop]
        for moment in (statistics.sums, statistics.squares)
    )
    counts = statistics.counts[start:stop]
    return ColumnStatistics(statistics.n_rows, counts, sums, squares)


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
