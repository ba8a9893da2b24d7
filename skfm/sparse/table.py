"""The table of a model: the linear weights and the embedding of each column of X."""

from __future__ import annotations

import copy
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from ..data.batch import Batch
from ..data.labels import Labels
from ..data.rows import Rows
from ..data.transfer import DeviceBatch, ResidentRows
from ..runtime.lazy import torch
from . import kernels
from .backend import Backend
from .kernel_backend import KernelBackend
from .lookup import Groups, Lookup, equal_part
from .rows import ColumnRows
from .torch_backend import TorchBackend

if TYPE_CHECKING:
    from torch import Tensor

#: Backends by kind of device; other devices have `TorchBackend`.
BACKENDS: dict[str, type[Backend[Any]]] = {"cpu": KernelBackend}

_NO_FIELDS = np.empty(0, np.int32)


class EmbeddingTable:
    """Table of the weights of all columns, with its look-ups.

    Parameters
    ----------
    n_columns : int
        Number of columns of X.
    n_linear : int
        Number C of linear weights per column; 0 for a model without linear part.
    n_factors : int
        Length k of an embedding.
    lookup : {"pooled", "pooled_total", "by_sample", "by_field", "by_nonzero"}
        Kind of look-up that `look_up` returns.
    fields : ndarray of shape (n_columns,), int32, or None
        Field of each column, which a look-up by field needs.
    dtype : torch.dtype, default=None
        Type of the weights, float32 or float64; None: float32.
    device : torch.device
        Device that holds the weights.
    backend : type of Backend, default=None
        Class of the backend; None: the one for the device in `BACKENDS`.

    Attributes
    ----------
    backend : Backend
        Runs look-ups and reduces gradients.
    weight : ColumnRows of shape (n_columns, C + k)
        The weights, initially zero.
    """

    def __init__(
        self,
        n_columns: int,
        n_linear: int,
        n_factors: int,
        *,
        lookup: str,
        fields: np.ndarray | None = None,
        dtype: torch.dtype | None = None,
        device: torch.device | str = "cpu",
        backend: type[Backend[Any]] | None = None,
    ) -> None:
        self.n_linear, self.n_factors, self.lookup = n_linear, n_factors, lookup
        self.n_columns, self.width = n_columns, n_linear + n_factors
        self.pooled = lookup in ("pooled", "pooled_total")
        # Numbers before the linear part in the sums over entries: see `kernels`.
        self.n_first = n_factors if self.pooled else 0
        self.n_squares = n_factors if lookup == "pooled" else 0
        device = torch.device(device)
        backend = backend or BACKENDS.get(device.type, TorchBackend)
        self.backend: Backend[Any] = backend(device)
        self.numpy_dtype = torch_to_numpy(dtype)
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
        """Mark the columns of sums over entries that are multiplied by x^2.

        At most ``n_last`` columns follow the linear part: see `kernels`.
        """
        at = self.n_first + self.n_squares
        width = kernels.rounded(at + self.n_linear + n_last)
        squared = np.zeros((1, width), self.numpy_dtype)
        squared[:, self.n_first : at] = squared[:, at + self.n_linear :] = 1
        return squared

    def initialize(
        self, columns: np.ndarray, rng: np.random.Generator, scale: float
    ) -> None:
        """Draw the factors of ``columns``, a boolean mask, from N(0, scale^2)."""
        n = int(np.count_nonzero(columns))
        draws = rng.standard_normal((n, self.n_factors), dtype=self.numpy_dtype)
        draws *= scale
        mask = torch.from_numpy(columns).to(self.weight.device)
        self.weight.factors[mask] = torch.from_numpy(draws).to(self.weight.device)

    def zeros(self, *, place: int, device: torch.device | str) -> ColumnRows:
        """Allocate rows of zeros in the shape of the table: see `ColumnRows.zeros`."""
        return ColumnRows.zeros(
            (self.n_columns, self.width),
            self.n_linear,
            self.numpy_dtype,
            place=place,
            device=device,
        )

    def adopt(self, arrays: Mapping[str, np.ndarray]) -> None:
        """Use writable arrays as the "factors" and "linear" weights, on the CPU."""
        parts = {"factors": self.weight.factors, "linear": self.weight.linear}
        parts |= {name: torch.from_numpy(array) for name, array in arrays.items()}
        self._use(ColumnRows(**parts))

    def share(self, table: EmbeddingTable, number: int, n: int) -> None:
        """Use, as views, one of n equal parts of the columns' numbers in a table."""
        parts = [equal_part(part, number, n) for part in table.weight.tensors()]
        self._use(ColumnRows(*parts))

    def linear_part(self) -> EmbeddingTable:
        """Return a table without factors that shares the linear weights."""
        part = copy.copy(self)
        part.n_factors = part.n_first = part.n_squares = 0
        part.width, part.kernel_fields = self.n_linear, _NO_FIELDS
        part.squared_upstream = part._squared(2)
        part._use(self.weight.linear_part())
        return part

    def excerpt(self, columns: np.ndarray, weight: ColumnRows) -> EmbeddingTable:
        """Return a table of some columns, which has other weights for them."""
        part = copy.copy(self)
        part.n_columns = len(columns)
        if len(self.kernel_fields):
            part.kernel_fields = self.kernel_fields[columns]
            part.slot_fields = torch.from_numpy(part.kernel_fields).to(weight.device)
        part._use(weight)
        return part

    def _use(self, weight: ColumnRows) -> None:
        self.weight = weight
        # The weights as the kernels read them.
        self.host = self.backend.host(weight)

    def threads_for(self, batch: Batch | DeviceBatch, n_threads: int) -> int:
        """Return the number of threads, at most ``n_threads``, that pay for a batch."""
        return self.backend.n_threads(batch, n_threads)

    def group(self, batch: Batch | DeviceBatch) -> Groups | None:
        """Group the entries of a batch by column: see `Backend.group`."""
        return self.backend.group(self, batch)

    def place(self, batch: Batch | DeviceBatch) -> Batch | DeviceBatch:
        """Move a batch to where the backend reads it, if it is elsewhere."""
        placed: Batch | DeviceBatch = self.backend.place(batch)
        return placed

    def keep_rows(
        self,
        rows: Rows,
        labels: Labels,
        prepare: Callable[[Batch], Batch],
        reserved: int,
    ) -> ResidentRows | None:
        """Keep all rows of a matrix on the device: see `Backend.keep_rows`."""
        return self.backend.keep_rows(rows, labels, prepare, reserved)

    def n_slots(self, batch: Batch | DeviceBatch) -> int:
        """Return the number of slots of a look-up by field or by non-zero."""
        return self.n_fields if self.lookup == "by_field" else batch.longest()

    def look_up(
        self,
        batch: Batch | DeviceBatch,
        *,
        n_threads: int = 1,
        training: bool = False,
    ) -> Lookup:
        """Look up a batch; with ``training``, the results collect gradients."""
        lookup = self.backend.look_up(self, batch, n_threads=n_threads)
        return lookup.collect_gradients() if training else lookup

    def entries(self, batch: Batch | DeviceBatch) -> Tensor:
        """Compute [x w | x v] of each entry of a batch, row by row: (nnz, C + k)."""
        return TorchBackend(self.weight.device).entries(self, batch)

    def read_entries(self, entries: Tensor, batch: Batch | DeviceBatch) -> Lookup:
        """Compute the look-up of a batch from ``entries`` in place of its own.

        The operations are those of torch, so that gradients flow back to ``entries``.
        """
        return TorchBackend(self.weight.device).read_entries(self, entries, batch)


def torch_to_numpy(dtype: torch.dtype | None) -> np.dtype[Any]:
    """Return the NumPy dtype of torch's float32 or float64; of None, float32."""
    return np.dtype(np.float64 if dtype == torch.float64 else np.float32)
