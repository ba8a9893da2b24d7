"""The tree in which what was learnt from chunks is merged, in one order for all.

Neighbours are merged first, then pairs of them, and so on. Whoever learns which chunks,
the results have the same bits, because means are rounded in the same places.
"""

from __future__ import annotations

from typing import NamedTuple

from ..encoding.merging import Part
from ..runtime.memory import check_memory

__all__ = ["PartTree", "Stem"]

#: Memory of a category at the end: a string of 16 bytes, its count, its hash entry.
_CATEGORY_BYTES = 128


class Stem(NamedTuple):
    """What was learnt from all chunks of a subtree.

    Attributes
    ----------
    start : int
        Number of the first chunk.
    width : int
        Number of chunks, a power of two that divides ``start``.
    part : Part
    """

    start: int
    width: int
    part: Part


class PartTree:
    """Parts of consecutive chunks, merged as far as these form subtrees.

    Attributes
    ----------
    stems : list of Stem
        The largest subtrees, in the order of the chunks.
    """

    def __init__(self) -> None:
        self.stems: list[Stem] = []

    def add(self, stem: Stem) -> None:
        """Add the subtree that follows the others.

        Raises
        ------
        MemoryError
            If the categories so far will not fit into memory.
        """
        start, width, part = stem
        if self.stems:
            self.stems[0].part.take_samples(part)
        while start & width and self.stems and self.stems[-1].width == width:
            start, _, earlier = self.stems.pop()
            earlier.merge(part)
            part, width = earlier, 2 * width
            _foresee(part)
        self.stems.append(Stem(start, width, part))

    def result(self) -> Part:
        """Return the part of all chunks; the tree must not be used afterwards."""
        part = self.stems.pop().part
        while self.stems:
            earlier = self.stems.pop().part
            earlier.merge(part)
            part = earlier
        return part


def _foresee(part: Part) -> None:
    """Raise a MemoryError if the categories so far will not fit into memory."""
    counts = part.n_categories()
    largest = max(counts, key=counts.__getitem__)
    check_memory(
        _CATEGORY_BYTES * sum(counts.values()),
        "the categories of X need",
        f"column {largest!r} alone has {counts[largest]} in {part.n_rows} rows. "
        "Leave it out, or replace it by a column of fewer categories.",
    )
