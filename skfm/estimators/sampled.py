"""Estimators that have the Bayesian solver beside the stochastic one."""

from __future__ import annotations

from dataclasses import replace
from numbers import Integral
from typing import Any, ClassVar

import numpy as np
from scipy.special import ndtr
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._sklearn import Interval, StrOptions
from ..data.batch import PREDICTION_BATCH
from ..exceptions import IgnoredParameterWarning
from ..nn.network import Network
from ..nn.posterior import PosteriorNetwork
from ..runtime.attributes import on_snapshot
from ..runtime.threads import resolve_n_jobs, torch_threads
from ..runtime.warnings import warn
from ..sparse.lookup import SampleLookup
from .base import BaseModel
from .bayesian import BayesianFit
from .bayesian_problem import table_bytes
from .data import Data
from .optimization import OptimizationParameters
from .params import Parametrized, given_or_default, param, unset
from .run import Fit, Run

#: Work that ``solver="auto"`` gives to chains: non-zeros x iterations x chains x
#: outputs, at 16 factors. Two cores do some 12 to 25 million a second.
BUDGET = 6e9
#: Bytes of samples that ``solver="auto"`` keeps.
TABLE_BUDGET = 2 << 30
#: Iterations of a chain, and epochs, where ``max_iter`` is not given.
_ITERATIONS, _EPOCHS = 200, 100

_Shared = OptimizationParameters


class SampledParameters(Parametrized):
    """Parameters of the Bayesian solver, and those that only the stochastic one reads.

    The latter default to None, so that it shows whether they were given: a grid over a
    parameter that nothing reads must not pass silently.
    """

    solver: str = param(
        default="auto",
        valid=[StrOptions({"auto", "bayes", "sgd"})],
        doc="""{"auto", "bayes", "sgd"}
            "bayes" draws samples of the posterior by blocked Gibbs sampling and
            averages their predictions: it needs no learning rate, penalty or stopping
            rule. "sgd" trains one model by stochastic gradients. "auto" takes "bayes"
            unless a parameter is given that only "sgd" reads, the loss, target or call
            is one that only "sgd" has (`partial_fit`, several labels a row, other
            losses than "squared_error" and "log_loss"), or the data are so large that
            chains would take minutes (over 6e9 non-zeros x iterations x chains x
            outputs) or their samples over 2 GiB. The attribute ``solver_`` tells which
            one it was.""",
    )
    n_chains: int = param(
        default=2,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Independent chains of the Bayesian solver, run side by side. They end when
            their scores agree (split R-hat below 1.05) or after ``max_iter``
            iterations.""",
    )
    n_samples: int = param(
        default=32,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Samples that the Bayesian solver keeps, at most, of all chains together.""",
    )
    max_iter: Any = param(
        default=None,
        valid=[Interval(Integral, 1, None, closed="left"), None],
        doc="""int or None
            Iterations of each chain, or epochs, at most. None: 200 iterations or 100
            epochs.""",
    )

    alpha_linear: Any = unset(_Shared, "alpha_linear")
    alpha_factors: Any = unset(_Shared, "alpha_factors")
    alpha: Any = unset(_Shared, "alpha")
    optimizer: Any = unset(_Shared, "optimizer")
    learning_rate: Any = unset(_Shared, "learning_rate")
    network_learning_rate: Any = unset(_Shared, "network_learning_rate")
    batch_size: Any = unset(_Shared, "batch_size")
    early_stopping: Any = unset(_Shared, "early_stopping")
    validation_fraction: Any = unset(_Shared, "validation_fraction")
    n_iter_no_change: Any = unset(_Shared, "n_iter_no_change")
    tol: Any = unset(_Shared, "tol")
    init_scale: Any = unset(_Shared, "init_scale")
    momentum: Any = unset(_Shared, "momentum")
    l1_ratio_linear: Any = unset(_Shared, "l1_ratio_linear")
    l1_ratio_factors: Any = unset(_Shared, "l1_ratio_factors")
    learning_rate_schedule: Any = unset(_Shared, "learning_rate_schedule")
    warmup_epochs: Any = unset(_Shared, "warmup_epochs")


#: Parameters that only the stochastic solver reads, beside those that it alone can do.
_STOCHASTIC = (
    "alpha_linear",
    "alpha_factors",
    "alpha",
    "optimizer",
    "learning_rate",
    "network_learning_rate",
    "batch_size",
    "early_stopping",
    "validation_fraction",
    "n_iter_no_change",
    "tol",
    "init_scale",
    "momentum",
    "l1_ratio_linear",
    "l1_ratio_factors",
    "learning_rate_schedule",
    "warmup_epochs",
    "clip_norm",
)


