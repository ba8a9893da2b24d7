"""Codecs that are learnt from parts of a table and merged.

`learn_part` learns each part by itself, in any order and in any thread. `Part.merge`
merges parts in pairs, and `Part.finish` returns the codec that `TableCodec.learn`
returns for all rows together. Counts, categories and samples do not depend on the
parts; means and deviations depend on them only by rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .blocks import Block, SampledBlock
from .codec import TableCodec
from .dates import DateBlock
from .flags import FlagBlock, join_flags, prefix_of
from .merged_blocks import merge, n_categories, settle
from .nested import NestedBlock, Numbers
from .shared import SharedCategories, categories_of, check_kinds

__all__ = ["Part", "learn_cells", "learn_part"]

Pairs = set[tuple[int, int]]
Entries = np.ndarray | None


@dataclass
class Part:
    """Encodings that were learnt from some rows of a table.

    Attributes
    ----------
    blocks : list of Block
        One for each column of the table.
    n_rows : int
        Number of the rows.
    together : set of (int, int)
        Pairs of blocks of truth values that both have an entry in some row.
    shared : SharedCategories
        Groups of blocks that will have the same categories.
    """

    blocks: list[Block]
    n_rows: int
    together: Pairs
    shared: SharedCategories

    @classmethod
    def of(
        cls,
        learnt: Sequence[tuple[Any, Entries]],
        n_rows: int,
        shared: SharedCategories,
    ) -> Part:
        """Return the part, given the results of `learn_cells` for all columns."""
        blocks = [block for block, _ in learnt]
        entries = {j: rows for j, (_, rows) in enumerate(learnt) if rows is not None}
        names = [str(block.name) for block in blocks]
        return cls(blocks, n_rows, _together(names, entries), shared)

    def merge(self, other: Part) -> None:
        """Add what ``other`` has learnt; ``other`` must not be used afterwards.

        Raises
        ------
        ValueError
            If a column holds values of different types in the two parts.
        """
        for own, its in zip(self.blocks, other.blocks, strict=True):
            merge(own, its)
        self.n_rows += other.n_rows
        self.together |= other.together

    def take_samples(self, other: Part) -> None:
        """Take over the samples of ``other``: only one of many parts has samples."""
        pairs = zip(self.blocks, other.blocks, strict=True)
        for own, its in ((_sampled(a), _sampled(b)) for a, b in pairs):
            if own is not None and its is not None:
                own.add_sample(its.sample, its.ranks)
                its.sample, its.ranks = its.sample[:0], its.ranks[:0]

    def n_categories(self) -> dict[str, int]:
        """Return the number of categories of each column."""
        return {str(block.name): n_categories(block) for block in self.blocks}

    def finish(self) -> TableCodec:
        """Return the codec of all rows."""
        self.blocks = [settle(block) for block in self.blocks]
        self._join_categories()
        for part in self.shared.parts(len(self.blocks)):
            block = self.blocks[part[0]]
            block.finish(self.n_rows)
            if isinstance(block, SampledBlock | DateBlock):
                block.freeze()
        self.shared.link(self.blocks)
        names = [str(block.name) for block in self.blocks]
        flags = [j for j, b in enumerate(self.blocks) if getattr(b, "is_flag", False)]
        joined = join_flags(names, flags, self._exclude_each_other)
        return TableCodec(self.blocks, self.n_rows, joined, shared=self.shared)

    def _join_categories(self) -> None:
        """Add the categories of each group to its first block."""
        for group in self.shared.groups:
            own: list[Any] = [categories_of(self.blocks[number]) for number in group]
            check_kinds([part.name for part in own], [part.kind for part in own])
            for other in own[1:]:
                merge(own[0], other)
            settle(own[0])

    def _exclude_each_other(self, run: list[int]) -> bool:
        """Return whether no row has entries of two blocks."""
        members = set(run)
        return not any(i in members and j in members for i, j in self.together)


def learn_part(codec: TableCodec, columns: Sequence[pd.Series], start: int) -> Part:
    """Learn some rows of a table.

    Parameters
    ----------
    codec : TableCodec
        Unfitted codec.
    columns : sequence of Series
        Columns of these rows.
    start : int
        Number of the first row in the table.

    Raises
    ------
    ValueError, TypeError
        If a column cannot be encoded.
    """
    pairs = zip(codec.blocks, columns, strict=True)
    learnt = [learn_cells(block, block.read(series), start) for block, series in pairs]
    return Part.of(learnt, len(columns[0]), codec.shared)


def learn_cells(block: Block, cells: Any, start: int) -> tuple[Block, Entries]:
    """Learn the cells of a column.

    Parameters
    ----------
    block : Block
        Unfitted block, which does not change.
    cells : object
        Cells as ``block.read`` returns them.
    start : int
        Number of the first row in the table.

    Returns
    -------
    block : Block
    entries : ndarray of bool or None
        Mask of the rows with an entry, if the block may be one of truth values.
    """
    block = copy.deepcopy(block)
    sampled = _sampled(block)
    if sampled is not None:
        sampled.n_seen = start
    block.update(cells)
    return block, _entries(block, cells)


def _sampled(block: Block) -> SampledBlock | None:
    """Return the part of a block that samples cells, if there is one."""
    if isinstance(block, DateBlock):
        return block.elapsed
    return block if isinstance(block, SampledBlock) else None


def _entries(block: Block, cells: Any) -> Entries:
    """Return the mask of rows with an entry of a block of truth values, else None."""
    if isinstance(block, FlagBlock):
        # Missing cells have the code -1.
        table = np.append(cells.values.astype(bool), True)
        entries: np.ndarray = table[cells.codes]
        return entries
    if isinstance(block, NestedBlock) and block.binary:
        assert isinstance(cells, Numbers)
        return np.isnan(cells.floats) | (cells.floats != 0)
    return None


def _together(names: list[str], entries: dict[int, np.ndarray]) -> Pairs:
    """Return the pairs of neighbouring blocks with similar names that share a row."""
    pairs: Pairs = set()
    keyed = groupby(
        enumerate(entries), lambda item: (prefix_of(names[item[1]]), item[1] - item[0])
    )
    for _, run in keyed:
        group = [j for _, j in run]
        if len(group) > 1:
            stacked = sp.csc_array(np.stack([entries[j] for j in group], axis=1))
            counts = stacked.astype(np.int32)
            both = np.argwhere(sp.triu(counts.T @ counts, 1).toarray())
            pairs.update((group[a], group[b]) for a, b in both.tolist())
    return pairs
