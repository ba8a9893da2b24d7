"""Numbering and naming of fields, shared by every way of finding them."""

from collections.abc import Iterable, Sequence
from itertools import takewhile
from typing import Any

import numpy as np

__all__ = ["block_names", "column_names", "number_fields", "unique_names"]


def column_names(n_features: int) -> list[str]:
    """Return scikit-learn's names for unnamed columns: ``x0``, ``x1``, ...

    Parameters
    ----------
    n_features : int
        Number of columns.

    Returns
    -------
    names : list of str
    """
    return [f"x{j}" for j in range(n_features)]


def unique_names(names: Iterable[Any]) -> list[str]:
    """Return the names as strings, repeated ones numbered ``_2``, ``_3``, ...

    Parameters
    ----------
    names : iterable
        Names, in order.

    Returns
    -------
    unique : list of str
        The first bearer of a name keeps it.
    """
    wanted = [str(name) for name in names]
    taken = set(wanted)
    last: dict[str, int] = {}
    unique = []
    for name in wanted:
        if name not in last:
            last[name] = 1
            unique.append(name)
            continue
        number = last[name] + 1
        while f"{name}_{number}" in taken:
            number += 1
        last[name] = number
        taken.add(f"{name}_{number}")
        unique.append(f"{name}_{number}")
    return unique


def number_fields(labels: Any) -> tuple[np.ndarray, np.ndarray]:
    """Number labels 0, 1, ... in the order in which they first appear.

    Parameters
    ----------
    labels : array-like of shape (n_features,)
        Labels that can be sorted among themselves.

    Returns
    -------
    fields : ndarray of int32 of shape (n_features,)
        The field number of each column.
    values : ndarray of shape (n_fields,)
        The label of each field.
    """
    values, first, inverse = np.unique(labels, return_index=True, return_inverse=True)
    order = np.argsort(first)
    rank = np.empty(len(order), dtype=np.int32)
    rank[order] = np.arange(len(order), dtype=np.int32)
    return rank[inverse.reshape(-1)], values[order]


def block_names(
    fields: np.ndarray,
    names: Sequence[str] | None,
    named: np.ndarray | None = None,
) -> list[str]:
    """Name blocks of consecutive columns after what their column names share.

    Parameters
    ----------
    fields : ndarray of int of shape (n_features,)
        Non-decreasing block numbers, from 0, without gaps.
    names : sequence of str of shape (n_features,) or None
        Column names. Without them the blocks are ``field0``, ``field1``, ...
    named : ndarray of bool of shape (n_features,), default=None
        Columns that have a say in the name of their block; all by default.

    Returns
    -------
    block_names : list of str
        The common prefix up to its last underscore (``carrier_AA`` and
        ``carrier_DL`` make ``carrier``), a single column's own name, or
        ``field<number>`` where the names share nothing. Always unique.
    """
    n_fields = int(fields[-1]) + 1 if len(fields) else 0
    if names is None:
        return [f"field{j}" for j in range(n_fields)]
    columns = np.arange(len(fields)) if named is None else np.flatnonzero(named)
    bounds = np.searchsorted(fields[columns], np.arange(n_fields + 1))
    found = []
    for j in range(n_fields):
        block = [str(names[c]) for c in columns[bounds[j] : bounds[j + 1]]]
        found.append(_shared_name(block) or f"field{j}")
    return unique_names(found)


def _shared_name(names: list[str]) -> str:
    if len(names) == 1:
        return names[0]
    # A prefix of the first and the last name in sorted order is one of all names.
    first, last = min(names), max(names)
    pairs = zip(first, last, strict=False)
    length = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], pairs))
    return first[: first.rfind("_", 0, length) + 1].rstrip("_")
