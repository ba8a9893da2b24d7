"""One row per column of X: its linear weights and its factors, side by side."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np
import torch
from torch import Tensor

from ..data.batch import Batch
from ..data.rows import Rows
from ..data.transfer import DeviceBatch, ResidentRows
from . import kernels
from .backend import Backend
from .kernel_backend import KernelBackend
from .lookup import Groups, Lookup, PooledLookup
from .rows import ColumnRows
from .torch_backend import TorchBackend

#: Backends by kind of device; other devices have `TorchBackend`.
BACKENDS: dict[str, type[Backend[Any]]] = {"cpu": KernelBackend}

_NO_FIELDS = np.empty(0, np.int32)


class EmbeddingTable:
    """The table of a model and its three lookups.

    Parameters
    ----------
    n_columns : int
        Columns of X.
    n_linear : int
        C, linear weights per column (0 for a model without linear part).
    n_factors : int
        k, length of a column's embedding.
    lookup : {"pooled", "pooled_total", "by_field", "by_nonzero"}
        What `look_up` returns beside the linear part.
    fields : ndarray of shape (n_columns,), int32, or None
        Field of each column; needed by the by-field lookup.
    dtype : torch.dtype
        float32 or float64.
    device : torch.device
    backend : type of Backend, default=None
        Runs look-ups and reduces gradients; None: that of the device in `BACKENDS`.

    Attributes
    ----------
    backend : Backend
    weight : ColumnRows of shape (n_columns, C + k)
        Starts at zero.
    """

    def __init__(
        self,
        n_columns: int,
        n_linear: int,
        n_factors: int,
        *,
        lookup: str,
        fields: np.ndarray | None = None,
        dtype: torch.dtype = torch.float32,
        device: torch.device | str = "cpu",
        backend: type[Backend[Any]] | None = None,
    ) -> None:
        self.n_linear, self.n_factors, self.lookup = n_linear, n_factors, lookup
        self.n_columns, self.width = n_columns, n_linear + n_factors
        self.pooled = lookup in ("pooled", "pooled_total")
        # What comes before the linear part in sums over entries: see `kernels`.
        self.n_first = n_factors if self.pooled else 0
        self.n_squares = n_factors if lookup == "pooled" else 0
        device = torch.device(device)
        backend = backend or BACKENDS.get(device.type, TorchBackend)
        self.backend: Backend[Any] = backend(device)
        self.numpy_dtype = torch_to_numpy(dtype)
        self.squared_sums = self._squared(1)
        self.squared_upstream = self._squared(2)
        self._use(self.zeros(place=0, device=device))
        by_field = lookup == "by_field"
        self.n_fields = int(fields.max()) + 1 if by_field and fields is not None else 0
        self.kernel_fields = _NO_FIELDS
        self.slot_fields: Tensor | None = None
        if by_field:
            assert fields is not None
            self.kernel_fields = np.array(fields, np.int32)
            self.slot_fields = torch.from_numpy(self.kernel_fields).to(device)

    def _squared(self, n_last: int) -> np.ndarray:
        """1 for the columns of sums over entries that count by x^2: see `kernels`.

        ``n_last`` columns, at most, follow the linear part.
        """
        at = self.n_first + self.n_squares
        width = kernels.rounded(at + self.n_linear + n_last)
        squared = np.zeros((1, width), self.numpy_dtype)
        squared[:, self.n_first : at] = squared[:, at + self.n_linear :] = 1
        return squared

    def initialize(
        self, columns: np.ndarray, rng: np.random.Generator, scale: float
    ) -> None:
        """Draw the factors of ``columns`` (a mask) from N(0, scale^2)."""
        n = int(np.count_nonzero(columns))
        draws = rng.standard_normal((n, self.n_factors), dtype=self.numpy_dtype)
        draws *= scale
        mask = torch.from_numpy(columns).to(self.weight.device)
        self.weight.factors[mask] = torch.from_numpy(draws).to(self.weight.device)

    def zeros(self, *, place: int, device: torch.device | str) -> ColumnRows:
        """Allocate rows like the table's: see `ColumnRows.zeros`."""
        return ColumnRows.zeros(
            (self.n_columns, self.width),
            self.n_linear,
            self.numpy_dtype,
            place=place,
            device=device,
        )

    def adopt(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Take writable arrays for the CPU's "factors", and "linear" weights."""
        parts = {"factors": self.weight.factors, "linear": self.weight.linear}
        parts |= {name: torch.from_numpy(array) for name, array in arrays.items()}
        self._use(ColumnRows(**parts))

    def linear_part(self) -> EmbeddingTable:
        """Return the table for steps that do not change its factors."""
        part = copy.copy(self)
        part.n_factors = part.n_first = part.n_squares = 0
        part.width, part.kernel_fields = self.n_linear, _NO_FIELDS
        part.squared_upstream = part._squared(2)
        part._use(self.weight.linear_part())
        return part

    def _use(self, weight: ColumnRows) -> None:
        self.weight = weight
        # What the kernels read.
        self.host = self.backend.host(weight)

    def threads_for(self, batch: Batch | DeviceBatch, n_threads: int) -> int:
        """Threads that pay for a batch."""
        return self.backend.n_threads(batch, n_threads)

    def group(self, batch: Batch | DeviceBatch) -> Groups | None:
        """Group a batch's entries by column, if `RowGradient` reads them so."""
        return self.backend.group(self, batch)

    def place(self, batch: Batch | DeviceBatch) -> Batch | DeviceBatch:
        """Return a batch where the table's backend reads it, moved there if needed."""
        placed: Batch | DeviceBatch = self.backend.place(batch)
        return placed

    def keep_rows(
        self, rows: Rows, prepare: Callable[[Batch], Batch], reserved: int
    ) -> ResidentRows | None:
        """Keep all rows of a matrix on the table's device: see `Backend.keep_rows`."""
        return self.backend.keep_rows(rows, prepare, reserved)

    def n_slots(self, batch: Batch | DeviceBatch) -> int:
        """Slots of the by-field or by-non-zero lookup of a batch."""
        return self.n_fields if self.lookup == "by_field" else batch.longest()

    def look_up(
        self,
        batch: Batch | DeviceBatch,
        *,
        n_threads: int = 1,
        training: bool = False,
    ) -> Lookup:
        """Read a batch; with ``training`` the results collect gradients."""
        lookup = self.backend.look_up(self, batch, n_threads=n_threads)
        return lookup.collect_gradients() if training else lookup

    def pool_whole(
        self, batch: Batch | DeviceBatch, groups: Groups | None, *, n_threads: int = 1
    ) -> PooledLookup | None:
        """Pool a whole batch at once where that is faster: see `Backend.pool_whole`."""
        if groups is None:
            return None
        return self.backend.pool_whole(self, batch, groups, n_threads=n_threads)

    def entries(self, batch: Batch | DeviceBatch) -> Tensor:
        """[x w | x v] of each entry of a batch, row by row: (nnz, C + k)."""
        return TorchBackend(self.weight.device).entries(self, batch)

    def read_entries(self, entries: Tensor, batch: Batch | DeviceBatch) -> Lookup:
        """Return the result of `look_up` for ``entries`` instead of the batch's own.

        In torch operations, through which gradients flow back to ``entries``.
        """
        return TorchBackend(self.weight.device).read_entries(self, entries, batch)


def torch_to_numpy(dtype: torch.dtype) -> np.dtype[Any]:
    """float32 or float64 as NumPy's."""
    return np.dtype(np.float64 if dtype == torch.float64 else np.float32)
