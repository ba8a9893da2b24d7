"""Fields of the blocks of a codec, as codes from which crosses are made."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from ..blocks import Block, Encoded, QuantileBlock
from ..categories import CategoryBlock, HashBlock
from ..dates import DateBlock
from ..nested import NestedBlock
from .levels import Codes

__all__ = ["CrossableField", "crossable_fields", "field_codes"]

#: Marks in the names of the fields of a number with several fields.
_MARKS = {"<coarse>": " (bins)", "<fine>": " (fine bins)", "<values>": ""}


@dataclass(frozen=True)
class CrossableField:
    """A field with one level in each row: a block, or a part of a number or a date.

    Attributes
    ----------
    block : int
        Number of the block, and of its column of the table.
    part : str
        Part of the block of a number: ``"<coarse>"``, ``"<fine>"`` or
        ``"<values>"``; of a date also ``"<month>"`` and such; empty for others.
    position : int
        Number of the part among the entries of a row.
    start, width : int
        First column within the block, and number of levels.
    name : str
    """

    block: int
    part: str
    position: int
    start: int
    width: int
    name: str

    @property
    def is_calendar(self) -> bool:
        """Return whether the field is a part of the calendar, such as a month."""
        return self.part not in ("", *_MARKS)

    @property
    def source(self) -> tuple[int, str]:
        """Source of the field; two fields of the same source are not crossed."""
        return self.block, self.part if self.is_calendar else ""

    def labels(self, block: Block) -> list[str]:
        """Return the names of the levels."""
        if getattr(block, "is_flag", False):
            return ["False", "True", "<missing>"][: self.width]
        labels = block.labels()[self.start : self.start + self.width]
        return [label.removeprefix(f"{self.part}_") for label in labels]


def crossable_fields(
    blocks: Sequence[Block], names: Iterable[Any] | None = None
) -> list[CrossableField]:
    """Return the fields that can be crossed, in the order of the blocks.

    Multi-valued columns, and numbers without bins, cannot be crossed. ``names`` are the
    names of the columns, by default those of the blocks.
    """
    known = (block.name for block in blocks) if names is None else names
    fields = []
    for number, (block, name) in enumerate(zip(blocks, map(str, known), strict=True)):
        if getattr(block, "is_flag", False):
            fields.append(CrossableField(number, "", 0, 0, block.width + 1, name))
        elif isinstance(block, CategoryBlock | HashBlock | QuantileBlock):
            fields.append(CrossableField(number, "", 0, 0, block.width, name))
        elif isinstance(block, NestedBlock | DateBlock):
            fields += _parts(number, block, name)
    return fields


def _parts(
    number: int, block: NestedBlock | DateBlock, name: str
) -> list[CrossableField]:
    widths = block.field_widths
    starts = np.cumsum([0, *widths.values()]).tolist()
    marks = {part: f" ({part[1:-1]})" for part in widths} | _MARKS
    if isinstance(block, NestedBlock):
        marks["<values>" if "<values>" in widths else "<fine>"] = ""
    return [
        CrossableField(
            number,
            part,
            position,
            starts[position],
            width,
            name + marks[part],
        )
        for position, (part, width) in enumerate(widths.items())
        if part
    ]


def field_codes(fields: Sequence[CrossableField], encoded: Sequence[Encoded]) -> Codes:
    """Return the level of each field in each row, of shape (n_rows, n_fields).

    Parameters
    ----------
    fields : sequence of CrossableField
    encoded : sequence of Encoded
        The rows, by block.
    """
    codes = np.empty((len(fields), encoded[0].n_rows), np.int32)
    for row, field in zip(codes, fields, strict=True):
        part = encoded[field.block]
        if part.lengths is not None:
            row[:] = _flag_codes(part)
        else:
            columns = part.columns.reshape(-1, part.per_row)[:, field.position]
            row[:] = columns - field.start
    return codes.T


def _flag_codes(part: Encoded) -> np.ndarray:
    """Return 0 for no entry, 1 for one, and 2 for a missing cell."""
    codes = np.zeros(part.n_rows, np.intp)
    codes[np.asarray(part.lengths) > 0] = part.columns + 1
    return codes
