"""The best items of each user, among all items."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import replace
from numbers import Integral
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
from sklearn.base import is_regressor
from sklearn.utils import check_random_state

from .._sklearn import Interval, validate_params
from ..encoding.ids import code_pairs, match, read_ids, read_table
from ..estimators.fitted import Fitted
from ..inspection.reading import Model
from ..nn.posterior import PosteriorNetwork
from ..runtime.attributes import snapshot
from ..runtime.threads import resolve_n_jobs
from .samples import SampleScores
from .scores import TableScores, pair_scores
from .tables import (
    Part,
    Side,
    check_apart,
    column_names,
    mixed_fields,
    part_of,
    share_columns,
)
from .top import Lists, PairScores, best_items

#: Users whose look-ups are held at a time.
_USERS_AT_ONCE = 1 << 16


@validate_params(
    {
        "estimator": "no_validation",
        "users": "no_validation",
        "items": "no_validation",
        "n": [Interval(Integral, 1, None, closed="left")],
        "user": [Hashable],
        "item": [Hashable],
        "exclude": "no_validation",
        "candidates": "no_validation",
        "sample": ["boolean"],
        "return_std": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def recommend(
    estimator: Any,
    users: Any,
    items: Any,
    *,
    n: int = 10,
    user: Hashable = "user",
    item: Hashable = "item",
    exclude: Any = None,
    candidates: Any = None,
    sample: bool = False,
    return_std: bool = False,
    random_state: Any = None,
) -> pd.DataFrame:
    """Find the n items with the highest scores for each user.

    All items are compared, exactly. For FM, FwFM and FFM the scores are matrix products
    of a part of the users and a part of the items. Other models of this package look up
    both parts once and score the pairs in pieces. Any other estimator, and a pipeline
    with a transformer other than `skfm.FieldEncoder`, scores the table of all pairs in
    pieces.

    Parameters
    ----------
    estimator : estimator
        Fitted on a table whose rows have the columns of a user and of an item: a
        ranker, a regressor, or a classifier of two classes; or a pipeline or search
        with one at its end. With sparse ``users`` and ``items``, on a sparse matrix.
    users : DataFrame, array-like of shape (n_users,) or sparse matrix
        One row per user, or per request of a user, with the columns of users that the
        model reads, those of the context included; others are ignored. Users need not
        have occurred in training: what is known of them counts. Of an anonymous user a
        cell is None, or the table has no column ``user`` and rows are named by its
        index. An array holds ids only. A sparse matrix has the columns of the model,
        with the entries of users; users are then named by their numbers.
    items : DataFrame or sparse matrix
        All items that may be recommended, one row each, with the columns of items that
        the model reads.
    n : int, default=10
        Number of items per user. A user has fewer rows if fewer items are left.
    user, item : hashable, default="user", "item"
        Names of the columns of ids, in all tables.
    exclude : DataFrame, default=None
        Pairs of a user and an item that are not to be recommended, such as all
        interactions so far. Pairs of other users and items have no effect.
    candidates : DataFrame, default=None
        Pairs of a user and an item, the only ones that may be recommended.
    sample : bool, default=False
        Whether to score each row of ``users`` under a sample of the posterior drawn for
        it (Thompson sampling), which explores items in proportion to the probability
        that they are the best. Only after a fit by ``solver="bayes"``.
    return_std : bool, default=False
        Whether to add the standard deviation of the scores over the samples of the
        posterior, as a column "std". Only after a fit by ``solver="bayes"``.
    random_state : int, RandomState instance or None, default=None
        Seed or generator of the samples that ``sample`` draws.

    Returns
    -------
    DataFrame
        Columns ``user``, ``item``, "score" and "rank", which counts from 1. Rows are in
        the order of ``users`` and then of ranks. The score is the ``decision_function``
        of a classifier and the prediction of others. Of items with equal scores the one
        that stands first in ``items`` comes first.

    Raises
    ------
    ValueError
        If a table lacks a column, an item has two rows, the scores of the model are not
        single numbers, or the model has no samples.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm import FMClassifier
    >>> from skfm.recommendation import recommend
    >>> seen = pd.DataFrame({"user": list("aabbcc") * 9, "item": list("xyxyyz") * 9})
    >>> liked = [1, 0, 1, 0, 1, 1] * 9
    >>> model = FMClassifier(random_state=0).fit(seen, liked)
    >>> items = pd.DataFrame({"item": list("xyz")})
    >>> top = recommend(model, ["a", "c"], items, n=2, exclude=seen)
    >>> top[["user", "item", "rank"]]
      user item  rank
    0    a    z     1
    1    c    x     1
    """
    if isinstance(estimator, Fitted):
        # All users are scored by one state, whatever other threads fit.
        estimator = snapshot(estimator)
    everyone, choice = Side.of_users(users, user), Side.of_items(items, item)
    rng = check_random_state(random_state)
    found = [
        _recommend(
            estimator, part, choice, n, exclude, candidates, sample, return_std, rng
        )
        for part in everyone.pieces(_USERS_AT_ONCE)
    ]
    return pd.concat(found, ignore_index=True) if len(found) > 1 else found[0]


def _recommend(
    estimator: Any,
    users: Side,
    items: Side,
    n: int,
    exclude: Any,
    candidates: Any,
    sample: bool,
    return_std: bool,
    rng: np.random.RandomState,
) -> pd.DataFrame:
    """Find the best items of so many users that their look-ups fit into memory."""
    scored = _scores(estimator, users, items)
    samples = scored.samples(estimator) if sample or return_std else None
    scores = scored.scores
    if sample and samples is not None:
        scores = samples.draw(rng)
    lists, only = _lists(users, items, exclude, candidates)
    n_threads = resolve_n_jobs(getattr(scored.estimator, "n_jobs", 1))
    best = best_items(scores, n, lists, only=only, n_threads=n_threads)
    found = {
        users.ids.name: users.ids.take(best.users),
        items.ids.name: items.ids.take(best.items),
        "score": scored.in_units(best.scores),
        "rank": best.ranks,
    }
    if return_std and samples is not None:
        deviations = samples.deviations(best.users, best.items)
        found["std"] = deviations * scored.scale
    return pd.DataFrame(found)


class _Scored(NamedTuple):
    """Scores of all pairs, and what they are of.

    Attributes
    ----------
    estimator : estimator
    scores : PairScores
    model : Model or None
        None: the scores are those that the estimator returns.
    parts : (Part, Part) or None
    """

    estimator: Any
    scores: PairScores
    model: Model | None = None
    parts: tuple[Part, Part] | None = None

    @property
    def scale(self) -> float:
        """Units of a score in a unit of the raw score."""
        if self.model is None or not is_regressor(self.estimator):
            return 1.0
        return float(self.model.scale[0])

    def in_units(self, raw: np.ndarray) -> np.ndarray:
        """Return scores as the estimator returns them."""
        if self.model is None or not is_regressor(self.estimator):
            return raw
        found: np.ndarray = self.estimator._in_units(raw[:, None])[:, 0]
        return found

    def samples(self, estimator: Any) -> SampleScores:
        """Return the scores under the samples of the posterior.

        Raises
        ------
        ValueError
            If there are none.
        """
        if isinstance(self.scores, SampleScores):
            return self.scores
        network = None if self.model is None else self.model.network
        if self.parts is None or not isinstance(network, PosteriorNetwork):
            raise ValueError(
                f"sample and return_std need the samples of a posterior, which this "
                f"{type(estimator).__name__} has not: use FMClassifier or FMRegressor "
                'with solver="bayes" on a table, with crosses=None.'
            )
        assert self.model is not None
        return SampleScores.of(network, *(part.rows(self.model) for part in self.parts))


def _scores(estimator: Any, users: Side, items: Side) -> _Scored:
    """Find out how to score pairs.

    Raises
    ------
    ValueError
        If the tables do not have what the estimator reads.
    """
    model = _model_in(estimator)
    if model is not None and model.network.shape.n_outputs > 1:
        raise ValueError(
            "recommend needs one score a row, but this "
            f"{type(model.estimator).__name__} has {model.network.shape.n_outputs} "
            "outputs: fit it on one target, such as whether a user has chosen an item."
        )
    sparse = hasattr(users.rows, "tocsr"), hasattr(items.rows, "tocsr")
    if sparse[0] != sparse[1] or (sparse[0] and model is None):
        raise ValueError(
            "users and items must both be tables, or both be sparse matrices for an "
            "estimator of skfm."
        )
    names = None if model is None or sparse[0] else column_names(model)
    if names is None and not sparse[0]:
        names = getattr(estimator, "feature_names_in_", None)
    columns: tuple[list[Any], list[Any]] = ([], [])
    if not sparse[0]:
        names = [*users.columns, *items.columns] if names is None else list(names)
        columns = share_columns(names, users.columns, items.columns)
    if model is not None:
        parts = (
            part_of(model, users.rows, columns[0]),
            part_of(model, items.rows, columns[1]),
        )
        scored = _by_parts(model, *parts)
        if scored is not None:
            return scored
    ordered = names

    def predict(table: pd.DataFrame) -> np.ndarray:
        return _predict(estimator, table if ordered is None else table[ordered])

    return _Scored(estimator, TableScores(predict, users, items, columns))


def _by_parts(model: Model, users: Part | None, items: Part | None) -> _Scored | None:
    if users is None or items is None:
        return None
    check_apart(users, items)
    if mixed_fields(model, users, items):
        return None
    # Columns that neither has entries in may be centered: one side must count them.
    users = replace(users, mask=~items.mask)
    scores = pair_scores(model, users, items)
    return _Scored(model.estimator, scores, model, (users, items))


def _model_in(estimator: Any) -> Model | None:
    """Return the fitted model of skfm in an estimator, if there is one."""
    try:
        return Model.of(estimator)
    except TypeError:
        return None


def _predict(estimator: Any, table: pd.DataFrame) -> np.ndarray:
    if hasattr(estimator, "decision_function"):
        scores = np.asarray(estimator.decision_function(table))
    elif hasattr(estimator, "predict_proba"):
        proba = np.asarray(estimator.predict_proba(table))
        scores = proba[:, 1] if proba.shape[1:] == (2,) else proba
    else:
        scores = np.asarray(estimator.predict(table))
    if scores.ndim > 1:
        raise ValueError(
            f"recommend needs one score a row; this {type(estimator).__name__} gives "
            f"{scores.shape[1]}."
        )
    return scores


def _lists(
    users: Side, items: Side, exclude: Any, candidates: Any
) -> tuple[Lists | None, bool]:
    """Return the items to leave out, or to choose from, for each user."""
    if exclude is None and candidates is None:
        return None, False
    user, item = users.ids.name, items.ids.name
    if not hasattr(users.rows, "tocsr") and user not in users.columns:
        raise ValueError(
            f"exclude and candidates are pairs of a user and an item, but users has no "
            f"column {user!r}: its columns are {', '.join(map(repr, users.columns))}."
        )
    distinct = pd.Index(users.ids.unique())
    owner = match(users.ids, distinct)

    def codes(pairs: Any, called: str) -> np.ndarray:
        table = read_table(pairs, called)
        of_user = match(read_ids(table, user, called), distinct)
        of_item = match(read_ids(table, item, called), items.ids)
        there = (of_user >= 0) & (of_item >= 0)
        return np.unique(code_pairs(of_user[there], of_item[there], len(items.ids)))

    known = np.zeros(0, np.int64)
    if exclude is not None and len(exclude):
        known = codes(exclude, "exclude")
    if candidates is None:
        return Lists.of_codes(known, len(items.ids), owner), False
    allowed = codes(candidates, "candidates") if len(candidates) else known[:0]
    allowed = np.setdiff1d(allowed, known, assume_unique=True)
    return Lists.of_codes(allowed, len(items.ids), owner), True
