"""Dates as elapsed time and parts of a calendar."""

from __future__ import annotations

import datetime
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
import pandas as pd

from ..persistence.records import require, saved
from .blocks import Encoded, check_name
from .categories import CategoryBlock
from .columns import Factorized, dates_of_objects
from .nested import NestedBlock, Numbers

__all__ = ["PARTS", "DateBlock"]

Dates = np.ndarray


def _year(dates: Dates) -> np.ndarray:
    return dates.astype("M8[Y]").astype(np.int64) + 1970


def _month(dates: Dates) -> np.ndarray:
    return dates.astype("M8[M]").astype(np.int64) % 12 + 1


def _day(dates: Dates) -> np.ndarray:
    start = dates.astype("M8[M]").astype("M8[D]")
    return (dates.astype("M8[D]") - start).astype(np.int64) + 1


def _weekday(dates: Dates) -> np.ndarray:
    # The epoch was a Thursday; Monday is 0.
    return (dates.astype("M8[D]").astype(np.int64) + 3) % 7


def _hour(dates: Dates) -> np.ndarray:
    return (dates - dates.astype("M8[D]")).astype("m8[h]").astype(np.int64)


_CALENDAR: dict[str, Callable[[Dates], np.ndarray]] = {
    "year": _year,
    "month": _month,
    "day": _day,
    "weekday": _weekday,
    "hour": _hour,
}
#: Parts by which a date can be encoded.
PARTS = ("elapsed", *_CALENDAR)
_DAY = 86_400e6


