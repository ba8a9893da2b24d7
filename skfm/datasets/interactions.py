"""Generator of sparse data whose interactions are known."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import combinations
from numbers import Integral, Real
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import ArrayLike, DTypeLike
from sklearn.utils import check_random_state

from .._sklearn import Interval, StrOptions, validate_params
from .truth import InteractionTruth

__all__ = ["make_interactions"]


@validate_params(
    {
        "n_samples": [Interval(Integral, 1, None, closed="left")],
        "n_fields": [Interval(Integral, 1, None, closed="left")],
        "n_categories": [Interval(Integral, 1, None, closed="left"), "array-like"],
        "kind": [StrOptions({"fm", "field_pair", "three_way"})],
        "rank": [Interval(Integral, 1, None, closed="left")],
        "n_groups": [Interval(Integral, 1, None, closed="left")],
        "zipf": [Interval(Real, 0, None, closed="left")],
        "linear_scale": [Interval(Real, 0, None, closed="left")],
        "interaction_scale": [Interval(Real, 0, None, closed="left")],
        "noise": [Interval(Real, 0, None, closed="left")],
        "task": [StrOptions({"classification", "regression"})],
        "n_classes": [Interval(Integral, 2, None, closed="left")],
        "dtype": "no_validation",
        "return_truth": ["boolean"],
        "random_state": ["random_state"],
    },
    prefer_skip_nested_validation=True,
)
def make_interactions(
    n_samples: int = 1000,
    *,
    n_fields: int = 10,
    n_categories: int | Sequence[int] = 20,
    kind: str = "fm",
    rank: int = 4,
    n_groups: int = 3,
    zipf: float = 1.0,
    linear_scale: float = 1.0,
    interaction_scale: float = 1.0,
    noise: float = 0.5,
    task: str = "classification",
    n_classes: int = 2,
    dtype: DTypeLike = np.float64,
    return_truth: bool = False,
    random_state: int | np.random.RandomState | None = None,
) -> tuple[Any, ...]:
    """Make one-hot data with planted interactions of categories.

    Category c = 1, 2, ... of a field occurs with probability proportional to c^-zipf,
    independently of the other fields. The score of a row is a linear part plus
    interactions. Weights and factors have mean zero over the categories of each field.
    The interactions are therefore pure: no linear model explains any part of them, and
    no model of pairs explains any part of the ``"three_way"`` ones.

    Parameters
    ----------
    n_samples : int, default=1000
        Number of rows.
    n_fields : int, default=10
        Number of categorical fields.
    n_categories : int or sequence of int of shape (n_fields,), default=20
        Number of categories of each field.
    kind : {"fm", "field_pair", "three_way"}, default="fm"
        Kind of the interactions:

        - ``"fm"``: ⟨v_i, v_j⟩ for all pairs of fields, as in a factorization machine.
        - ``"field_pair"``: ``n_groups`` pairs of fields, each with its own factors.
        - ``"three_way"``: ``n_groups`` triples of fields, Σ_r a_r b_r c_r.
    rank : int, default=4
        Length of the factors.
    n_groups : int, default=3
        Number of interacting pairs or triples, at most all that there are. ``"fm"``
        does not use it.
    zipf : float, default=1.0
        Exponent of the frequencies. With 0, all categories are equally frequent.
    linear_scale, interaction_scale : float, default=1.0
        Standard deviations of the two parts of the score.
    noise : float, default=0.5
        Scale of the noise. In regression, it is the standard deviation of normal noise.
        In classification, it is the scale of Gumbel noise that is added to the score of
        each class. With two classes, P(y=1) = σ(score / noise). With 0, y is the class
        with the largest score.
    task : {"classification", "regression"}, default="classification"
        Type of the target.
    n_classes : int, default=2
        Number of classes. If there are more than two, each has weights of its own.
    dtype : dtype, default=np.float64
        Type of the values of X.
    return_truth : bool, default=False
        Whether to return the planted weights and factors.
    random_state : int, RandomState instance or None, default=None
        An int makes the data reproducible.

    Returns
    -------
    X : csr_matrix of shape (n_samples, sum of n_categories)
        One-hot encoded rows, with one entry in each field.
    y : ndarray of shape (n_samples,)
        Classes 0 .. n_classes - 1 as int64, or float64 targets.
    truth : InteractionTruth
        The planted weights and factors. Returned only if ``return_truth`` is True.

    Raises
    ------
    ValueError
        If the length of n_categories is not n_fields, or there are fewer fields than an
        interaction needs.

    Examples
    --------
    >>> from skfm.datasets import make_interactions
    >>> X, y, truth = make_interactions(
    ...     100, n_fields=3, n_categories=5, return_truth=True, random_state=0
    ... )
    >>> X.shape, truth.fields.tolist()
    ((100, 15), [0, 0, 0, 0, 0, 1, 1, 1, 1, 1, 2, 2, 2, 2, 2])
    """
    sizes = _sizes(n_categories, n_fields)
    order = 3 if kind == "three_way" else 2
    if n_fields < order:
        raise ValueError(f"kind={kind!r} needs n_fields >= {order}; got {n_fields}.")
    rng = check_random_state(random_state)
    n_outputs = n_classes if task == "classification" and n_classes > 2 else 1
    plan = _Plan(sizes, zipf, rng)
    truth = InteractionTruth(
        kind,
        plan.fields,
        plan.probabilities,
        plan.linear(n_outputs, linear_scale),
        *plan.interactions(kind, order, n_groups, (n_outputs, rank), interaction_scale),
        noise,
    )
    X = plan.sample(n_samples, dtype)
    scores = truth.decision_function(X)
    draw = _regress if task == "regression" else _classify
    y = draw(scores, noise, rng)
    return (X, y, truth) if return_truth else (X, y)


def _sizes(n_categories: ArrayLike, n_fields: int) -> np.ndarray:
    given = np.asarray(n_categories)
    if given.dtype.kind not in "iu" or given.ndim > 1 or (given < 1).any():
        raise ValueError("n_categories must be a positive integer, or one per field.")
    if given.ndim and len(given) != n_fields:
        raise ValueError(
            f"n_categories has {len(given)} elements, but n_fields={n_fields}: pass "
            "one number for each field."
        )
    return np.broadcast_to(given, n_fields).astype(np.intp)


class _Plan:
    """Plan of a data set, which draws weights and factors, and then rows."""

    def __init__(self, sizes: np.ndarray, zipf: float, rng: Any) -> None:
        self.rng = rng
        self.starts = np.cumsum(sizes) - sizes
        self.fields = np.repeat(np.arange(len(sizes), dtype=np.int32), sizes)
        weights = (
            np.arange(len(self.fields)) - self.starts[self.fields] + 1.0
        ) ** -zipf
        self.probabilities = weights / np.bincount(self.fields, weights)[self.fields]

    def _centred(self, *shape: int) -> np.ndarray:
        """Draw normal parameters of each column, with mean zero in each field."""
        drawn = self.rng.normal(size=(len(self.fields), *shape))
        return drawn - self._mean(drawn)[self.fields]

    def _mean(self, values: np.ndarray) -> np.ndarray:
        weights = self.probabilities.reshape(-1, *[1] * (values.ndim - 1))
        return np.add.reduceat(weights * values, self.starts, axis=0)

    def linear(self, n_outputs: int, scale: float) -> np.ndarray:
        """Draw linear weights whose part of the scores has the deviation ``scale``."""
        weights = self._centred(n_outputs)
        return weights * _to_scale(self._mean(weights**2).sum(axis=0), scale)

    def interactions(
        self,
        kind: str,
        order: int,
        n_groups: int,
        shape: tuple[int, int],
        scale: float,
    ) -> tuple[np.ndarray, np.ndarray]:
        """Draw factors whose part of the scores has a given deviation, and groups."""
        groups = np.array([*combinations(range(len(self.starts)), order)])
        if kind != "fm":
            chosen = self.rng.permutation(len(groups))[:n_groups]
            groups = groups[np.sort(chosen)]
        n_sets = 1 if kind == "fm" else len(groups)
        factors = np.stack([self._centred(*shape) for _ in range(n_sets)])
        if kind != "fm":
            for one, group in zip(factors, groups, strict=True):
                one[~np.isin(self.fields, group)] = 0.0
        factors *= _to_scale(self._variance(factors, groups), scale, order)[:, None]
        return factors, groups

    def _variance(self, factors: np.ndarray, groups: np.ndarray) -> np.ndarray:
        """Return the variance of the interactions over all rows.

        Centred products of different groups are uncorrelated. The variance of one group
        is Σ_rs Π_f C_f[r, s], where C_f are the second moments of the factors of field
        f.
        """
        total = np.zeros(factors.shape[2])
        shared = len(factors) == 1
        for number in range(len(factors)):
            one = factors[number]
            moments = self._mean(one[..., :, None] * one[..., None, :])
            for group in groups if shared else groups[number : number + 1]:
                total += moments[group].prod(axis=0).sum(axis=(1, 2))
        return total

    def sample(self, n_samples: int, dtype: DTypeLike) -> sp.csr_matrix:
        """Draw one-hot encoded rows."""
        n_fields = len(self.starts)
        indices = np.empty((n_samples, n_fields), dtype=np.int32)
        ends = np.append(self.starts[1:], len(self.fields))
        for j, (start, end) in enumerate(zip(self.starts, ends, strict=True)):
            steps = np.cumsum(self.probabilities[start:end])[:-1]
            drawn = self.rng.uniform(size=n_samples)
            indices[:, j] = start + np.searchsorted(steps, drawn, side="right")
        wide = indices.size > np.iinfo(np.int32).max
        indptr = np.arange(0, indices.size + 1, n_fields, dtype="i8" if wide else "i4")
        parts = np.ones(indices.size, dtype=dtype), indices.reshape(-1), indptr
        return sp.csr_matrix(parts, shape=(n_samples, len(self.fields)))


def _to_scale(variance: np.ndarray, scale: float, order: int = 1) -> np.ndarray:
    """Return the multiplier of the factors; 0 if all fields have only one category."""
    known = variance > 0
    return np.where(known, scale / np.sqrt(np.where(known, variance, 1)), 0) ** (
        1 / order
    )


def _regress(scores: np.ndarray, noise: float, rng: Any) -> np.ndarray:
    return scores + noise * rng.normal(size=scores.shape)


def _classify(scores: np.ndarray, noise: float, rng: Any) -> np.ndarray:
    if scores.ndim == 1:
        # The difference of two Gumbel variables is logistic.
        return (scores + noise * rng.logistic(size=scores.shape) > 0).astype(np.int64)
    return (scores + noise * rng.gumbel(size=scores.shape)).argmax(axis=1)
