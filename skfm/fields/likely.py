"""Fields that are likely, where a matrix does not show them for certain."""

from typing import Any

import numpy as np

from .scan import neighbours

__all__ = ["likely_fields"]

#: Blocks for each entry of the fullest row, above which columns form no blocks.
BLOCKS_PER_ENTRY = 2


def likely_fields(X: Any) -> np.ndarray | None:
    """Divide the columns into as few consecutive blocks as the rows allow.

    No row has two entries in a block. Where `infer_fields` refuses to place a column
    that occurs beside neither of two blocks, this function adds it to the first of
    them. A field with several entries in a row becomes several blocks. That is enough
    for a model that uses blocks to share strength between columns, as the priors of
    the Bayesian solver do, but not for one whose equation contains fields.

    Parameters
    ----------
    X : csr_matrix or csr_array of shape (n_rows, n_columns)
        Matrix in canonical format, which is never modified.

    Returns
    -------
    fields : ndarray of int32 of shape (n_columns,) or None
        The block of each column, from 0, non-decreasing. None if there are more than
        two blocks for each entry of the fullest row, as in a matrix of word counts.
    """
    before = np.full(X.shape[1], -1, dtype=np.int32)
    for first, second in neighbours(X):
        np.maximum.at(before, second, first)
    most = BLOCKS_PER_ENTRY * int(np.diff(X.indptr).max(initial=0))
    starts = np.zeros(X.shape[1], dtype=np.int32)
    start = 0
    for _ in range(most):
        # The first column that shares a row with a column of the block ends it.
        shared = before[start + 1 :] >= start
        step = int(shared.argmax()) if len(shared) else 0
        if not len(shared) or not shared[step]:
            return np.cumsum(starts, dtype=np.int32)
        start += step + 1
        starts[start] = 1
    return None
