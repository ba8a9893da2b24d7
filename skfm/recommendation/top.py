"""The best items of each user, from scores that are computed block by block."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ..runtime.jit import kernel
from ..runtime.threads import parallel_for, torch_threads

#: Scores that a thread holds at a time, and the users that they are of, at most.
_SCORES_PER_BLOCK = 1 << 18
_USERS_PER_BLOCK = 256


class PairScores(Protocol):
    """Scores of all pairs of some users and some items.

    Attributes
    ----------
    threaded : bool
        Whether several threads may compute blocks at a time.
    """

    threaded: bool

    @property
    def shape(self) -> tuple[int, int]:
        """Number of users and of items."""

    def block(self, start: int, stop: int) -> np.ndarray:
        """Compute the scores of users ``start`` to ``stop`` with all items.

        The array is the caller's to change.
        """


@dataclass(frozen=True)
class Lists:
    """A list of items for each user.

    Attributes
    ----------
    starts : ndarray of int64 of shape (n_lists + 1,)
    items : ndarray of int64
        Numbers of items, ascending within a list.
    owner : ndarray of int64 of shape (n_users,)
        The list of each user.
    """

    starts: np.ndarray
    items: np.ndarray
    owner: np.ndarray

    @classmethod
    def of_codes(cls, codes: np.ndarray, n_items: int, owner: np.ndarray) -> Lists:
        """Make lists from sorted, distinct numbers ``list * n_items + item``."""
        n_lists = int(owner.max(initial=-1)) + 1
        starts = np.searchsorted(codes, np.arange(n_lists + 1) * n_items)
        return cls(starts, codes % n_items, owner)


@dataclass(frozen=True)
class Best:
    """The best items of each user, user by user, the best first."""

    users: np.ndarray
    items: np.ndarray
    scores: np.ndarray
    ranks: np.ndarray


def best_items(
    scores: PairScores, n: int, lists: Lists | None, *, only: bool, n_threads: int
) -> Best:
    """Find the n best items of each user.

    Of items with equal scores the one that stands first in the table comes first.

    Parameters
    ----------
    scores : PairScores
    n : int
    lists : Lists or None
        Items to leave out, or, with ``only``, the items to choose from.
    only : bool
    n_threads : int

    Raises
    ------
    ValueError
        If a score is not finite.
    """
    n_users, n_items = scores.shape
    n = min(n, n_items)
    items = np.zeros((n_users, n), np.int64)
    best = np.zeros((n_users, n))
    counts = np.zeros(n_users, np.int64)
    if lists is None:
        empty = np.zeros(0, np.int64)
        lists = Lists(np.zeros(2, np.int64), empty, np.zeros(n_users, np.int64))
    size = max(1, min(_USERS_PER_BLOCK, _SCORES_PER_BLOCK // n_items))
    given = (lists.starts, lists.items, lists.owner, only)

    def work(first: int, last: int) -> None:
        for start in range(first * size, min(last * size, n_users), size):
            stop = min(start + size, n_users)
            found, rows = scores.block(start, stop), slice(start, stop)
            _check_finite(found)
            _take_best(found, *given, start, items[rows], best[rows], counts[rows])

    with torch_threads(1):
        n_blocks = -(-n_users // size)
        parallel_for(work, n_blocks, n_threads if scores.threaded else 1)
    there = np.arange(n) < counts[:, None]
    users, ranks = np.nonzero(there)
    return Best(users, items[there], best[there], ranks + 1)


def _check_finite(scores: np.ndarray) -> None:
    """Refuse scores that cannot be compared, which would be left out silently."""
    with np.errstate(over="ignore", invalid="ignore"):
        # A sum that overflows is examined too.
        finite = np.isfinite(scores.sum()) or np.isfinite(scores).all()
    if not finite:
        raise ValueError(
            "A score is not a finite number: the tables contain infinity, missing "
            "numbers, or numbers too large for the dtype of the model. Scale numeric "
            "columns."
        )


@kernel
def _take_best(scores, starts, listed, owner, only, first, items, best, counts) -> Any:  # type: ignore[no-untyped-def]
    n_rows, n_items = scores.shape
    n = items.shape[1]
    for r in range(n_rows):
        at, end = starts[owner[first + r]], starts[owner[first + r] + 1]
        if not only:
            for p in range(at, end):
                scores[r, listed[p]] = -np.inf
        count, floor = 0, -np.inf
        for step in range(end - at if only else n_items):
            j = listed[at + step] if only else step
            score = scores[r, j]
            if score <= floor:
                continue
            place = min(count, n - 1)
            while place > 0 and best[r, place - 1] < score:
                best[r, place], items[r, place] = (
                    best[r, place - 1],
                    items[r, place - 1],
                )
                place -= 1
            best[r, place], items[r, place] = score, j
            count = min(count + 1, n)
            if count == n:
                floor = best[r, n - 1]
        counts[r] = count
