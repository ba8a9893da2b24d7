"""The models beside which `defaults.py` measures, each on features that suit it.

All have their own defaults and two threads. Columns of category dtype are given as
categories; nothing is held out for early stopping unless the model does so by itself
(HistGradientBoosting holds out a tenth of more than 10,000 rows; LightGBM stops at its
100 trees, CatBoost at its 1,000).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from importlib.util import find_spec
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import BaseEstimator, clone
from sklearn.compose import make_column_selector, make_column_transformer
from sklearn.dummy import DummyClassifier, DummyRegressor
from sklearn.ensemble import (
    HistGradientBoostingClassifier,
    HistGradientBoostingRegressor,
)
from sklearn.impute import SimpleImputer
from sklearn.linear_model import LogisticRegression, Ridge
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import KBinsDiscretizer, OneHotEncoder, StandardScaler

THREADS = 2
#: HistGradientBoosting takes columns of at most so many categories as categories.
MOST_CATEGORIES = 255
#: myFM has no default rank: this one is of its documentation. Of a chain of 200 the
#: last 150 samples are averaged.
RANK, ITERATIONS, SAMPLES = 10, 200, 150


class Peer(NamedTuple):
    """A model and its view of a table.

    Attributes
    ----------
    make : callable
        Function from whether it is regression, and a seed, to an unfitted estimator.
    columns : callable
        Function from a table with all its rows to the input of the model.
    package : str
        Name of the package that must be installed.
    most_rows : float
        Largest number of training rows on which it is tried.
    """

    make: Callable[[bool, int], Any]
    columns: Callable[[pd.DataFrame], pd.DataFrame]
    package: str = "sklearn"
    most_rows: float = float("inf")


def constant(is_regression: bool, seed: int) -> Any:
    """The mean, or the share of the positive class."""
    return DummyRegressor() if is_regression else DummyClassifier()


def one_hot(n_bins: int | None = None) -> Any:
    """One-hot columns of categories; numbers scaled and, on request, in bins too."""
    names = make_column_selector(dtype_include="category")
    numbers = make_column_selector(dtype_include="number")
    filled = SimpleImputer(strategy="median", keep_empty_features=True)
    marked = clone(filled).set_params(add_indicator=True)
    parts = [
        (OneHotEncoder(handle_unknown="ignore"), names),
        (make_pipeline(marked, StandardScaler()), numbers),
    ]
    if n_bins is not None:
        bins = KBinsDiscretizer(n_bins, quantile_method="averaged_inverted_cdf")
        parts.append((make_pipeline(filled, bins), numbers))
    return make_column_transformer(*parts, sparse_threshold=1.0)


def linear(is_regression: bool, seed: int) -> Any:
    """Logistic or ridge regression."""
    model = Ridge() if is_regression else LogisticRegression(max_iter=1000)
    return make_pipeline(one_hot(), model)


def hist_gradient_boosting(is_regression: bool, seed: int) -> Any:
    """Columns of category dtype are categories by its default."""
    if is_regression:
        return HistGradientBoostingRegressor(random_state=seed)
    return HistGradientBoostingClassifier(random_state=seed)


def lightgbm(is_regression: bool, seed: int) -> Any:
    """Columns of category dtype are categories by its default."""
    from lightgbm import LGBMClassifier, LGBMRegressor

    cls = LGBMRegressor if is_regression else LGBMClassifier
    return cls(random_state=seed, n_jobs=THREADS, verbose=-1)


class CatBoost(BaseEstimator):
    """CatBoost, told which columns are categories."""

    def __init__(self, is_regression: bool, seed: int) -> None:
        self.is_regression = is_regression
        self.seed = seed

    def fit(self, table: pd.DataFrame, y: np.ndarray) -> CatBoost:
        from catboost import CatBoostClassifier, CatBoostRegressor

        cls = CatBoostRegressor if self.is_regression else CatBoostClassifier
        self.model_ = cls(
            cat_features=list(table.select_dtypes("category")),
            random_seed=self.seed,
            thread_count=THREADS,
            allow_writing_files=False,
            verbose=False,
        )
        self.model_.fit(table, y)
        return self

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        return self.model_.predict(table)

    def predict_proba(self, table: pd.DataFrame) -> np.ndarray:
        return self.model_.predict_proba(table)


class MyFM(BaseEstimator):
    """myFM on one-hot categories, scaled numbers and their bins, a group a column."""

    def __init__(self, is_regression: bool, seed: int) -> None:
        self.is_regression = is_regression
        self.seed = seed

    def fit(self, table: pd.DataFrame, y: np.ndarray) -> MyFM:
        from myfm import MyFMClassifier, MyFMRegressor

        self.encoder_ = one_hot(n_bins=32)
        X = self.encoder_.fit_transform(table).astype(np.float64)
        self.center_, self.scale_ = 0.0, 1.0
        if self.is_regression:
            self.center_, self.scale_ = y.mean(), y.std()
            y = (y - self.center_) / self.scale_
        cls = MyFMRegressor if self.is_regression else MyFMClassifier
        self.model_ = cls(rank=RANK, random_seed=self.seed)
        self.model_.fit(
            X,
            y,
            n_iter=ITERATIONS,
            n_kept_samples=SAMPLES,
            group_shapes=self._groups(),
        )
        return self

    def _groups(self) -> list[int]:
        """Sizes of the groups of columns: a category, all scaled numbers, the bins."""
        parts = self.encoder_.named_transformers_
        names = [len(levels) for levels in parts["onehotencoder"].categories_]
        scaled = self.encoder_.output_indices_["pipeline-1"]
        # Without numbers no bins were fitted.
        bins = getattr(parts["pipeline-2"][-1], "n_bins_", [])
        return [*names, scaled.stop - scaled.start, *bins]

    def predict(self, table: pd.DataFrame) -> np.ndarray:
        said = self.model_.predict(self.encoder_.transform(table))
        return self.center_ + self.scale_ * said

    def predict_proba(self, table: pd.DataFrame) -> np.ndarray:
        positive = self.model_.predict_proba(self.encoder_.transform(table))
        return np.column_stack([1 - positive, positive])


def realmlp(is_regression: bool, seed: int) -> Any:
    """RealMLP with its tuned defaults, as pytabkit has it."""
    from pytabkit import RealMLP_TD_Classifier, RealMLP_TD_Regressor

    cls = RealMLP_TD_Regressor if is_regression else RealMLP_TD_Classifier
    return cls(random_state=seed, device="cpu", n_threads=THREADS)


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


def named(table: pd.DataFrame) -> pd.DataFrame:
    """Categories as texts, a missing one among them, as CatBoost reads them."""
    table = flat(table)
    names = table.select_dtypes("category").columns
    texts = table[names].astype(object).fillna("missing").astype(str)
    return table.assign(**texts.astype("category"))


def without_gaps(table: pd.DataFrame) -> pd.DataFrame:
    """Missing numbers as medians, with a mark, as RealMLP needs them."""
    table = named(table)
    gaps = table.columns[table.isna().any()]
    marks = table[gaps].isna().astype(float).add_suffix("_missing")
    return table.fillna(table[gaps].median()).join(marks)


few_categories = partial(flat, most_categories=MOST_CATEGORIES)

#: Peers by their names in the tables.
PEERS = {
    "constant": Peer(constant, flat),
    "linear model": Peer(linear, flat),
    "HistGradientBoosting": Peer(hist_gradient_boosting, few_categories),
    "LightGBM": Peer(lightgbm, flat, "lightgbm"),
    "LightGBM, ids as codes": Peer(lightgbm, few_categories, "lightgbm"),
    "CatBoost": Peer(CatBoost, named, "catboost"),
    "myFM": Peer(MyFM, flat, "myfm"),
    "RealMLP": Peer(realmlp, without_gaps, "pytabkit", most_rows=10_000),
}


def missing_peers() -> set[str]:
    """Peers whose package is not installed."""
    return {name for name, peer in PEERS.items() if find_spec(peer.package) is None}
