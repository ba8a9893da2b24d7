"""Compiled passes over the entries and columns that `layout` arranges."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np

from ..runtime.jit import kernel

_U = np.uint64
_ALL = _U(0xFFFFFFFFFFFFFFFF)
_MOST_COLOURS = 1024


@kernel
def count(indptr, indices, data, first, weight, n_columns):
    """Count the entries of each column, and sum their squares and weights."""
    counts = np.zeros(n_columns, np.int64)
    squares = np.zeros(n_columns)
    masses = np.zeros(n_columns)
    for i in range(len(first)):
        mass = np.float64(weight[i])
        for p in range(indptr[first[i]], indptr[first[i] + 1]):
            x = np.float64(data[p])
            if x != 0:
                c = indices[p]
                counts[c] += 1
                squares[c] += mass * (x * x)
                masses[c] += mass
    return counts, squares, masses


@kernel
def fill(indptr, indices, data, first, ids, bounds, scales):
    """Fill the rows and scaled values by column; no values if all are 1."""
    place = np.empty(len(scales), np.int64)
    for position in range(len(ids)):
        place[ids[position]] = bounds[position]
    rows = np.empty(bounds[-1], np.int32)
    one = True
    for i in range(len(first)):
        for p in range(indptr[first[i]], indptr[first[i] + 1]):
            if data[p] != 0:
                c = indices[p]
                rows[place[c]] = i
                place[c] += 1
                one = one and np.float32(data[p] / scales[c]) == 1
    values = np.empty(0 if one else bounds[-1], np.float32)
    if one:
        return rows, values
    for position in range(len(ids)):
        place[ids[position]] = bounds[position]
    for i in range(len(first)):
        for p in range(indptr[first[i]], indptr[first[i] + 1]):
            if data[p] != 0:
                c = indices[p]
                values[place[c]] = data[p] / scales[c]
                place[c] += 1
    return rows, values


@kernel
def disjoint(rows, bounds, start, stop, marks):
    """Return whether no row occurs twice among columns start:stop."""
    marks[:] = 0
    for p in range(bounds[start], bounds[stop]):
        if marks[rows[p]]:
            return False
        marks[rows[p]] = 1
    return True


@kernel
def colour(rows, bounds, start, stop, marks, longest):
    """Colour columns start:stop so that those of one colour share no row.

    Each column takes the first of 64 colours that none of its rows has used, which
    the bits of the rows' marks tell. Columns that find none wait for the next 64.
    Columns of more than ``longest`` rows take a colour each, after all others, and so
    do those that find none of the first `_MOST_COLOURS`, lest rows of very many entries
    take time by their square.
    """
    colours = np.full(stop - start, -1, np.int64)
    base, left = 0, 1
    while left and base < _MOST_COLOURS:
        left = 0
        marks[:] = 0
        for c in range(start, stop):
            if colours[c - start] >= 0 or bounds[c + 1] - bounds[c] > longest:
                continue
            used = _U(0)
            for p in range(bounds[c], bounds[c + 1]):
                used |= marks[rows[p]]
            if used == _ALL:
                left += 1
                continue
            bit = 0
            while (used >> _U(bit)) & _U(1):
                bit += 1
            for p in range(bounds[c], bounds[c + 1]):
                marks[rows[p]] |= _U(1) << _U(bit)
            colours[c - start] = base + bit
        base += 64
    for c in range(stop - start):
        if colours[c] < 0:
            colours[c] = base
            base += 1
    return colours


@kernel
def arrange(bounds, rows, values, order):
    """Put columns in another order, and drop the values of columns of ones."""
    # Loops, as those over slices take numba a second to compile.
    n, n_kept = len(order), 0
    ends, value_starts = np.zeros(n + 1, np.int64), np.empty(n, np.int64)
    for i in range(n):
        start, stop = bounds[order[i]], bounds[order[i] + 1]
        ends[i + 1] = ends[i] + stop - start
        n_others = 0
        if len(values):
            for p in range(start, stop):
                n_others += values[p] != 1
        value_starts[i] = n_kept if n_others else -1
        n_kept += stop - start if n_others else 0
    moved, kept = rows, np.empty(n_kept, np.float32)
    for i in range(n):
        if order[i] != i:
            moved = np.empty(len(rows), rows.dtype)
            break
    for i in range(n):
        start, n_entries = bounds[order[i]], ends[i + 1] - ends[i]
        for p in range(n_entries):
            moved[ends[i] + p] = rows[start + p]
        if value_starts[i] >= 0:
            for p in range(n_entries):
                kept[value_starts[i] + p] = values[start + p]
    return ends, moved, kept, value_starts


@kernel
def tasks(bounds, start, stop, chunk, size):
    """Make ranges of short columns, chunks of long ones, and ranges of chunks."""
    n_chunks, n_long = 0, 0
    for c in range(start, stop):
        n = bounds[c + 1] - bounds[c]
        if n > chunk:
            n_long += 1
            n_chunks += (n + chunk - 1) // chunk
    ranges = np.empty((stop - start, 2), np.int64)
    chunks = np.empty((n_chunks, 3), np.int64)
    long = np.empty((n_long, 3), np.int64)
    at, done, begun, total, i_long = 0, 0, start, 0, 0
    for c in range(start, stop):
        n = bounds[c + 1] - bounds[c]
        if n > chunk:
            pieces = (n + chunk - 1) // chunk
            # Number by number: numba takes two seconds to compile a tuple to a row.
            long[i_long, 0], long[i_long, 1], long[i_long, 2] = c, done, done + pieces
            for i in range(pieces):
                chunks[done, 0] = i_long
                chunks[done, 1] = bounds[c] + n * i // pieces
                chunks[done, 2] = bounds[c] + n * (i + 1) // pieces
                done += 1
            i_long += 1
        else:
            total += n + 4
        if total >= size or n > chunk or c == stop - 1:
            end = c if n > chunk else c + 1
            if end > begun:
                ranges[at, 0], ranges[at, 1] = begun, end
                at += 1
            begun, total = c + 1, 0
    return ranges[:at].copy(), chunks, long
