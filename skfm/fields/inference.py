"""Fields of a sparse matrix read off the structure of its rows.

The columns seen at one position of the fullest rows are the core of a block; a
column between two cores joins the block that a row leaves it no choice but to join.
"""

from typing import Any

import numpy as np
from scipy import sparse

from .scan import all_equal, entries_of_rows, rows_with, varying_columns

__all__ = ["FieldInferenceError", "infer_fields"]

# Each further pass decides columns with the help of those decided before it. Real
# layouts need one or two; only contrived ones go deeper, and those are refused.
MAX_PASSES = 20

_CAUSES = (
    "Usual causes: a one-hot encoder with drop=, multi-valued (multi-hot) columns, "
    "feature hashing, text, or several numeric columns full of zeros."
)
_REMEDIES = (
    "Remedies: pass fields= (block sizes in order, or one label per column); encode "
    "with OneHotEncoder(handle_unknown='ignore') without drop=; or use FieldEncoder "
    "or make_field_pipeline, which know their fields."
)


class FieldInferenceError(ValueError):
    """Error for fields of a matrix or of a transformer that cannot be determined."""


def _refuse(what: str) -> FieldInferenceError:
    return FieldInferenceError(
        f"Fields cannot be inferred from X: {what} {_CAUSES} {_REMEDIES}"
    )


def infer_fields(X: Any) -> np.ndarray:
    """Infer blocks of columns that have at most one entry per row.

    Exact or refused. The answer is the one division of the columns into as many
    consecutive blocks as the fullest row has entries, such that no row has two
    entries in a block; where there is none, or where more than one would do, an
    error is raised. Hence the true layout is found whenever its fields are
    consecutive and single-valued and at least one row has an entry in every field
    that occurs at all, and the rows are enough to place every column.

    Two neighbouring fields that never occur in the same row cannot be told from
    one field by structure. They are told by value where they can be: a block that
    some rows lack and in which two or more columns hold varying numbers (numeric
    columns that are never nonzero together) is refused, not merged.

    Parameters
    ----------
    X : csr_matrix or csr_array of shape (n_samples, n_features)
        Matrix in canonical format (sorted, no duplicates), which is never modified.
        All stored entries count, whatever their value.

    Returns
    -------
    fields : ndarray of int32 of shape (n_features,)
        The block of each column, from 0, non-decreasing. Columns without any entry
        belong to the block before them (leading ones to the first).

    Raises
    ------
    FieldInferenceError
        If the blocks are not certain. Names rows and columns, causes and remedies.
    TypeError
        If X is not a CSR matrix or array.
    ValueError
        If X is not in canonical format.

    Examples
    --------
    >>> import numpy as np
    >>> from scipy.sparse import csr_array
    >>> infer_fields(csr_array(np.array([[1, 0, 0, 1], [0, 1, 1, 0]])))
    array([0, 0, 1, 1], dtype=int32)
    """
    if not (sparse.issparse(X) and X.format == "csr"):
        raise TypeError(f"X must be a CSR matrix or array, got {type(X).__name__}.")
    if not X.has_canonical_format:
        raise ValueError(
            "X must be in canonical format to infer fields: call "
            "X.sum_duplicates() on a copy first."
        )
    counts = np.diff(X.indptr)
    width = int(counts.max(initial=0))
    if width == 0:
        raise _refuse("it has no entries.")
    low, high = _core_ranges(X, counts, width)
    low[0], high[-1] = 0, X.shape[1] - 1
    if counts.min() < width:
        _place_gaps(X, counts, low, high)
    fields = _number(X.shape[1], low)
    if counts.min() < width:
        _check_values(X, fields)
    return fields


def _number(n_features: int, low: np.ndarray) -> np.ndarray:
    starts = np.zeros(n_features, dtype=np.int32)
    starts[low[1:]] = 1
    return np.cumsum(starts, dtype=np.int32)


def _core_ranges(
    X: Any, counts: np.ndarray, width: int
) -> tuple[np.ndarray, np.ndarray]:
    low = np.full(width, X.shape[1], dtype=np.int64)
    high = np.full(width, -1, dtype=np.int64)
    for _, columns in rows_with(X, counts, width):
        np.minimum(low, columns.min(axis=0), out=low)
        np.maximum(high, columns.max(axis=0), out=high)
    overlap = np.flatnonzero(high[:-1] >= low[1:])
    if len(overlap):
        raise _overlap_error(X, counts, width, int(overlap[0]), low, high)
    return low, high


def _overlap_error(
    X: Any,
    counts: np.ndarray,
    width: int,
    position: int,
    low: np.ndarray,
    high: np.ndarray,
) -> FieldInferenceError:
    last, first = int(high[position]), int(low[position + 1])
    row_last = row_first = -1
    for rows, columns in rows_with(X, counts, width):
        hits = rows[columns[:, position] == last]
        row_last = int(hits[0]) if row_last < 0 and len(hits) else row_last
        hits = rows[columns[:, position + 1] == first]
        row_first = int(hits[0]) if row_first < 0 and len(hits) else row_first
    return _refuse(
        f"among the rows with the most entries ({width}), entry {position + 1} of row "
        f"{row_last} is in column {last}, but entry {position + 2} of row {row_first} "
        f"is in column {first}, so that the entries do not form consecutive blocks."
    )


