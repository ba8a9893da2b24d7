"""The models beside which `defaults.py` measures, each on features that suit it."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import pandas as pd
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline

import skfm

#: HistGradientBoosting takes columns of at most so many categories as categories.
MOST_CATEGORIES = 255


class Peer(NamedTuple):
    """A model and its view of a table.

    Attributes
    ----------
    make : callable
        From whether it is regression and a seed to an unfitted estimator.
    columns : callable
        From a table, all rows of it, to the table that the model is given.
    """

    make: Callable[[bool, int], Any]
    columns: Callable[[pd.DataFrame], pd.DataFrame]


def linear(is_regression: bool, seed: int) -> Any:
    """One-hot categories, standardised numbers and indicators."""
    if is_regression:
        return make_pipeline(skfm.FieldEncoder(), Ridge(solver="sparse_cg"))
    return make_pipeline(skfm.FieldEncoder(), LogisticRegression(max_iter=300))


def hist_gradient_boosting(is_regression: bool, seed: int) -> Any:
    """Columns of category dtype are categories by its default."""
    if is_regression:
        return HistGradientBoostingRegressor(random_state=seed)
    return HistGradientBoostingClassifier(random_state=seed)


def lightgbm(is_regression: bool, seed: int) -> Any:
    """Columns of category dtype are categories by its default."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    cls = LGBMRegressor if is_regression else LGBMClassifier
    return cls(random_state=seed, n_jobs=1, verbose=-1)


def flat(table: pd.DataFrame, most_categories: float = float("inf")) -> pd.DataFrame:
    """Lists as indicators, and categories as codes where there are too many."""
    columns: dict[str, pd.Series] = {}
    for name, column in table.items():
        if column.dtype == "category":
            many = len(column.cat.categories) > most_categories
            columns[name] = column.cat.codes if many else column
        elif column.dtype == "object":
            indicators = column.str.join("|").str.get_dummies()
            columns |= dict(indicators.add_prefix(f"{name}_").items())
        else:
            columns[name] = column
    return pd.DataFrame(columns)


few_categories = partial(flat, most_categories=MOST_CATEGORIES)

#: By the name in the tables.
PEERS = {
    "linear model": Peer(linear, flat),
    "HistGradientBoosting": Peer(hist_gradient_boosting, few_categories),
    "LightGBM": Peer(lightgbm, flat),
    "LightGBM, ids as codes": Peer(lightgbm, few_categories),
}


def missing_peers() -> set[str]:
    """Peers whose package is not installed."""
    there = find_spec("lightgbm") is not None
    return set() if there else {name for name in PEERS if "LightGBM" in name}
