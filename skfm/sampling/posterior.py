r"""Samples of the posterior, and what they predict.

The scores of row x under a sample are those of a factorization machine. A column that
no training row has is one of its field like any other, of which nothing more is known:
its numbers are :math:`N(\mu_g, 1/\lambda_g)` under the sample's hyperparameters.
Scores take the mean :math:`\mu_g`; the variance that this leaves,

.. math:: \sigma^2 = \sum_{i \text{ unseen}} x_i^2 \Big[1/\lambda_w + \sum_a
          (q_a - x_i \mu_a)^2 / \lambda_a\Big]
          + \sum_{i < j \text{ unseen}} \sum_a x_i^2 x_j^2 / (\lambda_{ia} \lambda_{ja})

(the first sum is exact for one unseen column), enters the standard deviation of
"gaussian", and pulls probabilities to one half by :math:`f / \sqrt{1 + \pi \sigma^2/8}`
(MacKay, Neural Computation 4, 1992).
"""

from __future__ import annotations

from dataclasses import dataclass, fields
from typing import Any

import numpy as np

from ..runtime.threads import parallel_for
from . import posterior_kernels as kernels
from .keeping import Keeper
from .problem import Family

_LINKS: dict[str, int] = {"gaussian": 0, "logistic": 1, "multinomial": 2}


@dataclass(frozen=True)
class Posterior:
    """Samples of factorization machines.

    Attributes
    ----------
    family : str
    table : ndarray of shape (n_seen, n_samples, n_outputs, k + 1), float32
        Factors, then the weight, of each seen column under each sample.
    slots : ndarray of shape (n_columns,), int32
        Where in ``table`` a column is; -1 for columns that no training row has.
    fields : ndarray of shape (n_columns,), int32
    intercept : ndarray of shape (n_samples, n_outputs), float32
    means, deviations : ndarray of shape (n_fields, n_samples, n_outputs, k + 1)
        Of the fields' columns, float32.
    noise : ndarray of shape (n_samples, n_outputs), float32
        Standard deviation of the noise of "gaussian"; 1 otherwise.
    chain : ndarray of shape (n_samples,), int32
        Chain that each sample comes from; those of one are in order.
    """

    family: Family
    table: np.ndarray
    slots: np.ndarray
    fields: np.ndarray
    intercept: np.ndarray
    means: np.ndarray
    deviations: np.ndarray
    noise: np.ndarray
    chain: np.ndarray

    @property
    def n_samples(self) -> int:
        return int(self.table.shape[1])

    @property
    def n_outputs(self) -> int:
        return int(self.table.shape[2])

    def scores(self, csr: Any, n_threads: int = 1) -> np.ndarray:
        """Score rows under each sample, (n_rows, n_samples, n_outputs), float32."""
        out = np.empty((csr.shape[0], self.n_samples, self.n_outputs), np.float32)
        parallel_for(
            *(kernels.score_rows, len(out), n_threads, *self._arrays(csr)),
            out.reshape(len(out), -1),
        )
        return out

    def mean(self, csr: Any, n_threads: int = 1) -> tuple[np.ndarray, np.ndarray]:
        """Mean and standard deviation over the samples, without those in memory.

        Parameters
        ----------
        csr : scipy.sparse.csr_matrix or csr_array of shape (n_rows, n_columns)
        n_threads : int, default=1

        Returns
        -------
        mean, deviation : ndarray of shape (n_rows, n_outputs)
            Of the scores of "gaussian", of the probability of class 1 of "logistic",
            of those of all classes of "multinomial". The noise is no part of it.
        """
        shape = csr.shape[0], self.n_outputs
        mean, deviation = np.empty(shape), np.empty(shape)
        parallel_for(
            *(kernels.average_rows, shape[0], n_threads, *self._arrays(csr)),
            *(_LINKS[self.family], mean, deviation),
        )
        return mean, deviation

    def _arrays(self, csr: Any) -> tuple[Any, ...]:
        if csr.shape[1] != len(self.slots):
            raise ValueError(
                f"X has {csr.shape[1]} columns, the posterior {len(self.slots)}"
            )
        n_outputs, width = self.table.shape[2:]
        size = self.n_samples * n_outputs * width
        flat = [
            array.reshape(len(array), size)
            for array in (self.table, self.means, self.deviations)
        ]
        return (
            (csr.indptr, csr.indices, csr.data),
            (self.slots, self.fields, *flat, self.intercept.ravel()),
            (n_outputs, width),
        )

    def to_arrays(self) -> dict[str, np.ndarray]:
        """Plain arrays, from which `from_arrays` makes an equal posterior."""
        return {f.name: np.asarray(getattr(self, f.name)) for f in fields(self)}

    @classmethod
    def from_arrays(cls, arrays: dict[str, np.ndarray]) -> Posterior:
        """Make a posterior of what `to_arrays` returned."""
        parts: dict[str, Any] = {f.name: arrays[f.name] for f in fields(cls)}
        parts["family"] = str(arrays["family"])
        return cls(**parts)


def posterior_of(keeper: Keeper, chosen: np.ndarray) -> Posterior:
    """The samples of some slots of a keeper, laid out for prediction."""
    problem, ids = keeper.data.problem, keeper.data.layout.columns.ids
    slots = np.full(problem.n_columns, -1, np.int32)
    slots[ids] = np.arange(len(ids), dtype=np.int32)
    return Posterior(
        family=problem.family,
        table=np.ascontiguousarray(keeper.table[:, chosen]),
        slots=slots,
        fields=problem.field_of_columns(),
        intercept=keeper.intercept[chosen],
        means=np.ascontiguousarray(keeper.means[:, chosen]),
        deviations=np.ascontiguousarray(keeper.deviations[:, chosen]),
        noise=keeper.noise[chosen],
        chain=(chosen // keeper.iterations.shape[1]).astype(np.int32),
    )
