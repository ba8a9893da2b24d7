"""Compiled loops of tables whose rows are divided among workers.

Gradients are summed over the lanes of a batch: see `skfm.distributed.lanes`. They are
sent as rows [factors | linear weights], with one more number if there is an L1 penalty.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np

from ..runtime.jit import kernel
from ..runtime.simd import add_row
from .kernels import COLUMNS_AHEAD, column_gradient, request, widths

#: More subtrees than a sum over lanes holds at a time: one for each level of the tree.
_DEPTH = 40


@kernel
def pack(weights, columns, out, start, stop):
    """Set out[i] to the weights of columns[i]."""
    factors, linear = weights
    k, n_linear, one = factors.shape[1], linear.shape[1], factors.dtype.type(1)
    for i in range(start, stop):
        request(weights, columns[min(i + COLUMNS_AHEAD, stop - 1)])
        add_row(out, i, 0, factors, columns[i], 0, k, one, False)
        add_row(out, i, k, linear, columns[i], 0, n_linear, one, False)


@kernel(forceinline=True)
def _fold(stack, lanes, depth, lane, width):
    """Add up the subtrees on the stack that are complete before ``lane``; all if -1.

    Returns the number of subtrees that are left.
    """
    one = stack.dtype.type(1)
    while depth > 1:
        below, top = lanes[depth - 2], lanes[depth - 1]
        if lane >= 0 and below ^ top > top ^ lane:
            break
        depth -= 1
        add_row(stack, depth - 1, 0, stack, depth, 0, width, one, True)
    return depth


@kernel(forceinline=True)
def _write_sum(stack, lanes, depth, out, row):
    """Add up all subtrees on the stack, and write their sum to a row."""
    width = stack.shape[1]
    _fold(stack, lanes, depth, -1, width)
    add_row(out, row, 0, stack, 0, 0, width, stack.dtype.type(1), False)


@kernel
def relabel(groups, place, out):
    """Set out[p] to ``place`` of the distinct column of entry p, for all entries."""
    _, bounds, order, _ = groups
    for u in range(place.shape[0]):
        for i in range(bounds[u], bounds[u + 1]):
            out[order[i]] = place[u]


@kernel
def segments(bounds, rows, lanes):
    """Divide the grouped entries of each column by lane.

    Parameters
    ----------
    bounds, rows : ndarray
        Groups of the entries.
    lanes : ndarray of int32 of shape (B,)
        Lane of each row, ascending.

    Returns
    -------
    starts : ndarray of int32 of shape (n_segments + 1,)
        Bounds of the runs of entries of one column in one lane.
    firsts : ndarray of int32 of shape (U + 1,)
        First run of each column, and the number of runs.
    """
    n = rows.shape[0]
    starts, firsts = np.empty(n + 1, np.int32), np.empty_like(bounds)
    n_found = 0
    for u in range(bounds.shape[0] - 1):
        firsts[u] = n_found
        previous = np.int32(-1)
        for i in range(bounds[u], bounds[u + 1]):
            # Written every time: a branch would often be mispredicted.
            starts[n_found] = i
            n_found += lanes[rows[i]] != previous
            previous = lanes[rows[i]]
    firsts[bounds.shape[0] - 1] = n_found
    starts[n_found] = n
    return starts[: n_found + 1], firsts


@kernel
def reduce_by_lane(
    weights, runs, firsts, places, share, lanes, stems, out, present, start, stop
):
    """Write the gradients of distinct columns, summed over subtrees of lanes.

    Row ``p * n_stems + s`` of ``out`` is the gradient of the column with place p in the
    lanes of stem s, if present[p, s] is set.

    Parameters
    ----------
    weights
        As in `skfm.sparse.kernels`.
    runs
        A gradient as there, with runs of `segments` in place of columns.
    firsts : ndarray
        First run of each column.
    places : ndarray of int32
        Place of each column.
    share : ndarray of shape (B,) or (0,)
        Shares of the rows, whose sum times abs(x) is wanted too.
    lanes, stems : ndarray of int32 of shape (B,)
        Lane of each row, ascending, and its stem.
    out : ndarray of shape (n_places * n_stems, at least C + k)
        Rows of gradients; further numbers are zero but for the sum of shares.
    present : ndarray of uint8 of shape (n_places, n_stems)
        Zero at the start.
    """
    distinct, bounds, order, rows, _, values = runs[:6]
    factors, linear = weights
    at, end, width = widths(weights, runs)
    acc = np.empty((1, width), factors.dtype)
    k, n_linear, one = factors.shape[1], linear.shape[1], acc.dtype.type(1)
    n_numbers, n_stems = out.shape[1], present.shape[1]
    stack, held = np.zeros((_DEPTH, n_numbers), acc.dtype), np.empty(_DEPTH, np.int64)
    depth, stem = 0, np.int64(0)
    u, last = start, firsts[stop]
    for run in range(firsts[start], last):
        request(weights, distinct[min(run + COLUMNS_AHEAD, last - 1)])
        row = rows[bounds[run]]
        if run == firsts[u + 1] or (depth > 0 and stems[row] != stem):
            place = np.int64(places[u])
            _write_sum(stack, held, depth, out, place * n_stems + stem)
            present[place, stem], depth = 1, 0
            u += run == firsts[u + 1]
        c, lane, stem = (
            np.int64(distinct[run]),
            np.int64(lanes[row]),
            np.int64(stems[row]),
        )
        if depth > 1:
            depth = _fold(stack, held, depth, lane, n_numbers)
        column_gradient(weights, runs, run, acc, at)
        a, second = acc[0, end], acc[0, end + 1]
        add_row(acc, 0, 0, factors, c, 0, k, second, True)
        add_row(acc, 0, at, linear, c, 0, n_linear, a, True)
        add_row(stack, depth, 0, acc, 0, 0, k, one, False)
        add_row(stack, depth, k, acc, 0, at, n_linear, one, False)
        if share.shape[0] > 0:
            total = acc.dtype.type(0)
            for i in range(bounds[run], bounds[run + 1]):
                x = one if values.shape[0] == 0 else abs(values[order[i]])
                total += x * share[rows[i]]
            stack[depth, k + n_linear] = total
        held[depth] = lane
        depth += 1
    if depth > 0:
        place = np.int64(places[u])
        _write_sum(stack, held, depth, out, place * n_stems + stem)
        present[place, stem] = 1


@kernel
def add_stems(parts, lanes, order, bounds, out, start, stop):
    """Sum the gradients of each column over the lanes, as `add_lanes` does.

    Parameters
    ----------
    parts : ndarray of shape (n, width)
        Sums over subtrees.
    lanes : ndarray of int32 of shape (n,)
        First lane of each subtree.
    order, bounds : ndarray
        Groups of ``parts`` by column, in ascending order of lanes.
    out : ndarray of shape (n_columns, at least width)
    """
    width, one = parts.shape[1], parts.dtype.type(1)
    stack, held = np.empty((_DEPTH, width), parts.dtype), np.empty(_DEPTH, np.int64)
    for u in range(start, stop):
        depth = 0
        for i in range(bounds[u], bounds[u + 1]):
            p = np.int64(order[i])
            lane = np.int64(lanes[p])
            depth = _fold(stack, held, depth, lane, width)
            add_row(stack, depth, 0, parts, p, 0, width, one, False)
            held[depth] = lane
            depth += 1
        _write_sum(stack, held, depth, out, u)
