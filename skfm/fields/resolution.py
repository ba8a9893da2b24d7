"""The fields of a model: what the user said, or what X shows."""

from collections.abc import Sequence
from contextlib import suppress
from typing import Any

import numpy as np

from .inference import FieldInferenceError, infer_fields
from .layout import (
    block_names,
    column_names,
    number_fields,
    unique_names,
)
from .likely import likely_fields
from .scan import active_columns, largest_of_two

__all__ = ["MAX_DENSE_FIELDS", "MAX_FALLBACK_FIELDS", "resolve_fields"]

MAX_DENSE_FIELDS = 256
MAX_FALLBACK_FIELDS = 64

Fields = tuple[np.ndarray, list[str]]


def resolve_fields(
    fields: Any,
    X: Any,
    *,
    names: Sequence[str] | None = None,
    is_dense: bool = False,
    certain: bool = True,
) -> Fields:
    """Return the field of each column, from what the user said or from X.

    Parameters
    ----------
    fields : "auto" or array-like
        - ``"auto"``: if X was dense with at most 256 columns, blocks inferred from
          each run of columns of two values, and one field per other column; else
          blocks inferred from the structure of X; else, where these are not
          certain and there are at most 64 columns, one field per column.
        - Block sizes in order: integers of at least 1 that sum to ``n_features``.
        - One label (integer or string) per column, in any order; fields are
          numbered by first appearance.
    X : csr_matrix or csr_array of shape (n_samples, n_features)
        Matrix in canonical format, which is never modified.
    names : sequence of str of shape (n_features,), default=None
        Column names, as in ``feature_names_in_``.
    is_dense : bool, default=False
        Whether the user's X was an ndarray or a DataFrame.
    certain : bool, default=True
        Whether blocks that are not certain are an error. If False, they are those of
        `likely_fields`; columns that form no blocks are one field.

    Returns
    -------
    fields : ndarray of int32 of shape (n_features,)
        Field numbers 0 .. n_fields - 1; each occurs.
    field_names : list of str of shape (n_fields,)
        Unique names.

    Raises
    ------
    FieldInferenceError
        If fields are ``"auto"``, have to be certain, and are not.
    ValueError
        If the given fields do not cover the columns, are not one-dimensional
        integers or labels, or could mean two things.

    Examples
    --------
    >>> from scipy.sparse import csr_array
    >>> X = csr_array([[1, 0, 0, 1], [0, 1, 1, 0]])
    >>> resolve_fields([2, 2], X, names=["os_mac", "os_pc", "age_old", "age_young"])
    (array([0, 0, 1, 1], dtype=int32), ['os', 'age'])
    """
    n_features = X.shape[1]
    if names is not None and len(names) != n_features:
        raise ValueError(f"names has {len(names)} names for {n_features} columns.")
    if isinstance(fields, str) and fields == "auto":
        return _auto_fields(X, names, is_dense, certain)
    given = _as_vector(fields)
    if len(given) == n_features:
        return _from_labels(given)
    return _from_sizes(given, n_features, names)


def _auto_fields(
    X: Any, names: Sequence[str] | None, is_dense: bool, certain: bool
) -> Fields:
    n_features = X.shape[1]
    if is_dense and n_features <= MAX_DENSE_FIELDS:
        return _dense_fields(X, names)
    try:
        inferred = infer_fields(X)
    except FieldInferenceError:
        if not certain:
            likely = likely_fields(X)
            inferred = np.zeros(n_features, np.int32) if likely is None else likely
        elif n_features > MAX_FALLBACK_FIELDS:
            raise
        else:
            return _field_per_column(n_features, names)
    named = None if names is None else active_columns(X)
    return inferred, block_names(inferred, names, named)


