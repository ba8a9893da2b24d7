"""Truth values, which have an entry if true, and dummies of one variable."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Any, ClassVar

import numpy as np

from ..fields.layout import block_names
from ..persistence.records import require, saved
from .blocks import Encoded, check_name
from .categories import CategoricalBlock, check_kind
from .columns import Factorized

__all__ = [
    "FlagBlock",
    "encode_flags",
    "exclude_each_other",
    "join_flags",
    "prefix_of",
]


def encode_flags(values: np.ndarray, missing: np.ndarray, has_missing: bool) -> Encoded:
    """Store nonzero values in column 0, and 1 in column 1 for missing cells.

    Without ``has_missing``, column 1 does not exist and missing cells have no entry.
    """
    stored = missing if has_missing else np.zeros_like(missing)
    present = stored | (~missing & (values != 0))
    columns = stored[present].astype(np.int32)
    entries = np.where(missing, 1.0, values)[present]
    ones = bool((entries == 1).all())
    return Encoded(
        columns,
        None if ones else entries,
        present.astype(np.intp),
        n_hidden=int((missing & ~stored).sum()),
    )


@saved("record")
@dataclass
class FlagBlock(CategoricalBlock):
    """An entry for True, none for False, and a column for missing cells if needed.

    If no cell was missing in training, a missing cell has no entry.
    """

    has_unknown: ClassVar[bool] = False
    is_flag: ClassVar[bool] = True
    absent: ClassVar[Any] = False
    has_missing: bool = False

    def check(self) -> None:
        """Raise a ValueError unless the layout is one of the two."""
        check_name(self.name)
        require(isinstance(self.has_missing, bool), "has_missing is no truth value")

    def update(self, cells: Factorized) -> None:
        """Learn whether cells are missing."""
        check_kind(self.name, "booleans", cells, False)
        self.has_missing |= bool((cells.codes < 0).any())

    def finish(self, n_rows: int) -> None:
        """Do nothing: the layout is known."""

    @property
    def width(self) -> int:
        """Number of columns."""
        return 1 + self.has_missing

    @property
    def missing_column(self) -> int | None:
        """Column of missing cells."""
        return 1 if self.has_missing else None

    def encode(self, cells: Factorized) -> Encoded:
        """Look the two values up."""
        check_kind(self.name, "booleans", cells, False)
        # The code -1 of a missing cell reads the last element.
        table = np.append(cells.values.astype(np.float64), np.nan)
        values = table[cells.codes]
        return encode_flags(values, np.isnan(values), self.has_missing)

    def labels(self) -> list[str]:
        """Return an empty name for the flag itself."""
        return ["", "<missing>"][: self.width]

    def decode(self, columns: np.ndarray, values: np.ndarray) -> np.ndarray:
        """Return truth values, and None for missing ones."""
        cells = (values != 0).astype(object)
        cells[columns == 1] = None
        return cells


def join_flags(
    names: Sequence[str],
    candidates: Sequence[int],
    exclusive: Callable[[list[int]], bool],
) -> dict[int, tuple[int, str]]:
    """Find the dummies of one variable.

    Adjacent flags are dummies of one variable if their names share the part before an
    underscore, as those of ``pandas.get_dummies`` do, and no row has two of them. Among
    several such prefixes, the shortest is used.

    Parameters
    ----------
    names : sequence of str of shape (n_blocks,)
    candidates : sequence of int
        Blocks that may be dummies, ascending.
    exclusive : callable
        Returns whether no row has entries of two of the given blocks.

    Returns
    -------
    joined : dict
        Number of the first block and name of the variable, for each block that is a
        dummy.
    """
    joined: dict[int, tuple[int, str]] = {}

    def split(blocks: Sequence[int], depth: int) -> None:
        for prefix, run in _runs(blocks, lambda j: tuple(_words(names[j])[:depth])):
            if len(run) < 2 or min(len(_words(names[j])) for j in run) <= depth:
                # A name that ends here is not a dummy with this prefix.
                longer = [j for j in run if len(_words(names[j])) > depth]
                if 1 < len(longer) < len(run):
                    split(longer, depth)
                continue
            if "".join(prefix) and exclusive(run):
                one_block = np.zeros(len(run), dtype=np.int32)
                (name,) = block_names(one_block, [names[j] for j in run])
                joined.update(dict.fromkeys(run, (run[0], name)))
            else:
                split(run, depth + 1)

    split(candidates, 1)
    return joined


def prefix_of(name: str) -> str:
    """Return the shortest prefix that the names of dummies of one variable share."""
    return _words(name)[0]


def _words(name: str) -> list[str]:
    return str(name).split("_")


def _runs(
    blocks: Sequence[int], key: Callable[[int], Any]
) -> list[tuple[Any, list[int]]]:
    """Divide ascending blocks into runs of neighbours with the same key."""
    keyed = groupby(enumerate(blocks), lambda item: (key(item[1]), item[1] - item[0]))
    return [(prefix, [j for _, j in run]) for (prefix, _), run in keyed]


def exclude_each_other(encoded: Sequence[Encoded], run: list[int]) -> bool:
    """Return whether no row has entries of two blocks."""
    taken = np.zeros(encoded[run[0]].n_rows, dtype=bool)
    for j in run:
        own = np.asarray(encoded[j].lengths) > 0
        if (taken & own).any():
            return False
        taken |= own
    return True
