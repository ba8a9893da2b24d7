"""Blocks of a categorical column: with a column per category, or hashed."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ..persistence.records import is_array, is_integer, require, saved
from .blocks import Encoded, check_name
from .columns import LARGEST_EXACT, Factorized, factorize
from .hashing import hash_values

__all__ = [
    "CategoricalBlock",
    "CategoryBlock",
    "HashBlock",
    "check_kind",
    "join_categories",
    "sort_order",
]


def check_kind(name: str, seen: str, cells: Factorized, ids: bool) -> None:
    """Refuse cells of another type than those of the fit.

    ``ids`` tells that the cells of the fit were integers, which large floats cannot
    equal.
    """
    if not len(cells.values):
        return
    row = int(np.argmax(cells.codes >= 0))
    if cells.kind != seen:
        raise ValueError(
            f"Column {name!r} held {seen} during fit but holds {cells.kind} now, as "
            f"{cells.cell(row)!r} in row {row}. Convert it to the type that it had "
            "during fit."
        )
    if ids and cells.values.dtype.kind == "f":
        large = np.abs(cells.values) > LARGEST_EXACT
        if large.any():
            raise ValueError(
                f"Column {name!r} held integers during fit but holds floats beyond "
                f"2**53 now, as {float(cells.values[large][0])!r}: such ids have been "
                "rounded. Keep them as integers (nullable ones if cells are missing)."
            )


@dataclass
class CategoricalBlock:
    """Base class of the blocks of a categorical column."""

    name: str
    absent: ClassVar[Any] = None

    @property
    def width(self) -> int:
        """Number of columns."""
        raise AssertionError("defined by each kind of block")

    @property
    def missing_column(self) -> int | None:
        """Column of missing cells."""
        return self.width - 1

    def read(self, series: pd.Series) -> Factorized:
        """Number the distinct values."""
        return factorize(series, self.name)

    def take_categories(self, other: Any) -> None:
        """Take over the categories of another block; both then share its arrays."""
        known = vars(other).items()
        vars(self).update({key: value for key, value in known if key != "name"})


@saved("record")
@dataclass
class CategoryBlock(CategoricalBlock):
    """One column per category, then those of infrequent, unknown and missing cells."""

    has_unknown: ClassVar[bool] = True
    min_frequency: float | None = None
    max_categories: int | None = None
    on_excess: str = "group"
    kind: str = "nothing"
    vocabulary: np.ndarray = field(default_factory=lambda: np.empty(0, dtype=object))
    counts: np.ndarray = field(default_factory=lambda: np.empty(0, np.int64))
    infrequent: np.ndarray = field(default_factory=lambda: np.empty(0, bool))
    _index: pd.Index = field(init=False, repr=False)
    _slots: np.ndarray = field(init=False, repr=False)

    def __post_init__(self) -> None:
        self.check()
        self._number_columns()

    def check(self) -> None:
        """Raise a ValueError unless each category has a count and a mark."""
        check_name(self.name)
        known = isinstance(self.vocabulary, np.ndarray) and self.vocabulary.ndim == 1
        require(known, f"the categories of column {self.name!r} are no vector")
        size = (len(self.vocabulary),)
        fits = is_array(self.counts, np.int64, size)
        require(fits, f"the counts of column {self.name!r} do not fit its categories")
        fits = is_array(self.infrequent, np.bool_, size)
        require(fits, f"column {self.name!r} does not say which categories are rare")
        require(isinstance(self.kind, str), "the kind of a category is none")

    def update(self, cells: Factorized) -> None:
        """Add the categories and their counts."""
        if self.kind != "nothing":
            check_kind(self.name, self.kind, cells, self.vocabulary.dtype.kind in "iu")
        counts = np.bincount(
            cells.codes.astype(np.intp) + 1, minlength=len(cells.values) + 1
        )[1:]
        values, counts = cells.values[counts > 0], counts[counts > 0]
        if not len(values):
            return
        if self.kind != "nothing":
            values, counts = join_categories(
                (self.vocabulary, self.counts), (values, counts), self.name
            )
        order = sort_order(values, cells.kind)
        self.kind = cells.kind
        self.vocabulary, self.counts = values[order], counts[order]

    def finish(self, n_rows: int) -> None:
        """Determine the infrequent categories."""
        least = self.min_frequency or 0
        if isinstance(least, float):
            least *= n_rows
        infrequent = self.counts < least
        most = self.max_categories
        kept = int((~infrequent).sum())
        if most is not None and kept > most and self.on_excess == "raise":
            raise ValueError(
                f"Column {self.name!r} has {kept} categories, more than "
                f"max_categories={most}. Raise max_categories or min_frequency, hash "
                'the column by n_buckets, or let on_excess="group" share a column '
                "among the rarest."
            )
        if most is not None and kept + infrequent.any() > most:
            rarest_first = np.argsort(self.counts, kind="stable")
            infrequent[rarest_first[: len(self.counts) - most + 1]] = True
        self.infrequent = infrequent
        self._number_columns()

    def _number_columns(self) -> None:
        infrequent, frequent = self.infrequent, self.n_frequent
        self._index = _index(self.vocabulary)
        slots = np.where(infrequent, frequent, np.cumsum(~infrequent) - 1)
        self._slots = np.append(slots, frequent + infrequent.any()).astype(np.int32)

    @property
    def n_frequent(self) -> int:
        """Number of categories with a column of their own."""
        return len(self.infrequent) - int(self.infrequent.sum())

    @property
    def categories(self) -> np.ndarray:
        """Categories with a column of their own."""
        return self.vocabulary[~self.infrequent]

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.n_frequent + bool(self.infrequent.any()) + 2

    def encode(self, cells: Factorized) -> Encoded:
        """Look the categories up."""
        table = np.full(len(cells.values) + 1, self.width - 2, dtype=np.int32)
        # The code -1 of a missing cell reads the last element.
        table[-1] = self.width - 1
        if self.kind != "nothing":
            check_kind(self.name, self.kind, cells, self.vocabulary.dtype.kind in "iu")
            found = _find(
                self._index_for(len(cells.values)), self.vocabulary.dtype, cells.values
            )
            table[:-1] = self.columns_at(found)
        return Encoded(table[cells.codes])

    def columns_at(self, positions: np.ndarray) -> np.ndarray:
        """Return the columns of categories, given their positions; -1 means unknown."""
        return self._slots[positions]

    def _index_for(self, n_wanted: int) -> pd.Index:
        """Return the index in which values are looked up.

        An index keeps its hash table, which takes as much memory as the vocabulary.
        This pays if a few rows are encoded at a time. For many rows a temporary one is
        built, which takes little more time than their look-ups.
        """
        few = 10 * n_wanted < len(self._index)
        return self._index if few else _index(self.vocabulary)

    def labels(self) -> list[str]:
        """Return the names of the categories, as scikit-learn's OneHotEncoder does."""
        rare = ["<infrequent>"] if self.infrequent.any() else []
        return [*map(str, self.categories), *rare, "<unknown>", "<missing>"]

    def decode(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return categories, and None for unknown ones."""
        table = np.full(self.width, None, dtype=object)
        table[: self.n_frequent] = self.categories
        return table[columns]


def join_categories(
    one: tuple[np.ndarray, np.ndarray],
    other: tuple[np.ndarray, np.ndarray],
    name: str,
) -> tuple[np.ndarray, np.ndarray]:
    """Return the union of two sets of values, and the sums of their counts."""
    codes, values = pd.factorize(_concatenate(one[0], other[0], name))
    counts = np.zeros(len(values), dtype=np.int64)
    np.add.at(counts, codes, np.concatenate([one[1], other[1]]))
    return values, counts


def _concatenate(old: np.ndarray, new: np.ndarray, name: str) -> np.ndarray:
    """Concatenate values of one kind without rounding."""
    kinds = {old.dtype.kind, new.dtype.kind}
    if kinds <= {"i", "u", "f"} and len(kinds) > 1:
        low = min(part.min() for part in (old, new) if part.dtype.kind != "f")
        high = max(part.max() for part in (old, new) if part.dtype.kind != "f")
        common = np.float64 if "f" in kinds else np.uint64
        exact = low >= 0 if "f" not in kinds else max(-low, high) <= LARGEST_EXACT
        if not exact:
            raise ValueError(
                f"The numbers of column {name!r} have no exact common 64-bit type "
                f"({old.dtype} before, {new.dtype} now). Pass them as strings."
            )
        return np.concatenate([old.astype(common), new.astype(common)])
    return np.concatenate([old, new])


def sort_order(values: np.ndarray, kind: str) -> np.ndarray:
    """Return the order of the categories in a block."""
    if kind == "strings":
        # This sorts by code points, as Python does, in a third of the time. Lone
        # surrogates have no UTF-8.
        with suppress(UnicodeEncodeError):
            values = values.astype(np.dtypes.StringDType())
    try:
        return np.argsort(values, kind="stable")
    except TypeError:
        return np.argsort(np.array([repr(v) for v in values]), kind="stable")


def _index(values: np.ndarray) -> pd.Index:
    if values.dtype.kind in "bmM":
        return pd.Index(values.astype(np.int64))
    return pd.Index(values, dtype=values.dtype, copy=False)


def _find(index: pd.Index, dtype: np.dtype, values: np.ndarray) -> np.ndarray:
    """Return positions in the index, -1 for values that it does not hold."""
    if values.dtype == dtype or not len(values):
        wanted = values.astype(np.int64) if dtype.kind in "bmM" else values
        return index.get_indexer(pd.Index(wanted, dtype=wanted.dtype))
    with np.errstate(invalid="ignore"):
        cast = values.astype(dtype)
        # They are equal only if nothing was rounded and no sign was lost.
        same = (cast.astype(values.dtype) == values) & ((cast < 0) == (values < 0))
    found = index.get_indexer(pd.Index(cast))
    return np.where(same, found, -1)


@saved("record")
@dataclass
class HashBlock(CategoricalBlock):
    """A fixed number of columns for hashed categories, and one for missing cells."""

    has_unknown: ClassVar[bool] = False
    n_buckets: int
    kind: str = "nothing"
    ids: bool = False

    def check(self) -> None:
        """Raise a ValueError unless the number of columns is possible."""
        check_name(self.name)
        possible = is_integer(self.n_buckets, 1, 2**31 - 2)
        require(possible, f"column {self.name!r} has {self.n_buckets!r} buckets")
        require(isinstance(self.kind, str), "the kind of a category is none")
        require(isinstance(self.ids, bool), "ids is no truth value")

    def update(self, cells: Factorized) -> None:
        """Learn the type of the cells."""
        hash_values(cells.values[:1], cells.kind, self.name)
        if self.kind != "nothing":
            check_kind(self.name, self.kind, cells, self.ids)
        if cells.kind != "nothing":
            self.kind = cells.kind
            self.ids = cells.values.dtype.kind in "iu"

    def finish(self, n_rows: int) -> None:
        """Do nothing: the layout is fixed."""

    @property
    def width(self) -> int:
        """Number of columns."""
        return self.n_buckets + 1

    def encode(self, cells: Factorized) -> Encoded:
        """Hash the distinct values."""
        if self.kind != "nothing":
            check_kind(self.name, self.kind, cells, self.ids)
        hashed = hash_values(cells.values, cells.kind, self.name)
        buckets = (hashed % np.uint64(self.n_buckets)).astype(np.int32)
        return Encoded(np.append(buckets, np.int32(self.n_buckets))[cells.codes])

    def labels(self) -> list[str]:
        """Return the names of the buckets."""
        return [*(f"<hash {b}>" for b in range(self.n_buckets)), "<missing>"]

    def decode(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return None for each cell, because a hash has no inverse."""
        return np.full(len(columns), None, dtype=object)
