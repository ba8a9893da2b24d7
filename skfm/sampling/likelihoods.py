r"""Likelihoods: the targets that the scores are regressed on, and their precisions.

Each family turns its likelihood into that of a linear regression in which each row has
a precision. Its ``prepare`` draws the precisions given the scores f of a machine.

- `Gaussian`: y itself. The noise's precision is drawn.
- `Logistic`: with :math:`\omega \sim PG(s, f)` and :math:`\kappa = \sum s (y - 1/2)`
  the likelihood of f is that of :math:`\kappa/\omega \sim N(f, 1/\omega)` (Polson,
  Scott & Windle, JASA 2013). Exact for whole weights s; see `polya_gamma` for others.
- `Multinomial`: the score of one class given those of all others is logistic in
  :math:`f - \log \sum_{j \ne c} \exp f_j` (Holmes & Held, Bayesian Analysis 2006).
"""

# mypy: disable-error-code="no-untyped-def, untyped-decorator, call-arg"

from __future__ import annotations

import math
from typing import Protocol

import numpy as np

from ..runtime.jit import kernel
from ..runtime.threads import parallel_for
from .data import Data
from .machine import Machine
from .machine_kernels import ROWS
from .polya_gamma import mean_of, polya_gamma
from .random import NOISE, ROW, gamma, stream

#: Least share of its mean that a drawn precision is taken for: only weights far below 1
#: come near it, whose kappa / omega would swamp the score in single precision.
_LEAST = 1e-4


class Likelihood(Protocol):
    """Dependence of the target on the scores of a chain's machines.

    Attributes
    ----------
    alpha : ndarray of shape (n_outputs,)
        Precisions of the noise; 1 where there is none.
    """

    alpha: np.ndarray

    def start(self) -> None:
        """Set the machines' intercepts, and all quantities that do not change."""

    def forget(self) -> None:
        """Drop the quantities that the next `prepare` draws."""

    def resume(self) -> None:
        """Compute the copies of the machines' scores afresh."""

    def prepare(self, output: int, iteration: int) -> np.ndarray:
        """Draw the precisions of the rows, and return `Machine.row_sums`."""

    def finish(self, output: int) -> None:
        """Take note of the machine's new scores."""

    def loss(self) -> float:
        """Mean loss of the scores: half the squared error, or the log loss."""


def make_likelihood(data: Data, machines: list[Machine]) -> Likelihood:
    """Make the likelihood of a problem's family."""
    if data.problem.family == "gaussian":
        return Gaussian(data, machines)
    if data.problem.family == "logistic":
        return Logistic(data, machines)
    return Multinomial(data, machines)


class Gaussian:
    """Outputs with noise of their own, independent given the scores."""

    def __init__(self, data: Data, machines: list[Machine]) -> None:
        self.data, self.machines = data, machines
        self.alpha = np.ones(len(machines))
        weight = data.rows.weight
        self._mass = float(weight.sum(dtype=np.float64))
        self._roots = np.sqrt(weight) if np.any(weight != 1) else weight[:0]

    def start(self) -> None:
        for j, machine in enumerate(self.machines):
            machine.working = self.data.rows.target[:, j].copy()
            machine.roots = self._roots

    def forget(self) -> None:
        pass

    def resume(self) -> None:
        pass

    def prepare(self, output: int, iteration: int) -> np.ndarray:
        machine = self.machines[output]
        totals = machine.row_sums()
        shape, rate = self.data.prior.noise
        errors = totals[2] + self.data.rows.within[output]
        state = np.uint64(stream(machine.seed, iteration, NOISE, 0))
        _, draw = gamma(state, shape + self._mass / 2)
        self.alpha[output] = draw / (rate + errors / 2)
        return totals

    def finish(self, output: int) -> None:
        pass

    def loss(self) -> float:
        errors = sum(machine.row_sums()[2] for machine in self.machines)
        errors += self.data.rows.within.sum()
        return float(errors / (2 * len(self.machines) * self._mass))


class Logistic:
    """Two classes, or shares of them."""

    def __init__(self, data: Data, machines: list[Machine]) -> None:
        self.data, self.machines = data, machines
        self.alpha = np.ones(1)

    def start(self) -> None:
        machine = self.machines[0]
        weight = self.data.rows.weight
        mass = weight.sum(dtype=np.float64)
        positive = self.data.rows.target.sum(dtype=np.float64) + mass / 2
        machine.intercept = math.log((positive + 0.5) / (mass - positive + 0.5))
        machine.roots = np.ones(len(weight), np.float32)

    def forget(self) -> None:
        self.machines[0].working[:] = 0

    def resume(self) -> None:
        pass

    def prepare(self, output: int, iteration: int) -> np.ndarray:
        none = np.empty((0, 1), np.float32)
        return _augmented(self.data, self.machines[0], iteration, none, 0)

    def finish(self, output: int) -> None:
        pass

    def loss(self) -> float:
        machine = self.machines[0]
        scores = (machine.residual + machine.working)[:, None]
        return _mean_loss(self.data, scores, machine.n_threads)


