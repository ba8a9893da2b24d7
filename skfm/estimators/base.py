"""Base class of all estimators: checks, fit, and raw scores."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Self

import numpy as np
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._sklearn import fit_context
from ..data.rows import Rows
from ..distributed.agreement import agreeing
from ..distributed.groups import communicator
from ..losses import Loss
from ..runtime.attributes import fitted_attributes, publish, snapshot
from ..runtime.jit import noting_compilation
from ..runtime.memory import memory_errors
from ..runtime.modes import default_modes
from ..runtime.threads import resolve_n_jobs
from ..training.callbacks import CallbackMonitor
from .collective import check_collective
from .data import FitData, check_held_out
from .guard import warn_if_worse
from .init_from import check_pretrained
from .judging import Given
from .optimization import OptimizationParameters
from .params import given_or_default
from .predictor import Predictor
from .records import history_attributes
from .run import Fit, Run
from .scoring import raw_scores
from .streams import is_streamed, read_parts
from .validation import Inputs


class BaseModel(CallbackSupportMixin, Inputs):
    """Base class of all estimators.

    An architecture (in `skfm.models`) defines ``_network_class`` and
    `_network_options`. A task (classifier, regressor or ranker) defines the methods
    about the target.
    """

    # Hooks of an architecture.

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        """Return keywords of the network class; ``full_batch`` means a single batch."""
        return {}

    # Hooks of a task.

    def _make_loss(self) -> Loss:
        raise AssertionError("defined by each task")

    def _n_outputs(self) -> int:
        raise AssertionError("defined by each task")

    def _judges_itself(self, scoring: Any) -> bool:
        """Return whether the loss computes a ``scoring`` itself."""
        return isinstance(scoring, str) and scoring == "loss"

    def _labels(self, target: np.ndarray) -> np.ndarray | None:
        """Return labels whose shares held-out rows should keep, or None."""
        return None

    # Fitting.

    @fit_context
    def fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any = None,
        X_val: Any = None,
        y_val: Any = None,
        sample_weight_val: Any = None,
        offset: Any = None,
        offset_val: Any = None,
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            Rows, which are never modified. A CSR matrix is used as it is, and other
            formats are converted once. A ``pyarrow.dataset.Dataset`` is read in chunks
            and may be larger than memory; y and sample_weight are then names of its
            columns.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Targets: labels of any type, or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Weights of the rows, which must not be negative nor all zero.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, default=None
            Held-out rows for early stopping, instead of a ``validation_fraction`` of X.
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Known part of the raw score of each row, to which the score of the model is
            added, like ``base_margin`` of XGBoost or ``init_score`` of LightGBM. It
            holds log odds, the logarithm of the exposure for ``loss="poisson"``, or
            numbers in units of y. Predictions for such rows need their offsets too. The
            Bayesian solver supports offsets of regressors only; ``solver="auto"`` fits
            classifiers with an offset by "sgd".
        offset_val : as offset, default=None
            Offsets of X_val.

        Returns
        -------
        self
            The fitted estimator.

        Raises
        ------
        ValueError
            If a parameter or the input is not valid. The estimator is left unchanged.
        FloatingPointError
            If the loss became NaN or infinite. The estimator then has the weights of
            the last complete epoch, or is left unchanged if there was none. The same
            holds after a KeyboardInterrupt.
        """
        run = Run(
            warm=self.warm_start,
            max_iter=self.max_iter,
            early_stopping=self.early_stopping,
            keep_optimizer=self.warm_start,
            offset=offset,
            offset_val=offset_val,
        )
        return self._fit(X, y, sample_weight, run, (X_val, y_val, sample_weight_val))

    def _fit(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        run: Run,
        validation: tuple[Any, ...] = (None, None, None),
    ) -> Self:
        """Fit a copy, and take over its fitted attributes when that has succeeded."""
        metadata = {"sample_weight": sample_weight}
        if run.qid is not None:
            metadata["qid"] = run.qid
        if run.offset is not None:
            metadata["offset"] = run.offset
        hook_data = {"X": X, "y": y, "metadata": metadata}
        context = self._init_callback_context(max_subtasks=run.max_iter)
        context.call_on_fit_task_begin(estimator=self, **hook_data)
        draft = snapshot(self)
        resume = run.warm and draft._is_fitted()
        with (
            default_modes(),
            memory_errors("Fitting", "lower n_factors, batch_size or the columns."),
            noting_compilation(self._say_compiling if self.verbose else None),
        ):
            with agreeing(communicator()):
                fit = draft._prepare(X, y, sample_weight, run, validation, resume)

            def keep(state: Any) -> None:
                draft._keep(fit, state, resume)
                publish(self, draft)

            monitor = CallbackMonitor(
                self,
                context,
                hook_data,
                attributes=lambda history: (
                    fitted_attributes(draft)
                    | history_attributes(history, draft if resume else None)
                ),
                rescue=keep,
                task_name=fit.iteration,
            )
            keep(fit.solve(monitor))
        context.call_on_fit_task_end(
            estimator=self, **hook_data, reconstruction_attributes=dict
        )
        # No worker leaves, and removes the rows, while another one reads them.
        with agreeing(communicator()):
            if not run.one_pass:
                warn_if_worse(draft, fit.examined())
        return self

    def _say_compiling(self) -> None:
        print(
            f"{type(self).__name__} compiles its kernels, which takes some seconds "
            "once on this machine."
        )

    def _prepare(
        self,
        X: Any,
        y: Any,
        sample_weight: Any,
        run: Run,
        validation: tuple[Any, ...],
        resume: bool,
    ) -> Fit:
        """Check all input, and set the attributes that describe X and y."""
        self._check_optimization()
        check_collective(self, X)
        data = self._check_data(X, y, sample_weight, run, resume=resume)
        if resume:
            self._check_same_network(data.X)
        held_out = self._check_validation(*validation, run=run)
        check_held_out(data, held_out)
        random_state = check_random_state(self.random_state)
        seed = random_state.randint(np.iinfo(np.int32).max)
        rows = (X, y, sample_weight, run.qid)
        run = run._replace(given=Given(rows, (*validation, None)[:4]))
        return self._make_fit(data, held_out, run, resume=resume, seed=seed)

    def _make_fit(
        self,
        data: FitData,
        held_out: FitData | None,
        run: Run,
        *,
        resume: bool,
        seed: int,
    ) -> Fit:
        """Prepare a fit of checked data, without training."""
        # The first part of a fit that needs torch.
        from .stochastic import StochasticFit

        source = None if resume else check_pretrained(self, data.n_columns)
        return StochasticFit(
            self, data, held_out, run, resume=resume, seed=seed, source=source
        )

    def _check_same_network(self, X: Any) -> None:
        """Raise an error for changed parameters that a warm start would ignore."""
        given = self._scorer.fixed_options()
        n_members = given_or_default(self, OptimizationParameters, "n_members")
        asked = {"n_factors": self.n_factors, **self._network_options(full_batch=False)}
        asked |= {} if n_members == "auto" else {"n_members": n_members}
        changed = [
            name
            for name in given.keys() & asked.keys()
            if not (np.array_equal(given[name], asked[name]) or "dropout" in name)
        ]
        if not isinstance(self.fields, str):
            fields, _ = self._find_fields(X, dense=False, needed=True)
            if self.fields_ is None or not np.array_equal(fields, self.fields_):
                changed.append("fields")
        if changed:
            raise ValueError(
                f"{', '.join(sorted(changed))} changed since the last fit, whose "
                "weights warm_start=True goes on from: set it back, or "
                "warm_start=False."
            )

    def _keep(self, fit: Fit, state: Any, resume: bool) -> None:
        """Set the fitted attributes from what a solver has returned."""
        found = history_attributes(state.history, self if resume else None)
        found |= fit.attributes(state)
        for name, value in found.items():
            setattr(self, name, value)

    def __sklearn_is_fitted__(self) -> bool:
        return self._is_fitted()

    def _is_fitted(self) -> bool:
        return "network_" in vars(self)

    # Reading the fitted model.

    def _read_rows(self, X: Any) -> Rows:
        """Check, encode and pool the rows of X for the fitted network."""
        check_is_fitted(self)
        dtype = self._scorer.shape.dtype
        csr = self._ready_rows(X)
        csr = self._check_X(X, reset=False) if csr is None else csr
        return Rows(self._scaled(csr, dtype), dtype, mean_fields=self._mean_fields)

    def _raw_scores(self, X: Any) -> np.ndarray:
        """Compute raw scores in float64, shape (n_rows, n_outputs)."""
        if is_streamed(X) or isinstance(X, Iterator):
            return np.concatenate([self._raw_scores(p) for p in read_parts(self, X)])
        with memory_errors("Scoring", "pass fewer rows at a time."):
            return self._score(self._read_rows(X))

    def _score(self, rows: Rows) -> np.ndarray:
        return raw_scores(self._scorer, rows, resolve_n_jobs(self.n_jobs))

    def compile_predictor(self) -> Predictor:
        """Make a predictor that scores a few rows at low latency.

        Returns
        -------
        Predictor
            Predictor for dicts, DataFrames and CSR rows, without the validation of
            scikit-learn. Threads may share it. Later fits do not change it.

        Raises
        ------
        NotFittedError
        """
        return Predictor(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
