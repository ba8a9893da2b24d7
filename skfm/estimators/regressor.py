"""Regressors: numbers, counts and amounts."""

from __future__ import annotations

from collections.abc import Callable
from numbers import Real
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import RegressorMixin
from sklearn.metrics import r2_score

from .. import losses
from .._sklearn import Interval, StrOptions, fit_context
from ..data.scaling import SETTLED
from ..persistence.records import is_array, require
from ..runtime.attributes import on_snapshot
from .base import BaseModel
from .checks import check_weights, refuse_overflow
from .fitted import FittedTarget
from .lazy import lazy_on_dask
from .offsets import check_outputs, shifted
from .params import param
from .run import ONE_PASS

#: A normal distribution's standard deviation, in median absolute deviations.
_PER_MAD = 1.482602218505602


class Regressor(RegressorMixin, FittedTarget, BaseModel):
    """Regression on one or several outputs.

    Where the link is the identity, the network learns a standardised target.
    """

    _attributes_doc: ClassVar[str] = """
        y_mean_, y_scale_ : ndarray of shape (n_outputs,)
            Center and spread of y: a prediction is ``y_mean_ + y_scale_ * raw score``.
            Weighted mean and standard deviation with ``loss="squared_error"``; with
            the robust losses the median, and 1.48 times the median absolute deviation
            where that is above zero; 0 and 1 with a callable loss, and with those of a
            log link, where a prediction is ``exp(raw score)``.
        """

    loss: str | Callable[..., Any] = param(
        default="squared_error",
        valid=[StrOptions(set(losses.loss_names("numbers"))), callable],
        doc="""str or callable
            Loss to minimise: "squared_error", "absolute_error", "huber", "quantile",
            or half the deviance "poisson" (y zero or more), "gamma" (y above zero) or
            "tweedie". The last three predict ``exp(raw score)``, so that ``intercept_``
            and ``coef_`` refer to the logarithm. A callable ``loss(scores, target)``
            takes two tensors, the raw scores and the unscaled y, both (n_rows,
            n_outputs), and returns the loss of each row (n_rows,), differentiable by
            torch; predictions are then the raw scores.""",
    )
    quantile: float = param(
        default=0.5,
        valid=[Interval(Real, 0, 1, closed="neither")],
        doc="""float
            Quantile that ``loss="quantile"`` estimates.""",
    )
    epsilon: float = param(
        default=1.35,
        valid=[Interval(Real, 0, None, closed="neither")],
        doc="""float
            Size of the error at which ``loss="huber"`` changes from squared to linear,
            in units of ``y_scale_``.""",
    )
    power: float = param(
        default=1.5,
        valid=[Interval(Real, 1, None, closed="left")],
        doc="""float
            Power of ``loss="tweedie"``: the variance is proportional to the mean raised
            to this power. 1 is the Poisson deviance, 2 the gamma deviance. Below 2, y
            may be zero.""",
    )

    _sections_doc: ClassVar[str] = """
        Parameters
        ----------
        {parameters}

        Attributes
        ----------
        {attributes}

        References
        ----------
        {references}

        Examples
        --------
        >>> import numpy as np
        >>> from skfm import {name}
        >>> X = np.random.default_rng(0).normal(size=(200, 3))
        >>> y = 1 + X[:, 0] + 2 * X[:, 1] * X[:, 2]
        >>> model = {name}(max_iter=300, random_state=0).fit(X, y)
        >>> model.score(X, y) > 0.9
        True
        """

    _target_checks: ClassVar[dict[str, Any]] = {"multi_output": True, "y_numeric": True}

    @fit_context
    def partial_fit(
        self, X: Any, y: Any, sample_weight: Any = None, offset: Any = None
    ) -> Self:
        """Make one pass over X, going on from the weights there are.

        Units of the columns and of y are those of all rows so far, until there are
        1,000 of them.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            As in `fit`.

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, ONE_PASS._replace(offset=offset))

    def _learn_target(self, y: np.ndarray, weight: np.ndarray, classes: Any) -> None:
        columns = _columns(y)
        self.y_mean_, self.y_scale_ = _center_and_spread(
            columns, weight, self._loss_class().spread
        )
        if not np.isfinite([self.y_mean_, self.y_scale_]).all():
            raise ValueError(
                "The mean or the spread of y is too large to be computed: divide y by "
                "a constant."
            )
        self._score_kind = self._kind(columns.shape[1])
        self._first_targets = None

    def _learn_streamed_target(
        self, y: np.ndarray, weight: np.ndarray, *, first: bool
    ) -> None:
        columns, known = _columns(y), None if first else self._first_targets
        if not first:
            if known is None or columns.shape[1] != len(self.y_mean_):
                return
            columns = np.concatenate([known[0], columns])
            weight = np.concatenate([known[1], weight])
            self._learn_target(columns, weight, None)
        if len(columns) < SETTLED:
            self._first_targets = columns, weight

    def _without(self, offset: np.ndarray | None, y: np.ndarray) -> np.ndarray:
        if offset is None or self._loss_class().link is not losses.links.IDENTITY:
            return y
        columns = _columns(y)
        check_outputs(offset, columns.shape[1], "offset")
        return columns - offset

    def _target_scale(self) -> np.ndarray:
        return self.y_scale_

    def _kind(self, n_outputs: int) -> tuple[Any, ...]:
        return ("numbers", n_outputs, self._loss_class().link.name)

    def _loss_class(self) -> type[losses.Loss]:
        return losses.loss_class(self.loss, "numbers")

    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        columns = _columns(y)
        if columns.shape[1] != len(self.y_mean_):
            raise ValueError(
                f"y has {columns.shape[1]} outputs, but {type(self).__name__} is "
                f"fitted on {len(self.y_mean_)}."
            )
        if self._kind(len(self.y_mean_)) != self._score_kind:
            raise ValueError(
                f"loss={self.loss!r} reads scores by another link than the last fit, "
                "whose weights this one would go on from: set warm_start=False."
            )
        self._make_loss().check_target(columns)
        return (columns - self.y_mean_) / self.y_scale_

    def _make_loss(self) -> losses.Loss:
        return losses.make_loss(self.loss, "numbers", self._n_outputs(), vars(self))

    def _check_fits(self) -> None:
        for part in (self.y_mean_, self.y_scale_):
            fine = is_array(part, np.float64, (len(self.y_mean_),))
            require(fine and np.isfinite(part).all(), "the scale of y is none")
        require((self.y_scale_ > 0).all(), "the scale of y is not positive")
        super()._check_fits()

    def _n_outputs(self) -> int:
        return len(self.y_mean_)

    def _output_scale(self) -> tuple[np.ndarray, np.ndarray]:
        return self.y_scale_, self.y_mean_

    @lazy_on_dask
    @on_snapshot
    def predict(self, X: Any, *, offset: Any = None) -> np.ndarray:
        """Predicted targets, in units of y.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Known part of the raw scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        y = self._in_units(shifted(self, self._raw_scores(X), offset))
        return y[:, 0] if y.shape[1] == 1 else y

    def _in_units(self, scores: np.ndarray) -> np.ndarray:
        """Return the predictions, in units of y, that raw scores stand for."""
        with np.errstate(over="ignore"):
            linked = self._loss_class().link.numpy(scores)
        return self._rescaled(linked, "prediction")

    @refuse_overflow
    def score(
        self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None
    ) -> float:
        """Compute the coefficient of determination R² of the predictions.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Known part of the raw scores, as in `fit`.

        Returns
        -------
        float
            NaN for a single row, of which R² is not defined.

        Raises
        ------
        ValueError
            If the squared errors overflow.
        """
        predicted = self.predict(X, offset=offset)
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, predicted)
        with np.errstate(over="ignore", invalid="ignore", divide="ignore"):
            score = float(r2_score(y, predicted, sample_weight=sample_weight))
        if not np.isfinite(score) and len(predicted) > 1:
            raise ValueError(
                "The squares of y or of the predictions are too large to be added up: "
                "y or X holds numbers far beyond those of the fit."
            )
        return score

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        tags.target_tags.positive_only = self.loss in losses.loss_names(
            "numbers", lambda cls: cls.positive_only
        )
        return tags


def _columns(y: Any) -> np.ndarray:
    """Return the targets as float64 of shape (n, n_outputs)."""
    if sp.issparse(y):
        raise ValueError("y is sparse: pass the targets of a regressor as an array.")
    columns: np.ndarray = y.reshape(len(y), -1).astype(np.float64, copy=False)
    return columns


def _center_and_spread(
    columns: np.ndarray, weight: np.ndarray, spread: str | None
) -> tuple[np.ndarray, np.ndarray]:
    """Compute the centre and scale that standardise targets, each (n_outputs,)."""
    n_outputs = columns.shape[1]
    if spread is None:
        return np.zeros(n_outputs), np.ones(n_outputs)
    center = np.average(columns, axis=0, weights=weight)
    scale = np.sqrt(np.average((columns - center) ** 2, axis=0, weights=weight))
    if spread == "median":
        center = losses.weighted_quantile(columns, weight, 0.5)
        deviation = losses.weighted_quantile(np.abs(columns - center), weight, 0.5)
        scale = np.where(deviation > 0, _PER_MAD * deviation, scale)
    # Rounding leaves a constant target a spread of about eps * |mean|.
    constant = scale <= 1e-12 * np.maximum(1, np.abs(center))
    return center, np.where(constant, 1.0, scale)
