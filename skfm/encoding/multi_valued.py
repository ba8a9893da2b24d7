"""Cells that hold several values: lists, or strings with a delimiter."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from itertools import chain
from numbers import Real
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ..persistence.records import require, saved
from .blocks import ALMOST_ZERO, Encoded
from .categories import CategoryBlock, HashBlock
from .columns import Factorized, factorize
from .tables import object_array

__all__ = ["Bags", "MultiValuedBlock", "holds_lists", "sum_entries"]


def holds_lists(series: pd.Series, *, named: bool) -> bool:
    """Tell whether all cells of a column that are not missing are collections.

    In a column that the user ``named`` as one of categories, tuples and frozensets are
    categories.
    """
    if series.dtype != object:
        return False
    held = series.notna().to_numpy()
    # The first cell decides for most columns, without the others.
    if not held.any() or not _is_list(type(series.array[int(np.argmax(held))])):
        return False
    kinds = set(map(type, series.array[held]))
    if named and all(issubclass(kind, tuple | frozenset) for kind in kinds):
        return False
    return all(map(_is_list, kinds))


def _is_list(kind: type) -> bool:
    return issubclass(kind, Collection | np.ndarray) and not issubclass(
        kind, str | bytes
    )


@dataclass(frozen=True)
class Bags:
    """Cells with several items: the items row by row, and their number in each row.

    ``weights`` are the weights of the items. None means that all are 1.
    """

    items: Factorized
    lengths: np.ndarray
    weights: np.ndarray | None = None


@saved("record")
@dataclass
class MultiValuedBlock:
    """Block of the items, with as many entries in a row as the cell has items."""

    inner: CategoryBlock | HashBlock
    delimiter: str | None = None
    mean: bool = False
    absent: ClassVar[None] = None

    def check(self) -> None:
        """Raise a ValueError unless the block of the items can encode items."""
        inner = isinstance(self.inner, CategoryBlock | HashBlock)
        require(inner, "the items of a column have no block")
        cut = self.delimiter is None or isinstance(self.delimiter, str)
        require(cut and self.delimiter != "", f"delimiter is {self.delimiter!r}")
        require(isinstance(self.mean, bool), f"mean is {self.mean!r}")

    @property
    def name(self) -> str:
        """Name of the column."""
        return self.inner.name

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.inner.width

    @property
    def missing_column(self) -> int:
        """Column of cells without an item."""
        return self.width - 1

    @property
    def has_unknown(self) -> bool:
        """Return whether the second last column is for unknown categories."""
        return self.inner.has_unknown

    def read(self, series: pd.Series) -> Bags:
        """Split cells into items, without missing items and empty strings."""
        if self.delimiter is None:
            return _bags_of_cells(series, self.name)
        return _bags_of_strings(series, self.name, self.delimiter)

    def update(self, cells: Bags) -> None:
        """Learn from the items."""
        self.inner.update(cells.items)

    def finish(self, n_rows: int) -> None:
        """Determine the layout of the items."""
        self.inner.finish(n_rows)

    def encode(self, cells: Bags) -> Encoded:
        """Look the items up and add repeated ones; a cell without items is missing.

        The value of an item is its weight, or 1.
        """
        missing = self.width - 1
        lengths = np.maximum(cells.lengths, 1)
        rows = np.repeat(np.arange(len(lengths)), lengths)
        columns = np.full(len(rows), missing, dtype=np.int64)
        columns_of_items = np.repeat(cells.lengths > 0, lengths)
        columns[columns_of_items] = self.inner.encode(cells.items).columns
        weights = np.ones(len(rows))
        if cells.weights is not None:
            weights[columns_of_items] = cells.weights
        shape = len(lengths), self.width
        divisors = lengths if self.mean else None
        return sum_entries(rows, columns, weights, shape, divisors)

    def labels(self) -> list[str]:
        """Return the names of the items."""
        return self.inner.labels()

    def decode(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return the items."""
        return self.inner.decode(columns, values)


def sum_entries(
    rows: np.ndarray,
    columns: np.ndarray,
    values: np.ndarray,
    shape: tuple[int, int],
    divisors: np.ndarray | None = None,
) -> Encoded:
    """Return entries in order, with those of the same row and column added up.

    The sums of each row are divided by its element of ``divisors``, if these are given.
    """
    n_rows, width = shape
    keys, places = np.unique(rows * width + columns, return_inverse=True)
    summed = np.bincount(places, values, len(keys)).astype(np.float64)
    rows = keys // width
    if divisors is not None:
        summed = summed / divisors[rows]
    summed[summed == 0] = ALMOST_ZERO
    return Encoded(keys % width, summed, np.bincount(rows, minlength=n_rows))


