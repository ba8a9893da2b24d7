"""Assignment of blocks to a table's columns, and their CSR matrix."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from .blocks import Block, Encoded, QuantileBlock, ScaleBlock
from .categories import CategoryBlock, HashBlock
from .columns import holds_categories, holds_dates, holds_flags
from .dates import PARTS, DateBlock
from .flags import FlagBlock
from .multi_valued import MultiValuedBlock, holds_lists
from .nested import NestedBlock
from .selection import column_mask, column_position
from .shared import SharedCategories
from .vectors import VectorBlock, holds_vectors

__all__ = ["assemble", "make_blocks"]

#: Rows of a matrix that are written at once.
_TILE_ROWS = 256


def make_blocks(
    columns: list[pd.Series],
    names: list[str],
    *,
    named: bool,
    params: dict[str, Any],
    shared: SharedCategories,
) -> list[Block]:
    """Return an unfitted block for each column.

    Parameters
    ----------
    columns, names
        Columns of the table, and their names.
    named : bool
        Whether the table has names, which parameters may then use.
    params : dict
        Parameters of `FieldEncoder`.
    shared : SharedCategories
        Columns that share their categories, which are always categorical.
    """
    multi_valued = column_mask(params["multi_valued"], names, named, "multi_valued")
    vectors = [holds_vectors(column) for column in columns]
    selected = params["categorical_features"]
    told = np.zeros(len(names), dtype=bool)
    if not isinstance(selected, str):
        told = column_mask(selected, names, named, "categorical_features")
    lists = [
        holds_lists(column, named=bool(known))
        for column, known in zip(columns, told, strict=True)
    ]
    multi_valued |= np.array(lists) & ~np.array(vectors)
    in_group = np.isin(np.arange(len(names)), shared.members)
    surely = multi_valued | in_group
    categorical = _categorical(
        columns, names, named, params["categorical_features"], surely
    )
    each = {
        key: _per_column(params[key], names, named, key)
        for key in ("n_buckets", "numeric", "delimiter", "pooling")
    }
    _check(each, multi_valued, categorical, names)
    _check_shared(columns, names, each["n_buckets"], shared)
    from_dtype = isinstance(selected, str) and selected == "from_dtype"
    blocks: list[Block] = []
    for j, name in enumerate(names):
        chosen = {key: values[j] for key, values in each.items()}
        by_dtype = from_dtype and not in_group[j]
        if multi_valued[j]:
            inner = _category_block(name, chosen["n_buckets"], params)
            mean = chosen["pooling"] == "mean"
            blocks.append(MultiValuedBlock(inner, chosen["delimiter"], mean))
        elif categorical[j] and by_dtype and holds_flags(columns[j]):
            blocks.append(FlagBlock(name))
        elif categorical[j] and by_dtype and vectors[j]:
            blocks.append(VectorBlock(name))
        elif categorical[j]:
            blocks.append(_category_block(name, chosen["n_buckets"], params))
        elif holds_dates(columns[j]):
            blocks.append(_date_block(name, params["dates"]))
        else:
            blocks.append(_number_block(name, chosen["numeric"], params))
    return blocks


def _date_block(name: str, dates: Any) -> Block:
    if dates is None:
        raise ValueError(
            f"Column {name!r} holds dates, which are neither categories nor numbers by "
            "themselves. Convert it, name it in categorical_features, or set dates."
        )
    parts = PARTS if isinstance(dates, str) else tuple(dates)
    if not parts or not set(parts) <= set(PARTS):
        raise ValueError(
            f'dates must be "all", None or some of {PARTS}, got {dates!r}.'
        )
    return DateBlock.of_parts(name, parts)


def _number_block(name: str, numeric: str, params: dict[str, Any]) -> Block:
    if numeric == "nested":
        keys = ("min_frequency", "max_categories")
        ids = CategoryBlock(name, **{key: params[key] for key in keys})
        return NestedBlock(name, ids=ids)
    if numeric == "quantile":
        return QuantileBlock(name, n_bins=params["n_bins"])
    return ScaleBlock(name, numeric != "passthrough")


def _category_block(
    name: str, n_buckets: int | None, params: dict[str, Any]
) -> CategoryBlock | HashBlock:
    if n_buckets is not None:
        return HashBlock(name, n_buckets)
    keys = ("min_frequency", "max_categories", "on_excess")
    return CategoryBlock(name, **{key: params[key] for key in keys})


def _per_column(value: Any, names: list[str], named: bool, param: str) -> list[Any]:
    """Return a value for each column, given a scalar or a dict by column."""
    defaults = {"numeric": "nested", "pooling": "sum"}
    if not isinstance(value, dict):
        return [value] * len(names)
    chosen = [defaults.get(param)] * len(names)
    for key, one in value.items():
        chosen[column_position(key, names, named, param)] = one
    return chosen


def _categorical(
    columns: list[pd.Series],
    names: list[str],
    named: bool,
    selected: Any,
    surely: np.ndarray,
) -> np.ndarray:
    """Return the mask of the categorical columns, which include ``surely``."""
    if isinstance(selected, str) and selected == "all":
        return np.ones(len(names), dtype=bool)
    if isinstance(selected, str):
        pairs = zip(columns, names, surely, strict=True)
        return np.array(
            [sure or holds_categories(c, n, sniff=not named) for c, n, sure in pairs]
        )
    return surely | column_mask(selected, names, named, "categorical_features")


def _check(
    each: dict[str, list[Any]],
    multi_valued: np.ndarray,
    categorical: np.ndarray,
    names: list[str],
) -> None:
    """Refuse values of dict parameters that do not apply to their column."""
    for j, name in enumerate(names):
        delimiter, n_buckets = each["delimiter"][j], each["n_buckets"][j]
        if delimiter == "":
            raise ValueError(
                f"The delimiter of column {name!r} is empty: give the string that "
                "separates values, or None for cells that hold lists."
            )
        if delimiter is not None and not isinstance(delimiter, str):
            raise ValueError(f"The delimiter of column {name!r} is {delimiter!r}.")
        if n_buckets is not None and not (
            isinstance(n_buckets, int | np.integer) and 0 < n_buckets < 2**31 - 1
        ):
            raise ValueError(
                f"n_buckets of column {name!r} must be a positive integer below "
                f"2**31 - 1, got {n_buckets!r}."
            )
        for param, valid in (
            ("numeric", ("nested", "scale", "quantile", "passthrough")),
            ("pooling", ("sum", "mean")),
        ):
            if each[param][j] not in valid:
                raise ValueError(
                    f"{param} of column {name!r} must be one of {valid}, got "
                    f"{each[param][j]!r}."
                )
    _check_use(each, multi_valued, categorical, names)


def _check_use(
    each: dict[str, list[Any]],
    multi_valued: np.ndarray,
    categorical: np.ndarray,
    names: list[str],
) -> None:
    """Refuse a dict with an option for a column that has no use for it."""
    for param, used, kind in (
        ("delimiter", multi_valued, "multi-valued"),
        ("n_buckets", categorical, "categorical"),
    ):
        asked = np.array([value is not None for value in each[param]])
        # A scalar applies to no column in particular.
        idle = np.flatnonzero(asked & ~used)
        if len(idle) and not asked.all():
            raise ValueError(
                f"{param} names column {names[idle[0]]!r}, which is not {kind}."
            )


def _check_shared(
    columns: list[pd.Series],
    names: list[str],
    n_buckets: list[Any],
    shared: SharedCategories,
) -> None:
    """Refuse groups of columns that cannot share their categories."""
    for group in shared.groups:
        for j in group:
            if _holds_fractions(columns[j]):
                raise ValueError(
                    f"shared_categories names column {names[j]!r}, whose numbers are "
                    "not integers: only categories and ids can be shared. Leave the "
                    "column out, or convert it to strings."
                )
        differing = [j for j in group if n_buckets[j] != n_buckets[group[0]]]
        if differing:
            one, other = names[group[0]], names[differing[0]]
            raise ValueError(
                f"Columns {one!r} and {other!r} share their categories, but n_buckets "
                f"is {n_buckets[group[0]]} for the first and "
                f"{n_buckets[differing[0]]} for the second. Give both the same number."
            )


def _holds_fractions(series: pd.Series) -> bool:
    if getattr(series.dtype, "kind", "O") != "f":
        return False
    values = series.to_numpy(np.float64, na_value=np.nan)
    return bool((np.floor(values) < values).any())


def assemble(
    encoded: Sequence[Encoded],
    widths: Sequence[int],
    dtype: Any,
    *,
    share_ones: bool = False,
) -> sp.csr_matrix:
    """Combine encoded blocks side by side in one CSR matrix.

    With ``share_ones``, values that are all 1 are a read-only view of a single one.

    Raises
    ------
    ValueError
        If a block has encoded a cell outside of the matrix. Kernels do not check this.
    """
    starts = np.cumsum([0, *widths])
    n_rows = encoded[0].n_rows
    n_entries = sum(len(part.columns) for part in encoded)
    wide = max(n_entries, int(starts[-1])) > np.iinfo(np.int32).max
    index_dtype = np.int64 if wide else np.int32
    fixed = sum(part.per_row for part in encoded if part.lengths is None)
    per_row = np.full(n_rows, fixed)
    for part in encoded:
        if part.lengths is not None:
            per_row += part.lengths
    indptr = np.zeros(n_rows + 1, dtype=index_dtype)
    np.cumsum(per_row, out=indptr[1:])
    indices = np.empty(n_entries, dtype=index_dtype)
    shared = share_ones and all(part.values is None for part in encoded)
    data = np.ones(1 if shared else n_entries, dtype=dtype)
    if n_entries == n_rows * fixed:
        _fill_grid(encoded, starts, indices, None if shared else data)
    else:
        _fill_rows(encoded, starts, indptr, indices, None if shared else data)
    if shared:
        data = np.broadcast_to(data, n_entries)
    # A single pass: as unsigned numbers, negative indices are too large.
    if indices.view(f"u{indices.itemsize}").max(initial=0) >= starts[-1]:
        raise ValueError("A cell was encoded outside of the columns of the matrix.")
    matrix = sp.csr_matrix((data, indices, indptr), shape=(n_rows, int(starts[-1])))
    matrix.has_canonical_format = True
    return matrix


def _fill_grid(
    encoded: Sequence[Encoded],
    starts: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray | None,
) -> None:
    """Write the entries of parts with the same number of entries in all rows."""
    n_rows = encoded[0].n_rows
    # Rows that stay in the cache while all parts are written.
    for first in range(0, n_rows, _TILE_ROWS):
        tile = slice(first, min(first + _TILE_ROWS, n_rows))
        _fill_tile(encoded, starts, tile, indices, data)


def _fill_tile(
    encoded: Sequence[Encoded],
    starts: np.ndarray,
    tile: slice,
    indices: np.ndarray,
    data: np.ndarray | None,
) -> None:
    """Write the entries of some rows of `_fill_grid`."""
    n_rows, place = encoded[0].n_rows, 0
    columns = indices.reshape(n_rows, -1)[tile]
    values = None if data is None else data.reshape(n_rows, -1)[tile]
    for start, part in zip(starts.tolist(), encoded, strict=False):
        if part.lengths is not None:  # no row has an entry
            continue
        given = part.columns.reshape(n_rows, part.per_row)[tile]
        own = columns[:, place : place + part.per_row]
        np.add(given, start, out=own, casting="unsafe")
        if values is not None and part.values is not None:
            values[:, place] = part.values[tile]
        place += part.per_row


def _fill_rows(
    encoded: Sequence[Encoded],
    starts: np.ndarray,
    indptr: np.ndarray,
    indices: np.ndarray,
    data: np.ndarray | None,
) -> None:
    """Write the entries of parts with different numbers of entries in the rows."""
    filled = indptr[:-1].astype(np.intp)
    for start, part in zip(starts, encoded, strict=False):
        first: np.ndarray = filled
        if part.lengths is not None:
            where = first = _ragged(filled, part.lengths)
        else:
            where = (filled[:, None] + np.arange(part.per_row)).ravel()
        indices[where] = part.columns + start
        if data is not None and part.values is not None:
            data[first] = part.values
        filled += part.per_row if part.lengths is None else part.lengths


def _ragged(starts: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    """Return starts[i], starts[i] + 1, ... of each row, lengths[i] of them."""
    before = np.cumsum(lengths) - lengths
    return np.repeat(starts - before, lengths) + np.arange(int(lengths.sum()))
