"""Columns of a table as the coded fields that crosses are made of."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from skfm.encoding.blocks import Block, QuantileBlock
from skfm.encoding.categories import CategoryBlock
from skfm.encoding.columns import LARGEST_EXACT, to_floats

from .levels import Codes

__all__ = ["CodedTable"]

#: Bins of a number.
_N_BINS = 8
_N_FINE_BINS = 64
#: Integers of at most this many values are categories, not numbers, for crosses.
_FEW_VALUES = 64
#: Integers are ids too where each value has this many rows on average.
_ROWS_A_VALUE = 3


@dataclass
class CodedTable:
    """The fields that crosses are made of: one or two for each column of a table.

    A categorical column is a field of its categories. A number is a field of its
    bins. Integers that repeat are a field of their values, beside that of their bins
    where there are many, so that ids and days of the month can be crossed whatever
    their type.

    Attributes
    ----------
    blocks : list of Block
        One for each field.
    sources : list of int
        The column that each field comes from.
    has_categories : bool
        Whether a column is categorical.
    """

    blocks: list[Block]
    sources: list[int]
    has_categories: bool

    @classmethod
    def learn(
        cls, columns: Sequence[pd.Series], names: Sequence[str], categorical: NDArray
    ) -> tuple[CodedTable, Codes]:
        """Return the fields of a table, and the codes of its rows.

        Parameters
        ----------
        columns : sequence of Series
        names : sequence of str
            What the columns are called.
        categorical : ndarray of bool of shape (n_columns,)
            Which of them are categorical.

        Returns
        -------
        table : CodedTable
        codes : ndarray of int32 of shape (n_rows, n_fields)
        """
        blocks, sources, codes = [], [], []
        for j, series in enumerate(columns):
            made = (
                [CategoryBlock(names[j])]
                if categorical[j]
                else _number_blocks(series, names[j])
            )
            for block in made:
                cells = block.read(series)
                block.update(cells)
                block.finish(len(series))
                if isinstance(block, QuantileBlock):
                    block.freeze()
                blocks.append(block)
                sources.append(j)
                codes.append(block.encode(cells).columns)
        return cls(blocks, sources, bool(categorical.any())), _by_column(codes)

    def encode(self, columns: Sequence[pd.Series]) -> Codes:
        """Return the codes of rows, of shape (n_rows, n_fields)."""
        codes = [
            block.encode(block.read(columns[j])).columns
            for block, j in zip(self.blocks, self.sources, strict=True)
        ]
        return _by_column(codes)

    @property
    def widths(self) -> list[int]:
        """Number of levels of each field."""
        return [block.width for block in self.blocks]

    def names_of(self, fields: Sequence[int], names: Sequence[str]) -> tuple[str, ...]:
        """Return the names of fields, given those of the columns.

        Of the two fields of a column of integers, that of the bins is marked.
        """
        return tuple(
            f"{names[self.sources[f]]} (bins)"
            if self.sources[f] in self.sources[f + 1 :]
            else str(names[self.sources[f]])
            for f in fields
        )

    def field_of(self, column: int) -> int:
        """Return the field of a column; that of the values, where there are two."""
        return max(f for f, source in enumerate(self.sources) if source == column)

    def fine_bins(self, columns: Sequence[pd.Series]) -> list[tuple[Codes, int]]:
        """Return each number's bin among many, and how many there are.

        They are for models of single fields: a model that knows coarse bins only
        leaves part of a number's own effect to the crosses.
        """
        fine = []
        for coarse, j in zip(self.blocks, self.sources, strict=True):
            if isinstance(coarse, QuantileBlock):
                block = QuantileBlock(coarse.name, n_bins=_N_FINE_BINS)
                cells = block.read(columns[j])
                block.update(cells)
                block.finish(len(cells))
                fine.append((block.encode(cells).columns, block.width))
        return fine

    def labels_of(self, fields: Sequence[int]) -> list[list[str]]:
        """Return the names of the levels of fields."""
        return [self.blocks[f].labels() for f in fields]


def _number_blocks(series: pd.Series, name: str) -> list[Block]:
    numbers = to_floats(series, name)
    held = numbers[~np.isnan(numbers)]
    bins = QuantileBlock(name, n_bins=_N_BINS)
    if not len(held) or not _are_integers(held):
        return [bins]
    n_values = len(pd.unique(held))
    if n_values * _ROWS_A_VALUE > len(held):
        return [bins]
    if n_values <= _FEW_VALUES:
        return [CategoryBlock(name)]
    return [bins, CategoryBlock(name)]


def _are_integers(numbers: NDArray[np.float64]) -> bool:
    whole = (numbers == np.floor(numbers)) & (np.abs(numbers) <= LARGEST_EXACT)
    return bool(whole.all())


def _by_column(codes: list[NDArray[np.int32]]) -> Codes:
    """Return codes as one array in which those of a field are adjacent."""
    return np.array(codes).T
