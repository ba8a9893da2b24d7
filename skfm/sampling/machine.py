"""One factorization machine of one chain: its parameters and its rows' residuals."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from ..runtime.threads import parallel_for
from . import machine_kernels as kernels
from . import overlaps, sweeps
from .columns import width_of
from .data import Data
from .layout import FieldLayout, Stage
from .octets import LANES
from .priors import draw_hyper, sum_moments
from .random import INTERCEPT, normal, stream
from .room import Room, aligned_zeros
from .scales import draw_scales

#: Standard deviation of the factors that a chain starts from.
_START = 0.1


class Machine:
    """Parameters of a factorization machine, drawn by blocked Gibbs sampling.

    Parameters
    ----------
    data : Data
    seed : uint64
        Seed of this machine's random numbers.
    n_threads : int
        Threads that draw the columns of a stage.

    Attributes
    ----------
    table : ndarray of shape (n_columns, width + 8), float32
        Row of each column: factors, zeros up to the width, weight, zeros; in units
        of the column's scale.
    intercept : float
    hyper : ndarray of shape (n_fields, 3, n_factors + 1)
        Means, precisions and standard deviations of the fields.
    sums : ndarray of shape (n_rows, width), float32
        Sum of x v over a row's entries.
    working : ndarray of shape (n_rows,), float32
        Target of the linear regression that the likelihood amounts to.
    residual : ndarray of shape (n_rows,), float32
        Score less ``working``.
    roots : ndarray, float32
        Roots of the rows' precisions; empty where all are 1.
    """

    def __init__(self, data: Data, seed: np.uint64, n_threads: int) -> None:
        self.data, self.seed, self.n_threads = data, seed, n_threads
        n, k = data.rows.n_rows, data.n_factors
        self.width = width_of(k)
        columns = data.layout.columns
        self.table = np.zeros((data.problem.n_columns, self.width + LANES), np.float32)
        kernels.start(self.table, columns.ids, k, seed, _START)
        self.intercept = 0.0
        self.hyper = np.ones((len(data.layout.fields), 3, k + 1))
        self.hyper[:, 0] = 0
        self.sums = aligned_zeros(n, self.width)
        self.working = np.zeros(n, np.float32)
        self.residual = np.zeros(n, np.float32)
        self.roots = np.empty(0, np.float32)
        self.bad = np.zeros(1, np.int64)
        self._room = Room(data, self.width)
        self._row_sums = np.empty((-(-n // kernels.ROWS), 3))
        self._hyper_sums = np.empty((len(data.moment_chunks), 2, k + 1))

    def rescore(self) -> None:
        """Compute sums and residuals afresh, which ends the drift of rounding."""
        rows = self.data.problem.csr, self.data.rows.first
        state = self.sums, self.working, self.residual
        self._score(*rows, state, self.n_threads)

    def _score(
        self, csr: Any, first: np.ndarray, state: tuple[np.ndarray, ...], n_threads: int
    ) -> None:
        """Compute the sums of the rows ``first`` and their scores less ``working``."""
        entries = csr.indptr, csr.indices, csr.data
        scales, parameters = (
            self.data.layout.columns.scales,
            (self.table, self.intercept),
        )
        parallel_for(
            kernels.rescore,
            len(first),
            n_threads,
            entries,
            first,
            scales,
            parameters,
            state,
        )

    def draw_unseen(self, columns: np.ndarray, iteration: int) -> None:
        """Draw columns that no row has from the distributions of their fields."""
        k, at = self.data.n_factors, self.data.fields[columns]
        rng = np.random.default_rng([int(self.seed), iteration])
        draws = rng.standard_normal((len(columns), k + 1))
        numbers = self.hyper[at, 0] + self.hyper[at, 2] * draws
        self.table[columns, :k] = numbers[:, :k]
        self.table[columns, self.width] = numbers[:, k]

    def score(self, csr: Any, n_threads: int) -> np.ndarray:
        """Score other rows under the present parameters, (n_rows,), float32."""
        n = csr.shape[0]
        scores, zeros = np.empty(n, np.float32), np.zeros(n, np.float32)
        state = aligned_zeros(n, self.width), zeros, scores
        self._score(csr, np.arange(n), state, n_threads)
        return scores

    def row_sums(self) -> np.ndarray:
        """Sum precision times (residual, 1, residual^2) over the rows."""
        blocks = self._row_sums
        self._run(kernels.sum_rows, len(blocks), self.residual, self.roots, blocks)
        total: np.ndarray = blocks.sum(axis=0)
        return total

    def draw_intercept(self, iteration: int, alpha: float, totals: np.ndarray) -> None:
        """Draw the intercept given all else; ``totals`` are `row_sums`."""
        least = self.data.prior.intercept**-2
        precision = alpha * totals[1] + least
        mean = (-alpha * totals[0] - least * self.intercept) / precision
        _, z = normal(np.uint64(stream(self.seed, iteration, INTERCEPT, 0)))
        step = mean + z / math.sqrt(precision)
        self.intercept += step
        self._run(kernels.shift, len(self.residual), self.residual, np.float32(step))

    def draw_hyper(self, iteration: int) -> None:
        """Draw the fields' means and precisions given the columns."""
        data, prior = self.data, self.data.prior
        chunks, sums = data.moment_chunks, self._hyper_sums
        ids = data.layout.columns.ids
        self._run(sum_moments, len(chunks), self.table, ids, chunks, self.hyper, sums)
        keys = self.seed, iteration
        draw_hyper(
            chunks, sums, keys, data.scales, prior.degrees, prior.pull, self.hyper
        )

    def draw_columns(self, iteration: int, alpha: float) -> None:
        """Draw all columns, one field after the other, each with its scale."""
        keys = self.seed, iteration
        for g, part in enumerate(self.data.layout.fields):
            prior = self.data.n_factors, float(alpha), self.hyper[g]
            for stage in part.stages:
                if stage.parallel and part.disjoint:
                    self._draw_field(g, part, stage, prior, keys)
                else:
                    self._draw_stage(stage, prior, keys)
            if not part.disjoint:
                self._move_overlaps(g, part, prior, keys)

    def _run(self, kernel: Any, n: int, *args: Any) -> None:
        parallel_for(kernel, n, self.n_threads, *args)

    def _state(self) -> tuple[np.ndarray, ...]:
        return self.sums, self.residual, self.roots, self.table

    def _draw_stage(self, stage: Stage, prior: Any, keys: Any) -> None:
        columns = self.data.layout.columns.arrays()
        drawing = self._state(), columns, stage.tasks, prior, keys, self.bad
        n_threads = self.n_threads if stage.parallel else 1
        parallel_for(sweeps.draw_and_apply, len(stage.tasks), n_threads, *drawing)
        if len(stage.long):
            self._draw_long(stage, prior, keys, self._room.none)
            self._apply_long(stage, self._room.no_move)

    def _draw_field(
        self, g: int, part: FieldLayout, stage: Stage, prior: Any, keys: Any
    ) -> None:
        room, columns = self._room, self.data.layout.columns.arrays()
        n_tasks, tasks = len(stage.tasks), (self._state(), columns, stage.tasks)
        short, fresh = (room.grams[:n_tasks], room.moments[:n_tasks]), room.fresh
        drawing = prior, keys, self.bad, fresh, part.start, short
        self._run(sweeps.draw_apart, n_tasks, *tasks, *drawing)
        n_long = len(stage.long)
        long = room.long_grams[:n_long], room.long_moments[:n_long]
        if n_long:
            self._draw_long(stage, prior, keys, long)
        factors, half_t = room.factors, (self.data.scales, self.data.prior.degrees)
        draw_scales(short, long, keys, g, prior, *half_t, factors)
        self._run(sweeps.apply_apart, n_tasks, *tasks, fresh, part.start, factors)
        if n_long:
            self._apply_long(stage, factors)

    def _move_overlaps(self, g: int, part: FieldLayout, prior: Any, keys: Any) -> None:
        """Move the scale of a field whose columns share rows."""
        room, X, columns = self._room, self.data.problem.csr, self.data.layout.columns
        rows = self.data.rows.first, columns.scales, self.data.fields
        about = ((X.indptr, X.indices, X.data), *rows), self._state(), g
        statistics = room.overlap_grams, room.overlap_moments
        self._run(overlaps.sum_overlaps, len(statistics[0]), *about, *statistics)
        half_t, factors = (self.data.scales, self.data.prior.degrees), room.factors
        overlaps.draw_overlap_scales(*statistics, keys, g, prior, *half_t, factors)
        n = len(self.residual)
        self._run(overlaps.apply_overlap_scales, n, *about, factors)
        overlaps.scale_columns(self.table, columns.ids, part.start, part.stop, factors)

    def _draw_long(self, stage: Stage, prior: Any, keys: Any, out: Any) -> None:
        room, columns = self._room, self.data.layout.columns.arrays()
        n_chunks = len(stage.chunks)
        parts = room.chunk_grams[:n_chunks], room.chunk_moments[:n_chunks]
        chunks = self._state(), columns, stage.chunks, stage.long
        self._run(sweeps.gram_chunks, n_chunks, *chunks, *parts)
        drawing = prior, keys, self.bad, room.long_fresh, out
        long = columns, self.table, stage.long, parts
        self._run(sweeps.draw_long, len(stage.long), *long, *drawing)

    def _apply_long(self, stage: Stage, factors: np.ndarray) -> None:
        room, columns = self._room, self.data.layout.columns.arrays()
        moves = room.long_old, room.long_change
        new = room.long_fresh, factors
        sweeps.place_long(columns, self.table, stage.long, *new, *moves)
        chunks = self._state(), columns, stage.chunks, stage.long
        self._run(sweeps.apply_chunks, len(stage.chunks), *chunks, *moves)
