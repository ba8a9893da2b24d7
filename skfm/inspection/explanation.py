"""Additive decomposition of raw scores."""

from __future__ import annotations

from collections.abc import Iterator
from numbers import Integral
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
    },
    prefer_skip_nested_validation=True,
)
def explain(
    estimator: Any, X: Any, *, max_pairs: int | None = 20, n_points: int = 100
) -> pd.DataFrame:
    """Decompose the raw score of each row into a sum of terms.

    The contributions of a row add up to ``decision_function``, or to ``predict`` of a
    regressor or ranker, to within the rounding of the model's dtype; to the logarithm
    of ``predict`` where the loss has a log link, as "poisson" and "gamma" have.

    - FM, FwFM, FFM and AFM: the bias, a term of each entry of the row, and one of each
      pair of entries, exactly. A pair of an AFM counts with its attention, which
      depends on the other pairs of the row.
    - All others: the linear terms exactly, where the model has some; what remains, the
      interaction, is shared out among the entries by integrated gradients along the
      line from embeddings of zero (Sundararajan et al., ICML 2017). These terms have
      the kind "embedding"; what the interaction is at zero belongs to the bias, and
      the error of the quadrature is the term "residual".

    Parameters
    ----------
    estimator : estimator
        Fitted; or a pipeline or search with one at its end.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features)
        What ``estimator`` takes.
    max_pairs : int or None, default=20
        The largest pairs of each row, over all outputs; the sum of the others is the
        term "other pairs". None: all.
    n_points : int, default=100
        Points of the quadrature behind integrated gradients; its time grows with them.

    Returns
    -------
    DataFrame
        A row for each term, in the order of X and with the largest pairs first:

        - row: number of the row of X;
        - output: class or number of the output, where there are several;
        - kind: "bias", "linear", "pair", "other pairs", "embedding" or "residual";
        - first, second: names of the columns; "" where there is none;
        - contribution: to the log odds or class score; for regressors in units of y
          (of its logarithm, with a log link).

    Raises
    ------
    TypeError
        If ``estimator`` is none of skfm.
    NotFittedError
        If it is not fitted.

    Warns
    -----
    ConvergenceWarning
        If the residual of a row is more than 1 % of its interaction, or of 1 (of a
        standard deviation of y, for regressors), whichever is greater.

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
    with torch_threads(1):
        terms = list(_terms(model, X, max_pairs, n_points))
    return _to_frame(terms, model)


def _terms(
    model: Model, X: Any, max_pairs: int | None, n_points: int
) -> Iterator[_Terms]:
    network, rows = model.network, model.rows(X)
    longest = rows.longest()
    pairs = longest * (longest - 1) // 2
    held = max(longest, pairs if isinstance(network, PairwiseNetwork) else 0)
    n_incomplete = 0
    for start, batch in batches(network, rows, held * network.table.width):
        if isinstance(network, PairwiseNetwork):
            constant, parts = np.zeros(1), _pairs(network, batch, max_pairs)
        else:
            constant, parts, n = _shares(network, batch, n_points)
            n_incomplete += n
        numbers = np.arange(len(batch))
        bias = np.broadcast_to(constant, (len(batch), network.shape.n_outputs))
        yield _Terms(_BIAS, start + numbers, model.bias + bias * model.scale)
        for part in (*_linear(network, batch), *parts):
            scaled = part.contributions * model.scale
            yield part._replace(rows=start + part.rows, contributions=scaled)
    if n_incomplete:
        warn(
            f"The terms of {n_incomplete} rows miss more than {TOLERANCE:.0%} of the "
            'interaction: see the terms "residual", or raise '
            f"n_points (={n_points}).",
            ConvergenceWarning,
        )


def _linear(network: Network, batch: Batch) -> list[_Terms]:
    """w_i x_i of each entry, where the model has a linear part."""
    if not network.has_linear:
        return []
    linear = network.table.entries(batch)[:, : network.table.n_linear]
    contributions = to_float64(linear)
    return [_Terms(_LINEAR, rows_of_entries(batch), contributions, batch.columns)]


def _shares(
    network: Network, batch: Batch, n_points: int
) -> tuple[np.ndarray, list[_Terms], int]:
    """Constant part and terms of the interaction, and rows that are incomplete."""
    shared = integrated_gradients(network, batch, n_points)
    terms = [
        _Terms(_EMBEDDING, rows_of_entries(batch), shared.entries, batch.columns),
        _Terms(_RESIDUAL, np.arange(len(batch)), shared.residual),
    ]
    return shared.constant, terms, int(np.count_nonzero(~shared.complete))


def _pairs(
    network: PairwiseNetwork, batch: Batch, max_pairs: int | None
) -> list[_Terms]:
    """The largest pairs of each row, and the sum of the others."""
    entries = network.entries(batch)
    with torch.no_grad():
        terms = to_float64(network.pair_terms(entries))  # (B, P, C)
    first, second = entries.pairs()
    lengths = np.diff(batch.indptr)
    n_rows, n_pairs, n_outputs = terms.shape
    n_kept = n_pairs if max_pairs is None else min(max_pairs, n_pairs)
    kept = np.broadcast_to(np.arange(n_pairs), (n_rows, n_pairs))
    others = []
    if n_kept < n_pairs:
        size = np.abs(terms).max(axis=2, initial=0)
        size[second >= lengths[:, None]] = -1  # padding comes last
        kept = np.argpartition(-size, n_kept, axis=1)[:, :n_kept]
        left_out = np.flatnonzero(lengths * (lengths - 1) // 2 > n_kept)
        rest = terms.sum(axis=1)
        terms = np.take_along_axis(terms, kept[..., None], axis=1)
        rest -= terms.sum(axis=1)
        others = [_Terms(_OTHER, left_out, rest[left_out])]
    there = second[kept] < lengths[:, None]
    rows = np.nonzero(there)[0]
    pairs = _Terms(
        *(_PAIR, rows, terms[there].reshape(-1, n_outputs)),
        first=entries.columns[rows, first[kept[there]]],
        second=entries.columns[rows, second[kept[there]]],
    )
    return [pairs, *others]


def _to_frame(terms: list[_Terms], model: Model) -> pd.DataFrame:
    """All terms, a row of the frame for each, in order."""
    rows = np.concatenate([part.rows for part in terms])
    kinds = np.repeat([part.kind for part in terms], [len(p.rows) for p in terms])
    contributions = np.concatenate([part.contributions for part in terms])
    names = np.append(model.column_names().astype(object), "")  # -1: no name
    columns = {
        "row": rows,
        "kind": _KINDS[kinds],
        "first": names[np.concatenate([_columns(p.first, p) for p in terms])],
        "second": names[np.concatenate([_columns(p.second, p) for p in terms])],
    }
    outputs = model.output_names()
    frames = []
    for number, output in enumerate(outputs):
        values = contributions[:, number]
        frame = pd.DataFrame({**columns, "contribution": values})
        # Pairs by size; entries stay as they stand in the row.
        size = np.where(kinds == _PAIR, -np.abs(values), 0)
        frame.insert(1, "output", [output] * len(frame))
        frames.append(frame.iloc[np.lexsort((size, kinds, rows))])
    together = pd.concat(frames).sort_values("row", kind="stable", ignore_index=True)
    return together.drop(columns="output") if len(outputs) == 1 else together


def _columns(chosen: np.ndarray | None, terms: _Terms) -> np.ndarray:
    return np.full(len(terms.rows), -1) if chosen is None else chosen
