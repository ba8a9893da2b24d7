"""Rows that the chains do not learn from, scored at every iteration."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from .chain import Chain
from .posterior import predictions
from .sampler import State

#: Least probability that a loss is computed of.
_FLOOR = float(np.finfo(np.float64).eps)


class HeldOut:
    """Rows that are scored by the mean prediction of the iterations so far.

    Iterations of the burn-in are scored one by one, and forgotten.

    Parameters
    ----------
    chains : State
    csr : scipy.sparse.csr_matrix or csr_array of shape (n_rows, n_columns)
    target, weight : ndarray
        Targets and weights of the rows, as in `Problem`.
    judge : callable, default=None
        Scores the rows from their mean predictions; None: minus the mean loss.
    """

    def __init__(
        self,
        chains: State,
        csr: Any,
        target: np.ndarray,
        weight: np.ndarray,
        judge: Callable[[np.ndarray], float] | None = None,
    ) -> None:
        self._judge = judge
        self.csr, self.target, self.weight = csr, target, weight
        self._chains = chains
        seen = chains.data.layout.columns.ids
        self._unseen = np.setdiff1d(csr.indices, seen)
        self._total: Any = 0.0
        self._n_iter = 0

    def score(self) -> float:
        """Return the judge's score, or minus the mean loss.

        The loss is half the squared error, or the log loss.
        """
        mean, family = self.mean(), self._chains.data.problem.family
        if self._judge is not None:
            return self._judge(mean)
        if family == "gaussian":
            losses = 0.5 * np.square(mean - self.target).mean(axis=1)
        else:
            if family == "logistic":
                mean = np.hstack([1 - mean, mean])
            chosen = mean[np.arange(len(mean)), self.target]
            losses = -np.log(np.maximum(chosen, _FLOOR))
        return -float(np.average(losses, weights=self.weight))

    def mean(self) -> np.ndarray:
        """Return the mean predictions, (n_rows, n_outputs), with the present states.

        It is to be called once after each iteration that is to count.
        """
        chains, family = self._chains, self._chains.data.problem.family
        scores = np.stack([self._scores(chain) for chain in chains.chains])
        mean = predictions(family, scores.astype(np.float64)).mean(axis=0)
        if chains.iteration <= chains.settings.burn_in:
            return mean
        self._total, self._n_iter = self._total + mean, self._n_iter + 1
        return self._total / self._n_iter

    def _scores(self, chain: Chain) -> np.ndarray:
        """Scores under the present state of a chain, (n_rows, n_outputs)."""
        for machine in chain.machines:
            machine.draw_unseen(self._unseen, chain.iteration)
        n_threads = self._chains.settings.n_threads
        scores = [machine.score(self.csr, n_threads) for machine in chain.machines]
        return np.stack(scores, axis=1)
