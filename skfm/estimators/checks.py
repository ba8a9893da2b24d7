"""Checks of the input of users, with errors that name the faulty row or column."""

from __future__ import annotations

import functools
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from numbers import Integral
from typing import Any, TypeVar, cast

import numpy as np
import scipy.sparse as sp

from .._sklearn import check_sample_weight

Check = TypeVar("Check", bound=Callable[..., Any])


def refuse_overflow(check: Check) -> Check:
    """Make a check raise a ValueError for integers that are too large for a float."""

    @functools.wraps(check)
    def checked(*args: Any, **keywords: Any) -> Any:
        try:
            return check(*args, **keywords)
        except OverflowError as error:
            raise ValueError(
                "X, y, sample_weight or offset holds an integer that is too large for "
                "a float64. Scale the numbers, or pass them as strings."
            ) from error

    return cast(Check, checked)


def check_finite(X: Any, name: str = "X") -> None:
    """Raise an error for NaN or infinity in a CSR matrix.

    Raises
    ------
    ValueError
        If there is such an entry; the message names its row and column.
    """
    with np.errstate(invalid="ignore", over="ignore"):
        # A sum that overflows is examined too.
        if X.data.dtype.kind not in "fc" or np.isfinite(X.data.sum()):
            return
    bad = np.flatnonzero(~np.isfinite(X.data))
    if len(bad) == 0:
        return
    entry = int(bad[0])
    row = int(np.searchsorted(X.indptr, entry, side="right")) - 1
    what, remedy = "infinity", ""
    if np.isnan(X.data[entry]):
        what = "NaN"
        remedy = " FieldEncoder, or categorical_features on a table, encodes NaN."
    raise ValueError(
        f"Input {name} contains {what}: row {row}, column {int(X.indices[entry])} "
        f"({len(bad)} such values in all). Impute or drop them.{remedy}"
    )


@contextmanager
def naming_categories() -> Iterator[None]:
    """Add to scikit-learn's error about strings in arrays how to take them."""
    try:
        yield
    except ValueError as error:
        strings = ("dtype='numeric'", "could not convert string")
        if not any(sign in str(error) for sign in strings):
            raise
        remedy = 'Set categorical_features="all" to take the cells as categories.'
        raise ValueError(f"{str(error).removesuffix('.')}. {remedy}") from error


def finite_scores(scores: np.ndarray, called: str = "score") -> np.ndarray:
    """Return numbers (n_rows, ...) about rows, and refuse those that have overflowed.

    Raises
    ------
    ValueError
        If there is such a number; the message names the first row, and calls the
        numbers ``called``.
    """
    if not np.isfinite(scores).all():
        row = int(np.argwhere(~np.isfinite(scores))[0, 0])
        raise ValueError(
            f"The {called} of row {row} is not a finite number: X contains NaN, "
            "infinity, or numbers too large for the dtype of the model. Scale numeric "
            "columns."
        )
    return scores


@refuse_overflow
def check_weights(sample_weight: Any, X: Any, name: str = "sample_weight") -> Any:
    """Sample weights as float64, or ones.

    Raises
    ------
    ValueError
        If they are negative, all zero, not finite, or not one per row, or if their sum
        overflows.
    """
    if sample_weight is None:
        return np.ones(X.shape[0])
    try:
        weight = check_sample_weight(
            sample_weight, X, dtype=np.float64, allow_all_zero_weights=True
        )
    except ValueError as error:
        raise ValueError(_naming(name, str(error))) from error
    if np.any(weight < 0):
        row = int(np.flatnonzero(weight < 0)[0])
        raise ValueError(
            f"Negative values in data passed to `{name}`: {weight[row]} in row {row}. "
            "Weights must be zero or more."
        )
    check_normal(weight, name, np.float64)
    if not np.any(weight > 0):
        raise ValueError(f"{name} is zero for every row: none would count.")
    return weight


def check_normal(weight: np.ndarray, name: str, dtype: type[np.floating]) -> None:
    """Refuse weights above zero that a floating type cannot hold to full precision.

    Raises
    ------
    ValueError
        If there is such a weight; the message names the first and its row.
    """
    tiny = (weight > 0) & (weight < np.finfo(dtype).tiny)
    if np.any(tiny):
        row = int(np.flatnonzero(tiny)[0])
        raise ValueError(
            f"{name} has {weight[row]} in row {row}, which {dtype.__name__} rounds to "
            "zero. Multiply all weights by a constant, or set this one to zero."
        )


def check_layer_sizes(name: str, sizes: Any) -> tuple[int, ...]:
    """Return the sizes of layers, from an int or a sequence of them.

    Raises
    ------
    ValueError
        If one is not a positive integer; the error calls them ``name``.
    """
    given = [sizes] if isinstance(sizes, Integral) else list(sizes)
    if any(not isinstance(size, Integral) or size < 1 for size in given):
        raise ValueError(
            f"{name} must be positive integers, one per layer; got {sizes!r}."
        )
    return tuple(int(size) for size in given)


def _naming(name: str, message: str) -> str:
    """scikit-learn's message about weights, with the parameter's name in it."""
    if "sample_weight" in message:
        return message.replace("sample_weight", name)
    return f"{name}: {message}"


def is_plain_csr(X: Any) -> bool:
    """Return whether X is a CSR matrix of numbers that has rows and columns."""
    return (
        sp.issparse(X)
        and X.format == "csr"
        and X.ndim == 2
        and min(X.shape) > 0
        and X.dtype.kind in "fiub"
    )


def about(message: str, name: str) -> str:
    """Reword an error message about X or y for another input."""
    if message.startswith(("X ", "y ")):
        return name + message[1:]
    return message if name in message else f"{name}: {message}"
