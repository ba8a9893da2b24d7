"""Metrics of recommended items, user by user."""

from __future__ import annotations

from collections.abc import Hashable
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd

from .._sklearn import Interval, validate_params
from ..data.rank_metrics import RANK_METRICS, Ranked
from ..encoding.ids import code_pairs, match, read_ids, read_table


@validate_params(
    {
        "recommended": "no_validation",
        "relevant": "no_validation",
        "k": [Interval(Integral, 1, None, closed="left")],
        "user": [Hashable],
        "item": [Hashable],
        "items": "no_validation",
        "interactions": "no_validation",
        "by_user": ["boolean"],
    },
    prefer_skip_nested_validation=True,
)
def evaluate_recommendations(
    recommended: Any,
    relevant: Any,
    *,
    k: int = 10,
    user: Hashable = "user",
    item: Hashable = "item",
    items: Any = None,
    interactions: Any = None,
    by_user: bool = False,
) -> pd.Series | pd.DataFrame:
    """Compare recommended items with those that users turned out to choose.

    Parameters
    ----------
    recommended : DataFrame
        One row per recommended item, each user's from the best on, as
        `skfm.recommendation.recommend` returns them. If there is a column "rank", it
        gives the order.
    relevant : DataFrame
        The held-out interactions: one row per pair of a user and an item, duplicates
        do not count. Only the users of this table are evaluated; one who was
        recommended nothing scores zero.
    k : int, default=10
        Number of items per user that count.
    user, item : hashable, default="user", "item"
        Names of the columns of ids, in all tables.
    items : DataFrame, default=None
        Table of all items that could be recommended. If given, the result has
        "coverage": see `coverage`.
    interactions : DataFrame, default=None
        The interactions that the model was fitted on. If given, the result has
        "novelty": see `novelty`.
    by_user : bool, default=False
        Whether to return the metrics of each user instead of their means.

    Returns
    -------
    Series or DataFrame
        The means over the users of "ndcg", "map", "mrr", "recall", "precision" and
        "hit_rate" at k, as in `skfm.metrics.ndcg_at_k` and its neighbours; or, with
        ``by_user``, one row of them per user.

    Raises
    ------
    ValueError
        If a table lacks a column of ids or has missing ids, or if an item is
        recommended to a user twice.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm.metrics import evaluate_recommendations
    >>> recommended = pd.DataFrame({"user": list("aabb"), "item": list("xyxz")})
    >>> relevant = pd.DataFrame({"user": ["a", "b"], "item": ["y", "x"]})
    >>> evaluate_recommendations(recommended, relevant, k=2)[["mrr", "recall"]]
    mrr       0.75
    recall    1.00
    dtype: float64
    """
    lists = _first(recommended, k, user, item)
    truth = _pairs(relevant, "relevant", user, item).drop_duplicates()
    users = pd.Index(truth[user].unique(), name=user)
    ranked = _rank(lists, truth, users, user, item)
    values = {name: metric(ranked, k) for name, metric in RANK_METRICS.items()}
    if by_user:
        return pd.DataFrame(values, index=users)
    means = {name: float(of_users.mean()) for name, of_users in values.items()}
    lists = lists[lists[user].isin(users)]
    if items is not None:
        means["coverage"] = coverage(lists, items, item=item)
    if interactions is not None:
        means["novelty"] = novelty(lists, interactions, user=user, item=item)
    return pd.Series(means)


def coverage(recommended: Any, items: Any, *, item: Hashable = "item") -> float:
    """Compute the share of all items that are recommended to anyone.

    Parameters
    ----------
    recommended : DataFrame
        One row per recommended item of a user.
    items : DataFrame
        Table of all items that could be recommended.
    item : hashable, default="item"
        Name of the column of ids in both tables.

    Returns
    -------
    float

    Raises
    ------
    ValueError
        If a table lacks the column, or an id is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm.metrics import coverage
    >>> coverage(
    ...     pd.DataFrame({"item": list("xyx")}), pd.DataFrame({"item": list("wxyz")})
    ... )
    0.5
    """
    known = read_ids(read_table(items, "items"), item, "items").unique()
    if isinstance(recommended, pd.DataFrame) and recommended.empty:
        return 0.0
    chosen = read_ids(read_table(recommended, "recommended"), item, "recommended")
    return float(known.isin(chosen).mean())


