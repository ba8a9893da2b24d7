"""Tables of users and items, and the rows that the network reads of them."""

from __future__ import annotations

from collections.abc import Hashable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
import pandas as pd
import scipy.sparse as sp

from ..data.csr import canonical_csr
from ..data.rows import Rows
from ..encoding.codec import TableCodec
from ..encoding.columns import to_floats
from ..encoding.ids import read_ids, read_table
from ..encoding.tables import read_columns
from ..inspection.reading import Model


@dataclass(frozen=True)
class Side:
    """The users, or the items: a table with ids, or rows of a sparse matrix.

    Attributes
    ----------
    rows : DataFrame or CSR matrix
    ids : Index
        Ids of the rows; those of users may be missing.
    """

    rows: Any
    ids: pd.Index

    @classmethod
    def of_users(cls, users: Any, user: Hashable) -> Side:
        """Read users: a table, a sparse matrix, or an array of ids."""
        if sp.issparse(users):
            return cls(users.tocsr(), pd.RangeIndex(users.shape[0], name=user))
        if isinstance(users, list | tuple | np.ndarray | pd.Series | pd.Index):
            if np.ndim(np.asarray(users, dtype=object)) != 1:
                raise ValueError("users must be a table, or a list of ids.")
            users = pd.DataFrame({user: list(users)})
        table = read_table(users, "users")
        if user not in table.columns:
            return cls(table, table.index.rename(user))
        return cls(table, pd.Index(table[user], name=user))

    @classmethod
    def of_items(cls, items: Any, item: Hashable, called: str = "items") -> Side:
        """Read items, of which each is there once.

        Raises
        ------
        ValueError
            If an id is missing or there twice.
        """
        if sp.issparse(items):
            return cls(items.tocsr(), pd.RangeIndex(items.shape[0], name=item))
        table = read_table(items, called)
        ids = read_ids(table, item, called)
        if ids.has_duplicates:
            twice = ids[ids.duplicated()][0]
            raise ValueError(
                f"{called} has {item!r} {twice!r} in {int((ids == twice).sum())} rows: "
                "each must have one row."
            )
        return cls(table, ids)

    def pieces(self, size: int) -> Iterator[Side]:
        """Yield consecutive rows, ``size`` at a time; nobody is one piece as well."""
        for start in range(0, max(1, len(self.ids)), size):
            part = slice(start, start + size)
            rows = self.rows[part] if sp.issparse(self.rows) else self.rows.iloc[part]
            yield Side(rows, self.ids[part])

    @property
    def columns(self) -> list[Any]:
        """Names of the table's columns."""
        return list(self.rows.columns)


def column_names(model: Model) -> list[str] | None:
    """Return the names of the columns that a model reads of a table, if it knows."""
    codec = encoding_codec(model)
    if codec is not None:
        return [str(name) for name in codec.names]
    step = model.estimator if model.encoder is None else model.encoder
    names = getattr(step, "feature_names_in_", None)
    return None if names is None else list(names)


def encoding_codec(model: Model) -> TableCodec | None:
    """Return the codec that turns a table into the network's rows, if that is all."""
    if model.encoder is not None and len(model.encoder.steps) > 1:
        return None
    return model.codec()


def share_columns(
    names: Sequence[str], users: Sequence[Any], items: Sequence[Any]
) -> tuple[list[str], list[str]]:
    """Return which of a model's columns are those of users, and of items.

    Raises
    ------
    ValueError
        If one is in neither table, or in both.
    """
    absent = [name for name in names if name not in users and name not in items]
    if absent:
        raise ValueError(
            f"The model reads column {absent[0]!r}, which neither users nor items has. "
            "Add it to one of them; a cell may be None where it is not known."
        )
    both = [name for name in names if name in users and name in items]
    if both:
        raise ValueError(
            f"Both users and items have column {both[0]!r}, which the model reads: "
            "drop it from one of them."
        )
    mine = [name for name in names if name in users]
    return mine, [name for name in names if name in items]


@dataclass(frozen=True)
class Part:
    """Rows of some of a model's columns, as the network reads them.

    Attributes
    ----------
    csr : CSR array of shape (n_rows, n_columns)
    mask : ndarray of bool of shape (n_columns,)
        The columns that rows of this part may have entries in.
    """

    csr: Any
    mask: np.ndarray

    def rows(self, model: Model) -> Rows:
        """Return them scaled and pooled as the model's."""
        fields, scaling = model.estimator._mean_fields, model.estimator._scaling
        csr, dtype = self.csr, model.network.shape.dtype
        if scaling is not None:
            csr = scaling.apply(csr, self.mask, dtype)
        return Rows(csr, dtype, mean_fields=fields)


def part_of(model: Model, table: Any, names: Sequence[str]) -> Part | None:
    """Encode some of the columns of a table, leaving the others out.

    Parameters
    ----------
    model : Model
    table : DataFrame or CSR matrix
    names : sequence of str
        The model's columns to take of a table.

    Returns
    -------
    Part or None
        None where the encoding is not known to go by columns.
    """
    if sp.issparse(table):
        return _sparse_part(model, table)
    codec = encoding_codec(model)
    if codec is not None:
        chosen = np.isin(codec.names, list(names))
        # Columns that both tables have entries in are not known apart.
        mixed = codec.crosses.items or codec.shared.divided(chosen)
        return None if mixed else _encoded_part(codec, table, chosen)
    if model.encoder is not None:
        return None
    return _numeric_part(model, table, names)


def _sparse_part(model: Model, matrix: Any) -> Part:
    csr = model.estimator._check_X(matrix, reset=False)
    mask = np.zeros(csr.shape[1], np.bool_)
    mask[csr.indices] = True
    return Part(csr, mask)


def _encoded_part(codec: TableCodec, table: Any, chosen: np.ndarray) -> Part:
    encoded = {}
    for number in np.flatnonzero(chosen).tolist():
        (series,) = read_columns(table[[codec.names[number]]])
        block = codec.blocks[number]
        encoded[number] = block.encode(block.read(series))
    csr = canonical_csr(codec.matrix_of(encoded, len(table), np.float64))
    return Part(csr, chosen[codec.sources])


def _numeric_part(model: Model, table: Any, names: Sequence[str]) -> Part:
    known = list(model.estimator.feature_names_in_)
    chosen = np.array([known.index(name) for name in names], np.int64)
    columns = [to_floats(table[name], name) for name in names]
    own = sp.csr_array(np.column_stack(columns).reshape(len(table), -1))
    shape = (len(table), len(known))
    order = np.argsort(chosen)
    own = sp.csr_array(own[:, order])
    csr = sp.csr_array((own.data, chosen[order][own.indices], own.indptr), shape=shape)
    mask = np.zeros(len(known), np.bool_)
    mask[chosen] = True
    return Part(canonical_csr(csr), mask)


def mixed_fields(model: Model, users: Part, items: Part) -> bool:
    """Return whether values depend on both parts: means over a field that both have."""
    fields = model.estimator._mean_fields
    if fields is None:
        return False
    return bool(np.isin(fields[users.mask], fields[items.mask]).any())


def check_apart(users: Part, items: Part) -> None:
    """Refuse parts with entries in the same column.

    Raises
    ------
    ValueError
    """
    common = np.flatnonzero(users.mask & items.mask)
    if len(common):
        raise ValueError(
            f"Both users and items have entries in column {common[0]}: a column must "
            "be one of users or of items."
        )
