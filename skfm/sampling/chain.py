"""One chain: the machines of a problem's outputs, and an iteration of all of them."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from .data import Data
from .likelihoods import make_likelihood
from .machine import Machine
from .random import derive_seed

#: Iterations after which sums and residuals are computed afresh.
REFRESH = 32


class DivergenceError(FloatingPointError):
    """Error about a column whose parameters are no longer finite.

    Attributes
    ----------
    column : int
    """

    column: int = -1

    @classmethod
    def of(cls, column: int, name: object = None) -> DivergenceError:
        """Make the error of a column, which has a name or is called by its number."""
        error = cls(
            f"the parameters of column {column if name is None else repr(name)} are no "
            "longer finite: look for extreme values there, or scale it"
        )
        error.column = column
        return error


class Sample(NamedTuple):
    """Parameters of the machines of all outputs, in units of X.

    Attributes
    ----------
    factors : ndarray of shape (n_columns, n_outputs, k)
    linear : ndarray of shape (n_columns, n_outputs)
    intercept, noise : ndarray of shape (n_outputs,)
    """

    factors: np.ndarray
    linear: np.ndarray
    intercept: np.ndarray
    noise: np.ndarray


class Chain:
    """A Markov chain over the parameters of a problem.

    Parameters
    ----------
    data : Data
    seed : int
        Seed that all chains share.
    index : int
        Number of this chain, on which its random numbers depend.
    n_threads : int
        Threads that draw the columns of this chain.

    Attributes
    ----------
    machines : list of Machine
        A machine for each output.
    likelihood : Likelihood
    iteration : int
        Number of iterations done.
    """

    def __init__(self, data: Data, seed: int, index: int, n_threads: int) -> None:
        self.data = data
        self.machines = [
            Machine(data, derive_seed(seed, index, output), n_threads)
            for output in range(data.problem.n_outputs)
        ]
        self.likelihood = make_likelihood(data, self.machines)
        self.likelihood.start()
        self.iteration = 0

    def resume(self) -> None:
        """Compute the scores, sums and residuals of the rows from the parameters."""
        self.likelihood.forget()
        for machine in self.machines:
            machine.rescore()
        self.likelihood.resume()

    def start_at(self, sample: Sample) -> None:
        """Start from the parameters of a sample.

        The distributions of the fields are drawn given them, as they are at the
        beginning of each iteration.
        """
        columns, k = self.data.layout.columns, self.data.n_factors
        scales = columns.scales[columns.ids, None]
        for j, machine in enumerate(self.machines):
            machine.table[columns.ids, :k] = sample.factors[columns.ids, j] * scales
            linear = sample.linear[columns.ids, j, None] * scales
            machine.table[columns.ids, machine.width] = linear[:, 0]
            machine.intercept = float(sample.intercept[j])
        self.likelihood.alpha[:] = np.asarray(sample.noise, np.float64) ** -2
        self.resume()

    def step(self) -> None:
        """Draw every parameter once.

        Raises
        ------
        DivergenceError
            If a draw is not finite. The message names the column.
        """
        if self.iteration % REFRESH == 0:
            self.resume()
        iteration = self.iteration
        for output, machine in enumerate(self.machines):
            totals = self.likelihood.prepare(output, iteration)
            alpha = float(self.likelihood.alpha[output])
            machine.draw_intercept(iteration, alpha, totals)
            machine.draw_hyper(iteration)
            machine.draw_columns(iteration, alpha)
            if machine.bad[0]:
                raise DivergenceError.of(int(machine.bad[0]) - 1)
            self.likelihood.finish(output)
        self.iteration += 1

    def scores(self, n_rows: int) -> np.ndarray:
        """Scores of the first merged rows, (n_rows, n_outputs), float32."""
        return np.stack(
            [m.residual[:n_rows] + m.working[:n_rows] for m in self.machines], axis=1
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Return the state as plain arrays, for `restore`."""
        columns = self.data.layout.columns
        return {
            "iteration": np.array(self.iteration),
            "columns": columns.ids,
            "scales": columns.scales[columns.ids],
            "table": np.stack([m.table[columns.ids] for m in self.machines], axis=1),
            "intercept": np.array([m.intercept for m in self.machines]),
            "hyper": np.stack([m.hyper for m in self.machines]),
            "alpha": self.likelihood.alpha.copy(),
        }

    def restore(self, arrays: dict[str, np.ndarray]) -> None:
        """Go on from a state that `to_arrays` has returned.

        Raises
        ------
        ValueError
            If the problem has other fields, factors or outputs than that of the state.
        """
        shape = self.machines[0].hyper.shape
        expected = (len(self.machines), *shape)
        if arrays["hyper"].shape != expected:
            raise ValueError(
                "the chains have (outputs, fields, 3, k + 1) = "
                f"{arrays['hyper'].shape}, the problem {expected}: start new chains"
            )
        self.iteration = int(arrays["iteration"])
        ids = arrays["columns"]
        ratio = self.data.layout.columns.scales[ids] / arrays["scales"]
        for j, machine in enumerate(self.machines):
            machine.table[:] = 0
            table = arrays["table"][:, j] * ratio[:, None]
            machine.table[ids] = table.astype(np.float32)
            machine.intercept = float(arrays["intercept"][j])
            machine.hyper[:] = arrays["hyper"][j]
        self.likelihood.alpha[:] = arrays["alpha"]
        self.resume()
