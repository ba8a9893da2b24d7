"""The data by column, in the order in which the sampler draws them.

Columns that share no row are drawn at once, exactly. A field whose columns share none
(one-hot) is one stage. Of any other field, the columns are coloured greedily so that
those of one colour share no row, and a colour is a stage; stages too small to be worth
a thread are drawn one column after the other in one call. Columns of more than `CHUNK`
rows are cut into chunks of rows, drawn by several threads; in a field that is not
one-hot each has a stage of its own.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np

from . import layout_kernels as kernels
from .problem import Problem
from .rows import MergedRows

#: Rows of a chunk: columns with more are cut.
CHUNK = 1024
#: Rows, about, of the columns that make a task.
TASK = 4096
#: A stage of fewer entries is not shared among threads.
SMALL = 4 * TASK


@dataclass(frozen=True)
class Columns:
    """Columns that have entries, as compressed sparse columns in drawing order.

    Attributes
    ----------
    ids : ndarray of shape (n_seen,), int64
        Number of each column in X.
    bounds : ndarray of shape (n_seen + 1,), int64
        Bounds of each column's part of ``rows``.
    rows : ndarray of shape (nnz,), int32
        Merged rows, ascending within a column.
    values : ndarray, float32
        Values divided by the column's scale, of columns whose quotients are not all 1.
    value_starts : ndarray of shape (n_seen,), int64
        Start of each column's part of ``values``; -1 for columns of ones.
    scales : ndarray of shape (n_columns,), float64
        Root mean square of each column's non-zero values; 1 for empty columns.
    """

    ids: np.ndarray
    bounds: np.ndarray
    rows: np.ndarray
    values: np.ndarray
    value_starts: np.ndarray
    scales: np.ndarray

    def arrays(self) -> tuple[np.ndarray, ...]:
        """Return the arrays as the kernels take them."""
        return self.ids, self.bounds, self.rows, self.values, self.value_starts


@dataclass(frozen=True)
class Stage:
    """Columns that are drawn together.

    Attributes
    ----------
    tasks : ndarray of shape (n_tasks, 2), int64
        Ranges of positions of short columns.
    chunks : ndarray of shape (n_chunks, 3), int64
        Chunks of long columns: index in ``long``, and range of `Columns.rows`.
    long : ndarray of shape (n_long, 3), int64
        Position and range of chunks of each long column.
    parallel : bool
        Whether the columns share no row; otherwise tasks run one after the other.
    """

    tasks: np.ndarray
    chunks: np.ndarray
    long: np.ndarray
    parallel: bool


@dataclass(frozen=True)
class FieldLayout:
    """The stages of a field, and its range of positions.

    Attributes
    ----------
    start, stop : int
    stages : tuple of Stage
    disjoint : bool
        Whether the field's columns share no row.
    """

    start: int
    stop: int
    stages: tuple[Stage, ...]
    disjoint: bool


@dataclass(frozen=True)
class Layout:
    """Columns and fields, and the mean number of entries in a row.

    Attributes
    ----------
    columns : Columns
    fields : tuple of FieldLayout
    entries : float
        Weighted mean number of non-zeros of a row.
    """

    columns: Columns
    fields: tuple[FieldLayout, ...]
    entries: float


def lay_out(problem: Problem, merged: MergedRows) -> Layout:
    """Arrange the entries of merged rows by column."""
    X = problem.csr
    data = X.indptr, X.indices, X.data, merged.first
    counts, squares, masses = kernels.count(*data, merged.weight, problem.n_columns)
    scales = np.ones(problem.n_columns)
    seen = counts > 0
    scales[seen] = np.sqrt(squares[seen] / masses[seen])
    fields = problem.field_of_columns()
    ids = np.flatnonzero(seen)
    ids = ids[np.argsort(fields[ids], kind="stable")]
    bounds = np.concatenate([[0], np.cumsum(counts[ids])])
    rows, values = kernels.fill(*data, ids, bounds, scales)
    field_bounds = np.searchsorted(fields[ids], np.arange(problem.n_fields + 1))
    stages, order = _stages(rows, bounds, field_bounds, merged.n_rows)
    bounds, rows, values, value_starts = kernels.arrange(bounds, rows, values, order)
    columns = Columns(ids[order], bounds, rows, values, value_starts, scales)
    layouts = tuple(
        FieldLayout(
            int(field_bounds[g]), int(field_bounds[g + 1]), *_cut(bounds, parts)
        )
        for g, parts in enumerate(stages)
    )
    mass = merged.weight.sum(dtype=np.float64)
    return Layout(columns, layouts, float(masses[seen].sum() / mass))


def _stages(
    rows: np.ndarray, bounds: np.ndarray, field_bounds: np.ndarray, n_rows: int
) -> tuple[list[tuple[bool, np.ndarray]], np.ndarray]:
    """Find which fields are disjoint, the bounds of their stages, and the order."""
    order = np.arange(len(bounds) - 1)
    marks = np.zeros(n_rows, np.uint64)
    stages = []
    for start, stop in itertools.pairwise(field_bounds):
        if kernels.disjoint(rows, bounds, start, stop, marks):
            stages.append((True, np.array([start, stop])))
            continue
        colours = kernels.colour(rows, bounds, start, stop, marks, CHUNK)
        order[start:stop] = start + np.argsort(colours, kind="stable")
        used = np.flatnonzero(np.bincount(colours))
        ends = start + np.cumsum(np.bincount(colours)[used])
        stages.append((False, np.concatenate([[start], ends])))
    return stages, order


def _cut(
    bounds: np.ndarray, parts: tuple[bool, np.ndarray]
) -> tuple[tuple[Stage, ...], bool]:
    """Cut a field, given the bounds of its colours, into stages."""
    disjoint, ends = parts
    if disjoint:
        whole = _stage(bounds, ends[0], ends[1], True)
        return (whole,) if ends[1] > ends[0] else (), True
    sizes = bounds[ends[1:]] - bounds[ends[:-1]]
    stages = []
    run = int(ends[0])
    for i in np.flatnonzero(sizes >= SMALL):
        if ends[i] > run:
            stages.append(_stage(bounds, run, ends[i], False))
        run = int(ends[i + 1])
        stages.append(_stage(bounds, ends[i], run, True))
    if ends[-1] > run:
        stages.append(_stage(bounds, run, ends[-1], False))
    return tuple(stages), False


def _stage(bounds: np.ndarray, start: int, stop: int, parallel: bool) -> Stage:
    # One thread takes all of a column anyway where stages are small.
    chunk = CHUNK if parallel else SMALL
    tasks, chunks, long = kernels.tasks(bounds, start, stop, chunk, TASK)
    return Stage(tasks, chunks, long, parallel)
