"""Estimators that have the Bayesian solver beside the stochastic one."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from sklearn.utils import check_random_state

from .._sklearn import Interval, StrOptions
from ..encoding.crosses.search import ResidualModel
from ..encoding.crosses.target import Target
from ..nn.packing import unpack_samples
from ..nn.samples import Samples
from ..persistence.records import require
from ..persistence.values import Unpacker
from ..runtime.lazy import torch
from ..runtime.threads import resolve_n_jobs
from .base import BaseModel
from .bayesian import BayesianFit
from .data import FitData
from .optimization import OptimizationParameters
from .params import Parametrized, given_or_default, param, unset
from .run import Fit, Run
from .sampled_residuals import sampled_model
from .solver_choice import choose_solver, may_sample

if TYPE_CHECKING:
    from ..nn.network import Network

_Shared = OptimizationParameters


class SampledParameters(Parametrized):
    """Parameters of both solvers.

    Those that only the stochastic solver reads default to None, so that it shows
    whether they were given: a grid over a parameter that nothing reads must not pass
    silently.
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
            outputs) or their samples over 4 GiB. The attribute ``solver_`` tells which
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
        default=64,
        valid=[Interval(Integral, 1, None, closed="left")],
        doc="""int
            Samples that the Bayesian solver keeps, at most, of all chains together.
            Memory and the time of predictions are proportional to their number.""",
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
    n_members: Any = unset(_Shared, "n_members")
    momentum: Any = unset(_Shared, "momentum")
    l1_ratio_linear: Any = unset(_Shared, "l1_ratio_linear")
    l1_ratio_factors: Any = unset(_Shared, "l1_ratio_factors")
    learning_rate_schedule: Any = unset(_Shared, "learning_rate_schedule")
    warmup_epochs: Any = unset(_Shared, "warmup_epochs")


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
    def network_(self) -> Network:
        """The trained network; after a Bayesian fit, one that the samples are made to.

        Predictions by samples need none, and torch is not imported for them.
        """
        known = self._scorer
        return known.network if isinstance(known, Samples) else known

    @network_.setter
    def network_(self, network: Network | Samples) -> None:
        self.__dict__["network_"] = network

    def _unpack_network(self, content: Any, unpacker: Unpacker) -> None:
        if self.solver_ != "bayes":
            super()._unpack_network(content, unpacker)
            return
        self.network_ = unpack_samples(content, unpacker)

    def _cross_judge(self, target: Target) -> Callable[..., ResidualModel] | None:
        if target.is_multilabel or not may_sample(self):
            return None
        return partial(
            sampled_model,
            n_factors=self.n_factors,
            seed=check_random_state(self.random_state).randint(np.iinfo(np.int32).max),
            n_threads=resolve_n_jobs(self.n_jobs),
        )

    def _make_fit(
        self,
        data: FitData,
        held_out: FitData | None,
        run: Run,
        *,
        resume: bool,
        seed: int,
    ) -> Fit:
        if choose_solver(self, data, run, resume=resume) == "bayes":
            rows = None if held_out is None else held_out.in_memory()
            return BayesianFit(
                self, data.in_memory(), rows, run, resume=resume, seed=seed
            )
        return super()._make_fit(data, held_out, run, resume=resume, seed=seed)

    def _check_fits(self) -> None:
        sampled = isinstance(self._scorer, Samples)
        states = vars(self).get("_optimizers")
        require(not (sampled and states), "a posterior has no optimizer")
        super()._check_fits()

    def _keep(self, fit: Fit, state: Any, resume: bool) -> None:
        super()._keep(fit, state, resume)
        self.solver_ = fit.name

    def _single_network(self, number: int = 0) -> Network:
        """The network that the stochastic solver, or ``init_from``, goes on from.

        After a Bayesian fit it has the posterior means of the intercept and the linear
        weights, and the factors of the last sample where there is one output; factors
        of several outputs are drawn anew, as the network shares them among outputs.
        """
        posterior = self._scorer
        if not isinstance(posterior, Samples):
            return super()._single_network(number)
        n_outputs = posterior.shape.n_outputs
        k = posterior.model_factors
        shape = replace(posterior.shape, n_factors=k, n_samples=1)
        network = self._network_class.build(shape)
        seed = check_random_state(self.random_state).randint(np.iinfo(np.int32).max)
        rng = np.random.default_rng(seed)
        scale = given_or_default(self, OptimizationParameters, "init_scale")
        network.initialize(self._column_statistics.seen, rng, scale)
        weight = network.table.weight
        weight.linear.copy_(torch.from_numpy(posterior.linear_weights))
        network.set_bias(posterior.bias.astype(np.float64))
        if n_outputs == 1:
            weight.factors.copy_(torch.from_numpy(posterior.sample(-1)[0][:, 0]))
        return network
