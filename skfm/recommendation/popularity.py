"""The baseline that every recommender is compared with."""

from __future__ import annotations

from collections.abc import Hashable
from typing import Any, Self

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator
from sklearn.utils.validation import check_is_fitted

from .._sklearn import validate_params
from ..encoding.ids import match, read_ids, read_table


class PopularityRanker(BaseEstimator):
    """Ranking of items by their number of users, alike for everyone.

    Parameters
    ----------
    user, item : hashable, default="user", "item"
        Names of the columns of ids.

    Attributes
    ----------
    counts_ : Series of shape (n_items,)
        Number of users of each item, the most popular first.
    feature_names_in_ : ndarray of shape (1,)
        The column that predictions read.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm.recommendation import PopularityRanker, recommend
    >>> X = pd.DataFrame({"user": list("aab"), "item": list("xyx")})
    >>> model = PopularityRanker().fit(X)
    >>> recommend(model, ["b", "c"], X[["item"]].drop_duplicates(), n=1, exclude=X)
      user item  score  rank
    0    b    y    1.0     1
    1    c    x    2.0     1
    """

    @validate_params(
        {"self": "no_validation", "user": [Hashable], "item": [Hashable]},
        prefer_skip_nested_validation=True,
    )
    def __init__(self, *, user: Hashable = "user", item: Hashable = "item") -> None:
        self.user = user
        self.item = item

    def fit(self, X: Any, y: Any = None) -> Self:
        """Count the users of each item.

        Parameters
        ----------
        X : DataFrame
            One row per interaction, of which duplicates do not count.
        y : array-like of shape (n_samples,), default=None
            Rows with zero do not count. None: all rows count.

        Returns
        -------
        self

        Raises
        ------
        ValueError
            If X lacks a column of ids, or an id is missing.
        """
        table = read_table(X, "X")
        ids = {name: read_ids(table, name, "X") for name in (self.user, self.item)}
        pairs = pd.DataFrame(ids)
        if y is not None:
            pairs = pairs[np.asarray(y) > 0]
        counts = pairs.drop_duplicates()[self.item].value_counts(sort=False)
        self.counts_ = counts.sort_values(ascending=False, kind="stable")
        self.feature_names_in_ = np.array([self.item], dtype=object)
        return self

    def predict(self, X: Any) -> np.ndarray:
        """Return the number of users of the item of each row.

        Parameters
        ----------
        X : DataFrame
            With a column of items.

        Returns
        -------
        ndarray of shape (n_samples,)
        """
        check_is_fitted(self, "counts_")
        items = read_ids(read_table(X, "X"), self.item, "X")
        found = match(items, pd.Index(self.counts_.index))
        return np.where(found >= 0, self.counts_.to_numpy()[found], 0).astype(float)
