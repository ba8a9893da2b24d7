"""Items to compare with those that users have chosen, drawn at random."""

# mypy: disable-error-code="no-untyped-def, untyped-decorator"

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numba import uint64

from ..runtime.jit import kernel

#: Units of the weight of an item that one user has, where popularity counts.
_UNITS = 1024
#: Limit of the sum of all weights.
_MOST = 2.0**62


@dataclass(frozen=True)
class Unknown:
    """The items that each user is not known to have, without listing them.

    The weights are integers, so that sums are exact: draws need no second try.

    Attributes
    ----------
    starts : ndarray of int64 of shape (n_users + 1,)
        Start of the known items of each user.
    known : ndarray of int64
        Numbers of the known items, ascending for each user.
    passed : ndarray of int64 of shape (len(known) + 1,)
        Weight of the known items before each, over all users.
    ends : ndarray of int64 of shape (n_items + 1,)
        Weight of all items before each item.
    """

    starts: np.ndarray
    known: np.ndarray
    passed: np.ndarray
    ends: np.ndarray

    @classmethod
    def of(
        cls, users: np.ndarray, items: np.ndarray, shape: tuple[int, int], power: float
    ) -> Unknown:
        """Make it from pairs of users and items, of which some may repeat.

        The weight of an item is the number of its users to the ``power``.

        Raises
        ------
        ValueError
            If sums of the weights are too large for 64-bit integers.
        """
        pairs = np.unique(users.astype(np.int64) * shape[1] + items)
        known = pairs % shape[1]
        starts = np.searchsorted(pairs, np.arange(shape[0] + 1) * shape[1])
        weight = np.ones(shape[1], np.int64)
        if power:
            counts = np.maximum(np.bincount(known, minlength=shape[1]), 1)
            with np.errstate(over="ignore"):
                shares = np.maximum(np.rint(_UNITS * np.power(counts, float(power))), 1)
                total = shares.sum() + shares[known].sum()
            if not total < _MOST:
                raise ValueError(
                    f"sampling={power} makes the weights of popular items too large, "
                    f"as one has {counts.max()} users: pass a lower power."
                )
            weight = shares.astype(np.int64)
        return cls(starts, known, _before(weight[known]), _before(weight))

    def totals(self) -> np.ndarray:
        """Return the weight of the items that each user is not known to have."""
        totals: np.ndarray = self.ends[-1] - np.diff(self.passed[self.starts])
        return totals

    def log_weight(self) -> np.ndarray:
        """Return the logarithm of the weight of each item."""
        return np.log(np.diff(self.ends))

    def draw(self, users: np.ndarray, n: int, seed: int) -> np.ndarray:
        """Draw n items for each of ``users``, with repetition, (n_draws, n)."""
        out = np.empty((len(users), n), np.int64)
        _draw(self.starts, self.known, self.passed, self.ends, users, seed, out)
        return out


@dataclass(frozen=True)
class Exposed:
    """The items that each user was shown and did not choose.

    Attributes
    ----------
    starts : ndarray of int64 of shape (n_users + 1,)
    items : ndarray of int64
    """

    starts: np.ndarray
    items: np.ndarray

    @classmethod
    def of(cls, users: np.ndarray, items: np.ndarray, n_users: int) -> Exposed:
        """Make it from pairs of users and items."""
        order = np.argsort(users, kind="stable")
        starts = np.searchsorted(users[order], np.arange(n_users + 1))
        return cls(starts, items[order].astype(np.int64))

    def totals(self) -> np.ndarray:
        """Return the number of items of each user."""
        totals: np.ndarray = np.diff(self.starts)
        return totals

    def log_weight(self) -> None:
        """Return None: all items of a user weigh the same."""

    def draw(self, users: np.ndarray, n: int, seed: int) -> np.ndarray:
        """Draw n items for each of ``users``, with repetition, (n_draws, n)."""
        rng = np.random.default_rng(seed)
        within = rng.random((len(users), n)) * self.totals()[users][:, None]
        drawn: np.ndarray = self.items[
            self.starts[users][:, None] + within.astype("i8")
        ]
        return drawn


def _before(weight: np.ndarray) -> np.ndarray:
    return np.concatenate([[0], np.cumsum(weight)])


@kernel
def _hashed(seed, number):
    """Return a float in [0, 1) that is a function of two integers (SplitMix64)."""
    z = uint64(seed) + uint64(number + 1) * uint64(0x9E3779B97F4A7C15)
    z = (z ^ (z >> uint64(30))) * uint64(0xBF58476D1CE4E5B9)
    z = (z ^ (z >> uint64(27))) * uint64(0x94D049BB133111EB)
    z = z ^ (z >> uint64(31))
    return float(z >> uint64(11)) * 2.0**-53


@kernel
def _draw(starts, known, passed, ends, users, seed, out):
    n = out.shape[1]
    for b in range(len(users)):
        first, last = starts[users[b]], starts[users[b] + 1]
        total = ends[-1] - (passed[last] - passed[first])
        for j in range(n):
            at = min(np.int64(_hashed(seed, b * n + j) * total), total - 1)
            # The number of known items that lie before this weight of unknown ones.
            lo, hi = first, last
            while lo < hi:
                middle = (lo + hi) // 2
                if ends[known[middle]] - (passed[middle] - passed[first]) <= at:
                    lo = middle + 1
                else:
                    hi = middle
            at += passed[lo] - passed[first]
            out[b, j] = np.searchsorted(ends, at, side="right") - 1
