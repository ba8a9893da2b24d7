"""Crosses as fields: the columns of a matrix for the rows of a table."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import ClassVar

import numpy as np

from ...persistence.records import is_array, is_integer, require, saved
from .levels import Codes, Weight, fits_in_key, joint_keys, split_keys
from .statistics import (
    MOST_TOLD,
    bin_means,
    find_column,
    find_columns,
    n_columns,
    out_of_fold,
)

__all__ = ["Cross", "LevelCross", "StatisticCross"]


@dataclass
class Cross:
    """A field made of several.

    Attributes
    ----------
    fields : tuple of int
        Fields that it crosses.
    widths : tuple of int
        Number of levels of each of these.
    gain, variance, z : float
        See `skfm.encoding.crosses.evidence.Evidence`.
    keys : ndarray of int64
        Known levels in ascending order; see `joint_keys`.
    """

    fields: tuple[int, ...]
    widths: tuple[int, ...]
    gain: float
    variance: float
    z: float
    keys: np.ndarray

    def check(self) -> None:
        """Raise a ValueError unless the levels are those of the fields."""
        n_fields = len(self.fields) if isinstance(self.fields, tuple) else 0
        members = n_fields > 1 and all(is_integer(f, 0) for f in self.fields)
        sized = isinstance(self.widths, tuple) and len(self.widths) == n_fields
        require(
            members and sized and all(is_integer(w, 1) for w in self.widths),
            "a cross has no fields",
        )
        require(fits_in_key(self.widths), "a cross has too many levels")
        numbers = (self.gain, self.variance, self.z)
        require(all(isinstance(x, float) for x in numbers), "a gain is no number")
        ascend = is_array(self.keys, np.int64, (None,)) and bool(
            np.all(np.diff(self.keys) > 0)
        )
        bounded = ascend and (
            not len(self.keys)
            or (self.keys[0] >= 0 and self.keys[-1] < math.prod(self.widths))
        )
        require(bounded, "the levels of a cross are none")

    def _find(self, codes: Codes) -> np.ndarray:
        """Return the position of each row's level among the keys, -1 for others."""
        wanted = joint_keys([codes[:, f] for f in self.fields], self.widths)
        if not len(self.keys):
            return np.full(len(wanted), -1)
        found = np.searchsorted(self.keys, wanted)
        found[found == len(self.keys)] = 0
        return np.where(self.keys[found] == wanted, found, -1)

    def _find_one(self, codes: Sequence[int]) -> int:
        """Return the position for one row, given the levels of the crossed fields."""
        key = 0
        for code, width in zip(codes, self.widths, strict=True):
            key = key * width + code
        found = int(self.keys.searchsorted(key))
        known = found < len(self.keys) and self.keys[found] == key
        return found if known else -1


@saved("record")
@dataclass
class LevelCross(Cross):
    """A column for each level that is frequent enough, and one for the others."""

    kind: ClassVar[str] = "levels"
    suffix: ClassVar[str] = ""

    @classmethod
    def learn(
        cls,
        fields: tuple[int, ...],
        widths: Sequence[int],
        codes: Codes,
        min_count: int,
        evidence: tuple[float, float, float] = (np.nan, np.nan, np.nan),
        *,
        weight: Weight = None,
    ) -> LevelCross:
        """Return the cross of fields, with the levels that are frequent enough.

        Parameters
        ----------
        fields : tuple of int
        widths : sequence of int
            Number of levels of all fields.
        codes : ndarray of int of shape (n_rows, n_fields)
        min_count : int
            Levels with fewer rows get no column.
        evidence : tuple of float, default=(nan, nan, nan)
            Gain, variance and z.
        weight : ndarray of float of shape (n_rows,) or None, default=None
            Weight of each row, as a number of equal rows; None: one.
        """
        own = tuple(int(widths[f]) for f in fields)
        keys = joint_keys([codes[:, f] for f in fields], own)
        if weight is None:
            levels, counts = np.unique(keys, return_counts=True)
        else:
            levels, rows = np.unique(keys, return_inverse=True)
            counts = np.bincount(rows, weight, len(levels))
        return cls(fields, own, *evidence, levels[counts >= min_count])

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.keys) + 1

    @property
    def n_known(self) -> int:
        """Number of columns of known levels."""
        return len(self.keys)

    def encode(self, codes: Codes) -> np.ndarray:
        """Return the column of each row; the last column is for unknown levels."""
        found = self._find(codes)
        found[found < 0] = len(self.keys)
        return found.astype(np.int32)

    def encode_one(self, codes: Sequence[int]) -> int:
        """Return the column of one row, given the levels of the crossed fields."""
        found = self._find_one(codes)
        return len(self.keys) if found < 0 else found

    def labels(self, members: Sequence[Sequence[str]]) -> list[str]:
        """Return the name of each column, given those of the fields' levels."""
        parts = split_keys(self.keys, self.widths)
        named = (
            [names[level] for level in part]
            for names, part in zip(members, parts, strict=True)
        )
        return [*(" x ".join(level) for level in zip(*named, strict=True)), "<unknown>"]


