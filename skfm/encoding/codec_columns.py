"""The matrix columns that a codec makes: their fields, variables and names."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

import numpy as np

from ..fields.layout import unique_names
from .blocks import Block
from .categories import CategoryBlock
from .crosses.crosses import Crosses
from .crosses.fields import crossable_fields
from .dates import DateBlock
from .multi_valued import MultiValuedBlock
from .nested import NestedBlock
from .shared import SharedCategories
from .vectors import VectorBlock

__all__ = ["CodecColumns"]


class CodecColumns:
    """Description of the columns of a `skfm.encoding.codec.TableCodec`."""

    blocks: list[Block]
    joined: dict[int, tuple[int, str]]
    crosses: Crosses
    shared: SharedCategories

    @property
    def widths(self) -> list[int]:
        """Number of matrix columns of each block, then of each cross.

        Columns that a group shares belong to its first block.
        """
        others = self.shared.followers
        own = [0 if j in others else b.width for j, b in enumerate(self.blocks)]
        return [*own, *self.crosses.widths]

    @property
    def starts(self) -> list[int]:
        """First matrix column of each block, then of each cross."""
        starts = np.cumsum([0, *self.widths[:-1]]).tolist()
        for number, first in self.shared.followers.items():
            starts[number] = starts[first]
        return starts

    @property
    def names(self) -> np.ndarray:
        """Name of each column of the table."""
        return np.array([block.name for block in self.blocks], dtype=object)

    @property
    def sources(self) -> np.ndarray:
        """Column of the table from which each matrix column is made.

        The numbers of crosses follow those of the table's columns. For columns that
        share matrix columns, the first one is given.
        """
        widths = self.widths
        return np.repeat(np.arange(len(widths), dtype=np.int32), widths)

    def spread(self, mask: np.ndarray) -> np.ndarray:
        """Return the mask of matrix columns, given one of the table's columns.

        A cross is chosen if all of its columns are, and shared columns if one of the
        columns that share them is.
        """
        fields = crossable_fields(self.blocks)
        crosses = [
            all(mask[fields[f].block] for f in item.fields)
            for item in self.crosses.items
        ]
        own = self.shared.spread(mask)
        chosen: np.ndarray = np.append(own, crosses).astype(bool)[self.sources]
        return chosen

    @property
    def fields(self) -> np.ndarray:
        """Field of each matrix column."""
        fields, widths, number = [], [], -1
        for j, block in enumerate(self.blocks):
            if j in self.shared.followers:
                continue
            continues = self.joined.get(j, (j, ""))[0] != j
            for width in _field_widths(block).values():
                number += not continues
                fields.append(number)
                widths.append(width)
        crosses = self.crosses.widths
        fields += range(number + 1, number + 1 + len(crosses))
        return np.repeat(np.array(fields, dtype=np.int32), widths + crosses)

    @property
    def field_names(self) -> np.ndarray:
        """Name of each field."""
        names, variables = [], self._variables
        for j, block in enumerate(self.blocks):
            first, name = variables.get(j, (j, block.name))
            if first == j:
                added = _field_widths(block)
                names += [f"{name}_{part}" if part else name for part in added]
        names += self.crosses.names(self.blocks)
        if len(set(map(str, names))) < len(names):
            names = unique_names(names)
        return np.array(names, dtype=object)

    @property
    def variables(self) -> tuple[np.ndarray, list[str]]:
        """Number of the variable of each matrix column, and names of the variables.

        A variable is a column of the table, a group of dummies, a group of columns that
        share their categories, or a cross.
        """
        own, variables = (
            [*self.names, *self.crosses.names(self.blocks)],
            self._variables,
        )
        firsts = [variables.get(j, (j, ""))[0] for j in range(len(own))]
        kept, numbers = np.unique(firsts, return_inverse=True)
        names = [variables.get(j, (j, own[j]))[1] for j in kept.tolist()]
        return numbers.astype(np.int32)[self.sources], unique_names(names)

    @property
    def _variables(self) -> dict[int, tuple[int, str]]:
        """First block and name of each variable that has several blocks, by block."""
        return {**self.joined, **self.shared.variables(self.names)}

    @property
    def terms(self) -> tuple[np.ndarray, np.ndarray]:
        """Number of the term of each matrix column, and names of the terms.

        All columns of a number are one term. Each other column is a term.
        """
        whole = np.zeros(len(self.widths), dtype=bool)
        whole[: len(self.blocks)] = [
            isinstance(b, NestedBlock | DateBlock | VectorBlock) for b in self.blocks
        ]
        first = np.repeat(np.cumsum([0, *self.widths[:-1]]), self.widths)
        own = np.arange(len(first))
        kept, numbers = np.unique(
            np.where(whole[self.sources], first, own), return_inverse=True
        )
        source = self.sources[kept]
        names = self.column_names()[kept]
        is_whole = whole[source]
        names[is_whole] = self.names[source[is_whole]]
        return numbers, names

    def categories(self, *, infrequent: bool) -> list[np.ndarray | None]:
        """Return the categories of each block, or None if it has none."""
        inner = [b.inner if isinstance(b, MultiValuedBlock) else b for b in self.blocks]
        return [
            _share(b.vocabulary, b.infrequent == infrequent)
            if isinstance(b, CategoryBlock)
            else None
            for b in inner
        ]

    def column_names(self, names: Iterable[Any] | None = None) -> np.ndarray:
        """Return the names of the matrix columns, given those of the table."""
        given = list(self.names if names is None else names)
        called, others = self.shared.called(given), self.shared.followers
        labels = [
            [] if j in others else block.labels() for j, block in enumerate(self.blocks)
        ]
        if self.crosses.items:
            called += self.crosses.names(self.blocks, given)
            labels += self.crosses.labels(self.blocks)
        return np.array(
            [
                f"{name}_{label}" if label else str(name)
                for name, own in zip(called, labels, strict=True)
                for label in own
            ],
            dtype=object,
        )


def _field_widths(block: Block) -> dict[str, int]:
    """Width of each field of a block, by what it adds to the block's name."""
    if isinstance(block, NestedBlock | DateBlock):
        return block.field_widths
    return {"": block.width}


def _share(values: np.ndarray, mask: np.ndarray) -> np.ndarray:
    """Return values[mask], without a copy if the mask selects all."""
    if not mask.all():
        return values[mask]
    shared = values[:]
    shared.flags.writeable = False
    return shared
