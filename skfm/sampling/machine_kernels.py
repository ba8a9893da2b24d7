"""Compiled passes over the rows of a machine."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import numpy as np

from ..runtime.jit import kernel
from .octets import LANES, add_octets, dot_octets
from .random import START, normal, stream

#: Rows whose sums one thread takes at a time; fixed, so that threads change no sum.
ROWS = 4096


@kernel
def start(table, ids, k, seed, deviation):
    for i in range(len(ids)):
        state = stream(seed, np.int64(0), START, ids[i])
        for a in range(k):
            state, z = normal(state)
            table[ids[i], a] = deviation * z


@kernel
def rescore(entries, first, scales, parameters, state, begin, end):
    indptr, indices, data = entries
    table, intercept = parameters
    sums, working, out = state
    width = sums.shape[1]
    total = np.zeros((1, width + LANES), np.float32)
    for i in range(begin, end):
        total[:, :] = 0
        squares = 0.0
        for p in range(indptr[first[i]], indptr[first[i] + 1]):
            c = np.intp(indices[p])
            x = np.float32(data[p] / scales[c])
            add_octets(total, 0, table, c, x, 0, width + LANES)
            squares += x * x * dot_octets(table, c, table, c, 0, width)
        pairs = 0.5 * (dot_octets(total, 0, total, 0, 0, width) - squares)
        for a in range(width):
            sums[i, a] = total[0, a]
        out[i] = intercept + total[0, width] + pairs - working[i]


@kernel
def sum_rows(residual, roots, out, begin, end):
    for b in range(begin, end):
        first, mass, second = 0.0, 0.0, 0.0
        for i in range(b * ROWS, min(len(residual), (b + 1) * ROWS)):
            precision = 1.0
            if len(roots):
                precision = np.float64(roots[i]) * np.float64(roots[i])
            e = np.float64(residual[i])
            first += precision * e
            mass += precision
            second += precision * e * e
        out[b, 0], out[b, 1], out[b, 2] = first, mass, second


@kernel
def shift(residual, step, begin, end):
    for i in range(begin, end):
        residual[i] += step