class SampledModel(SampledParameters, BaseModel):
    """A factorization machine that either solver fits."""

    _attributes_doc: ClassVar[str] = """
        solver_ : {"bayes", "sgd"}
            The solver of the last fit.
        diagnostics_ : dict
            Course of the chains, after ``solver_="bayes"``: "n_iter"; "converged";
            "rhat", the split R-hat that nine tenths of the watched scores are below;
            "rhat_path" (n_judgements, 2), iteration and R-hat of each judgement; "gap",
            the standard error of the mean predictions, as a probability or in standard
            deviations of y; "ess", the median effective sample size of the scores;
            "noise" (n_outputs,), the standard deviation of the noise; "scales"
            (n_fields, n_outputs, n_factors + 1), the standard deviations of each
            field's factors and, last, weights.
        """

    @property
    def _fitted_network_class(self) -> type[Network]:
        return PosteriorNetwork if self.solver_ == "bayes" else self._network_class

    def _make_fit(
        self, data: Data, held_out: Data | None, run: Run, *, resume: bool, seed: int
    ) -> Fit:
        if self._choose_solver(data, run, resume) == "bayes":
            run = run._replace(max_iter=run.max_iter or _ITERATIONS)
            return BayesianFit(self, data, held_out, run, resume=resume, seed=seed)
        run = run._replace(
            max_iter=run.max_iter or _EPOCHS,
            early_stopping="auto" if run.early_stopping is None else run.early_stopping,
        )
        return super()._make_fit(data, held_out, run, resume=resume, seed=seed)

    def _choose_solver(self, data: Data, run: Run, resume: bool) -> str:
        """Name of the solver that a call takes.

        Raises
        ------
        ValueError
            If ``solver="bayes"`` cannot do what the call asks.
        """
        given = [name for name in _STOCHASTIC if getattr(self, name) is not None]
        reason = self._reason_against(run)
        if self.solver == "bayes" and reason:
            raise ValueError(f'solver="bayes" {reason}: set solver="sgd" or "auto".')
        if self.solver == "bayes" and given:
            warn(
                f'solver="bayes" does not read {", ".join(given)}: leave them out, or '
                'set solver="sgd".',
                IgnoredParameterWarning,
            )
        if given and not reason:
            reason = f"does not read {', '.join(given)}"
        reason = reason or self._reason_of_size(data, run)
        if resume and self.solver_ == "sgd":
            reason = reason or "cannot go on from a fit by stochastic gradients"
            if self.solver == "bayes":
                raise ValueError(f'solver="bayes" {reason}: set warm_start=False.')
        chosen = "sgd" if self.solver == "sgd" else "bayes"
        if self.solver == "auto" and reason:
            chosen = "sgd"
        if self.verbose:
            why = f': "bayes" {reason}' if chosen == "sgd" and reason else ""
            print(f"solver={chosen}{why}", flush=True)
        return chosen

    def _reason_against(self, run: Run) -> str | None:
        """Why the Bayesian solver cannot do what is asked, or None."""
        if self.loss not in ("squared_error", "log_loss"):
            return f"has no loss={self.loss!r}"
        if getattr(self, "_multilabel", False):
            return "takes one label a row"
        if run.one_pass:
            return "has no partial_fit"
        for name, default in (
            ("device", "cpu"),
            ("init_from", None),
            ("freeze", False),
            ("checkpoint", None),
        ):
            if getattr(self, name) != default:
                return f"has no {name}"
        return None

    def _reason_of_size(self, data: Data, run: Run) -> str | None:
        """Why chains would be too dear, or None."""
        work = data.X.nnz * (run.max_iter or _ITERATIONS) * self.n_chains
        work *= self._n_outputs() * max(16, self.n_factors) / 16
        if work > BUDGET:
            return (
                f"would do {work:.1e} non-zeros x iterations x chains x outputs, more "
                f"than {BUDGET:.0e}"
            )
        needed = table_bytes(self, data.X.shape[1])
        if needed > TABLE_BUDGET:
            return f"would keep {needed / 2**30:.1f} GiB of samples"
        return None

    def _check_same_network(self, X: Any) -> None:
        if self.solver_ != "bayes":
            super()._check_same_network(X)
            return
        network = self.network_
        assert isinstance(network, PosteriorNetwork)
        fitted = network.shape.n_factors // network.offsets.numel()
        if fitted != self.n_factors:
            raise ValueError(
                f"n_factors changed from {fitted} to {self.n_factors} since the last "
                "fit, whose chains warm_start=True goes on from: set it back, or "
                "warm_start=False."
            )

    def _keep(self, fit: Fit, state: Any, resume: bool) -> None:
        super()._keep(fit, state, resume)
        self.solver_ = fit.name

    def _single_network(self) -> Network:
        """The network that the stochastic solver, or ``init_from``, goes on from.

        After a Bayesian fit it has the posterior means of the intercept and the linear
        weights, and the factors of the last sample where there is one output; factors
        of several outputs are drawn anew, as the network shares them among outputs.
        """
        posterior = self.network_
        if not isinstance(posterior, PosteriorNetwork):
            return posterior
        n_outputs = posterior.shape.n_outputs
        k = posterior.shape.n_factors // posterior.offsets.numel()
        shape = replace(posterior.shape, n_factors=k, n_samples=1)
        network = self._network_class.build(shape)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        rng = np.random.default_rng(seed)
        scale = given_or_default(self, OptimizationParameters, "init_scale")
        network.initialize(self._column_statistics.seen, rng, scale)
        network.table.weight.linear.copy_(posterior.linear_weights)
        network.set_bias(posterior.bias.detach().double().numpy())
        if n_outputs == 1:
            network.table.weight.factors.copy_(posterior.sample(-1)[0][:, 0])
        return network

    @on_snapshot
    def posterior_scores(self, X: Any) -> np.ndarray:
        """Score rows under each sample of the posterior.

        For decisions under uncertainty, such as Thompson sampling: a column of the
        result is what one plausible model says of all rows.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

        Returns
        -------
        scores : ndarray of shape (n_rows, n_draws) or (n_rows, n_draws, n_outputs)
            Log odds of ``classes_[1]``, scores of all classes (whose softmax are the
            probabilities), or, of a regressor, targets without noise in units of y.

        Raises
        ------
        AttributeError
            If the estimator was fitted by another solver than "bayes".
        """
        scores = self._sample_scores(X)
        scale, shift = self._output_scale()
        scores = scores * scale + shift
        return scores[:, :, 0] if scores.shape[2] == 1 else scores

    def _sample_scores(self, X: Any) -> np.ndarray:
        """Raw scores of the samples, (n_rows, n_draws, n_outputs), float64."""
        check_is_fitted(self, "network_")
        network = self.network_
        if not isinstance(network, PosteriorNetwork):
            raise AttributeError(
                f'{type(self).__name__} was fitted by solver="{self.solver_}", which '
                'makes no samples of a posterior: set solver="bayes".'
            )
        rows = self._read_rows(X)
        n_threads = resolve_n_jobs(self.n_jobs)
        out = np.empty((len(rows), *network.offsets.shape))
        size = min(PREDICTION_BATCH, network.chunk_rows(1) or PREDICTION_BATCH)
        with torch_threads(1):
            for start in range(0, len(rows), size):
                batch = rows.span(start, min(start + size, len(rows)))
                lookup = network.table.look_up(batch, n_threads=n_threads)
                assert isinstance(lookup, SampleLookup)
                out[start : start + len(batch)] = network.sample_scores(lookup).detach()
        return out


