"""Schedules of the learning rates, as factors of their initial values."""

from __future__ import annotations

import math

#: Divisor of the "adaptive" schedule, and how often it is applied at most.
_DIVISOR, _MAX_DIVISIONS = 5.0, 3


class Schedule:
    """Schedule of the learning rates over the epochs of a run.

    Parameters
    ----------
    kind : {"constant", "adaptive", "cosine"}
        Kind of schedule: see ``lr_schedule`` of the estimators.
    warmup_epochs : float
        Number of epochs in which a linear factor rises from zero to one.
    max_iter : int
        Number of epochs of the whole run.
    """

    def __init__(self, kind: str, warmup_epochs: float, max_iter: int) -> None:
        self.kind, self.warmup_epochs, self.max_iter = kind, warmup_epochs, max_iter
        self.n_divisions = 0

    def factor(self, epochs: float) -> float:
        """Return the factor of the rates after ``epochs``, which may be a fraction."""
        factor = _DIVISOR**-self.n_divisions
        if self.kind == "cosine":
            factor = 0.5 * (1 + math.cos(math.pi * epochs / self.max_iter))
        if epochs < self.warmup_epochs:
            factor *= epochs / self.warmup_epochs
        return factor

    def goes_on(self) -> bool:
        """Lower the rates after a plateau, or return False to end training."""
        if self.kind != "adaptive" or self.n_divisions == _MAX_DIVISIONS:
            return False
        self.n_divisions += 1
        return True
