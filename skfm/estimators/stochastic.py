"""Fits of estimators by the stochastic solver."""

from __future__ import annotations

from typing import Any

import numpy as np

from ..data.memory import MemorySource
from ..data.statistics import ColumnStatistics
from ..distributed.groups import communicator
from ..runtime.threads import resolve_n_jobs
from ..training.checkpoints import open_checkpoint
from ..training.problem import State
from ..training.solver import Monitor
from ..training.stochastic import StochasticSolver
from . import defaults
from .data import FitData
from .guard import Examined
from .member import Member, count_rows, stops
from .optimization import OptimizationParameters
from .params import given_or_default
from .run import Run


class StochasticFit:
    """One fit of an estimator by the stochastic solver.

    Parameters
    ----------
    model : estimator
        Estimator with known fields and encoding of the target, which is only read.
    data : FitData
        Training rows.
    held_out : FitData or None
        Held-out rows for early stopping.
    run : Run
        Options of this call of ``fit`` or ``partial_fit``.
    resume : bool
        Whether to continue from the weights of ``model``.
    seed : int
        Seed of all random numbers.
    source : estimator or None
        Fitted model to start from, which has been checked.
    """

    name = "sgd"
    iteration = "epoch"

    def __init__(
        self,
        model: Any,
        data: FitData,
        held_out: FitData | None,
        run: Run,
        *,
        resume: bool,
        seed: int,
        source: Any = None,
    ) -> None:
        self.max_iter = run.iterations(defaults.EPOCHS)
        n_members = _n_members(model, data, held_out, run, resume=resume)
        n_threads = resolve_n_jobs(model.n_jobs)
        taken = np.zeros(data.n_rows, np.bool_)
        self._members = [
            Member(
                model,
                data,
                held_out,
                run,
                resume=resume,
                seed=seed,
                source=source,
                number=number,
                taken=taken,
                n_left=n_members - number,
                n_threads=max(1, n_threads // n_members),
            )
            for number in range(n_members)
        ]
        self._solver = StochasticSolver(
            n_threads,
            keep_optimizers=run.keep_optimizer,
            checkpoint=open_checkpoint(model, self.max_iter, communicator()),
            workers=communicator(),
        )
        self._statistics = self._count()

    def _count(self) -> ColumnStatistics:
        """Compute the statistics of all rows that a member has learnt from."""
        first = self._members[0]
        source, found = first.problem.source, first.found
        if len(self._members) > 1 and isinstance(source, MemorySource):
            found = count_rows(source.whole(), first.start.state.network)
        return found if first.known is None else found + first.known

    def solve(self, monitor: Monitor) -> State:
        """Train the network, and return its state."""
        return self._solver.solve([member.start for member in self._members], monitor)

    def attributes(self, state: State) -> dict[str, Any]:
        """Return the fitted attributes of a state, without those of its history."""
        return {
            "network_": state.network,
            "_optimizers": state.optimizers,
            "_column_statistics": self._statistics,
            "_given_vectors": self._members[0].given_vectors,
        }

    def examined(self) -> Examined:
        """Return the held-out rows if there are any, and otherwise training rows."""
        first = self._members[0]
        return Examined.of(first.problem.source, first.baseline, first.problem.loss)


def _n_members(
    model: Any, data: FitData, held_out: FitData | None, run: Run, *, resume: bool
) -> int:
    """Return the number of networks to train.

    Raises
    ------
    ValueError
        If several were to learn from a dataset.
    """
    asked = given_or_default(model, OptimizationParameters, "n_members")
    if resume:
        asked = model.network_.shape.n_members
    elif isinstance(asked, str):
        _, splits = stops(run, data, held_out)
        several = splits and not data.streamed
        asked = defaults.n_members(data.n_rows) if several else 1
    if data.streamed and asked > 1:
        raise ValueError(
            f"X is a dataset, from which a single network is trained, but there are to "
            f"be n_members={asked}: set n_members=1."
        )
    return int(asked)
