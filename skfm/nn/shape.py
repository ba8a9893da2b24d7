"""Sizes and types from which networks are built, and the checks of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from ..data.transfer import free_memory
from ..persistence.records import is_array, is_integer, require, saved
from ..runtime.lazy import torch
from ..runtime.memory import check_memory

#: Types of weights.
DTYPES = ("float32", "float64")


@saved("record")
@dataclass(frozen=True)
class Shape:
    """Sizes and types from which a network is built.

    Attributes
    ----------
    n_columns : int
        Number of columns of the matrix that the network reads.
    n_factors : int
        Length k of an embedding.
    n_outputs : int
        Number C of raw scores per row.
    fields : ndarray of int32 of shape (n_columns,), or None
        Field of each column.
    mean_pairs : float
        Average number of pairs of entries in a training row.
    dtype : {"float32", "float64"}
        Type of the weights.
    device : str
        Device that holds the weights.
    n_samples : int
        Number of samples that the network holds: see `skfm.nn.posterior`.
    n_members : int
        Number of networks whose mean score is the network's: see `skfm.nn.members`.
        The other sizes are those of each.
    """

    n_columns: int
    n_factors: int
    n_outputs: int
    fields: np.ndarray | None = None
    mean_pairs: float = 1.0
    dtype: str = "float32"
    device: str = "cpu"
    n_samples: int = 1
    n_members: int = 1

    def check(self) -> None:
        """Raise a ValueError unless a network can be built from these sizes."""
        sizes = [self.n_columns, self.n_factors, self.n_outputs]
        sizes += [self.n_samples, self.n_members]
        require(all(is_integer(n, 1) for n in sizes), "a size is not a positive number")
        require(self.dtype in DTYPES, f"dtype is {self.dtype!r}")
        number = isinstance(self.mean_pairs, int | float)
        require(number and self.mean_pairs >= 0, f"mean_pairs is {self.mean_pairs!r}")
        check_fields(self.fields, self.n_columns)

    @property
    def n_fields(self) -> int:
        """Number F of fields, 0 without fields."""
        return 0 if self.fields is None else int(self.fields.max()) + 1


def check_fields(fields: Any, n_columns: int) -> None:
    """Raise a ValueError for fields that would lead kernels out of bounds.

    Parameters
    ----------
    fields : object
        Fields to check: None, or an array of int32 of shape (n_columns,) with values
        below ``n_columns``.
    n_columns : int
        Number of columns.
    """
    if fields is None:
        return
    fine = is_array(fields, np.int32, (n_columns,))
    require(fine, "fields is not an array of a field for each column")
    inside = fields.min() >= 0 and fields.max() < n_columns
    require(inside, "a field is not in [0, number of columns)")


def check_table_memory(shape: Shape, width: int, n_tables: int) -> None:
    """Raise an error if a table cannot be trained in the available memory.

    Parameters
    ----------
    shape : Shape
        Sizes of the network.
    width : int
        Number of weights per column of the table.
    n_tables : int
        Number of arrays of this size that training holds: the weights, the state of the
        optimizer, and the weights of the best epoch.

    Raises
    ------
    MemoryError
        If the arrays are larger than the available memory of the device.
    """
    check_memory(
        n_tables * shape.n_columns * width * np.dtype(shape.dtype).itemsize,
        f"{n_tables} tables (weights, optimizer, best epoch) of {shape.n_columns} "
        f"columns x {width} {shape.dtype} numbers need",
        "hash the categories into fewer columns, lower n_factors, or set "
        'dtype="float32".',
        free_memory(torch.device(shape.device)),
    )
