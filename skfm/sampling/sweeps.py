"""Draw the columns of a stage and bring the rows up to date.

Arguments that several kernels share:

- ``machine`` is (sums, residual, roots, table): q of each row, f - z, the roots of the
  precisions (nothing where all are 1), and the parameters of the columns;
- ``columns`` is what `layout.Columns.arrays` gives;
- ``prior`` is (number of factors, precision of the noise, hyperparameters (3, k + 1));
- ``keys`` is (seed, iteration);
- ``bad`` receives the number, from 1, of the first column whose draw is not finite.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import math

import numpy as np

from ..runtime.jit import kernel
from .columns import (
    add_gram,
    apply_change,
    draw_by_factors,
    draw_by_rows,
    load_slopes,
)
from .layout import CHUNK
from .octets import LANES
from .random import COLUMN, stream
from .scales import add_scale_statistics, gather_scale_rows

#: Rows of short columns that are gathered before their statistics are added.
_PILE = 128


@kernel(inner=True)
def _is_finite(change):
    total = np.float32(0)
    for j in range(change.shape[1]):
        total += change[0, j]
    return math.isfinite(total)


@kernel(inner=True)
def _variances(hyper, width):
    """The prior's variances as a row of the table of parameters."""
    k = hyper.shape[1] - 1
    out = np.zeros((1, width + LANES), np.float32)
    for a in range(k + 1):
        out[0, a if a < k else width] = hyper[2, a] * hyper[2, a]
    return out


