"""Total interactions of any architecture, from mixed differences of drawn rows."""

from __future__ import annotations

from itertools import combinations

import numpy as np

from ..estimators.draws import Draws, MatrixDraws, TableDraws
from ..estimators.importances import score_drawn
from .reading import Model

#: Number of rows that are scored for all pairs, and its bounds for a single pair.
_N_SCORED, _MOST, _FEWEST = 400_000, 4000, 200


def total_interactions(model: Model) -> tuple[np.ndarray, list[str]]:
    """Estimate the total interaction of any two variables of a model.

    With f the raw score, and x and x' two rows drawn such that variables are
    independent, the total interaction of i and j is ::

        E[(f(x) - f(x'_i, x_-i) - f(x'_j, x_-j) + f(x'_ij, x_-ij))^2] / 4,

    the variance of all joint effects of i and j, alone or with further variables (Liu
    and Owen, 2006). Always the same rows are drawn.

    Parameters
    ----------
    model : Model
        Model to inspect.

    Returns
    -------
    variance : ndarray of shape (n_variables, n_variables, n_outputs)
        Total interactions, symmetric with a zero diagonal.
    names : list of str
        Names of the variables: columns of a table, or fields of a matrix.

    Raises
    ------
    ValueError
        If there are too many pairs to draw enough rows for each.
    FieldInferenceError
        If the model was fitted on a matrix and its fields cannot be determined.
    """
    names = _names(model)
    pairs = list(combinations(range(len(names)), 2))
    n_rows = min(_MOST, _N_SCORED // max(1, len(pairs)))
    if n_rows < _FEWEST:
        raise ValueError(
            f'kind="total" is for at most {_N_SCORED // _FEWEST} pairs, but '
            f"{len(names)} variables have {len(pairs)}: fit on fewer columns."
        )
    draws = _draws(model, n_rows)

    def score(*exchanged: int) -> np.ndarray:
        return score_drawn(model.estimator, draws.mixed(exchanged))

    single = [score(number) for number in range(len(names))]
    base = score()
    variance = np.zeros((len(names), len(names), base.shape[1]))
    for i, j in pairs:
        mixed = base - single[i] - single[j] + score(i, j)
        variance[i, j] = variance[j, i] = np.square(mixed).mean(axis=0) / 4
    return variance, names


def _names(model: Model) -> list[str]:
    codec = model.estimator._codec
    if codec is not None:
        return [str(name) for name in codec.names]
    return list(map(str, model.fields()[1]))


def _draws(model: Model, n_rows: int) -> Draws:
    statistics, codec = model.estimator._column_statistics, model.estimator._codec
    if codec is not None:
        return TableDraws(codec, statistics, n_rows)
    return MatrixDraws(statistics, np.asarray(model.fields()[0]), n_rows)
