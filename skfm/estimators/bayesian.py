"""Fits by the Bayesian solver: from checked data to samples of the posterior."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
import scipy.sparse as sp
import torch

from ..data.labels import Labels
from ..data.memory import MemorySource, Part
from ..data.rows import Rows
from ..data.statistics import column_statistics
from ..exceptions import ConvergenceWarning
from ..fields import FieldInferenceError
from ..losses import as_target
from ..losses.links import PROBABILITY_FLOOR
from ..nn.posterior import PosteriorNetwork
from ..nn.shape import Shape
from ..runtime.memory import check_memory
from ..runtime.threads import resolve_n_jobs
from ..runtime.warnings import warn
from ..sampling import Posterior, Problem, Settings
from ..sampling import State as Chains
from ..training.solver import History, Monitor, Progress
from . import defaults
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


class BayesianFit:
    """One fit of a factorization machine by the Bayesian solver.

    Parameters
    ----------
    model : estimator
        Knows its fields and the encoding of its target; only read.
    data : Data
    held_out : Data or None
        Rows that are scored after each iteration.
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
        self._model, self._run, self._seed = model, run, seed
        assert run.max_iter is not None
        self.max_iter = run.max_iter
        self._n_threads = resolve_n_jobs(model.n_jobs)
        self._fields, self._field_names = _prior_fields(model, data)
        check_normal(data.weight, "sample_weight", np.float32)
        _check_table(model, data.X.shape[1])
        csr = _floating(data, model._mean_fields)
        family = _family(model)
        self._problem = Problem(
            csr=csr,
            fields=self._fields,
            n_fields=1 if self._fields is None else int(self._fields.max()) + 1,
            target=data.target,
            weight=data.weight,
            family=family,
            n_classes=model._n_outputs() if family == "multinomial" else 2,
        )
        self._settings = Settings(
            n_factors=model.n_factors,
            n_chains=model.n_chains,
            max_iter=run.max_iter,
            burn_in=min(50, run.max_iter // 2),
            n_samples=model.n_samples,
            seed=seed,
            n_threads=self._n_threads,
        )
        self._start = model._chains if resume else None
        self._data, self._dtype = data, defaults.dtype(model.dtype, data.X)
        rows = MemorySource(self._part(csr, data, "float32")).weighty()
        self._statistics = column_statistics(rows, csr.shape[1], lambda batch: batch)
        if resume:
            self._statistics += model._column_statistics
        self._validation = None
        if held_out is not None:
            held_csr = _floating(held_out, model._mean_fields)
            self._validation = _Validation(
                held_csr, held_out, family, self._settings.burn_in
            )

    def solve(self, monitor: Monitor) -> State:
        """Sample; see `skfm.training.solver.Solver`."""
        history, chains = History(), Chains(self._problem, self._settings)
        if self._start is not None:
            chains.resume(self._start)
        state = State(chains, history)
        try:
            self._iterate(state, monitor)
        except BaseException:
            if history.best_epoch:
                monitor.rescue(state)
            raise
        self._warn(chains)
        return state

    def _iterate(self, state: State, monitor: Monitor) -> None:
        chains, history = state.chains, state.history
        while history.best_epoch < self.max_iter and not chains.converged:
            monitor.begin_iteration()
            chains.step()
            history.loss_curve.append(chains.loss())
            if self._validation is not None:
                history.validation_scores.append(self._validation.score(chains))
            history.best_epoch += 1
            progress = Progress(
                history,
                self.max_iter,
                len(self._problem.target),
                lambda: self.attributes(state),
            )
            if monitor.end_iteration(progress):
                return

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
        """Fitted attributes that a state comes to, beside those of its history."""
        chains, diagnostics = state.chains, state.chains.diagnostics
        found: dict[str, Any] = {
            "network_": self._network(chains.posterior),
            "diagnostics_": {**vars(diagnostics)},
            "_chains": chains.to_arrays() if self._run.keep_optimizer else None,
            "_column_statistics": self._statistics,
            "_optimizer_state": None,
        }
        if self._model.fields_ is None and self._fields is not None:
            found |= {"fields_": self._fields, "field_names_": self._field_names}
        return found

    def examined(self) -> Examined:
        """Held-out rows if there are any, else training rows."""
        data, held_out = self._data, self._validation
        source = MemorySource(
            self._part(self._problem.csr, data, self._dtype),
            None
            if held_out is None
            else self._part(held_out.csr, held_out.data, self._dtype),
        )
        loss = self._model._make_loss()
        return Examined(source, loss.baseline(data.target, data.weight))

    def _part(self, csr: Any, data: Data, dtype: str) -> Part:
        """All rows of a matrix with their labels."""
        target = as_target(self._model._make_loss(), data.target, torch.float64)
        labels = Labels(target, torch.tensor(data.weight))
        return Part(Rows(csr, dtype), labels, np.arange(len(data.weight)))

    def _network(self, posterior: Posterior) -> PosteriorNetwork:
        """The samples as a network."""
        n_columns, n_samples = len(posterior.slots), posterior.n_samples
        n_outputs, k = posterior.n_outputs, self._model.n_factors
        shape = Shape(
            n_columns=n_columns,
            n_factors=n_samples * n_outputs * k,
            n_outputs=n_outputs,
            fields=self._fields,
            dtype=self._dtype,
            n_samples=n_samples,
        )
        network = PosteriorNetwork.build(shape, link=_LINKS[posterior.family])
        assert isinstance(network, PosteriorNetwork)
        table = np.empty((n_columns, n_samples, n_outputs, k + 1), np.float32)
        seen = posterior.slots >= 0
        table[seen] = posterior.table[posterior.slots[seen]]
        table[~seen] = _unseen(posterior, np.flatnonzero(~seen), self._seed)
        network.set_samples(
            {
                "factors": table[..., :k],
                "linear": table[..., k],
                "intercept": posterior.intercept,
                "noise": posterior.noise,
            }
        )
        network.eval()
        return network


#: How the mean of the samples' predictions becomes a raw score.
_LINKS = {"gaussian": "identity", "logistic": "logit", "multinomial": "softmax"}


def _unseen(posterior: Posterior, columns: np.ndarray, seed: int) -> np.ndarray:
    """Draws of the numbers of columns that no training row has.

    Of such a column nothing is known but its field: under each sample its numbers are
    normal about the field's means. The draws of a column have exactly mean zero and
    variance one over the samples, so that predictions average over them at once.
    """
    fields = posterior.fields[columns]
    shape = (len(columns), *posterior.table.shape[1:])
    draws = np.random.default_rng([seed, 1]).standard_normal(shape, np.float32)
    draws -= draws.mean(axis=1, keepdims=True)
    spread = draws.std(axis=1, keepdims=True)
    draws /= np.where(spread > 0, spread, 1)
    found: np.ndarray = posterior.means[fields] + posterior.deviations[fields] * draws
    return found


def _family(model: Any) -> Any:
    """The sampler's name of the distribution of the target."""
    if model.loss == "squared_error":
        return "gaussian"
    return "logistic" if model._n_outputs() == 1 else "multinomial"


def _prior_fields(model: Any, data: Data) -> tuple[Any, Any]:
    """Field of each column, and the names: columns of a field share their prior.

    Those of the estimator, or what the structure of X shows; None where it shows
    nothing, which makes one field of all columns.
    """
    if model.fields_ is not None:
        return model.fields_, model.field_names_
    try:
        return model._find_fields(data.X, data.dense, needed=True)
    except FieldInferenceError:
        return None, None


def _floating(data: Data, mean_fields: np.ndarray | None) -> Any:
    """CSR of floating values, averaged over each row's entries of a field if asked."""
    X = data.X
    values = X.data if X.dtype.kind == "f" else X.data.astype(np.float32)
    if mean_fields is not None:
        rows = Rows(X, "float64", mean_fields=mean_fields)
        values = rows.span(0, len(rows)).values
    return sp.csr_array((values, X.indices, X.indptr), shape=X.shape, copy=False)


def table_bytes(model: Any, n_columns: int) -> float:
    """Bytes of the samples of a fit, which are held once by the fit and once after."""
    numbers = model.n_samples * model._n_outputs() * (model.n_factors + 1)
    return 2 * 4.0 * n_columns * numbers


def _check_table(model: Any, n_columns: int) -> None:
    """Refuse samples that do not fit the memory there is.

    Raises
    ------
    MemoryError
    """
    check_memory(
        table_bytes(model, n_columns),
        f"{model.n_samples} samples of {n_columns} columns need",
        "lower n_samples or n_factors, hash the categories into fewer columns, or set "
        'solver="sgd".',
    )


class _Validation:
    """Held-out rows, scored by the mean prediction of the iterations so far."""

    def __init__(self, csr: Any, data: Data, family: str, burn_in: int) -> None:
        self.csr, self.data = csr, data
        self._family, self._burn_in = family, burn_in
        self._sum: Any = 0.0
        self._n = 0

    def score(self, chains: Chains) -> float:
        """Minus the mean loss of the held-out rows."""
        mean, _ = chains.current().mean(self.csr, chains.settings.n_threads)
        if chains.iteration > self._burn_in:
            self._sum, self._n = self._sum + mean, self._n + 1
            mean = self._sum / self._n
        if self._family == "gaussian":
            loss = 0.5 * np.square(mean - self.data.target).mean(axis=1)
        else:
            if self._family == "logistic":
                mean = np.hstack([1 - mean, mean])
            chosen = mean[np.arange(len(mean)), self.data.target]
            loss = -np.log(np.maximum(chosen, PROBABILITY_FLOOR))
        return -float(np.average(loss, weights=self.data.weight))
