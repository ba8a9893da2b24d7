r"""The scale move of fields whose columns share rows.

Pairs within such a field make the score quadratic in the factor c of a coordinate a:
with :math:`o = \sum_i x_i v_{ia}` over the field's entries of a row,

.. math:: f(c) = f + (c - 1)\, o\, (q_a - o)
          + (c^2 - 1) \tfrac12 \big(o^2 - \sum_i x_i^2 v_{ia}^2\big)

so the Gaussian likelihood is a quartic in c, known exactly from the products of these
terms, which one pass over the rows sums. Random-walk steps of log c, of random length,
are accepted with the ratio of that likelihood and of the half-t prior, as in `scales`.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg, var-annotated"

from __future__ import annotations

import math

import numpy as np

from ..runtime.jit import kernel
from .columns import add_gram
from .machine_kernels import ROWS
from .octets import LANES, add_octets, add_products, dot_octets
from .random import SCALE, normal, stream, uniform

_TILE = 128
#: Steps of each coordinate, and the range of their standard deviations.
_STEPS, _SHORTEST, _LONGEST = 6, 0.005, 0.5


@kernel
def _terms(i, entries, machine, field, own, out, at):
    """Compute a row's terms in c and c^2, and return the number of its entries.

    ``own`` receives the sums o, and the sum of the weights; ``out[at]`` the terms of
    the factors, linear ones first.
    """
    (indptr, indices, data), first, scales, fields = entries
    sums, table = machine[0], machine[3]
    width = sums.shape[1]
    own[:, :] = 0
    n = 0
    for p in range(indptr[first[i]], indptr[first[i] + 1]):
        c = np.intp(indices[p])
        if fields[c] != field or data[p] == 0:
            continue
        x = np.float32(data[p] / scales[c])
        add_octets(own, 0, table, c, x, 0, width + LANES)
        add_products(own, 1, table, c, table, c, x * x, 0, width)
        n += 1
    half = np.float32(0.5)
    for a in range(width):
        o = own[0, a]
        out[at, a] = o * (sums[i, a] - o)
        out[at, width + a] = half * (o * o - own[1, a])
    return n


@kernel
def sum_overlaps(entries, machine, field, grams, moments, begin, end):
    """Sum the products of the terms over blocks of rows; see `add_gram`."""
    sums, residual, roots, _ = machine
    width = sums.shape[1]
    own = np.zeros((2, width + LANES), np.float32)
    tile = np.zeros((_TILE, 2 * width + LANES), np.float32)
    sides = np.zeros((2, _TILE), np.float32)
    for block in range(begin, end):
        grams[block] = 0
        moments[block] = 0
        n = 0
        for i in range(block * ROWS, min((block + 1) * ROWS, len(residual))):
            if not _terms(i, entries, machine, field, own, tile, n):
                continue
            root = roots[i] if len(roots) else np.float32(1)
            for a in range(2 * width):
                tile[n, a] *= root
            sides[0, n] = own[0, width] * root
            sides[1, n] = residual[i] * root
            n += 1
            if n == _TILE:
                add_gram(tile, sides, n, grams[block], moments[block])
                n = 0
        if n:
            add_gram(tile, sides, n, grams[block], moments[block])


@kernel(inner=True)
def _system(grams, moments, k):
    """Collect the products of l_1..l_k, u_1..u_k and w, and those with residuals."""
    width = grams.shape[1] // 2
    n = 2 * k + 1
    system, slope = np.zeros((n, n)), np.zeros(n)
    for block in range(grams.shape[0]):
        for a in range(2 * k):
            i = a if a < k else width + a - k
            for b in range(a, 2 * k):
                system[a, b] += grams[block, i, b if b < k else width + b - k]
            system[a, n - 1] += moments[block, 0, i]
            slope[a] += moments[block, 1, i]
        system[n - 1, n - 1] += moments[block, 0, 2 * width]
        slope[n - 1] += moments[block, 1, 2 * width]
    for a in range(n):
        for b in range(a):
            system[a, b] = system[b, a]
    return system, slope


@kernel
def _loss(system, slope, at, k, a, by, squared):
    """Change of half the squared errors, by steps of a coordinate's two terms."""
    i = a if a < k else 2 * k
    linear = slope[i] + np.dot(system[i], at)
    total = by * (linear + 0.5 * by * system[i, i])
    if a < k:
        linear = slope[k + a] + np.dot(system[k + a], at)
        total += squared * (linear + 0.5 * squared * system[k + a, k + a])
        total += by * squared * system[i, k + a]
    return total


@kernel
def draw_overlap_scales(grams, moments, keys, field, prior, scales, degrees, factors):
    """Move the scale of each coordinate of a field, one after the other.

    Arguments are those of `scales.draw_scales`, with statistics per block of rows.
    The number of accepted steps is returned.
    """
    k, alpha, hyper = prior
    width = factors.shape[0] - LANES
    system, slope = _system(grams, moments, k)
    at = np.zeros(2 * k + 1)
    state = stream(keys[0], keys[1], SCALE, field)
    factors[:] = 1
    n_accepted = 0
    for a in range(k + 1):
        c = 1.0
        scale = degrees * scales[a] * scales[a] * hyper[1, a]
        for _ in range(_STEPS):
            state, length = uniform(state)
            state, z = normal(state)
            state, u = uniform(state)
            step = _SHORTEST * (_LONGEST / _SHORTEST) ** length
            new = c * math.exp(step * z)
            ratio = math.log1p(c * c / scale) - math.log1p(new * new / scale)
            # The prior is a density of c, in which steps of log c are uneven.
            ratio = 0.5 * (degrees + 1) * ratio + math.log(new / c)
            loss = _loss(system, slope, at, k, a, new - c, new * new - c * c)
            if math.log(u) < ratio - alpha * loss:
                c = new
                n_accepted += 1
                if a < k:
                    at[a], at[k + a] = c - 1, c * c - 1
                else:
                    at[2 * k] = c - 1
        hyper[0, a] *= c
        hyper[1, a] /= c * c
        hyper[2, a] *= c
        factors[a if a < k else width] = c
    return n_accepted


@kernel
def apply_overlap_scales(entries, machine, field, factors, begin, end):
    """Bring sums and residuals of rows up to date with a field's scale factors."""
    sums, residual = machine[0], machine[1]
    width = sums.shape[1]
    own = np.zeros((2, width + LANES), np.float32)
    terms = np.zeros((1, 2 * width + LANES), np.float32)
    steps = np.zeros((1, 2 * width + LANES), np.float32)
    for a in range(width):
        steps[0, a] = factors[a] - 1
        steps[0, width + a] = factors[a] * factors[a] - 1
    for i in range(begin, end):
        if not _terms(i, entries, machine, field, own, terms, 0):
            continue
        for a in range(width):
            sums[i, a] += steps[0, a] * own[0, a]
        residual[i] += dot_octets(terms, 0, steps, 0, 0, 2 * width)
        residual[i] += (factors[width] - 1) * own[0, width]


@kernel
def scale_columns(table, ids, start, stop, factors):
    """Multiply the columns of a field by its scale factors."""
    for position in range(start, stop):
        for a in range(table.shape[1]):
            table[ids[position], a] *= factors[a]
