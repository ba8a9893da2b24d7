"""What every estimator shares: checks, fit, and raw scores."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any, ClassVar, NamedTuple, Self

import numpy as np
import torch
from sklearn.callback import CallbackSupportMixin
from sklearn.utils import check_random_state
from sklearn.utils.validation import check_is_fitted, validate_data

from . import choices
from ._params import fit_context
from .batches import PREDICTION_BATCH, Rows, canonical_csr
from .callbacks import EpochCallbacks
from .checks import check_finite, check_weights
from .fields import resolve_fields
from .learner import OptimizerState, Settings
from .losses import Loss, as_target
from .network import DTYPES, Network, Shape
from .parameters import SharedParameters
from .threads import resolve_n_jobs, torch_threads
from .training import Trainer

#: Parameters that go to the training loop as they are.
_SETTINGS = (
    *("optimizer", "network_learning_rate", "alpha_linear"),
    *("alpha_factors", "alpha", "n_iter_no_change", "tol"),
)


class Data(NamedTuple):
    """Checked input: canonical X, encoded target, weights of the loss."""

    X: Any
    target: np.ndarray
    weight: np.ndarray


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
    """

    warm: bool
    max_iter: int
    early_stopping: bool | str
    keep_optimizer: bool
    classes: Any = None


class Fitted:
    """Types of the attributes that fit sets (apart, as they are no parameters)."""

    network_: Network
    fields_: np.ndarray | None
    field_names_: list[str] | None
    loss_curve_: list[float]
    validation_scores_: list[float]
    n_iter_: int
    best_iter_: int
    n_features_in_: int
    _seen_columns: np.ndarray
    _optimizer_state: OptimizerState | None


