"""Strength of the interactions of pairs of fields or features."""

from __future__ import annotations

from numbers import Real
from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from .._sklearn import Interval, StrOptions, validate_params
from ..data.drawing import draw_rows
from ..data.rows import Rows
from ..fields import FieldInferenceError
from ..nn.pairwise import PairwiseNetwork
from ..runtime.threads import torch_threads
from .independence import IndependentFields
from .intervals import SampledModel, bounds
from .of_weights import measure, strength_of_weights
from .reading import Model, batches, to_float64
from .total import total_interactions

#: Largest number of features for which a matrix of all pairs is made by default.
_MAX_FEATURES = 2000
#: Number of rows to draw if the term of a pair depends on the rest of its row.
_N_DRAWN = 5000


@validate_params(
    {
        "estimator": "no_validation",
        "X": "no_validation",
        "by": [StrOptions({"field", "feature"})],
        "features": ["array-like", None],
        "kind": [StrOptions({"auto", "total", "variance", "weights"})],
        "credible_interval": [Interval(Real, 0, 1, closed="neither"), None],
    },
    prefer_skip_nested_validation=True,
)
def interaction_strength(
    estimator: Any,
    X: Any = None,
    *,
    by: str = "field",
    features: Any = None,
    kind: str = "auto",
    credible_interval: float | None = None,
) -> pd.DataFrame:
    """Compute the strength of the interaction of each pair of fields or features.

    For an FM, FwFM, FFM or AFM, the strength is the variance of the pair's term in the
    raw score, in squared units of y for regressors, averaged over several outputs.

    - With X, the variance is taken over the rows of X, with the joint frequencies of
      categories that they have.
    - Without X, it is taken over rows in which the fields are independent of each
      other. Their frequencies, means and variances are those of the training rows,
      which the model has kept. Rows of weight zero and rows held out by early stopping
      do not count. Rows of earlier fits that this one continued, and rows of
      ``init_from``, do. The columns of a field with at most one entry per row on
      average are assumed to exclude each other. The columns of other fields, and of a
      model without fields, are assumed to be independent. Under these assumptions, the
      result is exact for FM, FwFM and FFM. For AFM, whose attention depends on the
      whole row, it is the variance over 5,000 rows that are drawn in this way, always
      the same ones. Values other than one are drawn from normal distributions.

    A number or a date of a table is one field here. Without X, the parts that encode it
    (value, bins, ids) are also assumed to be independent. This understates its
    interactions in comparison with those of categories: pass X to compare them.

    With ``kind="total"``, the default for all other architectures, it is the variance
    of all joint effects of two columns of the table (of two fields of a matrix) on the
    raw score, alone or with further columns (Liu and Owen, 2006). It is estimated from
    rows that are drawn with independent columns, always the same ones.

    For a DCN with ``cross="matrix"``, the strength is a property of the weights: the
    Frobenius norm of the block of the pair in the matrix of the first cross layer (Wang
    et al., WWW 2021, section 7). For an FwFM with ``kind="weights"``, it is the
    absolute value of the weight r of the pair of fields. Both ignore the length of the
    embeddings and the frequency of the columns.

    Parameters
    ----------
    estimator : estimator
        Fitted estimator, or a pipeline or search that ends in one.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features), \
            default=None
        Rows, as the ``predict`` method of ``estimator`` accepts them.
    by : {"field", "feature"}, default="field"
        Rows and columns of the result: the fields or the columns of the model. Without
        X, a model that was fitted without fields is shown by feature.
    features : array-like of str, default=None
        Names of the columns to use with ``by="feature"``. None means all columns, of
        which there may be 2,000 or, for an interval from S samples, 2,000 / sqrt(S).
    kind : {"auto", "total", "variance", "weights"}, default="auto"
        Measure of the strength. "auto" is "variance" for FM, FwFM, FFM and AFM,
        "weights" for a DCN with ``cross="matrix"``, and "total" for all other models.
    credible_interval : float, default=None
        Probability that a variance lies between "lower" and "upper", under the
        posterior of a fit by ``solver="bayes"``. None computes the strength of the
        posterior mean of the score alone.

    Returns
    -------
    DataFrame
        Matrix of strengths. It is symmetric except for a DCN, where a row is the field
        whose embedding is multiplied, and a column the field that it is multiplied
        with. The diagonal holds the pairs within a field, and is 0 if the field has one
        entry per row.

        With ``credible_interval``, the columns have two levels. The first is "mean",
        "lower" and "upper": the mean and the quantiles of the strength over the samples
        of the posterior. Strengths are positive, even those of pairs about which the
        data say nothing. The mean is larger than the strength of the posterior mean of
        the score, in which much of this noise averages out.

    Raises
    ------
    TypeError
        If the model has no pair terms, or no weights of pairs, and ``kind`` asks for
        them.
    ValueError
        If there are too many features or pairs, or no column of a name; with X, if
        ``kind`` is "weights" or "total"; without X, if the model comes from a file that
        holds no frequencies; if ``credible_interval`` is given and the fit was not
        Bayesian, or ``kind`` is not "variance".
    FieldInferenceError
        If the fields cannot be determined.

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import FMRegressor
    >>> from skfm.inspection import interaction_strength
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = FMRegressor(random_state=0).fit(X, X[:, 0] + 3 * X[:, 1] * X[:, 2])
    >>> interaction_strength(model, X).stack().idxmax()
    ('x1', 'x2')
    >>> interaction_strength(model).stack().idxmax()
    ('x1', 'x2')
    """
    model = Model.of(estimator)
    kind = measure(model.network, kind)
    if kind != "variance":
        _refuse(kind, X, by, credible_interval)
        return strength_of_weights(model) if kind == "weights" else _total(model)
    if credible_interval is not None:
        model = SampledModel.of_model(model)
    network = model.network
    if not isinstance(network, PairwiseNetwork):
        raise TypeError(
            f"{type(model.estimator).__name__} has no pair terms, whose variance "
            f'kind={kind!r} is: take kind="total", or fit an FM, FwFM, FFM or AFM.'
        )
    with torch_threads(1), torch.no_grad():
        if X is None:
            groups, variance = _of_training(model, network, by, features)
        else:
            rows = model.rows(X)
            groups = (
                _features(model, features) if by == "feature" else _fields(model, rows)
            )
            variance = _variance(network, rows, groups)  # (G, G, C)
    scaled = (variance * model.scale**2).reshape(-1, model.n_samples, model.n_outputs)
    return _to_frame(scaled.mean(axis=2, keepdims=True), groups, credible_interval)