def _bags_of_strings(series: pd.Series, name: str, delimiter: str) -> Bags:
    cells = factorize(series, name)
    if cells.kind not in {"strings", "nothing"}:
        row = int(np.argmax(cells.codes >= 0))
        raise ValueError(
            f"Column {name!r} has delimiter={delimiter!r} but holds {cells.kind}, as "
            f"{cells.cell(row)!r} in row {row}, not strings."
        )
    # Each distinct string is split once.
    parts = [[p for p in text.split(delimiter) if p] for text in cells.values]
    sizes = np.array([*map(len, parts), 0], dtype=np.intp)
    flat = object_array(chain.from_iterable(parts))
    words = factorize(pd.Series(flat, dtype=object), name)
    starts = np.cumsum(sizes) - sizes
    lengths = sizes[cells.codes]
    within = np.arange(lengths.sum()) - np.repeat(np.cumsum(lengths) - lengths, lengths)
    picked = np.repeat(starts[cells.codes], lengths) + within
    return Bags(Factorized(words.codes[picked], words.values, words.kind), lengths)


def _bags_of_cells(series: pd.Series, name: str) -> Bags:
    cells = series.to_numpy(dtype=object)
    held = np.flatnonzero(~pd.isna(cells))
    for kind in set(map(type, cells[held])):
        if issubclass(kind, str | bytes) or not issubclass(
            kind, Collection | np.ndarray
        ):
            raise _not_a_bag(cells, held, kind, name)
    lengths = np.zeros(len(cells), dtype=np.intp)
    lengths[held] = np.fromiter(map(len, cells[held]), np.intp, len(held))
    rows = np.repeat(np.arange(len(cells)), lengths)
    items, weights = _weighted(cells[held], rows, name)
    read = factorize(pd.Series(items, dtype=object), name, rows)
    present = read.codes >= 0
    if weights is not None:
        present &= weights != 0
        weights = weights[present]
    lengths = np.bincount(rows[present], minlength=len(cells))
    found = Factorized(read.codes[present], read.values, read.kind)
    return Bags(found, lengths, weights)


def _weighted(
    cells: np.ndarray, rows: np.ndarray, name: str
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return the items and weights of dicts, or of lists of pairs."""
    items = object_array(chain.from_iterable(cells))
    dicts = [isinstance(cell, dict) for cell in cells]
    if any(dicts):
        if not all(dicts):
            raise ValueError(
                f"Column {name!r} holds dicts of weights beside other cells, such as "
                f"{cells[dicts.index(False)]!r}. Give all cells as dicts, or all as "
                "lists of pairs."
            )
        weights = object_array(chain.from_iterable(map(dict.values, cells)))
    elif len(items) and _is_weighted(items[0]):
        if set(map(type, items)) != {tuple} or set(map(len, items)) != {2}:
            raise ValueError(
                f"Column {name!r} holds pairs of a value and a weight beside other "
                "items. Give all items as pairs."
            )
        items, weights = map(object_array, zip(*items, strict=True))
    else:
        return items, None
    return items, _finite(weights, rows, name)


def _finite(weights: np.ndarray, rows: np.ndarray, name: str) -> np.ndarray:
    wrong = [k for k in set(map(type, weights)) if k is bool or not issubclass(k, Real)]
    bad = np.array([type(weight) in wrong for weight in weights] if wrong else [], bool)
    if not wrong:
        bad = ~np.isfinite(weights.astype(np.float64))
    if bad.any():
        place = int(bad.argmax())
        raise ValueError(
            f"Column {name!r} has the weight {weights[place]!r} in row {rows[place]}: "
            "weights must be finite numbers."
        )
    return weights.astype(np.float64)


def _is_weighted(item: Any) -> bool:
    """Return whether an item is a pair of a value and a float."""
    pair = isinstance(item, tuple) and len(item) == 2
    return pair and isinstance(item[1], float | np.floating)


def _not_a_bag(
    cells: np.ndarray, held: np.ndarray, kind: type, name: str
) -> ValueError:
    row = next(int(row) for row in held if type(cells[row]) is kind)
    remedy = (
        "give the string that separates values as delimiter"
        if issubclass(kind, str)
        else "take the column out of multi_valued"
    )
    return ValueError(
        f"Column {name!r} is multi-valued but holds {cells[row]!r} in row {row}, of "
        f"type {kind.__name__}, not a list, tuple, set, array or dict: {remedy}."
    )
