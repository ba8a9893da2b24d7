"""The stochastic solver: networks trained by stochastic gradients."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from .checkpoints import Checkpoint
from .learner import Settings
from .problem import Problem, State
from .resuming import RunState
from .solver import Monitor
from .trainer import Trainer


@dataclass(frozen=True)
class StochasticSolver:
    """Train a network by stochastic gradients, and keep its best epoch.

    Parameters
    ----------
    settings : Settings
    rng : numpy Generator
        Shuffles the rows and seeds dropout.
    keep_optimizers : bool, default=False
        Whether the state holds what a later run needs to go on from the optimizers'.
    checkpoint : Checkpoint or None
        Keeps the run's state on disk.
    """

    settings: Settings
    rng: np.random.Generator
    keep_optimizers: bool = False
    checkpoint: Checkpoint | None = None

    def solve(self, problem: Problem, state: State, monitor: Monitor) -> State:
        """Train; see `skfm.training.solver.Solver`."""
        trainer = Trainer(
            problem,
            state,
            self.settings,
            self.rng,
            keep_optimizers=self.keep_optimizers,
        )
        try:
            self._run(trainer, monitor)
        except BaseException:
            if trainer.history.best_epoch:
                monitor.rescue(trainer.state())
            raise
        return trainer.state()

    def _run(self, trainer: Trainer, monitor: Monitor) -> None:
        if self.checkpoint is None:
            trainer.run(monitor)
            return
        run, checkpoint = RunState(trainer), self.checkpoint
        checkpoint.resume(run)
        trainer.run(monitor, lambda: checkpoint.save(run))
        checkpoint.remove()