@saved("record")
@dataclass
class StatisticCross(Cross):
    """Columns for the count and the mean target of other rows with the same level.

    A row whose level has the count c and the sum of targets s has an entry in one of
    the columns of ``min(c, 3)``, by the bin of ``(s + prior) / (c + 1)``. Rows count by
    their weights.

    Attributes
    ----------
    counts : ndarray of float of shape (n_keys,)
        Number of training rows of each level.
    sums : ndarray of float of shape (n_keys,)
        Sum of the targets of these rows.
    prior : float
        Mean target of all rows.
    edges : list of ndarray
        Upper edges of the bins for each count from 1 on, without the last.
    """

    kind: ClassVar[str] = "statistics"
    suffix: ClassVar[str] = " (statistics)"
    counts: np.ndarray
    sums: np.ndarray
    prior: float
    edges: list[np.ndarray]

    @classmethod
    def learn(
        cls,
        fields: tuple[int, ...],
        widths: Sequence[int],
        codes: Codes,
        y: np.ndarray,
        folds: np.ndarray,
        evidence: tuple[float, float, float] = (np.nan, np.nan, np.nan),
        *,
        weight: Weight = None,
    ) -> tuple[StatisticCross, np.ndarray]:
        """Return the cross, and the columns of the rows from which it was learnt.

        The statistics of a training row are computed from the rows of other folds, so
        that they do not include its own target.

        Parameters
        ----------
        fields : tuple of int
        widths : sequence of int
            Number of levels of all fields.
        codes : ndarray of int of shape (n_rows, n_fields)
        y : ndarray of float of shape (n_rows,)
        folds : ndarray of int of shape (n_rows,)
            Number of the fold of each row, from 0.
        evidence : tuple of float, default=(nan, nan, nan)
            Gain, variance and z.
        weight : ndarray of float of shape (n_rows,) or None, default=None
            Weight of each row, as a number of equal rows; None: one.
        """
        own = tuple(int(widths[f]) for f in fields)
        keys = joint_keys([codes[:, f] for f in fields], own)
        levels, rows = np.unique(keys, return_inverse=True)
        counts = np.bincount(rows, weight, len(levels)).astype(np.float64)
        prior = float(np.average(y, weights=weight))
        c, s = out_of_fold(rows, len(levels), y, folds, weight)
        means = (s + prior) / (c + 1)
        edges = bin_means(c, means, weight)
        weighed = y if weight is None else y * weight
        sums = np.bincount(rows, weighed, len(levels)).astype(np.float64)
        cross = cls(fields, own, *evidence, levels, counts, sums, prior, edges)
        return cross, find_columns(c, means, edges)

    @property
    def width(self) -> int:
        """Number of columns."""
        return n_columns(self.edges)

    @property
    def n_known(self) -> int:
        """Number of columns of known levels, which are all columns."""
        return self.width

    def check(self) -> None:
        """Raise a ValueError unless each level has statistics."""
        super().check()
        size = (len(self.keys),)
        known = all(
            is_array(part, np.float64, size) and bool(np.isfinite(part).all())
            for part in (self.counts, self.sums)
        )
        require(known and self.counts.min(initial=1) > 0, "counts of a cross are none")
        finite = isinstance(self.prior, float) and math.isfinite(self.prior)
        require(finite, "means of a cross are none")
        bins = isinstance(self.edges, list) and len(self.edges) == MOST_TOLD
        require(
            bins
            and all(
                is_array(edges, np.float64, (None,))
                and bool(np.all(np.diff(edges) > 0))
                for edges in self.edges
            ),
            "bins of a cross are none",
        )

    def encode(self, codes: Codes) -> np.ndarray:
        """Return the column of each row, by the statistics of all training rows."""
        found = self._find(codes)
        known = found >= 0
        c = np.where(known, self.counts[found], 0.0)
        s = np.where(known, self.sums[found], 0.0)
        return find_columns(c, (s + self.prior) / (c + 1), self.edges)

    def encode_one(self, codes: Sequence[int]) -> int:
        """Return the column of one row, given the levels of the crossed fields."""
        found = self._find_one(codes)
        if found < 0:
            return 0
        c, s = float(self.counts[found]), float(self.sums[found])
        return find_column(c, (s + self.prior) / (c + 1), self.edges)

    def labels(self, members: Sequence[Sequence[str]]) -> list[str]:
        """Return the name of each column."""
        names = ["count 0"]
        for count, edges in enumerate(self.edges, start=1):
            more = "+" if count == MOST_TOLD else ""
            bounds = ["-inf", *(f"{edge:.4g}" for edge in edges), "inf"]
            names += [
                f"count {count}{more}, mean in ({low}, {high}]"
                for low, high in pairwise(bounds)
            ]
        return names
