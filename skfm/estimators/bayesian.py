"""Fits by the Bayesian solver: from checked data to samples of the posterior."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np

from ..data.batch import Batch
from ..data.memory import some
from ..data.rows import Rows
from ..data.statistics import ColumnStatistics, column_statistics
from ..exceptions import ConvergenceWarning
from ..nn.samples import Samples
from ..runtime.threads import resolve_n_jobs
from ..runtime.warnings import warn
from ..sampling import DivergenceError, HeldOut, Posterior, Sample, Settings, n_chains
from ..sampling import State as Chains
from ..training.solver import History, Monitor, Progress
from . import defaults
from .bayesian_problem import check_table, floating, make_problem, prior_fields
from .checks import check_normal
from .data import Data
from .guard import Examined
from .run import Run

#: R-hat, and standard error of the mean predictions, above which chains are said to
#: disagree. A mean over samples is good long before R-hat is near 1
#: (`Settings.tol` is where longer chains no longer pay), and where data are separable
#: scores wander far out without a change of the predictions.
_DISAGREE, _APART = 1.3, 0.1


@dataclass(frozen=True)
class State:
    """Chains at the end of a run.

    Attributes
    ----------
    chains : skfm.sampling.State
    history : History
    """

    chains: Chains
    history: History


#: Names of the functions from the mean of the samples' predictions to a raw score.
_LINKS = {"gaussian": "identity", "logistic": "logit", "multinomial": "softmax"}
#: Iterations of a chain that are never kept, or half of all if that is fewer.
_BURN_IN = 50


class BayesianFit:
    """One fit of a factorization machine by the Bayesian solver.

    Parameters
    ----------
    model : estimator
        Estimator that is fitted, which is only read.
    data : Data
    held_out : Data or None
        Rows to score after each iteration.
    run : Run
    resume : bool
        Whether to go on from the chains of ``model``.
    seed : int
    """

    name = "bayes"
    iteration = "iteration"

    def __init__(
        self,
        model: Any,
        data: Data,
        held_out: Data | None,
        run: Run,
        *,
        resume: bool,
        seed: int,
    ) -> None:
        self._model, self._run = model, run
        self.max_iter = run.iterations(defaults.ITERATIONS)
        self._offset_val = None if held_out is None else held_out.offset
        data, held_out = data.residual(), held_out and held_out.residual()
        check_normal(data.weight, "sample_weight", np.float32)
        check_table(model, data.X.shape[1])
        self._fields, self._field_names = prior_fields(model, data)
        self._problem = make_problem(model, data, self._fields)
        self._settings = self._make_settings(seed)
        self._resume = resume
        self._data, self._dtype = data, defaults.dtype(model.dtype, data.X)
        self._statistics = self._count_columns()
        if resume:
            self._statistics += model._column_statistics
        self._held_out = None
        if held_out is not None:
            csr = floating(held_out, model._mean_fields)
            self._held_out = _HeldOutRows(csr, held_out)

    def _make_settings(self, seed: int) -> Settings:
        model, max_iter = self._model, self.max_iter
        return Settings(
            n_factors=model.n_factors,
            n_chains=model.n_chains,
            max_iter=max_iter,
            burn_in=min(_BURN_IN, max_iter // 2),
            n_samples=model.n_samples,
            seed=seed,
            n_threads=resolve_n_jobs(model.n_jobs),
        )

    def _count_columns(self) -> ColumnStatistics:
        csr = self._problem.csr
        weighty = np.flatnonzero(self._data.weight > 0)
        rows = Rows(csr, self._dtype).batches(weighty)
        return column_statistics(rows, csr.shape[1], lambda batch: batch)

    def solve(self, monitor: Monitor) -> State:
        """Sample; see `skfm.training.solver.Solver`."""
        history, chains = History(), Chains(self._problem, self._settings)
        if self._resume:
            self._go_on(chains)
        state = State(chains, history)
        try:
            self._iterate(state, monitor)
        except DivergenceError as error:
            if chains.has_samples:
                monitor.rescue(state)
            name = str(self._model.column_names_[error.column])
            raise DivergenceError.of(error.column, name) from error
        except BaseException:
            if history.best_epoch:
                monitor.rescue(state)
            raise
        self._warn(chains)
        return state

    def _go_on(self, chains: Chains) -> None:
        """Go on from the chains of the last fit, or from some of its samples."""
        kept, n = self._model._chains, self._settings.n_chains
        if kept is not None and n_chains(kept) == n:
            chains.resume(kept)
            return
        samples = self._model._posterior()
        # The last sample of each chain, where all have kept as many.
        ends = [(c + 1) * samples.shape.n_samples // n for c in range(n)]
        chains.start_at([Sample(*samples.sample(max(0, end - 1))) for end in ends])

    def _iterate(self, state: State, monitor: Monitor) -> None:
        chains, history, held_out = state.chains, state.history, None
        if self._held_out is not None:
            csr, data = self._held_out
            held_out = HeldOut(chains, csr, data.target, data.weight, self._judge())
        while history.best_epoch < self.max_iter and not chains.converged:
            monitor.begin_iteration()
            chains.step()
            history.loss_curve.append(chains.loss())
            if held_out is not None:
                history.validation_scores.append(held_out.score())
            history.best_epoch += 1
            progress = Progress(
                history,
                self.max_iter,
                len(self._problem.target),
                lambda: self._copies(state),
            )
            if monitor.end_iteration(progress):
                return

    def _judge(self) -> Callable[[np.ndarray], float] | None:
        """Return what scores the held-out rows from their mean predictions."""
        given, family = self._run.given, self._problem.family
        judge = (
            None if given is None else given.judge(self._model, None, self._offset_val)
        )
        if judge is None:
            return None
        return lambda mean: judge(_raw_scores(family, mean), None)

    def _warn(self, chains: Chains) -> None:
        """Warn of chains that disagree."""
        found = chains.diagnostics
        if chains.converged or not (found.rhat > _DISAGREE and found.gap > _APART):
            return
        warn(
            f"The chains of {type(self._model).__name__} still disagree after "
            f"{chains.iteration} iterations: their split R-hat is {found.rhat:.2f} "
            f"(wanted: {_DISAGREE}), the standard error of predictions is "
            f"{found.gap:.2f} (wanted: {_APART}). Raise max_iter, or go on with "
            "warm_start=True.",
            ConvergenceWarning,
        )

    def attributes(self, state: State) -> dict[str, Any]:
        """Return the fitted attributes of a state, except those of its history."""
        chains, diagnostics = state.chains, state.chains.diagnostics
        found: dict[str, Any] = {
            "network_": self._samples(chains.posterior),
            "diagnostics_": {**vars(diagnostics)},
            "_chains": chains.to_arrays() if self._run.keep_optimizer else None,
            "_column_statistics": self._statistics,
            "_optimizers": [],
        }
        if self._model.fields_ is None and self._fields is not None:
            found |= {"fields_": self._fields, "field_names_": self._field_names}
        return found

    def _copies(self, state: State) -> dict[str, Any]:
        """Return the fitted attributes of a state that goes on to change."""
        found = self.attributes(state)
        if found["_chains"] is not None:
            found["_chains"] = {name: a.copy() for name, a in found["_chains"].items()}
        return found

    def examined(self) -> Examined:
        """Return the held-out rows if there are any, else the training rows."""
        problem, held_out = self._problem, self._held_out
        csr, data = held_out or (problem.csr, self._data)

        def sample(n_rows: int) -> tuple[Batch, np.ndarray, np.ndarray]:
            chosen = some(np.flatnonzero(data.weight > 0), n_rows)
            batch = Rows(csr, self._dtype).take(chosen)
            return batch, data.target[chosen], data.weight[chosen]

        loss = self._model._make_loss()
        baseline = loss.baseline(problem.target, problem.weight)
        n_rows = len(problem.target)
        return Examined(sample, n_rows, held_out is not None, baseline, loss)

    def _samples(self, posterior: Posterior) -> Samples:
        """Take over the samples of the chains."""
        return Samples.of(
            posterior.factors,
            posterior.linear,
            posterior.intercept,
            posterior.noise,
            link=_LINKS[posterior.family],
            fields=self._fields,
            dtype=self._dtype,
        )


def _raw_scores(family: str, mean: np.ndarray) -> np.ndarray:
    """Return the raw scores of mean predictions."""
    if family == "gaussian":
        return mean
    tiny = np.finfo(np.float64).tiny
    log_mean = np.log(np.maximum(mean, tiny))
    if family == "multinomial":
        return log_mean
    scores: np.ndarray = log_mean - np.log(np.maximum(1 - mean, tiny))
    return scores


class _HeldOutRows(NamedTuple):
    """Rows that are scored after each iteration."""

    csr: Any
    data: Data
