"""Columns of a table that share their categories and the columns of the matrix."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from functools import cached_property
from typing import Any

import numpy as np

from ..persistence.records import is_integer, require, saved
from .blocks import Encoded
from .categories import CategoryBlock, HashBlock
from .multi_valued import Bags, MultiValuedBlock, sum_entries
from .selection import column_position

__all__ = ["SharedCategories", "categories_of", "check_kinds", "learn_together"]


def categories_of(block: Any) -> CategoryBlock | HashBlock | None:
    """Return the block of the categories of a block, if it has any."""
    inner = block.inner if isinstance(block, MultiValuedBlock) else block
    return inner if isinstance(inner, CategoryBlock | HashBlock) else None


@saved("record")
@dataclass(frozen=True)
class SharedCategories:
    """Groups of blocks with the same categories.

    Each block of a group reads and encodes the cells of its own column of the table.
    The first one represents the group: its columns are those of the matrix.

    Attributes
    ----------
    groups : list of list of int
        Numbers of the blocks, ascending in each group.
    """

    groups: list[list[int]] = field(default_factory=list)

    @classmethod
    def read(cls, given: Any, names: Sequence[str], named: bool) -> SharedCategories:
        """Return the groups that a user asks for, in the order of their first columns.

        Parameters
        ----------
        given : list of lists of str or int, or None
            Names or indices of columns.
        names : sequence of str
            Names of all columns.
        named : bool
            Whether the names come from the user.

        Raises
        ------
        ValueError
            If a group has fewer than two columns, or a column is unknown or is named
            twice.
        """
        groups: list[list[int]] = []
        for group in [] if given is None else given:
            if isinstance(group, str) or not np.iterable(group):
                raise ValueError(
                    f"shared_categories holds {group!r}, which is not a list of "
                    'columns. Use a list of lists such as [["clicked", "shown"]].'
                )
            places = [
                column_position(key, names, named, "shared_categories") for key in group
            ]
            if len(places) < 2:
                raise ValueError(
                    f"shared_categories holds {list(group)!r}: a column shares its "
                    "categories with another one. Name two or more columns."
                )
            groups.append(sorted(places))
        found = cls(sorted(groups))
        twice = [n for n, times in Counter(found.members).items() if times > 1]
        if twice:
            raise ValueError(
                f"shared_categories names column {names[twice[0]]!r} twice. Join the "
                "groups, or leave it out of one of them."
            )
        return found

    def check(self) -> None:
        """Raise a ValueError unless the groups are disjoint, of two or more blocks."""
        fine = isinstance(self.groups, list) and all(
            isinstance(group, list) and len(group) > 1 for group in self.groups
        )
        require(fine, "shared categories are no groups")
        members = self.members
        require(all(is_integer(n, 0) for n in members), "a shared column is no number")
        require(len(set(members)) == len(members), "two groups share a column")
        ascending = all(group == sorted(group) for group in self.groups)
        require(ascending, "the columns of a group do not ascend")

    def check_fits(self, blocks: Sequence[Any]) -> None:
        """Raise a ValueError unless the blocks of each group can be the same."""
        for group in self.groups:
            require(group[-1] < len(blocks), "a shared column is not in the table")
            own = [categories_of(blocks[number]) for number in group]
            kinds = {(type(part), getattr(part, "n_buckets", 0)) for part in own}
            same = len(kinds) == 1 and None not in own
            require(same, "columns of different encodings share their categories")

    @property
    def members(self) -> list[int]:
        """All blocks that share their categories with others."""
        return [number for group in self.groups for number in group]

    @cached_property
    def followers(self) -> dict[int, int]:
        """First block of the group of each block that is not the first."""
        return {number: group[0] for group in self.groups for number in group[1:]}

    def parts(self, n_blocks: int) -> list[list[int]]:
        """Return the blocks that learn together: the groups, and each other block."""
        groups = {group[0]: group for group in self.groups}
        return [
            groups.get(number, [number])
            for number in range(n_blocks)
            if number not in self.followers
        ]

    def link(self, blocks: Sequence[Any]) -> None:
        """Copy the categories of the first block of each group to the others."""
        for number, first in self.followers.items():
            _hand_on(blocks[first], blocks[number])

    def variables(self, names: Any) -> dict[int, tuple[int, str]]:
        """Return the first block and the name of the group of each shared block."""
        return {
            number: (group[0], "+".join(str(names[n]) for n in group))
            for group in self.groups
            for number in group
        }

    def called(self, names: Iterable[Any]) -> list[Any]:
        """Return names of columns, with the name of a group at its first column."""
        known = list(names)
        of_group = self.variables(known)
        return [of_group.get(j, (j, name))[1] for j, name in enumerate(known)]

    def spread(self, mask: np.ndarray) -> np.ndarray:
        """Return a mask whose first block of each group tells whether one is chosen."""
        spread = mask.copy()
        for group in self.groups:
            spread[group[0]] = mask[group].any()
        return spread

    def divided(self, mask: np.ndarray) -> list[int] | None:
        """Return a group of which a mask of blocks chooses a part, or None."""
        both = (group for group in self.groups if 0 < mask[group].sum() < len(group))
        return next(both, None)

    def join(self, encoded: Sequence[Encoded], widths: Sequence[int]) -> list[Encoded]:
        """Add up the entries of each group in its first block and clear the others."""
        joined = list(encoded)
        for group in self.groups:
            parts = [encoded[number] for number in group]
            joined[group[0]] = _added(parts, widths[group[0]])
            none = np.zeros(parts[0].n_rows, np.int64)
            for number in group[1:]:
                joined[number] = Encoded(none[:0], lengths=none)
        return joined


def learn_together(blocks: Sequence[Any], cells: Sequence[Any], n_rows: int) -> None:
    """Learn the cells of a block or of a group, and determine the layout.

    Raises
    ------
    ValueError
        If the columns of a group hold values of different types.
    """
    if len(blocks) > 1:
        items = [c.items if isinstance(c, Bags) else c for c in cells]
        check_kinds([block.name for block in blocks], [c.kind for c in items])
    for number, (block, own) in enumerate(zip(blocks, cells, strict=True)):
        if number:
            _hand_on(blocks[number - 1], block)
        block.update(own)
    blocks[-1].finish(n_rows)
    for block in blocks[:-1]:
        _hand_on(blocks[-1], block)


def check_kinds(names: Sequence[str], kinds: Sequence[str]) -> None:
    """Refuse a group whose columns hold values of different types.

    Raises
    ------
    ValueError
    """
    held = [pair for pair in zip(names, kinds, strict=True) if pair[1] != "nothing"]
    for name, kind in held[1:]:
        if kind != held[0][1]:
            raise ValueError(
                f"Columns {held[0][0]!r} and {name!r} share their categories, but the "
                f"first holds {held[0][1]} and the second {kind}. Convert them to one "
                "type."
            )


def _hand_on(block: Any, other: Any) -> None:
    """Copy the categories of ``block`` to ``other``."""
    its, own = categories_of(block), categories_of(other)
    assert own is not None
    own.take_categories(its)


def _added(parts: Sequence[Encoded], width: int) -> Encoded:
    """Add up the entries of several columns, one for each row and column."""
    if all(part.lengths is None and part.values is None for part in parts):
        return _counted(np.stack([part.columns for part in parts], axis=1))
    n_rows = parts[0].n_rows
    numbers = np.arange(n_rows)
    rows = [np.repeat(numbers, 1 if p.lengths is None else p.lengths) for p in parts]
    values = [np.ones(len(p.columns)) if p.values is None else p.values for p in parts]
    added = sum_entries(
        np.concatenate(rows),
        np.concatenate([part.columns for part in parts]),
        np.concatenate(values),
        (n_rows, width),
    )
    ones = bool(np.all(added.values == 1))
    return replace(added, values=None) if ones else added


def _counted(columns: np.ndarray) -> Encoded:
    """Return the entries of rows that have several of one each, (n_rows, n)."""
    columns.sort(axis=1)
    is_first = np.empty(columns.shape, dtype=bool)
    is_first[:, 0] = True
    np.not_equal(columns[:, 1:], columns[:, :-1], out=is_first[:, 1:])
    if is_first.all():
        return Encoded(columns.ravel(), per_row=columns.shape[1])
    starts = np.flatnonzero(is_first)
    counts = np.diff(starts, append=columns.size).astype(np.float64)
    return Encoded(columns[is_first], counts, is_first.sum(axis=1))
