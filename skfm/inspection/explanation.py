"""Additive decomposition of raw scores."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral, Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch
from sklearn.exceptions import ConvergenceWarning

from .._sklearn import Interval, validate_params
from ..data.batch import Batch
from ..nn.network import Network
from ..nn.pairwise import PairwiseNetwork
from ..runtime.threads import torch_threads
from ..runtime.warnings import warn
from .gradients import TOLERANCE, integrated_gradients
from .intervals import SampledModel, bounds, by_sample
from .reading import Model, batches, rows_of_entries, to_float64

_KINDS = np.array(
    ["bias", "linear", "pair", "other pairs", "embedding", "residual"], dtype=object
)
_BIAS, _LINEAR, _PAIR, _OTHER, _EMBEDDING, _RESIDUAL = range(len(_KINDS))


class _Terms(NamedTuple):
    """Terms of one kind: N of them, each with a contribution to C raw scores."""

    kind: int
    rows: np.ndarray
    contributions: np.ndarray
    first: np.ndarray | None = None
    second: np.ndarray | None = None


@validate_params(
    {
        "estimator": "no_validation",
        "X": "no_validation",
        "max_pairs": [Interval(Integral, 0, None, closed="left"), None],
        "n_points": [Interval(Integral, 1, None, closed="left")],
        "credible_interval": [Interval(Real, 0, 1, closed="neither"), None],
    },
    prefer_skip_nested_validation=True,
)
def explain(
    estimator: Any,
    X: Any,
    *,
    max_pairs: int | None = 20,
    n_points: int = 100,
    credible_interval: float | None = None,
) -> pd.DataFrame:
    """Decompose the raw score of each row into a sum of terms.

    The contributions of a row add up to ``decision_function``, or to ``predict`` of a
    regressor or ranker, up to rounding in the model's dtype. If the loss has a log
    link, as "poisson" and "gamma" have, they add up to the logarithm of ``predict``.
    Those of a classifier that was fitted by ``solver="bayes"`` add up to the posterior
    mean of the score, ``posterior_scores(X).mean(axis=1)``. Its predictions are means
    of probabilities, which are nearer to one half than the probability at that score.

    - For FM, FwFM, FFM and AFM, the decomposition is exact: the bias, a term for each
      entry of the row, and a term for each pair of entries. The term of a pair of an
      AFM includes its attention, which depends on the other pairs of the row.
    - For all other models, the linear terms are exact, if there are any. The remaining
      interaction is distributed over the entries by integrated gradients along the
      line from embeddings of zero (Sundararajan et al., ICML 2017). These terms have
      the kind "embedding". The interaction at zero is part of the bias, and the error
      of the quadrature is the term "residual".

    A number of a table is encoded by its value and by bins (see `FieldEncoder`). These
    entries count as one here, with the name of the column of the table. The pairs
    between them are part of its linear term.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator, or a pipeline or search that ends in one.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        Rows, as the ``predict`` method of ``estimator`` accepts them.
    max_pairs : int or None, default=20
        Number of the largest pairs of each row to return, over all outputs. The sum of
        the others is the term "other pairs". None means all pairs.
    n_points : int, default=100
        Number of points of the quadrature of integrated gradients. The time is
        proportional to it.
    credible_interval : float, default=None
        Probability that a contribution lies between "lower" and "upper", under the
        posterior of a fit by ``solver="bayes"``. None leaves these columns out.

    Returns
    -------
    DataFrame
        One row for each term, in the order of X and with the largest pairs first. The
        columns are:

        - row: number of the row of X;
        - output: class or number of the output, if there are several;
        - kind: "bias", "linear", "pair", "other pairs", "embedding" or "residual";
        - first, second: names of the columns, or "" if the term has none;
        - contribution: contribution to the log odds or to the score of the class. For
          regressors, it is in units of y or, with a log link, of the logarithm of y.
          After a Bayesian fit, it is the posterior mean.
        - lower, upper: quantiles of the contribution over the samples of the posterior,
          with equal probabilities below "lower" and above "upper". The bounds of
          several terms do not add up to those of their sum.

    Raises
    ------
    TypeError
        If ``estimator`` is not an estimator of skfm.
    NotFittedError
        If ``estimator`` is not fitted.
    ValueError
        If ``credible_interval`` is given and the fit was not Bayesian, or a term is not
        a finite number.

    Warns
    -----
    ConvergenceWarning
        If the residual of a row is larger than 1 % of its interaction and than 0.01
        (for regressors: 1 % of the standard deviation of y).

    References
    ----------
    M. Sundararajan, A. Taly and Q. Yan, "Axiomatic Attribution for Deep Networks",
    ICML 2017, arXiv:1703.01365.

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import FMRegressor
    >>> from skfm.inspection import explain
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = FMRegressor(random_state=0).fit(X, X[:, 0] + 3 * X[:, 1] * X[:, 2])
    >>> terms = explain(model, X[:1])
    >>> terms.shape
    (7, 5)
    >>> terms[terms.kind == "pair"].iloc[0][["first", "second"]].tolist()
    ['x1', 'x2']
    >>> bool(np.isclose(terms.contribution.sum(), model.predict(X[:1])[0]))
    True
    """
    model = Model.of(estimator)
    if credible_interval is not None:
        model = SampledModel.of_model(model)
    with torch_threads(1):
        terms = list(_terms(model, X, max_pairs, n_points))
    _check_finite(terms)
    return _to_frame(terms, model, credible_interval)


def _terms(
    model: Model, X: Any, max_pairs: int | None, n_points: int
) -> Iterator[_Terms]:
    network, rows = model.network, model.rows(X)
    longest = rows.longest()
    pairs = longest * (longest - 1) // 2
    held = max(longest, pairs if isinstance(network, PairwiseNetwork) else 0)
    n_incomplete, (units, _) = 0, model.terms()
    for start, batch in batches(network, rows, held * network.table.width):
        linear = _linear(network, batch, units)
        if isinstance(network, PairwiseNetwork):
            within, between = _pairs(network, batch, units)
            parts = _largest(between, max_pairs, model.n_samples)
            constant, linear = np.zeros(1), _add(linear, within)
        else:
            constant, parts, n = _shares(network, batch, units, n_points)
            n_incomplete += n
        numbers = np.arange(len(batch))
        bias = np.broadcast_to(constant, (len(batch), network.shape.n_outputs))
        yield _Terms(_BIAS, start + numbers, model.bias + bias * model.scale)
        for part in (linear, *parts):
            scaled = part.contributions * model.scale
            yield part._replace(rows=start + part.rows, contributions=scaled)
    if n_incomplete:
        warn(
            f"The terms of {n_incomplete} rows lack more than {TOLERANCE:.0%} of the "
            'interaction: see the terms "residual", or raise '
            f"n_points (={n_points}).",
            ConvergenceWarning,
        )


def _check_finite(terms: list[_Terms]) -> None:
    for part in terms:
        finite = np.isfinite(part.contributions).all(axis=1)
        if not finite.all():
            raise ValueError(
                f"A term of row {part.rows[np.argmin(finite)]} is not a finite number: "
                "X contains numbers too large for the dtype of the model. Scale them."
            )


def _linear(network: Network, batch: Batch, units: np.ndarray) -> _Terms:
    """Compute w_i x_i of each entry, if the model has a linear part."""
    rows, n_outputs = rows_of_entries(batch), network.shape.n_outputs
    if not network.has_linear:
        return _Terms(_LINEAR, rows[:0], np.empty((0, n_outputs)), rows[:0])
    linear = network.table.entries(batch)[:, : network.table.n_linear]
    # The weights of samples, or of members, lie side by side.
    each = linear.view(len(rows), linear.shape[1] // n_outputs, n_outputs)
    return _sums(_LINEAR, rows, to_float64(each.mean(dim=1)), units[batch.columns])


def _shares(
    network: Network, batch: Batch, units: np.ndarray, n_points: int
) -> tuple[np.ndarray, list[_Terms], int]:
    """Compute constant and terms of the interaction, and count incomplete rows."""
    shared = integrated_gradients(network, batch, n_points)
    rows = rows_of_entries(batch)
    terms = [
        _sums(_EMBEDDING, rows, shared.entries, units[batch.columns]),
        _Terms(_RESIDUAL, np.arange(len(batch)), shared.residual),
    ]
    return shared.constant, terms, int(np.count_nonzero(~shared.complete))


def _pairs(
    network: PairwiseNetwork, batch: Batch, units: np.ndarray
) -> tuple[_Terms, _Terms]:
    """Compute the sums of pairs within units, and the pairs between units."""
    entries = network.entries(batch)
    with torch.no_grad():
        terms = to_float64(network.pair_terms(entries))  # (B, P, C)
    one, other = entries.pairs()
    rows, pairs = np.nonzero(other < np.diff(batch.indptr)[:, None])
    first = units[entries.columns[rows, one[pairs]]]
    second = units[entries.columns[rows, other[pairs]]]
    contributions, own = terms[rows, pairs], first == second
    within = _sums(_LINEAR, rows[own], contributions[own], first[own])
    between = _sums(_PAIR, rows[~own], contributions[~own], first[~own], second[~own])
    return within, between


def _largest(pairs: _Terms, max_pairs: int | None, n_samples: int) -> list[_Terms]:
    """Return the largest pairs of each row, and the sum of the others, if any."""
    if max_pairs is None or not len(pairs.rows):
        return [pairs]
    means = by_sample(pairs.contributions, n_samples).mean(axis=1)
    size = np.abs(means).max(axis=1)
    order = np.lexsort((-size, pairs.rows))
    rows = pairs.rows[order]
    rank = np.arange(len(rows)) - np.searchsorted(rows, rows)
    kept, rest = order[rank < max_pairs], order[rank >= max_pairs]
    largest = _sums(_PAIR, *(np.asarray(values)[kept] for values in pairs[1:]))
    if not len(rest):
        return [largest]
    return [largest, _sums(_OTHER, pairs.rows[rest], pairs.contributions[rest])]


def _add(one: _Terms, other: _Terms) -> _Terms:
    """Add the terms of two sets of entries of the same kind, entry by entry."""
    pairs = zip(one[1:4], other[1:4], strict=True)
    return _sums(one.kind, *(np.concatenate([*map(np.asarray, two)]) for two in pairs))


def _sums(
    kind: int,
    rows: np.ndarray,
    contributions: np.ndarray,
    first: np.ndarray | None = None,
    second: np.ndarray | None = None,
) -> _Terms:
    """Add up the terms of a kind that have the same row and units."""
    units = [unit for unit in (first, second) if unit is not None]
    if len(units) == 2:
        units = [np.minimum(*units), np.maximum(*units)]
    order = np.lexsort((*reversed(units), rows))
    keys = np.stack([rows, *units])[:, order]
    changes = (np.diff(keys) != 0).any(axis=0)
    starts = np.flatnonzero(np.append(True, changes)[: len(order)])
    added = contributions[:0]
    if len(starts):
        added = np.add.reduceat(contributions[order], starts, axis=0)
    return _Terms(kind, keys[0, starts], added, *keys[1:, starts])


def _to_frame(
    terms: list[_Terms], model: Model, credible_interval: float | None
) -> pd.DataFrame:
    """Build a frame with a row for each term, in order."""
    rows = np.concatenate([part.rows for part in terms])
    kinds = np.repeat([part.kind for part in terms], [len(p.rows) for p in terms])
    drawn = np.concatenate([part.contributions for part in terms])
    drawn = by_sample(drawn, model.n_samples)
    values = {"contribution": drawn.mean(axis=1)}
    if credible_interval is not None:
        values["lower"], values["upper"] = bounds(drawn, credible_interval)
    names = np.append(model.terms()[1].astype(object), "")  # -1: no name
    columns = {
        "row": rows,
        "kind": _KINDS[kinds],
        "first": names[np.concatenate([_columns(p.first, p) for p in terms])],
        "second": names[np.concatenate([_columns(p.second, p) for p in terms])],
    }
    outputs = model.output_names()
    frames = []
    for number, output in enumerate(outputs):
        own = {name: array[:, number] for name, array in values.items()}
        frame = pd.DataFrame({**columns, **own})
        # Pairs by size; entries stay as they stand in the row.
        size = np.where(kinds == _PAIR, -np.abs(own["contribution"]), 0)
        frame.insert(1, "output", [output] * len(frame))
        frames.append(frame.iloc[np.lexsort((size, kinds, rows))])
    together = pd.concat(frames).sort_values("row", kind="stable", ignore_index=True)
    return together.drop(columns="output") if len(outputs) == 1 else together


def _columns(chosen: np.ndarray | None, terms: _Terms) -> np.ndarray:
    return np.full(len(terms.rows), -1) if chosen is None else chosen
