"""Cells that hold a vector of numbers, such as the embedding of a text."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import chain
from numbers import Number, Real
from typing import ClassVar

import numpy as np
import pandas as pd

from ..persistence.records import is_array, is_integer, require, saved
from .blocks import ALMOST_ZERO, CLIP, Encoded, check_name

__all__ = ["VectorBlock", "holds_vectors"]


def holds_vectors(series: pd.Series) -> bool:
    """Tell whether a column holds lists or arrays of numbers, some of them floats.

    The first cell decides. If it holds only integers, other cells must hold fractions,
    because lists of integers are lists of categories.
    """
    if series.dtype != object:
        return False
    held = series.notna().to_numpy()
    if not held.any():
        return False
    first = series.array[int(np.argmax(held))]
    if not isinstance(first, list | tuple | np.ndarray) or not len(first):
        return False
    kinds = set(map(type, first))
    if not _are_numbers(kinds):
        return False
    if any(issubclass(kind, float | np.floating) for kind in kinds):
        return True
    cells = [c for c in series.array[held] if isinstance(c, list | tuple | np.ndarray)]
    items = list(chain.from_iterable(cells))
    if not _are_numbers(set(map(type, items))):
        return False
    return any(item != item // 1 for item in items)


def _are_numbers(kinds: set[type]) -> bool:
    return bool not in kinds and all(issubclass(kind, Real) for kind in kinds)


@saved("record")
@dataclass
class VectorBlock:
    """A field with a standardised column per coordinate, and one for missing cells."""

    name: str
    n: int = 0
    mean: np.ndarray = field(default_factory=lambda: np.empty(0))
    squares: np.ndarray = field(default_factory=lambda: np.empty(0))
    has_unknown: ClassVar[bool] = False
    absent: ClassVar[None] = None

    def check(self) -> None:
        """Raise a ValueError unless the moments are those of the coordinates."""
        check_name(self.name)
        require(is_integer(self.n, 0), f"n is {self.n!r}")
        require(is_array(self.mean, np.float64, (None,)), "means are no vector")
        fits = is_array(self.squares, np.float64, self.mean.shape)
        require(fits, "deviations do not fit the means")
        finite = np.isfinite(self.mean).all() and np.isfinite(self.squares).all()
        require(bool(finite) and bool((self.squares >= 0).all()), "a moment is none")

    def read(self, series: pd.Series) -> np.ndarray:
        """Return vectors, (n_rows, n_coordinates), NaN where a cell is missing."""
        cells = series.to_numpy(dtype=object)
        held = np.flatnonzero(~pd.isna(cells))
        size = self._size(cells, held)
        vectors = np.full((len(cells), size), np.nan)
        items = list(chain.from_iterable(cells[held]))
        if not all(issubclass(kind, Number) for kind in set(map(type, items))):
            place = next(i for i, x in enumerate(items) if not isinstance(x, Number))
            raise self._refuse(int(held[place // size]), f"{items[place]!r}")
        vectors[held] = np.array(items, dtype=np.float64).reshape(len(held), size)
        wrong = np.flatnonzero(~np.isfinite(vectors[held]).all(axis=1))
        if len(wrong):
            raise self._refuse(int(held[wrong[0]]), "a number that is not finite")
        return vectors

    def _size(self, cells: np.ndarray, held: np.ndarray) -> int:
        """Return the number of coordinates, which must be equal in all cells."""
        for kind in set(map(type, cells[held])):
            if not issubclass(kind, list | tuple | np.ndarray):
                row = next(int(r) for r in held if type(cells[r]) is kind)
                raise self._refuse(row, f"{cells[row]!r}, not a list or an array")
        sizes = np.fromiter(map(len, cells[held]), np.intp, len(held))
        if not len(sizes):
            return len(self.mean)
        size = len(self.mean) or int(sizes[0])
        other = np.flatnonzero(sizes != size)
        if len(other):
            found = f"{sizes[other[0]]} numbers, where others have {size}"
            raise self._refuse(int(held[other[0]]), found)
        return size

    def _refuse(self, row: int, found: str) -> ValueError:
        return ValueError(
            f"Column {self.name!r} holds vectors of floats, but row {row} has {found}. "
            "Each cell must have as many finite numbers. If the floats are categories, "
            "name the column in multi_valued of a FieldEncoder."
        )

    def update(self, cells: np.ndarray) -> None:
        """Merge the moments (Chan, Golub, LeVeque 1983)."""
        held = cells[~np.isnan(cells).any(axis=1)]
        if not held.size:
            return
        mean = held.mean(axis=0)
        self.add_moments(len(held), mean, np.square(held - mean).sum(axis=0))

    def add_moments(self, n: int, mean: np.ndarray, squares: np.ndarray) -> None:
        """Merge the means and sums of squared deviations of ``n`` more vectors."""
        if not self.n:
            self.mean, self.squares = np.zeros((2, len(mean)))
        if len(mean) != len(self.mean):
            raise ValueError(
                f"Column {self.name!r} holds vectors of {len(self.mean)} numbers in "
                f"some rows and of {len(mean)} in others. Each cell must have as many."
            )
        both, step = self.n + n, mean - self.mean
        self.squares = self.squares + squares + step**2 * (self.n * n / both)
        self.mean = self.mean + step * (n / both)
        self.n = both

    def finish(self, n_rows: int) -> None:
        """Do nothing, because the layout depends on the moments only."""

    @property
    def scale(self) -> np.ndarray:
        """Standard deviations of the coordinates; 1 for constant ones."""
        deviation = np.sqrt(self.squares / max(self.n, 1))
        rounding = np.abs(self.mean) * np.finfo(np.float64).eps * max(self.n, 1)
        return np.where(deviation > rounding, deviation, 1.0)

    @property
    def width(self) -> int:
        """Number of columns."""
        return len(self.mean) + 1

    @property
    def missing_column(self) -> int:
        """Column of missing cells."""
        return len(self.mean)

    def encode(self, cells: np.ndarray) -> Encoded:
        """Standardise the cells; missing ones store 1 in a column of their own."""
        missing = np.asarray(np.isnan(cells).any(axis=1))
        if not len(self.mean):
            missing = np.ones(len(cells), dtype=bool)
        values = np.ones((len(cells), self.width))
        if len(self.mean):
            scaled = ((cells - self.mean) / self.scale).clip(-CLIP, CLIP)
            values[:, :-1] = np.where(scaled == 0, ALMOST_ZERO, scaled)
        stored = np.repeat(~missing[:, None], self.width, axis=1)
        stored[:, -1] = missing
        return Encoded(
            np.nonzero(stored)[1].astype(np.int32), values[stored], stored.sum(axis=1)
        )

    def labels(self) -> list[str]:
        """Return the numbers of the coordinates."""
        return [*map(str, range(len(self.mean))), "<missing>"]

    def gather(
        self,
        rows: np.ndarray,
        columns: np.ndarray,
        values: np.ndarray,
        n_rows: int,
    ) -> np.ndarray:
        """Return the vector of each row, or None if it is missing."""
        scaled = np.zeros((n_rows, self.width))
        scaled[rows, columns] = np.where(np.abs(values) == ALMOST_ZERO, 0, values)
        vectors = scaled[:, :-1] * self.scale + self.mean
        cells = np.empty(n_rows, dtype=object)
        cells[:] = list(vectors)
        cells[scaled[:, -1] != 0] = None
        return cells

    def decode(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the coordinates of entries, NaN for missing cells."""
        scale, mean = np.append(self.scale, np.nan), np.append(self.mean, 0.0)
        return (values * scale[columns] + mean[columns]).astype(object)
