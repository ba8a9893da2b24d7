"""Splits of interactions by time: of each user, or of all at once."""

from __future__ import annotations

from collections.abc import Hashable, Iterator
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.model_selection import BaseCrossValidator

from .._sklearn import Interval, validate_params
from ..encoding.ids import read_table


class _OneSplit(BaseCrossValidator):
    """A splitter that makes one split, whose test rows are later than the others."""

    def get_n_splits(self, X: Any = None, y: Any = None, groups: Any = None) -> int:
        """Return the number of splits, which is one."""
        return 1

    def split(
        self, X: Any, y: Any = None, groups: Any = None
    ) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """Yield the rows to learn from and those held out.

        Parameters
        ----------
        X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        y : object, default=None
            Ignored.
        groups : array-like of shape (n_samples,), default=None
            The user of each row, where the splitter needs users and names no column.

        Yields
        ------
        train, test : ndarray of int
            Numbers of rows, ascending.

        Raises
        ------
        ValueError
            If a column is missing, or one of the parts would be empty.
        """
        held_out = self._held_out(X, groups)
        if not held_out.any() or held_out.all():
            raise ValueError(
                f"{type(self).__name__} holds out {int(held_out.sum())} of "
                f"{len(held_out)} rows, so that one of the parts is empty."
            )
        yield np.flatnonzero(~held_out), np.flatnonzero(held_out)

    def _held_out(self, X: Any, groups: Any) -> np.ndarray:
        raise AssertionError("defined by each splitter")


class LastInteractionsSplit(_OneSplit):
    """Hold out the last n interactions of each user.

    At least one interaction of each user remains to learn from, so that a user with no
    more than n gives up all but the first, and a user with one gives up none.

    Parameters
    ----------
    n : int, default=10
        Number of interactions of each user to hold out.
    user : hashable or array-like of shape (n_samples,), default=None
        Column of X that identifies the user, or the user of each row. None: the
        ``groups`` that are passed to `split`.
    time : hashable or array-like of shape (n_samples,), default=None
        Column of X with the time of each row, or the times. None: X is in order of
        time. Rows of one time stay in their order.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm.model_selection import LastInteractionsSplit
    >>> X = pd.DataFrame({"user": list("abab"), "item": list("wxyz")})
    >>> split = LastInteractionsSplit(1, user="user", time=[5, 2, 3, 4])
    >>> train, test = next(split.split(X))
    >>> X.loc[test]
      user item
    0    a    w
    3    b    z
    """

    @validate_params(
        {
            "self": "no_validation",
            "n": [Interval(Integral, 1, None, closed="left")],
            "user": "no_validation",
            "time": "no_validation",
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, n: int = 10, *, user: Any = None, time: Any = None) -> None:
        self.n, self.user, self.time = n, user, time

    def _held_out(self, X: Any, groups: Any) -> np.ndarray:
        user = groups if self.user is None else self.user
        if user is None:
            raise ValueError(
                "LastInteractionsSplit needs the user of each row: pass groups= to "
                "split, or user= to the splitter."
            )
        users = pd.factorize(_values(X, user, "user"), use_na_sentinel=False)[0]
        if self.time is None:
            order = np.argsort(users, kind="stable")
        else:
            order = np.lexsort((_values(X, self.time, "time"), users))
        counts = np.bincount(users)
        rank = np.arange(len(users)) - np.repeat(np.cumsum(counts) - counts, counts)
        last = counts[users[order]] - rank <= self.n
        held_out = np.zeros(len(users), np.bool_)
        held_out[order] = last & (rank > 0)
        return held_out


class TimeCutSplit(_OneSplit):
    """Hold out all interactions from one time on.

    Users and items that first appear after the cut are new to the model, as they are in
    use. Rows of one time are never parted.

    Parameters
    ----------
    test_size : float, default=0.2
        Share of the rows to hold out, roughly: the cut is the largest time from which
        on there are at least so many rows.
    time : hashable or array-like of shape (n_samples,)
        Column of X with the time of each row, or the times.
    at : object, default=None
        First time to hold out, instead of ``test_size``.

    Examples
    --------
    >>> from skfm.model_selection import TimeCutSplit
    >>> train, test = next(TimeCutSplit(0.5, time=[3, 1, 4, 2]).split([[0]] * 4))
    >>> test
    array([0, 2])
    """

    @validate_params(
        {
            "self": "no_validation",
            "test_size": [Interval(Real, 0, 1, closed="neither")],
            "time": "no_validation",
            "at": "no_validation",
        },
        prefer_skip_nested_validation=True,
    )
    def __init__(self, test_size: float = 0.2, *, time: Any, at: Any = None) -> None:
        self.test_size, self.time, self.at = test_size, time, at

    def _held_out(self, X: Any, groups: Any) -> np.ndarray:
        times = _values(X, self.time, "time")
        cut = self.at
        if cut is None:
            n_test = max(1, int(np.floor(self.test_size * len(times))))
            cut = np.sort(times)[-n_test]
        held_out: np.ndarray = times >= cut
        return held_out


def _values(X: Any, given: Any, called: str) -> np.ndarray:
    """Return one value per row: of a column of X, or as they are given.

    Raises
    ------
    ValueError
        If there is no such column, the lengths differ, or a value is missing.
    """
    if isinstance(given, Hashable) and not isinstance(given, tuple):
        table = read_table(X, "X")
        if given not in table.columns:
            raise ValueError(
                f"{called}={given!r} is no column of X, which has "
                f"{', '.join(map(repr, table.columns))}."
            )
        values = table[given].to_numpy()
    else:
        values = np.asarray(given)
        n_rows = X.shape[0] if hasattr(X, "shape") else len(X)
        if values.shape != (n_rows,):
            raise ValueError(
                f"{called} must have a value for each of the {n_rows} rows; got an "
                f"array of shape {values.shape}."
            )
    missing = pd.isna(values)
    if missing.any():
        raise ValueError(
            f"{called} is missing in row {int(np.flatnonzero(missing)[0])}."
        )
    return values
