"""Variance of pair terms over rows whose fields are independent of each other.

A fitted model keeps the number of entries of each column of its training rows, with
their sum and their sum of squares. The pair term of two fields is bilinear in the sums
of the embeddings of their entries, e_f and e_g. If these are independent, the variance
of the term depends only on their means m and covariances C: with
t = sum_k h_k e_fk e_gk,

    Var t = h^T (C_f * C_g + C_f * m_g m_g^T + m_f m_f^T * C_g) h,

where * is the element-wise product.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from itertools import combinations_with_replacement, pairwise
from typing import NamedTuple

import numpy as np
import torch

from ..data.statistics import ColumnStatistics
from ..nn.pairwise import PairwiseNetwork
from .reading import to_float64

#: Largest count of numbers of the table that are read at once.
_NUMBERS_PER_READ = 1 << 22


class _Spread(NamedTuple):
    """Mean and variance of the values of columns, where an absent value counts as 0."""

    mean: np.ndarray
    variance: np.ndarray


@dataclass(frozen=True, eq=False)
class _Field:
    """Distribution of the sum of the embeddings of a field over random rows.

    There are V views of the k factors: one or, in a field-aware model, one for each
    field.

    Attributes
    ----------
    columns : ndarray of shape (n,)
        Columns of the field that occur in training rows.
    exclusive : bool
        Whether a row has at most one of these columns; otherwise, they are independent.
    values : _Spread
        Mean and variance of the values of the columns, (n,) each.
    mean : ndarray of shape (V, k)
        Mean of the sum.
    covariance : ndarray of shape (V, k, k)
        Covariance of the sum.
    """

    columns: np.ndarray
    exclusive: bool
    values: _Spread
    mean: np.ndarray
    covariance: np.ndarray


class IndependentFields:
    """Variances of pair terms, if the fields of a network were independent.

    Parameters
    ----------
    network : PairwiseNetwork
        Network whose `pair_weights` do not depend on the rest of the row.
    statistics : ColumnStatistics
        Statistics of the training rows, whose number is known.
    fields : ndarray of shape (n_columns,), or None
        Field of each column; None: all columns are independent. The columns of a field
        with at most one entry per row on average are assumed to exclude each other, and
        the columns of other fields to be independent.
    """

    def __init__(
        self,
        network: PairwiseNetwork,
        statistics: ColumnStatistics,
        fields: np.ndarray | None,
    ) -> None:
        self._network, self._statistics = network, statistics
        self._factors = network.factors
        self._known = fields is not None
        if fields is None:
            fields = np.zeros(len(statistics.counts), np.int64)
        order = np.argsort(fields, kind="stable")
        bounds = np.searchsorted(fields[order], np.arange(int(fields.max()) + 2))
        self._fields = [
            self._read(order[start:stop]) for start, stop in pairwise(bounds)
        ]

    def of_fields(self) -> np.ndarray:
        """Compute the variance of the pair term of any two fields, (F, F, C)."""
        n_fields = len(self._fields)
        variance = np.zeros((n_fields, n_fields, self._network.shape.n_outputs))
        for first, second in combinations_with_replacement(range(n_fields), 2):
            weights = self._weights(first, second)
            if first == second:
                found = self._within(first, weights)
            else:
                found = self._between(first, second, weights)
            variance[first, second] = variance[second, first] = found
        return variance

    def of_columns(self, wanted: np.ndarray) -> np.ndarray:
        """Compute the variance of the pair terms of the wanted columns, (n, n, C)."""
        n_outputs = self._network.shape.n_outputs
        variance = np.zeros((len(wanted), len(wanted), n_outputs))
        places = np.full(len(self._statistics.counts), -1)
        places[wanted] = np.arange(len(wanted))
        groups = [field.columns[places[field.columns] >= 0] for field in self._fields]
        for first, second in combinations_with_replacement(range(len(groups)), 2):
            if not (len(groups[first]) and len(groups[second])):
                continue
            if first == second and self._fields[first].exclusive:
                continue
            found = self._of_block(first, second, groups[first], groups[second])
            if first == second:
                np.einsum("iic->ic", found)[:] = 0
            rows, columns = places[groups[first]], places[groups[second]]
            variance[np.ix_(rows, columns)] = found
            variance[np.ix_(columns, rows)] = found.transpose(1, 0, 2)
        return variance

    def _read(self, columns: np.ndarray) -> _Field:
        """Compute the distribution of a field from its columns that have entries."""
        columns = columns[self._statistics.seen[columns]]
        values, squares = self._values(columns)
        n_entries = self._statistics.counts[columns].sum()
        exclusive = self._known and bool(n_entries <= self._statistics.n_rows)
        n_views = 1 if self._factors.dim() == 2 else self._network.shape.n_fields
        n_factors = self._factors.shape[-1]
        mean = np.zeros((n_views, n_factors))
        second = np.zeros((n_views, n_factors, n_factors))
        for part, vectors in self._vectors(columns):
            mean += np.tensordot(values.mean[part], vectors, 1)
            by_view = vectors.transpose(1, 2, 0)  # (V, k, n)
            weight = squares[part] if exclusive else values.variance[part]
            second += (by_view * weight) @ by_view.transpose(0, 2, 1)
        if exclusive:
            second -= mean[:, :, None] * mean[:, None, :]
        return _Field(columns, exclusive, values, mean, second)

    def _values(self, columns: np.ndarray) -> tuple[_Spread, np.ndarray]:
        """Compute the spread of the values of columns, and their mean squares."""
        sums, squares = self._statistics.moments()
        mean = sums[columns] / self._statistics.n_rows
        square = squares[columns] / self._statistics.n_rows
        return _Spread(mean, np.maximum(square - mean**2, 0)), square

    def _vectors(self, columns: np.ndarray) -> Iterator[tuple[slice, np.ndarray]]:
        """Yield parts of the columns, and their embeddings (n, V, k)."""
        factors = self._factors
        step = max(1, _NUMBERS_PER_READ // max(1, factors[:1].numel()))
        for start in range(0, len(columns), step):
            part = slice(start, start + step)
            index = torch.from_numpy(columns[part]).to(factors.device)
            found = to_float64(factors[index])
            yield part, found.reshape(len(index), -1, factors.shape[-1])

    def _weights(self, first: int, second: int) -> np.ndarray:
        weights = self._network.pair_weights(first, second)
        assert weights is not None
        return to_float64(weights)

    def _view(self, towards: int) -> int:
        return 0 if self._factors.dim() == 2 else towards

    def _between(self, first: int, second: int, weights: np.ndarray) -> np.ndarray:
        """Return the variance of the pair term of two fields, (C,)."""
        one, other = self._fields[first], self._fields[second]
        mean, cov = (x[self._view(second)] for x in (one.mean, one.covariance))
        mean_, cov_ = (x[self._view(first)] for x in (other.mean, other.covariance))
        matrix = cov * cov_ + cov * np.outer(mean_, mean_) + np.outer(mean, mean) * cov_
        found: np.ndarray = (weights * (matrix @ weights)).sum(axis=0)
        return np.maximum(found, 0)

    def _within(self, number: int, weights: np.ndarray) -> np.ndarray:
        """Return the variance of the sum of the pairs in a field, (C,)."""
        field, view = self._fields[number], self._view(number)
        if field.exclusive or not weights.any():
            return np.zeros(weights.shape[1])
        mean, cov = field.mean[view], field.covariance[view]
        # With x_i = m_i + d_i, add the variance of the products d_i d_j to that of the
        # products of d_i with the means of all other columns.
        found = (weights * (cov**2 @ weights)).sum(axis=0) / 2
        for part, vectors in self._vectors(field.columns):
            m, v = field.values.mean[part, None], field.values.variance[part, None]
            own = vectors[:, view]
            square = own**2 @ weights  # (n, C), products of an entry with itself
            met = (own * mean) @ weights - m * square
            found += (v * met**2 - (v * square) ** 2 / 2).sum(axis=0)
        return np.maximum(found, 0)

    def _of_block(
        self, first: int, second: int, rows: np.ndarray, columns: np.ndarray
    ) -> np.ndarray:
        """Compute the variance of pair terms of columns of two fields, (n, n', C)."""
        (m, v), (m_, v_) = self._values(rows)[0], self._values(columns)[0]
        scale = np.outer(v, v_) + np.outer(v, m_**2) + np.outer(m**2, v_)
        one = self._all_vectors(rows)[:, self._view(second)]
        other = self._all_vectors(columns)[:, self._view(first)]
        inner = []
        for h in self._weights(first, second).T:
            used = np.flatnonzero(h)  # of the factors of all samples only its own
            inner.append((one[:, used] * h[used]) @ other[:, used].T)
        return np.stack([scale * found**2 for found in inner], axis=-1)

    def _all_vectors(self, columns: np.ndarray) -> np.ndarray:
        return np.concatenate([vectors for _, vectors in self._vectors(columns)])
