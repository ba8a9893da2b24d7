"""Numbers as their value and bins of two sizes, and integers also as ids."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
import pandas as pd

from ..persistence.records import require, saved
from .blocks import (
    ALMOST_ZERO,
    CLIP,
    Encoded,
    SampledBlock,
    ScaleBlock,
    check_edges,
    interval_labels,
)
from .categories import CategoryBlock
from .columns import LARGEST_EXACT, Factorized, factorize, to_floats
from .cuts import coarsen, cut_positions, find_bins, half_way
from .flags import encode_flags

__all__ = ["BINS", "NestedBlock", "Numbers"]

#: Numbers of bins of the coarse and of the fine field.
BINS = (8, 64)
#: Rows per distinct value from which on integers may be ids.
ROWS_PER_ID = 3


@dataclass(frozen=True)
class Numbers:
    """A column as floats and, if integers may be ids, as codes and exact values."""

    floats: np.ndarray
    ids: Factorized | None


@saved("record")
@dataclass
class NestedBlock(SampledBlock):
    """A number as fields of its own: value, coarse bins, fine bins, and ids.

    - the value, standardised, clipped, 0 where the cell is missing;
    - coarse bins, if they differ from the fine ones, and a column for missing cells;
    - fine bins, likewise;
    - the distinct values of integers that repeat, as in a categorical column, if the
      fine bins hold several of them.

    A column that holds only 0 and 1 is a flag, and has no field but its value.

    Attributes
    ----------
    value : ScaleBlock
        Block with the mean and the deviation.
    ids : CategoryBlock or None
        Block of the values; None if they are not ids.
    binary : bool
        Whether all cells so far were 0 or 1.
    has_missing : bool
        Whether a cell was missing.
    edges, coarse : ndarray
        Edges between the fine and between the coarse bins.
    """

    has_unknown: ClassVar[bool] = False
    value: ScaleBlock = field(default_factory=lambda: ScaleBlock(""))
    ids: CategoryBlock | None = None
    binary: bool = True
    has_missing: bool = False
    coarse: np.ndarray = field(default_factory=lambda: np.empty(0))

    def __post_init__(self) -> None:
        self.value.name = self.name

    def check(self) -> None:
        """Raise a ValueError unless the parts of the number fit each other."""
        super().check()
        require(isinstance(self.value, ScaleBlock), "the value of a number is none")
        require(isinstance(self.ids, CategoryBlock | None), "ids are no categories")
        flags = (self.binary, self.has_missing)
        require(all(isinstance(f, bool) for f in flags), "binary is no truth value")
        check_edges(self.coarse)
        nested = bool(np.isin(self.coarse, self.edges).all())
        require(nested, "coarse bins are not made of fine ones")

    @property
    def is_flag(self) -> bool:
        """Return whether 1 has an entry and 0 does not."""
        return self.binary and self.n_held > 0

    @property
    def n_held(self) -> int:
        """Number of cells that were learnt and not missing."""
        return self.value.n

    @property
    def absent(self) -> float:
        """Cell of a row without an entry."""
        return 0.0 if self.is_flag else self.value.mean

    def read(self, series: pd.Series) -> Numbers:
        """Return floats, and numbered values if integers may be ids."""
        floats = to_floats(series, self.name)
        wanted = self.ids is not None and (
            self.ids.kind != "nothing" or _are_integers(series, floats)
        )
        return Numbers(floats, factorize(series, self.name) if wanted else None)

    def update(self, cells: Numbers) -> None:
        """Add cells to the moments, the sample and the ids."""
        missing = np.isnan(cells.floats)
        self.has_missing |= bool(missing.any())
        self.value.update(cells.floats)
        if not self.frozen:
            zero_or_one = (cells.floats == 0) | (cells.floats == 1)
            self.binary &= bool((zero_or_one | missing).all())
        if len(missing) > missing.sum():
            self._learn_ids(cells.ids)
        super().update(cells.floats)

    def _learn_ids(self, cells: Factorized | None) -> None:
        if self.ids is None:
            return
        if cells is not None and cells.values.dtype.kind in "iu":
            self.ids.update(cells)
        elif not self.frozen:
            self.ids = None

    def freeze(self) -> None:
        """Drop the sample, and values that are not ids, and keep the layout."""
        super().freeze()
        self.ids = self.id_field

    def finish(self, n_rows: int) -> None:
        """Determine the deviation, the edges and the ids."""
        self.value.finish(n_rows)
        if self.ids is not None:
            self.ids.finish(n_rows)
        if self.frozen or not len(self.sample):
            return
        values, counts = np.unique(self.sample, return_counts=True)
        self.coarse, self.edges = (
            half_way(values, cut_positions(counts, n_bins)) for n_bins in BINS
        )

    @property
    def id_field(self) -> CategoryBlock | None:
        """Block of the values, if they are a field of their own."""
        if self.ids is None or self.is_flag:
            return None
        n_values = len(self.ids.vocabulary)
        repeat = 0 < ROWS_PER_ID * n_values <= self.ids.counts.sum()
        return self.ids if repeat and n_values > len(self.edges) + 1 else None

    @property
    def field_widths(self) -> dict[str, int]:
        """Width of each field, by what it adds to the name."""
        if self.is_flag:
            return {"": 1 + self.has_missing}
        widths = {"": 1}
        if len(self.coarse) < len(self.edges):
            widths["<coarse>"] = len(self.coarse) + 2
        widths["<fine>"] = len(self.edges) + 2
        if self.id_field is not None:
            widths["<values>"] = self.id_field.width
        return widths

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(self.field_widths.values())

    @property
    def missing_column(self) -> int | None:
        """Column of missing cells among the fine bins."""
        if self.is_flag:
            return 1 if self.has_missing else None
        widths = self.field_widths
        return 1 + widths.get("<coarse>", 0) + widths["<fine>"] - 1

    def encode(self, cells: Numbers) -> Encoded:
        """Look the bins up; numbers outside of all belong to the first or the last."""
        known, columns = self.id_field, None
        if known is not None and cells.ids is not None:
            columns = known.encode(_lenient(cells.ids, known)).columns
        return self.encode_floats(cells.floats, columns)

    def encode_floats(self, floats: np.ndarray, ids: np.ndarray | None) -> Encoded:
        """Encode numbers, given the columns of their ids if they have some."""
        missing = np.isnan(floats)
        if self.is_flag:
            return encode_flags(floats, missing, self.has_missing)
        widths = list(self.field_widths.values())
        columns = np.empty((len(floats), len(widths)), dtype=np.int32)
        columns[:, 0] = 0
        fine = find_bins(self.edges, floats)
        parts = [fine]
        if len(self.coarse) < len(self.edges):
            of_fine = coarsen(self.edges, self.coarse)
            of_fine = np.append(of_fine, np.int32(len(self.coarse) + 1))
            parts.insert(0, of_fine[fine])
        if ids is not None:
            parts.append(ids)
        starts = np.cumsum(widths).tolist()
        for number, part in enumerate(parts):
            np.add(part, starts[number], out=columns[:, number + 1])
        values = self._scaled(floats, missing)
        return Encoded(columns.ravel(), values, per_row=len(widths))

    def encode_levels(self, levels: np.ndarray) -> Encoded:
        """Encode numbers for which only the finest field is known.

        Parameters
        ----------
        levels : ndarray of int of shape (n_rows,)
            Column of each row within the last field: the ids, or the fine bins. A bin
            stands for its middle, and an outer bin for its edge.
        """
        ids = self.id_field
        if ids is not None:
            numbers = ids.decode(levels, np.empty(0)).astype(np.float64)
            numbers[np.isnan(numbers)] = self.value.mean
            numbers[levels == ids.missing_column] = np.nan
            return self.encode_floats(numbers, levels)
        outer = np.pad(self.edges, 1, "edge") if len(self.edges) else np.zeros(2)
        middles = np.append((outer[1:] + outer[:-1]) / 2, np.nan)
        return self.encode_floats(middles[levels], None)

    def _scaled(self, floats: np.ndarray, missing: np.ndarray) -> np.ndarray:
        values = (floats - self.value.mean) / self.value.scale
        np.clip(values, -CLIP, CLIP, out=values)
        values[missing | (values == 0)] = ALMOST_ZERO
        return values

    def labels(self) -> list[str]:
        """Return an empty name for the value, intervals, and the ids."""
        if self.is_flag:
            return ["", "<missing>"][: self.width]
        labels = [""]
        for part, edges in (("<coarse>", self.coarse), ("<fine>", self.edges)):
            if part in self.field_widths:
                labels += [f"{part}_{label}" for label in interval_labels(edges)]
        if self.id_field is not None:
            labels += [f"<values>_{label}" for label in self.id_field.labels()]
        return labels

    def tells(self, columns: np.ndarray) -> np.ndarray:
        """Tell which entries determine the cell; the others repeat it."""
        told: np.ndarray = columns == 0
        if self.missing_column is not None:
            told |= columns == self.missing_column
        return told

    def decode(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Undo the scaling; clipped values stay clipped."""
        numbers = np.where(np.abs(values) == ALMOST_ZERO, 0.0, values)
        if not self.is_flag:
            numbers = numbers * self.value.scale + self.value.mean
        return np.where(columns == self.missing_column, np.nan, numbers).astype(object)


def _are_integers(series: pd.Series, floats: np.ndarray) -> bool:
    """Return whether cells are integers, which must be exact in columns of floats."""
    dtype = getattr(series.dtype, "numpy_dtype", series.dtype)
    if getattr(dtype, "kind", "O") in "iu":
        return True
    held = floats[~np.isnan(floats)]
    whole = (held == np.floor(held)) & (np.abs(held) <= LARGEST_EXACT)
    return bool(whole.all())


def _lenient(cells: Factorized, ids: CategoryBlock) -> Factorized:
    """Return cells without an error for those that cannot be ids.

    Floats beyond 2**53 may be ids that were rounded, but only if ids are as large.
    """
    known = ids.vocabulary
    if cells.values.dtype.kind != "f" or max(-known[0], known[-1]) > LARGEST_EXACT:
        return cells
    values = np.where(np.abs(cells.values) > LARGEST_EXACT, np.nan, cells.values)
    return Factorized(cells.codes, values, cells.kind)
