"""Codecs learnt from parts of a table, merged into that of the whole table.

Each part is learnt by itself, in any order and in any thread: `learn_part`. Parts are
merged by `Part.merge`, in pairs, and `Part.finish` returns the codec that
`TableCodec.learn` returns for all rows together. Counts, categories and samples are the
same whatever the parts are; means and deviations are the same but for rounding.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from dataclasses import dataclass
from functools import singledispatch
from itertools import groupby
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp
from numpy.typing import NDArray

from skfm.encoding.blocks import Block, SampledBlock, ScaleBlock
from skfm.encoding.categories import (
    CategoryBlock,
    HashBlock,
    join_categories,
    sort_order,
)
from skfm.encoding.codec import TableCodec
from skfm.encoding.dates import DateBlock
from skfm.encoding.flags import FlagBlock, join_flags, prefix_of
from skfm.encoding.multi_valued import MultiValuedBlock
from skfm.encoding.nested import ROWS_PER_ID, NestedBlock, Numbers
from skfm.encoding.vectors import VectorBlock

__all__ = ["Part", "learn_cells", "learn_part", "merge", "settle"]

Pairs = set[tuple[int, int]]
Entries = NDArray[np.bool_] | None


@dataclass
class Part:
    """What was learnt from some rows of a table.

    Attributes
    ----------
    blocks : list of Block
        One for each column of the table.
    n_rows : int
        Number of the rows.
    together : set of (int, int)
        Pairs of blocks of truth values that both have an entry in some row.
    """

    blocks: list[Block]
    n_rows: int
    together: Pairs

    @classmethod
    def of(cls, learnt: Sequence[tuple[Any, Entries]], n_rows: int) -> Part:
        """Return the part of what `learn_cells` returned of each column."""
        blocks = [block for block, _ in learnt]
        entries = {j: rows for j, (_, rows) in enumerate(learnt) if rows is not None}
        names = [str(block.name) for block in blocks]
        return cls(blocks, n_rows, _together(names, entries))

    def merge(self, other: Part) -> None:
        """Learn what ``other`` has learnt, which must not be used any more.

        Raises
        ------
        ValueError
            If a column holds values of different types in the two parts.
        """
        for own, its in zip(self.blocks, other.blocks, strict=True):
            merge(own, its)
        self.n_rows += other.n_rows
        self.together |= other.together

    def drop_ids(self, n_rows: int) -> None:
        """Forget numbers that cannot be ids, given the rows of the whole table."""
        for block in self.blocks:
            if not isinstance(block, NestedBlock) or block.ids is None:
                continue
            if ROWS_PER_ID * len(block.ids.vocabulary) > n_rows:
                block.ids = None

    def finish(self) -> TableCodec:
        """Return the codec of all rows."""
        self.blocks = [settle(block) for block in self.blocks]
        for block in self.blocks:
            block.finish(self.n_rows)
            if isinstance(block, SampledBlock | DateBlock):
                block.freeze()
        names = [str(block.name) for block in self.blocks]
        flags = [j for j, b in enumerate(self.blocks) if getattr(b, "is_flag", False)]
        joined = join_flags(names, flags, self._exclude_each_other)
        return TableCodec(self.blocks, self.n_rows, joined)

    def _exclude_each_other(self, run: list[int]) -> bool:
        """Return whether no row has entries of two blocks."""
        members = set(run)
        return not any(i in members and j in members for i, j in self.together)


def learn_part(codec: TableCodec, columns: Sequence[pd.Series], start: int) -> Part:
    """Learn some rows of a table.

    Parameters
    ----------
    codec : TableCodec
        Codec that has learnt nothing.
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
    return Part.of(learnt, len(columns[0]))


def learn_cells(block: Block, cells: Any, start: int) -> tuple[Block, Entries]:
    """Learn the cells of a column.

    Parameters
    ----------
    block : Block
        Block that has learnt nothing, and is left so.
    cells : object
        Cells as ``block.read`` returns them.
    start : int
        Number of the first row in the table.

    Returns
    -------
    block : Block
    entries : ndarray of bool or None
        The rows that have an entry, if the block may be one of truth values.
    """
    block = copy.deepcopy(block)
    _start_at(block, start)
    block.update(cells)
    return block, _entries(block, cells)


