"""Interactions beside items that were not chosen, for classifiers."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Integral, Real
from typing import Any

import numpy as np
import pandas as pd
from sklearn.utils import check_random_state

from .._sklearn import Interval, validate_params
from ..data.negatives import Unknown
from ..estimators.sampling_data import join_tables


@validate_params(
    {
        "interactions": "no_validation",
        "n": [Interval(Integral, 1, None, closed="left")],
        "users": "no_validation",
        "items": "no_validation",
        "user": [Hashable],
        "item": [Hashable],
        "power": [Interval(Real, 0, None, closed="left")],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def sample_negatives(
    interactions: Any,
    n: int = 4,
    *,
    users: Any = None,
    items: Any = None,
    user: Hashable = "user",
    item: Hashable = "item",
    power: float = 0.0,
    random_state: Any = None,
) -> tuple[pd.DataFrame, np.ndarray]:
    """Make rows for a classifier of interactions: those, and others that were not.

    Rankers draw negatives themselves, in every epoch anew; see their parameter
    ``negatives``. A Bayesian classifier learns from the rows of one draw.

    Parameters
    ----------
    interactions : DataFrame
        One row per interaction, with its user, its item and its context.
    n : int, default=4
        Number of negatives of each interaction: the same row with an item, drawn from
        all items, that its user is not known to have.
    users, items : DataFrame, default=None
        One row per user, and per item, whose columns are joined to the rows.
    user, item : hashable, default="user", "item"
        Names of the columns of ids.
    power : float, default=0.0
        Power of the number of users of an item by which it is drawn. 0: all items are
        equally likely.
    random_state : int, RandomState instance or None, default=None
        An int makes the rows reproducible.

    Returns
    -------
    X : DataFrame of shape (n_samples, n_features)
        The interactions, and then the negatives. The ids are categories.
    y : ndarray of shape (n_samples,)
        1 and 0.

    Raises
    ------
    ValueError
        If a table lacks a column or an id, has an id twice, or shares another column
        with the interactions.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm.recommendation import sample_negatives
    >>> interactions = pd.DataFrame({"user": list("aab"), "item": list("xyz")})
    >>> X, y = sample_negatives(interactions, 1, random_state=0)
    >>> X["item"][:2].tolist(), X["item"][3:5].tolist(), y.tolist()
    (['x', 'y'], ['z', 'z'], [1, 1, 1, 0, 0, 0])
    """
    choices = join_tables(interactions, users, items, user=user, item=item)
    shape = len(choices.user_ids), len(choices.item_ids)
    unknown = Unknown.of(choices.users, choices.items, shape, power)
    rows = np.flatnonzero(unknown.totals()[choices.users] > 0)
    seed = check_random_state(random_state).randint(np.iinfo(np.int32).max)
    drawn = unknown.draw(choices.users[rows], n, int(seed)).ravel()
    firsts = np.unique(choices.items, return_index=True)[1]
    others = choices.table.take(np.repeat(rows, n)).reset_index(drop=True)
    theirs = choices.table[choices.item_columns].take(firsts[drawn])
    others[choices.item_columns] = theirs.reset_index(drop=True)
    X = pd.concat([choices.table, others], ignore_index=True)
    return X, np.repeat([1, 0], [len(choices.table), len(others)])
