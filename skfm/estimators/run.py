"""One call of fit or partial_fit, and what a solver makes of it."""

from __future__ import annotations

from typing import Any, NamedTuple, Protocol

from ..training.solver import Monitor
from .guard import Examined
from .judging import Given


class Run(NamedTuple):
    """Description of a call of fit or partial_fit.

    Attributes
    ----------
    warm : bool
        Whether to go on from the fitted weights, if there are any.
    max_iter : int or None
        None: the solver's own default.
    early_stopping : bool, "auto" or None
    keep_optimizer : bool
        Whether a later run may go on from the optimizers' state.
    classes : array-like or None
        All labels, where partial_fit was told.
    qid : array-like or None
        The query of each row, where rows are ranked.
    one_pass : bool
        Whether this is partial_fit: learning rates then follow no schedule.
    given : Given or None
        The arguments of fit, for scorers.
    offset, offset_val : array-like or None
        Offsets of the rows of X and of X_val.
    """

    warm: bool
    max_iter: int | None
    early_stopping: bool | str | None
    keep_optimizer: bool
    classes: Any = None
    qid: Any = None
    one_pass: bool = False
    given: Given | None = None
    offset: Any = None
    offset_val: Any = None

    def iterations(self, default: int) -> int:
        """Return ``max_iter``, or the default of a solver."""
        return default if self.max_iter is None else self.max_iter

    @property
    def stops(self) -> bool | str:
        """``early_stopping``, or "auto" where it is not given."""
        return "auto" if self.early_stopping is None else self.early_stopping


#: partial_fit is one pass over the rows it is given.
ONE_PASS = Run(
    warm=True, max_iter=1, early_stopping=False, keep_optimizer=True, one_pass=True
)


class Fit(Protocol):
    """A fit of checked data that is about to begin.

    Attributes
    ----------
    name : str
        Name of its solver.
    iteration : str
        Name of an iteration.
    max_iter : int
    """

    name: str
    iteration: str
    max_iter: int

    def solve(self, monitor: Monitor) -> Any:
        """Run, and return the state at the end."""

    def attributes(self, state: Any) -> dict[str, Any]:
        """Fitted attributes that a state comes to, beside those of its history."""

    def examined(self) -> Examined:
        """Rows on which the fitted model is compared with a constant."""
