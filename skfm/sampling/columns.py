r"""The joint conditional of one column's numbers, and what its draw changes.

Of a column i with values x in rows r, the score of row r is linear in
:math:`\theta_i = (v_i, w_i)`, with slope :math:`a_r = (x (q_r - x v_i), x)` where
:math:`q_r = \sum_j x_{rj} v_j`. Given precisions :math:`\omega_r` of the rows,
:math:`\theta_i` is normal with precision :math:`\Lambda + \sum_r \omega_r a_r a_r^T`.

Rows of the table of parameters hold v, zeros up to `width_of` factors, w, zeros. The
kernels work on tiles of slopes of up to `CHUNK` rows, times the root of the precisions,
beside which ``sides`` holds, times the same, the values x and the residuals f - z.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg, var-annotated"

from __future__ import annotations

import math

import numpy as np

from ..runtime.jit import CACHE_LINE, kernel, prefetch
from .octets import (
    LANES,
    add_moments,
    add_octets,
    add_products,
    add_tile_4x16,
    add_tile_8x8,
    dot_octets,
    step_sums,
    subtract_tile_4x16,
    subtract_tile_8x8,
    take_slopes,
)
from .random import normal

#: Rows whose sums are asked for ahead of their use.
_AHEAD = 12
_TILE_ROWS = 128
_ONE = np.float32(1)


def width_of(n_factors: int) -> int:
    """Number of factors rounded up to whole vectors: the place of w in a row."""
    return -(-n_factors // LANES) * LANES


@kernel(forceinline=True)
def _ask_for(sums, row):
    for offset in range(0, 4 * sums.shape[1], CACHE_LINE):
        prefetch(sums, np.intp(row), offset)


@kernel(inner=True)
def load_slopes(tile, sides, sums, residual, roots, table, column, rows, values, span):
    """Fill ``tile`` and ``sides`` with the rows that ``span`` bounds.

    ``span`` is (start, stop, start in ``values`` or -1); ``roots`` holds the roots of
    the precisions, or nothing where all are 1.
    """
    start, stop, at = span
    width = sums.shape[1]
    for p in range(start, stop):
        _ask_for(sums, rows[min(p + _AHEAD, stop - 1)])
        row, i = np.intp(rows[p]), p - start
        x = _ONE if at < 0 else values[at + i]
        s = _ONE if roots.shape[0] == 0 else roots[row]
        take_slopes(tile, i, sums, row, table, column, x, s, width)
        sides[0, i] = x * s
        sides[1, i] = residual[row] * s


@kernel(inner=True)
def add_gram(tile, sides, n, gram, moments):
    """Add the products of n rows of a tile.

    ``gram`` (width, width) gets the upper blocks of tile.T @ tile; ``moments`` gets
    sides @ tile, and in column ``width`` the first side's products with both.
    """
    width = gram.shape[1]
    for start in range(0, n, _TILE_ROWS):
        stop = min(n, start + _TILE_ROWS)
        for i in range(0, width, LANES):
            add_tile_8x8(tile, start, stop, i, i, gram)
            j = i + LANES
            while j + 2 * LANES <= width:
                add_tile_4x16(tile, start, stop, i, j, gram)
                add_tile_4x16(tile, start, stop, i + 4, j, gram)
                j += 2 * LANES
            if j < width:
                add_tile_8x8(tile, start, stop, i, j, gram)
    for i in range(0, width, LANES):
        add_moments(moments, tile, n, sides, i)
    own, cross = np.float32(0), np.float32(0)
    for i in range(n):
        own += sides[0, i] * sides[0, i]
        cross += sides[0, i] * sides[1, i]
    moments[0, width] += own
    moments[1, width] += cross


@kernel(inner=True)
def _assemble(gram, moments, old, n_factors, alpha, hyper, system):
    """Assemble the precision of a column's change, its right-hand side beside it."""
    k, width = n_factors, gram.shape[1]
    for a in range(k + 1):
        place = a if a < k else width
        for b in range(a & ~(LANES - 1), a):
            system[a, b] = 0
        for b in range(a, k):
            system[a, b] = alpha * gram[a, b]
        system[a, k] = alpha * moments[0, place]
        system[a, a] += hyper[1, a]
        away = hyper[1, a] * (hyper[0, a] - old[place])
        system[a, k + 1] = away - alpha * moments[1, place]
        for b in range(k + 2, system.shape[1]):
            system[a, b] = 0


