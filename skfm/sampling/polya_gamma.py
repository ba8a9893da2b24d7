r"""Draw from the Polya-Gamma distributions PG(b, c), b > 0.

Polson, Scott & Windle, JASA 108 (2013): with :math:`g_n \sim Gamma(b, 1)`,

.. math:: PG(b, c) \sim \frac{1}{2 \pi^2} \sum_{n \ge 1}
          \frac{g_n}{(n - 1/2)^2 + c^2 / (4 \pi^2)}

PG(1, c) is drawn exactly, by Devroye's alternating series; PG(b, c) of a whole b up to
`EXACT` as a sum of b of them. What is left of a fractional b, and all of a larger b, is
the series above with `TERMS` exact terms and one gamma variable in the place of all
others, which has their mean and variance: mean and variance of the draw are exact, its
third cumulant within 1e-3.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import math

import numpy as np

from ..runtime.jit import kernel
from .random import TRIES, gamma, normal, uniform

#: Largest b of which the whole part is drawn as a sum of PG(1, c).
EXACT = 8
#: Exact terms of the series for everything else.
TERMS = 6

_SPLIT = 0.64  # where the two series of the density of PG(1, 0) / 4 change over
_GRID, _GRID_END = 128, 12.0


def _tail_shares() -> np.ndarray:
    """Probabilities that 4 PG(1, 2 z) proposes beyond the split, on a grid of z."""
    z = np.arange(0, _GRID_END + 1 / _GRID / 2, 1 / _GRID)
    rate = math.pi**2 / 8 + z**2 / 2
    beyond = np.log(math.pi / (2 * rate)) - rate * _SPLIT
    root = math.sqrt(1 / _SPLIT)
    below = [
        math.log(
            math.erfc(-root * (_SPLIT * at - 1) / math.sqrt(2)) / 2
            + math.exp(2 * at) * math.erfc(root * (_SPLIT * at + 1) / math.sqrt(2)) / 2
        )
        for at in z
    ]
    return 1 / (1 + np.exp(np.log(2) - z + below - beyond))


_SHARES = _tail_shares()


@kernel(inner=True)
def _tail_share(z, rate):
    if z < _GRID_END - 2 / _GRID:
        cell = np.intp(z * _GRID)
        return _SHARES[cell] + (z * _GRID - cell) * (_SHARES[cell + 1] - _SHARES[cell])
    beyond = math.pi / (2 * rate) * math.exp(-rate * _SPLIT)
    return beyond / (beyond + 2 * math.exp(-z))


@kernel(inner=True)
def _coefficient(n, x):
    """Term n of the alternating series of the density at x."""
    h = n + 0.5
    if x > _SPLIT:
        return math.pi * h * math.exp(-h * h * math.pi * math.pi * x * 0.5)
    u = 2.0 / (math.pi * x)
    return math.pi * h * u * math.sqrt(u) * math.exp(-2.0 * h * h / x)


@kernel(inner=True)
def _below(state, z):
    """Draw from the inverse Gaussian (1 / z, 1) cut off at the split."""
    x = _SPLIT
    if z < 1 / _SPLIT:
        for _ in range(TRIES):
            state, u = uniform(state)
            state, v = uniform(state)
            e1, e2 = -math.log(u), -math.log(v)
            if e1 * e1 > 2 * e2 / _SPLIT:
                continue
            x = _SPLIT / ((1 + _SPLIT * e1) * (1 + _SPLIT * e1))
            state, u = uniform(state)
            if u <= math.exp(-0.5 * z * z * x):
                break
        return state, x
    mean = 1 / z
    for _ in range(TRIES):
        state, y = normal(state)
        y = mean * y * y
        x = mean * (1 + 0.5 * y - 0.5 * math.sqrt(4 * y + y * y))
        state, u = uniform(state)
        if u * (mean + x) > mean:
            x = mean * mean / x
        if x <= _SPLIT:
            break
    return state, min(x, _SPLIT)


@kernel(inner=True)
def _accepts(x, height):
    """Return whether ``height`` times the first term is below the density at x."""
    total = _coefficient(np.int64(0), x)
    level = height * total
    for n in range(1, TRIES):
        if n & 1:
            total -= _coefficient(n, x)
            if level <= total:
                return True
        else:
            total += _coefficient(n, x)
            if level > total:
                return False
    return True


@kernel(inner=True)
def _draw_one(state, c):
    """Draw from PG(1, c), exactly."""
    z = abs(c) * 0.5
    rate = math.pi * math.pi / 8 + z * z / 2
    share = _tail_share(z, rate)
    x = _SPLIT
    for _ in range(TRIES):
        state, u = uniform(state)
        if u < share:
            state, u = uniform(state)
            x = _SPLIT - math.log(u) / rate
        else:
            state, x = _below(state, z)
        state, u = uniform(state)
        if _accepts(x, u):
            break
    return state, 0.25 * x


@kernel
def mean_of(b, c):
    """Mean of PG(b, c)."""
    c = abs(c)
    if c < 1e-3:
        return b * (0.25 - c * c / 48)
    return b / (2 * c) * math.tanh(c / 2)


@kernel
def variance_of(b, c):
    """Variance of PG(b, c)."""
    c = abs(c)
    if c < 1e-2:
        return b * (1 / 24 - c * c / 120)
    if c > 40:
        return b / (2 * c * c * c)
    return b * (math.sinh(c) - c) / (4 * c * c * c * math.cosh(c / 2) ** 2)


@kernel(inner=True)
def _draw_series(state, b, c):
    """Draw from the series, the terms after the first few as one gamma variable."""
    mean, variance, total = mean_of(b, c), variance_of(b, c), 0.0
    shift = c * c / (4 * math.pi * math.pi)
    for n in range(TERMS):
        factor = 1 / (2 * math.pi * math.pi * ((n + 0.5) * (n + 0.5) + shift))
        state, g = gamma(state, b)
        total += factor * g
        mean -= factor * b
        variance -= factor * factor * b
    state, g = gamma(state, mean * mean / variance)
    return state, total + g * variance / mean


@kernel
def polya_gamma(state, b, c):
    """Draw from PG(b, c).

    Parameters
    ----------
    state : uint64
        State of a stream of `random`.
    b, c : float
        Shape, above 0, and tilt, of either sign.

    Returns
    -------
    state : uint64
    draw : float
    """
    if b > EXACT:
        return _draw_series(state, b, c)
    whole = int(b)
    total = 0.0
    for _ in range(whole):
        state, draw = _draw_one(state, c)
        total += draw
    if b > whole:
        state, draw = _draw_series(state, b - whole, c)
        total += draw
    return state, total