class Multinomial:
    """Several classes, each with a machine of its own."""

    def __init__(self, data: Data, machines: list[Machine]) -> None:
        self.data, self.machines = data, machines
        self.alpha = np.ones(len(machines))
        self.scores = np.zeros((data.rows.n_rows, len(machines)), np.float32)

    def start(self) -> None:
        mass = self.data.rows.weight.sum(dtype=np.float64)
        n = len(self.machines)
        for machine, target in zip(self.machines, self.data.rows.target.T, strict=True):
            share = (target.sum(dtype=np.float64) + mass / 2 + 0.5) / (mass + n / 2)
            machine.intercept = math.log(share)
            machine.roots = np.ones(len(target), np.float32)

    def forget(self) -> None:
        for machine in self.machines:
            machine.working[:] = 0

    def resume(self) -> None:
        for output in range(len(self.machines)):
            self.finish(output)

    def prepare(self, output: int, iteration: int) -> np.ndarray:
        machine = self.machines[output]
        return _augmented(self.data, machine, iteration, self.scores, output)

    def finish(self, output: int) -> None:
        machine = self.machines[output]
        self.scores[:, output] = machine.residual + machine.working

    def loss(self) -> float:
        return _mean_loss(self.data, self.scores, self.machines[0].n_threads)


def _augmented(
    data: Data, machine: Machine, iteration: int, scores: np.ndarray, output: int
) -> np.ndarray:
    """Draw the precisions of a machine's rows, and return `Machine.row_sums`."""
    rows = data.rows
    observed = rows.key, rows.weight, rows.target, (machine.seed, iteration)
    state = machine.working, machine.residual, machine.roots
    parallel_for(
        _augment, rows.n_rows, machine.n_threads, *observed, scores, output, *state
    )
    return machine.row_sums()


def _mean_loss(data: Data, scores: np.ndarray, n_threads: int) -> float:
    """Mean log loss of scores (n_rows, n_outputs)."""
    rows = data.rows
    sums = np.zeros(-(-rows.n_rows // ROWS))
    observed = rows.weight, rows.target
    parallel_for(_sum_losses, len(sums), n_threads, *observed, scores, sums)
    return float(sums.sum() / rows.weight.sum(dtype=np.float64))


@kernel
def _sum_losses(weight, kappa, scores, out, begin, end):
    for block in range(begin, end):
        total = 0.0
        for i in range(block * ROWS, min((block + 1) * ROWS, len(weight))):
            s = np.float64(weight[i])
            if scores.shape[1] == 1:
                f = np.float64(scores[i, 0])
                norm = max(f, 0.0) + math.log1p(math.exp(-abs(f)))
            else:
                first = np.float64(scores[i, 0])
                rest = _others(scores, i, np.int64(0))
                norm = max(first, rest) + math.log1p(math.exp(-abs(first - rest)))
            total += s * norm
            for j in range(scores.shape[1]):
                total -= (kappa[i, j] + 0.5 * s) * scores[i, j]
        out[block] = total


@kernel(inner=True)
def _others(scores, i, output):
    """Log of the sum of the exponentials of a row's other scores; 0 without any."""
    if scores.shape[0] == 0:
        return 0.0
    top = -math.inf
    for j in range(scores.shape[1]):
        if j != output and scores[i, j] > top:
            top = np.float64(scores[i, j])
    total = 0.0
    for j in range(scores.shape[1]):
        if j != output:
            total += math.exp(scores[i, j] - top)
    return top + math.log(total)


@kernel
def _augment(
    key, weight, kappa, keys, scores, output, working, residual, roots, begin, end
):
    for i in range(begin, end):
        f = np.float64(residual[i]) + np.float64(working[i])
        offset = _others(scores, i, output)
        s, c = np.float64(weight[i]), f - offset
        _, omega = polya_gamma(stream(keys[0], keys[1], ROW, np.int64(key[i])), s, c)
        omega = max(omega, _LEAST * mean_of(s, c))
        working[i] = offset + kappa[i, output] / omega
        roots[i] = math.sqrt(omega)
        residual[i] = f - np.float64(working[i])
