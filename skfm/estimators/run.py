"""One call of fit or partial_fit, as the tasks describe it."""

from __future__ import annotations

from typing import Any, NamedTuple


class Run(NamedTuple):
    """Description of a call of fit or partial_fit.

    Attributes
    ----------
    warm : bool
        Whether to go on from the fitted weights, if there are any.
    max_iter : int
    early_stopping : bool or "auto"
    keep_optimizer : bool
        Whether a later run may go on from the optimizers' state.
    classes : array-like or None
        All labels, where partial_fit was told.
    qid : array-like or None
        The query of each row, where rows are ranked.
    one_pass : bool
        Whether this is partial_fit: learning rates then follow no schedule.
    """

    warm: bool
    max_iter: int
    early_stopping: bool | str
    keep_optimizer: bool
    classes: Any = None
    qid: Any = None
    one_pass: bool = False


#: partial_fit is one pass over the rows it is given.
ONE_PASS = Run(
    warm=True, max_iter=1, early_stopping=False, keep_optimizer=True, one_pass=True
)
