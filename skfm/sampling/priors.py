r"""Draw the means and precisions of the fields.

For coordinate a of a field with n seen columns:
:math:`\theta_i \sim N(\mu, 1/\lambda)`, :math:`\mu \sim N(0, 1/(\gamma\lambda))`, and
:math:`\lambda^{-1/2}` half-t with :math:`\nu` degrees of freedom and scale s. The
half-t is a mixture (Wand et al., Bayesian Analysis 6, 2011), whence the conditionals

.. math::

   \tau &\sim Gamma((\nu + 1)/2, \; \nu\lambda + 1/s^2) \\
   \lambda &\sim Gamma((\nu + n)/2, \; \nu\tau
        + \tfrac12 [\sum (\theta_i - \bar\theta)^2
        + n\gamma\bar\theta^2/(n + \gamma)]) \\
   \mu &\sim N(n\bar\theta/(n + \gamma), \; 1/(\lambda(n + \gamma)))

of which :math:`\tau` is drawn afresh, so it is no part of a chain's state.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import math

import numpy as np

from ..runtime.jit import kernel
from .octets import LANES
from .random import HYPER, gamma, normal, stream

#: Columns whose moments one thread sums.
_CHUNK = 2048
_LEAST, _MOST = 1e-12, 1e12


def moment_chunks(bounds: np.ndarray) -> np.ndarray:
    """Cut fields, bounded by positions, into chunks: (field, start, stop) each."""
    chunks = [
        (g, start, min(start + _CHUNK, bounds[g + 1]))
        for g in range(len(bounds) - 1)
        for start in range(bounds[g], bounds[g + 1], _CHUNK)
    ]
    return np.array(chunks, np.int64).reshape(-1, 3)


@kernel
def sum_moments(table, ids, chunks, hyper, sums, begin, end):
    """Sum the columns of chunks, and their squares, about the fields' means."""
    k = hyper.shape[2] - 1
    width = table.shape[1] - LANES
    for t in range(begin, end):
        mean = hyper[chunks[t, 0], 0]
        sums[t] = 0
        for position in range(chunks[t, 1], chunks[t, 2]):
            for a in range(k + 1):
                place = a if a < k else width
                distance = table[ids[position], place] - mean[a]
                sums[t, 0, a] += distance
                sums[t, 1, a] += distance * distance


@kernel
def draw_hyper(chunks, sums, keys, scales, degrees, pull, hyper):
    """Draw the hyperparameters (n_fields, 3, k + 1) given the moments of chunks.

    Rows of ``hyper`` are means, precisions and standard deviations.
    """
    t = 0
    for g in range(hyper.shape[0]):
        n = 0
        first, second = np.zeros(hyper.shape[2]), np.zeros(hyper.shape[2])
        while t < chunks.shape[0] and chunks[t, 0] == g:
            n += chunks[t, 2] - chunks[t, 1]
            first += sums[t, 0]
            second += sums[t, 1]
            t += 1
        state = stream(keys[0], keys[1], HYPER, g)
        for a in range(hyper.shape[2]):
            shift = first[a] / n if n else 0.0
            mean = hyper[g, 0, a] + shift if n else 0.0
            around = max(0.0, second[a] - n * shift * shift)
            rate = degrees * hyper[g, 1, a] + 1 / (scales[a] * scales[a])
            state, draw = gamma(state, 0.5 * (degrees + 1))
            tau = draw / rate
            rate = degrees * tau + 0.5 * (around + n * pull * mean * mean / (n + pull))
            state, draw = gamma(state, 0.5 * (degrees + n))
            precision = min(max(draw / rate, _LEAST), _MOST)
            state, z = normal(state)
            deviation = 1 / math.sqrt(precision)
            hyper[g, 0, a] = n * mean / (n + pull) + z * deviation / math.sqrt(n + pull)
            hyper[g, 1, a] = precision
            hyper[g, 2, a] = deviation
