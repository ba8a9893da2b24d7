"""Choice of the rows to stop early on."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
from sklearn.model_selection import GroupShuffleSplit, train_test_split

Split = tuple[np.ndarray, np.ndarray]


def left_over(taken: np.ndarray, fraction: float) -> tuple[np.ndarray, float]:
    """Return the rows that no other member holds out, and their share to hold out.

    Once they are too few for this, all rows are left over again.

    Parameters
    ----------
    taken : ndarray of bool of shape (n,)
        The rows that others hold out; changed where all are left over again.
    fraction : float
        Share of all rows that is to be held out.
    """
    rows = np.flatnonzero(~taken)
    if len(rows) == len(taken) or len(rows) < 2 * fraction * len(taken):
        taken[:] = False
        return np.arange(len(taken)), fraction
    return rows, fraction * len(taken) / len(rows)


def hold_out(
    n_rows: int,
    fraction: float,
    labels: np.ndarray | None,
    rng: np.random.Generator,
) -> np.ndarray:
    """Draw the rows to stop on, with the shares of the labels that all rows have."""
    if labels is not None:
        counts = np.bincount(labels)
        n_rest = math.ceil(fraction * len(labels))
        if counts.min() < 2 or min(n_rest, len(labels) - n_rest) < len(counts):
            labels = None  # too few rows for every class to be on both sides
    _, rest = train_test_split(
        np.arange(n_rows),
        test_size=fraction,
        stratify=labels,
        random_state=int(rng.integers(2**31)),
    )
    return np.sort(rest)


def hold_out_ranked(
    fraction: float,
    rng: np.random.Generator,
    *,
    query: np.ndarray,
    relevance: np.ndarray,
    taken: np.ndarray,
    by_query: bool,
) -> np.ndarray:
    """Draw the rows of queries to stop on: whole queries, or rows of them.

    Of a query whose rows are held out, at least two rows of different relevance are,
    and one of each relevance remains. Without such queries, whole queries are held out.
    Rows of a single query are split as they come.

    Parameters
    ----------
    fraction : float
        Share of the rows, or of the queries.
    rng : numpy Generator
    query, relevance : ndarray of shape (n,)
    taken : ndarray of bool of shape (n,)
        The rows that others hold out, of which none is drawn if whole queries, or rows
        of a single query, are.
    by_query : bool
        Whether to hold out whole queries.
    """
    single = np.all(query == query[0])
    if not by_query and not single:
        held_out = _rows_of_queries(fraction, rng, query, relevance)
        if held_out.any():
            return np.flatnonzero(held_out)
    rows, share = left_over(taken, fraction)
    if single:
        return rows[hold_out(len(rows), share, None, rng)]
    if np.all(query[rows] == query[rows[0]]):
        # No query would be left over to learn from.
        taken[:] = False
        rows, share = left_over(taken, fraction)
    seed = int(rng.integers(2**31))
    splitter = GroupShuffleSplit(1, test_size=share, random_state=seed)
    _, rest = next(splitter.split(rows, groups=query[rows]))
    return np.sort(rows[rest])


def _rows_of_queries(
    fraction: float, rng: np.random.Generator, query: np.ndarray, relevance: np.ndarray
) -> np.ndarray:
    """Draw the mask of rows to hold out.

    A share of each level of relevance in a query, at least one row; of some queries
    only, if queries are so short that this is more than ``fraction`` in all.
    """
    order = np.lexsort((rng.random(len(query)), relevance, query))
    new = np.ones(len(order), np.bool_)
    new[1:] = (np.diff(query[order]) != 0) | (np.diff(relevance[order]) != 0)
    starts = np.flatnonzero(new)
    sizes = np.diff(np.append(starts, len(order)))
    owner = query[order][starts]
    n_held = np.where(sizes > 1, np.maximum(np.round(fraction * sizes), 1), 0)
    n_held = np.minimum(n_held, sizes - 1).astype(np.int64)
    several = np.bincount(owner, n_held > 0)[owner] > 1
    n_held *= several
    # Queries in a random order, until there are enough rows.
    place = rng.permutation(int(query.max()) + 1)
    of_query = np.zeros(len(place))
    np.add.at(of_query, place[owner], n_held)
    enough = np.searchsorted(np.cumsum(of_query), fraction * len(query)) + 1
    n_held[place[owner] >= enough] = 0
    position = np.arange(len(order)) - np.repeat(starts, sizes)
    held_out = np.zeros(len(order), np.bool_)
    held_out[order] = position < np.repeat(n_held, sizes)
    return held_out


def own_weights(csr: Any, query: np.ndarray) -> bool:
    """Return whether queries have columns of their own, as users have.

    If most rows are of queries all of whose rows have an entry in a column that other
    queries have none in, a query that was held out whole would be one that the model
    knows nothing of.
    """
    owner = np.repeat(query, np.diff(csr.indptr))
    n_columns, sizes = csr.shape[1], np.bincount(query)
    first, last = np.full(n_columns, len(sizes)), np.full(n_columns, -1)
    np.minimum.at(first, csr.indices, owner)
    np.maximum.at(last, csr.indices, owner)
    counts = np.bincount(csr.indices, minlength=n_columns)
    single = np.flatnonzero((first == last) & (counts > 1))
    whole = single[counts[single] == sizes[first[single]]]
    return bool(2 * sizes[np.unique(first[whole])].sum() > len(query))


def split(weight: np.ndarray, rest: np.ndarray) -> Split:
    """Return the rows to learn from and ``rest``, the rows to stop on.

    Raises
    ------
    ValueError
        If either part would be empty or weigh nothing.
    """
    learnt = np.ones(len(weight), np.bool_)
    learnt[rest] = False
    train = np.flatnonzero(learnt)
    check_parts(weight, train, rest)
    return train, rest


def check_parts(weight: np.ndarray, train: np.ndarray, rest: np.ndarray) -> None:
    """Refuse training rows, or held-out rows, that weigh nothing.

    Raises
    ------
    ValueError
    """
    for part, rows in (("training", train), ("held-out", rest)):
        if not np.any(weight[rows] > 0):
            raise ValueError(
                f"The {part} rows have only zero weights; pass X_val and y_val, "
                "another validation_fraction, or early_stopping=False."
            )
