r"""The joint move of a field's scale.

Where the factors of all fields are near zero, so is every product of them, and draws of
one column at a time leave there slowly. So after a field is drawn, a factor c is
proposed for each coordinate a of the whole field: :math:`\theta_{\cdot a}` and its mean
times c, its precision over c^2. If the field's columns share no row, the score is
linear in c, and the likelihood, given the rows' precisions, is Gaussian in c: the
proposal is drawn from it, and accepted with the ratio of the half-t prior of the
standard deviation under the Haar measure of the scalings, in which the Jacobian and the
prior of :math:`\theta` and its mean given the precision cancel (Liu & Sabatti,
Biometrika 2000).

The statistics are gathered while the columns are drawn: with :math:`u_r` the slopes of
a row times its column's numbers, the Gram of u, and its products with the residuals.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg, var-annotated"

from __future__ import annotations

import math

import numpy as np

from ..runtime.jit import kernel
from .octets import LANES, add_octets, add_products, dot_octets
from .random import SCALE, normal, stream, uniform


@kernel(inner=True)
def add_scale_statistics(gram, moments, new, change, k, total, total_moments):
    """Add a column's statistics, made of its Gram, moments, and its new numbers."""
    width = gram.shape[1]
    number = gram.dtype.type
    numbers = np.zeros((1, width), gram.dtype)
    after = np.zeros((1, width), gram.dtype)
    for a in range(k):
        numbers[0, a] = new[a]
        block = a & ~(LANES - 1)
        along = dot_octets(gram, a, change, 0, block, width)
        after[0, a] += moments[1, a] + along + moments[0, a] * change[0, width]
        # Only the upper blocks of the Gram are there: row a is column a beyond its own.
        add_octets(after, 0, gram, a, change[0, a], block + LANES, width)
    w = number(new[width])
    linear = moments[1, width] + moments[0, width] * change[0, width]
    for a in range(k):
        x = numbers[0, a]
        linear += moments[0, a] * change[0, a]
        add_products(total, a, gram, a, numbers, 0, x, a & ~(LANES - 1), width)
        total_moments[0, a] += w * x * moments[0, a]
        total_moments[1, a] += x * after[0, a]
    total_moments[0, width] += w * w * moments[0, width]
    total_moments[1, width] += w * linear


@kernel(inner=True)
def gather_scale_rows(tile, sides, n, new, change, pile, pile_sides, piled):
    """Append the rows u of a short column to a pile, and return the pile's size."""
    width = tile.shape[1] - LANES
    w, step = new[width], change[0, width]
    for i in range(n):
        moved = dot_octets(tile, i, change, 0, 0, width) + sides[0, i] * step
        for a in range(width):
            pile[piled, a] = tile[i, a] * new[a]
        pile_sides[0, piled] = w * sides[0, i]
        pile_sides[1, piled] = sides[1, i] + moved
        piled += 1
    return piled


@kernel(inner=True)
def _add_parts(grams, moments, k, system, slope):
    width = grams.shape[1]
    for t in range(grams.shape[0]):
        for a in range(k):
            for b in range(a, k):
                system[a, b] += grams[t, a, b]
            system[a, k] += moments[t, 0, a]
            slope[a] += moments[t, 1, a]
        system[k, k] += moments[t, 0, width]
        slope[k] += moments[t, 1, width]


@kernel
def draw_scales(short, long, keys, field, prior, scales, degrees, factors):
    """Move the scale of each coordinate of a field, one after the other.

    Parameters
    ----------
    short, long : tuple
        (grams, moments) per task and per long column.
    keys : tuple
        Seed and iteration.
    field : int
    prior : tuple
        Number of factors, noise precision, hyperparameters (3, k + 1), which change.
    scales : ndarray of shape (k + 1,)
        Scales of the half-t priors, of ``degrees`` degrees of freedom.
    factors : ndarray of shape (width + 8,), float32
        Receives the accepted factors, as a row of the table of parameters.

    Returns
    -------
    n_accepted : int
    """
    k, alpha, hyper = prior
    width = factors.shape[0] - LANES
    system, slope = np.zeros((k + 1, k + 1)), np.zeros(k + 1)
    _add_parts(short[0], short[1], k, system, slope)
    _add_parts(long[0], long[1], k, system, slope)
    state = stream(keys[0], keys[1], SCALE, field)
    moved = np.zeros(k + 1)
    factors[:] = 1
    n_accepted = 0
    for a in range(k + 1):
        gradient = -slope[a]
        for b in range(k + 1):
            gradient -= system[min(a, b), max(a, b)] * moved[b]
        state, z = normal(state)
        state, u = uniform(state)
        information = alpha * system[a, a]
        if not information > 1e-12:
            continue
        c = 1 + alpha * gradient / information + z / math.sqrt(information)
        before, after = hyper[1, a], hyper[1, a] / (c * c)
        if not 1e-12 < after < 1e12:
            continue
        scale = degrees * scales[a] * scales[a]
        ratio = math.log1p(1 / (before * scale)) - math.log1p(1 / (after * scale))
        if math.log(u) < 0.5 * (degrees + 1) * ratio:
            moved[a] = c - 1
            hyper[0, a] *= c
            hyper[1, a] = after
            hyper[2, a] = 1 / math.sqrt(after)
            factors[a if a < k else width] = c
            n_accepted += 1
    return n_accepted
