"""Implicit feedback of users whose tastes are known."""

from __future__ import annotations

from dataclasses import dataclass
from numbers import Integral, Real

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from .._sklearn import Interval, validate_params

__all__ = ["FeedbackTruth", "make_implicit_feedback"]


@dataclass(frozen=True, eq=False)
class FeedbackTruth:
    """Tastes of the users that `make_implicit_feedback` drew.

    No model ranks unseen items better than these scores, in expectation: the
    interactions of a user are drawn by them, and their order in time by chance.

    Attributes
    ----------
    scores : DataFrame of shape (n_users, n_items)
        Score of each item for each user, by their ids.
    """

    scores: pd.DataFrame

    def predict(self, X: pd.DataFrame) -> np.ndarray:
        """Return the scores of pairs, so that `skfm.recommendation` can rank by them.

        Parameters
        ----------
        X : DataFrame
            With columns "user" and "item".

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        rows = self.scores.index.get_indexer(X["user"])
        columns = self.scores.columns.get_indexer(X["item"])
        found: np.ndarray = self.scores.to_numpy()[rows, columns]
        return found


@validate_params(
    {
        "n_users": [Interval(Integral, 1, None, closed="left")],
        "n_items": [Interval(Integral, 2, None, closed="left")],
        "n_interactions": [Interval(Integral, 1, None, closed="left")],
        "rank": [Interval(Integral, 1, None, closed="left")],
        "n_groups": [Interval(Integral, 1, None, closed="left")],
        "taste_scale": [Interval(Real, 0, None, closed="left")],
        "popularity_scale": [Interval(Real, 0, None, closed="left")],
        "side_share": [Interval(Real, 0, 1, closed="both")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_implicit_feedback(
    n_users: int = 300,
    n_items: int = 200,
    *,
    n_interactions: int = 30,
    rank: int = 4,
    n_groups: int = 5,
    taste_scale: float = 2.0,
    popularity_scale: float = 0.7,
    side_share: float = 0.3,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[pd.DataFrame, pd.DataFrame, pd.DataFrame, FeedbackTruth]:
    """Make interactions of users with items, whose best possible ranking is known.

    The score of an item for a user is the popularity of the item plus the inner product
    of two vectors. A user chooses ``n_interactions`` different items, one after the
    other, with probabilities proportional to the exponentials of the scores. The times
    of the interactions are then shuffled, so that held-out interactions are like those
    before.

    Parameters
    ----------
    n_users, n_items : int, default=300, 200
        Numbers of users and items.
    n_interactions : int, default=30
        Number of interactions of each user, less than ``n_items``.
    rank : int, default=4
        Length of the vectors.
    n_groups : int, default=5
        Number of groups of users, and of genres of items.
    taste_scale, popularity_scale : float, default=2.0, 0.7
        Standard deviations of the two parts of the score over all pairs.
    side_share : float, default=0.3
        Share of the variance of the vectors that the group of the user, or the genre of
        the item, explains.
    random_state : int, RandomState instance or None, default=None
        An int makes the data reproducible.

    Returns
    -------
    interactions : DataFrame
        Columns "user", "item" and "time", in order of time for each user.
    users : DataFrame
        Columns "user" and "group".
    items : DataFrame
        Columns "item" and "genre".
    truth : FeedbackTruth

    Raises
    ------
    ValueError
        If users cannot have so many interactions.

    Examples
    --------
    >>> from skfm.datasets import make_implicit_feedback
    >>> interactions, users, items, truth = make_implicit_feedback(
    ...     20, 50, n_interactions=8, random_state=0
    ... )
    >>> interactions.shape, truth.scores.shape
    ((160, 3), (20, 50))
    """
    if n_interactions >= n_items:
        raise ValueError(
            f"n_interactions={n_interactions} must be less than n_items={n_items}, so "
            "that each user has an item left."
        )
    rng = check_random_state(random_state)
    group, genre = (rng.randint(n_groups, size=n) for n in (n_users, n_items))
    vectors = [
        np.sqrt(side_share) * rng.normal(size=(n_groups, rank))[of]
        + np.sqrt(1 - side_share) * rng.normal(size=(len(of), rank))
        for of in (group, genre)
    ]
    scores = taste_scale * vectors[0] @ vectors[1].T / np.sqrt(rank)
    scores += popularity_scale * rng.normal(size=n_items)
    # The largest of the scores with Gumbel noise, in their order, are such draws.
    noisy = scores + rng.gumbel(size=scores.shape)
    chosen = np.argsort(-noisy, axis=1)[:, :n_interactions]
    chosen = np.take_along_axis(chosen, rng.rand(*chosen.shape).argsort(axis=1), axis=1)
    ids = [_names("u", n_users), _names("i", n_items)]
    users = pd.DataFrame({"user": ids[0], "group": _names("group", n_groups)[group]})
    items = pd.DataFrame({"item": ids[1], "genre": _names("genre", n_groups)[genre]})
    interactions = pd.DataFrame(
        {
            "user": np.repeat(ids[0], n_interactions),
            "item": ids[1][chosen.ravel()],
            "time": np.tile(np.arange(n_interactions), n_users),
        }
    )
    return interactions, users, items, FeedbackTruth(pd.DataFrame(scores, *ids))


def _names(prefix: str, n: int) -> np.ndarray:
    return np.array([f"{prefix}{i}" for i in range(n)], dtype=object)
