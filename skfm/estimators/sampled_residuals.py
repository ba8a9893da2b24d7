"""Residuals of short Bayesian fits, by which crosses are judged.

A cross is a field whose numbers are uncertain, which costs a factorization machine more
than it gains where the machine explains the effect by the fields' own factors.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress

import numpy as np
import scipy.sparse as sp

from ..encoding.blocks import Encoded
from ..encoding.crosses.evidence import Residuals, residuals_of
from ..encoding.crosses.levels import Codes, Weight
from ..encoding.crosses.search import Extra, ResidualModel
from ..encoding.layout import assemble
from ..sampling import DivergenceError, Family, HeldOut, Problem, Settings, State

#: Iterations of the one chain, and those that are not averaged.
_N_ITER, _BURN_IN = 60, 20


def sampled_model(
    codes: Sequence[Codes],
    widths: Sequence[int],
    y: np.ndarray,
    *,
    logistic: bool,
    weight: Weight,
    n_factors: int,
    seed: int,
    n_threads: int,
) -> ResidualModel:
    """Return a factorization machine of fields for `CrossSearch.run`.

    Parameters
    ----------
    codes, widths, y, logistic, weight
        As of `skfm.encoding.crosses.additive.additive_model`.
    n_factors, seed, n_threads : int
        See `skfm.sampling.Settings`.
    """
    settings = Settings(
        n_factors,
        n_chains=1,
        max_iter=_N_ITER,
        burn_in=_BURN_IN,
        n_samples=1,
        tol=None,
        seed=seed,
        n_threads=n_threads,
    )
    target, family = _target(y, logistic)

    def residuals(
        train: np.ndarray, test: np.ndarray, extras: Sequence[Extra]
    ) -> Residuals:
        sizes = np.array([*widths, *(extra.width for extra in extras)])
        known = [*(code[train] for code in codes), *(extra.train for extra in extras)]
        new = [*(code[test] for code in codes), *(extra.test for extra in extras)]
        fields = np.repeat(np.arange(len(sizes)), sizes)
        weights = [None if weight is None else weight[rows] for rows in (train, test)]
        problem = Problem(
            _one_hot(known, sizes),
            fields,
            len(sizes),
            target[train],
            weights[0],
            family,
            y.shape[1],
        )
        means = _mean_predictions(
            State(problem, settings), _one_hot(new, sizes), target[test]
        )
        outcomes = y[test] if logistic else target[test]
        return residuals_of(outcomes, means, logistic=logistic, weight=weights[1])

    return residuals


def _mean_predictions(chains: State, rows: sp.csr_matrix, y: np.ndarray) -> np.ndarray:
    """Run chains, and return their mean predictions of other rows, (n_rows, C)."""
    held_out = HeldOut(chains, rows, y, np.ones(len(y)))
    means = np.zeros((len(y), chains.data.problem.n_outputs))
    # The fit that follows names the column whose numbers are not finite.
    with suppress(DivergenceError):
        while chains.iteration < _N_ITER:
            chains.advance()
            if chains.iteration > _BURN_IN:
                means = held_out.mean()
    return means


def _target(y: np.ndarray, logistic: bool) -> tuple[np.ndarray, Family]:
    """Return the target and the family of a `Problem`."""
    if not logistic:
        spread = y.std(axis=0)
        return (y - y.mean(axis=0)) / np.where(spread > 0, spread, 1), "gaussian"
    if y.shape[1] == 1:
        return y[:, 0].astype(np.int64), "logistic"
    return y.argmax(axis=1), "multinomial"


def _one_hot(codes: Sequence[Codes], widths: np.ndarray) -> sp.csr_matrix:
    """Return a matrix with a column for each level of each field."""
    encoded = [Encoded(code) for code in codes]
    return assemble(encoded, widths.tolist(), np.float64, share_ones=True)