@kernel(inner=True)
def _factorise(system, n, hyper):
    """Factorise the precision as U^T U in place, and solve for the right-hand side.

    The diagonal receives the inverses of that of U.

    No pivot can be smaller than the prior's precision; rounding alone makes it so.
    """
    number, width = system.dtype.type, system.shape[1]
    for first in range(0, n, LANES):
        last = min(first + LANES, n)
        for j in range(first, last):
            pivot = max(system[j, j], number(hyper[1, j]))
            inverse = number(1) / math.sqrt(pivot)
            for b in range(j + 1, width):
                system[j, b] *= inverse
            for i in range(j + 1, last):
                add_octets(system, i, system, j, -system[j, i], first, width)
            system[j, j] = inverse
        for i in range(last, n, LANES):
            subtract_tile_8x8(system, first, last, i, i, system)
            j = i + LANES
            while j + 2 * LANES <= width:
                subtract_tile_4x16(system, first, last, i, j, system)
                subtract_tile_4x16(system, first, last, i + 4, j, system)
                j += 2 * LANES
            if j < width:
                subtract_tile_8x8(system, first, last, i, j, system)


@kernel(inner=True)
def draw_by_factors(gram, moments, old, n_factors, alpha, hyper, state, work, change):
    """Draw a column from its Gram: the change from ``old`` into ``change[0]``.

    ``hyper`` (3, k + 1) holds the field's means, precisions and standard deviations;
    ``work`` is a matrix, in whose dtype the system is solved, and a row.
    """
    k, width = n_factors, gram.shape[1]
    system, solution = work
    number = system.dtype.type
    _assemble(gram, moments, old, k, number(alpha), hyper, system)
    _factorise(system, k + 1, hyper)
    solution[0, :] = 0
    for i in range(k, -1, -1):
        state, z = normal(state)
        known = dot_octets(system, i, solution, 0, i & ~(LANES - 1), system.shape[1])
        # The diagonal holds inverses, but solution[0, i] is still zero here.
        solution[0, i] = (system[i, k + 1] + number(z) - known) * system[i, i]
    change[0, :] = 0
    for a in range(k + 1):
        place = a if a < k else width
        new = np.float32(old[place] + solution[0, a])
        change[0, place] = new - old[place]


@kernel(inner=True)
def draw_by_rows(tile, sides, n, old, n_factors, alpha, hyper, state, work, change):
    """Draw a column of few rows: from the prior, corrected in the space of rows.

    Matheron's rule: an n x n system in the place of (k + 1) x (k + 1). ``work`` is the
    prior's variances as a row of the table, and two matrices.
    """
    k, width = n_factors, tile.shape[1] - LANES
    variances, spread, system = work
    change[0, :] = 0
    for a in range(k + 1):
        state, z = normal(state)
        place = a if a < k else width
        drawn = hyper[0, a] + z * hyper[2, a]
        change[0, place] = np.float32(drawn - old[place])
    for i in range(n):
        for a in range(width, width + LANES):
            tile[i, a] = 0
        tile[i, width] = sides[0, i]
        spread[i, :] = 0
        add_products(spread, i, tile, i, variances, 0, _ONE, 0, tile.shape[1])
    deviation = 1 / math.sqrt(alpha)
    for i in range(n):
        for j in range(i, n):
            system[i, j] = dot_octets(tile, i, spread, j, 0, tile.shape[1])
        system[i, i] += 1 / alpha
        state, z = normal(state)
        expected = dot_octets(tile, i, change, 0, 0, tile.shape[1])
        system[i, n] = -sides[1, i] - expected - deviation * z
    _solve(system, n, 1 / alpha)
    for i in range(n):
        add_octets(change, 0, spread, i, np.float32(system[i, n]), 0, tile.shape[1])
    for a in range(width + 1):
        new = np.float32(old[a] + change[0, a])
        change[0, a] = new - old[a]


@kernel(inner=True)
def _solve(system, n, least):
    """Solve a positive definite system in place, no pivot below ``least``."""
    for j in range(n):
        inverse = 1 / math.sqrt(max(system[j, j], least))
        system[j, j] = 1 / inverse
        for b in range(j + 1, n + 1):
            system[j, b] *= inverse
        for i in range(j + 1, n):
            factor = system[j, i]
            for b in range(i, n + 1):
                system[i, b] -= factor * system[j, b]
    for i in range(n - 1, -1, -1):
        total = system[i, n]
        for b in range(i + 1, n):
            total -= system[i, b] * system[b, n]
        system[i, n] = total / system[i, i]


@kernel(inner=True)
def apply_change(sums, residual, old, change, i, rows, values, span):
    """Bring the sums and residuals of a column's rows up to date.

    The column was ``old[i]`` and has changed by ``change[i]``.
    """
    start, stop, at = span
    width = sums.shape[1]
    before = dot_octets(old, i, change, i, 0, width)
    linear = change[i, width]
    for p in range(start, stop):
        _ask_for(sums, rows[min(p + _AHEAD, stop - 1)])
        row = np.intp(rows[p])
        x = _ONE if at < 0 else values[at + p - start]
        along = step_sums(sums, row, change, i, x, width)
        residual[row] += x * (along - x * before + linear)