@saved("record")
@dataclass
class DateBlock:
    """A date as fields of its own: those of the elapsed time, a number, and parts.

    Parts that were the same in all rows are left out, such as the hour of plain dates.

    Attributes
    ----------
    elapsed : NestedBlock or None
        Days since 1970.
    parts : dict of str to CategoryBlock
        Parts of the calendar, each with columns for unknown and missing values.
    """

    name: str
    elapsed: NestedBlock | None = None
    parts: dict[str, CategoryBlock] = field(default_factory=dict)
    has_unknown: ClassVar[bool] = False
    absent: ClassVar[Any] = np.datetime64("NaT", "us")

    @classmethod
    def of_parts(cls, name: str, parts: tuple[str, ...]) -> DateBlock:
        """Return an unfitted block with some of `PARTS`."""
        elapsed = NestedBlock(name, binary=False) if "elapsed" in parts else None
        calendar = {part: CategoryBlock(name) for part in _CALENDAR if part in parts}
        return cls(name, elapsed, calendar)

    def check(self) -> None:
        """Raise a ValueError unless each part has a block of its own."""
        check_name(self.name)
        known = isinstance(self.elapsed, NestedBlock | None)
        require(known and isinstance(self.parts, dict), "a part of a date is none")
        require(set(self.parts) <= set(_CALENDAR), "a part of a date is unknown")
        blocks = self.parts.values()
        categories = all(isinstance(block, CategoryBlock) for block in blocks)
        require(categories, "a part of a date is no category")
        require(self.elapsed is None or not self.elapsed.is_flag, "a date is a flag")

    def read(self, series: pd.Series) -> Dates:
        """Return dates to the microsecond, in the local time of their zone."""
        return to_dates(series, self.name)

    def update(self, cells: Dates) -> None:
        """Learn from cells."""
        if self.elapsed is not None:
            self.elapsed.update(_elapsed(cells))
        for part, block in self.parts.items():
            block.update(_factorized(cells, part))

    def finish(self, n_rows: int) -> None:
        """Determine the layout of the parts."""
        for block in self._blocks:
            block.finish(n_rows)

    def freeze(self) -> None:
        """Drop the sample of the elapsed time."""
        if self.elapsed is not None:
            self.elapsed.freeze()

    @property
    def _blocks(self) -> list[NestedBlock | CategoryBlock]:
        elapsed = [] if self.elapsed is None else [self.elapsed]
        return [*elapsed, *self.parts.values()]

    @property
    def _varying(self) -> dict[str, CategoryBlock]:
        parts = self.parts.items()
        varying = {part: block for part, block in parts if len(block.vocabulary) > 1}
        if not varying and self.elapsed is None:
            return dict(list(parts)[:1])
        return varying

    @property
    def parts_with_columns(self) -> list[NestedBlock | CategoryBlock]:
        """Blocks of the elapsed time and of the parts that vary, in their order."""
        elapsed = [] if self.elapsed is None else [self.elapsed]
        return [*elapsed, *self._varying.values()]

    @property
    def field_widths(self) -> dict[str, int]:
        """Width of each field, by what it adds to the name."""
        widths = {} if self.elapsed is None else dict(self.elapsed.field_widths)
        return widths | {f"<{p}>": block.width for p, block in self._varying.items()}

    @property
    def width(self) -> int:
        """Number of columns."""
        return sum(self.field_widths.values())

    @property
    def missing_column(self) -> int | None:
        """Column of missing cells in the first field that has one."""
        if self.elapsed is not None:
            return self.elapsed.missing_column
        return next(iter(self._varying.values())).width - 1

    def encode(self, cells: Dates) -> Encoded:
        """Encode the parts, one after the other."""
        columns, values, start = [], None, 0
        if self.elapsed is not None:
            part = self.elapsed.encode(_elapsed(cells))
            columns.append(part.columns.reshape(len(cells), part.per_row))
            values, start = part.values, self.elapsed.width
        for name, block in self._varying.items():
            found = block.encode(_factorized(cells, name)).columns
            columns.append((found + start)[:, None])
            start += block.width
        together = np.hstack(columns)
        return Encoded(together.ravel(), values, per_row=together.shape[1])

    def labels(self) -> list[str]:
        """Return an empty name for the elapsed time, intervals, and parts."""
        labels = [] if self.elapsed is None else self.elapsed.labels()
        for part, block in self._varying.items():
            labels += [f"<{part}>_{label}" for label in block.labels()]
        return labels

    def tells(self, columns: np.ndarray) -> np.ndarray:
        """Tell which entries determine the cell: those of the elapsed time."""
        if self.elapsed is None:
            return np.zeros(len(columns), dtype=bool)
        return self.elapsed.tells(columns)

    def decode(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return dates to the millisecond; clipped dates stay clipped."""
        if self.elapsed is None:
            return np.full(len(columns), self.absent, dtype=object)
        days = self.elapsed.decode(columns, values).astype(np.float64)
        missing = np.isnan(days)
        milliseconds = np.rint(np.where(missing, 0, days) * (_DAY / 1000))
        dates = milliseconds.astype(np.int64).astype("M8[ms]").astype("M8[us]")
        dates[missing] = self.absent
        cells = np.empty(len(dates), dtype=object)
        cells[:] = list(dates)
        return cells


def to_dates(series: pd.Series, name: str) -> Dates:
    """Return a column of dates as datetime64[us] without a zone.

    Raises
    ------
    ValueError
        When a cell is not a date.
    """
    if isinstance(series.dtype, pd.DatetimeTZDtype):
        series = series.dt.tz_localize(None)
    if isinstance(series.dtype, np.dtype) and series.dtype.kind == "M":
        return series.to_numpy().astype("M8[us]")
    cells = series.to_numpy(dtype=object)
    held = ~pd.isna(cells)
    for row in np.flatnonzero(held):
        if not isinstance(cells[row], datetime.date | np.datetime64):
            raise ValueError(
                f"Column {name!r} held dates during fit but holds {cells[row]!r} in "
                f"row {row}. Convert it, for instance by pandas.to_datetime."
            )
    dates = np.full(len(cells), np.datetime64("NaT", "us"))
    dates[held] = dates_of_objects(cells[held], local=True)
    return dates


def _elapsed(cells: Dates) -> Numbers:
    days = cells.astype(np.int64) / _DAY
    return Numbers(np.where(np.isnat(cells), np.nan, days), None)


def _factorized(cells: Dates, part: str) -> Factorized:
    missing = np.isnat(cells)
    codes, values = pd.factorize(_CALENDAR[part](cells[~missing]))
    every = np.full(len(cells), -1, dtype=np.intp)
    every[~missing] = codes
    return Factorized(every, values, "numbers" if len(values) else "nothing")