def _place_gaps(
    X: Any,
    counts: np.ndarray,
    low: np.ndarray,
    high: np.ndarray,
) -> None:
    """Grow the cores over the columns between them, in place, and check all rows.

    Code 2j + 1 is the core of block j, code 2j + 2 the gap after it.
    """
    pending = None
    for _ in range(MAX_PASSES):
        codes = _codes(X.shape[1], low, high)
        left = high.copy()
        right = low.copy()
        open_rows = []
        for rows, columns in entries_of_rows(X, counts, len(low), pending):
            open_rows.append(_scan_chunk(rows, columns, codes, left, right))
        pending = np.concatenate(open_rows)
        if not len(pending):
            return
        clash = np.flatnonzero(left[:-1] >= right[1:])
        if len(clash):
            raise _clash_error(X, int(right[clash[0] + 1]), int(left[clash[0]]))
        if np.array_equal(left, high) and np.array_equal(right, low):
            break
        high[:] = left
        low[:] = right
    raise _undecided_error(X, pending, low, high)


def _codes(n_features: int, low: np.ndarray, high: np.ndarray) -> np.ndarray:
    steps = np.zeros(n_features + 1, dtype=np.int32)
    steps[low] += 1
    steps[high + 1] += 1
    return np.cumsum(steps[:-1], dtype=np.int32)


def _scan_chunk(
    rows: np.ndarray,
    columns: np.ndarray,
    codes: np.ndarray,
    left: np.ndarray,
    right: np.ndarray,
) -> np.ndarray:
    """Update what neighbours in a row force; return the rows with gap columns."""
    code = codes[columns]
    step = np.diff(code)
    near = np.flatnonzero((step <= 1) & (rows[1:] == rows[:-1]))
    odd = (code[near] & 1).astype(bool)
    same = step[near] == 0
    twice = near[odd & same]
    if len(twice):
        i = twice[0]
        raise _refuse(
            f"row {rows[i]} has entries in columns {columns[i]} and {columns[i + 1]}, "
            f"which belong to one block in the rows with the most entries "
            f"({len(twice)} such pairs in rows "
            f"{np.unique(rows[twice])[:5].tolist()} ...)."
        )
    # A gap column followed by a core entry, or by its own gap, is the block before's;
    # one preceded by a core entry, or by its own gap, is the block after's.
    before = near[~odd]
    np.maximum.at(left, (code[before] >> 1) - 1, columns[before])
    after = near[odd | same] + 1
    np.minimum.at(right, code[after] >> 1, columns[after])
    return np.unique(rows[(code & 1) == 0])


def _clash_error(X: Any, first: int, last: int) -> FieldInferenceError:
    indices = X.indices[: X.nnz]
    places = np.flatnonzero((indices >= first) & (indices <= last))[:5]
    rows = np.searchsorted(X.indptr, places, side="right") - 1
    return _refuse(
        f"columns {first} to {last} do not belong to any block: they occur together "
        f"with entries of the block before them and with entries of the block after "
        f"them (rows {np.unique(rows).tolist()} ...)."
    )


def _undecided_error(
    X: Any,
    rows: np.ndarray | None,
    low: np.ndarray,
    high: np.ndarray,
) -> FieldInferenceError:
    rows = np.asarray(rows)
    row = int(rows[0])
    columns = X.indices[X.indptr[row] : X.indptr[row + 1]]
    codes = _codes(X.shape[1], low, high)[columns]
    column = int(columns[np.flatnonzero((codes & 1) == 0)[0]])
    block = int(np.searchsorted(low, column, side="right")) - 1
    return _refuse(
        f"column {column} could belong to the block that ends at column {high[block]} "
        f"or to the block that starts at column {low[block + 1]}: it occurs only in "
        f"rows that have no entry in either of them (rows {rows[:5].tolist()}"
        f"{' ...' if len(rows) > 5 else ''})."
    )


def _check_values(X: Any, fields: np.ndarray) -> None:
    """Refuse numeric columns that are merged because they never occur together."""
    if all_equal(X):
        return
    varies, n_entries = varying_columns(X, fields)
    n_varying = np.bincount(fields[varies], minlength=len(n_entries))
    merged = np.flatnonzero((n_varying > 1) & (n_entries < X.shape[0]))
    if len(merged):
        columns = np.flatnonzero(varies & (fields == merged[0]))[:5].tolist()
        raise _refuse(
            f"columns {columns} hold varying numbers and never occur in the same row: "
            f"they could be one field or several numeric fields, which StandardScaler "
            f"or KBinsDiscretizer would make distinguishable."
        )