def novelty(
    recommended: Any,
    interactions: Any,
    *,
    user: Hashable = "user",
    item: Hashable = "item",
) -> float:
    """Compute how unknown the recommended items are, in bits.

    The mean over the recommended items of ``-log2((n_i + 1) / (n + 1))``, where n_i of
    the n users have interacted with the item: the self-information of Zhou et al.
    (PNAS 2010), with one more user who has interacted with all items.

    Parameters
    ----------
    recommended : DataFrame
        One row per recommended item of a user.
    interactions : DataFrame
        The interactions of the users, of which duplicates do not count.
    user, item : hashable, default="user", "item"
        Names of the columns of ids in both tables.

    Returns
    -------
    float
        NaN if nothing is recommended.

    Raises
    ------
    ValueError
        If a table lacks a column, or an id is missing.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm.metrics import novelty
    >>> interactions = pd.DataFrame({"user": list("abc"), "item": list("xxx")})
    >>> novelty(pd.DataFrame({"user": ["a"], "item": ["y"]}), interactions)
    2.0
    """
    known = _pairs(interactions, "interactions", user, item).drop_duplicates()
    if isinstance(recommended, pd.DataFrame) and recommended.empty:
        return float("nan")
    chosen = read_ids(read_table(recommended, "recommended"), item, "recommended")
    counts = known[item].value_counts()
    number = match(chosen, counts.index)
    n_users = np.where(number >= 0, counts.to_numpy()[number], 0)
    return float(-np.log2((n_users + 1) / (known[user].nunique() + 1)).mean())


def _pairs(table: Any, called: str, user: Hashable, item: Hashable) -> pd.DataFrame:
    frame = read_table(table, called)
    ids = {name: read_ids(frame, name, called) for name in (user, item)}
    return pd.DataFrame(ids)


def _first(table: Any, k: int, user: Hashable, item: Hashable) -> pd.DataFrame:
    """Return the first k items of each user, the best first.

    Raises
    ------
    ValueError
        If one is recommended twice.
    """
    if isinstance(table, pd.DataFrame) and table.empty:
        return pd.DataFrame({user: [], item: []})
    frame = read_table(table, "recommended")
    lists = _pairs(frame, "recommended", user, item)
    twice = lists.duplicated().to_numpy()
    if twice.any():
        row = lists.iloc[int(np.flatnonzero(twice)[0])]
        raise ValueError(
            f"recommended has item {row[item]!r} twice for user {row[user]!r}: a list "
            "must name an item once."
        )
    if "rank" in frame.columns:
        lists = lists.iloc[np.argsort(frame["rank"].to_numpy(), kind="stable")]
    return lists[lists.groupby(user, sort=False).cumcount() < k]


def _rank(
    lists: pd.DataFrame,
    truth: pd.DataFrame,
    users: pd.Index,
    user: Hashable,
    item: Hashable,
) -> Ranked:
    """Return the relevance of the recommended items of each of ``users``."""
    items = pd.Index(truth[item].unique())
    owner = match(pd.Index(lists[user]), users)
    ranked, owner = lists[owner >= 0], owner[owner >= 0]
    order = np.argsort(owner, kind="stable")
    number = match(pd.Index(ranked[item]), items)
    wanted = code_pairs(
        match(pd.Index(truth[user]), users),
        match(pd.Index(truth[item]), items),
        len(items),
    )
    found = np.isin(code_pairs(owner, number, len(items)), wanted) & (number >= 0)
    n_relevant = np.bincount(match(pd.Index(truth[user]), users), minlength=len(users))
    starts = np.concatenate([[0], np.cumsum(np.bincount(owner, minlength=len(users)))])
    return Ranked(
        found[order].astype(np.float64), starts, np.ones(len(truth)), n_relevant
    )
