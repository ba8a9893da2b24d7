"""Random numbers as functions of their purpose, not of the order of the work.

A stream is a counter: its state is a 64-bit number that starts from (seed, iteration,
kind, index) and steps by a constant; a draw is the state, mixed (SplitMix64; Steele,
Lea & Flood, OOPSLA 2014). Every function takes the state and returns the next one with
its draw, so kernels need no shared generator and any number of threads draws the same.

No loop here is unbounded: a rejection loop that has not accepted after `TRIES` attempts
returns its last proposal. With finite arguments that happens less than once in 1e30.
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import math

import numpy as np

from ..runtime.jit import kernel

#: Purposes of streams. Of one type, so that `stream` is compiled once: a literal number
#: is a type of its own.
ROW, COLUMN, SCALE, HYPER, INTERCEPT, NOISE, START = map(np.uint64, range(7))

#: Attempts of a rejection loop; each accepts with a probability above one half.
TRIES = 200

_U = np.uint64
_STEP = _U(0x9E3779B97F4A7C15)
_KIND = _U(0xD1B54A32D192ED03)
_MIX = _U(0xBF58476D1CE4E5B9), _U(0x94D049BB133111EB)
_TAIL = 3.442619855899


@kernel(forceinline=True)
def mix(bits):
    """Scramble 64 bits."""
    bits = (bits ^ (bits >> _U(30))) * _MIX[0]
    bits = (bits ^ (bits >> _U(27))) * _MIX[1]
    return bits ^ (bits >> _U(31))


@kernel
def stream(seed, iteration, kind, index):
    """Begin the stream of one thing in one iteration."""
    state = mix(_U(seed) + _U(iteration + 1) * _STEP)
    return mix(mix(state + (_U(kind) + _U(1)) * _KIND) + _U(index) * _STEP + _STEP)


@kernel(forceinline=True)
def uniform(state):
    """Draw a number strictly between 0 and 1."""
    state = state + _STEP
    return state, (mix(state) >> _U(11)) * 2.0**-53 + 2.0**-54


def _ziggurat(n: int = 128, area: float = 9.91256303526217e-3):
    """Edges of n layers of equal area under the normal density, and their ratios.

    Marsaglia & Tsang, Journal of Statistical Software 5 (2000).
    """
    edges = np.zeros(n + 1)
    height = math.exp(-0.5 * _TAIL**2)
    edges[:2] = area / height, _TAIL
    for i in range(2, n):
        edges[i] = math.sqrt(-2 * math.log(area / edges[i - 1] + height))
        height = math.exp(-0.5 * edges[i] ** 2)
    return edges, edges[1:] / edges[:-1]


_EDGES, _RATIOS = _ziggurat()


@kernel
def normal(state):
    """Draw from the standard normal distribution."""
    x = 0.0
    for _ in range(TRIES):
        state = state + _STEP
        bits = mix(state)
        layer = np.intp(bits & _U(127))
        u = 2.0 * ((bits >> _U(11)) * 2.0**-53) - 1.0
        x = u * _EDGES[layer]
        if abs(u) < _RATIOS[layer]:
            return state, x
        if layer == 0:
            state, x = _beyond(state)
            return state, -x if u < 0 else x
        upper = math.exp(-0.5 * (_EDGES[layer] ** 2 - x * x))
        lower = math.exp(-0.5 * (_EDGES[layer + 1] ** 2 - x * x))
        state, v = uniform(state)
        if lower + v * (upper - lower) < 1.0:
            return state, x
    return state, x


@kernel(inner=True)
def _beyond(state):
    """Draw from the normal distribution's tail beyond the last layer."""
    x = 0.0
    for _ in range(TRIES):
        state, u = uniform(state)
        state, v = uniform(state)
        x = -math.log(u) / _TAIL
        if -2.0 * math.log(v) >= x * x:
            break
    return state, _TAIL + x


@kernel
def gamma(state, shape):
    """Draw from Gamma(shape, rate 1): Marsaglia & Tsang, ACM TOMS 26 (2000)."""
    boost = 1.0
    if shape < 1.0:
        state, u = uniform(state)
        boost = math.exp(math.log(u) / shape)
        shape += 1.0
    d = shape - 1.0 / 3.0
    c = 1.0 / math.sqrt(9.0 * d)
    v = 1.0
    for _ in range(TRIES):
        state, x = normal(state)
        v = (1.0 + c * x) ** 3
        if v <= 0.0:
            continue
        state, u = uniform(state)
        if math.log(u) < 0.5 * x * x + d - d * v + d * math.log(v):
            break
    return state, d * v * boost


def derive_seed(seed: int, *path: int) -> np.uint64:
    """Derive the seed of a chain, or of one of its outputs, from that of the run."""
    state = np.uint64(seed % 2**64)
    for step in path:
        state = np.uint64(stream(state, 0, START, np.int64(step)))
    return state
