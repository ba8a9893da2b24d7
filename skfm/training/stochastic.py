"""The stochastic solver: networks trained by stochastic gradients."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np

from ..distributed.agreement import check_same
from ..distributed.communicator import Communicator
from ..nn.members import join_members
from ..runtime.threads import team, torch_threads
from .checkpoints import Checkpoint, digest
from .problem import Problem, State
from .resuming import JointState
from .settings import Settings
from .solver import History, Monitor, Progress
from .trainer import Trainer


@dataclass(frozen=True)
class Start:
    """Input of a run.

    Attributes
    ----------
    problem : Problem
    state : State
    settings : Settings
    rng : numpy Generator
        Generator that shuffles the rows and seeds dropout.
    """

    problem: Problem
    state: State
    settings: Settings
    rng: np.random.Generator


@dataclass(frozen=True)
class StochasticSolver:
    """Train networks by stochastic gradients, and keep the best epoch of each.

    Parameters
    ----------
    n_threads : int
        Number of networks that are trained at the same time.
    keep_optimizers : bool, default=False
        Whether the state includes that of the optimizers, for a later run.
    checkpoint : Checkpoint or None
        File that keeps the state of the runs.
    workers : Communicator or None
        Workers that train one network together, with the same arguments.
    """

    n_threads: int = 1
    keep_optimizers: bool = False
    checkpoint: Checkpoint | None = None
    workers: Communicator | None = None

    def solve(self, starts: Sequence[Start], monitor: Monitor) -> State:
        """Train, and return the state of the network whose score is the mean of all.

        The runs are independent of each other. After each epoch of those that continue,
        the monitor sees the means of their losses and scores.

        Raises
        ------
        FloatingPointError
            If a loss became NaN or infinite. Before this error or any other is raised,
            the state after the last full (or best) epoch is passed to
            ``monitor.rescue``. With workers, which may be lost, only this error does.
        """
        trainers = [
            Trainer(
                start.problem,
                start.state,
                start.settings,
                start.rng,
                keep_optimizers=self.keep_optimizers,
                workers=self.workers,
            )
            for start in starts
        ]
        try:
            self._run(trainers, monitor)
        except BaseException as error:
            reachable = self.workers is None or isinstance(error, FloatingPointError)
            begun = all(trainer.history.best_epoch for trainer in trainers)
            if begun and reachable:
                monitor.rescue(_joined(trainers))
            raise
        return _joined(trainers)

    def _run(self, trainers: list[Trainer], monitor: Monitor) -> None:
        runs, checkpoint = JointState(trainers), self.checkpoint
        if self.workers is not None:
            check_same(self.workers, digest(runs.beginnings()))
        if checkpoint is None:
            self._run_epochs(trainers, monitor, lambda: None)
            return
        checkpoint.resume(runs)
        self._run_epochs(trainers, monitor, lambda: checkpoint.save(runs))
        checkpoint.remove()

    def _run_epochs(
        self, trainers: list[Trainer], monitor: Monitor, save: Callable[[], None]
    ) -> None:
        left = [trainer for trainer in trainers if not trainer.ended]
        try:
            with torch_threads(1), self._threads(trainers) as advance:
                while left:
                    monitor.begin_iteration()
                    advance(left)
                    asked = monitor.end_iteration(_progress(trainers, left))
                    if trainers[0].learner.total(asked):
                        return
                    left = [trainer for trainer in left if not trainer.ended]
                    if left:
                        save()
        finally:
            for trainer in trainers:
                trainer.finish()

    @contextmanager
    def _threads(
        self, trainers: list[Trainer]
    ) -> Iterator[Callable[[list[Trainer]], None]]:
        """Yield a function that lets trainers advance by an epoch at the same time."""
        own_threads = trainers[0].settings.n_threads
        n_threads = min(self.n_threads, len(trainers))
        if n_threads == 1:
            with team(own_threads):
                yield _one_by_one
            return

        def one(trainer: Trainer) -> None:
            with torch_threads(1), team(own_threads):
                trainer.advance()

        # The end of the block waits for epochs that are still running.
        with ThreadPoolExecutor(n_threads, thread_name_prefix="skfm-member") as pool:
            yield lambda left: list(pool.map(one, left)).clear()


def _one_by_one(trainers: list[Trainer]) -> None:
    for trainer in trainers:
        trainer.advance()


def _progress(trainers: list[Trainer], active: list[Trainer]) -> Progress:
    learners = [trainer.learner for trainer in trainers]
    return Progress(
        History.of_members([trainer.history for trainer in trainers]),
        trainers[0].settings.max_iter,
        sum(trainer.source.n_rows for trainer in active),
        lambda: {"network_": join_members([own.copy_network() for own in learners])},
    )


def _joined(trainers: list[Trainer]) -> State:
    states = [trainer.state() for trainer in trainers]
    return State(
        join_members([state.network for state in states]),
        optimizers=[known for state in states for known in state.optimizers],
        history=History.of_members([state.history for state in states]),
    )