def _start_at(block: Block, start: int) -> None:
    """Tell a block which row of the table its first cell is."""
    if isinstance(block, SampledBlock):
        block.n_seen = start
    elif isinstance(block, DateBlock) and block.elapsed is not None:
        block.elapsed.n_seen = start


def _entries(block: Block, cells: Any) -> Entries:
    """Return which rows have an entry of a block of truth values; None for others."""
    if isinstance(block, FlagBlock):
        table = np.append(cells.values.astype(bool), True)  # a missing cell, code -1
        entries: NDArray[np.bool_] = table[cells.codes]
        return entries
    if isinstance(block, NestedBlock) and block.binary:
        assert isinstance(cells, Numbers)
        return np.isnan(cells.floats) | (cells.floats != 0)
    return None


def _together(names: list[str], entries: dict[int, NDArray[np.bool_]]) -> Pairs:
    """Return the pairs of neighbouring blocks, of names alike, that share a row."""
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


@singledispatch
def merge(block: Any, other: Any) -> None:
    """Let ``block`` learn what ``other``, a block of the same column, has learnt."""
    raise NotImplementedError(f"blocks of {type(block).__name__} cannot be merged")


@merge.register
def _(block: ScaleBlock, other: ScaleBlock) -> None:
    block.add_moments(other.n, other.mean, other.squares)


@merge.register
def _(block: SampledBlock, other: SampledBlock) -> None:
    block.n_seen = max(block.n_seen, other.n_seen)
    block.add_sample(other.sample, other.ranks)


@merge.register
def _(block: NestedBlock, other: NestedBlock) -> None:
    merge.dispatch(SampledBlock)(block, other)
    merge(block.value, other.value)
    block.binary &= other.binary
    block.has_missing |= other.has_missing
    if block.ids is None or other.ids is None:
        block.ids = None
    else:
        merge(block.ids, other.ids)


@merge.register
def _(block: CategoryBlock, other: CategoryBlock) -> None:
    if other.kind == "nothing":
        return
    if block.kind == "nothing":
        block.kind, block.vocabulary = other.kind, other.vocabulary
        block.counts = other.counts
        return
    _check_kinds(block.name, block.kind, other.kind)
    block.vocabulary, block.counts = join_categories(
        (block.vocabulary, block.counts), (other.vocabulary, other.counts), block.name
    )


@merge.register
def _(block: HashBlock, other: HashBlock) -> None:
    if other.kind == "nothing":
        return
    if block.kind != "nothing":
        _check_kinds(block.name, block.kind, other.kind)
    block.kind, block.ids = other.kind, other.ids


@merge.register
def _(block: FlagBlock, other: FlagBlock) -> None:
    block.has_missing |= other.has_missing


@merge.register
def _(block: VectorBlock, other: VectorBlock) -> None:
    if other.n:
        block.add_moments(other.n, other.mean, other.squares)


@merge.register
def _(block: MultiValuedBlock, other: MultiValuedBlock) -> None:
    merge(block.inner, other.inner)


@merge.register
def _(block: DateBlock, other: DateBlock) -> None:
    if block.elapsed is not None and other.elapsed is not None:
        merge(block.elapsed, other.elapsed)
    for part, own in block.parts.items():
        merge(own, other.parts[part])


def _check_kinds(name: str, one: str, other: str) -> None:
    if one != other:
        raise ValueError(
            f"Column {name!r} holds {one} in some rows and {other} in others. Convert "
            "it to one type."
        )


@singledispatch
def settle(block: Any) -> Block:
    """Return a merged block as one that has learnt all rows at once.

    Categories, which are merged in any order, are sorted.
    """
    settled: Block = block
    return settled


@settle.register
def _(block: CategoryBlock) -> Block:
    order = sort_order(block.vocabulary, block.kind)
    block.vocabulary, block.counts = block.vocabulary[order], block.counts[order]
    return block


@settle.register
def _(block: NestedBlock) -> Block:
    if block.ids is not None:
        settle(block.ids)
    return block


@settle.register
def _(block: MultiValuedBlock) -> Block:
    settle(block.inner)
    return block


@settle.register
def _(block: DateBlock) -> Block:
    for part in block.parts.values():
        settle(part)
    return block
