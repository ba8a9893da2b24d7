"""Units of the columns of X: what is subtracted from entries and what divides them.

A factorization machine is the same model when a column is multiplied by c and its
weights are divided by c, but gradients, penalties and first weights are not. Networks
therefore read each column in a unit of its own, in which its entries are about one.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import scipy.sparse as sp
from numpy.typing import DTypeLike

from ..persistence.records import is_array, require, saved
from ..runtime.jit import kernel
from .csr import ReadyCSR, all_ones

__all__ = ["ALMOST_ZERO", "SETTLED", "ColumnMoments", "ColumnScaling", "learn_moments"]

#: Stands for an entry that is 0 in its unit, which would count as none. Encoders of
#: tables store it as well; it has no part in the units of columns.
ALMOST_ZERO = 2.0**-50
#: Entries of a column from which on further ones do not change its unit.
SETTLED = 1000
#: Variance, in squares of the mean, that rounding may leave of equal entries.
_ROUNDING = 1e-28


@saved("record")
@dataclass(frozen=True, eq=False)
class ColumnScaling:
    """Entries as a network reads them: ``(x - center) / scale``.

    Attributes
    ----------
    center : ndarray of float64 of shape (n_columns,)
        Where it is not 0, rows without an entry have one of ``-center / scale``.
    scale : ndarray of float64 of shape (n_columns,)
    """

    center: np.ndarray
    scale: np.ndarray

    def check(self) -> None:
        """Raise a ValueError unless each column has a finite center and scale."""
        for part in (self.center, self.scale):
            fine = is_array(part, np.float64, (len(self.center),))
            require(fine and np.isfinite(part).all(), "the unit of a column is none")
        require((self.scale > 0).all(), "the scale of a column is not positive")

    def check_fits(self, n_columns: int) -> None:
        """Raise a ValueError unless these are the units of ``n_columns``."""
        require(len(self.scale) == n_columns, "units are not of the network's columns")

    @cached_property
    def centered(self) -> np.ndarray:
        """The columns of which something is subtracted, ascending."""
        return np.flatnonzero(self.center)

    def apply(
        self, X: Any, filled: np.ndarray | None = None, dtype: DTypeLike | None = None
    ) -> Any:
        """Return a canonical CSR matrix of X in these units; X is left as it is.

        Parameters
        ----------
        X : CSR matrix or array, or ReadyCSR, of shape (n_rows, n_columns)
            Canonical.
        filled : ndarray of bool of shape (n_columns,), or None
            The columns that rows without an entry get one of if they are centered;
            None: all of them.
        dtype : dtype, default=None
            Floating type of the result; None: float32 where X is of that, else float64.

        Returns
        -------
        csr_array or ReadyCSR
            The latter only if X is one.
        """
        if dtype is None:
            dtype = np.float32 if X.data.dtype == np.float32 else np.float64
        stored = np.empty(len(X.data), dtype)
        data = _as_floats(X.data)
        _rescale(X.indices, data, self.center, self.scale, stored)
        scaled = _with_data(X, stored)
        absent = self._absent(X, filled)
        return scaled if absent is None else self._filled(scaled, absent)

    def _absent(
        self, X: Any, filled: np.ndarray | None
    ) -> tuple[np.ndarray, np.ndarray] | None:
        """Find the rows and columns of entries that centered columns lack."""
        columns = self.centered
        if filled is not None:
            columns = columns[filled[columns]]
        if not len(columns):
            return None
        # By bisection: a row of few entries takes no time for all columns.
        places = np.searchsorted(columns, X.indices)
        places[places == len(columns)] = 0
        found = columns[places] == X.indices
        rows = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        there = np.zeros((X.shape[0], len(columns)), np.bool_)
        there[rows[found], places[found]] = True
        if there.all():
            return None
        absent, which = np.nonzero(~there)
        return absent, columns[which]

    def _filled(self, X: Any, absent: tuple[np.ndarray, np.ndarray]) -> Any:
        """Add entries for what centered columns lack."""
        rows, columns = absent
        added = -self.center[columns] / self.scale[columns]
        held = np.repeat(np.arange(X.shape[0]), np.diff(X.indptr))
        rows = np.concatenate([held, rows])
        columns = np.concatenate([X.indices, columns])
        order = np.lexsort((columns, rows))
        data = np.concatenate([X.data, added.astype(X.data.dtype)])[order]
        indptr = np.zeros(X.shape[0] + 1, np.int64)
        np.cumsum(np.bincount(rows, minlength=X.shape[0]), out=indptr[1:])
        return sp.csr_array((data, columns[order], indptr), shape=X.shape)


@saved("record")
@dataclass(frozen=True, eq=False)
class ColumnMoments:
    """Weighted moments of the entries of each column, merged from chunks of rows.

    Attributes
    ----------
    counts : ndarray of int64 of shape (n_columns,)
        Entries, of rows whose weight is not zero.
    rows : ndarray of float64 of shape (n_columns,)
        Weight of all rows that were looked at.
    weight : ndarray of float64 of shape (n_columns,)
        Weight of the entries.
    mean, squares : ndarray of float64 of shape (n_columns,)
        Mean of the entries, and weighted sum of their squared deviations from it.
    largest : ndarray of float64 of shape (n_columns,)
        Largest absolute value of an entry.
    """

    counts: np.ndarray
    rows: np.ndarray
    weight: np.ndarray
    mean: np.ndarray
    squares: np.ndarray
    largest: np.ndarray

    def check(self) -> None:
        """Raise a ValueError unless the moments are of the same columns."""
        shape = self.mean.shape
        require(is_array(self.counts, np.int64, (None,)), "counts are not counts")
        parts = (self.rows, self.weight, self.mean, self.squares, self.largest)
        for part in parts:
            fine = is_array(part, np.float64, shape) and np.isfinite(part).all()
            require(fine and len(part) == len(self.counts), "a moment is none")

    def check_fits(self, n_columns: int) -> None:
        """Raise a ValueError unless these are the moments of ``n_columns``."""
        require(len(self.counts) == n_columns, "moments are not of the columns")

    @classmethod
    def of(cls, X: Any, weight: np.ndarray) -> ColumnMoments:
        """Compute the moments of a canonical CSR matrix with weighted rows.

        Raises
        ------
        ValueError
            If the numbers of a column are too large for their squares.
        """
        counts = np.zeros(X.shape[1], np.int64)
        total, sums, squares, largest = np.zeros((4, X.shape[1]))
        arrays = X.indptr, X.indices, _as_floats(X.data), weight
        _add_entries(*arrays, counts, total, sums)
        mean = np.divide(sums, total, out=np.zeros_like(sums), where=total > 0)
        _add_squares(*arrays, mean, squares, largest)
        with np.errstate(over="ignore"):
            large = ~np.isfinite(squares + total * mean**2)
        if large.any():
            raise ValueError(
                f"The numbers of column {int(large.argmax())} of X are too large for "
                "their squares to be computed. Scale them, or take logarithms."
            )
        rows = np.full(X.shape[1], weight.sum())
        return cls(counts, rows, total, mean, squares, largest)

    def settled(self, columns: np.ndarray) -> ColumnMoments:
        """Return moments whose ``columns`` (a mask) keep the unit one for good."""
        kept = {
            "counts": SETTLED,
            "rows": 1.0,
            "weight": 1.0,
            "mean": 1.0,
            "squares": 0.0,
            "largest": 1.0,
        }
        parts = {
            name: np.where(columns, value, getattr(self, name))
            for name, value in kept.items()
        }
        return ColumnMoments(**parts)

    def added(self, other: ColumnMoments) -> ColumnMoments:
        """Add the moments of other rows (Chan, Golub, LeVeque 1983)."""
        weight, step = self.weight + other.weight, other.mean - self.mean
        share = np.divide(
            other.weight, weight, out=np.zeros_like(weight), where=weight > 0
        )
        return ColumnMoments(
            self.counts + other.counts,
            self.rows + other.rows,
            weight,
            self.mean + step * share,
            self.squares + other.squares + step**2 * self.weight * share,
            np.maximum(self.largest, other.largest),
        )

    def merged(self, other: ColumnMoments) -> ColumnMoments:
        """Add the moments of later rows, to columns not yet settled."""
        both = self.added(other)
        settled = self.counts >= SETTLED
        parts = {
            name: np.where(settled, old, getattr(both, name))
            for name, old in vars(self).items()
        }
        return ColumnMoments(**parts)

    def scaling(self, fields: np.ndarray | None = None) -> ColumnScaling | None:
        """Return the units of the columns; None where all entries are one.

        The scale is the root mean square of the entries. A column whose mean over all
        rows, zeros too, is further from 0 than its standard deviation is centered, and
        its scale is the standard deviation: the year 1950 to 2020 is a constant in any
        other unit. More than half of the rows have an entry then. Equal entries, such
        as those of one-hot columns, are not centered.

        Parameters
        ----------
        fields : ndarray of shape (n_columns,), or None
            Field of each column. The columns of a field of several have one scale and
            are not centered. It is 1 where the largest entry is: these are one-hot
            columns, or averages of such, whose entries are shares.
        """
        share = np.divide(
            self.weight, self.rows, out=np.zeros_like(self.mean), where=self.rows > 0
        )
        spread = np.divide(
            self.squares, self.weight, out=np.zeros_like(share), where=self.weight > 0
        )
        entries = np.square(self.mean)
        center = share * self.mean
        variance = share * spread + share * (1 - share) * entries
        varies = spread > _ROUNDING * entries
        moved = varies & (np.square(center) > variance)
        squares = spread + entries
        if fields is not None:
            several = np.bincount(fields)[fields] > 1
            moved &= ~several
            squares = np.where(several, self._shared_squares(fields, squares), squares)
        center = np.where(moved, center, 0.0)
        scale = np.sqrt(np.where(moved, variance, squares))
        # Rounded, so that the order of sums does not show in the units.
        with np.errstate(over="ignore"):
            center, scale = (
                part.astype(np.float32).astype(np.float64) for part in (center, scale)
            )
        # What is too small or too large for that stays as it is.
        scale = np.where((scale > 0) & np.isfinite(scale), scale, 1.0)
        center = np.where(np.isfinite(center), center, 0.0)
        if not center.any() and (scale == 1).all():
            return None
        return ColumnScaling(center, scale)

    def _shared_squares(self, fields: np.ndarray, squares: np.ndarray) -> np.ndarray:
        """Average the squares of the entries over fields; 1 where the largest is 1."""
        weight = np.bincount(fields, self.weight)
        total = np.bincount(fields, self.weight * squares)
        mean = np.divide(total, weight, out=np.ones_like(total), where=weight > 0)
        largest = np.zeros(len(mean))
        np.maximum.at(largest, fields, self.largest)
        shared: np.ndarray = np.where(largest == 1, 1.0, mean)[fields]
        return shared


def learn_moments(X: Any, weight: np.ndarray) -> ColumnMoments | None:
    """Return the moments of a canonical CSR matrix; None where all entries are one."""
    return None if all_ones(X.data) else ColumnMoments.of(X, weight)


def _with_data(X: Any, data: np.ndarray) -> Any:
    if isinstance(X, ReadyCSR):
        return X._replace(data=data, unit=False)
    return sp.csr_array((data, X.indices, X.indptr), shape=X.shape, copy=False)


def _as_floats(data: np.ndarray) -> np.ndarray:
    return data if data.dtype in (np.float32, np.float64) else data.astype(np.float64)


@kernel
def _add_entries(indptr, indices, data, weight, counts, total, sums):  # type: ignore[no-untyped-def]
    for row in range(len(indptr) - 1):
        if weight[row] == 0:
            continue
        for p in range(indptr[row], indptr[row + 1]):
            column = indices[p]
            if abs(data[p]) == ALMOST_ZERO:
                continue
            counts[column] += 1
            total[column] += weight[row]
            sums[column] += weight[row] * np.float64(data[p])


@kernel
def _add_squares(indptr, indices, data, weight, mean, squares, largest):  # type: ignore[no-untyped-def]
    for row in range(len(indptr) - 1):
        if weight[row] == 0:
            continue
        for p in range(indptr[row], indptr[row + 1]):
            column = indices[p]
            if abs(data[p]) == ALMOST_ZERO:
                continue
            deviation = np.float64(data[p]) - mean[column]
            squares[column] += weight[row] * deviation * deviation
            largest[column] = max(largest[column], abs(np.float64(data[p])))


@kernel
def _rescale(indices, data, center, scale, out):  # type: ignore[no-untyped-def]
    for p in range(len(out)):
        column = indices[p]
        value = (np.float64(data[p]) - center[column]) / scale[column]
        out[p] = value if value != 0 else ALMOST_ZERO