@kernel(inner=True)
def _single_system(n_factors):
    width = -(-(n_factors + 2) // LANES) * LANES
    return (
        np.zeros((width + LANES, width), np.float32),
        np.zeros((1, width), np.float32),
    )


@kernel(inner=True)
def _double_system(n_factors):
    width = -(-(n_factors + 2) // LANES) * LANES
    return np.zeros((width + LANES, width)), np.zeros((1, width))


@kernel(inner=True)
def _room(n_factors, width, hyper):
    """Allocate the arrays for drawing a short column: tile, Gram, solutions, change."""
    few = (n_factors + 3) // 3
    wide = width + LANES
    return (
        (np.zeros((CHUNK, wide), np.float32), np.zeros((2, CHUNK), np.float32)),
        (np.zeros((width, width), np.float32), np.zeros((2, wide), np.float32)),
        _single_system(n_factors),
        (
            _variances(hyper, width),
            np.zeros((few, wide), np.float32),
            np.zeros((few, few + 1), np.float32),
        ),
        (np.zeros((1, wide), np.float32), np.zeros((1, wide), np.float32)),
    )


@kernel(inner=True)
def _draw(position, machine, columns, prior, keys, room):
    """Draw a column, and return whether its Gram was needed."""
    sums, residual, roots, table = machine
    ids, bounds, rows, values, value_starts = columns
    k, alpha, hyper = prior
    (tile, sides), (gram, moments), by_factors, by_rows, (old, change) = room
    first, last, at = bounds[position], bounds[position + 1], value_starts[position]
    state = stream(keys[0], keys[1], COLUMN, ids[position])
    for j in range(old.shape[1]):
        old[0, j] = table[ids[position], j]
    few = 3 * (last - first) < k + 1
    if not few:
        gram[:, :] = 0
        moments[:, :] = 0
    for start in range(first, last, CHUNK):
        stop = min(start + CHUNK, last)
        span = start, stop, at if at < 0 else at + start - first
        load_slopes(
            tile, sides, sums, residual, roots, table, ids[position], rows, values, span
        )
        if not few:
            add_gram(tile, sides, stop - start, gram, moments)
    if few:
        draw_by_rows(
            tile, sides, last - first, old[0], k, alpha, hyper, state, by_rows, change
        )
    else:
        draw_by_factors(
            gram, moments, old[0], k, alpha, hyper, state, by_factors, change
        )
    return not few


@kernel
def draw_and_apply(machine, columns, tasks, prior, keys, bad, begin, end):
    """Draw the columns of tasks, each after the one before it is applied."""
    sums, residual, table = machine[0], machine[1], machine[3]
    ids, bounds, rows, values, value_starts = columns
    width = sums.shape[1]
    room = _room(prior[0], width, prior[2])
    old, change = room[4]
    for t in range(begin, end):
        for position in range(tasks[t, 0], tasks[t, 1]):
            _draw(position, machine, columns, prior, keys, room)
            if bad[0] == 0 and not _is_finite(change):
                bad[0] = ids[position] + 1
            for j in range(width + 1):
                table[ids[position], j] += change[0, j]
            span = bounds[position], bounds[position + 1], value_starts[position]
            apply_change(sums, residual, old, change, 0, rows, values, span)


@kernel
def draw_apart(machine, columns, tasks, prior, keys, bad, fresh, base, out, begin, end):
    """Draw the columns of tasks into ``fresh``, whose first row is position ``base``.

    ``out`` is (grams, moments), per task: the statistics of the scale move.
    """
    ids, bounds = columns[0], columns[1]
    k, width = prior[0], machine[0].shape[1]
    room = _room(k, width, prior[2])
    tile, sides = room[0]
    gram, moments = room[1]
    old, change = room[4]
    pile = np.zeros((_PILE + k, width + LANES), np.float32)
    pile_sides = np.zeros((2, _PILE + k), np.float32)
    for t in range(begin, end):
        out[0][t] = 0
        out[1][t] = 0
        piled = np.int64(0)
        for position in range(tasks[t, 0], tasks[t, 1]):
            n = bounds[position + 1] - bounds[position]
            has_gram = _draw(position, machine, columns, prior, keys, room)
            if bad[0] == 0 and not _is_finite(change):
                bad[0] = ids[position] + 1
            new = fresh[position - base]
            for j in range(width + LANES):
                new[j] = old[0, j] + change[0, j]
            if has_gram and n >= k:
                add_scale_statistics(
                    gram, moments, new, change, k, out[0][t], out[1][t]
                )
                continue
            piled = gather_scale_rows(
                tile, sides, n, new, change, pile, pile_sides, piled
            )
            if piled >= _PILE:
                add_gram(pile, pile_sides, piled, out[0][t], out[1][t])
                piled = np.int64(0)
        if piled:
            add_gram(pile, pile_sides, piled, out[0][t], out[1][t])


@kernel
def apply_apart(machine, columns, tasks, fresh, base, factors, begin, end):
    """Put fresh columns, times the field's scale factors, in the place of the old."""
    sums, residual, _, table = machine
    ids, bounds, rows, values, value_starts = columns
    wide = table.shape[1]
    old, change = np.zeros((1, wide), np.float32), np.zeros((1, wide), np.float32)
    for t in range(begin, end):
        for position in range(tasks[t, 0], tasks[t, 1]):
            column = ids[position]
            for j in range(wide):
                old[0, j] = table[column, j]
                table[column, j] = factors[j] * fresh[position - base, j]
                change[0, j] = table[column, j] - old[0, j]
            span = bounds[position], bounds[position + 1], value_starts[position]
            apply_change(sums, residual, old, change, 0, rows, values, span)


@kernel
def gram_chunks(machine, columns, chunks, long, grams, moments, begin, end):
    """Compute the Grams of chunks of long columns."""
    sums, residual, roots, table = machine
    ids, bounds, rows, values, value_starts = columns
    tile = np.zeros((CHUNK, table.shape[1]), np.float32)
    sides = np.zeros((2, CHUNK), np.float32)
    for t in range(begin, end):
        position = long[chunks[t, 0], 0]
        start, stop = chunks[t, 1], chunks[t, 2]
        at = value_starts[position]
        span = start, stop, at if at < 0 else at + start - bounds[position]
        load_slopes(
            tile, sides, sums, residual, roots, table, ids[position], rows, values, span
        )
        grams[t] = 0
        moments[t] = 0
        add_gram(tile, sides, stop - start, grams[t], moments[t])


@kernel
def draw_long(columns, table, long, parts, prior, keys, bad, fresh, out, begin, end):
    """Draw long columns into ``fresh`` from ``parts``, the Grams of their chunks.

    ``out`` is (grams, moments), per long column: the statistics of the scale move, in
    double precision; nothing if they are not wanted.
    """
    grams, all_moments = parts
    k, alpha, hyper = prior
    width = grams.shape[1]
    gram, moments = np.zeros((width, width)), np.zeros((2, width + LANES))
    work = _double_system(k)
    change = np.zeros((1, width + LANES), np.float32)
    wide_change = np.zeros((1, width + LANES))
    for i in range(begin, end):
        column = columns[0][long[i, 0]]
        gram[:, :] = 0
        moments[:, :] = 0
        for t in range(long[i, 1], long[i, 2]):
            gram += grams[t]
            moments += all_moments[t]
        state = stream(keys[0], keys[1], COLUMN, column)
        draw_by_factors(
            gram, moments, table[column], k, alpha, hyper, state, work, change
        )
        if bad[0] == 0 and not _is_finite(change):
            bad[0] = column + 1
        for j in range(width + LANES):
            fresh[i, j] = table[column, j] + change[0, j]
            wide_change[0, j] = change[0, j]
        if out[0].shape[0]:
            out[0][i] = 0
            out[1][i] = 0
            add_scale_statistics(
                gram, moments, fresh[i], wide_change, k, out[0][i], out[1][i]
            )


@kernel
def place_long(columns, table, long, fresh, factors, old, change):
    """Put fresh long columns, times the scale factors, in the place of the old.

    ``old`` and ``change`` receive what `apply_chunks` needs.
    """
    for i in range(long.shape[0]):
        column = columns[0][long[i, 0]]
        for j in range(table.shape[1]):
            old[i, j] = table[column, j]
            table[column, j] = factors[j] * fresh[i, j]
            change[i, j] = table[column, j] - old[i, j]


@kernel
def apply_chunks(machine, columns, chunks, long, old, change, begin, end):
    """Apply the changes of long columns to the rows of chunks."""
    sums, residual = machine[0], machine[1]
    _, bounds, rows, values, value_starts = columns
    for t in range(begin, end):
        i, start, stop = chunks[t]
        position = long[i, 0]
        at = value_starts[position]
        span = start, stop, at if at < 0 else at + start - bounds[position]
        apply_change(sums, residual, old, change, i, rows, values, span)