class SampledRegressor(SampledModel):
    """Predictions of a regressor with their uncertainty."""

    @on_snapshot
    def predict(self, X: Any, return_std: bool = False) -> Any:
        """Predict the mean of the target, in units of y.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        return_std : bool, default=False
            Whether to return the standard deviation of the predictive distribution too:
            that of the mean over the samples of the posterior, and of the noise. Only
            after a fit by ``solver="bayes"``.

        Returns
        -------
        y : ndarray of shape (n_samples,) or (n_samples, n_outputs)
        std : ndarray of the same shape
            Only if ``return_std``.
        """
        mean = super().predict(X)
        if not return_std:
            return mean
        scores = self._sample_scores(X)
        noise = self._noise()
        variance = scores.var(axis=1) + np.square(noise).mean(axis=0)
        std = np.sqrt(variance) * self._output_scale()[0]
        return mean, std[:, 0] if std.shape[1] == 1 else std

    @on_snapshot
    def predict_quantiles(
        self, X: Any, quantiles: Any = (0.05, 0.5, 0.95)
    ) -> np.ndarray:
        """Predict quantiles of the target, in units of y.

        The predictive distribution of a row is the mixture of the samples' normal
        distributions about their scores.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        quantiles : array-like of shape (n_quantiles,), default=(0.05, 0.5, 0.95)
            Above 0 and below 1.

        Returns
        -------
        ndarray of shape (n_samples, n_quantiles) or (n_samples, n_quantiles, n_outputs)

        Raises
        ------
        AttributeError
            If the estimator was fitted by another solver than "bayes".
        ValueError
            If a quantile is not between 0 and 1.
        """
        levels = np.atleast_1d(np.asarray(quantiles, np.float64))
        if levels.ndim != 1 or not np.all((levels > 0) & (levels < 1)):
            raise ValueError(
                f"quantiles must be numbers above 0 and below 1; got {quantiles!r}."
            )
        scores, noise = self._sample_scores(X), self._noise()
        low = (scores - 40 * noise).min(axis=1)[:, None]
        high = (scores + 40 * noise).max(axis=1)[:, None]
        low, high = (np.repeat(end, len(levels), axis=1) for end in (low, high))
        for _ in range(60):
            middle = 0.5 * (low + high)  # (n, n_quantiles, C)
            z = (middle[:, :, None] - scores[:, None]) / noise
            below = ndtr(z).mean(axis=2) < levels[:, None]
            low, high = np.where(below, middle, low), np.where(below, high, middle)
        scale, shift = self._output_scale()
        found = 0.5 * (low + high) * scale + shift
        return found[:, :, 0] if found.shape[2] == 1 else found

    def _noise(self) -> np.ndarray:
        """Standard deviations of the noise by sample, (n_draws, n_outputs)."""
        network = self.network_
        assert isinstance(network, PosteriorNetwork)
        noise: np.ndarray = network.noise.cpu().double().numpy()
        return noise