def _to_frame(
    strength: np.ndarray, groups: _Groups, credible_interval: float | None
) -> pd.DataFrame:
    """Make the matrix of strengths (G G, S, 1), or of means and bounds over samples."""

    def matrix(values: np.ndarray) -> pd.DataFrame:
        square = values.reshape(len(groups.names), -1)
        return pd.DataFrame(square, groups.names, groups.names)

    mean = matrix(strength.mean(axis=1))
    if credible_interval is None:
        return mean
    lower, upper = map(matrix, bounds(strength, credible_interval))
    return pd.concat({"mean": mean, "lower": lower, "upper": upper}, axis=1)


def _refuse(kind: str, X: Any, by: str, credible_interval: float | None) -> None:
    """Raise an error for arguments that only the variance of pair terms reads."""
    if X is not None:
        raise ValueError(
            f"kind={kind!r}, which was asked for or is this model's default, reads no "
            "rows: call interaction_strength without X."
        )
    if by == "feature":
        raise ValueError(
            f'by="feature" needs kind="variance": {kind!r} is per pair of fields.'
        )
    if credible_interval is not None:
        raise ValueError(
            f'credible_interval needs kind="variance": {kind!r} has no samples.'
        )


def _total(model: Model) -> pd.DataFrame:
    variance, names = total_interactions(model)
    mean = (variance * model.scale**2).mean(axis=2)
    return pd.DataFrame(mean, names, names)


class _Groups(NamedTuple):
    """Group of each column, -1 if it has none, and the names of the groups."""

    numbers: np.ndarray
    names: list[str]


def _fields(model: Model, rows: Rows | None) -> _Groups:
    fields, names = model.variables(rows)
    return _Groups(np.asarray(fields, np.int64), list(names))


