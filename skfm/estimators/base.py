"""What every estimator shares: checks, fit, and raw scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple, Self

import numpy as np
import torch
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted

from .._sklearn import fit_context
from ..data.batch import PREDICTION_BATCH
from ..data.rows import Rows
from ..data.statistics import column_statistics
from ..losses import Loss, as_target
from ..nn.network import DTYPES, Network, Shape
from ..optim import n_tables
from ..runtime.threads import resolve_n_jobs, torch_threads
from ..training.callbacks import EpochCallbacks
from ..training.checkpoints import open_checkpoint
from ..training.learner import Settings
from ..training.trainer import Trainer
from . import checks
from . import defaults as choices
from .init_from import check_pretrained, same_target
from .predictor import Predictor
from .validation import Data, Inputs

#: Parameters that go to the training loop as they are.
_SETTINGS = (
    *("optimizer", "network_learning_rate", "alpha_linear"),
    *("alpha_factors", "alpha", "n_iter_no_change", "tol"),
    *("momentum", "l1_ratio_linear", "l1_ratio_factors", "clip_norm"),
)


class Run(NamedTuple):
    """How a call of fit or partial_fit trains.

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
    scheduled : bool
        Whether the learning rates follow the schedule, or stay as they are.
    """

    warm: bool
    max_iter: int
    early_stopping: bool | str
    keep_optimizer: bool
    classes: Any = None
    qid: Any = None
    scheduled: bool = True


class BaseModel(CallbackSupportMixin, Inputs):
    """Machinery of all estimators.

    An architecture (in `skfm.models`) gives ``_network_class`` and `_network_options`;
    a task (in `skfm.tasks`) gives the hooks about the target.
    """

    # What an architecture gives.

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        """Keywords of the network class; ``full_batch``: all rows make one batch."""
        return {}

    # What a task gives.

    def _make_loss(self) -> Loss:
        raise AssertionError("defined by each task")

    def _n_outputs(self) -> int:
        raise AssertionError("defined by each task")

    def _labels(self, target: np.ndarray) -> np.ndarray | None:
        """Labels whose shares the held-out rows should keep, or None."""
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
    ) -> Self:
        """Fit the model.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
            CSR is used as it is; other formats are converted once. Never modified.
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
            Labels of any type, or numbers.
        sample_weight : array-like of shape (n_samples,), default=None
            Non-negative weights of the rows, not all zero.
        X_val, y_val, sample_weight_val : as X, y and sample_weight, default=None
            Rows to stop early on, instead of a ``validation_fraction`` of X.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a parameter or the input is not usable; the estimator is left as it was.
        FloatingPointError
            If the loss became NaN or infinite. The estimator then has the weights of
            the last full epoch, or is as it was if there was none; the same holds
            after a KeyboardInterrupt.
        """
        run = Run(
            warm=self.warm_start,
            max_iter=self.max_iter,
            early_stopping=self.early_stopping,
            keep_optimizer=self.warm_start,
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
        """Check everything, train, and set the fitted attributes, or change nothing."""
        resume = run.warm and self._is_fitted()
        context = self._init_callback_context(max_subtasks=run.max_iter)
        metadata = {"sample_weight": sample_weight}
        if run.qid is not None:
            metadata["qid"] = run.qid
        hook_data = {"X": X, "y": y, "metadata": metadata}
        context.call_on_fit_task_begin(estimator=self, **hook_data)
        self._check_optimization()
        with self._all_or_nothing() as commit:
            data = self._check_data(X, y, sample_weight, resume, run.classes, run.qid)
            if resume:
                self._check_same_network(data.X)
            held_out = self._check_validation(*validation)
            random_state = check_random_state(self.random_state)
            seed = random_state.randint(np.iinfo(np.int32).max)
            trainer = self._make_trainer(data, held_out, run, resume, seed)
            try:
                trainer.run(
                    EpochCallbacks(
                        *(self, context, hook_data),
                        history=lambda trainer: self._history(trainer, resume),
                    )
                )
            except BaseException:
                if trainer.history.best_epoch:
                    self._keep(trainer, run, resume)
                    commit()
                raise
            self._keep(trainer, run, resume)
        context.call_on_fit_task_end(
            estimator=self, **hook_data, reconstruction_attributes=dict
        )
        return self

    @contextmanager
    def _all_or_nothing(self) -> Iterator[Callable[[], None]]:
        """Put all attributes back after an exception, unless committed before it."""
        before = dict(self.__dict__)

        def commit() -> None:
            before.clear()
            before.update(self.__dict__)

        try:
            yield commit
        except BaseException:
            self.__dict__.clear()
            self.__dict__.update(before)
            raise

    def _make_trainer(
        self, data: Data, held_out: Data | None, run: Run, resume: bool, seed: int
    ) -> Trainer:
        rng = np.random.default_rng(seed)
        n_rows = data.X.shape[0]
        stop = choices.early_stopping(
            run.early_stopping, n_rows, given=held_out is not None
        )
        train, rest = np.arange(n_rows), None
        if stop and held_out is None:
            labels = self._labels(data.target)
            train, rest = choices.hold_out(
                data.weight, self.validation_fraction, labels, rng, data.query
            )
        settings = self._settings(data, len(train), run, stop)
        loss = self._make_loss()
        before = self.network_.shape.dtype if resume else None
        dtype = before or choices.dtype(self.dtype, data.X)
        rows = self._rows(data, loss, dtype)
        if resume:
            device = choices.device(self.device)
            network = self.network_.on(device, n_tables(self.optimizer, run.max_iter))
            network.check_memory(rows.longest())
        else:
            full_batch = settings.batch_size >= len(train)
            shape = self._shape(rows, train, dtype)
            network = self._start_network(shape, rows, train, rng, full_batch)
            network.set_bias(loss.baseline(data.target[train], data.weight[train]))
            self._inherit(network)
        network.frozen, network.fixed_bias = self.freeze, loss.fixes_bias
        validation = None if rest is None else (rows, rest)
        if held_out is not None:
            given = self._rows(held_out, loss, dtype)
            validation = (given, np.arange(len(given)))
        trainer = Trainer(
            *(network, loss, rows, train, validation, settings, rng),
            resume=resume,
            keep_optimizers=run.keep_optimizer,
            optimizer_state=self._optimizer_state if resume else None,
            checkpoint=open_checkpoint(self, run.max_iter),
        )
        if resume:
            self._draw_new_columns(trainer)
        return trainer

    def _settings(self, data: Data, n_train: int, run: Run, stop: bool) -> Settings:
        schedule = self.learning_rate_schedule if run.scheduled else "constant"
        return Settings(
            max_iter=run.max_iter,
            batch_size=choices.batch_size(self.batch_size, n_train),
            early_stopping=stop,
            learning_rate=choices.learning_rate(
                *(self.learning_rate, self.optimizer, data.X.shape[0]),
                ranked=data.query is not None,
            ),
            n_threads=resolve_n_jobs(self.n_jobs),
            learning_rate_schedule=schedule,
            warmup_epochs=self.warmup_epochs if run.scheduled else 0.0,
            **{name: getattr(self, name) for name in _SETTINGS},
        )

    def _rows(self, data: Data, loss: Loss, dtype: str) -> Rows:
        return Rows(
            data.X,
            dtype,
            as_target(loss, data.target, DTYPES[dtype]),
            # Scaled in float64: only the ratios of weights matter.
            torch.from_numpy(data.weight / data.weight.mean()).to(DTYPES[dtype]),
            mean_fields=self._mean_fields,
            query=data.query,
        )

    def _shape(self, rows: Rows, train: np.ndarray, dtype: str) -> Shape:
        return Shape(
            n_columns=rows.n_columns,
            n_factors=self.n_factors,
            n_outputs=self._n_outputs(),
            fields=self.fields_,
            mean_pairs=rows.mean_pairs(train),
            dtype=dtype,
            device=choices.device(self.device),
        )

    def _start_network(
        self,
        shape: Shape,
        rows: Rows,
        train: np.ndarray,
        rng: np.random.Generator,
        full_batch: bool,
    ) -> Network:
        """A new network; columns without training entries keep zero weights."""
        options = self._network_options(full_batch=full_batch)
        self._network_class.check_table(shape, n_tables(self.optimizer, self.max_iter))
        network = self._network_class.build(shape, **options)
        network.check_memory(rows.longest())
        self._column_statistics = column_statistics(rows, train, network.prepare)
        # Frozen at random, columns that a pretrained model does not know are noise.
        unknown = self.freeze and self.init_from is not None
        drawn = self._column_statistics.seen & (not unknown)
        network.initialize(drawn, rng, self.init_scale)
        return network

    def _pretrained(self, n_columns: int) -> Any:
        """The fitted model whose weights to start from, checked, or None."""
        return check_pretrained(self, n_columns)

    def _inherit(self, network: Network) -> None:
        """Start a new network from the pretrained model's, if there is one."""
        source = self._pretrained(network.shape.n_columns)
        if source is None:
            return
        known, same = source._column_statistics, same_target(self, source)
        network.inherit(source.network_, known.seen, same_target=same)
        self._column_statistics += known

    def _draw_new_columns(self, trainer: Trainer) -> None:
        """Starting weights for columns that earlier fits have not seen."""
        network = trainer.network
        found = column_statistics(trainer.rows, trainer.train, network.prepare)
        new = found.seen & ~self._column_statistics.seen
        network.draw_factors(new, trainer.rng, self.init_scale)
        self._column_statistics += found

    def _check_same_network(self, X: Any) -> None:
        """Refuse parameters that a warm start would have to ignore."""
        config = dict(self.network_.config)
        shape = config.pop("shape")
        given = {"n_factors": shape.n_factors, **config}
        asked = {"n_factors": self.n_factors, **self._network_options(full_batch=False)}
        changed = [n for n in given if not np.array_equal(given[n], asked[n])]
        changed = [name for name in changed if "dropout" not in name]
        if not isinstance(self.fields, str):
            fields, _ = self._find_fields(X, dense=False, needed=True)
            if self.fields_ is None or not np.array_equal(fields, self.fields_):
                changed.append("fields")
        if changed:
            raise ValueError(
                f"{', '.join(changed)} changed since the last fit, whose weights "
                "warm_start=True goes on from: set it back, or warm_start=False."
            )

    def _keep(self, trainer: Trainer, run: Run, resume: bool) -> None:
        """Set the fitted attributes from what training left."""
        for name, value in self._history(trainer, resume).items():
            setattr(self, name, value)
        self.network_ = trainer.network
        keep = run.keep_optimizer
        self._optimizer_state = trainer.learner.optimizer_state() if keep else None

    def _history(self, trainer: Trainer, resume: bool) -> dict[str, Any]:
        """Fitted attributes that tell of the epochs, those of earlier fits first."""
        history = trainer.history
        earlier = (self.loss_curve_, self.validation_scores_) if resume else ([], [])
        return {
            "loss_curve_": earlier[0] + history.loss_curve,
            "validation_scores_": earlier[1] + history.validation_scores,
            "best_iter_": len(earlier[0]) + history.best_epoch,
            "n_iter_": len(earlier[0]) + len(history.loss_curve),
        }

    def _is_fitted(self) -> bool:
        return hasattr(self, "network_")

    # Reading the fitted model.

    def _read_rows(self, X: Any) -> Rows:
        """The rows of X, checked, encoded and pooled as the fitted network's are."""
        check_is_fitted(self, "network_")
        csr = self._check_X(X, reset=False)
        return Rows(csr, self.network_.shape.dtype, mean_fields=self._mean_fields)

    def _raw_scores(self, X: Any) -> np.ndarray:
        """float64 raw scores of shape (n_rows, n_outputs)."""
        rows, network = self._read_rows(X), self.network_
        network.check_memory(rows.longest())
        n_threads = resolve_n_jobs(self.n_jobs)
        scores = np.empty((len(rows), network.shape.n_outputs))
        with torch_threads(1):
            for start in range(0, len(rows), PREDICTION_BATCH):
                stop = min(start + PREDICTION_BATCH, len(rows))
                part = network.score(rows.span(start, stop), n_threads)
                scores[start:stop] = part.cpu().numpy()
        return checks.finite_scores(scores)

    def compile_predictor(self) -> Predictor:
        """An object that scores a few rows at a time at low latency.

        Returns
        -------
        Predictor
            Takes dicts, DataFrames and CSR rows without scikit-learn's validation, and
            may be shared among threads. Its weights are this estimator's.

        Raises
        ------
        NotFittedError
        """
        return Predictor(self)

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
