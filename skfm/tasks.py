"""Classifier and Regressor: what y means, which loss, and how scores are read."""

from __future__ import annotations

from typing import Any, ClassVar, Self

import numpy as np
from sklearn.base import ClassifierMixin, RegressorMixin
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets

from ._params import StrOptions, fit_context, param
from .base import BaseModel, Run
from .losses import BinaryLogLoss, Loss, MultinomialLogLoss, SquaredError

#: partial_fit is one pass over the rows it is given.
_ONE_PASS = Run(warm=True, max_iter=1, early_stopping=False, keep_optimizer=True)


class FittedTarget:
    """Types of the attributes that the tasks set."""

    classes_: np.ndarray
    _class_weights: np.ndarray | None
    y_mean_: np.ndarray
    y_scale_: np.ndarray


class Classifier(ClassifierMixin, FittedTarget, BaseModel):
    """Binary and multiclass classification with log loss."""

    _attributes_doc: ClassVar[str] = """
        classes_ : ndarray of shape (n_classes,)
            The labels, sorted.
        """

    class_weight: Any = param(
        default=None,
        valid=[dict, StrOptions({"balanced"}), None],
        doc="""dict, "balanced" or None
            Weights of the classes, multiplied with the sample weights. "balanced"
            weighs them inversely to their frequency.""",
    )

    @fit_context
    def partial_fit(
        self, X: Any, y: Any, classes: Any = None, sample_weight: Any = None
    ) -> Self:
        """Make one pass over X, going on from the weights there are.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,)
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever occur; needed in the first call only.
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If a label is not among the classes, or ``class_weight="balanced"``.
        """
        if isinstance(self.class_weight, str):
            raise ValueError(
                'class_weight="balanced" is not supported by partial_fit, which never '
                "sees all labels: compute the weights and pass a dict."
            )
        fitted = self._is_fitted()
        if classes is None and not fitted:
            raise ValueError("classes must be passed on the first call to partial_fit.")
        if fitted and classes is not None:
            self._check_same_classes(classes)
        return self._fit(X, y, sample_weight, _ONE_PASS._replace(classes=classes))

    def _check_same_classes(self, classes: Any) -> None:
        if not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on the last call to "
                f"partial_fit, was: {self.classes_!r}"
            )

    def _learn_target(self, y: np.ndarray, weight: np.ndarray, classes: Any) -> None:
        check_classification_targets(y)
        self.classes_ = np.unique(y if classes is None else classes)
        if len(self.classes_) < 2:
            raise ValueError(
                "Classifier can't train when only one class is present: "
                f"y has only the class {self.classes_[0]!r}."
            )
        self._class_weights = self._weigh_classes(y, weight)

    def _weigh_classes(self, y: np.ndarray, weight: np.ndarray) -> np.ndarray | None:
        if self.class_weight is None:
            return None
        present = np.isin(self.classes_, y)
        by_class = np.ones(len(self.classes_))
        chosen = self.classes_[present] if self.class_weight == "balanced" else None
        if chosen is None:
            for label, strength in self.class_weight.items():
                by_class[self.classes_ == label] = strength
        else:
            by_class[present] = compute_class_weight(
                "balanced", classes=chosen, y=y, sample_weight=weight
            )
        if not (np.all(np.isfinite(by_class)) and by_class.min() >= 0 < by_class.max()):
            raise ValueError(
                "class_weight must be finite, not negative, and above zero for at "
                f"least one class; got {self.class_weight!r}."
            )
        return by_class

    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        unknown = ~np.isin(y, self.classes_)
        if np.any(unknown):
            row = int(np.flatnonzero(unknown)[0])
            raise ValueError(
                f"y has the label {y[row]!r} in row {row}, which is not one of the "
                f"classes {self.classes_!r}. partial_fit must be told all `classes` in "
                "its first call; X_val and warm_start may bring no new ones."
            )
        return np.searchsorted(self.classes_, y)

    def _weigh(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        if self._class_weights is None:
            return weight
        return weight * self._class_weights[target]

    def _make_loss(self) -> Loss:
        n_classes = len(self.classes_)
        return BinaryLogLoss() if n_classes == 2 else MultinomialLogLoss(n_classes)

    def _n_outputs(self) -> int:
        return 1 if len(self.classes_) == 2 else len(self.classes_)

    def _labels(self, target: np.ndarray) -> np.ndarray:
        return target

    def decision_function(self, X: Any) -> np.ndarray:
        """Raw scores: log odds of ``classes_[1]``, or one score per class.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        scores = self._raw_scores(X)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    def predict_proba(self, X: Any) -> np.ndarray:
        """Probabilities of the classes, in the order of ``classes_``.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to one; no element is exactly 0 or 1.
        """
        scores = self._raw_scores(X)
        return self._make_loss().link(scores)

    def predict_log_proba(self, X: Any) -> np.ndarray:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        return np.log(self.predict_proba(X))

    def predict(self, X: Any) -> np.ndarray:
        """The most probable class of each row.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        scores = self._raw_scores(X)
        if scores.shape[1] == 1:
            return self.classes_[(scores[:, 0] > 0).astype(np.intp)]
        return self.classes_[scores.argmax(axis=1)]


class Regressor(RegressorMixin, FittedTarget, BaseModel):
    """Regression on one or several outputs with squared error.

    The network learns targets of mean 0 and standard deviation 1.
    """

    _attributes_doc: ClassVar[str] = """
        y_mean_, y_scale_ : ndarray of shape (n_outputs,)
            Weighted mean and standard deviation of y: a prediction is
            ``y_mean_ + y_scale_ * raw score``.
        """

    _target_checks: ClassVar[dict[str, Any]] = {"multi_output": True, "y_numeric": True}

    @fit_context
    def partial_fit(self, X: Any, y: Any, sample_weight: Any = None) -> Self:
        """Make one pass over X, going on from the weights there are.

        The first call fixes the mean and scale of y that training uses inside.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        y : array-like of shape (n_samples,) or (n_samples, n_outputs)
        sample_weight : array-like of shape (n_samples,), default=None

        Returns
        -------
        self
        """
        return self._fit(X, y, sample_weight, _ONE_PASS)

    def _learn_target(self, y: np.ndarray, weight: np.ndarray, classes: Any) -> None:
        columns = y.reshape(len(y), -1).astype(np.float64, copy=False)
        self.y_mean_ = np.average(columns, axis=0, weights=weight)
        spread = np.average((columns - self.y_mean_) ** 2, axis=0, weights=weight)
        scale = np.sqrt(spread)
        # Rounding leaves a constant target a spread of about eps * |mean|.
        constant = scale <= 1e-12 * np.maximum(1, np.abs(self.y_mean_))
        self.y_scale_ = np.where(constant, 1.0, scale)

    def _encode_target(self, y: np.ndarray) -> np.ndarray:
        columns = y.reshape(len(y), -1)
        if columns.shape[1] != len(self.y_mean_):
            raise ValueError(
                f"y has {columns.shape[1]} outputs, but {type(self).__name__} is "
                f"fitted on {len(self.y_mean_)}."
            )
        return (columns - self.y_mean_) / self.y_scale_

    def _make_loss(self) -> Loss:
        return SquaredError()

    def _n_outputs(self) -> int:
        return len(self.y_mean_)

    def _output_scale(self) -> tuple[np.ndarray, np.ndarray]:
        return self.y_scale_, self.y_mean_

    def predict(self, X: Any) -> np.ndarray:
        """Predicted targets, in units of y.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_outputs)
        """
        y = self._raw_scores(X) * self.y_scale_ + self.y_mean_
        return y[:, 0] if y.shape[1] == 1 else y

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.target_tags.multi_output = True
        return tags
