"""Items, or users, whose vectors have a similar direction."""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from numbers import Integral
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
import torch
from torch import Tensor

from .._sklearn import Interval, validate_params
from ..encoding.ids import match
from ..inspection.reading import Model
from ..runtime.threads import resolve_n_jobs
from .lookups import summed_embeddings
from .tables import Side, column_names, part_of
from .top import Lists, best_items

_CONSTRAINTS = {
    "estimator": "no_validation",
    "of": "no_validation",
    "n": [Interval(Integral, 1, None, closed="left")],
}


@validate_params(
    {**_CONSTRAINTS, "items": "no_validation", "item": [Hashable]},
    prefer_skip_nested_validation=True,
)
def similar_items(
    estimator: Any, items: Any, of: Any = None, *, n: int = 10, item: Hashable = "item"
) -> pd.DataFrame:
    """Find the items that a model takes to be most alike.

    The vector of an item is the sum of the embeddings of its id and of all that the
    table tells of it, so that new items have one too. `skfm.inspection.most_similar`
    compares the categories of one field.

    Parameters
    ----------
    estimator : estimator
        Fitted; or a pipeline or search with one at its end.
    items : DataFrame or sparse matrix
        All items, one row each, with the columns of items that the model reads.
    of : array-like of shape (n_queries,), default=None
        Ids of the items to find others for. None: all.
    n : int, default=10
        Number of other items to find for each.
    item : hashable, default="item"
        Name of the column of ids.

    Returns
    -------
    DataFrame
        Columns ``item``, "similar", "similarity" (the cosine of the vectors) and
        "rank", which counts from 1.

    Raises
    ------
    ValueError
        If an item of ``of`` is not in the table, the table has two rows for an item, or
        the model reads no column of it.

    Examples
    --------
    >>> import pandas as pd
    >>> from skfm import FMClassifier
    >>> from skfm.recommendation import similar_items
    >>> X = pd.DataFrame({"user": list("pqr") * 40, "item": list("xyzz") * 30})
    >>> y = [(u != "r") == (i == "x") for u, i in zip(X["user"], X["item"])]
    >>> model = FMClassifier(random_state=0).fit(X, y)
    >>> similar_items(model, X[["item"]].drop_duplicates(), ["y"], n=1)["similar"][0]
    'z'
    """
    return _similar(estimator, Side.of_items(items, item), of, n, "items")


@validate_params(
    {**_CONSTRAINTS, "users": "no_validation", "user": [Hashable]},
    prefer_skip_nested_validation=True,
)
def similar_users(
    estimator: Any, users: Any, of: Any = None, *, n: int = 10, user: Hashable = "user"
) -> pd.DataFrame:
    """Find the users that a model takes to be most alike.

    Parameters
    ----------
    estimator : estimator
        Fitted; or a pipeline or search with one at its end.
    users : DataFrame or sparse matrix
        All users, one row each, with the columns of users that the model reads.
    of : array-like of shape (n_queries,), default=None
        Ids of the users to find others for. None: all.
    n : int, default=10
        Number of other users to find for each.
    user : hashable, default="user"
        Name of the column of ids.

    Returns
    -------
    DataFrame
        Columns ``user``, "similar", "similarity" (the cosine of the vectors) and
        "rank", which counts from 1.

    Raises
    ------
    ValueError
        In the same cases as `similar_items`.
    """
    return _similar(estimator, Side.of_items(users, user, "users"), of, n, "users")


@dataclass(frozen=True)
class _Cosines:
    """Cosines of some vectors with all."""

    chosen: Tensor
    vectors: Tensor
    threaded = True

    @property
    def shape(self) -> tuple[int, int]:
        """Number of chosen vectors, and of all."""
        return len(self.chosen), len(self.vectors)

    def block(self, start: int, stop: int) -> np.ndarray:
        """Compute the cosines of the chosen vectors ``start`` to ``stop``."""
        return (self.chosen[start:stop] @ self.vectors.T).numpy()


def _similar(estimator: Any, side: Side, of: Any, n: int, called: str) -> pd.DataFrame:
    model = Model.of(estimator)
    unit = _unit_vectors(model, side, called)
    chosen = np.arange(len(side.ids))
    if of is not None:
        wanted = pd.Index(np.asarray(of))
        chosen = match(wanted, side.ids)
        if (chosen < 0).any():
            raise ValueError(
                f"{called} has no {side.ids.name!r} {wanted[chosen < 0][0]!r}."
            )
    own = Lists(np.arange(len(chosen) + 1), chosen, np.arange(len(chosen)))
    cosines = _Cosines(unit[torch.from_numpy(chosen)], unit)
    n_threads = resolve_n_jobs(model.estimator.n_jobs)
    best = best_items(cosines, n, own, only=False, n_threads=n_threads)
    return pd.DataFrame(
        {
            side.ids.name: side.ids.take(chosen[best.users]),
            "similar": side.ids.take(best.items),
            "similarity": best.scores,
            "rank": best.ranks,
        }
    )


def _unit_vectors(model: Model, side: Side, called: str) -> Tensor:
    """Return the sums of the embeddings of each row's entries, of unit length."""
    names: list[str] = []
    if not sp.issparse(side.rows):
        known = column_names(model) or []
        names = [name for name in known if name in side.columns]
        if not names:
            raise ValueError(
                f"{called} has no column that the model reads, which are "
                f"{', '.join(map(repr, known)) or 'without names'}."
            )
    part = part_of(model, side.rows, names)
    if part is None:
        raise ValueError(
            "Vectors of items or users need an estimator that encodes the table "
            "itself, without crosses (crosses=None), or that is fitted on a sparse "
            "matrix."
        )
    summed = summed_embeddings(model.network, part.rows(model))
    norms = np.linalg.norm(summed, axis=1, keepdims=True)
    unit = summed / np.where(norms > 0, norms, 1)
    return torch.from_numpy(unit.astype(np.float32))
