"""Sums of gradients over lanes, and their way to the workers that own the columns."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from ..distributed.communicator import Communicator
from ..distributed.lanes import Lanes
from ..runtime.threads import parallel_for
from . import lane_kernels
from .gradients import RowGradient
from .grouping import group_by_column

__all__ = ["FoundSums", "own_sums", "send_sums"]


def own_sums(
    gradient: RowGradient,
    share: np.ndarray,
    lanes: Lanes,
    of_row: np.ndarray,
    width: int,
    *,
    in_order: bool = False,
) -> tuple[np.ndarray, np.ndarray]:
    """Sum a worker's gradients over each of its stems.

    Parameters
    ----------
    gradient : RowGradient
        Gradient of an excerpt's table.
    share : ndarray of shape (B,) or (0,)
        Shares of the rows, if their sums by column are wanted.
    lanes : Lanes
        The worker's lanes.
    of_row : ndarray of int32 of shape (B,)
        Lane of each row.
    width : int
        Numbers of a row of the result.
    in_order : bool, default=False
        Whether the table is a whole one, and the result has the distinct columns in
        their order, instead of all columns of the excerpt.

    Returns
    -------
    rows : ndarray of shape (n_columns * n_stems, width)
        Sums of each column over each stem; undefined where there are none.
    present : ndarray of bool of shape (n_columns, n_stems)
        Whether there is a sum.
    """
    table, parts = gradient.table, gradient.parts()
    distinct, bounds, _, entries = parts[:4]
    starts, firsts = lane_kernels.segments(bounds, entries, of_row)
    runs = (np.repeat(distinct, np.diff(firsts)), starts, *parts[2:])
    places = np.arange(len(distinct), dtype=np.int32) if in_order else distinct
    present = np.zeros((len(distinct), len(lanes.stems)), np.uint8)
    rows = np.empty((present.size, width), table.numpy_dtype)
    parallel_for(
        lane_kernels.reduce_by_lane,
        len(distinct),
        gradient.n_threads,
        table.host,
        runs,
        firsts,
        places,
        share,
        of_row,
        lanes.stem_of_lane()[of_row],
        rows,
        present,
    )
    return rows, present.view(bool)


@dataclass(slots=True)
class FoundSums:
    """Sums over stems that all workers have sent to one.

    Attributes
    ----------
    columns : list of ndarray of int
        For each worker, the position of the column of each sum among those that it has
        fetched.
    lanes : ndarray of int32 of shape (n,)
        First lane of each stem.
    rows : ndarray of shape (n, width)
        The sums. Those of a column are in ascending order of lanes.
    """

    columns: list[np.ndarray]
    lanes: np.ndarray
    rows: np.ndarray

    def add_up(
        self, columns: np.ndarray, n_columns: int, width: int, n_threads: int
    ) -> tuple[np.ndarray, np.ndarray]:
        """Return the distinct columns (U,), and the sums over all lanes, (U, width).

        Parameters
        ----------
        columns : ndarray of int32 of shape (n,)
            Column of each sum.
        n_columns : int
            Number that all of them are below.
        width : int
            Numbers of a row of the result; further ones are zero.
        n_threads : int
        """
        each = np.arange(len(columns) + 1)
        order, _, distinct, bounds = group_by_column(each, columns, n_columns, True)
        out = np.zeros((len(distinct), width), self.rows.dtype)
        where = self.rows, self.lanes, order, bounds, out
        parallel_for(lane_kernels.add_stems, len(distinct), n_threads, *where)
        return distinct, out


def send_sums(
    communicator: Communicator,
    rows: np.ndarray,
    present: np.ndarray,
    sent: np.ndarray,
    received: np.ndarray,
) -> FoundSums:
    """Send sums to the owners of their columns; all workers call this.

    Parameters
    ----------
    communicator : Communicator
    rows, present : ndarray
        Result of `own_sums`, with the columns sorted by owner.
    sent, received : ndarray of int
        Number of columns for each worker, and from each.
    """
    stems = [Lanes(rank, communicator.size).stems for rank in range(communicator.size)]
    n_stems = np.array([len(of_worker) for of_worker in stems])
    if n_stems.max() == 1:
        # Each column that was fetched has a sum.
        columns = [np.arange(n) for n in received]
        lanes = np.repeat(np.array(stems, np.int32)[:, 0], received)
        return FoundSums(columns, lanes, communicator.exchange(rows, sent, received))
    sizes = sent * present.shape[1], received * n_stems
    flags = communicator.exchange(present.ravel(), *sizes)
    to, found = (
        np.split(part, np.cumsum(size)[:-1])
        for part, size in zip((present.ravel(), flags), sizes, strict=True)
    )
    counts = [np.array([int(part.sum()) for part in parts]) for parts in (to, found)]
    rows = communicator.exchange(rows[present.ravel()], *counts)
    places = [np.flatnonzero(part) for part in found]
    columns = [at // n for at, n in zip(places, n_stems, strict=True)]
    firsts = [
        np.array(of_worker, np.int32)[at % len(of_worker)]
        for of_worker, at in zip(stems, places, strict=True)
    ]
    return FoundSums(columns, np.concatenate(firsts), rows)