def _dense_fields(X: Any, names: Sequence[str] | None) -> Fields:
    """Make a field of each column, and one of the dummies of a variable.

    Dummies are columns of two values side by side, scaled or not. Their fields are
    inferred from where they have the larger one.
    """
    starts = np.ones(X.shape[1], dtype=np.int32)
    high = largest_of_two(X)
    for first, stop in _runs(~np.isnan(high)):
        dummies = X[:, first:stop]
        dummies.data = dummies.data == high[first + dummies.indices]
        dummies.eliminate_zeros()
        # Where the blocks are not certain, each column is a field of its own.
        with suppress(FieldInferenceError):
            starts[first + 1 : stop] = np.diff(infer_fields(dummies))
    if starts.all():
        return _field_per_column(X.shape[1], names)
    fields = np.cumsum(starts, dtype=np.int32) - 1
    named = column_names(X.shape[1]) if names is None else names
    return fields, block_names(fields, named)


def _runs(mask: np.ndarray) -> list[tuple[int, int]]:
    """Return the bounds of the runs of two or more true elements."""
    steps = np.diff(mask.astype(np.int8), prepend=0, append=0)
    bounds = zip(np.flatnonzero(steps > 0), np.flatnonzero(steps < 0), strict=True)
    return [(int(a), int(b)) for a, b in bounds if b - a > 1]


def _field_per_column(n_features: int, names: Sequence[str] | None) -> Fields:
    named = column_names(n_features) if names is None else unique_names(names)
    return np.arange(n_features, dtype=np.int32), named


def _as_vector(fields: Any) -> np.ndarray:
    """Return the given fields as a vector of integers or of strings."""
    expected = (
        "fields must be 'auto', block sizes in order (integers), or one label "
        "(integer or string) per column"
    )
    if fields is None or isinstance(fields, (str, bytes, dict, set, frozenset)):
        raise ValueError(f"{expected}; got {fields!r}.")
    try:
        given = np.asarray(fields)
    except ValueError as error:
        raise ValueError(f"{expected}; got nested lists.") from error
    if given.ndim != 1:
        raise ValueError(f"{expected}; got an array of shape {given.shape}.")
    if given.dtype.kind in "iu" or given.dtype.kind == "U":
        return given
    items = given.tolist()
    if given.dtype == object or given.dtype.kind == "T":
        if all(isinstance(item, str) for item in items):
            return given.astype(str)
        if all(isinstance(item, (int, np.integer)) for item in items) and not any(
            isinstance(item, bool) for item in items
        ):
            return given.astype(np.int64)
    raise ValueError(f"{expected}; got values such as {items[:3]!r}.")


def _from_labels(labels: np.ndarray) -> Fields:
    if len(labels) > 1 and labels.dtype.kind in "iu" and (labels == 1).all():
        n = len(labels)
        raise ValueError(
            f"fields is ambiguous: {n} ones for {n} columns can be block sizes or "
            f"labels. Write fields=range({n}) for a field per column, or "
            f"fields=[{n}] for one field."
        )
    numbers, values = number_fields(labels)
    return numbers, unique_names(values.tolist())


def _from_sizes(
    sizes: np.ndarray, n_features: int, names: Sequence[str] | None
) -> Fields:
    hint = (
        f"Pass block sizes in order that sum to {n_features}, or {n_features} labels, "
        f"one per column."
    )
    if sizes.dtype.kind == "U":
        raise ValueError(
            f"fields has {len(sizes)} labels, but X has {n_features} columns. {hint}"
        )
    bad = np.flatnonzero(sizes < 1)
    if len(bad):
        raise ValueError(
            f"fields, read as block sizes ({len(sizes)} values for {n_features} "
            f"columns), must be at least 1; fields[{bad[0]}] is {sizes[bad[0]]}. {hint}"
        )
    # Python's integers: a sum of large sizes must not wrap around to n_features.
    covered = sum(sizes.tolist())
    if covered != n_features:
        raise ValueError(
            f"fields, read as block sizes, cover {covered} columns, but X has "
            f"{n_features}. {hint}"
        )
    blocks = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
    return blocks, block_names(blocks, names)
