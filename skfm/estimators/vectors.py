"""Vectors of categories, made elsewhere, that embeddings start from."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

import numpy as np
import pandas as pd

from ..encoding.categories import CategoryBlock
from ..encoding.codec import TableCodec
from ..encoding.columns import factorize
from ..encoding.layout import column_position
from ..encoding.multi_valued import MultiValuedBlock
from ..encoding.nested import NestedBlock

__all__ = ["Vectors", "read_vectors"]


class Vectors(NamedTuple):
    """First embeddings of some columns of a model.

    Attributes
    ----------
    columns : ndarray of int of shape (n,)
        Distinct.
    vectors : ndarray of shape (n, k)
    """

    columns: np.ndarray
    vectors: np.ndarray


def read_vectors(model: Any, given: Mapping[Any, Any], n_columns: int) -> Vectors:
    """Find the columns of a model that vectors are given for.

    Parameters
    ----------
    model : estimator
        About to be fitted; its columns are known.
    given : mapping
        If the model encodes a table, from each column of the table to a DataFrame whose
        index holds categories, or to a mapping from categories to vectors; else from
        columns to vectors.
    n_columns : int
        Columns of the matrix that its network will see.

    Raises
    ------
    ValueError
        If there is no such column, a vector is not of ``n_factors`` finite numbers, or
        no category of a column is known.
    """
    parts = []
    if model._codec is None:
        names = getattr(model, "feature_names_in_", None)
        known = [f"x{j}" for j in range(n_columns)] if names is None else list(names)
        keys = [
            column_position(key, known, names is not None, "init_from") for key in given
        ]
        columns = np.array(keys, np.intp)
        parts.append((columns, _matrix("init_from", list(given.values()), model)))
    else:
        parts = [_of_field(model, name, some) for name, some in given.items()]
        _refuse_twice(model._codec, given, parts)
    columns = np.concatenate([np.empty(0, np.intp), *(part[0] for part in parts)])
    vectors = [np.empty((0, model.n_factors)), *(part[1] for part in parts)]
    return Vectors(columns, np.concatenate(vectors))


def _refuse_twice(
    codec: TableCodec, given: Mapping[Any, Any], parts: list[Any]
) -> None:
    """Refuse several vectors of a category that columns share.

    Raises
    ------
    ValueError
    """
    columns = np.concatenate([np.empty(0, np.intp), *(part[0] for part in parts)])
    found, counts = np.unique(columns, return_counts=True)
    if (counts > 1).any():
        name = codec.column_names()[found[np.argmax(counts > 1)]]
        raise ValueError(
            f"init_from has several vectors of {name!r}, whose category the columns "
            f"of {list(given)} share. Give them for one of these columns."
        )


def _of_field(model: Any, name: Any, given: Any) -> tuple[np.ndarray, np.ndarray]:
    """Return columns and vectors of the known categories of a column of the table."""
    codec: TableCodec = model._codec
    named = hasattr(model, "feature_names_in_")
    position = column_position(name, list(codec.names), named, "init_from")
    where = f"init_from[{name!r}]"
    if isinstance(given, pd.DataFrame):
        categories, rows = given.index, given.to_numpy()
    elif isinstance(given, Mapping):
        categories, rows = pd.Index(list(given), tupleize_cols=False), [*given.values()]
    else:
        raise ValueError(
            f"{where} must be a DataFrame whose index holds categories, or a mapping "
            f"from categories to vectors; got a {type(given).__name__}."
        )
    vectors = _matrix(where, rows, model)
    block, start = _categories(codec, position, where)
    cells = factorize(pd.Series(categories, dtype=categories.dtype), str(name))
    found = block.encode(cells).columns
    known = found < block.n_frequent
    if not known.any():
        raise ValueError(
            f"{where} has vectors of {len(categories)} categories, such as "
            f"{categories[:1].tolist()}, of which none occurs in column {name!r}. Its "
            f"categories are such as {block.categories[:1].tolist()}."
        )
    columns = start + found[known].astype(np.intp)
    if len(np.unique(columns)) < len(columns):
        raise ValueError(f"{where} has several vectors of one category.")
    return columns, vectors[known]


def _categories(
    codec: TableCodec, position: int, where: str
) -> tuple[CategoryBlock, int]:
    """Return what looks the categories of a column up, and its first column."""
    block: Any = codec.blocks[position]
    start = codec.starts[position]
    if isinstance(block, MultiValuedBlock):
        block = block.inner
    elif isinstance(block, NestedBlock) and block.id_field is not None:
        start += block.width - block.id_field.width
        block = block.id_field
    if not isinstance(block, CategoryBlock):
        raise ValueError(
            f"{where} has vectors of categories, but column {block.name!r} has no "
            "categories with columns of their own. Name it in categorical_features."
        )
    return block, start


def _matrix(where: str, rows: Any, model: Any) -> np.ndarray:
    """Return vectors as rows of a matrix."""
    try:
        vectors = np.array([*rows], dtype=np.float64).reshape(len(rows), -1)
    except (TypeError, ValueError) as error:
        raise ValueError(
            f"{where} must hold vectors of numbers, all of the same length."
        ) from error
    if vectors.shape[1] != model.n_factors:
        raise ValueError(
            f"{where} has vectors of length {vectors.shape[1]}, but n_factors="
            f"{model.n_factors}: set n_factors={vectors.shape[1]}."
        )
    if not np.isfinite(vectors).all():
        row = int(np.flatnonzero(~np.isfinite(vectors).all(axis=1))[0])
        raise ValueError(f"Vector {row} of {where} has NaN or infinite numbers.")
    return vectors
