"""Blocks: encodings of one column of a table as columns of a sparse matrix.

A block learns from cells (`update`), determines its layout (`finish`) and then returns
the column and the value of the entry of each cell (`encode`). Each block ends with a
column for missing cells, so that every row has an entry in a single-valued field.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any, ClassVar, Protocol

import numpy as np
import pandas as pd

from ..persistence.records import is_array, is_integer, require, saved
from .columns import to_floats
from .hashing import scramble

__all__ = [
    "ALMOST_ZERO",
    "CLIP",
    "Block",
    "Encoded",
    "QuantileBlock",
    "SampledBlock",
    "ScaleBlock",
    "check_edges",
    "check_name",
    "interval_labels",
]

#: Value that is stored for a numeric 0. Estimators drop zeros from sparse matrices, and
#: a dropped entry hides its field from inference. It is smaller than rounding errors,
#: and its square is a normal float32.
ALMOST_ZERO = 2.0**-50
#: Number of standard deviations at which values with bins, or of vectors, are clipped.
CLIP = 5.0
#: Largest number of cells from which quantiles are computed.
SAMPLE_SIZE = 200_000


@dataclass(frozen=True)
class Encoded:
    """Entries of a block, row by row.

    Attributes
    ----------
    columns : ndarray of int of shape (n_entries,)
        Column within the block.
    values : ndarray of shape (n_entries,) or None
        Stored values. None means that all are 1. If rows have ``per_row`` entries,
        these are the values of the first entry of each, (n_rows,); the others are 1.
    lengths : ndarray of int of shape (n_rows,) or None
        Number of entries of each row. None means that all have ``per_row``.
    per_row : int
    n_hidden : int
        Number of missing cells without an entry.
    """

    columns: np.ndarray
    values: np.ndarray | None = None
    lengths: np.ndarray | None = None
    per_row: int = 1
    n_hidden: int = 0

    @property
    def n_rows(self) -> int:
        """Number of rows."""
        if self.lengths is None:
            return len(self.columns) // self.per_row
        return len(self.lengths)

    def take(self, rows: np.ndarray) -> Encoded:
        """Return rows of a part whose rows have ``per_row`` entries each."""
        columns = self.columns.reshape(-1, self.per_row)[rows].ravel()
        values = None if self.values is None else self.values[rows]
        return Encoded(columns, values, None, self.per_row, self.n_hidden)


class Block(Protocol):
    """Interface of blocks that `skfm.encoding.FieldEncoder` uses."""

    @property
    def name(self) -> str:
        """Name of the table's column."""

    @property
    def width(self) -> int:
        """Number of columns."""

    @property
    def has_unknown(self) -> bool:
        """Return whether the second last column is for unknown categories."""

    @property
    def missing_column(self) -> int | None:
        """Column of missing cells, if there is one."""

    @property
    def absent(self) -> Any:
        """Cell of a row without an entry."""

    def read(self, series: pd.Series) -> Any:
        """Return the cells of a column in the form that `update` and `encode` take."""

    def update(self, cells: Any) -> None:
        """Learn from cells."""

    def finish(self, n_rows: int) -> None:
        """Determine the layout after ``n_rows`` rows in total."""

    def encode(self, cells: Any) -> Encoded:
        """Return the entries of cells."""

    def labels(self) -> list[str]:
        """Return the names of the columns, without that of the field."""

    def decode(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the cells that have these entries."""


def check_name(name: Any) -> None:
    """Raise a ValueError unless a value can be the name of a column."""
    require(isinstance(name, str), f"the name of a column is {name!r}")


def check_edges(edges: Any) -> None:
    """Raise a ValueError unless an array can hold the edges between bins."""
    require(is_array(edges, np.float64, (None,)), "edges are no vector of numbers")
    require(bool(np.all(np.diff(edges) > 0)), "edges do not ascend")


@dataclass
class NumberBlock:
    """Base class of the blocks of a numeric column."""

    name: str
    has_unknown: ClassVar[bool] = False

    def read(self, series: pd.Series) -> Any:
        """Return floats."""
        return to_floats(series, self.name)


@saved("record")
@dataclass
class ScaleBlock(NumberBlock):
    """A column for the number, standardised or unchanged, and one for missing cells."""

    standardise: bool = True
    n: int = 0
    mean: float = 0.0
    squares: float = 0.0
    scale: float = 1.0

    def check(self) -> None:
        """Raise a ValueError unless mean and scale are finite numbers."""
        check_name(self.name)
        require(isinstance(self.standardise, bool), "standardise is no truth value")
        require(is_integer(self.n, 0), f"n is {self.n!r}")
        numbers = (self.mean, self.squares, self.scale)
        require(all(isinstance(n, int | float) for n in numbers), "a moment is none")
        require(bool(np.isfinite(numbers).all()), "a moment is not finite")
        require(self.scale > 0 and self.squares >= 0, "a deviation is negative")

    def update(self, cells: np.ndarray) -> None:
        """Merge mean and sum of squared deviations (Chan, Golub, LeVeque 1983)."""
        held = cells[~np.isnan(cells)]
        if not self.standardise or not len(held):
            return
        with np.errstate(over="ignore", invalid="ignore"):
            mean = held.mean()
            self.add_moments(len(held), mean, np.square(held - mean).sum())

    def add_moments(self, n: int, mean: float, squares: float) -> None:
        """Merge the mean and the sum of squared deviations of ``n`` more cells."""
        if not n:
            return
        with np.errstate(over="ignore", invalid="ignore"):
            both, step = self.n + n, np.float64(mean) - self.mean
            self.squares += float(squares + step**2 * self.n * n / both)
            self.mean += float(step * n / both)
        self.n = both

    def finish(self, n_rows: int) -> None:
        """Determine the scale; a constant column is not scaled."""
        if not np.isfinite([self.mean, self.squares]).all():
            raise ValueError(
                f"The numbers of column {self.name!r} are too large to be scaled. Use "
                'numeric="quantile" for it, or take logarithms.'
            )
        variance = self.squares / max(self.n, 1)
        eps = float(np.finfo(np.float64).eps)
        rounding = self.n * eps * variance + (self.n * self.mean * eps) ** 2
        self.scale = 1.0 if variance <= rounding else float(np.sqrt(variance))

    @property
    def width(self) -> int:
        """Number of columns."""
        return 2

    @property
    def missing_column(self) -> int:
        """Column of missing cells."""
        return 1

    @property
    def absent(self) -> float:
        """Cell of a row without an entry: an estimator has dropped a zero."""
        return self.mean

    def encode(self, cells: np.ndarray) -> Encoded:
        """Scale the cells; missing ones store 1 in a column of their own."""
        missing = np.isnan(cells)
        values = (cells - self.mean) / self.scale
        values[values == 0] = ALMOST_ZERO
        values[missing] = 1.0
        return Encoded(missing.astype(np.int32), values)

    def labels(self) -> list[str]:
        """Return an empty name for the number itself."""
        return ["", "<missing>"]

    def decode(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Undo the scaling."""
        scaled = np.where(np.abs(values) == ALMOST_ZERO, 0.0, values)
        numbers = np.where(columns == 1, np.nan, scaled * self.scale + self.mean)
        return numbers.astype(object)


@dataclass
class SampledBlock(NumberBlock):
    """A block whose bins are determined by a sample of the cells.

    The sample is kept while blocks of rows are streamed. It consists of the cells whose
    row numbers have the smallest values of `scramble`, so that neither the sample nor
    the edges depend on the division of the rows into blocks.
    """

    n_seen: int = 0
    frozen: bool = False
    sample: np.ndarray = field(default_factory=lambda: np.empty(0))
    ranks: np.ndarray = field(default_factory=lambda: np.empty(0, np.uint64))
    edges: np.ndarray = field(default_factory=lambda: np.empty(0))

    def check(self) -> None:
        """Raise a ValueError unless the edges ascend and the sample is complete."""
        check_name(self.name)
        require(is_integer(self.n_seen, 0), f"n_seen is {self.n_seen!r}")
        require(isinstance(self.frozen, bool), "frozen is no truth value")
        check_edges(self.edges)
        require(is_array(self.sample, np.float64, (None,)), "the sample is none")
        ranked = is_array(self.ranks, np.uint64, self.sample.shape)
        require(ranked, "ranks are not those of the sample")

    def update(self, cells: Any) -> None:
        """Add cells to the sample."""
        if self.frozen:
            return
        rows = np.arange(self.n_seen, self.n_seen + len(cells), dtype=np.uint64)
        self.n_seen += len(cells)
        held = ~np.isnan(cells)
        self.add_sample(cells[held], scramble(rows[held]))

    def add_sample(self, cells: np.ndarray, ranks: np.ndarray) -> None:
        """Add cells that are not missing, and the ranks of their rows."""
        sample = np.concatenate([self.sample, cells])
        ranks = np.concatenate([self.ranks, ranks])
        if len(sample) > SAMPLE_SIZE:
            chosen = np.argpartition(ranks, SAMPLE_SIZE)[:SAMPLE_SIZE]
            sample, ranks = sample[chosen], ranks[chosen]
        self.sample, self.ranks = sample, ranks

    def freeze(self) -> None:
        """Drop the sample and keep the edges."""
        self.frozen = True
        self.sample, self.ranks = np.empty(0), np.empty(0, np.uint64)


def interval_labels(edges: np.ndarray) -> list[str]:
    """Return the names of bins, closed on the right, and of the missing cells."""
    inner = [repr(float(edge)) for edge in edges]
    bins = zip(["-inf", *inner], [*(f"{e}]" for e in inner), "inf)"], strict=True)
    return [*(f"({low}, {high}" for low, high in bins), "<missing>"]


@saved("record")
@dataclass
class QuantileBlock(SampledBlock):
    """One column per bin, and one for missing cells.

    Bins are closed on the right. A column with most cells at its minimum, such as a
    count with many zeros, therefore has a bin for these and one for the others.
    """

    n_bins: int = 10
    low: float = np.nan
    high: float = np.nan
    absent: ClassVar[None] = None

    def check(self) -> None:
        """Raise a ValueError unless the limits are numbers as well."""
        super().check()
        require(is_integer(self.n_bins, 2), f"n_bins is {self.n_bins!r}")
        limits = all(isinstance(n, int | float) for n in (self.low, self.high))
        require(limits, "a limit is no number")

    def finish(self, n_rows: int) -> None:
        """Determine the edges between bins, and merge equal ones."""
        if self.frozen or not len(self.sample):
            return
        self.low, self.high = float(self.sample.min()), float(self.sample.max())
        # linspace would round some positions up, beyond a run of equal cells.
        at = np.arange(1, self.n_bins) / self.n_bins
        edges = np.unique(np.quantile(self.sample, at))
        self.edges = edges[edges < self.high]

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.edges) + 2

    @property
    def missing_column(self) -> int:
        """Column of missing cells."""
        return len(self.edges) + 1

    def encode(self, cells: np.ndarray) -> Encoded:
        """Look the bins up; numbers outside of all belong to the first or the last."""
        columns = np.searchsorted(self.edges, cells)
        columns[np.isnan(cells)] = self.width - 1
        return Encoded(columns.astype(np.int32))

    def labels(self) -> list[str]:
        """Return the names of the intervals."""
        return interval_labels(self.edges)

    def decode(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the middles of the bins."""
        bounds = np.array([self.low, *self.edges, self.high])
        middles = (bounds[1:] + bounds[:-1]) / 2
        return np.append(middles, np.nan)[columns].astype(object)
