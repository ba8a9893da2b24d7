"""How much the interactions of pairs of fields, or of features, matter."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
import pandas as pd
import torch

from .._params import StrOptions, validate_params
from ..batches import Rows
from ..layers import MatrixCross
from ..models.dcn import DCNNetwork
from ..models.fwfm import FwFMNetwork
from ..pairwise import PairwiseNetwork
from ..threads import torch_threads
from .reading import Model, batches, to_float64

#: Features of which a matrix of all pairs is made without being asked for.
_MAX_FEATURES = 2000


@validate_params(
    {
        "estimator": "no_validation",
        "X": "no_validation",
        "by": [StrOptions({"field", "feature"})],
        "features": ["array-like", None],
    },
    prefer_skip_nested_validation=True,
)
def interaction_strength(
    estimator: Any, X: Any = None, *, by: str = "field", features: Any = None
) -> pd.DataFrame:
    """Strength of the interaction of each pair of fields, or of features.

    With X, of an FM, FwFM, FFM or AFM: the variance over the rows of X of what a pair
    adds to the raw score; for regressors in squared units of y, for several outputs the
    mean over them. Pass the training rows, or a sample of them: a fitted model keeps
    none, and what a pair amounts to depends on how often its categories occur together.

    Without X, what the weights alone say: of an FwFM the absolute value of the weight
    r of each pair of fields; of a DCN with ``cross="matrix"`` the Frobenius norm of
    each pair's block in the matrix of the first cross layer (Wang et al., WWW 2021,
    section 7). Both leave out how long the embeddings are and how often they occur.

    Parameters
    ----------
    estimator : estimator
        Fitted; or a pipeline or search with one at its end.
    X : {array-like, sparse matrix, DataFrame} of shape (n_samples, n_features), \
            default=None
        What ``estimator`` takes.
    by : {"field", "feature"}, default="field"
        Whether rows and columns of the result are fields or columns of the model. By
        feature needs X.
    features : array-like of str, default=None
        With ``by="feature"``, names of the columns to take. None: all, up to 2,000.

    Returns
    -------
    DataFrame
        Symmetric, but for a DCN: there a row is the field whose embedding is multiplied
        and a column the field that it is multiplied with. The diagonal is what pairs
        within a field add, which is 0 where a field has one entry a row.

    Raises
    ------
    TypeError
        If the model has no pair terms, or none without X.
    ValueError
        If there are too many features, or no column of a name.
    FieldInferenceError
        If nothing tells the fields.

    Examples
    --------
    >>> import numpy as np
    >>> from skfm import FMRegressor
    >>> from skfm.inspection import interaction_strength
    >>> X = np.random.default_rng(0).normal(size=(200, 3))
    >>> model = FMRegressor(random_state=0).fit(X, X[:, 0] + 3 * X[:, 1] * X[:, 2])
    >>> strength = interaction_strength(model, X)
    >>> strength.stack().idxmax()
    ('x1', 'x2')
    """
    model = Model.of(estimator)
    if X is None:
        return _of_weights(model, by)
    network = model.network
    if not isinstance(network, PairwiseNetwork):
        raise TypeError(
            f"{type(model.estimator).__name__} is no sum over pairs: with X, "
            "interaction_strength takes FM, FwFM, FFM and AFM estimators."
        )
    rows = model.rows(X)
    groups = _features(model, features) if by == "feature" else _fields(model, rows)
    with torch_threads(1), torch.no_grad():
        variance = _variance(network, rows, groups)  # (G, G, C)
    mean = (variance * model.scale**2).mean(axis=2)
    return pd.DataFrame(mean, groups.names, groups.names)


class _Groups(NamedTuple):
    """Number of each column's group, -1 where it is in none, and the groups' names."""

    numbers: np.ndarray
    names: list[str]


def _fields(model: Model, rows: Rows) -> _Groups:
    fields, names = model.fields(rows)
    return _Groups(np.asarray(fields, np.int64), list(names))


def _features(model: Model, features: Any) -> _Groups:
    names = model.column_names()
    if features is None:
        if len(names) > _MAX_FEATURES:
            raise ValueError(
                f"a matrix of all pairs of {len(names)} features is too large: name "
                f'up to {_MAX_FEATURES} of them in features=, or by="field".'
            )
        return _Groups(np.arange(len(names)), list(names))
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
    return _Groups(numbers, wanted)


def _variance(network: PairwiseNetwork, rows: Rows, groups: _Groups) -> np.ndarray:
    """Variance over the rows of each two groups' pair terms, (G, G, C)."""
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
        # A row's pairs of the same two groups make one term.
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


def _of_weights(model: Model, by: str) -> pd.DataFrame:
    network = model.network
    if by == "feature":
        raise ValueError('by="feature" needs X: weights are of pairs of fields.')
    if isinstance(network, FwFMNetwork):
        matrix = np.abs(to_float64(network.pairs.matrix())).mean(axis=2)
    elif isinstance(network, DCNNetwork) and isinstance(
        layer := next(iter(network.cross.layers), None), MatrixCross
    ):
        k = network.shape.n_factors
        blocks = to_float64(layer.matrix()).reshape(-1, k, network.shape.n_fields, k)
        matrix = np.sqrt(np.square(blocks).sum(axis=(1, 3)))
    else:
        raise TypeError(
            f"the weights of this {type(model.estimator).__name__} alone do not tell "
            "how strong interactions are: pass X to an FM, FwFM, FFM or AFM, or fit an "
            'FwFM, or a DCN with cross="matrix" and without experts.'
        )
    _, names = model.fields()
    return pd.DataFrame(matrix, names, names)