def _features(model: Model, features: Any) -> _Groups:
    terms, names = model.terms()
    if features is None:
        most = int(_MAX_FEATURES / model.n_samples**0.5)
        if len(terms) > most:
            raise ValueError(
                f"A matrix of all pairs of {len(terms)} features is too large: name at "
                f'most {most} of them by features= with by="feature", or use fields: '
                "pass X, or fields= to the estimator."
            )
        return _Groups(terms, list(names))
    wanted = [str(feature) for feature in features]
    places = {str(name): number for number, name in enumerate(names)}
    for name in wanted:
        if name not in places:
            raise ValueError(
                f"features has {name!r}, but the model has no column of that name; its "
                f"columns are {', '.join(map(str, names[:5]))}, ..."
            )
    numbers = np.full(len(names), -1)
    numbers[[places[name] for name in wanted]] = np.arange(len(wanted))
    return _Groups(numbers[terms], wanted)


def _of_training(
    model: Model, network: PairwiseNetwork, by: str, features: Any
) -> tuple[_Groups, np.ndarray]:
    """Return groups, and the variance of their pair terms under independence."""
    statistics = model.estimator._column_statistics
    if not statistics.n_rows:
        raise ValueError(
            f"This {type(model.estimator).__name__} comes from a file without the "
            "frequencies of the training rows: pass X, or fit the estimator again."
        )
    fields = _known_fields(model, network)
    by_feature = by == "feature" or fields is None
    groups = _features(model, features) if by_feature else _fields(model, None)
    if network.pair_weights(0, 0) is None:
        drawn = draw_rows(statistics, fields, _N_DRAWN, seed=0)
        return groups, _variance(network, Rows(drawn, network.shape.dtype), groups)
    independent = IndependentFields(network, statistics, fields)
    if not by_feature:
        _, first = np.unique(fields, return_index=True)
        return groups, _add_up(independent.of_fields(), groups.numbers[first])
    wanted = np.flatnonzero(groups.numbers >= 0)
    found = independent.of_columns(wanted)
    return groups, _add_up(found, groups.numbers[wanted])


def _add_up(variance: np.ndarray, groups: np.ndarray) -> np.ndarray:
    """Add variances (F, F, C) of pairs of parts up by the groups of the parts."""
    member = np.eye(groups.max() + 1)[groups]  # (F, G)
    total = np.einsum("fg,fec,eh->ghc", member, variance, member, optimize=True)
    # The pairs within a group are on both sides of the diagonal.
    own = np.einsum("fg,ffc->gc", member, variance)
    diagonal = np.einsum("ggc->gc", total)
    diagonal[:] = (diagonal + own) / 2
    return total


def _known_fields(model: Model, network: PairwiseNetwork) -> Any:
    """Return the field of each column, or None if they are unknown and not needed."""
    try:
        fields, _ = model.fields()
    except FieldInferenceError:
        if network.pair_weights(0, 0) is None:
            raise
        return None
    return np.asarray(fields, np.int64)


def _variance(network: PairwiseNetwork, rows: Rows, groups: _Groups) -> np.ndarray:
    """Compute the variance over rows of the pair terms of two groups, (G, G, C)."""
    size, n_outputs = len(groups.names), network.shape.n_outputs
    total = np.zeros((n_outputs, size * size))
    squares = np.zeros((n_outputs, size * size))
    longest = rows.longest()
    pairs = longest * (longest - 1) // 2
    for _, batch in batches(network, rows, pairs * network.table.width):
        entries = network.entries(batch)
        terms = to_float64(network.pair_terms(entries))  # (B, P, C)
        first, second = (groups.numbers[entries.columns[:, i]] for i in entries.pairs())
        low, high = np.minimum(first, second), np.maximum(first, second)
        present = (low >= 0) & (terms != 0).any(axis=2)
        row = np.nonzero(present)[0]
        cell = low[present] * size + high[present]
        # The pairs of the same two groups in a row make one term.
        keys, place = np.unique(row * size * size + cell, return_inverse=True)
        for output in range(n_outputs):
            sums = np.bincount(place, terms[present][:, output], len(keys))
            where = keys % (size * size)
            total[output] += np.bincount(where, sums, size * size)
            squares[output] += np.bincount(where, sums**2, size * size)
    variance = np.maximum(squares / len(rows) - (total / len(rows)) ** 2, 0)
    matrix = variance.reshape(n_outputs, size, size).transpose(1, 2, 0)
    upper = np.triu(np.ones((size, size), dtype=bool))[..., None]
    return np.where(upper, matrix, matrix.transpose(1, 0, 2))