class BaseModel(CallbackSupportMixin, Fitted, SharedParameters):
    """Machinery of all estimators.

    An architecture (in `skfm.models`) gives ``_network_class`` and `_network_options`;
    a task (in `skfm.tasks`) gives the hooks about the target.
    """

    _network_class: ClassVar[type[Network]]
    _attributes_doc: ClassVar[str] = """
        intercept_ : float or ndarray of shape (n_outputs,)
            Bias of the scores; for regressors in units of y.
        coef_ : ndarray of shape (n_features,) or (n_outputs, n_features)
            Linear weights; for regressors in units of y.
        factors_ : ndarray of shape (n_features, n_factors)
            Embeddings; for regressors, of the standardised target. Columns without an
            entry in the training rows have zeros.
        network_ : torch.nn.Module
            The trained network, on the device of the fit; pickled as NumPy arrays.
        n_iter_ : int
            Epochs run.
        best_iter_ : int
            The epoch whose weights were kept.
        loss_curve_ : list of float
            Mean training loss during each epoch, without penalty.
        validation_scores_ : list of float
            Minus the mean loss on the held-out rows after each epoch; empty without.
        fields_ : ndarray of shape (n_features,) or None
            Field of each column; None where the model needs none and none were given.
        field_names_ : list of str or None
            Their names.
        n_features_in_ : int
            Number of columns seen in `fit`.
        feature_names_in_ : ndarray of shape (n_features_in_,)
            Names of the columns, where X had names that are all strings.
        """
    #: Keywords of `validate_data` for y.
    _target_checks: ClassVar[dict[str, Any]] = {}

    # What an architecture gives.

    def _network_options(self, *, full_batch: bool) -> dict[str, Any]:
        """Keywords of the network class; ``full_batch``: all rows make one batch."""
        return {}

    # What a task gives.

    def _learn_target(self, y: np.ndarray, weight: np.ndarray, classes: Any) -> None:
        """Set the fitted attributes that say how y is encoded."""
        raise AssertionError("defined by each task")

    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        """Encode y as those attributes say."""
        raise AssertionError("defined by each task")

    def _weigh(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        """Weights of the loss, from those of the user."""
        return weight

    def _make_loss(self) -> Loss:
        raise AssertionError("defined by each task")

    def _n_outputs(self) -> int:
        raise AssertionError("defined by each task")

    def _labels(self, target: np.ndarray) -> np.ndarray | None:
        """Labels whose shares the held-out rows should keep, or None."""
        return None

    def _output_scale(self) -> tuple[np.ndarray, np.ndarray]:
        """Factor and shift, each (n_outputs,), from raw scores to y's units."""
        n_outputs = self.network_.shape.n_outputs
        return np.ones(n_outputs), np.zeros(n_outputs)

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
        validation: tuple[Any, Any, Any] = (None, None, None),
    ) -> Self:
        """Check everything, train, and set the fitted attributes, or change nothing."""
        resume = run.warm and self._is_fitted()
        context = self._init_callback_context(max_subtasks=run.max_iter)
        hook_data = {"X": X, "y": y, "metadata": {"sample_weight": sample_weight}}
        context.call_on_fit_task_begin(estimator=self, **hook_data)
        with self._all_or_nothing() as commit:
            data = self._check_data(X, y, sample_weight, run, resume)
            held_out = self._check_validation(*validation)
            trainer = self._make_trainer(data, held_out, run, resume)
            try:
                trainer.run(EpochCallbacks(self, context, hook_data))
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

    def _check_data(
        self, X: Any, y: Any, sample_weight: Any, run: Run, resume: bool
    ) -> Data:
        dense = not hasattr(X, "tocsr")
        X, y = self._check_X(X, y, reset=not resume)
        weight = check_weights(sample_weight, X)
        if not resume:
            self._learn_target(y, weight, run.classes)
            self._learn_fields(X, dense)
        target = self._encode_target(y)
        return Data(X, target, self._weigh(target, weight))

    def _check_validation(self, X: Any, y: Any, sample_weight: Any) -> Data | None:
        if X is None and y is None:
            if sample_weight is not None:
                raise ValueError("sample_weight_val needs X_val and y_val.")
            return None
        if X is None or y is None:
            missing = "X_val" if X is None else "y_val"
            raise ValueError(f"X_val and y_val go together, but {missing} is missing.")
        X, y = self._check_X(X, y, reset=False, name="X_val")
        weight = check_weights(sample_weight, X, "sample_weight_val")
        target = self._encode_target(y)
        return Data(X, target, self._weigh(target, weight))

    def _check_X(
        self, X: Any, y: Any = "no_validation", *, reset: bool, name: str = "X"
    ) -> Any:
        """Canonical CSR of X, beside the checked y if one is given."""
        only_X = isinstance(y, str) and y == "no_validation"
        checked = validate_data(
            self,
            X,
            y,
            reset=reset,
            accept_sparse="csr",
            dtype="numeric",
            ensure_all_finite=False,
            **({} if only_X else self._target_checks),
        )
        X, y = (checked, None) if only_X else checked
        csr = canonical_csr(X)
        check_finite(csr, name)
        return csr if only_X else (csr, y)

    def _learn_fields(self, X: Any, dense: bool) -> None:
        asked = not isinstance(self.fields, str)
        if not asked and self._network_class.lookup != "by_field":
            self.fields_ = self.field_names_ = None
            return
        names = getattr(self, "feature_names_in_", None)
        self.fields_, self.field_names_ = resolve_fields(
            self.fields, X, names=names, is_dense=dense
        )

    def _make_trainer(
        self, data: Data, held_out: Data | None, run: Run, resume: bool
    ) -> Trainer:
        random_state = check_random_state(self.random_state)
        rng = np.random.default_rng(random_state.randint(np.iinfo(np.int32).max))
        n_rows = data.X.shape[0]
        stop = choices.early_stopping(
            run.early_stopping, n_rows, given=held_out is not None
        )
        train, rest = np.arange(n_rows), None
        if stop and held_out is None:
            labels = self._labels(data.target)
            train, rest = choices.hold_out(
                data.weight, self.validation_fraction, labels, rng
            )
        settings = Settings(
            max_iter=run.max_iter,
            batch_size=choices.batch_size(self.batch_size, len(train)),
            early_stopping=stop,
            learning_rate=choices.learning_rate(
                self.learning_rate, self.optimizer, n_rows
            ),
            n_threads=resolve_n_jobs(self.n_jobs),
            **{name: getattr(self, name) for name in _SETTINGS},
        )
        loss = self._make_loss()
        dtype = choices.dtype(self.dtype, data.X)
        if resume:
            dtype = self.network_.shape.dtype
        rows = self._rows(data, loss, dtype)
        if resume:
            network = self._resume_network(rows, train, rng)
        else:
            full_batch = settings.batch_size >= len(train)
            shape = self._shape(rows, train, dtype)
            network = self._start_network(shape, rows, train, rng, full_batch)
            network.set_bias(loss.baseline(data.target[train], data.weight[train]))
        validation = None if rest is None else (rows, rest)
        if held_out is not None:
            given = self._rows(held_out, loss, dtype)
            validation = (given, np.arange(len(given)))
        return Trainer(
            *(network, loss, rows, train, validation, settings, rng),
            resume=resume,
            optimizer_state=self._optimizer_state if resume else None,
        )

    def _rows(self, data: Data, loss: Loss, dtype: str) -> Rows:
        return Rows(
            data.X,
            dtype,
            as_target(loss, data.target, DTYPES[dtype]),
            torch.from_numpy(data.weight).to(DTYPES[dtype]),
        )

    def _shape(self, rows: Rows, train: np.ndarray, dtype: str) -> Shape:
        return Shape(
            n_columns=self.n_features_in_,
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
        network = self._network_class.build(shape, **options)
        network.check_memory(rows.longest())
        self._seen_columns = rows.active_columns(train, shape.n_columns)
        network.initialize(self._seen_columns, rng, self.init_scale)
        return network

    def _resume_network(
        self, rows: Rows, train: np.ndarray, rng: np.random.Generator
    ) -> Network:
        """The fitted network, with starting weights for columns not seen before."""
        network = self.network_
        network.check_memory(rows.longest())
        active = rows.active_columns(train, len(self._seen_columns))
        network.table.initialize(active & ~self._seen_columns, rng, self.init_scale)
        self._seen_columns = active | self._seen_columns
        return network

    def _keep(self, trainer: Trainer, run: Run, resume: bool) -> None:
        """Set the fitted attributes from what training left."""
        history = trainer.history
        earlier = (self.loss_curve_, self.validation_scores_) if resume else ([], [])
        self.network_ = trainer.network
        self.loss_curve_ = earlier[0] + history.loss_curve
        self.validation_scores_ = earlier[1] + history.validation_scores
        self.best_iter_ = len(earlier[0]) + history.best_epoch
        self.n_iter_ = len(self.loss_curve_)
        keep = run.keep_optimizer
        self._optimizer_state = trainer.learner.optimizer_state() if keep else None

    def _is_fitted(self) -> bool:
        return hasattr(self, "network_")

    # Reading the fitted model.

    def _raw_scores(self, X: Any) -> np.ndarray:
        """float64 raw scores of shape (n_rows, n_outputs)."""
        check_is_fitted(self, "network_")
        network = self.network_
        rows = Rows(self._check_X(X, reset=False), network.shape.dtype)
        network.check_memory(rows.longest())
        n_threads = resolve_n_jobs(self.n_jobs)
        scores = np.empty((len(rows), network.shape.n_outputs))
        with torch_threads(1):
            for start in range(0, len(rows), PREDICTION_BATCH):
                stop = min(start + PREDICTION_BATCH, len(rows))
                part = network.score(rows.span(start, stop), n_threads)
                scores[start:stop] = part.cpu().numpy()
        return scores

    def _attribute(self, values: Any) -> np.ndarray:
        """A float array of its own, without the axis of a single output."""
        array = np.array(values.detach().cpu().numpy())
        return array[..., 0] if self.network_.shape.n_outputs == 1 else array

    @property
    def intercept_(self) -> Any:
        """Bias, float or ndarray of shape (n_outputs,), in units of the prediction."""
        scale, shift = self._output_scale()
        intercept = self._attribute(self.network_.bias) * scale.squeeze()
        return intercept + shift.squeeze()

    @property
    def coef_(self) -> np.ndarray:
        """Linear weights, (n_features,) or (n_outputs, n_features)."""
        table = self.network_.table
        scale, _ = self._output_scale()
        linear = table.weight[:, : table.n_linear].T.detach().cpu().numpy()
        coef = linear * scale[:, None]
        return coef[0] if len(coef) == 1 else coef

    @property
    def factors_(self) -> np.ndarray:
        """Embeddings of the columns, (n_features, n_factors)."""
        table = self.network_.table
        return np.array(table.weight[:, table.n_linear :].cpu().numpy())

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.input_tags.sparse = True
        return tags
