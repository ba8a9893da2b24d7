"""Classifiers: one label a row, or several."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar, Self

import numpy as np
import scipy.sparse as sp
from sklearn.base import ClassifierMixin
from sklearn.metrics import accuracy_score
from sklearn.utils.metaestimators import available_if

from .. import losses
from .._sklearn import StrOptions, check_sum, fit_context
from ..encoding.crosses.target import Target as CrossTarget
from ..persistence.records import require
from ..runtime.attributes import on_snapshot
from .base import BaseModel
from .checks import check_weights, refuse_overflow
from .fitted import FittedTarget
from .labels import encode_indicator, encode_labels, read_labels, weigh_classes
from .lazy import lazy_on_dask
from .offsets import shifted
from .params import param
from .run import ONE_PASS


def _gives_probabilities(model: Classifier) -> bool:
    if losses.gives_probabilities(model.loss, "binary"):
        return True
    names = losses.loss_names("binary", lambda cls: cls.link.gives_probabilities)
    raise AttributeError(
        f"probabilities are not available with loss={model.loss!r}, only with "
        f"loss={' or '.join(map(repr, names))}."
    )


#: Classes by which columns of integers are judged.
_INDICATORS = 10


class Classifier(ClassifierMixin, FittedTarget, BaseModel):
    """Binary, multiclass and multilabel classification."""

    _attributes_doc: ClassVar[str] = """
        classes_ : ndarray of shape (n_classes,)
            The labels, sorted; for an indicator matrix the numbers of its columns.
        """

    #: y may be an indicator matrix.
    _target_checks: ClassVar[dict[str, Any]] = {"multi_output": True}

    loss: str | Callable[..., Any] = param(
        default="log_loss",
        valid=[StrOptions(set(losses.loss_names("binary"))), callable],
        doc="""{"log_loss", "hinge"} or callable
            Loss to minimise. "log_loss" gives probabilities. "hinge" is
            ``max(0, 1 - t * score)`` with t = -1 or 1, and the loss of Crammer and
            Singer for more than two classes. A callable ``loss(scores, target)`` takes
            two tensors: the raw scores (n_rows, n_outputs), and the numbers of the
            classes (n_rows,), which are 0.0 or 1.0 for two classes, or the indicators
            (n_rows, n_labels). It returns the loss of each row (n_rows,),
            differentiable by torch.""",
    )
    class_weight: Any = param(
        default=None,
        valid=[dict, StrOptions({"balanced"}), None],
        doc="""dict, "balanced" or None
            Weights of the classes, by which the sample weights are multiplied.
            "balanced" weighs classes inversely to their frequency. It must be None if y
            is an indicator matrix, whose labels do not exclude each other.""",
    )

    @fit_context
    def partial_fit(
        self,
        X: Any,
        y: Any,
        classes: Any = None,
        sample_weight: Any = None,
        offset: Any = None,
    ) -> Self:
        """Make one pass over X, going on from the weights there are.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        y : {array-like, sparse matrix} of shape (n_samples,) or (n_samples, n_labels)
            Labels, or an indicator matrix.
        classes : array-like of shape (n_classes,), default=None
            All labels that will ever occur; needed in the first call only. For an
            indicator matrix, the numbers of its columns.
        sample_weight : array-like of shape (n_samples,), default=None
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            As in `fit`.

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
        run = ONE_PASS._replace(classes=classes, offset=offset)
        return self._fit(X, y, sample_weight, run)

    def _check_same_classes(self, classes: Any) -> None:
        if not np.array_equal(np.unique(classes), self.classes_):
            raise ValueError(
                f"`classes={classes!r}` is not the same as on the last call to "
                f"partial_fit, was: {self.classes_!r}"
            )

    def _learn_target(self, y: Any, weight: np.ndarray, classes: Any) -> None:
        y = read_labels(y)
        self._multilabel, self._sparse_labels = y.ndim == 2, sp.issparse(y)
        if self._multilabel:
            self._learn_indicator(y.shape[1], classes)
        else:
            self.classes_ = np.unique(y if classes is None else classes)
            if len(self.classes_) < 2:
                raise ValueError(
                    "Classifier can't train when only one class is present: "
                    f"y has only the class {self.classes_[0]!r}."
                )
            self._class_weights = weigh_classes(
                self.class_weight, self.classes_, y, weight
            )
        self._score_kind = ("classes", self._multilabel, *self.classes_.tolist())

    def _cross_target(self, y: Any) -> CrossTarget:
        y = read_labels(y)
        return CrossTarget.of_classes(y.toarray() if sp.issparse(y) else y)

    def _learn_indicator(self, n_labels: int, classes: Any) -> None:
        self.classes_ = np.arange(n_labels)
        self._class_weights = None
        if classes is not None and not np.array_equal(classes, self.classes_):
            raise ValueError(
                f"y is an indicator matrix of {n_labels} columns: `classes` must be "
                f"their numbers, np.arange({n_labels})."
            )
        if self.class_weight is not None:
            raise ValueError(
                "class_weight is for classes that exclude each other, but y is an "
                "indicator matrix: leave class_weight=None and use sample_weight."
            )

    def _encode_target(self, y: Any) -> np.ndarray:
        y = read_labels(y)
        if self._multilabel:
            return encode_indicator(y, len(self.classes_))
        if y.ndim == 2:
            raise ValueError(
                f"y has {y.shape[1]} columns, but this classifier has learnt one label "
                "a row."
            )
        return encode_labels(y, self.classes_)

    def _indicators(self, target: np.ndarray) -> np.ndarray:
        if self._multilabel:
            return target[:, :_INDICATORS]
        return np.equal.outer(target, np.arange(len(self.classes_))[:_INDICATORS])

    def _weigh(self, target: np.ndarray, weight: np.ndarray) -> np.ndarray:
        if self._class_weights is None:
            return weight
        with np.errstate(over="ignore"):
            weight = weight * self._class_weights[target]
        check_sum(weight, "sample_weight times class_weight")
        return weight

    def _make_loss(self) -> losses.Loss:
        n_outputs = self._n_outputs()
        exclusive = "binary" if n_outputs == 1 else "multiclass"
        target = "multilabel" if self._multilabel else exclusive
        return losses.make_loss(self.loss, target, n_outputs, vars(self))

    def _check_fits(self) -> None:
        classes: Any = self.classes_
        require(isinstance(self._multilabel, bool), "_multilabel is no truth value")
        vector = isinstance(classes, np.ndarray) and classes.ndim == 1
        require(
            vector and len(classes) >= 1 + (not self._multilabel), "classes are few"
        )
        super()._check_fits()

    def _n_outputs(self) -> int:
        exclusive_pair = len(self.classes_) == 2 and not self._multilabel
        return 1 if exclusive_pair else len(self.classes_)

    def _labels(self, target: np.ndarray) -> np.ndarray | None:
        return None if self._multilabel else target

    @lazy_on_dask
    @on_snapshot
    def decision_function(self, X: Any, *, offset: Any = None) -> np.ndarray:
        """Compute raw scores: that of ``classes_[1]``, or one per class or label.

        With ``loss="log_loss"``, the log odds of ``classes_[1]`` or of the labels.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Known part of the raw scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or (n_samples, n_classes)
        """
        scores = shifted(self, self._raw_scores(X), offset)
        return scores[:, 0] if scores.shape[1] == 1 else scores

    @available_if(_gives_probabilities)
    @lazy_on_dask
    @on_snapshot
    def predict_proba(self, X: Any, *, offset: Any = None) -> np.ndarray:
        """Probabilities of the classes or labels, in the order of ``classes_``.

        Only with ``loss="log_loss"``.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Known part of the raw scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
            Rows sum to one, but for labels that do not exclude each other; no element
            is exactly 0 or 1.
        """
        scores = shifted(self, self._raw_scores(X), offset)
        return self._make_loss().link.numpy(scores)

    @available_if(_gives_probabilities)
    def predict_log_proba(self, X: Any, *, offset: Any = None) -> np.ndarray:
        """Logarithm of `predict_proba`.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Known part of the raw scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples, n_classes)
        """
        log_proba: np.ndarray = np.log(self.predict_proba(X, offset=offset))
        return log_proba

    @lazy_on_dask
    @on_snapshot
    def predict(self, X: Any, *, offset: Any = None) -> Any:
        """Predict the class of the highest score in each row, or the labels above zero.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        offset : array-like of shape (n_samples,) or (n_samples, n_outputs), \
default=None
            Known part of the raw scores, as in `fit`.

        Returns
        -------
        ndarray of shape (n_samples,) or {ndarray, csr_array} of shape (n_samples, \
n_labels)
            An indicator matrix if y was one, sparse if y was.
        """
        scores = shifted(self, self._raw_scores(X), offset)
        if self._multilabel:
            present = (scores > 0).astype(np.int64)
            return sp.csr_array(present) if self._sparse_labels else present
        if scores.shape[1] == 1:
            return self.classes_[(scores[:, 0] > 0).astype(np.intp)]
        return self.classes_[scores.argmax(axis=1)]

    @refuse_overflow
    def score(
        self, X: Any, y: Any, sample_weight: Any = None, *, offset: Any = None
    ) -> float:
        """Compute the accuracy of the predictions.

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
        """
        predicted = self.predict(X, offset=offset)
        if sample_weight is not None:
            sample_weight = check_weights(sample_weight, predicted)
        return float(accuracy_score(y, predicted, sample_weight=sample_weight))

    def __sklearn_tags__(self) -> Any:
        tags = super().__sklearn_tags__()
        tags.classifier_tags.multi_label = True
        return tags
