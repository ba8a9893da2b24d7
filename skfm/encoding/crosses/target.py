"""Target that crosses explain, as a matrix of numbers, with the weights of rows."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Any

import numpy as np
from sklearn.utils import assert_all_finite, check_consistent_length, column_or_1d
from sklearn.utils.multiclass import type_of_target

from .levels import Weight

__all__ = ["Target"]

TARGET_TYPES = ("binary", "multiclass", "continuous")


@dataclass(frozen=True)
class Target:
    """Target of the search for crosses.

    Attributes
    ----------
    values : ndarray of float of shape (n_rows, n_outputs)
        Numbers, or 0 and 1 for the second of two classes, or a column of 0 and 1 for
        each of several classes.
    kind : {"binary", "multiclass", "continuous"}
    weight : ndarray of float of shape (n_rows,) or None, default=None
        Weight of each row, as a number of equal rows; None: one.
    """

    values: np.ndarray
    kind: str
    weight: Weight = None

    def weighed(self, sample_weight: np.ndarray) -> Target:
        """Return the target with the weights of its rows.

        Whole weights are numbers of rows. Other weights are scaled to add up to the
        number of rows whose mean is as precise (Kish's effective sample size).
        Otherwise few rows of large weight would look like many rows that agree.
        """
        weight = sample_weight
        if np.any(weight != np.round(weight)):
            # Rounding makes equal weights exactly 1.
            weight = np.round(weight * (weight.sum() / (weight @ weight)), 9)
        return replace(self, weight=None if np.all(weight == 1) else weight)

    @property
    def counted(self) -> slice | np.ndarray:
        """Rows with a weight above zero."""
        if self.weight is None or self.weight.all():
            return slice(None)
        return np.flatnonzero(self.weight)

    def take(self, rows: slice | np.ndarray) -> Target:
        """Return the target of some rows."""
        weight = None if self.weight is None else self.weight[rows]
        return replace(self, values=self.values[rows], weight=weight)

    @property
    def is_logistic(self) -> bool:
        """Return whether values are outcomes 0 and 1."""
        return self.kind != "continuous"

    @property
    def is_multilabel(self) -> bool:
        """Return whether outcomes are several labels a row, or none."""
        several = self.kind == "multiclass"
        return several and bool(np.any(self.values.sum(axis=1) != 1))

    @property
    def is_constant(self) -> bool:
        """Return whether there is nothing to learn."""
        return bool((self.values == self.values[0]).all())

    @classmethod
    def read(cls, y: Any, n_rows: int, asked: str, estimator: str) -> Target:
        """Check y, and determine its kind.

        Raises
        ------
        ValueError
            When y is missing, has another length than the table, is not finite, or is
            not of the given kind.
        """
        if y is None:
            raise ValueError(
                f"{estimator} requires y to be passed, but the target y is None."
            )
        y = column_or_1d(y, warn=True)
        check_consistent_length(np.broadcast_to(0, n_rows), y)
        assert_all_finite(y, input_name="y")
        kind = asked if asked != "auto" else _kind(y)
        if kind == "continuous":
            return cls.of_numbers(y)
        target = cls.of_classes(y)
        if kind == "binary" and target.kind != kind:
            raise ValueError(
                f'target_type="binary" needs a target of two classes, but y has '
                f'{target.values.shape[1]}. Use "multiclass" or "continuous".'
            )
        return target

    @classmethod
    def of_numbers(cls, y: np.ndarray) -> Target:
        """Return the target for numbers of shape (n_rows,) or (n_rows, n_outputs)."""
        return cls(y.astype(np.float64).reshape(len(y), -1), "continuous")

    @classmethod
    def of_classes(cls, y: np.ndarray) -> Target:
        """Return the target for labels, or for several labels as 0 and 1."""
        if y.ndim == 2:
            return cls((y != 0).astype(np.float64), "multiclass")
        classes, codes = np.unique(y, return_inverse=True)
        if len(classes) <= 2:
            return cls((codes == 1).astype(np.float64)[:, None], "binary")
        return cls(np.eye(len(classes))[codes], "multiclass")


def _kind(y: np.ndarray) -> str:
    kind = type_of_target(y, input_name="y")
    if kind not in TARGET_TYPES:
        raise ValueError(
            f"Unknown label type: y is {kind!r}, but one column of classes or numbers "
            f"is needed. Set target_type to one of {TARGET_TYPES}."
        )
    return str(kind)
