"""Targets of classifiers: one label a row, or an indicator matrix of several."""

from __future__ import annotations

from typing import Any

import numpy as np
import scipy.sparse as sp
from sklearn.utils.class_weight import compute_class_weight
from sklearn.utils.multiclass import check_classification_targets
from sklearn.utils.validation import column_or_1d


def read_labels(y: Any) -> Any:
    """Check labels of shape (n,), or an indicator matrix (n, n_labels).

    Raises
    ------
    ValueError
        If y has several columns of anything but 0 and 1, or is no target of a
        classifier at all.
    TypeError
        If the labels cannot be sorted, as strings and None.
    """
    if not sp.issparse(y) and y.ndim == 2 and y.shape[1] == 1:
        y = column_or_1d(y, warn=True)
    if y.ndim == 1:
        try:
            check_classification_targets(y)
        except TypeError as error:
            raise TypeError(_unsortable(y)) from error
        return y
    cells = y.data if sp.issparse(y) else y
    if cells.dtype.kind not in "biuf" or not np.isin(cells, (0, 1)).all():
        raise ValueError(
            f"y has {y.shape[1]} columns, so it must be an indicator matrix of labels: "
            "1 where a row has the label, 0 elsewhere. Other values were found. "
            "sklearn.preprocessing.MultiLabelBinarizer makes one from lists of labels; "
            "for several targets of several classes fit one classifier each."
        )
    return y


def _unsortable(y: np.ndarray) -> str:
    types = ", ".join(sorted({type(label).__name__ for label in y}))
    return (
        f"The labels in y are of the types {types}, which have no common order. Drop "
        "rows without a label, and convert the labels to one type, for instance by "
        "y.astype(str)."
    )


def encode_labels(y: np.ndarray, classes: np.ndarray) -> np.ndarray:
    """Return the numbers of the classes in ``classes`` (sorted).

    Raises
    ------
    ValueError
        If a label is not among them, naming the first such row.
    """
    unknown = ~np.isin(y, classes)
    if np.any(unknown):
        row = int(np.flatnonzero(unknown)[0])
        raise ValueError(
            f"y has the label {y[row]!r} in row {row}, which is not one of the "
            f"classes {classes!r}. partial_fit must be told all `classes` in "
            "its first call; X_val and warm_start may bring no new ones."
        )
    return np.searchsorted(classes, y)


def encode_indicator(y: Any, n_labels: int) -> np.ndarray:
    """Dense zeros and ones of shape (n, n_labels).

    Raises
    ------
    ValueError
        If y has another number of columns.
    """
    shape = y.shape if y.ndim == 2 else (len(y), 1)
    if shape[1] != n_labels or y.ndim != 2:
        raise ValueError(
            f"y has {shape[1]} columns, but this classifier has learnt {n_labels} "
            "labels from an indicator matrix: pass a column for each."
        )
    dense = y.toarray() if sp.issparse(y) else y
    return dense.astype(np.float32)


def weigh_classes(
    class_weight: Any, classes: np.ndarray, y: np.ndarray, weight: np.ndarray
) -> np.ndarray | None:
    """Return the weight of each class, or None if all weigh the same.

    Raises
    ------
    ValueError
        If one is negative or not finite, all are zero, or one is of no class.
    """
    if class_weight is None:
        return None
    present = np.isin(classes, y)
    by_class = np.ones(len(classes))
    if isinstance(class_weight, str):
        by_class[present] = compute_class_weight(
            "balanced", classes=classes[present], y=y, sample_weight=weight
        )
    else:
        _check_keys(class_weight, classes)
        for label, strength in class_weight.items():
            by_class[classes == label] = strength
    if not (np.all(np.isfinite(by_class)) and by_class.min() >= 0 < by_class.max()):
        raise ValueError(
            "class_weight must be finite, not negative, and above zero for at "
            f"least one class; got {class_weight!r}."
        )
    return by_class


def _check_keys(class_weight: dict[Any, float], classes: np.ndarray) -> None:
    """Refuse weights of labels that are no classes, such as misspelt ones.

    A class that some folds lack may have a weight if all others have one.
    """
    known = classes.tolist()
    unknown = [label for label in class_weight if label not in known]
    left_out = [label for label in known if label not in class_weight]
    if unknown and left_out:
        raise ValueError(
            f"class_weight has the key {unknown[0]!r}, which is none of the classes "
            f"{known!r}, while {left_out[0]!r} has no weight: correct the key."
        )
