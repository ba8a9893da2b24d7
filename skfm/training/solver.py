"""Interface between estimators and solvers: solvers, monitors, progress.

A solver turns what a fit starts from into a state. The stochastic solver
(`skfm.training.stochastic`) trains any network; the Bayesian one samples factorization
machines. Monitors see a `Progress` after each iteration, and nothing else of a solver.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Generic, Protocol, TypeVar

Start = TypeVar("Start", contravariant=True)
State = TypeVar("State", covariant=True)


@dataclass
class History:
    """Record of a run, with an element for each iteration.

    Attributes
    ----------
    loss_curve : list of float
        Mean training loss during the iteration, without penalty.
    validation_scores : list of float
        Score on the held-out rows after the iteration: minus the mean loss, or the
        mean NDCG.
    best_epoch : int
        Number of iterations that led to the weights that are kept; 0 if there are none.
    members : list of History
        Records of the runs side by side, if there were several. The other attributes
        are their means; ``best_epoch`` is the last of theirs.
    """

    loss_curve: list[float] = field(default_factory=list)
    validation_scores: list[float] = field(default_factory=list)
    best_epoch: int = 0
    members: list[History] = field(default_factory=list)

    @classmethod
    def of_members(cls, histories: list[History]) -> History:
        """Return the record of runs side by side.

        A run that has ended counts on with the values of its best epoch.
        """
        if len(histories) == 1:
            return histories[0]
        length = max(len(history.loss_curve) for history in histories)
        return cls(
            _mean([h.held(h.loss_curve, length) for h in histories]),
            _mean([h.held(h.validation_scores, length) for h in histories]),
            max(history.best_epoch for history in histories),
            histories,
        )

    def held(self, values: list[float], length: int) -> list[float]:
        """Repeat the value of the best epoch until there are ``length`` values."""
        best = values[max(0, self.best_epoch - 1) :][:1]
        return values + best * (length - len(values))


@dataclass(frozen=True)
class Progress:
    """State of a run between two of its iterations, as monitors see it.

    Attributes
    ----------
    history : History
        Record of the run so far; the last elements belong to this iteration.
    max_iter : int
        Largest number of iterations.
    n_rows : int
        Number of rows of an iteration.
    attributes : callable
        Function that returns copies of the fitted attributes learnt so far.
    """

    history: History
    max_iter: int
    n_rows: int
    attributes: Callable[[], dict[str, Any]]


class Monitor(Protocol):
    """Observer of a run, called around every iteration."""

    def begin_iteration(self) -> None:
        """Notice the start of an iteration."""

    def end_iteration(self, progress: Progress) -> bool:
        """Notice the end of an iteration; return True to stop the run."""

    def rescue(self, state: Any) -> None:
        """Receive the state after the last full iteration of a run that fails."""


class Unwatched:
    """A monitor that does nothing."""

    def begin_iteration(self) -> None:
        """Do nothing."""

    def end_iteration(self, progress: Progress) -> bool:
        """Return False, so that the run continues."""
        return False

    def rescue(self, state: Any) -> None:
        """Do nothing."""


class Solver(Protocol, Generic[Start, State]):
    """A way to fit a model to data."""

    def solve(self, start: Start, monitor: Monitor) -> State:
        """Go on from ``start`` and return the state at the end of the run.

        An exception of a monitor or a KeyboardInterrupt ends the run. The state after
        the last full iteration, if there is one, is passed to ``monitor.rescue``.
        """


def _mean(curves: list[list[float]]) -> list[float]:
    # zip(): no values where the runs hold no rows out.
    return [sum(values) / len(values) for values in zip(*curves, strict=True)]
