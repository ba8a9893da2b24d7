"""Tables that go straight into an estimator: when one is encoded, and its fields."""

from __future__ import annotations

from typing import Any

import narwhals.stable.v2 as nw
import numpy as np
import pandas as pd
import scipy.sparse as sp

from ..encoding import FieldEncoder
from ..encoding.codec import TableCodec
from ..encoding.columns import to_floats
from ..encoding.tables import is_frame, read_columns
from ..fields import resolve_fields

__all__ = [
    "check_numbers",
    "new_codec",
    "refuse_unused",
    "table_fields",
    "wants_encoding",
]


def wants_encoding(X: Any, categorical_features: Any) -> bool:
    """Return whether an estimator fitted on X encodes it or uses it as it is.

    Raises
    ------
    ValueError
        If columns of a sparse matrix are named categorical.
    """
    if not _names_any(categorical_features):
        return False
    by_dtype = (
        isinstance(categorical_features, str) and categorical_features == "from_dtype"
    )
    if by_dtype:
        return is_frame(X) and not (_is_all_sparse(X) or _is_array_like(X))
    if hasattr(X, "tocsr"):
        raise ValueError(
            f"categorical_features={categorical_features!r} needs a table, but X is a "
            "sparse matrix, which is taken as encoded already. Leave "
            'categorical_features="from_dtype", and say by fields= which columns '
            "belong together."
        )
    return True


def _names_any(categorical_features: Any) -> bool:
    """Return whether names, indices or a mask select any column."""
    if categorical_features is None or isinstance(categorical_features, str):
        return categorical_features is not None
    selected = np.asarray(categorical_features)
    return bool(selected.any() if selected.dtype == bool else selected.size)


def _is_all_sparse(frame: Any) -> bool:
    """Return whether all columns of a DataFrame are sparse."""
    if not nw.dependencies.is_pandas_dataframe(frame):
        return False
    dtypes = set(frame.dtypes)
    return bool(dtypes) and all(isinstance(d, pd.SparseDtype) for d in dtypes)


def _is_array_like(frame: Any) -> bool:
    """Return whether a DataFrame holds numbers under no names, as an array does."""
    unnamed = not any(isinstance(name, str) for name in frame.columns)
    return unnamed and not _holds_more_than_numbers(frame)


def _holds_more_than_numbers(frame: Any) -> bool:
    if not nw.dependencies.is_pandas_dataframe(frame):
        dtypes = nw.from_native(frame, eager_only=True).schema.values()
        return not all(dtype.is_numeric() for dtype in dtypes)
    return not all(_is_number(dtype) for dtype in set(frame.dtypes))


def _is_number(dtype: Any) -> bool:
    # Sparse columns of booleans are one-hot columns that get_dummies made.
    if isinstance(dtype, pd.SparseDtype):
        return True
    number = pd.api.types.is_numeric_dtype(dtype)
    return number and not pd.api.types.is_bool_dtype(dtype)


def refuse_unused(model: Any) -> None:
    """Refuse crosses by name, and shared categories, where X is not encoded.

    Raises
    ------
    ValueError
        If this is the case; the message names the remedy.
    """
    unused = {"shared_categories": model.shared_categories}
    if not isinstance(model.crosses, str):
        unused["crosses"] = model.crosses
    for name, value in unused.items():
        if value is not None:
            raise ValueError(
                f"{name}={value!r} needs a table that is encoded, but X is taken as it "
                "is. Pass a DataFrame, or name its categorical_features."
            )


def new_codec(
    columns: list[pd.Series],
    names: np.ndarray | None,
    model: Any,
) -> TableCodec:
    """Return a codec that has learnt nothing, with the defaults of FieldEncoder.

    Parameters
    ----------
    columns : list of Series
        Columns of the table.
    names : ndarray of str or None
        Their names, where they have some.
    model : estimator
        Has the parameters of the encoding.
    """
    encoder = FieldEncoder(
        categorical_features=model.categorical_features,
        pooling=model.field_pooling,
        shared_categories=model.shared_categories,
    )
    called = [f"x{j}" for j in range(len(columns))] if names is None else list(names)
    return TableCodec.create(
        columns, called, named=names is not None, params=encoder.get_params()
    )


def table_fields(codec: TableCodec, fields: Any) -> tuple[np.ndarray, list[str]]:
    """Return the field of each encoded column, and the fields' names.

    ``fields`` is what the user said of the table's columns; "auto" makes a field of
    each. A cross is a field of its own.
    """
    if isinstance(fields, str):
        return codec.fields, [str(name) for name in codec.field_names]
    names = [str(name) for name in codec.names]
    columns = sp.csr_array((1, len(names)))
    by_column, named = resolve_fields(fields, columns, names=names)
    for number, first in codec.shared.followers.items():
        if by_column[number] != by_column[first]:
            raise ValueError(
                f"Columns {names[first]!r} and {names[number]!r} share their "
                "categories, so that they are one field, but fields= puts them into "
                "two. Give both the same label."
            )
    crosses = codec.crosses.names(codec.blocks)
    own = np.arange(len(named), len(named) + len(crosses), dtype=by_column.dtype)
    return np.append(by_column, own)[codec.sources], [*named, *crosses]


def check_numbers(frame: Any, names: np.ndarray | None) -> None:
    """Refuse a DataFrame with cells that are no numbers, naming the first.

    Raises
    ------
    ValueError
        If there is such a cell; the message names its column and row.
    """
    if not _holds_more_than_numbers(frame):
        return
    columns = read_columns(frame)
    called = range(len(columns)) if names is None else names
    for column, name in zip(columns, called, strict=True):
        if not (_is_number(column.dtype) or pd.api.types.is_bool_dtype(column.dtype)):
            to_floats(column, name)
