"""Tables from encoded matrices."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import scipy.sparse as sp

from .blocks import Block
from .dates import DateBlock
from .multi_valued import MultiValuedBlock
from .nested import NestedBlock
from .shared import SharedCategories
from .tables import object_array
from .vectors import VectorBlock

__all__ = ["decode"]


def decode(
    blocks: Sequence[Block],
    shared: SharedCategories,
    sources: np.ndarray,
    starts: Sequence[int],
    X: sp.csr_matrix,
) -> np.ndarray:
    """Return the table of an encoded matrix, with an object for each cell.

    Parameters
    ----------
    blocks : sequence of Block
    shared : SharedCategories
        Groups of blocks that share their columns.
    sources : ndarray of int of shape (n_columns,)
        Number of the block of each column of the matrix.
    starts : sequence of int
        First column of each block.
    X : csr_matrix of shape (n_rows, n_columns)
    """
    n_rows = X.shape[0]
    rows = np.repeat(np.arange(n_rows), np.diff(X.indptr))
    of_entries = sources[X.indices]
    table = np.full((n_rows, len(blocks)), None, dtype=object)
    followers = shared.followers
    firsts = set(followers.values())
    for j, block in enumerate(blocks):
        at = np.flatnonzero((of_entries == j) & (X.data != 0))
        if isinstance(block, NestedBlock | DateBlock):
            at = at[block.tells(X.indices[at] - starts[j])]
        entries = X.indices[at] - starts[j], X.data[at]
        if isinstance(block, VectorBlock):
            table[:, j] = block.gather(rows[at], *entries, n_rows)
            continue
        cells = block.decode(*entries)
        if isinstance(block, MultiValuedBlock) or j in firsts:
            table[:, j] = _bags(rows[at], cells, n_rows)
            continue
        table[:, j] = block.absent
        table[rows[at], j] = cells
    for j, first in followers.items():
        table[:, j] = table[:, first]
    return table


def _bags(rows: np.ndarray, items: np.ndarray, n_rows: int) -> np.ndarray:
    """Split items, which are ordered by row, into an array per row; None is no item."""
    known = np.array([item is not None for item in items], dtype=bool)
    sizes = np.bincount(rows[known], minlength=n_rows)
    return object_array(np.split(items[known], np.cumsum(sizes)[:-1]))
