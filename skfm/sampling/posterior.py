"""Samples of the posterior, and their mean predictions."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np
from scipy.special import expit, softmax

from ..runtime.memory import zeros
from ..runtime.threads import parallel_for
from ..sparse.sample_kernels import pool_samples
from .keeping import Keeper
from .problem import Family

#: Columns that are copied, and rows that are averaged, at a time.
_COLUMNS, _ROWS = 1 << 12, 1 << 13


@dataclass(frozen=True)
class Posterior:
    """Samples of factorization machines.

    Nothing is known of a column without training rows but its field: under each sample
    its numbers are drawn from the field's normal distribution. The draws of a column
    have exactly mean zero and variance one over the samples, so that predictions
    average over them at once.

    Attributes
    ----------
    family : str
    factors : ndarray of shape (n_columns, n_samples * n_outputs * k), float32
        Factors of each column: those of the first output under the first sample, those
        of the second output, and so on.
    linear : ndarray of shape (n_columns, n_samples * n_outputs), float32
    intercept : ndarray of shape (n_samples, n_outputs), float32
    noise : ndarray of shape (n_samples, n_outputs), float32
        Standard deviation of the noise of "gaussian"; 1 otherwise.
    chain : ndarray of shape (n_samples,), int32
        Chain of each sample. The samples of a chain are in order.
    """

    family: Family
    factors: np.ndarray
    linear: np.ndarray
    intercept: np.ndarray
    noise: np.ndarray
    chain: np.ndarray

    @property
    def n_samples(self) -> int:
        return int(self.intercept.shape[0])

    @property
    def n_outputs(self) -> int:
        return int(self.intercept.shape[1])

    def scores(self, csr: Any, n_threads: int = 1) -> np.ndarray:
        """Score rows under each sample.

        Parameters
        ----------
        csr : scipy.sparse.csr_matrix or csr_array of shape (n_rows, n_columns)
        n_threads : int, default=1

        Returns
        -------
        ndarray of shape (n_rows, n_samples, n_outputs), float32
        """
        if csr.shape[1] != len(self.linear):
            raise ValueError(
                f"X has {csr.shape[1]} columns, the posterior {len(self.linear)}"
            )
        values = np.asarray(csr.data, np.float32)
        linear, pairs = np.empty((2, csr.shape[0], self.intercept.size), np.float32)
        parallel_for(
            pool_samples,
            len(linear),
            n_threads,
            (self.factors, self.linear),
            csr.indptr,
            csr.indices,
            values,
            linear,
            pairs,
        )
        scores: np.ndarray = (linear + pairs).reshape(-1, *self.intercept.shape)
        return scores + self.intercept

    def mean(self, csr: Any, n_threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation of the predictions over the samples.

        Parameters
        ----------
        csr : scipy.sparse.csr_matrix or csr_array of shape (n_rows, n_columns)
        n_threads : int, default=1

        Returns
        -------
        mean, deviation : ndarray of shape (n_rows, n_outputs)
            Mean and standard deviation of the scores of "gaussian", of the probability
            of class 1 of "logistic", or of the probabilities of all classes of
            "multinomial". They do not include the noise.
        """
        shape = csr.shape[0], self.n_outputs
        mean, deviation = np.empty(shape), np.empty(shape)
        for start in range(0, shape[0], _ROWS):
            rows = slice(start, start + _ROWS)
            scores = self.scores(csr[rows], n_threads).astype(np.float64)
            found = predictions(self.family, scores)
            mean[rows], deviation[rows] = found.mean(axis=1), found.std(axis=1)
        return mean, deviation


def predictions(family: Family, scores: np.ndarray) -> np.ndarray:
    """Turn scores (..., n_outputs) into targets, or probabilities, of the same shape.

    The probability is that of class 1 for "logistic"; "multinomial" has one for each
    class.
    """
    if family == "gaussian":
        return scores
    found: np.ndarray = (
        expit(scores) if family == "logistic" else softmax(scores, axis=-1)
    )
    return found


def posterior_of(keeper: Keeper, chosen: np.ndarray, seed: int) -> Posterior:
    """Lay the samples of some slots of a keeper out for prediction.

    Parameters
    ----------
    keeper : Keeper
    chosen : ndarray of int
        Slots, as `Keeper.chosen` returns them.
    seed : int
        Seed of the numbers of columns that no training row has.
    """
    problem, ids = keeper.data.problem, keeper.data.layout.columns.ids
    n_weights = len(chosen) * problem.n_outputs
    size = problem.n_columns, n_weights * keeper.data.n_factors
    dtype = np.dtype(np.float32)
    factors, linear = zeros(size, dtype), zeros((size[0], n_weights), dtype, place=1)

    def write(columns: np.ndarray, numbers: np.ndarray) -> None:
        factors[columns] = numbers[..., :-1].reshape(len(columns), -1)
        linear[columns] = numbers[..., -1].reshape(len(columns), -1)

    for start in range(0, len(ids), _COLUMNS):
        part = slice(start, start + _COLUMNS)
        write(ids[part], keeper.table[part][:, chosen])
    fields, rng = problem.field_of_columns(), np.random.default_rng([seed, 1])
    means, deviations = keeper.means[:, chosen], keeper.deviations[:, chosen]
    unseen = np.setdiff1d(np.arange(size[0]), ids, assume_unique=True)
    for start in range(0, len(unseen), _COLUMNS):
        columns = unseen[start : start + _COLUMNS]
        at = fields[columns]
        draws = _standard_draws(rng, (len(columns), *means.shape[1:]))
        write(columns, means[at] + deviations[at] * draws)
    return Posterior(
        family=problem.family,
        factors=factors,
        linear=linear,
        intercept=keeper.intercept[chosen],
        noise=keeper.noise[chosen],
        chain=(chosen // keeper.iterations.shape[1]).astype(np.int32),
    )


def _standard_draws(rng: np.random.Generator, shape: tuple[int, ...]) -> np.ndarray:
    """Normal draws with mean zero and variance one along the second axis."""
    draws = rng.standard_normal(shape, np.float32)
    draws -= draws.mean(axis=1, keepdims=True)
    spread = draws.std(axis=1, keepdims=True)
    draws /= np.where(spread > 0, spread, 1)
    return draws
